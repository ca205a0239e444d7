"""Index paths: recorded bars are hit exactly, following indices follow, the closing auction freezes and jumps."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from math import hypot, log
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.instruments import BANKNIFTY, INDICES, NIFTY, SENSEX
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, clock_text, ist_ns
from algo_scalper.runtime.recordings import read_recording
from algo_scalper.simulation.market import MarketDay, recorded_day, synthetic_day
from algo_scalper.simulation.paths import (
    Axis,
    bridge,
    follow,
    following_logs,
    minute_bars,
    minute_factors,
    minute_sigma,
)
from tests.shared_data import shared


@given(
    prices=st.tuples(*[st.integers(1_000, 6_000)] * 4),
    seed=st.integers(0, 2**64 - 1),
    tick=st.sampled_from([1, 5]),
)
def test_a_bridge_hits_open_high_low_and_close_and_stays_inside(prices: tuple[int, ...], seed: int, tick: int) -> None:
    first, last, one, other = (price * tick for price in prices)
    high, low = max(prices) * tick, min(prices) * tick
    walked = bridge(Candle(0, first, high, low, last), tick, seed)
    assert len(walked) == 60
    assert (walked[0], max(walked), min(walked), walked[-1]) == (first, high, low, last)
    assert all(price % tick == 0 for price in walked)
    assert {one, other} <= set(range(low, high + 1))


def test_rising_bars_mostly_visit_the_low_first_and_falling_ones_the_high() -> None:
    def low_first(last: int) -> float:
        bar = Candle(0, 10_000, 10_300, 9_700, last)
        walks = [bridge(bar, 5, seed) for seed in range(300)]
        return fmean(walk.index(9_700) < walk.index(10_300) for walk in walks)

    assert low_first(10_200) == pytest.approx(0.75, abs=0.08)
    assert low_first(9_800) == pytest.approx(0.25, abs=0.08)


def recorded(path: str, day: date, seed: int = 3) -> tuple[MarketDay, tuple[Candle, ...]]:
    recording = read_recording(shared(f"data/parquet/{path}.parquet"))
    bars = recording.day(day)
    return recorded_day(recording.index_name, bars, recording.before(day), day, seed), bars


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("nifty_1m_2026", date(2026, 2, 3)),  # a gap of 478 bp
        ("nifty_1m_2026", date(2026, 2, 1)),  # a Sunday
        ("nifty_1m_2026", date(2026, 3, 9)),  # the recording ends early
        ("nifty_1m_2024", date(2024, 6, 4)),  # -5 %
        ("nifty_1m_2024", date(2024, 3, 2)),  # two sessions with a pause
        ("sensex_1m_2026jun", date(2026, 6, 5)),
        ("banknifty_1m_2021", date(2021, 3, 31)),  # a recorder that stopped for an hour
    ],
)
def test_every_bar_of_a_recorded_day_comes_out_again(path: str, day: date) -> None:
    market, bars = recorded(path, day)
    name = next(name for name in INDICES if path.upper().startswith(name))
    line = market.line(INDICES[name].key)
    prints = bytearray(line.prints(second) for second in range(market.axis.seconds))
    prices = [line.quote(second).tick.ltp_paise for second in range(market.axis.seconds)]
    assert minute_bars(market.axis, prices, prints) == bars


def test_minutes_a_recording_misses_print_nothing_and_options_go_on() -> None:
    market, bars = recorded("nifty_1m_2021", date(2021, 3, 31))
    starts = {bar.start_ns for bar in bars}
    missing = next(ns for ns in range(bars[0].start_ns, bars[-1].start_ns, NS_PER_MINUTE) if ns not in starts)
    second = market.axis.second_of(missing)
    assert not any(market.line(NIFTY.key).prints(second + n) for n in range(60))
    contract = market.contracts[len(market.contracts) // 4]
    assert all(market.line(contract.key).prints(second + n) for n in range(60))
    stale = market.quote(NIFTY.key, missing + 30 * 10**9).tick
    assert stale.exchange_s == missing // 10**9 - 1
    assert stale.ltp_paise == next(bar.close_paise for bar in bars if bar.start_ns == missing - NS_PER_MINUTE)


def test_when_a_recording_ends_early_the_index_is_quiet_and_the_market_lives_on() -> None:
    market, bars = recorded("nifty_1m_2026", date(2026, 3, 9))
    end_ns = bars[-1].start_ns + NS_PER_MINUTE
    assert clock_text(end_ns) == "13:19:00"
    late = ist_ns(market.day, 15 * 3600)
    assert not market.line(NIFTY.key).prints(market.axis.second_of(late))
    assert market.index_paise("NIFTY", late) == bars[-1].close_paise
    assert market.truth_paise("NIFTY", late) != bars[-1].close_paise
    assert len(market.history(NIFTY.key, late)) == 375 + len(bars)


def returns(bars: tuple[Candle, ...]) -> list[float]:
    return [log(bar.close_paise / before.close_paise) for before, bar in pairwise(bars[1:])]


@pytest.mark.parametrize(("name", "beta", "correlation"), [("BANKNIFTY", 1.07, 0.80), ("SENSEX", 1.0, 0.92)])
def test_followers_have_the_measured_beta_and_correlation(name: str, beta: float, correlation: float) -> None:
    xs: list[float] = []
    ys: list[float] = []
    for seed in range(6):
        market = synthetic_day(date(2026, 5, 12), seed)
        end = ist_ns(market.day, 86_399)
        xs += returns(market.history(NIFTY.key, end)[-375:])
        ys += returns(market.history(INDICES[name].key, end)[-375:])
    mean_x, mean_y = fmean(xs), fmean(ys)
    covariance = fmean((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    assert covariance / pstdev(xs) ** 2 == pytest.approx(beta, abs=0.08)
    assert covariance / pstdev(xs) / pstdev(ys) == pytest.approx(correlation, abs=0.04)


def test_one_minute_volatility_has_the_measured_course_over_the_day() -> None:
    """Measured, NIFTY 2024, bp: 09:17-20 5.1, 09:30-45 4.8, 10:15-11:45 3.5, 12:45-14:15 3.1, 15:00-15:15 4.2."""
    measured = {(557, 560): 5.1, (570, 585): 4.8, (615, 705): 3.5, (765, 855): 3.1, (900, 915): 4.2}
    seen: dict[tuple[int, int], list[float]] = {span: [] for span in measured}
    for seed in range(24):
        market = synthetic_day(date(2026, 5, 12), seed)
        bars = market.history(NIFTY.key, ist_ns(market.day, 86_399))[-375:]
        for minute, move in enumerate(returns(bars), start=557):
            for span, values in seen.items():
                if span[0] <= minute < span[1]:
                    values.append(move * 1e4)
    for span, figure in measured.items():
        assert figure / 1.6 < pstdev(seen[span]) < figure * 1.6, span


def test_banknifty_has_the_measured_course_of_the_day_of_its_own() -> None:
    """Measured, 2024, bp, NIFTY and BANKNIFTY: a part of its own that does not follow NIFTY's up and down."""
    measured = {
        (555, 556): (22.0, 27.0),
        (560, 570): (5.6, 7.0),
        (570, 585): (4.8, 6.6),
        (615, 705): (3.5, 4.8),
        (705, 765): (3.7, 4.5),
        (765, 855): (3.1, 4.3),
        (900, 915): (4.2, 5.8),
        (915, 930): (2.7, 4.0),
    }
    axis, still = Axis(ist_ns(date(2026, 5, 12), 9 * 3600 + 15 * 60), 22_500), [0.0] * 22_500
    follower = follow("NIFTY", "BANKNIFTY")
    own: dict[int, list[float]] = {minute: [] for minute in range(556, 930)}
    opening = []
    for seed in range(40):
        logs = following_logs(still, follower, 1.0, [1.0] * 375, axis, seed)
        opening.append(logs[59] - logs[0])
        for minute, values in own.items():
            end = 60 * (minute - 555) + 59
            values.append(logs[end] - logs[end - 60])
    own[555] = opening
    for (first, until), (nifty, banknifty) in measured.items():
        part = 1e4 * pstdev(value for minute in range(first, until) for value in own[minute])
        assert hypot(1.07 * nifty, part) == pytest.approx(banknifty, rel=0.05), first


def test_the_first_bar_is_wild_and_noon_is_calm() -> None:
    assert minute_sigma(9 * 3600 + 15 * 60) > 5 * minute_sigma(13 * 3600)


def test_prints_follow_each_other_as_measured_and_a_silent_second_shows_the_last_print() -> None:
    """NIFTY 2021: 93.6 % of prints come a second after the last, 5.5 % two, 0.7 % three."""
    market = synthetic_day(date(2026, 5, 12), 4)
    line = market.line(NIFTY.key)
    printing = [second for second in range(market.axis.seconds) if line.prints(second)]
    gaps = [later - sooner for sooner, later in pairwise(printing)]
    shares = [fmean(gap == seconds for gap in gaps) for seconds in (1, 2, 3)]
    assert shares == [pytest.approx(0.936, abs=0.015), pytest.approx(0.055, abs=0.014), pytest.approx(0.007, abs=0.005)]
    for before, after in pairwise(printing[:3_000]):
        for second in range(before, after):
            tick = line.quote(second).tick
            assert (tick.ltp_paise, tick.exchange_s) == (
                line.quote(before).tick.ltp_paise,
                line.quote(before).tick.exchange_s,
            )


def test_bars_are_those_of_the_prints() -> None:
    market = synthetic_day(date(2026, 5, 12), 4)
    for index in INDICES.values():
        line = market.line(index.key)
        prints = bytearray(line.prints(second) for second in range(market.axis.seconds))
        prices = [line.quote(second).tick.ltp_paise for second in range(market.axis.seconds)]
        bars = market.history(index.key, ist_ns(market.day, 86_399))[-375:]
        assert minute_bars(market.axis, prices, prints) == bars


def test_minutes_differ_in_volatility_by_a_factor_that_lasts_and_has_mean_square_one() -> None:
    days = [minute_factors(seed, 375) for seed in range(200)]
    assert fmean(factor**2 for day in days for factor in day) == pytest.approx(1.0, abs=0.05)
    logs = [[log(factor) for factor in day] for day in days]
    centre = fmean(value for day in logs for value in day)
    spread = pstdev([value for day in logs for value in day])

    def echo(lag: int) -> float:
        return (
            fmean((a - centre) * (b - centre) for day in logs for a, b in zip(day, day[lag:], strict=False)) / spread**2
        )

    # Variances .15^2, .28^2 and .28^2, of which the second loses .85 a minute and the third .985.
    assert spread == pytest.approx(0.423, abs=0.02)
    assert echo(1) == pytest.approx((0.85 * 0.0784 + 0.985 * 0.0784) / 0.1793, abs=0.05)
    assert echo(30) == pytest.approx(0.985**30 * 0.0784 / 0.1793, abs=0.05)


def test_the_closing_auction_freezes_the_index_and_prints_once() -> None:
    market = synthetic_day(date(2026, 8, 4), 11)
    line = market.line(NIFTY.key)
    printing = [second for second in range(market.axis.seconds) if line.prints(second)]
    assert printing[0] == 0
    assert 6 * 3600 - 3 <= printing[-2] < 6 * 3600  # 09:15 to 15:15
    match = printing[-1]
    at_ns = market.axis.open_ns + match * 10**9
    assert "15:28:29" < clock_text(at_ns) < "15:29:31"
    frozen = market.index_paise("NIFTY", at_ns - 10**9)
    assert frozen == market.index_paise("NIFTY", ist_ns(market.day, 15 * 3600 + 15 * 60))
    jump = abs(log(market.index_paise("NIFTY", at_ns) / frozen))
    assert 0.0019 < jump < 0.0081
    sensex = market.history(SENSEX.key, ist_ns(market.day, 86_399))
    assert clock_text(sensex[-1].start_ns) == "15:14:00"
    assert market.settlement_paise("NIFTY") == market.index_paise("NIFTY", at_ns)


def test_from_december_the_index_is_quoted_to_half_past_three() -> None:
    market = synthetic_day(date(2026, 12, 9), 1)
    assert market.line(BANKNIFTY.key).prints(market.axis.second_of(ist_ns(market.day, 15 * 3600 + 29 * 60)))
    assert market.axis.seconds == 6 * 3600 + 30 * 60
    assert clock_text(market.history(NIFTY.key, ist_ns(market.day, 86_399))[-1].start_ns) == "15:29:00"
