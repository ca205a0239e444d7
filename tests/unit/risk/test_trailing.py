"""Where the stop stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.risk.trailing import (
    emergency_paise,
    first_stop_paise,
    floor_trigger_paise,
    next_trail_paise,
    target_paise,
    trail_reached,
    trail_stop_paise,
)
from tests.unit.risk.beginner import EXIT_RULES, TICK

# Bought at 120.00: stop 20 % = 96.00, emergency 26 % = 88.80, target 40 % = 168.00, floor 30 % = 84.00.
BOUGHT = 12_000


def test_the_levels_of_a_fresh_position() -> None:
    assert first_stop_paise(BOUGHT, EXIT_RULES, TICK) == 9_600
    assert emergency_paise(BOUGHT, EXIT_RULES, TICK) == 8_880
    assert target_paise(BOUGHT, EXIT_RULES, TICK) == 16_800
    assert floor_trigger_paise(BOUGHT, 9_600, EXIT_RULES, TICK) == 8_400


def test_levels_between_ticks_go_to_the_safe_side() -> None:
    # 80 % of 100.03 is 80.024: the stop is the tick above, never further away; the floor is 10 % or more under it.
    assert first_stop_paise(10_003, EXIT_RULES, TICK) == 8_005
    assert floor_trigger_paise(10_040, 8_035, EXIT_RULES, TICK) == 7_030


def test_a_floor_of_a_penny_option_is_still_an_order_the_exchange_takes() -> None:
    assert floor_trigger_paise(10, 10, EXIT_RULES, TICK) == 10


def test_steps_are_reached_at_15_25_40_and_60_percent() -> None:
    # 120 + 15 % = 138, 25 % = 150, 40 % = 168, 60 % = 192.
    reached = {
        bid: trail_reached(BOUGHT, bid, -1, EXIT_RULES) for bid in (13_795, 13_800, 14_995, 15_000, 16_800, 19_200)
    }
    assert reached == {13_795: -1, 13_800: 0, 14_995: 0, 15_000: 1, 16_800: 2, 19_200: 3}
    assert trail_reached(BOUGHT, 12_500, 2, EXIT_RULES) == 2, "never back"


def test_where_the_stop_goes() -> None:
    # To cost: 120.00 plus charges of 1.02 a contract, up to the tick; then +10 %, +20 %, +30 %.
    assert trail_stop_paise(BOUGHT, 102, 0, EXIT_RULES, TICK) == 12_105
    assert [trail_stop_paise(BOUGHT, 102, step, EXIT_RULES, TICK) for step in (1, 2, 3)] == [13_200, 14_400, 15_600]


def test_where_it_moves_next() -> None:
    assert [next_trail_paise(BOUGHT, reached, EXIT_RULES) for reached in (-1, 0, 2, 3)] == [13_800, 15_000, 19_200, 0]


@given(st.integers(2_000, 100_000), st.lists(st.integers(0, 250_000), max_size=20))
def test_the_trail_only_rises(average: int, bids: list[int]) -> None:
    step, stop = -1, first_stop_paise(average, EXIT_RULES, TICK)
    for bid in bids:
        after = trail_reached(average, bid, step, EXIT_RULES)
        assert after >= step
        if after > step:
            raised = trail_stop_paise(average, average // 100, after, EXIT_RULES, TICK)
            assert raised > stop
            assert raised < bid, "a stop over the bid would fire at once"
            step, stop = after, raised
