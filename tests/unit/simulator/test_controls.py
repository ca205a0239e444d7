"""Slices, IOC, conversion, selling everything, the P&L exit and the kill switch."""

from __future__ import annotations

from typing import Any

import pytest

from algo_scalper.domain.orders import Product
from algo_scalper.domain.ports import Rejected
from algo_scalper.interfaces.simulator.account import AccountFacts
from tests.unit.simulator.accounts import trading
from tests.unit.simulator.stage import market_of, near_call, order_body, resting_price, world_of

CALL = near_call(market_of())
LOW = resting_price(market_of(), CALL)


async def test_a_quantity_above_the_freeze_is_sliced_into_several_orders() -> None:
    async with trading(account=AccountFacts(cash_paise=100_000_000)) as trader:
        whole = CALL.freeze_quantity * 2 + CALL.lot
        sliced = order_body(CALL, quantity=whole, price=LOW)
        status, answer = await trader.do("POST", "/v2/orders/slicing", sliced)
        assert status == 200
        assert [set(one) for one in answer] == [{"orderId", "orderStatus"}] * 3
        rows = await trader.get("/v2/orders")
        assert sorted(row["quantity"] for row in rows) == [CALL.lot, CALL.freeze_quantity, CALL.freeze_quantity]
        assert {row["orderId"] for row in rows} == {one["orderId"] for one in answer}
        one = await trader.do("POST", "/v2/orders/slicing", order_body(CALL, price=LOW))
        assert len(one[1]) == 1
        wrong = await trader.do("POST", "/v2/orders/slicing", order_body(CALL, quantity=CALL.lot + 1, price=LOW))
        assert (wrong[0], wrong[1]["errorCode"]) == (400, "DH-905")


async def test_what_an_immediate_order_cannot_take_at_once_is_cancelled() -> None:
    async with trading(account=AccountFacts(cash_paise=100_000_000)) as trader:
        await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW, validity="IOC"))
        row = (await trader.get("/v2/orders"))[0]
        assert (row["orderStatus"], row["validity"], row["filledQty"]) == ("CANCELLED", "IOC", 0)
        asks = trader.world.market.quote(CALL.key, trader.world.now_ns).asks
        all_shown = order_body(CALL, quantity=CALL.freeze_quantity, price=asks[0][0] / 100, validity="IOC")
        await trader.do("POST", "/v2/orders", all_shown)
        row = (await trader.get("/v2/orders"))[0]
        assert 0 < row["filledQty"] < CALL.freeze_quantity
        assert (row["orderStatus"], row["remainingQuantity"]) == ("CANCELLED", 0)


async def test_an_after_market_order_waits_for_the_open_and_goes_then() -> None:
    world = world_of(after_open_s=-45)
    async with trading(world) as trader:
        opens_ns = world.market.schedule.options[0].start_ns
        price = world.market.quote(CALL.key, opens_ns).tick.ltp_paise * 7 // 1_000 * 1.0
        amo = order_body(CALL, price=price, afterMarketOrder=True, amoTime="OPEN", correlationId="amo")
        number = (await trader.do("POST", "/v2/orders", amo))[1]["orderId"]
        later = order_body(CALL, price=price, afterMarketOrder=True, amoTime="OPEN_30", correlationId="late")
        await trader.do("POST", "/v2/orders", later)
        row = (await trader.get(f"/v2/orders/{number}"))[0]
        assert (row["orderStatus"], row["afterMarketOrder"]) == ("PENDING", True)
        assert (row["exchangeTime"], row["exchangeOrderId"]) == ("0001-01-01 00:00:00", "0")
        dropped = order_body(CALL, price=price, afterMarketOrder=True, amoTime="OPEN", correlationId="gone")
        gone = (await trader.do("POST", "/v2/orders", dropped))[1]["orderId"]
        assert (await trader.do("DELETE", f"/v2/orders/{gone}"))[0] == 200
        while world.now_ns < opens_ns + 1_000_000_000:
            await trader.engine.step(opens_ns + 1_000_000_000)
        told = {row["correlationId"]: row for row in await trader.get("/v2/orders")}
        assert told["amo"]["exchangeTime"] == "2026-02-03 09:15:00"
        assert [order.correlation_id for order in world.exchange.working() if not order.is_kept] == ["amo"]
        assert (told["late"]["exchangeTime"], told["gone"]["orderStatus"]) == ("0001-01-01 00:00:00", "CANCELLED")
        refused = order_body(CALL, price=price, afterMarketOrder=True, amoTime="OPEN", correlationId="noon")
        await trader.do("POST", "/v2/orders", refused)
        assert (await trader.get("/v2/orders/external/noon"))["orderStatus"] == "REJECTED"
        plain = order_body(CALL, price=price, afterMarketOrder=True)
        assert (await trader.do("POST", "/v2/orders", plain))[0] == 400, "without an amoTime"
        while world.now_ns < opens_ns + 1_801_000_000_000:
            await trader.engine.step(opens_ns + 1_801_000_000_000)
        assert (await trader.get("/v2/orders/external/late"))["exchangeTime"] == "2026-02-03 09:45:00"


async def test_a_position_is_converted_and_the_broker_no_longer_squares_it_off() -> None:
    async with trading() as trader:
        await trader.buy(CALL, lots=2)
        convert = {
            "dhanClientId": "SIMULATED",
            "fromProductType": "INTRADAY",
            "exchangeSegment": "NSE_FNO",
            "positionType": "LONG",
            "securityId": str(CALL.key & 0xFFFFFFFF),
            "tradingSymbol": "",
            "convertQty": str(CALL.lot * 2),
            "toProductType": "MARGIN",
        }
        assert (await trader.get("/v2/positions"))[0]["productType"] == "INTRADAY"
        assert await trader.do("POST", "/v2/positions/convert", convert) == (202, None)
        assert (await trader.get("/v2/positions"))[0]["productType"] == "MARGIN"
        assert (await trader.do("POST", "/v2/positions/convert", convert))[1]["errorCode"] == "DH-906", "none is left"
        trader.world.exchange.pass_time(trader.world.market.schedule.square_off_ns)
        assert trader.world.exchange.held(CALL.key) == CALL.lot * 2
        back = {**convert, "fromProductType": "MARGIN", "toProductType": "INTRADAY", "positionType": "SHORT"}
        assert (await trader.do("POST", "/v2/positions/convert", back))[1]["errorCode"] == "DH-905"


def test_nothing_held_is_nothing_to_convert_and_cash_can_be_given() -> None:
    world = world_of()
    exchange = world.exchange
    assert isinstance(exchange.convert(CALL.key, CALL.lot, Product.MARGIN), Rejected)
    exchange.endow(5_000_000)
    assert exchange.funds().available_paise == exchange.funds().start_of_day_paise == 5_000_000


async def test_exit_all_cancels_what_works_and_sells_what_is_held() -> None:
    async with trading() as trader:
        await trader.buy(CALL, lots=2)
        await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW, correlationId="rest"))
        status, said = await trader.do("DELETE", "/v2/positions")
        assert (status, said) == (
            200,
            {"status": "SUCCESS", "message": "All orders and positions exited successfully"},
        )
        await trader.pass_seconds(5)
        rows = {row["correlationId"]: row["orderStatus"] for row in await trader.get("/v2/orders")}
        assert rows == {"t-1": "TRADED", "rest": "CANCELLED", "VTT_SQROFF": "TRADED"}
        assert (await trader.get("/v2/positions"))[0]["netQty"] == 0


EXIT = {"profitValue": "100000", "lossValue": 50.0, "productType": ["INTRADAY"], "enableKillSwitch": True}


async def test_the_pnl_exit_sells_at_the_loss_named_and_turns_the_kill_switch() -> None:
    async with trading() as trader:
        status, said = await trader.do("POST", "/v2/pnlExit", EXIT)
        assert (status, said["pnlExitStatus"]) == (200, "ACTIVE")
        assert await trader.get("/v2/pnlExit") == {
            "pnlExitStatus": "ACTIVE",
            "profit": "100000.00",
            "loss": "50.00",
            "productType": ["INTRADAY"],
            "enable_kill_switch": True,
        }
        await trader.buy(CALL)
        await trader.until(lambda: not trader.world.exchange.held(CALL.key))
        (position,) = await trader.get("/v2/positions")
        assert position["realizedProfit"] <= -50
        assert (await trader.get("/v2/pnlExit"))["pnlExitStatus"] == "INACTIVE"
        assert (await trader.get("/v2/killswitch"))["killSwitchStatus"] == "ACTIVATE"
        status, said = await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW))
        assert (status, said["errorCode"]) == (400, "DH-906")
        assert "Kill Switch" in said["errorMessage"]


async def test_a_pnl_exit_is_stopped_and_bad_ones_are_refused() -> None:
    async with trading() as trader:
        await trader.do("PUT", "/v2/pnlExit", EXIT)
        stopped = await trader.visitor.json("DELETE", "/v2/pnlExit")
        assert stopped["pnlExitStatus"] == "DISABLED"
        assert (await trader.get("/v2/pnlExit"))["pnlExitStatus"] == "DISABLED"
        bad: list[dict[str, Any]] = [
            {"profitValue": 0},
            {"productType": []},
            {"productType": ["CNC"]},
            {"enableKillSwitch": "yes"},
        ]
        for wrong in bad:
            status, said = await trader.do("POST", "/v2/pnlExit", {**EXIT, **wrong})
            assert (status, said["errorCode"]) == (400, "DH-905"), wrong


async def test_the_kill_switch_wants_a_flat_book() -> None:
    async with trading() as trader:
        number = await trader.buy(CALL)
        refused = await trader.visitor.ask("POST", "/v2/killswitch?killSwitchStatus=ACTIVATE")
        assert refused[0] == 400
        await trader.do("POST", "/v2/orders", order_body(CALL, "SELL", price=LOW))
        await trader.pass_seconds(2)
        said = await trader.visitor.json("POST", "/v2/killswitch?killSwitchStatus=ACTIVATE")
        assert said["killSwitchStatus"] == "Kill Switch has been successfully activated"
        assert (await trader.do("POST", "/v2/super/orders", super_body()))[0] == 400
        assert (await trader.do("DELETE", f"/v2/orders/{number}"))[1]["errorMessage"] != "Kill Switch"
        off = await trader.visitor.json("POST", "/v2/killswitch?killSwitchStatus=DEACTIVATE")
        assert off["killSwitchStatus"].endswith("deactivated")
        assert (await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW)))[0] == 200
        assert (await trader.visitor.ask("POST", "/v2/killswitch?killSwitchStatus=MAYBE"))[0] == 400


def super_body() -> dict[str, Any]:
    return order_body(CALL, targetPrice=200.0, stopLossPrice=50.0)


async def test_standing_instructions_and_the_account_outlive_a_restart(tmp_path: Any) -> None:
    path, world = tmp_path / "state.json", world_of()
    async with trading(world, state=path) as trader:
        await trader.do("POST", "/v2/pnlExit", EXIT)
        await trader.visitor.ask("POST", "/sim/account", {"primary_ip": "203.0.113.7", "detected_ip": "203.0.113.7"})
    async with trading(world_of(), state=path) as trader:
        assert (await trader.get("/v2/pnlExit"))["loss"] == "50.00"
        assert (await trader.get("/v2/ip/getIP"))["primaryIP"] == "203.0.113.7"


@pytest.mark.parametrize("path", ["/v2/killswitch", "/v2/pnlExit", "/v2/super/orders", "/v2/forever/orders"])
async def test_reads_need_a_living_token_in_the_family_s_words(path: str) -> None:
    async with trading() as trader:
        status, text = await trader.visitor.ask("GET", path, token="dead")
        assert status == 401
        assert "DH-901" in text
