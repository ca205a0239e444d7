"""What the calls of `endpoints` answer, field by field.

Every field may be absent (then it is empty or zero), and fields not listed here are ignored: answers differ between the
live service, its sandbox and the documentation. Names ending in ``_paise`` are rupees on the wire; an `Amount` is a number
as it stands (averages, margins, greeks, charges: they need not be whole paise). Times are IST, as Dhan prints them.
Dhan's words for nothing (``NA``, ``0001-01-01``) come as empty texts.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from algo_scalper.adapters.dhan.values import paise
from algo_scalper.adapters.dhan.wire import (
    NO_AMOUNT,
    NO_COUNT,
    NO_PAISE,
    NO_TEXT,
    Amount,
    Count,
    Paise,
    Text,
)
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.units import ist_ns


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A JSON object with camelCase names."""


class Said(Answer, frozen=True, kw_only=True):
    """A bare confirmation: of saving an IP address, of converting and of exiting positions. May come empty."""

    status: Text = NO_TEXT
    message: Text = NO_TEXT


# --- who we are ----------------------------------------------------------------------------------------------------


class Profile(Answer, frozen=True, kw_only=True):
    """The account's set-up, and how long its token lives."""

    dhan_client_id: Text = NO_TEXT
    token_validity: Text = NO_TEXT
    """``DD/MM/YYYY HH:MM``, IST."""
    active_segment: Text = NO_TEXT
    """``"E, D, C, M, "`` live, words (``"Equity, Derivative"``) in the sandbox."""
    ddpi: Text = NO_TEXT
    """Active or Deactive."""
    mtf: Text = NO_TEXT
    data_plan: Text = NO_TEXT
    """Active or Deactive: without it there are no quotes, charts, chains and feeds."""
    data_validity: Text = NO_TEXT
    """``YYYY-MM-DD HH:MM:SS.0``, IST."""

    @property
    def token_ends_ns(self) -> int | None:
        """`token_validity` as UTC ns; None when it is not a time."""
        return _ist(self.token_validity, "%d/%m/%Y %H:%M")

    @property
    def data_ends_ns(self) -> int | None:
        """`data_validity` as UTC ns; None when it is not a time."""
        return _ist(self.data_validity, "%Y-%m-%d %H:%M:%S.%f")

    @property
    def derivatives_active(self) -> bool:
        """Whether futures and options may be traded."""
        return bool({"D", "DERIVATIVE"} & {one.strip().upper() for one in self.active_segment.split(",")})

    @property
    def data_active(self) -> bool:
        """Whether market data is paid for."""
        return self.data_plan.upper() == "ACTIVE"


class Addresses(Answer, frozen=True, kw_only=True):
    """The static IP addresses orders are taken from. An account without any answers with an error."""

    primary_ip: Text = msgspec.field(name="primaryIP", default=NO_TEXT)
    modify_date_primary: Text = NO_TEXT
    """From this date on it may be changed again."""
    secondary_ip: Text = msgspec.field(name="secondaryIP", default=NO_TEXT)
    modify_date_secondary: Text = NO_TEXT
    detected_ip: Text = msgspec.field(name="detectedIP", default=NO_TEXT)
    """Where this request came from."""
    ip_match_status: Text = NO_TEXT
    orders_allowed: Text = NO_TEXT


class Token(Answer, frozen=True, kw_only=True):
    """A new access token; the one before it has ended."""

    dhan_client_id: Text = NO_TEXT
    dhan_client_name: Text = NO_TEXT
    dhan_client_ucc: Text = NO_TEXT
    given_power_of_attorney: bool = False
    access_token: Text = NO_TEXT
    expiry_time: Text = NO_TEXT
    """ISO, IST, with or without milliseconds."""

    def __repr__(self) -> str:
        return f"Token(expiry_time={self.expiry_time!r})"

    @property
    def ends_ns(self) -> int | None:
        """`expiry_time` as UTC ns; None when it is not a time."""
        return _ist(self.expiry_time, "%Y-%m-%dT%H:%M:%S.%f") or _ist(self.expiry_time, "%Y-%m-%dT%H:%M:%S")


class Consent(Answer, frozen=True, kw_only=True):
    """The first step of a login with an application's key: a person agrees in the browser."""

    consent_app_id: Text = NO_TEXT
    consent_app_status: Text = NO_TEXT
    status: Text = NO_TEXT


class PartnerConsent(Answer, frozen=True, kw_only=True):
    """As `Consent`, for partners."""

    consent_id: Text = NO_TEXT
    consent_status: Text = NO_TEXT


# --- orders --------------------------------------------------------------------------------------------------------


class OrderAnswer(Answer, frozen=True, kw_only=True):
    """Dhan took the request; nothing more. Refusals of the risk system and the exchange appear later in the book."""

    order_id: Text = NO_TEXT
    order_status: Text = NO_TEXT


class TriggerAnswer(Answer, frozen=True, kw_only=True):
    """The same for a conditional trigger."""

    alert_id: Text = NO_TEXT
    alert_status: Text = NO_TEXT


class OrderRow(Answer, frozen=True, kw_only=True):
    """An order of the day."""

    dhan_client_id: Text = NO_TEXT
    order_id: Text = NO_TEXT
    exchange_order_id: Text = NO_TEXT
    """``0`` until the exchange has answered."""
    correlation_id: Text = NO_TEXT
    order_status: Text = NO_TEXT
    """TRANSIT, PENDING, REJECTED, CANCELLED, PART_TRADED, TRADED or EXPIRED."""
    transaction_type: Text = NO_TEXT
    exchange_segment: Text = NO_TEXT
    product_type: Text = NO_TEXT
    order_type: Text = NO_TEXT
    """Of a forever order SINGLE or OCO."""
    validity: Text = NO_TEXT
    trading_symbol: Text = NO_TEXT
    """``NIFTY-Oct2026-22550-PE``: without the day, so not unique."""
    security_id: Text = NO_TEXT
    quantity: Count = NO_COUNT
    disclosed_quantity: Count = NO_COUNT
    price_paise: Paise = msgspec.field(name="price", default=NO_PAISE)
    """Of a filled market order the traded price, an average: then rounded."""
    trigger_price_paise: Paise = msgspec.field(name="triggerPrice", default=NO_PAISE)
    after_market_order: bool = False
    bo_profit_value_paise: Paise = msgspec.field(name="boProfitValue", default=NO_PAISE)
    bo_stop_loss_value_paise: Paise = msgspec.field(name="boStopLossValue", default=NO_PAISE)
    leg_name: Text = NO_TEXT
    create_time: Text = NO_TEXT
    """``YYYY-MM-DD HH:MM:SS``; IST, but UTC in the sandbox."""
    update_time: Text = NO_TEXT
    exchange_time: Text = NO_TEXT
    drv_expiry_date: Text = NO_TEXT
    drv_option_type: Text = NO_TEXT
    """CALL or PUT."""
    drv_strike_price_paise: Paise = msgspec.field(name="drvStrikePrice", default=NO_PAISE)
    oms_error_code: Text = NO_TEXT
    """``0`` even when rejected."""
    oms_error_description: Text = NO_TEXT
    """The reason when REJECTED; otherwise CONFIRMED and the like."""
    algo_id: Text = NO_TEXT
    remaining_quantity: Count = NO_COUNT
    average_traded_price: Amount = NO_AMOUNT
    filled_qty: Count = NO_COUNT


class SuperLeg(Answer, frozen=True, kw_only=True):
    """The target or the stop of a super order."""

    order_id: Text = NO_TEXT
    leg_name: Text = NO_TEXT
    transaction_type: Text = NO_TEXT
    total_quantity: Count = NO_COUNT
    """``totalQuatity`` in the documentation."""
    remaining_quantity: Count = NO_COUNT
    triggered_quantity: Count = NO_COUNT
    price_paise: Paise = msgspec.field(name="price", default=NO_PAISE)
    order_status: Text = NO_TEXT
    trailing_jump_paise: Paise = msgspec.field(name="trailingJump", default=NO_PAISE)


class SuperOrderRow(OrderRow, frozen=True, kw_only=True):
    """A super order: its entry and its legs. CLOSED when the entry and one exit are done."""

    ltp_paise: Paise = msgspec.field(name="ltp", default=NO_PAISE)
    target_price_paise: Paise = msgspec.field(name="targetPrice", default=NO_PAISE)
    stop_loss_price_paise: Paise = msgspec.field(name="stopLossPrice", default=NO_PAISE)
    trailing_jump_paise: Paise = msgspec.field(name="trailingJump", default=NO_PAISE)
    leg_details: tuple[SuperLeg, ...] = ()


class TriggerConditionRow(Answer, frozen=True, kw_only=True):
    """When a trigger fires; the words of `bodies.TriggerCondition`."""

    comparison_type: Text = NO_TEXT
    exchange_segment: Text = NO_TEXT
    security_id: Text = NO_TEXT
    indicator_name: Text = NO_TEXT
    time_frame: Text = NO_TEXT
    operator: Text = NO_TEXT
    comparing_value: Amount = NO_AMOUNT
    comparing_indicator_name: Text = NO_TEXT
    exp_date: Text = NO_TEXT
    frequency: Text = NO_TEXT
    user_note: Text = NO_TEXT


class TriggerOrderRow(Answer, frozen=True, kw_only=True):
    """An order that a trigger will place."""

    transaction_type: Text = NO_TEXT
    exchange_segment: Text = NO_TEXT
    product_type: Text = NO_TEXT
    order_type: Text = NO_TEXT
    security_id: Text = NO_TEXT
    quantity: Count = NO_COUNT
    validity: Text = NO_TEXT
    price_paise: Paise = msgspec.field(name="price", default=NO_PAISE)
    disc_quantity: Count = NO_COUNT
    trigger_price_paise: Paise = msgspec.field(name="triggerPrice", default=NO_PAISE)


class TriggerRow(Answer, frozen=True, kw_only=True):
    """A conditional trigger."""

    alert_id: Text = NO_TEXT
    alert_status: Text = NO_TEXT
    """ACTIVE, TRIGGERED, EXPIRED or CANCELLED."""
    created_time: Text = NO_TEXT
    """ISO, UTC (``Z``)."""
    triggered_time: Text = NO_TEXT
    last_price_paise: Paise = msgspec.field(name="lastPrice", default=NO_PAISE)
    condition: TriggerConditionRow = TriggerConditionRow()
    orders: tuple[TriggerOrderRow, ...] = ()


# --- trades, positions, holdings -----------------------------------------------------------------------------------


class TradeRow(Answer, frozen=True, kw_only=True):
    """A fill of today (one row each), or an order of the past (one row each, with its charges)."""

    dhan_client_id: Text = NO_TEXT
    order_id: Text = NO_TEXT
    exchange_order_id: Text = NO_TEXT
    exchange_trade_id: Text = NO_TEXT
    """``0`` in the history."""
    transaction_type: Text = NO_TEXT
    exchange_segment: Text = NO_TEXT
    product_type: Text = NO_TEXT
    order_type: Text = NO_TEXT
    trading_symbol: Text = NO_TEXT
    custom_symbol: Text = NO_TEXT
    """``FINNIFTY 31 DEC 23450 PUT``; the history has no trading symbol."""
    security_id: Text = NO_TEXT
    traded_quantity: Count = NO_COUNT
    traded_price: Amount = NO_AMOUNT
    """Rupees; in the history an average."""
    isin: Text = NO_TEXT
    instrument: Text = NO_TEXT
    sebi_tax: Amount = NO_AMOUNT
    """Rupees, like the five charges that follow."""
    stt: Amount = NO_AMOUNT
    brokerage_charges: Amount = NO_AMOUNT
    service_tax: Amount = NO_AMOUNT
    exchange_transaction_charges: Amount = NO_AMOUNT
    stamp_duty: Amount = NO_AMOUNT
    create_time: Text = NO_TEXT
    update_time: Text = NO_TEXT
    exchange_time: Text = NO_TEXT
    drv_expiry_date: Text = NO_TEXT
    drv_option_type: Text = NO_TEXT
    """Empty for today's options too."""
    drv_strike_price_paise: Paise = msgspec.field(name="drvStrikePrice", default=NO_PAISE)


class PositionRow(Answer, frozen=True, kw_only=True):
    """A position, open or closed today, one per product. Never multiply by ``multiplier``: it is 1000 for carried rows."""

    dhan_client_id: Text = NO_TEXT
    trading_symbol: Text = NO_TEXT
    security_id: Text = NO_TEXT
    position_type: Text = NO_TEXT
    """LONG, SHORT or CLOSED."""
    exchange_segment: Text = NO_TEXT
    product_type: Text = NO_TEXT
    buy_avg: Amount = NO_AMOUNT
    cost_price: Amount = NO_AMOUNT
    """The average of the side that opened it."""
    buy_qty: Count = NO_COUNT
    sell_avg: Amount = NO_AMOUNT
    sell_qty: Count = NO_COUNT
    net_qty: Count = NO_COUNT
    realized_profit: Amount = NO_AMOUNT
    unrealized_profit: Amount = NO_AMOUNT
    rbi_reference_rate: Amount = NO_AMOUNT
    multiplier: Count = NO_COUNT
    carry_forward_buy_qty: Count = NO_COUNT
    carry_forward_sell_qty: Count = NO_COUNT
    carry_forward_buy_value_paise: Paise = msgspec.field(name="carryForwardBuyValue", default=NO_PAISE)
    carry_forward_sell_value_paise: Paise = msgspec.field(name="carryForwardSellValue", default=NO_PAISE)
    day_buy_qty: Count = NO_COUNT
    day_sell_qty: Count = NO_COUNT
    day_buy_value_paise: Paise = msgspec.field(name="dayBuyValue", default=NO_PAISE)
    day_sell_value_paise: Paise = msgspec.field(name="daySellValue", default=NO_PAISE)
    drv_expiry_date: Text = NO_TEXT
    """With a time behind it when opened today."""
    drv_option_type: Text = NO_TEXT
    drv_strike_price_paise: Paise = msgspec.field(name="drvStrikePrice", default=NO_PAISE)
    cross_currency: bool = False


class HoldingRow(Answer, frozen=True, kw_only=True):
    """Shares held."""

    exchange: Text = NO_TEXT
    trading_symbol: Text = NO_TEXT
    security_id: Text = NO_TEXT
    isin: Text = NO_TEXT
    total_qty: Count = NO_COUNT
    dp_qty: Count = NO_COUNT
    t1_qty: Count = NO_COUNT
    available_qty: Count = NO_COUNT
    collateral_qty: Count = NO_COUNT
    avg_cost_price: Amount = NO_AMOUNT
    last_traded_price_paise: Paise = msgspec.field(name="lastTradedPrice", default=NO_PAISE)


# --- money ---------------------------------------------------------------------------------------------------------


class FundsAnswer(Answer, frozen=True, kw_only=True):
    """Balances. ``available_balance_paise`` includes the collateral."""

    dhan_client_id: Text = NO_TEXT
    available_balance_paise: Paise = msgspec.field(name="availabelBalance", default=NO_PAISE)
    sod_limit_paise: Paise = msgspec.field(name="sodLimit", default=NO_PAISE)
    collateral_amount_paise: Paise = msgspec.field(name="collateralAmount", default=NO_PAISE)
    receivable_amount_paise: Paise = msgspec.field(name="receiveableAmount", default=NO_PAISE)
    utilized_amount_paise: Paise = msgspec.field(name="utilizedAmount", default=NO_PAISE)
    blocked_payout_amount_paise: Paise = msgspec.field(name="blockedPayoutAmount", default=NO_PAISE)
    withdrawable_balance_paise: Paise = msgspec.field(name="withdrawableBalance", default=NO_PAISE)


class Margin(Answer, frozen=True, kw_only=True):
    """What one order would block, in rupees."""

    total_margin: Amount = NO_AMOUNT
    span_margin: Amount = NO_AMOUNT
    exposure_margin: Amount = NO_AMOUNT
    available_balance: Amount = NO_AMOUNT
    variable_margin: Amount = NO_AMOUNT
    insufficient_balance: Amount = NO_AMOUNT
    brokerage: Amount = NO_AMOUNT
    leverage: Text = NO_TEXT
    """``1X``; ``4.00`` in the documentation."""


class Margins(Answer, frozen=True, kw_only=True):
    """What several orders would block together, in rupees. Strings in snake_case, or numbers in camelCase."""

    total_margin: Amount = NO_AMOUNT
    span_margin: Amount = NO_AMOUNT
    exposure_margin: Amount = NO_AMOUNT
    equity_margin: Amount = NO_AMOUNT
    fo_margin: Amount = NO_AMOUNT
    commodity_margin: Amount = NO_AMOUNT
    currency: Amount = NO_AMOUNT
    hedge_benefit: Amount = NO_AMOUNT


class LedgerRow(Answer, frozen=True, kw_only=True):
    """A booking. Opening and closing balances are dated ``Jan 01, 1970``."""

    dhan_client_id: Text = NO_TEXT
    narration: Text = NO_TEXT
    voucher_date: Text = msgspec.field(name="voucherdate", default=NO_TEXT)
    """``Jun 22, 2022``."""
    exchange: Text = NO_TEXT
    voucher_desc: Text = msgspec.field(name="voucherdesc", default=NO_TEXT)
    voucher_number: Text = msgspec.field(name="vouchernumber", default=NO_TEXT)
    debit_paise: Paise = msgspec.field(name="debit", default=NO_PAISE)
    credit_paise: Paise = msgspec.field(name="credit", default=NO_PAISE)
    running_balance_paise: Paise = msgspec.field(name="runbal", default=NO_PAISE)


# --- controls ------------------------------------------------------------------------------------------------------


class KillSwitch(Answer, frozen=True, kw_only=True):
    """Read: ACTIVATE or DEACTIVATE. Set: a sentence (``Kill Switch has been successfully activated``)."""

    dhan_client_id: Text = NO_TEXT
    kill_switch_status: Text = NO_TEXT

    @property
    def active(self) -> bool:
        """Whether trading is switched off. Of the sentence, its last word counts."""
        last = self.kill_switch_status.upper().rstrip(".").rsplit(" ", 1)[-1]
        return last in ("ACTIVATE", "ACTIVATED", "ACTIVE")


class PnlExit(Answer, frozen=True, kw_only=True):
    """The broker's own exit at a profit or a loss of the day."""

    pnl_exit_status: Text = NO_TEXT
    """ACTIVE, INACTIVE or DISABLED."""
    message: Text = NO_TEXT
    profit_paise: Paise = msgspec.field(name="profit", default=NO_PAISE)
    loss_paise: Paise = msgspec.field(name="loss", default=NO_PAISE)
    product_type: tuple[Text, ...] = ()
    enable_kill_switch: bool = False


class EdisForm(Answer, frozen=True, kw_only=True):
    """A page to be shown to the account's owner, who types the T-PIN into it."""

    dhan_client_id: Text = NO_TEXT
    edis_form_html: Text = NO_TEXT


class EdisStatus(Answer, frozen=True, kw_only=True):
    """How much of a holding may leave the demat account."""

    client_id: Text = NO_TEXT
    isin: Text = NO_TEXT
    total_qty: Count = NO_COUNT
    approved_qty: Count = msgspec.field(name="aprvdQty", default=NO_COUNT)
    status: Text = NO_TEXT
    remarks: Text = NO_TEXT


# --- market data ---------------------------------------------------------------------------------------------------


class LastPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A last price; 0 when it was never traded."""

    last_price_paise: Paise = msgspec.field(name="last_price", default=NO_PAISE)


class DayPrices(msgspec.Struct, frozen=True, kw_only=True):
    """During the session ``close`` is the previous session's; afterwards it is the day's."""

    open_paise: Paise = msgspec.field(name="open", default=NO_PAISE)
    high_paise: Paise = msgspec.field(name="high", default=NO_PAISE)
    low_paise: Paise = msgspec.field(name="low", default=NO_PAISE)
    close_paise: Paise = msgspec.field(name="close", default=NO_PAISE)


class LastAndDay(LastPrice, frozen=True, kw_only=True):
    """A last price and the day's four."""

    ohlc: DayPrices = DayPrices()


class BookLevel(msgspec.Struct, frozen=True, kw_only=True):
    """One level of an order book; zeros where there is none."""

    price_paise: Paise = msgspec.field(name="price", default=NO_PAISE)
    quantity: Count = NO_COUNT
    orders: Count = NO_COUNT


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """Five levels a side, the best first."""

    buy: tuple[BookLevel, ...] = ()
    sell: tuple[BookLevel, ...] = ()


class Quote(LastAndDay, frozen=True, kw_only=True):
    """Everything about an instrument at one moment."""

    average_price: Amount = NO_AMOUNT
    buy_quantity: Count = NO_COUNT
    sell_quantity: Count = NO_COUNT
    depth: Depth = Depth()
    last_quantity: Count = NO_COUNT
    last_trade_time: Text = NO_TEXT
    """``DD/MM/YYYY HH:MM:SS`` IST; never traded is empty or ``01/01/1980 00:00:00``."""
    lower_circuit_limit_paise: Paise = msgspec.field(name="lower_circuit_limit", default=NO_PAISE)
    upper_circuit_limit_paise: Paise = msgspec.field(name="upper_circuit_limit", default=NO_PAISE)
    net_change: Amount = NO_AMOUNT
    oi: Count = NO_COUNT
    oi_day_high: Count = NO_COUNT
    oi_day_low: Count = NO_COUNT
    volume: Count = NO_COUNT


class LastPrices(msgspec.Struct, frozen=True, kw_only=True):
    """By segment and security id; unknown instruments are left out."""

    data: dict[str, dict[str, LastPrice]] = {}
    status: Text = NO_TEXT


class LastsAndDays(msgspec.Struct, frozen=True, kw_only=True):
    """By segment and security id; unknown instruments are left out."""

    data: dict[str, dict[str, LastAndDay]] = {}
    status: Text = NO_TEXT


class Quotes(msgspec.Struct, frozen=True, kw_only=True):
    """By segment and security id; unknown instruments are left out."""

    data: dict[str, dict[str, Quote]] = {}
    status: Text = NO_TEXT


class Bars(msgspec.Struct, frozen=True, kw_only=True):
    """Bars as parallel arrays; all empty for a holiday and for an unknown instrument."""

    timestamp: tuple[float, ...] = ()
    """UTC seconds of each bar's start; of a day its midnight in India."""
    open: tuple[float, ...] = ()
    """Rupees, like the three that follow."""
    high: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    close: tuple[float, ...] = ()
    volume: tuple[float, ...] = ()
    """Zero for an index."""
    open_interest: tuple[float, ...] = ()
    """When asked for; zero inside a bar means unknown."""


class RollingSide(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of the calls or the puts; the arrays asked for, in step with ``timestamp``."""

    timestamp: tuple[float, ...] = ()
    open: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    close: tuple[float, ...] = ()
    volume: tuple[float, ...] = ()
    oi: tuple[float, ...] = ()
    iv: tuple[float, ...] = ()
    """Percent a year."""
    strike: tuple[float, ...] = ()
    """It changes within a day, as the money moves."""
    spot: tuple[float, ...] = ()


class RollingSides(msgspec.Struct, frozen=True, kw_only=True):
    """Only the side that was asked for is filled."""

    ce: RollingSide | None = None
    pe: RollingSide | None = None


class RollingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Expired options, followed by their distance from the money."""

    data: RollingSides = RollingSides()


class Greeks(msgspec.Struct, frozen=True, kw_only=True):
    """Zero where Dhan cannot price the option. Theta per day and vega per percent of volatility, in rupees."""

    delta: Amount = NO_AMOUNT
    theta: Amount = NO_AMOUNT
    gamma: Amount = NO_AMOUNT
    vega: Amount = NO_AMOUNT


class ChainSide(msgspec.Struct, frozen=True, kw_only=True):
    """One contract of a chain; all zeros, without a security id, where none is listed."""

    security_id: Text = NO_TEXT
    """Since February 2026."""
    average_price: Amount = NO_AMOUNT
    greeks: Greeks = Greeks()
    implied_volatility: Amount = NO_AMOUNT
    """Percent a year; 0 when it cannot be found."""
    last_price_paise: Paise = msgspec.field(name="last_price", default=NO_PAISE)
    oi: Count = NO_COUNT
    previous_close_price_paise: Paise = msgspec.field(name="previous_close_price", default=NO_PAISE)
    previous_oi: Count = NO_COUNT
    previous_volume: Count = NO_COUNT
    top_ask_price_paise: Paise = msgspec.field(name="top_ask_price", default=NO_PAISE)
    top_ask_quantity: Count = NO_COUNT
    top_bid_price_paise: Paise = msgspec.field(name="top_bid_price", default=NO_PAISE)
    top_bid_quantity: Count = NO_COUNT
    volume: Count = NO_COUNT


class ChainStrike(msgspec.Struct, frozen=True, kw_only=True):
    """Call and put of one strike."""

    ce: ChainSide = ChainSide()
    pe: ChainSide = ChainSide()


class ChainData(msgspec.Struct, frozen=True, kw_only=True):
    """The underlying's last price and its strikes (``"25650.000000"``, rupees); by paise they are in `strikes`."""

    last_price: Amount = NO_AMOUNT
    """With the noise of a 32-bit float."""
    oc: dict[str, ChainStrike] = {}

    def strikes(self) -> dict[int, ChainStrike]:
        """The strikes by their price in paise, ascending. Raises DataError for one that is no price."""
        found = {paise(strike, "strike"): both for strike, both in self.oc.items()}
        if any(strike_paise <= 0 for strike_paise in found):
            raise DataError("a strike that is no price")
        return {strike_paise: found[strike_paise] for strike_paise in sorted(found)}

    def nearest(self, count: int = 1, to_paise: int | None = None) -> dict[int, ChainStrike]:
        """As `strikes`, the ``count`` that are nearest to the underlying's last price, or to another.

        Raises DataError when the chain has no last price and none is given.
        """
        if to_paise is None:
            to_paise = paise(self.last_price, "last price")
            if not to_paise:
                raise DataError("the chain has no last price of its underlying: say which price is meant")
        strikes = self.strikes()
        near = sorted(strikes, key=lambda strike_paise: abs(strike_paise - to_paise))[:count]
        return {strike_paise: strikes[strike_paise] for strike_paise in sorted(near)}

    def at_the_money(self) -> ChainStrike:
        """Call and put of the strike nearest to the underlying's last price. Raises DataError when there is none."""
        for both in self.nearest().values():
            return both
        raise DataError("the chain has no strikes")


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """An option chain."""

    data: ChainData = ChainData()
    status: Text = NO_TEXT


class Expiries(msgspec.Struct, frozen=True, kw_only=True):
    """ISO dates, ascending."""

    data: tuple[Text, ...] = ()
    status: Text = NO_TEXT


def _ist(text: str, pattern: str) -> int | None:
    try:
        at = datetime.strptime(text, pattern)  # noqa: DTZ007 (Dhan prints IST without saying so)
    except ValueError:
        return None
    return ist_ns(at.date(), at.hour * 3600 + at.minute * 60 + at.second)
