"""``/alerts/orders``: conditions that place orders once they are met.

Taken is only what can be looked at: a price of this market, or an indicator on enough closed candles of one of its
indices. Everything else documented (equities, candles of a day, an average longer than the candles there are) is refused
as the broker refuses charts without data.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.orders import Product
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.calls import Access, Asked, Call, DeedAsked, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.gate import entry_barred, write_barred
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import (
    SEGMENTS,
    SIDES,
    Refused,
    choice,
    own_body,
    paise,
    quantity,
    whole,
)
from algo_scalper.interfaces.simulator.paths.orders import CANNOT
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, no_data, order_error, success
from algo_scalper.interfaces.simulator.technicals import FRAMES, INDICATORS
from algo_scalper.simulation.broker_hand import OrderTemplate
from algo_scalper.simulation.triggers import (
    ACTIVE,
    CANCELLED,
    CLOSE,
    COMPARISONS,
    OPERATORS,
    PRICE_WITH_VALUE,
    TECHNICAL_WITH_INDICATOR,
    TECHNICAL_WITH_VALUE,
    Trigger,
)

_SEGMENTS = {name: Segment[name] for name in ("NSE_EQ", "BSE_EQ", "IDX_I")}
_MINUTES = {**FRAMES, "DAY": 0, "DATE": 0}
"""Of a time frame; 0 for those that are documented and have no candles here."""
_ONCE = "ONCE"
_NAMES = {name: name for name in INDICATORS}
_PRODUCTS = {product.value: product for product in Product}
_ORDER_TYPES = {"LIMIT": 1, "MARKET": 0, "STOP_LOSS": 2, "STOP_LOSS_MARKET": 3}
_MOST_ORDERS = 15
_Plain = dict[str, str | int | float | None]


def _place(desk: Desk, call: Call, _: str) -> Reply | Asked:
    read = _read(desk, call)
    if isinstance(read, Reply):
        return read

    def act(at_ns: int) -> Reply:
        read.alert_id = desk.standing.next_id("71")
        read.created_ns = at_ns
        desk.standing.price_triggers[read.alert_id] = read
        return success({"alertId": read.alert_id, "alertStatus": ACTIVE})

    return entry_barred(desk) or DeedAsked(act)


def _modify(desk: Desk, call: Call, alert_id: str) -> Reply | Asked:
    read = _read(desk, call)
    if isinstance(read, Reply):
        return read

    def act(_: int) -> Reply:
        before = desk.standing.price_triggers.get(alert_id)
        if before is None or before.status != ACTIVE:
            return order_error(CANNOT)
        read.alert_id, read.created_ns = alert_id, before.created_ns
        desk.standing.price_triggers[alert_id] = read
        return success({"alertId": alert_id, "alertStatus": ACTIVE})

    return write_barred(desk) or DeedAsked(act)


def _read(desk: Desk, call: Call) -> Trigger | Reply:
    try:
        body = own_body(call.body, desk.client_id)
        condition, orders = body.get("condition"), body.get("orders")
        if not isinstance(condition, dict) or not isinstance(orders, list) or not 0 < len(orders) <= _MOST_ORDERS:
            return bad_input()
        return _trigger(desk, condition, orders)
    except Refused as refusal:
        return refusal.reply
    except ValueError:
        return bad_input()


def _trigger(desk: Desk, condition: dict[str, object], orders: list[object]) -> Trigger:
    """Raises `Refused`, and ValueError for a date that is none."""
    comparison = choice(condition, "comparisonType", {name: name for name in COMPARISONS})
    operator = choice(condition, "operator", {name: name for name in OPERATORS})
    segment = choice(condition, "exchangeSegment", _SEGMENTS)
    key = instrument_key(segment, whole(condition.get("securityId")))
    if condition.get("frequency", _ONCE) != _ONCE:
        raise Refused(bad_input())
    minutes, indicator, against, value = 0, "", "", 0
    if comparison == PRICE_WITH_VALUE:
        value = _level(condition.get("comparingValue"))
        if value <= 0:
            raise Refused(bad_input())
    else:
        minutes = choice(condition, "timeFrame", _MINUTES)
        indicator = choice(condition, "indicatorName", _NAMES)
        if comparison == TECHNICAL_WITH_VALUE:
            value = _level(condition.get("comparingValue"))
        elif comparison == TECHNICAL_WITH_INDICATOR:
            against = choice(condition, "comparingIndicatorName", _NAMES)
        else:
            against = CLOSE
    expires = condition.get("expDate")
    found = Trigger(
        alert_id="",
        key=key,
        comparison=comparison,
        operator=operator,
        value=value,
        expires=date.fromisoformat(str(expires)) if expires else desk.day + timedelta(days=365),
        orders=[_template(desk, order) for order in orders],
        condition=_plain(condition),
        order_rows=[_plain(order) for order in orders if isinstance(order, dict)],
        created_ns=0,
        minutes=minutes,
        indicator=indicator,
        against=against,
    )
    if not _can_be_seen(desk, found):
        raise Refused(no_data())
    return found


def _can_be_seen(desk: Desk, one: Trigger) -> bool:
    """Has the market what the condition is about, now and not only later in the day?"""
    if one.comparison == PRICE_WITH_VALUE:
        return one.key in desk.known
    names = (one.indicator, one.against) if one.against else (one.indicator,)
    read = desk.technicals.reading
    return bool(
        one.key in desk.indices and one.minutes and all(read(one.key, one.minutes, name) is not None for name in names)
    )


def _level(value: object) -> int:
    """What is compared with, in hundredths; an indicator's may lie at 0 and below. Raises `Refused`."""
    text = str(value)
    try:
        size = paise(text.removeprefix("-"))
    except Refused:
        raise Refused(bad_input()) from None  # not in the words for a price off its tick
    return -size if text.startswith("-") else size


def _plain(row: dict[str, object]) -> _Plain:
    """What can be shown again as it was sent. Raises `Refused` for anything nested."""
    found: _Plain = {}
    for name, value in row.items():
        if value is not None and not isinstance(value, str | int | float):
            raise Refused(bad_input())
        found[name] = value
    return found


def _template(desk: Desk, order: object) -> OrderTemplate:
    """Prices and quantities may be text here, and unused ones are. Raises `Refused`."""
    if not isinstance(order, dict):
        raise Refused(bad_input())
    row = {str(name): value for name, value in order.items()}
    kind = choice(row, "orderType", _ORDER_TYPES)
    key = instrument_key(choice(row, "exchangeSegment", SEGMENTS), whole(row.get("securityId")))
    price, trigger = paise(row.get("price") or None), paise(row.get("triggerPrice") or None)
    if key not in desk.contracts or (kind in (1, 2) and not price) or (kind in (2, 3) and not trigger):
        raise Refused(bad_input())
    side, asked = choice(row, "transactionType", SIDES), quantity(row)
    product = choice(row, "productType", _PRODUCTS)
    if kind == 3:
        price = desk.standing.hand.protected_paise(key, side, trigger)
    return OrderTemplate(
        key,
        side,
        asked,
        product,
        price if kind else 0,
        trigger if kind in (2, 3) else 0,
        immediate=choice(row, "validity", {"DAY": False, "IOC": True}),
    )


def _cancel(desk: Desk, _: Call, alert_id: str) -> Reply | Asked:
    def act(_: int) -> Reply:
        one = desk.standing.price_triggers.get(alert_id)
        if one is None or one.status != ACTIVE:
            return order_error(CANNOT)
        one.status = CANCELLED
        return success({"alertId": alert_id, "alertStatus": CANCELLED})

    return write_barred(desk) or DeedAsked(act)


def _show(desk: Desk, _: Call, alert_id: str) -> Reply:
    one = desk.standing.price_triggers.get(alert_id)
    return success(_row(desk, one)) if one is not None else order_error(CANNOT, 404)


def _list(desk: Desk, _: Call, __: str) -> Reply:
    return success([_row(desk, one) for one in reversed(desk.standing.price_triggers.values())])


def _row(desk: Desk, one: Trigger) -> dict[str, object]:
    return {
        "alertId": one.alert_id,
        "alertStatus": one.status,
        "createdTime": _utc_text(desk.stamps.at(one.created_ns)),
        "triggeredTime": _utc_text(desk.stamps.at(one.triggered_ns)) if one.triggered_ns else None,
        "lastPrice": f"{(one.last_paise or desk.last_paise(one.key)) / 100:.2f}",
        "condition": one.condition,
        "orders": one.order_rows,
    }


def _utc_text(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


PATHS: Paths = {
    ("POST", "/alerts/orders"): Endpoint(Access.WRITE, Family.ORDER, _place, is_order=True),
    ("PUT", "/alerts/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _modify, is_order=True),
    ("DELETE", "/alerts/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _cancel, is_order=True),
    ("GET", "/alerts/orders"): Endpoint(Access.READ, Family.NON_TRADING, _list),
    ("GET", "/alerts/orders/{}"): Endpoint(Access.READ, Family.NON_TRADING, _show),
}
