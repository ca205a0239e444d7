"""The official Python client, its package as published, does all it can against the simulator, over real sockets.

Its addresses are constants of its classes: a shim sets them, nothing else is touched. The simulator is a process of its
own, since the client blocks its thread; of this project nothing is imported here but what starts that process, so that
`bin/compat` can run this file with another version of the client.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.request import urlopen

import pytest

from tests.contract.simulator_process import (
    CLIENT,
    DAY,
    PATIENCE_S,
    PIN,
    TOKEN,
    TOTP_SECRET,
    Simulator,
    simulator_process,
    until,
)

sdk = pytest.importorskip("dhanhq", reason="the official SDK (dhanhq) is not installed")

NIFTY, SENSEX = "13", "51"
LOT = 65
FREEZE_LOTS = 27
MOST_MESSAGES = 5_000
"""Of a feed; what has not come by then does not come."""


class Desk:
    """The client at the simulator. Every test trades a contract of its own."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.context = sdk.DhanContext(CLIENT, TOKEN)
        self.client = sdk.dhanhq(self.context)
        self.login = self.context.get_dhan_login()
        self.expiry = str(self.data(self.client.expiry_list(int(NIFTY), "IDX_I"))["data"][1])
        chain = self.data(self.client.option_chain(int(NIFTY), "IDX_I", self.expiry))["data"]
        self.spot = float(chain["last_price"])
        strikes = sorted(chain["oc"], key=lambda strike: abs(float(strike) - self.spot))
        self._calls = [str(chain["oc"][strike]["ce"]["security_id"]) for strike in strikes]

    @staticmethod
    def data(answer: dict[str, Any]) -> Any:
        """What a successful call brought."""
        assert answer["status"] == "success", answer
        return answer["data"]

    @property
    def own(self) -> str:
        """The security id of a call near the money that no other test has."""
        return self._calls.pop(0)

    def quote(self, security_id: str) -> dict[str, Any]:
        """The market quote of an option."""
        found = self.data(self.client.quote_data({"NSE_FNO": [int(security_id)]}))
        row: dict[str, Any] = found["data"]["NSE_FNO"][security_id]
        return row

    def below(self, security_id: str, part: float = 0.8) -> float:
        """A price at which a buy rests: that part of the best bid, in rupees."""
        return float(round(self.quote(security_id)["depth"]["buy"][0]["price"] * part))

    def row(self, order_id: str) -> dict[str, Any]:
        """The order's row of the book, asked for by its id."""
        rows: list[dict[str, Any]] = self.data(self.client.get_order_by_id(order_id))
        return rows[0]

    def reaches(self, order_id: str, status: str) -> dict[str, Any]:
        """The order's row once it has this status."""
        found: dict[str, Any] = until(lambda: (row := self.row(order_id))["orderStatus"] == status and row)
        return found

    def buy(self, security_id: str, product: str = "INTRADAY") -> dict[str, Any]:
        """Buy a lot at the market; the order's row once it is traded."""
        placed = self.client.place_order(security_id, "NSE_FNO", "BUY", LOT, "MARKET", product, 0)
        return self.reaches(self.data(placed)["orderId"], "TRADED")

    def position(self, security_id: str) -> dict[str, Any]:
        """The newest position row of a contract."""
        rows = [row for row in self.data(self.client.get_positions()) if row["securityId"] == security_id]
        return dict(rows[-1]) if rows else {}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with (
        simulator_process(tmp_path_factory.mktemp("simulator")) as simulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("NO_PROXY", "*")
        patch.setattr(sdk.dhan_http.DhanHTTP, "API_BASE_URL", f"{simulator.root}/v2")
        patch.setattr(sdk.auth.DhanLogin, "API_BASE_URL", f"{simulator.root}/v2")
        patch.setattr(sdk.auth.DhanLogin, "AUTH_BASE_URL", simulator.root)
        files = f"{simulator.root}/api-data/api-scrip-master"
        patch.setattr(sdk._security.Security, "COMPACT_CSV_URL", f"{files}.csv")
        patch.setattr(sdk._security.Security, "DETAILED_CSV_URL", f"{files}-detailed.csv")
        patch.setattr(sdk._security.Security, "GLOBAL_STOCKS_CSV_URL", f"{simulator.root}/api-data/us.csv")
        patch.setattr(sdk.marketfeed.MarketFeed, "market_feed_wss", f"{simulator.sockets}/feed")
        patch.setattr(sdk.fulldepth.FullDepth, "depth_20_feed_wss", f"{simulator.sockets}/twentydepth")
        patch.setattr(sdk.auth.webbrowser, "open", lambda _: True)
        patch.setattr(sdk._security, "web_open", lambda _: True)
        made = Desk(simulator)
        yield made
        made.context.get_dhan_http().session.close()


# --- Orders -------------------------------------------------------------------------------------------------------------


def test_orders_are_placed_found_changed_and_cancelled(desk: Desk) -> None:
    option, client = desk.own, desk.client
    low = desk.below(option)
    placed = desk.data(client.place_order(option, "NSE_FNO", "BUY", LOT, "LIMIT", "INTRADAY", low, tag="sdk-order-1"))
    assert placed["orderStatus"] == "TRANSIT"
    number = placed["orderId"]
    row = desk.reaches(number, "PENDING")
    assert (row["securityId"], row["quantity"], row["price"]) == (option, LOT, low)
    assert desk.data(client.get_order_by_correlationID("sdk-order-1"))["orderId"] == number
    assert number in {each["orderId"] for each in desk.data(client.get_order_list())}
    desk.data(client.modify_order(number, "LIMIT", "ENTRY_LEG", 2 * LOT, low - 1, 0, 0, "DAY"))
    until(lambda: (desk.row(number)["quantity"], desk.row(number)["price"]) == (2 * LOT, low - 1))
    desk.data(client.cancel_order(number))
    desk.reaches(number, "CANCELLED")
    again = client.cancel_order(number)
    assert (again["status"], again["remarks"]["error_code"]) == ("failure", "DH-906")


def test_a_quantity_over_the_freeze_limit_is_sliced(desk: Desk) -> None:
    option = desk.own
    asked = LOT * (FREEZE_LOTS + 3)
    low = desk.below(option)
    parts = desk.data(desk.client.place_slice_order(option, "NSE_FNO", "BUY", asked, "LIMIT", "INTRADAY", low))
    numbers = [part["orderId"] for part in parts]
    assert sorted(desk.reaches(number, "PENDING")["quantity"] for number in numbers) == [3 * LOT, FREEZE_LOTS * LOT]
    for number in numbers:
        desk.data(desk.client.cancel_order(number))


def test_what_the_exchange_refuses_is_in_the_book_with_its_reason(desk: Desk) -> None:
    # A sale of what is not held needs the margin of a short.
    placed = desk.client.place_order(desk.own, "NSE_FNO", "SELL", LOT * FREEZE_LOTS, "MARKET", "INTRADAY", 0)
    row = desk.reaches(desk.data(placed)["orderId"], "REJECTED")
    assert "funds" in row["omsErrorDescription"].lower()


def test_a_super_order_is_changed_leg_by_leg_and_withdrawn(desk: Desk) -> None:
    option, client = desk.own, desk.client
    low = desk.below(option)
    placed = client.place_super_order(
        option, "NSE_FNO", "BUY", LOT, "LIMIT", "INTRADAY", low, low * 2, low - 20, 1, "sdk-super"
    )
    number = desk.data(placed)["orderId"]

    def row() -> dict[str, Any]:
        return next(dict(each) for each in desk.data(client.get_super_order_list()) if each["orderId"] == number)

    until(lambda: row()["orderStatus"] == "PENDING")
    desk.data(client.modify_super_order(number, "LIMIT", "ENTRY_LEG", LOT, low - 1, low * 2, low - 20, 1))
    desk.data(client.modify_super_order(number, "LIMIT", "TARGET_LEG", targetPrice=low * 2 + 5))
    desk.data(client.modify_super_order(number, "LIMIT", "STOP_LOSS_LEG", stopLossPrice=low - 15, trailingJump=1.5))
    until(lambda: row()["price"] == low - 1)
    legs = {leg["legName"]: leg for leg in row()["legDetails"]}
    assert legs["TARGET_LEG"]["price"] == low * 2 + 5
    assert (legs["STOP_LOSS_LEG"]["price"], legs["STOP_LOSS_LEG"]["trailingJump"]) == (low - 15, 1.5)
    desk.data(client.cancel_super_order(number, "ENTRY_LEG"))
    until(lambda: row()["orderStatus"] == "CANCELLED")


@pytest.mark.parametrize("flag", ["SINGLE", "OCO"])
def test_forever_orders_wait_and_are_withdrawn(desk: Desk, flag: str) -> None:
    option, client = desk.own, desk.client
    low = desk.below(option, 0.5)
    second = {"price1": low / 2, "trigger_Price1": low / 2 + 1, "quantity1": LOT} if flag == "OCO" else {}
    placed = client.place_forever(
        option, "NSE_FNO", "BUY", "MARGIN", "LIMIT", LOT, low, low - 1, order_flag=flag, tag=f"sdk-{flag}", **second
    )
    number = desk.data(placed)["orderId"]

    def rows() -> list[dict[str, Any]]:
        return [row for row in desk.data(client.get_forever()) if row["orderId"] == number]

    assert {row["legName"] for row in rows()} == ({"TARGET_LEG", "STOP_LOSS_LEG"} if second else {"TARGET_LEG"})
    desk.data(client.modify_forever(number, flag, "LIMIT", "TARGET_LEG", 2 * LOT, low - 2, low - 3, 0, "DAY"))
    assert {(row["quantity"], row["price"]) for row in rows() if row["legName"] == "TARGET_LEG"} == {(2 * LOT, low - 2)}
    desk.data(client.cancel_forever(number))
    assert {row["orderStatus"] for row in rows()} == {"CANCELLED"}


def test_a_conditional_trigger_is_placed_changed_shown_and_cancelled(desk: Desk) -> None:
    client = desk.client
    condition = {
        "comparisonType": "PRICE_WITH_VALUE",
        "exchangeSegment": "IDX_I",
        "securityId": NIFTY,
        "operator": "CROSSING_UP",
        "comparingValue": round(desk.spot * 1.05),
        "frequency": "ONCE",
        "timeFrame": "DAY",
        "expDate": "2026-02-20",
    }
    order = {
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "securityId": desk.own,
        "quantity": LOT,
        "validity": "DAY",
        "price": "50.05",
        "discQuantity": "0",
        "triggerPrice": "0",
    }
    number = desk.data(client.place_conditional_order(condition, [order]))["alertId"]
    assert desk.data(client.get_conditional_order(number))["alertStatus"] == "ACTIVE"
    changed = condition | {"comparingValue": round(desk.spot * 1.06)}
    desk.data(client.modify_conditional_order(number, changed, [order]))
    shown = desk.data(client.get_conditional_order(number))["condition"]
    assert shown["comparingValue"] == changed["comparingValue"]
    assert number in {row["alertId"] for row in desk.data(client.get_conditional_orders())}
    assert desk.data(client.cancel_conditional_order(number))["alertStatus"] == "CANCELLED"


# --- The account --------------------------------------------------------------------------------------------------------


def test_what_was_bought_is_held_converted_told_and_sold_with_all_else(desk: Desk) -> None:
    option, client = desk.own, desk.client
    before = desk.data(client.get_fund_limits())["availabelBalance"]
    bought = desk.buy(option)
    held = desk.position(option)
    assert (held["positionType"], held["netQty"], held["productType"]) == ("LONG", LOT, "INTRADAY")
    assert held["buyAvg"] == bought["averageTradedPrice"]
    spent = before - desk.data(client.get_fund_limits())["availabelBalance"]
    assert spent >= LOT * bought["averageTradedPrice"]
    # 202 without a body, as documented: this client's 2.3.0 takes that for a failure. The position tells.
    client.convert_position("INTRADAY", "NSE_FNO", "LONG", option, LOT, "MARGIN")
    until(lambda: desk.position(option)["productType"] == "MARGIN")
    trades = desk.data(client.get_trade_book(bought["orderId"]))
    assert sum(trade["tradedQuantity"] for trade in trades) == LOT
    assert bought["orderId"] in {trade["orderId"] for trade in desk.data(client.get_trade_book())}
    assert desk.data(client.exit_all_positions())["status"] == "SUCCESS"
    until(lambda: not any(row["netQty"] for row in desk.data(client.get_positions())))
    history = desk.data(client.get_trade_history(DAY, DAY, 0))
    assert bought["orderId"] in {trade["orderId"] for trade in history}
    assert desk.data(client.ledger_report(DAY, DAY))[-1]["dhanClientId"] == CLIENT


def test_holdings_are_the_accounts_facts(desk: Desk) -> None:
    (row,) = desk.data(desk.client.get_holdings())
    assert (row["tradingSymbol"], row["totalQty"]) == ("NIFTYBEES", 10)


def test_the_margin_of_one_and_of_several_orders(desk: Desk) -> None:
    option = desk.own
    one = desk.data(desk.client.margin_calculator(option, "NSE_FNO", "BUY", LOT, "INTRADAY", 100, 0))
    assert one["totalMargin"] == LOT * 100
    script = {
        "exchangeSegment": "NSE_FNO",
        "transactionType": "BUY",
        "quantity": LOT,
        "productType": "INTRADAY",
        "securityId": option,
        "price": 100,
        "triggerPrice": 0,
    }
    several = desk.data(desk.client.margin_calculator_multi([script, script], include_position=False))
    assert float(several["total_margin"]) == 2 * LOT * 100


def test_the_traders_controls_are_set_read_and_lifted(desk: Desk) -> None:
    client = desk.client
    desk.data(client.set_pnl_exit(150_000, 50_000, ["INTRADAY"]))
    assert desk.data(client.get_pnl_exit())["pnlExitStatus"] == "ACTIVE"
    assert desk.data(client.stop_pnl_exit())["pnlExitStatus"] == "DISABLED"
    # It cannot be thrown while anything is open.
    desk.data(client.exit_all_positions())
    until(lambda: client.kill_switch("activate")["status"] == "success")
    assert desk.data(client.status_kill_switch())["killSwitchStatus"] == "ACTIVATE"
    option = desk.own
    refused = client.place_order(option, "NSE_FNO", "BUY", LOT, "LIMIT", "INTRADAY", desk.below(option))
    assert refused["status"] == "failure"
    assert "Kill Switch" in refused["remarks"]["error_message"]
    desk.data(client.kill_switch("deactivate"))
    assert desk.data(client.status_kill_switch())["killSwitchStatus"] == "DEACTIVATE"


def test_securities_are_authorised_for_sale(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    form = desk.data(desk.client.open_browser_for_tpin("INF204KB14I2", 1, "NSE"))
    assert "<form" in form["edisFormHtml"]
    assert "<form" in (tmp_path / "temp_form.html").read_text()
    assert desk.data(desk.client.edis_inquiry("INF204KB14I2"))["totalQty"] == 10


def test_us_stocks_are_not_simulated_and_say_so(desk: Desk) -> None:
    for ask in (desk.client.get_global_order_list, desk.client.get_global_holdings, desk.client.get_global_fund_limit):
        assert ask()["status"] == "failure"
    assert desk.client.fetch_global_security_list() is None


# --- Data ---------------------------------------------------------------------------------------------------------------


def test_quotes_of_each_kind(desk: Desk) -> None:
    option = desk.own
    wanted = {"IDX_I": [int(NIFTY), int(SENSEX)], "NSE_FNO": [int(option)]}
    last = desk.data(desk.client.ticker_data(wanted))["data"]
    assert last["IDX_I"][NIFTY]["last_price"] == pytest.approx(desk.spot, rel=0.02)
    assert last["IDX_I"][SENSEX]["last_price"] > 50_000
    day = desk.data(desk.client.ohlc_data(wanted))["data"]["NSE_FNO"][option]["ohlc"]
    assert day["low"] <= day["open"] <= day["high"]
    depth = desk.quote(option)["depth"]
    bids, asks = ([level["price"] for level in depth[side]] for side in ("buy", "sell"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert len(bids) == len(asks) == 5
    assert bids[0] < asks[0]


def test_chains_of_each_expiry(desk: Desk) -> None:
    expiries = desk.data(desk.client.expiry_list(int(NIFTY), "IDX_I"))["data"]
    assert expiries == sorted(expiries)
    assert expiries[0] == DAY
    for expiry in expiries[:2]:
        chain = desk.data(desk.client.option_chain(int(NIFTY), "IDX_I", expiry))["data"]
        near = min(chain["oc"], key=lambda strike: abs(float(strike) - chain["last_price"]))
        assert 0.3 < chain["oc"][near]["ce"]["greeks"]["delta"] < 0.7
        assert chain["oc"][near]["pe"]["greeks"]["delta"] < 0


def test_candles_of_indices_options_and_expired_options(desk: Desk) -> None:
    client, option = desk.client, desk.own
    for interval in (1, 5):
        minutes = desk.data(client.intraday_minute_data(NIFTY, "IDX_I", "INDEX", "2026-02-02", DAY, interval))
        assert len({len(column) for column in minutes.values() if column}) == 1
        apart = {later - at for at, later in zip(minutes["timestamp"], minutes["timestamp"][1:], strict=False)}
        assert min(apart) == 60 * interval
    daily = desk.data(client.historical_daily_data(NIFTY, "IDX_I", "INDEX", "2026-01-28", DAY))
    assert daily["low"][-1] <= daily["close"][-1] <= daily["high"][-1]
    with_oi = desk.data(client.intraday_minute_data(option, "NSE_FNO", "OPTIDX", DAY, DAY, 1, True))
    assert len(with_oi["open_interest"]) == len(with_oi["close"]) > 0
    fields = ["open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot"]
    rolled = desk.data(
        client.expired_options_data(NIFTY, "NSE_FNO", "OPTIDX", "WEEK", 1, "ATM", "CALL", fields, "2026-01-20", DAY)
    )
    assert set(rolled["data"]["ce"]) == {*fields, "timestamp"}


@pytest.mark.parametrize("mode", ["compact", "detailed"])
def test_the_security_lists_are_read(desk: Desk, mode: str, tmp_path: Path) -> None:
    found = desk.client.fetch_security_list(mode, filename=str(tmp_path / "list.csv"))
    column = "SEM_SMST_SECURITY_ID" if mode == "compact" else "SECURITY_ID"
    assert int(desk.own) in set(found[column])
    assert len(found) > 1_000


# --- Tokens -------------------------------------------------------------------------------------------------------------


def one_time_password(at_s: int) -> str:
    """RFC 6238, as an authenticator shows it."""
    key = base64.b32decode(TOTP_SECRET)
    digest = hmac.digest(key, struct.pack(">Q", at_s // 30), "sha1")
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def test_tokens_are_made_used_renewed_and_looked_at(desk: Desk) -> None:
    made = desk.login.generate_token(PIN, one_time_password(int(time.time())))
    profile = desk.login.user_profile(made["accessToken"])
    assert profile["dhanClientId"] == CLIENT
    other = sdk.DhanContext(CLIENT, made["accessToken"])
    assert desk.data(sdk.dhanhq(other).get_order_list()) is not None
    other.get_dhan_http().session.close()
    assert desk.login.renew_token(TOKEN)["accessToken"] not in ("", made["accessToken"])
    # A refusal comes with status 200: this client hands it on as it is.
    assert desk.login.generate_token("000000", one_time_password(int(time.time())))["status"] == "error"


def test_a_person_agrees_in_the_browser(desk: Desk) -> None:
    consent = desk.login.generate_login_session("SIMULATED-APP", "SIMULATED-APP-SECRET")
    # Not through the client: this is what the person's browser does.
    with urlopen(f"{desk.simulator.root}/login/consentApp-login?consentAppId={consent}", timeout=PATIENCE_S) as page:
        token_id = re.findall(r"<code>(.+)</code>", page.read().decode())[0]
    token = desk.login.consume_token_id(token_id, "SIMULATED-APP", "SIMULATED-APP-SECRET")
    assert desk.login.user_profile(token["accessToken"])["dhanClientId"] == CLIENT


def test_the_address_orders_come_from_is_registered_once_in_seven_days(desk: Desk) -> None:
    desk.data(desk.login.set_ip(TOKEN, "127.0.0.1", "PRIMARY"))
    known = desk.data(desk.login.get_ip(TOKEN))
    assert (known["primaryIP"], known["ordersAllowed"]) == ("127.0.0.1", True)
    again = desk.login.modify_ip(TOKEN, "127.0.0.2", "PRIMARY")
    assert "7 days" in again["remarks"]["error_message"]
    desk.simulator.tell("/sim/account", {"primary_ip": "", "primary_changed": ""})


# --- Sockets ------------------------------------------------------------------------------------------------------------


class Heard:
    """What a socket's callbacks said, in order."""

    def __init__(self) -> None:
        self._queue: Queue[dict[str, Any]] = Queue()

    def put(self, said: dict[str, Any]) -> None:
        self._queue.put(said)

    def next(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next that fits."""
        for _ in range(MOST_MESSAGES):
            said = self._queue.get(timeout=PATIENCE_S)
            if fits(said):
                return said
        raise AssertionError(f"not among {MOST_MESSAGES} messages")


class Feed:
    """The client's market feed in a thread of its own, where it makes and runs its loop."""

    def __init__(self, desk: Desk, wanted: list[tuple[int, str, int]]) -> None:
        self.heard = Heard()
        self.farewell = threading.Event()
        connected: Queue[Any] = Queue()

        def run() -> None:
            feed = sdk.MarketFeed(
                desk.context,
                wanted,
                on_connect=connected.put,
                on_message=lambda _, said: self.heard.put(said) if isinstance(said, dict) else None,
                on_close=lambda _: self.farewell.set(),
            )
            try:
                feed.run()
            finally:
                feed.loop.close()
                asyncio.set_event_loop(None)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        self.feed = connected.get(timeout=PATIENCE_S)

    def next(self, kind: str, security_id: str) -> dict[str, Any]:
        """The next packet of this kind for this instrument."""
        return self.heard.next(lambda said: said["type"] == kind and str(said["security_id"]) == security_id)

    def close(self) -> None:
        self.feed.close_connection()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def test_the_feed_in_its_three_modes(desk: Desk) -> None:
    feed_class = sdk.MarketFeed
    quoted, full = desk.own, desk.own
    feed = Feed(
        desk,
        [
            (feed_class.IDX, NIFTY, feed_class.Ticker),
            (feed_class.NSE_FNO, quoted, feed_class.Quote),
            (feed_class.NSE_FNO, full, feed_class.Full),
        ],
    )
    tick = feed.next("Ticker Data", NIFTY)
    assert float(tick["LTP"]) == pytest.approx(desk.spot, rel=0.02)
    # The time of a trade is IST written as if it were UTC: this client prints it as it is.
    assert tick["LTT"].startswith("10:")
    quote = feed.next("Quote Data", quoted)
    assert float(quote["low"]) <= float(quote["LTP"]) <= float(quote["high"])
    assert quote["volume"] > 0
    packet = feed.next("Full Data", full)
    assert packet["OI"] > 0
    bids, asks = ([float(level[f"{side}_price"]) for level in packet["depth"]] for side in ("bid", "ask"))
    assert bids == sorted(bids, reverse=True)
    assert 0 < bids[0] < asks[0]
    rest = desk.quote(full)
    assert float(packet["close"]) == pytest.approx(rest["ohlc"]["close"], abs=0.01)
    later = desk.own
    feed.feed.subscribe_symbols([(feed_class.NSE_FNO, later, feed_class.Full)])
    feed.next("Full Data", later)
    feed.feed.unsubscribe_symbols([(feed_class.NSE_FNO, later, feed_class.Full)])
    watched = len(feed.feed.instruments)
    until(lambda: [each["instruments"] for each in desk.simulator.tell("/sim/status")["feeds"]] == [watched])
    feed.close()
    assert feed.farewell.is_set()


def test_the_feed_says_why_it_ends_and_takes_the_client_back(desk: Desk) -> None:
    feed = Feed(desk, [(sdk.MarketFeed.IDX, NIFTY, sdk.MarketFeed.Ticker)])
    feed.next("Ticker Data", NIFTY)
    desk.simulator.tell("/sim/faults", {"token": "dead"})
    assert feed.farewell.wait(PATIENCE_S)
    desk.simulator.tell("/sim/faults", {"token": "good"})
    feed.next("Previous Close", NIFTY)
    feed.next("Ticker Data", NIFTY)
    feed.close()


def test_order_updates_follow_the_order(desk: Desk) -> None:
    updates = sdk.OrderUpdate(desk.context)
    updates.order_feed_wss = f"{desk.simulator.sockets}/order-updates"
    heard = Heard()
    updates.on_update = heard.put
    thread = threading.Thread(target=updates.connect_to_dhan_websocket_sync, daemon=True)
    thread.start()
    until(lambda: any(each["logged_in"] for each in desk.simulator.tell("/sim/status")["order_sockets"]))
    option = desk.own

    def told(number: str, status: str) -> dict[str, Any]:
        said = heard.next(lambda said: (said["Data"]["orderNo"], said["Data"]["status"].upper()) == (number, status))
        return dict(said["Data"])

    low = desk.below(option)
    resting = desk.client.place_order(option, "NSE_FNO", "BUY", LOT, "LIMIT", "INTRADAY", low, tag="sdk-pushed")
    number = desk.data(resting)["orderId"]
    assert told(number, "PENDING")["correlationId"] == "sdk-pushed"
    desk.data(desk.client.cancel_order(number))
    told(number, "CANCELLED")
    bought = desk.buy(option)
    last = told(bought["orderId"], "TRADED")
    assert (last["tradedQty"], last["avgTradedPrice"]) == (LOT, bought["averageTradedPrice"])
    # This client has no way to end it: the other side goes.
    desk.simulator.tell("/sim/faults", {"drop_order_sockets": True})
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_twenty_levels_of_depth(desk: Desk) -> None:
    options = [desk.own, desk.own]
    said: Queue[Any] = Queue()
    enough = threading.Event()

    def run() -> None:
        feed = sdk.FullDepth(desk.context, [(sdk.FullDepth.NSE_FNO, option) for option in options], 20)
        feed.on_ticks = said.put
        try:
            feed.run_forever()
            while not enough.is_set():
                feed.get_data()
            feed.close_connection()
            feed.loop.run_until_complete(feed.ws.close())
        finally:
            feed.loop.close()
            asyncio.set_event_loop(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    seen: dict[str, list[str]] = {}
    for _ in range(MOST_MESSAGES):
        told = said.get(timeout=PATIENCE_S)
        seen[str(told["security_id"])] = told["depth"]
        if set(options) <= set(seen):
            break
    enough.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    for option in options:
        levels = [re.findall(r"price:([\d.]+), quantity:(\d+)", line) for line in seen[option]]
        assert len(levels) == 20
        bids, asks = ([float(level[side][0]) for level in levels] for side in (0, 1))
        assert 0 < bids[0] < asks[0]
        assert all(int(quantity) > 0 for level in levels[:5] for _, quantity in level)
