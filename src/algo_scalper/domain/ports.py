"""What the runtime must be given. Small protocols; each has one contract suite run on every implementation."""

from __future__ import annotations

from typing import Protocol

import msgspec

from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.decisions import Decision
from algo_scalper.domain.events import BookRead, SoftState
from algo_scalper.domain.orders import Order
from algo_scalper.domain.positions import Position


class Chance(Protocol):
    """A seeded source of chance (``random.Random`` fits). Passed in as a value; nothing pure imports one."""

    def random(self) -> float:
        """A float in [0, 1)."""

    def gauss(self, mu: float, sigma: float, /) -> float:
        """A normal variate."""

    def randrange(self, stop: int, /) -> int:
        """An integer in [0, stop)."""


class Clock(Protocol):
    """The only way to know or wait for time. Never goes backwards."""

    def now_ns(self) -> int:
        """UTC nanoseconds since 1970."""

    async def sleep_until(self, at_ns: int) -> None:
        """Return once ``now_ns() >= at_ns``."""


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """Yes: the broker took the request."""

    broker_id: str


class Rejected(msgspec.Struct, frozen=True, array_like=True):
    """No, with the broker's reason."""

    reason: str


class Unknown(msgspec.Struct, frozen=True, array_like=True):
    """The request may or may not have arrived. Returned only after its connection was closed."""

    detail: str


Outcome = Accepted | Rejected | Unknown


class Broker(Protocol):
    """The three requests and the one reading; pushes arrive through a callback given at construction."""

    async def place(self, command: PlaceOrder) -> Outcome:
        """Never raises for what happened on the wire: that is an `Outcome`."""

    async def modify(self, command: ModifyOrder) -> Outcome:
        """As `place`."""

    async def cancel(self, command: CancelOrder) -> Outcome:
        """As `place`."""

    async def read_book(self) -> BookRead:
        """The whole day book, positions and funds. Raises `BrokerError` when any part could not be read."""


class Restored(msgspec.Struct, frozen=True):
    """Our own books as they were last committed."""

    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    ledger: DayLedger | None
    soft: SoftState | None
    standing_halt: str


class Changes(msgspec.Struct, frozen=True):
    """One transaction: the records that changed since the last, as they stand now, and the intents to be sent."""

    intents: tuple[OrderCommand, ...] = ()
    orders: tuple[Order, ...] = ()
    positions: tuple[Position, ...] = ()
    ledger: DayLedger | None = None
    decisions: tuple[Decision, ...] = ()
    at_ns: int = 0


class Store(Protocol):
    """The trading store of one account. Called from one thread at a time; every call is one transaction."""

    def next_epoch(self) -> int:
        """Advance the durable session number and return it; committed before this returns."""

    def commit(self, changes: Changes) -> None:
        """Make the changes durable (fsync). Raises `StoreError` when they are not."""

    def save_soft(self, soft: SoftState) -> None:
        """Keep the soft state; losing it loses no money."""

    def restore(self, day_iso: str) -> Restored:
        """Positions open or closed on the day, the day's orders and ledger, and the last soft state."""
