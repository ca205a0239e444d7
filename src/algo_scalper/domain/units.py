"""Paise, basis points, nanoseconds and ticks: parse, round and print, nothing else.

Money is integer paise, distances are integer basis points (1 bp = 0.01 %), times are UTC nanoseconds
since 1970. Names end with their unit: ``ltp_paise``, ``stop_bps``, ``at_ns``.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from algo_scalper.domain.errors import ConfigError

NS_PER_MS = 1_000_000
NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_DAY = 86_400 * NS_PER_SECOND
BPS = 10_000

IST = timezone(timedelta(hours=5, minutes=30), "IST")
IST_OFFSET_S = 19_800
IST_OFFSET_NS = IST_OFFSET_S * NS_PER_SECOND

_PERCENT = re.compile(r"^([+-]?\d+(?:\.\d+)?)\s*%$")
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$")
_CLOCK = re.compile(r"^(\d{1,2}):(\d{2})(?::(\d{2}))?$")
_DURATION_NS = {"ms": NS_PER_MS, "s": NS_PER_SECOND, "m": NS_PER_MINUTE, "h": 60 * NS_PER_MINUTE}


def apply_bps(paise: int, bps: int) -> int:
    """``bps`` of ``paise``, rounded half away from zero: ``apply_bps(10_000, 2_000) == 2_000``."""
    product = paise * bps
    half = BPS // 2
    return (product + half) // BPS if product >= 0 else -((-product + half) // BPS)


def ratio_bps(part_paise: int, whole_paise: int) -> int:
    """``part / whole`` in basis points, towards minus infinity; 0 when the whole is 0."""
    return part_paise * BPS // whole_paise if whole_paise else 0


def tick_down(paise: int, tick_paise: int) -> int:
    """The highest multiple of the tick that is not above ``paise``."""
    return paise // tick_paise * tick_paise


def tick_up(paise: int, tick_paise: int) -> int:
    """The lowest multiple of the tick that is not below ``paise``."""
    return -(-paise // tick_paise) * tick_paise


def tick_nearest(rupees: float, tick_paise: int) -> int:
    """Paise of a rupee float from the wire, rounded once to the instrument's tick.

    Dhan sends float32. Rounding to whole paise goes wrong from Rs 1,31,072; to the nearest tick it does not.
    """
    return round(rupees * 100 / tick_paise) * tick_paise


def parse_percent_bps(text: str, where: str) -> int:
    """``"20%" -> 2000``. The sign of unit is required, so that nobody guesses what 0.2 meant."""
    found = _PERCENT.match(str(text).strip())
    if not found:
        raise ConfigError(f"{where}: {text!r} is not a percentage; write it with its sign, for example 20%")
    return round(float(found[1]) * 100)


def parse_duration_ns(text: str, where: str) -> int:
    """``"180s" -> 180_000_000_000``; units ms, s, m, h."""
    found = _DURATION.match(str(text).strip())
    if not found:
        raise ConfigError(f"{where}: {text!r} is not a duration; write it with its unit, for example 180s or 45m")
    return round(float(found[1]) * _DURATION_NS[found[2]])


def parse_clock_s(text: str, where: str) -> int:
    """``"09:30" -> 34_200``: seconds since IST midnight."""
    found = _CLOCK.match(str(text).strip())
    if not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        raise ConfigError(f"{where}: {text!r} is not a time of day; write it as 09:30 (quoted in YAML)")
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)


def ist_ns(day: date, second_of_day: int) -> int:
    """UTC nanoseconds of an IST wall time, given as a day and seconds since its midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (int(midnight.timestamp()) - IST_OFFSET_S + second_of_day) * NS_PER_SECOND


def ist_day(at_ns: int) -> date:
    """The IST calendar date of an instant."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, IST).date()


def ist_second(at_ns: int) -> int:
    """Seconds since IST midnight of an instant."""
    return (at_ns // NS_PER_SECOND + IST_OFFSET_S) % 86_400


def clock_text(at_ns: int) -> str:
    """``"10:42:07"`` in IST."""
    second = ist_second(at_ns)
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def rupees_text(paise: int) -> str:
    """``12345670 -> "1,23,456.70"`` with Indian grouping and a leading minus where due."""
    sign = "-" if paise < 0 else ""
    whole, part = divmod(abs(paise), 100)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return f"{sign}{','.join([*groups, tail])}.{part:02d}"


def percent_text(bps: int) -> str:
    """``2050 -> "20.50%"``."""
    return f"{bps / 100:.2f}%"
