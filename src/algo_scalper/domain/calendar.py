"""When the market is open, when the index is quoted, what expires when: one dated table, and the rules read from it.

Exchange holidays are facts and stand here as dates; hours, expiry weekdays and the broker's square-off are rows with
the day they start. NSE and BSE have kept the same days and hours for derivatives over all the years tabled.
Outside its intervals an index is *unknown*, not stale.

Sources: exchange circulars and the broker's knowledge base. The hours from 2026-12-07 come from one source only, and
the time of a coming Muhurat session is provisional; `DaySchedule.oddities` says so on the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice

import msgspec

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import INDICES, Exchange
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE, ist_ns, parse_clock_s

FLAT_BEFORE_NS = 10 * NS_PER_MINUTE
"""How long before the first of the three ends (index, broker, contract) a position is flat."""
LAST_ENTRY_BEFORE_NS = 25 * NS_PER_MINUTE
"""How long before flat_by the last entry may be made."""
YEAR_NS = 365 * NS_PER_DAY

_ONE_DAY = timedelta(days=1)
_MONDAY, _TUESDAY, _WEDNESDAY, _THURSDAY, _FRIDAY = range(5)


class SessionKind(StrEnum):
    """``SPECIAL``: a weekend or split session. ``MUHURAT``: the hour of Diwali."""

    REGULAR = "regular"
    SPECIAL = "special"
    MUHURAT = "muhurat"


class Interval(msgspec.Struct, frozen=True):
    """Half-open: ``start_ns <= at_ns < end_ns``."""

    start_ns: int
    end_ns: int

    def holds(self, at_ns: int) -> bool:
        """Whether the instant is inside."""
        return self.start_ns <= at_ns < self.end_ns


class DaySchedule(msgspec.Struct, frozen=True):
    """One trading day of one exchange."""

    day: date
    kind: SessionKind
    index: tuple[Interval, ...]
    """The index is quoted continuously: candles are made of these and of nothing else."""
    options: tuple[Interval, ...]
    """Options trade."""
    freeze: Interval | None
    """The closing auction of the cash market: the index stands still."""
    print_ns: int
    """About when the auction prints the index's close, in one jump; 0 when there is no auction."""
    square_off_ns: int
    """The broker sells intraday positions by itself; 0 when that lies outside the session."""
    expiring_end_ns: int
    """Contracts that expire this day stop trading."""
    oddities: tuple[str, ...]
    """What is unusual about the day, in sentences for people."""

    def index_quoted(self, at_ns: int) -> bool:
        """Whether the index is continuously quoted at this instant."""
        return any(interval.holds(at_ns) for interval in self.index)

    def options_open(self, at_ns: int) -> bool:
        """Whether options trade at this instant."""
        return any(interval.holds(at_ns) for interval in self.options)


# --- holidays and special days -------------------------------------------------------------------------------------

# Weekdays (MM-DD) on which equity derivatives are closed all day. A weekday Muhurat is here too: it is no full session.
_CLOSED_WEEKDAYS: dict[int, str] = {
    2018: "01-26 02-13 03-02 03-29 03-30 05-01 08-15 08-22 09-13 09-20 10-02 10-18 11-07 11-08 11-23 12-25",
    2019: "03-04 03-21 04-17 04-19 04-29 05-01 06-05 08-12 08-15 09-02 09-10 10-02 10-08 10-21 10-28 11-12 12-25",
    2020: "02-21 03-10 04-02 04-06 04-10 04-14 05-01 05-25 10-02 11-16 11-30 12-25",
    2021: "01-26 03-11 03-29 04-02 04-14 04-21 05-13 07-21 08-19 09-10 10-15 11-04 11-05 11-19",
    2022: "01-26 03-01 03-18 04-14 04-15 05-03 08-09 08-15 08-31 10-05 10-24 10-26 11-08",
    2023: "01-26 03-07 03-30 04-04 04-07 04-14 05-01 06-29 08-15 09-19 10-02 10-24 11-14 11-27 12-25",
    2024: "01-22 01-26 03-08 03-25 03-29 04-11 04-17 05-01 05-20 06-17 07-17 08-15 10-02 11-01 11-15 11-20 12-25",
    2025: "02-26 03-14 03-31 04-10 04-14 04-18 05-01 08-15 08-27 10-02 10-21 10-22 11-05 12-25",
    2026: "01-15 01-26 03-03 03-26 03-31 04-03 04-14 05-01 05-28 06-26 09-14 10-02 10-20 11-10 11-24 12-25",
}
_TABLED = frozenset(
    date.fromisoformat(f"{year}-{month_day}") for year, days in _CLOSED_WEEKDAYS.items() for month_day in days.split()
)
_CLOSED: dict[Exchange, frozenset[date]] = {Exchange.NSE: _TABLED, Exchange.BSE: _TABLED}

# Closed in every year. All that is known of a year without a table; contracts of later years are listed by them too.
_FIXED_HOLIDAYS = frozenset({(1, 26), (8, 15), (10, 2), (12, 25)})

_FULL_DAY = ("09:15-15:30",)
_SPLIT_DAY = ("09:15-10:00", "11:30-12:30")
_EVENING = ("18:15-19:15",)

# Sessions outside the weekly rule: kind, hours of index and options, and what people should know.
_SPECIAL: dict[date, tuple[SessionKind, tuple[str, ...], str]] = {
    date(2018, 11, 7): (SessionKind.MUHURAT, ("17:30-18:30",), "Muhurat session"),
    date(2019, 10, 27): (SessionKind.MUHURAT, _EVENING, "Muhurat session"),
    date(2020, 2, 1): (SessionKind.SPECIAL, _FULL_DAY, "Saturday session for the Budget"),
    date(2020, 11, 14): (SessionKind.MUHURAT, _EVENING, "Muhurat session"),
    date(2021, 11, 4): (SessionKind.MUHURAT, _EVENING, "Muhurat session"),
    date(2022, 10, 24): (SessionKind.MUHURAT, _EVENING, "Muhurat session"),
    date(2023, 11, 12): (SessionKind.MUHURAT, _EVENING, "Muhurat session"),
    date(2024, 1, 20): (SessionKind.SPECIAL, _FULL_DAY, "Saturday session in place of Monday"),
    date(2024, 3, 2): (SessionKind.SPECIAL, _SPLIT_DAY, "Disaster-recovery drill in two parts"),
    date(2024, 5, 18): (SessionKind.SPECIAL, _SPLIT_DAY, "Disaster-recovery drill in two parts"),
    date(2024, 11, 1): (SessionKind.MUHURAT, ("18:00-19:00",), "Muhurat session"),
    date(2025, 2, 1): (SessionKind.SPECIAL, _FULL_DAY, "Saturday session for the Budget"),
    date(2025, 10, 21): (SessionKind.MUHURAT, ("13:45-14:45",), "Muhurat session"),
    date(2026, 2, 1): (SessionKind.SPECIAL, _FULL_DAY, "Sunday session for the Budget"),
    date(2026, 11, 8): (SessionKind.MUHURAT, _EVENING, "Muhurat session; the time is provisional, check the circular"),
}


# --- hours ---------------------------------------------------------------------------------------------------------


class _Hours(msgspec.Struct, frozen=True):
    """The hours of a regular day from ``since`` on, as IST clock times; an empty text means there is none."""

    since: date
    index: str
    options: str
    freeze: str
    print_at: str
    expiring_end: str
    doubt: str
    """Said every day, until a better source is found."""


# Newest first. The auction closes at a random moment (15:28-15:30, later 15:38-15:40) and the index jumps then:
# ``print_at`` is the middle of it, and the freeze ends with the last possible moment.
_HOURS: tuple[_Hours, ...] = (
    _Hours(
        date(2026, 12, 7),
        "09:15-15:30",
        "09:15-15:45",
        "15:30-15:40",
        "15:39",
        "15:30",
        "The hours since 7 Dec 2026 are known from one source: check them against the exchange's circular.",
    ),
    _Hours(
        date(2026, 8, 3),
        "09:15-15:15",
        "09:15-15:40",
        "15:15-15:30",
        "15:29",
        "15:40",
        "",
    ),
    _Hours(date.min, "09:15-15:30", "09:15-15:30", "", "", "15:30", ""),
)

# The broker's own square-off of intraday derivatives, newest first.
_SQUARE_OFF: tuple[tuple[date, str], ...] = ((date.min, "15:20"),)


# --- expiries ------------------------------------------------------------------------------------------------------


class _Cycle(msgspec.Struct, frozen=True):
    """Expiry weekdays from ``since`` on: of weeklies (None: there are none) and of monthlies (the month's last)."""

    since: date
    weekly: int | None
    monthly: int


_CYCLES: dict[str, tuple[_Cycle, ...]] = {
    "NIFTY": (
        _Cycle(date(2025, 9, 1), _TUESDAY, _TUESDAY),
        _Cycle(date.min, _THURSDAY, _THURSDAY),
    ),
    "BANKNIFTY": (
        _Cycle(date(2025, 9, 1), None, _TUESDAY),
        _Cycle(date(2025, 1, 1), None, _THURSDAY),
        _Cycle(date(2024, 11, 14), None, _WEDNESDAY),
        _Cycle(date(2024, 3, 1), _WEDNESDAY, _WEDNESDAY),
        _Cycle(date(2023, 9, 4), _WEDNESDAY, _THURSDAY),
        _Cycle(date.min, _THURSDAY, _THURSDAY),
    ),
    "FINNIFTY": (
        _Cycle(date(2025, 9, 1), None, _TUESDAY),
        _Cycle(date(2025, 1, 1), None, _THURSDAY),
        _Cycle(date(2024, 11, 20), None, _TUESDAY),
        _Cycle(date(2021, 10, 18), _TUESDAY, _TUESDAY),
        _Cycle(date.min, _THURSDAY, _THURSDAY),
    ),
    "SENSEX": (
        _Cycle(date(2025, 9, 1), _THURSDAY, _THURSDAY),
        _Cycle(date(2025, 1, 1), _TUESDAY, _TUESDAY),
        _Cycle(date.min, _FRIDAY, _FRIDAY),
    ),
}

_MONTHLIES_LISTED = 3
# Besides three monthlies: weeklies that are not monthly, then quarterlies, then half-yearlies, each beyond the last.
_LISTED: dict[str, tuple[int, int, int]] = {
    "NIFTY": (4, 3, 8),
    "BANKNIFTY": (4, 3, 0),
    "FINNIFTY": (4, 0, 0),
    "SENSEX": (5, 3, 8),
}


# --- days ----------------------------------------------------------------------------------------------------------


def _is_regular(day: date, exchange: Exchange) -> bool:
    """A weekday with a full session: what expiries are moved back to."""
    if day.weekday() > _FRIDAY:
        return False
    if day.year in _CLOSED_WEEKDAYS:
        return day not in _CLOSED[exchange]
    return (day.month, day.day) not in _FIXED_HOLIDAYS


def is_trading_day(day: date, exchange: Exchange = Exchange.NSE) -> bool:
    """Whether there is a session, special ones and Muhurat included."""
    return day in _SPECIAL or _is_regular(day, exchange)


def next_trading_day(day: date, exchange: Exchange = Exchange.NSE) -> date:
    """The first session after ``day``."""
    day += _ONE_DAY
    while not is_trading_day(day, exchange):
        day += _ONE_DAY
    return day


def previous_trading_day(day: date, exchange: Exchange = Exchange.NSE) -> date:
    """The last session before ``day``."""
    day -= _ONE_DAY
    while not is_trading_day(day, exchange):
        day -= _ONE_DAY
    return day


def _interval(day: date, text: str) -> Interval:
    start, end = text.split("-")
    return Interval(_at(day, start), _at(day, end))


def _at(day: date, clock: str) -> int:
    return ist_ns(day, parse_clock_s(clock, "calendar"))


@lru_cache(maxsize=4096)
def day_schedule(day: date, exchange: Exchange = Exchange.NSE) -> DaySchedule | None:
    """The day's intervals and oddities; None when the exchange is closed."""
    if not is_trading_day(day, exchange):
        return None
    square_off_ns = _at(day, next(clock for since, clock in _SQUARE_OFF if day >= since))
    if day in _SPECIAL:
        kind, hours, words = _SPECIAL[day]
        parts = tuple(_interval(day, text) for text in hours)
        said = f"{words}: {' and '.join(hours)}."
        end_ns = parts[-1].end_ns
        return DaySchedule(
            day,
            kind,
            parts,
            parts,
            None,
            0,
            square_off_ns if parts[-1].holds(square_off_ns) else 0,
            end_ns,
            (said, *_holiday_oddities(day, exchange)),  # no contract expires on such a day
        )
    row = next(row for row in _HOURS if day >= row.since)
    return DaySchedule(
        day,
        SessionKind.REGULAR,
        (_interval(day, row.index),),
        (_interval(day, row.options),),
        _interval(day, row.freeze) if row.freeze else None,
        _at(day, row.print_at) if row.print_at else 0,
        square_off_ns,
        _at(day, row.expiring_end),
        (
            *_hours_oddities(day, row),
            *_expiry_oddities(day, exchange, row.expiring_end),
            *_holiday_oddities(day, exchange),
        ),
    )


def contract_end_ns(schedule: DaySchedule, expiry: date) -> int:
    """When a contract of this expiry stops trading on the day."""
    return schedule.expiring_end_ns if expiry == schedule.day else schedule.options[-1].end_ns


def flat_by_ns(schedule: DaySchedule, expires_today: bool) -> int:
    """Positions are flat by then: ten minutes before the index, the broker or the contract ends, the first of them."""
    ends = [schedule.index[-1].end_ns, schedule.expiring_end_ns if expires_today else schedule.options[-1].end_ns]
    if schedule.square_off_ns:
        ends.append(schedule.square_off_ns)
    return min(ends) - FLAT_BEFORE_NS


def last_entry_ns(flat_by: int) -> int:
    """No entry after this: 25 minutes before ``flat_by``."""
    return flat_by - LAST_ENTRY_BEFORE_NS


# --- what expires when ---------------------------------------------------------------------------------------------


def _cycle(underlying: str, day: date) -> _Cycle:
    try:
        rows = _CYCLES[underlying]
    except KeyError:
        known = ", ".join(_CYCLES)
        raise ConfigError(f"{underlying!r} has no expiry cycle in the calendar; known are {known}") from None
    return next(row for row in rows if day >= row.since)


def _or_session_before(underlying: str, day: date) -> date:
    """A scheduled expiry, moved to the previous full session when it falls on a holiday."""
    exchange = INDICES[underlying].exchange
    while not _is_regular(day, exchange):
        day -= _ONE_DAY
    return day


def _scheduled_monthly(underlying: str, year: int, month: int) -> date:
    last = date(year + month // 12, month % 12 + 1, 1) - _ONE_DAY
    return last - timedelta(days=(last.weekday() - _cycle(underlying, last).monthly) % 7)


def _monthlies(underlying: str, day: date, months: tuple[int, ...] = tuple(range(1, 13))) -> Iterator[date]:
    """Monthly expiries from ``day`` on that fall in these months of the year."""
    year, month = day.year, day.month
    while True:
        if month in months:
            expiry = _or_session_before(underlying, _scheduled_monthly(underlying, year, month))
            if expiry >= day:
                yield expiry
        year, month = year + month // 12, month % 12 + 1


def _weeklies(underlying: str, day: date) -> Iterator[date]:
    """Weekly expiries from ``day`` on, none in the week of a monthly one; ends where weeklies were discontinued."""
    monday = day - timedelta(days=day.weekday())
    while (weekday := _cycle(underlying, monday).weekly) is not None:
        scheduled = monday + timedelta(days=weekday)
        sunday = monday + timedelta(days=6)
        in_week = {_scheduled_monthly(underlying, end.year, end.month) for end in (monday, sunday)}
        if not any(monday <= monthly <= sunday for monthly in in_week):
            expiry = _or_session_before(underlying, scheduled)
            if expiry >= day:
                yield expiry
        monday += timedelta(days=7)


@lru_cache(maxsize=4096)
def expiries(underlying: str, day: date, count: int) -> tuple[date, ...]:
    """The first ``count`` expiries listed on ``day``, ascending, one expiring that day included; fewer if so listed.

    Dates are the final ones: contracts listed before the exchange moved their weekday appear on the new one.
    An underlying without a cycle raises `ConfigError`.
    """
    _cycle(underlying, day)
    weeklies, quarterlies, half_yearlies = _LISTED[underlying]
    listed = list(islice(_monthlies(underlying, day), _MONTHLIES_LISTED))
    listed += islice(_monthlies(underlying, listed[-1] + _ONE_DAY, (3, 6, 9, 12)), quarterlies)
    listed += islice(_monthlies(underlying, listed[-1] + _ONE_DAY, (6, 12)), half_yearlies)
    listed += islice(_weeklies(underlying, day), weeklies)
    return tuple(sorted(listed)[:count])


def is_monthly(underlying: str, expiry: date) -> bool:
    """Whether this is the month's last expiry, the monthly contract."""
    return expiry == _or_session_before(underlying, _scheduled_monthly(underlying, expiry.year, expiry.month))


# --- time to expiry ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def expiry_ns(expiry: date) -> int:
    """The instant option prices are computed to: 15:30 IST of the expiry day, whatever the trading hours."""
    return _at(expiry, "15:30")


def years_to_expiry(at_ns: int, expiry: date) -> float:
    """ACT/365 to 15:30 IST of the expiry day; 0 from then on."""
    return max(expiry_ns(expiry) - at_ns, 0) / YEAR_NS


# --- sentences -----------------------------------------------------------------------------------------------------


def _day_text(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _hours_oddities(day: date, row: _Hours) -> Iterator[str]:
    if day == row.since:
        yield f"New hours from today: index {row.index}, options {row.options}."
    if row.doubt:
        yield row.doubt
    if row.freeze:
        yield (
            f"The index is frozen from {row.freeze.split('-')[0]} and jumps once, about {row.print_at}; "
            f"options trade on until {row.options.split('-')[1]}."
        )


def _expiry_oddities(day: date, exchange: Exchange, contract_end: str) -> Iterator[str]:
    expiring = [
        name for name, index in INDICES.items() if index.exchange is exchange and expiries(name, day, 1) == (day,)
    ]
    if not expiring:
        return
    kinds = [f"{name} ({'monthly' if is_monthly(name, day) else 'weekly'})" for name in expiring]
    scheduled = _scheduled_for(expiring[0], day)
    moved = f", moved from {_day_text(scheduled)}, a holiday" if scheduled != day else ""
    yield f"Expiry today: {', '.join(kinds)}{moved}; these contracts stop at {contract_end}."


def _scheduled_for(underlying: str, expiry: date) -> date:
    """The day by rule whose expiry was moved to ``expiry``, or ``expiry`` itself."""
    if is_monthly(underlying, expiry):
        return _scheduled_monthly(underlying, expiry.year, expiry.month)
    weekday = _cycle(underlying, expiry).weekly
    return expiry if weekday is None else expiry + timedelta(days=(weekday - expiry.weekday()) % 7)


def _holiday_oddities(day: date, exchange: Exchange) -> Iterator[str]:
    following = next_trading_day(day, exchange)
    between = [day + timedelta(days=n) for n in range(1, (following - day).days)]
    closed = [_day_text(other) for other in between if other.weekday() <= _FRIDAY]
    if following in _SPECIAL:
        yield f"The next session is a special one, on {_day_text(following)}."
    elif closed:
        yield f"Closed on {', '.join(closed)}; next session {_day_text(following)}."
    if day.year not in _CLOSED_WEEKDAYS:
        yield (
            f"No holiday table for {day.year}: every weekday but the fixed national days is taken for a session; "
            "check the exchange's list."
        )
