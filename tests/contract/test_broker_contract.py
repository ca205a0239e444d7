"""`domain.ports.Broker`, once for every broker: paper money in process, and Dhan's protocol over real sockets.

Both trade the same synthetic market a minute after its open. The suite asks each for the same things and looks only
at what the port shows: outcomes and the book.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol, TypeVar

import pytest

from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.charges import order_charges
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.instruments import Contract, Segment, instrument_key
from algo_scalper.domain.market import Quote
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Broker, Outcome, Rejected
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.runtime.clock import SteppedClock, Timers
from algo_scalper.runtime.paper_broker import PaperBroker
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.latency import Latency
from tests.unit.simulator.stage import CASH_PAISE, DAY, WORD, HandClock, market_of, near_call, serving, world_of

BUY, SELL = Side.BUY, Side.SELL
LIMIT, STOP = OrderKind.LIMIT, OrderKind.STOP_LIMIT
Answer = TypeVar("Answer")


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Stand(Protocol):
    """A broker, and time that passes while it is asked."""

    broker: Broker

    async def do(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        """Let time pass until this is answered."""

    async def passes(self, seconds: int) -> None:
        """Let the market go on."""

    def quote(self, key: int) -> Quote:
        """What stands now."""


class PaperStand:
    """The simulated exchange in process, on a clock that jumps from timer to timer."""

    def __init__(self) -> None:
        self._market = market_of()
        self._clock, self._timers = SteppedClock(self._market.axis.open_ns + 60 * NS_PER_SECOND), Timers()
        exchange = SimulatedExchange(self._market.contracts, DAY, CASH_PAISE)
        self.paper = PaperBroker(
            exchange, Shelf(), self._clock, self._timers, Latency(), self._standing, lambda row: None
        )
        self.broker: Broker = self.paper

    def quote(self, key: int) -> Quote:
        return self._market.quote(key, self._clock.now_ns())

    def _standing(self, key: int) -> Quote | None:
        return self.quote(key) if self._market.knows(key) else None

    async def do(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.create_task(asked)
        await turns()
        while not task.done():
            due_ns = self._timers.next_ns()
            assert due_ns is not None
            await self._move(due_ns)
        return task.result()

    async def passes(self, seconds: int) -> None:
        for _ in range(seconds * 4):
            await self._move(self._clock.now_ns() + NS_PER_SECOND // 4)

    async def _move(self, at_ns: int) -> None:
        await self._clock.move_to(at_ns)
        for key in sorted(self.paper.exchange.interest):
            self.paper.see(self.quote(key))
        self._timers.run_due(at_ns)
        await turns()


class Shelf:
    """Durable enough for a test."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.meta: bytes | None = None

    def load(self) -> tuple[dict[str, bytes], bytes | None]:
        return self.rows, self.meta

    def save(self, rows: dict[str, bytes], meta: bytes) -> None:
        self.rows |= rows
        self.meta = meta


class DhanStand:
    """The adapter against the simulator's server, both in this loop, with the market's clock in the hand."""

    def __init__(self, world: Any, clock: HandClock, rest: DhanRest) -> None:
        self._world, self._clock = world, clock
        self.broker: Broker = DhanBroker(rest, HandClock(), {contract.key: contract for contract in world.contracts})

    def quote(self, key: int) -> Quote:
        found = self._world.market.quote(key, self._world.now_ns)
        assert isinstance(found, Quote)
        return found

    async def do(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.create_task(asked)
        async with asyncio.timeout(60):
            while not task.done():
                self._clock.move(2 * NS_PER_MS)
                await turns(10)
        return task.result()

    async def passes(self, seconds: int) -> None:
        for _ in range(seconds * 4):
            self._clock.move(NS_PER_SECOND // 4)
            await turns(10)


@pytest.fixture(params=["paper", "dhan"])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    if request.param == "paper":
        yield PaperStand()
        return
    world, clock = world_of(), HandClock()
    async with serving(world, clock, limited=False) as (server, _):
        root = f"127.0.0.1:{server.port}"
        rest = DhanRest(DhanSettings(WORD, WORD, f"http://{root}/v2"), HandClock())
        try:
            yield DhanStand(world, clock, rest)
        finally:
            await rest.close()


class Trader:
    """Orders in one line each."""

    def __init__(self, stand: Stand, steps: int = 4) -> None:
        self.stand = stand
        self.contract: Contract = near_call(market_of(), steps)
        self.count = 0

    @property
    def ask(self) -> int:
        return self.stand.quote(self.contract.key).tick.ask_paise

    @property
    def bid(self) -> int:
        return self.stand.quote(self.contract.key).tick.bid_paise

    def grid(self, paise: float) -> int:
        return int(paise) // 5 * 5

    async def place(
        self, side: Side, price: int, trigger: int = 0, lots: int = 1, key: int = 0, quantity: int = 0
    ) -> Outcome:
        self.count += 1
        command = PlaceOrder(
            f"T-1-{self.count}",
            key or self.contract.key,
            side,
            STOP if trigger else LIMIT,
            quantity or lots * self.contract.lot,
            price,
            trigger,
            Purpose.ENTRY if side is BUY else Purpose.EXIT,
            Product.INTRADAY,
        )
        return await self.stand.do(self.stand.broker.place(command))

    async def placed(self, side: Side, price: int, trigger: int = 0, lots: int = 1) -> str:
        outcome = await self.place(side, price, trigger, lots)
        assert isinstance(outcome, Accepted), outcome
        assert outcome.broker_id
        return outcome.broker_id

    async def modify(self, broker_id: str, quantity: int, price: int, trigger: int = 0) -> Outcome:
        row = await self.row(broker_id)
        kind = STOP if trigger else LIMIT
        command = ModifyOrder(row.correlation_id, broker_id, row.key, kind, quantity, price, trigger, Purpose.EXIT)
        return await self.stand.do(self.stand.broker.modify(command))

    async def cancel(self, broker_id: str) -> Outcome:
        command = CancelOrder("T-1-1", broker_id, self.contract.key, Purpose.EXIT)
        return await self.stand.do(self.stand.broker.cancel(command))

    async def row(self, broker_id: str) -> BrokerOrder:
        book = await self.stand.do(self.stand.broker.read_book())
        found = [row for row in book.orders if row.broker_id == broker_id]
        assert len(found) == 1
        return found[0]

    async def available(self) -> int:
        return (await self.stand.do(self.stand.broker.read_book())).funds.available_paise

    async def held(self) -> int:
        book = await self.stand.do(self.stand.broker.read_book())
        return sum(row.net_quantity for row in book.positions if row.key == self.contract.key)

    async def bought(self, lots: int = 1) -> BrokerOrder:
        """A buy that has traded whole."""
        broker_id = await self.placed(BUY, self.grid(self.ask * 1.02), lots=lots)
        row = await self.row(broker_id)
        assert row.status is BrokerStatus.TRADED, row
        return row

    async def sold(self, broker_id: str) -> BrokerOrder:
        """Wait until a marketable sell has traded whole."""
        for _ in range(10):
            row = await self.row(broker_id)
            if row.status is BrokerStatus.TRADED:
                return row
            await self.stand.passes(1)
        raise AssertionError(f"sell {broker_id} has not traded in ten seconds")


async def test_an_empty_account(stand: Stand) -> None:
    book = await stand.do(stand.broker.read_book())
    assert book.orders == ()
    assert [row for row in book.positions if row.net_quantity] == []
    assert book.funds.available_paise == book.funds.start_of_day_paise == CASH_PAISE
    assert book.began_ns <= book.at_ns


async def test_a_limit_far_away_rests_is_changed_and_is_withdrawn(stand: Stand) -> None:
    trader = Trader(stand)
    low = trader.grid(trader.ask * 0.8)
    broker_id = await trader.placed(BUY, low)
    row = await trader.row(broker_id)
    assert (row.correlation_id, row.key, row.side, row.kind) == ("T-1-1", trader.contract.key, BUY, LIMIT)
    assert (row.status, row.quantity, row.filled_quantity) == (BrokerStatus.PENDING, trader.contract.lot, 0)
    assert (row.price_paise, row.trigger_paise) == (low, 0)
    assert isinstance(await trader.modify(broker_id, row.quantity, low - 50), Accepted)
    assert (await trader.row(broker_id)).price_paise == low - 50
    assert isinstance(await trader.cancel(broker_id), Accepted)
    row = await trader.row(broker_id)
    assert (row.status, row.filled_quantity) == (BrokerStatus.CANCELLED, 0)


async def test_the_quantity_of_a_change_is_the_new_total(stand: Stand) -> None:
    trader = Trader(stand)
    low, lot = trader.grid(trader.ask * 0.8), trader.contract.lot
    broker_id = await trader.placed(BUY, low)
    assert isinstance(await trader.modify(broker_id, 2 * lot, low), Accepted)
    assert (await trader.row(broker_id)).quantity == 2 * lot
    assert isinstance(await trader.modify(broker_id, lot, low), Accepted)
    assert (await trader.row(broker_id)).quantity == lot


async def test_a_part_fill_counts_in_the_total(stand: Stand) -> None:
    trader = Trader(stand, 8)
    lot = trader.contract.lot
    shown = stand.quote(trader.contract.key).asks[0][1]
    lots = shown // lot + 4
    broker_id = await trader.placed(BUY, trader.ask, lots=lots)
    row = await trader.row(broker_id)
    assert row.status is BrokerStatus.PART_TRADED
    assert shown <= row.filled_quantity < row.quantity == lots * lot
    assert await trader.held() == row.filled_quantity
    assert isinstance(await trader.modify(broker_id, row.filled_quantity, trader.ask), Rejected), (
        "nothing would be left"
    )
    assert isinstance(await trader.modify(broker_id, row.quantity + lot, trader.grid(trader.ask * 0.8)), Accepted)
    grown = await trader.row(broker_id)
    assert grown.quantity == row.quantity + lot
    assert isinstance(await trader.cancel(broker_id), Accepted)
    ended = await trader.row(broker_id)
    assert ended.status is BrokerStatus.CANCELLED
    assert ended.filled_quantity == grown.filled_quantity == await trader.held(), "what has traded has traded"


async def test_funds_go_down_by_what_works_and_come_back(stand: Stand) -> None:
    trader = Trader(stand)
    low, lot = trader.grid(trader.ask * 0.8), trader.contract.lot
    broker_id = await trader.placed(BUY, low)
    charges = order_charges(trader.contract.exchange, BUY, low * lot, DAY).total_paise
    assert await trader.available() == CASH_PAISE - low * lot - charges
    await trader.cancel(broker_id)
    assert await trader.available() == CASH_PAISE


async def test_a_round_trip_costs_its_prices_and_its_charges_to_the_paisa(stand: Stand) -> None:
    trader = Trader(stand)
    bought = await trader.bought()
    assert bought.filled_quantity == await trader.held() == trader.contract.lot
    paid = order_charges(trader.contract.exchange, BUY, bought.filled_value_paise, DAY).total_paise
    assert await trader.available() == CASH_PAISE - bought.filled_value_paise - paid
    sold = await trader.sold(await trader.placed(SELL, trader.grid(trader.bid * 0.97)))
    assert await trader.held() == 0
    paid += order_charges(trader.contract.exchange, SELL, sold.filled_value_paise, DAY).total_paise
    assert await trader.available() == CASH_PAISE - bought.filled_value_paise + sold.filled_value_paise - paid
    book = await stand.do(stand.broker.read_book())
    (position,) = [row for row in book.positions if row.key == trader.contract.key]
    assert (position.bought_quantity, position.bought_value_paise) == (trader.contract.lot, bought.filled_value_paise)
    assert (position.sold_quantity, position.sold_value_paise) == (trader.contract.lot, sold.filled_value_paise)
    assert book.funds.start_of_day_paise == CASH_PAISE


async def test_a_stop_rests_and_is_turned_into_a_limit_that_trades(stand: Stand) -> None:
    trader = Trader(stand)
    bought = await trader.bought()
    trigger = trader.grid(bought.filled_value_paise / bought.filled_quantity * 0.7)
    limit = trader.grid(trigger * 0.85)
    floor = await trader.placed(SELL, limit, trigger)
    row = await trader.row(floor)
    assert (row.status, row.kind, row.trigger_paise, row.price_paise) == (BrokerStatus.PENDING, STOP, trigger, limit)
    await stand.passes(2)
    assert (await trader.row(floor)).filled_quantity == 0, "it waits for its trigger"
    lifted = trader.grid(trigger * 1.05)
    assert isinstance(await trader.modify(floor, row.quantity, trader.grid(lifted * 0.85), lifted), Accepted)
    assert (await trader.row(floor)).trigger_paise == lifted
    assert isinstance(await trader.modify(floor, row.quantity, trader.grid(trader.bid * 0.97)), Accepted)
    sold = await trader.sold(floor)
    assert sold.kind is LIMIT
    assert sold.filled_quantity == trader.contract.lot
    assert await trader.held() == 0


async def test_a_second_sell_beside_the_floor_is_refused(stand: Stand) -> None:
    trader = Trader(stand)
    bought = await trader.bought()
    trigger = trader.grid(bought.filled_value_paise / bought.filled_quantity * 0.7)
    await trader.placed(SELL, trader.grid(trigger * 0.85), trigger)
    outcome = await trader.place(SELL, trader.grid(trader.bid * 0.97))
    if isinstance(outcome, Accepted):
        row = await trader.row(outcome.broker_id)
        assert row.status is BrokerStatus.REJECTED
        assert "insufficient funds" in row.reason.lower()
    else:
        assert isinstance(outcome, Rejected)
    assert await trader.held() == trader.contract.lot


@pytest.mark.parametrize("wrong", ["lot", "contract", "stop"])
async def test_what_is_malformed_is_rejected_with_a_reason_and_leaves_no_trace(stand: Stand, wrong: str) -> None:
    trader = Trader(stand)
    low = trader.grid(trader.ask * 0.8)
    if wrong == "lot":
        outcome = await trader.place(BUY, low, quantity=trader.contract.lot + 1)
    elif wrong == "contract":
        outcome = await trader.place(BUY, low, key=instrument_key(Segment.NSE_FNO, 999_999))
    else:
        outcome = await trader.place(SELL, low, trigger=low)
    assert isinstance(outcome, Rejected)
    assert outcome.reason
    assert await trader.available() == CASH_PAISE


async def test_a_price_between_two_ticks_is_never_an_order(stand: Stand) -> None:
    trader = Trader(stand)
    outcome = await trader.place(BUY, trader.grid(trader.ask * 0.8) + 1)
    if isinstance(outcome, Accepted):
        row = await trader.row(outcome.broker_id)
        assert row.status is BrokerStatus.REJECTED
        assert row.reason == "EXCH:16283:The order price is not multiple of tick size"
    else:
        assert isinstance(outcome, Rejected)
        assert "tick" in outcome.reason, "the client does not send it"
    assert await trader.available() == CASH_PAISE


@pytest.mark.parametrize("wrong", ["band", "freeze", "money"])
async def test_what_the_risk_desk_refuses_is_a_rejected_row_with_a_reason(stand: Stand, wrong: str) -> None:
    trader = Trader(stand)
    if wrong == "band":
        outcome = await trader.place(BUY, trader.grid(trader.ask * 0.5))
    elif wrong == "freeze":
        outcome = await trader.place(BUY, 5, lots=28)
    else:
        outcome = await trader.place(BUY, trader.ask, lots=20)
    assert isinstance(outcome, Accepted)
    row = await trader.row(outcome.broker_id)
    assert row.status is BrokerStatus.REJECTED
    assert row.reason
    assert row.filled_quantity == 0
    assert await trader.available() == CASH_PAISE


async def test_a_stop_too_far_from_its_limit_is_refused_also_as_a_change(stand: Stand) -> None:
    trader = Trader(stand)
    bought = await trader.bought()
    trigger = trader.grid(bought.filled_value_paise / bought.filled_quantity * 0.7)
    floor = await trader.placed(SELL, trader.grid(trigger * 0.85), trigger)
    assert isinstance(await trader.modify(floor, trader.contract.lot, trader.grid(trigger * 0.75), trigger), Rejected)
    row = await trader.row(floor)
    assert (row.price_paise, row.trigger_paise) == (trader.grid(trigger * 0.85), trigger), "as it was"


async def test_nobodys_order_and_an_ended_one_cannot_be_changed(stand: Stand) -> None:
    trader = Trader(stand)
    for outcome in (
        await stand.do(stand.broker.cancel(CancelOrder("T-1-9", "123456", trader.contract.key, Purpose.ENTRY))),
        await stand.do(
            stand.broker.modify(ModifyOrder("T-1-9", "123456", trader.contract.key, LIMIT, 65, 100, 0, Purpose.EXIT))
        ),
    ):
        assert isinstance(outcome, Rejected)
        assert outcome.reason
    done = await trader.bought()
    assert isinstance(await trader.cancel(done.broker_id), Rejected)
    assert isinstance(await trader.modify(done.broker_id, 2 * done.quantity, trader.ask), Rejected)


async def test_the_book_lists_every_order_once_and_reads_the_same_twice(stand: Stand) -> None:
    trader = Trader(stand)
    low = trader.grid(trader.ask * 0.8)
    placed = {await trader.placed(BUY, low - 5 * number) for number in range(4)}
    assert len(placed) == 4
    one = await stand.do(stand.broker.read_book())
    two = await stand.do(stand.broker.read_book())
    assert {row.broker_id for row in one.orders} == placed
    assert len(one.orders) == 4
    assert one.orders == two.orders
    assert {row.correlation_id for row in one.orders} == {f"T-1-{n}" for n in range(1, 5)}
