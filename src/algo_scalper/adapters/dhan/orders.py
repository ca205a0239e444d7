"""`DhanBroker`: orders placed, modified and cancelled at Dhan, and the day's book read back.

Every order request has one of three answers. *Accepted*: Dhan took it, nothing more. *Rejected*: Dhan said no, or not a
byte left this machine. *Unknown*: it may have arrived; returned only after its connection was closed, so nothing of it
can still leave here. No order request is ever repeated by this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from algo_scalper.adapters.dhan.failures import AnswerLost, DhanRefused, Failure, FailureKind, NotSent, failure_in
from algo_scalper.adapters.dhan.rest import DhanRest, Reply
from algo_scalper.adapters.dhan.rows import read_funds, read_orders, read_positions
from algo_scalper.adapters.dhan.values import Row, text
from algo_scalper.domain.account import Funds
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import BrokerRefused, DataError
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import Contract, key_security_id, key_segment
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, OrderKind
from algo_scalper.domain.ports import Accepted, Clock, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND

ORDER_TIMEOUT_NS = 5 * NS_PER_SECOND
CORRELATION_ID_MOST = 25
"""Measured; the documentation says 30, and a 26-character id is refused as a bad field."""

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
        """POST /orders, with the command's id as correlation id."""
        if not 0 < len(command.order_id) <= CORRELATION_ID_MOST:
            return Rejected(f"not sent: correlation id {command.order_id!r} is not 1 to {CORRELATION_ID_MOST} long")
        body: Row = {
            "dhanClientId": self._rest.client_id,
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
        return await self._ask("POST", "/orders", body)

    async def modify(self, command: ModifyOrder) -> Outcome:
        """PUT /orders/{id} with the whole order; the quantity is its new total."""
        if not command.broker_id:
            return Rejected(f"not sent: the broker's id of order {command.order_id} is not known")
        body: Row = {
            "dhanClientId": self._rest.client_id,
            "orderId": command.broker_id,
            "orderType": ORDER_TYPE[command.kind],
            "legName": "NA",
            "quantity": command.quantity,
            "price": command.price_paise / 100,
            "disclosedQuantity": 0,
            "triggerPrice": command.trigger_paise / 100,
            "validity": "DAY",
        }
        return await self._ask("PUT", f"/orders/{quote(command.broker_id, safe='')}", body)

    async def cancel(self, command: CancelOrder) -> Outcome:
        """DELETE /orders/{id}."""
        if not command.broker_id:
            return Rejected(f"not sent: the broker's id of order {command.order_id} is not known")
        return await self._ask("DELETE", f"/orders/{quote(command.broker_id, safe='')}", None)

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
        return await self._order_rows("/orders")

    async def positions(self) -> tuple[BrokerPosition, ...]:
        """GET /positions, one row per contract whatever its products. Raises `BrokerError`."""
        found = await self._rest.read("GET", "/positions")
        try:
            return read_positions(found)
        except DataError as fault:
            raise BrokerRefused(f"GET /positions: {fault}") from None

    async def funds(self) -> Funds:
        """GET /fundlimit. Raises `BrokerError`."""
        found = await self._rest.read("GET", "/fundlimit")
        try:
            return read_funds(found)
        except DataError as fault:
            raise BrokerRefused(f"GET /fundlimit: {fault}") from None

    async def order_by_id(self, broker_id: str) -> BrokerOrder | None:
        """GET /orders/{id} (a list on the live service, an object in the documentation); None when unknown there."""
        rows = await self._order_rows(f"/orders/{quote(broker_id, safe='')}")
        return rows[0] if rows else None

    async def order_by_correlation(self, order_id: str) -> BrokerOrder | None:
        """GET /orders/external/{id}. None is not a no: an order still in transit answers 404 as well."""
        try:
            rows = await self._order_rows(f"/orders/external/{quote(order_id, safe='')}")
        except DhanRefused as refused:
            if refused.failure.status == 404:
                return None
            raise
        return rows[0] if rows else None

    async def _order_rows(self, path: str) -> tuple[BrokerOrder, ...]:
        found = await self._rest.read("GET", path)
        try:
            return read_orders(found, self._contracts)
        except DataError as fault:
            raise BrokerRefused(f"GET {path}: {fault}") from None

    async def _ask(self, method: str, path: str, body: Row | None) -> Outcome:
        judged: list[Outcome] = []

        def keep(reply: Reply) -> bool:
            judged.append(judge(reply))
            return not isinstance(judged[-1], Unknown)

        try:
            await self._rest.exchange(method, path, body, timeout_ns=self._order_timeout_ns, keep=keep)
        except NotSent as fault:
            return Rejected(f"not sent: {fault}")
        except AnswerLost as fault:
            return Unknown(str(fault))
        return judged[-1]


def judge(reply: Reply) -> Outcome:
    """What the answer to an order request means.

    4xx is a no, with the broker's words. 5xx, a time-out told by a balancer (408), a redirect and a success that names
    no order are Unknown: the request reached somebody.
    """
    failure = failure_in(reply.status, reply.body)
    if reply.status >= 500 or reply.status == 408 or 300 <= reply.status < 400:
        return Unknown(str(failure or Failure(FailureKind.OTHER, reply.status, "", "no order in the answer")))
    if failure is not None:
        return Rejected(str(failure))
    answer = reply.body
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    broker_id = text(answer.get("orderId")) if isinstance(answer, dict) else ""
    if not broker_id:
        return Unknown(f"HTTP {reply.status} without an order id: {str(reply.body)[:120]}")
    if isinstance(answer, dict) and text(answer.get("orderStatus")).upper() == "REJECTED":
        return Rejected(f"order {broker_id} was rejected")
    return Accepted(broker_id)
