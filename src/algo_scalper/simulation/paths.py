"""Index paths, second by second: a recorded day bridged inside its minutes, a seeded day, and indices that follow.

A path has two faces. The *truth* is where the index is at every second of the options' session; options are priced
from it. The *prints* are what the feed shows of it: nothing in minutes the recording misses, nothing while the closing
auction freezes the index, one print when the auction matches. Figures are from measured one-minute data of 2024-26.
"""

from __future__ import annotations

from itertools import accumulate, compress, pairwise, repeat
from math import exp, log, pi, sin, sqrt
from operator import mul, sub

import msgspec

from algo_scalper.domain.instruments import Index
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_SECOND, ist_second
from algo_scalper.simulation.mix import GOLDEN, mix, mix_all, mix_text, normal, normals, unit

Course = tuple[tuple[int, float], ...]
"""Standard deviations of one-minute log returns, each up to a minute of the day, the last to its end."""

_LATE = 2.7e-4
MINUTE_SIGMA: Course = (
    (9 * 60 + 16, 25.0e-4),
    (9 * 60 + 17, 8.2e-4),
    (9 * 60 + 20, 5.1e-4),
    (9 * 60 + 30, 5.6e-4),
    (9 * 60 + 45, 4.8e-4),
    (10 * 60 + 15, 3.9e-4),
    (11 * 60 + 45, 3.5e-4),
    (12 * 60 + 45, 3.7e-4),
    (14 * 60 + 15, 3.1e-4),
    (15 * 60, 3.3e-4),
    (15 * 60 + 15, 4.2e-4),
    (24 * 60, _LATE),
)
"""NIFTY's."""
MEAN_SIGMA = 3.63e-4
"""The same over the whole day."""


class Follower(msgspec.Struct, frozen=True):
    """How an index follows the driving one: beta of one-minute returns and their correlation."""

    beta: float
    correlation: float
    own: Course = ()
    """The part that is its own by time of day, where that was measured; it takes NIFTY's course where it was not."""

    @property
    def own_share(self) -> float:
        """The standard deviation of its own part against the driver's: what leaves the measured correlation."""
        return self.beta * sqrt(1.0 / self.correlation**2 - 1.0)

    def own_course(self) -> tuple[Course, float]:
        """The standard deviation of its own part by time of day, and the factor it is to be taken with."""
        return (self.own, 1.0) if self.own else (MINUTE_SIGMA, self.own_share)


_BANKNIFTY_OWN: Course = (
    (9 * 60 + 16, 13.0e-4),
    (9 * 60 + 17, 2.1e-4),
    (9 * 60 + 20, 3.7e-4),
    (9 * 60 + 30, 3.6e-4),
    (9 * 60 + 45, 4.1e-4),
    (10 * 60 + 15, 3.4e-4),
    (11 * 60 + 45, 3.0e-4),
    (12 * 60 + 45, 2.1e-4),
    (14 * 60 + 15, 2.7e-4),
    (15 * 60, 2.8e-4),
    (15 * 60 + 15, 3.7e-4),
    (24 * 60, 2.8e-4),
)
"""What the measured standard deviations by time of day leave BANKNIFTY: sqrt(its own ** 2 - (1.07 x NIFTY's) ** 2).

From 27 and 22 bp in the first minute to 4.0 and 2.7 in the last quarter of an hour, in which the banks are livelier
than the rest. The minute after the first leaves nothing (7.9 and 8.2): it has the least of the others.
"""

# Measured: BANKNIFTY on NIFTY beta 1.07, correlation .80; SENSEX .92. The rest follows from their volatilities.
_ON_NIFTY = {
    "BANKNIFTY": Follower(1.07, 0.80, _BANKNIFTY_OWN),
    "FINNIFTY": Follower(1.0, 0.80),
    "SENSEX": Follower(1.0, 0.92),
}
_FOLLOW: dict[str, dict[str, Follower]] = {
    "NIFTY": _ON_NIFTY,
    "SENSEX": {"NIFTY": Follower(0.92, 0.92), "BANKNIFTY": Follower(1.0, 0.76), "FINNIFTY": Follower(0.95, 0.76)},
    "BANKNIFTY": {"NIFTY": Follower(0.6, 0.80), "FINNIFTY": Follower(0.85, 0.90), "SENSEX": Follower(0.6, 0.76)},
    "FINNIFTY": {"NIFTY": Follower(0.64, 0.80), "BANKNIFTY": Follower(0.95, 0.90), "SENSEX": Follower(0.64, 0.76)},
}
LEVEL = {"NIFTY": 1.0, "BANKNIFTY": 2.33, "FINNIFTY": 1.08, "SENSEX": 3.27}
"""Index levels relative to NIFTY, 2026."""
_OWN_NIGHT = 0.0030
"""Standard deviation of a following index's own part of the gap at the open, for one of equal volatility."""
_OWN_BOUNCE = 0.3
"""Part of the last second's own step a following index takes back."""
_AUCTION_SHARE = {"NIFTY": 1.0, "BANKNIFTY": 1.1, "FINNIFTY": 1.1, "SENSEX": 0.1}
"""Part of NIFTY's jump at the closing auction's print; SENSEX hardly moved in the first week."""


class Axis(msgspec.Struct, frozen=True):
    """The seconds of one day, from the first open to the last option trade."""

    open_ns: int
    seconds: int

    def second_of(self, at_ns: int) -> int:
        """The number of the second an instant lies in; below 0 before the open."""
        return (at_ns - self.open_ns) // NS_PER_SECOND


class Freeze(msgspec.Struct, frozen=True):
    """The closing auction: the index stands from second ``start`` and prints once at second ``match``."""

    start: int
    match: int


class IndexPath:
    """One index over one day. Lists are by second of the axis; prices in paise, multiples of the index's tick."""

    __slots__ = (
        "candles",
        "index",
        "logs",
        "previous",
        "previous_close_paise",
        "prints",
        "shown_paise",
        "shown_second",
        "truth_paise",
    )

    def __init__(
        self,
        index: Index,
        truth_paise: list[int],
        prints: bytearray,
        candles: tuple[Candle, ...],
        previous: tuple[Candle, ...],
        previous_close_paise: int,
    ) -> None:
        self.index = index
        self.truth_paise = truth_paise
        self.logs = list(map(log, truth_paise))
        self.prints = prints
        self.candles = candles
        """Today's one-minute bars, of printed seconds inside the index's session."""
        self.previous = previous
        self.previous_close_paise = previous_close_paise
        self.shown_paise = truth_paise
        """What the feed last printed; the previous close before the first print."""
        self.shown_second: list[int] | None = None
        """The second of that print, -1 for none; None when every second prints."""
        if not all(prints):
            self._hold_prints()

    def _hold_prints(self) -> None:
        shown, seconds = list(self.truth_paise), list(range(len(self.truth_paise)))
        silent = self.prints.find(0)
        while silent >= 0:
            shown[silent], seconds[silent] = (
                (shown[silent - 1], seconds[silent - 1]) if silent else (self.previous_close_paise, -1)
            )
            silent = self.prints.find(0, silent + 1)
        self.shown_paise, self.shown_second = shown, seconds


def minute_sigma(second_of_day: int, course: Course = MINUTE_SIGMA) -> float:
    """The usual standard deviation of a one-minute log return at this time of day; NIFTY's when nothing else is said."""
    minute = second_of_day // 60
    for until, sigma in course:
        if minute < until:
            return sigma
    return course[-1][1]


def bridge(candle: Candle, tick_paise: int, seed: int, seconds: int = 60) -> list[int]:
    """A bar walked second by second: first value its open, last its close, its high and low hit, none outside.

    Rising bars mostly visit the low first, falling ones the high (three in four). Between the four prices the walk is
    a Brownian bridge whose step fits the bar's range (a Brownian motion's range over T is about 1.6 sigma sqrt T).
    """
    start, high, low, end = candle.open_paise, candle.high_paise, candle.low_paise, candle.close_paise
    if high == low:
        return [start] * seconds
    z = mix_all(seed, start, high, low, end)
    low_first = (end >= start) == (z & 3 != 0)
    first, second = (low, high) if low_first else (high, low)
    # Times of the two extremes: an extreme that is the open or the close is already visited there.
    last = seconds - 1
    early = 1 + (z >> 8 & 0xFFFF) * (last // 2 - 1) >> 16
    late = last // 2 + ((z >> 24 & 0xFFFF) * (last - last // 2 - 1) >> 16)
    knots = [(0, start)]
    if first != start:
        knots.append((max(early, 1), first))
    if second != end:
        knots.append((max(late, 2), second))
    knots.append((last, end))
    step = (high - low) / (1.6 * sqrt(seconds))
    noise = normals(mix(z), seconds)
    path = [start]
    for (left_at, left), (right_at, right) in pairwise(knots):
        value = float(left)
        for at in range(left_at + 1, right_at):
            remaining = right_at - at + 1
            value += (right - value) / remaining + step * sqrt((remaining - 1) / remaining) * noise[at]
            value = min(max(value, low), high)
            path.append(round(value / tick_paise) * tick_paise)
        path.append(right)
    return path


def _sigmas(axis: Axis, scale: float, factors: list[float] | None = None, course: Course = MINUTE_SIGMA) -> list[float]:
    """Standard deviation of the log return of each second, ``scale`` times the usual, by minutes ``factors`` times."""
    begin = ist_second(axis.open_ns)
    count = (axis.seconds + 59) // 60
    sigmas: list[float] = []
    for minute, factor in enumerate(factors if factors is not None else [1.0] * count):
        sigmas += [minute_sigma(begin + 60 * minute, course) * scale * factor / sqrt(60.0)] * 60
    del sigmas[axis.seconds :]
    return sigmas


def day_scale(candles: tuple[Candle, ...]) -> float:
    """How volatile the minutes were against the usual of their time of day; 1 when there are too few to say."""
    if len(candles) < 30:
        return 1.0
    total = sum(
        (log(bar.close_paise / before.close_paise) / minute_sigma(ist_second(bar.start_ns))) ** 2
        for before, bar in pairwise(candles[1:])
    )
    return max(0.3, sqrt(total / (len(candles) - 2)))


def recorded_truth(candles: tuple[Candle, ...], axis: Axis, tick_paise: int, seed: int) -> tuple[list[int], bytearray]:
    """The truth in paise and the printing seconds of a recorded day.

    Minutes that are missing do not print; the truth bridges them, and walks on by itself when the recording ends
    before the session does. ``candles`` must be ordered and inside the axis, at least one.
    """
    truth: list[int] = []
    prints = bytearray(axis.seconds)
    scale = day_scale(candles)
    for candle in candles:
        at = axis.second_of(candle.start_ns)
        if at > len(truth):
            left = truth[-1] if truth else candle.open_paise
            truth += _across(left, candle.open_paise, at - len(truth), tick_paise, scale, mix_all(seed, at))
        width = min(60, axis.seconds - at)
        truth += bridge(candle, tick_paise, seed, width)
        prints[at : at + width] = b"\x01" * width
    missing = axis.seconds - len(truth)
    if missing > 0:
        sigmas = _sigmas(axis, scale)[-missing:]
        noise = normals(mix_all(seed, 0xE0D, missing), missing)
        steps = accumulate(map(mul, sigmas, noise), initial=log(truth[-1]))
        next(steps)
        truth += [round(exp(value) / tick_paise) * tick_paise for value in steps]
    return truth, prints


def _across(left: int, right: int, seconds: int, tick_paise: int, scale: float, seed: int) -> list[int]:
    """An unseen stretch between two prices: a Brownian bridge of ordinary volatility."""
    step = left * MEAN_SIGMA * scale / sqrt(60.0)
    value = float(left)
    path = []
    for at, noise in enumerate(normals(seed, seconds)):
        remaining = seconds - at
        value += (right - value) / (remaining + 1) + step * sqrt(remaining / (remaining + 1)) * noise
        path.append(round(value / tick_paise) * tick_paise)
    return path


class SeededDay(msgspec.Struct, frozen=True):
    """What a seed makes of a day: its character, its night, its volatility against the usual."""

    regime: str
    gap: float
    """Log return from the previous close to the open."""
    scale: float
    drift: float
    """Log return the day leans to, on top of chance."""


REGIMES = (("trend", 0.30), ("chop", 0.20), ("calm", 0.15), ("gap_go", 0.12), ("gap_fade", 0.10), ("turn", 0.13))
"""Kinds of synthetic days and how often they occur."""


def draw_day(seed: int, before: float = 1.0) -> SeededDay:
    """The day's character: lognormal volatility (sd of its log .35), one day in 150 at six times the usual.

    Half of the log volatility of the day before, ``before`` times the usual, is still there.
    """
    z = mix_all(seed, 0xDA7)
    pick, regime = unit(z), REGIMES[-1][0]
    for name, share in REGIMES:
        if pick < share:
            regime = name
            break
        pick -= share
    sign = 1.0 if z & 1 else -1.0
    scale = exp(0.33 * normal(mix(z ^ 1)) - 0.17) * sqrt(min(before, 3.0))
    gap = 0.0027 * normal(mix(z ^ 2))
    drift = 0.0
    lean = 0.5 + unit(mix(z ^ 3))
    if regime == "trend":
        drift = sign * 0.0036 * lean
    elif regime == "turn":
        drift = sign * 0.0028 * lean
    elif regime == "calm":
        scale *= 0.7
    elif regime in {"gap_go", "gap_fade"}:
        gap = sign * 0.0090 * lean
        drift = 0.4 * gap if regime == "gap_go" else -0.45 * gap
        scale *= 1.2
    if mix(z ^ 4) % 150 == 0:
        scale *= 6.0
    return SeededDay(regime, gap, min(max(scale, 0.4), 8.0), drift)


_OWN_SD, _FAST_SD, _SLOW_SD = 0.15, 0.28, 0.28
_FAST, _SLOW = 0.85, 0.985
_BOUNCE = 0.17
_STRETCH = 20


def minute_factors(seed: int, minutes: int) -> list[float]:
    """The volatility of each minute against its usual: lognormal, of mean square 1.

    One part is the minute's own, one lasts some minutes, one the better part of an hour: together they give the
    measured fat tails and the measured autocorrelation of returns without their sign.
    """
    noise = iter(normals(mix_all(seed, 0x517), 3 * minutes + 1))
    fast, slow = 0.0, _SLOW_SD * next(noise)
    fast_step, slow_step = _FAST_SD * sqrt(1.0 - _FAST**2), _SLOW_SD * sqrt(1.0 - _SLOW**2)
    shift = _OWN_SD**2 + _FAST_SD**2 + _SLOW_SD**2
    factors = []
    for own, quick, lasting in zip(noise, noise, noise, strict=False):
        fast = _FAST * fast + fast_step * quick
        slow = _SLOW * slow + slow_step * lasting
        factors.append(exp(_OWN_SD * own + fast + slow - shift))
    return factors


def seeded_logs(axis: Axis, character: SeededDay, factors: list[float], seed: int) -> list[float]:
    """Log returns since the open, second by second: time of day x day x `minute_factors`, leanings, rare jumps.

    A second takes back part of the one before, and stretches of twenty seconds lean one way: prints that follow each
    other are anticorrelated as measured, and over a minute the variance is what the seconds' own would be.
    """
    minutes = (axis.seconds + 59) // 60
    begin = ist_second(axis.open_ns)
    sigmas: list[float] = []
    drifts: list[float] = []
    lean_sd = sqrt((1.0 - (1.0 - _BOUNCE) ** 2) / _STRETCH)
    leans = iter(normals(mix_all(seed, 0x1EA), 3 * minutes))
    for minute, lean in enumerate(_leanings(character, minutes, seed)):
        sigma = minute_sigma(begin + 60 * minute) * character.scale * factors[minute] / sqrt(60.0)
        sigmas += [sigma] * 60
        for _ in range(60 // _STRETCH):
            drifts += [lean / 60.0 + sigma * lean_sd * next(leans)] * _STRETCH
    noise = normals(mix_all(seed, 0x5EC), axis.seconds + 1)
    steps = [
        sigma * (z - _BOUNCE * before) + drift
        for sigma, before, z, drift in zip(sigmas, noise, noise[1:], drifts, strict=False)
    ]
    # Jumps: about one day in eight has one, about five standard deviations of its minute, over three seconds.
    z = mix_all(seed, 0x1A3)
    if z & 13 == 13:
        minute = 2 + (z >> 8) % max(minutes - 4, 1)
        at = minute * 60 + (z >> 40) % 50
        usual = minute_sigma(begin + 60 * minute) * character.scale
        size = (4.5 + 2.0 * unit(mix(z))) * usual * (1.0 if z & 2 else -1.0)
        for second in range(at, min(at + 3, axis.seconds)):
            steps[second] += size / 3.0
    return list(accumulate(steps))


def _leanings(character: SeededDay, minutes: int, seed: int) -> list[float]:
    """Log drift of each minute. Leanings come in blocks of 25 minutes, some strong, some absent or against."""
    leanings = []
    period = 36.0 + mix_all(seed, 0xC40) % 30
    even = character.drift / minutes
    wave = weight = 0.0
    for minute in range(minutes):
        if minute % 25 == 0:
            z = mix_all(seed, 0xB10C, minute // 25)
            wave, weight = 0.000018 * normal(z) * character.scale, 3.0 * unit(mix(z)) ** 2
        if character.regime == "chop":
            lean = 0.00010 * character.scale * sin(2.0 * pi * minute / period) + 0.3 * wave
        elif character.regime == "turn":
            lean = (2.0 * even if minute < minutes // 2 else -2.0 * even) * weight + wave
        elif character.regime == "gap_fade":
            lean = (3.0 * even if minute < minutes // 3 else 0.0) * weight + wave
        else:
            lean = even * weight + wave
        leanings.append(lean)
    return leanings


def following_logs(
    driver: list[float], follower: Follower, scale: float, factors: list[float], axis: Axis, seed: int
) -> list[float]:
    """Log returns of an index that follows: beta times the driver's (given since its previous close) plus its own.

    Its own part has the volatility that leaves the measured correlation, beta x sigma x sqrt(1 / rho^2 - 1), or that
    measured by time of day, in each minute ``factors`` times the usual, and a night of its own.
    """
    course, part = follower.own_course()
    noise = normals(mix_all(seed, 0xF0), axis.seconds + 1)
    sigmas = _sigmas(axis, scale * part / (1.0 - _OWN_BOUNCE), factors, course)
    steps = list(map(mul, sigmas, map(sub, noise[1:], map(mul, repeat(_OWN_BOUNCE), noise))))
    steps[0] += follower.own_share * _OWN_NIGHT * normal(mix_all(seed, 0x216))
    beta = follower.beta
    return [beta * move + step for move, step in zip(driver, accumulate(steps), strict=True)]


def following_candles(
    driver: tuple[Candle, ...], close_paise: int, follower: Follower, index: Index, seed: int
) -> tuple[Candle, ...]:
    """A driver's bars as the following index would have made them, ending at ``close_paise``."""
    if not driver:
        return ()
    anchor = driver[-1].close_paise
    course, part = follower.own_course()
    part *= day_scale(driver)
    sigmas = [minute_sigma(ist_second(bar.start_ns), course) * part for bar in driver]
    walk = [0.0, *accumulate(map(mul, sigmas, normals(mix_all(seed, 0xCA), len(driver))))]
    end, tick, beta = walk[-1], index.tick_paise, follower.beta

    def level(paise: int, offset: float) -> int:
        return round(close_paise * exp(beta * log(paise / anchor) + offset - end) / tick) * tick

    return tuple(
        Candle(
            bar.start_ns,
            level(bar.open_paise, before),
            level(bar.high_paise, max(before, after)),
            level(bar.low_paise, min(before, after)),
            level(bar.close_paise, after),
        )
        for bar, (before, after) in zip(driver, pairwise(walk), strict=True)
    )


def follow(driver_name: str, name: str) -> Follower:
    """How ``name`` follows ``driver_name``; the driver follows itself."""
    return Follower(1.0, 1.0) if name == driver_name else _FOLLOW[driver_name][name]


def auction_jump(name: str, seed: int) -> float:
    """The log jump of an index at the closing auction's print: +-0.2 to 0.8 % for NIFTY, one draw for all indices."""
    z = mix_all(seed, mix_text("closing auction"))
    return (0.002 + 0.006 * unit(z)) * (1.0 if z & 1 else -1.0) * _AUCTION_SHARE[name]


def freeze(truth: list[int], prints: bytearray, hold: Freeze, jump: float, tick_paise: int, seed: int) -> None:
    """Write the closing auction into a path: a quiet unseen drift to a third of the jump, the match, then calm.

    Nothing prints from ``hold.start`` on but the match.
    """
    count = len(truth) - hold.start
    if count <= 0:
        return
    base = log(truth[hold.start - 1])
    step = _LATE / sqrt(60.0)
    walk = list(accumulate(step * z for z in normals(mix_all(seed, 0xCA5), count)))
    wait = max(hold.match - hold.start, 1)
    matched = base + jump
    for offset in range(count):
        second = hold.start + offset
        if second < hold.match:
            value = base + walk[offset] + jump / 3.0 * offset / wait
        else:
            value = matched + (walk[offset] - walk[hold.match - hold.start]) * 0.5
        truth[second] = round(exp(value) / tick_paise) * tick_paise
        prints[second] = 1 if second == hold.match else 0


def minute_bars(axis: Axis, prices: list[int], prints: bytearray) -> tuple[Candle, ...]:
    """One-minute bars of the printed seconds; a minute without a print has none."""
    bars = []
    for start in range(0, axis.seconds, 60):
        width = min(60, axis.seconds - start)
        alive = prints[start : start + width]
        seen = prices[start : start + width]
        if 0 in alive:
            seen = list(compress(seen, alive))
        if seen:
            bars.append(Candle(axis.open_ns + start * NS_PER_SECOND, seen[0], max(seen), min(seen), seen[-1]))
    return tuple(bars)


def silent_seconds(count: int, seed: int) -> list[int]:
    """The seconds an index leaves out of ``count``, about one in fifteen: never a minute's first or last."""
    silent = []
    for number in range(count // 60):
        z = mix(seed + number * GOLDEN)
        for part in range(0, 64, 16):
            at = (z >> part & 0xFFFF) * count >> 16
            if 0 < at % 60 < 58:
                silent.append(at)
                if z >> part & 15 == 0:
                    silent.append(at + 1)
    return silent


def to_paise(logs: list[float], base_paise: int, tick_paise: int) -> list[int]:
    """Log returns on a base, as paise on the tick grid."""
    ticks = base_paise / tick_paise
    return [round(ticks * exp(value)) * tick_paise for value in logs]
