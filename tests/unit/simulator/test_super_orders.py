"""Entry, target and stop: what fires, what it cancels, what trails, and which legs may still be changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from algo_scalper.domain.orders import Product, Side
from algo_scalper.interfaces.simulator.account import AccountFacts
from algo_scalper.simulation.super_orders import Leg, SuperOrder, wrong_sides
from tests.unit.simulator.accounts import GENERAL, Trader, body, trading
from tests.unit.simulator.stage import market_of, near_call

CALL = near_call(market_of())


async def placed(trader: Trader, target: float, stop: float, **fields: Any) -> str:
    price = trader.ask(CALL) + 2
    asked = body(CALL, orderType="LIMIT", price=price, targetPrice=price + target, stopLossPrice=price - stop, **fields)
    status, answer = await trader.do("POST", "/v2/super/orders", asked)
    assert (status, answer["orderStatus"]) == (200, "TRANSIT")
    return str(answer["orderId"])


def legs(row: dict[str, Any]) -> dict[str, str]:
    return {leg["legName"]: leg["orderStatus"] for leg in row["legDetails"]}


async def test_the_stop_sells_what_the_entry_bought_and_the_target_is_gone() -> None:
    async with trading() as trader:
        number = await placed(trader, target=500, stop=6)
        await trader.until(lambda: not trader.world.exchange.held(CALL.key))
        row = (await trader.get("/v2/super/orders"))[0]
        assert (row["orderId"], row["orderStatus"], row["legName"]) == (number, "CLOSED", "ENTRY_LEG")
        assert legs(row) == {"STOP_LOSS_LEG": "TRIGGERED", "TARGET_LEG": "CANCELLED"}
        exit_row, entry_row = await trader.get("/v2/orders")
        assert (exit_row["correlationId"], exit_row["algoId"]) == ("VTT_SQROFF", number)
        assert exit_row["averageTradedPrice"] <= row["legDetails"][0]["price"]
        assert entry_row["algoId"] == "0"
        await trader.pass_seconds(1)
        told = [json.loads(frame)["Data"] for frame in trader.engine.order_frames]
        stop_alerts = [alert for alert in told if alert["legNo"] == 2]
        assert stop_alerts[-1]["status"] == "Traded"
        assert (stop_alerts[0]["algoOrdNo"], stop_alerts[0]["remarks"]) == (number, "Super Order")


async def test_the_target_sells_at_its_price_or_better_and_the_stop_is_gone() -> None:
    async with trading() as trader:
        await placed(trader, target=4, stop=60)
        await trader.until(lambda: not trader.world.exchange.held(CALL.key))
        row = (await trader.get("/v2/super/orders"))[0]
        assert legs(row) == {"STOP_LOSS_LEG": "CANCELLED", "TARGET_LEG": "TRIGGERED"}
        target = row["legDetails"][1]
        assert target["triggeredQuantity"] == CALL.lot
        assert (await trader.get("/v2/orders"))[0]["averageTradedPrice"] >= target["price"]


async def test_the_stop_follows_in_whole_jumps_and_never_goes_back() -> None:
    async with trading() as trader:
        await placed(trader, target=500, stop=50, trailingJump=1)
        await trader.until(lambda: trader.world.exchange.held(CALL.key) > 0)
        one = next(iter(trader.server.venue.desk.standing.super_orders.values()))
        begun = stop = one.stop.price_paise
        paid = (await trader.get("/v2/positions"))[0]["buyAvg"] * 100
        for _ in range(600):
            await trader.pass_seconds(1)
            if one.is_over:
                break
            assert one.stop.price_paise >= stop
            stop = one.stop.price_paise
            best = (stop - begun) // 100
            assert trader.last(CALL) * 100 - paid < (best + 1) * 100
        assert stop > begun, "the price went up by a rupee at least once"
        assert (stop - begun) % 100 == 0


async def test_legs_are_changed_and_withdrawn_by_the_rules() -> None:
    async with trading() as trader:
        number = await placed(trader, target=100, stop=60)
        path = f"/v2/super/orders/{number}"
        own = {"dhanClientId": "SIMULATED", "orderId": number}
        await trader.until(lambda: trader.world.exchange.held(CALL.key) > 0)
        row = (await trader.get("/v2/super/orders"))[0]
        target = row["legDetails"][1]["price"]
        done = await trader.do("PUT", path, {**own, "legName": "TARGET_LEG", "targetPrice": target + 5})
        assert done == (200, {"orderId": number, "orderStatus": "TRANSIT"})
        changed = {
            **own,
            "legName": "STOP_LOSS_LEG",
            "stopLossPrice": row["legDetails"][0]["price"] + 1,
            "trailingJump": 5,
        }
        assert (await trader.do("PUT", path, changed))[0] == 200
        stop_row, target_row = (await trader.get("/v2/super/orders"))[0]["legDetails"]
        assert (target_row["price"], stop_row["trailingJump"]) == (target + 5, 5.0)
        whole = {
            **own,
            "legName": "ENTRY_LEG",
            "quantity": CALL.lot,
            "price": 1,
            "targetPrice": 9,
            "stopLossPrice": 0.5,
        }
        status, said = await trader.do("PUT", path, whole)
        assert (status, said["errorCode"]) == (400, "DH-906"), "the entry has traded"
        assert await trader.do("DELETE", f"{path}/TARGET_LEG") == (
            200,
            {"orderId": number, "orderStatus": "CANCELLED"},
        )
        again = await trader.do("PUT", path, {**own, "legName": "TARGET_LEG", "targetPrice": target + 6})
        assert again[0] == 400, "a cancelled leg is not added again"
        assert (await trader.do("DELETE", f"{path}/ENTRY_LEG"))[0] == 200
        row = (await trader.get("/v2/super/orders"))[0]
        assert legs(row) == {"STOP_LOSS_LEG": "CANCELLED", "TARGET_LEG": "CANCELLED"}
        assert (row["orderStatus"], trader.world.exchange.held(CALL.key)) == ("TRADED", CALL.lot)


async def test_an_entry_at_rest_is_changed_and_its_cancel_ends_all() -> None:
    async with trading() as trader:
        low = trader.ask(CALL) * 0.7 // 1
        asked = body(CALL, orderType="LIMIT", price=low, targetPrice=low + 90, stopLossPrice=low - 20)
        number = (await trader.do("POST", "/v2/super/orders", asked))[1]["orderId"]
        own = {"dhanClientId": "SIMULATED", "orderId": number, "legName": "ENTRY_LEG", "orderType": "LIMIT"}
        change = {**own, "quantity": CALL.lot * 2, "price": low + 1, "targetPrice": low + 80, "stopLossPrice": low - 10}
        assert (await trader.do("PUT", f"/v2/super/orders/{number}", change))[0] == 200
        wrong = {**change, "stopLossPrice": low + 2}
        assert (await trader.do("PUT", f"/v2/super/orders/{number}", wrong))[1]["errorCode"] == "DH-905"
        row = (await trader.get("/v2/super/orders"))[0]
        assert (row["orderStatus"], row["price"], row["quantity"]) == ("PENDING", low + 1, CALL.lot * 2)
        await trader.do("DELETE", f"/v2/super/orders/{number}/ENTRY_LEG")
        row = (await trader.get("/v2/super/orders"))[0]
        assert row["orderStatus"] == "CANCELLED"
        assert set(legs(row).values()) == {"CANCELLED"}
        assert (await trader.do("DELETE", f"/v2/super/orders/{number}/ENTRY_LEG"))[1]["errorCode"] == "DH-906"


async def test_another_hand_sold_first_and_the_stop_has_nothing_to_sell() -> None:
    async with trading() as trader:
        await placed(trader, target=500, stop=6)
        await trader.until(lambda: trader.world.exchange.held(CALL.key) > 0)
        await trader.visitor.ask("POST", "/sim/faults", {"hand": {"sell": "all"}})
        await trader.until(lambda: not trader.world.exchange.held(CALL.key))
        one = next(iter(trader.server.venue.desk.standing.super_orders.values()))
        await trader.until(lambda: one.is_over)
        assert trader.world.exchange.held(CALL.key) == 0
        assert len(await trader.get("/v2/orders")) == 2, "no third order was placed"


async def test_a_target_that_has_not_traded_out_is_withdrawn_for_the_stop() -> None:
    async with trading(account=AccountFacts(cash_paise=100_000_000)) as trader:
        number = await placed(trader, target=0.5, stop=60, quantity=CALL.freeze_quantity)
        one = next(iter(trader.server.venue.desk.standing.super_orders.values()))
        await trader.until(lambda: one.target.status == "TRIGGERED")
        target = trader.world.exchange.order(one.target.order_ids[0])
        assert target is not None
        assert target.remaining > 0, "the bids shown at the target were not enough"
        own = {"dhanClientId": "SIMULATED", "orderId": number, "legName": "STOP_LOSS_LEG"}
        above = {**own, "stopLossPrice": one.target.price_paise / 100 + 20}
        assert (await trader.do("PUT", f"/v2/super/orders/{number}", above))[0] == 200
        await trader.until(lambda: not trader.world.exchange.held(CALL.key))
        rows = {row["orderId"]: row["orderStatus"] for row in await trader.get("/v2/orders")}
        assert rows[target.broker_id] == "CANCELLED"
        assert [rows[child] for child in one.stop.order_ids] == ["TRADED"]
        assert legs((await trader.get("/v2/super/orders"))[0]) == {
            "STOP_LOSS_LEG": "TRIGGERED",
            "TARGET_LEG": "TRIGGERED",
        }


async def test_selling_everything_withdraws_the_legs() -> None:
    async with trading() as trader:
        await placed(trader, target=100, stop=60)
        await trader.until(lambda: trader.world.exchange.held(CALL.key) > 0)
        assert (await trader.do("DELETE", "/v2/positions"))[1]["status"] == "SUCCESS"
        await trader.pass_seconds(2)
        row = (await trader.get("/v2/super/orders"))[0]
        assert set(legs(row).values()) == {"CANCELLED"}
        assert trader.world.exchange.held(CALL.key) == 0
        assert (await trader.get("/sim/status"))["standing"]["super_orders"] == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"targetPrice": 90.0}, GENERAL),
        ({"stopLossPrice": 110.0}, GENERAL),
        ({"stopLossPrice": ...}, GENERAL),
        ({"targetPrice": 130.02}, GENERAL),
        ({"orderType": "STOP_LOSS"}, GENERAL),
        ({"price": ...}, GENERAL),
        ({"quantity": ...}, "quantity is required"),
        ({"dhanClientId": ...}, "dhanClientId is required"),
        ({"productType": "BO"}, GENERAL),
    ],
)
async def test_what_is_no_super_order_is_refused(fields: dict[str, Any], said: str) -> None:
    async with trading() as trader:
        good = {"orderType": "LIMIT", "price": 100.0, "targetPrice": 130.0, "stopLossPrice": 80.0}
        status, answer = await trader.do("POST", "/v2/super/orders", body(CALL, **{**good, **fields}))
        assert (status, answer["errorCode"], answer["errorMessage"]) == (400, "DH-905", said)
        assert await trader.get("/v2/super/orders") == []
        assert await trader.get("/v2/orders") == []


async def test_unknown_ids_and_legs_are_refused() -> None:
    async with trading() as trader:
        own = {"dhanClientId": "SIMULATED", "legName": "TARGET_LEG", "targetPrice": 100}
        assert (await trader.do("PUT", "/v2/super/orders/1", own))[1]["errorCode"] == "DH-906"
        assert (await trader.do("DELETE", "/v2/super/orders/1/TARGET_LEG"))[1]["errorCode"] == "DH-906"
        assert (await trader.do("DELETE", "/v2/super/orders/1/SIDE_LEG"))[1]["errorCode"] == "DH-905"


def test_a_sale_has_its_target_below_and_its_stop_above() -> None:
    assert not wrong_sides(Side.SELL, 120, 100, 80)
    assert wrong_sides(Side.SELL, 80, 100, 120)
    assert not wrong_sides(Side.BUY, 80, 100, 120)
    assert wrong_sides(Side.BUY, 0, 100, 120)


def test_records_of_two_orders_share_nothing() -> None:
    first = SuperOrder("1", 1, Side.BUY, Product.INTRADAY, Leg(1), Leg(2))
    first.target.order_ids.append("9")
    assert Leg(1).order_ids == []
