"""The floor, the stops, the chase: from the first fill to the last contract sold."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder, ReadBook
from algo_scalper.domain.decisions import DecisionKind, ExitReason
from algo_scalper.domain.events import RulesChanged
from algo_scalper.domain.orders import BrokerStatus, OrderKind, OrderState, Purpose, Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from tests.unit.engine.story import CALL, LOT, TWO_LOTS, Day, at, codes, is_floor, of, one, orders, reasons

LIMIT, STOP = OrderKind.LIMIT, OrderKind.STOP_LIMIT


def test_the_first_fill_places_the_floor_and_a_further_one_grows_it() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    # Stop 20 % under 120.00 = 96.00, floor 30 % under = 84.00, its limit 20 % of that deeper less a tick.
    assert (floor.side, floor.kind, floor.quantity) == (Side.SELL, STOP, LOT)
    assert (floor.trigger_paise, floor.price_paise) == (8_400, 6_725)
    assert day.position.stop_paise == 9_600
    assert orders(day.fill(entry.order_id, LOT, 12_020)) == [], "the first request is not answered yet"
    grown = one(orders(day.accept(floor)), ModifyOrder)
    assert (grown.order_id, grown.quantity, grown.kind) == (floor.order_id, 2 * LOT, STOP)
    assert grown.trigger_paise == 8_400, "growing does not move it"
    assert orders(day.accept(grown)) == []
    assert day.position.average_paise == 12_010


def test_a_stop_turns_the_floor_into_a_marketable_limit() -> None:
    day = Day()
    _, floor = day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    # 1.5 % under a bid of 95.90 is 94.46, down to the tick.
    assert (exit_.order_id, exit_.kind, exit_.quantity) == (floor.order_id, LIMIT, LOT)
    assert (exit_.price_paise, exit_.trigger_paise) == (9_445, 0)
    assert day.position.exit_reason is ExitReason.STOP_LOSS
    assert day.stands(PositionState.LEAVING)
    day.accept(exit_)
    closed = day.fill(floor.order_id, LOT, 9_590)
    assert reasons(closed, DecisionKind.EXIT) == ["stop_loss"]
    assert day.stands(PositionState.CLOSED)
    assert day.state.ledger.realised_paise == (9_590 - 12_000) * LOT
    assert day.state.open_by_key == {}


def test_an_exit_is_repriced_each_second_then_at_the_slab_then_at_the_edge_with_an_alarm() -> None:
    day = Day()
    day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.accept(exit_)
    asked: dict[int, int] = {}
    alarms: dict[int, list[str]] = {}
    for passed in range(1, 8):
        bid = 9_590 - 100 * passed
        day.now_ns += NS_PER_SECOND
        said = day.tick(bid, bid + 10)
        for change in of(said, ModifyOrder):
            asked[passed] = change.price_paise
            day.accept(change)
        alarms[passed] = codes(said, "alarm")
    # bid 94.90 - 1.5 % = 93.475; 93.90 -> 92.49; then the slab (3 % under 100): 92.90 -> 90.11; from 6 s the edge.
    assert asked[1] == 9_345
    assert asked[2] == 9_245
    assert asked[3] == 9_010
    assert asked[6] == 5_400, "60 % of 89.90 is 53.94: up to the tick and one tick inside"
    assert alarms[5] == []
    assert "exit_slow" in alarms[6]


def test_a_rising_bid_is_not_chased_upwards_and_two_packets_of_one_second_make_one_change() -> None:
    day = Day()
    day.hold()
    day.accept(one(orders(day.tick(9_590, 9_600)), ModifyOrder))
    assert orders(day.tick(9_500, 9_510, after_ns=400 * NS_PER_MS)) == []
    assert orders(day.tick(9_700, 9_710, after_ns=NS_PER_SECOND)) == []


def test_a_refused_change_is_cancelled_awaited_and_placed_anew() -> None:
    day = Day()
    _, floor = day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    said = day.reject(exit_, "can not be changed")
    assert orders(said) == [], "it may have traded: the book says"
    assert len(of(said, ReadBook)) == 1
    day.now_ns += NS_PER_SECOND
    cancel = one(orders(day.book()), CancelOrder)
    assert cancel.order_id == floor.order_id
    assert orders(day.accept(cancel, push=False)) == [], "cancelled is not yet known"
    day.tick(9_580, 9_590)
    again = one(orders(day.push(floor.order_id)), PlaceOrder)
    assert (again.kind, again.quantity, again.side) == (LIMIT, LOT, Side.SELL)
    assert again.order_id != floor.order_id
    day.accept(again)
    assert reasons(day.fill(again.order_id, LOT, 9_580), DecisionKind.EXIT) == ["stop_loss"]


def test_a_change_refused_because_it_traded_is_a_fill() -> None:
    day = Day()
    _, floor = day.hold()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.set_row(floor.order_id, status=BrokerStatus.TRADED, filled_quantity=LOT, filled_value_paise=LOT * 8_300)
    day.reject(exit_, "TRADED and can not be changed")
    day.now_ns += NS_PER_SECOND
    said = day.book()
    assert orders(said) == []
    assert reasons(said, DecisionKind.EXIT) == ["stop_loss"]
    assert day.state.ledger.realised_paise == (8_300 - 12_000) * LOT


def test_the_floor_that_triggers_by_itself_is_followed_to_its_end() -> None:
    day = Day()
    _, floor = day.hold()
    # The feed said nothing; a part of the floor has traded.
    said = day.fill(floor.order_id, 20, 8_350)
    change = one(orders(said), ModifyOrder)
    assert change.kind is LIMIT
    assert change.quantity == LOT, "the total, what has traded included"
    assert day.position.exit_reason is ExitReason.FLOOR_TRADED
    day.accept(change)
    closed = day.fill(floor.order_id, LOT - 20, 8_300)
    assert reasons(closed, DecisionKind.EXIT) == ["floor_traded"]


def test_a_floor_that_trades_whole_is_said_to_be_one() -> None:
    day = Day()
    _, floor = day.hold()
    assert reasons(day.fill(floor.order_id, LOT, 8_300), DecisionKind.EXIT) == ["floor_traded"]


def test_the_target_and_the_emergency_stop() -> None:
    for bid, ask, why in ((16_800, 16_820, "target"), (8_880, 9_900, "emergency_stop")):
        day = Day()
        _, floor = day.hold()
        exit_ = one(orders(day.tick(bid, ask, 12_000, printed_ago_s=5, after_ns=5 * NS_PER_SECOND)), ModifyOrder)
        day.accept(exit_)
        assert reasons(day.fill(floor.order_id, LOT, bid), DecisionKind.EXIT) == [why]


def test_a_wide_spread_needs_a_second_packet_half_a_second_later() -> None:
    day = Day()
    day.hold()
    day.now_ns += 5 * NS_PER_SECOND
    wide = {"ask": 11_000, "ltp": 12_000, "printed_ago_s": 5}
    assert orders(day.tick(9_500, **wide)) == []
    assert orders(day.tick(9_500, after_ns=499 * NS_PER_MS, **wide)) == []
    assert orders(day.tick(9_700, after_ns=NS_PER_MS, **wide)) == [], "back over the stop: it counts from anew"
    assert orders(day.tick(9_500, after_ns=NS_PER_MS, **wide)) == []
    assert len(orders(day.tick(9_500, after_ns=500 * NS_PER_MS, **wide))) == 1


def test_the_trail_lifts_the_stop_at_once_and_the_floor_in_rare_steps() -> None:
    day = Day()
    _, floor = day.hold()
    said = day.tick(13_800, 13_810)  # +15 %: to cost and charges
    assert reasons(said, DecisionKind.STOP_MOVED) == ["trail"]
    stop = day.position.stop_paise
    per_contract = stop - 12_000
    assert 90 <= per_contract <= 125, "about 1 % of the premium of one lot"
    lifted = one(orders(said), ModifyOrder)
    assert is_floor(lifted)
    assert lifted.trigger_paise == (stop - 1_200) // 5 * 5, "10 % of entry under the stop, as before"
    day.accept(lifted)
    assert orders(day.tick(15_000, 15_010, after_ns=NS_PER_SECOND)) == [], "a step within ten seconds waits"
    assert day.position.stop_paise == 13_200
    later = [command for command in day.second(10, quiet=False) if isinstance(command, ModifyOrder)]
    assert [change.trigger_paise for change in later] == [12_000]
    assert later[0].order_id == floor.order_id
    day.accept(later[0])
    exit_ = one(orders(day.tick(13_190, 13_200)), ModifyOrder)
    day.accept(exit_)
    assert reasons(day.fill(floor.order_id, LOT, 13_190), DecisionKind.EXIT) == ["trailing_stop"]


def test_modifications_are_kept_for_leaving() -> None:
    day = Day()
    _, floor = day.hold()
    day.state.orders[floor.order_id].modifications = 18
    assert orders(day.tick(13_800, 13_810)) == [], "18 of 25 are spent: the rest is for leaving"
    exit_ = one(orders(day.tick(11_000, 11_010)), ModifyOrder)
    assert exit_.kind is LIMIT


def test_when_every_modification_is_spent_it_is_cancelled_and_placed() -> None:
    day = Day()
    _, floor = day.hold()
    day.state.orders[floor.order_id].modifications = 25
    cancel = one(orders(day.tick(9_590, 9_600)), CancelOrder)
    again = one(orders(day.accept(cancel)), PlaceOrder)
    assert again.kind is LIMIT


def test_a_rejected_exit_is_tried_again_more_and_more_slowly_until_one_is_taken() -> None:
    day = Day()
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    said = day.reject(floor, "RMS: no margin")
    assert "exit_rejected" in codes(said, "alarm")
    assert orders(said) == []
    second_try = one(orders(day.second(1, quiet=False)), PlaceOrder)
    day.reject(second_try, "RMS: no margin")
    assert orders(day.second(1, quiet=False)) == []
    third_try = one(orders(day.second(1, quiet=False)), PlaceOrder)
    day.accept(third_try)
    assert day.position.exit_rejections == 0, "in a row: one that is taken ends it"


def test_flat_by() -> None:
    day = Day("14:30")
    _, floor = day.hold()
    day.now_ns = day.state.flat_by(day.position) - 2 * NS_PER_SECOND
    assert orders(day.second(1, quiet=False)) == []
    exit_ = one(orders(day.second(1, quiet=False)), ModifyOrder)
    assert exit_.kind is LIMIT
    assert day.position.exit_reason is ExitReason.FLAT_BY
    day.accept(exit_)
    assert reasons(day.fill(floor.order_id, LOT, 12_000), DecisionKind.EXIT) == ["flat_by"]


def test_flat_by_is_ten_minutes_before_the_index_freezes() -> None:
    day = Day()
    day.hold()
    assert day.state.flat_by(day.position) == at("15:05")


@pytest.mark.parametrize(("bid", "leaves"), [(12_590, True), (12_600, False)])
def test_the_time_stop_leaves_what_has_not_gained_enough(bid: int, leaves: bool) -> None:
    day = Day()
    day.hold()
    opened = day.position.opened_ns
    day.now_ns = opened + 45 * 60 * NS_PER_SECOND - NS_PER_SECOND
    day.tick(bid, bid + 10)
    assert bool(orders(day.second())) is leaves
    if leaves:
        assert day.position.exit_reason is ExitReason.TIME_STOP


def test_what_is_sold_never_exceeds_what_is_held_whatever_is_answered_when() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.tick(9_000, 9_010)  # the stop, while the floor is not answered
    assert day.stands(PositionState.LEAVING)
    said = day.accept(floor)
    exit_ = one(orders(said), ModifyOrder)
    assert exit_.quantity == LOT
    assert exit_.kind is LIMIT
    late = day.fill(entry.order_id, LOT, 12_000)  # the rest of the entry, after leaving began
    assert orders(late) == [], "one request at a time"
    grown = one(orders(day.accept(exit_)), ModifyOrder)
    assert grown.quantity == 2 * LOT


def test_an_entry_that_is_part_filled_is_withdrawn_when_leaving() -> None:
    day = Day(rules=TWO_LOTS)
    entry = day.enter()
    day.accept(entry)
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), PlaceOrder)
    day.accept(floor)
    said = orders(day.tick(9_000, 9_010))
    assert {type(command) for command in said} == {CancelOrder, ModifyOrder}
    assert one(said, CancelOrder).order_id == entry.order_id


def test_the_order_that_is_gone_is_not_taken_for_alive() -> None:
    day = Day()
    _, floor = day.hold()
    day.set_row(floor.order_id, status=BrokerStatus.REJECTED, reason="EXCH:16284: price range")
    said = day.push(floor.order_id)
    assert day.state.orders[floor.order_id].state is OrderState.REJECTED
    assert orders(said) == []
    replaced = one(orders(day.second(1, quiet=False)), PlaceOrder)
    assert is_floor(replaced)
    assert replaced.purpose is Purpose.EXIT
    assert replaced.key == CALL.key


def test_exits_go_on_while_halted_and_positions_keep_their_exit_rules() -> None:
    day = Day()
    day.hold()
    day.state.halted = "halted by Asha"
    tighter = replace(day.state.rules, version=2, exit=replace(day.state.rules.exit, stop_bps=500))
    assert "rules_changed" in codes(day.tell(RulesChanged(day.now_ns, tighter, "Asha")))
    assert orders(day.tick(11_000, 11_010)) == [], "5 % is the next position's stop"
    assert len(orders(day.tick(9_590, 9_600))) == 1


def test_an_exit_refused_at_the_edge_asks_for_less_until_one_is_taken() -> None:
    edge, slab, near = 5_760, 9_300, 9_445  # 40 % under 95.90 and a tick inside; less twice 1.5 %; less 1.5 %
    day = Day()
    day.hold()
    change = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    while change.price_paise > edge:
        said = day.accept(change)
        change = of([*said, *day.second(8, quiet=False)], ModifyOrder)[0]
    day.reject(change, "EXCH:16284:The order price is out of the days price range.")
    day.now_ns += NS_PER_SECOND
    cancel = one(orders(day.book()), CancelOrder)
    day.accept(cancel, push=False)
    sell = one(orders(day.push(cancel.order_id)), PlaceOrder)
    asked = []
    for _ in range(3):
        asked.append(sell.price_paise)
        day.reject(sell, "EXCH:16284:The order price is out of the days price range.")
        sell = of(day.second(9, quiet=False), PlaceOrder)[0]
    assert [*asked, sell.price_paise] == [edge, slab, near, edge]


def test_the_book_is_read_once_when_a_position_is_over_and_now_and_then_while_nothing_is_held() -> None:
    """What was sold for is in the funds of the reading after it; without one the next entry would want for cash."""
    day = Day()
    day.hold()
    day.second(2)
    day.book()
    exit_ = one(orders(day.tick(9_590, 9_600)), ModifyOrder)
    day.accept(exit_)
    day.fill(exit_.order_id, LOT, 9_500)
    assert day.position.state is PositionState.CLOSED
    read = [len(of(day.second(1), ReadBook)) for _ in range(4)]
    assert sum(read) == 1
    day.book()
    assert [second for second in range(1, 130) if of(day.second(1), ReadBook) and day.book() is not None] == [60, 120]
