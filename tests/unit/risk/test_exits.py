"""When out: the sentences of the rule book, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from algo_scalper.domain.decisions import ExitReason
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.risk.exits import clock_exit, price_exit, spread_is_normal

E = ExitReason
HALF = NS_PER_SECOND // 2


def out(**changed: Any) -> ExitReason:
    """A position bought at 100.00: stop 80.00, emergency 74.00, target 140.00, quoted at 100.00."""
    plain = {
        "bid_paise": 10_000,
        "ltp_paise": 10_000,
        "print_age_s": 0,
        "normal_spread": True,
        "below_stop_for_ns": -1,
        "stop_paise": 8_000,
        "emergency_paise": 7_400,
        "target_paise": 14_000,
        "trailing": False,
    }
    return price_exit(**{**plain, **changed})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, E.HOLD),
        # last <= stop with a print at most two seconds old
        ({"ltp_paise": 8_000}, E.STOP_LOSS),
        ({"ltp_paise": 8_005}, E.HOLD),
        ({"ltp_paise": 8_000, "print_age_s": 2}, E.STOP_LOSS),
        ({"ltp_paise": 8_000, "print_age_s": 3}, E.HOLD),
        ({"ltp_paise": 0}, E.HOLD),
        # or the bid is, with a spread at most twice the normal
        ({"bid_paise": 8_000, "ltp_paise": 9_000}, E.STOP_LOSS),
        ({"bid_paise": 8_000, "ltp_paise": 9_000, "normal_spread": False, "below_stop_for_ns": 0}, E.HOLD),
        ({"bid_paise": 8_005, "ltp_paise": 9_000}, E.HOLD),
        # or the bid is in two packets half a second apart
        ({"bid_paise": 8_000, "ltp_paise": 9_000, "normal_spread": False, "below_stop_for_ns": HALF}, E.STOP_LOSS),
        ({"bid_paise": 8_000, "ltp_paise": 9_000, "normal_spread": False, "below_stop_for_ns": HALF - 1}, E.HOLD),
        # the emergency stop on the first, by bid whatever the spread, or by a fresh print
        ({"bid_paise": 7_400, "normal_spread": False, "below_stop_for_ns": 0}, E.EMERGENCY_STOP),
        ({"bid_paise": 7_405, "normal_spread": False, "below_stop_for_ns": 0}, E.HOLD),
        ({"ltp_paise": 7_400}, E.EMERGENCY_STOP),
        ({"ltp_paise": 7_400, "print_age_s": 3}, E.HOLD),
        # an empty side is not a price of nothing
        ({"bid_paise": 0, "ltp_paise": 10_000}, E.HOLD),
        ({"bid_paise": 0, "ltp_paise": 8_000}, E.STOP_LOSS),
        # the target is what one could really get
        ({"bid_paise": 14_000}, E.TARGET),
        ({"bid_paise": 13_995, "ltp_paise": 14_500}, E.HOLD),
        # a stop that has moved says so, and severity decides between several
        ({"ltp_paise": 8_000, "trailing": True}, E.TRAILING_STOP),
        ({"ltp_paise": 7_000, "trailing": True}, E.EMERGENCY_STOP),
        ({"bid_paise": 14_000, "ltp_paise": 7_900}, E.STOP_LOSS),
    ],
)
def test_what_a_packet_says(changed: dict[str, Any], expected: ExitReason) -> None:
    assert out(**changed) is expected


@pytest.mark.parametrize(
    ("bid", "ask", "normal"),
    [
        (10_000, 10_005, True),
        (10_000, 10_042, True),  # 0.21 % of 100.00 is 0.21, twice that 0.42
        (10_000, 10_045, False),
        (1_000, 1_020, True),  # never less than two ticks, twice that 0.20
        (1_000, 1_025, False),
        (10_000, 0, False),
        (0, 10_000, False),
        (0, 0, False),
        (10_000, 10_000, False),  # locked or crossed is no spread at all
        (10_000, 9_995, False),
    ],
)
def test_a_normal_spread(bid: int, ask: int, normal: bool) -> None:
    assert spread_is_normal(bid, ask, 5) is normal


def clock(**changed: int) -> ExitReason:
    """A position of 44 minutes, seen, two hours before flat_by."""
    plain = {
        "now_ns": 1_000 * NS_PER_MINUTE,
        "flat_by_ns": 1_120 * NS_PER_MINUTE,
        "opened_ns": 956 * NS_PER_MINUTE,
        "time_stop_ns": 45 * NS_PER_MINUTE,
        "gain_bps": 0,
        "time_stop_under_bps": 500,
        "blind_for_ns": 0,
        "blind_ns": 10 * NS_PER_SECOND,
    }
    return clock_exit(**{**plain, **changed})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, E.HOLD),
        ({"flat_by_ns": 1_000 * NS_PER_MINUTE}, E.FLAT_BY),
        ({"flat_by_ns": 1_000 * NS_PER_MINUTE + 1}, E.HOLD),
        ({"flat_by_ns": 0}, E.FLAT_BY),
        ({"opened_ns": 955 * NS_PER_MINUTE}, E.TIME_STOP),
        ({"opened_ns": 955 * NS_PER_MINUTE, "gain_bps": 499}, E.TIME_STOP),
        ({"opened_ns": 955 * NS_PER_MINUTE, "gain_bps": 500}, E.HOLD),
        ({"opened_ns": 955 * NS_PER_MINUTE, "time_stop_ns": 0}, E.HOLD),
        ({"blind_for_ns": 10 * NS_PER_SECOND}, E.BLIND),
        ({"blind_for_ns": 10 * NS_PER_SECOND - 1}, E.HOLD),
        ({"blind_for_ns": 10 * NS_PER_SECOND, "blind_ns": 0}, E.HOLD),
        ({"flat_by_ns": 0, "blind_for_ns": 10 * NS_PER_SECOND, "opened_ns": 0}, E.FLAT_BY),
    ],
)
def test_what_a_second_says(changed: dict[str, int], expected: ExitReason) -> None:
    assert clock(**changed) is expected
