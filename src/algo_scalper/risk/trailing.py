"""Where the stop stands: below the average fill at first, then up the steps of the trail. It only rises."""

from __future__ import annotations

from algo_scalper.domain.rules import ExitRules
from algo_scalper.domain.units import apply_bps, tick_down, tick_up


def first_stop_paise(average_paise: int, rules: ExitRules, tick_paise: int) -> int:
    """The stop of a fresh position."""
    return tick_up(average_paise - apply_bps(average_paise, rules.stop_bps), tick_paise)


def emergency_paise(average_paise: int, rules: ExitRules, tick_paise: int) -> int:
    """The stop that needs no second look."""
    return tick_up(average_paise - apply_bps(average_paise, rules.emergency_bps), tick_paise)


def target_paise(average_paise: int, rules: ExitRules, tick_paise: int) -> int:
    """The bid at which the profit is taken."""
    return tick_up(average_paise + apply_bps(average_paise, rules.target_bps), tick_paise)


def floor_trigger_paise(average_paise: int, stop_paise: int, rules: ExitRules, tick_paise: int) -> int:
    """The resting sell's trigger: as far under the present stop as it was under the first one."""
    distance = apply_bps(average_paise, rules.floor_bps - rules.stop_bps)
    return max(tick_down(stop_paise - distance, tick_paise), 2 * tick_paise)


def trail_reached(average_paise: int, high_water_paise: int, reached: int, rules: ExitRules) -> int:
    """Index of the highest step the high-water mark has reached, at least ``reached``; -1 for none."""
    for index in range(len(rules.trail) - 1, reached, -1):
        if high_water_paise >= average_paise + apply_bps(average_paise, rules.trail[index].from_bps):
            return index
    return reached


def trail_stop_paise(
    average_paise: int, cost_per_contract_paise: int, step: int, rules: ExitRules, tick_paise: int
) -> int:
    """The stop of a step. "Stop to cost" includes the charges: ``cost_per_contract`` is theirs, per contract."""
    stop_bps = rules.trail[step].stop_bps
    if stop_bps is None:
        return tick_up(average_paise + cost_per_contract_paise, tick_paise)
    return tick_up(average_paise + apply_bps(average_paise, stop_bps), tick_paise)


def next_trail_paise(average_paise: int, reached: int, rules: ExitRules) -> int:
    """The bid at which the stop moves next; 0 after the last step."""
    if reached + 1 >= len(rules.trail):
        return 0
    return average_paise + apply_bps(average_paise, rules.trail[reached + 1].from_bps)
