"""Order entry, the book, limits and bad input over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Side
from algo_scalper.domain.ports import Accepted
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.simulator.clock import PacedTime
from algo_scalper.interfaces.simulator.limits import Family, RateLimits
from algo_scalper.interfaces.simulator.orders_in import Refused, modify_order, place_order
from algo_scalper.interfaces.simulator.replies import data_rupees, java_float
from algo_scalper.interfaces.simulator.server import HOST, SimulatorConfig, SimulatorServer
from tests.unit.simulator.stage import (
    DAY,
    HandClock,
    SteppedEngine,
    Visitor,
    market_of,
    near_call,
    order_body,
    resting_price,
    serving,
    world_of,
)

CALL = near_call(market_of())
LOW = resting_price(market_of(), CALL)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        # From recorded bodies; the small ones follow Double.toString of the Java documentation.
        (7140.0, "7140.0"),
        (17454579.0, "1.7454579E7"),
        (1737570600.0, "1.7375706E9"),
        (1000000.0, "1000000.0"),
        (10000000.0, "1.0E7"),
        (0.0, "0.0"),
        (-481.5, "-481.5"),
        (-12345678.0, "-1.2345678E7"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (0.00012, "1.2E-4"),
        (25935.099609375, "25935.099609375"),
    ],
)
def test_floats_print_as_java_prints_them(value: float, printed: str) -> None:
    assert bytes(java_float(value)).decode() == printed
    assert float(printed) == value


def test_the_data_backend_prints_whole_rupees_without_a_point() -> None:
    assert [data_rupees(paise) for paise in (13_400, 13_355, 0)] == [134, 133.55, 0]


def placed(**changed: Any) -> object:
    raw = json.dumps(order_body(CALL, **changed)).encode()
    return place_order(raw, "SIMULATED", 1_770_000_000_000_000_000, lambda _: 10_000)


def refusal(**changed: Any) -> str:
    with pytest.raises(Refused) as refused:
        placed(**changed)
    assert refused.value.reply.status == 400
    answer: dict[str, str] = json.loads(refused.value.reply.body)
    return f"{answer['errorCode']} {answer['errorMessage']}"


GENERAL = "DH-905 Missing required fields, bad values for parameters etc."


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"quantity": ...}, "DH-905 quantity is required"),
        ({"quantity": 0}, "DH-905 quantity is required"),
        ({"dhanClientId": ...}, "DH-905 dhanClientId is required"),
        ({"dhanClientId": "another"}, GENERAL),
        ({"amoTime": ""}, GENERAL),
        ({"correlationId": "x" * 26}, GENERAL),
        ({"correlationId": "a/b"}, GENERAL),
        ({"transactionType": "buy"}, GENERAL),
        ({"exchangeSegment": "NSE_EQ"}, GENERAL),
        ({"productType": "CNC"}, GENERAL),
        ({"orderType": "ICEBERG"}, GENERAL),
        ({"orderType": ["LIMIT"]}, GENERAL),
        ({"validity": "GTC"}, GENERAL),
        ({"afterMarketOrder": "yes"}, GENERAL),
        ({"securityId": "abc"}, GENERAL),
        ({"securityId": "99999999999"}, GENERAL),
        ({"quantity": 10**12}, GENERAL),
        ({"quantity": True}, GENERAL),
        ({"quantity": 1.5}, GENERAL),
        ({"quantity": -65}, GENERAL),
        ({"price": 0}, GENERAL),
        ({"price": "a lot"}, GENERAL),
        ({"price": -1}, GENERAL),
        ({"price": 100.051}, "DH-905 EXCH:16283:The order price is not multiple of tick size"),
        ({"orderType": "STOP_LOSS", "triggerPrice": 0}, GENERAL),
        (
            {"orderType": "STOP_LOSS_MARKET", "transactionType": "SELL", "triggerPrice": 90},
            "DH-906 Trigger Price should be greater than Price",
        ),
        (
            {"orderType": "STOP_LOSS", "transactionType": "SELL", "triggerPrice": 99, "price": 100},
            "DH-906 Trigger Price should be greater than Price",
        ),
    ],
)
def test_what_the_gateway_refuses(changed: dict[str, Any], said: str) -> None:
    assert refusal(**changed) == said


def test_numbers_may_be_strings_and_unused_fields_null() -> None:
    plain = placed()
    assert placed(quantity=str(CALL.lot), securityId=CALL.key & 0xFFFFFFFF, price="100") == plain
    assert placed(boProfitValue=None, boStopLossValue=None, amoTime=None) == plain


def test_a_missing_correlation_id_is_made_of_client_and_time() -> None:
    assert getattr(placed(correlationId=...), "order_id") == "SIMULATED-1770000000000"  # noqa: B009 - PlaceOrder


def test_a_market_order_becomes_a_protected_limit() -> None:
    buy, sell = placed(orderType="MARKET", price=0), placed(orderType="MARKET", price=0, transactionType="SELL")
    assert (getattr(buy, "price_paise"), getattr(sell, "price_paise")) == (10_100, 9_900)  # noqa: B009


def test_a_modification_is_the_whole_order_again() -> None:
    row = BrokerOrder("c", "22", CALL.key, Side.SELL, OrderKind.LIMIT, BrokerStatus.PENDING, 65, 0, 0, 10_000)
    body = {"dhanClientId": "SIMULATED", "orderId": "22", "orderType": "LIMIT", "legName": "", "validity": "DAY"}
    whole = modify_order(json.dumps({**body, "quantity": 130, "price": 99.5}).encode(), row, lambda _: 0)
    assert (whole.order_id, whole.quantity, whole.price_paise, whole.kind) == ("c", 130, 9_950, OrderKind.LIMIT)
    with pytest.raises(Refused):
        modify_order(json.dumps({**body, "price": 99.5}).encode(), row, lambda _: 0)


async def place(visitor: Visitor, engine: SteppedEngine, **changed: Any) -> str:
    status, text = await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, **changed)))
    assert status == 200, text
    return str(json.loads(text)["orderId"])


async def test_an_order_by_id_by_correlation_and_unknown() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        number = await place(visitor, engine, price=LOW)
        by_id = await visitor.json("GET", f"/v2/orders/{number}")
        assert isinstance(by_id, list)
        assert by_id[0]["orderStatus"] == "PENDING"
        assert (await visitor.json("GET", "/v2/orders/external/t-1")) == by_id[0]
        assert await visitor.ask("GET", "/v2/orders/123") == (200, "[]")
        status, text = await visitor.ask("GET", "/v2/orders/external/nobody")
        assert (status, json.loads(text)["errorCode"]) == (404, "DH-906")
        assert await visitor.json("GET", "/orders/") == [by_id[0]], "without /v2 and with a trailing slash"
        await engine.leave()


async def test_modify_and_cancel_and_what_comes_after_the_end() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        number = await place(visitor, engine, price=LOW)
        path, body = f"/v2/orders/{number}", {**order_body(CALL, price=LOW + 1), "orderId": number, "legName": "NA"}
        changed = await engine.until(engine.request("PUT", path, body))
        assert json.loads(changed[1]) == {"orderId": number, "orderStatus": "TRANSIT"}
        assert (await visitor.json("GET", path))[0]["price"] == LOW + 1
        gone = await engine.until(engine.request("DELETE", path))
        assert (gone[0], json.loads(gone[1])) == (200, {"orderId": number, "orderStatus": "CANCELLED"})
        row = (await visitor.json("GET", path))[0]
        assert (row["orderStatus"], row["remainingQuantity"]) == ("CANCELLED", 0)
        for method, again in (("PUT", body), ("DELETE", None)):
            status, text = await engine.until(engine.request(method, path, again))
            assert (status, json.loads(text)["errorCode"]) == (400, "DH-906")
        status, text = await engine.until(engine.request("DELETE", "/v2/orders/999"))
        assert (status, json.loads(text)["errorMessage"]) == (
            400,
            "Incorrect request for order and cannot be processed",
        )
        await engine.leave()


async def test_a_wrong_lot_is_refused_in_the_answer() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        number = engine.request("POST", "/v2/orders", order_body(CALL, quantity=CALL.lot + 1))
        status, text = await engine.until(number)
        assert (status, json.loads(text)["errorCode"]) == (400, "DH-905")
        assert await visitor.json("GET", "/v2/orders") == []
        await engine.leave()


@pytest.mark.parametrize(
    ("method", "path", "raw"),
    [
        ("POST", "/v2/orders", b"\xff\xfe{"),
        ("POST", "/v2/orders", b"[1,2]"),
        ("POST", "/v2/orders", b"{" * 5_000),
        ("POST", "/v2/orders", b"x" * 1_048_576),
        ("PUT", "/v2/orders/22260203000001", b""),
        ("POST", "/v2/marketfeed/ltp", b"nonsense"),
        ("POST", "/v2/marketfeed/ltp", b'{"NSE_FNO":["a",null,-5,1e99,{}],"IDX_I":"13"}'),
        ("POST", "/v2/marketfeed/quote", b"[]"),
        ("POST", "/v2/optionchain", b'{"UnderlyingScrip":13,"UnderlyingSeg":"IDX_I","Expiry":"soon"}'),
        ("POST", "/v2/optionchain", b'{"UnderlyingScrip":13,"UnderlyingSeg":"IDX_I","Expiry":"2031-01-01"}'),
        ("POST", "/v2/optionchain", b'{"UnderlyingScrip":[13],"UnderlyingSeg":{}}'),
        ("POST", "/v2/optionchain/expirylist", b"{"),
        ("POST", "/v2/charts/intraday", b"{}"),
        ("POST", "/v2/charts/intraday", b'{"securityId":"x","exchangeSegment":"IDX_I","interval":"1"}'),
        ("POST", "/sim/faults", b'{"explode":true}'),
        ("POST", "/sim/faults", b"["),
        ("PATCH", "/v2/orders", b"{}"),
        ("GET", "/nowhere", b""),
        ("GET", "/v2/instrument/NOWHERE", b""),
    ],
)
async def test_bad_input_is_answered_with_a_body_of_json_and_nothing_falls_over(
    method: str, path: str, raw: bytes
) -> None:
    async with serving() as (_, visitor):
        status, text = await visitor.ask(method, path, raw=raw)
        assert 200 <= status < 500, text
        json.loads(text)
        assert "Traceback" not in text
        assert (await visitor.ask("GET", "/v2/fundlimit"))[0] == 200


async def test_a_fault_of_ours_is_a_500_and_one_line_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as (server, visitor):
        monkeypatch.setattr(server.venue.world, "book", lambda: 1 // 0)
        status, text = await visitor.ask("GET", "/v2/orders")
        assert (status, json.loads(text)["errorCode"]) == (500, "DH-908")
    failed = [record for record in caplog.records if "ZeroDivisionError" in record.getMessage()]
    assert len(failed) == 1
    assert failed[0].exc_info is None
    assert "\n" not in failed[0].getMessage()


async def test_what_is_no_http_is_refused_and_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (server, visitor):
        reader, writer = await asyncio.open_connection(HOST, server.port)
        writer.write(b"GET / HTTP/1.1\r\nContent-Length: abc\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
        writer.close()
        await writer.wait_closed()
        assert (await visitor.ask("GET", "/v2/fundlimit"))[0] == 200
    (said,) = [record for record in caplog.records if "Content-Length" in record.getMessage()]
    assert said.exc_info is None
    assert "\n" not in said.getMessage()


async def test_dead_tokens_are_told_so_by_each_family_in_its_way() -> None:
    async with serving() as (_, visitor):
        told = {
            path: await visitor.ask(method, path, {}, token="dead")
            for method, path in (
                ("GET", "/v2/positions"),
                ("POST", "/v2/orders"),
                ("POST", "/v2/charts/intraday"),
                ("POST", "/v2/optionchain"),
            )
        }
    codes = {path: (status, json.loads(text).get("errorCode")) for path, (status, text) in told.items()}
    assert codes["/v2/positions"] == (401, "DH-901")
    assert codes["/v2/orders"] == codes["/v2/charts/intraday"] == (400, "DH-906")
    assert told["/v2/optionchain"][0] == 401
    assert "808" in json.loads(told["/v2/optionchain"][1])["data"]


def test_ten_orders_a_second_and_two_hundred_and_fifty_a_minute() -> None:
    limits = RateLimits()
    assert [limits.take(Family.ORDER, 0) for _ in range(11)] == [True] * 10 + [False]
    assert not limits.take(Family.ORDER, NS_PER_SECOND - 1)
    assert limits.take(Family.ORDER, NS_PER_SECOND)
    taken = sum(limits.take(Family.ORDER, NS_PER_SECOND * 2 + step * 100_000_001) for step in range(300))
    assert taken == 250 - 11


def test_the_option_chain_has_one_request_per_three_seconds_and_series() -> None:
    limits = RateLimits()
    assert limits.take(Family.CHAIN, 0, "13/a")
    assert limits.take(Family.CHAIN, 0, "13/b")
    assert not limits.take(Family.CHAIN, 3 * NS_PER_SECOND - 1, "13/a")
    assert limits.take(Family.CHAIN, 3 * NS_PER_SECOND, "13/a")


async def test_rates_are_counted_while_time_runs_in_virtual_time() -> None:
    clock = HandClock()
    async with serving(world_of(), clock, rate=10.0) as (_, visitor):
        for _ in range(3):
            assert (await visitor.ask("POST", "/v2/marketfeed/ltp", {"IDX_I": [13]}))[0] == 200, "time stands"
        feed = await visitor.feed()
        statuses = [(await visitor.ask("POST", "/v2/marketfeed/ltp", {"IDX_I": [13]}))[0] for _ in range(2)]
        assert statuses == [200, 429]
        clock.move(NS_PER_SECOND // 10)
        assert (await visitor.ask("POST", "/v2/marketfeed/ltp", {"IDX_I": [13]}))[0] == 200
        status = await visitor.json("GET", "/sim/status")
        assert status["rate_limited"] == 1
        await feed.close()


async def test_in_stepped_time_only_the_engines_numbered_requests_are_counted() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        body = {"IDX_I": [13]}
        assert [(await visitor.ask("POST", "/v2/marketfeed/ltp", body))[0] for _ in range(3)] == [200] * 3
        numbered = [engine.request("POST", "/v2/marketfeed/ltp", body) for _ in range(2)]
        await engine.until(numbered[1])
        assert sorted([(await engine.answers[number])[0] for number in numbered]) == [200, 429]
        await engine.leave()


async def test_limits_can_be_switched_off() -> None:
    async with serving(limited=False) as (_, visitor):
        feed = await visitor.feed()
        statuses = [(await visitor.ask("POST", "/v2/marketfeed/ltp", {"IDX_I": [13]}))[0] for _ in range(5)]
        assert statuses == [200] * 5
        await feed.close()


async def test_a_port_in_use_is_told_in_one_line_with_the_remedy() -> None:
    async with serving() as (server, _):
        other = SimulatorServer(world_of(), SimulatorConfig(port=server.port), HandClock())
        with pytest.raises(ConfigError, match=f"^port {server.port} is in use on {HOST}; .* --port$"):
            await other.start()


async def test_quotes_of_what_nobody_watches_are_priced_now() -> None:
    async with serving() as (server, visitor):
        body = await visitor.json("POST", "/v2/marketfeed/ltp", {"IDX_I": [13, 13], "NSE_EQ": [13]})
        world = server.venue.world
        assert body["data"] == {
            "IDX_I": {"13": {"last_price": world.market.quote(NIFTY.key, world.now_ns).tick.ltp_paise / 100}},
            "NSE_EQ": {},
        }
        assert world.market.day == DAY


class SlowMachine(HandClock):
    """A millisecond goes by whenever somebody looks at the clock."""

    def now_ns(self) -> int:
        self.move(NS_PER_MS)
        return super().now_ns()


def test_a_paced_clock_that_cannot_keep_up_slips_instead_of_chasing() -> None:
    clock, world = SlowMachine(), world_of()
    server = SimulatorServer(world, SimulatorConfig(rate=60.0), clock)
    paced = server.time.paced
    assert isinstance(paced, PacedTime)
    server.venue.world.watch([NIFTY.key])
    paced.begin()
    clock.move(60 * NS_PER_SECOND)
    assert not paced.catch_up()
    assert paced.slipped_ns > 0
    assert paced.now_ns() - world.now_ns < NS_PER_SECOND, "it goes on from where it stands"


def test_accepted_is_the_only_yes() -> None:
    # The stage's worlds answer as the ports say: this guards the fixture the tests above rest on.
    world = world_of()
    world.submit(place_order(json.dumps(order_body(CALL, price=LOW)).encode(), "SIMULATED", 0, lambda _: 0), 7)
    while not (answers := [each for each in world.step(world.next_ns() or 0) if getattr(each, "token", 0) == 7]):
        pass
    assert isinstance(getattr(answers[0], "result"), Accepted)  # noqa: B009
