"""`DhanBroker`: orders placed, modified and cancelled at Dhan, and the day's book read back.

Every order request has one of three answers. *Accepted*: Dhan took it, nothing more. *Rejected*: Dhan said no, or not a
byte left this machine. *Unknown*: it may have arrived; returned only after its connection was closed, so nothing of it
can still leave here. No order request is ever repeated by this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from algo_scalper.adapters.dhan.endpoints import (
    CANCEL_ORDER,
    FUNDS,
    MODIFY_ORDER,
    ORDER_BOOK,
    ORDER_BY_CORRELATION,
    ORDER_BY_ID,
    PLACE_ORDER,
    POSITIONS,
)
from algo_scalper.adapters.dhan.failures import DhanRefused
from algo_scalper.adapters.dhan.limits import Priority
from algo_scalper.adapters.dhan.rest import NO_ARGUMENTS, ORDER_TIMEOUT_NS, DhanRest
from algo_scalper.adapters.dhan.rows import read_funds, read_orders, read_positions
from algo_scalper.adapters.dhan.values import Row
from algo_scalper.adapters.dhan.wire import Endpoint
from algo_scalper.domain.account import Funds
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import BrokerError, DataError
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.exchange_rules import (
    MOST_CORRELATION,
    OrderFault,
    fault_text,
    order_fault,
    protected_limit,
    protected_stop_limit,
    slices,
)
from algo_scalper.domain.instruments import Contract, key_security_id, key_segment
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Clock, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND

_Read = TypeVar("_Read")

SETTLE_NS = 10 * NS_PER_SECOND
"""How long an order may still be on its way after its connection was closed. An assumption: SAFETY.md."""
SETTLE_EVERY_NS = 2 * NS_PER_SECOND
SETTLE_WITHIN_NS = 60 * NS_PER_SECOND

ORDER_TYPE = {OrderKind.LIMIT: "LIMIT", OrderKind.STOP_LIMIT: "STOP_LOSS"}


class DhanBroker:
    """`domain.ports.Broker` over REST. ``contracts`` may grow: it gives the grid on which fills are summed exactly."""

    def __init__(
        self,
        rest: DhanRest,
        clock: Clock,
        contracts: Mapping[int, Contract] | None = None,
        order_timeout_ns: int = ORDER_TIMEOUT_NS,
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._contracts = {} if contracts is None else contracts
        self._order_timeout_ns = order_timeout_ns

    async def place(self, command: PlaceOrder) -> Outcome:
        """POST /orders, with the command's id as correlation id.

        A buy no exchange takes is not sent. A sell is: no reading of ours of the rules stands in the way of leaving.
        """
        if not 0 < len(command.order_id) <= MOST_CORRELATION:
            return Rejected(f"not sent: correlation id {command.order_id!r} is not 1 to {MOST_CORRELATION} long")
        wrong = self._fault(command) if command.side is Side.BUY else ""
        if wrong:
            return Rejected(f"not sent: {wrong}")
        body: Row = {
            "correlationId": command.order_id,
            "transactionType": command.side.name,
            "exchangeSegment": key_segment(command.key).name,
            "productType": command.product.value,
            "orderType": ORDER_TYPE[command.kind],
            "validity": "DAY",
            "securityId": str(key_security_id(command.key)),
            "quantity": command.quantity,
            "disclosedQuantity": 0,
            "price": command.price_paise / 100,
            "triggerPrice": command.trigger_paise / 100,
            "afterMarketOrder": False,
        }
        return await self._ask(PLACE_ORDER, command.purpose, body)

    async def place_sliced(self, command: PlaceOrder, contract: Contract) -> tuple[Outcome, ...]:
        """One order per freeze slice, one after the other; ends with the first that is not accepted.

        Their ids are the command's with ``-1``, ``-2`` ... behind it. Raises ValueError for a quantity that is no whole
        number of lots or an id that leaves no room.
        """
        parts = slices(command.quantity, contract.freeze_quantity, contract.lot)
        if len(command.order_id) + 1 + len(str(len(parts))) > MOST_CORRELATION:
            raise ValueError(f"order id {command.order_id!r} leaves no room for the number of a slice")
        outcomes: list[Outcome] = []
        for number, quantity in enumerate(parts, 1):
            part = msgspec.structs.replace(command, order_id=f"{command.order_id}-{number}", quantity=quantity)
            outcomes.append(await self.place(part))
            if not isinstance(outcomes[-1], Accepted):
                break
        return tuple(outcomes)

    async def modify(self, command: ModifyOrder) -> Outcome:
        """PUT /orders/{id} with the whole order; the quantity is its new total."""
        if not command.broker_id:
            return Rejected(f"not sent: the broker's id of order {command.order_id} is not known")
        body: Row = {
            "orderId": command.broker_id,
            "orderType": ORDER_TYPE[command.kind],
            "legName": "NA",
            "quantity": command.quantity,
            "price": command.price_paise / 100,
            "disclosedQuantity": 0,
            "triggerPrice": command.trigger_paise / 100,
            "validity": "DAY",
        }
        return await self._ask(MODIFY_ORDER, command.purpose, body, {"order_id": command.broker_id})

    async def cancel(self, command: CancelOrder) -> Outcome:
        """DELETE /orders/{id}."""
        if not command.broker_id:
            return Rejected(f"not sent: the broker's id of order {command.order_id} is not known")
        return await self._ask(CANCEL_ORDER, command.purpose, None, {"order_id": command.broker_id})

    async def settle(self, order_id: str, since_ns: int, within_ns: int = SETTLE_WITHIN_NS) -> Outcome:
        """What became of an `Unknown` placement: asked of the day book until it is certain, and never sent again.

        Found under its correlation id: accepted (whatever became of it since is in its row). Absent in two books read
        at least `SETTLE_NS` after ``since_ns``, when its answer was lost: it never arrived. A 404 by id is no answer,
        since an order on its way has none yet. Still Unknown when the book could not be read often enough.
        """
        absent = 0
        until_ns = self._clock.now_ns() + within_ns
        while True:
            try:
                book = await self.orders()
            except BrokerError as fault:
                told = str(fault)
            else:
                found = next((row for row in book if row.correlation_id == order_id), None)
                if found is not None:
                    return Accepted(found.broker_id)
                if self._clock.now_ns() >= since_ns + SETTLE_NS:
                    absent += 1
                told = f"absent in {absent} books read {SETTLE_NS // NS_PER_SECOND} s after its answer was lost"
            if absent >= 2:
                return Rejected(f"it never arrived: {told}")
            if self._clock.now_ns() >= until_ns:
                return Unknown(f"order {order_id}: {told}")
            await self._clock.sleep_until(self._clock.now_ns() + SETTLE_EVERY_NS)

    async def read_book(self) -> BookRead:
        """Orders, positions and funds, asked at the same time. Raises `BrokerError` when any of them fails."""
        began_ns = self._clock.now_ns()
        parts = await asyncio.gather(self.orders(), self.positions(), self.funds(), return_exceptions=True)
        for part in parts:
            if isinstance(part, BaseException):
                raise part
        orders, positions, funds = parts
        assert isinstance(orders, tuple)
        assert isinstance(positions, tuple)
        assert isinstance(funds, Funds)
        return BookRead(self._clock.now_ns(), began_ns, orders, positions, funds)

    async def orders(self) -> tuple[BrokerOrder, ...]:
        """GET /orders: the day's whole book, newest first. Raises `BrokerError`."""
        return await self._order_rows(ORDER_BOOK)

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """GET /positions, one row per contract whatever its products. Raises `BrokerError`."""
        found = await self._rest.raw(POSITIONS, priority=Priority.BOOK)
        return self._read(POSITIONS, lambda: read_positions(found))

    async def funds(self) -> Funds:
        """GET /fundlimit. Raises `BrokerError`."""
        found = await self._rest.raw(FUNDS, priority=Priority.BOOK)
        return self._read(FUNDS, lambda: read_funds(found))

    async def order_by_id(self, broker_id: str) -> BrokerOrder | None:
        """GET /orders/{id} (a list on the live service, an object in the documentation); None when unknown there."""
        rows = await self._order_rows(ORDER_BY_ID, {"order_id": broker_id})
        return rows[0] if rows else None

    async def order_by_correlation(self, order_id: str) -> BrokerOrder | None:
        """GET /orders/external/{id}. None is not a no: an order still in transit answers 404 as well."""
        try:
            rows = await self._order_rows(ORDER_BY_CORRELATION, {"correlation_id": order_id})
        except DhanRefused as refused:
            if refused.failure.status == 404:
                return None
            raise
        return rows[0] if rows else None

    def _fault(self, command: PlaceOrder) -> str:
        contract = self._contracts.get(command.key)
        if contract is None:
            return ""
        form = command.quantity, command.price_paise, command.trigger_paise
        fault = order_fault(contract, command.side, command.kind, *form)
        if fault is OrderFault.FREEZE:
            return ""  # the compact master file does not state it and it changes monthly: the broker decides
        return "" if fault is None else f"{contract.name}: {fault_text(fault, contract, *form)}"

    async def _ask(
        self,
        endpoint: Endpoint[Any],
        purpose: Purpose,
        body: Row | None,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
    ) -> Outcome:
        return await self._rest.ask(
            endpoint, body, priority=_priority(purpose), timeout_ns=self._order_timeout_ns, arguments=arguments
        )

    async def _order_rows(
        self, endpoint: Endpoint[Any], arguments: Mapping[str, object] = NO_ARGUMENTS
    ) -> tuple[BrokerOrder, ...]:
        found = await self._rest.raw(endpoint, priority=Priority.BOOK, arguments=arguments)
        return self._read(endpoint, lambda: read_orders(found, self._contracts))

    def _read(self, endpoint: Endpoint[Any], read: Callable[[], _Read]) -> _Read:
        try:
            return read()
        except DataError as fault:
            raise self._rest.unreadable(f"{endpoint}: {fault}") from None


def at_market(order_id: str, contract: Contract, side: Side, quantity: int, touch_paise: int) -> PlaceOrder:
    """What is sent in place of a market order: a limit with a stated protection beyond the touch (ask to buy, bid to sell).

    The broker would do the same with a market order, by percentages of its own.
    """
    price_paise = protected_limit(side, touch_paise, contract.tick_paise)
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return PlaceOrder(
        order_id, contract.key, side, OrderKind.LIMIT, quantity, price_paise, 0, purpose, Product.INTRADAY
    )


def stop_order(order_id: str, contract: Contract, side: Side, quantity: int, trigger_paise: int) -> PlaceOrder:
    """What is sent in place of a market stop: a stop with a limit as far behind its trigger as the exchange takes."""
    price_paise = protected_stop_limit(side, trigger_paise, contract.tick_paise)
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return PlaceOrder(
        order_id,
        contract.key,
        side,
        OrderKind.STOP_LIMIT,
        quantity,
        price_paise,
        trigger_paise,
        purpose,
        Product.INTRADAY,
    )


def _priority(purpose: Purpose) -> Priority:
    return Priority.ENTRY if purpose is Purpose.ENTRY else Priority.EXIT
