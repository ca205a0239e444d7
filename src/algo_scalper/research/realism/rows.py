"""The rows of the table: what was measured on real days, and how the same is read off the simulated ones.

Real figures are from recorded days of 2024-26 (index minutes of NIFTY and BANKNIFTY, ticks of 2021, whole option
chains of 29 August 2025, exchange day files of January to March 2026, rolling at-the-money minutes of early 2026). Each
row names the section of the measurements it is from. A range is the tenth to the ninetieth percentile of real days, or
of runs of twenty of them for what only many days have (a standard deviation of gaps). Some stand beside the figure in
the measurements (`Row.given`), the others were computed anew from the recorded days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import isnan
from statistics import fmean, median

import msgspec

from algo_scalper.research.realism import statistics as stats
from algo_scalper.research.realism.observe import PREMIUMS, Observed

Range = tuple[float, float]

INSIDE, WITHIN, OUT = "inside", "within 25 %", "OUT"
"""The verdicts."""


class Sample(msgspec.Struct, frozen=True):
    """All simulated days: bars of each index, and measures by day."""

    indices: dict[str, list[stats.IndexDay]]
    values: dict[str, list[list[float]]]

    def of(self, name: str) -> list[list[float]]:
        """A measure by day; a name nothing was kept under is a `KeyError`."""
        return self.values[name]


Read = Callable[[Sample], float]


class Row(msgspec.Struct, frozen=True):
    """One statistic: where it is from, what it is, the real figure and its range if one is known, and how to read it."""

    section: str
    text: str
    real: float
    read: Read
    range: Range | None = None
    given: bool = False
    """The range stands in the measurements beside the figure: nothing but inside it will do."""


def sample_of(days: Sequence[Observed]) -> Sample:
    """The days put together."""
    names = sorted({name for day in days for name in day.values})
    return Sample(
        {index: [day.indices[index] for day in days] for index in days[0].indices},
        {name: [day.values.get(name, []) for day in days] for name in names},
    )


def rows() -> list[Row]:
    """All of them, in the order of the table."""
    found = [
        *_index_rows("NIFTY", _NIFTY, _NIFTY_BUCKETS),
        *_index_rows("BANKNIFTY", _BANKNIFTY, _BANKNIFTY_BUCKETS),
        *_together_rows(),
        *_print_rows(),
        *_vix_rows(),
        *_book_rows(),
        *_listing_rows(),
        *_share_rows(),
        *_smile_rows(),
        *_term_rows(),
        *_dynamics_rows(),
        *_straddle_rows(),
        *_profile_rows(),
        *_path_rows(),
    ]
    texts = [(row.section, row.text) for row in found]
    if len(set(texts)) != len(texts):
        raise AssertionError("two rows of one name")
    return found


# --- small readers -------------------------------------------------------------------------------------------------


def _middle(name: str) -> Read:
    return lambda sample: stats.middle(sample.of(name))


def _mean(name: str) -> Read:
    return lambda sample: stats.mean(sample.of(name))


def _quantile(name: str, share: float) -> Read:
    return lambda sample: stats.quantile(stats.pool(sample.of(name)), share)


def _of_days(name: str, share: float) -> Read:
    """The median over days of a day's quantile."""
    return lambda sample: median(stats.quantile(day, share) for day in sample.of(name) if day)


def _index(name: str, figure: Callable[[stats.Days], float]) -> Read:
    return lambda sample: figure(sample.indices[name])


# --- 1. index ------------------------------------------------------------------------------------------------------


def _session_volatility(days: stats.Days) -> float:
    return median(map(stats.realised_volatility, days))


def _absolute(days: stats.Days) -> list[list[float]]:
    return [[abs(value) for value in day] for day in stats.all_returns(days)]


def _jumps(size: float) -> Callable[[stats.Days], float]:
    return lambda days: stats.jumps_a_day(days, size)


def _tail(share: float) -> Callable[[stats.Days], float]:
    return lambda days: stats.absolute_quantile_bp(days, share)


def _echo(lag: int) -> Callable[[stats.Days], float]:
    return lambda days: stats.autocorrelation(_absolute(days), lag)


_INDEX: tuple[tuple[str, Callable[[stats.Days], float]], ...] = (
    ("volatility of the session, % a year, median day", _session_volatility),
    ("one-minute return, standard deviation, bp", lambda days: stats.BP * stats.spread(stats.all_returns(days))),
    ("one-minute return without sign, median, bp", _tail(0.5)),
    ("one-minute return without sign, p99, bp", _tail(0.99)),
    ("one-minute return without sign, p99.9, bp", _tail(0.999)),
    ("one-minute return without sign, largest, bp", _tail(1.0)),
    ("excess kurtosis of one-minute returns", lambda days: stats.excess_kurtosis(stats.pool(stats.all_returns(days)))),
    (
        "excess kurtosis, time of day and the day's volatility removed",
        lambda days: stats.excess_kurtosis(stats.pool(stats.residuals(days))),
    ),
    ("autocorrelation of returns, lag 1", lambda days: stats.autocorrelation(stats.all_returns(days), 1)),
    ("autocorrelation of returns without sign, lag 1", _echo(1)),
    ("autocorrelation of returns without sign, lag 5", _echo(5)),
    ("autocorrelation of returns without sign, lag 30", _echo(30)),
    ("minutes a day beyond 4 standard deviations", _jumps(4.0)),
    ("minutes a day beyond 5 standard deviations", _jumps(5.0)),
    ("minutes a day beyond 6 standard deviations", _jumps(6.0)),
    ("minutes a day beyond 8 standard deviations", _jumps(8.0)),
    ("minutes a day beyond 10 standard deviations", _jumps(10.0)),
    ("gap at the open, standard deviation, bp", lambda days: stats.deviation(stats.gaps_bp(days))),
    ("gap at the open without sign, median, bp", lambda days: median(map(abs, stats.gaps_bp(days)))),
    ("open to close, standard deviation, bp", lambda days: stats.deviation(stats.open_to_close_bp(days))),
    ("day's high over low, mean, bp", lambda days: fmean(stats.ranges_bp(days))),
    ("day's high over low, median, bp", lambda days: median(stats.ranges_bp(days))),
    ("day's high over low, p90, bp", lambda days: stats.quantile(stats.ranges_bp(days), 0.9)),
    ("night's share of the variance", stats.overnight_share),
    ("bar's high over low, median, bp", stats.bar_range_bp),
    ("bar's range over its body, means", stats.range_over_body),
    ("bars that open where the last one closed", lambda days: fmean(seam == 0.0 for seam in stats.seams_bp(days))),
    ("open against the last close, median, bp", lambda days: median(stats.seams_bp(days))),
    (
        "first bar's open to close, standard deviation, bp",
        lambda days: stats.deviation(a for a, _ in stats.first_bars_bp(days)),
    ),
    ("first bar's high over low, median, bp", lambda days: median(high for _, high in stats.first_bars_bp(days))),
)
# Measurements, section 1, columns NIFTY 2024 and BANKNIFTY 2024, in the order of `_INDEX`. Ranges are computed: from the
# lower p10 to the higher p90 of all runs of twenty days of 2024 and of those of early 2026; the session's volatility has
# the p10-p90 of days given with it. BANKNIFTY: whole days by runs of twenty days of 15-minute bars 2018-23; no minutes of
# 2024 are at hand, so sizes in bp have NIFTY's ranges in proportion, and shapes the ranges of NIFTY and of BANKNIFTY's
# minutes of 2021 together. Minutes beyond so many standard deviations are counted anew with `residuals`, on NIFTY 2024
# and BANKNIFTY 2021: the measurements scale them otherwise.
# fmt: off
_NIFTY: tuple[tuple[float, Range | None], ...] = (
    (8.7, (6.2, 12.7)), (3.63, (2.92, 5.95)), (1.59, (1.38, 1.88)), (12.1, (9.66, 25.1)), (29.7, (16.3, 51.9)),
    (87.0, (24.7, 87.3)), (45.0, (4.17, 39.2)), (3.7, (1.47, 4.09)), (0.02, (-0.011, 0.060)), (0.36, (0.198, 0.497)),
    (0.29, (0.138, 0.399)), (0.24, (0.093, 0.373)), (1.26, (0.61, 1.71)), (0.40, (0.08, 0.53)), (0.10, (0.0, 0.20)),
    (0.013, (0.0, 0.05)), (0.006, (0.0, 0.0)), (50.0, (25.5, 115.0)), (27.0, (13.8, 33.7)), (79.0, (53.8, 136.0)),
    (102.0, (86.3, 144.0)), (84.0, (78.5, 99.7)), (164.0, (140.0, 229.0)), (0.29, (0.109, 0.654)), (3.4, (3.06, 3.82)),
    (1.82, (1.750, 1.887)), (0.03, (0.024, 0.031)), (0.22, (0.192, 0.252)), (22.0, (12.2, 46.5)), (18.8, (17.9, 31.2)),
)
_BANKNIFTY: tuple[tuple[float, Range | None], ...] = (
    (12.0, (8.5, 17.9)), (4.85, (3.90, 7.95)), (2.14, (1.86, 2.53)), (17.0, (13.8, 35.3)), (37.0, (20.3, 64.7)),
    (126.0, (35.8, 126.0)), (27.0, (4.17, 39.2)), (4.2, (1.47, 4.2)), (-0.01, (-0.013, 0.060)), (0.34, (0.178, 0.497)),
    (0.25, (0.138, 0.399)), (0.21, (0.067, 0.373)), (1.42, (0.61, 1.71)), (0.48, (0.08, 0.60)), (0.19, (0.0, 0.24)),
    (0.065, (0.0, 0.10)), (0.0, (0.0, 0.0)), (65.0, (30.9, 117.0)), (28.0, (21.3, 74.7)), (101.0, (59.0, 187.0)),
    (136.0, (102.0, 255.0)), (116.0, (92.8, 238.0)), (213.0, (143.0, 372.0)), (0.30, (0.13, 0.45)), (4.9, (4.41, 5.51)),
    (1.93, (1.75, 1.93)), (0.01, (0.008, 0.010)), (0.35, (0.305, 0.516)), (27.0, (15.0, 51.1)), (25.3, (24.1, 34.9)),
)
# Measurements, section 1, time of day; ranges as above.
_NIFTY_BUCKETS: tuple[tuple[float, Range], ...] = (
    (8.2, (3.87, 17.7)), (5.1, (3.58, 7.38)), (5.6, (4.08, 9.85)), (4.8, (3.85, 7.31)), (3.9, (3.09, 5.01)),
    (3.5, (2.37, 5.71)), (3.7, (2.22, 7.06)), (3.1, (2.36, 5.08)), (3.3, (2.57, 4.96)), (4.2, (3.47, 5.51)),
    (2.7, (2.17, 4.42)),
)
_BANKNIFTY_BUCKETS = tuple(
    (real, (real / other * low, real / other * high))
    for real, (other, (low, high)) in zip(
        (7.9, 6.6, 7.0, 6.6, 5.4, 4.8, 4.5, 4.3, 4.5, 5.8, 4.0), _NIFTY_BUCKETS, strict=True
    )
)
# fmt: on


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _index_rows(
    name: str, figures: Sequence[tuple[float, Range | None]], buckets: Sequence[tuple[float, Range | None]]
) -> Iterator[Row]:
    for (text, figure), (real, known) in zip(_INDEX, figures, strict=True):
        yield Row(f"1. {name}", text, real, _index(name, figure), known, given=figure is _session_volatility)
    for (first, until), (real, known) in zip(pairwise(stats.BUCKETS), buckets, strict=True):

        def of_bucket(days: stats.Days, first: int = first, until: int = until) -> float:
            return stats.bucket_std_bp(days, first, until)

        text = f"one-minute return from {_clock(first)}, standard deviation, bp"
        yield Row(f"1. {name} by time of day", text, real, _index(name, of_bucket), known)


def _together_rows() -> Iterator[Row]:
    """Measurements, section 1, the line on indices together.

    Lagged correlations are "below .02" over a year. Of twenty days they scatter as the index's own autocorrelation does:
    its range (`_NIFTY`) at the indices' correlation.
    """

    def pairs(other: str, lag: int = 0) -> Callable[[Sample], list[tuple[float, float]]]:
        return lambda sample: stats.together(sample.indices["NIFTY"], sample.indices[other], lag)

    section = "1. indices together"
    bank, sensex = pairs("BANKNIFTY"), pairs("SENSEX")
    later, sooner = pairs("BANKNIFTY", 1), pairs("BANKNIFTY", -1)
    yield Row(
        section, "NIFTY and BANKNIFTY, correlation of one-minute returns", 0.80, lambda s: stats.correlation(bank(s))
    )
    yield Row(section, "BANKNIFTY's beta on NIFTY", 1.07, lambda s: stats.slope(bank(s)))
    yield Row(section, "NIFTY and SENSEX, correlation", 0.92, lambda s: stats.correlation(sensex(s)))
    yield Row(
        section,
        "BANKNIFTY a minute later than NIFTY, correlation",
        0.0,
        lambda s: stats.correlation(later(s)),
        (-0.02, 0.048),
    )
    yield Row(
        section,
        "BANKNIFTY a minute before NIFTY, correlation",
        0.0,
        lambda s: stats.correlation(sooner(s)),
        (-0.02, 0.048),
    )


def _print_rows() -> Iterator[Row]:
    """Measurements, section 1, ticks: NIFTY 2021, moves in points at its level of 14,800."""
    section = "1. NIFTY's prints"

    def gaps(seconds: int) -> Read:
        return lambda sample: fmean(gap == seconds for gap in stats.pool(sample.of("print gap")))

    yield Row(section, "one second after the last", 0.936, gaps(1))
    yield Row(section, "two seconds after the last", 0.055, gaps(2))
    yield Row(section, "three seconds after the last", 0.007, gaps(3))
    for share, real in ((0.25, 0.15), (0.5, 0.35), (0.75, 0.65), (0.9, 1.05), (0.99, 2.4), (0.999, 4.7)):

        def size(sample: Sample, share: float = share) -> float:
            return stats.quantile(map(abs, stats.pool(sample.of("print move"))), share)

        yield Row(section, f"move without sign, p{share * 100:g}, points at 14,800", real, size)
    yield Row(section, "moves of nothing", 0.04, _mean("print still"))
    yield Row(section, "autocorrelation of moves, lag 1", -0.15, lambda s: stats.autocorrelation(s.of("print move"), 1))
    for step, real in ((5, 19.0), (15, 22.9), (60, 24.6), (300, 23.4)):

        def ratio(sample: Sample, step: int = step) -> float:
            levels = sample.of("level by second")
            return stats.variance_a_second(levels, step) / stats.variance_a_second(levels, 1)

        yield Row(section, f"variance a second over {step} s, against one second", round(real / 22.0, 3), ratio)


def _vix_rows() -> Iterator[Row]:
    """Measurements, section 1 (level and change, 2015-26; p10-p90 computed) and 3 (ratio; falls with the index)."""
    section = "1. India VIX"
    yield Row(section, "level at the close, median", 15.4, _middle("vix"), (11.7, 22.1))
    yield Row(
        section,
        "daily log change, standard deviation",
        0.053,
        lambda s: stats.spread(s.of("vix change")),
        (0.029, 0.074),
    )
    yield Row("3. dynamics", "VIX over 30-day at-the-money volatility", 1.056, _middle("vix over atm"))

    def pairs(sample: Sample) -> list[tuple[float, float]]:
        return list(zip(stats.pool(sample.of("index change")), stats.pool(sample.of("vix points")), strict=True))

    text = "30-day volatility, points for +1 % of the index over a day"
    yield Row("3. dynamics", text, -1.32, lambda s: stats.slope(pairs(s)) / 1.056)
    yield Row("3. dynamics", "their correlation", -0.81, lambda s: stats.correlation(pairs(s)))


# --- 2. options ----------------------------------------------------------------------------------------------------

# Measurements, section 2: median spread in rupees by premium, and of the weekly the ninetieth percentile.
# fmt: off
_SPREADS: dict[str, tuple[float | None, ...]] = {
    "NIFTY 1": (0.05, 0.05, 0.05, 0.05, 0.05, 0.10, 0.15, 0.30, 0.65, 2.7, 20.0),
    "NIFTY 2": (None, 0.10, 0.10, 0.10, 0.10, 0.15, 0.25, 0.40, 0.75, 2.75, 26.0),
    "NIFTY 3": (None, None, 1.05, 0.85, 0.70, 0.85, 0.95, 1.35, 2.05, 14.0, 50.0),
    "BANKNIFTY 1": (None, None, 0.10, 0.45, 0.55, 0.90, 0.55, 0.70, 0.95, 1.35, 145.0),
}
_WIDE: dict[str, tuple[float | None, ...]] = {
    "NIFTY 1": (0.05, 0.05, 0.05, 0.05, 0.10, 0.15, 0.20, 0.40, 1.05, 5.2, 83.0),
    "NIFTY 2": (None, None, 0.15, 0.15, 0.15, 0.20, 0.30, 0.50, 1.25, 14.7, 56.0),
}
_SIZES: dict[str, tuple[float | None, ...]] = {
    "NIFTY 1": (180_000, 160_000, 136_000, 15_000, 11_000, 4_400, 1_900, 600, 225, 75, 150),
    "NIFTY 2": (None, 1_200, 825, 1_200, 825, 525, 375, 225, 150, 225, 750),
    "BANKNIFTY 1": (None, None, 490, 140, 140, 140, 70, 70, 70, 70, 140),
}
# fmt: on


def _book_rows() -> Iterator[Row]:
    section = "2. spread and size by premium"
    names = {
        "NIFTY 1": "NIFTY week 1",
        "NIFTY 2": "NIFTY week 2",
        "NIFTY 3": "NIFTY week 3",
        "BANKNIFTY 1": "BANKNIFTY month",
    }
    for figures, kind, words, read in (
        (_SPREADS, "spread", "spread, median, rupees", _middle),
        (_WIDE, "spread", "spread, p90, rupees", lambda name: _quantile(name, 0.9)),
        (_SIZES, "size", "best size, median, units", _middle),
    ):
        for group, reals in figures.items():
            for low, high, real in zip(PREMIUMS, PREMIUMS[1:], reals, strict=False):
                if real is not None:
                    premium = f"{low}-{high}" if high < 1_000 else f"over {low}"
                    yield Row(section, f"{names[group]} {premium}, {words}", real, read(f"{group} {kind} {low}"))
    section = "2. the book at the money, NIFTY week 1"
    for share, ticks in ((0.1, 2.0), (0.5, 4.0), (0.9, 6.0)):
        yield Row(section, f"spread, p{share * 100:g}, ticks", ticks, _quantile("atm spread ticks", share))
    for part, rupees in (("open", 0.226), ("noon", 0.197), ("late", 0.185)):
        yield Row(section, f"spread, {part}, mean, rupees", rupees, _mean(f"atm spread {part}"))
    for part, units in (("open", 1_100.0), ("noon", 1_600.0)):
        yield Row(section, f"best size, {part}, median, units", units, _middle(f"atm size {part}"))
    yield Row(section, "last price from the middle, in spreads, median", 0.5, _middle("ltp away"))
    yield Row(section, "last price between bid and ask", 0.80, _mean("ltp inside"))
    for least, real in ((-3.0, 2.9), (-2.0, 1.0), (-1.0, 0.45), (-0.4, 0.20), (0.5, 0.10), (1.0, 0.05)):
        text = f"calls from {least:+g} % of the forward, spread, median, rupees"
        yield Row("2. spread by moneyness, NIFTY week 1", text, real, _middle(f"call spread {least}"))


def _listing_rows() -> Iterator[Row]:
    """Measurements, section 2; p10-p90 of days from the exchange's files of early 2026, computed."""
    section = "2. listing, volume, open interest"
    # fmt: off
    figures: tuple[tuple[str, str, float, Range | None], ...] = (
        ("NIFTY 1 strikes", "NIFTY week 1, strikes listed", 97, (83, 101)),
        ("NIFTY 2 strikes", "NIFTY week 2, strikes listed", 94, (82, 99)),
        ("NIFTY 3 strikes", "NIFTY week 3, strikes listed", 91, (81, 100)),
        ("BANKNIFTY 1 strikes", "BANKNIFTY month 1, strikes listed", 138, (116, 143)),
        ("BANKNIFTY 2 strikes", "BANKNIFTY month 2, strikes listed", 137, (116, 143)),
        ("NIFTY 1 traded", "NIFTY week 1, contracts that traded", 0.88, (0.838, 0.935)),
        ("NIFTY 2 traded", "NIFTY week 2, contracts that traded", 0.995, (0.796, 1.0)),
        ("NIFTY 3 traded", "NIFTY week 3, contracts that traded", 0.93, (0.627, 0.994)),
        ("NIFTY 1 lots", "NIFTY week 1, lots in a day", 98e6, (48e6, 365e6)),
        ("NIFTY 2 lots", "NIFTY week 2, lots in a day", 3.41e6, (1.14e6, 11.9e6)),
        ("NIFTY 3 lots", "NIFTY week 3, lots in a day", 329e3, (74.5e3, 2.07e6)),
        ("BANKNIFTY 1 lots", "BANKNIFTY month 1, lots in a day", 2.7e6, (1.78e6, 16.2e6)),
        ("BANKNIFTY 2 lots", "BANKNIFTY month 2, lots in a day", 94e3, (25.8e3, 368e3)),
        ("NIFTY 1 interest", "NIFTY week 1, open interest, units", 310e6, (226e6, 376e6)),
        ("NIFTY 2 interest", "NIFTY week 2, open interest, units", 58e6, (20.1e6, 151e6)),
        ("NIFTY 3 interest", "NIFTY week 3, open interest, units", 9.0e6, (2.85e6, 96.4e6)),
        ("BANKNIFTY 1 interest", "BANKNIFTY month 1, open interest, units", 27.5e6, (19.7e6, 55.1e6)),
        ("BANKNIFTY 2 interest", "BANKNIFTY month 2, open interest, units", 3.1e6, (1.39e6, 8.29e6)),
        ("NIFTY 1 puts over calls", "NIFTY week 1, puts over calls, open interest", 0.77, (0.56, 1.10)),
        ("BANKNIFTY 1 puts over calls", "BANKNIFTY month 1, puts over calls, open interest", 0.99, (0.68, 1.14)),
        ("round 2", "open interest at hundreds against fifties, NIFTY week 1", 2.3, (1.69, 2.85)),
        ("round 10", "open interest at five hundreds against fifties, NIFTY week 1", 4.5, (2.34, 5.51)),
    )
    # fmt: on
    for name, text, real, known in figures:
        yield Row(section, text, real, _middle(name), known)
    # Of the nearest expiries alone, which are those simulated, the recorded chains were all two-sided; computed.
    for group, text in (("NIFTY 1", "NIFTY week 1"), ("NIFTY 2", "NIFTY week 2"), ("NIFTY 3", "NIFTY week 3")):
        yield Row(section, f"{text}, books with both sides", 1.0, _mean(f"{group} two-sided"))
    for rank, text in ((0, "week 1"), (1, "week 2"), (2, "week 3")):
        yield Row(section, f"carry of the parity forward, {text}, % a year", 5.85, _middle(f"carry {rank}"))


# Measurements, section 2, open interest and volume by moneyness; p10-p90 of the same days, computed.
# fmt: off
_SHARES: dict[str, tuple[tuple[float, Range], ...]] = {
    "volume share 0": ((0.013, (0.002, 0.029)), (0.064, (0.029, 0.111)), (0.180, (0.151, 0.249)), (0.295, (0.204, 0.442)),
                       (0.208, (0.151, 0.250)), (0.132, (0.057, 0.176)), (0.079, (0.046, 0.090)), (0.027, (0.016, 0.037)), (0.003, (0.001, 0.007))),
    "volume share 1-2": ((0.023, (0.004, 0.032)), (0.071, (0.044, 0.106)), (0.126, (0.102, 0.188)), (0.164, (0.113, 0.269)),
                         (0.182, (0.180, 0.226)), (0.168, (0.124, 0.218)), (0.153, (0.096, 0.160)), (0.097, (0.034, 0.104)), (0.016, (0.002, 0.016))),
    "volume share 3+": ((0.026, (0.007, 0.041)), (0.081, (0.044, 0.128)), (0.120, (0.094, 0.186)), (0.144, (0.097, 0.226)),
                        (0.167, (0.153, 0.217)), (0.158, (0.129, 0.185)), (0.158, (0.112, 0.171)), (0.120, (0.056, 0.129)), (0.027, (0.004, 0.027))),
    "interest share 0": ((0.031, (0.008, 0.050)), (0.022, (0.016, 0.036)), (0.062, (0.050, 0.083)), (0.193, (0.162, 0.245)),
                         (0.125, (0.099, 0.157)), (0.145, (0.125, 0.162)), (0.213, (0.192, 0.224)), (0.173, (0.148, 0.194)), (0.036, (0.013, 0.054))),
    "interest share 3+": ((0.047, (0.018, 0.070)), (0.027, (0.021, 0.034)), (0.040, (0.033, 0.058)), (0.063, (0.050, 0.113)),
                          (0.098, (0.081, 0.146)), (0.143, (0.124, 0.219)), (0.221, (0.204, 0.262)), (0.273, (0.179, 0.296)), (0.088, (0.018, 0.093))),
}
# fmt: on
_AWAY = {
    -1000: "more than 5 strikes in the money",
    -5: "5 to 2 in the money",
    -2: "2 to 0 in the money",
    0: "0 to 2 out of the money",
    2: "2 to 5 out",
    5: "5 to 10 out",
    10: "10 to 20 out",
    20: "20 to 40 out",
    40: "more than 40 out",
}


def _share_rows() -> Iterator[Row]:
    for group, figures in _SHARES.items():
        kind, _, days = group.partition(" share ")
        what = {"volume": "volume", "interest": "open interest"}[kind]
        section = f"2. share of the {what}, {days} days to expiry"
        for (bucket, text), (real, known) in zip(_AWAY.items(), figures, strict=True):
            yield Row(section, text, real, _middle(f"{group} {bucket}"), known)


# --- 3. volatility -------------------------------------------------------------------------------------------------

# Measurements, section 3: iv over ATM by ln(K/F) / (ATM sqrt T), from -4 to 4.
_SMILES = {
    "1": (1.80, 1.59, 1.33, 1.12, 0.99, 0.98, 1.16, 1.38, 1.55),
    "2-4": (1.76, 1.52, 1.26, 1.08, 1.00, 1.01, 1.16, 1.41, 1.63),
    "5-8": (1.83, 1.60, 1.34, 1.13, 1.00, 0.96, 1.07, 1.30, 1.50),
    "9-16": (1.89, 1.59, 1.34, 1.13, 1.00, 0.94, 1.05, 1.31, 1.52),
    "17-35": (1.87, 1.59, 1.32, 1.14, 1.00, 0.93, 1.05, 1.27, 1.56),
}
_REACHED = {"9-16": (-4, 3), "17-35": (-3, 2)}
"""How far listed strikes reach on most days, where it is not from -4 to 4."""


def _smile_rows() -> Iterator[Row]:
    for days, reals in _SMILES.items():
        for u, real in zip(range(-4, 5), reals, strict=True):
            first, last = _REACHED.get(days, (-4, 4))
            if u and first <= u <= last:
                yield Row(
                    f"3. smile, {days} days to expiry", f"iv over ATM at u = {u:+d}", real, _middle(f"smile {days} {u}")
                )


def _term_rows() -> Iterator[Row]:
    """Measurements, section 3: at-the-money volatility at the close with p10-p90, and on expiry days by the clock."""
    section = "3. at-the-money volatility"
    figures: tuple[tuple[str, float, Range], ...] = (
        ("1", 15.6, (12.6, 38.0)),
        ("2-4", 11.9, (8.7, 25.0)),
        ("5-8", 13.3, (9.1, 24.7)),
        ("9-16", 13.6, (9.5, 23.5)),
        ("17-35", 12.4, (10.3, 21.4)),
    )
    for days, real, known in figures:
        text = f"{days} days to expiry, at the close, %, median"
        yield Row(section, text, real, _middle(f"atm close {days}"), known, given=True)
    # Medians given; the upper ends are the p90 given beside them, no lower end is known.
    for part, real in (
        ("09:15-10:15", 24.0),
        ("10:15-13:15", 21.5),
        ("13:15-14:45", 23.0),
        ("14:45-15:00", 18.0),
        ("15:00-15:25", 12.0),
    ):
        yield Row("3. expiry day, the volatility left", f"{part}, %, median", real, _middle(f"atm expiry {part}"))

    def fall(sample: Sample) -> float:
        return stats.middle(sample.of("atm noon")) / stats.middle(sample.of("atm open"))

    yield Row(section, "noon over open, before expiry day", 0.935, fall, (0.92, 0.95))


def _dynamics_rows() -> Iterator[Row]:
    """Measurements, section 3: of the nearest weekly by the minute; p10-p90 of days of early 2026, computed."""
    section = "3. dynamics"
    yield Row(
        section, "weekly volatility in a minute, points for +1 % of the index", -0.7, _middle("vol slope"), (-1.66, 0.3)
    )
    for days, real in ((6, 0.054), (4, 0.073), (1, 0.12)):
        yield Row(
            section, f"what is left of a minute's change, {days} days, points", real, _middle(f"vol wobble {days}")
        )
    yield Row(section, "minute's delta of the call at the money", 0.49, _middle("delta call"), (0.46, 0.52))
    yield Row(section, "minute's delta of the put at the money", -0.47, _middle("delta put"), (-0.49, -0.45))
    yield Row(
        section,
        "part of its variance the index explains, before expiry day",
        0.81,
        _middle("delta fit 1+"),
        (0.77, 0.85),
    )
    yield Row(
        section, "part of its variance the index explains, expiry day", 0.73, _middle("delta fit 0"), (0.72, 0.80)
    )
    for days, real, known in (
        (6, 2.2, (1.6, 2.8)),
        (4, 2.8, (1.9, 3.6)),
        (1, 3.9, (2.4, 4.7)),
        (0, 14.3, (11.8, 19.0)),
    ):

        def moves(sample: Sample, days: int = days) -> float:
            return median(stats.deviation(day) for day in sample.of(f"option return {days}") if day)

        yield Row(section, f"minute's return of the option at the money, {days} days, sd, %", real, moves, known)
    yield Row(section, "changes of the strike at the money in a day", 46.0, _middle("strike changes"), (29.0, 63.0))


def _straddle_rows() -> Iterator[Row]:
    """Measurements, section 3; p10-p90 of days of early 2026, computed."""
    # fmt: off
    figures = {
        0: ((0.48, (0.42, 1.01)), (0.33, (0.28, 0.55)), (0.10, (0.07, 0.18))),
        1: ((0.75, (0.67, 1.65)), (0.65, (0.59, 1.27)), (0.58, (0.54, 0.73))),
        4: ((1.00, (0.87, 1.61)), (0.92, (0.83, 1.63)), (0.91, (0.81, 1.70))),
        5: ((1.19, (0.89, 1.77)), (1.09, (0.99, 1.65)), (1.09, (0.95, 1.55))),
        6: ((1.29, (1.03, 2.18)), (1.25, (0.96, 2.03)), (1.22, (0.94, 2.05))),
    }
    # fmt: on
    for days, row in figures.items():
        for minute, (real, known) in zip((560, 720, 900), row, strict=True):
            text = f"{days} days to expiry, {_clock(minute)}"
            yield Row("3. straddle over spot, %", text, real, _middle(f"straddle {days} {minute}"), known)


def _profile_rows() -> Iterator[Row]:
    """Measurements, section 3, volume at the money by the minute; by quarter hours with p10-p90, computed."""
    # fmt: off
    figures: dict[str, tuple[tuple[int, float, Range], ...]] = {
        "usual": ((0, 1.96, (1.58, 2.43)), (1, 1.42, (1.08, 1.89)), (3, 1.17, (0.73, 1.46)), (7, 0.87, (0.59, 1.18)),
                  (11, 0.80, (0.59, 1.08)), (16, 0.80, (0.56, 1.20)), (21, 0.94, (0.61, 1.24)), (23, 1.19, (0.81, 1.73)), (24, 0.73, (0.57, 1.06))),
        "expiry": ((0, 0.79, (0.69, 0.99)), (1, 0.66, (0.42, 0.91)), (3, 0.49, (0.41, 0.59)), (7, 0.42, (0.33, 0.57)),
                   (11, 0.52, (0.35, 0.68)), (16, 0.73, (0.60, 1.06)), (21, 1.83, (1.73, 2.45)), (23, 4.31, (3.67, 5.42)), (24, 1.36, (0.63, 2.20))),
    }
    # fmt: on
    for kind, quarters in figures.items():
        days = "expiry day" if kind == "expiry" else "other days"
        for quarter, real, known in quarters:
            text = f"quarter hour from {_clock(stats.OPEN_MINUTE + 15 * quarter)}"
            yield Row(
                f"3. volume at the money against an even day, {days}",
                text,
                real,
                _middle(f"volume {kind} {quarter}"),
                known,
            )


def _path_rows() -> Iterator[Row]:
    """Measurements, section 3, day path of the strikes near the money; p10-p90 of days, computed."""
    # fmt: off
    figures: dict[str, tuple[tuple[float, Range], ...]] = {
        "0": ((1.51, (1.45, 2.19)), (0.01, (0.01, 0.40)), (0.09, (0.08, 1.34))),
        "1": ((1.44, (1.20, 1.86)), (0.46, (0.27, 0.54)), (0.75, (0.71, 1.04))),
        "4-7": ((1.24, (1.15, 1.71)), (0.66, (0.55, 0.75)), (0.89, (0.82, 1.15))),
        "8-14": ((1.20, (1.12, 1.50)), (0.77, (0.65, 0.82)), (0.94, (0.90, 1.09))),
        "15+": ((1.14, (1.05, 1.20)), (0.87, (0.77, 0.93)), (0.99, (0.88, 1.06))),
    }
    wide = {"0": (3.26, (1.70, 5.97)), "1": (2.52, (1.75, 2.96)), "4-7": (2.41, (1.28, 3.07)), "8-14": (1.89, (1.22, 1.98)), "15+": (1.55, (1.15, 1.67))}
    # fmt: on
    for days, row in figures.items():
        section = f"3. day of the options near the money, {days} days to expiry"
        for part, (real, known) in zip(("high", "low", "close"), row, strict=True):
            yield Row(section, f"{part} over open, median of a day", real, _of_days(f"path {days} {part}", 0.5), known)
        real, known = wide[days]
        yield Row(section, "high over open, p90 of a day", real, _of_days(f"path {days} high", 0.9), known)


def verdict(row: Row, simulated: float) -> str:
    """``inside`` the real range, else ``within 25 %`` of the real figure, else ``OUT``; a given range has no else."""
    if isnan(simulated):
        return OUT
    if row.range is not None and row.range[0] <= simulated <= row.range[1]:
        return INSIDE
    return WITHIN if not row.given and near(row.real, simulated) else OUT


def near(real: float, simulated: float) -> bool:
    """Within 25 % of the real figure; of one that is nothing, nothing."""
    return abs(simulated - real) <= 0.25 * abs(real) + 1e-9
