"""What the calls of `endpoints` send. Fields that are None are left out; all others are sent, also when they are zero.

Money is in paise and becomes rupees on the wire. Closed lists of words are as Dhan spells them: segments NSE_FNO,
BSE_FNO, NSE_EQ, BSE_EQ, NSE_CURRENCY, BSE_CURRENCY, MCX_COMM, IDX_I; sides BUY, SELL; products CNC, INTRADAY, MARGIN, MTF,
CO, BO (derivatives: INTRADAY and MARGIN only); order types LIMIT, MARKET, STOP_LOSS, STOP_LOSS_MARKET; validities DAY, IOC.
An empty text is refused by the service where a field is not used: leave it None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from algo_scalper.adapters.dhan.wire import AsCountText, AsRupees, AsRupeesText
from algo_scalper.domain.instruments import Segment

ENTRY_LEG = "ENTRY_LEG"
TARGET_LEG = "TARGET_LEG"
STOP_LOSS_LEG = "STOP_LOSS_LEG"


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The JSON of one request. ``dhanClientId`` is added when it is sent."""


# --- orders --------------------------------------------------------------------------------------------------------


class OrderBody(Body, frozen=True, kw_only=True):
    """A new order. ``price_paise`` is the limit; a stop order's ``trigger_price_paise`` lies on the market's side of it."""

    correlation_id: str | None = None
    """Ours, at most 25 characters (the documentation says 30)."""
    transaction_type: str
    exchange_segment: str
    product_type: str
    order_type: str = "LIMIT"
    validity: str = "DAY"
    security_id: str
    quantity: int
    """Units, not lots: a multiple of the lot."""
    disclosed_quantity: int = 0
    price_paise: AsRupees = msgspec.field(name="price")
    trigger_price_paise: AsRupees = msgspec.field(name="triggerPrice", default=0)
    after_market_order: bool = False
    amo_time: str | None = None
    """PRE_OPEN, OPEN, OPEN_30 or OPEN_60; only with ``after_market_order``."""
    bo_profit_value_paise: AsRupees | None = msgspec.field(name="boProfitValue", default=None)
    bo_stop_loss_value_paise: AsRupees | None = msgspec.field(name="boStopLossValue", default=None)


class ModifyBody(Body, frozen=True, kw_only=True):
    """The whole order as it shall be: a body that leaves fields out is refused. ``quantity`` is the new total."""

    order_id: str
    order_type: str = "LIMIT"
    leg_name: str = "NA"
    """For bracket and cover orders the leg."""
    quantity: int
    price_paise: AsRupees = msgspec.field(name="price")
    disclosed_quantity: int = 0
    trigger_price_paise: AsRupees = msgspec.field(name="triggerPrice", default=0)
    validity: str = "DAY"


# --- super orders --------------------------------------------------------------------------------------------------


class SuperOrderBody(Body, frozen=True, kw_only=True):
    """Entry, target and stop in one. A buy needs stop < price < target, a sale the reverse."""

    correlation_id: str | None = None
    transaction_type: str
    exchange_segment: str
    product_type: str
    """CNC, INTRADAY, MARGIN or MTF."""
    order_type: str = "LIMIT"
    security_id: str
    quantity: int
    price_paise: AsRupees = msgspec.field(name="price")
    target_price_paise: AsRupees = msgspec.field(name="targetPrice")
    stop_loss_price_paise: AsRupees = msgspec.field(name="stopLossPrice")
    trailing_jump_paise: AsRupees = msgspec.field(name="trailingJump", default=0)
    """The stop follows in steps of this; 0 does not trail."""


class SuperEntryBody(Body, frozen=True, kw_only=True):
    """The whole super order as it shall be; only while its entry is PENDING or PART_TRADED."""

    order_id: str
    order_type: str = "LIMIT"
    leg_name: str = ENTRY_LEG
    quantity: int
    price_paise: AsRupees = msgspec.field(name="price")
    target_price_paise: AsRupees = msgspec.field(name="targetPrice")
    stop_loss_price_paise: AsRupees = msgspec.field(name="stopLossPrice")
    trailing_jump_paise: AsRupees = msgspec.field(name="trailingJump", default=0)


class SuperTargetBody(Body, frozen=True, kw_only=True):
    """The target leg's new price."""

    order_id: str
    leg_name: str = TARGET_LEG
    target_price_paise: AsRupees = msgspec.field(name="targetPrice")


class SuperStopBody(Body, frozen=True, kw_only=True):
    """The stop leg's new price. A ``trailing_jump_paise`` of 0 ends the trailing."""

    order_id: str
    leg_name: str = STOP_LOSS_LEG
    stop_loss_price_paise: AsRupees = msgspec.field(name="stopLossPrice")
    trailing_jump_paise: AsRupees = msgspec.field(name="trailingJump", default=0)


# --- forever orders ------------------------------------------------------------------------------------------------


class ForeverBody(Body, frozen=True, kw_only=True):
    """An order that rests until it triggers. With ``order_flag`` OCO the fields ending in 1 are its second leg."""

    correlation_id: str | None = None
    order_flag: str = "SINGLE"
    transaction_type: str
    exchange_segment: str
    product_type: str
    """CNC or MTF."""
    order_type: str = "LIMIT"
    validity: str = "DAY"
    security_id: str
    quantity: int
    disclosed_quantity: int = 0
    price_paise: AsRupees = msgspec.field(name="price")
    trigger_price_paise: AsRupees = msgspec.field(name="triggerPrice")
    price_1_paise: AsRupees | None = msgspec.field(name="price1", default=None)
    trigger_price_1_paise: AsRupees | None = msgspec.field(name="triggerPrice1", default=None)
    quantity_1: int | None = msgspec.field(name="quantity1", default=None)


class ModifyForeverBody(Body, frozen=True, kw_only=True):
    """One leg as it shall be: TARGET_LEG is a single order or the first leg of an OCO, STOP_LOSS_LEG the second."""

    order_id: str
    order_flag: str = "SINGLE"
    order_type: str = "LIMIT"
    leg_name: str = TARGET_LEG
    quantity: int
    disclosed_quantity: int = 0
    price_paise: AsRupees = msgspec.field(name="price")
    trigger_price_paise: AsRupees = msgspec.field(name="triggerPrice")
    validity: str = "DAY"


# --- conditional triggers ------------------------------------------------------------------------------------------


class TriggerCondition(Body, frozen=True, kw_only=True):
    """When the orders are placed. Only shares and indices can be the condition (NSE_EQ, BSE_EQ, IDX_I)."""

    comparison_type: str
    """TECHNICAL_WITH_VALUE, TECHNICAL_WITH_INDICATOR, TECHNICAL_WITH_CLOSE or PRICE_WITH_VALUE."""
    exchange_segment: str
    security_id: str
    indicator_name: str | None = None
    """SMA_ or EMA_ 5, 10, 20, 50, 100, 200; BB_UPPER, BB_LOWER, RSI_14, ATR_14, STOCHASTIC, STOCHRSI_14, MACD_26, MACD_12,
    MACD_HIST."""
    time_frame: str | None = None
    """DAY, ONE_MIN, FIVE_MIN or FIFTEEN_MIN."""
    operator: str
    """CROSSING_UP, CROSSING_DOWN, CROSSING_ANY_SIDE, GREATER_THAN, LESS_THAN, GREATER_THAN_EQUAL, LESS_THAN_EQUAL, EQUAL or
    NOT_EQUAL."""
    comparing_value: float | None = None
    """The indicator's or the price's value, in its own unit (rupees for a price)."""
    comparing_indicator_name: str | None = None
    exp_date: str | None = None
    """ISO date; a year from now when left out."""
    frequency: str = "ONCE"
    user_note: str | None = None


class TriggerOrder(Body, frozen=True, kw_only=True):
    """An order that a trigger places. Prices and the disclosed quantity travel as strings."""

    transaction_type: str
    exchange_segment: str
    product_type: str
    order_type: str = "LIMIT"
    security_id: str
    quantity: int
    validity: str = "DAY"
    price_paise: AsRupeesText = msgspec.field(name="price")
    disc_quantity: AsCountText = 0
    trigger_price_paise: AsRupeesText = msgspec.field(name="triggerPrice", default=0)


class TriggerBody(Body, frozen=True, kw_only=True):
    """A conditional trigger."""

    condition: TriggerCondition
    orders: tuple[TriggerOrder, ...]


class ModifyTriggerBody(Body, frozen=True, kw_only=True):
    """A conditional trigger as it shall be; without ``orders`` they stay."""

    alert_id: str
    condition: TriggerCondition
    orders: tuple[TriggerOrder, ...] | None = None


# --- account -------------------------------------------------------------------------------------------------------


class ConvertBody(Body, frozen=True, kw_only=True):
    """Part of a position, into another product."""

    from_product_type: str
    exchange_segment: str
    position_type: str
    """LONG or SHORT."""
    security_id: str
    convert_qty: int
    to_product_type: str


class MarginBody(Body, frozen=True, kw_only=True):
    """An order whose margin is asked; also one of several."""

    exchange_segment: str
    transaction_type: str
    quantity: int
    product_type: str
    security_id: str
    price_paise: AsRupees = msgspec.field(name="price")
    trigger_price_paise: AsRupees = msgspec.field(name="triggerPrice", default=0)


class MarginsBody(Body, frozen=True, kw_only=True):
    """Orders whose margin is asked together, with what they save each other."""

    include_position: bool = False
    include_order: bool = False
    scrip_list: tuple[MarginBody, ...]


class PnlExitBody(Body, frozen=True, kw_only=True):
    """Close everything at a profit or a loss of the day. It fires at once when one has been reached already."""

    profit_value_paise: AsRupees = msgspec.field(name="profitValue")
    loss_value_paise: AsRupees = msgspec.field(name="lossValue")
    product_type: tuple[str, ...] = ("INTRADAY",)
    """INTRADAY, DELIVERY or both."""
    enable_kill_switch: bool = False


class EdisFormBody(Body, frozen=True, kw_only=True):
    """Shares that may leave the demat account."""

    isin: str
    qty: int
    exchange: str
    segment: str = "EQ"
    bulk: bool = False


class AddressBody(Body, frozen=True, kw_only=True):
    """A static IP address for orders. Each of the two places may be changed once in seven days."""

    ip: str
    ip_flag: str
    """PRIMARY or SECONDARY."""


# --- market data ---------------------------------------------------------------------------------------------------


class InstrumentsBody(Body, frozen=True, kw_only=True):
    """Security ids by segment, at most 1,000 in all."""

    idx_i: tuple[int, ...] | None = msgspec.field(name="IDX_I", default=None)
    nse_eq: tuple[int, ...] | None = msgspec.field(name="NSE_EQ", default=None)
    nse_fno: tuple[int, ...] | None = msgspec.field(name="NSE_FNO", default=None)
    nse_currency: tuple[int, ...] | None = msgspec.field(name="NSE_CURRENCY", default=None)
    bse_eq: tuple[int, ...] | None = msgspec.field(name="BSE_EQ", default=None)
    mcx_comm: tuple[int, ...] | None = msgspec.field(name="MCX_COMM", default=None)
    bse_currency: tuple[int, ...] | None = msgspec.field(name="BSE_CURRENCY", default=None)
    bse_fno: tuple[int, ...] | None = msgspec.field(name="BSE_FNO", default=None)


def instruments_body(ids: Mapping[Segment, Iterable[int]]) -> InstrumentsBody:
    """``{Segment.NSE_FNO: [42500]}`` as a body."""
    return InstrumentsBody(**{segment.name.lower(): tuple(listed) for segment, listed in ids.items()})


class DailyBody(Body, frozen=True, kw_only=True):
    """Days of one instrument. ``to_date`` is not included."""

    security_id: str
    exchange_segment: str
    instrument: str
    """INDEX, OPTIDX, FUTIDX, EQUITY, ..."""
    expiry_code: int = 0
    oi: bool = False
    from_date: str
    to_date: str


class IntradayBody(Body, frozen=True, kw_only=True):
    """Minutes of one instrument, at most 90 days; dates or ``YYYY-MM-DD HH:MM:SS``, IST."""

    security_id: str
    exchange_segment: str
    instrument: str
    interval: str = "1"
    """1, 5, 15, 25 or 60."""
    oi: bool = False
    from_date: str
    to_date: str


class RollingBody(Body, frozen=True, kw_only=True):
    """Expired options by their distance from the money, at most 30 days; ``to_date`` is not included."""

    exchange_segment: str
    interval: str = "1"
    security_id: int
    """Of the underlying index."""
    instrument: str = "OPTIDX"
    expiry_flag: str
    """WEEK or MONTH."""
    expiry_code: int = 1
    """1 is the nearest; 0 is refused."""
    strike: str = "ATM"
    """ATM, ATM+1, ATM-10, ..."""
    drv_option_type: str
    """CALL or PUT."""
    required_data: tuple[str, ...] = ("open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot")
    from_date: str
    to_date: str


class UnderlyingBody(Body, frozen=True, kw_only=True):
    """Whose expiries are asked."""

    underlying_scrip: int = msgspec.field(name="UnderlyingScrip")
    underlying_seg: str = msgspec.field(name="UnderlyingSeg")


class ChainBody(UnderlyingBody, frozen=True, kw_only=True):
    """Which chain is asked."""

    expiry: str = msgspec.field(name="Expiry")
    """ISO date."""
