"""The exchange's book under random orders: what may never happen, whoever sends what and whatever the market shows."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from algo_scalper.domain.charges import order_charges
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.market import Levels
from algo_scalper.domain.orders import BrokerStatus, Side
from algo_scalper.simulation.exchange import Fill
from tests.unit.simulation.exchange_desk import CALL, DAY, KEY, LAKH, Bench

LOT = CALL.lot
TICK = CALL.tick_paise
LIVE = {BrokerStatus.PENDING, BrokerStatus.PART_TRADED, BrokerStatus.TRANSIT}


@st.composite
def books(draw: st.DrawFn) -> tuple[Levels, Levels, int, int]:
    """(bids, asks, last price, volume since), sometimes one-sided, never crossed, on the tick."""
    bid = draw(st.integers(1_560, 2_440))
    gap = draw(st.integers(1, 8))

    def side(best: int, step: int) -> Levels:
        sizes = draw(st.lists(st.integers(1, 5), max_size=5))
        return tuple(((best + step * number) * TICK, size * LOT) for number, size in enumerate(sizes))

    last = bid + draw(st.integers(-2, gap + 2))
    return side(bid, -1), side(bid + gap, 1), last * TICK, draw(st.integers(0, 12)) * LOT


LIMITS = st.integers(1_500, 2_500).map(lambda ticks: ticks * TICK)
ACTS = st.one_of(
    books(),
    st.tuples(st.just("place"), st.sampled_from(list(Side)), st.integers(1, 8), LIMITS),
    st.tuples(st.just("stop"), st.integers(1, 4), LIMITS),
    st.tuples(st.just("modify"), st.integers(0, 40), st.integers(1, 8), LIMITS),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
)


class Watched:
    """A bench that knows what each order may trade at, and what the book still offers."""

    def __init__(self, cash_paise: int) -> None:
        self.bench = Bench(cash_paise)
        self.cash_paise = cash_paise
        self.bids: Levels = ()
        self.asks: Levels = ()
        self.traded = 0
        self.given: Counter[tuple[Side, int]] = Counter()
        self.limits: dict[str, int] = {}

    def fresh(self, known: int) -> tuple[Fill, ...]:
        """Fills since there were ``known``."""
        return self.bench.exchange.fills()[known:]

    def met(self, side: Side, quantity: int, limit: int, levels: Levels) -> Counter[tuple[Side, int]]:
        """What a resting order was met by: the best levels that came through its price, as far as they were left."""
        taken: Counter[tuple[Side, int]] = Counter()
        for price, size in levels:
            if price <= limit if side is Side.BUY else price >= limit:
                taken[side, price] = min(size - self.given[side, price], quantity)
                quantity -= taken[side, price]
        return taken

    def quote(self, bids: Levels, asks: Levels, last: int, traded: int) -> None:
        self.bids, self.asks, self.traded = bids, asks, traded
        self.given.clear()
        self.bench.quote(bids, asks, last, traded)

    def check(self, known: int, arriving: str = "") -> None:
        """Nothing beyond its limit, nothing better than the book to an order that arrives, no more than stood there."""
        for fill in self.fresh(known):
            limit = self.limits[fill.broker_id]
            buys = fill.side is Side.BUY
            assert fill.price_paise <= limit if buys else fill.price_paise >= limit, "worse than its limit"
            assert fill.quantity > 0
            assert fill.quantity % LOT == 0
            levels = self.asks if buys else self.bids
            standing = dict(levels)
            if fill.broker_id != arriving:
                self.given.update(self.met(fill.side, fill.quantity, limit, levels))
            else:
                assert fill.price_paise in standing, "traded where nothing stood"
                self.given[fill.side, fill.price_paise] += fill.quantity
                taken = self.given[fill.side, fill.price_paise]
                assert taken <= standing[fill.price_paise], "more than the level held"
                better = [
                    price for price in standing if (price < fill.price_paise) == buys and price != fill.price_paise
                ]
                for price in better:
                    assert self.given[fill.side, price] == standing[price], "traded through a better level"
        for side, levels in ((Side.BUY, self.asks), (Side.SELL, self.bids)):
            mine = sum(fill.quantity for fill in self.fresh(known) if fill.side is side)
            assert mine <= sum(size for _, size in levels) + self.traded, "quantity from nothing"

    def money(self) -> None:
        """Cash is what came and went; without a short it is never below what a sale's own charges cost."""
        exchange = self.bench.exchange
        flow = charges = sales = net = 0
        for row in exchange.rows():
            sign = 1 if row.side is Side.SELL else -1
            flow += sign * row.filled_value_paise
            net -= sign * row.filled_quantity
            cost = order_charges(Exchange.NSE, row.side, row.filled_value_paise, DAY).total_paise
            charges += cost
            sales += cost if row.side is Side.SELL else 0
        assert exchange.cash_paise == self.cash_paise + flow - charges
        assert exchange.held(KEY) == net
        if net >= 0:
            assert exchange.cash_paise >= -sales, "the funds went below zero without a refusal"
        for row in exchange.rows():
            if row.status is BrokerStatus.REJECTED:
                assert not row.filled_quantity


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTS, min_size=1, max_size=40), st.sampled_from([LAKH // 20, LAKH // 2, 30 * LAKH]))
def test_no_order_trades_beyond_its_limit_the_book_or_the_funds(acts: list[tuple[object, ...]], cash: int) -> None:
    desk = Watched(cash)
    bench = desk.bench
    for act in acts:
        known = len(bench.exchange.fills())
        rows = bench.exchange.rows()
        match act:
            case ("place", Side() as side, int() as lots, int() as price):
                # The row comes before its fills: the limit is known by the id it will get.
                before = {row.broker_id for row in rows}
                bench.try_place(side, lots * LOT, price)
                arrived = [row.broker_id for row in bench.exchange.rows() if row.broker_id not in before]
                desk.limits |= dict.fromkeys(arrived, price)
                desk.check(known, arrived[0] if arrived else "")
            case ("stop", int() as lots, int() as trigger):
                before = {row.broker_id for row in rows}
                bench.try_place(Side.SELL, lots * LOT, trigger - 40 * TICK, trigger)
                arrived = [row.broker_id for row in bench.exchange.rows() if row.broker_id not in before]
                desk.limits |= dict.fromkeys(arrived, trigger - 40 * TICK)
                desk.check(known)
            case ("modify", int() as which, int() as lots, int() as price) if rows:
                row = rows[which % len(rows)]
                old = desk.limits[row.broker_id]
                bench.modify(row.broker_id, lots * LOT, price)
                if bench.row(row.broker_id).price_paise == price:
                    desk.limits[row.broker_id] = price
                else:
                    assert bench.row(row.broker_id).price_paise == old, "a refused change changed something"
                desk.check(known)
            case ("cancel", int() as which) if rows:
                row = rows[which % len(rows)]
                done = row.status not in LIVE
                bench.cancel(row.broker_id)
                desk.check(known)
                assert not desk.fresh(known), "a cancellation traded"
                assert not done or bench.row(row.broker_id).status is row.status, "an ended order came back"
            case (tuple() as bids, tuple() as asks, int() as last, int() as traded):
                desk.quote(bids, asks, last, traded)
                desk.check(known)
            case _:
                continue
        desk.money()
    # An order that has ended stays as it ended: no quantity is traded after a cancellation, a refusal or a full fill.
    for row in bench.exchange.rows():
        assert 0 <= row.filled_quantity <= row.quantity
        assert (row.filled_quantity == row.quantity) == (row.status is BrokerStatus.TRADED)


RESTING = st.lists(st.tuples(st.integers(1, 4), st.integers(1_560, 1_600)), min_size=2, max_size=6)


def resting(orders: list[tuple[int, int]]) -> tuple[Bench, dict[str, tuple[int, int]]]:
    """Buys of (lots, limit in ticks) that rest, each with its rank: price first, then time."""
    bench = Bench(1_000 * LAKH)
    bench.quote(((1_500 * TICK, LOT),), ((2_500 * TICK, LOT),), 2_000 * TICK)
    ranks = {}
    for number, (lots, ticks) in enumerate(orders):
        ranks[bench.place(Side.BUY, lots * LOT, ticks * TICK)] = (-ticks, number)
    return bench, ranks


@settings(max_examples=150, deadline=None)
@given(RESTING, st.lists(books(), min_size=1, max_size=12))
def test_resting_orders_are_served_in_the_order_of_price_and_then_of_time(
    orders: list[tuple[int, int]], quotes: list[tuple[Levels, Levels, int, int]]
) -> None:
    bench, ranks = resting(orders)
    for bids, asks, last, traded in quotes:
        known = len(bench.exchange.fills())
        bench.quote(bids, asks, last, traded)
        served = [ranks[fill.broker_id] for fill in bench.exchange.fills()[known:]]
        assert served == sorted(served)


@settings(max_examples=150, deadline=None)
@given(RESTING, st.lists(books(), min_size=1, max_size=12))
@example([(1, 1_560), (2, 1_561)], [((), (), 7_800, 0), ((), ((7_805, LOT),), 7_800, LOT)])
def test_no_resting_order_trades_while_one_with_a_better_price_waits(
    orders: list[tuple[int, int]], quotes: list[tuple[Levels, Levels, int, int]]
) -> None:
    bench, ranks = resting(orders)
    for bids, asks, last, traded in quotes:
        known = len(bench.exchange.fills())
        bench.quote(bids, asks, last, traded)
        lowest = min((-ranks[fill.broker_id][0] for fill in bench.exchange.fills()[known:]), default=10**9)
        waiting = [id_ for id_, (price, _) in ranks.items() if -price > lowest and bench.row(id_).status in LIVE]
        assert not waiting, "a worse price traded"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), LIMITS), min_size=1, max_size=12), books())
def test_the_levels_of_one_quote_are_sold_once(
    orders: list[tuple[int, int]], book: tuple[Levels, Levels, int, int]
) -> None:
    bids, asks, last, _ = book
    bench = Bench(1_000 * LAKH)
    bench.quote(bids, asks, last)
    for lots, price in orders:
        bench.try_place(Side.BUY, lots * LOT, price)
    taken: Counter[int] = Counter()
    for fill in bench.exchange.fills():
        taken[fill.price_paise] += fill.quantity
    standing = dict(asks)
    assert all(price in standing and quantity <= standing[price] for price, quantity in taken.items())
    wanted = max((price for _, price in orders), default=0)
    reachable = sum(size for price, size in asks if price <= wanted)
    assert sum(taken.values()) <= reachable
