"""The two tables of states: whole, and walked at random."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.errors import Bug, IllegalTransition
from algo_scalper.domain.orders import (
    NEXT_ORDER_STATE,
    ROW_TRIGGER,
    TERMINAL,
    BrokerStatus,
    Order,
    OrderKind,
    OrderState,
    OrderTrigger,
    Purpose,
    Request,
    Side,
    next_order_state,
)
from algo_scalper.domain.positions import (
    NEXT_POSITION_STATE,
    PositionState,
    PositionTrigger,
    next_position_state,
)

# Ends that the real world may still correct: a fill that crossed a cancel, an order believed lost that turns up.
REAL_WORLD = {
    (OrderState.REJECTED, OrderTrigger.ROW_PART_TRADED): OrderState.PART_TRADED,
    (OrderState.REJECTED, OrderTrigger.ROW_TRADED): OrderState.TRADED,
    (OrderState.REJECTED, OrderTrigger.ROW_CANCELLED): OrderState.CANCELLED,
    (OrderState.REJECTED, OrderTrigger.ROW_EXPIRED): OrderState.EXPIRED,
    (OrderState.CANCELLED, OrderTrigger.ROW_TRADED): OrderState.TRADED,
    (OrderState.EXPIRED, OrderTrigger.ROW_TRADED): OrderState.TRADED,
    (OrderState.ABSENT, OrderTrigger.ROW_TRANSIT): OrderState.TRANSIT,
    (OrderState.ABSENT, OrderTrigger.ROW_PENDING): OrderState.PENDING,
    (OrderState.ABSENT, OrderTrigger.ROW_PART_TRADED): OrderState.PART_TRADED,
    (OrderState.ABSENT, OrderTrigger.ROW_TRADED): OrderState.TRADED,
    (OrderState.ABSENT, OrderTrigger.ROW_CANCELLED): OrderState.CANCELLED,
    (OrderState.ABSENT, OrderTrigger.ROW_REJECTED): OrderState.REJECTED,
    (OrderState.ABSENT, OrderTrigger.ROW_EXPIRED): OrderState.EXPIRED,
}


def test_every_state_has_a_row() -> None:
    assert set(NEXT_ORDER_STATE) == set(OrderState)
    assert set(NEXT_POSITION_STATE) == set(PositionState)


def test_every_word_of_the_broker_is_a_trigger() -> None:
    assert set(ROW_TRIGGER) == set(BrokerStatus)
    assert len(set(ROW_TRIGGER.values())) == len(BrokerStatus)


def test_terminal_orders_leave_only_by_the_real_world() -> None:
    leaving = {
        (state, trigger): after
        for state in TERMINAL
        for trigger, after in NEXT_ORDER_STATE[state].items()
        if after is not state
    }
    assert leaving == REAL_WORLD


def test_live_orders_can_reach_every_end_the_broker_knows() -> None:
    for state in set(OrderState) - TERMINAL:
        for status in (BrokerStatus.TRADED, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED):
            assert next_order_state(state, ROW_TRIGGER[status]).value == status.value


def test_a_fill_is_never_taken_back() -> None:
    assert set(NEXT_ORDER_STATE[OrderState.TRADED].values()) == {OrderState.TRADED}
    unfilled = {OrderState.INTENDED, OrderState.TRANSIT, OrderState.PENDING, OrderState.UNKNOWN}
    assert not unfilled & set(NEXT_ORDER_STATE[OrderState.PART_TRADED].values())


def test_only_a_settled_order_is_absent_and_only_an_unsent_one_is_dropped() -> None:
    into_absent = {
        (state, trigger)
        for state, row in NEXT_ORDER_STATE.items()
        for trigger, after in row.items()
        if after is OrderState.ABSENT and state is not OrderState.ABSENT
    }
    into_dropped = {
        (state, trigger)
        for state, row in NEXT_ORDER_STATE.items()
        for trigger, after in row.items()
        if after is OrderState.DROPPED
    }
    assert into_absent == {(OrderState.UNKNOWN, OrderTrigger.SETTLED_ABSENT)}
    assert into_dropped == {(OrderState.INTENDED, OrderTrigger.DROPPED)}


@pytest.mark.parametrize("state", list(OrderState))
@pytest.mark.parametrize("trigger", list(OrderTrigger))
def test_an_empty_order_cell_is_a_bug_that_names_both(state: OrderState, trigger: OrderTrigger) -> None:
    if trigger in NEXT_ORDER_STATE[state]:
        assert isinstance(next_order_state(state, trigger), OrderState)
    else:
        with pytest.raises(IllegalTransition, match=rf"{state}.*{trigger}"):
            next_order_state(state, trigger)


@pytest.mark.parametrize("state", list(PositionState))
@pytest.mark.parametrize("trigger", list(PositionTrigger))
def test_an_empty_position_cell_is_a_bug_that_names_both(state: PositionState, trigger: PositionTrigger) -> None:
    if trigger in NEXT_POSITION_STATE[state]:
        assert isinstance(next_position_state(state, trigger), PositionState)
    else:
        with pytest.raises(Bug, match=rf"{state}.*{trigger}"):
            next_position_state(state, trigger)


def _walk(choices: list[int]) -> list[OrderState]:
    states = [OrderState.INTENDED]
    for choice in choices:
        row = NEXT_ORDER_STATE[states[-1]]
        if not row:
            break
        states.append(next_order_state(states[-1], list(row)[choice % len(row)]))
    return states


@given(st.lists(st.integers(0, 10_000), max_size=40))
def test_whatever_happens_to_an_order_it_stays_inside_the_promises(choices: list[int]) -> None:
    states = _walk(choices)
    for before, after in pairwise(states):
        assert after is not OrderState.INTENDED or before is OrderState.INTENDED
        if before in TERMINAL and after is not before:
            assert after in {after_ for (state, _), after_ in REAL_WORLD.items() if state is before}
        if before is OrderState.TRADED:
            assert after is OrderState.TRADED
    # Once the broker has confirmed it, an order is never "unknown" or "never arrived" again.
    known = {OrderState.TRANSIT, OrderState.PENDING, OrderState.PART_TRADED, OrderState.TRADED, OrderState.CANCELLED}
    first_known = next((at for at, state in enumerate(states) if state in known), len(states))
    assert not {OrderState.UNKNOWN, OrderState.ABSENT, OrderState.DROPPED} & set(states[first_known:])


@given(st.lists(st.integers(0, 10_000), max_size=40))
def test_a_position_never_goes_back_to_opening_nor_from_leaving_to_open(choices: list[int]) -> None:
    state = PositionState.OPENING
    for choice in choices:
        row = NEXT_POSITION_STATE[state]
        after = next_position_state(state, list(row)[choice % len(row)])
        assert after is not PositionState.OPENING or state is PositionState.OPENING
        if state is PositionState.LEAVING:
            assert after in {PositionState.LEAVING, PositionState.CLOSED, PositionState.HANDED_OVER}
        if state is PositionState.HANDED_OVER:
            assert after in {PositionState.HANDED_OVER, PositionState.CLOSED}
        state = after


def test_a_purchase_after_the_end_is_left_at_once() -> None:
    assert next_position_state(PositionState.CLOSED, PositionTrigger.BOUGHT) is PositionState.LEAVING


def an_order(state: OrderState, **changes: object) -> Order:
    fields: dict[str, object] = {
        "id": "a1",
        "key": 1,
        "side": Side.SELL,
        "purpose": Purpose.EXIT,
        "position_id": "p1",
        "kind": OrderKind.LIMIT,
        "quantity": 130,
        "price_paise": 100_00,
        "trigger_paise": 0,
        "created_ns": 0,
        "state": state,
        "request": None,
    }
    return Order(**(fields | changes))  # type: ignore[arg-type]


def test_what_an_order_may_still_trade() -> None:
    assert an_order(OrderState.PENDING, filled_quantity=65).working_quantity == 65
    growing = an_order(OrderState.PENDING, request=Request.MODIFY, asked_quantity=195)
    assert growing.working_quantity == 195
    lost = an_order(OrderState.PENDING, unknown_since_ns=5, asked_quantity=195)
    assert lost.working_quantity == 195
    for state in OrderState:
        order = an_order(state)
        assert order.is_live is (state not in TERMINAL)
        assert order.working_quantity == (130 if order.is_live else 0)
