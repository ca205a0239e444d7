"""A process start takes its books back, and what was under way is an open question."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from algo_scalper.domain.commands import ModifyOrder, PlaceOrder, PollChain, ReadBook, Subscribe
from algo_scalper.domain.decisions import DecisionKind
from algo_scalper.domain.events import HistoryLoaded, SoftState
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, OrderState, Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from tests.unit.engine.story import CALL, EXPIRY, LOT, SPOT, TAG, Day, at, codes, is_floor, of, one, orders, reasons

S = NS_PER_SECOND


def again(before: Day, clock: str = "10:50", **changed: Any) -> Day:
    """Another process on the same books, at the same broker."""
    state = before.state
    day = Day(
        clock,
        reconciled=False,
        epoch=2,
        positions=tuple(msgspec.structs.replace(p) for p in state.positions.values()),
        orders=tuple(msgspec.structs.replace(o) for o in state.orders.values()),
        ledger=replace(state.ledger),
        **changed,
    )
    day.rows = dict(before.rows)
    return day


def test_a_start_asks_for_the_book_the_chain_and_prices() -> None:
    day = Day(reconciled=False)
    assert one(day.opening, Subscribe).keys == (NIFTY.key, INDIA_VIX_KEY)
    assert one(day.opening, PollChain) == PollChain("NIFTY", EXPIRY)
    assert len(of(day.opening, ReadBook)) == 1


def test_an_open_position_goes_on_under_its_floor() -> None:
    before = Day()
    _, floor = before.hold()
    day = again(before)
    assert CALL.key in one(day.opening, Subscribe).keys
    assert "position_resumed" in codes(day.opening)
    assert orders(day.tick(9_000, 9_010)) == [], "the broker has not been asked yet"
    exit_ = one(orders(day.book()), ModifyOrder)
    assert (exit_.order_id, exit_.kind, exit_.quantity) == (floor.order_id, OrderKind.LIMIT, LOT)


def test_an_entry_that_was_intended_is_a_question() -> None:
    before = Day()
    entry = before.enter()
    day = again(before)
    assert day.state.orders[entry.order_id].state is OrderState.UNKNOWN
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["not_reconciled"]
    day.now_ns += 11 * S
    day.book()
    day.book()
    assert day.state.orders[entry.order_id].state is OrderState.ABSENT
    assert day.stands(PositionState.CLOSED)


def test_an_entry_that_filled_while_we_were_away_gets_its_floor() -> None:
    before = Day()
    entry = before.enter()
    before.accept_silently(entry)
    before.set_row(entry.order_id, status=BrokerStatus.TRADED, filled_quantity=LOT, filled_value_paise=12_000 * LOT)
    day = again(before)
    floor = one(orders(day.book()), PlaceOrder)
    assert is_floor(floor)
    assert floor.order_id == f"{TAG}-2-1", "ids of this start cannot meet those of the last"


def test_a_floor_that_traded_while_we_were_away_is_booked() -> None:
    before = Day()
    _, floor = before.hold()
    day = again(before)
    day.set_row(floor.order_id, status=BrokerStatus.TRADED, filled_quantity=LOT, filled_value_paise=8_300 * LOT)
    assert reasons(day.book(), DecisionKind.EXIT) == ["floor_traded"]
    assert day.state.ledger.realised_paise == (8_300 - 12_000) * LOT


def test_a_change_under_way_is_a_question_the_book_answers() -> None:
    before = Day()
    _, floor = before.hold()
    exit_ = one(orders(before.tick(9_590, 9_600)), ModifyOrder)
    before.accept_silently(exit_)
    day = again(before)
    assert day.state.unknown_orders() == 1
    assert orders(day.book()) == [], "it is a limit at the broker already, and nothing is quoted"
    assert day.state.orders[floor.order_id].kind is OrderKind.LIMIT


def test_orders_with_our_tag_that_our_books_have_lost_are_claimed_whole() -> None:
    """The disk is gone: entry and floor stand in the broker's book, the newest first."""
    day = Day(reconciled=False, epoch=2)
    bought = BrokerOrder(
        f"{TAG}-1-1", "B1", CALL.key, Side.BUY, OrderKind.LIMIT, BrokerStatus.TRADED, LOT, LOT, 12_000 * LOT, 12_070
    )
    floor = BrokerOrder(
        f"{TAG}-1-2", "B2", CALL.key, Side.SELL, OrderKind.STOP_LIMIT, BrokerStatus.PENDING, LOT, 0, 0, 6_725, 8_400
    )
    day.rows = {bought.correlation_id: bought, floor.correlation_id: floor}
    said = day.book()
    assert orders(said) == [], "its floor is known: not a second one"
    assert CALL.key in one(said, Subscribe).keys
    assert day.position.held == LOT
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    assert exit_.order_id == floor.correlation_id


def test_a_claimed_trade_that_is_over_is_booked_whatever_the_order_of_the_rows() -> None:
    day = Day(reconciled=False, epoch=2)
    for number, side, price in ((1, Side.BUY, 12_000), (2, Side.SELL, 12_400)):
        row = BrokerOrder(
            f"{TAG}-1-{number}", f"B{number}", CALL.key, side, OrderKind.LIMIT, BrokerStatus.TRADED, LOT, LOT,
            price * LOT, price,
        )  # fmt: skip
        day.rows[row.correlation_id] = row
    day.book()
    assert day.stands(PositionState.CLOSED)
    assert day.state.ledger.realised_paise == 400 * LOT


def test_cooldown_pause_and_halt_survive() -> None:
    until = at("10:40")
    day = Day(soft=SoftState(at("10:29"), {"NIFTY": until}, 0))
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["cooldown"]
    day = Day(soft=SoftState(at("10:29"), {}, until))
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["after_loss"]
    day = Day(standing_halt="halted by Asha")
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["halted"]


def test_the_waits_after_todays_trades_survive_without_the_soft_state() -> None:
    before = Day()
    _, floor = before.hold()
    before.fill(floor.order_id, LOT, 8_400)
    closed = before.position.closed_ns
    day = again(before, "10:33")
    assert day.state.indices["NIFTY"].cooldown_until_ns == closed + 300 * S
    assert day.state.paused_until_ns == before.state.paused_until_ns == closed + 900 * S
    assert day.state.sent_today == before.state.sent_today == 2
    day.book()
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["cooldown"]


def test_a_start_in_the_middle_of_the_day_knows_how_the_day_opened() -> None:
    candle = Candle(at("09:15"), SPOT + 30_000, SPOT + 30_000, SPOT, SPOT)
    yesterday = Candle(candle.start_ns - 1_440 * NS_PER_MINUTE, SPOT, SPOT, SPOT, SPOT)
    day = Day("09:40")
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (yesterday, candle)))
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["gap_wait"], "it opened 1.2 % up"


def test_the_event_is_a_value_and_stays_as_it_was_told() -> None:
    before = Day()
    before.hold()
    day = again(before)
    told = msgspec.msgpack.encode(day.started)
    day.book()
    day.accept(one(orders(day.tick(9_590, 9_600)), ModifyOrder))
    day.second(3)
    day.fill(next(o.id for o in day.state.orders.values() if o.side is Side.SELL), LOT, 9_590)
    assert of(day.said, ModifyOrder)
    assert msgspec.msgpack.encode(day.started) == told
