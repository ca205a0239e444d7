"""Are recorded rows what they claim to be: one-minute bars of an index, in order? Pure; files are read elsewhere.

What cannot be repaired without guessing (rows out of order, contradicting duplicates, impossible prices) is a
`DataError` that names the row. What is merely incomplete or superfluous is kept or dropped, and said in a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

from algo_scalper.domain.calendar import DaySchedule, day_schedule
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Index
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, clock_text, ist_day, tick_nearest


class Row(NamedTuple):
    """One row of a file: the bar's start in epoch seconds UTC, prices in rupees."""

    start_s: int
    open: float
    high: float
    low: float
    close: float


class Checked(NamedTuple):
    """The bars that stood the test, and what was noticed, in sentences."""

    candles: tuple[Candle, ...]
    problems: list[str]


def check_bars(rows: Iterable[Row], index: Index) -> Checked:
    """Bars on the index's tick, only of its sessions, oldest first; `DataError` names the first impossible row."""
    candles: list[Candle] = []
    problems: list[str] = []
    repeated = widened = outside = 0
    closest = 0
    before: Row | None = None
    for number, row in enumerate(rows, start=1):
        _possible(row, number)
        if before is not None and row.start_s <= before.start_s:
            if row == before:
                repeated += 1
                continue
            raise DataError(_order_text(number, row, before))
        if before is not None:
            apart = row.start_s - before.start_s
            closest = min(closest, apart) if closest else apart
        before = row
        start_ns = row.start_s * NS_PER_SECOND
        schedule = day_schedule(ist_day(start_ns), index.exchange)
        if schedule is None or not schedule.index_quoted(start_ns):
            outside += 1
            continue
        first, high, low, last = (tick_nearest(price, index.tick_paise) for price in row[1:])
        if max(first, last) > high or min(first, last) < low:
            widened += 1
        candles.append(Candle(start_ns, first, max(first, high, last), min(first, low, last), last))
    if closest > 60:
        raise DataError(f"no two rows are closer than {closest // 60} minutes; one-minute bars are needed")
    if repeated:
        problems.append(f"{_rows(repeated)} repeated the one before and {_were(repeated)} dropped.")
    if outside:
        problems.append(f"{_rows(outside)} lay outside the sessions of {index.name} and {_were(outside)} dropped.")
    if widened:
        problems.append(f"{_rows(widened)} had an open or close beyond high or low; the range was widened to hold it.")
    problems += gap_sentences(candles, index)
    return Checked(tuple(candles), problems)


def gap_sentences(candles: Iterable[Candle], index: Index) -> list[str]:
    """One sentence for each day that lacks minutes: how many, and where the longest stretch is."""
    days: dict[date, list[int]] = {}
    for candle in candles:
        days.setdefault(ist_day(candle.start_ns), []).append(candle.start_ns)
    said = []
    for day, starts in days.items():
        schedule = day_schedule(day, index.exchange)
        if schedule is None:
            continue
        missing = _missing(starts, schedule)
        if not missing:
            continue
        begin, end = max(missing, key=lambda gap: gap[1] - gap[0])
        count = sum(stop - start for start, stop in missing) // NS_PER_MINUTE
        if end == schedule.index[-1].end_ns and len(missing) == 1:
            said.append(f"{day}: the recording ends at {clock_text(begin)[:5]}, {count} minutes before the session.")
        else:
            said.append(
                f"{day}: {count} minutes are missing, the longest stretch from {clock_text(begin)[:5]} "
                f"to {clock_text(end)[:5]}; nothing is printed there."
            )
    return said


def _missing(starts: list[int], schedule: DaySchedule) -> list[tuple[int, int]]:
    """Stretches without bars, as (begin, end) in ns, inside the index's intervals."""
    gaps = []
    for part in schedule.index:
        inside = [start for start in starts if part.holds(start)]
        edges = [part.start_ns - NS_PER_MINUTE, *inside, part.end_ns]
        gaps += [(left + NS_PER_MINUTE, right) for left, right in pairwise(edges) if right - left > NS_PER_MINUTE]
    return gaps


def _possible(row: Row, number: int) -> None:
    when = _when(row)
    if not all(isfinite(price) and price > 0.0 for price in row[1:]):
        raise DataError(f"row {number} ({when}): a price is missing, zero or negative: {_prices(row)}")
    if row.low > row.high:
        raise DataError(f"row {number} ({when}): low {row.low} is above high {row.high}; correct or remove the row")
    if row.start_s % 60:
        raise DataError(f"row {number} ({when}): a bar starts on a whole minute; is the file one of ticks?")


def _order_text(number: int, row: Row, before: Row) -> str:
    if row.start_s == before.start_s:
        return (
            f"row {number} ({_when(row)}) has the same time as the row before it and other prices: "
            f"{_prices(before)} and {_prices(row)}; remove the wrong one"
        )
    return f"row {number} ({_when(row)}) is earlier than the row before it ({_when(before)}); sort the file by time"


def _when(row: Row) -> str:
    at_ns = row.start_s * NS_PER_SECOND
    return f"{ist_day(at_ns)} {clock_text(at_ns)} IST"


def _prices(row: Row) -> str:
    return f"O {row.open} H {row.high} L {row.low} C {row.close}"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
