"""Whatever is sent and whatever the market does: nothing from nothing, nothing beyond what stood there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from algo_scalper.domain.charges import order_charges
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.market import Levels
from algo_scalper.domain.orders import BrokerStatus, Side
from tests.unit.simulation.exchange_desk import DAY, KEY, LAKH, Bench, seconds

LOT = 65


@st.composite
def books(draw: st.DrawFn) -> tuple[Levels, Levels, int, int]:
    """(bids, asks, last price, traded since) around a premium that jumps about."""
    middle = draw(st.integers(600, 1_400)) * 5
    gap = draw(st.integers(1, 6)) * 5

    def side(best: int, step: int) -> Levels:
        sizes = draw(st.lists(st.integers(1, 4), max_size=5))
        return tuple((best + step * n, size * LOT) for n, size in enumerate(sizes))

    bids, asks = side(middle, -gap), side(middle + gap, gap)
    last = middle + draw(st.sampled_from([-10, -5, 0, 0, gap, gap + 5]))
    return bids, asks, last, draw(st.sampled_from([0, 0, 1, 2, 5])) * LOT


ACTS = st.one_of(
    st.tuples(st.just("quote"), books()),
    st.tuples(
        st.just("place"), st.sampled_from(list(Side)), st.integers(1, 6), st.integers(500, 1_500), st.integers(-60, 200)
    ),
    st.tuples(st.just("modify"), st.integers(0, 30), st.integers(1, 6), st.integers(500, 1_500), st.integers(-60, 200)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("foreign"), st.sampled_from(list(Side)), st.integers(1, 3), st.integers(500, 1_500)),
    st.tuples(st.just("restart")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTS, max_size=40), st.sampled_from([LAKH // 2, LAKH, 30 * LAKH]), st.booleans())
def test_books_balance_after_anything(acts: list[tuple[Any, ...]], cash: int, closes: bool) -> None:
    bench = Bench(cash)
    taken: Counter[tuple[int, Side]] = Counter()
    shown: dict[Side, int] = {Side.BUY: 0, Side.SELL: 0}
    traded = 0
    for number, act in enumerate(acts):
        before = len(bench.exchange.fills())
        if act[0] == "quote":
            bids, asks, last, traded = act[1]
            shown = {Side.BUY: sum(size for _, size in asks), Side.SELL: sum(size for _, size in bids)}
            taken.clear()
            bench.quote(bids, asks, last, traded)
        elif act[0] == "place":
            _, side, lots, price, away = act
            trigger = 0 if away < 0 else price * 5 + (away + 1) * 5 * (1 if side is Side.SELL else -1)
            bench.try_place(side, lots * LOT, price * 5, max(trigger, 0))
        elif act[0] in {"modify", "cancel"} and bench.exchange.rows():
            rows = bench.exchange.rows()
            row = rows[act[1] % len(rows)]
            if act[0] == "cancel":
                bench.cancel(row.broker_id)
            else:
                trigger = 0 if act[4] < 0 else act[3] * 5 + (act[4] + 1) * 5 * (1 if row.side is Side.SELL else -1)
                bench.modify(row.broker_id, act[2] * LOT, act[3] * 5, max(trigger, 0))
        elif act[0] == "foreign":
            bench.exchange.foreign_place(KEY, act[1], act[2] * LOT, act[3] * 5, bench.now_ns)
        elif act[0] == "restart":
            again = Bench(state=bench.exchange.export(), start=bench.now_ns)
            again.orders, again.volume = bench.orders, bench.volume
            bench.exchange.take_changes()
            bench = again
            shown = {Side.BUY: 0, Side.SELL: 0}
            taken.clear()
        fresh = bench.exchange.fills()[before:]
        for fill in fresh:
            taken[number, fill.side] += fill.quantity
        for side in Side:
            # Between two quotes no side gets more than was displayed to it and traded.
            assert sum(taken[n, side] for n in range(number + 1)) <= shown[side] + traded
        _balances(bench, cash)
    if closes:
        bench.exchange.pass_time(seconds(15, 20))
        bench.exchange.pass_time(seconds(15, 30))
        _balances(bench, cash)
        assert not bench.exchange.working()
        assert all(row.status not in {BrokerStatus.PENDING, BrokerStatus.PART_TRADED} for row in bench.exchange.rows())


def _balances(bench: Bench, cash: int) -> None:
    """Cash, positions and orders all tell the story of the fills."""
    exchange = bench.exchange
    by_order: Counter[str] = Counter()
    value_by_order: Counter[str] = Counter()
    net = flow = charges = 0
    for fill in exchange.fills():
        assert fill.quantity > 0
        assert fill.quantity % LOT == 0
        by_order[fill.broker_id] += fill.quantity
        value_by_order[fill.broker_id] += fill.quantity * fill.price_paise
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        net += signed
        flow -= signed * fill.price_paise
    sale_charges = 0
    for row in exchange.rows():
        assert row.filled_quantity == by_order[row.broker_id] <= row.quantity
        assert row.filled_value_paise == value_by_order[row.broker_id]
        assert (row.status is BrokerStatus.TRADED) == (row.filled_quantity == row.quantity)
        limit = row.price_paise * row.filled_quantity
        if row.status in {BrokerStatus.TRADED, BrokerStatus.PART_TRADED}:
            # Never worse than the limit the order has now; it may have been another when it traded.
            record = exchange.order(row.broker_id)
            assert record is not None
            if not record.modifications:
                assert row.filled_value_paise <= limit if row.side is Side.BUY else row.filled_value_paise >= limit
        cost = order_charges(Exchange.NSE, row.side, row.filled_value_paise, DAY).total_paise
        charges += cost
        sale_charges += cost if row.side is Side.SELL else 0
    assert exchange.held(KEY) == net
    assert exchange.cash_paise == cash + flow - charges
    # Buys are always covered; only a sale's charges may exceed what it brings.
    if net >= 0:
        assert exchange.cash_paise >= -sale_charges
    position = next((p for p in exchange.positions() if p.key == KEY), None)
    if position is not None:
        assert position.net_quantity == position.bought_quantity - position.sold_quantity
    assert (KEY in exchange.interest) == bool(net or exchange.working())
