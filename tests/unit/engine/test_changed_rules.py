"""Rules changed inside a session: what the engine takes, what it refuses, and what an open position is left by."""

from __future__ import annotations

from msgspec.structs import replace

from algo_scalper.domain.events import OperatorWord, RulesChanged
from algo_scalper.domain.orders import Product
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.rules import Rules
from tests.unit.engine.story import RULES, Day, codes


def change(day: Day, rules: Rules) -> list[str]:
    return codes(day.tell(RulesChanged(day.now_ns, rules, "Asha")))


def test_a_limit_is_tightened_at_once_and_never_loosened_in_a_session() -> None:
    day = Day()
    tight = replace(RULES, version=2, limits=replace(RULES.limits, day_loss_bps=100))
    assert "rules_changed" in change(day, tight)
    assert "rules_refused" in change(day, replace(RULES, version=3))
    assert day.state.rules == tight
    told = day.tell(RulesChanged(day.now_ns, replace(RULES, version=3), "Asha"))
    assert "limits.day_loss" in str(told)


def test_what_hangs_on_the_start_is_refused() -> None:
    day = Day()
    for changed in (
        replace(RULES, capital_paise=RULES.capital_paise // 2),
        replace(RULES, product=Product.MARGIN),
        replace(RULES, expiry=replace(RULES.expiry, min_dte=9)),
    ):
        assert "rules_refused" in change(day, changed)
        assert day.state.rules == RULES


def test_a_position_keeps_its_exits_until_they_are_applied_to_it_by_name_and_its_stop_only_rises() -> None:
    day = Day()
    day.hold()
    position, before = day.position, day.position.stop_paise
    wider = replace(RULES.exit, stop_bps=2_500, emergency_bps=2_700, target_bps=9_000)
    change(day, replace(RULES, version=2, exit=wider))
    assert position.exit_rules == RULES.exit
    assert "rules_applied" in codes(day.operator(OperatorWord.APPLY, position.id))
    assert (position.exit_rules, position.rules_version) == (wider, 2)
    assert position.stop_paise == before, "a stop never falls"

    change(day, replace(RULES, version=3, exit=replace(wider, stop_bps=1_000)))
    day.operator(OperatorWord.APPLY, position.id)
    # 10% under the average fill, up to the next tick of five paise.
    assert position.stop_paise == -(-(position.average_paise * 9_000 // 10_000) // 5) * 5 > before
    assert position.id in day.state.changed_positions or position.state is PositionState.OPEN


def test_rules_applied_to_nothing_are_told_of() -> None:
    day = Day()
    assert "no_such_position" in codes(day.operator(OperatorWord.APPLY, "nobody"))
