"""Forever orders wait for their trigger, fire once, and of two one cancels the other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator.accounts import GENERAL, Trader, body, trading
from tests.unit.simulator.stage import market_of, near_call

CALL = near_call(market_of())


def asked(**fields: Any) -> dict[str, Any]:
    base = {"orderFlag": "SINGLE", "productType": "MARGIN", "orderType": "LIMIT", "validity": "DAY", **fields}
    return body(CALL, **base)


async def placed(trader: Trader, **fields: Any) -> str:
    status, answer = await trader.do("POST", "/v2/forever/orders", asked(**fields))
    assert (status, answer["orderStatus"]) == (200, "PENDING"), answer
    return str(answer["orderId"])


async def test_a_single_fires_when_its_trigger_is_reached_from_where_the_price_stood() -> None:
    async with trading() as trader:
        last = round(trader.last(CALL))
        number = await placed(trader, triggerPrice=last - 6, price=last + 4)
        waiting = (await trader.get("/v2/forever/orders"))[0]
        assert (waiting["orderId"], waiting["orderStatus"], waiting["orderType"]) == (number, "CONFIRM", "SINGLE")
        assert waiting["exchangeTime"] == "0001-01-01 00:00:00"
        assert await trader.get("/v2/orders") == []
        await trader.until(lambda: bool(trader.world.exchange.rows()))
        assert trader.last(CALL) <= last - 6
        await trader.until(lambda: trader.world.exchange.held(CALL.key) == CALL.lot)
        assert (await trader.get("/v2/forever/orders"))[0]["orderStatus"] == "TRADED"
        (order,) = await trader.get("/v2/orders")
        assert (order["algoId"], order["productType"], order["price"]) == (number, "MARGIN", last + 4)


async def test_an_oco_sells_at_one_trigger_and_withdraws_the_other() -> None:
    async with trading() as trader:
        await trader.buy(CALL, productType="MARGIN")
        last = round(trader.last(CALL))
        number = await placed(
            trader,
            orderFlag="OCO",
            transactionType="SELL",
            orderType="MARKET",
            triggerPrice=last + 500,
            triggerPrice1=last - 6,
            quantity1=CALL.lot,
        )
        await trader.until(lambda: not trader.world.exchange.held(CALL.key))
        rows = [row for row in await trader.get("/v2/forever/orders") if row["orderId"] == number]
        assert [(row["legName"], row["orderStatus"], row["orderType"]) for row in rows] == [
            ("TARGET_LEG", "CANCELLED", "OCO"),
            ("STOP_LOSS_LEG", "TRADED", "OCO"),
        ]


async def test_it_is_changed_and_withdrawn_while_it_waits() -> None:
    async with trading() as trader:
        last = round(trader.last(CALL))
        number = await placed(trader, triggerPrice=last - 50, price=last - 49)
        path = f"/v2/forever/orders/{number}"
        own = {"dhanClientId": "SIMULATED", "orderFlag": "SINGLE", "orderType": "LIMIT", "legName": "TARGET_LEG"}
        change = {**own, "quantity": CALL.lot * 2, "price": last - 40, "triggerPrice": last - 41, "validity": "DAY"}
        assert await trader.do("PUT", path, change) == (200, {"orderId": number, "orderStatus": "PENDING"})
        row = (await trader.get("/v2/forever/orders"))[0]
        assert (row["quantity"], row["triggerPrice"]) == (CALL.lot * 2, last - 41)
        assert (await trader.do("PUT", path, {**change, "legName": "STOP_LOSS_LEG"}))[1]["errorCode"] == "DH-906"
        assert await trader.do("DELETE", path) == (200, {"orderId": number, "orderStatus": "CANCELLED"})
        assert (await trader.do("DELETE", path))[1]["errorCode"] == "DH-906"
        assert (await trader.get("/v2/forever/orders"))[0]["orderStatus"] == "CANCELLED"
        assert (await trader.visitor.ask("GET", "/v2/forever/all"))[0] == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"orderFlag": "BOTH"}, GENERAL),
        ({"triggerPrice": 0}, GENERAL),
        ({"price": 0}, GENERAL),
        ({"productType": "CO"}, GENERAL),
        ({"validity": ...}, GENERAL),
        ({"orderFlag": "OCO"}, GENERAL),
        ({"quantity": 0}, "quantity is required"),
        ({"correlationId": "x" * 26}, GENERAL),
    ],
)
async def test_what_is_no_forever_order_is_refused(fields: dict[str, Any], said: str) -> None:
    async with trading() as trader:
        sent = asked(**{"triggerPrice": 90, "price": 91, **fields})
        status, answer = await trader.do("POST", "/v2/forever/orders", sent)
        assert (status, answer["errorCode"], answer["errorMessage"]) == (400, "DH-905", said)
        assert await trader.get("/v2/forever/orders") == []
