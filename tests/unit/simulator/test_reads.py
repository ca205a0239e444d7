"""Charts, statements, margins, files, holdings papers: what can be read, and that nothing sent makes the server fall."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.interfaces.simulator.calls import Call
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.endpoints import ENDPOINTS, find
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.replies import Reply
from tests.unit.simulator.accounts import GENERAL, body, trading
from tests.unit.simulator.stage import DAY, HandClock, market_of, near_call, order_body, serving, world_of

CALL = near_call(market_of())
OPEN_NS = market_of().axis.open_ns


def chart(**fields: Any) -> dict[str, Any]:
    base = {
        "securityId": str(CALL.key & 0xFFFFFFFF),
        "exchangeSegment": "NSE_FNO",
        "instrument": "OPTIDX",
        "interval": "1",
        "oi": True,
        "fromDate": DAY.isoformat(),
        "toDate": DAY.isoformat(),
    }
    return {**base, **fields}


# Charts


async def test_an_option_s_minutes_are_what_was_printed_in_them() -> None:
    world = world_of(after_open_s=605)
    async with serving(world) as (_, visitor):
        bars = await visitor.json("POST", "/v2/charts/intraday", chart())
        line = world.market.line(CALL.key)
        printed = [line.quote(second).tick for second in range(60, 120) if line.prints(second)]
        at = bars["timestamp"].index((OPEN_NS + NS_PER_MINUTE) / NS_PER_SECOND)
        assert bars["high"][at] == max(tick.ltp_paise for tick in printed) / 100
        assert bars["low"][at] == min(tick.ltp_paise for tick in printed) / 100
        assert bars["close"][at] == printed[-1].ltp_paise / 100
        assert bars["open_interest"][at] == printed[-1].oi
        assert len(bars["open"]) <= 10, "the eleventh minute is not over"
        assert sum(bars["volume"]) == line.quote(599).tick.volume
        joined = await visitor.json("POST", "/v2/charts/intraday", chart(interval="5"))
        assert len(joined["open"]) == 2
        assert joined["high"][0] == max(bars["high"][:5])
        assert sum(joined["volume"]) == sum(bars["volume"])


async def test_daily_bars_end_before_to_date_and_today_s_comes_after_the_close() -> None:
    world = world_of()
    index = chart(securityId="13", exchangeSegment="IDX_I", instrument="INDEX", oi=False)
    asked = {**index, "fromDate": "2026-01-01", "toDate": (DAY + timedelta(days=1)).isoformat()}
    async with serving(world) as (_, visitor):
        before = await visitor.json("POST", "/v2/charts/historical", asked)
        assert len(before["close"]) == 1
        assert before["close"][0] * 100 == world.previous_close_paise[NIFTY.key]
        # IST midnight of the second of February.
        assert before["timestamp"] == [1_769_970_600.0]
        none = await visitor.json("POST", "/v2/charts/historical", {**asked, "toDate": "2026-02-02"})
        assert none == {name: [] for name in before}
    over = world_of(after_open_s=400 * 60)
    async with serving(over) as (_, visitor):
        after = await visitor.json("POST", "/v2/charts/historical", asked)
        assert len(after["close"]) == 2
        assert after["low"][1] <= after["open"][1] <= after["high"][1]


ROLLING = {
    "exchangeSegment": "NSE_FNO",
    "interval": "1",
    "securityId": 13,
    "instrument": "OPTIDX",
    "expiryFlag": "WEEK",
    "expiryCode": 1,
    "strike": "ATM",
    "drvOptionType": "CALL",
    "requiredData": ["open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot"],
    "fromDate": DAY.isoformat(),
    "toDate": (DAY + timedelta(days=1)).isoformat(),
}


async def test_rolling_options_follow_the_money() -> None:
    async with serving(world_of(after_open_s=1_805)) as (_, visitor):
        answer = await visitor.json("POST", "/v2/charts/rollingoption", ROLLING)
        ce = answer["data"]["ce"]
        assert answer["data"]["pe"] is None
        assert len(ce["timestamp"]) == 30
        assert all(abs(strike - spot) <= 25 for strike, spot in zip(ce["strike"], ce["spot"], strict=True))
        assert all(low <= close <= high for low, close, high in zip(ce["low"], ce["close"], ce["high"], strict=True))
        put = {**ROLLING, "drvOptionType": "PUT", "strike": "ATM-2", "interval": "5", "requiredData": ["strike"]}
        pe = (await visitor.json("POST", "/v2/charts/rollingoption", put))["data"]["pe"]
        assert len(pe["strike"]) == 6
        assert pe["close"] == []
        assert abs(pe["strike"][0] - ce["strike"][4]) <= 150
        past = {**ROLLING, "fromDate": "2026-01-05", "toDate": "2026-01-09"}
        assert (await visitor.json("POST", "/v2/charts/rollingoption", past))["data"]["ce"]["close"] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"expiryCode": 0}, "expiryCode is required"),
        ({"strike": "OTM"}, GENERAL),
        ({"strike": "ATM+11"}, GENERAL),
        ({"interval": "3"}, GENERAL),
        ({"requiredData": []}, GENERAL),
        ({"fromDate": "soon"}, GENERAL),
        ({"fromDate": "2025-12-01"}, "Data for Expired Options can be fetched for 30 days at a time"),
    ],
)
async def test_bad_questions_about_rolling_options(changed: dict[str, Any], said: str) -> None:
    async with serving() as (_, visitor):
        status, text = await visitor.ask("POST", "/v2/charts/rollingoption", {**ROLLING, **changed})
        assert (status, json.loads(text)["errorMessage"]) == (400, said)


# Statements


async def test_trades_with_their_costs_and_the_ledger_agree_with_the_funds() -> None:
    async with trading() as trader:
        await trader.buy(CALL)
        await trader.do("POST", "/v2/orders", order_body(CALL, "SELL", price=trader.ask(CALL) - 5))
        await trader.pass_seconds(2)
        path = f"/v2/trades/{DAY}/{DAY}"
        bought, sold = await trader.get(f"{path}/0")
        assert [bought["transactionType"], sold["transactionType"]] == ["BUY", "SELL"]
        assert bought["brokerageCharges"] == 20.0
        assert (bought["stt"], sold["stampDuty"]) == (0.0, 0.0)
        assert bought["customSymbol"] == "NIFTY " + f"{CALL.expiry:%d %b}".upper() + f" {CALL.strike_paise // 100} CALL"
        assert await trader.get(f"{path}/1") == []
        assert await trader.get("/v2/trades/2026-01-01/2026-01-31/0") == []
        closing, bill, opening = await trader.get(f"/v2/ledger?from-date={DAY}&to-date={DAY}")
        assert (closing["narration"], opening["narration"]) == ("CLOSING BALANCE", "OPENING BALANCE")
        funds = await trader.get("/v2/fundlimit")
        assert float(closing["runbal"]) == funds["availabelBalance"]
        assert float(opening["runbal"]) == funds["sodLimit"]
        assert bill["voucherdate"] == "Feb 03, 2026"
        assert float(opening["runbal"]) - float(bill["debit"]) + float(bill["credit"]) == pytest.approx(
            float(closing["runbal"])
        )
        assert len(await trader.get("/v2/ledger?from-date=2026-01-01&to-date=2026-01-31")) == 2


@pytest.mark.parametrize(
    "path", ["/v2/ledger", "/v2/ledger?from-date=a&to-date=b", "/v2/trades/a/b/0", f"/v2/trades/{DAY}/{DAY}/x"]
)
async def test_statements_want_dates(path: str) -> None:
    async with serving() as (_, visitor):
        status, text = await visitor.ask("GET", path)
        assert (status, json.loads(text)["errorCode"]) == (400, "DH-905")


# Margins, files, papers


async def test_a_bought_option_costs_its_premium_and_a_written_one_far_more() -> None:
    async with serving() as (_, visitor):
        asked = body(CALL, price=150.0)
        long = await visitor.json("POST", "/v2/margincalculator", asked)
        assert long["totalMargin"] == 150.0 * CALL.lot
        assert (long["availableBalance"], long["insufficientBalance"], long["brokerage"]) == (100_000.0, 0.0, 20.0)
        short = await visitor.json("POST", "/v2/margincalculator", {**asked, "transactionType": "SELL"})
        assert short["spanMargin"] == short["totalMargin"] > 100_000
        assert short["insufficientBalance"] == short["totalMargin"] - 100_000
        scrip = {name: value for name, value in asked.items() if name != "dhanClientId"}
        for words in ({"scripList": [scrip, scrip], "includeOrder": False}, {"scripts": [scrip, scrip]}):
            several = await visitor.json("POST", "/v2/margincalculator/multi", {"dhanClientId": "SIMULATED", **words})
            assert several["total_margin"] == f"{2 * 150 * CALL.lot:.2f}"
        bad: list[dict[str, Any]] = [{"scripList": []}, {"scripList": [1]}, {"scripList": [{}]}, {}]
        for wrong in bad:
            assert (await visitor.ask("POST", "/v2/margincalculator/multi", wrong))[0] == 400


async def test_the_whole_detailed_file_holds_every_segment() -> None:
    async with serving() as (_, visitor):
        status, text = await visitor.ask("GET", "/api-data/api-scrip-master-detailed.csv")
        lines = text.splitlines()
        segments = {tuple(line.split(",")[:2]) for line in lines[1:]}
        assert (status, segments) == (200, {("NSE", "I"), ("BSE", "I"), ("NSE", "D"), ("BSE", "D")})
        assert len(lines) == 1 + 7 + len(market_of().contracts)


async def test_papers_for_selling_holdings() -> None:
    async with serving() as (_, visitor):
        assert await visitor.ask("GET", "/v2/edis/tpin") == (202, "")
        form = {"isin": "INF204KB14I2", "qty": 1, "exchange": "NSE", "segment": "EQ", "bulk": True}
        assert "form" in (await visitor.json("POST", "/v2/edis/form", form))["edisFormHtml"]
        assert (await visitor.ask("POST", "/v2/edis/form", {**form, "qty": "x"}))[0] == 400
        assert (await visitor.json("GET", "/v2/edis/inquire/ALL"))["totalQty"] == 0


@pytest.mark.parametrize(
    "path", ["/v2/orders/", "/v2/trades/", "/v2/super/orders/", "/v2/alerts/orders/", "/v2/ledger"]
)
async def test_trailing_slashes_are_no_matter(path: str) -> None:
    async with serving() as (_, visitor):
        assert (await visitor.ask("GET", path))[0] != 404


@pytest.mark.parametrize(
    "path", ["/v2/forever/all", "/v2/orders/a/b", "/v2/super", "/v2/app", "/v2/{}", "/v2/orders/external/"]
)
async def test_unknown_paths_keep_the_gateway_s_404(path: str) -> None:
    async with serving() as (_, visitor):
        status, text = await visitor.ask("GET", path)
        assert status in (200, 404)
        if status == 404:
            assert json.loads(text)["error"] == "Not Found"


def test_every_path_is_found_under_its_own_name() -> None:
    for (method, path), endpoint in ENDPOINTS.items():
        filled = path.replace("{}", "a1")
        found = find(method, filled)
        assert found is not None, path
        assert found[0] is endpoint, path
        assert found[1] == "/".join(["a1"] * path.count("{}"))
    assert find("GET", "/orders/{}/{}") is None


async def test_families_have_their_own_rates() -> None:
    families = {path: endpoint.family for (_, path), endpoint in ENDPOINTS.items()}
    assert families["/charts/rollingoption"] is families["/charts/historical"] is Family.DATA
    writes = {path for (_, path), endpoint in ENDPOINTS.items() if endpoint.family is Family.ORDER}
    assert {"/super/orders", "/forever/orders", "/alerts/orders", "/orders/slicing", "/positions"} <= writes
    async with serving(world_of(), HandClock()) as (_, visitor):
        feed = await visitor.feed()
        asked = chart(securityId="13", exchangeSegment="IDX_I")
        statuses = [(await visitor.ask("POST", "/v2/charts/intraday", asked))[0] for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        assert (await visitor.ask("GET", "/v2/fundlimit"))[0] == 200
        await feed.close()


# Whatever a client may send

GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/orders", order_body(CALL)),
    ("POST", "/orders/slicing", order_body(CALL, quantity=CALL.lot * 40)),
    (
        "POST",
        "/super/orders",
        body(CALL, orderType="LIMIT", price=100, targetPrice=150, stopLossPrice=80, trailingJump=1),
    ),
    (
        "POST",
        "/forever/orders",
        body(
            CALL,
            orderFlag="OCO",
            orderType="LIMIT",
            validity="DAY",
            price=90,
            triggerPrice=91,
            price1=200,
            triggerPrice1=199,
            quantity1=65,
        ),
    ),
    (
        "POST",
        "/alerts/orders",
        {
            "dhanClientId": "SIMULATED",
            "condition": {
                "comparisonType": "PRICE_WITH_VALUE",
                "exchangeSegment": "IDX_I",
                "securityId": "13",
                "operator": "EQUAL",
                "comparingValue": 1,
            },
            "orders": [body(CALL, orderType="MARKET", validity="DAY")],
        },
    ),
    (
        "POST",
        "/pnlExit",
        {"profitValue": 1, "lossValue": 1, "productType": ["INTRADAY"], "enableKillSwitch": False},
    ),
    ("POST", "/margincalculator", body(CALL, price=10)),
    ("POST", "/charts/intraday", chart()),
    ("POST", "/charts/rollingoption", ROLLING),
    ("POST", "/optionchain", {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "Expiry": CALL.expiry.isoformat()}),
    (
        "POST",
        "/positions/convert",
        body(CALL, fromProductType="INTRADAY", toProductType="MARGIN", positionType="LONG", convertQty=65),
    ),
]

LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))
WORDS = ["BUY", "SELL", "NSE_FNO", "IDX_I", "INTRADAY", "LIMIT", "MARKET", "DAY", "SIMULATED", "13", "ENTRY_LEG", "OCO"]
FIELDS = [
    *("dhanClientId", "transactionType", "exchangeSegment", "productType", "orderType", "validity", "securityId"),
    *("quantity", "price", "triggerPrice", "targetPrice", "stopLossPrice", "trailingJump", "orderFlag", "legName"),
    *("condition", "orders", "scripList", "fromDate", "toDate", "interval", "expiryCode", "strike", "profitValue"),
    *("lossValue", "ip", "ipFlag", "UnderlyingScrip", "UnderlyingSeg", "Expiry", "convertQty", "requiredData"),
]
VALUES = st.recursive(
    st.one_of(LEAVES, st.sampled_from(WORDS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)),
    max_leaves=6,
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=12).map(json.dumps).map(str.encode),
)
TEXTS = st.text(max_size=12)
DESK = Desk(world_of())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    place=st.sampled_from(sorted(ENDPOINTS)),
    raw=BODIES,
    argument=TEXTS,
    query=st.dictionaries(st.sampled_from(["from-date", "to-date", "totp", "pin", "tokenId"]), TEXTS),
)
def test_whatever_is_sent_is_answered(place: tuple[str, str], raw: bytes, argument: str, query: dict[str, str]) -> None:
    method, path = place
    endpoint = ENDPOINTS[place]
    given_argument = "/".join([argument.replace("/", "")] * path.count("{}"))
    call = Call(method, path, True, "SIMULATED", "SIMULATED", raw, query)
    answer = endpoint.answer(DESK, call, given_argument)
    if isinstance(answer, Reply):
        assert 200 <= answer.status <= 500
        assert answer.status != 500 or "HOLDING" in answer.body.decode()
    elif hasattr(answer, "act"):
        assert 200 <= answer.act(DESK.world.now_ns).status < 500


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(good=st.sampled_from(GOOD), bent=st.dictionaries(st.integers(0, 12), VALUES, max_size=3))
def test_a_good_body_with_any_field_bent_is_answered(
    good: tuple[str, str, dict[str, Any]], bent: dict[int, Any]
) -> None:
    method, path, sent = good
    names = list(sent)
    fields = {**sent, **{names[place % len(names)]: value for place, value in bent.items()}}
    call = Call(method, path, True, "SIMULATED", "SIMULATED", json.dumps(fields).encode())
    answer = ENDPOINTS[method, path].answer(DESK, call, "")
    if isinstance(answer, Reply):
        assert 200 <= answer.status < 500
    elif hasattr(answer, "act"):
        assert 200 <= answer.act(DESK.world.now_ns).status < 500
        DESK.standing.react()
