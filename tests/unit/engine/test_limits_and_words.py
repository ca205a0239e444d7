"""The day's limits, a person's words, changed rules, and the end of the process."""

from __future__ import annotations

from msgspec.structs import replace

from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.charges import order_charges
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, Notify, PlaceOrder, Unsubscribe
from algo_scalper.domain.decisions import Decision, DecisionKind, ExitReason
from algo_scalper.domain.events import OperatorWord, RulesChanged, SessionStopping
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.orders import Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.engine.fills import day_net_paise
from tests.unit.engine.story import DAY, LOT, RULES, TWO_LOTS, Day, codes, is_floor, of, one, orders, reasons

REFUSAL = DecisionKind.REFUSAL


def lose_one(day: Day, price: int = 9_590) -> None:
    """One losing trade from entry to the ledger."""
    _, floor = day.hold()
    day.accept(one(orders(day.tick(price, price + 10)), ModifyOrder))
    day.fill(floor.order_id, LOT, price)


def test_the_days_loss_counts_what_is_open_at_the_bid_with_all_charges_and_leaves_everything() -> None:
    day = Day(ledger=DayLedger(DAY, realised_paise=-200_000))
    _, floor = day.hold()
    held = day.position
    held.exit_rules = replace(RULES.exit, stop_bps=9_000, emergency_bps=9_500, floor_bps=9_600)
    held.stop_paise = 1_000
    day.tick(9_200, 9_210)
    # Lost before 2,000.00; at the bid 65 x 28.00 = 1,820.00; charges of buying and of selling.
    sell = order_charges(Exchange.NSE, Side.SELL, 9_200 * LOT, DAY).total_paise
    assert day_net_paise(day.state) == -200_000 - 182_000 - held.charges_paise - sell
    assert orders(day.second()) == []
    day.tick(9_005, 9_015)  # 65 x 29.95 = 1,946.75: with charges of some Rs 65 it is Rs 4,000
    assert -200_000 - 2_995 * LOT > -400_000
    said = day.second()
    exit_ = one(orders(said), ModifyOrder)
    assert held.exit_reason is ExitReason.DAY_LOSS
    assert "halted" in codes(said)
    assert day.state.ledger.halted.startswith("day loss")
    day.accept(exit_)
    day.fill(floor.order_id, LOT, 9_005)
    refused = day.operator(OperatorWord.RESUME)
    assert "resume_refused" in codes(refused), "next session"
    day.now_ns += 30 * NS_PER_MINUTE
    assert reasons(day.signal(), REFUSAL) == ["halted"]


def test_losses_in_a_row_pause_and_then_end_the_day() -> None:
    generous = replace(RULES, limits=replace(RULES.limits, day_loss_bps=5_000, week_loss_bps=5_000))
    day = Day("09:40", rules=generous)
    lose_one(day)
    day.now_ns += 15 * NS_PER_MINUTE
    lose_one(day)
    day.now_ns += 16 * NS_PER_MINUTE
    assert reasons(day.signal(), REFUSAL) == ["losses_in_row"], "two: half an hour"
    day.now_ns += 14 * NS_PER_MINUTE
    lose_one(day)
    assert day.state.ledger.losses_in_row == 3
    assert day.state.ledger.halted == "3 losses in a row"
    day.now_ns += 60 * NS_PER_MINUTE
    assert reasons(day.signal(), REFUSAL) == ["halted"]


def test_a_win_ends_the_row() -> None:
    day = Day("09:40")
    lose_one(day)
    day.now_ns += 15 * NS_PER_MINUTE
    _, floor = day.hold()
    day.accept(one(orders(day.tick(16_800, 16_820)), ModifyOrder))
    day.fill(floor.order_id, LOT, 16_800)
    ledger = day.state.ledger
    assert (ledger.trades, ledger.wins, ledger.losses, ledger.losses_in_row) == (2, 1, 1, 0)
    assert ledger.realised_paise == (9_590 - 12_000 + 16_800 - 12_000) * LOT
    assert ledger.peak_net_paise == ledger.net_paise > 0


def test_halt_and_resume() -> None:
    day = Day()
    day.operator(OperatorWord.HALT)
    assert reasons(day.signal(), REFUSAL) == ["halted"]
    assert reasons(day.operator(OperatorWord.RESUME), DecisionKind.RESUME) == ["resumed by Asha"]
    assert len(orders(day.signal())) == 1


def test_kill_flattens_ours_and_ends_the_day() -> None:
    day = Day()
    entry, floor = day.hold()
    said = day.operator(OperatorWord.KILL)
    exit_ = one(orders(said), ModifyOrder)
    assert exit_.order_id == floor.order_id
    day.accept(exit_)
    assert reasons(day.fill(floor.order_id, LOT, 11_900), DecisionKind.EXIT) == ["kill"]
    assert "resume_refused" in codes(day.operator(OperatorWord.RESUME))
    assert day.state.positions[entry.order_id].state is PositionState.CLOSED


def test_kill_withdraws_an_entry_that_works() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    cancel = one(orders(day.operator(OperatorWord.KILL)), CancelOrder)
    day.accept(cancel)
    assert day.stands(PositionState.CLOSED)


def test_close_one_and_a_position_that_is_not_there() -> None:
    day = Day()
    day.hold()
    assert "no_such_position" in codes(day.operator(OperatorWord.CLOSE, "nobody"))
    assert len(orders(day.operator(OperatorWord.CLOSE, day.position.id))) == 1
    assert day.position.exit_reason is ExitReason.OPERATOR_CLOSE
    assert orders(day.operator(OperatorWord.CLOSE, day.position.id)) == [], "said twice is done once"


def test_changed_rules_hold_for_what_comes_and_are_named_in_decisions() -> None:
    day = Day()
    cheaper = replace(RULES, version=7, indices=(replace(RULES.indices[0], premium_max_paise=10_000),))
    assert "rules_changed" in codes(day.tell(RulesChanged(day.now_ns, cheaper, "Asha")))
    said = day.signal()
    assert reasons(said, REFUSAL) == ["no_strike_in_band"]
    assert {decision.rules_version for decision in of(said, Decision)} == {7}


def test_rules_that_readings_hang_on_change_at_a_start_only() -> None:
    day = Day()
    for changed in (
        replace(RULES, version=9, signal=replace(RULES.signal, adx_period=7)),
        replace(RULES, version=9, indices=()),
    ):
        assert "rules_refused" in codes(day.tell(RulesChanged(day.now_ns, changed, "Asha")))
        assert day.state.rules.version == RULES.version


def test_at_the_end_nothing_more_is_sent_and_what_is_open_is_said() -> None:
    day = Day()
    day.hold()
    said = day.tell(SessionStopping(day.now_ns, "Ctrl-C"))
    assert "stopping_with_position" in codes(said, "alarm")
    assert len(of(said, Unsubscribe)) == 1
    assert orders(day.tick(5_000, 5_010)) == []
    assert orders(day.second(10)) == []
    assert day.now_ns > NS_PER_SECOND


def test_what_is_bought_while_the_process_ends_still_gets_its_floor_and_what_is_left_is_said() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    said = day.tell(SessionStopping(day.now_ns, "Ctrl-C"))
    assert "a buy that works is withdrawn" in one(of(said, Notify), Notify).text
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    assert is_floor(floor)
    assert floor.quantity == LOT
    day.accept(floor)
    grown = one(orders(day.fill(entry.order_id, LOT, 12_000)), ModifyOrder)
    assert is_floor(grown)
    assert grown.quantity == 2 * LOT


def test_at_the_end_no_floor_is_claimed_that_may_not_rest() -> None:
    for last, told in (("accept", "the floor rests at the broker at Rs 84.00"), ("lose", "is not known")):
        day = Day()
        entry = day.enter()
        day.accept(entry)
        getattr(day, last)(one(day.fill(entry.order_id, LOT, 12_000), PlaceOrder))
        assert told in one(of(day.tell(SessionStopping(day.now_ns, "Ctrl-C")), Notify), Notify).text
