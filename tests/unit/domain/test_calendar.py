"""The calendar against the exchange's own expiries, holidays and contract lists, and against recorded days."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from datetime import date, datetime, timedelta

import exchange_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from algo_scalper.domain.calendar import (
    DaySchedule,
    Interval,
    SessionKind,
    contract_end_ns,
    day_schedule,
    expiries,
    expiry_ns,
    flat_by_ns,
    is_monthly,
    is_trading_day,
    last_entry_ns,
    next_trading_day,
    previous_trading_day,
    years_to_expiry,
)
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import INDICES, Exchange
from algo_scalper.domain.units import IST, clock_text, ist_day, ist_ns
from tests.shared_data import shared

FIRST, LAST = date(2018, 1, 1), date(2026, 12, 31)
any_day = st.dates(FIRST, date(2028, 12, 31))
underlyings = st.sampled_from(list(INDICES))


def schedule_of(text: str, exchange: Exchange = Exchange.NSE) -> DaySchedule:
    schedule = day_schedule(date.fromisoformat(text), exchange)
    assert schedule is not None
    return schedule


def text_of(intervals: tuple[Interval, ...]) -> str:
    return " ".join(f"{clock_text(one.start_ns)[:5]}-{clock_text(one.end_ns)[:5]}" for one in intervals)


def clock(at_ns: int) -> str:
    return clock_text(at_ns)[:5]


def each_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


# --- which days ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # inside exchange_calendars
@pytest.mark.parametrize("exchange", list(Exchange))
def test_weekday_closures_are_those_of_exchange_calendars(exchange: Exchange) -> None:
    """The package knows no weekend session and no Muhurat; weekdays it knows."""
    package = exchange_calendars.get_calendar("XBOM", start=str(FIRST), end=str(LAST))
    sessions = {session.date() for session in package.sessions}
    muhurats = {date(2018, 11, 7), date(2021, 11, 4), date(2022, 10, 24), date(2024, 11, 1), date(2025, 10, 21)}
    weekdays = [day for day in each_day(FIRST, LAST) if day.weekday() < 5]
    assert {day for day in weekdays if is_trading_day(day, exchange)} == sessions | muhurats


def test_closed_weekdays_of_2026_are_the_exchanges() -> None:
    master = json.loads(shared("data/reference/nse_holiday_master_trading_20260715.json").read_text())
    listed = {datetime.strptime(row["tradingDate"], "%d-%b-%Y").replace(tzinfo=IST).date() for row in master["FO"]}
    closed = {day for day in each_day(date(2026, 1, 1), LAST) if not is_trading_day(day)}
    assert {day for day in listed if day.weekday() < 5} == {day for day in closed if day.weekday() < 5}


@pytest.mark.parametrize(
    "name", ["dhan_nifty_daily_2023_2026", "nifty_1m_2021", "nifty_1m_2024", "nifty_1m_2026", "banknifty_15m_2018_2023"]
)
def test_every_recorded_day_is_a_session(name: str) -> None:
    table = parquet.read_table(shared(f"data/parquet/{name}.parquet"), columns=["ts"])
    recorded = {ist_day(second * 1_000_000_000) for second in table["ts"].to_pylist()}
    assert len(recorded) > 30
    assert [day for day in sorted(recorded) if not is_trading_day(day)] == []


def test_the_daily_record_has_every_session_but_the_evening_ones() -> None:
    table = parquet.read_table(shared("data/parquet/dhan_nifty_daily_2023_2026.parquet"), columns=["ts"])
    recorded = {ist_day(second * 1_000_000_000) for second in table["ts"].to_pylist()}
    ours = {day for day in each_day(min(recorded), max(recorded)) if is_trading_day(day)}
    assert {day for day in ours - recorded if schedule_of(day.isoformat()).kind is not SessionKind.MUHURAT} == set()


def test_recorded_minutes_lie_inside_the_index_intervals() -> None:
    """All of 2024's recorded minutes, the drill days among them, but the test bars of the evening of 20 January."""
    table = parquet.read_table(shared("data/parquet/nifty_1m_2024.parquet"), columns=["ts"])
    minutes: dict[date, list[int]] = defaultdict(list)
    for second in table["ts"].to_pylist():
        minutes[ist_day(second * 1_000_000_000)].append(second * 1_000_000_000)
    for day, starts in minutes.items():
        schedule = schedule_of(day.isoformat())
        outside = [clock(at) for at in starts if not schedule.index_quoted(at)]
        assert outside == [] or day == date(2024, 1, 20), day
        length = sum(one.end_ns - one.start_ns for one in schedule.index) // 60_000_000_000
        assert len(starts) - len(outside) >= length - 5, day


def test_neighbouring_sessions() -> None:
    assert next_trading_day(date(2026, 11, 23)) == date(2026, 11, 25)
    assert previous_trading_day(date(2026, 11, 25)) == date(2026, 11, 23)
    assert next_trading_day(date(2026, 11, 21)) == date(2026, 11, 23)
    assert next_trading_day(date(2026, 1, 30)) == date(2026, 2, 1)
    assert previous_trading_day(date(2026, 11, 9)) == date(2026, 11, 8)


@given(any_day, st.sampled_from(list(Exchange)))
def test_next_and_previous_are_inverse_on_sessions(day: date, exchange: Exchange) -> None:
    after = next_trading_day(day, exchange)
    assert after > day
    assert is_trading_day(after, exchange)
    before = previous_trading_day(after, exchange)
    assert before <= day
    assert before == day or not is_trading_day(day, exchange)


# --- hours ---------------------------------------------------------------------------------------------------------

HOURS = [
    # day, kind, index, options, freeze, print, square-off, an expiring contract's end, flat_by, flat_by on expiry
    ("2026-07-31", "regular", "09:15-15:30", "09:15-15:30", "", "", "15:20", "15:30", "15:10", "15:10"),
    ("2026-08-03", "regular", "09:15-15:15", "09:15-15:40", "15:15-15:30", "15:29", "15:20", "15:40", "15:05", "15:05"),
    ("2026-11-23", "regular", "09:15-15:15", "09:15-15:40", "15:15-15:30", "15:29", "15:20", "15:40", "15:05", "15:05"),
    ("2026-12-04", "regular", "09:15-15:15", "09:15-15:40", "15:15-15:30", "15:29", "15:20", "15:40", "15:05", "15:05"),
    ("2026-12-07", "regular", "09:15-15:30", "09:15-15:45", "15:30-15:40", "15:39", "15:20", "15:30", "15:10", "15:10"),
    ("2026-02-01", "special", "09:15-15:30", "09:15-15:30", "", "", "15:20", "15:30", "15:10", "15:10"),
    ("2024-01-20", "special", "09:15-15:30", "09:15-15:30", "", "", "15:20", "15:30", "15:10", "15:10"),
    (
        "2024-03-02",
        "special",
        "09:15-10:00 11:30-12:30",
        "09:15-10:00 11:30-12:30",
        "",
        "",
        "",
        "12:30",
        "12:20",
        "12:20",
    ),
    ("2025-10-21", "muhurat", "13:45-14:45", "13:45-14:45", "", "", "", "14:45", "14:35", "14:35"),
    ("2026-11-08", "muhurat", "18:15-19:15", "18:15-19:15", "", "", "", "19:15", "19:05", "19:05"),
]


@pytest.mark.parametrize("row", HOURS, ids=[row[0] for row in HOURS])
@pytest.mark.parametrize("exchange", list(Exchange))
def test_the_hours_of_known_days(row: tuple[str, ...], exchange: Exchange) -> None:
    day, kind, index, options, freeze, print_at, square_off, expiring_end, flat_by, flat_by_expiring = row
    schedule = schedule_of(day, exchange)
    assert schedule.kind == kind
    assert text_of(schedule.index) == index
    assert text_of(schedule.options) == options
    assert (text_of((schedule.freeze,)) if schedule.freeze else "") == freeze
    assert (clock(schedule.print_ns) if schedule.print_ns else "") == print_at
    assert (clock(schedule.square_off_ns) if schedule.square_off_ns else "") == square_off
    assert clock(contract_end_ns(schedule, schedule.day)) == expiring_end
    assert clock(contract_end_ns(schedule, schedule.day + timedelta(days=7))) == options[-5:]
    assert clock(flat_by_ns(schedule, expires_today=False)) == flat_by
    assert clock(flat_by_ns(schedule, expires_today=True)) == flat_by_expiring


def test_the_last_entry_is_25_minutes_before_flat_by() -> None:
    assert clock(last_entry_ns(flat_by_ns(schedule_of("2026-11-23"), expires_today=True))) == "14:40"
    assert clock(last_entry_ns(flat_by_ns(schedule_of("2026-12-08"), expires_today=True))) == "14:45"


def test_closed_days_have_no_schedule() -> None:
    for day in (date(2026, 11, 24), date(2026, 11, 21), date(2026, 12, 25), date(2027, 1, 26)):
        assert day_schedule(day) is None


def test_intervals_are_half_open() -> None:
    schedule = schedule_of("2024-03-02")
    day = schedule.day
    assert schedule.index_quoted(ist_ns(day, 9 * 3600 + 15 * 60))
    assert schedule.options_open(ist_ns(day, 10 * 3600) - 1)
    assert not schedule.index_quoted(ist_ns(day, 10 * 3600))
    assert not schedule.options_open(ist_ns(day, 11 * 3600))
    assert schedule.options_open(ist_ns(day, 12 * 3600))
    frozen = schedule_of("2026-11-23")
    at = ist_ns(frozen.day, 15 * 3600 + 20 * 60)
    assert frozen.options_open(at)
    assert not frozen.index_quoted(at)
    assert frozen.freeze is not None
    assert frozen.freeze.holds(at)


@given(st.dates(FIRST, date(2028, 12, 31)), st.sampled_from(list(Exchange)))
def test_every_schedule_is_in_order(day: date, exchange: Exchange) -> None:
    schedule = day_schedule(day, exchange)
    assert (schedule is not None) == is_trading_day(day, exchange)
    if schedule is None:
        return
    for intervals in (schedule.index, schedule.options):
        edges = [edge for one in intervals for edge in (one.start_ns, one.end_ns)]
        assert edges == sorted(set(edges))
        assert {ist_day(edge) for edge in edges} == {day}
    for expires_today in (False, True):
        flat_by = flat_by_ns(schedule, expires_today)
        assert schedule.options_open(flat_by)
        assert schedule.index_quoted(last_entry_ns(flat_by))
        assert not schedule.square_off_ns or flat_by < schedule.square_off_ns
    if schedule.freeze:
        assert schedule.freeze.start_ns == schedule.index[-1].end_ns
        assert schedule.freeze.holds(schedule.print_ns)
        assert schedule.freeze.end_ns <= schedule.options[-1].end_ns


# --- what people are told ------------------------------------------------------------------------------------------


def test_the_nasty_monday_in_november() -> None:
    said = " ".join(schedule_of("2026-11-23").oddities)
    assert "NIFTY (monthly), BANKNIFTY (monthly), FINNIFTY (monthly)" in said
    assert "moved from Tue 24 Nov" in said
    assert "Closed on Tue 24 Nov; next session Wed 25 Nov" in said
    assert "stop at 15:40" in said
    assert "frozen from 15:15" in said
    assert "SENSEX" not in said


@pytest.mark.parametrize(
    ("day", "exchange", "words"),
    [
        ("2026-08-03", Exchange.NSE, "New hours from today: index 09:15-15:15, options 09:15-15:40"),
        ("2026-12-07", Exchange.NSE, "New hours from today: index 09:15-15:30, options 09:15-15:45"),
        ("2026-12-07", Exchange.NSE, "known from one source"),
        ("2026-12-08", Exchange.NSE, "NIFTY (weekly); these contracts stop at 15:30"),
        ("2026-11-26", Exchange.BSE, "Expiry today: SENSEX (monthly); these"),
        ("2026-05-27", Exchange.BSE, "SENSEX (monthly), moved from Thu 28 May, a holiday"),
        ("2026-11-09", Exchange.NSE, "NIFTY (weekly), moved from Tue 10 Nov, a holiday"),
        ("2026-02-01", Exchange.NSE, "Sunday session for the Budget"),
        ("2024-05-18", Exchange.NSE, "two parts: 09:15-10:00 and 11:30-12:30"),
        ("2026-11-06", Exchange.NSE, "next session is a special one, on Sun 8 Nov"),
        ("2026-11-08", Exchange.NSE, "provisional"),
        ("2027-02-03", Exchange.NSE, "No holiday table for 2027"),
    ],
)
def test_oddities_are_said_in_words(day: str, exchange: Exchange, words: str) -> None:
    assert words in " ".join(schedule_of(day, exchange).oddities)


def test_an_ordinary_day_has_nothing_to_say() -> None:
    assert schedule_of("2026-07-15").oddities == ()


# --- expiries ------------------------------------------------------------------------------------------------------


def test_nifty_expiries_are_the_exchanges_own() -> None:
    """296 expiries from the exchange's daily files, 2021 to 2026."""
    rows = parquet.read_table(shared("data/reference/nse_actual_expiry_calendar.parquet")).to_pylist()
    kinds = {date.fromisoformat(row["actual_expiry_date"]): row["expiry_type"] for row in rows}
    first, last = min(kinds), max(day for day, kind in kinds.items() if kind == "weekly")
    ours, day = [], first
    while day <= last:
        ours.append(expiries("NIFTY", day, 1)[0])
        day = ours[-1] + timedelta(days=1)
    assert len(ours) > 280
    assert ours == sorted(day for day in kinds if day <= last)
    for expiry, kind in kinds.items():
        assert is_monthly("NIFTY", expiry) is (kind != "weekly"), expiry


def test_the_contracts_listed_in_the_broker_master() -> None:
    """Every NIFTY, BANKNIFTY, FINNIFTY and SENSEX option expiry in the master of 10 February 2026, and no other."""
    path = shared("data/scrip_master/api-scrip-master_2026-02-10.csv.gz")
    listed: dict[str, set[date]] = defaultdict(set)
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            name = row["SEM_TRADING_SYMBOL"].split("-")[0]
            if row["SEM_INSTRUMENT_NAME"] == "OPTIDX" and name in INDICES:
                listed[name].add(date.fromisoformat(row["SEM_EXPIRY_DATE"][:10]))
    assert set(listed) == set(INDICES)
    for name, dates in listed.items():
        assert expiries(name, date(2026, 2, 10), 100) == tuple(sorted(dates)), name


def test_monthlies_of_the_daily_files_are_ours() -> None:
    """Contracts traded on their own last day, January to February 2025 and January to March 2026."""
    columns = ["date", "symbol", "instr", "expiry"]
    table = parquet.read_table(shared("data/parquet/nse_fo_bhavcopy_index_2025jan_2026feb.parquet"), columns=columns)
    ended = {
        (row["symbol"], date.fromisoformat(str(row["expiry"])))
        for row in table.to_pylist()
        if row["instr"] == "IDO" and str(row["expiry"]) == str(row["date"]) and row["symbol"] in INDICES
    }
    assert len(ended) > 10
    for symbol, expiry in sorted(ended):
        assert expiries(symbol, expiry, 1) == (expiry,)
        assert is_monthly(symbol, expiry) or symbol == "NIFTY"


@pytest.mark.parametrize(
    ("underlying", "day", "dates"),
    [
        ("NIFTY", "2026-11-21", "2026-11-23 2026-12-01 2026-12-08 2026-12-15 2026-12-22 2026-12-29"),
        ("SENSEX", "2026-11-21", "2026-11-26 2026-12-03 2026-12-10 2026-12-17 2026-12-24 2026-12-31"),
        ("BANKNIFTY", "2026-11-24", "2026-12-29"),
        ("FINNIFTY", "2026-11-21", "2026-11-23"),
        ("NIFTY", "2025-08-28", "2025-08-28 2025-09-02"),  # the last Thursday, the first Tuesday
        ("SENSEX", "2026-01-12", "2026-01-14 2026-01-22"),
        ("SENSEX", "2026-03-24", "2026-03-25 2026-04-02"),
        ("SENSEX", "2025-08-26", "2025-08-26 2025-09-04"),
        # Weeklies moved to Wednesday while monthlies stayed on Thursday, which then replaced the week's Wednesday.
        ("BANKNIFTY", "2023-09-01", "2023-09-06 2023-09-13 2023-09-20 2023-09-28 2023-10-04"),
        ("BANKNIFTY", "2024-02-22", "2024-02-29 2024-03-06"),
        ("BANKNIFTY", "2024-11-13", "2024-11-13 2024-11-27 2024-12-24"),
        ("FINNIFTY", "2021-10-14", "2021-10-14 2021-10-19"),
    ],
)
def test_known_expiries(underlying: str, day: str, dates: str) -> None:
    expected = tuple(date.fromisoformat(text) for text in dates.split())
    assert expiries(underlying, date.fromisoformat(day), len(expected)) == expected


def test_shifted_expiries_of_2026() -> None:
    for text in ("03-02", "03-30", "04-13", "10-19", "11-09", "11-23"):
        expiry = date.fromisoformat(f"2026-{text}")
        assert expiry.weekday() == 0
        assert expiries("NIFTY", expiry, 1) == (expiry,)


@given(underlyings, any_day)
def test_listed_expiries_are_sessions_in_order(underlying: str, day: date) -> None:
    listed = expiries(underlying, day, 100)
    assert listed == tuple(sorted(set(listed)))
    assert listed[0] >= day
    assert all(is_trading_day(expiry, INDICES[underlying].exchange) for expiry in listed)
    assert sum(is_monthly(underlying, expiry) for expiry in listed) >= 3
    assert expiries(underlying, day, 2) == listed[:2]
    assert expiries(underlying, listed[0], 1) == listed[:1]


def test_an_underlying_without_a_cycle_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"MIDCPNIFTY.*known are NIFTY"):
        expiries("MIDCPNIFTY", date(2026, 11, 23), 1)
    with pytest.raises(ConfigError, match="MIDCPNIFTY"):
        is_monthly("MIDCPNIFTY", date(2026, 11, 23))


# --- time to expiry ------------------------------------------------------------------------------------------------


def test_time_to_expiry_is_act_365_to_half_past_three() -> None:
    expiry = date(2026, 12, 1)
    assert clock(expiry_ns(expiry)) == "15:30"
    at_ns = ist_ns(date(2026, 11, 23), 15 * 3600 + 1800)
    assert years_to_expiry(at_ns, expiry) == 8 / 365
    assert years_to_expiry(ist_ns(expiry, 12 * 3600 + 1800), expiry) == pytest.approx(3 / 24 / 365)
    assert years_to_expiry(expiry_ns(expiry) + 1, expiry) == 0.0
