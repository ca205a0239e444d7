"""Option chains around an index path: what each listed contract shows at every second.

Every price of an expiry comes from one smile on one forward, so strikes cannot be played against each other. Noise is
mixed from (key, second).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from math import erfc, exp, log, sqrt

from algo_scalper.domain.calendar import years_to_expiry
from algo_scalper.domain.instruments import Contract, Index, OptionType, key_security_id
from algo_scalper.domain.market import Levels, Quote, Tick
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, ist_ns, ist_second
from algo_scalper.simulation import liquidity
from algo_scalper.simulation.listing import TICK_PAISE, lot_size
from algo_scalper.simulation.mix import GOLDEN, NORMALS, mix, mix_all, normal, normals, unit
from algo_scalper.simulation.paths import Axis
from algo_scalper.simulation.volatility import BEND, CLOSE_MINUTE, LEVEL_RATIO, SMILE, atm_vol, between, smile_factor

CARRY = 0.0585
"""Annual carry of the parity forward over spot, measured."""
_SQRT_HALF = sqrt(0.5)
_BLOCK = 900
_NEVER = -(1 << 62)
_STALE = 68
"""Of 256 prints, those that repeat an older trade; some still lie inside the spread, which leaves one in five outside."""
PREMIUM_EDGES = tuple(sorted({round(5 * 2 ** (i / 8)) for i in range(160)}))
"""Where one bucket of premiums ends and the next begins, in paise; eight to a doubling."""
_WIDER = tuple(NORMALS[(2 * i + 1) * 32] for i in range(64))
"""Sixty-four equal parts of the normal, for the logs of spreads."""

_Shelf = tuple[tuple[int, ...], tuple[tuple[int, int, int, int, int, int], ...], int]
"""Of one premium bucket: 64 spreads, 64 rows of (five sizes, their sum), the gap between levels."""


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
        "index_level",
        "interest",
        "liquidity",
        "log_growth",
        "logs",
        "lot",
        "lots_day",
        "pauses",
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
        pauses: tuple[tuple[int, int], ...],
        spots: list[int],
        logs: list[float],
        previous_close_paise: int,
        level: float,
        seed: int,
    ) -> None:
        self.index, self.expiry, self.axis, self.end_second = index, expiry, axis, end_second
        self.pauses = pauses
        """Stretches of seconds (from, to) inside the day in which options do not trade."""
        self.days = (expiry - day).days
        self.spots, self.logs = spots, logs
        self.seed = mix_all(seed, expiry.toordinal(), index.key)
        self.smile = next(curve for until, curve in SMILE if self.days <= until)
        self.lot = lot_size(index.name, expiry)
        self.index_level = previous_close_paise / 100.0
        self.scale = self.index_level / 24_500.0
        self.liquidity = liquidity.liquidity_of(index.name, rank, self.days)
        self.lots_day = liquidity.by_rank(liquidity.DAY_LOTS[index.name], rank) * (
            (1.6 if self.days == 0 else 0.7) if rank == 0 else 1.0
        )
        self.interest = liquidity.by_rank(liquidity.OPEN_INTEREST[index.name], rank)
        self.put_weight = 0.75 + 0.4 * unit(mix(self.seed))
        # Nobody sells a wing for nothing before expiry day: about a rupee four days out.
        self.floor_paise = 0.0 if self.days == 0 else min(15.0 * self.days, 100.0) * self.scale
        self._shelves: dict[int, _Shelf] = {}
        self._draw_volatility(level * LEVEL_RATIO[index.name], log(previous_close_paise))

    def _draw_volatility(self, level: float, close_log: float) -> None:
        """ATM sqrt T and the forward's growth at every minute; a minute-to-minute wobble that reverts in half an hour."""
        axis, days = self.axis, self.days
        minutes = axis.seconds // 60 + 2
        wobble_sd = 0.019 if days == 0 else 0.0105 if days == 1 else 0.0075 if days < 6 else 0.0062
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
            scale = self.index_level / self.liquidity.level
            premium = PREMIUM_EDGES[max(bucket - 1, 0)] / 100.0 / scale
            spread = between(self.liquidity.spread, premium) * scale * 100.0
            deviation = between(self.liquidity.spread_sd, premium)
            spreads = tuple(max(round(spread * exp(deviation * z) / TICK_PAISE), 1) * TICK_PAISE for z in _WIDER)
            best = between(self.liquidity.size, premium) / self.lot
            rows = []
            for row in range(64):
                z = mix_all(self.seed, bucket, row)
                sizes = [
                    max(1, round(best * depth * exp(liquidity.SIZE_SD * NORMALS[z >> 12 * level & 4095]))) * self.lot
                    for level, depth in enumerate(liquidity.DEPTH)
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
        "_traded",
        "_traded_paise",
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
        self._traded, self._traded_paise = _NEVER, 0
        self.previous_close_paise = self._close_before(previous_close_paise, previous_day, level)
        self._period = 0
        self._volume: list[int] = []
        self._oi: list[int] = []

    def _close_before(self, spot_paise: int, day: date, level: float) -> int:
        """What the contract closed at in the previous session."""
        expiry = self.series.expiry
        sigma = atm_vol(level * LEVEL_RATIO[self.series.index.name], (expiry - day).days, CLOSE_MINUTE, 0.0)
        years = years_to_expiry(ist_ns(day, CLOSE_MINUTE * 60), expiry)
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
        volumes = (
            liquidity.VOLUME_EXPIRY if expiring else liquidity.VOLUME_NEAR if series.days <= 2 else liquidity.VOLUME
        )
        interests = liquidity.INTEREST_EXPIRY if expiring else liquidity.INTEREST
        profile = liquidity.PROFILE_EXPIRY if expiring else liquidity.PROFILE
        width = series.index.strike_step_paise / 100.0 / (24_500.0 * series.scale) / liquidity.STEP
        usual = series.lots_day * width * sqrt(weight) / sum(profile[:25])
        held = series.interest / series.lot * width * weight
        drift = 0.06 * normal(mix(self._seed ^ 1))
        count = axis.seconds // _BLOCK + 2
        lots = 0.0
        last = axis.seconds - 1
        for block in range(count):
            away = self._log_strike - series.logs[min(block * _BLOCK, last)]
            steps_out = (away if self.is_call else -away) / liquidity.STEP
            self._volume.append(int(lots))
            lots += usual * profile[min(block, len(profile) - 1)] * between(volumes, steps_out) + 1.0
            self._oi.append(
                max(int(held * (1.0 + drift * block / count) * between(interests, steps_out)), 0) * series.lot
            )
        # A contract that trades less than once a second prints in slots.
        rate = lots / axis.seconds
        self._period = 1 if rate >= 0.5 else min(round(1.0 / rate), 120)

    def _price(self, forward: float, away: float, total: float) -> float:
        """Black-76 in paise; ``away`` is ln(K/F), ``total`` the ATM volatility times sqrt T."""
        u = away / total
        if -BEND <= u <= BEND:
            s = total * (self._a + u * (self._b + self._c * u))
        else:
            s = total * smile_factor(self.series.smile, u)
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
        return max(value, series.floor_paise)

    def _top(self, second: int, z: int) -> tuple[int, int, _Shelf]:
        """Bid (0 when nobody bids), ask, and the shelf of this premium."""
        mid = self.mid_paise(second)
        shelf = self.series.shelf(bisect_right(PREMIUM_EDGES, mid))
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
        while second > 0 and mix(seed + second * GOLDEN) >> 56 < _STALE:
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
        series = self.series
        return 0 <= second < series.end_second and not (series.pauses and self._paused_since(second))

    def _paused_since(self, second: int) -> int:
        """The first second of the pause this one lies in; 0 when it lies in none."""
        return next((start for start, end in self.series.pauses if start <= second < end), 0)

    def _last_trade(self, second: int, z: int, bid: int, ask: int) -> tuple[int, int]:
        """Second and price of the last trade, from the noise and top of ``second``.

        It is kept: most prints that repeat an older trade repeat the one that was seen last.
        """
        if self._period != 1 or z >> 56 < _STALE:
            second = self.traded_second(second)
            if second == self._traded:
                return second, self._traded_paise
            z = mix(self._seed + second * GOLDEN)
            bid, ask, _ = self._top(second, z)
        self._traded, self._traded_paise = second, (ask if z >> 55 & 1 or not bid else bid)
        return second, self._traded_paise

    def _quote(self, second: int) -> Quote:
        if not self._period:
            self._draw_interest()
        at_ns = self.start_ns + second * NS_PER_SECOND
        series = self.series
        if second < 0:
            return Quote(
                Tick(at_ns, self.key, self._open_s + second, self.previous_close_paise, 0, 0, 0, 0, 0, self._oi[0])
            )
        shut = series.end_second if second >= series.end_second else self._paused_since(second) if series.pauses else 0
        if shut:
            last = self.quote(shut - 1).tick
            return Quote(Tick(at_ns, self.key, last.exchange_s, last.ltp_paise, 0, 0, 0, 0, last.volume, last.oi))
        z = mix(self._seed + second * GOLDEN)
        bid, ask, (_, rows, gap) = self._top(second, z)
        traded, ltp = self._last_trade(second, z, bid, ask)
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
