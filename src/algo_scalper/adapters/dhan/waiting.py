"""Waiting by the `Clock` alone: a deadline for something in flight, and growing pauses between attempts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND


async def done_by(clock: Clock, deadline_ns: int, work: asyncio.Future[Any]) -> bool:
    """Wait until ``work`` is done, at most until ``deadline_ns``; True when it is done.

    When both come at once the work wins: an answer that is there is an answer. ``work`` is not cancelled.
    """
    if work.done():
        return True
    timer = asyncio.ensure_future(clock.sleep_until(deadline_ns))
    woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(_one: asyncio.Future[Any]) -> None:
        if not woken.done():
            woken.set_result(None)

    work.add_done_callback(wake)
    timer.add_done_callback(wake)
    try:
        await woken  # as asyncio.wait does it for any number: every order passes here
    finally:
        work.remove_done_callback(wake)
        timer.cancel()
    if not work.done() and timer.done():
        timer.result()  # a clock that failed is not a deadline that passed
    return work.done()


class Backoff(msgspec.Struct, frozen=True):
    """Pauses between attempts to connect, doubling up to a most, with half of each left to chance.

    ``slow`` pauses are for a server that has said no (429, a dead token, too many connections): asking again soon can
    get the account blocked.
    """

    first_ns: int = 500 * NS_PER_MS
    most_ns: int = 30 * NS_PER_SECOND
    slow_first_ns: int = 60 * NS_PER_SECOND
    slow_most_ns: int = 300 * NS_PER_SECOND

    def pause_ns(self, attempt: int, slow: bool, chance: Chance) -> int:
        """The pause before attempt number ``attempt`` (1 is the first repeat): between half and all of its turn."""
        first_ns, most_ns = (self.slow_first_ns, self.slow_most_ns) if slow else (self.first_ns, self.most_ns)
        turn_ns = min(most_ns, first_ns << min(attempt - 1, 20))
        return turn_ns // 2 + int(chance.random() * (turn_ns // 2))
