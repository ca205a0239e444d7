"""What deciding returns: signals, strike choices, refusals, exits. Every reason is a closed enum with its numbers."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from algo_scalper.domain.instruments import Contract

Numbers = dict[str, int | float | str]
"""The figures behind a decision, by unit-carrying name: ``{"spread_paise": 45, "limit_paise": 30}``."""


class Direction(IntEnum):
    """Which way a signal points. A buyer takes calls when it is UP and puts when it is DOWN."""

    UP = 1
    DOWN = -1


class RefusalReason(StrEnum):
    """Why an aligned signal did not become an order."""

    WATCH_ONLY = "watch_only"
    NOT_RECONCILED = "not_reconciled"
    HALTED = "halted"
    MARKET_CLOSED = "market_closed"
    SPECIAL_SESSION = "special_session"
    OUTSIDE_ENTRY_WINDOW = "outside_entry_window"
    EVENT_DAY = "event_day"
    GAP_WAIT = "gap_wait"
    SPIKE_WAIT = "spike_wait"
    EXPIRY_DAY = "expiry_day"
    FEED_DOWN = "feed_down"
    ORDER_FEED_DOWN = "order_feed_down"
    TERMS_CHANGED = "terms_changed"
    CANDLES_MISSED = "candles_missed"
    INDEX_STALE = "index_stale"
    OPTION_STALE = "option_stale"
    CHAIN_STALE = "chain_stale"
    CHAIN_MISSING = "chain_missing"
    LAGGING = "lagging"
    NO_STRIKE_IN_BAND = "no_strike_in_band"
    OPEN_INTEREST_LOW = "open_interest_low"
    SPREAD_WIDE = "spread_wide"
    BOOK_THIN = "book_thin"
    BREAKEVEN_FAR = "breakeven_far"
    VIX_UNKNOWN = "vix_unknown"
    VIX_HIGH = "vix_high"
    DUPLICATE = "duplicate"
    OPPOSITE_OPEN = "opposite_open"
    SAME_SIDE_FULL = "same_side_full"
    OPEN_LIMIT = "open_limit"
    UNKNOWN_ORDER = "unknown_order"
    FOREIGN_POSITION = "foreign_position"
    COOLDOWN = "cooldown"
    AFTER_LOSS = "after_loss"
    LOSSES_IN_ROW = "losses_in_row"
    TRADES_PER_DAY = "trades_per_day"
    DAY_LOSS = "day_loss"
    WEEK_LOSS = "week_loss"
    GIVEBACK = "giveback"
    BUDGET_SPENT = "budget_spent"
    OUTLAY_CAP = "outlay_cap"
    RISK_CAP = "risk_cap"
    CASH_SHORT = "cash_short"
    ORDER_RATE = "order_rate"
    SIGNAL_DISABLED = "signal_disabled"


class ExitReason(IntEnum):
    """Why a position was left, in order of severity within the price rules. HOLD means stay."""

    HOLD = 0
    EMERGENCY_STOP = 1
    STOP_LOSS = 2
    TRAILING_STOP = 3
    TARGET = 4
    FLAT_BY = 5
    TIME_STOP = 6
    BLIND = 7
    FLOOR_TRADED = 8
    OPERATOR_CLOSE = 9
    KILL = 10
    DAY_LOSS = 11
    FLOOR_MISSING = 12
    LATE_FILL = 13
    OPERATOR_TOOK_OVER = 20
    CLOSED_AT_BROKER_BY_PERSON = 21
    BROKER_SQUARE_OFF = 22
    BROKER_PNL_EXIT = 23
    MARGIN_SQUARE_OFF = 24
    EXPIRED = 25


class DecisionKind(StrEnum):
    """Why in, why out, why not, and what else a person must be able to look up."""

    ENTRY = "entry"
    EXIT = "exit"
    REFUSAL = "refusal"
    NO_SIGNAL = "no_signal"
    STOP_MOVED = "stop_moved"
    HALT = "halt"
    RESUME = "resume"
    HANDED_OVER = "handed_over"


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """An intention read from closed candles; ``numbers`` are the readings behind it."""

    direction: Direction
    name: str
    numbers: Numbers


class StrikeChoice(msgspec.Struct, frozen=True, array_like=True):
    """The contract a signal would be traded with, and what the chain said of it."""

    contract: Contract
    otm_steps: int
    premium_paise: int
    oi: int


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """Ours. (A rejection is the broker's.)"""

    reason: RefusalReason
    numbers: Numbers


class Decision(msgspec.Struct, frozen=True, tag="decision", array_like=True):
    """One line of the decision log, emitted by the engine beside its commands."""

    at_ns: int
    kind: DecisionKind
    index: str
    reason: str
    contract: str = ""
    direction: int = 0
    position_id: str = ""
    numbers: Numbers = {}
    rules_version: int = 0
