"""Every REST call of DhanHQ v2 in one table: method, path, body, reply, budget, and what it may do.

Left out: US stocks (``/globalstocks/*``), which are another market, and ``/instrument/{segment}``, which is no JSON call
but a file (`catalogue`).
"""

from __future__ import annotations

from typing import Any

from algo_scalper.adapters.dhan import bodies, replies
from algo_scalper.adapters.dhan.wire import Effect, Endpoint, Family, Host

# --- who we are ----------------------------------------------------------------------------------------------------

PROFILE = Endpoint(
    "profile",
    "GET",
    "/profile",
    replies.Profile,
    Family.NON_TRADING,
    Effect.READ,
    "The account's set-up and how long its token lives.",
)
RENEW_TOKEN = Endpoint(
    "renew_token",
    "GET",
    "/RenewToken",
    replies.Token,
    Family.AUTH,
    Effect.CHANGE,
    "A new token in place of the current one, which ends; only for tokens made on web.dhan.co that still live.",
    headers=("dhanClientId",),
    spellings={"token": "accessToken"},
)
GENERATE_TOKEN = Endpoint(
    "generate_token",
    "POST",
    "/app/generateAccessToken",
    replies.Token,
    Family.AUTH,
    Effect.CHANGE,
    "A new token by PIN and TOTP; the one before it ends.",
    host=Host.AUTH,
    query=("dhanClientId", "pin", "totp"),
)
GENERATE_CONSENT = Endpoint(
    "generate_consent",
    "POST",
    "/app/generate-consent",
    replies.Consent,
    Family.AUTH,
    Effect.CHANGE,
    "First step of a login with an application's key; a person goes on at /login/consentApp-login. 25 a day.",
    host=Host.AUTH,
    query=("client_id",),
    headers=("app_id", "app_secret"),
)
CONSUME_CONSENT = Endpoint(
    "consume_consent",
    "GET",
    "/app/consumeApp-consent",
    replies.Token,
    Family.AUTH,
    Effect.CHANGE,
    "Last step: the token for what the browser was sent back with.",
    host=Host.AUTH,
    query=("tokenId",),
    headers=("app_id", "app_secret"),
)
GENERATE_PARTNER_CONSENT = Endpoint(
    "generate_partner_consent",
    "POST",
    "/partner/generate-consent",
    replies.PartnerConsent,
    Family.AUTH,
    Effect.CHANGE,
    "First step of a partner's login; a person goes on at /consent-login.",
    host=Host.AUTH,
    headers=("partner_id", "partner_secret"),
)
CONSUME_PARTNER_CONSENT = Endpoint(
    "consume_partner_consent",
    "GET",
    "/partner/consume-consent",
    replies.Token,
    Family.AUTH,
    Effect.CHANGE,
    "Last step of a partner's login.",
    host=Host.AUTH,
    query=("tokenId",),
    headers=("partner_id", "partner_secret"),
)
GET_ADDRESSES = Endpoint(
    "get_addresses",
    "GET",
    "/ip/getIP",
    replies.Addresses,
    Family.NON_TRADING,
    Effect.READ,
    "The static IP addresses orders are taken from.",
)
SET_ADDRESS = Endpoint(
    "set_address",
    "POST",
    "/ip/setIP",
    replies.Said,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Register a static IP address.",
    bodies.AddressBody,
)
MODIFY_ADDRESS = Endpoint(
    "modify_address",
    "PUT",
    "/ip/modifyIP",
    replies.Said,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Change a registered IP address; once in seven days.",
    bodies.AddressBody,
)

# --- orders --------------------------------------------------------------------------------------------------------

PLACE_ORDER = Endpoint(
    "place_order",
    "POST",
    "/orders",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Place an order.",
    bodies.OrderBody,
    needs_address=True,
)
SLICE_ORDER = Endpoint(
    "slice_order",
    "POST",
    "/orders/slicing",
    tuple[replies.OrderAnswer, ...],
    Family.ORDER,
    Effect.ORDER,
    "Place an order above the freeze quantity; Dhan cuts it into several.",
    bodies.OrderBody,
    needs_address=True,
    rows=True,
)
MODIFY_ORDER = Endpoint(
    "modify_order",
    "PUT",
    "/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Change a working order, at most 25 times; the quantity is its new total.",
    bodies.ModifyBody,
    needs_address=True,
)
CANCEL_ORDER = Endpoint(
    "cancel_order",
    "DELETE",
    "/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Cancel a working order.",
    needs_address=True,
)
ORDER_BOOK = Endpoint(
    "order_book",
    "GET",
    "/orders",
    tuple[replies.OrderRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The day's orders, newest first.",
    rows=True,
)
ORDER_BY_ID = Endpoint(
    "order_by_id",
    "GET",
    "/orders/{order_id}",
    tuple[replies.OrderRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "One order; an empty list when it is unknown.",
    rows=True,
)
ORDER_BY_CORRELATION = Endpoint(
    "order_by_correlation",
    "GET",
    "/orders/external/{correlation_id}",
    tuple[replies.OrderRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The newest order under a correlation id; 404 when unknown or still on its way.",
    rows=True,
)
TRADE_BOOK = Endpoint(
    "trade_book",
    "GET",
    "/trades",
    tuple[replies.TradeRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The day's fills, one row each.",
    rows=True,
)
TRADES_OF_ORDER = Endpoint(
    "trades_of_order",
    "GET",
    "/trades/{order_id}",
    tuple[replies.TradeRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The fills of one order.",
    rows=True,
)
TRADE_HISTORY = Endpoint(
    "trade_history",
    "GET",
    "/trades/{from_date}/{to_date}/{page}",
    tuple[replies.TradeRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "Past orders with their charges, page by page from 0; an empty page is the end.",
    rows=True,
)

# --- super orders --------------------------------------------------------------------------------------------------

PLACE_SUPER_ORDER = Endpoint(
    "place_super_order",
    "POST",
    "/super/orders",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Place entry, target and stop as one, with a trail if wanted.",
    bodies.SuperOrderBody,
    needs_address=True,
)
MODIFY_SUPER_ENTRY = Endpoint(
    "modify_super_entry",
    "PUT",
    "/super/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Change the whole super order, while its entry works.",
    bodies.SuperEntryBody,
    needs_address=True,
)
MODIFY_SUPER_TARGET = Endpoint(
    "modify_super_target",
    "PUT",
    "/super/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Move the target.",
    bodies.SuperTargetBody,
    needs_address=True,
)
MODIFY_SUPER_STOP = Endpoint(
    "modify_super_stop",
    "PUT",
    "/super/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Move the stop, and set or end its trail.",
    bodies.SuperStopBody,
    needs_address=True,
)
CANCEL_SUPER_LEG = Endpoint(
    "cancel_super_leg",
    "DELETE",
    "/super/orders/{order_id}/{leg}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Cancel a leg, for good; ENTRY_LEG cancels all.",
    needs_address=True,
)
SUPER_ORDERS = Endpoint(
    "super_orders",
    "GET",
    "/super/orders",
    tuple[replies.SuperOrderRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The day's super orders with their legs.",
    rows=True,
    spellings={"totalQuatity": "totalQuantity"},
)

# --- forever orders ------------------------------------------------------------------------------------------------

PLACE_FOREVER = Endpoint(
    "place_forever",
    "POST",
    "/forever/orders",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Place an order that rests until it triggers: SINGLE, or OCO with two legs.",
    bodies.ForeverBody,
    needs_address=True,
)
MODIFY_FOREVER = Endpoint(
    "modify_forever",
    "PUT",
    "/forever/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Change one leg of a forever order.",
    bodies.ModifyForeverBody,
    needs_address=True,
)
CANCEL_FOREVER = Endpoint(
    "cancel_forever",
    "DELETE",
    "/forever/orders/{order_id}",
    replies.OrderAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Cancel a forever order.",
    needs_address=True,
)
FOREVER_ORDERS = Endpoint(
    "forever_orders",
    "GET",
    "/forever/orders",
    tuple[replies.OrderRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "Forever orders; their order type says SINGLE or OCO.",
    rows=True,
)

# --- conditional triggers ------------------------------------------------------------------------------------------

PLACE_TRIGGER = Endpoint(
    "place_trigger",
    "POST",
    "/alerts/orders",
    replies.TriggerAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Place orders when a share or an index meets a condition.",
    bodies.TriggerBody,
    needs_address=True,
)
MODIFY_TRIGGER = Endpoint(
    "modify_trigger",
    "PUT",
    "/alerts/orders/{alert_id}",
    replies.TriggerAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Change a conditional trigger.",
    bodies.ModifyTriggerBody,
    needs_address=True,
)
CANCEL_TRIGGER = Endpoint(
    "cancel_trigger",
    "DELETE",
    "/alerts/orders/{alert_id}",
    replies.TriggerAnswer,
    Family.ORDER,
    Effect.ORDER,
    "Cancel a conditional trigger.",
    needs_address=True,
)
TRIGGER = Endpoint(
    "trigger",
    "GET",
    "/alerts/orders/{alert_id}",
    replies.TriggerRow,
    Family.NON_TRADING,
    Effect.READ,
    "One conditional trigger.",
)
TRIGGERS = Endpoint(
    "triggers",
    "GET",
    "/alerts/orders",
    tuple[replies.TriggerRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "All conditional triggers.",
    rows=True,
)

# --- positions and holdings ----------------------------------------------------------------------------------------

POSITIONS = Endpoint(
    "positions",
    "GET",
    "/positions",
    tuple[replies.PositionRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The day's positions, closed ones too, one row per product.",
    rows=True,
)
HOLDINGS = Endpoint(
    "holdings",
    "GET",
    "/holdings",
    tuple[replies.HoldingRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "Shares held. None at all is told as an error (500 DH-1111).",
    rows=True,
)
CONVERT_POSITION = Endpoint(
    "convert_position",
    "POST",
    "/positions/convert",
    replies.Said,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Move part of a position to another product.",
    bodies.ConvertBody,
    empty=True,
)
EXIT_ALL = Endpoint(
    "exit_all",
    "DELETE",
    "/positions",
    replies.Said,
    Family.ORDER,
    Effect.CHANGE,
    "Cancel every order and close every position of the account, without exception.",
    needs_address=True,
    empty=True,
)

# --- money ---------------------------------------------------------------------------------------------------------

FUNDS = Endpoint(
    "funds",
    "GET",
    "/fundlimit",
    replies.FundsAnswer,
    Family.NON_TRADING,
    Effect.READ,
    "Balances.",
    spellings={"availableBalance": "availabelBalance", "receivableAmount": "receiveableAmount"},
)
MARGIN = Endpoint(
    "margin",
    "POST",
    "/margincalculator",
    replies.Margin,
    Family.NON_TRADING,
    Effect.READ,
    "What an order would block.",
    bodies.MarginBody,
)
MARGINS = Endpoint(
    "margins",
    "POST",
    "/margincalculator/multi",
    replies.Margins,
    Family.NON_TRADING,
    Effect.READ,
    "What several orders would block together.",
    bodies.MarginsBody,
    spellings={
        "total_margin": "totalMargin",
        "span_margin": "spanMargin",
        "exposure_margin": "exposureMargin",
        "equity_margin": "equityMargin",
        "fo_margin": "foMargin",
        "commodity_margin": "commodityMargin",
        "hedge_benefit": "hedgeBenefit",
    },
)
LEDGER = Endpoint(
    "ledger",
    "GET",
    "/ledger",
    tuple[replies.LedgerRow, ...],
    Family.NON_TRADING,
    Effect.READ,
    "The account's bookings.",
    rows=True,
    query=("from-date", "to-date"),
)

# --- controls ------------------------------------------------------------------------------------------------------

KILL_SWITCH = Endpoint(
    "kill_switch",
    "GET",
    "/killswitch",
    replies.KillSwitch,
    Family.NON_TRADING,
    Effect.READ,
    "Whether trading is switched off for the day.",
)
SET_KILL_SWITCH = Endpoint(
    "set_kill_switch",
    "POST",
    "/killswitch",
    replies.KillSwitch,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Switch trading off for the day (ACTIVATE) or on; only without open positions and orders.",
    query=("killSwitchStatus",),
)
PNL_EXIT = Endpoint(
    "pnl_exit",
    "GET",
    "/pnlExit",
    replies.PnlExit,
    Family.NON_TRADING,
    Effect.READ,
    "The broker's own exit at a profit or a loss of the day.",
    spellings={"enable_kill_switch": "enableKillSwitch", "profitValue": "profit", "lossValue": "loss"},
)
SET_PNL_EXIT = Endpoint(
    "set_pnl_exit",
    "POST",
    "/pnlExit",
    replies.PnlExit,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Set it for the day; it fires at once when one of the two has been reached.",
    bodies.PnlExitBody,
)
PUT_PNL_EXIT = Endpoint(
    "put_pnl_exit",
    "PUT",
    "/pnlExit",
    replies.PnlExit,
    Family.NON_TRADING,
    Effect.CHANGE,
    "The same as set_pnl_exit; some sources have this method.",
    bodies.PnlExitBody,
)
REMOVE_PNL_EXIT = Endpoint(
    "remove_pnl_exit",
    "DELETE",
    "/pnlExit",
    replies.PnlExit,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Remove it.",
)
EDIS_TPIN = Endpoint(
    "edis_tpin",
    "GET",
    "/edis/tpin",
    replies.Said,
    Family.NON_TRADING,
    Effect.CHANGE,
    "Send a T-PIN to the owner's telephone.",
    empty=True,
)
EDIS_FORM = Endpoint(
    "edis_form",
    "POST",
    "/edis/form",
    replies.EdisForm,
    Family.NON_TRADING,
    Effect.CHANGE,
    "The page on which the owner lets shares leave the demat account.",
    bodies.EdisFormBody,
)
EDIS_INQUIRY = Endpoint(
    "edis_inquiry",
    "GET",
    "/edis/inquire/{isin}",
    tuple[replies.EdisStatus, ...],
    Family.NON_TRADING,
    Effect.READ,
    "What may leave, of one ISIN or of ALL.",
    rows=True,
)

# --- market data ---------------------------------------------------------------------------------------------------

LAST_PRICES = Endpoint(
    "last_prices",
    "POST",
    "/marketfeed/ltp",
    replies.LastPrices,
    Family.QUOTE,
    Effect.READ,
    "Last prices of up to 1,000 instruments.",
    bodies.InstrumentsBody,
)
DAY_PRICES = Endpoint(
    "day_prices",
    "POST",
    "/marketfeed/ohlc",
    replies.LastsAndDays,
    Family.QUOTE,
    Effect.READ,
    "Last prices and the day's open, high, low and close, of up to 1,000 instruments.",
    bodies.InstrumentsBody,
)
QUOTES = Endpoint(
    "quotes",
    "POST",
    "/marketfeed/quote",
    replies.Quotes,
    Family.QUOTE,
    Effect.READ,
    "Prices, depth, volume and open interest of up to 1,000 instruments.",
    bodies.InstrumentsBody,
)
DAILY = Endpoint(
    "daily",
    "POST",
    "/charts/historical",
    replies.Bars,
    Family.DATA,
    Effect.READ,
    "Daily bars.",
    bodies.DailyBody,
)
INTRADAY = Endpoint(
    "intraday",
    "POST",
    "/charts/intraday",
    replies.Bars,
    Family.DATA,
    Effect.READ,
    "Minute bars, at most 90 days.",
    bodies.IntradayBody,
)
ROLLING_OPTIONS = Endpoint(
    "rolling_options",
    "POST",
    "/charts/rollingoption",
    replies.RollingOptions,
    Family.DATA,
    Effect.READ,
    "Bars of expired options by their distance from the money, at most 30 days.",
    bodies.RollingBody,
)
OPTION_CHAIN = Endpoint(
    "option_chain",
    "POST",
    "/optionchain",
    replies.Chain,
    Family.OPTION_CHAIN,
    Effect.READ,
    "An option chain; each once in 3 seconds.",
    bodies.ChainBody,
)
EXPIRY_LIST = Endpoint(
    "expiry_list",
    "POST",
    "/optionchain/expirylist",
    replies.Expiries,
    Family.DATA,
    Effect.READ,
    "Expiry dates of an underlying.",
    bodies.UnderlyingBody,
)

ENDPOINTS: tuple[Endpoint[Any], ...] = tuple(one for one in globals().values() if isinstance(one, Endpoint))
"""All of them, in the order above."""
