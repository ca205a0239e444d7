"""The bundled signal, condition by condition, then on real minutes."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from algo_scalper.domain.decisions import Direction
from algo_scalper.domain.rules import SignalRules
from algo_scalper.domain.units import NS_PER_MINUTE, ist_day, ist_ns, ist_second
from algo_scalper.indicators.adx import ADX_START
from algo_scalper.indicators.readings import NO_INDEX_READINGS, NO_READINGS, TrendReadings, index_step
from algo_scalper.indicators.supertrend import SupertrendState
from algo_scalper.indicators.true_range import ATR_START
from algo_scalper.indicators.volatility import NIFTY_2024
from algo_scalper.strategy.catalogue import SIGNALS, StrategyView
from algo_scalper.strategy.trend_signal import Unmet, first_unmet, trend_signal
from tests.unit.indicators.series import recorded

RULES = SignalRules("supertrend_adx", 10, 3.0, 14, 20.0, 18.0, carry_gap=False, on_flip_only=False)
ON_FLIP = msgspec.structs.replace(RULES, on_flip_only=True)
TEN_42 = ist_ns(date(2026, 1, 12), 10 * 3600 + 42 * 60)
TEN_35 = TEN_42 - 7 * NS_PER_MINUTE


def readings(direction: int, adx: float, start_ns: int, *, ready: bool = True, flipped: bool = False) -> TrendReadings:
    """Readings as they would be after some candle, close 25,000.00, bands at 24,950.00 and 25,050.00."""
    return TrendReadings(
        start_ns=start_ns,
        close_paise=2_500_000,
        ready=ready,
        flipped=flipped,
        atr_state=ATR_START,
        adx_state=ADX_START._replace(bars=50, adx=adx),
        supertrend_state=SupertrendState(50, direction, 2_505_000.0, 2_495_000.4, 2_500_000.0),
    )


def view(m1: TrendReadings | None = None, m5: TrendReadings | None = None) -> StrategyView:
    """Aligned upwards and strong, unless told otherwise."""
    return StrategyView(m1 or readings(1, 24.0, TEN_42), m5 or readings(1, 19.0, TEN_35))


def test_aligned_upwards_gives_a_signal_with_its_numbers() -> None:
    signal = trend_signal(view(), RULES)
    assert signal is not None
    assert signal.direction is Direction.UP
    assert signal.name == "supertrend_adx"
    assert signal.numbers == {
        "close_paise": 2_500_000,
        "supertrend_m1_paise": 2_495_000,
        "supertrend_m5_paise": 2_495_000,
        "trend_m1": 1,
        "trend_m5": 1,
        "adx_m1": 24.0,
        "adx_m1_min": 20.0,
        "adx_m5": 19.0,
        "adx_m5_min": 18.0,
    }


def test_aligned_downwards_is_as_good() -> None:
    signal = trend_signal(view(readings(-1, 24.0, TEN_42), readings(-1, 19.0, TEN_35)), RULES)
    assert signal is not None
    assert signal.direction is Direction.DOWN
    assert signal.numbers["supertrend_m1_paise"] == 2_505_000


@pytest.mark.parametrize(
    ("seen", "unmet"),
    [
        (view(m1=NO_READINGS), Unmet.NOT_READY),
        (view(m1=readings(1, 24.0, TEN_42, ready=False)), Unmet.NOT_READY),
        (view(m5=readings(1, 19.0, TEN_35, ready=False)), Unmet.NOT_READY),
        (view(m5=readings(1, 19.0, TEN_42 - 10 * NS_PER_MINUTE)), Unmet.CONFIRMATION_STALE),
        (view(m5=readings(-1, 19.0, TEN_35)), Unmet.TRENDS_DISAGREE),
        (view(m1=readings(1, 19.99, TEN_42)), Unmet.ADX_M1_LOW),
        (view(m5=readings(1, 17.99, TEN_35)), Unmet.ADX_M5_LOW),
    ],
)
def test_each_condition_alone_silences_it(seen: StrategyView, unmet: Unmet) -> None:
    assert first_unmet(seen, RULES) is unmet
    assert trend_signal(seen, RULES) is None


def test_thresholds_are_reached_by_equality() -> None:
    assert trend_signal(view(readings(1, 20.0, TEN_42), readings(1, 18.0, TEN_35)), RULES) is not None


def test_on_flip_only_wants_the_candle_that_turned() -> None:
    assert first_unmet(view(), ON_FLIP) is Unmet.NOT_A_TURN
    assert trend_signal(view(), ON_FLIP) is None
    assert trend_signal(view(m1=readings(1, 24.0, TEN_42, flipped=True)), ON_FLIP) is not None


def test_the_view_knows_the_minutes_of_the_session() -> None:
    assert view().minutes_since_open == 88
    assert view(m1=readings(1, 24.0, ist_ns(date(2026, 1, 12), 33_300))).minutes_since_open == 1


def test_the_catalogue_knows_it_by_its_configured_name() -> None:
    assert {"supertrend_adx": trend_signal} == SIGNALS


def test_on_recorded_days_it_speaks_on_most_of_them_in_both_directions() -> None:
    """Between 09:30 and 14:40; measured elsewhere: about four days in five trade, first near 09:43."""
    kept = NO_INDEX_READINGS
    first: dict[date, int] = {}
    sides: set[Direction] = set()
    days = set()
    for candle in recorded("nifty_1m_2026"):
        kept = index_step(kept, candle, RULES, NIFTY_2024)
        day, second = ist_day(candle.start_ns), ist_second(candle.start_ns) + 60
        days.add(day)
        signal = trend_signal(StrategyView(kept.m1, kept.m5), RULES)
        if signal is not None and 34_200 <= second <= 52_800:
            first.setdefault(day, second)
            sides.add(signal.direction)
    assert sides == {Direction.UP, Direction.DOWN}
    assert len(first) >= 0.8 * len(days)
    median = sorted(first.values())[len(first) // 2]
    assert 34_200 <= median <= 36_000
