"""``/super/orders``: an entry with target and stop, changed and withdrawn leg by leg."""

from __future__ import annotations

from algo_scalper.domain.instruments import instrument_key
from algo_scalper.domain.orders import Product
from algo_scalper.domain.ports import Rejected
from algo_scalper.interfaces.simulator import rows
from algo_scalper.interfaces.simulator.calls import Access, Asked, Call, DeedAsked, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.gate import entry_barred, write_barred
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import (
    SEGMENTS,
    SIDES,
    Refused,
    choice,
    correlation_id,
    own_body,
    paise,
    quantity,
    whole,
)
from algo_scalper.interfaces.simulator.paths.orders import CANNOT, cancelled, in_transit
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, java_rupees, order_error, refused, success
from algo_scalper.simulation.account_book import ExchangeOrder, Particulars
from algo_scalper.simulation.broker_hand import OrderTemplate
from algo_scalper.simulation.super_orders import (
    ENTRY,
    STOP,
    TARGET,
    Leg,
    SuperChange,
    SuperOrder,
    cancel,
    modify,
    shown_status,
    triggered_quantity,
    wrong_sides,
)

_LEGS = {name: name for name in (ENTRY, TARGET, STOP)}
_ORDER_TYPES = {"LIMIT": True, "MARKET": False}
_PRODUCTS = {product.value: product for product in Product}


def _place(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        body = own_body(call.body, desk.client_id)
        asked = quantity(body)
        side = choice(body, "transactionType", SIDES)
        key = instrument_key(choice(body, "exchangeSegment", SEGMENTS), whole(body.get("securityId")))
        product = choice(body, "productType", _PRODUCTS)
        price = paise(body.get("price")) if choice(body, "orderType", _ORDER_TYPES) else 0
        target, stop = paise(body.get("targetPrice")), paise(body.get("stopLossPrice"))
        trailing = paise(body.get("trailingJump"))
        name = correlation_id(body.get("correlationId"), desk.client_id, desk.world.now_ns)
    except Refused as refusal:
        return refusal.reply
    if _ORDER_TYPES[str(body["orderType"])] and not price:
        return bad_input()
    if not _on_ticks(desk, key, target, stop, trailing):
        return bad_input()

    def act(_: int) -> Reply:
        hand = desk.standing.hand
        if wrong_sides(side, stop, price or hand.last_paise(key), target):
            return bad_input()
        answer = hand.place(OrderTemplate(key, side, asked, product, price), name, Particulars(leg=ENTRY))
        if isinstance(answer, Rejected):
            return refused(answer.reason)
        number = answer.broker_id
        desk.standing.super_orders[number] = SuperOrder(number, key, side, product, Leg(target), Leg(stop), trailing)
        return in_transit(number)

    return entry_barred(desk) or DeedAsked(act)


def _on_ticks(desk: Desk, key: int, *prices_paise: int) -> bool:
    """An unlisted contract is the exchange's to refuse."""
    contract = desk.contracts.get(key)
    return contract is None or not any(price % contract.tick_paise for price in prices_paise)


def _modify(desk: Desk, call: Call, order_id: str) -> Reply | Asked:
    try:
        body = own_body(call.body, desk.client_id)
        leg = choice(body, "legName", _LEGS)
        change = _change(body, leg)
    except Refused as refusal:
        return refusal.reply
    one = desk.standing.super_orders.get(order_id)
    prices = (change.target_paise or 0, change.stop_paise or 0, change.trailing_paise or 0)
    if one is not None and not _on_ticks(desk, one.key, *prices):
        return bad_input()

    def act(_: int) -> Reply:
        if one is None:
            return order_error(CANNOT)
        refusal = modify(one, change, desk.standing.hand)
        return refused(refusal) if refusal else in_transit(order_id)

    return write_barred(desk) or DeedAsked(act)


def _change(body: dict[str, object], leg: str) -> SuperChange:
    """Each leg has its own fields; a stop without a jump no longer trails. Raises `Refused`."""
    if leg == TARGET:
        return SuperChange(leg, target_paise=_needed(body, "targetPrice"))
    if leg == STOP:
        return SuperChange(
            leg, stop_paise=_needed(body, "stopLossPrice"), trailing_paise=paise(body.get("trailingJump"))
        )
    return SuperChange(
        leg,
        quantity(body),
        paise(body.get("price")) or None,
        _needed(body, "targetPrice"),
        _needed(body, "stopLossPrice"),
        paise(body.get("trailingJump")),
    )


def _needed(body: dict[str, object], field: str) -> int:
    found = paise(body.get(field))
    if not found:
        raise Refused(bad_input())
    return found


def _cancel(desk: Desk, _: Call, argument: str) -> Reply | Asked:
    order_id, leg = argument.split("/")
    if leg not in _LEGS:
        return bad_input()

    def act(_: int) -> Reply:
        one = desk.standing.super_orders.get(order_id)
        refusal = cancel(one, leg, desk.standing.hand) if one is not None else f"DH-906: {CANNOT}"
        return refused(refusal) if refusal else cancelled(order_id)

    return write_barred(desk) or DeedAsked(act)


def _list(desk: Desk, _: Call, __: str) -> Reply:
    printed = []
    for one in reversed(desk.standing.super_orders.values()):
        record = desk.order(one.order_id)
        if record is not None:
            printed.append(_row(desk, one, record))
    return success(printed)


def _row(desk: Desk, one: SuperOrder, record: ExchangeOrder) -> dict[str, object]:
    row = rows.order_row(record.row(), record, desk.contracts[one.key], desk.client_id, desk.stamps)
    return {
        **row,
        "orderStatus": shown_status(one, record),
        "legName": ENTRY,
        "ltp": java_rupees(desk.last_paise(one.key)),
        "legDetails": [
            _leg_row(desk, one, record, STOP, one.stop, one.trailing_paise),
            _leg_row(desk, one, record, TARGET, one.target, 0),
        ],
    }


def _leg_row(
    desk: Desk, one: SuperOrder, entry: ExchangeOrder, name: str, leg: Leg, trailing_paise: int
) -> dict[str, object]:
    triggered = triggered_quantity(leg, desk.standing.hand)
    return {
        "orderId": one.order_id,
        "legName": name,
        "transactionType": "SELL" if one.side.name == "BUY" else "BUY",
        "totalQuatity": entry.quantity,
        "remainingQuantity": entry.quantity - triggered if leg.status == "PENDING" else 0,
        "triggeredQuantity": triggered,
        "price": java_rupees(leg.price_paise),
        "orderStatus": leg.status,
        "trailingJump": java_rupees(trailing_paise),
    }


PATHS: Paths = {
    ("POST", "/super/orders"): Endpoint(Access.WRITE, Family.ORDER, _place, is_order=True),
    ("PUT", "/super/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _modify, is_order=True),
    ("DELETE", "/super/orders/{}/{}"): Endpoint(Access.WRITE, Family.ORDER, _cancel, is_order=True),
    ("GET", "/super/orders"): Endpoint(Access.READ, Family.NON_TRADING, _list),
}
