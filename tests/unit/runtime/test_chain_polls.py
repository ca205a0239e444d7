"""Option chains are asked for in time, one reading at a time, and a broken one is told of once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import date
from typing import Any

from algo_scalper.domain.commands import PollChain
from algo_scalper.domain.errors import BrokerUnreachable
from algo_scalper.domain.events import Event
from algo_scalper.domain.instruments import Index
from algo_scalper.domain.market import OptionChain
from algo_scalper.runtime.chain_polls import ChainPolls
from algo_scalper.runtime.clock import Timers
from algo_scalper.runtime.virtual import CHAIN_EVERY_NS
from tests.unit.runtime.doubles import turns

EXPIRY = date(2026, 12, 1)
NIFTY = PollChain("NIFTY", EXPIRY)


class Bench:
    """A broker that answers with what the test puts down, and everything that becomes of it."""

    def __init__(self) -> None:
        self.answer: OptionChain | BrokerUnreachable | None = None
        self.put_down = asyncio.Event()
        self.asked: list[str] = []
        self.taken: list[Event] = []
        self.warned: list[tuple[str, str]] = []
        self.timers = Timers()
        self._tasks: list[asyncio.Task[None]] = []
        chains: Any = self
        self.polls = ChainPolls(
            chains, {}, self.timers, self._spawn, self.taken.append, lambda code, text: self.warned.append((code, text))
        )
        self.polls.begin(0)

    async def option_chain(self, underlying: Index, expiry: date) -> OptionChain:
        self.asked.append(f"{underlying.name} {expiry}")
        await self.put_down.wait()
        if isinstance(self.answer, OptionChain):
            return self.answer
        assert self.answer is not None
        raise self.answer

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def poll(self, number: int) -> None:
        """The so manieth poll, and what follows from it."""
        self.timers.run_due(number * CHAIN_EVERY_NS)
        await turns()


async def test_a_chain_is_asked_for_again_and_again_but_never_while_it_is_waited_for() -> None:
    bench = Bench()
    await bench.poll(0)
    assert bench.asked == []
    bench.polls.want(PollChain("NIFTY", date(2026, 11, 24)))
    bench.polls.want(NIFTY)  # in place of the other expiry
    await bench.poll(1)
    await bench.poll(2)
    assert bench.asked == ["NIFTY 2026-12-01"]
    bench.answer = OptionChain(7, "NIFTY", EXPIRY, 26_000_00, ())
    bench.put_down.set()
    await turns()
    assert bench.taken == [bench.answer]
    await bench.poll(3)
    assert len(bench.asked) == 2


async def test_a_chain_that_cannot_be_read_is_told_of_once_until_it_is_back() -> None:
    bench = Bench()
    bench.polls.want(NIFTY)
    bench.put_down.set()
    bench.answer = BrokerUnreachable("connection refused")
    for number in range(3):
        await bench.poll(number)
    assert len(bench.asked) == 3
    assert bench.warned == [("chain_unread", "NIFTY 2026-12-01: connection refused")]
    bench.answer = OptionChain(7, "NIFTY", EXPIRY, 26_000_00, ())
    await bench.poll(3)
    bench.answer = BrokerUnreachable("connection refused")
    await bench.poll(4)
    assert len(bench.warned) == 2
