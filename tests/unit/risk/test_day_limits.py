"""The day's, the week's and the giveback limit, and what they leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.decisions import RefusalReason
from algo_scalper.domain.rules import LossPause
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.risk.day_limits import (
    budget_left_paise,
    day_loss_limit_paise,
    giveback_floor_paise,
    limit_refusal,
    pause_after,
)
from tests.unit.risk.beginner import LAKH, LIMIT_RULES

R = RefusalReason
paise = st.integers(-LAKH, LAKH)


def left(net: int = 0, peak: int = 0, week: int = 0) -> int:
    return budget_left_paise(LIMIT_RULES, LAKH, net, peak, week)


def refused(trades: int = 0, net: int = 0, peak: int = 0, week: int = 0) -> RefusalReason | None:
    refusal = limit_refusal(LIMIT_RULES, LAKH, trades, net, peak, week)
    return refusal.reason if refusal is not None else None


def test_four_percent_of_a_lakh_is_four_thousand() -> None:
    assert day_loss_limit_paise(LIMIT_RULES, LAKH) == 400_000
    assert left() == 400_000


def test_what_is_lost_is_gone_from_the_budget_and_what_is_won_is_added() -> None:
    assert left(net=-150_000) == 250_000
    assert left(net=100_000) == 500_000


def test_the_week_counts_the_days_before() -> None:
    assert left(week=-700_000) == 100_000, "8 % of a lakh is 8,000, 7,000 of it lost since Monday"
    assert left(week=-700_000, net=-100_000) == 0
    assert left(week=+300_000) == 400_000, "a good week lifts no day's limit"


def test_after_four_percent_won_half_is_kept() -> None:
    assert giveback_floor_paise(LIMIT_RULES, LAKH, 399_999) is None
    assert giveback_floor_paise(LIMIT_RULES, LAKH, 400_000) == 200_000
    assert left(net=450_000, peak=500_000) == 200_000, "down to 2,500 of a peak of 5,000"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, None),
        ({"trades": 3}, None),
        ({"trades": 4}, R.TRADES_PER_DAY),
        ({"net": -399_999}, None),
        ({"net": -400_000}, R.DAY_LOSS),
        ({"net": -100_000, "week": -699_999}, None),
        ({"net": -100_000, "week": -700_000}, R.WEEK_LOSS),
        ({"net": 250_001, "peak": 500_000}, None),
        ({"net": 250_000, "peak": 500_000}, R.GIVEBACK),
        ({"net": 100_000, "peak": 399_999}, None),
    ],
)
def test_each_limit_at_its_paisa(state: dict[str, int], reason: RefusalReason | None) -> None:
    assert refused(**state) is reason


@given(paise, st.integers(0, LAKH), paise)
def test_no_budget_and_a_refusal_are_the_same_thing(net: int, peak: int, week: int) -> None:
    peak = max(peak, net)
    assert (left(net, peak, week) <= 0) == (refused(0, net, peak, week) is not None)


def test_two_losses_pause_three_end_the_day() -> None:
    assert pause_after(LIMIT_RULES, 1) is None
    assert pause_after(LIMIT_RULES, 2) == LossPause(2, 30 * NS_PER_MINUTE)
    assert pause_after(LIMIT_RULES, 3) == LossPause(3, None)
    assert pause_after(LIMIT_RULES, 7) == LossPause(3, None)
