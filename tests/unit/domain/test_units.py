"""Paise, basis points, ticks and clock times: parsing, rounding and printing."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import (
    NS_PER_SECOND,
    apply_bps,
    clock_text,
    ist_day,
    ist_ns,
    ist_second,
    parse_clock_s,
    parse_duration_ns,
    parse_percent_bps,
    percent_text,
    ratio_bps,
    rupees_text,
    tick_down,
    tick_nearest,
    tick_up,
)

prices = st.integers(min_value=0, max_value=10**9)
ticks = st.sampled_from([1, 5, 10, 20])


@pytest.mark.parametrize(
    ("paise", "bps", "expected"),
    [(10_000, 2_000, 2_000), (1, 5_000, 1), (-1, 5_000, -1), (1, 4_999, 0), (3, 5_000, 2), (-3, 5_000, -2), (0, 7, 0)],
)
def test_bps_round_half_away_from_zero(paise: int, bps: int, expected: int) -> None:
    assert apply_bps(paise, bps) == expected


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**6))
def test_bps_of_a_loss_mirror_those_of_a_gain(paise: int, bps: int) -> None:
    assert apply_bps(-paise, bps) == -apply_bps(paise, bps)


def test_ratio_in_bps() -> None:
    assert ratio_bps(1, 3) == 3_333
    assert ratio_bps(-1, 3) == -3_334
    assert ratio_bps(5, 0) == 0


@given(prices, ticks)
def test_ticks_enclose_the_price(paise: int, tick: int) -> None:
    down, up = tick_down(paise, tick), tick_up(paise, tick)
    assert down % tick == 0
    assert up % tick == 0
    assert down <= paise <= up < down + 2 * tick
    assert (down == up) is (paise % tick == 0)


@given(st.integers(min_value=0, max_value=5_000_000))
def test_a_float32_price_finds_its_tick_again(steps: int) -> None:
    """Dhan sends float32: up to Rs 2,50,000 in ticks of five paise nothing is lost."""
    paise = steps * 5
    (wire,) = struct.unpack("<f", struct.pack("<f", paise / 100))
    assert tick_nearest(wire, 5) == paise


@pytest.mark.parametrize(
    ("text", "bps"), [("20%", 2_000), (" 0.75 %", 75), ("-3.5%", -350), ("+15%", 1_500), ("0.01%", 1)]
)
def test_percentages(text: str, bps: int) -> None:
    assert parse_percent_bps(text, "exit.stop") == bps


@pytest.mark.parametrize("text", ["20", "0.2", "%", "20 percent", "", "1e2%", "20%%", None, 20])
def test_a_percentage_without_its_sign_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"exit\.stop.*not a percentage"):
        parse_percent_bps(text, "exit.stop")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("180s", 180 * NS_PER_SECOND),
        ("45m", 2_700 * NS_PER_SECOND),
        ("250ms", 250_000_000),
        ("1.5h", 5_400 * NS_PER_SECOND),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration_ns(text, "exit.time_stop") == ns


@pytest.mark.parametrize("text", ["180", "3 days", "-5s", "s", "", "5 S"])
def test_a_duration_without_its_unit_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"fresh\.index.*not a duration"):
        parse_duration_ns(text, "fresh.index")


@pytest.mark.parametrize(("text", "second"), [("09:30", 34_200), ("9:05", 32_700), ("15:20:30", 55_230), ("00:00", 0)])
def test_clock_times(text: str, second: int) -> None:
    assert parse_clock_s(text, "session") == second


@pytest.mark.parametrize("text", ["24:00", "12:60", "10:00:60", "930", "", "9:5", 905])
def test_impossible_clock_times_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a time of day"):
        parse_clock_s(text, "session")


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, 86_399))
def test_a_wall_time_comes_back(day: date, second: int) -> None:
    at_ns = ist_ns(day, second)
    assert (ist_day(at_ns), ist_second(at_ns)) == (day, second)
    in_utc = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second - 19_800)
    assert at_ns == int(in_utc.timestamp()) * NS_PER_SECOND


def test_texts_for_people() -> None:
    assert clock_text(ist_ns(date(2026, 11, 23), 38_527)) == "10:42:07"
    assert percent_text(2_050) == "20.50%"
    assert percent_text(-5) == "-0.05%"


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (99_900, "999.00"),
        (100_000, "1,000.00"),
        (1_23_456_70, "1,23,456.70"),
        (12_34_56_789_01, "12,34,56,789.01"),
        (-1_00_000_00, "-1,00,000.00"),
        (-7, "-0.07"),
    ],
)
def test_rupees_in_indian_grouping(paise: int, text: str) -> None:
    assert rupees_text(paise) == text


@given(st.integers(-(10**15), 10**15))
def test_printed_rupees_read_back(paise: int) -> None:
    assert Decimal(rupees_text(paise).replace(",", "")) * 100 == paise
