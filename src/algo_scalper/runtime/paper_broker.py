"""Paper money on live quotes: the simulated exchange with its own durable book, behind the broker's port.

A request reaches the exchange after the latency a real one would have and meets the quote standing then; every change
of the book is durable before anyone hears of it, so a restart reconciles with it by the same code as with Dhan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from datetime import date
from typing import Protocol

import msgspec

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.errors import BrokerUnreachable, StoreError
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.market import Quote
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.domain.ports import Accepted, Clock, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.clock import Rank, Timers
from algo_scalper.simulation.exchange import (
    ExchangeOrder,
    ExchangeState,
    Fill,
    Holding,
    SimulatedExchange,
    next_day,
)
from algo_scalper.simulation.latency import Latency

STANDS_NS = 10 * NS_PER_SECOND
"""A quote is good for so long; a contract worth trading is quoted several times a second."""

_encode = msgspec.msgpack.Encoder().encode


class Book(Protocol):
    """Durable rows by name, and one meta record."""

    def load(self) -> tuple[dict[str, bytes], bytes | None]:
        """Everything kept, or ``({}, None)``."""

    def save(self, rows: dict[str, bytes], meta: bytes) -> None:
        """One durable transaction."""


def kept_state(book: Book) -> ExchangeState | None:
    """The exchange's state as its book has it; None for a new day."""
    rows, meta = book.load()
    if meta is None:
        return None
    state = msgspec.msgpack.decode(meta, type=ExchangeState)
    for name, content in rows.items():
        if name.startswith("o"):
            state.orders.append(msgspec.msgpack.decode(content, type=ExchangeOrder))
        elif name.startswith("h"):
            state.holdings.append(msgspec.msgpack.decode(content, type=Holding))
        else:
            state.fills.append(msgspec.msgpack.decode(content, type=Fill))
    state.orders.sort(key=lambda order: order.created_ns)
    return state


def carry_over(book: Book, before: ExchangeState, day: date, listed: Container[int]) -> ExchangeState:
    """The account on its next day, written down: the balance carries over, and what was left open with it.

    A contract that is listed no more has expired while nobody looked: nothing is paid for it.
    """
    state = next_day(before, day)
    state.holdings = [held for held in state.holdings if held.key in listed]
    rows = {f"h{held.key}": _encode(held) for held in state.holdings}
    book.save(rows, _encode(msgspec.structs.replace(state, holdings=[])))
    return state


class PaperBroker:
    """Implements `Broker`. ``standing(key)`` gives the newest quote of a contract, ``on_report`` takes the pushes."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        book: Book,
        clock: Clock,
        timers: Timers,
        latency: Latency,
        standing: Callable[[int], Quote | None],
        on_report: Callable[[BrokerOrder], None],
    ) -> None:
        """The exchange must have been built from `kept_state` of this book."""
        self.exchange = exchange
        self._book = book
        self._clock = clock
        self._timers = timers
        self._latency = latency
        self._standing = standing
        self._on_report = on_report
        self._failed = ""
        self._unkept: dict[str, bytes] = {}
        self._untold: list[BrokerOrder] = []
        self._next_event()

    def see(self, quote: Quote) -> None:
        """A newer quote of a contract with working orders."""
        self.exchange.see(quote)
        self._keep()

    async def place(self, command: PlaceOrder) -> Outcome:
        """Reaches the exchange after its latency."""
        return await self._request(command, lambda at_ns: self.exchange.place(command, at_ns))

    async def modify(self, command: ModifyOrder) -> Outcome:
        """As `place`."""
        return await self._request(command, lambda at_ns: self.exchange.modify(command, at_ns))

    async def cancel(self, command: CancelOrder) -> Outcome:
        """As `place`."""
        return await self._request(command, lambda at_ns: self.exchange.cancel(command, at_ns))

    async def read_book(self) -> BookRead:
        """The whole book; raises `BrokerUnreachable` when it could not be kept."""
        if self._failed:
            raise BrokerUnreachable(self._failed)
        began_ns = self._clock.now_ns()
        await self._at(began_ns + self._latency.read_ns)
        exchange = self.exchange
        return BookRead(self._clock.now_ns(), began_ns, exchange.rows(), exchange.positions(), exchange.funds())

    async def _request(self, command: OrderCommand, ask: Callable[[int], Accepted | Rejected]) -> Outcome:
        sent_ns = self._clock.now_ns()
        await self._at(sent_ns + self._latency.order_ns)
        quote = self._standing(command.key)
        if quote is not None:
            self.exchange.see(self._as_it_stands(quote))
        outcome = ask(self._clock.now_ns())
        self._keep()
        await self._at(sent_ns + self._latency.answer_ns)
        return Unknown(self._failed) if self._failed else outcome

    def _as_it_stands(self, quote: Quote) -> Quote:
        """Nothing trades at a price nobody has shown for a while: then the book is taken for empty until the next one."""
        now_ns = self._clock.now_ns()
        if now_ns - quote.tick.at_ns <= STANDS_NS:
            return quote
        tick = msgspec.structs.replace(quote.tick, at_ns=now_ns, bid_paise=0, ask_paise=0, bid_total=0, ask_total=0)
        return Quote(tick)

    async def _at(self, at_ns: int) -> None:
        due = asyncio.Event()
        self._timers.at(at_ns, Rank.BROKER, lambda _: due.set())
        await due.wait()

    def _keep(self) -> None:
        """Durable first, then told. What the disk does not take is tried again with the next change, and told then."""
        changes = self.exchange.take_changes()
        self._unkept |= {f"o{order.broker_id}": _encode(order) for order in changes.orders}
        self._unkept |= {f"h{held.key}": _encode(held) for held in changes.holdings}
        self._unkept |= {f"f{fill.number:08d}": _encode(fill) for fill in changes.fills}
        self._untold += changes.rows
        if not self._unkept:
            return
        whole = self.exchange.export()
        meta = msgspec.structs.replace(whole, orders=[], holdings=[], fills=[])
        try:
            self._book.save(self._unkept, _encode(meta))
        except StoreError as error:
            self._failed = f"the paper account is not durable: {error}"
            return
        told_ns = self._clock.now_ns() + self._latency.push_ns
        for row in self._untold:
            self._timers.at(told_ns, Rank.BROKER, lambda _, row=row: self._on_report(row))  # type: ignore[misc]
        self._failed, self._unkept, self._untold = "", {}, []

    def _next_event(self) -> None:
        """The square-off and the close come by the clock."""
        at_ns = self.exchange.next_ns(self._clock.now_ns())
        if at_ns is not None:
            self._timers.at(at_ns, Rank.BROKER, self._pass_time)

    def _pass_time(self, at_ns: int) -> None:
        for held in self.exchange.interest:
            quote = self._standing(held)
            if quote is not None:
                self.exchange.see(quote)
        self.exchange.pass_time(at_ns)
        self._keep()
        self._next_event()
