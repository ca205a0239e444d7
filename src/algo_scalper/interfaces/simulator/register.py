"""What the account's desk knows of an order beyond the exchange's book: when, by whom, which product, which fills.

The book row (`domain.orders.BrokerOrder`) is cumulative; times, trades and the exchange's own number are what Dhan's
screens print beside it. Every row is shown to the register as it passes, on its way to a reader or a socket.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from algo_scalper.domain.instruments import Exchange, Segment, key_segment
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, Product

BY_HAND = "HAND-"
"""Orders whose correlation id begins so were made by a person in an app: readers see ``NA``."""


class Trade(msgspec.Struct, frozen=True, array_like=True):
    """One execution. ``value_paise`` is price x quantity."""

    trade_id: int
    broker_id: str
    at_ns: int
    quantity: int
    value_paise: int


class OrderFacts(msgspec.Struct):
    """One order's history as far as it has been seen."""

    broker_id: str
    product: Product
    created_ns: int
    updated_ns: int
    exchange_ns: int = 0
    """When the exchange last spoke of it; 0 while it never has."""
    row: BrokerOrder | None = None
    modified: bool = False
    """Was the last change a modification rather than a fill or an ending?"""
    last_fill_paise: float = 0.0
    """Average price of the newest execution."""

    @property
    def by_hand(self) -> bool:
        """Made by a person in an app, not through this interface."""
        return self.row is not None and self.row.correlation_id.startswith(BY_HAND)


class Register:
    """All orders and trades of the day."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderFacts] = {}
        self.trades: list[Trade] = []

    def opened(self, broker_id: str, product: Product, at_ns: int) -> None:
        """A place request was accepted under this id; ``at_ns`` is when it was sent."""
        facts = self.orders.get(broker_id)
        if facts is None:
            self.orders[broker_id] = OrderFacts(broker_id, product, at_ns, at_ns)
        else:
            # Its push overtook the answer.
            facts.product = product
            facts.created_ns = min(facts.created_ns, at_ns)

    def observe(self, row: BrokerOrder, at_ns: int) -> OrderFacts:
        """Take note of a row of the book, as it stood at ``at_ns``."""
        facts = self.orders.get(row.broker_id)
        if facts is None:
            facts = self.orders[row.broker_id] = OrderFacts(row.broker_id, Product.INTRADAY, at_ns, at_ns)
        before = facts.row
        if row == before or (before is not None and row.filled_quantity < before.filled_quantity):
            return facts
        facts.row = row
        facts.updated_ns = at_ns
        facts.modified = _was_modified(before, row)
        if row.status is not BrokerStatus.TRANSIT and row.status is not BrokerStatus.REJECTED:
            facts.exchange_ns = at_ns
        filled_before, value_before = (before.filled_quantity, before.filled_value_paise) if before else (0, 0)
        quantity = row.filled_quantity - filled_before
        if quantity > 0:
            value_paise = row.filled_value_paise - value_before
            facts.last_fill_paise = value_paise / quantity
            self.trades.append(Trade(1_000_001 + len(self.trades), row.broker_id, at_ns, quantity, value_paise))
        return facts

    def observe_all(self, rows: Iterable[BrokerOrder], at_ns: int) -> None:
        """`observe` each."""
        for row in rows:
            self.observe(row, at_ns)

    def product_of(self, key: int) -> Product:
        """The product of the newest order in this contract; INTRADAY when there is none."""
        for facts in reversed(self.orders.values()):
            if facts.row is not None and facts.row.key == key:
                return facts.product
        return Product.INTRADAY


def _was_modified(before: BrokerOrder | None, row: BrokerOrder) -> bool:
    if before is None or row.status is not BrokerStatus.PENDING or before.status is BrokerStatus.TRANSIT:
        return False
    return (before.kind, before.quantity, before.price_paise, before.trigger_paise) != (
        row.kind,
        row.quantity,
        row.price_paise,
        row.trigger_paise,
    )


def exchange_order_id(facts: OrderFacts) -> str:
    """Like the exchanges' own: 16 digits at NSE, close to epoch nanoseconds at BSE, ``0`` before one exists."""
    if facts.row is None or not facts.exchange_ns:
        return "0"
    if _exchange_of(facts.row.key) is Exchange.BSE:
        return str(facts.created_ns)
    sequence = int(facts.broker_id) % 1_000_000_000 if facts.broker_id.isdigit() else 0
    return f"1{1 + sequence % 8}00000{sequence:09d}"


def _exchange_of(key: int) -> Exchange:
    return Exchange.BSE if key_segment(key) is Segment.BSE_FNO else Exchange.NSE
