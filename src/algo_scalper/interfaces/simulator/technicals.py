"""The indicators a conditional trigger may name, read off an index's closed candles.

Dhan gives the periods it gives in the names. What the names leave open follows the charts it shows: bands of 20 candles
and two deviations, a stochastic %K of 14 that is not smoothed, that of the RSI smoothed over 3, a signal line of 9;
``MACD_12`` and ``MACD_26`` are its two averages. All are seeded as TA-Lib seeds them, from the first candle of the session
before: the market has no other history.

Values are whole hundredths of a point or of a percent, as a chart prints them: an average and its price then can be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import fsum, sqrt

from algo_scalper.domain.errors import DataError
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.indicators.candles import NOTHING_GROWING, grow_candle
from algo_scalper.indicators.true_range import ATR_START, atr_ready, atr_step, true_range
from algo_scalper.simulation.triggers import CLOSE, Reading
from algo_scalper.simulation.world import World

FRAMES = {"ONE_MIN": 1, "FIVE_MIN": 5, "FIFTEEN_MIN": 15}
"""Minutes by the name of a time frame. Days are documented too; the market knows two of them, too few for anything."""
_AVERAGES = (5, 10, 20, 50, 100, 200)
_BAND, _DEVIATIONS = 20, 2.0
_WILDER = _STOCHASTIC = 14
_SMOOTH = 3
_FAST, _SLOW, _SIGNAL = 12, 26, 9

_Read = Callable[[Sequence[Candle]], float | None]


class Technicals:
    """Readings of the indices' closed candles, made when asked for and kept until the next minute closes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._minute = -1
        self._candles: dict[tuple[int, int], tuple[Candle, ...]] = {}
        self._kept: dict[tuple[int, int, str], Reading | None] = {}

    def reading(self, key: int, minutes: int, name: str) -> Reading | None:
        """An indicator, or ``CLOSE``, after the newest closed candle; None while there are too few of them."""
        minute = self._world.now_ns // NS_PER_MINUTE
        if minute != self._minute:
            self._minute = minute
            self._candles.clear()
            self._kept.clear()
        place = (key, minutes, name)
        if place not in self._kept:
            self._kept[place] = self._made(key, minutes, name)
        return self._kept[place]

    def _made(self, key: int, minutes: int, name: str) -> Reading | None:
        candles = self._closed(key, minutes)
        value = READS[name](candles) if candles else None
        return Reading(candles[-1].start_ns, round(value)) if value is not None else None

    def _closed(self, key: int, minutes: int) -> tuple[Candle, ...]:
        place = (key, minutes)
        if place not in self._candles:
            try:
                history = self._world.history(key, self._world.now_ns)
            except DataError:  # the volatility index has no candles
                history = ()
            self._candles[place] = tuple(longer(history, minutes))
        return self._candles[place]


def longer(candles: Iterable[Candle], minutes: int) -> list[Candle]:
    """The closed candles of a longer frame; the last one of a day whose minutes end early closes with the next day."""
    growing = NOTHING_GROWING
    found: list[Candle] = []
    for candle in candles:
        growing, closed = grow_candle(growing, candle, minutes)
        found += closed
    return found


def means(values: Sequence[float], period: int) -> list[float]:
    """Simple averages, one for each value from the ``period``-th on."""
    return [fsum(values[end - period : end]) / period for end in range(period, len(values) + 1)]


def exponential(values: Sequence[float], period: int) -> list[float]:
    """Exponential averages from the ``period``-th value on; the first is the plain mean of the first ``period``."""
    if len(values) < period:
        return []
    found, share = [fsum(values[:period]) / period], 2.0 / (period + 1)
    for value in values[period:]:
        found.append(found[-1] + share * (value - found[-1]))
    return found


def strengths(closes: Sequence[float], period: int) -> list[float]:
    """Wilder's RSI, 0 to 100, from the ``period + 1``-th close on; 0 where nothing has moved."""
    moves = [after - before for before, after in pairwise(closes)]
    if len(moves) < period:
        return []
    gain = fsum(max(move, 0.0) for move in moves[:period]) / period
    loss = fsum(max(-move, 0.0) for move in moves[:period]) / period
    found = [_strength(gain, loss)]
    for move in moves[period:]:
        gain = (gain * (period - 1) + max(move, 0.0)) / period
        loss = (loss * (period - 1) + max(-move, 0.0)) / period
        found.append(_strength(gain, loss))
    return found


def _strength(gain: float, loss: float) -> float:
    return 100.0 * gain / (gain + loss) if gain + loss else 0.0


def place_in_range(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, 0 to 100; 0 where they are the same."""
    return 100.0 * (value - low) / (high - low) if high > low else 0.0


def _closes(candles: Sequence[Candle]) -> list[float]:
    return [float(candle.close_paise) for candle in candles]


def _last(values: Sequence[float]) -> float | None:
    return values[-1] if values else None


def _close(candles: Sequence[Candle]) -> float | None:
    return float(candles[-1].close_paise)


def _mean(period: int) -> _Read:
    return lambda candles: _last(means(_closes(candles[-period:]), period))


def _exponential(period: int) -> _Read:
    return lambda candles: _last(exponential(_closes(candles), period))


def _band(deviations: float) -> _Read:
    def read(candles: Sequence[Candle]) -> float | None:
        closes = _closes(candles[-_BAND:])
        if len(closes) < _BAND:
            return None
        mean = fsum(closes) / _BAND
        return mean + deviations * sqrt(fsum((close - mean) ** 2 for close in closes) / _BAND)

    return read


def _rsi(candles: Sequence[Candle]) -> float | None:
    found = strengths(_closes(candles), _WILDER)
    return 100.0 * found[-1] if found else None


def _atr(candles: Sequence[Candle]) -> float | None:
    state = ATR_START
    for before, candle in pairwise(candles):
        high, low = float(candle.high_paise), float(candle.low_paise)
        state = atr_step(state, true_range(high, low, float(before.close_paise), joined=True), _WILDER)
    return state.atr if atr_ready(state, _WILDER) else None


def _stochastic(candles: Sequence[Candle]) -> float | None:
    if len(candles) < _STOCHASTIC:
        return None
    inside = candles[-_STOCHASTIC:]
    low, high = min(candle.low_paise for candle in inside), max(candle.high_paise for candle in inside)
    return 100.0 * place_in_range(inside[-1].close_paise, low, high)


def _stochastic_rsi(candles: Sequence[Candle]) -> float | None:
    found = strengths(_closes(candles), _WILDER)
    if len(found) < _STOCHASTIC + _SMOOTH - 1:
        return None
    places = []
    for end in range(len(found) - _SMOOTH + 1, len(found) + 1):
        inside = found[end - _STOCHASTIC : end]
        places.append(place_in_range(inside[-1], min(inside), max(inside)))
    return 100.0 * fsum(places) / _SMOOTH


def _histogram(candles: Sequence[Candle]) -> float | None:
    closes = _closes(candles)
    slow = exponential(closes, _SLOW)
    fast = exponential(closes, _FAST)[_SLOW - _FAST :]
    lines = [quick - calm for quick, calm in zip(fast, slow, strict=True)]
    signal = exponential(lines, _SIGNAL)
    return lines[-1] - signal[-1] if signal else None


INDICATORS: dict[str, _Read] = {
    **{f"SMA_{period}": _mean(period) for period in _AVERAGES},
    **{f"EMA_{period}": _exponential(period) for period in _AVERAGES},
    "BB_UPPER": _band(_DEVIATIONS),
    "BB_LOWER": _band(-_DEVIATIONS),
    "RSI_14": _rsi,
    "ATR_14": _atr,
    "STOCHASTIC": _stochastic,
    "STOCHRSI_14": _stochastic_rsi,
    "MACD_26": _exponential(_SLOW),
    "MACD_12": _exponential(_FAST),
    "MACD_HIST": _histogram,
}
"""By the names Dhan gives them: hundredths of a point, or of a percent, after the last of the candles."""
READS: dict[str, _Read] = {**INDICATORS, CLOSE: _close}
