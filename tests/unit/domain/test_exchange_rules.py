"""What the exchange takes: bands, gaps, protections, slices, and the form of an order."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.exchange_rules import (
    OrderFault,
    fault_text,
    order_fault,
    price_band,
    protected_limit,
    protected_stop_limit,
    protection_bps,
    slices,
    stop_gap,
)
from algo_scalper.domain.instruments import Contract, Exchange, OptionType, Segment, instrument_key
from algo_scalper.domain.orders import OrderKind, Side

NSE, BSE = Exchange.NSE, Exchange.BSE
LIMIT, STOP = OrderKind.LIMIT, OrderKind.STOP_LIMIT
premiums = st.integers(1, 40_000).map(lambda ticks: ticks * 5)
CALL = Contract(
    instrument_key(Segment.NSE_FNO, 42_500), "NIFTY", date(2026, 12, 1), 2_500_000, OptionType.CE, 65, 5, 1_755
)


@pytest.mark.parametrize(
    ("premium", "bps"), [(999, 500), (1_000, 300), (9_999, 300), (10_000, 200), (49_999, 200), (50_000, 100)]
)
def test_the_protection_of_each_slab(premium: int, bps: int) -> None:
    assert protection_bps(premium) == bps


@pytest.mark.parametrize(
    ("trigger", "limit"), [(8_400, 6_725), (5_000, 4_005), (5_005, 4_010), (2_000, 1_005), (1_000, 5), (10, 5)]
)
def test_a_floor_lies_as_deep_as_is_taken_less_a_tick(trigger: int, limit: int) -> None:
    # 84.00 - 20 % = 67.20, one tick of safety: 67.25. At 50 and below Rs 10.
    assert protected_stop_limit(Side.SELL, trigger, 5) == limit


@given(premiums)
def test_a_stop_gap_is_taken_by_the_exchange(trigger: int) -> None:
    if trigger < 10:
        return
    limit = protected_stop_limit(Side.SELL, trigger, 5)
    assert limit % 5 == 0
    assert 0 < limit < trigger, "a sell stop's limit lies at least a tick under its trigger"
    assert trigger - limit <= (1_000 if trigger <= 5_000 else trigger * 0.2 + 0.5)


@given(premiums)
def test_a_buy_stop_is_the_mirror_of_a_sell_stop(trigger: int) -> None:
    limit = protected_stop_limit(Side.BUY, trigger, 5)
    assert limit % 5 == 0
    assert trigger < limit <= trigger + stop_gap(trigger) or stop_gap(trigger) < 10


@pytest.mark.parametrize(
    ("last", "exchange", "band"),
    [
        (10_000, NSE, (6_000, 14_000)),
        (10_000, BSE, (4_000, 16_000)),
        (5_000, NSE, (3_000, 7_000)),
        (5_000, BSE, (2_000, 8_000)),
        (1_000, NSE, (5, 3_000)),
        (5_005, NSE, (3_005, 7_005)),  # 40 % of 50.05 is 20.02: both ends are cut inwards, to the tick
    ],
)
def test_the_band(last: int, exchange: Exchange, band: tuple[int, int]) -> None:
    assert price_band(last, exchange, 5) == band


@pytest.mark.parametrize(
    ("side", "touch", "limit"),
    [
        (Side.BUY, 12_000, 12_240),  # 2 % of 120
        (Side.SELL, 12_000, 11_760),
        (Side.BUY, 900, 945),  # 5 % under Rs 10
        (Side.BUY, 60_000, 60_600),  # 1 % above Rs 500
        (Side.BUY, 5, 10),  # never less than a tick
        (Side.SELL, 5, 5),  # never nothing
    ],
)
def test_a_market_order_is_a_protected_limit(side: Side, touch: int, limit: int) -> None:
    assert protected_limit(side, touch, 5) == limit


@given(premiums, st.sampled_from([NSE, BSE]))
def test_a_protected_limit_is_marketable_and_inside_the_band(touch: int, exchange: Exchange) -> None:
    buy, sell = protected_limit(Side.BUY, touch, 5), protected_limit(Side.SELL, touch, 5)
    low, high = price_band(touch, exchange, 5)
    assert touch < buy <= high
    assert low <= sell <= touch
    assert buy % 5 == sell % 5 == 0


@given(st.integers(1, 500), st.integers(1, 40), st.sampled_from([20, 30, 60, 65]))
def test_slices_carry_everything_in_whole_lots_under_the_freeze(lots: int, freeze_lots: int, lot: int) -> None:
    parts = slices(lots * lot, freeze_lots * lot + lot - 1, lot)
    assert sum(parts) == lots * lot
    assert all(0 < part <= freeze_lots * lot and part % lot == 0 for part in parts)
    assert len(parts) == -(-lots // freeze_lots)


@pytest.mark.parametrize(("quantity", "freeze"), [(0, 1_755), (-65, 1_755), (66, 1_755), (65, 64)])
def test_what_cannot_be_sliced_is_told(quantity: int, freeze: int) -> None:
    with pytest.raises(ValueError, match=r"quantity"):
        slices(quantity, freeze, 65)


@pytest.mark.parametrize(
    ("side", "kind", "quantity", "price", "trigger", "fault"),
    [
        (Side.BUY, LIMIT, 65, 12_000, 0, None),
        (Side.BUY, LIMIT, 0, 12_000, 0, OrderFault.QUANTITY),
        (Side.BUY, LIMIT, 66, 12_000, 0, OrderFault.LOT),
        (Side.BUY, LIMIT, 1_820, 12_000, 0, OrderFault.FREEZE),
        (Side.BUY, LIMIT, 65, 12_001, 0, OrderFault.PRICE),
        (Side.BUY, LIMIT, 65, 0, 0, OrderFault.PRICE),
        (Side.SELL, STOP, 65, 9_000, 9_502, OrderFault.TRIGGER),
        (Side.SELL, STOP, 65, 9_000, 0, OrderFault.TRIGGER),
        (Side.SELL, STOP, 65, 9_500, 9_500, OrderFault.SIDE_OF_TRIGGER),
        (Side.BUY, STOP, 65, 9_000, 9_500, OrderFault.SIDE_OF_TRIGGER),
        (Side.SELL, STOP, 65, 9_000, 9_500, None),
        (Side.BUY, STOP, 65, 9_500, 9_000, None),
    ],
)
def test_the_form_of_an_order(
    side: Side, kind: OrderKind, quantity: int, price: int, trigger: int, fault: OrderFault | None
) -> None:
    assert order_fault(CALL, side, kind, quantity, price, trigger) is fault
    if fault is not None:
        assert any(character.isdigit() for character in fault_text(fault, CALL, quantity, price, trigger))
