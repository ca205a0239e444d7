"""When out: price rules on every tick, clock rules on every second, each in order of severity.

A stop fires when: the last price is at or under it, printed at most two seconds ago; or the bid is, with a spread
at most twice the normal one; or the bid is in two packets at least half a second apart. The emergency stop fires on
the first. The target and the high-water mark use the bid: what one could really get.
"""

from __future__ import annotations

from algo_scalper.domain.decisions import ExitReason
from algo_scalper.domain.units import NS_PER_SECOND, apply_bps

PRINT_FRESH_S = 2
CONFIRM_NS = NS_PER_SECOND // 2
NORMAL_SPREAD_BPS = 21
"""Normal spread of a liquid weekly: 0.21 % of premium (market statistics, section 2), at least two ticks."""


def spread_is_normal(bid_paise: int, ask_paise: int, tick_paise: int) -> bool:
    """Is the spread at most twice the normal one?"""
    normal = max(apply_bps(bid_paise, NORMAL_SPREAD_BPS), 2 * tick_paise)
    return 0 < bid_paise < ask_paise <= bid_paise + 2 * normal


def price_exit(
    bid_paise: int,
    ltp_paise: int,
    print_age_s: int,
    normal_spread: bool,
    below_stop_for_ns: int,
    stop_paise: int,
    emergency_paise: int,
    target_paise: int,
    trailing: bool,
) -> ExitReason:
    """What this tick says. A bid of 0 is an empty side, not a price; ``below_stop_for_ns`` -1 when it is not."""
    printed = print_age_s <= PRINT_FRESH_S and ltp_paise > 0
    if (0 < bid_paise <= emergency_paise) or (printed and ltp_paise <= emergency_paise):
        return ExitReason.EMERGENCY_STOP
    if (printed and ltp_paise <= stop_paise) or (
        0 < bid_paise <= stop_paise and (normal_spread or below_stop_for_ns >= CONFIRM_NS)
    ):
        return ExitReason.TRAILING_STOP if trailing else ExitReason.STOP_LOSS
    if bid_paise >= target_paise:
        return ExitReason.TARGET
    return ExitReason.HOLD


def clock_exit(
    now_ns: int,
    flat_by_ns: int,
    opened_ns: int,
    time_stop_ns: int,
    gain_bps: int,
    time_stop_under_bps: int,
    blind_for_ns: int,
    blind_ns: int,
) -> ExitReason:
    """What this second says. ``gain_bps`` is of the bid over the average fill; ``blind_for_ns`` 0 when we see."""
    if now_ns >= flat_by_ns:
        return ExitReason.FLAT_BY
    if time_stop_ns and now_ns - opened_ns >= time_stop_ns and gain_bps < time_stop_under_bps:
        return ExitReason.TIME_STOP
    if blind_for_ns >= blind_ns > 0:
        return ExitReason.BLIND
    return ExitReason.HOLD
