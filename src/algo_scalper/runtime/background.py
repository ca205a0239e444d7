"""Work beside the path of events: tasks that are remembered, whose faults are told, and which end with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND

END_WITHIN_NS = 3 * NS_PER_SECOND


class Background:
    """The tasks of one start."""

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        """``on_fault`` is called with what a task has ended by, if it was not cancelled."""
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Begin it; nobody waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)

    async def end(self, clock: Clock, say: Callable[[str], None]) -> None:
        """Cancel what runs; what does not end soon is named and left behind."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            limit = asyncio.ensure_future(clock.sleep_until(clock.now_ns() + END_WITHIN_NS))
            ending = asyncio.ensure_future(asyncio.wait(tasks))
            await asyncio.wait({limit, ending}, return_when=asyncio.FIRST_COMPLETED)
            limit.cancel()
            for task in tasks:
                if not task.done():
                    say(f"did not end in time and was left: {task.get_coro()}")
