"""Rows of Dhan's books and pushes of its order socket, as domain records.

A row in a segment we trade that cannot be understood is an error, never skipped: an order that is silently missing from
a book looks like one that never arrived. Rows of other segments are skipped when they make no sense to us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from algo_scalper.adapters.dhan.values import (
    SMALLEST_TICK_PAISE,
    Row,
    filled_value_paise,
    number,
    paise,
    pick,
    segment_key,
    shown,
    text,
    whole,
)
from algo_scalper.domain.account import Funds
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract, key_text
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, BrokerStatus, OrderKind, Side

_Word = TypeVar("_Word")

OUR_SEGMENTS = frozenset({"NSE_FNO", "BSE_FNO"})

STATUS: dict[str, BrokerStatus] = {
    **{status.value: status for status in BrokerStatus},
    "MODIFIED": BrokerStatus.PENDING,  # order socket: it rests, as modified
    "TRIGGERED": BrokerStatus.PENDING,  # order socket: a stop that has become a limit
    "CONFIRM": BrokerStatus.PENDING,  # forever orders
    "CLOSED": BrokerStatus.TRADED,  # super orders: entry and one exit are done
    "PARTIALLY_TRADED": BrokerStatus.PART_TRADED,
    "PARTTRADED": BrokerStatus.PART_TRADED,
    "CANCELED": BrokerStatus.CANCELLED,
}

KIND: dict[str, OrderKind] = {
    "LIMIT": OrderKind.LIMIT,
    "LMT": OrderKind.LIMIT,
    "MARKET": OrderKind.LIMIT,  # becomes a protected limit at the broker
    "MKT": OrderKind.LIMIT,
    "STOP_LOSS": OrderKind.STOP_LIMIT,
    "SL": OrderKind.STOP_LIMIT,
    "STOP_LOSS_MARKET": OrderKind.STOP_LIMIT,
    "SLM": OrderKind.STOP_LIMIT,
}

SIDE: dict[str, Side] = {"BUY": Side.BUY, "B": Side.BUY, "SELL": Side.SELL, "S": Side.SELL}

PUSH_SEGMENT: dict[tuple[str, str], str] = {
    ("NSE", "D"): "NSE_FNO",
    ("BSE", "D"): "BSE_FNO",
    ("NSE", "E"): "NSE_EQ",
    ("BSE", "E"): "BSE_EQ",
    ("NSE", "C"): "NSE_CURRENCY",
    ("BSE", "C"): "BSE_CURRENCY",
    ("MCX", "M"): "MCX_COMM",
}
"""The order socket's letters of exchange and segment."""


def read_orders(body: object, contracts: Mapping[int, Contract]) -> tuple[BrokerOrder, ...]:
    """The rows of GET /orders, of /orders/{id} and of /orders/external/{id}: a list or a single object.

    Raises DataError for a row of our segments that cannot be understood.
    """
    found: list[BrokerOrder] = []
    for row in _rows(body, "orderId"):
        segment = text(pick(row, "exchangeSegment"))
        try:
            key = segment_key(segment, pick(row, "securityId"))
            found.append(_order(row, key, contracts, broker_id="orderId", side="transactionType", status="orderStatus"))
        except DataError:
            if segment in OUR_SEGMENTS:
                raise
    return tuple(found)


def read_push(data: Row, contracts: Mapping[int, Contract]) -> BrokerOrder | None:
    """The ``Data`` of an order_alert. None for segments that are not ours and make no sense; raises DataError for ours.

    Zero numbers and empty strings are left out by the sender.
    """
    place = (text(pick(data, "exchange")).upper(), text(pick(data, "segment")).upper())
    segment = PUSH_SEGMENT.get(place, "")
    try:
        key = segment_key(segment, pick(data, "securityId"))
        return _order(data, key, contracts, broker_id="orderNo", side="txnType", status="status")
    except DataError:
        if segment in OUR_SEGMENTS:
            raise
        return None


def _order(
    row: Row, key: int, contracts: Mapping[int, Contract], *, broker_id: str, side: str, status: str
) -> BrokerOrder:
    where = f"order {text(pick(row, broker_id))[:40] or 'without an id'} ({key_text(key)})"
    if not text(pick(row, broker_id)):
        raise DataError(f"{where}: no {broker_id}")
    quantity = whole(pick(row, "quantity"), f"{where} quantity")
    if quantity <= 0:
        raise DataError(f"{where}: no quantity")
    stands = _word(STATUS, pick(row, status), f"{where} status")
    filled = _filled(row, quantity, stands, where)
    if stands is BrokerStatus.TRADED and filled < quantity:
        stands = BrokerStatus.PART_TRADED  # one push per fill, each called traded
    elif stands is BrokerStatus.PENDING and filled:
        stands = BrokerStatus.PART_TRADED
    average = number(pick(row, "averageTradedPrice", "avgTradedPrice"), f"{where} average price")
    if filled and not average:
        average = number(pick(row, "tradedPrice", "price"), f"{where} traded price")
    return BrokerOrder(
        correlation_id=text(pick(row, "correlationId")),
        broker_id=text(pick(row, broker_id)),
        key=key,
        side=_word(SIDE, pick(row, side), f"{where} side"),
        kind=_word(KIND, pick(row, "orderType"), f"{where} type"),
        status=stands,
        quantity=quantity,
        filled_quantity=filled,
        filled_value_paise=filled_value_paise(average, filled, _grid_paise(key, filled, contracts)),
        price_paise=paise(pick(row, "price"), f"{where} price"),
        trigger_paise=paise(pick(row, "triggerPrice"), f"{where} trigger price"),
        reason=text(pick(row, "omsErrorDescription", "reasonDescription")),
    )


def _filled(row: Row, quantity: int, stands: BrokerStatus, where: str) -> int:
    told = pick(row, "filledQty", "tradedQty")
    if told is not None:
        return whole(told, f"{where} filled quantity")
    if stands in (BrokerStatus.TRADED, BrokerStatus.PART_TRADED):
        return quantity - whole(pick(row, "remainingQuantity"), f"{where} remaining quantity")
    return 0


def _grid_paise(key: int, filled: int, contracts: Mapping[int, Contract]) -> int:
    """What a sum of fills is a multiple of: tick x lot where we know the contract, else the smallest tick."""
    contract = contracts.get(key)
    if contract is not None and filled % contract.lot == 0:
        return contract.tick_paise * contract.lot
    return SMALLEST_TICK_PAISE if key_text(key).split(":")[0] in OUR_SEGMENTS else 1


def read_positions(body: object) -> tuple[BrokerPosition, ...]:
    """The rows of GET /positions, summed per contract: Dhan has one per product, we answer for the contract.

    Raises DataError for a row of our segments that cannot be understood.
    """
    found: dict[int, BrokerPosition] = {}
    for row in _rows(body, "securityId"):
        segment = text(pick(row, "exchangeSegment"))
        try:
            one = _position(row, segment_key(segment, pick(row, "securityId")))
        except DataError:
            if segment in OUR_SEGMENTS:
                raise
            continue
        other = found.get(one.key)
        found[one.key] = one if other is None else _summed(one, other)
    return tuple(found.values())


def _position(row: Row, key: int) -> BrokerPosition:
    where = f"position {key_text(key)}"
    bought = whole(pick(row, "buyQty"), f"{where} buyQty")
    sold = whole(pick(row, "sellQty"), f"{where} sellQty")
    return BrokerPosition(
        key=key,
        net_quantity=whole(pick(row, "netQty"), f"{where} netQty"),
        bought_quantity=bought,
        bought_value_paise=_side_value_paise(row, "Buy", bought, where),
        sold_quantity=sold,
        sold_value_paise=_side_value_paise(row, "Sell", sold, where),
    )


def _side_value_paise(row: Row, side: str, quantity: int, where: str) -> int:
    """Carried forward plus today's value; where Dhan leaves them out, average x quantity."""
    carried, today = pick(row, f"carryForward{side}Value"), pick(row, f"day{side}Value")
    if carried is None and today is None:
        return filled_value_paise(number(pick(row, f"{side.lower()}Avg"), f"{where} average"), quantity)
    return paise(carried, f"{where} carried value") + paise(today, f"{where} day value")


def _summed(one: BrokerPosition, other: BrokerPosition) -> BrokerPosition:
    return BrokerPosition(
        one.key,
        one.net_quantity + other.net_quantity,
        one.bought_quantity + other.bought_quantity,
        one.bought_value_paise + other.bought_value_paise,
        one.sold_quantity + other.sold_quantity,
        one.sold_value_paise + other.sold_value_paise,
    )


def read_funds(body: object) -> Funds:
    """GET /fundlimit, misspellings included. Raises DataError when the balance is not there."""
    if not isinstance(body, dict):
        raise DataError("funds are not an object")
    available = pick(body, "availabelBalance", "availableBalance")
    if available is None:
        raise DataError("funds without availabelBalance")
    return Funds(
        paise(available, "availabelBalance"),
        paise(pick(body, "sodLimit"), "sodLimit"),
        paise(pick(body, "collateralAmount"), "collateralAmount"),
    )


def _rows(body: object, must_have: str) -> Iterator[Row]:
    """The objects of a list, or a single object as one. Raises DataError for anything that is not rows."""
    listed = body if isinstance(body, list) else [body] if isinstance(body, dict) else None
    if listed is None:
        raise DataError(f"a list of rows was expected, not {shown(body)}")
    for row in listed:
        if not isinstance(row, dict) or pick(row, must_have) is None:
            raise DataError(f"a row without {must_have}: {shown(row)}")
        yield row


def _word(words: Mapping[str, _Word], value: object, what: str) -> _Word:
    """A word of a closed list, in any case, spaces for underscores. Raises DataError."""
    found = words.get(text(value).upper().replace(" ", "_").replace("-", "_"))
    if found is None:
        raise DataError(f"{what}: {shown(value)} is not known")
    return found
