"""One entrance, one table; values stay values; and the view says what the state says."""

from __future__ import annotations

import typing

import msgspec
import pytest

from algo_scalper.domain.charges import order_charges
from algo_scalper.domain.commands import COMMANDS, Command, ModifyOrder
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.errors import Bug
from algo_scalper.domain.events import Event, SecondPassed
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.orders import OrderKind, Purpose, Side
from algo_scalper.engine import orders as engine_orders
from algo_scalper.engine.engine import HANDLERS, Engine
from algo_scalper.engine.fills import day_net_paise
from algo_scalper.engine.views import TradeView, View, sentence, trade_view, view
from tests.unit.engine.story import DAY, LOT, TWO_LOTS, Day, of, one, orders


def test_there_is_a_handler_for_every_event_and_for_nothing_else() -> None:
    assert HANDLERS.keys() == set(typing.get_args(Event))


def test_every_command_is_listed() -> None:
    assert set(COMMANDS) == set(typing.get_args(Command))


def test_the_first_event_is_the_start_and_there_is_no_second() -> None:
    engine = Engine()
    assert not engine.is_born
    with pytest.raises(Bug, match="before SessionStarted"):
        _ = engine.state
    with pytest.raises(Bug, match="first event must be SessionStarted, not SecondPassed"):
        engine.handle(SecondPassed(1))
    day = Day()
    with pytest.raises(Bug, match="second SessionStarted"):
        day.tell(day.started)


def test_time_never_goes_back() -> None:
    day = Day()
    now = day.state.now_ns
    day.tell(SecondPassed(now - 5_000_000_000))
    assert day.state.now_ns == now


def test_events_and_commands_are_frozen() -> None:
    for kind in (*HANDLERS, *COMMANDS):
        assert issubclass(kind, msgspec.Struct)
        assert kind.__struct_config__.frozen, kind


def test_the_same_events_give_the_same_commands() -> None:
    def told() -> bytes:
        day = Day(rules=TWO_LOTS)
        _, floor = day.hold()
        day.tick(13_900, 13_910)
        day.second(5, quiet=False)
        day.accept(one(orders(day.tick(9_000, 9_010)), ModifyOrder)) if day.state.orders[
            floor.order_id
        ].request is None else None
        return msgspec.msgpack.encode(day.said)

    assert told() == told()


def test_what_would_break_a_promise_is_a_fault_not_an_order() -> None:
    day = Day()
    _, floor = day.hold()
    state, order = day.state, day.state.orders[floor.order_id]
    said: list[Command] = []
    with pytest.raises(Bug, match="orders to sell 130 where 65 are held"):
        engine_orders.modify(state, said, order, OrderKind.STOP_LIMIT, 2 * LOT, 6_725, 8_400)
    with pytest.raises(Bug, match="while modify is unanswered"):
        engine_orders.modify(state, said, order, OrderKind.LIMIT, LOT, 9_000)
    with pytest.raises(Bug, match="a cancel while modify is unanswered"):
        engine_orders.cancel(state, said, order)
    with pytest.raises(Bug, match="a second live EXIT order"):
        engine_orders.place(state, said, day.position, Purpose.EXIT, OrderKind.LIMIT, LOT, 9_000)
    with pytest.raises(Bug, match="is used twice"):
        engine_orders.place(
            state, said, day.position, Purpose.ENTRY, OrderKind.LIMIT, LOT, 9_000, order_id=day.position.id
        )
    assert said == [], "nothing has left"


def test_an_entry_is_whole_lots() -> None:
    day = Day()
    day.hold()
    for quantity in (0, LOT + 1):
        with pytest.raises(Bug, match="is not whole lots of 65"):
            engine_orders.place(day.state, [], day.position, Purpose.ENTRY, OrderKind.LIMIT, quantity, 9_000)
        day.state.orders.popitem()


def in_a_trade() -> Day:
    day = Day(rules=TWO_LOTS)
    day.hold(12_000)
    day.tick(12_500, 12_510)
    return day


def test_a_view_goes_over_the_wire_and_back() -> None:
    day = in_a_trade()
    seen = view(day.state)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=View) == seen
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(seen), type=View) == seen


def test_the_numbers_of_an_open_position_add_up() -> None:
    day = in_a_trade()
    seen = view(day.state)
    card = seen.positions[0]
    quantity = 2 * LOT
    buy = order_charges(Exchange.NSE, Side.BUY, 12_000 * quantity, DAY).total_paise
    sell = order_charges(Exchange.NSE, Side.SELL, 12_500 * quantity, DAY).total_paise
    assert card.open_paise == 500 * quantity
    assert card.charges_paise == buy + sell
    assert card.exit_now_net_paise == 500 * quantity - buy - sell
    assert (card.held, card.floor_quantity, card.floor_trigger_paise) == (quantity, quantity, 8_400)
    assert (card.stop_paise, card.emergency_paise, card.target_paise, card.next_trail_paise) == (
        9_600,
        8_880,
        16_800,
        13_800,
    )
    assert (seen.ledger.open_paise, seen.ledger.charges_paise) == (card.open_paise, buy + sell)
    assert seen.ledger.net_paise == day_net_paise(day.state) == seen.ledger.realised_paise + card.exit_now_net_paise
    assert seen.ledger.budget_left_paise == 400_000 + seen.ledger.net_paise
    assert "130 held" in seen.headline
    assert "trends up" in card.why


def test_a_position_without_a_price_yet_is_not_shown_as_lost() -> None:
    before = in_a_trade()
    day = Day(
        positions=tuple(before.state.positions.values()), orders=tuple(before.state.orders.values()), reconciled=False
    )
    seen = view(day.state)
    card = seen.positions[0]
    assert card.bid_paise == 0
    assert card.open_paise == 0, "valued at its average until there is a price, as the day's net is"
    assert seen.ledger.open_paise == card.open_paise


def test_a_view_of_an_entry_that_works_and_of_an_empty_day() -> None:
    day = Day()
    assert view(day.state).headline.startswith("No position")
    assert view(day.state).clock.phase == "trading"
    day.enter()
    seen = view(day.state)
    assert seen.headline == f"Buying {LOT} {seen.positions[0].contract}"
    assert seen.positions[0].exit_now_net_paise == 0


def test_a_closed_trade_adds_up() -> None:
    day = in_a_trade()
    floor = next(o for o in day.state.orders.values() if o.side is Side.SELL)
    day.accept(one(orders(day.tick(9_590, 9_600)), ModifyOrder))
    said = day.fill(floor.id, 2 * LOT, 9_590)
    trade = trade_view(day.state, day.position)
    ledger = view(day.state).ledger
    assert trade.gross_paise == (9_590 - 12_000) * 2 * LOT == ledger.realised_paise
    assert trade.charges["total"] == ledger.charges_paise == trade.gross_paise - trade.net_paise
    lines = sum(paise for name, paise in trade.charges.items() if name != "total")
    assert abs(lines - trade.charges["total"]) <= 4, "each line is rounded for itself"
    assert (trade.best_paise, trade.worst_paise, trade.reason) == (12_500, 9_590, "stop_loss")
    assert trade.exit_signal_paise == 9_590
    assert msgspec.json.decode(msgspec.json.encode(trade), type=TradeView) == trade
    decision = next(d for d in of(said, Decision) if d.kind is DecisionKind.EXIT)
    assert decision.numbers["net_paise"] == trade.net_paise
    assert sentence(decision).startswith("Left: stop loss")


def test_every_decision_of_a_day_has_a_sentence() -> None:
    day = in_a_trade()
    day.tick(14_000, 14_010)
    day.signal()
    day.state.halted = ""
    kinds = {decision.kind for decision in of(day.said, Decision)}
    assert {DecisionKind.ENTRY, DecisionKind.REFUSAL, DecisionKind.STOP_MOVED} <= kinds
    assert all(sentence(decision) for decision in of(day.said, Decision))
