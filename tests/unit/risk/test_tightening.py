"""Tighter is a meet: it never allows what either side forbids, and going back and forth loosens nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from algo_scalper.domain.rules import LossPause, Role, Rules
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.risk.day_limits import pause_after
from algo_scalper.risk.tightening import INDEX_LIMITS, LIMITS, loosened, tighter
from tests.unit.engine.story import RULES

PAUSES = st.lists(
    st.tuples(st.integers(1, 5), st.one_of(st.none(), st.integers(1, 90))), max_size=3, unique_by=lambda row: row[0]
).map(lambda rows: tuple(LossPause(n, None if m is None else m * NS_PER_MINUTE) for n, m in sorted(rows)))


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """Rules that differ in every kind of limit there is."""
    number = st.integers(1, 6)
    after = draw(st.integers(0, 3))
    return replace(
        RULES,
        capital_paise=draw(number) * 10_000_000,
        session=replace(
            RULES.session,
            entries_from_s=draw(st.integers(33_300, 34_000)),
            entries_until_s=draw(st.integers(50_000, 52_000)),
            flat_by_s=draw(st.one_of(st.none(), st.integers(53_000, 54_000))),
            special_sessions=draw(st.booleans()),
        ),
        size=replace(RULES.size, fixed_lots=draw(st.integers(0, 3)), max_lots=draw(number), risk_bps=draw(number)),
        limits=replace(
            RULES.limits,
            open_positions=draw(number),
            trades_day=draw(number),
            losses_in_row=draw(PAUSES),
            day_loss_bps=draw(number),
            giveback_from_bps=after,
            giveback_keep_bps=draw(number) if after else 0,
        ),
        guards=replace(
            RULES.guards, gap_bps=after, gap_until_s=draw(number) if after else 0, vix_full=1.0, vix_none=2.0
        ),
        indices=(
            replace(
                RULES.indices[0], role=draw(st.sampled_from(Role)), max_same_side=draw(number), cooldown_ns=draw(number)
            ),
        ),
    )


@given(rules(), rules())
def test_what_is_met_is_as_tight_as_both(one: Rules, other: Rules) -> None:
    met = tighter(one, other)
    for limits in (one, other):
        assert met.limits.day_loss_bps <= limits.limits.day_loss_bps
        assert met.limits.open_positions <= limits.limits.open_positions
        assert met.limits.trades_day <= limits.limits.trades_day
        assert met.size.risk_bps <= limits.size.risk_bps
        assert met.size.max_lots <= limits.size.max_lots
        assert not limits.size.fixed_lots or 0 < met.size.fixed_lots <= limits.size.fixed_lots
        assert met.capital_paise <= limits.capital_paise
        assert met.session.entries_from_s >= limits.session.entries_from_s
        assert met.session.entries_until_s <= limits.session.entries_until_s
        if limits.session.flat_by_s is not None:
            assert met.session.flat_by_s is not None
            assert met.session.flat_by_s <= limits.session.flat_by_s
        if limits.limits.giveback_from_bps:
            assert 0 < met.limits.giveback_from_bps <= limits.limits.giveback_from_bps
            assert met.limits.giveback_keep_bps >= limits.limits.giveback_keep_bps
        assert not (limits.indices[0].role is Role.WATCH and met.indices[0].role is Role.TRADE)
        assert met.indices[0].cooldown_ns >= limits.indices[0].cooldown_ns
    assert loosened(one, met) == ()
    assert loosened(other, met) == ()


@given(rules(), rules(), st.integers(1, 8))
def test_a_run_of_losses_is_paused_for_at_least_as_long(one: Rules, other: Rules, losses: int) -> None:
    def pause(limited: Rules) -> float:
        row = pause_after(limited.limits, losses)
        return 0 if row is None else float("inf") if row.pause_ns is None else row.pause_ns

    assert pause(tighter(one, other)) == max(pause(one), pause(other))


@given(rules(), rules())
def test_the_same_rules_loosen_nothing_and_what_is_loosened_is_named(one: Rules, other: Rules) -> None:
    assert tighter(one, one) == one
    assert loosened(one, one) == ()
    named = loosened(one, other)
    assert (tighter(one, other) == other) is (named == ())
    known = {limit.key for limit in LIMITS} | {f"indices.NIFTY.{key}" for key in INDEX_LIMITS}
    assert set(named) <= known


@pytest.mark.parametrize(
    ("standing", "wanted", "loosens"),
    [
        ({"day_loss_bps": 400}, {"day_loss_bps": 401}, ("limits.day_loss",)),
        ({"day_loss_bps": 400}, {"day_loss_bps": 399}, ()),
        ({"after_loss_ns": 900}, {"after_loss_ns": 899}, ("limits.after_loss",)),
        (
            {"giveback_from_bps": 400, "giveback_keep_bps": 5_000},
            {"giveback_from_bps": 0, "giveback_keep_bps": 0},
            ("limits.giveback",),
        ),
        ({"giveback_from_bps": 0, "giveback_keep_bps": 0}, {"giveback_from_bps": 400, "giveback_keep_bps": 1}, ()),
        ({"losses_in_row": (LossPause(2, 5),)}, {"losses_in_row": ()}, ("limits.losses_in_row",)),
        ({"losses_in_row": (LossPause(2, 5),)}, {"losses_in_row": (LossPause(2, None),)}, ()),
    ],
)
def test_each_limit_knows_which_way_is_looser(
    standing: dict[str, object], wanted: dict[str, object], loosens: tuple[str, ...]
) -> None:
    one = replace(RULES, limits=replace(RULES.limits, **standing))
    other = replace(RULES, limits=replace(RULES.limits, **wanted))
    assert loosened(one, other) == loosens


def test_what_is_no_limit_is_taken_as_it_is_wanted_and_a_new_index_is_only_watched() -> None:
    cheaper = replace(RULES.indices[0], premium_max_paise=99)
    new = replace(RULES.indices[0], name="SENSEX", key=51, role=Role.TRADE)
    wanted = replace(RULES, exit=replace(RULES.exit, stop_bps=1), indices=(cheaper, new))
    met = tighter(RULES, wanted)
    assert met.exit == wanted.exit
    assert met.indices == (cheaper, replace(new, role=Role.WATCH))
    assert loosened(RULES, wanted) == ("indices.SENSEX.role",)
