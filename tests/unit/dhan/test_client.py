"""The client's methods over a real connection: what they ask, and what they make of the answers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import msgspec
import pytest

from algo_scalper.adapters.dhan import bodies
from algo_scalper.adapters.dhan.client import MOST_INSTRUMENTS, DhanClient
from algo_scalper.adapters.dhan.failures import AnswerUnreadable, BrokerFailing, NothingThere, OrderRefused
from algo_scalper.adapters.dhan.limits import Priority
from algo_scalper.adapters.dhan.wire import Family
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.ports import Accepted, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import CLIENT, TOKEN, HandClock, HttpServer, http_server, settings_for, uncounted

ORDER = bodies.OrderBody(
    transaction_type="BUY",
    exchange_segment="NSE_FNO",
    product_type="INTRADAY",
    security_id="42500",
    quantity=65,
    price_paise=11_235,
    correlation_id="mine-1",
)
NO_HOLDINGS = {"errorType": "HOLDING_ERROR", "errorCode": "DH-1111", "errorMessage": "No holdings available"}


@contextlib.asynccontextmanager
async def clients() -> AsyncIterator[tuple[HttpServer, DhanClient]]:
    clock = HandClock()
    async with http_server() as server, DhanClient(settings_for(server.port), clock, uncounted(clock)) as client:
        yield server, client


async def test_a_client_shows_no_credentials() -> None:
    async with clients() as (_, client):
        assert TOKEN not in repr(client)
        assert CLIENT not in repr(client)


async def test_a_client_that_is_given_no_budget_keeps_to_dhans_limits_by_one_of_its_own() -> None:
    clock = HandClock()
    async with http_server() as server, DhanClient(settings_for(server.port), clock) as client:
        server.answers["/v2/marketfeed/ltp"] = [(200, {"data": {}, "status": "success"})]
        await client.ltp({NIFTY.key})
        second = asyncio.create_task(client.ltp({NIFTY.key}))
        wait_ns = await clock.slept(lambda ns: ns < 2 * NS_PER_SECOND)
        assert len(server.asked) == 1, "snapshots: one a second"
        clock.advance(wait_ns)
        await second
        sharing = DhanClient(settings_for(server.port), clock, client.limiter)
        assert not sharing.limiter.take(Family.QUOTE, Priority.EXIT), "two clients, one budget"


async def test_too_often_is_said_where_nobody_asked_to_be_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = HandClock()
    async with http_server() as server, DhanClient(settings_for(server.port), clock) as client:
        too_often = {"errorCode": "DH-904", "errorMessage": "Too many requests"}
        server.answers["/v2/fundlimit"] = [(429, too_often), (200, {"availabelBalance": 1.0})]
        reading = asyncio.create_task(client.funds())
        clock.advance(await clock.slept(lambda ns: ns <= NS_PER_SECOND))
        assert (await reading).available_balance_paise == 100
        (told,) = caplog.messages
        assert told.startswith("Dhan says too often, time 1: requests of the kind non_trading pause for ")


async def test_a_token_is_got_through_the_client() -> None:
    async with clients() as (server, client):
        server.answers["/v2/RenewToken"] = [(200, {"accessToken": "the-next", "expiryTime": "2026-11-24T08:59:00"})]
        assert (await client.auth.renew()).access_token == "the-next"
        assert server.asked[0].headers["access-token"] == TOKEN


async def test_no_holdings_are_an_empty_tuple_and_other_failures_are_failures() -> None:
    async with clients() as (server, client):
        server.answers["/v2/holdings"] = [
            (500, NO_HOLDINGS),
            (500, {"errorCode": "DH-908", "errorMessage": "down"}),
            (404, {"status": 404, "error": "Not Found", "path": "/v2/holdings"}),
            (200, [{"tradingSymbol": "NIFTYBEES", "totalQty": 2, "lastTradedPrice": 251.06}]),
        ]
        assert await client.holdings() == ()
        with pytest.raises(BrokerFailing):
            await client.holdings()
        with pytest.raises(NothingThere):
            await client.holdings()
        (row,) = await client.holdings()
        assert (row.total_qty, row.last_traded_price_paise) == (2, 25_106)


async def test_an_order_is_asked_for_and_found_or_not() -> None:
    async with clients() as (server, client):
        server.answers["/v2/orders/7"] = [(200, []), (200, [{"orderId": "7", "quantity": 65}])]
        assert await client.order("7") is None
        found = await client.order("7")
        assert found is not None
        assert found.quantity == 65
        unknown = {"errorCode": "DH-906", "errorMessage": "Incorrect request for order and cannot be processed"}
        server.answers["/v2/orders/external/mine-1"] = [(404, unknown), (400, unknown), (200, {"orderId": "7"})]
        assert await client.order_by_correlation("mine-1") is None
        with pytest.raises(OrderRefused):
            await client.order_by_correlation("mine-1")
        by_ours = await client.order_by_correlation("mine-1")
        assert by_ours is not None
        assert by_ours.order_id == "7"


async def test_orders_have_three_answers() -> None:
    async with clients() as (server, client):
        server.answers["/v2/orders"] = [
            (200, {"orderId": "7", "orderStatus": "TRANSIT"}),
            (400, {"errorCode": "DH-905", "errorMessage": "quantity is required"}),
            "eof",
        ]
        assert await client.place(ORDER) == Accepted("7")
        assert server.asked[0].json["price"] == 112.35
        assert isinstance(await client.place(ORDER), Rejected)
        assert isinstance(await client.place(ORDER), Unknown)
        assert len(server.asked) == 3


SLICED = [{"orderId": "7", "orderStatus": "TRANSIT"}, {"orderId": "8", "orderStatus": "TRANSIT"}]
FAILED = {"errorCode": "DH-905", "errorMessage": "quantity is required"}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (SLICED[0], Accepted("7")),
        (SLICED[:1], Accepted("7")),
        (SLICED, Accepted("7,8")),
        ([*SLICED, FAILED], Unknown("2 of 3 slices were taken: 7, 8")),
        ([FAILED, FAILED], Rejected("DH-905 quantity is required (HTTP 200); DH-905 quantity is required (HTTP 200)")),
        ([{}, {}], Unknown("0 of 2 slices were taken: no ids")),
    ],
)
async def test_a_sliced_order_has_one_answer_for_all_its_slices(answer: object, outcome: object) -> None:
    async with clients() as (server, client):
        server.answers["/v2/orders/slicing"] = [(200, answer)]
        assert await client.place_sliced(ORDER) == outcome


async def test_what_must_not_be_sent_is_not_sent() -> None:
    forever = bodies.ForeverBody(
        transaction_type="BUY",
        exchange_segment="NSE_EQ",
        product_type="CNC",
        order_type="MARKET",
        security_id="1333",
        quantity=1,
        price_paise=100,
        trigger_price_paise=100,
    )
    trigger = bodies.TriggerOrder(
        transaction_type="BUY",
        exchange_segment="NSE_EQ",
        product_type="CNC",
        order_type="STOP_LOSS_MARKET",
        security_id="1333",
        quantity=1,
        price_paise=0,
    )
    condition = bodies.TriggerCondition(
        comparison_type="PRICE_WITH_VALUE", exchange_segment="IDX_I", security_id="13", operator="EQUAL"
    )
    async with clients() as (server, client):
        refused = [
            await client.place(msgspec.structs.replace(ORDER, order_type="MARKET")),
            await client.place_sliced(msgspec.structs.replace(ORDER, order_type="STOP_LOSS_MARKET")),
            await client.place(msgspec.structs.replace(ORDER, after_market_order=True)),
            await client.place(msgspec.structs.replace(ORDER, correlation_id="x" * 26)),
            await client.place(msgspec.structs.replace(ORDER, correlation_id="")),
            await client.modify(bodies.ModifyBody(order_id="7", order_type="MARKET", quantity=65, price_paise=0)),
            await client.modify(bodies.ModifyBody(order_id="", quantity=65, price_paise=100)),
            await client.cancel(""),
            await client.cancel_super_leg("7", ""),
            await client.place_forever(forever),
            await client.place_trigger(bodies.TriggerBody(condition=condition, orders=(trigger,))),
            await client.modify_trigger(bodies.ModifyTriggerBody(alert_id="7", condition=condition, orders=(trigger,))),
        ]
        assert all(isinstance(outcome, Rejected) and outcome.reason.startswith("not sent:") for outcome in refused)
        with pytest.raises(ValueError, match="order_id is empty"):
            await client.trades_of("")
        assert server.asked == []


async def test_a_trade_history_is_read_page_by_page_to_its_end() -> None:
    first, last = date(2026, 1, 1), date(2026, 1, 31)
    pages = [[{"orderId": "1"}, {"orderId": "2"}], [{"orderId": "3"}], []]
    async with clients() as (server, client):
        for number, page in enumerate(pages):
            server.answers[f"/v2/trades/2026-01-01/2026-01-31/{number}"] = [(200, page)]
        assert [row.order_id for row in await client.trade_history(first, last)] == ["1", "2", "3"]
        assert len(server.asked) == 3


async def test_a_trade_history_that_repeats_itself_is_not_read_for_ever() -> None:
    first, last = date(2026, 1, 1), date(2026, 1, 31)
    async with clients() as (server, client):
        for number in range(2):
            server.answers[f"/v2/trades/2026-01-01/2026-01-31/{number}"] = [(200, [{"orderId": "1"}])]
        with pytest.raises(AnswerUnreadable, match="page 1 is page 0 again"):
            await client.trade_history(first, last)


async def test_a_ledger_is_asked_for_by_its_days() -> None:
    async with clients() as (server, client):
        server.answers["/v2/ledger"] = [(200, [{"debit": "10.05", "credit": "0", "runbal": "-10.05"}])]
        (row,) = await client.ledger(date(2026, 1, 1), date(2026, 1, 31))
        assert (row.debit_paise, row.running_balance_paise) == (1_005, -1_005)
        assert server.asked[0].path == "/v2/ledger?from-date=2026-01-01&to-date=2026-01-31"


async def test_prices_come_by_key_in_requests_of_a_thousand() -> None:
    def answer(*ids: int) -> tuple[int, object]:
        return (200, {"data": {"NSE_FNO": {str(one): {"last_price": one / 100} for one in ids}}, "status": "success"})

    keys = [instrument_key(Segment.NSE_FNO, one) for one in range(1, MOST_INSTRUMENTS + 2)]
    async with clients() as (server, client):
        server.answers["/v2/marketfeed/ltp"] = [answer(1, 2), answer(MOST_INSTRUMENTS + 1)]
        found = await client.ltp(set(keys))
        assert {key: price.last_price_paise for key, price in found.items()} == {
            keys[0]: 1,
            keys[1]: 2,
            keys[-1]: MOST_INSTRUMENTS + 1,
        }
        assert [len(asked.json["NSE_FNO"]) for asked in server.asked] == [MOST_INSTRUMENTS, 1]
        assert await client.ltp(()) == {}


async def test_prices_of_several_segments_go_in_one_request() -> None:
    data = {"IDX_I": {"13": {"last_price": 1.5, "ohlc": {"open": 1.25}}}, "BSE_FNO": {"7": {"oi": 3.0}}}
    async with clients() as (server, client):
        for path in ("ohlc", "quote"):
            server.answers[f"/v2/marketfeed/{path}"] = [(200, {"data": data, "status": "success"})]
        keys = {NIFTY.key, SENSEX.key, instrument_key(Segment.BSE_FNO, 7)}
        assert (await client.ohlc(keys))[NIFTY.key].ohlc.open_paise == 125
        assert server.asked[0].json == {"dhanClientId": CLIENT, "IDX_I": [13, 51], "BSE_FNO": [7]}
        quotes = await client.quote(keys)
        assert quotes[instrument_key(Segment.BSE_FNO, 7)].oi == 3
        assert SENSEX.key not in quotes


@pytest.mark.parametrize("data", [{"NSE_FUTURES": {"1": {}}}, {"NSE_FNO": {"x": {}}}, {"NSE_FNO": {str(1 << 40): {}}}])
async def test_prices_of_what_cannot_be_an_instrument_are_unreadable(data: object) -> None:
    async with clients() as (server, client):
        server.answers["/v2/marketfeed/ltp"] = [(200, {"data": data, "status": "success"})]
        with pytest.raises(AnswerUnreadable, match="no such instrument"):
            await client.ltp({NIFTY.key})


async def test_expiries_and_a_chain() -> None:
    side = {"security_id": 42528, "last_price": 134, "greeks": {"delta": 0.5}}
    async with clients() as (server, client):
        server.answers["/v2/optionchain/expirylist"] = [
            (200, {"data": ["2026-12-01", "2026-11-23"], "status": "success"}),
            (200, {"data": ["soon"], "status": "success"}),
        ]
        server.answers["/v2/optionchain"] = [(200, {"data": {"last_price": 2.5, "oc": {"25650.000000": {"ce": side}}}})]
        assert await client.expiries(NIFTY.key) == (date(2026, 11, 23), date(2026, 12, 1))
        with pytest.raises(AnswerUnreadable, match="is not a date"):
            await client.expiries(NIFTY.key)
        chain = await client.option_chain(NIFTY.key, date(2026, 11, 23))
        assert chain.oc["25650.000000"].ce.greeks.delta == 0.5
        assert server.asked[2].json == {
            "dhanClientId": CLIENT,
            "UnderlyingScrip": 13,
            "UnderlyingSeg": "IDX_I",
            "Expiry": "2026-11-23",
        }


@pytest.mark.parametrize("strike", ["soon", "-25650.000000", "", "nan"])
async def test_a_chain_with_a_strike_that_is_no_price_is_unreadable(strike: str) -> None:
    async with clients() as (server, client):
        server.answers["/v2/optionchain"] = [(200, {"data": {"last_price": 2.5, "oc": {strike: {}}}})]
        with pytest.raises(AnswerUnreadable, match="strike"):
            await client.option_chain(NIFTY.key, date(2026, 11, 23))


async def test_switches() -> None:
    async with clients() as (server, client):
        said = {"dhanClientId": CLIENT, "killSwitchStatus": "Kill Switch has been successfully activated"}
        server.answers["/v2/killswitch"] = [(200, said)]
        assert (await client.set_kill_switch(active=True)).active
        assert (server.asked[0].method, server.asked[0].path) == ("POST", "/v2/killswitch?killSwitchStatus=ACTIVATE")
        assert server.asked[0].body == b""
        server.answers["/v2/positions/convert"] = [(202, b"")]
        converted = await client.convert_position(
            bodies.ConvertBody(
                from_product_type="INTRADAY",
                exchange_segment="NSE_FNO",
                position_type="LONG",
                security_id="42500",
                convert_qty=65,
                to_product_type="MARGIN",
            )
        )
        assert converted.status == ""


async def test_a_file_of_one_segment_is_read_like_the_master() -> None:
    header = (
        "EXCH_ID,SEGMENT,SECURITY_ID,INSTRUMENT,UNDERLYING_SYMBOL,SYMBOL_NAME,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,"
        "OPTION_TYPE,TICK_SIZE,SM_FREEZE_QTY\n"
    )
    row = "NSE,D,42500,OPTIDX,NIFTY,NIFTY-Nov2026-25650-CE,65,2026-11-24,25650.0,CE,5.0,1801\n"
    async with clients() as (server, client):
        server.answers["/v2/instrument/NSE_FNO"] = [(200, (header + row).encode())]
        url = client.segment_url(Segment.NSE_FNO)
        found = await client.contracts(["NIFTY"], date(2026, 11, 23), date(2026, 12, 31), url)
        assert [(one.key, one.lot) for one in found.contracts] == [(instrument_key(Segment.NSE_FNO, 42500), 65)]
        assert "access-token" not in server.asked[0].headers
        chunks: list[bytes] = []
        await client.download(url, chunks.append)
        assert b"".join(chunks).decode() == header + row


def test_every_method_says_what_it_does_and_gives_types() -> None:
    methods: list[Any] = [one for name, one in inspect.getmembers(DhanClient, callable) if not name.startswith("_")]
    assert len(methods) > 50
    for method in methods:
        assert method.__doc__
        assert "return" in method.__annotations__
