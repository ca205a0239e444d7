"""Limits of the day and the week, and how much of them is left."""

from __future__ import annotations

from algo_scalper.domain.decisions import Refusal, RefusalReason
from algo_scalper.domain.rules import LimitRules, LossPause
from algo_scalper.domain.units import apply_bps


def day_loss_limit_paise(limits: LimitRules, capital_paise: int) -> int:
    """The day's loss limit as a positive amount."""
    return apply_bps(capital_paise, limits.day_loss_bps)


def giveback_floor_paise(limits: LimitRules, capital_paise: int, peak_paise: int) -> int | None:
    """The net result below which the day's profit is being given back; None until the peak was high enough."""
    if limits.giveback_from_bps <= 0 or peak_paise < apply_bps(capital_paise, limits.giveback_from_bps):
        return None
    return apply_bps(peak_paise, limits.giveback_keep_bps)


def budget_left_paise(
    limits: LimitRules, capital_paise: int, net_paise: int, peak_paise: int, week_before_paise: int
) -> int:
    """How much may still be lost today: the smallest of what day, week and giveback leave."""
    left = day_loss_limit_paise(limits, capital_paise) + net_paise
    left = min(left, apply_bps(capital_paise, limits.week_loss_bps) + week_before_paise + net_paise)
    floor = giveback_floor_paise(limits, capital_paise, peak_paise)
    return left if floor is None else min(left, net_paise - floor)


def limit_refusal(
    limits: LimitRules,
    capital_paise: int,
    trades: int,
    net_paise: int,
    peak_paise: int,
    week_before_paise: int,
) -> Refusal | None:
    """Which limit forbids another trade, or None."""
    if trades >= limits.trades_day:
        return Refusal(RefusalReason.TRADES_PER_DAY, {"trades": trades, "limit": limits.trades_day})
    day_limit = day_loss_limit_paise(limits, capital_paise)
    if net_paise <= -day_limit:
        return Refusal(RefusalReason.DAY_LOSS, {"net_paise": net_paise, "limit_paise": -day_limit})
    week_limit = apply_bps(capital_paise, limits.week_loss_bps)
    if week_before_paise + net_paise <= -week_limit:
        return Refusal(
            RefusalReason.WEEK_LOSS, {"net_paise": week_before_paise + net_paise, "limit_paise": -week_limit}
        )
    floor = giveback_floor_paise(limits, capital_paise, peak_paise)
    if floor is not None and net_paise <= floor:
        return Refusal(RefusalReason.GIVEBACK, {"net_paise": net_paise, "peak_paise": peak_paise, "floor_paise": floor})
    return None


def pause_after(limits: LimitRules, losses_in_row: int) -> LossPause | None:
    """The pause a run of losses earns: the row for the most losses reached, or None."""
    reached = [pause for pause in limits.losses_in_row if losses_in_row >= pause.losses]
    return max(reached, key=lambda pause: pause.losses) if reached else None
