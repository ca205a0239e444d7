"""``/forever/orders``: orders that wait for a trigger, one or two of which one cancels the other."""

from __future__ import annotations

from algo_scalper.domain.instruments import instrument_key, key_security_id, key_segment
from algo_scalper.domain.orders import OrderKind, Side
from algo_scalper.interfaces.simulator.calls import Access, Asked, Call, DeedAsked, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.gate import entry_barred, write_barred
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.master import trading_symbol
from algo_scalper.interfaces.simulator.orders_in import (
    SEGMENTS,
    SIDES,
    VALIDITIES,
    Refused,
    choice,
    correlation_id,
    own_body,
    paise,
    quantity,
    whole,
)
from algo_scalper.interfaces.simulator.paths.orders import CANNOT, cancelled
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, java_rupees, order_error, refused, success
from algo_scalper.interfaces.simulator.rows import DRV_TYPE
from algo_scalper.interfaces.simulator.stamps import NEVER
from algo_scalper.simulation.admission import malformed
from algo_scalper.simulation.broker_hand import BrokerHand
from algo_scalper.simulation.exchange import FOREIGN_ID
from algo_scalper.simulation.forever_orders import (
    CONFIRM,
    FIRST,
    SECOND,
    ForeverLeg,
    ForeverOrder,
    cancel,
    shown_status,
)

_FLAGS = {"SINGLE": False, "OCO": True}
_PRODUCTS = {name: name for name in ("CNC", "MTF", "MARGIN", "INTRADAY")}
_LIMITED = {"LIMIT": True, "MARKET": False}
_ORDER_TYPES = {"LIMIT": True, "MARKET": False, "STOP_LOSS": True, "STOP_LOSS_MARKET": False}
_LEGS = {name: name for name in (FIRST, SECOND)}


def _place(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        body = own_body(call.body, desk.client_id)
        first = _leg_in(body, FIRST, "")
        legs = [first, _leg_in(body, SECOND, "1")] if choice(body, "orderFlag", _FLAGS) else [first]
        side = choice(body, "transactionType", SIDES)
        key = instrument_key(choice(body, "exchangeSegment", SEGMENTS), whole(body.get("securityId")))
        product = choice(body, "productType", _PRODUCTS)
        choice(body, "validity", {name: name for name in VALIDITIES})
        name = correlation_id(body["correlationId"], desk.client_id, 0) if body.get("correlationId") else FOREIGN_ID
    except Refused as refusal:
        return refusal.reply

    def act(at_ns: int) -> Reply:
        for leg in legs:
            wrong = _wrong(desk, key, side, leg)
            if wrong:
                return refused(wrong)
            leg.from_below = leg.trigger_paise > desk.last_paise(key)
        number = desk.standing.next_id("51")
        desk.standing.forever_orders[number] = ForeverOrder(number, name, key, side, product, legs, at_ns, at_ns)
        return success({"orderId": number, "orderStatus": "PENDING"})

    return entry_barred(desk) or DeedAsked(act)


def _leg_in(body: dict[str, object], name: str, suffix: str) -> ForeverLeg:
    """The fields of a trigger; those of an OCO's second end in ``1``. Raises `Refused`."""
    limited = choice(body, "orderType", _LIMITED)
    price, trigger = paise(body.get(f"price{suffix}")), paise(body.get(f"triggerPrice{suffix}"))
    asked = quantity(body) if not suffix else whole(body.get("quantity1"))
    if not trigger or (limited and not price):
        raise Refused(bad_input())
    return ForeverLeg(name, asked, price if limited else 0, trigger, from_below=False)


def _wrong(desk: Desk, key: int, side: Side, leg: ForeverLeg) -> str:
    """Lot and ticks, as of an order; a trigger is no stop, so it may stand on either side of the price."""
    contract = desk.contracts.get(key)
    for price in (leg.price_paise or leg.trigger_paise, leg.trigger_paise):
        text = malformed(contract, key, side, OrderKind.LIMIT, leg.quantity, price, 0)
        if text:
            return text
    return ""


def _modify(desk: Desk, call: Call, order_id: str) -> Reply | Asked:
    try:
        body = own_body(call.body, desk.client_id)
        choice(body, "orderFlag", _FLAGS)
        name = choice(body, "legName", _LEGS)
        limited, asked = choice(body, "orderType", _ORDER_TYPES), quantity(body)
        price, trigger = paise(body.get("price")), paise(body.get("triggerPrice"))
    except Refused as refusal:
        return refusal.reply
    if not trigger or (limited and not price):
        return bad_input()

    def act(at_ns: int) -> Reply:
        one = desk.standing.forever_orders.get(order_id)
        leg = next((leg for leg in one.legs if leg.name == name), None) if one is not None else None
        if one is None or leg is None or leg.status != CONFIRM:
            return order_error(CANNOT)
        changed = ForeverLeg(name, asked, price if limited else 0, trigger, trigger > desk.last_paise(one.key))
        wrong = _wrong(desk, one.key, one.side, changed)
        if wrong:
            return refused(wrong)
        one.legs[one.legs.index(leg)] = changed
        one.updated_ns = at_ns
        return success({"orderId": order_id, "orderStatus": "PENDING"})

    return write_barred(desk) or DeedAsked(act)


def _cancel(desk: Desk, _: Call, order_id: str) -> Reply | Asked:
    def act(at_ns: int) -> Reply:
        one = desk.standing.forever_orders.get(order_id)
        return cancelled(order_id) if one is not None and cancel(one, at_ns) else order_error(CANNOT)

    return write_barred(desk) or DeedAsked(act)


def _list(desk: Desk, _: Call, __: str) -> Reply:
    """One row for each trigger, newest first; ``orderType`` says SINGLE or OCO."""
    hand = desk.standing.hand
    found = reversed(desk.standing.forever_orders.values())
    return success([_row(desk, one, leg, hand) for one in found for leg in one.legs])


def _row(desk: Desk, one: ForeverOrder, leg: ForeverLeg, hand: BrokerHand) -> dict[str, object]:
    contract = desk.contracts[one.key]
    return {
        "dhanClientId": desk.client_id,
        "orderId": one.order_id,
        "orderStatus": shown_status(leg, hand),
        "transactionType": one.side.name,
        "exchangeSegment": key_segment(one.key).name,
        "productType": one.product_text,
        "orderType": one.flag,
        "tradingSymbol": trading_symbol(contract),
        "securityId": str(key_security_id(one.key)),
        "quantity": leg.quantity,
        "price": java_rupees(leg.price_paise),
        "triggerPrice": java_rupees(leg.trigger_paise),
        "legName": leg.name,
        "createTime": desk.stamps.text(one.created_ns),
        "updateTime": desk.stamps.text(one.updated_ns),
        "exchangeTime": desk.stamps.text(one.updated_ns) if leg.placed_id else NEVER,
        "drvExpiryDate": contract.expiry.isoformat(),
        "drvOptionType": DRV_TYPE[contract.option_type],
        "drvStrikePrice": java_rupees(contract.strike_paise),
    }


PATHS: Paths = {
    ("POST", "/forever/orders"): Endpoint(Access.WRITE, Family.ORDER, _place, is_order=True),
    ("PUT", "/forever/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _modify, is_order=True),
    ("DELETE", "/forever/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _cancel, is_order=True),
    ("GET", "/forever/orders"): Endpoint(Access.READ, Family.NON_TRADING, _list),
}
