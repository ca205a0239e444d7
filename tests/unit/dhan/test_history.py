"""Bars: which of them are real, by the calendar of their date; how they are asked for; columns that do not fit."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from algo_scalper.adapters.dhan.endpoints import DAILY, INTRADAY, ROLLING_OPTIONS
from algo_scalper.adapters.dhan.failures import AnswerUnreadable
from algo_scalper.adapters.dhan.history import (
    Bar,
    DhanHistory,
    RollingBar,
    read_bars,
    read_days,
    read_rolling,
)
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.wire import read_reply
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import NIFTY, OptionType, Segment, instrument_key
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_day, ist_ns, ist_second, parse_clock_s
from tests.shared_data import shared
from tests.unit.dhan.doubles import CLIENT, HandClock, http_server, settings_for

OPTION = instrument_key(Segment.NSE_FNO, 42_500)
SHARE = instrument_key(Segment.NSE_EQ, 1333)
CRUDE = instrument_key(Segment.MCX_COMM, 455_907)
FLAT = (1.0, 1.0, 1.0, 1.0)


def second(clock: str) -> int:
    return parse_clock_s(clock, "test")


def bars_body(*rows: tuple[float, ...]) -> dict[str, Any]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    names = ("timestamp", "open", "high", "low", "close")
    found: dict[str, Any] = {name: list(column) for name, column in zip(names, columns, strict=True)}
    return found | {"volume": [0.0] * len(rows)}


def bar(day: date, clock: str, *prices: float) -> tuple[float, ...]:
    return (ist_ns(day, second(clock)) / NS_PER_SECOND, *prices)


def starts(body: object, key: int, expiry: date | None = None) -> list[int]:
    return [ist_second(one.start_ns) for one in read_bars(read_reply(INTRADAY, body), key, expiry)]


def recorded(name: str) -> tuple[dict[str, Any], Any]:
    found = json.loads(shared(f"data/dhan_fixtures/v2_charts_intraday/{name}.json").read_text())
    return found["request_body"], found["response_body"]


def test_a_real_week_of_minutes() -> None:
    body = json.loads(shared("wire_samples/rest/POST_v2_charts_intraday_200_01.body.json").read_text())
    bars = read_bars(read_reply(INTRADAY, body), NIFTY.key)
    assert len(body["timestamp"]) == 2251
    assert len(bars) == 6 * 375
    assert bars[0].open_paise == 2_593_510, "25935.099609375 on the wire"
    days = sorted({ist_day(one.start_ns) for one in bars})
    assert len(days) == 6
    for day in days:
        of_day = [ist_second(one.start_ns) for one in bars if ist_day(one.start_ns) == day]
        assert of_day == [33_300 + 60 * minute for minute in range(375)]
    assert all(c.low_paise <= min(c.open_paise, c.close_paise) <= c.high_paise for c in bars)
    assert all(c.open_paise % 5 == 0 for c in bars)


def test_real_bars_of_the_evening_and_of_the_close_are_left_out() -> None:
    _, body = recorded("200_8669f3e525")
    odd = {ist_second(round(at) * NS_PER_SECOND) for at in body["timestamp"]} - set(
        range(second("09:15"), second("15:30"), 300)
    )
    assert odd == {second("15:30"), second("18:50")}, "the closing print of two days, and the hour of the question"
    kept = starts(body, NIFTY.key)
    assert len(kept) == len(body["timestamp"]) - 3 == 3 * 75
    assert set(kept) == set(range(second("09:15"), second("15:30"), 300))


REGULAR = date(2026, 3, 9)
AUTUMN = date(2026, 9, 8)
LAST = date(2026, 12, 8)
"""A Tuesday under the hours announced for December, and an expiry of NIFTY."""
CLOCKS = ("09:00", "09:14", "09:15", "15:14", "15:15", "15:29", "15:30", "15:39", "15:40", "15:44", "15:45", "18:50")


@pytest.mark.parametrize(
    ("day", "key", "expiry", "first", "last"),
    [
        (REGULAR, NIFTY.key, None, "09:15", "15:29"),
        (REGULAR, OPTION, None, "09:15", "15:29"),
        (REGULAR, SHARE, None, "09:15", "15:29"),
        (AUTUMN, NIFTY.key, None, "09:15", "15:14"),
        (AUTUMN, OPTION, None, "09:15", "15:39"),
        (AUTUMN, OPTION, AUTUMN, "09:15", "15:39"),
        (AUTUMN, SHARE, None, "09:15", "15:14"),
        (LAST, NIFTY.key, None, "09:15", "15:29"),
        (LAST, OPTION, None, "09:15", "15:44"),
        (LAST, OPTION, LAST, "09:15", "15:29"),
        (LAST, CRUDE, None, "09:00", "18:50"),
    ],
)
def test_bars_are_kept_by_the_hours_of_their_date_and_instrument(
    day: date, key: int, expiry: date | None, first: str, last: str
) -> None:
    body = bars_body(*(bar(day, clock, *FLAT) for clock in CLOCKS))
    expected = [second(clock) for clock in CLOCKS if second(first) <= second(clock) <= second(last)]
    assert starts(body, key, expiry) == expected


@pytest.mark.parametrize(
    ("day", "clock", "kept"),
    [
        (date(2026, 3, 8), "10:00", False),  # a Sunday
        (date(2026, 3, 3), "10:00", False),  # a holiday
        (date(2026, 2, 1), "10:00", True),  # the Budget's Sunday
        (date(2024, 3, 2), "10:30", False),  # between the parts of a drill
        (date(2024, 3, 2), "11:30", True),
        (date(2025, 10, 21), "14:00", True),  # Muhurat
        (date(2025, 10, 21), "10:00", False),
    ],
)
def test_days_off_and_special_sessions(day: date, clock: str, kept: bool) -> None:
    assert bool(starts(bars_body(bar(day, clock, *FLAT)), NIFTY.key)) is kept


def test_a_flat_minute_inside_the_session_is_a_minute() -> None:
    assert starts(bars_body(bar(REGULAR, "12:00", *FLAT)), NIFTY.key) == [second("12:00")]


@pytest.mark.parametrize(
    "change",
    [
        {"close": []},
        {"open": [1.0]},
        {"volume": [1.0]},
        {"open_interest": [1.0]},
        {"open": [1.0, "nan"]},
        {"high": [1.0, "inf"]},
        {"low": [1.0, 1e300]},
        {"timestamp": [1.0, -1.0]},
        {"timestamp": [1.0, 1e18]},
        {"timestamp": [1.0, "nan"]},
    ],
)
def test_columns_that_do_not_fit_are_an_error(change: dict[str, object]) -> None:
    body = bars_body(bar(REGULAR, "12:00", *FLAT), bar(REGULAR, "12:01", *FLAT))
    assert len(starts(body, NIFTY.key)) == 2
    with pytest.raises(DataError, match="minutes of IDX_I:13"):
        starts(body | change, NIFTY.key)


@pytest.mark.parametrize("body", [[], {}, 3, {"open": 1}, {"open": [None]}, {"something": "else"}])
def test_what_is_no_set_of_columns_is_an_error(body: object) -> None:
    with pytest.raises(DataError, match="intraday"):
        read_reply(INTRADAY, body)


async def test_whole_days_are_asked_for_in_pieces_and_cut_here() -> None:
    first, last = date(2026, 1, 5), date(2026, 4, 20)
    async with http_server() as server:
        server.answers["/v2/charts/intraday"] = [
            (200, bars_body(bar(first, "09:15", 1, 1, 1, 1), bar(first, "09:16", 2, 2, 2, 2))),
            (200, bars_body(bar(last, "09:16", 4, 4, 4, 4), bar(last, "09:15", 3, 3, 3, 3))),
        ]
        rest = DhanRest(settings_for(server.port), HandClock())
        history = DhanHistory(rest)
        found = await history.intraday_minutes(NIFTY.key, ist_ns(first, 33_360), ist_ns(last, 33_360) + NS_PER_MINUTE)
        assert [candle.close_paise for candle in found] == [200, 300, 400]
        asked = [one.json for one in server.asked]
        assert [(one["fromDate"], one["toDate"]) for one in asked] == [
            ("2026-01-05 00:00:00", "2026-04-05 00:00:00"),
            ("2026-04-05 00:00:00", "2026-04-21 00:00:00"),
        ]
        assert asked[0] == {
            "dhanClientId": CLIENT,
            "securityId": "13",
            "exchangeSegment": "IDX_I",
            "instrument": "INDEX",
            "interval": "1",
            "oi": False,
            "fromDate": "2026-01-05 00:00:00",
            "toDate": "2026-04-05 00:00:00",
        }
        assert await history.intraday_minutes(NIFTY.key, 5, 5) == ()
        with pytest.raises(ValueError, match="bars of 30 minutes"):
            await history.intraday(NIFTY.key, "INDEX", 0, 1, interval_min=30)
        await rest.close()


async def test_option_minutes_with_open_interest() -> None:
    body = bars_body(bar(AUTUMN, "15:35", 100.05, 101, 99.95, 100.1)) | {"volume": [6.5e3], "open_interest": [1.3e6]}
    async with http_server() as server:
        server.answers["/v2/charts/intraday"] = [(200, body)]
        rest = DhanRest(settings_for(server.port), HandClock())
        from_ns = ist_ns(AUTUMN, 0)
        found = await DhanHistory(rest).intraday(
            OPTION, "OPTIDX", from_ns, from_ns + 86_400 * NS_PER_SECOND, interval_min=5, open_interest=True
        )
        start_ns = ist_ns(AUTUMN, second("15:35"))
        assert found == (Bar(start_ns, 10_005, 10_100, 9_995, 10_010, 6_500, 1_300_000),)
        asked = server.asked[0].json
        assert (asked["interval"], asked["oi"], asked["securityId"]) == ("5", True, "42500")
        await rest.close()


async def test_days_are_asked_for_with_the_day_after_the_last_and_cut_here() -> None:
    first, last = date(2026, 3, 5), date(2026, 3, 9)
    body = bars_body(*(bar(day, "00:00", *FLAT) for day in (first, date(2026, 3, 6), last, date(2026, 3, 10))))
    async with http_server() as server:
        server.answers["/v2/charts/historical"] = [(200, body)]
        rest = DhanRest(settings_for(server.port), HandClock())
        history = DhanHistory(rest)
        found = await history.daily(NIFTY.key, "INDEX", first, last)
        assert [ist_day(one.start_ns) for one in found] == [first, date(2026, 3, 6), last]
        assert (server.asked[0].json["fromDate"], server.asked[0].json["toDate"]) == ("2026-03-05", "2026-03-10")
        assert await history.daily(NIFTY.key, "INDEX", last, first) == ()
        await rest.close()


def test_real_days() -> None:
    path = shared("wire_samples/rest/POST_v2_charts_historical_200_02.json")
    body = json.loads(json.loads(path.read_text())["response"]["body_text"])
    days = read_days(read_reply(DAILY, body), SHARE)
    assert len(days) == len(body["timestamp"]) == 21
    assert all(ist_second(day.start_ns) == 0 for day in days)
    assert (days[0].open_paise, days[0].volume) == (85_300, 7_119_843)
    assert days[1].volume == 14_621_046, "1.4621046E7 on the wire"


def rolling_body(*rows: tuple[float, ...]) -> dict[str, Any]:
    columns = list(zip(*rows, strict=True))
    names = ("timestamp", "open", "high", "low", "close", "volume", "oi", "iv", "strike", "spot")
    return {"data": {"ce": {name: list(column) for name, column in zip(names, columns, strict=True)}, "pe": None}}


async def test_expired_options_are_asked_for_by_thirty_days() -> None:
    first, last = date(2026, 1, 5), date(2026, 2, 10)
    row = (*bar(first, "09:15", 100.05, 101, 99, 100), 6_500.0, 1.3e6, 12.5, 25_650.0, 25_642.8)
    late = (*bar(first, "15:30", *FLAT), 0.0, 0.0, 0.0, 25_650.0, 25_642.8)
    async with http_server() as server:
        server.answers["/v2/charts/rollingoption"] = [(200, rolling_body(row, late)), (200, {"data": {}})]
        rest = DhanRest(settings_for(server.port), HandClock())
        found = await DhanHistory(rest).rolling_options(NIFTY, OptionType.CE, first, last, strike="ATM+1")
        start_ns = ist_ns(first, second("09:15"))
        assert found == (
            RollingBar(start_ns, 10_005, 10_100, 9_900, 10_000, 6_500, 1_300_000, 2_565_000, 2_564_280, 12.5),
        )
        asked = [one.json for one in server.asked]
        assert [(one["fromDate"], one["toDate"]) for one in asked] == [
            ("2026-01-05", "2026-02-04"),
            ("2026-02-04", "2026-02-11"),
        ]
        assert asked[0]["securityId"] == 13, "a number, unlike everywhere else"
        assert (asked[0]["exchangeSegment"], asked[0]["expiryCode"]) == ("NSE_FNO", 1)
        assert (asked[0]["strike"], asked[0]["drvOptionType"]) == ("ATM+1", "CALL")
        with pytest.raises(ValueError, match="bars of 2 minutes"):
            await DhanHistory(rest).rolling_options(NIFTY, OptionType.CE, first, last, interval_min=2)
        await rest.close()


def test_the_side_that_was_not_asked_for_is_empty() -> None:
    options = read_reply(ROLLING_OPTIONS, rolling_body((*bar(REGULAR, "09:15", *FLAT), 0, 0, 0, 1, 1)))
    assert len(read_rolling(options, NIFTY, OptionType.CE)) == 1
    assert read_rolling(options, NIFTY, OptionType.PE) == ()


async def test_an_answer_that_is_no_set_of_columns_is_unreadable() -> None:
    async with http_server() as server:
        server.answers["/v2/charts/intraday"] = [(200, {"open": "soon"})]
        rest = DhanRest(settings_for(server.port), HandClock())
        with pytest.raises(AnswerUnreadable, match="intraday"):
            await DhanHistory(rest).intraday_minutes(NIFTY.key, 0, 1)
        await rest.close()
