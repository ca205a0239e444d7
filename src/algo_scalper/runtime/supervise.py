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
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND

EXIT_REFUSED = 78
"""The engine's word for: as things are I must not run. Starting it again would not help."""
EXIT_NOT_YET = 75
"""The engine's word for: the broker could not be reached, and nothing was begun. Starting it again soon is right."""
MOST_RESTARTS = 3
WITHIN_NS = 10 * NS_PER_MINUTE
NOT_STARTED = {EXIT_REFUSED: "refused to start", EXIT_NOT_YET: "could not reach the broker"}
AGAIN_NS = {EXIT_REFUSED: NS_PER_MINUTE, EXIT_NOT_YET: 10 * NS_PER_SECOND}


class EngineChild:
    """The engine as a child process. ``state``: waiting, starting, running, restarting, stopped, failed."""

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
        self._stopped = asyncio.Event()
        self.stopping = False
        self.state = "starting"
        self.restarts = 0
        self.detail = ""

    async def run(self) -> int:
        """Until the engine ends by itself, is stopped, or has died too often; gives its last exit code."""
        deaths: deque[int] = deque()
        while True:
            if self.state == "waiting":
                self.state, self.detail = "starting", ""
            code = await self._once()
            if code == 0 or self.stopping:
                self.state = "stopped"
                return code
            if code in AGAIN_NS:
                self.state = "failed"
                self.detail = f"the engine {NOT_STARTED[code]}; its own words are above"
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
        self._stopped.set()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def wait(self, why: str) -> None:
        """Nothing is to run now."""
        self.state, self.detail = "waiting", why

    async def stopped_or(self, done: Coroutine[None, None, None]) -> None:
        """Return when ``done`` is, or when the child is stopped."""
        waiting, stopped = asyncio.ensure_future(done), asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        stopped.cancel()

    async def _once(self) -> int:
        # Its own process group: a Ctrl-C at the terminal reaches the engine through us, once.
        self._process = await asyncio.create_subprocess_exec(*self._command, start_new_session=True)
        self.state = "running"
        if self.stopping:  # asked while this one was being started
            await self.stop()
        return await self._process.wait()


async def nothing_meanwhile() -> None:
    """Between sessions there is nothing to do."""


class Sessions:
    """One engine start per session of the real market; between them nothing runs and the state is ``waiting``."""

    def __init__(
        self,
        child: EngineChild,
        clock: Clock,
        say: Callable[[str], None],
        next_session: Callable[[int], tuple[int, str]],
        meanwhile: Callable[[], Coroutine[None, None, None]] = nothing_meanwhile,
    ) -> None:
        """``next_session(now_ns)`` gives when to start, and the sentence to show until then.

        ``meanwhile`` runs between sessions and is cancelled when one begins.
        """
        self._child = child
        self._clock = clock
        self._say = say
        self._next_session = next_session
        self._meanwhile = meanwhile

    async def run(self) -> int:
        """Until the child is stopped or has died too often; gives its exit code.

        An engine that could not start is tried again: a token may come, the broker may be reached again.
        """
        child = self._child
        while True:
            start_ns, sentence = self._next_session(self._clock.now_ns())
            if start_ns > self._clock.now_ns():
                child.wait(sentence)
                self._say(sentence)
                await self._until(start_ns)
            if child.stopping:
                return 0
            code = await child.run()
            if (code != 0 and code not in AGAIN_NS) or child.stopping:
                return code
            if code in AGAIN_NS:
                await self._until(self._clock.now_ns() + AGAIN_NS[code])

    async def _until(self, at_ns: int) -> None:
        beside = asyncio.ensure_future(self._meanwhile())
        try:
            await self._child.stopped_or(self._clock.sleep_until(at_ns))
        finally:
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
