"""Requests to the broker: the only place an order command is made, and where every promise is asserted."""

from __future__ import annotations

from algo_scalper.domain.commands import CancelOrder, Command, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import Bug
from algo_scalper.domain.orders import Order, OrderKind, Purpose, Request, Side
from algo_scalper.domain.positions import Position
from algo_scalper.engine.state import State


def place(
    state: State,
    out: list[Command],
    position: Position,
    purpose: Purpose,
    kind: OrderKind,
    quantity: int,
    price_paise: int,
    trigger_paise: int = 0,
    order_id: str = "",
) -> Order:
    """A new order of a position. Until it is answered it counts as working."""
    side = Side.BUY if purpose is Purpose.ENTRY else Side.SELL
    order = Order(
        id=order_id or state.next_id(),
        key=position.key,
        side=side,
        purpose=purpose,
        position_id=position.id,
        kind=kind,
        quantity=quantity,
        price_paise=price_paise,
        trigger_paise=trigger_paise,
        created_ns=state.now_ns,
        request_ns=state.now_ns,
    )
    if order.id in state.orders:
        raise Bug(f"order id {order.id} is used twice")
    if state.live_order(position, purpose) is not None:
        raise Bug(f"{position.contract.name}: a second live {purpose.name} order")
    state.orders[order.id] = order
    _check(state, position, order)
    state.touch_order(order)
    _count(state)
    out.append(
        PlaceOrder(order.id, order.key, side, kind, quantity, price_paise, trigger_paise, purpose, state.rules.product)
    )
    return order


def modify(
    state: State,
    out: list[Command],
    order: Order,
    kind: OrderKind,
    quantity: int,
    price_paise: int,
    trigger_paise: int = 0,
) -> None:
    """Change the whole order; ``quantity`` is the new total. Only when nothing of it is unanswered."""
    if order.request is not None or order.unknown_since_ns:
        raise Bug(f"order {order.id}: a second request while {order.request} is unanswered")
    order.request = Request.MODIFY
    order.request_ns = state.now_ns
    order.asked_kind = kind
    order.asked_quantity = quantity
    order.asked_price_paise = price_paise
    order.asked_trigger_paise = trigger_paise
    order.modifications += 1
    position = state.positions[order.position_id]
    _check(state, position, order)
    state.touch_order(order)
    _count(state)
    out.append(
        ModifyOrder(order.id, order.broker_id, order.key, kind, quantity, price_paise, trigger_paise, order.purpose)
    )


def cancel(state: State, out: list[Command], order: Order) -> None:
    """Withdraw what is still working. Only when nothing of it is unanswered."""
    if order.request is not None or order.unknown_since_ns:
        raise Bug(f"order {order.id}: a cancel while {order.request} is unanswered")
    order.request = Request.CANCEL
    order.request_ns = state.now_ns
    order.cancel_asked_ns = state.now_ns
    state.touch_order(order)
    _count(state)
    out.append(CancelOrder(order.id, order.broker_id, order.key, order.purpose))


def _check(state: State, position: Position, order: Order) -> None:
    """Never naked, never double: what may be sold never exceeds what is held."""
    lot = position.contract.lot
    wanted = max(order.quantity, order.asked_quantity)
    if order.purpose is Purpose.ENTRY and (wanted % lot or wanted <= 0):
        raise Bug(f"order {order.id}: {wanted} is not whole lots of {lot}")
    working = sum(
        other.working_quantity
        for other in state.orders.values()
        if other.key == position.key and other.side is Side.SELL
    )
    if working > position.held:
        raise Bug(f"{position.contract.name}: orders to sell {working} where {position.held} are held ({order.id})")


def _count(state: State) -> None:
    state.sent_ns.append(state.now_ns)
    state.sent_today += 1
