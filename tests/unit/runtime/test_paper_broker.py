"""Paper money: after its latency, against the quote standing then, durable before anyone hears of it, over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import BrokerUnreachable, StoreError
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Unknown
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.runtime.clock import SteppedClock, Timers
from algo_scalper.runtime.paper_broker import STANDS_NS, PaperBroker, carry_over, kept_state
from algo_scalper.simulation.exchange import SQUARE_OFF_ID, SimulatedExchange
from algo_scalper.simulation.latency import Latency
from tests.unit.runtime.doubles import turns
from tests.unit.simulation.exchange_desk import CALL, DAY, KEY, LAKH, seconds

LATENCY = Latency()
NOON = seconds(12, 0)
NEXT_DAY = DAY + timedelta(days=1)
Answer = TypeVar("Answer")


class Shelf:
    """The book on the disk, and everything in the order it happened."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.meta: bytes | None = None
        self.full = False
        self.log: list[str] = []

    def load(self) -> tuple[dict[str, bytes], bytes | None]:
        return dict(sorted(self.rows.items())), self.meta

    def save(self, rows: dict[str, bytes], meta: bytes) -> None:
        if self.full:
            raise StoreError("no space left on device")
        self.rows |= rows
        self.meta = meta
        self.log.append("saved " + ",".join(sorted(name[0] for name in rows)))


class Bench:
    """One process start of paper trading."""

    def __init__(self, shelf: Shelf, now_ns: int = NOON) -> None:
        self.shelf = shelf
        self.clock, self.timers = SteppedClock(now_ns), Timers()
        state = kept_state(shelf)
        exchange = SimulatedExchange((CALL,), DAY, LAKH if state is None else 0, state)
        self.standing: Quote | None = None
        self.broker = PaperBroker(
            exchange, shelf, self.clock, self.timers, LATENCY, lambda key: self.standing, self._on_report
        )
        self.told: list[tuple[int, BrokerOrder]] = []

    def _on_report(self, row: BrokerOrder) -> None:
        self.shelf.log.append(f"told {row.status.value}")
        self.told.append((self.clock.now_ns(), row))

    def quote(self, bid: int, ask: int) -> None:
        now = self.clock.now_ns()
        tick = Tick(now, KEY, now // NS_PER_SECOND, bid, bid, ask, 650, 650)
        self.standing = Quote(tick, ((bid, 650),), ((ask, 650),))

    async def until(self, at_ns: int) -> None:
        while (due_ns := self.timers.next_ns()) is not None and due_ns <= at_ns:
            await self.clock.move_to(due_ns)
            self.timers.run_due(due_ns)
            await turns()
        await self.clock.move_to(at_ns)

    async def do(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.create_task(asked)
        await turns()
        while not task.done():
            due_ns = self.timers.next_ns()
            assert due_ns is not None
            await self.until(due_ns)
        return task.result()

    async def buy(self, name: str, price: int) -> Any:
        return await self.do(self.broker.place(order(name, Side.BUY, price)))


def order(name: str, side: Side, price: int, trigger: int = 0) -> PlaceOrder:
    kind = OrderKind.STOP_LIMIT if trigger else OrderKind.LIMIT
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return PlaceOrder(name, KEY, side, kind, 65, price, trigger, purpose, Product.INTRADAY)


async def test_it_reaches_the_exchange_after_its_latency_and_meets_the_quote_standing_then() -> None:
    bench = Bench(Shelf())
    bench.quote(9_990, 10_000)
    asked = asyncio.create_task(bench.broker.place(order("a", Side.BUY, 10_000)))
    await turns()
    await bench.until(NOON + LATENCY.order_ns - 1)
    bench.quote(10_090, 10_100)  # gone a moment before it arrives
    await bench.until(NOON + LATENCY.order_ns)
    assert bench.broker.exchange.fills() == ()
    assert not asked.done()
    await bench.until(NOON + LATENCY.answer_ns - 1)
    assert not asked.done()
    await bench.until(NOON + LATENCY.answer_ns)
    await turns()
    assert isinstance(asked.result(), Accepted)


async def test_durable_before_told() -> None:
    shelf = Shelf()
    bench = Bench(shelf)
    bench.quote(9_990, 10_000)
    await bench.buy("a", 10_000)
    await bench.until(NOON + NS_PER_SECOND)
    assert shelf.log == ["saved f,h,o", "told PENDING", "told TRADED"]
    assert {at_ns for at_ns, _ in bench.told} == {NOON + LATENCY.order_ns + LATENCY.push_ns}
    assert bench.told[-1][1].filled_value_paise == 65 * 10_000


async def test_a_resting_order_trades_with_a_later_quote_and_is_kept_before_it_is_told() -> None:
    shelf = Shelf()
    bench = Bench(shelf)
    bench.quote(9_990, 10_000)
    await bench.buy("a", 9_900)
    await bench.until(NOON + NS_PER_SECOND)
    shelf.log.clear()
    bench.quote(9_800, 9_850)
    assert bench.standing is not None
    bench.broker.see(bench.standing)
    assert shelf.log == ["saved f,h,o"]
    await bench.until(bench.clock.now_ns() + LATENCY.push_ns)
    assert shelf.log == ["saved f,h,o", "told TRADED"]


async def test_a_restart_goes_on_from_its_book() -> None:
    shelf = Shelf()
    first = Bench(shelf)
    first.quote(9_990, 10_000)
    await first.buy("held", 10_000)
    resting = await first.buy("resting", 9_900)
    stop = await first.do(first.broker.place(order("floor", Side.SELL, 6_725, 8_400)))
    assert isinstance(stop, Accepted)
    book = await first.do(first.broker.read_book())
    again = Bench(shelf, NOON + 60 * NS_PER_SECOND)
    read = await again.do(again.broker.read_book())
    assert (read.orders, read.positions, read.funds) == (book.orders, book.positions, book.funds)
    assert again.broker.exchange.fills() == first.broker.exchange.fills()
    again.quote(9_990, 10_000)
    assert isinstance(
        await again.do(again.broker.cancel(CancelOrder("resting", resting.broker_id, KEY, Purpose.ENTRY))), Accepted
    )
    change = ModifyOrder("floor", stop.broker_id, KEY, OrderKind.LIMIT, 65, 9_900, 0, Purpose.EXIT)
    assert isinstance(await again.do(again.broker.modify(change)), Accepted)
    await again.until(again.clock.now_ns() + NS_PER_SECOND)
    read = await again.do(again.broker.read_book())
    assert [row.status for row in read.orders] == [BrokerStatus.TRADED, BrokerStatus.CANCELLED, BrokerStatus.TRADED]
    assert read.positions[0].net_quantity == 0
    new = await again.buy("new", 9_900)
    assert new.broker_id not in {row.broker_id for row in book.orders}, "numbers go on"


async def test_an_empty_book_is_a_new_day() -> None:
    assert kept_state(Shelf()) is None


async def test_a_full_disk_is_no_answer_and_no_book_until_it_is_kept_after_all() -> None:
    shelf = Shelf()
    bench = Bench(shelf)
    bench.quote(9_990, 10_000)
    shelf.full = True
    outcome = await bench.buy("a", 10_000)
    assert isinstance(outcome, Unknown)
    assert "not durable: no space" in outcome.detail
    await bench.until(bench.clock.now_ns() + NS_PER_SECOND)
    assert bench.told == [], "nobody hears of what is not kept"
    with pytest.raises(BrokerUnreachable, match="not durable"):
        await bench.do(bench.broker.read_book())
    shelf.full = False
    bench.quote(9_990, 10_000)
    assert bench.standing is not None
    bench.broker.see(bench.standing)
    await bench.until(bench.clock.now_ns() + NS_PER_SECOND)
    assert [row.status for _, row in bench.told] == [BrokerStatus.PENDING, BrokerStatus.TRADED]
    assert (await bench.do(bench.broker.read_book())).positions[0].net_quantity == 65
    assert len(Bench(shelf).broker.exchange.fills()) == 1


async def test_the_square_off_comes_by_the_clock() -> None:
    bench = Bench(Shelf(), seconds(15, 19))
    bench.quote(9_990, 10_000)
    await bench.buy("a", 10_000)
    await bench.until(seconds(15, 19, 59))
    bench.quote(9_800, 9_850)
    assert bench.broker.exchange.held(KEY) == 65
    await bench.until(seconds(15, 20, 1))
    assert bench.broker.exchange.held(KEY) == 0
    assert bench.told[-1][1].correlation_id == SQUARE_OFF_ID
    assert bench.clock.now_ns() - seconds(15, 20) < 2_000 * NS_PER_MS


async def test_the_balance_and_what_was_left_open_carry_over_to_the_next_day() -> None:
    bench = Bench(Shelf())
    bench.quote(9_990, 10_000)
    await bench.buy("AS-1-1", 10_000)
    before = kept_state(bench.shelf)
    assert before is not None
    assert before.cash_paise < LAKH - 65 * 10_000
    morning = Shelf()
    carried = carry_over(morning, before, NEXT_DAY, {KEY})
    assert (carried.day, carried.cash_paise, carried.start_of_day_paise) == (
        NEXT_DAY,
        before.cash_paise,
        before.cash_paise,
    )
    again = kept_state(morning)
    assert again is not None, "written down: the next start of that day finds it"
    assert [(held.key, held.net_quantity) for held in again.holdings] == [(KEY, 65)]
    assert (again.cash_paise, again.orders, again.fills) == (before.cash_paise, [], [])
    assert carry_over(Shelf(), before, NEXT_DAY, set()).holdings == [], "it expired meanwhile"


async def test_nothing_trades_at_a_quote_that_nobody_has_shown_for_a_while() -> None:
    bench = Bench(Shelf())
    bench.quote(9_990, 10_000)
    await bench.buy("AS-1-1", 10_000)
    await bench.until(NOON + STANDS_NS + NS_PER_SECOND)
    sold = await bench.do(bench.broker.place(order("AS-1-2", Side.SELL, 9_000)))
    assert isinstance(sold, Accepted)
    assert bench.broker.exchange.held(KEY) == 65, "its price is eleven seconds old"
    bench.clock._now_ns += NS_PER_SECOND
    bench.quote(9_500, 9_510)
    assert bench.standing is not None
    bench.broker.see(bench.standing)
    assert bench.broker.exchange.held(KEY) == 0
