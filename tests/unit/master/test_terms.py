"""What changed between two catalogs, and which changes wait for a person."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from algo_scalper.adapters.master.terms import Change, What, changes, terms_of
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.units import NS_PER_DAY
from algo_scalper.runtime.catalog_import import Outcome
from tests.unit.master.files import DAY, NOW_NS, changed, compact, detailed, option_of, whole_market
from tests.unit.master.imports import a_desk, a_desk_with_a_catalog

NEAR, NEXT, FAR = date(2026, 9, 8), date(2026, 9, 15), date(2026, 9, 29)
Row = tuple[str, date, int, int, int | None, int]


def option(
    expiry: date = NEAR, strike: int = 2_500_000, lot: int = 65, tick: int = 5, freeze: int | None = 1755
) -> Row:
    return "NIFTY", expiry, lot, tick, freeze, strike


def between(was: list[Row], now: list[Row]) -> list[Change]:
    return list(changes(terms_of(was), terms_of(now), DAY, {"NIFTY"}))


def test_the_same_is_no_change() -> None:
    assert between([option(), option(NEXT)], [option(NEXT), option()]) == []


@pytest.mark.parametrize(
    ("now", "what", "was_text", "now_text"),
    [
        (option(lot=75), What.LOT, "65", "75"),
        (option(tick=10), What.TICK, "Rs 0.05", "Rs 0.10"),
        (option(freeze=1430), What.FREEZE, "1755", "1430"),
        (option(freeze=None), What.FREEZE, "1755", "not in the file"),
    ],
)
def test_money_that_changed_waits_for_a_person(now: Row, what: What, was_text: str, now_text: str) -> None:
    assert between([option()], [now]) == [Change("NIFTY", what, "2026-09-08", was_text, now_text, True)]
    told = list(changes(terms_of([option()]), terms_of([now]), DAY, {"SENSEX"}))
    assert [one.waits for one in told] == [False], "of an index that is not traded it is only told"


def test_expiries_with_the_same_change_are_one_line() -> None:
    was = [option(NEAR + timedelta(days=7 * week)) for week in range(6)]
    now = [option(NEAR + timedelta(days=7 * week), lot=50) for week in range(6)]
    (change,) = between(was, now)
    assert str(change) == "NIFTY lot (2026-09-08 to 2026-10-13, 6 of them): 65 -> 50"


def test_a_new_expiry_waits_only_for_a_value_the_index_has_not_had() -> None:
    was = [option(), option(FAR, lot=75)]
    assert [one.what for one in between(was, [*was, option(NEXT)])] == [What.EXPIRIES_ADDED]
    found = between(was, [*was, option(NEXT, lot=50)])
    assert [(one.what, one.was, one.now, one.waits) for one in found] == [
        (What.LOT, "65 or 75", "50", True),
        (What.EXPIRIES_ADDED, "2 expiries", "3 expiries", False),
    ]


def test_what_expired_is_no_change_and_what_went_early_is() -> None:
    passed = date(2026, 9, 1)
    assert between([option(passed), option(NEXT)], [option(NEXT)]) == []
    found = between([option(NEAR), option(NEXT)], [option(NEXT)])
    assert [str(one) for one in found] == ["NIFTY expiries gone (2026-09-08): 2 expiries -> 1 expiries"]


def test_an_index_that_rolled_over_wholly_is_held_against_what_it_had() -> None:
    passed = date(2026, 9, 1)
    assert [one.what for one in between([option(passed)], [option(NEXT, lot=75)])] == [What.LOT, What.EXPIRIES_ADDED]


def test_strikes() -> None:
    was = [option(strike=2_500_000), option(strike=2_505_000), option(strike=2_510_050)]
    now = [option(strike=2_500_000), *(option(strike=2_600_000 + step * 5_000) for step in range(6))]
    assert [str(one) for one in between(was, now)] == [
        "NIFTY strikes added (2026-09-08: 26000 to 26250, 6 of them): 3 strikes -> 7 strikes",
        "NIFTY strikes gone (2026-09-08: 25050, 25100.5): 3 strikes -> 7 strikes",
    ]


# --- through the catalog ------------------------------------------------------------------------------------------------


def test_a_changed_freeze_quantity_blocks_its_index_until_it_is_accepted(tmp_path: Path) -> None:
    with a_desk_with_a_catalog(tmp_path / "data") as desk:
        assert desk.catalog.blocked_underlyings() == {}
        report = desk.take_lines(changed(whole_market(), option_of("BANKNIFTY"), sm_freeze_qty="901"))
        assert report.outcome is Outcome.IMPORTED
        waiting = desk.catalog.blocked_underlyings()
        assert [str(kept.change) for kept in waiting["BANKNIFTY"]] == [
            "BANKNIFTY freeze (2026-09-29, 2026-10-27): 600 -> 900"
        ]
        assert list(waiting) == ["BANKNIFTY"]
        # The next day's file, without a change, does not lift it; neither does an import that is refused.
        desk.take_lines(changed(whole_market(), option_of("BANKNIFTY"), sm_freeze_qty="901") * 2)
        assert list(desk.catalog.blocked_underlyings()) == ["BANKNIFTY"]
        numbers = [kept.number for kept in waiting["BANKNIFTY"]]
        assert desk.catalog.accept(numbers, by="anna", at_ns=NOW_NS) == 1
        assert desk.catalog.accept(numbers, by="bert", at_ns=NOW_NS) == 0
        assert desk.catalog.blocked_underlyings() == {}
        kept = desk.catalog.changes_of(2)
        assert [(one.accepted_by, one.accepted_ns) for one in kept] == [("anna", NOW_NS)]


def test_a_change_that_came_after_the_one_seen_is_not_accepted_with_it(tmp_path: Path) -> None:
    with a_desk_with_a_catalog(tmp_path / "data") as desk:
        desk.take_lines(changed(whole_market(), option_of("NIFTY"), lot_size="75.0"))
        seen = desk.catalog.blocked_underlyings()["NIFTY"]
        desk.take_lines(changed(whole_market(), option_of("NIFTY"), lot_size="50.0"))
        desk.catalog.accept([kept.number for kept in seen], by="anna", at_ns=NOW_NS)
        left = desk.catalog.blocked_underlyings()["NIFTY"]
        assert {str(kept.change) for kept in left} >= {"NIFTY lot (2026-09-08, 2026-09-15): 75 -> 50"}


def test_freeze_quantities_that_vanish_and_return_otherwise_are_seen(tmp_path: Path) -> None:
    with a_desk_with_a_catalog(tmp_path / "data") as desk:
        desk.take(compact(whole_market()))
        desk.take_lines(changed(whole_market(), option_of("SENSEX"), sm_freeze_qty="501"))
        shown = [str(kept.change) for kept in desk.catalog.blocked_underlyings()["SENSEX"]]
        assert shown == [
            "SENSEX freeze (2026-09-10, 2026-09-17): 1000 -> not in the file",
            "SENSEX freeze (2026-09-10, 2026-09-17): not in the file -> 500",
        ]


def test_after_a_clear_every_traded_index_waits_because_nothing_can_be_compared(tmp_path: Path) -> None:
    with a_desk(tmp_path / "data") as desk:
        desk.take_lines(whole_market())
        assert desk.catalog.blocked_underlyings() == {}, "the first import of all has nothing to hide"
        desk.catalog.clear()
        assert desk.catalog.current() is None
        assert desk.catalog.facts() == {}
        with pytest.raises(DataError, match="there is no catalog of instruments; run: scalper instruments import"):
            desk.catalog.contracts(["NIFTY"], DAY, DAY)
        desk.take_lines(changed(whole_market(), option_of("NIFTY"), lot_size="130.0"))
        blocked = desk.catalog.blocked_underlyings()
        assert sorted(blocked) == ["BANKNIFTY", "FINNIFTY", "NIFTY", "SENSEX"]
        assert "NIFTY lot: unknown, the catalog was cleared -> 130" in map(
            str, (kept.change for kept in blocked["NIFTY"])
        )


def test_expiries_and_strikes_of_the_next_week_are_told_and_block_nobody(tmp_path: Path) -> None:
    with a_desk_with_a_catalog(tmp_path / "data") as desk:
        desk.clock.at_ns += 7 * NS_PER_DAY
        report = desk.take(detailed(whole_market(DAY + timedelta(days=7))))
        assert {(one.underlying, one.what) for one in report.changes} == {
            ("NIFTY", What.EXPIRIES_ADDED),
            ("SENSEX", What.EXPIRIES_ADDED),
        }
        assert desk.catalog.blocked_underlyings() == {}
