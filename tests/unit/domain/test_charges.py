"""Charges against the worked example, a real GST row, and the rates written out again in decimals."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.charges import (
    NO_CHARGES,
    Charges,
    exercise_charges,
    order_charges,
    rates_on,
    round_trip_charges,
)
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.orders import Side

NOW = date(2026, 11, 23)
BOUGHT, SOLD = 65 * 100_00, 65 * 110_00

values = st.integers(min_value=1, max_value=10**11)
exchanges = st.sampled_from(list(Exchange))
days = st.dates(min_value=date(2018, 1, 1), max_value=date(2030, 1, 1))


def test_the_worked_round_trip_to_the_paisa() -> None:
    charges = round_trip_charges(Exchange.NSE, BOUGHT, SOLD, NOW)
    assert charges.as_dict() == {
        "brokerage": 40_00,
        "stt": 10_73,
        "exchange": 4_78,
        "ipft": 7,
        "sebi": 1,
        "stamp": 20,
        "gst": 8_08,
        "total": 63_86,
    }


def test_two_orders_cost_what_the_round_trip_costs() -> None:
    buy = order_charges(Exchange.NSE, Side.BUY, BOUGHT, NOW)
    sell = order_charges(Exchange.NSE, Side.SELL, SOLD, NOW)
    assert buy.total_paise + sell.total_paise == 63_86
    assert (buy + sell).total_paise == 63_86


@given(exchanges, values, values, days)
def test_the_lines_of_orders_add_up_exactly(exchange: Exchange, bought: int, sold: int, day: date) -> None:
    orders = order_charges(exchange, Side.BUY, bought, day) + order_charges(exchange, Side.SELL, sold, day)
    assert orders == round_trip_charges(exchange, bought, sold, day)


def test_gst_of_a_real_trade_row() -> None:
    # A row of Dhan's trade history: premium 2,250 bought on NSE, serviceTax 3.7444, brokerage 20, exchange 0.7882.
    charges = order_charges(Exchange.NSE, Side.BUY, 2_250_00, date(2025, 6, 2))
    assert charges.gst_e9 / 1e11 == pytest.approx(3.7444, abs=0.0001)
    assert charges.exchange_e9 / 1e11 == pytest.approx(0.7882, abs=0.00005)
    assert charges.brokerage == 20_00


def test_the_buyer_pays_stamp_and_the_seller_stt() -> None:
    buy = order_charges(Exchange.NSE, Side.BUY, 1_000_000_00, NOW)
    sell = order_charges(Exchange.NSE, Side.SELL, 1_000_000_00, NOW)
    assert (buy.stt, buy.stamp) == (0, 30_00)
    assert (sell.stt, sell.stamp) == (1_500_00, 0)


def test_an_order_that_did_not_trade_costs_nothing() -> None:
    assert order_charges(Exchange.NSE, Side.BUY, 0, NOW) == NO_CHARGES
    assert NO_CHARGES.total_paise == 0


# Percent of premium: exchange, IPFT, STT on sale.
DATED = [
    (Exchange.NSE, date(2021, 5, 3), "0.053", "0", "0.05"),
    (Exchange.NSE, date(2023, 3, 31), "0.053", "0", "0.05"),
    (Exchange.NSE, date(2023, 4, 1), "0.05", "0.0005", "0.0625"),
    (Exchange.NSE, date(2024, 9, 30), "0.0495", "0.0005", "0.0625"),
    (Exchange.NSE, date(2024, 10, 1), "0.03503", "0.0005", "0.1"),
    (Exchange.NSE, date(2026, 3, 31), "0.03503", "0.0005", "0.1"),
    (Exchange.NSE, date(2026, 4, 1), "0.03503", "0.0005", "0.15"),
    (Exchange.BSE, date(2023, 6, 1), "0.005", "0", "0.0625"),
    (Exchange.BSE, date(2024, 9, 30), "0.0495", "0", "0.0625"),
    (Exchange.BSE, date(2024, 10, 1), "0.0325", "0", "0.1"),
    (Exchange.BSE, date(2026, 4, 1), "0.0325", "0", "0.15"),
]


def paise(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(("exchange", "day", "exchange_percent", "ipft_percent", "stt_percent"), DATED)
@pytest.mark.parametrize("value", [1, 6_500_00, 7_150_00, 123_456_789])
def test_rates_by_date_in_decimals(
    exchange: Exchange, day: date, exchange_percent: str, ipft_percent: str, stt_percent: str, value: int
) -> None:
    premium = Decimal(value) / 100
    exchange_fee = premium * Decimal(exchange_percent)
    ipft = premium * Decimal(ipft_percent)
    sebi = premium * Decimal("0.0001")
    stt = premium * Decimal(stt_percent)
    gst = (2_000 + exchange_fee + ipft + sebi) * Decimal("0.18")
    charges = order_charges(exchange, Side.SELL, value, day)
    assert charges.as_dict() == {
        "brokerage": 2_000,
        "stt": paise(stt),
        "exchange": paise(exchange_fee),
        "ipft": paise(ipft),
        "sebi": paise(sebi),
        "stamp": 0,
        "gst": paise(gst),
        "total": paise(2_000 + stt + exchange_fee + ipft + sebi + gst),
    }


def test_half_a_paisa_is_rounded_up() -> None:
    # 0.15 % of Rs 7,150 is 1072.5 paise.
    assert order_charges(Exchange.NSE, Side.SELL, SOLD, NOW).stt == 1_073


def test_exercise_is_taxed_on_intrinsic_value_by_date() -> None:
    assert exercise_charges(Exchange.NSE, 65 * 200_00, date(2026, 3, 31)).total_paise == 16_25
    assert exercise_charges(Exchange.NSE, 65 * 200_00, date(2026, 4, 1)).total_paise == 19_50
    assert exercise_charges(Exchange.BSE, -5, NOW) == NO_CHARGES


def test_before_the_oldest_row_the_oldest_rates_apply() -> None:
    assert rates_on(Exchange.NSE, date(1999, 1, 1)) == rates_on(Exchange.NSE, date(2023, 3, 31))


@given(exchanges, values, st.integers(min_value=0, max_value=10**9), days)
def test_a_larger_order_never_costs_less(exchange: Exchange, value: int, more: int, day: date) -> None:
    for side in Side:
        small = order_charges(exchange, side, value, day).total_paise
        assert order_charges(exchange, side, value + more, day).total_paise >= small


@given(st.lists(st.tuples(exchanges, st.sampled_from(list(Side)), values), max_size=5))
def test_the_printed_total_is_within_half_a_paisa_a_line(orders: list[tuple[Exchange, Side, int]]) -> None:
    total = Charges()
    for exchange, side, value in orders:
        total += order_charges(exchange, side, value, NOW)
    lines = total.as_dict()
    assert abs(sum(lines.values()) - 2 * lines["total"]) <= 4
