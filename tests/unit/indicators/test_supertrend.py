"""Supertrend against a textbook version with whole lists, and against cases worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from algo_scalper.domain.market import Candle
from algo_scalper.indicators.supertrend import SUPERTREND_START, SupertrendState, supertrend_line, supertrend_step
from algo_scalper.indicators.true_range import ATR_START, atr_ready, atr_step, true_range
from tests.unit.indicators.series import generated, recorded


def textbook(candles: Sequence[Candle], period: int, multiplier: float) -> list[tuple[int, float]]:
    """(direction, line) from the first bar with an ATR, in lists, starting in a fall as charting programs do."""
    highs, lows, closes = ([getattr(c, f"{n}_paise") for c in candles] for n in ("high", "low", "close"))
    ranges = [
        max(highs[i] - lows[i], abs(highs[i] - closes[i - 1]), abs(lows[i] - closes[i - 1]))
        for i in range(1, len(candles))
    ]
    atr = {period: sum(ranges[:period]) / period}
    for i in range(period + 1, len(candles)):
        atr[i] = (atr[i - 1] * (period - 1) + ranges[i - 1]) / period

    upper: dict[int, float] = {}
    lower: dict[int, float] = {}
    trend: dict[int, int] = {}
    for i in range(period, len(candles)):
        basic_upper = (highs[i] + lows[i]) / 2 + multiplier * atr[i]
        basic_lower = (highs[i] + lows[i]) / 2 - multiplier * atr[i]
        if i == period:
            upper[i], lower[i], trend[i] = basic_upper, basic_lower, -1
            continue
        upper[i] = basic_upper if basic_upper < upper[i - 1] or closes[i - 1] > upper[i - 1] else upper[i - 1]
        lower[i] = basic_lower if basic_lower > lower[i - 1] or closes[i - 1] < lower[i - 1] else lower[i - 1]
        if trend[i - 1] == -1:
            trend[i] = 1 if closes[i] > upper[i] else -1
        else:
            trend[i] = -1 if closes[i] < lower[i] else 1
    return [(trend[i], lower[i] if trend[i] == 1 else upper[i]) for i in range(period, len(candles))]


def stepped(candles: Sequence[Candle], period: int, multiplier: float) -> list[SupertrendState]:
    """Ours, from the first bar with an ATR."""
    atr, state, states = ATR_START, SUPERTREND_START, []
    for before, bar in pairwise(candles):
        high, low, close = float(bar.high_paise), float(bar.low_paise), float(bar.close_paise)
        atr = atr_step(atr, true_range(high, low, float(before.close_paise), True), period)
        if atr_ready(atr, period):
            state = supertrend_step(state, high, low, close, atr.atr, multiplier)
            states.append(state)
    return states


def assert_as_textbook(candles: Sequence[Candle], period: int, multiplier: float) -> int:
    """Same side and line wherever ours has one; returns the number of turns."""
    theirs = textbook(candles, period, multiplier)
    ours = stepped(candles, period, multiplier)
    assert len(ours) == len(theirs)
    first = next(i for i, state in enumerate(ours) if state.direction)
    for state, (direction, line) in zip(ours[first:], theirs[first:], strict=True):
        assert state.direction == direction
        assert supertrend_line(state) == pytest.approx(line, abs=1e-6)
    return sum(a.direction != b.direction for a, b in zip(ours[first:], ours[first + 1 :], strict=False))


@pytest.mark.parametrize(("period", "multiplier"), [(10, 3.0), (7, 2.0), (3, 1.0)])
def test_textbook_on_generated(period: int, multiplier: float) -> None:
    turns = sum(assert_as_textbook(generated(1_500, seed), period, multiplier) for seed in range(5))
    assert turns > 50


def test_textbook_on_real_minutes() -> None:
    assert assert_as_textbook(recorded("nifty_1m_2026"), 10, 3.0) > 300


def walk(bars: Sequence[tuple[float, float, float, float]], multiplier: float = 1.0) -> list[SupertrendState]:
    """Steps over (high, low, close, atr)."""
    state, states = SUPERTREND_START, []
    for high, low, close, atr in bars:
        state = supertrend_step(state, high, low, close, atr, multiplier)
        states.append(state)
    return states


def test_no_side_before_the_first_cross() -> None:
    first, second = walk([(102, 98, 100, 10), (103, 99, 101, 10)])
    assert (first.direction, first.upper, first.lower) == (0, 110, 90)
    # middle 101: the upper band stands at 110 (111 would be looser), the lower one tightens to 91
    assert (second.direction, second.upper, second.lower) == (0, 110, 91)
    assert supertrend_line(second) == 0


def test_cross_moves_the_line_to_the_other_band_and_lets_the_crossed_one_start_afresh() -> None:
    states = walk(
        [
            (102, 98, 100, 10),  # bands 110, 90
            (114, 104, 112, 10),  # middle 109: upper stays 110, close 112 is above: up, line = lower 99
            (116, 110, 115, 10),  # middle 113: the last close was beyond 110, so upper = 123; lower 103
            (113, 101, 102, 10),  # middle 107: lower stays 103, close 102 is below: down, line = upper 117
        ]
    )
    assert [s.direction for s in states] == [0, 1, 1, -1]
    assert [supertrend_line(s) for s in states] == [0, 99, 103, 117]
    assert states[2].upper == 123


def test_a_close_on_the_line_does_not_turn_it() -> None:
    states = walk([(102, 98, 100, 10), (114, 104, 112, 10), (104, 98, 99, 10)])
    assert (states[-1].direction, states[-1].lower) == (1, 99)


def test_a_close_on_a_band_does_not_let_it_start_afresh() -> None:
    # bands 110, 90; the close of 110 touches the upper one, so the next basic 124 does not replace it, nor 76 the lower
    up = walk([(102, 98, 100, 10), (112, 96, 110, 10), (116, 112, 109, 10)])
    assert [s.upper for s in up] == [110, 110, 110]
    down = walk([(102, 98, 100, 10), (104, 88, 90, 10), (88, 84, 91, 10)])
    assert [s.lower for s in down] == [90, 90, 90]


def test_the_line_never_loosens_while_the_side_is_kept() -> None:
    states = stepped(generated(3_000, 11), 10, 3.0)
    kept = 0
    for before, now in pairwise(states):
        if before.direction == now.direction != 0:
            kept += 1
            assert (supertrend_line(now) - supertrend_line(before)) * now.direction >= 0
    assert kept > 2_000
