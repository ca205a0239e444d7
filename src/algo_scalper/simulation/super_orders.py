"""Super orders: an entry with a target and a stop, the stop trailing if asked to.

The entry is an ordinary order of the exchange. Target and stop are conditions the broker watches: the one the last
price reaches first becomes an exit order over what the entry has bought and not yet sold, a limit at the target, a
protected limit for the stop. If the market comes back to the stop before the target has traded, the target is
withdrawn and the stop goes instead. One exit done closes the order and cancels the other leg.

Simplified against the real thing, of which no recording exists: both legs are watched, neither rests at the exchange.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.orders import BrokerStatus, Product, Side
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.simulation.account_book import LIVE, ExchangeOrder, Particulars
from algo_scalper.simulation.broker_hand import BrokerHand, OrderTemplate
from algo_scalper.simulation.exchange import SQUARE_OFF_ID

ENTRY, TARGET, STOP = "ENTRY_LEG", "TARGET_LEG", "STOP_LOSS_LEG"
PENDING, TRIGGERED, CANCELLED, CLOSED = "PENDING", "TRIGGERED", "CANCELLED", "CLOSED"
_CANNOT = "Incorrect request for order and cannot be processed"


class Leg(msgspec.Struct):
    """A target or a stop."""

    price_paise: int
    status: str = PENDING
    order_ids: list[str] = []
    """The exit orders it became."""


class SuperOrder(msgspec.Struct):
    """One super order; ``order_id`` is its entry's."""

    order_id: str
    key: int
    side: Side
    """Of the entry."""
    product: Product
    target: Leg
    stop: Leg
    trailing_paise: int = 0
    """The stop follows by this much whenever the price has moved by this much; 0 does not trail."""
    reference_paise: int = 0
    """The price the last step of the trail was made from; 0 before the entry trades."""
    is_over: bool = False


class SuperChange(msgspec.Struct, frozen=True):
    """A modification of one leg. ``None`` leaves a value as it is."""

    leg: str
    quantity: int | None = None
    price_paise: int | None = None
    target_paise: int | None = None
    stop_paise: int | None = None
    trailing_paise: int | None = None


def wrong_sides(side: Side, stop_paise: int, price_paise: int, target_paise: int) -> bool:
    """Bought below the target and above the stop; a sale the other way round."""
    low, high = (stop_paise, target_paise) if side is Side.BUY else (target_paise, stop_paise)
    return not 0 < low < price_paise < high


def exited_quantity(one: SuperOrder, hand: BrokerHand) -> int:
    """What its exits have traded so far."""
    records = (hand.order(number) for number in (*one.target.order_ids, *one.stop.order_ids))
    return sum(record.filled_quantity for record in records if record is not None)


def triggered_quantity(leg: Leg, hand: BrokerHand) -> int:
    """The size of the exit orders a leg became."""
    return sum(record.quantity for number in leg.order_ids if (record := hand.order(number)) is not None)


def watch(one: SuperOrder, hand: BrokerHand) -> bool:
    """Look at the entry, the exits and the last price, and do what follows; did anything change?"""
    entry = hand.order(one.order_id)
    if entry is None or one.is_over:
        return False
    if not entry.filled_quantity:
        return _entry_ended(one) if entry.status not in LIVE else False
    open_quantity = entry.filled_quantity - exited_quantity(one, hand)
    if not open_quantity and entry.status not in LIVE:
        _close(one)
        return True
    if PENDING not in (one.target.status, one.stop.status) and not _working(one, hand):
        one.is_over = True
        return True
    last = hand.last_paise(one.key)
    changed = _trail(one, entry, last)
    up = one.side is Side.BUY
    stopped = one.stop.status == PENDING and (last <= one.stop.price_paise if up else last >= one.stop.price_paise)
    reached = one.target.status == PENDING and (
        last >= one.target.price_paise if up else last <= one.target.price_paise
    )
    if not last or not (stopped or reached):
        return changed
    for record in _working(one, hand):
        if stopped:
            hand.cancel(record.broker_id)
        else:
            return changed
    _fire(one, entry, one.stop if stopped else one.target, hand)
    if exited_quantity(one, hand) == entry.filled_quantity:
        _close(one)
    return True


def modify(one: SuperOrder, change: SuperChange, hand: BrokerHand) -> str:
    """Change a leg; why not, with the code of the refusal, or empty when it was done."""
    entry = hand.order(one.order_id)
    if entry is None or one.is_over:
        return f"DH-906: {_CANNOT}"
    target = one.target.price_paise if change.target_paise is None else change.target_paise
    stop = one.stop.price_paise if change.stop_paise is None else change.stop_paise
    if change.leg == ENTRY:
        if entry.status not in LIVE:
            return f"DH-906: {_CANNOT}"
        quantity, price = change.quantity or entry.quantity, change.price_paise or entry.price_paise
        if wrong_sides(one.side, stop, price, target):
            return "DH-905: Missing required fields, bad values for parameters etc."
        answer = hand.modify(entry, quantity, price)
        if isinstance(answer, Rejected):
            return answer.reason
        one.target.price_paise, one.stop.price_paise = target, stop
    else:
        leg = one.target if change.leg == TARGET else one.stop
        if leg.status != PENDING:
            return f"DH-906: {_CANNOT}"
        one.target.price_paise, one.stop.price_paise = target, stop
    if change.trailing_paise is not None and change.leg != TARGET:
        one.trailing_paise = change.trailing_paise
        one.reference_paise = 0
    return ""


def cancel(one: SuperOrder, leg: str, hand: BrokerHand) -> str:
    """Withdraw a leg, or the whole of it with the entry; what was bought stays bought. Why not, or empty."""
    entry = hand.order(one.order_id)
    if entry is None or one.is_over:
        return f"DH-906: {_CANNOT}"
    if leg != ENTRY:
        found = one.target if leg == TARGET else one.stop
        if found.status != PENDING:
            return f"DH-906: {_CANNOT}"
        found.status = CANCELLED
        return ""
    if entry.status in LIVE:
        answer = hand.cancel(entry.broker_id)
        if isinstance(answer, Rejected):
            return answer.reason
    for found in (one.target, one.stop):
        if found.status == PENDING:
            found.status = CANCELLED
    one.is_over = not _working(one, hand)
    return ""


def shown_status(one: SuperOrder, entry: ExchangeOrder) -> str:
    """The entry's status, CLOSED once an exit is done."""
    return CLOSED if one.is_over and TRIGGERED in (one.target.status, one.stop.status) else entry.status.value


def _working(one: SuperOrder, hand: BrokerHand) -> list[ExchangeOrder]:
    records = (hand.order(number) for number in (*one.target.order_ids, *one.stop.order_ids))
    return [record for record in records if record is not None and record.status in LIVE]


def _entry_ended(one: SuperOrder) -> bool:
    _close(one)
    return True


def _close(one: SuperOrder) -> None:
    one.is_over = True
    for leg in (one.target, one.stop):
        if leg.status == PENDING:
            leg.status = CANCELLED


def _trail(one: SuperOrder, entry: ExchangeOrder, last_paise: int) -> bool:
    """Steps of ``trailing_paise``, in the order's favour only."""
    if not one.trailing_paise or not last_paise or one.stop.status != PENDING:
        return False
    sign = 1 if one.side is Side.BUY else -1
    if not one.reference_paise:
        one.reference_paise = entry.filled_value_paise // entry.filled_quantity
    steps = (last_paise - one.reference_paise) * sign // one.trailing_paise
    if steps <= 0:
        return False
    one.reference_paise += sign * steps * one.trailing_paise
    one.stop.price_paise += sign * steps * one.trailing_paise
    return True


def _fire(one: SuperOrder, entry: ExchangeOrder, leg: Leg, hand: BrokerHand) -> None:
    if entry.status in LIVE:
        hand.cancel(entry.broker_id)
    held = hand.held(one.key) * (1 if one.side is Side.BUY else -1)
    quantity = min(entry.filled_quantity - exited_quantity(one, hand), max(held, 0))
    if quantity <= 0:
        # Sold by another hand meanwhile: there is nothing left to exit.
        _close(one)
        return
    is_stop = leg is one.stop
    side = Side.SELL if one.side is Side.BUY else Side.BUY
    template = OrderTemplate(one.key, side, quantity, one.product, 0 if is_stop else leg.price_paise)
    answer = hand.place(template, SQUARE_OFF_ID, Particulars(parent_id=one.order_id, leg=STOP if is_stop else TARGET))
    leg.status = TRIGGERED
    if isinstance(answer, Accepted):
        leg.order_ids.append(answer.broker_id)
        record = hand.order(answer.broker_id)
        if record is not None and record.status is BrokerStatus.REJECTED:
            leg.status = record.status.value
    else:
        leg.status = BrokerStatus.REJECTED.value
