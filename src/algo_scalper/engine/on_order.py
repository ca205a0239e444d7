"""Answers to our requests, and rows of the broker's book. Every state change goes through the table."""

from __future__ import annotations

from msgspec.structs import astuple

from algo_scalper.domain.commands import Command, Notify, Subscribe
from algo_scalper.domain.decisions import Direction, ExitReason
from algo_scalper.domain.events import OrderAccepted, OrderDropped, OrderRejected, OrderReported, OrderUnknown
from algo_scalper.domain.instruments import OptionType
from algo_scalper.domain.orders import (
    ROW_TRIGGER,
    TERMINAL,
    BrokerOrder,
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
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.engine.exits import close_position, tend, withdraw
from algo_scalper.engine.fills import book_fill, close_if_flat, halt_day
from algo_scalper.engine.on_second import ask_for_book
from algo_scalper.engine.overnight import OF_AN_EARLIER_DAY
from algo_scalper.engine.state import State, reopen

REJECTIONS_HALT = 3
_TAKEN = frozenset({OrderState.PENDING, OrderState.PART_TRADED, OrderState.TRADED})


def on_accepted(state: State, event: OrderAccepted, out: list[Command]) -> None:
    """Yes: taken, nothing more."""
    order = state.orders[event.order_id]
    if order.request is not event.request:
        return
    order.request = None
    order.broker_id = event.broker_id or order.broker_id
    order.answered_ns = order.answered_ns or state.now_ns
    order.state = next_order_state(order.state, OrderTrigger.ACCEPTED)
    if event.request is Request.MODIFY:
        adopt_asked(order)
    state.touch_order(order)
    _after(state, order, out)


def adopt_asked(order: Order) -> None:
    """The modification holds."""
    order.kind = order.asked_kind
    order.quantity = order.asked_quantity
    order.price_paise = order.asked_price_paise
    order.trigger_paise = order.asked_trigger_paise


def on_rejected(state: State, event: OrderRejected, out: list[Command]) -> None:
    """No. A refused change may mean that the order traded meanwhile: the book will say."""
    order = state.orders[event.order_id]
    if order.request is not event.request:
        return
    order.request = None
    order.reason = event.reason
    position = state.positions[order.position_id]
    out.append(
        Notify(state.now_ns, "warning", f"{event.request}_rejected", f"{position.contract.name}: {event.reason}")
    )
    if event.request is Request.PLACE:
        order.state = next_order_state(order.state, OrderTrigger.REFUSED)
        _count_rejection(state, order, position, event.reason, out)
    else:
        if event.request is Request.CANCEL:
            order.cancel_asked_ns = 0
        if event.request is Request.MODIFY and position.state is PositionState.LEAVING:
            position.replace_exit = order.purpose is Purpose.EXIT
        if order.is_live:
            # Nothing more is asked of this contract until the book has said what the order now is.
            freeze(state, position, f"{event.request}_rejected", out)
    state.touch_order(order)
    _after(state, order, out)


def _count_rejection(state: State, order: Order, position: Position, reason: str, out: list[Command]) -> None:
    state.rejections_in_row += 1
    if order.purpose is Purpose.EXIT:
        position.exit_rejections += 1
        position.repriced_ns = state.now_ns
        state.touch_position(position)
        out.append(Notify(state.now_ns, "alarm", "exit_rejected", f"{position.contract.name}: sell rejected: {reason}"))
    if state.rejections_in_row >= REJECTIONS_HALT:
        halt_day(state, f"{state.rejections_in_row} rejections in a row, the last: {reason}", out)


def on_unknown(state: State, event: OrderUnknown, out: list[Command]) -> None:
    """The answer is lost. The book settles it; until then nothing else is asked of this order."""
    order = state.orders[event.order_id]
    if order.request is not event.request:
        return
    order.request = None
    mark_unknown(state, order)
    position = state.positions[order.position_id]
    out.append(
        Notify(
            state.now_ns,
            "warning",
            "answer_lost",
            f"{position.contract.name}: {event.request} {order.id}: {event.detail}",
        )
    )
    if not state.book_asked_ns:
        ask_for_book(state, "unknown_order", out)


def mark_unknown(state: State, order: Order) -> None:
    """An open question about this order, from now on."""
    if order.state in TERMINAL:
        return
    order.state = next_order_state(order.state, OrderTrigger.LOST)
    order.unknown_since_ns = state.now_ns
    order.absent_reads = 0
    state.touch_order(order)


def on_dropped(state: State, event: OrderDropped, out: list[Command]) -> None:
    """Our own lane did not send it."""
    order = state.orders[event.order_id]
    if order.request is not event.request:
        return
    order.request = None
    order.reason = event.reason
    if event.request is Request.PLACE and order.state is OrderState.INTENDED:
        order.state = next_order_state(order.state, OrderTrigger.DROPPED)
    state.touch_order(order)
    halt_day(state, f"an order was not sent: {event.reason}", out)
    _after(state, order, out)


def on_reported(state: State, event: OrderReported, out: list[Command]) -> None:
    """A push of the order socket."""
    row = event.row
    order = find_order(state, row, out)
    if order is None:
        on_foreign_row(state, row, out)
        return
    apply_row(state, order, row, out)
    _after(state, order, out)


def find_order(state: State, row: BrokerOrder, out: list[Command]) -> Order | None:
    """Our order behind a row of the book, claimed anew when our books have lost it."""
    order = state.orders.get(row.correlation_id)
    if order is not None or not state.is_ours(row.correlation_id):
        return order
    return _claim(state, row, out)


def _claim(state: State, row: BrokerOrder, out: list[Command]) -> Order | None:
    """A row with our tag that our books do not know: its intent was lost with a disk, not its fills."""
    position = state.open_by_key.get(row.key) or _claim_position(state, row, out)
    if position is None:
        return None
    purpose = Purpose.ENTRY if row.side is Side.BUY else Purpose.EXIT
    order = Order(
        id=row.correlation_id,
        key=row.key,
        side=row.side,
        purpose=purpose,
        position_id=position.id,
        kind=row.kind,
        quantity=row.quantity,
        price_paise=row.price_paise,
        trigger_paise=row.trigger_paise,
        created_ns=state.now_ns,
        request=None,
        broker_id=row.broker_id,
    )
    state.orders[order.id] = order
    state.touch_order(order)
    return order


def _claim_position(state: State, row: BrokerOrder, out: list[Command]) -> Position | None:
    """The position of a claimed buy, under the rules of today; None where there is nothing to watch over."""
    contract = state.contracts.get(row.key)
    if contract is None or row.side is not Side.BUY:
        return None
    up = contract.option_type is OptionType.CE
    position = Position(
        id=row.correlation_id,
        contract=contract,
        index=contract.underlying,
        direction=Direction.UP if up else Direction.DOWN,
        exit_rules=state.exit_rules_for(contract),
        rules_version=state.rules.version,
        signal_paise=row.price_paise,
        opened_ns=state.now_ns,
    )
    reopen(state, position)
    state.touch_position(position)
    out.append(Subscribe((position.key,)))  # it may be held, and far from the strikes watched today
    return position


def apply_row(state: State, order: Order, row: BrokerOrder, out: list[Command]) -> None:
    """The broker's row is cumulative: what it has more than ours is a fill; repeats and old rows change nothing."""
    quantity = row.filled_quantity - order.filled_quantity
    if quantity < 0:
        return  # an older row than one already seen
    was, stood = order.state, astuple(order)
    if was is OrderState.UNKNOWN:
        order.unknown_since_ns = 0  # it was its placing that was in doubt, and here it is
    order.broker_id = row.broker_id or order.broker_id
    order.state = next_order_state(order.state, ROW_TRIGGER[row.status])
    if order.purpose is Purpose.EXIT and order.state in _TAKEN:
        state.positions[order.position_id].exit_rejections = 0
    if quantity:
        value = row.filled_value_paise - order.filled_value_paise
        order.filled_quantity = row.filled_quantity
        order.filled_value_paise = row.filled_value_paise
        order.quantity = max(order.quantity, order.filled_quantity)
        book_fill(state, order, quantity, value, out)
        state.rejections_in_row = 0
    if order.request is None and order.state not in TERMINAL:
        order.kind, order.quantity = row.kind, max(row.quantity, row.filled_quantity)
        order.price_paise, order.trigger_paise = row.price_paise, row.trigger_paise
    if order.state in TERMINAL and was not in TERMINAL:
        _ended(state, order, row, out)
    if astuple(order) != stood:  # a book read every few seconds repeats rows that need no transaction
        state.touch_order(order)


def _ended(state: State, order: Order, row: BrokerOrder, out: list[Command]) -> None:
    position = state.positions[order.position_id]
    order.unknown_since_ns = 0
    order.request = None
    if order.state is OrderState.REJECTED:
        order.reason = row.reason
        _count_rejection(state, order, position, row.reason, out)
    elif order.purpose is Purpose.EXIT and position.held:
        if order.state is OrderState.CANCELLED and not order.cancel_asked_ns:
            _exit_cancelled_by_another(state, position, out)
    elif order.purpose is Purpose.EXIT and position.exit_reason is ExitReason.HOLD:
        position.exit_reason = ExitReason.FLOOR_TRADED


def _exit_cancelled_by_another(state: State, position: Position, out: list[Command]) -> None:
    """A person cancels the bot's stop in order to sell by hand: read everything before any order."""
    position.foreign_cancels += 1
    freeze(state, position, "exit_cancelled_by_another", out)
    out.append(
        Notify(
            state.now_ns,
            "alarm",
            "floor_cancelled",
            f"{position.contract.name}: the floor was cancelled by another hand; reading the book",
        )
    )


def freeze(state: State, position: Position, why: str, out: list[Command]) -> None:
    """No request for this contract until positions AND order book have been read."""
    if not position.frozen:
        position.frozen_ns = state.now_ns
    if position.frozen != OF_AN_EARLIER_DAY:
        position.frozen = why
    state.touch_position(position)
    if not state.book_asked_ns:
        ask_for_book(state, why, out)


def on_foreign_row(state: State, row: BrokerOrder, out: list[Command]) -> None:
    """Another hand on the account. On a contract we hold, a sell freezes it."""
    if row.status in (BrokerStatus.REJECTED, BrokerStatus.EXPIRED, BrokerStatus.CANCELLED):
        return
    position = state.open_by_key.get(row.key)
    if position is None:
        state.foreign_keys.add(row.key)
    elif position.state is PositionState.HANDED_OVER:
        return  # it is theirs already: the routine readings book what they do
    elif row.side is Side.SELL:
        freeze(state, position, "foreign_sell", out)
    else:
        state.foreign_keys.add(row.key)


def _after(state: State, order: Order, out: list[Command]) -> None:
    """Whatever happened to an order, its position may now want something."""
    position = state.positions[order.position_id]
    if position.state is PositionState.CLOSED:
        withdraw(state, order, out)  # believed over, and alive after all
        return
    triggered = order.kind is OrderKind.LIMIT or order.filled_quantity
    if order.purpose is Purpose.EXIT and triggered and position.state is PositionState.OPEN:
        # The floor has triggered by itself: follow it to its end.
        close_position(state, position, ExitReason.FLOOR_TRADED, out)
    tend(state, position, out)
    close_if_flat(state, position, out)
