"""The size of a move for its time of day: hand-worked expectations, and how often real days pass five sigma."""

from __future__ import annotations

from datetime import date
from math import sqrt

import pytest

from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, ist_day, ist_ns
from algo_scalper.indicators.volatility import (
    CALM_START,
    CALMEST,
    NIFTY_2024,
    SIGMA_PROFILES,
    MoveReadings,
    SigmaProfile,
    liveliness_step,
    move_step,
    profile_sigma_bp,
)
from tests.unit.indicators.series import recorded

DAY = date(2026, 1, 12)
FLAT = SigmaProfile("a flat day of 10 bp", (555,), (10.0,))


def at(hour: int, minute: int, close: int, open_: int | None = None, day: date = DAY) -> Candle:
    """A minute of which only open and close matter."""
    first = close if open_ is None else open_
    return Candle(ist_ns(day, hour * 3600 + minute * 60), first, max(first, close), min(first, close), close)


def test_profile_by_clock() -> None:
    assert profile_sigma_bp(NIFTY_2024, 9 * 3600 + 15 * 60) == 22.0
    assert profile_sigma_bp(NIFTY_2024, 9 * 3600 + 16 * 60 + 59) == 8.2
    assert profile_sigma_bp(NIFTY_2024, 9 * 3600 + 17 * 60) == 5.1
    assert profile_sigma_bp(NIFTY_2024, 12 * 3600) == 3.7
    assert profile_sigma_bp(NIFTY_2024, 15 * 3600 + 29 * 60) == 2.7


def test_every_index_has_a_profile_in_order() -> None:
    assert set(SIGMA_PROFILES) == {"NIFTY", "BANKNIFTY", "FINNIFTY", "SENSEX"}
    for profile in SIGMA_PROFILES.values():
        assert list(profile.from_minute) == sorted(set(profile.from_minute))
        assert len(profile.from_minute) == len(profile.sigma_bp)
        assert min(profile.sigma_bp) > 0


def test_a_move_is_measured_against_what_was_expected_before_it() -> None:
    before = move_step(CALM_START, at(11, 0, 1_000_000), FLAT)
    now = move_step(before, at(11, 1, 995_000), FLAT)
    assert now.move_bp == pytest.approx(-50.0)
    # the first minute stood still: liveliness fell from 1 by its half-life of 30 minutes
    assert now.expected_bp == pytest.approx(10.0 * sqrt(0.5 ** (1 / 30)))
    assert now.sigmas == pytest.approx(5.0 / sqrt(0.5 ** (1 / 30)))


def test_the_first_minute_of_a_day_is_judged_from_its_own_open() -> None:
    before = move_step(CALM_START, at(15, 29, 1_000_000), FLAT)
    now = move_step(before, at(9, 15, 1_050_500, 1_050_000, date(2026, 1, 13)), FLAT)
    assert now.move_bp == pytest.approx(4.76, abs=0.01)
    assert now.expected_bp == 10.0


def test_after_missing_minutes_more_is_expected() -> None:
    before = MoveReadings(at(11, 0, 0).start_ns, 1_000_000, 1.0, 0.0, 10.0)
    now = move_step(before, at(11, 9, 1_003_000), FLAT)
    assert now.expected_bp == pytest.approx(30.0)
    assert now.sigmas == pytest.approx(1.0)


def test_one_spike_does_not_hide_the_next() -> None:
    calm = liveliness_step(1.0, 0.0)
    assert liveliness_step(1.0, 3.0) == liveliness_step(1.0, 30.0)
    assert calm < 1.0 < liveliness_step(1.0, 30.0) < 1.2


def test_a_dead_calm_has_a_bottom() -> None:
    liveliness = 1.0
    for _ in range(500):
        liveliness = liveliness_step(liveliness, 0.0)
    assert liveliness == CALMEST


def test_a_lively_day_expects_more() -> None:
    readings, price = CALM_START, 1_000_000
    for minute in range(180):
        price += 2_000 if minute % 2 else -2_000  # 20 bp each way, twice the profile
        readings = move_step(
            readings, Candle(at(10, 0, 1).start_ns + minute * NS_PER_MINUTE, price, price, price, price), FLAT
        )
    assert readings.expected_bp == pytest.approx(20.0, rel=0.03)


@pytest.mark.parametrize(("name", "index"), [("nifty_1m_2026", "NIFTY"), ("banknifty_1m_2021", "BANKNIFTY")])
def test_real_days(name: str, index: str) -> None:
    """On days the profile was not measured on: unit spread, and a five-sigma minute about once a day or less."""
    readings, sizes, days = CALM_START, [], set()
    for candle in recorded(name):
        readings = move_step(readings, candle, SIGMA_PROFILES[index])
        sizes.append(readings.sigmas)
        days.add(ist_day(candle.start_ns))
    spread = sqrt(sum(min(size, 5.0) ** 2 for size in sizes) / len(sizes))
    assert 0.9 < spread < 1.15
    assert 0.1 < sum(size > 5 for size in sizes) / len(days) < 1.5
