"""Recorded bars: days, minutes, and expired options by their distance from the money.

**Which bars are real.** Dhan's minutes come with bars that are none: about one index day in three ends with a flat one
stamped 15:30 (the official close), and who asks in the evening gets a flat one stamped with the hour of the question.
What counts is the exchange's calendar of that date: a bar that starts outside the instrument's trading hours is left out.
Since August 2026 the hours differ by instrument, and a bar at 15:30 may be the option's and not the index's. Currencies
and commodities have other hours, which the calendar does not hold: their bars are handed on as they come.

**How much is asked.** At most 90 days of minutes (30 of expired options) a request, in whole days, cut here: windows
inside one day sometimes come back empty, and sources disagree on whether the last day is included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import msgspec

from algo_scalper.adapters.dhan.bodies import DailyBody, IntradayBody, RollingBody
from algo_scalper.adapters.dhan.endpoints import DAILY, INTRADAY, ROLLING_OPTIONS
from algo_scalper.adapters.dhan.replies import Bars, RollingOptions, RollingSide
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.values import MOST
from algo_scalper.domain.calendar import Interval, contract_end_ns, day_schedule
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import (
    INDEX_BY_KEY,
    Exchange,
    Index,
    OptionType,
    Segment,
    key_security_id,
    key_segment,
    key_text,
)
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_SECOND, ist_day, ist_ns, tick_nearest

MOST_DAYS = 90
"""Of minutes in one request; more is refused with DH-905."""
MOST_ROLLING_DAYS = 30
INTERVALS_MIN = (1, 5, 15, 25, 60)
"""Lengths a bar may have, in minutes."""
SESSIONS = {
    Segment.IDX_I: Exchange.NSE,
    Segment.NSE_EQ: Exchange.NSE,
    Segment.BSE_EQ: Exchange.BSE,
    Segment.NSE_FNO: Exchange.NSE,
    Segment.BSE_FNO: Exchange.BSE,
}
"""Whose calendar holds a segment's hours; those of the others are not known."""

_DERIVATIVES = (Segment.NSE_FNO, Segment.BSE_FNO)
_PRICES = ("open", "high", "low", "close")
_LATEST_S = 4_102_444_800
"""The year 2100: no timestamp is later."""


class Bar(msgspec.Struct, frozen=True, gc=False):
    """A bar of any instrument; ``start_ns`` is its first instant (of a day: midnight in India)."""

    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int
    open_interest: int
    """0 where it was not asked for or is not known."""


class RollingBar(msgspec.Struct, frozen=True, gc=False):
    """A bar of the option that was so far from the money then."""

    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int
    open_interest: int
    strike_paise: int
    spot_paise: int
    volatility_percent: float
    """Dhan's implied volatility a year; 0 when it has none."""


class DhanHistory:
    """What the exchange did before."""

    def __init__(self, rest: DhanRest) -> None:
        self._rest = rest

    async def intraday_minutes(self, key: int, from_ns: int, to_ns: int) -> tuple[Candle, ...]:
        """Minutes of an index that start in ``[from_ns, to_ns)``, oldest first. Raises as `intraday`."""
        bars = await self.intraday(key, "INDEX", from_ns, to_ns)
        return tuple(
            Candle(bar.start_ns, bar.open_paise, bar.high_paise, bar.low_paise, bar.close_paise) for bar in bars
        )

    async def intraday(
        self,
        key: int,
        instrument: str,
        from_ns: int,
        to_ns: int,
        *,
        interval_min: int = 1,
        open_interest: bool = False,
        expiry: date | None = None,
    ) -> tuple[Bar, ...]:
        """Bars that start in ``[from_ns, to_ns)``, oldest first; none for a holiday or an unknown id.

        ``instrument``: INDEX, OPTIDX, FUTIDX, EQUITY, ...; ``expiry``: a contract's, which stops earlier on that day.
        Raises `BrokerError`, DataError for a reply whose columns do not fit together, ValueError for an interval
        that does not exist.
        """
        if interval_min not in INTERVALS_MIN:
            raise ValueError(f"bars of {interval_min} minutes do not exist; there are {INTERVALS_MIN}")
        found: dict[int, Bar] = {}
        for first, until in _windows(from_ns, to_ns, MOST_DAYS):
            body = IntradayBody(
                security_id=str(key_security_id(key)),
                exchange_segment=key_segment(key).name,
                instrument=instrument,
                interval=str(interval_min),
                oi=open_interest,
                from_date=f"{first} 00:00:00",
                to_date=f"{until} 00:00:00",
            )
            for bar in read_bars(await self._rest.call(INTRADAY, body), key, expiry):
                if from_ns <= bar.start_ns < to_ns:
                    found[bar.start_ns] = bar
        return tuple(found[start_ns] for start_ns in sorted(found))

    async def daily(
        self, key: int, instrument: str, first: date, last: date, *, expiry_code: int = 0, open_interest: bool = False
    ) -> tuple[Bar, ...]:
        """Days from ``first`` to ``last``, both included, oldest first. Raises as `intraday`."""
        if last < first:
            return ()
        body = DailyBody(
            security_id=str(key_security_id(key)),
            exchange_segment=key_segment(key).name,
            instrument=instrument,
            expiry_code=expiry_code,
            oi=open_interest,
            from_date=first.isoformat(),
            to_date=(last + timedelta(days=1)).isoformat(),
        )
        found = read_days(await self._rest.call(DAILY, body), key)
        return tuple(bar for bar in found if first <= ist_day(bar.start_ns) <= last)

    async def rolling_options(
        self,
        underlying: Index,
        option_type: OptionType,
        first: date,
        last: date,
        *,
        expiry_flag: str = "WEEK",
        expiry_code: int = 1,
        strike: str = "ATM",
        interval_min: int = 1,
    ) -> tuple[RollingBar, ...]:
        """Bars of expired options from ``first`` to ``last``, both included, oldest first.

        ``expiry_flag`` WEEK or MONTH, ``expiry_code`` 1 for the nearest then, ``strike`` ATM, ATM+1, ATM-1 ... to 10.
        Raises as `intraday`.
        """
        if interval_min not in INTERVALS_MIN:
            raise ValueError(f"bars of {interval_min} minutes do not exist; there are {INTERVALS_MIN}")
        found: dict[int, RollingBar] = {}
        from_ns, to_ns = ist_ns(first, 0), ist_ns(last + timedelta(days=1), 0)
        for start, until in _windows(from_ns, to_ns, MOST_ROLLING_DAYS):
            body = RollingBody(
                exchange_segment=underlying.options.name,
                interval=str(interval_min),
                security_id=key_security_id(underlying.key),
                expiry_flag=expiry_flag,
                expiry_code=expiry_code,
                strike=strike,
                drv_option_type="CALL" if option_type is OptionType.CE else "PUT",
                from_date=start.isoformat(),
                to_date=until.isoformat(),
            )
            for bar in read_rolling(await self._rest.call(ROLLING_OPTIONS, body), underlying, option_type):
                if from_ns <= bar.start_ns < to_ns:
                    found[bar.start_ns] = bar
        return tuple(found[start_ns] for start_ns in sorted(found))


def read_bars(bars: Bars, key: int, expiry: date | None = None) -> tuple[Bar, ...]:
    """The real bars of a reply, in its order. Raises DataError for columns that do not fit together."""
    what = f"minutes of {key_text(key)}"
    hours = _Hours(key_segment(key), expiry)
    return tuple(bar for bar in _bars(bars, key, what) if hours.hold(bar.start_ns))


def read_days(bars: Bars, key: int) -> tuple[Bar, ...]:
    """The days of a reply, in its order. Raises DataError for columns that do not fit together."""
    return tuple(_bars(bars, key, f"days of {key_text(key)}"))


def read_rolling(options: RollingOptions, underlying: Index, option_type: OptionType) -> tuple[RollingBar, ...]:
    """The real bars of one side of a reply, in its order; none when Dhan has none. Raises DataError as `read_bars`."""
    side = options.data.ce if option_type is OptionType.CE else options.data.pe
    if side is None:
        return ()
    what = f"expired {underlying.name} options"
    starts_ns = _starts_ns(side.timestamp, what)
    prices = [_column(side, name, len(starts_ns), what, required=True) for name in _PRICES]
    others = [_column(side, name, len(starts_ns), what) for name in ("volume", "oi", "strike", "spot", "iv")]
    hours = _Hours(underlying.options, None)
    found = []
    for at, start_ns in enumerate(starts_ns):
        if not hours.hold(start_ns):
            continue
        opened, high, low, closed = (tick_nearest(column[at], 1) for column in prices)
        volume, oi, strike, spot, volatility = (column[at] for column in others)
        found.append(
            RollingBar(
                start_ns,
                opened,
                high,
                low,
                closed,
                round(volume),
                round(oi),
                tick_nearest(strike, 1),
                tick_nearest(spot, underlying.tick_paise),
                volatility,
            )
        )
    return tuple(found)


class _Hours:
    """Whether instants lie in a segment's trading hours; asked in the order of time, so a day is looked up once."""

    def __init__(self, segment: Segment, expiry: date | None) -> None:
        self._exchange = SESSIONS.get(segment)
        self._derivative = segment in _DERIVATIVES
        self._expiry = expiry
        self._day = Interval(0, 0)
        self._open: tuple[Interval, ...] = ()

    def hold(self, at_ns: int) -> bool:
        if self._exchange is None:
            return True
        if not self._day.holds(at_ns):
            day = ist_day(at_ns)
            self._day = Interval(ist_ns(day, 0), ist_ns(day + timedelta(days=1), 0))
            self._open = self._hours_of(day, self._exchange)
        return any(interval.holds(at_ns) for interval in self._open)

    def _hours_of(self, day: date, exchange: Exchange) -> tuple[Interval, ...]:
        schedule = day_schedule(day, exchange)
        if schedule is None:
            return ()
        if not self._derivative:
            return schedule.index
        if self._expiry is None:
            return schedule.options
        end_ns = contract_end_ns(schedule, self._expiry)
        return tuple(Interval(one.start_ns, min(one.end_ns, end_ns)) for one in schedule.options)


def _bars(bars: Bars, key: int, what: str) -> Iterator[Bar]:
    tick_paise = INDEX_BY_KEY[key].tick_paise if key in INDEX_BY_KEY else 1
    starts_ns = _starts_ns(bars.timestamp, what)
    prices = [_column(bars, name, len(starts_ns), what, required=True) for name in _PRICES]
    volume = _column(bars, "volume", len(starts_ns), what)
    interest = _column(bars, "open_interest", len(starts_ns), what)
    for at, start_ns in enumerate(starts_ns):
        opened, high, low, closed = (tick_nearest(column[at], tick_paise) for column in prices)
        yield Bar(start_ns, opened, high, low, closed, round(volume[at]), round(interest[at]))


def _starts_ns(seconds: Sequence[float], what: str) -> list[int]:
    if not all(0 < at < _LATEST_S for at in seconds):
        raise DataError(f"{what}: a timestamp that is no time")
    return [round(at) * NS_PER_SECOND for at in seconds]


def _column(arrays: Bars | RollingSide, name: str, length: int, what: str, required: bool = False) -> Sequence[float]:
    """An array as long as the others. One that was not asked for is left out by the sender, and is zeros here."""
    column: tuple[float, ...] = getattr(arrays, name)
    if not column and not required:
        return (0.0,) * length
    if len(column) != length:
        raise DataError(f"{what}: {len(column)} values of {name} for {length} timestamps")
    if not all(abs(one) <= MOST for one in column):
        raise DataError(f"{what}: a {name} that is no number")
    return column


def _windows(from_ns: int, to_ns: int, most_days: int) -> Iterator[tuple[date, date]]:
    """Whole days that cover ``[from_ns, to_ns)``, in pieces: the first day of each, and the day after its last."""
    if to_ns <= from_ns:
        return
    day, end = ist_day(from_ns), ist_day(to_ns - 1) + timedelta(days=1)
    while day < end:
        until = min(end, day + timedelta(days=most_days))
        yield day, until
        day = until
