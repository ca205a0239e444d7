"""Five-minute candles from minutes: alignment to the session, gaps, the last minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pytest

from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, clock_text, ist_ns
from algo_scalper.indicators.candles import NOTHING_GROWING, Growing, frame_start_ns, grow_candle
from tests.unit.indicators.series import generated, recorded

DAY = date(2026, 1, 12)


def minute(clock: str, open_: int, high: int, low: int, close: int, day: date = DAY) -> Candle:
    """A minute by its IST clock."""
    hour, minute_ = clock.split(":")
    return Candle(ist_ns(day, int(hour) * 3600 + int(minute_) * 60), open_, high, low, close)


def grow_all(minutes: Iterable[Candle], span: int = 5) -> tuple[list[Candle], Growing]:
    """Everything closed, and what is left growing."""
    growing = NOTHING_GROWING
    closed: list[Candle] = []
    for candle in minutes:
        growing, done = grow_candle(growing, candle, span)
        closed.extend(done)
    return closed, growing


def test_five_minutes_close_with_the_last_of_them() -> None:
    minutes = [
        minute("09:15", 100, 104, 99, 103),
        minute("09:16", 103, 109, 102, 108),
        minute("09:17", 108, 108, 95, 96),
        minute("09:18", 96, 97, 96, 97),
        minute("09:19", 97, 101, 97, 100),
    ]
    assert grow_all(minutes[:4])[0] == []
    assert grow_all(minutes) == ([minute("09:15", 100, 109, 95, 100)], NOTHING_GROWING)


def test_a_gap_closes_the_unfinished_candle_and_invents_nothing() -> None:
    closed, growing = grow_all(
        [
            minute("10:01", 100, 102, 99, 101),
            minute("10:02", 101, 103, 100, 102),
            minute("10:17", 200, 205, 199, 204),
        ]
    )
    assert closed == [minute("10:00", 100, 103, 99, 102)]
    assert clock_text(growing.start_ns) == "10:15:00"
    assert growing[1:] == (200, 205, 199, 204)


def test_one_minute_can_close_two_candles_oldest_first() -> None:
    closed, growing = grow_all([minute("10:02", 100, 102, 99, 101), minute("10:09", 110, 112, 109, 111)])
    assert closed == [minute("10:00", 100, 102, 99, 101), minute("10:05", 110, 112, 109, 111)]
    assert growing == NOTHING_GROWING


def test_the_night_closes_what_was_left_of_the_day() -> None:
    next_day = date(2026, 1, 13)
    closed, growing = grow_all([minute("15:13", 100, 102, 99, 101), minute("09:15", 110, 112, 109, 111, next_day)])
    assert closed == [minute("15:10", 100, 102, 99, 101)]
    assert growing.start_ns == ist_ns(next_day, 33_300)


@pytest.mark.parametrize(
    ("span", "clock", "start"),
    [
        (5, "09:19", "09:15"),
        (5, "15:29", "15:25"),
        (30, "09:50", "09:45"),
        (60, "10:14", "09:15"),
        (60, "10:15", "10:15"),
    ],
)
def test_frames_are_counted_from_the_open(span: int, clock: str, start: str) -> None:
    assert frame_start_ns(minute(clock, 1, 1, 1, 1).start_ns, span) == minute(start, 1, 1, 1, 1).start_ns


def test_one_minute_frames_are_the_minutes() -> None:
    candles = generated(60, 3)
    assert grow_all(candles, 1) == (candles, NOTHING_GROWING)


def test_real_days_against_a_group_by() -> None:
    """Every five-minute candle of 39 recorded days equals what grouping the minutes by clock gives."""
    minutes = recorded("nifty_1m_2026")
    groups: dict[int, list[Candle]] = {}
    for candle in minutes:
        groups.setdefault(candle.start_ns // (5 * NS_PER_MINUTE), []).append(candle)
    wanted = [
        Candle(
            start * 5 * NS_PER_MINUTE,
            group[0].open_paise,
            max(c.high_paise for c in group),
            min(c.low_paise for c in group),
            group[-1].close_paise,
        )
        for start, group in sorted(groups.items())
    ]
    closed, growing = grow_all(minutes)
    if growing != NOTHING_GROWING:
        closed.append(Candle(*growing))
    assert closed == wanted
