"""From a closed candle to a buy order, and the buy order's short life."""

from __future__ import annotations

from msgspec.structs import replace

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder, ReadBook
from algo_scalper.domain.decisions import Decision, DecisionKind, Direction
from algo_scalper.domain.events import BookUnread, FeedLost, FeedRestored, HistoryLoaded, OrderDropped
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import BrokerStatus, OrderKind, OrderState, Product, Purpose, Request, Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.rules import Role
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from tests.unit.engine.story import CALL, LOT, PUT, RULES, SPOT, TAG, TWO_LOTS, Day, codes, of, one, orders, reasons

REFUSAL, ENTRY, NO_SIGNAL = DecisionKind.REFUSAL, DecisionKind.ENTRY, DecisionKind.NO_SIGNAL
S = NS_PER_SECOND


def test_an_up_candle_buys_the_call_at_the_money_with_its_numbers() -> None:
    day = Day()
    said = day.signal()
    order = one(said, PlaceOrder)
    # Ask 120.10 and half a percent: 120.70.
    assert order == PlaceOrder(
        f"{TAG}-1-1", CALL.key, Side.BUY, OrderKind.LIMIT, LOT, 12_070, 0, Purpose.ENTRY, Product.INTRADAY
    )
    decision = one(said, Decision)
    assert (decision.kind, decision.reason, decision.direction) == (ENTRY, "story", 1)
    assert decision.position_id == order.order_id
    wanted = {"ask_paise": 12_010, "bid_paise": 11_990, "limit_paise": 12_070, "quantity": LOT, "spot_paise": SPOT}
    assert wanted.items() <= decision.numbers.items()
    assert day.stands(PositionState.OPENING)


def test_a_down_candle_buys_the_put() -> None:
    day = Day()
    assert day.enter(SPOT + 50).key == PUT.key
    assert day.position.direction is Direction.DOWN


def test_a_candle_without_a_signal_says_why() -> None:
    day = Day()
    said = day.signal(SPOT + 10)
    assert orders(said) == []
    assert len(reasons(said, NO_SIGNAL)) == 1


def test_a_second_signal_while_one_is_open_is_refused() -> None:
    day = Day()
    day.hold()
    assert reasons(day.signal(), REFUSAL) == ["same_side_full"]
    assert reasons(day.signal(SPOT + 50), REFUSAL) == ["opposite_open"]


def test_before_the_book_is_read_nothing_is_entered() -> None:
    day = Day(reconciled=False)
    assert of(day.opening, ReadBook)
    assert reasons(day.signal(), REFUSAL) == ["not_reconciled"]
    day.book()
    assert len(orders(day.signal())) == 1


def test_the_book_is_asked_for_until_it_is_read() -> None:
    day = Day(reconciled=False)
    assert of(day.second(14), ReadBook) == [], "one question at a time"
    assert len(of(day.second(1), ReadBook)) == 1, "not answered in 15 seconds: asked again"
    day.tell(BookUnread(day.now_ns, "HTTP 500"))
    assert len(of(day.second(2), ReadBook)) == 1, "an unread book proves nothing"
    assert not day.state.reconciled


def test_feeds_that_are_down_refuse_and_come_back() -> None:
    day = Day()
    day.tell(FeedLost(day.now_ns, "market", "silent"))
    assert reasons(day.signal(), REFUSAL) == ["feed_down"]
    day.tell(FeedRestored(day.now_ns, "market"))
    assert reasons(day.signal(), REFUSAL) == ["candles_missed"]
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (Candle(day.now_ns - NS_PER_MINUTE, SPOT, SPOT, SPOT, SPOT),)))
    day.tell(FeedLost(day.now_ns, "orders", "closed"))
    assert reasons(day.signal(), REFUSAL) == ["order_feed_down"]
    said = day.tell(FeedRestored(day.now_ns, "orders"))
    assert len(of(said, ReadBook)) == 1, "what was missed is read"
    assert len(orders(day.signal())) == 1


def test_a_watched_index_decides_and_sends_nothing() -> None:
    watched = replace(RULES, indices=(replace(RULES.indices[0], role=Role.WATCH),))
    day = Day(rules=watched)
    said = day.signal()
    assert reasons(said, REFUSAL) == ["watch_only"]
    assert orders(said) == []


def test_an_entry_is_repriced_once_then_let_go() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    day.tick(12_090, 12_110)  # 0.83 % over the signal's price
    assert orders(day.second(2, quiet=False)) == []
    change = one(orders(day.second(1, quiet=False)), ModifyOrder)
    assert (change.order_id, change.price_paise, change.quantity) == (entry.order_id, 12_175, LOT)
    day.accept(change)
    assert orders(day.second(2, quiet=False)) == []
    cancel = one(orders(day.second(1, quiet=False)), CancelOrder)
    closed = day.accept(cancel)
    assert day.stands(PositionState.CLOSED)
    assert reasons(closed, DecisionKind.EXIT) == [], "nothing was bought: nothing is booked"
    assert day.state.ledger.trades == 0


def test_an_entry_is_not_chased_further_than_its_limit() -> None:
    day = Day()
    day.accept(day.enter())
    day.tick(12_190, 12_195)  # 1.5 % over 120.10 is 121.90
    assert type(one(orders(day.second(3, quiet=False)), CancelOrder)) is CancelOrder


def test_an_entry_whose_price_is_not_fresh_is_let_go() -> None:
    day = Day()
    day.accept(day.enter())
    assert type(one(orders(day.later(5)), CancelOrder)) is CancelOrder


def test_a_part_fill_is_kept_and_the_rest_let_go() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    assert entry.quantity == 2 * LOT
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    day.tick(12_300, 12_310)  # too far to chase
    cancel = one(orders(day.second(3, quiet=False)), CancelOrder)
    assert cancel.order_id == entry.order_id
    assert orders(day.accept(cancel)) == []
    assert day.stands(PositionState.OPEN)
    assert day.position.held == LOT
    assert day.state.orders[floor.order_id].quantity == LOT


def test_a_cancel_that_crosses_a_fill_grows_the_floor() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    day.tick(12_300, 12_310)
    cancel = one(orders(day.second(3, quiet=False)), CancelOrder)
    day.set_row(entry.order_id, filled_quantity=2 * LOT, filled_value_paise=24_000 * LOT, status=BrokerStatus.TRADED)
    day.reject(cancel, "TRADED and can not be changed")
    day.now_ns += S
    grown = one(orders(day.book()), ModifyOrder)
    assert (grown.order_id, grown.quantity) == (floor.order_id, 2 * LOT)


def test_a_rejected_entry_is_over_and_three_in_a_row_halt() -> None:
    day = Day()
    for number in range(3):
        entry = day.enter()
        said = day.reject(entry, "RMS: margin")
        assert day.stands(PositionState.CLOSED)
        assert day.state.orders[entry.order_id].state is OrderState.REJECTED
        assert ("halted" in codes(said)) is (number == 2)
    assert reasons(day.signal(), REFUSAL) == ["halted"]


def test_an_entry_that_our_own_lane_dropped_halts() -> None:
    day = Day()
    entry = day.enter()
    said = day.tell(OrderDropped(day.now_ns, entry.order_id, Request.PLACE, "not_durable"))
    assert "halted" in codes(said)
    assert day.state.orders[entry.order_id].state is OrderState.DROPPED
    assert day.stands(PositionState.CLOSED)


def test_after_leaving_the_index_cools_down_and_a_loss_pauses() -> None:
    day = Day()
    _, floor = day.hold()
    day.accept(one(orders(day.tick(9_590, 9_600)), ModifyOrder))
    day.fill(floor.order_id, LOT, 9_590)
    assert reasons(day.signal(), REFUSAL) == ["cooldown"]
    day.now_ns += 300 * S
    assert reasons(day.signal(), REFUSAL) == ["after_loss"]
    day.now_ns += 600 * S
    assert len(orders(day.signal())) == 1


def test_a_person_s_position_in_the_contract_refuses_ours() -> None:
    day = Day()
    day.person(Side.BUY, LOT, BrokerStatus.TRADED)
    day.book()
    assert reasons(day.signal(), REFUSAL) == ["foreign_position"]


def test_ids_are_unique_and_short() -> None:
    day = Day()
    ids = {day.state.next_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert max(map(len, ids)) <= 25
