"""Keeping the engine process alive: started, watched, started again, and after three deaths in ten minutes left down.

The engine's own end with code 0 is the end of the day. Any other end is a death: the engine's lifeboat has withdrawn our
buys, the floors rest at the broker, and a new start resumes from the books. A fourth death in ten minutes halts: the
lifeboat turns our floors into marketable limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MINUTE

EXIT_REFUSED = 78
"""The engine's word for: as things are I must not run. Starting it again would not help."""
MOST_RESTARTS = 3
WITHIN_NS = 10 * NS_PER_MINUTE


class EngineChild:
    """The engine as a child process. ``state``: starting, running, restarting, stopped, failed."""

    def __init__(
        self,
        command: Sequence[str],
        clock: Clock,
        say: Callable[[str], None],
        on_given_up: Callable[[], Awaitable[None]],
    ) -> None:
        """``on_given_up`` is awaited once, when the engine will not be started again after deaths."""
        self._command = command
        self._clock = clock
        self._say = say
        self._on_given_up = on_given_up
        self._process: asyncio.subprocess.Process | None = None
        self.stopping = False
        self.state = "starting"
        self.restarts = 0
        self.detail = ""

    async def run(self) -> int:
        """Until the engine ends by itself, is stopped, or has died too often; gives its last exit code."""
        deaths: deque[int] = deque()
        while True:
            code = await self._once()
            if code == 0 or self.stopping:
                self.state = "stopped"
                return code
            if code == EXIT_REFUSED:
                self.state = "failed"
                self.detail = "the engine refused to start; its own words are above"
                self._say(self.detail)
                return code
            now_ns = self._clock.now_ns()
            deaths.append(now_ns)
            while deaths and deaths[0] < now_ns - WITHIN_NS:
                deaths.popleft()
            if len(deaths) > MOST_RESTARTS:
                self.state = "failed"
                self.detail = f"the engine died {len(deaths)} times in ten minutes and stays down"
                self._say(self.detail)
                await self._on_given_up()
                return code
            self.state, self.restarts = "restarting", self.restarts + 1
            self.detail = f"the engine died ({_how(code)}); start {len(deaths)} of {MOST_RESTARTS} in ten minutes"
            self._say(self.detail)

    async def stop(self) -> None:
        """Ask the engine to end; it says what is open, and its floors stay."""
        self.stopping = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    async def _once(self) -> int:
        # Its own process group: a Ctrl-C at the terminal reaches the engine through us, once.
        self._process = await asyncio.create_subprocess_exec(*self._command, start_new_session=True)
        self.state = "running"
        if self.stopping:  # asked while this one was being started
            await self.stop()
        return await self._process.wait()


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
