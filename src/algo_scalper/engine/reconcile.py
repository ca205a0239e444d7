"""The broker's whole book against ours: settle what is unknown, find what is missing, see other hands.

The broker is the truth about positions, the database about intents. An empty or partial answer proves nothing: only
absence from two books, each read at least ``settle_ns`` after the connection was closed, is a no.
"""

from __future__ import annotations

from algo_scalper.domain.commands import Command, Notify
from algo_scalper.domain.decisions import ExitReason
from algo_scalper.domain.events import BookRead, BookUnread
from algo_scalper.domain.orders import (
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    Order,
    OrderState,
    OrderTrigger,
    Side,
    next_order_state,
)
from algo_scalper.domain.positions import Position, PositionState, PositionTrigger, next_position_state
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.engine.exits import hand_over, tend, withdraw
from algo_scalper.engine.fills import charges_of, close_if_flat
from algo_scalper.engine.on_order import apply_row, find_order, on_foreign_row
from algo_scalper.engine.overnight import settle_overnight
from algo_scalper.engine.state import State

READS_TO_PROVE_ABSENCE = 2
REFLOOR_NS = 5 * NS_PER_SECOND
FOREIGN_CANCELS_TAKE_OVER = 2
SQUARE_OFF_IDS = frozenset({"VTT_SQROFF"})
_WORKING = frozenset({BrokerStatus.TRANSIT, BrokerStatus.PENDING, BrokerStatus.PART_TRADED})


def on_book_unread(state: State, event: BookUnread, out: list[Command]) -> None:
    """Nothing is concluded; it will be asked again."""
    del event, out
    state.book_asked_ns = 0
    state.book_read_ns = state.now_ns


def on_book_read(state: State, event: BookRead, out: list[Command]) -> None:
    """Rows first, then what is unknown, then what the account holds."""
    state.book_asked_ns = 0
    state.book_began_ns, state.book_read_ns = event.began_ns, state.now_ns
    state.funds = event.funds
    seen: set[str] = set()
    state.foreign_keys.clear()
    # Buys first, though Dhan lists the newest first: what was sold had been bought.
    for row in sorted(event.orders, key=lambda row: row.side):
        order = find_order(state, row, out)
        if order is not None:
            seen.add(order.id)
            _settle_found(state, order, row, event.began_ns, out)
        elif row.status in _WORKING:
            on_foreign_row(state, row, out)
    for order in list(state.orders.values()):
        if order.unknown_since_ns and order.id not in seen:
            _settle_absent(state, order, event.began_ns, out)
    first = not state.reconciled
    state.reconciled = True
    if first:
        out.append(Notify(state.now_ns, "info", "reconciled", "The broker's book is read and agrees with ours"))
    _compare_positions(state, event, out)
    for order in list(state.orders.values()):
        if order.is_live and state.positions[order.position_id].state is PositionState.CLOSED:
            withdraw(state, order, out)  # believed over, and alive after all
    for position in state.open_positions():
        tend(state, position, out)
        close_if_flat(state, position, out)


def _settle_found(state: State, order: Order, row: BrokerOrder, began_ns: int, out: list[Command]) -> None:
    """The row is there: yes. A read begun before the question was asked does not answer it."""
    unknown_since = order.unknown_since_ns
    if unknown_since and began_ns >= unknown_since:
        order.unknown_since_ns = 0
        state.touch_order(order)
    apply_row(state, order, row, out)


def _settle_absent(state: State, order: Order, began_ns: int, out: list[Command]) -> None:
    if began_ns < order.unknown_since_ns + state.rules.orders.settle_ns:
        return
    if order.state is not OrderState.UNKNOWN:
        return  # it was accepted once: its absence is the book's fault, and proves nothing
    order.absent_reads += 1
    if order.absent_reads < READS_TO_PROVE_ABSENCE:
        return
    order.state = next_order_state(order.state, OrderTrigger.SETTLED_ABSENT)
    order.unknown_since_ns = 0
    order.reason = "never reached the broker"
    state.touch_order(order)
    out.append(Notify(state.now_ns, "info", "settled_absent", f"order {order.id} never reached the broker"))


def _compare_positions(state: State, event: BookRead, out: list[Command]) -> None:
    nets = {row.key: row for row in event.positions}
    for position in state.open_positions():
        _compare(state, position, nets.get(position.key), event, out)
    for key, row in nets.items():
        if row.net_quantity and key not in state.open_by_key:
            state.foreign_keys.add(key)


def _compare(state: State, position: Position, row: BrokerPosition | None, event: BookRead, out: list[Command]) -> None:
    if any(order.unknown_since_ns for order in state.orders_of(position)):
        return  # what we hold is itself an open question
    if settle_overnight(state, position, row, event.began_ns, out):
        return
    if position.held and row is None:
        return  # we traded it today, so the day's positions list it: this answer is a piece of one, and proves nothing
    foreign_sell = any(
        other.key == position.key
        and other.side is Side.SELL
        and other.status in _WORKING
        and not state.is_ours(other.correlation_id)
        for other in event.orders
    )
    if row is not None and position.held > max(row.net_quantity, 0):
        _holds_less(state, position, row, event, out)
        return
    position.mismatch_reads = 0
    if not position.frozen or event.began_ns < position.frozen_ns:
        return
    if position.state is PositionState.HANDED_OVER:
        position.frozen = ""
    elif foreign_sell or position.foreign_cancels >= FOREIGN_CANCELS_TAKE_OVER:
        hand_over(state, position, "operator_took_over", ExitReason.OPERATOR_TOOK_OVER, out)
    else:
        if position.frozen == "exit_cancelled_by_another":
            position.refloor_ns = state.now_ns + REFLOOR_NS
        position.frozen = ""
    state.touch_position(position)


def _holds_less(state: State, position: Position, row: BrokerPosition, event: BookRead, out: list[Command]) -> None:
    """Orders and positions are two readings, and a fill may lie between them: once is chance, twice is not.

    A sale of another hand that stands in this very book is proof at once: while our order rests beside it, the account
    can be sold short.
    """
    missing = position.held - max(row.net_quantity, 0)
    sold, value = _sold_by_others(state, position, event)
    if sold >= missing:
        _taken(state, position, missing, sold, value, event, out)
    elif position.filled_ns < event.began_ns:
        position.mismatch_reads += 1
        if position.mismatch_reads >= READS_TO_PROVE_ABSENCE:
            sold, value = _sold_by_account(state, position, row)
            _taken(state, position, missing, sold, value, event, out)
        elif not position.frozen:
            position.frozen, position.frozen_ns = "broker_holds_less", state.now_ns
    state.touch_position(position)


def _sold_by_others(state: State, position: Position, event: BookRead) -> tuple[int, int]:
    """What other hands sold of ours by the rows of the book, and is not booked yet: quantity and value."""
    sold = value = bought = 0
    for row in event.orders:
        if row.key != position.key or not row.filled_quantity or state.is_ours(row.correlation_id):
            continue
        if row.side is Side.SELL:
            sold += row.filled_quantity
            value += row.filled_value_paise
        else:
            bought += row.filled_quantity
    booked, booked_value = _booked_for_others(state, position)
    left = sold - booked
    quantity = left - bought  # what they had bought themselves was theirs to sell
    return (quantity, (value - booked_value) * quantity // left) if quantity > 0 else (0, 0)


def _sold_by_account(state: State, position: Position, row: BrokerPosition) -> tuple[int, int]:
    """The same by the account's position alone, where the book lacks the order behind it."""
    ours = [order for order in state.orders.values() if order.key == position.key and order.side is Side.SELL]
    booked, booked_value = _booked_for_others(state, position)
    quantity = row.sold_quantity - sum(order.filled_quantity for order in ours) - booked
    return max(quantity, 0), row.sold_value_paise - sum(order.filled_value_paise for order in ours) - booked_value


def _booked_for_others(state: State, position: Position) -> tuple[int, int]:
    """Sales of other hands in this contract that positions of ours have booked: quantity and value."""
    ours = [order for order in state.orders.values() if order.key == position.key and order.side is Side.SELL]
    positions = [other for other in state.positions.values() if other.key == position.key]
    return (
        sum(other.sold_quantity for other in positions) - sum(order.filled_quantity for order in ours),
        sum(other.proceeds_paise for other in positions) - sum(order.filled_value_paise for order in ours),
    )


def _taken(
    state: State, position: Position, missing: int, sold: int, value_paise: int, event: BookRead, out: list[Command]
) -> None:
    """The broker holds less than our fills say: another hand has sold. Book its real fill, watch the rest.

    ``sold`` contracts for ``value_paise`` in all went through other hands; ``missing`` of them were ours.
    """
    squared = any(
        other.key == position.key and other.side is Side.SELL and other.correlation_id in SQUARE_OFF_IDS
        for other in event.orders
    )
    why = "broker_square_off" if squared else "operator_took_over"
    reason = ExitReason.BROKER_SQUARE_OFF if squared else ExitReason.OPERATOR_TOOK_OVER
    hand_over(state, position, why, reason, out)
    quantity = min(sold, missing)
    if quantity <= 0:
        return  # nothing is known of the sale; a later book will tell
    position.sold_quantity += quantity
    position.proceeds_paise += value_paise * quantity // sold
    position.state = next_position_state(position.state, PositionTrigger.SOLD)
    if not position.held:
        position.exit_reason = reason if squared else ExitReason.CLOSED_AT_BROKER_BY_PERSON
    position.charges_paise = charges_of(state, position).total_paise
    state.touch_position(position)
    close_if_flat(state, position, out)
