"""The official SDK and this client, asked for the same things, send the same requests.

Both talk to one recording server. What may differ: fields that say nothing (0, "", null, false) may be left out on either
side; a number may be written as a text; a market order leaves here as a limit with a protection; orders of the engine's
carry a correlation id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest

from algo_scalper.adapters.dhan import bodies
from algo_scalper.adapters.dhan.auth import AppKey, DhanAuth
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.orders import at_market, stop_order
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.errors import BrokerError, DataError
from algo_scalper.domain.instruments import NIFTY, SENSEX, Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.orders import Side
from algo_scalper.domain.totp import totp
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from tests.unit.dhan.doubles import CLIENT, TOKEN, Asked, HandClock, HttpServer, http_server, uncounted

sdk = pytest.importorskip("dhanhq", reason="the official SDK (dhanhq) is not installed")

OPTION = Contract(
    instrument_key(Segment.NSE_FNO, 42500), "NIFTY", date(2026, 12, 1), 2_565_000, OptionType.CE, 65, 5, 1755
)
ANSWER = {
    "dhanClientId": CLIENT,
    "status": "success",
    "orderId": "752502167405",
    "alertId": "12345",
    "killSwitchStatus": "DEACTIVATE",
    "pnlExitStatus": "ACTIVE",
    "primaryIP": "203.0.113.7",
    "totalMargin": 1.0,
    "edisFormHtml": "<form></form>",
    "consentAppId": "8f2c",
    "accessToken": "not.a.token",
    "timestamp": [],
}
"""Something of every answer, so that both sides find one."""
PIN = "482916"
TOTP_SECRET = "JBSWY3DPEHPK3PXP"
APP = AppKey("app-7", "app-secret-9")


class Sides:
    """The SDK and this client at one server."""

    def __init__(self, server: HttpServer, client: DhanClient, settings: DhanSettings, clock: HandClock) -> None:
        self.server = server
        self.client = client
        self.clock = clock
        self.auth = DhanAuth(client.rest, settings, clock)
        context = sdk.DhanContext(CLIENT, TOKEN)
        self.sdk = sdk.dhanhq(context)
        self.login = context.get_dhan_login()

    @property
    def code(self) -> str:
        return totp(TOTP_SECRET, self.clock.now_ns() // NS_PER_SECOND)


Theirs = Callable[[Sides], object]
Ours = Callable[[Sides], Awaitable[object]]


@contextlib.asynccontextmanager
async def sides(monkeypatch: pytest.MonkeyPatch, folder: Path) -> AsyncIterator[Sides]:
    security, auth, dhan_http = sdk._security, sdk.auth, sdk.dhan_http
    opened: list[Any] = []

    def session() -> Any:
        opened.append(auth.requests.sessions.Session())
        return opened[-1]

    async with http_server() as server:
        server.answers = defaultdict(lambda: [(200, ANSWER)])
        address = f"http://127.0.0.1:{server.port}"
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NO_PROXY", "*")
        # The SDK's addresses are constants of its classes.
        monkeypatch.setattr(dhan_http.DhanHTTP, "API_BASE_URL", f"{address}/v2")
        monkeypatch.setattr(auth.DhanLogin, "API_BASE_URL", f"{address}/v2")
        monkeypatch.setattr(auth.DhanLogin, "AUTH_BASE_URL", address)
        monkeypatch.setattr(security.Security, "COMPACT_CSV_URL", f"{address}/master.csv")
        monkeypatch.setattr(dhan_http.requests, "Session", session)
        monkeypatch.setattr(auth.webbrowser, "open", lambda _: True)
        monkeypatch.setattr(security, "web_open", lambda _: True)
        settings = DhanSettings(CLIENT, TOKEN, f"{address}/v2", csv_url=f"{address}/master.csv", auth_url=address)
        clock = HandClock()
        try:
            async with DhanClient(settings, clock, uncounted(clock)) as client:
                yield Sides(server, client, settings, clock)
        finally:
            for one in opened:
                one.close()


class Pair(msgspec.Struct, frozen=True):
    """One thing to do, both ways. ``differing``: fields whose values are ours on purpose, as we send them."""

    method: str
    theirs: Theirs
    ours: Ours
    differing: Mapping[str, object] = msgspec.field(default_factory=dict)
    theirs_slash: bool = False
    """The SDK writes a slash behind the path, which the documentation does not have."""


def order(**changes: Any) -> bodies.OrderBody:
    known: dict[str, Any] = {
        "transaction_type": "BUY",
        "exchange_segment": "NSE_FNO",
        "product_type": "INTRADAY",
        "security_id": "42500",
        "quantity": 65,
        "price_paise": 11_235,
    }
    return bodies.OrderBody(**known | changes)


PLACE = ("42500", "NSE_FNO", "BUY", 65)
CONDITION = {
    "comparisonType": "PRICE_WITH_VALUE",
    "exchangeSegment": "IDX_I",
    "securityId": "13",
    "operator": "CROSSING_UP",
    "comparingValue": 25_000,
    "frequency": "ONCE",
}
ALERT_ORDER = {
    "transactionType": "BUY",
    "exchangeSegment": "NSE_EQ",
    "productType": "CNC",
    "orderType": "LIMIT",
    "securityId": "1333",
    "quantity": 10,
    "validity": "DAY",
    "price": "1500.05",
    "discQuantity": "0",
    "triggerPrice": "0",
}
OUR_CONDITION = bodies.TriggerCondition(
    comparison_type="PRICE_WITH_VALUE",
    exchange_segment="IDX_I",
    security_id="13",
    operator="CROSSING_UP",
    comparing_value=25_000.0,
)
OUR_ALERT_ORDER = bodies.TriggerOrder(
    transaction_type="BUY",
    exchange_segment="NSE_EQ",
    product_type="CNC",
    security_id="1333",
    quantity=10,
    price_paise=150_005,
)
MARGIN = bodies.MarginBody(
    exchange_segment="NSE_EQ",
    transaction_type="BUY",
    quantity=5,
    product_type="CNC",
    security_id="1333",
    price_paise=142_800,
    trigger_price_paise=142_700,
)
SECURITIES = {"IDX_I": [13, 51], "NSE_FNO": [42500]}
KEYS = {NIFTY.key, SENSEX.key, OPTION.key}
FIRST, LAST = date(2026, 3, 5), date(2026, 3, 9)
FROM_NS, TO_NS = ist_ns(FIRST, 0), ist_ns(date(2026, 3, 10), 0)
FIELDS = ["open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot"]

PAIRS = [
    Pair("get_order_list", lambda s: s.sdk.get_order_list(), lambda s: s.client.orders()),
    Pair("get_order_by_id", lambda s: s.sdk.get_order_by_id("7"), lambda s: s.client.order("7")),
    Pair(
        "get_order_by_correlationID",
        lambda s: s.sdk.get_order_by_correlationID("a b"),
        lambda s: s.client.order_by_correlation("a b"),
    ),
    Pair(
        "place_order",
        lambda s: s.sdk.place_order(*PLACE, "LIMIT", "INTRADAY", 112.35, tag="mine-1"),
        lambda s: s.client.place(order(correlation_id="mine-1")),
    ),
    Pair(
        "place_order",
        lambda s: s.sdk.place_order("1333", "NSE_EQ", "SELL", 5, "LIMIT", "CNC", 1500.05, 0, 2, True, amo_time="OPEN"),
        lambda s: s.client.place(
            order(
                transaction_type="SELL",
                exchange_segment="NSE_EQ",
                product_type="CNC",
                security_id="1333",
                quantity=5,
                price_paise=150_005,
                disclosed_quantity=2,
                after_market_order=True,
                amo_time="OPEN",
            )
        ),
    ),
    Pair(
        "place_order",
        lambda s: s.sdk.place_order("1333", "NSE_EQ", "BUY", 5, "LIMIT", "BO", 1500, 0, 0, False, "IOC", "", 10.05, 5),
        lambda s: s.client.place(
            order(
                exchange_segment="NSE_EQ",
                product_type="BO",
                security_id="1333",
                quantity=5,
                price_paise=150_000,
                validity="IOC",
                bo_profit_value_paise=1_005,
                bo_stop_loss_value_paise=500,
            )
        ),
    ),
    Pair(
        "place_order",
        lambda s: s.sdk.place_order(*PLACE, "MARKET", "INTRADAY", 0),
        lambda s: s.client.broker.place(at_market("mine-1", OPTION, Side.BUY, 65, 10_000)),
        differing={"orderType": "LIMIT", "price": 102.0, "correlationId": "mine-1"},
    ),
    Pair(
        "place_order",
        lambda s: s.sdk.place_order("42500", "NSE_FNO", "SELL", 65, "STOP_LOSS_MARKET", "INTRADAY", 0, 100),
        lambda s: s.client.broker.place(stop_order("mine-1", OPTION, Side.SELL, 65, 10_000)),
        differing={"orderType": "STOP_LOSS", "price": 80.05, "correlationId": "mine-1"},
    ),
    Pair(
        "place_slice_order",
        lambda s: s.sdk.place_slice_order("42500", "NSE_FNO", "BUY", 6500, "LIMIT", "INTRADAY", 112.35),
        lambda s: s.client.place_sliced(order(quantity=6500)),
    ),
    Pair(
        "modify_order",
        lambda s: s.sdk.modify_order("7", "STOP_LOSS", "NA", 130, 90, 91.05, 0, "DAY"),
        lambda s: s.client.modify(
            bodies.ModifyBody(
                order_id="7", order_type="STOP_LOSS", quantity=130, price_paise=9_000, trigger_price_paise=9_105
            )
        ),
    ),
    Pair("cancel_order", lambda s: s.sdk.cancel_order("7"), lambda s: s.client.cancel("7")),
    Pair(
        "place_super_order",
        lambda s: s.sdk.place_super_order(*PLACE, "LIMIT", "INTRADAY", 112.35, 150, 90, 0.5, "mine-1"),
        lambda s: s.client.place_super_order(
            bodies.SuperOrderBody(
                correlation_id="mine-1",
                transaction_type="BUY",
                exchange_segment="NSE_FNO",
                product_type="INTRADAY",
                security_id="42500",
                quantity=65,
                price_paise=11_235,
                target_price_paise=15_000,
                stop_loss_price_paise=9_000,
                trailing_jump_paise=50,
            )
        ),
    ),
    Pair(
        "modify_super_order",
        lambda s: s.sdk.modify_super_order("7", "LIMIT", "ENTRY_LEG", 65, 110, 150, 90, 1),
        lambda s: s.client.modify_super_entry(
            bodies.SuperEntryBody(
                order_id="7",
                quantity=65,
                price_paise=11_000,
                target_price_paise=15_000,
                stop_loss_price_paise=9_000,
                trailing_jump_paise=100,
            )
        ),
    ),
    Pair(
        "modify_super_order",
        lambda s: s.sdk.modify_super_order("7", "LIMIT", "TARGET_LEG", targetPrice=155.05),
        lambda s: s.client.modify_super_target("7", 15_505),
    ),
    Pair(
        "modify_super_order",
        lambda s: s.sdk.modify_super_order("7", "LIMIT", "STOP_LOSS_LEG", stopLossPrice=95.05, trailingJump=1.5),
        lambda s: s.client.modify_super_stop("7", 9_505, 150),
    ),
    Pair(
        "cancel_super_order",
        lambda s: s.sdk.cancel_super_order("7", "TARGET_LEG"),
        lambda s: s.client.cancel_super_leg("7", "TARGET_LEG"),
    ),
    Pair("get_super_order_list", lambda s: s.sdk.get_super_order_list(), lambda s: s.client.super_orders()),
    Pair(
        "place_forever",
        lambda s: s.sdk.place_forever(
            "1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 5, 1428, 1427, "OCO", 1, "DAY", 1420, 1419, 3, "mine-1"
        ),
        lambda s: s.client.place_forever(
            bodies.ForeverBody(
                correlation_id="mine-1",
                order_flag="OCO",
                transaction_type="BUY",
                exchange_segment="NSE_EQ",
                product_type="CNC",
                security_id="1333",
                quantity=5,
                disclosed_quantity=1,
                price_paise=142_800,
                trigger_price_paise=142_700,
                price_1_paise=142_000,
                trigger_price_1_paise=141_900,
                quantity_1=3,
            )
        ),
    ),
    Pair(
        "place_forever",
        lambda s: s.sdk.place_forever("1333", "NSE_EQ", "BUY", "CNC", "LIMIT", 5, 1428, 1427),
        lambda s: s.client.place_forever(
            bodies.ForeverBody(
                transaction_type="BUY",
                exchange_segment="NSE_EQ",
                product_type="CNC",
                security_id="1333",
                quantity=5,
                price_paise=142_800,
                trigger_price_paise=142_700,
            )
        ),
    ),
    Pair(
        "modify_forever",
        lambda s: s.sdk.modify_forever("7", "SINGLE", "LIMIT", "TARGET_LEG", 15, 1421, 1420, 1, "DAY"),
        lambda s: s.client.modify_forever(
            bodies.ModifyForeverBody(
                order_id="7", quantity=15, price_paise=142_100, trigger_price_paise=142_000, disclosed_quantity=1
            )
        ),
    ),
    Pair("cancel_forever", lambda s: s.sdk.cancel_forever("7"), lambda s: s.client.cancel_forever("7")),
    Pair("get_forever", lambda s: s.sdk.get_forever(), lambda s: s.client.forever_orders()),
    Pair(
        "place_conditional_order",
        lambda s: s.sdk.place_conditional_order(CONDITION, [ALERT_ORDER]),
        lambda s: s.client.place_trigger(bodies.TriggerBody(condition=OUR_CONDITION, orders=(OUR_ALERT_ORDER,))),
    ),
    Pair(
        "modify_conditional_order",
        lambda s: s.sdk.modify_conditional_order("12345", CONDITION, [ALERT_ORDER]),
        lambda s: s.client.modify_trigger(
            bodies.ModifyTriggerBody(alert_id="12345", condition=OUR_CONDITION, orders=(OUR_ALERT_ORDER,))
        ),
    ),
    Pair(
        "cancel_conditional_order",
        lambda s: s.sdk.cancel_conditional_order("12345"),
        lambda s: s.client.cancel_trigger("12345"),
    ),
    Pair("get_conditional_order", lambda s: s.sdk.get_conditional_order("12345"), lambda s: s.client.trigger("12345")),
    Pair("get_conditional_orders", lambda s: s.sdk.get_conditional_orders(), lambda s: s.client.triggers()),
    Pair("get_holdings", lambda s: s.sdk.get_holdings(), lambda s: s.client.holdings()),
    Pair("get_positions", lambda s: s.sdk.get_positions(), lambda s: s.client.positions()),
    Pair("exit_all_positions", lambda s: s.sdk.exit_all_positions(), lambda s: s.client.exit_all()),
    Pair(
        "convert_position",
        lambda s: s.sdk.convert_position("INTRADAY", "NSE_FNO", "LONG", "42500", 65, "MARGIN"),
        lambda s: s.client.convert_position(
            bodies.ConvertBody(
                from_product_type="INTRADAY",
                exchange_segment="NSE_FNO",
                position_type="LONG",
                security_id="42500",
                convert_qty=65,
                to_product_type="MARGIN",
            )
        ),
    ),
    Pair("get_fund_limits", lambda s: s.sdk.get_fund_limits(), lambda s: s.client.funds()),
    Pair(
        "margin_calculator",
        lambda s: s.sdk.margin_calculator("1333", "NSE_EQ", "BUY", 5, "CNC", 1428, 1427),
        lambda s: s.client.margin(MARGIN),
    ),
    Pair(
        "margin_calculator_multi",
        lambda s: s.sdk.margin_calculator_multi(
            [
                {
                    "exchangeSegment": "NSE_EQ",
                    "transactionType": "BUY",
                    "quantity": 5,
                    "productType": "CNC",
                    "securityId": "1333",
                    "price": 1428,
                    "triggerPrice": 1427,
                }
            ],
            include_position=True,
        ),
        lambda s: s.client.margins([MARGIN], include_position=True),
    ),
    Pair("get_trade_book", lambda s: s.sdk.get_trade_book(), lambda s: s.client.trades(), theirs_slash=True),
    Pair("get_trade_book", lambda s: s.sdk.get_trade_book("7"), lambda s: s.client.trades_of("7")),
    Pair(
        "get_trade_history",
        lambda s: s.sdk.get_trade_history("2026-03-05", "2026-03-09"),
        lambda s: anext(aiter(s.client.trade_pages(FIRST, LAST))),
    ),
    Pair(
        "ledger_report",
        lambda s: s.sdk.ledger_report("2026-03-05", "2026-03-09"),
        lambda s: s.client.ledger(FIRST, LAST),
    ),
    Pair("kill_switch", lambda s: s.sdk.kill_switch("activate"), lambda s: s.client.set_kill_switch(active=True)),
    Pair("kill_switch", lambda s: s.sdk.kill_switch("deactivate"), lambda s: s.client.set_kill_switch(active=False)),
    Pair("status_kill_switch", lambda s: s.sdk.status_kill_switch(), lambda s: s.client.kill_switch()),
    Pair(
        "set_pnl_exit",
        lambda s: s.sdk.set_pnl_exit(1500, 500.5, ["INTRADAY", "DELIVERY"], True),
        lambda s: s.client.set_pnl_exit(
            bodies.PnlExitBody(
                profit_value_paise=150_000,
                loss_value_paise=50_050,
                product_type=("INTRADAY", "DELIVERY"),
                enable_kill_switch=True,
            )
        ),
    ),
    Pair("get_pnl_exit", lambda s: s.sdk.get_pnl_exit(), lambda s: s.client.pnl_exit()),
    Pair("stop_pnl_exit", lambda s: s.sdk.stop_pnl_exit(), lambda s: s.client.remove_pnl_exit()),
    Pair("generate_tpin", lambda s: s.sdk.generate_tpin(), lambda s: s.client.edis_tpin()),
    Pair(
        "open_browser_for_tpin",
        lambda s: s.sdk.open_browser_for_tpin("INF204KB14I2", 2, "NSE"),
        lambda s: s.client.edis_form(bodies.EdisFormBody(isin="INF204KB14I2", qty=2, exchange="NSE")),
    ),
    Pair(
        "edis_inquiry",
        lambda s: s.sdk.edis_inquiry("INF204KB14I2"),
        lambda s: s.client.edis_inquiry("INF204KB14I2"),
    ),
    Pair("ticker_data", lambda s: s.sdk.ticker_data(SECURITIES), lambda s: s.client.ltp(KEYS)),
    Pair("ohlc_data", lambda s: s.sdk.ohlc_data(SECURITIES), lambda s: s.client.ohlc(KEYS)),
    Pair("quote_data", lambda s: s.sdk.quote_data(SECURITIES), lambda s: s.client.quote(KEYS)),
    Pair(
        "intraday_minute_data",
        lambda s: s.sdk.intraday_minute_data(
            "42500", "NSE_FNO", "OPTIDX", "2026-03-05 00:00:00", "2026-03-10 00:00:00", 5, True
        ),
        lambda s: s.client.intraday(OPTION.key, "OPTIDX", FROM_NS, TO_NS, interval_min=5, open_interest=True),
    ),
    Pair(
        "historical_daily_data",
        lambda s: s.sdk.historical_daily_data("13", "IDX_I", "INDEX", "2026-03-05", "2026-03-10"),
        lambda s: s.client.daily(NIFTY.key, "INDEX", FIRST, LAST),
    ),
    Pair(
        "expired_options_data",
        lambda s: s.sdk.expired_options_data(
            "13", "NSE_FNO", "OPTIDX", "WEEK", 1, "ATM+1", "CALL", FIELDS, "2026-03-05", "2026-03-10", 15
        ),
        lambda s: s.client.rolling_options(NIFTY, OptionType.CE, FIRST, LAST, strike="ATM+1", interval_min=15),
    ),
    Pair(
        "option_chain",
        lambda s: s.sdk.option_chain(13, "IDX_I", "2026-12-01"),
        lambda s: s.client.option_chain(NIFTY.key, date(2026, 12, 1)),
    ),
    Pair("expiry_list", lambda s: s.sdk.expiry_list(13, "IDX_I"), lambda s: s.client.expiries(NIFTY.key)),
    Pair(
        "fetch_security_list",
        lambda s: s.sdk.fetch_security_list(),
        lambda s: s.client.contracts(["NIFTY"], FIRST, LAST),
    ),
    Pair(
        "generate_token",
        lambda s: s.login.generate_token(PIN, s.code),
        lambda s: s.auth.mint(PIN, TOTP_SECRET),
    ),
    Pair("renew_token", lambda s: s.login.renew_token(TOKEN), lambda s: s.auth.renew()),
    Pair(
        "generate_login_session",
        lambda s: s.login.generate_login_session(APP.app_id, APP.secret),
        lambda s: s.auth.begin_consent(APP),
    ),
    Pair(
        "consume_token_id",
        lambda s: s.login.consume_token_id("token-id-5", APP.app_id, APP.secret),
        lambda s: s.auth.finish_consent(APP, "token-id-5"),
    ),
    Pair("user_profile", lambda s: s.login.user_profile(TOKEN), lambda s: s.client.profile()),
    Pair(
        "set_ip",
        lambda s: s.login.set_ip(TOKEN, "203.0.113.7", "PRIMARY"),
        lambda s: s.client.set_address("203.0.113.7"),
    ),
    Pair(
        "modify_ip",
        lambda s: s.login.modify_ip(TOKEN, "203.0.113.7", "SECONDARY"),
        lambda s: s.client.modify_address("203.0.113.7", "SECONDARY"),
    ),
    Pair("get_ip", lambda s: s.login.get_ip(TOKEN), lambda s: s.client.addresses()),
]

NOT_COMPARED = {
    "convert_to_date_time": "asks nobody",
    "fetch_global_security_list": "US stocks",
    "place_global_order": "US stocks",
    "modify_global_order": "US stocks",
    "cancel_global_order": "US stocks",
    "get_global_order_list": "US stocks",
    "get_global_order_by_id": "US stocks",
    "get_global_trades": "US stocks",
    "get_global_trades_by_security": "US stocks",
    "get_global_holdings": "US stocks",
    "get_global_market_status": "US stocks",
    "get_global_fund_limit": "US stocks",
    "global_trans_estimate": "US stocks",
    "global_margin_calculator": "US stocks",
}


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{number}-{pair.method}" for number, pair in enumerate(PAIRS)])
async def test_both_send_the_same_request(pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with sides(monkeypatch, tmp_path) as both:
        await asyncio.to_thread(pair.theirs, both)
        (theirs,) = both.server.asked
        with contextlib.suppress(BrokerError, DataError):  # an answer for every question fits none exactly
            await pair.ours(both)
        (_, ours) = both.server.asked
    their_path, our_path = theirs.path.split("?"), ours.path.split("?")
    assert ours.method == theirs.method
    assert our_path[0] == (their_path[0].rstrip("/") if pair.theirs_slash else their_path[0])
    assert dict(parse_qsl(our_path[-1] if our_path[1:] else "")) == dict(
        parse_qsl(their_path[-1] if their_path[1:] else "")
    )
    our_body, their_body = said(ours), said(theirs)
    assert {name: our_body[name] for name in pair.differing} == pair.differing
    for name in pair.differing:
        our_body.pop(name)
        their_body.pop(name, None)
    assert our_body == their_body
    for header in ("access-token", "app_id", "app_secret"):
        assert ours.headers.get(header) == theirs.headers.get(header)
    if pair.method == "renew_token":
        assert ours.headers["dhanclientid"] == theirs.headers["dhanclientid"] == CLIENT


def said(asked: Asked) -> dict[str, Any]:
    """The fields that say something, numbers as numbers however they are written."""
    found = plain(asked.json) if asked.body else {}
    assert isinstance(found, dict)
    return found


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        known = {key: plain(one) for key, one in value.items()}
        return {key: one for key, one in known.items() if one not in (0, "", None, False)}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def test_every_method_of_the_sdk_that_asks_is_compared() -> None:
    kinds = (sdk.dhanhq, sdk.DhanLogin)
    public = {
        name for kind in kinds for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
    }
    assert public == {pair.method for pair in PAIRS} | NOT_COMPARED.keys()
