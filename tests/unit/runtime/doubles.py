"""A broker, a store and clocks that do what the test says, and nothing by themselves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from algo_scalper.domain.account import Funds
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.errors import BrokerUnreachable, StoreError
from algo_scalper.domain.events import BookRead, SoftState
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.orders import (
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    Order,
    OrderKind,
    Product,
    Purpose,
    Side,
)
from algo_scalper.domain.ports import Accepted, Changes, Outcome, Rejected, Restored

ONE = instrument_key(Segment.NSE_FNO, 1)
TWO = instrument_key(Segment.NSE_FNO, 2)


def place(name: str, key: int = ONE, purpose: Purpose = Purpose.ENTRY) -> PlaceOrder:
    side = Side.BUY if purpose is Purpose.ENTRY else Side.SELL
    return PlaceOrder(name, key, side, OrderKind.LIMIT, 65, 10_000, 0, purpose, Product.INTRADAY)


def modify(name: str, key: int = ONE, purpose: Purpose = Purpose.EXIT) -> ModifyOrder:
    return ModifyOrder(name, f"B-{name}", key, OrderKind.LIMIT, 65, 9_000, 0, purpose)


def cancel(name: str, key: int = ONE, purpose: Purpose = Purpose.ENTRY) -> CancelOrder:
    return CancelOrder(name, f"B-{name}", key, purpose)


def record(name: str, key: int = ONE) -> Order:
    return Order(name, key, Side.BUY, Purpose.ENTRY, "p", OrderKind.LIMIT, 65, 10_000, 0, 1)


class HandClock:
    """Stands still until `move`; sleepers wake then."""

    def __init__(self, now_ns: int = 1_000_000_000) -> None:
        self._now_ns = now_ns
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, at_ns: int) -> None:
        if at_ns > self._now_ns:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.append((at_ns, woken))
            await woken

    def move(self, by_ns: int) -> None:
        self._now_ns += by_ns
        for at_ns, woken in self._sleepers:
            if at_ns <= self._now_ns and not woken.done():
                woken.set_result(None)

    @property
    def sleepers(self) -> int:
        return sum(1 for _, woken in self._sleepers if not woken.done())


class HeldBroker:
    """Notes what it is sent, and answers when the test says so."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self._answers: dict[str, asyncio.Future[Outcome]] = {}
        self.news = asyncio.Event()

    async def place(self, command: PlaceOrder) -> Outcome:
        return await self._ask("place", command)

    async def modify(self, command: ModifyOrder) -> Outcome:
        return await self._ask("modify", command)

    async def cancel(self, command: CancelOrder) -> Outcome:
        return await self._ask("cancel", command)

    async def read_book(self) -> BookRead:
        raise BrokerUnreachable("not asked here")

    async def _ask(self, word: str, command: OrderCommand) -> Outcome:
        self.log.append(f"sent {word} {command.order_id}")
        waits = self._answers[command.order_id] = asyncio.get_running_loop().create_future()
        self.news.set()
        outcome: Outcome = await waits
        return outcome

    def answer(self, name: str, outcome: Outcome | None = None) -> None:
        self._answers.pop(name).set_result(outcome or Accepted(f"B-{name}"))


class HeldStore:
    """Commits at once, not at all, or when the test lets it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.failing = False
        self.gate: threading.Event | None = None
        self.kept: list[Changes] = []

    def next_epoch(self) -> int:
        return 1

    def commit(self, changes: Changes) -> None:
        if self.gate is not None:
            self.gate.wait(10)
        if self.failing:
            raise StoreError("no space left on device")
        self.kept.append(changes)
        self.log.append("committed " + ",".join(c.order_id for c in changes.intents))

    def save_soft(self, soft: SoftState) -> None:
        del soft

    def restore(self, day_iso: str) -> Restored:
        raise StoreError(f"nothing is restored here: {day_iso}")


class BookBroker:
    """A broker of a fixed book: notes changes, and refuses limits under a price when told to."""

    def __init__(self, *rows: BrokerOrder, positions: tuple[BrokerPosition, ...] = ()) -> None:
        self.rows = list(rows)
        self.positions = positions
        self.asked: list[OrderCommand] = []
        self.lowest_paise = 0
        self.unreachable = False
        self.on_cancel: Callable[[CancelOrder], Outcome] = lambda command: Accepted(command.broker_id)

    async def place(self, command: PlaceOrder) -> Outcome:
        self.asked.append(command)
        return Accepted("new")

    async def modify(self, command: ModifyOrder) -> Outcome:
        self.asked.append(command)
        if command.price_paise < self.lowest_paise:
            return Rejected("EXCH:16284:The order price is out of the days price range.")
        return Accepted(command.broker_id)

    async def cancel(self, command: CancelOrder) -> Outcome:
        self.asked.append(command)
        return self.on_cancel(command)

    async def read_book(self) -> BookRead:
        if self.unreachable:
            raise BrokerUnreachable("connection refused")
        return BookRead(2, 1, tuple(self.rows), self.positions, Funds(1, 1))


PLAIN_ROW = BrokerOrder("ASTEST-1-1", "B1", ONE, Side.BUY, OrderKind.LIMIT, BrokerStatus.PENDING, 65, 0, 0, 10_000)


def row(**changed: Any) -> BrokerOrder:
    return replace(PLAIN_ROW, **changed)


async def turns(count: int = 20) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)
