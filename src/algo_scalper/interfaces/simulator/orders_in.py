"""Order requests as they arrive: JSON in, a command of ours or Dhan's refusal out.

Checked here is what Dhan's gateway checks before it answers: presence, types, enumerations, empty strings, the length
of the correlation id. Lots, ticks, funds, bands and hours are the exchange's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

import msgspec

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.orders import BrokerOrder, OrderKind, Product, Purpose, Side
from algo_scalper.domain.units import NS_PER_MS, tick_down, tick_up
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, order_error
from algo_scalper.simulation.account_book import Particulars
from algo_scalper.simulation.admission import OFF_TICK

CORRELATION_ID_MAX = 25
"""The documents say 30; 26 characters are refused."""
PROTECTION_BPS = 100
"""A MARKET order becomes a limit this far through the last price."""

_TOO_MANY = 1 << 31
_T = TypeVar("_T")
_CORRELATION_ID = re.compile(r"^[A-Za-z0-9 _-]+$")
SEGMENTS = {segment.name: segment for segment in (Segment.NSE_FNO, Segment.BSE_FNO)}
SIDES = {side.name: side for side in Side}
VALIDITIES = ("DAY", "IOC")
AMO_TIMES = {"PRE_OPEN": 0, "OPEN": 0, "OPEN_30": 1_800, "OPEN_60": 3_600}
"""Seconds after the open; an option has no pre-open session."""
_PRODUCTS = {product.value: product for product in Product}
_ORDER_TYPES = frozenset({"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_MARKET"})


class Refused(Exception):
    """The gateway's answer to a request it does not pass on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


def refuse(reply: Reply) -> NoReturn:
    """Not passed on: `Refused` with this answer."""
    raise Refused(reply)


def body_object(raw: bytes) -> dict[str, object]:
    """The JSON object of a body. Raises `Refused` for anything else."""
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        refuse(bad_input())
    if not isinstance(body, dict):
        refuse(bad_input())
    return body


def place_order(raw: bytes, client_id: str, at_ns: int, last_paise: Callable[[int], int]) -> PlaceOrder:
    """A placement. ``last_paise`` (of a key, 0 when unknown) is what a MARKET order is priced from. Raises `Refused`."""
    body = own_body(raw, client_id)
    asked = quantity(body)
    side = choice(body, "transactionType", SIDES)
    segment = choice(body, "exchangeSegment", SEGMENTS)
    product = choice(body, "productType", _PRODUCTS)
    if body.get("validity") not in VALIDITIES or body.get("afterMarketOrder") not in (None, False, True):
        refuse(bad_input())
    key = instrument_key(segment, whole(body.get("securityId")))
    kind, price_paise, trigger_paise = terms(body, side, lambda: last_paise(key))
    return PlaceOrder(
        order_id=correlation_id(body.get("correlationId"), client_id, at_ns),
        key=key,
        side=side,
        kind=kind,
        quantity=asked,
        price_paise=price_paise,
        trigger_paise=trigger_paise,
        purpose=_purpose(side),
        product=product,
    )


def modify_order(raw: bytes, row: BrokerOrder, last_paise: Callable[[int], int]) -> ModifyOrder:
    """A modification of the order that stands as ``row``: the whole order again. Raises `Refused`."""
    body = body_object(raw)
    if not body.get("dhanClientId"):
        refuse(bad_input("dhanClientId is required"))
    # An empty legName is the one empty string Dhan tolerates here.
    if "" in [value for name, value in body.items() if name != "legName"] or body.get("validity") not in VALIDITIES:
        refuse(bad_input())
    if str(body.get("orderId", row.broker_id)) != row.broker_id:
        refuse(bad_input())
    asked = quantity(body)
    kind, price_paise, trigger_paise = terms(body, row.side, lambda: last_paise(row.key))
    return ModifyOrder(
        order_id=row.correlation_id,
        broker_id=row.broker_id,
        key=row.key,
        kind=kind,
        quantity=asked,
        price_paise=price_paise,
        trigger_paise=trigger_paise,
        purpose=_purpose(row.side),
    )


def cancel_order(row: BrokerOrder) -> CancelOrder:
    """Withdraw ``row``."""
    return CancelOrder(row.correlation_id, row.broker_id, row.key, _purpose(row.side))


def _purpose(side: Side) -> Purpose:
    """The wire does not say; a buyer of options enters by buying."""
    return Purpose.ENTRY if side is Side.BUY else Purpose.EXIT


def particulars(raw: bytes) -> Particulars:
    """What a placement carries besides price and quantity. Raises `Refused`."""
    body = body_object(raw)
    disclosed = body.get("disclosedQuantity")
    return Particulars(
        after_open_s=choice(body, "amoTime", AMO_TIMES) if body.get("afterMarketOrder") is True else None,
        immediate=body.get("validity") == "IOC",
        disclosed_quantity=whole(disclosed) if disclosed not in (None, 0) else 0,
    )


def own_body(raw: bytes, client_id: str) -> dict[str, object]:
    """The body of a request that names the account, without empty strings. Raises `Refused`."""
    body = body_object(raw)
    if not body.get("dhanClientId"):
        refuse(bad_input("dhanClientId is required"))
    if body["dhanClientId"] != client_id or "" in body.values():
        refuse(bad_input())
    return body


def correlation_id(value: object, client_id: str, at_ns: int) -> str:
    """The one that was given, or client and time as Dhan makes it. Raises `Refused`."""
    if value is None:
        return f"{client_id}-{at_ns // NS_PER_MS}"[-CORRELATION_ID_MAX:]
    if not isinstance(value, str) or len(value) > CORRELATION_ID_MAX or not _CORRELATION_ID.match(value):
        refuse(bad_input())
    return value


def choice(body: dict[str, object], field: str, allowed: dict[str, _T]) -> _T:
    """A field that must be one of these words. Raises `Refused`."""
    value = body.get(field)
    if not isinstance(value, str) or value not in allowed:
        refuse(bad_input())
    return allowed[value]


def quantity(body: dict[str, object]) -> int:
    """The quantity, whose absence has its own text. Raises `Refused`."""
    if body.get("quantity") in (None, 0):
        refuse(bad_input("quantity is required"))
    return whole(body["quantity"])


def whole(value: object) -> int:
    """A positive integer, also written as a string, as Dhan's own examples do. Raises `Refused`."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 12:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _TOO_MANY:
        refuse(bad_input())
    return value


def paise(value: object) -> int:
    """Rupees to paise; absent is 0. A fraction of a paisa is no price. Raises `Refused`."""
    if value is None:
        return 0
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            refuse(bad_input())
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        refuse(bad_input())
    found = round(value * 100)
    if abs(value * 100 - found) > 1e-6 * max(found, 1):
        refuse(bad_input(OFF_TICK))  # it cannot even be written down
    return found


def terms(body: dict[str, object], side: Side, last_paise: Callable[[], int]) -> tuple[OrderKind, int, int]:
    """(kind, price, trigger): market orders become protected limits, a stop must leave room behind its trigger."""
    order_type = body.get("orderType")
    if not isinstance(order_type, str) or order_type not in _ORDER_TYPES:
        refuse(bad_input())
    price_paise, trigger_paise = paise(body.get("price")), paise(body.get("triggerPrice"))
    if order_type == "LIMIT" and price_paise:
        return OrderKind.LIMIT, price_paise, 0
    if order_type == "MARKET" and (market_paise := last_paise()):
        return OrderKind.LIMIT, _protected(market_paise, side), 0
    if order_type == "STOP_LOSS_MARKET" and trigger_paise:
        # Protection is added on the buying side whichever way the order goes: sells are refused just below.
        price_paise = _protected(trigger_paise, Side.BUY)
    elif order_type != "STOP_LOSS" or not price_paise or not trigger_paise:
        refuse(bad_input())
    if side is Side.BUY and price_paise <= trigger_paise:
        refuse(order_error("Price should be greater than Trigger Price"))
    if side is Side.SELL and trigger_paise <= price_paise:
        refuse(order_error("Trigger Price should be greater than Price"))
    return OrderKind.STOP_LIMIT, price_paise, trigger_paise


def _protected(price: int, side: Side) -> int:
    if side is Side.BUY:
        return tick_up(price + price * PROTECTION_BPS // 10_000, 5)
    return max(tick_down(price - price * PROTECTION_BPS // 10_000, 5), 5)
