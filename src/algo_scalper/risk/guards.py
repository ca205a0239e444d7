"""Why not: every entry guard, in the order a person would want to hear them.

A guard is a function of the frozen `EntryContext`; it answers with a `Refusal` carrying its numbers, or None.
A guard that cannot know refuses. All run once, after the strike is known; the first refusal is the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from algo_scalper.domain.decisions import Refusal, RefusalReason
from algo_scalper.domain.rules import Role
from algo_scalper.domain.units import NS_PER_SECOND, apply_bps, clock_text, ratio_bps
from algo_scalper.risk.day_limits import limit_refusal
from algo_scalper.risk.entry_context import EntryContext
from algo_scalper.risk.expiry_day import LEAST_PREMIUM_PAISE

Guard = Callable[[EntryContext], Refusal | None]

ORDERS_KEPT_FOR_EXITS = 20
"""Of the minute's order budget, so many are never spent on entries."""


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_SECOND, 3)


def not_reconciled(context: EntryContext) -> Refusal | None:
    """The broker's book has not been read since the start: what is held is not known."""
    return None if context.reconciled else Refusal(RefusalReason.NOT_RECONCILED, {})


def halted(context: EntryContext) -> Refusal | None:
    """A person or a rule has halted entries."""
    return Refusal(RefusalReason.HALTED, {"why": context.halted}) if context.halted else None


def market_closed(context: EntryContext) -> Refusal | None:
    """Outside its continuous session the index is unknown, and so is every rule on it."""
    return None if context.index_quoting else Refusal(RefusalReason.MARKET_CLOSED, {})


def special_session(context: EntryContext) -> Refusal | None:
    """Weekend, Muhurat and split sessions are skipped unless asked for."""
    if context.special_session and not context.rules.session.special_sessions:
        return Refusal(RefusalReason.SPECIAL_SESSION, {})
    return None


def event_day(context: EntryContext) -> Refusal | None:
    """A dated event on which we do not trade."""
    return Refusal(RefusalReason.EVENT_DAY, {}) if context.no_trade_day else None


def outside_entry_window(context: EntryContext) -> Refusal | None:
    """Entries have their hours; the last one leaves time to be right before flat_by."""
    if context.entries_from_ns <= context.now_ns < context.entries_until_ns:
        return None
    return Refusal(
        RefusalReason.OUTSIDE_ENTRY_WINDOW,
        {"from": clock_text(context.entries_from_ns), "until": clock_text(context.entries_until_ns)},
    )


def gap_wait(context: EntryContext) -> Refusal | None:
    """After a large night gap, or one that is not known, the first hour is noise."""
    gap_bps = context.gap_bps
    if context.now_ns >= context.gap_until_ns or (gap_bps is not None and abs(gap_bps) < context.rules.guards.gap_bps):
        return None
    return Refusal(
        RefusalReason.GAP_WAIT,
        {"gap_bps": "unknown" if gap_bps is None else gap_bps, "until": clock_text(context.gap_until_ns)},
    )


def spike_wait(context: EntryContext) -> Refusal | None:
    """After a minute far outside its usual size, wait."""
    if context.now_ns < context.spike_until_ns:
        return Refusal(
            RefusalReason.SPIKE_WAIT,
            {"sigma": round(context.spike_sigma, 1), "until": clock_text(context.spike_until_ns)},
        )
    return None


def feed_down(context: EntryContext) -> Refusal | None:
    """Entries need both feeds."""
    if not context.feed_up:
        return Refusal(RefusalReason.FEED_DOWN, {})
    return None if context.orders_feed_up else Refusal(RefusalReason.ORDER_FEED_DOWN, {})


def terms_changed(context: EntryContext) -> Refusal | None:
    """A lot, freeze or tick that is not what it was yesterday is traded only after a person has seen it."""
    if not context.terms_changed:
        return None
    return Refusal(RefusalReason.TERMS_CHANGED, {"change": context.terms_changed})


def candles_missed(context: EntryContext) -> Refusal | None:
    """Readings built on minutes that were not heard whole decide nothing."""
    if not context.missed_from_ns:
        return None
    return Refusal(RefusalReason.CANDLES_MISSED, {"since": clock_text(context.missed_from_ns)})


def index_stale(context: EntryContext) -> Refusal | None:
    """The index must have printed lately."""
    if 0 <= context.index_age_ns <= context.rules.fresh.index_ns:
        return None
    return Refusal(
        RefusalReason.INDEX_STALE,
        {"age_s": _seconds(context.index_age_ns), "limit_s": _seconds(context.rules.fresh.index_ns)},
    )


def lagging(context: EntryContext) -> Refusal | None:
    """Packets that arrive late describe another market; packets from the future say that our own clock is wrong."""
    if abs(context.lag_ns) <= context.rules.fresh.lag_ns + NS_PER_SECOND:  # the exchange's time resolves a second
        return None
    return Refusal(
        RefusalReason.LAGGING,
        {"lag_s": _seconds(context.lag_ns), "limit_s": _seconds(context.rules.fresh.lag_ns)},
    )


def chain_stale(context: EntryContext) -> Refusal | None:
    """A strike is chosen from a fresh chain or not at all."""
    if 0 <= context.chain_age_ns <= context.rules.fresh.chain_ns:
        return None
    if context.chain_age_ns < 0:
        return Refusal(RefusalReason.CHAIN_MISSING, {})
    return Refusal(
        RefusalReason.CHAIN_STALE,
        {"age_s": _seconds(context.chain_age_ns), "limit_s": _seconds(context.rules.fresh.chain_ns)},
    )


def no_strike(context: EntryContext) -> Refusal | None:
    """What the strike choice answered, when it was no."""
    return context.choice if isinstance(context.choice, Refusal) else None


def expiry_day(context: EntryContext) -> Refusal | None:
    """A contract is not bought on the day it expires unless the rules say so, and then at no mere trifle."""
    if not context.expires_today:
        return None
    if context.rules.expiry.min_dte > 0:
        return Refusal(RefusalReason.EXPIRY_DAY, {})
    ask = context.option.ask_paise if context.option is not None else 0
    if ask >= LEAST_PREMIUM_PAISE:
        return None
    return Refusal(RefusalReason.EXPIRY_DAY, {"premium_paise": ask, "limit_paise": LEAST_PREMIUM_PAISE})


def option_stale(context: EntryContext) -> Refusal | None:
    """The contract itself must have a price, now."""
    limit_ns = context.rules.fresh.option_ns
    if context.option is None:
        return Refusal(RefusalReason.OPTION_STALE, {"age_s": -1.0, "limit_s": _seconds(limit_ns)})
    age_ns = context.now_ns - context.option.at_ns
    if age_ns <= limit_ns or context.index.role is Role.WATCH:
        return None
    return Refusal(RefusalReason.OPTION_STALE, {"age_s": _seconds(age_ns), "limit_s": _seconds(limit_ns)})


def spread_wide(context: EntryContext) -> Refusal | None:
    """The spread is the first loss: at most the larger of a floor and a part of the premium. Crossed, it is no price."""
    option, strike = context.option, context.rules.strike
    if option is None or option.bid_paise <= 0 or option.ask_paise <= 0:
        return Refusal(RefusalReason.SPREAD_WIDE, {"bid_paise": 0, "ask_paise": 0})
    spread = option.ask_paise - option.bid_paise
    limit = max(strike.max_spread_paise, apply_bps(option.ask_paise, strike.max_spread_bps))
    if 0 <= spread <= limit:
        return None
    return Refusal(RefusalReason.SPREAD_WIDE, {"spread_paise": spread, "limit_paise": limit})


def book_thin(context: EntryContext) -> Refusal | None:
    """The top five levels must hold a multiple of our lot on both sides."""
    if context.option is None or isinstance(context.choice, Refusal) or context.index.role is Role.WATCH:
        return None
    wanted = context.rules.strike.min_top5_lots * context.choice.contract.lot
    found = min(context.option.bid_total, context.option.ask_total)
    if found >= wanted:
        return None
    return Refusal(RefusalReason.BOOK_THIN, {"quantity": found, "wanted": wanted})


def breakeven_far(context: EntryContext) -> Refusal | None:
    """Costs of the round trip may be at most a part of the target."""
    if context.option is None or isinstance(context.choice, Refusal):
        return None
    target = apply_bps(context.option.ask_paise, context.rules.exit.target_bps) * context.choice.contract.lot
    spread = (context.option.ask_paise - context.option.bid_paise) * context.choice.contract.lot
    cost = context.round_trip_paise + spread
    if cost <= apply_bps(target, context.rules.guards.breakeven_bps):
        return None
    return Refusal(
        RefusalReason.BREAKEVEN_FAR,
        {"cost_bps_of_target": ratio_bps(cost, target), "limit_bps": context.rules.guards.breakeven_bps},
    )


def vix_high(context: EntryContext) -> Refusal | None:
    """Above the outer bound no entry; unknown is no too."""
    guards = context.rules.guards
    if guards.vix_none <= 0:
        return None
    if context.vix <= 0:
        return Refusal(RefusalReason.VIX_UNKNOWN, {})
    if context.vix > guards.vix_none or (context.vix > guards.vix_full and context.rules.size.max_lots <= 1):
        return Refusal(RefusalReason.VIX_HIGH, {"vix": context.vix, "limit": guards.vix_full})
    return None


def unknown_order(context: EntryContext) -> Refusal | None:
    """While the fate of an order is open, nothing new is begun."""
    if context.unknown_orders:
        return Refusal(RefusalReason.UNKNOWN_ORDER, {"orders": context.unknown_orders})
    return None


def duplicate(context: EntryContext) -> Refusal | None:
    """One position per contract."""
    return Refusal(RefusalReason.DUPLICATE, {}) if context.same_contract_open else None


def exposure(context: EntryContext) -> Refusal | None:
    """The indices are one bet: few positions, none against another."""
    if context.opposite_open:
        return Refusal(RefusalReason.OPPOSITE_OPEN, {"open": context.opposite_open})
    if context.same_side_open >= context.index.max_same_side:
        return Refusal(
            RefusalReason.SAME_SIDE_FULL, {"open": context.same_side_open, "limit": context.index.max_same_side}
        )
    limit = context.rules.limits.open_positions
    if context.open_positions >= limit:
        return Refusal(RefusalReason.OPEN_LIMIT, {"open": context.open_positions, "limit": limit})
    return None


def foreign_position(context: EntryContext) -> Refusal | None:
    """Somebody else's position or order in this contract: it is theirs."""
    return Refusal(RefusalReason.FOREIGN_POSITION, {}) if context.foreign_in_contract else None


def cooldown(context: EntryContext) -> Refusal | None:
    """After leaving, wait before the same index again."""
    if context.now_ns < context.cooldown_until_ns:
        return Refusal(RefusalReason.COOLDOWN, {"until": clock_text(context.cooldown_until_ns)})
    return None


def after_loss(context: EntryContext) -> Refusal | None:
    """After a loss, or several in a row, wait."""
    if context.now_ns >= context.paused_until_ns:
        return None
    if context.losses_in_row > 1:
        return Refusal(
            RefusalReason.LOSSES_IN_ROW,
            {"losses": context.losses_in_row, "until": clock_text(context.paused_until_ns)},
        )
    return Refusal(RefusalReason.AFTER_LOSS, {"until": clock_text(context.paused_until_ns)})


def day_limits(context: EntryContext) -> Refusal | None:
    """Trades, losses and giveback of the day and week."""
    return limit_refusal(
        context.rules.limits,
        context.rules.capital_paise,
        context.trades_today,
        context.day_net_paise,
        context.day_peak_paise,
        context.week_before_paise,
    )


def order_rate(context: EntryContext) -> Refusal | None:
    """Our own caps on order rate, under the broker's; exits keep a reserve of the minute."""
    orders = context.rules.orders
    for count, limit, window in (
        (context.orders_last_second, orders.per_second, "second"),
        (context.orders_last_minute, orders.per_minute - ORDERS_KEPT_FOR_EXITS, "minute"),
        (context.orders_today, orders.per_day // 2, "day"),
    ):
        if count >= limit:
            return Refusal(RefusalReason.ORDER_RATE, {"orders": count, "limit": limit, "window": window})
    return None


def watch_only(context: EntryContext) -> Refusal | None:
    """The last guard: all else would have allowed it, but this index is only watched."""
    return Refusal(RefusalReason.WATCH_ONLY, {}) if context.index.role is Role.WATCH else None


GUARDS: tuple[Guard, ...] = (
    not_reconciled,
    halted,
    market_closed,
    special_session,
    event_day,
    outside_entry_window,
    terms_changed,
    feed_down,
    candles_missed,
    index_stale,
    lagging,
    gap_wait,
    spike_wait,
    vix_high,
    unknown_order,
    exposure,
    cooldown,
    after_loss,
    day_limits,
    chain_stale,
    no_strike,
    expiry_day,
    duplicate,
    foreign_position,
    option_stale,
    spread_wide,
    book_thin,
    breakeven_far,
    order_rate,
    watch_only,
)


def first_refusal(context: EntryContext) -> Refusal | None:
    """The first guard that says no, or None when all say yes."""
    for guard in GUARDS:
        refusal = guard(context)
        if refusal is not None:
            return refusal
    return None
