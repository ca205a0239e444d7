"""Forever orders: a single trigger, or two of which one cancels the other, each placing an order when it is reached.

A trigger above the price at which it was set is reached from below, one under it from above.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.orders import Product, Side
from algo_scalper.domain.ports import Accepted
from algo_scalper.simulation.account_book import Particulars
from algo_scalper.simulation.broker_hand import BrokerHand, OrderTemplate

CONFIRM, CANCELLED, REJECTED = "CONFIRM", "CANCELLED", "REJECTED"
FIRST, SECOND = "TARGET_LEG", "STOP_LOSS_LEG"
"""The only trigger of a SINGLE, or the first of an OCO; the second of an OCO."""


class ForeverLeg(msgspec.Struct):
    """One trigger."""

    name: str
    quantity: int
    price_paise: int
    """0 is MARKET."""
    trigger_paise: int
    from_below: bool
    status: str = CONFIRM
    """``CONFIRM`` while it waits; once it has fired the status is that of the order it placed."""
    placed_id: str = ""


class ForeverOrder(msgspec.Struct):
    """A SINGLE with one leg, an OCO with two."""

    order_id: str
    correlation_id: str
    key: int
    side: Side
    product_text: str
    """As it was asked for: CNC and MTF too, which trade as MARGIN here."""
    legs: list[ForeverLeg]
    created_ns: int
    updated_ns: int

    @property
    def flag(self) -> str:
        """``SINGLE`` or ``OCO``."""
        return "OCO" if len(self.legs) > 1 else "SINGLE"

    @property
    def is_waiting(self) -> bool:
        """Can a trigger still fire?"""
        return any(leg.status == CONFIRM for leg in self.legs)


def product_of(text: str) -> Product:
    """How a forever order's product trades."""
    return Product.INTRADAY if text == Product.INTRADAY else Product.MARGIN


def watch(one: ForeverOrder, hand: BrokerHand) -> bool:
    """Fire what the last price has reached; did anything change?"""
    last = hand.last_paise(one.key)
    if not last:
        return False
    for leg in one.legs:
        reached = last >= leg.trigger_paise if leg.from_below else last <= leg.trigger_paise
        if leg.status != CONFIRM or not reached:
            continue
        for other in one.legs:
            if other.status == CONFIRM:
                other.status = CANCELLED
        template = OrderTemplate(one.key, one.side, leg.quantity, product_of(one.product_text), leg.price_paise)
        answer = hand.place(template, one.correlation_id, Particulars(parent_id=one.order_id))
        leg.placed_id = answer.broker_id if isinstance(answer, Accepted) else ""
        leg.status = "TRADED" if leg.placed_id else REJECTED
        one.updated_ns = hand.now_ns
        return True
    return False


def shown_status(leg: ForeverLeg, hand: BrokerHand) -> str:
    """Its own status, or that of the order it placed."""
    placed = hand.order(leg.placed_id) if leg.placed_id else None
    return placed.status.value if placed is not None else leg.status


def cancel(one: ForeverOrder, at_ns: int) -> bool:
    """Withdraw it; False when nothing was waiting any more."""
    if not one.is_waiting:
        return False
    for leg in one.legs:
        if leg.status == CONFIRM:
            leg.status = CANCELLED
    one.updated_ns = at_ns
    return True
