"""A person in the broker's app, and the broker himself: seen, read about, and left to it."""

from __future__ import annotations

from msgspec.structs import replace

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder, ReadBook
from algo_scalper.domain.decisions import DecisionKind, ExitReason
from algo_scalper.domain.orders import BrokerStatus, Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.engine.story import LOT, Day, codes, is_floor, of, one, orders, reasons

S = NS_PER_SECOND
WORKS, TRADED, CANCELLED = BrokerStatus.PENDING, BrokerStatus.TRADED, BrokerStatus.CANCELLED


def cancelled_by_another(day: Day, order_id: str) -> None:
    """Cancelled in the app: frozen, and the book is asked for before any order."""
    day.set_row(order_id, status=CANCELLED)
    said = day.push(order_id)
    assert "floor_cancelled" in codes(said, "alarm")
    assert len(of(said, ReadBook)) == 1
    assert orders(said) == []
    assert orders(day.tick(9_000, 9_010)) == [], "frozen: not even the stop is sent"


def test_a_cancelled_floor_goes_back_once_after_five_seconds_then_it_is_handed_over() -> None:
    day = Day()
    _, floor = day.hold()
    day.set_row(floor.order_id, status=CANCELLED)
    assert len(of(day.push(floor.order_id), ReadBook)) == 1
    day.now_ns += S
    assert orders(day.book()) == []
    assert orders(day.second(4, quiet=False)) == []
    again = one(orders(day.second(1, quiet=False)), PlaceOrder)
    assert is_floor(again)
    assert again.quantity == LOT
    day.accept(again)
    day.set_row(again.order_id, status=CANCELLED)
    day.push(again.order_id)
    day.now_ns += S
    said = day.book()
    assert reasons(said, DecisionKind.HANDED_OVER) == ["operator_took_over"]
    assert "handed_over" in codes(said, "alarm")
    assert orders(said) == []
    assert orders(day.tick(5_000, 5_010)) == [], "it is theirs"
    assert orders(day.second(30)) == []


def test_nothing_is_sent_for_a_frozen_contract_until_a_book_begun_later_is_read() -> None:
    day = Day()
    _, floor = day.hold()
    cancelled_by_another(day, floor.order_id)
    assert orders(day.book(began_ago_ns=1)) == []
    assert day.position.frozen == "exit_cancelled_by_another", "that reading began before"
    day.now_ns += S
    day.book()
    assert day.position.frozen == ""


def test_an_open_sell_of_a_person_is_a_hand_over() -> None:
    day = Day()
    _, floor = day.hold()
    assert len(of(day.person(Side.SELL, LOT, WORKS), ReadBook)) == 1
    assert day.position.frozen == "foreign_sell"
    day.now_ns += S
    said = day.book()
    assert reasons(said, DecisionKind.HANDED_OVER) == ["operator_took_over"]
    assert one(orders(said), CancelOrder).order_id == floor.order_id, "ours is withdrawn"


def test_a_position_handed_over_is_read_at_leisure() -> None:
    day = Day()
    day.hold()
    day.person(Side.SELL, LOT, WORKS)
    day.now_ns += S
    cancel = one(orders(day.book()), CancelOrder)
    day.accept(cancel)
    assert day.stands(PositionState.HANDED_OVER)
    day.book()
    day.now_ns += S
    assert of(day.book(), ReadBook) == [], "a reading that asks for the next would never end"
    assert len(of(day.second(20), ReadBook)) <= 2


def test_what_a_person_sold_is_booked_at_their_price() -> None:
    day = Day()
    _, floor = day.hold()
    day.person(Side.SELL, LOT, TRADED, 12_500)
    day.now_ns += S
    said = day.book()
    assert one(orders(said), CancelOrder).order_id == floor.order_id
    assert day.position.held == 0
    closed = day.accept(one(orders(said), CancelOrder))
    assert reasons(closed, DecisionKind.EXIT) == ["closed_at_broker_by_person"]
    assert day.state.ledger.realised_paise == 500 * LOT
    assert day.state.ledger.charges_paise > 2 * 2_360, "two orders' brokerage with tax, and the rest"


def test_a_part_sold_by_a_person_leaves_the_rest_to_them() -> None:
    day = Day()
    day.hold()
    day.person(Side.SELL, 25, TRADED, 12_500)
    day.now_ns += S
    day.book()
    assert day.stands(PositionState.HANDED_OVER)
    assert day.position.held == LOT - 25
    day.person(Side.SELL, LOT - 25, TRADED, 12_400)
    day.now_ns += S
    cancel = [c for c in orders(day.said) if isinstance(c, CancelOrder)][-1]
    day.accept(cancel)
    day.book()
    assert day.stands(PositionState.CLOSED)
    assert day.state.ledger.realised_paise == 25 * 500 + (LOT - 25) * 400


def test_the_brokers_square_off_is_booked_as_what_it_was() -> None:
    day = Day()
    _, floor = day.hold()
    day.set_row(floor.order_id, status=CANCELLED)
    day.push(floor.order_id)
    day.person(Side.SELL, LOT, TRADED, 11_000, name="VTT_SQROFF")
    day.now_ns += S
    said = day.book()
    assert reasons(said, DecisionKind.HANDED_OVER) == ["broker_square_off"]
    assert reasons(said, DecisionKind.EXIT) == ["broker_square_off"]
    assert day.state.ledger.realised_paise == -1_000 * LOT


def test_a_square_off_of_what_a_person_had_taken_over_is_still_a_square_off() -> None:
    day = Day()
    day.hold()
    day.person(Side.SELL, LOT, WORKS)
    day.now_ns += S
    day.accept(one(orders(day.book()), CancelOrder))
    day.foreign.clear()
    day.person(Side.SELL, LOT, TRADED, 11_000, name="VTT_SQROFF")
    day.now_ns += S
    day.book()
    assert day.position.exit_reason is ExitReason.BROKER_SQUARE_OFF


def test_a_position_row_that_is_missing_proves_nothing() -> None:
    day = Day()
    day.hold()
    for _ in range(3):
        day.now_ns += S
        said = day.tell(replace(day.reading(), positions=()))
        assert orders(said) == []
    assert day.stands(PositionState.OPEN)


def test_a_smaller_position_without_a_sale_needs_two_books() -> None:
    day = Day()
    day.hold()
    less = []
    for _ in range(2):
        day.now_ns += S
        book = day.reading()
        row = replace(book.positions[0], net_quantity=LOT - 20, sold_quantity=20, sold_value_paise=20 * 12_100)
        less.append(day.tell(replace(book, positions=(row,))))
    assert orders(less[0]) == []
    assert reasons(less[1], DecisionKind.HANDED_OVER) == ["operator_took_over"]
    assert day.position.held == LOT - 20


def test_a_person_buying_more_of_it_changes_nothing_of_ours() -> None:
    day = Day()
    _, floor = day.hold()
    day.person(Side.BUY, LOT, TRADED, 12_000)
    day.now_ns += S
    assert orders(day.book()) == []
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    assert exit_.quantity == LOT, "never theirs"
    assert exit_.order_id == floor.order_id
