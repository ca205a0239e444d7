"""State as a person wants to see it: the records behind the page, the API and the reports.

`view` is added by the engine; the structs here are the contract with every reader. Money in paise, times in
UTC nanoseconds, distances in basis points; 0 or "" where there is nothing to show.
"""

from __future__ import annotations

import msgspec


class IndexView(msgspec.Struct, frozen=True):
    """One index: its price, its readings and what was last decided about it."""

    name: str
    key: int
    role: str
    ltp_paise: int
    change_bps: int
    tick_ns: int
    forming: tuple[int, int, int, int, int] | None
    """The candle being formed: (start_ns, open, high, low, close)."""
    supertrend_paise: int
    trend: int
    adx_m1: float
    adx_m5: float
    last_reason: str
    """The last refusal or entry, in one sentence; empty before the first."""


class PositionView(msgspec.Struct, frozen=True):
    """An open position. ``exit_now_net_paise`` is what leaving at the bid would bring, all charges paid."""

    id: str
    key: int
    contract: str
    index: str
    direction: int
    state: str
    quantity: int
    held: int
    lot: int
    average_paise: int
    signal_paise: int
    opened_ns: int
    bid_paise: int
    ltp_paise: int
    price_ns: int
    high_water_paise: int
    open_paise: int
    charges_paise: int
    exit_now_net_paise: int
    stop_paise: int
    emergency_paise: int
    target_paise: int
    next_trail_paise: int
    """The bid at which the stop moves next; 0 after the last step."""
    time_stop_ns: int
    floor_order_id: str
    floor_broker_id: str
    floor_trigger_paise: int
    floor_quantity: int
    floor_state: str
    exit_reason: str
    frozen: str
    why: str
    """Why it was entered, in one sentence."""


class OrderView(msgspec.Struct, frozen=True):
    """An order of the day."""

    id: str
    broker_id: str
    contract: str
    side: str
    purpose: str
    kind: str
    state: str
    quantity: int
    filled_quantity: int
    price_paise: int
    trigger_paise: int
    average_paise: int
    created_ns: int
    answered_ms: float
    modifications: int
    reason: str


class TradeView(msgspec.Struct, frozen=True):
    """A closed position, with everything it cost. ``charges`` is by line: brokerage, stt, exchange, ..."""

    id: str
    contract: str
    index: str
    direction: int
    quantity: int
    entry_paise: int
    exit_paise: int
    signal_paise: int
    exit_signal_paise: int
    opened_ns: int
    closed_ns: int
    gross_paise: int
    charges: dict[str, int]
    net_paise: int
    reason: str
    best_paise: int
    """Highest bid while held (maximum favourable excursion)."""
    worst_paise: int
    """Lowest bid while held (maximum adverse excursion)."""
    why: str


class DecisionView(msgspec.Struct, frozen=True):
    """One line of the decision log, with a sentence for reading."""

    at_ns: int
    kind: str
    index: str
    contract: str
    direction: int
    reason: str
    sentence: str
    position_id: str
    numbers: dict[str, int | float | str]


class LedgerView(msgspec.Struct, frozen=True):
    """The day's money."""

    capital_paise: int
    realised_paise: int
    open_paise: int
    charges_paise: int
    net_paise: int
    budget_left_paise: int
    day_limit_paise: int
    week_net_paise: int
    trades: int
    trades_limit: int
    wins: int
    losses: int
    losses_in_row: int


class FeedView(msgspec.Struct, frozen=True):
    """Feed and broker as the engine knows them."""

    market: str
    orders: str
    last_tick_ns: int
    book_read_ns: int
    unknown_orders: int
    reconciled: bool


class ClockView(msgspec.Struct, frozen=True):
    """The day's moments; 0 where the day has none."""

    open_ns: int
    first_entry_ns: int
    last_entry_ns: int
    flat_by_ns: int
    index_close_ns: int
    square_off_ns: int
    close_ns: int
    phase: str
    """before_open, warming, trading, no_more_entries, flat, closed."""
    oddities: tuple[str, ...]


class View(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    at_ns: int
    day: str
    market: str
    money: str
    halted: str
    headline: str
    """The state of things in one sentence: in a position, or why not."""
    clock: ClockView
    indices: tuple[IndexView, ...]
    positions: tuple[PositionView, ...]
    orders: tuple[OrderView, ...]
    ledger: LedgerView
    feed: FeedView
    rules_version: int
