"""The only module that knows what time it is: the system's clock, a paced one for people, a stepped one for proof."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from enum import IntEnum
from typing import Any

from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND


class SystemClock:
    """Wall time that never goes backwards: set once, then carried by the monotonic clock."""

    def __init__(self, from_ns: int = 0) -> None:
        """Anchor the monotonic clock to wall time, or to ``from_ns`` for a rehearsal of another hour."""
        self._anchor_ns = (from_ns or time.time_ns()) - time.monotonic_ns()

    def now_ns(self) -> int:
        """UTC nanoseconds."""
        return self._anchor_ns + time.monotonic_ns()

    def wall_gap_ns(self) -> int:
        """How far the system's wall clock has moved away since the start (it was set, or slept)."""
        return time.time_ns() - self.now_ns()

    async def sleep_until(self, at_ns: int) -> None:
        """Wait in real time."""
        left = at_ns - self.now_ns()
        await asyncio.sleep(max(left, 0) / NS_PER_SECOND)


LIMITED_UP_TO = 5.0
"""Above this pace a millisecond of this machine is too long in the market's time for rate limits to be fair."""
STOOD_STILL_NS = NS_PER_SECOND
"""What is late by more than this is so because the process did not run: a debugger, a full disk, a machine that swaps."""
LEASH_NS = 2 * NS_PER_SECOND
LEASH_HOLDS_NS = 10 * NS_PER_SECOND


class PacedClock:
    """Virtual time that runs ``rate`` times as fast as the system's, from an instant the simulator names."""

    def __init__(self, start_ns: int, rate: float, system: SystemClock) -> None:
        """Begin at ``start_ns`` now."""
        self._system = system
        self._anchor_ns = system.now_ns()
        self._start_ns = start_ns
        self._last_ns = start_ns
        self._heard_ns = start_ns
        self._heard_at_ns = 0
        self.rate = rate

    def now_ns(self) -> int:
        """Virtual UTC nanoseconds; never less than before."""
        real_ns = self._system.now_ns()
        now = self._start_ns + round((real_ns - self._anchor_ns) * self.rate)
        if real_ns - self._heard_at_ns < LEASH_HOLDS_NS:
            now = min(max(now, self._heard_ns), self._heard_ns + LEASH_NS)
        self._last_ns = max(self._last_ns, now)
        return self._last_ns

    def heard(self, market_ns: int) -> None:
        """The market was at ``market_ns``: while it is heard, time neither runs ahead of it nor stays behind.

        At sixty times the pace a sixth of a second in which this machine does something else would look like ten
        seconds without a price. A market that is silent in real time is silent: then time goes on alone.
        """
        self._heard_ns = max(self._heard_ns, market_ns)
        self._heard_at_ns = self._system.now_ns()

    def let_go(self) -> None:
        """The market's line is lost: time goes on alone."""
        self._heard_at_ns = 0

    def correct(self, now_ns: int) -> None:
        """The simulator says it is ``now_ns``; time never goes back, it waits."""
        self._anchor_ns = self._system.now_ns()
        self._start_ns = now_ns

    async def sleep_until(self, at_ns: int) -> None:
        """Wait until virtual time gets there."""
        while (left := at_ns - self.now_ns()) > 0:
            await self._system.sleep_until(self._system.now_ns() + max(round(left / self.rate), 1))


class SteppedClock:
    """Virtual time that stands still until it is moved, and tells when it is next needed."""

    def __init__(self, start_ns: int) -> None:
        """Stand at ``start_ns``."""
        self._now_ns = start_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        """Virtual UTC nanoseconds."""
        return self._now_ns

    def next_wake_ns(self) -> int | None:
        """The earliest instant somebody sleeps for."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def sleep_until(self, at_ns: int) -> None:
        """Wait until the clock is moved there."""
        if at_ns <= self._now_ns:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at_ns, next(self._order), woken))
        await woken

    async def move_to(self, at_ns: int) -> None:
        """Move, and let everybody due go on, one after another."""
        self._now_ns = max(self._now_ns, at_ns)
        while (wake := self.next_wake_ns()) is not None and wake <= self._now_ns:
            heapq.heappop(self._sleepers)[2].set_result(None)
            await settle()


class Rank(IntEnum):
    """What goes first at one instant."""

    BROKER = 0
    SECOND = 1
    POLL = 2


class Timers:
    """Callbacks by (instant, rank, order of asking). Whoever owns the loop runs what is due."""

    def __init__(self) -> None:
        """None."""
        self._heap: list[tuple[int, Rank, int, Callable[[int], None]]] = []
        self._order = itertools.count()
        self.changed = asyncio.Event()

    def at(self, at_ns: int, rank: Rank, call: Callable[[int], None]) -> None:
        """Call ``call(at_ns)`` then."""
        heapq.heappush(self._heap, (at_ns, rank, next(self._order), call))
        self.changed.set()

    def next_ns(self) -> int | None:
        """The earliest instant anything is due."""
        return self._heap[0][0] if self._heap else None

    def run_due(self, now_ns: int, up_to: Rank = Rank.POLL) -> bool:
        """Run what is due, in order; of what is due exactly now only ranks up to ``up_to``. Was anything?"""
        heap, ran = self._heap, False
        while heap and (heap[0][0] < now_ns or (heap[0][0] == now_ns and heap[0][1] <= up_to)):
            at_ns, _, _, call = heapq.heappop(heap)
            call(at_ns)
            ran = True
        return ran

    async def run(self, clock: Clock) -> None:
        """The task that runs them in a live or paced process; ends when cancelled."""
        while True:
            self.changed.clear()
            due_ns = self.next_ns()
            if due_ns is None:
                await self.changed.wait()
                continue
            if due_ns > clock.now_ns():
                await first_of(self.changed.wait(), clock.sleep_until(due_ns))
                continue
            if clock.now_ns() - due_ns > STOOD_STILL_NS:
                # This process stood still. What was sent to it meanwhile is heard before anything is done for its silence.
                await settle()
            self.run_due(clock.now_ns())


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of several; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def settle(turns: int = 4) -> None:
    """Let every task that can go on do so, until each waits for the world again."""
    for _ in range(turns):
        await asyncio.sleep(0)
