"""Rows of real books."""

from __future__ import annotations

import json
from typing import Any

import pytest

from algo_scalper.adapters.dhan.rows import read_funds, read_orders, read_positions
from algo_scalper.adapters.dhan.values import filled_value_paise, number, segment_key, text, whole
from algo_scalper.domain.account import Funds
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.orders import BrokerStatus, OrderKind, Side
from tests.shared_data import shared


def recorded(name: str) -> Any:
    answer = json.loads(shared(f"wire_samples/rest/{name}.json").read_text())["response"]
    return answer["body"] if "body" in answer else json.loads(answer["body_text"])


def test_a_real_order_book() -> None:
    body = recorded("LIVE_GET_orders_20260930")
    rows = read_orders(body, {})
    assert len(rows) == len(body)
    first = rows[0]
    assert (first.broker_id, first.correlation_id) == ("249260930396313", "")
    assert first.key == instrument_key(Segment.BSE_FNO, 1_123_554)
    assert (first.side, first.kind, first.status) == (Side.SELL, OrderKind.LIMIT, BrokerStatus.TRADED)
    assert (first.filled_quantity, first.filled_value_paise) == (40, 40 * 270)
    for row, told in zip(rows, body, strict=True):
        assert row.filled_quantity == told["filledQty"]
        assert row.filled_value_paise == pytest.approx(told["averageTradedPrice"] * told["filledQty"] * 100, abs=2.5)
        assert row.filled_value_paise % 5 == 0
    assert "VTT_SQROFF" in {row.correlation_id for row in rows}


def test_a_resting_and_a_cancelled_equity_order() -> None:
    (resting,) = read_orders(recorded("GET_v2_orders_952502167319_200_01"), {})
    assert (resting.status, resting.price_paise, resting.filled_value_paise) == (BrokerStatus.PENDING, 36, 0)
    (cancelled,) = read_orders(recorded("GET_v2_orders_952502167319_200_02"), {})
    assert cancelled.status is BrokerStatus.CANCELLED


def test_a_rejected_row_says_why() -> None:
    (row,) = read_orders(recorded("SANDBOX_order_row_rejected_20260908"), {})
    assert row.status is BrokerStatus.REJECTED
    assert "Circuit Limits of 2915.70" in row.reason


def test_real_positions() -> None:
    body = recorded("LIVE_GET_positions_20260930")
    rows = read_positions(body)
    assert len(rows) == len(body)
    for row, told in zip(rows, body, strict=True):
        assert (row.net_quantity, row.bought_quantity, row.sold_quantity) == (
            told["netQty"],
            told["buyQty"],
            told["sellQty"],
        )
        assert row.bought_quantity - row.sold_quantity == row.net_quantity
        assert row.bought_value_paise == round((told["carryForwardBuyValue"] + told["dayBuyValue"]) * 100)
        if row.net_quantity == 0:
            realised = row.sold_value_paise - row.bought_value_paise
            assert realised == round(told["realizedProfit"] * 100), (
                "multiplier 1000 on carried rows is not a multiplier"
            )


def test_a_position_without_values_falls_back_on_its_average() -> None:
    (row,) = read_positions(
        [{"securityId": "7", "exchangeSegment": "NSE_FNO", "netQty": 65, "buyQty": 65, "sellQty": 0, "buyAvg": 100.05}]
    )
    assert row.bought_value_paise == 65 * 10_005


def test_real_funds() -> None:
    assert read_funds(recorded("LIVE_GET_fundlimit_20260908")) == Funds(18, 18, 0)
    assert read_funds(recorded("GET_v2_fundlimit_200_01")) == Funds(100_000_000, 0, 0)
    with pytest.raises(DataError, match="availabelBalance"):
        read_funds({"sodLimit": 5})


def test_part_traded_rows_that_call_themselves_something_else() -> None:
    row = {
        "orderId": "1",
        "exchangeSegment": "NSE_FNO",
        "securityId": "7",
        "transactionType": "BUY",
        "orderType": "LIMIT",
        "quantity": 130,
        "filledQty": 65,
        "averageTradedPrice": 10.0,
    }
    for said in ("PENDING", "TRADED", "PART_TRADED"):
        (found,) = read_orders([{**row, "orderStatus": said}], {})
        assert found.status is BrokerStatus.PART_TRADED
    (ended,) = read_orders([{**row, "orderStatus": "CANCELLED"}], {})
    assert (ended.status, ended.filled_quantity) == (BrokerStatus.CANCELLED, 65)


@pytest.mark.parametrize("body", ["text", 5, [5], [{"noOrderId": 1}], {"noOrderId": 1}])
def test_what_is_no_rows_is_an_error(body: object) -> None:
    with pytest.raises(DataError):
        read_orders(body, {})


def test_an_average_with_three_decimals() -> None:
    # 60 BANKNIFTY in two fills, 30 at 49.15 and 30 at 49.10: Dhan printed 49.125.
    assert filled_value_paise(49.125, 60) == 30 * 4_915 + 30 * 4_910


def test_numbers_of_a_java_backend() -> None:
    assert number("1.7454579E7", "x") == 17_454_579
    assert (whole("65.0", "x"), whole(65.0, "x"), whole(None, "x"), text("NA"), text(" ")) == (65, 65, 0, "", "")
    odds: tuple[object, ...] = ("abc", True, [], float("nan"), "inf")
    for odd in odds:
        with pytest.raises(DataError):
            number(odd, "x")
    with pytest.raises(DataError):
        whole(65.5, "x")
    with pytest.raises(DataError):
        segment_key("NSE_FNO", "12x")
