"""One process start and its one loop: an event is journaled, decided on, and its commands are performed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from algo_scalper.domain.commands import (
    CancelOrder,
    Command,
    ModifyOrder,
    Notify,
    PlaceOrder,
    PollChain,
    ReadBook,
    ReadCandles,
    Subscribe,
    Unsubscribe,
)
from algo_scalper.domain.decisions import Decision
from algo_scalper.domain.events import Event
from algo_scalper.engine.engine import Engine


class Journal(Protocol):
    """Where events and commands are remembered, in order."""

    def append(self, record: Event | Command) -> None:
        """Remember one; never blocks."""


class Effects(Protocol):
    """How commands are performed. None of these answers from inside the call: answers are later events."""

    def order(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> None:
        """Offer a request to the order lane."""

    def read_book(self, command: ReadBook) -> None:
        """Begin reading the broker's book."""

    def subscribe(self, command: Subscribe) -> None:
        """Add to the interest set."""

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Take out of the interest set."""

    def poll_chain(self, command: PollChain) -> None:
        """Keep delivering a chain."""

    def read_candles(self, command: ReadCandles) -> None:
        """Begin reading an index's minutes."""

    def notify(self, command: Notify) -> None:
        """Tell a person."""

    def decided(self, command: Decision) -> None:
        """Show and keep a decision."""

    def done(self) -> None:
        """The event is handled whole: whatever it changed may now be written, and whatever it offered may leave."""


class NoJournal:
    """For runs whose reasons nobody will ask for."""

    def append(self, record: Event | Command) -> None:
        """Forget it."""


class Session:
    """`take` runs to completion on one thread, so events are handled whole and in order of arrival."""

    def __init__(self, journal: Journal, effects: Effects, on_fault: Callable[[Exception, Event], None]) -> None:
        """``on_fault`` is called once, with the first exception out of the engine; nothing is handled after it."""
        self.engine = Engine()
        self.poisoned = False
        # Looked up once: `take` is on the path of every tick.
        self._handle = self.engine.handle
        self._append = journal.append
        self._effects = effects
        self._on_fault = on_fault
        self._perform: dict[type, Callable[[Any], None]] = {
            PlaceOrder: effects.order,
            ModifyOrder: effects.order,
            CancelOrder: effects.order,
            ReadBook: effects.read_book,
            Subscribe: effects.subscribe,
            Unsubscribe: effects.unsubscribe,
            PollChain: effects.poll_chain,
            ReadCandles: effects.read_candles,
            Notify: effects.notify,
            Decision: effects.decided,
        }

    @property
    def hears(self) -> bool:
        """Does it decide on what happens: born, and not poisoned?"""
        return not self.poisoned and self.engine.is_born

    def take(self, event: Event) -> None:
        """Journal, decide, perform. Any exception out of the engine poisons the session."""
        if self.poisoned:
            return
        append = self._append
        append(event)
        try:
            commands = self._handle(event)
        except Exception as fault:  # noqa: BLE001 - whatever it is, no further decision is trusted; see `on_fault`
            self.poisoned = True
            self._on_fault(fault, event)
            return
        if commands:
            perform = self._perform
            for command in commands:
                append(command)
                perform[type(command)](command)
            self._effects.done()
        elif self.engine.state.changed_orders:
            self._effects.done()
