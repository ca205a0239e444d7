"""What the order socket tells of orders that nobody placed by hand, and the times it and the books tell."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.stamps import NEVER, Stamps
from tests.unit.simulator.accounts import Trader, body, trading
from tests.unit.simulator.stage import market_of, near_call, order_body, resting_price

CALL = near_call(market_of())
LOW = resting_price(market_of(), CALL)
OFF_TICK = "EXCH:16283:The order price is not multiple of tick size"


def told(trader: Trader) -> list[dict[str, Any]]:
    return [json.loads(frame)["Data"] for frame in trader.engine.order_frames]


async def forever(trader: Trader, **fields: Any) -> str:
    asked = {"orderFlag": "SINGLE", "productType": "MARGIN", "orderType": "LIMIT", "validity": "DAY", **fields}
    status, answer = await trader.do("POST", "/v2/forever/orders", body(CALL, **asked))
    assert status == 200, answer
    return str(answer["orderId"])


async def test_an_order_a_forever_order_places_is_told_and_names_it() -> None:
    async with trading() as trader:
        last = round(trader.last(CALL))
        number = await forever(trader, triggerPrice=last - 6, price=last + 4, correlationId="mine")
        await trader.pass_seconds(2)
        assert told(trader) == [], "one that waits is no order yet"
        await trader.until(lambda: trader.world.exchange.held(CALL.key) == CALL.lot)
        await trader.pass_seconds(1)
        (order,) = await trader.get("/v2/orders")
        alerts = told(trader)
        assert alerts[-1]["status"] == "Traded"
        assert {alert["orderNo"] for alert in alerts} == {order["orderId"]} != {number}
        shown = ("algoOrdNo", "correlationId", "source", "legNo", "remarks", "orderType", "product")
        assert {tuple(alert[name] for name in shown) for alert in alerts} == {
            (number, "mine", "P", 1, "NR", "LMT", "M")
        }


async def test_without_an_id_of_ours_it_is_no_order_of_a_persons_app() -> None:
    async with trading() as trader:
        last = round(trader.last(CALL))
        await forever(trader, triggerPrice=last + 4, price=last + 14)
        await trader.until(lambda: bool(trader.world.exchange.rows()))
        await trader.pass_seconds(1)
        assert {(alert["correlationId"], alert["source"]) for alert in told(trader)} == {("NA", "P")}


async def test_a_forever_order_whose_order_is_refused_tells_why() -> None:
    async with trading() as trader:
        last = round(trader.last(CALL))
        number = await forever(trader, triggerPrice=last + 4, price=last + 14, quantity=CALL.lot * 27)
        await trader.until(lambda: bool(trader.world.exchange.rows()))
        await trader.pass_seconds(1)
        (alert,) = told(trader)
        assert (alert["status"], alert["algoOrdNo"]) == ("Rejected", number)
        assert "insufficient funds" in alert["reasonDescription"]
        assert (await trader.get("/v2/forever/orders"))[0]["orderStatus"] == "REJECTED"


async def test_a_withdrawn_forever_order_is_nothing_to_tell() -> None:
    async with trading() as trader:
        number = await forever(trader, triggerPrice=LOW, price=LOW)
        await trader.do("DELETE", f"/v2/forever/orders/{number}")
        await trader.pass_seconds(2)
        assert told(trader) == []


async def test_a_price_between_two_ticks_is_taken_and_refused_in_the_exchanges_words() -> None:
    async with trading() as trader:
        status, answer = await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW + 0.01))
        assert (status, answer["orderStatus"]) == (200, "TRANSIT")
        await trader.pass_seconds(1)
        (row,) = await trader.get(f"/v2/orders/{answer['orderId']}")
        assert (row["orderStatus"], row["omsErrorDescription"], row["omsErrorCode"]) == ("REJECTED", OFF_TICK, "0")
        assert told(trader)[-1]["reasonDescription"] == OFF_TICK


async def test_a_stamp_keeps_the_error_of_the_clock_it_was_made_by() -> None:
    stamps = Stamps()
    stamps.skew(100 * NS_PER_SECOND, 30 * NS_PER_SECOND)
    stamps.skew(200 * NS_PER_SECOND, 0)
    seconds = [stamps.at(at * NS_PER_SECOND) // NS_PER_SECOND for at in (99, 100, 199, 200)]
    assert seconds == [99, 130, 229, 200]
    assert stamps.text(0) == NEVER
    assert stamps.text(150 * NS_PER_SECOND) == "1970-01-01 05:33:00"


TIMES = ("createTime", "updateTime", "exchangeTime")


async def test_a_wrong_clock_is_in_every_time_that_was_written_by_it_and_in_no_other() -> None:
    async with trading() as trader:

        async def skewed(seconds: float) -> None:
            await trader.visitor.ask("POST", "/sim/faults", {"skew_s": seconds})

        def off(text: str, true_ns: int) -> int:
            return round(datetime.fromisoformat(f"{text}+05:30").timestamp() - true_ns // NS_PER_SECOND)

        before = await trader.buy(CALL)
        await skewed(90)
        during = await trader.buy(CALL)
        await trader.pass_seconds(1)
        alert = told(trader)[-1]
        quoted = await trader.visitor.json("POST", "/v2/marketfeed/quote", {"NSE_FNO": [CALL.key & 0xFFFFFFFF]})
        seen_ns = trader.world.now_ns
        forever_id = await forever(trader, triggerPrice=LOW, price=LOW)
        waits_ns = trader.world.now_ns
        await skewed(0)
        await trader.pass_seconds(1)
        records = {number: trader.world.exchange.order(number) for number in (before, during)}
        for rows, fields in ((await trader.get("/v2/orders"), TIMES), (await trader.get("/v2/trades"), TIMES)):
            assert len(rows) == 2
            for row in rows:
                record = records[row["orderId"]]
                assert record is not None
                error = 90 if row["orderId"] == during else 0
                assert [off(row[name], record.created_ns) for name in fields] == [error] * 3
                assert row["exchangeOrderId"] != "0"
        record = records[during]
        assert record is not None
        assert alert["orderNo"] == during
        assert [off(alert[name], record.updated_ns) for name in ("exchOrderTime", "lastUpdatedTime")] == [90, 90]
        traded = quoted["data"]["NSE_FNO"][str(CALL.key & 0xFFFFFFFF)]["last_trade_time"]
        at = datetime.strptime(f"{traded} +0530", "%d/%m/%Y %H:%M:%S %z")
        assert 60 < (at - datetime.fromtimestamp(seen_ns / NS_PER_SECOND, UTC)).total_seconds() <= 90
        (row,) = await trader.get("/v2/forever/orders")
        assert row["orderId"] == forever_id
        assert 88 <= off(row["createTime"], waits_ns) <= 90
