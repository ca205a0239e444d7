"""Changed contract terms keep an index from being entered until a person has accepted them."""

from __future__ import annotations

from algo_scalper.domain.commands import Notify
from algo_scalper.domain.decisions import Decision, DecisionKind, RefusalReason
from algo_scalper.domain.events import ContractsChecked
from tests.unit.engine.story import Day, of, orders, reasons

LOT = {"NIFTY": "NIFTY lot: 65 -> 75"}


def test_changed_terms_refuse_entries_and_are_told_once_until_they_are_accepted() -> None:
    day = Day()
    told = of(day.tell(ContractsChecked(day.now_ns, LOT)), Notify)
    assert [(notice.level, notice.code) for notice in told] == [("alarm", "contract_terms_changed")]
    assert "scalper instruments accept NIFTY" in told[0].text
    assert day.tell(ContractsChecked(day.now_ns, LOT)) == []
    said = day.signal()
    assert reasons(said, DecisionKind.REFUSAL) == [RefusalReason.TERMS_CHANGED]
    assert of(said, Decision)[-1].numbers["change"] == LOT["NIFTY"]
    day.tell(ContractsChecked(day.now_ns, {}))
    assert len(orders(day.signal())) == 1


def test_another_indexs_terms_are_its_own_matter() -> None:
    day = Day()
    assert day.tell(ContractsChecked(day.now_ns, {"BANKNIFTY": "BANKNIFTY lot: 30 -> 35"})) == []
    assert len(orders(day.signal())) == 1
