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

CORRELATION_ID_MAX = 25
"""The documents say 30; 26 characters are refused."""
PROTECTION_BPS = 100
"""A MARKET order becomes a limit this far through the last price."""

_T = TypeVar("_T")
_CORRELATION_ID = re.compile(r"^[A-Za-z0-9 _-]+$")
_SEGMENTS = {segment.name: segment for segment in (Segment.NSE_FNO, Segment.BSE_FNO)}
_PRODUCTS = {product.value: product for product in Product}
_ORDER_TYPES = frozenset({"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_MARKET"})


class Refused(Exception):
    """The gateway's answer to a request it does not pass on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


def _refuse(reply: Reply) -> NoReturn:
    raise Refused(reply)


def body_object(raw: bytes) -> dict[str, object]:
    """The JSON object of a body. Raises `Refused` for anything else."""
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        _refuse(bad_input())
    if not isinstance(body, dict):
        _refuse(bad_input())
    return body


def place_order(raw: bytes, client_id: str, at_ns: int, last_paise: Callable[[int], int]) -> PlaceOrder:
    """A placement. ``last_paise`` (of a key, 0 when unknown) is what a MARKET order is priced from. Raises `Refused`."""
    body = body_object(raw)
    if not body.get("dhanClientId"):
        _refuse(bad_input("dhanClientId is required"))
    if body["dhanClientId"] != client_id or "" in body.values():
        _refuse(bad_input())
    quantity = _quantity(body)
    side = _choice(body, "transactionType", {side.name: side for side in Side})
    segment = _choice(body, "exchangeSegment", _SEGMENTS)
    product = _choice(body, "productType", _PRODUCTS)
    if body.get("validity") != "DAY" or body.get("afterMarketOrder") not in (None, False):
        _refuse(bad_input())
    key = instrument_key(segment, _whole(body.get("securityId")))
    kind, price_paise, trigger_paise = _terms(body, side, lambda: last_paise(key))
    return PlaceOrder(
        order_id=_correlation_id(body.get("correlationId"), client_id, at_ns),
        key=key,
        side=side,
        kind=kind,
        quantity=quantity,
        price_paise=price_paise,
        trigger_paise=trigger_paise,
        purpose=_purpose(side),
        product=product,
    )


def modify_order(raw: bytes, row: BrokerOrder, last_paise: Callable[[int], int]) -> ModifyOrder:
    """A modification of the order that stands as ``row``: the whole order again. Raises `Refused`."""
    body = body_object(raw)
    if not body.get("dhanClientId"):
        _refuse(bad_input("dhanClientId is required"))
    # An empty legName is the one empty string Dhan tolerates here.
    if "" in [value for name, value in body.items() if name != "legName"] or body.get("validity") != "DAY":
        _refuse(bad_input())
    if str(body.get("orderId", row.broker_id)) != row.broker_id:
        _refuse(bad_input())
    quantity = _quantity(body)
    kind, price_paise, trigger_paise = _terms(body, row.side, lambda: last_paise(row.key))
    return ModifyOrder(
        order_id=row.correlation_id,
        broker_id=row.broker_id,
        key=row.key,
        kind=kind,
        quantity=quantity,
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


def _correlation_id(value: object, client_id: str, at_ns: int) -> str:
    if value is None:
        return f"{client_id}-{at_ns // NS_PER_MS}"[-CORRELATION_ID_MAX:]
    if not isinstance(value, str) or len(value) > CORRELATION_ID_MAX or not _CORRELATION_ID.match(value):
        _refuse(bad_input())
    return value


def _choice(body: dict[str, object], field: str, allowed: dict[str, _T]) -> _T:
    value = body.get(field)
    if not isinstance(value, str) or value not in allowed:
        _refuse(bad_input())
    return allowed[value]


def _quantity(body: dict[str, object]) -> int:
    if body.get("quantity") in (None, 0):
        _refuse(bad_input("quantity is required"))
    return _whole(body["quantity"])


def _whole(value: object) -> int:
    """A positive integer, also written as a string, as Dhan's own examples do."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        _refuse(bad_input())
    return value


def _paise(value: object) -> int:
    """Rupees to paise; absent is 0. A fraction of a paisa is no price."""
    if value is None:
        return 0
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            _refuse(bad_input())
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        _refuse(bad_input())
    paise = round(value * 100)
    if abs(value * 100 - paise) > 1e-6 * max(paise, 1):
        _refuse(bad_input("EXCH:16283:The order price is not multiple of tick size"))
    return paise


def _terms(body: dict[str, object], side: Side, last_paise: Callable[[], int]) -> tuple[OrderKind, int, int]:
    """(kind, price, trigger): market orders become protected limits, a stop must leave room behind its trigger."""
    order_type = body.get("orderType")
    if not isinstance(order_type, str) or order_type not in _ORDER_TYPES:
        _refuse(bad_input())
    price_paise, trigger_paise = _paise(body.get("price")), _paise(body.get("triggerPrice"))
    if order_type == "LIMIT" and price_paise:
        return OrderKind.LIMIT, price_paise, 0
    if order_type == "MARKET" and (market_paise := last_paise()):
        return OrderKind.LIMIT, _protected(market_paise, side), 0
    if order_type == "STOP_LOSS_MARKET" and trigger_paise:
        # Protection is added on the buying side whichever way the order goes: sells are refused just below.
        price_paise = _protected(trigger_paise, Side.BUY)
    elif order_type != "STOP_LOSS" or not price_paise or not trigger_paise:
        _refuse(bad_input())
    if side is Side.BUY and price_paise <= trigger_paise:
        _refuse(order_error("Price should be greater than Trigger Price"))
    if side is Side.SELL and trigger_paise <= price_paise:
        _refuse(order_error("Trigger Price should be greater than Price"))
    return OrderKind.STOP_LIMIT, price_paise, trigger_paise


def _protected(paise: int, side: Side) -> int:
    if side is Side.BUY:
        return tick_up(paise + paise * PROTECTION_BPS // 10_000, 5)
    return max(tick_down(paise - paise * PROTECTION_BPS // 10_000, 5), 5)
