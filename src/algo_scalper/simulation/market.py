"""A whole market for one day: index paths, volatility index, option chains; asked by key and instant, it keeps nothing.

`recorded_day` builds it around recorded one-minute bars of one index, `synthetic_day` around a seed alone. The same
arguments give the same market, byte for byte, and what a key shows does not depend on what else is asked.
"""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from math import exp, log
from typing import Protocol

from algo_scalper.domain.calendar import (
    DaySchedule,
    contract_end_ns,
    day_schedule,
    expiries,
    previous_trading_day,
)
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import INDIA_VIX_KEY, INDICES, Contract, Exchange, Index
from algo_scalper.domain.market import Candle, ChainRow, OptionChain, Quote, Tick, strikes_near
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_day, ist_second
from algo_scalper.simulation.chains import OptionLine, Series
from algo_scalper.simulation.listing import listed
from algo_scalper.simulation.mix import mix_all, mix_text, normal, normals, unit
from algo_scalper.simulation.paths import (
    LEVEL,
    Axis,
    Freeze,
    IndexPath,
    SeededDay,
    auction_jump,
    day_scale,
    draw_day,
    follow,
    following_candles,
    following_logs,
    freeze,
    minute_bars,
    minute_factors,
    recorded_truth,
    seeded_logs,
    silent_seconds,
    to_paise,
)
from algo_scalper.simulation.volatility import atm_vol, vol_level

EXPIRIES = {"NIFTY": 3, "SENSEX": 2, "BANKNIFTY": 2, "FINNIFTY": 2}
"""How many of the nearest expiries are simulated."""
_VIX_OVER_ATM = 1.056
_VIX_TICK_PAISE = 5


class Line(Protocol):
    """Anything that prints: at ``start_ns`` + whole seconds."""

    key: int
    phase_ns: int
    start_ns: int

    def quote(self, second: int) -> Quote:
        """What it shows at ``start_ns + second``."""

    def prints(self, second: int) -> bool:
        """Is there a packet at that instant?"""


class IndexLine:
    """The prints of an index: once a second on the second, when it prints at all."""

    __slots__ = ("_open_s", "_path", "_size", "key", "phase_ns", "start_ns")

    def __init__(self, path: IndexPath, axis: Axis) -> None:
        self._path, self._size = path, axis.seconds
        self.key, self.phase_ns, self.start_ns = path.index.key, 0, axis.open_ns
        self._open_s = axis.open_ns // NS_PER_SECOND

    def prints(self, second: int) -> bool:
        """Does the index print this second?"""
        return 0 <= second < self._size and self._path.prints[second] == 1

    def quote(self, second: int) -> Quote:
        """Its last print; before the first, the previous close."""
        path = self._path
        at_ns = self.start_ns + second * NS_PER_SECOND
        if second < 0:
            return Quote(Tick(at_ns, self.key, self._open_s - 1, path.previous_close_paise))
        at = min(second, self._size - 1)
        shown = path.shown_second[at] if path.shown_second else at
        return Quote(Tick(at_ns, self.key, self._open_s + shown, path.shown_paise[at]))


class VixLine:
    """India VIX: 1.056 times NIFTY's 30-day at-the-money volatility, printed every other second."""

    __slots__ = ("_open_s", "_paise", "_size", "key", "phase_ns", "previous_close_paise", "start_ns")

    def __init__(self, nifty: IndexPath, axis: Axis, level: float, seed: int) -> None:
        self.key, self.phase_ns, self.start_ns = INDIA_VIX_KEY, 0, axis.open_ns
        self._open_s, self._size = axis.open_ns // NS_PER_SECOND, axis.seconds
        begin, close = ist_second(axis.open_ns) // 60, log(nifty.previous_close_paise)
        noise = normals(mix_all(seed, INDIA_VIX_KEY), axis.seconds // 60 + 1)
        wobble = 0.0
        self._paise: list[int] = []
        for minute, z in enumerate(noise):
            wobble = 0.95 * wobble + 0.0015 * z
            move = nifty.logs[min(minute * 60, axis.seconds - 1)] - close
            self._paise.append(self._level(atm_vol(level, 30, begin + minute, move) * exp(wobble)))
        self.previous_close_paise = self._level(atm_vol(level, 30, 15 * 60 + 30, 0.0))

    def _level(self, sigma: float) -> int:
        return round(_VIX_OVER_ATM * sigma * 10_000 / _VIX_TICK_PAISE) * _VIX_TICK_PAISE

    def prints(self, second: int) -> bool:
        """Every other second of the session."""
        return 0 <= second < self._size and second & 1 == 0

    def quote(self, second: int) -> Quote:
        """The last level, in hundredths of a point."""
        at_ns = self.start_ns + second * NS_PER_SECOND
        if second < 0:
            return Quote(Tick(at_ns, self.key, self._open_s - 1, self.previous_close_paise))
        at = min(second, self._size - 1)
        at -= at & 1
        left = self._paise[at // 60]
        right = self._paise[min(at // 60 + 1, len(self._paise) - 1)]
        paise = round((left + (right - left) * (at % 60) / 60.0) / _VIX_TICK_PAISE) * _VIX_TICK_PAISE
        return Quote(Tick(at_ns, self.key, self._open_s + at, paise))


class MarketDay:
    """One day of all indices and their options. Build it with `recorded_day` or `synthetic_day`."""

    def __init__(
        self,
        day: date,
        schedule: DaySchedule,
        axis: Axis,
        paths: dict[str, IndexPath],
        level: float,
        seed: int,
        regime: str,
        match_second: int | None,
    ) -> None:
        """``match_second``: when the closing auction prints; None on a day without one."""
        self._match_second = match_second
        self.day, self.schedule, self.axis, self.seed = day, schedule, axis, seed
        self.regime = regime
        """What the seed made of the day; ``recorded`` for a recorded one."""
        self._paths, self._level = paths, level
        self._before = previous_trading_day(day)
        self._index_lines = {path.index.key: IndexLine(path, axis) for path in paths.values()}
        self._vix = VixLine(paths["NIFTY"], axis, level, seed)
        self._series: dict[tuple[str, date], Series] = {}
        self._by_series: dict[tuple[str, date], tuple[Contract, ...]] = {}
        self._lines: dict[int, Line] = {**self._index_lines, INDIA_VIX_KEY: self._vix}
        for name, path in paths.items():
            for expiry in expiries(name, day, EXPIRIES[name]):
                self._by_series[name, expiry] = tuple(listed(path.index, expiry, path.previous_close_paise))
        self.contracts: tuple[Contract, ...] = tuple(c for row in self._by_series.values() for c in row)
        self._contract_of = {contract.key: contract for contract in self.contracts}
        self._closes: dict[int, int] | None = None
        self._pauses = tuple(
            (axis.second_of(part.end_ns), axis.second_of(following.start_ns))
            for part, following in pairwise(schedule.options)
        )

    # --- prices ---

    def line(self, key: int) -> Line:
        """What prints under this key. An unlisted key raises `DataError`."""
        found = self._lines.get(key)
        return found if found is not None else self._option_line(key)

    def knows(self, key: int) -> bool:
        """Is this key an index, the VIX or a listed contract?"""
        return key in self._lines or key in self._contract_of

    def quote(self, key: int, at_ns: int) -> Quote:
        """The quote standing at an instant; its tick carries the time it was printed."""
        line = self.line(key)
        return line.quote((at_ns - line.start_ns) // NS_PER_SECOND)

    def index_paise(self, name: str, at_ns: int) -> int:
        """What the index last printed."""
        return self.quote(INDICES[name].key, at_ns).tick.ltp_paise

    def truth_paise(self, name: str, at_ns: int) -> int:
        """Where the index is, printed or not: what options are priced from."""
        second = min(max(self.axis.second_of(at_ns), 0), self.axis.seconds - 1)
        return self._paths[name].truth_paise[second]

    def contract(self, key: int) -> Contract:
        """The listed contract under a key; `DataError` when there is none."""
        try:
            return self._contract_of[key]
        except KeyError:
            raise DataError(f"no contract with key {key} is listed on {self.day}") from None

    def expiries(self, underlying: str) -> tuple[date, ...]:
        """The simulated expiries of an underlying, ascending."""
        return tuple(expiry for name, expiry in self._by_series if name == underlying)

    def chain(self, underlying: str, expiry: date, at_ns: int, reach: int | None = None) -> OptionChain:
        """The chain as it stands; `DataError` for an expiry that is not simulated.

        With ``reach`` only the strikes of `domain.market.near_chain`, the others are not even priced.
        """
        contracts = self._by_series.get((underlying, expiry))
        if contracts is None:
            known = ", ".join(str(other) for other in self.expiries(underlying)) or "none"
            raise DataError(f"no {underlying} chain for {expiry} on {self.day}; simulated are: {known}")
        spot = self.index_paise(underlying, at_ns)
        if reach is not None:
            near = set(strikes_near(sorted({contract.strike_paise for contract in contracts}), spot, reach))
            contracts = tuple(contract for contract in contracts if contract.strike_paise in near)
        rows = []
        for contract in contracts:
            tick = self.quote(contract.key, at_ns).tick
            rows.append(ChainRow(tick.key, tick.ltp_paise, tick.bid_paise, tick.ask_paise, tick.oi, tick.volume))
        return OptionChain(at_ns, underlying, expiry, spot, tuple(rows))

    # --- bars and closes ---

    def history(self, index_key: int, until_ns: int) -> tuple[Candle, ...]:
        """One-minute bars of an index: the previous session whole, and today's that are closed by ``until_ns``."""
        for path in self._paths.values():
            if path.index.key == index_key:
                closed = (bar for bar in path.candles if bar.start_ns + NS_PER_MINUTE <= until_ns)
                return (*path.previous, *closed)
        raise DataError(f"no index with key {index_key} is simulated")

    @property
    def previous_close_paise(self) -> dict[int, int]:
        """Closes of the previous session by key: indices, VIX and contracts."""
        if self._closes is None:
            self._closes = {path.index.key: path.previous_close_paise for path in self._paths.values()}
            self._closes[INDIA_VIX_KEY] = self._vix.previous_close_paise
            for contract in self.contracts:
                line = self._option_line(contract.key)
                self._closes[contract.key] = line.previous_close_paise
        return self._closes

    def settlement_paise(self, underlying: str) -> int:
        """The index close expiring contracts settle on: the auction's print, or the mean of the last half hour."""
        path = self._paths[underlying]
        if self.schedule.freeze is not None:
            return path.shown_paise[-1]
        last = path.truth_paise[-1_800:]
        return round(sum(last) / len(last) / path.index.tick_paise) * path.index.tick_paise

    # --- making lines when first asked ---

    def _option_line(self, key: int) -> OptionLine:
        made = self._lines.get(key)
        if isinstance(made, OptionLine):
            return made
        contract = self.contract(key)
        path = self._paths[contract.underlying]
        line = OptionLine(contract, self._series_of(contract), path.previous_close_paise, self._before, self._level)
        self._lines[key] = line
        return line

    def _series_of(self, contract: Contract) -> Series:
        name, expiry = contract.underlying, contract.expiry
        made = self._series.get((name, expiry))
        if made is None:
            path = self._paths[name]
            spots, logs = path.truth_paise, path.logs
            match = self._match_second
            if expiry == self.day and match is not None:
                # After the auction's print the settlement price is known: nothing moves an expiring contract.
                rest = len(spots) - match
                spots = spots[:match] + [spots[match]] * rest
                logs = logs[:match] + [logs[match]] * rest
            made = self._series[name, expiry] = Series(
                path.index,
                expiry,
                self.expiries(name).index(expiry),
                self.day,
                self.axis,
                self.axis.second_of(contract_end_ns(self.schedule, expiry)),
                self._pauses,
                spots,
                logs,
                path.previous_close_paise,
                self._level,
                self.seed,
            )
        return made


# --- building ------------------------------------------------------------------------------------------------------


def recorded_day(
    index_name: str, candles: tuple[Candle, ...], previous_candles: tuple[Candle, ...], day: date, seed: int
) -> MarketDay:
    """A market around the recorded one-minute bars of one index; the other indices follow it.

    ``candles`` are the day's bars in order (`recorded.check_bars`); minutes without one print nothing. The last bar of
    ``previous_candles`` gives the previous close; without any, the first open does.
    """
    schedule, axis = _hours(day)
    if not candles:
        raise DataError(f"no recorded bars of {index_name} on {day}")
    if ist_day(candles[0].start_ns) != day or ist_day(candles[-1].start_ns) != day:
        raise DataError(f"the bars are of {ist_day(candles[0].start_ns)}, not of {day}")
    index = INDICES[index_name]
    bars = tuple(bar for bar in candles if schedule.index_quoted(bar.start_ns))
    if not bars:
        raise DataError(f"no recorded bar of {index_name} on {day} lies inside the session")
    truth, prints = recorded_truth(bars, axis, index.tick_paise, mix_all(seed, day.toordinal(), index.key))
    close = previous_candles[-1].close_paise if previous_candles else bars[0].open_paise
    level = vol_level(day_scale(previous_candles) if len(previous_candles) >= 30 else day_scale(bars))
    factors = _factors(axis, mix_all(seed, day.toordinal(), mix_text("recorded")))
    return _assemble(
        day, schedule, axis, index, truth, prints, bars, previous_candles, close, level, seed, "recorded", factors
    )


def synthetic_day(day: date, seed: int) -> MarketDay:
    """A market out of a seed: NIFTY's day has a character (trend, chop, gap ...), the other indices follow."""
    schedule, axis = _hours(day)
    index = INDICES["NIFTY"]
    own = _synthetic_seed(day, seed)
    before = previous_trading_day(day)
    _, before_axis = _hours(before)
    yesterday, character = character_of(day, seed)
    walk = seeded_logs(before_axis, yesterday, _factors(before_axis, mix_all(own, 0xB5)), mix_all(own, 0xB5))
    close = round(23_500 + 3_000 * unit(mix_all(own, 0x1E))) * 100
    walked = to_paise([value - walk[-1] for value in walk], close, index.tick_paise)
    previous_schedule = day_schedule(before)
    previous = _quoted(minute_bars(before_axis, walked, bytearray(b"\x01" * before_axis.seconds)), previous_schedule)
    close = previous[-1].close_paise
    factors = _factors(axis, own)
    logs = seeded_logs(axis, character, factors, own)
    truth = to_paise([character.gap + value for value in logs], close, index.tick_paise)
    prints = _session_prints(schedule, axis)
    level = vol_level(0.4 + 0.3 * yesterday.scale + 0.4 * character.scale * exp(0.2 * normal(mix_all(own, 0x5E))))
    return _assemble(
        day, schedule, axis, index, truth, prints, None, previous, close, level, seed, character.regime, factors
    )


def character_of(day: date, seed: int) -> tuple[SeededDay, SeededDay]:
    """What `synthetic_day` draws for the session before and for the day itself."""
    own = _synthetic_seed(day, seed)
    yesterday = draw_day(mix_all(own, 0xB4))
    return yesterday, draw_day(own, yesterday.scale)


def _synthetic_seed(day: date, seed: int) -> int:
    return mix_all(seed, day.toordinal(), mix_text("synthetic"))


def _hours(day: date) -> tuple[DaySchedule, Axis]:
    schedule = day_schedule(day, Exchange.NSE)
    if schedule is None:
        raise DataError(f"{day} is not a trading day")
    open_ns = schedule.options[0].start_ns
    return schedule, Axis(open_ns, (schedule.options[-1].end_ns - open_ns) // NS_PER_SECOND)


def _factors(axis: Axis, seed: int) -> list[float]:
    return minute_factors(seed, (axis.seconds + 59) // 60)


def _quoted(bars: tuple[Candle, ...], schedule: DaySchedule | None) -> tuple[Candle, ...]:
    return tuple(bar for bar in bars if schedule is not None and schedule.index_quoted(bar.start_ns))


def _session_prints(schedule: DaySchedule, axis: Axis) -> bytearray:
    prints = bytearray(axis.seconds)
    for part in schedule.index:
        first, end = axis.second_of(part.start_ns), min(axis.second_of(part.end_ns), axis.seconds)
        prints[first:end] = b"\x01" * (end - first)
    return prints


def _assemble(
    day: date,
    schedule: DaySchedule,
    axis: Axis,
    driver: Index,
    truth: list[int],
    prints: bytearray,
    bars: tuple[Candle, ...] | None,
    previous: tuple[Candle, ...],
    close_paise: int,
    level: float,
    seed: int,
    regime: str,
    factors: list[float],
) -> MarketDay:
    """The driver's path and those that follow it, with the closing auction written into each.

    ``factors``: the volatility of each minute against its usual (`minute_factors`), the followers' own part too.
    """
    own = mix_all(seed, day.toordinal(), mix_text("paths"))
    anchor = log(close_paise)
    driven = [log(paise) - anchor for paise in truth]
    seen = bars if bars is not None else minute_bars(axis, truth, prints)
    scale = day_scale(seen)
    hold = None
    if schedule.freeze is not None:
        match = schedule.print_ns + (mix_all(own, 0x9A) % 60 - 30) * NS_PER_SECOND
        hold = Freeze(axis.second_of(schedule.freeze.start_ns), axis.second_of(match))
    silent = silent_seconds(axis.seconds, mix_all(own, 0x5C1)) if bars is None else []
    paths: dict[str, IndexPath] = {}
    for name, index in INDICES.items():
        noise = mix_all(own, index.key)
        if index is driver:
            prices, candles, before, close = truth, bars, previous, close_paise
        else:
            follower = follow(driver.name, name)
            base = close_paise * LEVEL[name] / LEVEL[driver.name]
            close = round(base / index.tick_paise) * index.tick_paise
            logs = following_logs(driven, follower, scale, factors, axis, noise)
            prices = to_paise(logs, close, index.tick_paise)
            candles, before = None, following_candles(previous, close, follower, index, noise)
        alive = bytearray(prints)
        for second in silent:
            # Every index leaves out others: the same ones, whole minutes later.
            alive[(second + 60 * 17 * len(paths)) % axis.seconds] = 0
        if hold is not None:
            freeze(prices, alive, hold, auction_jump(name, own), index.tick_paise, noise)
        if candles is None:
            candles = _quoted(minute_bars(axis, prices, alive), schedule)
        paths[name] = IndexPath(index, prices, alive, candles, before, close)
    return MarketDay(day, schedule, axis, paths, level, seed, regime, hold.match if hold is not None else None)
