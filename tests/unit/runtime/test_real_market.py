"""When the real market is open, when it opens next, and what the settings say of its feeds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from algo_scalper.adapters.dhan.subscriptions import Mode
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import ist_ns, parse_clock_s
from algo_scalper.runtime.broker_account import broker_account
from algo_scalper.runtime.real_market import closed_text, dhan_market_of, next_session, session_today
from algo_scalper.runtime.settings import load_settings

KEYS = {"DHANHQ_CLIENT_ID": "1100000001", "DHANHQ_ACCESS_TOKEN": "eyJ.secret.word"}


def at(day: str, clock: str) -> int:
    return ist_ns(date.fromisoformat(day), parse_clock_s(clock, "test"))


@pytest.mark.parametrize(
    ("day", "clock", "says"),
    [
        ("2026-11-21", "18:30", "market closed, next session Mon 23 Nov 09:15"),  # a Saturday
        ("2026-11-23", "15:41", "market closed, next session Wed 25 Nov 09:15"),  # Tuesday 24th is a holiday
        ("2026-11-07", "12:00", "market closed, next session Mon 09 Nov 09:15"),  # Muhurat Sunday is skipped
    ],
)
def test_out_of_hours_the_next_session_is_named(day: str, clock: str, says: str) -> None:
    now_ns = at(day, clock)
    assert closed_text(next_session(now_ns)) == says
    with pytest.raises(ConfigError, match=says):
        session_today(now_ns)


@pytest.mark.parametrize("clock", ["08:45", "09:15", "12:00", "15:40"])
def test_from_half_an_hour_before_the_open_there_is_a_session(clock: str) -> None:
    hello = session_today(at("2026-11-23", clock))
    assert (hello.mode, hello.market, hello.day, hello.rate) == ("system", "REAL", "2026-11-23", 1.0)
    assert hello.close_ns == at("2026-11-23", "15:40")


def test_special_sessions_are_for_those_who_ask() -> None:
    session = next_session(at("2026-11-07", "12:00"), special=True)
    assert session.schedule.day == date(2026, 11, 8)


def test_feeds_switched_off_are_named_with_their_place(tmp_path: Path) -> None:
    said = {**KEYS, "DHANHQ_WS_ENABLED": "false", "DHANHQ_WS_MODE": "full"}
    settings = load_settings(said, tmp_path / "none")
    account = broker_account(settings, tmp_path, at("2026-11-23", "09:00"))
    market = dhan_market_of(settings, account)
    assert market.feed_off == "DHANHQ_WS_ENABLED=false from environment"
    assert market.order_feed_off == ""
    assert market.least_mode is Mode.FULL
    with pytest.raises(ConfigError, match="DHANHQ_WS_MODE='loud' is not known"):
        dhan_market_of(load_settings({"DHANHQ_WS_MODE": "loud"}, tmp_path / "none"), account)
