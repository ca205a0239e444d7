"""Average directional index: how strongly price trends, 0 to 100, whichever way.

Source: J. Welles Wilder, *New Concepts in Technical Trading Systems* (1978); seeded as TA-Lib seeds it, so that on a
joined series every value equals ``talib.ADX``.
"""

from __future__ import annotations

from typing import NamedTuple

NOTHING = 1e-14
"""Below this a smoothed sum counts as zero: no movement is no evidence, and the last value stands (as in TA-Lib)."""


class AdxState(NamedTuple):
    """Bars taken, the last bar's extremes, Wilder's smoothed sums, and the index once there are ``2 * period`` bars."""

    bars: int
    high: float
    low: float
    plus_move: float
    minus_move: float
    ranges: float
    dx_total: float
    adx: float


ADX_START = AdxState(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def adx_step(
    state: AdxState,
    high: float,
    low: float,
    bar_range: float,
    joined: bool,
    period: int,
) -> AdxState:
    """One more bar with its true range. ``joined`` as in `true_range`: a bar that is not joined has no movement.

    Bars 1 to ``period - 1`` only fill the sums; the next ``period`` give one directional index each, and their mean
    is the first ADX (bar ``2 * period - 1``, counting from 0). The first bar's range is not used. ``period`` >= 2.
    """
    bar = state.bars
    if bar == 0:
        return AdxState(1, high, low, 0.0, 0.0, 0.0, 0.0, 0.0)

    plus = 0.0
    minus = 0.0
    if joined:
        rise = high - state.high
        fall = state.low - low
        if fall > 0.0 and rise < fall:
            minus = fall
        elif rise > 0.0 and rise > fall:
            plus = rise

    if bar < period:
        return AdxState(
            bar + 1,
            high,
            low,
            state.plus_move + plus,
            state.minus_move + minus,
            state.ranges + bar_range,
            0.0,
            0.0,
        )

    plus_move = state.plus_move - state.plus_move / period + plus
    minus_move = state.minus_move - state.minus_move / period + minus
    ranges = state.ranges - state.ranges / period + bar_range

    moved = False
    dx = 0.0
    if ranges > NOTHING:
        plus_di = 100.0 * (plus_move / ranges)
        minus_di = 100.0 * (minus_move / ranges)
        both = plus_di + minus_di
        if both > NOTHING:
            moved = True
            dx = 100.0 * (abs(minus_di - plus_di) / both)

    dx_total = state.dx_total
    adx = state.adx
    if bar < 2 * period:
        dx_total = dx_total + dx
        if bar == 2 * period - 1:
            adx = dx_total / period
    elif moved:
        adx = (adx * (period - 1) + dx) / period
    return AdxState(bar + 1, high, low, plus_move, minus_move, ranges, dx_total, adx)


def adx_ready(state: AdxState, period: int) -> bool:
    """Whether ``state.adx`` is an index yet."""
    return state.bars >= 2 * period
