"""Statistics of index days and of samples kept by day: the same arithmetic for real and for simulated ones.

A day of an index is its one-minute bars and the close before it. Returns are log returns of closes from one minute to
the next; the open is not one of them. Figures are in basis points where a name says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import isnan, log, nan, sqrt
from statistics import fmean, median

import msgspec

MINUTES_A_YEAR = 375 * 252
OPEN_MINUTE = 9 * 60 + 15
BP = 1e4

BUCKETS = (556, 557, 560, 570, 585, 615, 705, 765, 855, 900, 915, 930)
"""Minutes of the day between which one-minute returns are told apart: 09:16, 09:17, 09:20 and so on."""


class IndexDay(msgspec.Struct, frozen=True):
    """One day of an index: the close before it, and its one-minute bars as parallel lists, prices in any one unit."""

    previous_close: float
    minutes: list[int]
    """The minute of the day each bar begins at, ascending."""
    opens: list[float]
    highs: list[float]
    lows: list[float]
    closes: list[float]

    def returns(self) -> list[tuple[int, float]]:
        """(minute, log return from the close a minute before); a bar after a gap has none."""
        bars = zip(self.minutes, self.closes, strict=True)
        return [(at, log(close / last)) for (before, last), (at, close) in pairwise(bars) if at == before + 1]


Days = Sequence[IndexDay]
Samples = Sequence[Sequence[float]]
"""What was measured, by day."""


def pool(samples: Samples) -> list[float]:
    """All days' values in one list."""
    return [value for day in samples for value in day]


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which ``share`` of them lie, in a straight line between two; nan of none."""
    ordered = sorted(values)
    if not ordered:
        return nan
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def deviation(values: Iterable[float]) -> float:
    """The standard deviation of a whole population, in floats: the library's exact one takes a hundred times as long."""
    known = list(values)
    centre = fmean(known)
    return sqrt(fmean([(value - centre) ** 2 for value in known]))


def middle(samples: Samples) -> float:
    """The median of all values; nan of none."""
    values = pool(samples)
    return median(values) if values else nan


def mean(samples: Samples) -> float:
    """The mean of all values; nan of none."""
    values = pool(samples)
    return fmean(values) if values else nan


def spread(samples: Samples) -> float:
    """The standard deviation of all values; nan of fewer than two."""
    values = pool(samples)
    return deviation(values) if len(values) > 1 else nan


def excess_kurtosis(values: Sequence[float]) -> float:
    """Fourth moment over the squared second, less the normal's 3."""
    centre = fmean(values)
    second = fmean((value - centre) ** 2 for value in values)
    return fmean((value - centre) ** 4 for value in values) / second**2 - 3.0


def autocorrelation(samples: Samples, lag: int) -> float:
    """Correlation of a value with the one ``lag`` places before it on the same day, around the mean of all days."""
    centre = fmean(pool(samples))
    products = [
        (late - centre) * (early - centre) for day in samples for early, late in zip(day, day[lag:], strict=False)
    ]
    return fmean(products) / fmean((value - centre) ** 2 for value in pool(samples))


def correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Of x and y; nan where one does not vary."""
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    spreads = deviation(xs) * deviation(ys)
    return covariance(pairs) / spreads if spreads else nan


def covariance(pairs: Sequence[tuple[float, float]]) -> float:
    """Of x and y, over all of them."""
    x_mean, y_mean = fmean(x for x, _ in pairs), fmean(y for _, y in pairs)
    return fmean((x - x_mean) * (y - y_mean) for x, y in pairs)


def slope(pairs: Sequence[tuple[float, float]]) -> float:
    """Of y on x, by least squares."""
    return covariance(pairs) / deviation(x for x, _ in pairs) ** 2


# --- of index days -------------------------------------------------------------------------------------------------


def all_returns(days: Days) -> list[list[float]]:
    """One-minute log returns by day."""
    return [[value for _, value in day.returns()] for day in days]


def realised_volatility(day: IndexDay) -> float:
    """Of the session's one-minute returns, in percent a year."""
    returns = [value for _, value in day.returns()]
    return 100.0 * sqrt(fmean(value * value for value in returns) * MINUTES_A_YEAR)


def absolute_quantile_bp(days: Days, share: float) -> float:
    """Of one-minute returns without their sign."""
    return BP * quantile((abs(value) for value in pool(all_returns(days))), share)


def bucket_std_bp(days: Days, first: int, until: int) -> float:
    """Standard deviation of one-minute returns of bars that begin from minute ``first`` to before ``until``."""
    return BP * deviation(value for day in days for at, value in day.returns() if first <= at < until)


def residuals(days: Days) -> list[list[float]]:
    """One-minute returns over the usual of their time of day and over their own day's volatility: unit variance."""
    usual: dict[int, float] = {}
    for first, until in pairwise(BUCKETS):
        values = [value for day in days for at, value in day.returns() if first <= at < until]
        usual |= dict.fromkeys(range(first, until), deviation(values) if len(values) > 1 else nan)
    scaled = [[value / usual[at] for at, value in day.returns() if at in usual] for day in days]
    return [[value / deviation(day) for value in day] for day in scaled]


def jumps_a_day(days: Days, size: float) -> float:
    """One-minute returns a day beyond ``size`` of their usual standard deviation."""
    return fmean(sum(abs(value) > size for value in day) for day in residuals(days))


def gaps_bp(days: Days) -> list[float]:
    """From the previous close to the open."""
    return [BP * log(day.opens[0] / day.previous_close) for day in days]


def open_to_close_bp(days: Days) -> list[float]:
    """From the first bar's open to the last bar's close."""
    return [BP * log(day.closes[-1] / day.opens[0]) for day in days]


def ranges_bp(days: Days) -> list[float]:
    """The day's high over its low."""
    return [BP * log(max(day.highs) / min(day.lows)) for day in days]


def overnight_share(days: Days) -> float:
    """Of the variance from close to close, the part of the night: of the sum of both parts' variances."""
    night = deviation(gaps_bp(days)) ** 2
    return night / (night + deviation(open_to_close_bp(days)) ** 2)


def bar_range_bp(days: Days) -> float:
    """Median high over low of one-minute bars."""
    return BP * median(log(high / low) for day in days for high, low in zip(day.highs, day.lows, strict=True))


def range_over_body(days: Days) -> float:
    """Mean range of one-minute bars over the mean distance of close and open."""
    ranges = fmean(log(high / low) for day in days for high, low in zip(day.highs, day.lows, strict=True))
    bodies = fmean(abs(log(end / start)) for day in days for start, end in zip(day.opens, day.closes, strict=True))
    return ranges / bodies


def seams_bp(days: Days) -> list[float]:
    """Between a bar's close and the next bar's open, without sign."""
    return [BP * abs(log(start / end)) for day in days for end, start in zip(day.closes, day.opens[1:], strict=False)]


def first_bars_bp(days: Days) -> list[tuple[float, float]]:
    """Of the day's first minute: (open to close, high over low)."""
    return [
        (BP * log(day.closes[0] / day.opens[0]), BP * log(day.highs[0] / day.lows[0]))
        for day in days
        if day.minutes[0] == OPEN_MINUTE
    ]


def together(days: Days, others: Days, lag: int = 0) -> list[tuple[float, float]]:
    """Pairs of one-minute returns of two indices; the other's is ``lag`` minutes later."""

    def pairs(one: IndexDay, other: IndexDay) -> Iterator[tuple[float, float]]:
        found = dict(other.returns())
        for at, value in one.returns():
            if at + lag in found:
                yield value, found[at + lag]

    return [pair for one, other in zip(days, others, strict=True) for pair in pairs(one, other)]


# --- of prints by the second ---------------------------------------------------------------------------------------


def variance_a_second(days: Samples, step: int) -> float:
    """Variance of log moves over ``step`` seconds, for one second; ``days`` are logs of prices by the second."""
    moves = [later - sooner for day in days for sooner, later in pairwise(day[::step])]
    return fmean(move * move for move in moves) / step


def by_day(of_day: Callable[[IndexDay], float], days: Days) -> list[float]:
    """A figure of each day that has one."""
    return [value for value in map(of_day, days) if not isnan(value)]
