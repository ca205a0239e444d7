"""Neither yes nor no: only the broker's book settles it, and nothing is asked twice meanwhile."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder, ReadBook
from algo_scalper.domain.decisions import DecisionKind, ExitReason
from algo_scalper.domain.events import OrderReported
from algo_scalper.domain.orders import BrokerStatus, OrderKind, OrderState
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.engine.story import LOT, TWO_LOTS, Day, codes, is_floor, of, one, orders, reasons

S = NS_PER_SECOND


def test_a_lost_entry_is_absent_after_two_books_read_late_enough() -> None:
    day = Day()
    entry = day.enter()
    said = day.lose(entry)
    assert len(of(said, ReadBook)) == 1
    assert day.ordered(entry.order_id, OrderState.UNKNOWN)
    day.now_ns += 9 * S
    day.book()
    day.book()
    assert day.ordered(entry.order_id, OrderState.UNKNOWN), "ten seconds have not passed"
    assert orders(day.second(1)) == [], "it is not tended, not repeated"
    day.now_ns += S
    day.book()
    assert day.ordered(entry.order_id, OrderState.UNKNOWN), "once is not enough"
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["unknown_order"]
    said = day.book()
    assert day.ordered(entry.order_id, OrderState.ABSENT)
    assert "settled_absent" in codes(said)
    assert day.stands(PositionState.CLOSED)


def test_a_reading_begun_before_the_bound_proves_nothing() -> None:
    day = Day()
    entry = day.enter()
    day.lose(entry)
    day.now_ns += 12 * S
    for _ in range(3):
        day.book(began_ago_ns=3 * S)
    assert day.state.orders[entry.order_id].state is OrderState.UNKNOWN


def test_a_lost_entry_that_is_found_goes_on() -> None:
    day = Day()
    entry = day.enter()
    day.accept_silently(entry)
    day.lose(entry)
    day.now_ns += S
    said = day.book()
    assert day.state.orders[entry.order_id].state is OrderState.PENDING
    assert day.state.unknown_orders() == 0
    assert orders(said) == []
    cancel = one(orders(day.later(5)), CancelOrder)
    assert cancel.broker_id == day.rows[entry.order_id].broker_id


def test_a_lost_entry_that_traded_gets_its_floor() -> None:
    day = Day()
    entry = day.enter()
    day.accept_silently(entry)
    day.set_row(entry.order_id, status=BrokerStatus.TRADED, filled_quantity=LOT, filled_value_paise=12_000 * LOT)
    day.lose(entry)
    day.now_ns += S
    assert is_floor(one(orders(day.book()), PlaceOrder))


def test_the_answer_that_comes_by_the_order_socket_settles_it_too() -> None:
    day = Day()
    entry = day.enter()
    day.lose(entry)
    day.accept_silently(entry)
    assert is_floor(one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder))
    assert day.state.unknown_orders() == 0


def test_a_lost_floor_is_never_placed_twice() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.lose(floor)
    for _ in range(9):
        assert [c for c in orders(day.second(1, quiet=False)) if isinstance(c, PlaceOrder)] == []
    day.now_ns += 2 * S
    day.book()
    again = one(orders(day.book()), PlaceOrder)
    assert is_floor(again)
    assert again.order_id != floor.order_id


def test_an_exit_that_waited_for_a_lost_floor_is_not_priced_as_if_the_market_had_refused_it() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.lose(floor)
    assert orders(day.tick(9_590, 9_600)) == [], "the stop fires, and nothing may be sent"
    day.now_ns += 12 * S
    day.book()
    day.tick(9_590, 9_600)
    leaving = one(orders(day.book()), PlaceOrder)
    # 1.5 % under a bid of 95.90, as on the first try; the edge of the band would be 58 and less.
    assert (leaving.kind, leaving.price_paise) == (OrderKind.LIMIT, 9_445)


def test_a_lost_change_is_read_from_the_book_and_asked_again_if_it_did_not_hold() -> None:
    day = Day()
    _, floor = day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.lose(exit_)
    assert orders(day.tick(9_580, 9_590, after_ns=S)) == [], "its fate is open"
    again = one(orders(day.book()), ModifyOrder)
    assert again.kind is OrderKind.LIMIT
    assert again.order_id == floor.order_id


def test_a_lost_change_that_held_is_not_asked_again() -> None:
    day = Day()
    _, floor = day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.set_row(floor.order_id, kind=OrderKind.LIMIT, price_paise=exit_.price_paise, trigger_paise=0)
    day.lose(exit_)
    day.now_ns += S // 2
    assert orders(day.book()) == []
    assert day.state.orders[floor.order_id].kind is OrderKind.LIMIT
    assert reasons(day.fill(floor.order_id, LOT, 9_590), DecisionKind.EXIT) == ["stop_loss"]


def test_a_book_begun_before_the_change_was_lost_says_nothing_of_it() -> None:
    day = Day()
    day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.lose(exit_)
    assert orders(day.book(began_ago_ns=1)) == []
    assert day.state.unknown_orders() == 1


def test_a_lost_cancel_is_asked_again_while_the_book_shows_it_working() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    cancel = one(orders(day.later(5)), CancelOrder)
    day.lose(cancel)
    day.now_ns += S
    assert orders(day.book()) == [], "five seconds between two cancels"
    again = one(orders(day.second(5)), CancelOrder)
    day.accept(again)
    assert day.stands(PositionState.CLOSED)


def test_a_lost_cancel_that_held() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    cancel = one(orders(day.later(5)), CancelOrder)
    day.set_row(entry.order_id, status=BrokerStatus.CANCELLED)
    day.lose(cancel)
    day.now_ns += S
    day.book()
    assert day.stands(PositionState.CLOSED)


def test_while_anything_is_unknown_the_book_is_read_every_two_seconds() -> None:
    day = Day()
    day.lose(day.enter())
    day.book()
    assert [len(of(day.second(1), ReadBook)) for _ in range(2)] == [0, 1]
    day.book()
    assert [len(of(day.second(1), ReadBook)) for _ in range(2)] == [0, 1]


@pytest.mark.parametrize("pushed", [True, False])
def test_what_was_believed_absent_and_is_found_working_is_withdrawn(pushed: bool) -> None:
    day = Day()
    entry = day.enter()
    day.lose(entry)
    day.now_ns += 11 * S
    day.book()
    day.book()
    assert day.stands(PositionState.CLOSED)
    day.accept_silently(entry)
    cancel = one(orders(day.push(entry.order_id) if pushed else day.book()), CancelOrder)
    assert cancel.broker_id == day.rows[entry.order_id].broker_id


def test_what_was_believed_over_and_trades_is_left_at_once() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    day.accept(one(orders(day.later(5)), CancelOrder))
    assert day.stands(PositionState.CLOSED)
    day.tick()
    day.set_row(entry.order_id, status=BrokerStatus.TRADED, filled_quantity=LOT, filled_value_paise=12_000 * LOT)
    said = day.push(entry.order_id)
    assert "late_fill" in codes(said, "alarm")
    exit_ = one(orders(said), PlaceOrder)
    assert exit_.kind is OrderKind.LIMIT
    day.accept(exit_)
    assert reasons(day.fill(exit_.order_id, LOT, 11_980), DecisionKind.EXIT) == ["late_fill"]


def test_a_late_fill_of_a_booked_trade_is_booked_once() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    said = orders(day.tick(9_590, 9_600))
    day.accept(one(said, CancelOrder))
    day.accept(one(said, ModifyOrder))
    day.fill(floor.order_id, LOT, 9_590)
    assert day.stands(PositionState.CLOSED)
    first = day.state.ledger.net_paise
    assert day.state.ledger.realised_paise == (9_590 - 12_000) * LOT
    # The cancelled half trades after all.
    day.set_row(entry.order_id, status=BrokerStatus.TRADED, filled_quantity=2 * LOT, filled_value_paise=24_000 * LOT)
    exit_ = one(orders(day.push(entry.order_id)), PlaceOrder)
    day.accept(exit_)
    day.fill(exit_.order_id, LOT, 9_590)
    ledger = day.state.ledger
    assert ledger.realised_paise == 2 * (9_590 - 12_000) * LOT
    assert (ledger.trades, ledger.losses, ledger.losses_in_row) == (1, 1, 1)
    assert ledger.charges_paise == day.position.charges_paise
    assert ledger.net_paise < first


def test_an_older_row_takes_nothing_back_and_a_repeat_adds_nothing() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    older = day.rows[entry.order_id]
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    day.push(entry.order_id)
    day.tell(OrderReported(day.now_ns, older))
    assert day.position.held == LOT
    assert day.position.cost_paise == 12_000 * LOT
    assert day.ordered(entry.order_id, OrderState.PART_TRADED)


def test_an_accepted_change_holds_before_any_row_says_so() -> None:
    day = Day()
    _, floor = day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.accept(exit_, push=False)
    order = day.state.orders[floor.order_id]
    assert (order.kind, order.price_paise, order.trigger_paise) == (OrderKind.LIMIT, 9_445, 0)
    assert orders(day.tick(9_580, 9_590)) == [], "it is a limit already, and within its second"


def test_an_answer_that_comes_twice_is_taken_once() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    assert day.reject(entry, "late and wrong") == []
    assert day.ordered(entry.order_id, OrderState.PENDING)


def let_go(day: Day) -> PlaceOrder:
    """An entry that nobody wants to sell to: re-priced once, then cancelled."""
    entry = day.enter()
    day.accept(entry)
    day.accept(one(orders(day.second(3, quiet=False)), ModifyOrder))
    day.accept(one(orders(day.second(3, quiet=False)), CancelOrder))
    assert day.stands(PositionState.CLOSED)
    return entry


def test_a_late_fill_beside_a_position_opened_since_joins_it_and_all_of_it_is_left() -> None:
    day = Day()
    first = let_go(day)
    second = day.enter()
    day.accept(second)
    floor = one(orders(day.fill(second.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    day.set_row(first.order_id, filled_quantity=LOT, filled_value_paise=LOT * 12_100, status=BrokerStatus.TRADED)
    said = day.push(first.order_id)
    assert "late_fill" in codes(said, "alarm")
    assert (day.position.held, day.position.cost_paise) == (2 * LOT, LOT * 24_100)
    assert day.position.exit_reason is ExitReason.LATE_FILL
    exit_ = one(orders(said), ModifyOrder)
    assert (exit_.order_id, exit_.kind, exit_.quantity) == (floor.order_id, OrderKind.LIMIT, 2 * LOT)
    day.accept(exit_)
    day.fill(floor.order_id, 2 * LOT, 11_900)
    assert day.stands(PositionState.CLOSED)
    assert day.state.ledger.realised_paise == LOT * (2 * 11_900 - 24_100)
    assert day.book() == []


def test_a_late_fill_of_a_part_filled_order_beside_a_position_opened_since_joins_it_too() -> None:
    day = Day(rules=replace(TWO_LOTS, limits=replace(TWO_LOTS.limits, after_loss_ns=0, losses_in_row=())))
    first = day.enter()
    day.accept(first)
    floor = one(orders(day.fill(first.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    day.accept(one(orders(day.second(3, quiet=False)), ModifyOrder))
    day.accept(one(orders(day.second(3, quiet=False)), CancelOrder))
    day.fill(floor.order_id, LOT, 11_900)
    assert day.stands(PositionState.CLOSED)
    day.later(300)
    second = day.enter()
    day.accept(second)
    day.accept(one(orders(day.fill(second.order_id, 2 * LOT, 12_000)), PlaceOrder))
    day.set_row(first.order_id, filled_quantity=2 * LOT, filled_value_paise=LOT * 24_000, status=BrokerStatus.TRADED)
    day.push(first.order_id)
    assert day.position.held == 3 * LOT
    said = orders(day.second(1, quiet=False))
    assert one(said, ModifyOrder).quantity == 3 * LOT
