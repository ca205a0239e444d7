"""Supertrend: a trailing line one ATR multiple away from price, under it while it rises and over it while it falls.

Source: Olivier Seban's indicator in its common form (final bands that only tighten, until a close goes through them).
Which side price is on is kept in the state. It is never read back from the line by comparing floats.
"""

from __future__ import annotations

from typing import NamedTuple


class SupertrendState(NamedTuple):
    """Both bands as they stand, the last close, and the side: 1 rising, -1 falling, 0 until a close crosses a band."""

    bars: int
    direction: int
    upper: float
    lower: float
    close: float


SUPERTREND_START = SupertrendState(0, 0, 0.0, 0.0, 0.0)


def supertrend_step(
    state: SupertrendState, high: float, low: float, close: float, atr: float, multiplier: float
) -> SupertrendState:
    """One more bar with the ATR that includes it. Call it only from the first bar on that has an ATR.

    A band tightens or stands; it starts afresh after a close beyond it. A close above the upper band turns the trend
    up, one below the lower band turns it down, and the line is from then on the opposite band.
    """
    middle = (high + low) / 2.0
    upper = middle + multiplier * atr
    lower = middle - multiplier * atr
    if state.bars > 0:
        if upper > state.upper and state.close <= state.upper:
            upper = state.upper
        if lower < state.lower and state.close >= state.lower:
            lower = state.lower

    direction = state.direction
    if direction >= 0 and close < lower:
        direction = -1
    elif direction <= 0 and close > upper:
        direction = 1
    return SupertrendState(state.bars + 1, direction, upper, lower, close)


def supertrend_line(state: SupertrendState) -> float:
    """The band that matters now: the lower one while rising, the upper one while falling, 0 while neither."""
    if state.direction > 0:
        return state.lower
    if state.direction < 0:
        return state.upper
    return 0.0
