"""Option chains around an index path: what is listed, and what each contract shows at every second.

Every price of an expiry comes from one smile on one forward, so strikes cannot be played against each other. Spreads,
sizes, open interest and volumes follow tables measured on full exchange chains; noise is mixed from (key, second).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from math import erfc, exp, log, sqrt

import msgspec

from algo_scalper.domain.calendar import years_to_expiry
from algo_scalper.domain.instruments import (
    FINNIFTY,
    Contract,
    Index,
    OptionType,
    instrument_key,
    key_security_id,
)
from algo_scalper.domain.market import Levels, Quote, Tick
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, ist_ns, ist_second
from algo_scalper.simulation.mix import GOLDEN, NORMALS, mix, mix_all, normal, normals, unit
from algo_scalper.simulation.paths import Axis

_SQRT_HALF = sqrt(0.5)
TICK_PAISE = 5
CARRY = 0.0585
"""Annual carry of the parity forward over spot, measured."""
_REACH = 0.08
"""Strikes are listed this far either side of the previous close."""


# --- what is listed -------------------------------------------------------------------------------------------------

# Lots by expiry, newest first (exchange circulars).
_LOTS: dict[str, tuple[tuple[date, int], ...]] = {
    "NIFTY": (
        (date(2026, 1, 1), 65),
        (date(2025, 1, 1), 75),
        (date(2024, 4, 26), 25),
        (date(2021, 7, 23), 50),
        (date.min, 75),
    ),
    "BANKNIFTY": ((date(2026, 1, 1), 30), (date(2025, 4, 25), 35), (date(2024, 12, 1), 30), (date(2023, 7, 1), 15), (date.min, 25)),
    "FINNIFTY": ((date(2026, 1, 1), 60), (date(2024, 12, 1), 65), (date(2024, 4, 26), 25), (date.min, 40)),
    "SENSEX": ((date(2024, 11, 20), 20), (date.min, 10)),
}
_FREEZE = {"NIFTY": 1_800, "BANKNIFTY": 600, "FINNIFTY": 1_800, "SENSEX": 1_000}
_NUMBER = {"NIFTY": 0, "BANKNIFTY": 1, "FINNIFTY": 2, "SENSEX": 3}
_FIRST_DAY = date(2010, 1, 1)


def lot_size(underlying: str, expiry: date) -> int:
    """Contracts to a lot, by the contract's expiry."""
    return next(lot for since, lot in _LOTS[underlying] if expiry >= since)


def security_id(underlying: str, expiry: date, strike_steps: int, option_type: OptionType) -> int:
    """A number of the contract alone: the same on every day, unique over all underlyings."""
    days = (expiry - _FIRST_DAY).days & 8191
    return ((_NUMBER[underlying] << 13 | days) << 11 | strike_steps) << 1 | (option_type is OptionType.PE)


def listed(index: Index, expiry: date, previous_close_paise: int) -> list[Contract]:
    """The contracts of an expiry by (strike, CE before PE): strikes within 8 % of the previous close."""
    step = index.strike_step_paise
    middle = round(previous_close_paise / step)
    reach = max(25, round(previous_close_paise * _REACH / step))
    lot = lot_size(index.name, expiry)
    freeze = _FREEZE[index.name] // lot * lot
    return [
        Contract(
            instrument_key(index.options, security_id(index.name, expiry, steps, option_type)),
            index.name,
            expiry,
            steps * step,
            option_type,
            lot,
            TICK_PAISE,
            freeze,
        )
        for steps in range(middle - reach, middle + reach + 1)
        for option_type in (OptionType.CE, OptionType.PE)
    ]


# --- volatility -----------------------------------------------------------------------------------------------------

_LEVEL_RATIO = {"NIFTY": 1.0, "SENSEX": 1.0, "BANKNIFTY": 1.09, "FINNIFTY": 1.07}
"""At-the-money volatility against NIFTY's."""
_SPOT_VOL = 9.0
"""Log volatility falls this much per unit log rise of the index: -1.1 to -1.3 points per +1 % near 13 %."""
# At-the-money volatility over the 30-day one, by days to expiry; between them in a straight line.
_TERM = ((1, 1.28), (2, 1.10), (3, 1.00), (4, 0.96), (6, 1.00), (10, 1.00), (35, 1.00), (60, 0.98), (400, 0.94))
# Intraday course of at-the-money volatility by minute of the day, as a factor.
_COURSE = ((555, 1.03), (630, 0.99), (720, 0.97), (915, 0.97), (930, 0.985))
_COURSE_LAST_DAY_BUT_ONE = ((555, 1.04), (720, 0.95), (900, 0.89), (930, 0.88))
_COURSE_EXPIRY = ((555, 2.0), (615, 1.95), (630, 1.80), (795, 1.80), (810, 1.92), (870, 1.90), (885, 1.5), (900, 1.05), (930, 0.95))
# iv / ATM = a + b u + c u^2, u = ln(K/F) / (ATM sqrt T), by days to expiry (up to).
_SMILE = ((1, (1.0, -0.039, 0.053)), (8, (1.0, -0.04, 0.050)), (16, (0.99, -0.059, 0.053)), (9999, (0.99, -0.070, 0.053)))
_WING = 4.0
_CLOSE_MINUTE = 15 * 60 + 30


def between(points: tuple[tuple[int, float], ...], x: float) -> float:
    """The piecewise straight line through ``points``, flat outside them."""
    if x <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in zip(points, points[1:], strict=False):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return points[-1][1]


def vol_level(previous_scale: float) -> float:
    """NIFTY's 30-day at-the-money volatility for a market as volatile as ``previous_scale`` times the usual."""
    return min(max(0.12 * (0.5 + 0.5 * previous_scale), 0.09), 0.45)


def atm_vol(level: float, days: int, minute_of_day: int, move: float) -> float:
    """At-the-money volatility ``days`` before expiry at a time of day, after the index moved by log ``move`` today."""
    answer = level * exp(-_SPOT_VOL * min(max(move, -0.03), 0.03))
    if days <= 0:
        return answer * between(_COURSE_EXPIRY, minute_of_day)
    course = _COURSE_LAST_DAY_BUT_ONE if days == 1 else _COURSE
    return answer * between(_TERM, days) * between(course, minute_of_day)


# --- spreads, sizes, interest ---------------------------------------------------------------------------------------


class Liquidity(msgspec.Struct, frozen=True):
    """Medians by premium in rupees, at an index level of 24,500: spread in rupees, best size in contracts."""

    spread: tuple[tuple[int, float], ...]
    size: tuple[tuple[int, float], ...]


_WEEK_1 = Liquidity(
    ((0, 0.05), (22, 0.05), (35, 0.10), (75, 0.16), (150, 0.31), (300, 0.65), (600, 2.7), (1000, 20.0), (3000, 60.0)),
    ((1, 180_000), (3, 136_000), (7, 15_000), (15, 11_000), (35, 4_400), (75, 1_900), (150, 600), (300, 225), (600, 75)),
)
_WEEK_2 = Liquidity(
    ((0, 0.05), (3, 0.10), (15, 0.10), (35, 0.15), (75, 0.25), (150, 0.40), (300, 0.75), (600, 2.75), (1000, 26.0)),
    ((1, 12_600), (3, 825), (7, 1_200), (15, 825), (35, 525), (75, 375), (150, 225), (300, 150), (600, 225)),
)
_WEEK_3 = Liquidity(
    ((0, 0.20), (3, 1.05), (7, 0.85), (75, 0.95), (150, 1.35), (300, 2.05), (600, 14.0), (1000, 50.0)),
    ((1, 825), (35, 300), (150, 150), (600, 150)),
)
_BANK = Liquidity(
    ((0, 0.05), (3, 0.10), (7, 0.45), (35, 0.85), (75, 0.60), (150, 0.70), (300, 0.90), (500, 1.30), (900, 6.0), (1500, 145.0)),
    ((1, 2_000), (3, 490), (7, 140), (35, 140), (75, 70), (600, 70)),
)
_LIQUIDITY: dict[str, tuple[Liquidity, ...]] = {
    "NIFTY": (_WEEK_1, _WEEK_2, _WEEK_3),
    "SENSEX": (_WEEK_1, _WEEK_2, _WEEK_3),
    "BANKNIFTY": (_BANK, _WEEK_3),
    "FINNIFTY": (_WEEK_3,),
}
_DAY_LOTS = {"NIFTY": (98e6, 3.41e6, 329e3), "SENSEX": (40e6, 1e6, 50e3), "BANKNIFTY": (2.7e6, 94e3), "FINNIFTY": (30e3, 1e3)}
_OPEN_INTEREST = {"NIFTY": (310e6, 58e6, 9e6), "SENSEX": (40e6, 6e6, 5e5), "BANKNIFTY": (27.5e6, 3.1e6), "FINNIFTY": (1.5e6, 1e5)}
# Share of the expiry per strike and side, by distance out of the money in steps of 0.204 % (50 points of 24,500).
_VOLUME_0 = ((-20, 0.0004), (-3.5, 0.0107), (-1, 0.045), (1, 0.074), (3.5, 0.035), (7.5, 0.0132), (15, 0.004), (30, 0.0007), (60, 0.0001))
_VOLUME_N = ((-20, 0.0009), (-3.5, 0.0135), (-1, 0.030), (1, 0.036), (3.5, 0.028), (7.5, 0.0158), (15, 0.0079), (30, 0.003), (60, 0.0007))
_OI_0 = ((-20, 0.001), (-3.5, 0.0037), (-1, 0.0155), (1, 0.048), (3.5, 0.021), (7.5, 0.0145), (15, 0.0107), (30, 0.0043), (60, 0.001))
_OI_N = ((-20, 0.0016), (-3.5, 0.0045), (-1, 0.010), (1, 0.0158), (3.5, 0.0163), (7.5, 0.0143), (15, 0.011), (30, 0.0068), (60, 0.0022))
_STEP = 0.00204
# Volume by quarter of an hour from 09:15, relative to an even day.
_PROFILE = (2.6, 1.7, 1.35, 1.1, 1.0, 0.95, 0.92, 0.9, 0.88, 0.87, 0.86, 0.86, 0.86, 0.86, 0.87, 0.88, 0.88, 0.9, 0.93, 0.96, 0.99, 1.05, 1.1, 1.15, 0.74, 0.6, 0.5)
_PROFILE_EXPIRY = (1.0, 0.9, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.7, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.9, 2.8, 4.3, 1.3, 0.6, 0.4)
_BLOCK = 900
_NEVER = -(1 << 62)

# Premium buckets in paise, eight to a doubling.
_EDGES = tuple(sorted({round(5 * 2 ** (i / 8)) for i in range(160)}))
_WIDER = tuple(exp(0.33 * NORMALS[(2 * i + 1) * 32]) for i in range(64))
_DEPTH = (1.0, 1.5, 1.9, 2.2, 2.4)
"""Median size of the five levels against the best."""

_Shelf = tuple[tuple[int, ...], tuple[tuple[int, int, int, int, int, int], ...], int]
"""Of one premium bucket: 64 spreads, 64 rows of (five sizes, their sum), the gap between levels."""


def liquidity_of(underlying: str, rank: int, days: int) -> Liquidity:
    """Tables for the ``rank``-th listed expiry; FINNIFTY comes alive like a bank contract in its last three days."""
    if underlying == FINNIFTY.name and rank == 0 and days <= 3:
        return _BANK
    rows = _LIQUIDITY[underlying]
    return rows[min(rank, len(rows) - 1)]


def _pick(rows: tuple[float, ...], rank: int) -> float:
    return rows[rank] if rank < len(rows) else rows[-1] / 10.0 ** (rank - len(rows) + 1)


class Series:
    """One expiry of one index over one day: forward, volatility, liquidity. Lists by second or minute of the axis."""

    __slots__ = (
        "_shelves",
        "axis",
        "days",
        "end_second",
        "expiry",
        "floor_paise",
        "growth",
        "index",
        "interest",
        "liquidity",
        "log_growth",
        "logs",
        "lot",
        "lots_day",
        "minimum",
        "put_weight",
        "scale",
        "seed",
        "smile",
        "spots",
        "total_vol",
    )

    def __init__(
        self,
        index: Index,
        expiry: date,
        rank: int,
        day: date,
        axis: Axis,
        end_second: int,
        spots: list[int],
        logs: list[float],
        previous_close_paise: int,
        level: float,
        seed: int,
    ) -> None:
        self.index, self.expiry, self.axis, self.end_second = index, expiry, axis, end_second
        self.days = (expiry - day).days
        self.spots, self.logs = spots, logs
        self.seed = mix_all(seed, expiry.toordinal(), index.key)
        self.smile = next(curve for until, curve in _SMILE if self.days <= until)
        self.lot = lot_size(index.name, expiry)
        self.scale = previous_close_paise / 2_450_000.0
        self.liquidity = liquidity_of(index.name, rank, self.days)
        self.lots_day = _pick(_DAY_LOTS[index.name], rank) * ((1.6 if self.days == 0 else 0.7) if rank == 0 else 1.0)
        self.interest = _pick(_OPEN_INTEREST[index.name], rank)
        self.put_weight = 0.75 + 0.4 * unit(mix(self.seed))
        # Nobody sells a wing for nothing before expiry day: about a rupee four days out.
        self.floor_paise = 0.0 if self.days == 0 else min(15.0 * self.days, 100.0) * self.scale
        self._shelves: dict[int, _Shelf] = {}
        self._draw_volatility(level * _LEVEL_RATIO[index.name], log(previous_close_paise))

    def _draw_volatility(self, level: float, close_log: float) -> None:
        """ATM sqrt T and the forward's growth at every minute; a minute-to-minute wobble that reverts in half an hour."""
        axis, days = self.axis, self.days
        minutes = axis.seconds // 60 + 2
        wobble_sd = 0.015 if days == 0 else 0.0075 if days == 1 else 0.005
        wobble = 0.0
        noise = normals(mix(self.seed ^ 0xA7), minutes)
        begin = ist_second(axis.open_ns) // 60
        last = axis.seconds - 1
        self.total_vol: list[float] = []
        self.growth: list[float] = []
        self.log_growth: list[float] = []
        for minute in range(minutes):
            at_ns = axis.open_ns + minute * NS_PER_MINUTE
            years = years_to_expiry(at_ns, self.expiry)
            wobble = 0.97 * wobble + wobble_sd * noise[minute]
            move = self.logs[min(minute * 60, last)] - close_log
            sigma = atm_vol(level, days, begin + minute, move) * exp(wobble)
            self.total_vol.append(max(sigma * sqrt(years), 1e-6))
            self.log_growth.append(CARRY * years)
            self.growth.append(exp(CARRY * years))

    def shelf(self, bucket: int) -> _Shelf:
        """Spreads and sizes for a premium bucket, drawn once."""
        made = self._shelves.get(bucket)
        if made is None:
            premium = _EDGES[max(bucket - 1, 0)] / 100.0 / self.scale
            spread = between(self.liquidity.spread, premium) * self.scale * 100.0
            spreads = tuple(max(round(spread * wider / TICK_PAISE), 1) * TICK_PAISE for wider in _WIDER)
            best = between(self.liquidity.size, premium) / self.lot
            rows = []
            for row in range(64):
                z = mix_all(self.seed, bucket, row)
                sizes = [
                    max(1, round(best * depth * exp(0.6 * NORMALS[z >> 12 * level & 4095]))) * self.lot
                    for level, depth in enumerate(_DEPTH)
                ]
                rows.append((sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sum(sizes)))
            gap = max(round(spread / 3.0 / TICK_PAISE), 1) * TICK_PAISE
            made = self._shelves[bucket] = (spreads, tuple(rows), gap)
        return made


class OptionLine:
    """One contract's printed life: the quote of every second of the day, the same whoever asks, in any order."""

    __slots__ = (
        "_a",
        "_b",
        "_c",
        "_held",
        "_held_second",
        "_log_strike",
        "_oi",
        "_open_s",
        "_period",
        "_seed",
        "_strike",
        "_volume",
        "contract",
        "is_call",
        "key",
        "phase_ns",
        "previous_close_paise",
        "series",
        "start_ns",
    )

    def __init__(
        self, contract: Contract, series: Series, previous_close_paise: int, previous_day: date, level: float
    ) -> None:
        self.contract, self.series, self.key = contract, series, contract.key
        self.is_call = contract.option_type is OptionType.CE
        self._strike = float(contract.strike_paise)
        self._log_strike = log(self._strike)
        self._a, self._b, self._c = series.smile
        self._seed = mix_all(series.seed, key_security_id(contract.key))
        self.phase_ns = phase_ns(contract.key)
        self.start_ns = series.axis.open_ns + self.phase_ns
        self._open_s = series.axis.open_ns // NS_PER_SECOND
        self._held_second = _NEVER
        self._held: Quote | None = None
        self.previous_close_paise = self._close_before(previous_close_paise, previous_day, level)
        self._draw_interest()

    def _close_before(self, spot_paise: int, day: date, level: float) -> int:
        """What the contract closed at in the previous session."""
        expiry = self.series.expiry
        sigma = atm_vol(level * _LEVEL_RATIO[self.series.index.name], (expiry - day).days, _CLOSE_MINUTE, 0.0)
        years = years_to_expiry(ist_ns(day, _CLOSE_MINUTE * 60), expiry)
        value = self._price(
            spot_paise * exp(CARRY * years),
            self._log_strike - log(spot_paise) - CARRY * years,
            max(sigma * sqrt(years), 1e-6),
        )
        return max(round(value / TICK_PAISE), 1) * TICK_PAISE

    def _draw_interest(self) -> None:
        """Cumulated volume and open interest at each quarter of an hour, by where the strike lies then."""
        series = self.series
        axis, contract = series.axis, self.contract
        steps = contract.strike_paise // series.index.strike_step_paise
        weight = 4.5 if steps % 10 == 0 else 2.3 if steps % 2 == 0 else 1.0
        weight *= exp(0.3 * normal(mix(self._seed))) / 1.9
        if not self.is_call:
            weight *= series.put_weight
        expiring = series.days == 0
        volumes, interests = (_VOLUME_0, _OI_0) if expiring else (_VOLUME_N, _OI_N)
        profile = _PROFILE_EXPIRY if expiring else _PROFILE
        width = series.index.strike_step_paise / 100.0 / (24_500.0 * series.scale) / _STEP
        usual = series.lots_day * width * sqrt(weight) / sum(profile[:25])
        held = series.interest / series.lot * width * weight
        drift = 0.06 * normal(mix(self._seed ^ 1))
        count = axis.seconds // _BLOCK + 2
        lots = 0.0
        self._volume: list[int] = []
        self._oi: list[int] = []
        last = axis.seconds - 1
        for block in range(count):
            away = self._log_strike - series.logs[min(block * _BLOCK, last)]
            steps_out = (away if self.is_call else -away) / _STEP
            self._volume.append(int(lots))
            lots += usual * profile[min(block, len(profile) - 1)] * between(volumes, steps_out) + 1.0
            self._oi.append(max(int(held * (1.0 + drift * block / count) * between(interests, steps_out)), 0) * series.lot)
        # A contract that trades less than once a second prints in slots.
        rate = lots / axis.seconds
        self._period = 1 if rate >= 0.5 else min(round(1.0 / rate), 120)

    def _price(self, forward: float, away: float, total: float) -> float:
        """Black-76 in paise; ``away`` is ln(K/F), ``total`` the ATM volatility times sqrt T."""
        u = away / total
        u = _WING if u > _WING else -_WING if u < -_WING else u
        s = total * (self._a + u * (self._b + self._c * u))
        d1 = 0.5 * s - away / s
        if self.is_call:
            return 0.5 * (forward * erfc(-d1 * _SQRT_HALF) - self._strike * erfc((s - d1) * _SQRT_HALF))
        return 0.5 * (self._strike * erfc((d1 - s) * _SQRT_HALF) - forward * erfc(d1 * _SQRT_HALF))

    def mid_paise(self, second: int) -> float:
        """The model's price at a second of the axis."""
        series = self.series
        minute = second // 60
        total = series.total_vol[minute]
        total += (series.total_vol[minute + 1] - total) * (second - 60 * minute) / 60.0
        value = self._price(
            series.spots[second] * series.growth[minute],
            self._log_strike - series.logs[second] - series.log_growth[minute],
            total,
        )
        floor = series.floor_paise
        return value if value > floor else floor

    def _top(self, second: int, z: int) -> tuple[int, int, _Shelf]:
        """Bid (0 when nobody bids), ask, and the shelf of this premium."""
        mid = self.mid_paise(second)
        shelf = self.series.shelf(bisect_right(_EDGES, mid))
        spread = shelf[0][z & 63]
        bid = int((mid - 0.5 * spread) / TICK_PAISE + 0.5) * TICK_PAISE
        if bid <= 0:
            return 0, spread, shelf
        return bid, bid + spread, shelf

    def traded_second(self, second: int) -> int:
        """The second of the last trade: one print in five repeats an older one; dull contracts trade in slots."""
        if self._period > 1:
            return second - second % self._period
        seed = self._seed
        while second > 0 and mix(seed + second * GOLDEN) >> 56 < 51:
            second -= 1
        return second

    def quote(self, second: int) -> Quote:
        """What the contract shows at ``start_ns + second``; before the open its previous close, after the end no book."""
        if second == self._held_second:
            return self._held  # type: ignore[return-value]
        quote = self._quote(second)
        self._held_second, self._held = second, quote
        return quote

    def prints(self, second: int) -> bool:
        """Is there a packet at this second?"""
        return 0 <= second < self.series.end_second

    def _quote(self, second: int) -> Quote:
        at_ns = self.start_ns + second * NS_PER_SECOND
        series = self.series
        if second < 0:
            return Quote(Tick(at_ns, self.key, self._open_s + second, self.previous_close_paise, 0, 0, 0, 0, 0, self._oi[0]))
        if second >= series.end_second:
            last = self.quote(series.end_second - 1).tick
            return Quote(Tick(at_ns, self.key, last.exchange_s, last.ltp_paise, 0, 0, 0, 0, last.volume, last.oi))
        z = mix(self._seed + second * GOLDEN)
        bid, ask, (_, rows, gap) = self._top(second, z)
        if self._period == 1 and z >> 56 >= 51:
            traded, ltp = second, (ask if z >> 55 & 1 or not bid else bid)
        else:
            traded = self.traded_second(second)
            old = mix(self._seed + traded * GOLDEN)
            old_bid, old_ask, _ = self._top(traded, old)
            ltp = old_ask if old >> 55 & 1 or not old_bid else old_bid
        block, into = divmod(traded, _BLOCK)
        volume = self._volume[block]
        volume = (volume + (self._volume[block + 1] - volume) * into // _BLOCK) * series.lot
        offered = rows[z >> 12 & 63]
        asks: Levels = (
            (ask, offered[0]),
            (ask + gap, offered[1]),
            (ask + 2 * gap, offered[2]),
            (ask + 3 * gap, offered[3]),
            (ask + 4 * gap, offered[4]),
        )
        wanted = rows[z >> 6 & 63]
        bids: Levels = (
            (bid, wanted[0]),
            (bid - gap, wanted[1]),
            (bid - 2 * gap, wanted[2]),
            (bid - 3 * gap, wanted[3]),
            (bid - 4 * gap, wanted[4]),
        )
        bid_total = wanted[5]
        if bid <= 4 * gap:
            bids = tuple(level for level in bids if level[0] > 0)
            bid_total = sum(size for _, size in bids)
        return Quote(
            Tick(at_ns, self.key, self._open_s + traded, ltp, bid, ask, bid_total, offered[5], volume, self._oi[block]),
            bids,
            asks,
        )


def phase_ns(key: int) -> int:
    """A contract prints once a second, at a quarter of it given by its key."""
    return (mix(key) & 3) * 250 * NS_PER_MS

