"""Files of recorded one-minute index bars, Parquet or CSV, read and checked.

Columns ``ts`` (epoch seconds UTC of the bar's start), ``open``, ``high``, ``low``, ``close`` in rupees; others are
ignored. What the rows may look like is `simulation.recorded`'s business; here are files and their ways of being broken.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import ist_day
from algo_scalper.simulation.recorded import Row, check_bars

_COLUMNS = ("ts", "open", "high", "low", "close")
# BANKNIFTY and FINNIFTY contain NIFTY, so the longer names are looked for first.
_NAMES = sorted(INDICES, key=len, reverse=True)


class Recording(msgspec.Struct, frozen=True):
    """A checked file: bars by day, oldest first, and what was noticed in it, in sentences."""

    index_name: str
    days: dict[date, tuple[Candle, ...]]
    problems: tuple[str, ...]

    def day(self, day: date) -> tuple[Candle, ...]:
        """The bars of a day; `DataError` says which days there are."""
        if day not in self.days:
            near = sorted(self.days, key=lambda other: abs(other - day))[:3]
            known = ", ".join(str(other) for other in sorted(near)) or "none at all"
            raise DataError(f"no bars of {self.index_name} on {day}; the nearest recorded days are {known}")
        return self.days[day]

    def before(self, day: date, within: timedelta = timedelta(days=7)) -> tuple[Candle, ...]:
        """The bars of the last recorded session before ``day``, for warm-up; empty when the file has none so near."""
        earlier = [other for other in self.days if day - within <= other < day]
        return self.days[max(earlier)] if earlier else ()


def read_recording(path: Path, index_name: str = "") -> Recording:
    """Read a file; the index is ``index_name``, or guessed from the file's name.

    `ConfigError`: the file or its index cannot be known, or the Parquet reader is not installed. `DataError`: the file
    is corrupt, lacks a column, holds no bar of a session, or has rows that cannot be.
    """
    name = index_name.upper() or guess_index(path)
    if name not in INDICES:
        raise ConfigError(f"{name!r} is not an index known here; choose one of {', '.join(INDICES)}")
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    try:
        checked = check_bars(rows, INDICES[name])
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if not checked.candles:
        raise DataError(f"{path}: no row lies inside a session of {name}; is ts in epoch seconds UTC?")
    days: dict[date, list[Candle]] = {}
    for candle in checked.candles:
        days.setdefault(ist_day(candle.start_ns), []).append(candle)
    return Recording(name, {day: tuple(bars) for day, bars in days.items()}, tuple(checked.problems))


def read_minutes(path: Path, index_name: str = "") -> dict[date, tuple[Candle, ...]]:
    """The bars of `read_recording` alone, by day."""
    return read_recording(path, index_name).days


def guess_index(path: Path) -> str:
    """The index a file name speaks of: ``nifty_1m_2026.parquet`` is NIFTY."""
    letters = "".join(filter(str.isalnum, path.stem)).upper()
    for name in _NAMES:
        if name in letters:
            return name
    raise ConfigError(f"{path.name}: the name does not say which index it is; name one of {', '.join(INDICES)}")


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            f"{path}: reading Parquet needs pyarrow, which is not installed: pip install algo-scalper[recorded]"
        ) from None
    try:
        names = pq.read_schema(path).names
        _require(path, names)
        columns = pq.read_table(path, columns=list(_COLUMNS)).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from None
    for number, values in enumerate(zip(*(columns[name] for name in _COLUMNS), strict=True), start=1):
        yield _row(path, number, values)


def _csv_rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            _require(path, names)
            for number, record in enumerate(reader, start=1):
                yield _row(path, number, tuple(record[name] for name in _COLUMNS))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV file: {error}") from None


def _require(path: Path, names: list[str]) -> None:
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        raise DataError(
            f"{path}: the column {', '.join(missing)} is missing; needed are {', '.join(_COLUMNS)}, "
            f"found are {', '.join(names) or 'none'}"
        )


def _row(path: Path, number: int, values: tuple[object, ...]) -> Row:
    try:
        start, *prices = (float(str(value)) for value in values)
    except ValueError:
        raise DataError(f"{path}: row {number}: {values!r} are not numbers") from None
    return Row(int(start), *prices)
