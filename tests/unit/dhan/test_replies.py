"""Answers typed by hand after the documentation and the captures described there; these run without any real data."""

from __future__ import annotations

from typing import Any

import pytest

from algo_scalper.adapters.dhan import endpoints as table
from algo_scalper.adapters.dhan.replies import ChainData, KillSwitch, Profile, Token
from algo_scalper.adapters.dhan.wire import DEEPEST, Endpoint, read_reply
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.units import NS_PER_SECOND, ist_day, ist_second

ORDER = {
    "dhanClientId": "1100000001",
    "orderId": "249260930396313",
    "exchangeOrderId": "1790755526503418817",
    "correlationId": "NA",
    "orderStatus": "TRADED",
    "transactionType": "SELL",
    "exchangeSegment": "BSE_FNO",
    "productType": "MARGIN",
    "orderType": "MARKET",
    "validity": "DAY",
    "tradingSymbol": "SENSEX-Oct2026-69300-PE",
    "securityId": "1123554",
    "quantity": 40.0,
    "disclosedQuantity": 0,
    "price": 2.7,
    "triggerPrice": 0.0,
    "afterMarketOrder": False,
    "legName": "NA",
    "exchangeTime": "0001-01-01 00:00:00",
    "drvExpiryDate": "2026-10-01",
    "drvOptionType": "PUT",
    "drvStrikePrice": 69300.0,
    "omsErrorCode": "0",
    "omsErrorDescription": None,
    "remainingQuantity": "0",
    "averageTradedPrice": 49.125,
    "filledQty": 40,
}


def test_an_order() -> None:
    (row,) = read_reply(table.ORDER_BOOK, [ORDER])
    assert (row.order_id, row.correlation_id, row.oms_error_description) == ("249260930396313", "", "")
    assert (row.quantity, row.filled_qty, row.remaining_quantity) == (40, 40, 0)
    assert (row.price_paise, row.drv_strike_price_paise, row.average_traded_price) == (270, 6_930_000, 49.125)
    assert (row.exchange_time, row.drv_expiry_date) == ("", "2026-10-01")


def test_an_order_alone_is_a_list_of_one() -> None:
    assert read_reply(table.ORDER_BY_ID, ORDER) == read_reply(table.ORDER_BY_ID, [ORDER])
    assert read_reply(table.ORDER_BY_ID, []) == ()


def test_funds_under_both_spellings() -> None:
    misspelt = read_reply(table.FUNDS, {"availabelBalance": 98440.18, "receiveableAmount": "0.05", "sodLimit": 113642})
    mended = read_reply(table.FUNDS, {"availableBalance": 98440.18, "receivableAmount": "0.05", "sodLimit": 113642})
    assert misspelt == mended
    assert (mended.available_balance_paise, mended.receivable_amount_paise) == (9_844_018, 5)
    assert mended.sod_limit_paise == 11_364_200


def test_margins_under_both_spellings() -> None:
    strings = {"total_margin": "150000.50", "hedge_benefit": "-1200", "currency": "0", "fo_margin": "150000.50"}
    numbers = {"totalMargin": 150000.5, "hedgeBenefit": -1200, "currency": 0, "foMargin": 150000.5}
    assert read_reply(table.MARGINS, strings) == read_reply(table.MARGINS, numbers)
    assert read_reply(table.MARGINS, strings).total_margin == 150000.5
    assert read_reply(table.MARGIN, {"totalMargin": 7140.0, "leverage": 4.0}).leverage == "4.0"


def test_a_super_order_with_its_legs() -> None:
    leg = {"orderId": "5925", "legName": "TARGET_LEG", "totalQuatity": 65, "price": 155.05, "trailingJump": 0.5}
    body = [ORDER | {"ltp": 2.75, "legName": "ENTRY_LEG", "legDetails": [leg, {**leg, "totalQuantity": 130}]}]
    (row,) = read_reply(table.SUPER_ORDERS, body)
    assert (row.ltp_paise, row.leg_name, len(row.leg_details)) == (275, "ENTRY_LEG", 2)
    assert [one.total_quantity for one in row.leg_details] == [65, 130]
    assert (row.leg_details[0].price_paise, row.leg_details[0].trailing_jump_paise) == (15_505, 50)


def test_a_conditional_trigger() -> None:
    body = {
        "alertId": "12345",
        "alertStatus": "ACTIVE",
        "createdTime": "2026-02-10T04:15:00Z",
        "triggeredTime": None,
        "lastPrice": "2450.50",
        "condition": {"comparisonType": "PRICE_WITH_VALUE", "operator": "CROSSING_UP", "comparingValue": 2500},
        "orders": [{"transactionType": "BUY", "quantity": 10, "price": "2501.00", "discQuantity": "0"}],
    }
    row = read_reply(table.TRIGGER, body)
    assert (row.alert_id, row.last_price_paise, row.triggered_time) == ("12345", 245_050, "")
    assert row.condition.comparing_value == 2500.0
    assert (row.orders[0].price_paise, row.orders[0].disc_quantity) == (250_100, 0)
    assert read_reply(table.TRIGGERS, [body]) == (row,)


@pytest.mark.parametrize(
    ("said", "active"),
    [
        ("ACTIVATE", True),
        ("DEACTIVATE", False),
        ("Kill Switch has been successfully activated", True),
        ("Kill Switch has been successfully deactivated.", False),
        ("", False),
    ],
)
def test_the_kill_switch(said: str, active: bool) -> None:
    assert read_reply(table.KILL_SWITCH, {"killSwitchStatus": said}).active is active
    assert isinstance(read_reply(table.KILL_SWITCH, {"dhanClientId": "1"}), KillSwitch)


def test_the_pnl_exit_under_both_spellings() -> None:
    snake = {"pnlExitStatus": "ACTIVE", "profit": "1500.00", "loss": "500.00", "enable_kill_switch": True}
    camel = {"pnlExitStatus": "ACTIVE", "profitValue": 1500, "lossValue": 500.0, "enableKillSwitch": "true"}
    found = read_reply(table.PNL_EXIT, snake | {"productType": ["INTRADAY", "DELIVERY"]})
    assert found == read_reply(table.PNL_EXIT, camel | {"productType": ["INTRADAY", "DELIVERY"]})
    assert (found.profit_paise, found.loss_paise, found.enable_kill_switch) == (150_000, 50_000, True)


def profile(**fields: str) -> Profile:
    return read_reply(table.PROFILE, {"dhanClientId": "1100000001", **fields})


def test_a_profile() -> None:
    found = profile(
        tokenValidity="09/09/2026 08:00",
        activeSegment="E, D, C, M, ",
        dataPlan="Active",
        dataValidity="2026-09-29 17:52:44.0",
    )
    assert (found.derivatives_active, found.data_active) == (True, True)
    assert found.token_ends_ns is not None
    assert (ist_day(found.token_ends_ns).isoformat(), ist_second(found.token_ends_ns)) == ("2026-09-09", 8 * 3600)
    assert found.token_ends_ns == 1_788_921_000 * NS_PER_SECOND
    assert found.data_ends_ns is not None
    assert ist_second(found.data_ends_ns) == 17 * 3600 + 52 * 60 + 44


def test_a_profile_of_the_sandbox_and_one_without_derivatives() -> None:
    words = profile(activeSegment="Equity, Derivative, Currency, Commodity", dataPlan="Deactive")
    assert (words.derivatives_active, words.data_active) == (True, False)
    assert (words.token_ends_ns, words.data_ends_ns) == (None, None)
    assert not profile(activeSegment="E, C, M, ").derivatives_active
    assert not profile(activeSegment="Equity").derivatives_active


@pytest.mark.parametrize("end", ["2026-01-01T00:00:00.000", "2026-01-01T00:00:00"])
def test_a_token_never_shows(end: str) -> None:
    found: Token = read_reply(
        table.GENERATE_TOKEN, {"accessToken": "eyJ.secret.x", "expiryTime": end, "givenPowerOfAttorney": False}
    )
    assert found.access_token == "eyJ.secret.x"
    assert "secret" not in repr(found)
    assert found.ends_ns == 1_767_205_800 * NS_PER_SECOND
    assert read_reply(table.RENEW_TOKEN, {"token": "eyJ.secret.x"}).access_token == "eyJ.secret.x"


def test_prices() -> None:
    body = {"data": {"NSE_EQ": {"11536": {"last_price": 4520}}, "NSE_FNO": {}}, "status": "success"}
    found = read_reply(table.LAST_PRICES, body).data
    assert found["NSE_EQ"]["11536"].last_price_paise == 452_000
    assert found["NSE_FNO"] == {}
    day = {"last_price": 24028.05, "ohlc": {"open": 23868.05, "close": 24028.05, "high": 24078.15, "low": 23697.8}}
    ohlc = read_reply(table.DAY_PRICES, {"data": {"IDX_I": {"13": day}}}).data["IDX_I"]["13"].ohlc
    assert (ohlc.open_paise, ohlc.high_paise, ohlc.low_paise, ohlc.close_paise) == (
        2_386_805,
        2_407_815,
        2_369_780,
        2_402_805,
    )


def test_a_chain_with_its_greeks() -> None:
    call = {
        "average_price": 146.99,
        "greeks": {"delta": 0.53871, "theta": -15.1539, "gamma": 0.00132, "vega": 12.18593},
        "implied_volatility": 9.789193798280868,
        "last_price": 134,
        "oi": 3786445,
        "security_id": 42528,
        "top_ask_price": 134,
        "top_bid_price": 133.55,
        "volume": 117567970,
    }
    body = {"data": {"last_price": 25642.8, "oc": {"25650.000000": {"ce": call}}}, "status": "success"}
    strike = read_reply(table.OPTION_CHAIN, body).data.oc["25650.000000"]
    assert (strike.ce.security_id, strike.ce.last_price_paise, strike.ce.top_bid_price_paise) == (
        "42528",
        13_400,
        13_355,
    )
    assert strike.ce.greeks.theta == -15.1539
    assert (strike.pe.security_id, strike.pe.oi) == ("", 0)


def chain_of(last_price: float, *strikes: str) -> ChainData:
    told = {strike: {"ce": {"security_id": number}} for number, strike in enumerate(strikes, 1)}
    return read_reply(table.OPTION_CHAIN, {"data": {"last_price": last_price, "oc": told}, "status": "success"}).data


def test_the_strikes_of_a_chain_by_their_price_and_those_near_the_money() -> None:
    chain = chain_of(25_642.8, "25700.000000", "9950.000000", "25650.000000", "25600.000000", "25550.500000")
    assert list(chain.strikes()) == [995_000, 2_555_050, 2_560_000, 2_565_000, 2_570_000]
    assert chain.strikes()[2_565_000].ce.security_id == "3"
    assert list(chain.nearest()) == [2_565_000]
    assert chain.at_the_money().ce.security_id == "3"
    assert {strike: both.ce.security_id for strike, both in chain.nearest(3).items()} == {
        2_560_000: "4",
        2_565_000: "3",
        2_570_000: "1",
    }
    assert list(chain.nearest(2, to_paise=1_000_000)) == [995_000, 2_555_050]
    assert list(chain.nearest(99)) == list(chain.strikes())
    assert chain_of(1.0).nearest() == {}
    with pytest.raises(DataError, match="no strikes"):
        chain_of(1.0).at_the_money()


def test_a_chain_without_a_price_of_its_underlying_has_no_nearest_strike() -> None:
    chain = chain_of(0, "25700.000000")
    with pytest.raises(DataError, match="say which price is meant"):
        chain.nearest()
    assert list(chain.nearest(1, 2_569_000)) == [2_570_000]


def test_an_empty_success_is_taken_only_where_there_is_nothing_to_say() -> None:
    assert read_reply(table.CONVERT_POSITION, None).status == ""
    assert read_reply(table.EXIT_ALL, {"status": "SUCCESS", "message": "All orders exited"}).status == "SUCCESS"
    others: tuple[Endpoint[Any], ...] = (table.FUNDS, table.POSITIONS, table.ORDER_BOOK)
    for endpoint in others:
        with pytest.raises(DataError, match=endpoint.name):
            read_reply(endpoint, None)


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = {"data": found}
    return found


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (table.FUNDS, {}),
        (table.FUNDS, {"somebody": "else's answer"}),
        (table.FUNDS, {"availabelBalance": "a lot"}),
        (table.FUNDS, {"availabelBalance": "NaN"}),
        (table.FUNDS, {"availabelBalance": 1e300}),
        (table.FUNDS, {"availabelBalance": 10**400}),
        (table.FUNDS, {"availabelBalance": True}),
        (table.FUNDS, {"availabelBalance": [1]}),
        (table.ORDER_BOOK, [{"orderId": "1"}, {"weather": "fine"}]),
        (table.ORDER_BOOK, [{"orderId": "1", "quantity": 0.5}]),
        (table.ORDER_BOOK, [{"orderId": ["1"]}]),
        (table.ORDER_BOOK, "orders"),
        (table.LAST_PRICES, {"data": {"IDX_I": {"13": {"last_price": "inf"}}}}),
        (table.LAST_PRICES, nested(DEEPEST + 1)),
        (table.EXPIRY_LIST, {"data": {"expiry": "2026-11-23"}}),
    ],
)
def test_what_cannot_be_an_answer_is_refused_by_the_name_of_its_call(endpoint: Endpoint[Any], body: object) -> None:
    with pytest.raises(DataError, match=f"{endpoint.name}|nested"):
        read_reply(endpoint, body)
