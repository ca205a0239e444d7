"""Conditional triggers: met once, orders placed, indicators never met."""

from __future__ import annotations

from typing import Any

import pytest

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.simulation.triggers import OPERATORS, holds
from tests.unit.simulator.accounts import Trader, body, trading
from tests.unit.simulator.stage import market_of, near_call

CALL = near_call(market_of())


@pytest.mark.parametrize(
    ("operator", "met"),
    [
        # (before, now) against 100: below-to-above, above-to-below, on it from below, resting above, resting below.
        ("CROSSING_UP", [True, False, True, False, False]),
        ("CROSSING_DOWN", [False, True, False, False, False]),
        ("CROSSING_ANY_SIDE", [True, True, True, False, False]),
        ("GREATER_THAN", [True, False, False, True, False]),
        ("LESS_THAN", [False, True, False, False, True]),
        ("GREATER_THAN_EQUAL", [True, False, True, True, False]),
        ("LESS_THAN_EQUAL", [False, True, True, False, True]),
        ("EQUAL", [False, False, True, False, False]),
        ("NOT_EQUAL", [True, True, False, True, True]),
    ],
)
def test_operators(operator: str, met: list[bool]) -> None:
    walks = [(99, 101), (101, 99), (99, 100), (102, 101), (98, 99)]
    assert [holds(operator, before, now, 100) for before, now in walks] == met


def test_a_crossing_needs_a_price_before() -> None:
    assert not holds("CROSSING_UP", 0, 101, 100)
    assert len(OPERATORS) == 9


def alert(trader: Trader, **condition: Any) -> dict[str, Any]:
    spot = trader.world.market.index_paise("NIFTY", trader.world.now_ns) / 100
    order = body(
        CALL, dhanClientId=..., orderType="MARKET", validity="DAY", price="", triggerPrice="", discQuantity="0"
    )
    return {
        "dhanClientId": "SIMULATED",
        "condition": {
            "comparisonType": "PRICE_WITH_VALUE",
            "exchangeSegment": "IDX_I",
            "securityId": "13",
            "operator": "CROSSING_DOWN",
            "comparingValue": round(spot - 10, 2),
            "expDate": "2026-12-31",
            "frequency": "ONCE",
            "userNote": "",
            **condition,
        },
        "orders": [{**order, "quantity": str(CALL.lot)}],
    }


async def test_a_price_crossed_places_the_orders_once() -> None:
    async with trading() as trader:
        status, answer = await trader.do("POST", "/v2/alerts/orders", alert(trader))
        assert (status, answer["alertStatus"]) == (200, "ACTIVE")
        path = f"/v2/alerts/orders/{answer['alertId']}"
        assert (await trader.get(path))["triggeredTime"] is None
        await trader.until(lambda: bool(trader.world.exchange.rows()))
        shown = await trader.get(path)
        assert shown["alertStatus"] == "TRIGGERED"
        assert shown["triggeredTime"].endswith("Z")
        value = shown["condition"]["comparingValue"]
        assert float(shown["lastPrice"]) <= value
        assert trader.world.market.quote(NIFTY.key, trader.world.now_ns).tick.ltp_paise <= value * 100
        await trader.pass_seconds(60)
        assert len(await trader.get("/v2/orders")) == 1
        assert (await trader.get("/v2/orders"))[0]["transactionType"] == "BUY"
        assert (await trader.do("DELETE", path))[1]["errorCode"] == "DH-906", "it has fired"


async def test_nothing_new_is_placed_while_the_kill_switch_is_on() -> None:
    async with trading() as trader:
        await trader.do("POST", "/v2/alerts/orders", alert(trader, operator="GREATER_THAN", comparingValue=1_000_000))
        await trader.visitor.ask("POST", "/v2/killswitch?killSwitchStatus=ACTIVATE")
        number = (await trader.get("/v2/alerts/orders"))[0]["alertId"]
        trader.server.venue.desk.standing.price_triggers[number].value_paise = 1
        await trader.pass_seconds(5)
        assert await trader.get("/v2/orders") == []
        await trader.visitor.ask("POST", "/v2/killswitch?killSwitchStatus=DEACTIVATE")
        await trader.pass_seconds(5)
        assert len(await trader.get("/v2/orders")) == 1


async def test_conditions_on_indicators_are_kept_and_never_met() -> None:
    async with trading() as trader:
        technical = alert(
            trader, comparisonType="TECHNICAL_WITH_VALUE", indicatorName="RSI_14", timeFrame="ONE_MIN", comparingValue=1
        )
        number = (await trader.do("POST", "/v2/alerts/orders", technical))[1]["alertId"]
        await trader.pass_seconds(120)
        (row,) = await trader.get("/v2/alerts/orders")
        assert (row["alertId"], row["alertStatus"]) == (number, "ACTIVE")
        assert row["condition"]["indicatorName"] == "RSI_14"


async def test_it_is_changed_and_withdrawn_while_it_waits() -> None:
    async with trading() as trader:
        number = (await trader.do("POST", "/v2/alerts/orders", alert(trader)))[1]["alertId"]
        path = f"/v2/alerts/orders/{number}"
        assert (await trader.do("PUT", path, {**alert(trader, comparingValue=1), "alertId": number}))[0] == 200
        assert (await trader.get(path))["condition"]["comparingValue"] == 1
        assert await trader.do("DELETE", path) == (200, {"alertId": number, "alertStatus": "CANCELLED"})
        assert (await trader.do("PUT", path, alert(trader)))[1]["errorCode"] == "DH-906"
        assert (await trader.visitor.ask("GET", "/v2/alerts/orders/1"))[0] == 404


@pytest.mark.parametrize(
    "condition",
    [
        {"comparisonType": "PRICE"},
        {"operator": "ABOVE"},
        {"exchangeSegment": "NSE_FNO"},
        {"securityId": "99999"},
        {"comparingValue": None},
        {"expDate": "soon"},
        {"userNote": ["a"]},
    ],
)
async def test_what_is_no_condition_is_refused(condition: dict[str, Any]) -> None:
    async with trading() as trader:
        status, answer = await trader.do("POST", "/v2/alerts/orders", alert(trader, **condition))
        assert (status, answer["errorCode"]) == (400, "DH-905")
        assert await trader.get("/v2/alerts/orders") == []
