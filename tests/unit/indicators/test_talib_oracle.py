"""ATR and ADX against TA-Lib, value by value from the first one, on generated and on real candles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_scalper.domain.market import Candle
from algo_scalper.indicators.adx import ADX_START, adx_ready, adx_step
from algo_scalper.indicators.true_range import ATR_START, atr_ready, atr_step, true_range
from tests.unit.indicators.series import generated, recorded

Floats = npt.NDArray[np.float64]


def atr_values(candles: Sequence[Candle], period: int) -> list[float]:
    """Batch as a loop of steps, NaN before the first value."""
    state, values = ATR_START, [float("nan")]
    for before, bar in pairwise(candles):
        reach = true_range(float(bar.high_paise), float(bar.low_paise), float(before.close_paise), True)
        state = atr_step(state, reach, period)
        values.append(state.atr if atr_ready(state, period) else float("nan"))
    return values


def adx_values(candles: Sequence[Candle], period: int) -> list[float]:
    """Batch as a loop of steps on the joined series, NaN before the first value."""
    state, values, close = ADX_START, [], 0.0
    for bar in candles:
        high, low = float(bar.high_paise), float(bar.low_paise)
        state = adx_step(state, high, low, true_range(high, low, close, state.bars > 0), True, period)
        close = float(bar.close_paise)
        values.append(state.adx if adx_ready(state, period) else float("nan"))
    return values


def column(candles: Sequence[Candle], name: str) -> Floats:
    """One of the prices as TA-Lib wants it."""
    return np.array([getattr(bar, name) for bar in candles], dtype=np.float64)


def assert_as_talib(candles: Sequence[Candle], atr_period: int, adx_period: int, scale: float) -> None:
    """Both indicators, equal everywhere; ``scale`` is the size of price moves."""
    high, low, close = (column(candles, name) for name in ("high_paise", "low_paise", "close_paise"))
    assert_same(atr_values(candles, atr_period), talib.ATR(high, low, close, timeperiod=atr_period), scale)
    assert_same(adx_values(candles, adx_period), talib.ADX(high, low, close, timeperiod=adx_period), 1.0)


def assert_same(ours: list[float], theirs: Floats, scale: float) -> None:
    """Equal to 1e-10 of ``scale`` everywhere, missing in the same places, and not missing everywhere."""
    mine = np.array(ours)
    assert np.array_equal(np.isnan(mine), np.isnan(theirs))
    assert not np.isnan(theirs[-1])
    assert np.nanmax(np.abs(mine - theirs)) <= 1e-10 * scale


@pytest.mark.parametrize("period", [2, 7, 10, 14, 30])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_generated_candles(period: int, seed: int) -> None:
    candles = generated(700, seed)
    assert_as_talib(candles, period, period, 1e4)


@pytest.mark.parametrize("name", ["nifty_1m_2026", "nifty_1m_2021", "sensex_1m_2026jun"])
def test_real_minutes(name: str) -> None:
    candles = recorded(name)
    assert_as_talib(candles, 10, 14, 1e4)


bars = st.lists(
    st.tuples(st.integers(1_000, 1_100), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)),
    min_size=20,
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(bars=bars, period=st.integers(2, 9))
def test_small_coarse_numbers(bars: list[tuple[int, int, int, int]], period: int) -> None:
    """Few distinct values: ties between rise and fall, bars without range, and stretches without movement."""
    candles = [
        Candle(n, low + min(up, part), low + up + extra, low, low + min(up, part))
        for n, (low, up, part, extra) in enumerate(bars)
    ]
    assert_as_talib(candles, period, period, 1.0)


def test_a_market_that_stops_moving_keeps_its_last_value() -> None:
    """After some 600 motionless bars the smoothed sums are nothing; no movement is then no evidence, not weakness."""
    candles = generated(100, 4)
    close = candles[-1].close_paise
    candles += [Candle(candles[-1].start_ns + n, close, close, close, close) for n in range(1, 900)]
    assert_as_talib(candles, 14, 14, 1e4)
    assert adx_values(candles, 14)[-1] > 5
