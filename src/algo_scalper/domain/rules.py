"""Every rule the engine trades by, validated and in integers. `runtime.config` builds it from ``algo.yml``.

The engine holds no default of its own: what is not in `Rules` is not decided by it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from algo_scalper.domain.orders import Product


class Role(StrEnum):
    """``trade`` sends orders; ``watch`` decides and logs only."""

    TRADE = "trade"
    WATCH = "watch"


class IndexRules(msgspec.Struct, frozen=True):
    """What may be done with one index."""

    name: str
    key: int
    role: Role
    max_same_side: int
    multiplier_bps: int
    cooldown_ns: int
    premium_min_paise: int
    premium_max_paise: int


class SessionRules(msgspec.Struct, frozen=True):
    """Seconds are of the IST day. ``flat_by_s`` None means by the dated calendar."""

    entries_from_s: int
    entries_until_s: int
    flat_by_s: int | None
    special_sessions: bool


class ExpiryRules(msgspec.Struct, frozen=True):
    """The nearest expiry at least ``min_dte`` calendar days away; 0 would buy on expiry day."""

    min_dte: int


class SignalRules(msgspec.Struct, frozen=True):
    """Supertrend + ADX on one-minute candles, confirmed on five-minute ones."""

    name: str
    supertrend_period: int
    supertrend_multiplier: float
    adx_period: int
    adx_m1_min: float
    adx_m5_min: float
    carry_gap: bool
    """False: the first bar of a day has no true range and no movement across the night."""
    on_flip_only: bool
    """False: enter on state (aligned, re-armed after cooldown), not only when the trend turns."""


class StrikeRules(msgspec.Struct, frozen=True):
    """From ATM up to ``max_otm`` strikes out of the money, the nearest to ATM inside the premium band."""

    max_otm: int
    min_oi: int
    max_spread_paise: int
    max_spread_bps: int
    """The spread allowed is the larger of the two."""
    min_top5_lots: int


class FreshRules(msgspec.Struct, frozen=True):
    """How old a price may be before it is not one."""

    option_ns: int
    index_ns: int
    chain_ns: int
    lag_ns: int


class SizeRules(msgspec.Struct, frozen=True):
    """``fixed_lots`` > 0 is one more cap; 0 leaves it to the other terms."""

    fixed_lots: int
    max_lots: int
    risk_bps: int
    outlay_bps: int


class TrailStep(msgspec.Struct, frozen=True, array_like=True):
    """From a bid ``from_bps`` over entry on, the stop is ``stop_bps`` over entry (None: entry plus charges)."""

    from_bps: int
    stop_bps: int | None


class ExitRules(msgspec.Struct, frozen=True):
    """Distances are of the average fill. A position keeps the ones it was opened under."""

    stop_bps: int
    emergency_bps: int
    target_bps: int
    trail: tuple[TrailStep, ...]
    time_stop_ns: int
    time_stop_under_bps: int
    blind_ns: int
    floor_bps: int


class LossPause(msgspec.Struct, frozen=True, array_like=True):
    """After ``losses`` in a row no entry for ``pause_ns``; None means for the day."""

    losses: int
    pause_ns: int | None


class LimitRules(msgspec.Struct, frozen=True):
    """Limits of the day and week, as parts of start-of-day capital."""

    open_positions: int
    trades_day: int
    after_loss_ns: int
    losses_in_row: tuple[LossPause, ...]
    day_loss_bps: int
    week_loss_bps: int
    giveback_from_bps: int
    giveback_keep_bps: int


class GuardRules(msgspec.Struct, frozen=True):
    """Guards on the state of the market."""

    gap_bps: int
    gap_until_s: int
    spike_sigma: float
    spike_wait_ns: int
    breakeven_bps: int
    """Round-trip cost may be at most this part of the target."""
    vix_full: float
    vix_none: float
    """VIX up to ``vix_full``: full size; up to ``vix_none``: half; above: no entry. 0 switches it off."""
    no_trade_days: tuple[str, ...] = ()
    """ISO dates from the events file."""


class OrderRules(msgspec.Struct, frozen=True):
    """How orders are priced and paced (trading-rules: orders the exchange takes)."""

    entry_slip_bps: int = 50
    entry_wait_ns: int = 3_000_000_000
    entry_chase_bps: int = 150
    exit_slip_bps: int = 150
    reprice_ns: int = 1_000_000_000
    slab_after_ns: int = 3_000_000_000
    edge_after_ns: int = 6_000_000_000
    trail_gap_ns: int = 10_000_000_000
    trail_step_bps: int = 300
    modifications: int = 25
    modifications_kept: int = 7
    per_second: int = 5
    per_minute: int = 60
    per_day: int = 500
    settle_ns: int = 10_000_000_000
    """An order absent from two books read at least this long after its connection was closed never arrived."""


class Rules(msgspec.Struct, frozen=True):
    """Everything, whole, with its version. `RulesChanged` carries one of these."""

    version: int
    capital_paise: int
    product: Product
    indices: tuple[IndexRules, ...]
    session: SessionRules
    expiry: ExpiryRules
    signal: SignalRules
    strike: StrikeRules
    fresh: FreshRules
    size: SizeRules
    exit: ExitRules
    limits: LimitRules
    guards: GuardRules
    orders: OrderRules = OrderRules()
