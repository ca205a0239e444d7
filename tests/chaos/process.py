"""One process start of a chaos run: the real session and lane queue, around a store that keeps what was committed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from algo_scalper.domain.commands import (
    CancelOrder,
    Command,
    ModifyOrder,
    Notify,
    OrderCommand,
    PlaceOrder,
    PollChain,
    ReadBook,
    ReadCandles,
    Subscribe,
    Unsubscribe,
)
from algo_scalper.domain.decisions import Decision
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import Event, OrderDropped
from algo_scalper.domain.orders import Order, Purpose
from algo_scalper.domain.ports import Changes, Outcome
from algo_scalper.domain.positions import Position
from algo_scalper.domain.units import NS_PER_MS
from algo_scalper.engine.state import State
from algo_scalper.runtime.order_lane import LaneQueue, outcome_event, request_of
from algo_scalper.runtime.session import Session
from algo_scalper.runtime.virtual import Interest

if TYPE_CHECKING:
    from tests.chaos.harness import Run

COMMIT_LIMIT_NS = 250 * NS_PER_MS
"""So long a commit is waited for: past it entries are dropped, and what protects leaves anyway."""


class Crashed(Exception):
    """The process is gone, between two of its own lines."""


class Process:
    """One process start: session, lane and their memory. `Effects` and `Journal` of its own session."""

    def __init__(self, run: Run, epoch: int) -> None:
        self.run = run
        self.epoch = epoch
        self.session = Session(self, self, self._on_fault)
        self.fault: Exception | None = None
        self.wants = Interest()
        self.watched: set[int] = set()
        self.polling = False
        self.journal: list[Event | Command] = []
        self._queue = LaneQueue()
        self._committing = False
        self._again = False
        self._unkept = Changes()

    @property
    def state(self) -> State:
        return self.session.engine.state

    def _on_fault(self, fault: Exception, event: Event) -> None:
        fault.add_note(f"while handling {type(event).__name__}")
        self.fault = fault

    # Journal

    def append(self, record: Event | Command) -> None:
        self.journal.append(record)

    # Effects

    def order(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> None:
        self._queue.offer(command)

    def read_book(self, command: ReadBook) -> None:
        del command
        self.run.read_book(self.epoch)

    def subscribe(self, command: Subscribe) -> None:
        self.watched.update(self.wants.add(command.keys))

    def unsubscribe(self, command: Unsubscribe) -> None:
        self.watched.difference_update(self.wants.drop(command.keys))

    def poll_chain(self, command: PollChain) -> None:
        del command
        self.polling = True

    def read_candles(self, command: ReadCandles) -> None:
        self.run.read_candles(command.key, self.epoch)

    def notify(self, command: Notify) -> None:
        self.run.said(command)

    def decided(self, command: Decision) -> None:
        self.run.decided(command)

    def done(self) -> None:
        if not self.run.weather.commits_apart:
            self._drain()
        elif self._committing:
            self._again = True
        else:
            self._committing = True
            self.run.soon(0, self._begin_commit, self.epoch)

    # The lane

    def answered(self, command: OrderCommand, outcome: Outcome) -> None:
        self._queue.answered(command.key)
        self.run.deliver(outcome_event(command, outcome, self.run.now_ns))
        if self.run.process is self:
            self.done()

    def _drain(self) -> None:
        batch, changes = self._batch()
        if not batch and changes is None:
            return
        self.run.crash_point("handled_before_commit" if batch else "changed_before_commit")
        durable = changes is None or self._kept(changes)
        if batch:
            self.run.crash_point("committed_before_send")
        self._release(batch, durable)

    def _batch(self) -> tuple[list[OrderCommand], Changes | None]:
        batch = self._queue.ready()
        changes = self.state.take_changes()
        if changes is not None or batch or self._unkept.at_ns:
            changes = _merged(self._unkept, changes or Changes(), batch, self.run.now_ns)
            self._unkept = Changes()
        return batch, changes

    def _kept(self, changes: Changes) -> bool:
        try:
            self.run.store.commit(changes)
        except StoreError:
            self._unkept = changes
            return False
        return True

    def _begin_commit(self) -> None:
        batch, changes = self._batch()
        if not batch and changes is None:
            self._committing = False
            return
        self.run.crash_point("handled_before_commit" if batch else "changed_before_commit")
        takes_ns = self.run.chance.randrange(1, 30) * NS_PER_MS
        if self.run.slow_commit():
            takes_ns = COMMIT_LIMIT_NS + self.run.chance.randrange(1, 900) * NS_PER_MS
            self.run.soon(COMMIT_LIMIT_NS, lambda: self._release(batch, durable=False), self.epoch)
            self.run.soon(takes_ns, lambda: self._end_commit([], changes), self.epoch)
        else:
            self.run.soon(takes_ns, lambda: self._end_commit(batch, changes), self.epoch)

    def _end_commit(self, batch: list[OrderCommand], changes: Changes | None) -> None:
        durable = changes is None or self._kept(changes)
        if batch:
            self.run.crash_point("committed_before_send")
        self._release(batch, durable)
        self._committing = False
        if self._again:
            self._again = False
            self.done()

    def _release(self, batch: list[OrderCommand], durable: bool) -> None:
        for command in batch:
            if not durable and command.purpose is Purpose.ENTRY and not isinstance(command, CancelOrder):
                self.run.count["dropped"] += 1
                self._queue.answered(command.key)
                dropped = OrderDropped(self.run.now_ns, command.order_id, request_of(command), "not_durable")
                self.run.soon(0, partial(self.run.deliver, dropped), self.epoch)
                continue
            self.run.send(command, self.epoch)
            self.run.crash_point("sent_before_arrival")


def _merged(old: Changes, new: Changes, batch: list[OrderCommand], at_ns: int) -> Changes:
    """What an earlier commit could not keep goes with the next: a record is written as it stands last."""
    orders: dict[str, Order] = {order.id: order for order in (*old.orders, *new.orders)}
    positions: dict[str, Position] = {position.id: position for position in (*old.positions, *new.positions)}
    return Changes(
        intents=(*old.intents, *batch),
        orders=tuple(orders.values()),
        positions=tuple(positions.values()),
        ledger=new.ledger or old.ledger,
        at_ns=at_ns,
    )
