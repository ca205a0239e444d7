"""``/orders``: place, slice, modify, cancel, and the order and trade books."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from algo_scalper.domain.commands import PlaceOrder
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.interfaces.simulator import rows
from algo_scalper.interfaces.simulator.calls import (
    Access,
    Asked,
    BookAsked,
    Call,
    DeedAsked,
    Endpoint,
    OrderAsked,
    Paths,
)
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.gate import entry_barred, write_barred
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import Refused, cancel_order, modify_order, particulars, place_order
from algo_scalper.interfaces.simulator.replies import Reply, order_error, refused, success
from algo_scalper.simulation.exchange import FOREIGN_ID

CANNOT = "Incorrect request for order and cannot be processed"


def in_transit(broker_id: str) -> Reply:
    """Taken; what becomes of it is told by the book and the order socket."""
    return success({"orderId": broker_id, "orderStatus": "TRANSIT"})


def cancelled(broker_id: str) -> Reply:
    """Withdrawn."""
    return success({"orderId": broker_id, "orderStatus": "CANCELLED"})


def _place(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        command = place_order(call.body, desk.client_id, desk.world.now_ns, desk.last_paise)
        more = particulars(call.body)
    except Refused as refusal:
        return refusal.reply
    return entry_barred(desk) or OrderAsked(command, in_transit, refused, more)


def _slice(desk: Desk, call: Call, _: str) -> Reply | Asked:
    """As many orders as the freeze quantity makes necessary, answered as a list."""
    try:
        command = place_order(call.body, desk.client_id, desk.world.now_ns, desk.last_paise)
        more = particulars(call.body)
    except Refused as refusal:
        return refusal.reply

    def act(_: int) -> Reply:
        answers = [desk.world.at_once(part, more) for part in _slices(desk, command)]
        if isinstance(answers[0], Rejected):
            return refused(answers[0].reason)
        taken = [answer.broker_id for answer in answers if isinstance(answer, Accepted)]
        return success([{"orderId": number, "orderStatus": "TRANSIT"} for number in taken])

    return entry_barred(desk) or DeedAsked(act)


def _slices(desk: Desk, command: PlaceOrder) -> list[PlaceOrder]:
    contract = desk.contracts.get(command.key)
    if contract is None or command.quantity % contract.lot:
        return [command]
    most = contract.freeze_quantity
    whole, rest = divmod(command.quantity, most)
    return [msgspec.structs.replace(command, quantity=part) for part in [most] * whole + [rest] * (rest > 0)]


def _modify(desk: Desk, call: Call, order_id: str) -> Reply | Asked:
    record = desk.order(order_id)
    if record is None:
        return write_barred(desk) or order_error(CANNOT)
    try:
        command = modify_order(call.body, record.row(), desk.last_paise)
    except Refused as refusal:
        return refusal.reply
    return write_barred(desk) or OrderAsked(command, in_transit, refused)


def _cancel(desk: Desk, _: Call, order_id: str) -> Reply | Asked:
    barred = write_barred(desk)
    if barred is not None:
        return barred
    record = desk.order(order_id)
    if record is None:
        return order_error(CANNOT)
    if record.status is BrokerStatus.TRANSIT:
        return order_error("Order is in Transit state")
    return OrderAsked(cancel_order(record.row()), cancelled, refused)


def order_rows(desk: Desk, found: Iterable[BrokerOrder]) -> list[dict[str, object]]:
    """Rows of the book, newest first."""
    printed = []
    for row in sorted(found, key=lambda row: row.broker_id, reverse=True):
        record = desk.order(row.broker_id)
        if record is not None:
            printed.append(rows.order_row(row, record, desk.contracts[row.key], desk.client_id, desk.stamps))
    return printed


def _orders(desk: Desk, _: Call, __: str) -> BookAsked:
    return BookAsked(lambda book: success(order_rows(desk, book.orders)))


def _order(desk: Desk, _: Call, order_id: str) -> BookAsked:
    """The documents promise an object; the server answers with a list, empty for an unknown id."""
    return BookAsked(lambda book: success(order_rows(desk, [row for row in book.orders if row.broker_id == order_id])))


def _order_by_correlation(desk: Desk, _: Call, correlation_id: str) -> BookAsked:
    """The newest order under this id; in transit it is not found yet. An app's orders share ``NA`` and have no id."""

    def print_found(book: BookRead) -> Reply:
        found = order_rows(
            desk,
            [
                row
                for row in book.orders
                if row.correlation_id == correlation_id != FOREIGN_ID and row.status is not BrokerStatus.TRANSIT
            ],
        )
        return success(found[0]) if found else order_error(CANNOT, 404)

    return BookAsked(print_found)


def _trades(desk: Desk, _: Call, order_id: str) -> BookAsked:
    return BookAsked(
        lambda _: success(
            [
                rows.trade_row(fill, record, desk.contracts[fill.key], desk.client_id, desk.stamps)
                for fill, record in desk.fills()
                if order_id in ("", fill.broker_id)
            ]
        )
    )


PATHS: Paths = {
    ("POST", "/orders"): Endpoint(Access.WRITE, Family.ORDER, _place, is_order=True),
    ("POST", "/orders/slicing"): Endpoint(Access.WRITE, Family.ORDER, _slice, is_order=True),
    ("PUT", "/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _modify, is_order=True),
    ("DELETE", "/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _cancel, is_order=True),
    ("GET", "/orders"): Endpoint(Access.READ, Family.NON_TRADING, _orders),
    ("GET", "/orders/{}"): Endpoint(Access.READ, Family.NON_TRADING, _order),
    ("GET", "/orders/external/{}"): Endpoint(Access.READ, Family.NON_TRADING, _order_by_correlation),
    ("GET", "/trades"): Endpoint(Access.READ, Family.NON_TRADING, _trades),
    ("GET", "/trades/{}"): Endpoint(Access.READ, Family.NON_TRADING, _trades),
}
