"""Everything a guard may look at, gathered once, frozen."""

from __future__ import annotations

import msgspec

from algo_scalper.domain.account import Funds
from algo_scalper.domain.decisions import Direction, Refusal, StrikeChoice
from algo_scalper.domain.market import Tick
from algo_scalper.domain.rules import IndexRules, Rules


class EntryContext(msgspec.Struct, frozen=True):
    """One moment, one index, one direction. Ages are in nanoseconds; -1 means never seen."""

    now_ns: int
    rules: Rules
    index: IndexRules
    direction: Direction
    choice: StrikeChoice | Refusal
    option: Tick | None
    """The chosen contract's newest tick (for a watched index, its row of the chain)."""
    spot_paise: int
    # the session
    reconciled: bool
    halted: str
    index_quoting: bool
    special_session: bool
    entries_from_ns: int
    entries_until_ns: int
    no_trade_day: bool
    expires_today: bool
    # the feeds
    feed_up: bool
    orders_feed_up: bool
    terms_changed: str
    """A change of the index's contract terms that no person has accepted; empty when there is none."""
    missed_from_ns: int
    """Start of the first minute in which prints were missed; 0 when all are whole."""
    index_age_ns: int
    chain_age_ns: int
    lag_ns: int
    # the market
    gap_bps: int | None
    """Of the opening over the close before; None when either is not known."""
    gap_until_ns: int
    spike_until_ns: int
    spike_sigma: float
    vix: float
    # what is open and what was done
    open_positions: int
    same_contract_open: bool
    same_side_open: int
    opposite_open: int
    unknown_orders: int
    foreign_in_contract: bool
    cooldown_until_ns: int
    paused_until_ns: int
    losses_in_row: int
    trades_today: int
    orders_last_second: int
    orders_last_minute: int
    orders_today: int
    # the money
    funds: Funds
    day_net_paise: int
    """Realised and open at the bid, less all charges, the exit's included."""
    day_peak_paise: int
    week_before_paise: int
    round_trip_paise: int
    """Charges of buying and selling one lot at the ask."""
