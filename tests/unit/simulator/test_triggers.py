"""Conditional triggers: met once, orders placed; prices as they pass, indicators with the close of a candle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.simulation.triggers import OPERATORS, met
from tests.unit.simulator.accounts import GENERAL, Trader, body, trading
from tests.unit.simulator.stage import market_of, near_call

CALL = near_call(market_of())


@pytest.mark.parametrize(
    ("operator", "expected"),
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
def test_operators(operator: str, expected: list[bool]) -> None:
    walks = [(99, 101), (101, 99), (99, 100), (102, 101), (98, 99)]
    assert [met(operator, before - 100, now - 100) for before, now in walks] == expected


def test_a_crossing_needs_a_look_before() -> None:
    assert not met("CROSSING_UP", None, 1)
    assert not met("CROSSING_ANY_SIDE", 0, 1), "it lay on the line, not on the other side"
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
        trader.server.venue.desk.standing.price_triggers[number].value = 1
        await trader.pass_seconds(5)
        assert await trader.get("/v2/orders") == []
        await trader.visitor.ask("POST", "/v2/killswitch?killSwitchStatus=DEACTIVATE")
        await trader.pass_seconds(5)
        assert len(await trader.get("/v2/orders")) == 1


async def technical(trader: Trader, **condition: Any) -> str:
    sent = {"comparisonType": "TECHNICAL_WITH_VALUE", "timeFrame": "ONE_MIN", "comparingValue": None, **condition}
    status, answer = await trader.do("POST", "/v2/alerts/orders", alert(trader, **sent))
    assert status == 200, answer
    return str(answer["alertId"])


def closes(trader: Trader, until_ns: int) -> list[int]:
    return [candle.close_paise for candle in trader.world.history(NIFTY.key, until_ns)]


def crossing(gaps: Sequence[float], begin: int) -> int:
    """The first place after ``begin`` that lies on the other side of nought than the place before it, or on it."""
    return next(
        at for at in range(begin + 1, len(gaps)) if gaps[at - 1] < 0 <= gaps[at] or gaps[at - 1] > 0 >= gaps[at]
    )


async def fired_ns(trader: Trader) -> int:
    await trader.until(lambda: bool(trader.world.exchange.rows()), minutes=60)
    return trader.world.now_ns


async def test_an_average_crosses_the_close_with_the_candle_in_which_it_does() -> None:
    async with trading() as trader:
        now_ns = trader.world.now_ns
        number = await technical(
            trader, comparisonType="TECHNICAL_WITH_CLOSE", indicatorName="SMA_5", operator="CROSSING_ANY_SIDE"
        )
        seen = len(closes(trader, now_ns))
        day = closes(trader, now_ns + 3_600 * NS_PER_SECOND)
        gaps = [round(sum(day[end - 5 : end]) / 5) - day[end - 1] for end in range(5, len(day) + 1)]
        minute = crossing(gaps, seen - 5) + 5 - seen
        at_ns = await fired_ns(trader)
        assert (at_ns - now_ns) // (60 * NS_PER_SECOND) == minute
        assert (at_ns - trader.world.market.axis.open_ns) % (60 * NS_PER_SECOND) < 2 * NS_PER_SECOND, "with the close"
        shown = await trader.get(f"/v2/alerts/orders/{number}")
        assert (shown["alertStatus"], shown["condition"]["indicatorName"]) == ("TRIGGERED", "SMA_5")
        await trader.pass_seconds(180)
        assert len(await trader.get("/v2/orders")) == 1


async def test_one_average_crosses_another_on_five_minutes() -> None:
    async with trading() as trader:
        await technical(
            trader,
            comparisonType="TECHNICAL_WITH_INDICATOR",
            indicatorName="SMA_5",
            comparingIndicatorName="SMA_10",
            timeFrame="FIVE_MIN",
            operator="CROSSING_ANY_SIDE",
        )
        open_ns = trader.world.market.axis.open_ns
        day = closes(trader, open_ns + 4 * 3_600 * NS_PER_SECOND)
        ends = day[4::5]  # the session before is a whole number of five minutes
        gaps = [sum(ends[end - 5 : end]) / 5 - sum(ends[end - 10 : end]) / 10 for end in range(10, len(ends) + 1)]
        before = len(closes(trader, open_ns)) // 5
        place = crossing(gaps, before - 10) + 10 - before
        await trader.until(lambda: bool(trader.world.exchange.rows()), minutes=place * 5 + 1)
        assert (trader.world.now_ns - open_ns) // (300 * NS_PER_SECOND) == place


@pytest.mark.parametrize(("value", "fires"), [(-100_000, True), ("-0.05", True), (100_000, False)])
async def test_a_value_may_lie_below_nought(value: object, fires: bool) -> None:
    async with trading() as trader:
        number = await technical(
            trader, indicatorName="STOCHASTIC", operator="GREATER_THAN", comparingValue=value, timeFrame="FIFTEEN_MIN"
        )
        await trader.pass_seconds(3)
        row = await trader.get(f"/v2/alerts/orders/{number}")
        assert row["alertStatus"] == ("TRIGGERED" if fires else "ACTIVE"), "the first look is at once"


UNSEEN = "System is unable to fetch data due to incorrect parameters or no data present"
TECHNICAL = {"comparisonType": "TECHNICAL_WITH_VALUE", "indicatorName": "RSI_14", "timeFrame": "ONE_MIN"}


@pytest.mark.parametrize(
    "condition",
    [
        {"exchangeSegment": "NSE_EQ", "securityId": "1333"},
        {"securityId": "99999"},
        {**TECHNICAL, "timeFrame": "DAY"},
        {**TECHNICAL, "timeFrame": "DATE"},
        {**TECHNICAL, "securityId": "21"},
        {**TECHNICAL, "indicatorName": "SMA_200", "timeFrame": "FIVE_MIN"},
        {
            **TECHNICAL,
            "comparisonType": "TECHNICAL_WITH_INDICATOR",
            "comparingIndicatorName": "EMA_50",
            "timeFrame": "FIFTEEN_MIN",
        },
    ],
)
async def test_what_this_market_cannot_look_at_is_refused_and_not_kept(condition: dict[str, Any]) -> None:
    async with trading() as trader:
        status, answer = await trader.do("POST", "/v2/alerts/orders", alert(trader, **condition))
        assert (status, answer["errorCode"], answer["errorMessage"]) == (400, "DH-905", UNSEEN)
        assert await trader.get("/v2/alerts/orders") == []


async def test_the_volatility_index_has_a_price_to_wait_for() -> None:
    async with trading() as trader:
        status, _ = await trader.do("POST", "/v2/alerts/orders", alert(trader, securityId="21", comparingValue=1))
        assert status == 200


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
        {"comparingValue": None},
        {"comparingValue": -1},
        {"comparingValue": 100.001},
        {"frequency": "DAILY"},
        {**TECHNICAL, "indicatorName": "SUPERTREND"},
        {**TECHNICAL, "timeFrame": "TWO_MIN"},
        {**TECHNICAL, "comparingValue": "high"},
        {**TECHNICAL, "comparingValue": None},
        {**TECHNICAL, "comparisonType": "TECHNICAL_WITH_INDICATOR"},
        {"expDate": "soon"},
        {"userNote": ["a"]},
    ],
)
async def test_what_is_no_condition_is_refused(condition: dict[str, Any]) -> None:
    async with trading() as trader:
        status, answer = await trader.do("POST", "/v2/alerts/orders", alert(trader, **condition))
        assert (status, answer["errorCode"], answer["errorMessage"]) == (400, "DH-905", GENERAL)
        assert await trader.get("/v2/alerts/orders") == []
