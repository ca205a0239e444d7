"""What the simulator answers, beside what Dhan was recorded answering: same keys in the same order, same types and styles.

Integers, decimals and scientific notation count as different styles where the recorded backend keeps them apart; the data
backend prints whole prices as integers, so there a number is a number.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_scalper.domain.instruments import NIFTY, Contract
from algo_scalper.interfaces.simulator.account import AccountFacts, HoldingFacts
from algo_scalper.interfaces.simulator.main import SimulatorOptions, build_world
from algo_scalper.interfaces.simulator.master import COMPACT_HEADER, DETAILED_HEADER
from algo_scalper.simulation.world import World
from tests.shared_data import ROOT, shared
from tests.unit.simulator.stage import DAY, WORD, SteppedEngine, Visitor, near_call, order_body, serving, world_of

SAMPLES = "wire_samples/rest"
CHAIN = "/v2/optionchain"


class Style(str):
    """A number as it was written: ``int``, ``float`` or ``exponent``."""

    __slots__ = ()


def styled(text: str) -> Any:
    """JSON with every number replaced by its style."""
    return json.loads(
        text,
        parse_int=lambda _: Style("int"),
        parse_float=lambda written: Style("exponent" if "E" in written.upper() else "float"),
    )


def sample(name: str) -> tuple[int, Any]:
    """(status, styled body) of a recording."""
    path = shared(f"{SAMPLES}/{name}")
    recorded = styled(path.read_text())
    answer = recorded["response"]
    status = json.loads(path.read_text())["response"]["status"]
    if "body" in answer:
        return status, answer["body"]
    if "body_file" in answer:
        return status, styled(shared(f"{SAMPLES}/{answer['body_file']}").read_text())
    return status, styled(answer["body_text"])


def same_shape(ours: Any, real: Any, where: str, *, lenient: bool = False) -> None:
    """Keys, their order, and the style of every value; ``lenient`` lets any number stand for any other."""
    if isinstance(real, dict):
        assert list(ours) == list(real), where
        for key, value in real.items():
            same_shape(ours[key], value, f"{where}.{key}", lenient=lenient)
    elif isinstance(real, list):
        assert isinstance(ours, list), where
        if real and ours:
            same_shape(ours[0], real[0], f"{where}[0]", lenient=lenient)
    elif isinstance(real, Style):
        assert isinstance(ours, Style), where
        assert lenient or ours == real, f"{where}: {ours} where Dhan writes {real}"
    elif isinstance(real, str):
        assert type(ours) is str, where
        if re.search(r"\d{4}-\d{2}-\d{2}", real):
            assert re.sub(r"\d", "9", ours) == re.sub(r"\d", "9", real), where
    else:
        assert type(ours) is type(real), where


async def traded() -> dict[str, str]:
    """The book, trades and positions of an account that bought and sold one lot."""
    world = world_of()
    call = near_call(world.market)
    async with serving(world, stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        ask = world.market.quote(call.key, world.now_ns).tick.ask_paise / 100
        await engine.until(engine.request("POST", "/v2/orders", order_body(call, price=ask + 2)))
        await engine.until(engine.request("POST", "/v2/orders", order_body(call, "SELL", price=ask - 5)))
        for _ in range(10):
            await engine.step()
        paths = ("/v2/orders", "/v2/trades", "/v2/positions")
        texts = {path: (await visitor.ask("GET", path))[1] for path in paths}
        await engine.leave()
        return texts


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/orders", "LIVE_GET_orders_20260930.json"),
        ("/v2/trades", "LIVE_GET_trades_20260930.json"),
    ],
)
async def test_rows_of_a_traded_order(path: str, name: str) -> None:
    _, real = sample(name)
    same_shape(styled((await traded())[path]), real, path)


async def test_a_position_opened_today() -> None:
    _, real = sample("LIVE_GET_positions_20260930.json")
    today = [row for row in real if re.search(r" \d\d:", row["drvExpiryDate"])]
    assert today, "the sample holds rows opened on its day"
    same_shape(styled((await traded())["/v2/positions"]), today, "positions")


async def test_a_rejected_row() -> None:
    _, real = sample("SANDBOX_order_row_rejected_20260908.json")
    world = world_of()
    call = near_call(world.market)
    async with serving(world, stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.until(engine.request("POST", "/v2/orders", order_body(call, quantity=call.lot * 20, price=150.0)))
        rows = await visitor.ask("GET", "/v2/orders")
        await engine.leave()
    ours = json.loads(rows[1])[0]
    same_shape(styled(rows[1])[0], {**real, "drvExpiryDate": "2026-02-10"}, "row")
    assert ours["orderStatus"] == "REJECTED"
    assert ours["omsErrorCode"] == "0"
    assert ours["exchangeOrderId"] == "0"
    assert ours["exchangeTime"] == "0001-01-01 00:00:00"
    assert ours["remainingQuantity"] == ours["quantity"]
    assert re.match(
        r"RMS:\d+:You have insufficient funds\. Please add Rs\.[\d.]+ to trade\.", ours["omsErrorDescription"]
    )


Asks = Callable[[Visitor], Any]

SIMPLE: list[tuple[str, Asks]] = [
    ("LIVE_GET_fundlimit_20260908.json", lambda v: v.ask("GET", "/v2/fundlimit")),
    ("LIVE_GET_profile_20260908.json", lambda v: v.ask("GET", "/v2/profile")),
    ("LIVE_GET_holdings_empty_20260908.json", lambda v: v.ask("GET", "/v2/holdings")),
    ("LIVE_GET_ip_getIP_20260908.json", lambda v: v.ask("GET", "/v2/ip/getIP")),
    ("GET_v2_orders_401_01.json", lambda v: v.ask("GET", "/v2/orders", token="dead")),
    ("POST_v2_marketfeed_ltp_401_01.json", lambda v: v.ask("POST", "/v2/marketfeed/ltp", {}, token="dead")),
    ("POST_v2_charts_historical_400_01.json", lambda v: v.ask("POST", "/v2/charts/intraday", {}, token="dead")),
    ("POST_v2_orders_400_01.json", lambda v: v.ask("POST", "/v2/orders", raw=b"")),
    ("LIVE_POST_orders_quantity_required_20260908.json", lambda v: v.ask("POST", "/v2/orders", without_quantity())),
    (
        "LIVE_POST_expirylist_invalid_20260908.json",
        lambda v: v.ask("POST", CHAIN + "/expirylist", underlying(99999999)),
    ),
    ("LIVE_POST_marketfeed_ltp_20260908.json", lambda v: v.ask("POST", "/v2/marketfeed/ltp", {"IDX_I": [13]})),
    ("POST_v2_marketfeed_ltp_200_01.json", lambda v: v.ask("POST", "/v2/marketfeed/ltp", {"NSE_FNO": [11111]})),
    ("POST_v2_marketfeed_quote_200_03.json", lambda v: v.ask("POST", "/v2/marketfeed/quote", {"nSEFno": [49081]})),
    (
        "LIVE_POST_charts_intraday_span_20260908.json",
        lambda v: v.ask("POST", "/v2/charts/intraday", chart("2025-06-01")),
    ),
    (
        "LIVE_POST_charts_intraday_unknown_id_20260908.json",
        lambda v: v.ask("POST", "/v2/charts/intraday", chart("2026-02-03", 99999999)),
    ),
    ("POST_charts_intraday_400_01.json", lambda v: v.ask("POST", "/charts/intraday", chart("2026-02-03", 99999999))),
]


def without_quantity() -> dict[str, Any]:
    return order_body(near_call(world_of().market), quantity=...)


def underlying(number: int) -> dict[str, Any]:
    return {"UnderlyingScrip": number, "UnderlyingSeg": "IDX_I"}


def chart(begin: str, number: int = 13) -> dict[str, Any]:
    return {
        "securityId": str(number),
        "exchangeSegment": "IDX_I",
        "instrument": "INDEX",
        "interval": "1",
        "oi": False,
        "fromDate": begin,
        "toDate": "2026-02-03",
    }


@pytest.mark.parametrize(("name", "asks"), SIMPLE, ids=[name for name, _ in SIMPLE])
async def test_the_same_answer_to_the_same_question(name: str, asks: Asks) -> None:
    status, real = sample(name)
    async with serving() as (_, visitor):
        got_status, got = await asks(visitor)
    assert got_status == status
    same_shape(styled(got), real, name, lenient="marketfeed" in name)
    if isinstance(real, dict) and ("errorCode" in real or real.get("status") == "failed"):
        recorded = json.loads(shared(f"{SAMPLES}/{name}").read_text())["response"]
        assert json.loads(got) == recorded.get("body", json.loads(recorded.get("body_text", "null")))


async def test_an_unknown_path_has_the_gateways_own_body() -> None:
    status, real = sample("GET_v2_invalid_endpoint_404_01.json")
    async with serving() as (_, visitor):
        got_status, got = await visitor.ask("GET", "/v2/invalid_endpoint")
    assert got_status == status
    same_shape(styled(got), real, "404")
    assert json.loads(got)["path"] == "/v2/invalid_endpoint"


async def test_ohlc_and_quote_of_an_option() -> None:
    call = near_call(world_of().market)
    body = {"NSE_FNO": [call.key & 0xFFFFFFFF]}
    for kind, name in (
        ("ohlc", "POST_v2_marketfeed_ohlc_200_02.json"),
        ("quote", "POST_v2_marketfeed_quote_200_01.json"),
    ):
        _, real = sample(name)
        async with serving() as (_, visitor):
            got = styled((await visitor.ask("POST", f"/v2/marketfeed/{kind}", body))[1])
        same_shape(next(iter(got["data"]["NSE_FNO"].values())), real["data"]["NSE_FNO"]["49081"], kind, lenient=True)


async def test_an_option_chain_leg_has_the_recorded_keys_and_dhan_like_greeks() -> None:
    _, real = sample("LIVE_option_chain_two_strikes_20260914.json")
    world = world_of()
    call = near_call(world.market)
    async with serving(world) as (_, visitor):
        asked = {**underlying(13), "Expiry": call.expiry.isoformat()}
        _, text = await visitor.ask("POST", CHAIN, asked)
        lower = {name[0].lower() + name[1:]: value for name, value in asked.items()}
        assert (await visitor.ask("POST", CHAIN, lower))[1] == text, "lower-camel keys are accepted too"
    got = styled(text)
    assert list(got) == list(real)
    assert list(got["data"]) == list(real["data"])
    leg, real_leg = got["data"]["oc"][f"{call.strike_paise / 100:.6f}"], real["data"]["oc"]["23950.000000"]
    same_shape(leg, real_leg, "leg", lenient=True)
    at_the_money = json.loads(text)["data"]["oc"][f"{call.strike_paise / 100:.6f}"]
    assert 0.3 < at_the_money["ce"]["greeks"]["delta"] < 0.7
    assert -0.7 < at_the_money["pe"]["greeks"]["delta"] < -0.3
    assert 4 < at_the_money["ce"]["implied_volatility"] < 60
    strikes = [float(strike) for strike in json.loads(text)["data"]["oc"]]
    assert strikes == sorted(strikes)


async def test_the_expiry_list_is_ascending_and_begins_today_or_later() -> None:
    _, real = sample("POST_v2_optionchain_expirylist_200_01.json")
    async with serving() as (_, visitor):
        _, text = await visitor.ask("POST", CHAIN + "/expirylist", underlying(13))
    same_shape(styled(text), real, "expirylist")
    listed = json.loads(text)["data"]
    assert listed == sorted(listed)
    assert listed[0] >= DAY.isoformat()


async def test_charts_print_prices_plainly_and_times_in_scientific_notation() -> None:
    _, real = sample("POST_v2_charts_intraday_200_01.json")
    async with serving() as (_, visitor):
        _, text = await visitor.ask("POST", "/v2/charts/intraday", chart("2026-02-02"))
    got = styled(text)
    assert list(got) == list(real)
    for column in real:
        assert set(got[column]) == {real[column][0]} == set(real[column]), column
    assert '"timestamp":[1.7700039E9,1.77000396E9,' in text, "09:15 and 09:16 IST of the session before"


def master_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


async def test_the_compact_master_reads_like_the_real_one() -> None:
    path = shared("wire_samples/csv/compact_rows_2026-02.csv")
    real = master_rows(path.read_text())
    assert path.read_text().splitlines()[0] == COMPACT_HEADER
    async with serving() as (_, visitor):
        _, text = await visitor.ask("GET", "/api-data/api-scrip-master.csv")
    ours = master_rows(text)
    indices = {row["SEM_SMST_SECURITY_ID"]: row for row in ours if row["SEM_SEGMENT"] == "I"}
    for row in real:
        if row["SEM_SEGMENT"] == "I" and row["SEM_SMST_SECURITY_ID"] != "38":
            assert indices[row["SEM_SMST_SECURITY_ID"]] == row
    for exchange in ("NSE", "BSE"):
        theirs = next(
            row for row in real if (row["SEM_EXM_EXCH_ID"], row["SEM_INSTRUMENT_NAME"]) == (exchange, "OPTIDX")
        )
        mine = next(row for row in ours if (row["SEM_EXM_EXCH_ID"], row["SEM_INSTRUMENT_NAME"]) == (exchange, "OPTIDX"))
        for column, value in theirs.items():
            assert shape_of(mine[column]) == shape_of(value), column
    symbols = [row["SEM_TRADING_SYMBOL"] for row in ours if row["SEM_INSTRUMENT_NAME"] == "OPTIDX"]
    assert len(set(symbols)) < len(symbols), "weeklies of a month share a symbol"
    assert {row["SEM_SMST_SECURITY_ID"] for row in ours if row["SEM_SEGMENT"] == "E"} >= {"13"}, "13 is NIFTY and ABB"


def shape_of(text: str) -> str:
    """Digits as 9, runs of letters as a: ``NIFTY-Feb2026-25000-CE`` and its like are one."""
    return re.sub(r"9+", "9", re.sub(r"\d", "9", re.sub(r"[A-Za-z]+", "a", text)))


async def test_the_detailed_master_is_reached_through_a_redirect() -> None:
    path = shared("wire_samples/csv/detailed_rows_2026-09.csv")
    real = path.read_text().splitlines()
    assert real[0] == DETAILED_HEADER
    async with serving() as (_, visitor):
        status, text = await visitor.ask("GET", "/v2/instrument/NSE_FNO")
    assert status == 200, "the client follows redirects"
    header, first = text.splitlines()[:2]
    assert header == real[0]
    theirs = next(line for line in real if ",OPTIDX," in line and line.startswith("NSE"))
    assert [bool(field) for field in first.split(",")] == [bool(field) for field in theirs.split(",")]
    assert first.split(",")[-2] == str(contract_in(world_of(), first.split(",")[2]).freeze_quantity + 1)


def contract_in(world: World, security_id: str) -> Contract:
    return next(one for one in world.contracts if str(one.key & 0xFFFFFFFF) == security_id)


async def alerts_of_a_trade() -> list[dict[str, Any]]:
    world = world_of()
    call = near_call(world.market)
    async with serving(world, stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        ask = world.market.quote(call.key, world.now_ns).tick.ask_paise / 100
        await engine.until(engine.request("POST", "/v2/orders", order_body(call, price=ask + 2)))
        stop = order_body(call, "SELL", orderType="STOP_LOSS", price=ask - 25, triggerPrice=ask - 20, correlationId="s")
        placed = await engine.until(engine.request("POST", "/v2/orders", stop))
        number = json.loads(placed[1])["orderId"]
        changed = {**stop, "orderId": number, "legName": "NA", "triggerPrice": ask - 19}
        await engine.until(engine.request("PUT", f"/v2/orders/{number}", changed))
        for _ in range(4):
            await engine.step()
        await engine.leave()
        return [json.loads(frame) for frame in engine.order_frames]


@pytest.mark.parametrize(
    ("name", "status"),
    [("nifty_option_lmt_traded_20250326.json", "Traded"), ("nifty_option_sl_modified_20250312.json", "Modified")],
)
async def test_order_alerts_have_the_recorded_keys_and_types(name: str, status: str) -> None:
    real = json.loads(shared(f"wire_samples/order_update/{name}").read_text())["message"]
    ours = next(alert for alert in await alerts_of_a_trade() if alert["Data"]["status"] == status)
    assert ours["Type"] == real["Type"]
    # Since 2026 two more keys come along.
    assert set(real["Data"]) - set(ours["Data"]) == set()
    assert set(ours["Data"]) - set(real["Data"]) <= {"strategyId", "correlationId"}
    for key, value in real["Data"].items():
        mine = ours["Data"][key]
        assert isinstance(mine, str) == isinstance(value, str), key
        if isinstance(value, str) and re.search(r"\d{4}-", value) and key != "correlationId":
            assert shape_of(mine) == shape_of(value), key
    assert 0 not in ours["Data"].values(), "zero-valued numbers are omitted"


def test_a_recorded_day_can_be_served(tmp_path: Path) -> None:
    world = build_world(
        SimulatorOptions(index=shared("data/parquet/nifty_1m_2026.parquet"), day=DAY, state=tmp_path / "state.json"), 0
    )
    assert world.market.regime == "recorded"
    assert world.history(NIFTY.key, world.now_ns), "the session before is there for warm-up"


# Every recorded request of the collection of fixtures

FIXTURES = "data/dhan_fixtures"
NO_SHAPE = {
    "positions/200_90e95c1579.json": "a carried position of another market; those opened today are compared above",
    "v2_marketfeed_ltp/200_11a4922873.json": "an error of a client's own making, in neither of the server's two envelopes",
    "v2_orders/201_7131acd6c7.json": "the documentation's sample played back",
    "v2_orders_112111182198/200_36457145ab.json": "the documentation's sample played back",
    "v2_orders_112111182198/201_0785e565b1.json": "the documentation's sample played back",
    "v2_orders_112111182198/400_0bd6f0f63c.json": "made up: an order's id alone is no bad input",
    "v2_positions_convert/200_11e21e893f.json": "the documents and the brief answer of the server are 202 without a body",
    "v2_profile/200_dc6c882156.json": "the sandbox's, without mtf and dataValidity",
    "v2_trades_123456789/200_a02e2d37a2.json": "made up: three keys of nineteen",
    "v2_marketfeed_quote/429_5a266dba25.json": "its errorType is Input_Exception; every other 429 says Rate_Limit",
}
"""Fixtures whose body is no model, each with the reason."""
LATER_KEYS = {"average_price", "security_id"}
"""Of an option-chain leg: since the spring of 2026."""


def fixture_names() -> list[str]:
    root = ROOT / FIXTURES
    return sorted(str(path.relative_to(root)) for path in root.glob("*/*.json") if path.parent.name != "_other")


def asked_here(request: Any, world: World, *, is_v2: bool) -> Any:
    """The recorded request with this market's account, dates and contracts in the place of its own."""
    if not isinstance(request, dict):
        return chart("2026-02-02") if request == "<REQUEST_BODY>" else request or None
    sent = {name: WORD if name == "dhanClientId" else value for name, value in request.items()}
    call = near_call(world.market)
    if sent.get("securityId") in ("1333", "13") and "fromDate" in sent and is_v2:
        sent.update(securityId="13", exchangeSegment="IDX_I", instrument="INDEX")
        one_day = sent.get("fromDate") == "2024-01-15"
        sent.update(fromDate="2026-02-02", toDate="2026-02-02" if one_day and "interval" in sent else "2026-02-03")
    if "orderType" in sent:
        sent = order_body(call, orderType="MARKET", price=0, correlationId=sent["correlationId"])
    for name in ("Expiry", "expiry"):
        if name in sent:
            sent[name] = call.expiry.isoformat()
    if sent.get("NSE_FNO") == [49081]:
        sent["NSE_FNO"] = [call.key & 0xFFFFFFFF]
    return sent


async def asked_of(visitor: Visitor, engine: SteppedEngine, fixture: dict[str, Any], world: World) -> tuple[int, str]:
    """What the simulator says to a fixture's request, in the state the fixture was recorded in."""
    method, path, status = fixture["method"], fixture["path"], fixture["status"]
    sent = asked_here(fixture["request_body"], world, is_v2=path.startswith("/v2"))
    if path.startswith("/v2/trades/2024"):
        path = f"/v2/trades/{DAY}/{DAY}/0"
    number = path.rpartition("/")[2]
    if number.isdecimal() and "/orders/" in path and method in ("GET", "DELETE"):
        rest = order_body(near_call(world.market), price=round(world_ask(world) * 0.7))
        placed = await engine.until(engine.request("POST", "/v2/orders", rest))
        path = f"/v2/orders/{json.loads(placed[1])['orderId']}"
    if status == 429:
        sent = chart("2026-02-02")
        statuses = [engine.request(method, path, sent) for _ in range(6)]
        return await engine.until(statuses[-1])
    dead = status == 401 or "Invalid Token" in str(fixture["response_body"])
    if method == "GET":
        return await visitor.ask(method, path, token="dead" if dead else WORD)
    if dead:
        return await visitor.ask(method, path, sent, token="dead")
    return await engine.until(engine.request(method, path, sent))


def world_ask(world: World) -> float:
    return world.market.quote(near_call(world.market).key, world.now_ns).tick.ask_paise / 100


@pytest.mark.parametrize("name", fixture_names() or ["absent"])
async def test_every_recorded_request_gets_an_answer_of_the_same_shape(name: str) -> None:
    path = shared(f"{FIXTURES}/{name}")
    if name in NO_SHAPE:
        pytest.skip(f"no model: {NO_SHAPE[name]}")
    fixture = json.loads(path.read_text())
    real = styled(path.read_text())["response_body"]
    holdings = (
        HoldingFacts(total_qty=2, dp_qty=1, t1_qty=1, available_qty=2, avg_cost_price=252.05, last_traded_price=251.06),
    )
    world = world_of()
    async with serving(world, stepped=True, account=AccountFacts(holdings=holdings)) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        if real and name.startswith(("v2_trades/", "v2_trades_2024", "v2_orders/200_6b")):
            price = world_ask(world) + 2
            await engine.until(engine.request("POST", "/v2/orders", order_body(near_call(world.market), price=price)))
        status, text = await asked_of(visitor, engine, fixture, world)
        await engine.leave()
    assert status == fixture["status"]
    got = styled(text)
    if "error" in str(fixture["response_body"]) and "timestamp" not in str(fixture["response_body"]):
        assert json.loads(text) == fixture["response_body"]
    if name.startswith("v2_optionchain/"):
        legs = [leg for row in (*got["data"]["oc"].values(), *real["data"]["oc"].values()) for leg in row.values()]
        wanted = {key for leg in legs for key in leg} - LATER_KEYS
        assert all(set(leg) - LATER_KEYS == wanted for leg in legs)
        got["data"]["oc"] = real["data"]["oc"] = {}
    if name.startswith("v2_charts") and isinstance(got, dict) and "open" in got:
        assert got["open"], "there is something to compare"
        assert list(got) == list(real)
        return
    if name == "v2_marketfeed_ohlc/200_f5c68c414c.json":
        ((number, printed),) = got["data"]["NSE_FNO"].items()
        got["data"]["NSE_FNO"] = {"49081" if number else "": printed}
    same_shape(_plain(got), _plain(real), name, lenient="marketfeed" in name or "optionchain" in name)


def _plain(body: Any) -> Any:
    """The fixtures were re-encoded: an exponent is a float there. Sandbox rows of equity have no expiry or a zero time."""
    if isinstance(body, Style):
        return Style("float" if body == "exponent" else body)
    if isinstance(body, dict):
        told = {key: _plain(value) for key, value in body.items()}
        for key in ("drvExpiryDate", "exchangeTime", "tokenValidity"):
            if key in told:
                told[key] = str(told[key])[:0]
        return told
    return [_plain(value) for value in body] if isinstance(body, list) else body
