"""Longer candles from one-minute ones, aligned to the session's clock."""

from __future__ import annotations

from typing import NamedTuple

from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import IST_OFFSET_NS, NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND

SESSION_OPEN_S = (9 * 60 + 15) * 60
"""Candles are counted from 09:15 IST of their day: five-minute ones start at 09:15, 09:20, ..."""


class Growing(NamedTuple):
    """A longer candle that is not finished; ``start_ns`` 0 means there is none."""

    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int


NOTHING_GROWING = Growing(0, 0, 0, 0, 0)


def frame_start_ns(at_ns: int, minutes: int) -> int:
    """The first instant of the ``minutes``-long frame that holds ``at_ns``."""
    into_day = (at_ns + IST_OFFSET_NS) % NS_PER_DAY
    return at_ns - (into_day - SESSION_OPEN_S * NS_PER_SECOND) % (minutes * NS_PER_MINUTE)


def grow_candle(growing: Growing, minute: Candle, minutes: int) -> tuple[Growing, tuple[Candle, ...]]:
    """Add a closed one-minute candle; give what grows on, and the longer candles this one closed, oldest first.

    The last minute of a frame closes it at once. Where minutes are missing, the first one of a later frame closes the
    unfinished candle with what it had, before its own begins; no minute is invented. Minutes must come in order.
    """
    start_ns = frame_start_ns(minute.start_ns, minutes)
    closed: tuple[Candle, ...] = ()
    if growing.start_ns and growing.start_ns != start_ns:
        closed = (Candle(*growing),)
        growing = NOTHING_GROWING

    if growing.start_ns:
        growing = Growing(
            start_ns,
            growing.open_paise,
            max(growing.high_paise, minute.high_paise),
            min(growing.low_paise, minute.low_paise),
            minute.close_paise,
        )
    else:
        growing = Growing(start_ns, minute.open_paise, minute.high_paise, minute.low_paise, minute.close_paise)

    if minute.start_ns + NS_PER_MINUTE == start_ns + minutes * NS_PER_MINUTE:
        return NOTHING_GROWING, (*closed, Candle(*growing))
    return growing, closed
