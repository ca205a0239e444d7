"""The realism table: its arithmetic on series made by hand, its verdicts, and the committed page."""

from __future__ import annotations

import os
import re
from itertools import accumulate
from math import exp, log, nan, sqrt
from pathlib import Path

import pytest

from algo_scalper.domain.calendar import is_trading_day
from algo_scalper.domain.errors import DataError
from algo_scalper.research.realism import statistics as stats
from algo_scalper.research.realism.days import POOL, parts_of, seeds_of, twenty_days
from algo_scalper.research.realism.rows import Row, rows, verdict
from algo_scalper.research.realism.statistics import IndexDay
from algo_scalper.research.realism.table import SETS, Judged, figure, judge, page, rows_out, simulate
from algo_scalper.simulation.market import character_of
from algo_scalper.simulation.paths import REGIMES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "simulator-realism.md"
SOAK = os.environ.get("ALGO_SCALPER_SOAK") == "1"
BP = 1e-4


def day_of(moves: list[float], previous_close: float = 100.0, first: int = 555) -> IndexDay:
    """A day whose minutes return ``moves`` after a first bar that stands at 100."""
    closes = [100.0 * exp(move) for move in accumulate(moves, initial=0.0)]
    opens = [100.0, *closes[:-1]]
    return IndexDay(
        previous_close,
        [first + minute for minute in range(len(closes))],
        opens,
        [max(pair) for pair in zip(opens, closes, strict=True)],
        [min(pair) for pair in zip(opens, closes, strict=True)],
        closes,
    )


def test_quantiles_lie_on_a_straight_line_between_two_values() -> None:
    assert [stats.quantile([4.0, 1.0, 3.0, 2.0], share) for share in (0.0, 0.5, 1.0)] == [1.0, 2.5, 4.0]
    assert stats.quantile([0.0, 10.0], 0.25) == 2.5


def test_kurtosis_of_a_coin_is_minus_two_and_of_the_published_example_as_published() -> None:
    assert stats.excess_kurtosis([1.0, -1.0] * 50) == pytest.approx(-2.0)
    # Wikipedia, "Kurtosis": 0 3 4 1 2 3 0 2 1 3 2 0 2 2 3 2 5 2 3 999 has 18.05 - 3.
    values = [0, 3, 4, 1, 2, 3, 0, 2, 1, 3, 2, 0, 2, 2, 3, 2, 5, 2, 3, 999]
    assert stats.excess_kurtosis([float(value) for value in values]) == pytest.approx(15.05, abs=0.01)


def test_autocorrelation_does_not_reach_over_the_night() -> None:
    swings = [[1.0, -1.0] * 100, [1.0, -1.0] * 100]
    assert stats.autocorrelation(swings, 1) == pytest.approx(-1.0)
    assert stats.autocorrelation(swings, 2) == pytest.approx(1.0)
    assert stats.autocorrelation([[5.0, 5.0, -5.0, -5.0]], 1) == pytest.approx(1 / 3)


def test_slope_and_correlation_of_a_line_with_noise_across_it() -> None:
    pairs = [(x, 3.0 * x + noise) for x in (-1.0, 0.0, 1.0) for noise in (-1.0, 1.0)]
    assert stats.slope(pairs) == pytest.approx(3.0)
    assert stats.correlation(pairs) == pytest.approx(3.0 * sqrt(2 / 3) / sqrt(9.0 * 2 / 3 + 1.0))


def test_returns_of_a_day_leave_out_what_follows_a_gap() -> None:
    whole = day_of([BP, 2 * BP, 3 * BP])
    broken = IndexDay(100.0, [555, 556, 559], [100.0] * 3, [101.0] * 3, [100.0] * 3, [100.0, 101.0, 102.0])
    assert [round(value / BP, 6) for _, value in whole.returns()] == [1.0, 2.0, 3.0]
    assert broken.returns() == [(556, log(1.01))]


def test_figures_of_days_made_by_hand() -> None:
    days = [
        day_of([10 * BP, -10 * BP] * 100, 100.0 * exp(-20 * BP)),
        day_of([10 * BP, -10 * BP] * 100, 100.0 * exp(20 * BP)),
    ]
    assert stats.realised_volatility(days[0]) == pytest.approx(100 * 10 * BP * sqrt(375 * 252))
    assert stats.absolute_quantile_bp(days, 0.5) == pytest.approx(10.0)
    assert stats.gaps_bp(days) == pytest.approx([20.0, -20.0])
    assert stats.open_to_close_bp(days) == pytest.approx([0.0, 0.0], abs=1e-6)
    assert stats.ranges_bp(days) == pytest.approx([10.0, 10.0])
    assert stats.overnight_share(days) == pytest.approx(1.0)
    assert stats.bucket_std_bp(days, 560, 570) == pytest.approx(10.0)
    assert stats.seams_bp(days) == [0.0] * 400
    assert stats.bar_range_bp(days) == pytest.approx(10.0)
    assert stats.range_over_body(days) == pytest.approx(1.0)
    assert stats.correlation(stats.together(days, days)) == pytest.approx(1.0)
    assert stats.correlation(stats.together(days, days, 1)) == pytest.approx(-1.0, abs=0.01)


def test_a_jump_is_told_from_a_day_that_is_volatile_as_a_whole() -> None:
    quiet = [day_of([sign * value * BP for value in (1.0, -1.0) * 100]) for sign in (1.0, -1.0) * 10][:19]
    wild = day_of([value * BP for value in (9.0, -9.0) * 100])
    jumping = day_of([BP * (30.0 if minute == 50 else (-1.0) ** minute) for minute in range(200)])
    assert stats.jumps_a_day([*quiet, wild], 4.0) == 0.0
    assert stats.jumps_a_day([*quiet, jumping], 4.0) == pytest.approx(0.05)


def test_variance_a_second_of_a_bounce_falls_with_the_step_and_of_a_walk_does_not() -> None:
    bounce = [[0.0, BP] * 600]
    assert stats.variance_a_second(bounce, 1) == pytest.approx(BP**2)
    assert stats.variance_a_second(bounce, 60) == 0.0
    drift = [[second * BP for second in range(1_201)]]
    assert stats.variance_a_second(drift, 60) == pytest.approx(60 * BP**2)


@pytest.mark.parametrize(
    ("real", "known", "simulated", "said"),
    [
        (10.0, (8.0, 20.0), 19.9, "inside"),
        (10.0, (9.0, 11.0), 12.4, "within 25 %"),
        (10.0, (9.0, 11.0), 12.6, "OUT"),
        (10.0, None, 7.6, "within 25 %"),
        (10.0, None, 7.4, "OUT"),
        (-0.7, (-1.66, 0.3), 0.2, "inside"),
        (10.0, (8.0, 20.0), nan, "OUT"),
    ],
)
def test_a_verdict_is_the_range_then_a_quarter(
    real: float, known: tuple[float, float] | None, simulated: float, said: str
) -> None:
    assert verdict(Row("s", "t", real, lambda _: 0.0, known), simulated) == said


def test_a_range_given_with_the_figure_has_no_quarter_beside_it() -> None:
    row = Row("s", "t", 10.0, lambda _: 0.0, (9.0, 11.0), given=True)
    assert verdict(row, 10.9) == "inside"
    assert verdict(row, 11.1) == "OUT"
    # Measurements: p10 and p90 of the session's volatility, and of volatility at the money at the close.
    given = {row.range for row in rows() if row.given}
    assert given == {(6.2, 12.7), (8.5, 17.9), (12.6, 38.0), (8.7, 25.0), (9.1, 24.7), (9.5, 23.5), (10.3, 21.4)}


def test_the_verdict_is_on_the_median_of_the_sets_and_each_set_is_judged_too() -> None:
    row = Row("s", "t", 10.0, lambda _: 0.0)
    lucky = Judged(row, (10.0, 20.0, 21.0))
    assert (lucky.simulated, lucky.verdict, lucky.sets_out) == (20.0, "OUT", [False, True, True])
    unlucky = Judged(row, (10.0, 11.0, 99.0))
    assert (unlucky.simulated, unlucky.verdict, unlucky.sets_out) == (11.0, "within 25 %", [False, False, True])
    assert rows_out([lucky, unlucky]) == [0, 1, 2]
    assert Judged(row, (10.0, nan, 10.0)).verdict == "OUT"


def test_every_row_has_its_own_name_and_a_figure_inside_its_range() -> None:
    found = rows()
    assert len(found) > 350
    odd = [row.text for row in found if row.range and not row.range[0] <= row.range[1]]
    assert not odd


def test_the_twenty_days_are_consecutive_sessions_of_all_kinds_and_volatilities() -> None:
    chosen = twenty_days(0)
    days = [day for day, _ in chosen]
    assert len(set(days)) == 20
    assert days == sorted(days)
    assert all(is_trading_day(day) for day in days)
    drawn = [character_of(day, seed)[1] for day, seed in chosen]
    assert {kind: sum(one.regime == kind for one in drawn) for kind, _ in REGIMES} == {
        "trend": 6, "chop": 4, "calm": 3, "gap_go": 2, "gap_fade": 2, "turn": 3,
    }  # fmt: skip
    scales = sorted(one.scale for one in drawn)
    assert scales[0] < 0.55
    assert 0.7 < scales[10] < 1.0
    assert scales[-1] > 1.4


def test_sets_take_their_seeds_from_blocks_that_follow_each_other_and_share_none() -> None:
    assert [seed for number in range(SETS) for seed in seeds_of(number)] == list(range(1, SETS * POOL + 1))
    for number in (0, 3):
        assert all(seed in seeds_of(number) for _, seed in twenty_days(number))


def test_over_all_sets_each_weekday_has_each_part_of_volatility_equally_often() -> None:
    parts = {
        weekday: [parts_of(number)[place] for number in range(SETS) for place in range(weekday, 20, 5)]
        for weekday in range(5)
    }
    assert all(sorted(of_day) == sorted([*range(20), *range(20)]) for of_day in parts.values())


def test_a_day_has_a_seed_of_its_own_part_of_volatility_or_one_beside_it() -> None:
    for (day, taken), part in zip(twenty_days(8), parts_of(8), strict=True):
        scales = {seed: character_of(day, seed)[1].scale for seed in seeds_of(8)}
        below = sum(scale < scales[taken] for scale in scales.values())
        up_to = sum(scale <= scales[taken] for scale in scales.values())
        assert below <= 20 * (part + 2)
        assert up_to >= 20 * (part - 1)


def test_a_row_that_is_out_without_a_cause_is_not_written() -> None:
    row = Row("none", "made up", 1.0, lambda _: 9.0)
    with pytest.raises(DataError, match="no cause is named"):
        page([Judged(row, (1.0, 9.0, 9.0))])


def test_the_page_shows_the_sets_their_spread_and_the_rows_beside_a_range() -> None:
    beside = Judged(Row("none", "made up", 10.0, lambda _: 0.0, (9.0, 11.0)), (8.0, 12.0, 13.0))
    far = Judged(Row("none", "far", 10.0, lambda _: 0.0, (1.0, 30.0)), (20.0, 20.0, 31.0))
    text = page([beside, far])
    assert "| made up | 10 | 9 to 11 | 12 | 8 to 13 | 1 | within 25 % |" in text
    assert "- *none: made up*, 12 for 10, real days 9 to 11\n" in text
    assert "| far | 10 | 1 to 30 | 20 | 20 to 31 | 1 | inside |" in text
    assert "- 1 of the rows inside are more than 25 % from the figure" in text
    assert "| rows out | 0 | 0 | 2 |" in text
    assert "the best leaves 0 rows out, the middle one\n0, the worst 2." in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02141, "0.0214"), (3.63, "3.63"), (1612.0, "1,612"), (98.04e6, "98 M"), (-0.7, "-0.7"), (129.4, "129")],
)
def test_figures_are_written_with_the_digits_that_count(value: float, text: str) -> None:
    assert figure(value) == text


def test_the_committed_table_has_at_most_two_rows_out_each_with_its_cause() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = re.findall(r"^\| ([^|]+) \| .* \| (inside|within 25 %|OUT) \|$", text, flags=re.MULTILINE)
    assert len(table) == len(rows())
    out = [name for name, said in table if said == "OUT"]
    assert len(out) <= 2
    causes = text.split("## Rows that are out")[1].split("## ")[0]
    assert all(name in causes for name in out)


def test_the_committed_table_is_of_these_rows_and_these_days() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]*) \|.* (?:inside|within 25 %|OUT) \|$", text, flags=re.MULTILINE
    )
    assert [tuple(map(str.strip, cells)) for cells in shown] == [
        (row.text, figure(row.real), f"{figure(row.range[0])} to {figure(row.range[1])}" if row.range else "")
        for row in rows()
    ]
    days = re.findall(r"^\| (20\d\d-\d\d-\d\d) \w+ \| (\d+) ", text, flags=re.MULTILINE)
    assert days == [(f"{day}", f"{seed}") for day, seed in twenty_days(0)]


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="ten sets of twenty days, minutes: bin/soak")
def test_the_committed_page_is_what_the_market_gives() -> None:
    assert page(judge(simulate())) == PAGE.read_text(encoding="utf-8")
