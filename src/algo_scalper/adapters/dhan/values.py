"""Reading Dhan's JSON: Java floats (``7140.0``, ``1.7375706E9``), numbers in strings, keys in two cases, sentinels."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Segment, instrument_key

Row = dict[str, object]

ABSENT_TEXTS = frozenset({"", "NA", "0001-01-01", "0001-01-01 00:00:00"})
"""How Dhan writes nothing."""

MOST = 1e15
"""No number of Dhan's is larger: a thousand trillion rupees or contracts."""

SMALLEST_TICK_PAISE = 5
"""Of the options we trade. A sum of fills is a multiple of it, whatever an average was rounded to."""


def number(value: object, what: str) -> float:
    """A JSON number or a number in a string; absent is 0. Raises DataError naming ``what``."""
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise DataError(f"{what}: {shown(value)} is not a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise DataError(f"{what}: {shown(value)} is not a number") from None
    if not abs(found) <= MOST:  # so that NaN is refused as well
        raise DataError(f"{what}: {shown(value)} is not a number Dhan could mean")
    return found


def shown(value: object, most: int = 60) -> str:
    """A value for a message, cut short. Python itself cannot print lists nested a thousand deep, or endless integers."""
    try:
        return repr(value)[:most]
    except (RecursionError, ValueError):
        return f"{type(value).__name__} too large to show"


def plain(words: str) -> str:
    """On one line, and without what would steer a terminal: for the words of a stranger that a person will read."""
    return words if words.isprintable() else "".join(one if one.isprintable() else " " for one in words)


def whole(value: object, what: str) -> int:
    """A whole number, however it is written (``65``, ``65.0``, ``"65"``). Raises DataError for anything else."""
    found = number(value, what)
    if found != int(found):
        raise DataError(f"{what}: {shown(value)} is not a whole number")
    return int(found)


def paise(value: object, what: str) -> int:
    """Rupees of the wire to paise, to the nearest one."""
    return round(number(value, what) * 100)


def text(value: object) -> str:
    """A string as it stands; numbers are printed. Absent, Dhan's words for absent and what is no text are empty."""
    if not isinstance(value, str | int | float):
        return ""
    found = str(value).strip()
    return "" if found in ABSENT_TEXTS else found


def pick(row: Row, *names: str) -> object:
    """The first of these keys that the row has, in its own case or with a capital (the docs print PascalCase)."""
    for name in names:
        if name in row:
            return row[name]
        capital = name[0].upper() + name[1:]
        if capital in row:
            return row[capital]
    return None


def segment_key(segment: object, security_id: object) -> int:
    """The instrument key of ``("NSE_FNO", "42500")``. Raises DataError for a segment or an id that is not one."""
    try:
        number_of = int(str(security_id))
        if 0 <= number_of < 1 << 32:
            return instrument_key(Segment[str(segment)], number_of)
    except (KeyError, ValueError, RecursionError):
        pass
    raise DataError(f"no such instrument: segment {shown(segment)}, security id {shown(security_id)}")


def iso_date(value: object, what: str) -> date:
    """``"2026-11-23"``, with or without a time behind it. Raises DataError."""
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except (ValueError, RecursionError):
        raise DataError(f"{what}: {shown(value)} is not a date") from None


def filled_value_paise(average_rupees: float, filled: int, grid_paise: int = SMALLEST_TICK_PAISE) -> int:
    """The sum of all fills from their printed average: the nearest multiple of ``grid_paise``.

    A sum of price x quantity is a multiple of the tick, and for whole lots of tick x lot. The coarser grid undoes an
    average that was cut to two decimals: 130 at 100.025, printed 100.03, is 13003.25 on the grid of 65 x 0.05.
    """
    return round(average_rupees * 100 * filled / grid_paise) * grid_paise
