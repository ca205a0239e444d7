"""True range, and Wilder's average of it (ATR).

Source: J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978); seeded as TA-Lib seeds it.
"""

from __future__ import annotations

from typing import NamedTuple


def true_range(high: float, low: float, previous_close: float, joined: bool) -> float:
    """How far price went in a bar, in the unit of its inputs.

    ``joined`` says that the bar goes on from the one before it: then the jump between them counts. A bar that is not
    joined (the first of a day, when the night is left out) has its own range only.
    """
    reach = high - low
    if joined:
        reach = max(reach, abs(high - previous_close))
        reach = max(reach, abs(low - previous_close))
    return reach


class AtrState(NamedTuple):
    """True ranges taken, their sum while seeding, and the average once there are ``period`` of them."""

    ranges: int
    total: float
    atr: float


ATR_START = AtrState(0, 0.0, 0.0)


def atr_step(state: AtrState, bar_range: float, period: int) -> AtrState:
    """One more true range. The first average is the plain mean of the first ``period`` ranges, then Wilder's.

    A stream's very first bar has no previous close and is not stepped here (TA-Lib leaves it out too).
    """
    ranges = state.ranges + 1
    if ranges > period:
        return AtrState(ranges, state.total, (state.atr * (period - 1) + bar_range) / period)
    total = state.total + bar_range
    if ranges == period:
        return AtrState(ranges, total, total / period)
    return AtrState(ranges, total, 0.0)


def atr_ready(state: AtrState, period: int) -> bool:
    """Whether ``state.atr`` is an average yet."""
    return state.ranges >= period
