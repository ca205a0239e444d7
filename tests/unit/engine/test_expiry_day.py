"""A contract on the day it expires, for who asked for it: its own hours, half the risk, a quarter of an hour."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from algo_scalper.domain.commands import Command, ModifyOrder, PlaceOrder
from algo_scalper.domain.decisions import Decision, DecisionKind, ExitReason
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.engine.state import State
from algo_scalper.risk.expiry_day import entry_window_ns, exits_of_the_day
from tests.unit.engine.story import CONTRACTS, DAY, LOT, RULES, SPOT, Day, at, of, one, orders, reasons

EXPIRING = tuple(replace(listed, expiry=DAY) for listed in CONTRACTS)
ASKED = replace(RULES, expiry=replace(RULES.expiry, min_dte=0), size=replace(RULES.size, risk_bps=400))


class ExpiryDay(Day):
    """All that is listed expires today, at 120 rupees or what is said."""

    ask = 12_010

    def __init__(self, clock: str, rules: Rules = ASKED, **started: Any) -> None:
        super().__init__(clock, rules, contracts=EXPIRING, **started)

    def chain(self, prices: dict[int, tuple[int, int]] | None = None, spot: int = SPOT) -> list[Command]:
        del prices
        rows = tuple(
            ChainRow(listed.key, self.ask - 20, self.ask - 20, self.ask, 200_000, 1_000) for listed in EXPIRING
        )
        return self.tell(OptionChain(self.now_ns, "NIFTY", DAY, spot, rows))

    def tick(self, bid: int = 0, ask: int = 0, *args: Any, **kwargs: Any) -> list[Command]:
        return super().tick(bid or self.ask - 20, ask or self.ask, *args, **kwargs)


@pytest.mark.parametrize(("clock", "enters"), [("09:43", False), ("09:44", True), ("12:58", True), ("12:59", False)])
def test_entries_have_their_own_hours(clock: str, enters: bool) -> None:
    said = ExpiryDay(clock).signal()
    assert (of(said, PlaceOrder) != []) is enters
    assert reasons(said, DecisionKind.REFUSAL) == ([] if enters else ["outside_entry_window"])


def test_a_trade_may_risk_half_of_what_it_may_on_other_days() -> None:
    assert one(orders(ExpiryDay("10:30").signal()), PlaceOrder).quantity == LOT
    usual = replace(ASKED, size=replace(ASKED.size, risk_bps=200))
    refusal = one(of(ExpiryDay("10:30", usual).signal(), Decision), Decision)
    assert refusal.reason == "risk_cap"
    assert refusal.numbers["cap_paise"] == 100_000


def test_a_trifle_is_not_bought() -> None:
    day = ExpiryDay("10:30", replace(ASKED, indices=(replace(ASKED.indices[0], premium_min_paise=100),)))
    day.ask = 2_495
    refusal = one(of(day.signal(), Decision), Decision)
    assert (refusal.reason, refusal.numbers["premium_paise"], refusal.numbers["limit_paise"]) == (
        "expiry_day",
        2_495,
        2_500,
    )


def test_a_quarter_of_an_hour_without_a_gain_is_enough_and_stays_so_when_rules_are_applied() -> None:
    day = ExpiryDay("10:30")
    day.hold()
    day.operator(OperatorWord.APPLY, day.position.id)
    assert day.position.exit_rules.time_stop_ns == 15 * NS_PER_MINUTE
    day.now_ns = day.position.opened_ns + 15 * NS_PER_MINUTE - 1
    day.tick(12_000, 12_010)
    assert len(of(day.second(), ModifyOrder)) == 1
    assert day.position.exit_reason is ExitReason.TIME_STOP


def test_it_is_flat_by_a_quarter_to_three() -> None:
    day = ExpiryDay("10:30")
    day.hold()
    state: State = day.state
    assert state.flat_by(day.position) == at("14:45")
    assert state.flat_by_expiry(date(2026, 9, 22)) == at("15:05")


def test_a_time_stop_that_is_off_is_on_and_a_shorter_one_stays() -> None:
    off, short = replace(RULES.exit, time_stop_ns=0), replace(RULES.exit, time_stop_ns=NS_PER_MINUTE)
    assert exits_of_the_day(off).time_stop_ns == 15 * NS_PER_MINUTE
    assert exits_of_the_day(short).time_stop_ns == NS_PER_MINUTE


def test_narrower_hours_of_ones_own_stay() -> None:
    assert entry_window_ns(at("10:00"), at("12:00"), DAY) == (at("10:00"), at("12:00"))
