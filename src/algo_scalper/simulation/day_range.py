"""The day so far of everything that prints: open, high, low and the reach of open interest, whoever looked at it when.

It follows from the prints alone. What is watched all day is followed print by print. A contract first looked at in the
afternoon is caught up with: stretches of the day whose trades cannot lie outside the range that is known already are
passed over, because the model's price rises and falls with the index, the volatility of the minute and half a spread.
"""

from __future__ import annotations

from bisect import bisect_right
from heapq import heapify, heappop, heappush
from math import log

import msgspec

from algo_scalper.domain.market import Tick
from algo_scalper.domain.pricing import price
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.simulation.chains import PREMIUM_EDGES, OptionLine, Series
from algo_scalper.simulation.listing import TICK_PAISE
from algo_scalper.simulation.market import IndexLine, Line, MarketDay
from algo_scalper.simulation.volatility import smile_factor

_FEW = 90
"""Seconds that are looked at one by one without asking whether they can matter."""
_BLOCK = 15
"""Minutes that are asked about together first."""
_QUARTER_S = 900
"""Open interest moves at these seconds of the day."""


class DayRange(msgspec.Struct):
    """One instrument's prints up to a second of the day. Prices in paise."""

    open_paise: int
    high_paise: int
    low_paise: int
    oi_high: int
    oi_low: int
    through: int
    """The last second that is counted in."""
    minutes: int = 0
    """How many candles of an index are."""

    def count(self, price_paise: int) -> None:
        """One more trade."""
        if price_paise > self.high_paise:
            self.high_paise = price_paise
        if price_paise < self.low_paise:
            self.low_paise = price_paise


class DayRanges:
    """The ranges of a market's day, kept for what was asked about. Time only goes on."""

    def __init__(self, market: MarketDay) -> None:
        self._market = market
        self._found: dict[int, tuple[Line, DayRange]] = {}
        self._hulls: dict[int, _Hull] = {}

    def upto(self, tick: Tick) -> DayRange:
        """The range with this tick, which is what its instrument shows now; of the tick alone before the first print."""
        known = self._found.get(tick.key)
        line, found = known if known is not None else self._begun(tick)
        second, through = (tick.at_ns - line.start_ns) // NS_PER_SECOND, found.through
        if second <= through or through < 0:
            return found
        if second == through + 1 and line.prints(second):
            found.count(tick.ltp_paise)
        else:
            self._catch_up(line, found, second)
        if isinstance(line, IndexLine) and second // 60 > through // 60:
            self._count_candles(found, tick)
        found.through = second
        if tick.oi > found.oi_high:
            found.oi_high = tick.oi
        elif tick.oi < found.oi_low:
            found.oi_low = tick.oi
        return found

    def _count_candles(self, found: DayRange, tick: Tick) -> None:
        """The index's closed candles: a recorded one may reach farther than what was printed of it."""
        candles = self._market.history(tick.key, tick.at_ns)
        today = [candle for candle in candles if candle.start_ns >= self._market.axis.open_ns]
        if not found.minutes and today:
            found.open_paise = today[0].open_paise
        for candle in today[found.minutes :]:
            found.count(candle.high_paise)
            found.count(candle.low_paise)
        found.minutes = len(today)

    def _begun(self, tick: Tick) -> tuple[Line, DayRange]:
        """With the first print of the day; before that with the tick, and not kept."""
        line = self._market.line(tick.key)
        second = (tick.at_ns - line.start_ns) // NS_PER_SECOND
        first = next((at for at in range(second + 1) if line.prints(at)), None)
        shown = tick if first is None else line.quote(first).tick
        found = DayRange(*(shown.ltp_paise,) * 3, shown.oi, shown.oi, -1 if first is None else first)
        if first is not None:
            self._found[tick.key] = line, found
            if isinstance(line, IndexLine):
                self._count_candles(found, tick)
        return line, found

    def _catch_up(self, line: Line, found: DayRange, second: int) -> None:
        first = found.through + 1
        if isinstance(line, OptionLine):
            second = min(second, line.series.end_second - 1)
            for quarter_end in range(first - first % _QUARTER_S + _QUARTER_S - 1, second, _QUARTER_S):
                oi = line.quote(quarter_end).tick.oi
                found.oi_high, found.oi_low = max(found.oi_high, oi), min(found.oi_low, oi)
            if second - first > _FEW and not line.series.pauses:
                search = _Search(line, self._hull(line.series), first, second)
                found.high_paise = search.farthest(found.high_paise, 1)
                found.low_paise = search.farthest(found.low_paise, -1)
                return
        for at in range(first, second + 1):
            if line.prints(at):
                found.count(line.quote(at).tick.ltp_paise)

    def _hull(self, series: Series) -> _Hull:
        made = self._hulls.get(series.seed)
        if made is None:
            made = self._hulls[series.seed] = _Hull(series)
        return made


class _Hull:
    """Of one series: the least and most of everything its prices follow, by stretches of minutes, and its spreads."""

    def __init__(self, series: Series) -> None:
        spots = series.spots
        minutes = range(0, len(spots), 60)
        self._series = series
        self._lows = [min(spots[at : at + 60]) for at in minutes]
        self._highs = [max(spots[at : at + 60]) for at in minutes]
        self._ends: dict[tuple[int, int], tuple[float, float, float, float]] = {}
        self._spreads: dict[int, tuple[int, ...]] = {}

    def ends(self, begin: int, end: int) -> tuple[float, float, float, float]:
        """Least and most forward, least and most ATM volatility times sqrt T, in the minutes [begin, end)."""
        made = self._ends.get((begin, end))
        if made is None:
            growths, totals = self._series.growth[begin:end], self._series.total_vol[begin : end + 1]
            low, high = min(self._lows[begin:end]) * min(growths), max(self._highs[begin:end]) * max(growths)
            made = self._ends[begin, end] = (low, high, min(totals), max(totals))
        return made

    def spreads(self, bucket: int) -> tuple[int, ...]:
        """Of a bucket of premiums, widest first."""
        made = self._spreads.get(bucket)
        if made is None:
            made = self._spreads[bucket] = tuple(sorted(set(self._series.shelf(bucket)[0]), reverse=True))
        return made


class _Search:
    """The outermost trades of one contract in the seconds [first, last]."""

    def __init__(self, line: OptionLine, hull: _Hull, first: int, last: int) -> None:
        self._line, self._hull, self._first, self._last = line, hull, first, last
        self._reaches: dict[tuple[int, int], tuple[int, int]] = {}

    def farthest(self, best: int, sign: int) -> int:
        """The highest (``sign`` 1) or lowest (-1) trade, or ``best`` if that lies farther out.

        What promises most is looked at first: blocks of minutes, then their minutes, then the trades of a minute.
        """
        begin, end = self._first // 60, self._last // 60 + 1
        ahead = [self._promise(at, min(at + _BLOCK, end), sign) for at in range(begin, end, _BLOCK)]
        heapify(ahead)
        while ahead:
            promise, at, until = heappop(ahead)
            if -promise <= sign * best:
                return best
            if until - at > 1:
                for minute in range(at, until):
                    heappush(ahead, self._promise(minute, minute + 1, sign))
            else:
                best = self._within(at, best, sign)
        return best

    def _promise(self, begin: int, end: int, sign: int) -> tuple[int, int, int]:
        """An entry of the heap: what the minutes [begin, end) cannot exceed, the least first."""
        low, high = self._reach(begin, end)
        return (-high if sign > 0 else low), begin, end

    def _within(self, minute: int, best: int, sign: int) -> int:
        line = self._line
        for second in range(max(minute * 60, self._first), min(minute * 60 + 59, self._last) + 1):
            if line.traded_second(second) == second:
                traded = line.quote(second).tick.ltp_paise
                if sign * traded > sign * best:
                    best = traded
        return best

    def _reach(self, begin: int, end: int) -> tuple[int, int]:
        """What no trade in the minutes [begin, end) lies below, and above."""
        made = self._reaches.get((begin, end))
        if made is not None:
            return made
        least, most, calm, wild = self._hull.ends(begin, end)
        cheap, dear = (least, most) if self._line.is_call else (most, least)
        low, high = self._value(cheap, calm), self._value(dear, wild)
        buckets = range(bisect_right(PREMIUM_EDGES, low), bisect_right(PREMIUM_EDGES, high) + 1)
        lows, highs = [], []
        for bucket in buckets:
            # The spread belongs to a bucket of premiums, and does not grow evenly with them.
            spreads = self._hull.spreads(bucket)
            lows.append(_outmost(max(low, PREMIUM_EDGES[bucket - 1]) if bucket else low, spreads, -1))
            highs.append(
                _outmost(min(high, PREMIUM_EDGES[bucket]) if bucket < len(PREMIUM_EDGES) else high, spreads, 1)
            )
        made = self._reaches[begin, end] = (min(lows), max(highs))
        return made

    def _value(self, forward: float, total: float) -> float:
        """The model's price, which rises with ``total``, the ATM volatility times sqrt T."""
        line, strike = self._line, self._line.contract.strike_paise
        deviation = total * smile_factor(line.series.smile, log(strike / forward) / total)
        return max(price(forward, strike, 1.0, deviation, line.is_call), line.series.floor_paise)


def _outmost(middle: float, spreads: tuple[int, ...], sign: int) -> int:
    """The highest ask or lowest bid around a price, by the spreads it may have, widest first; without a bid, the ask."""
    widest = spreads[0]
    bid = int((middle - 0.5 * widest) / TICK_PAISE + 0.5) * TICK_PAISE
    if bid > 0:
        return bid + widest if sign > 0 else bid
    found = []
    for spread in spreads:
        bid = int((middle - 0.5 * spread) / TICK_PAISE + 0.5) * TICK_PAISE
        found.append(spread if bid <= 0 else bid + spread if sign > 0 else bid)
    return max(found) if sign > 0 else min(found)
