"""The order lane: intents made durable, then sent; one request per contract at a time; exits overtake entries.

`LaneQueue` is the order of release, pure, shared with backtests. `OrderLane` is the lane of a live process: drain all
waiting, one transaction for their intents, flush the journal, release. A commit gets 250 ms of real time: past it
entries come back as `OrderDropped(not_durable)`, exits and stop changes leave anyway with an alarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import OrderAccepted, OrderDropped, OrderRejected, OrderUnknown
from algo_scalper.domain.orders import Purpose, Request
from algo_scalper.domain.ports import Accepted, Broker, Changes, Clock, Outcome, Rejected, Store, Unknown
from algo_scalper.domain.units import NS_PER_MS
from algo_scalper.runtime.clock import first_of

COMMIT_LIMIT_NS = 250 * NS_PER_MS

OrderEvent = OrderAccepted | OrderRejected | OrderUnknown | OrderDropped
Mark = Callable[[str], None]


class LaneQueue:
    """First in, first out; but one request per contract in flight, and what protects goes before what risks."""

    def __init__(self) -> None:
        """Nothing waits, nothing is in flight."""
        self._waiting: list[OrderCommand] = []
        self._busy: set[int] = set()

    def offer(self, command: OrderCommand) -> None:
        """One more request."""
        self._waiting.append(command)

    def ready(self) -> list[OrderCommand]:
        """The requests that may leave now, in order; their contracts are busy until `answered`."""
        if not self._waiting:
            return []
        released: list[OrderCommand] = []
        kept: list[OrderCommand] = []
        for command in sorted(self._waiting, key=_risks):
            if command.key in self._busy:
                kept.append(command)
            else:
                self._busy.add(command.key)
                released.append(command)
        self._waiting = kept
        return released

    def answered(self, key: int) -> None:
        """The contract's request is answered or unknown: the next may leave."""
        self._busy.discard(key)

    @property
    def in_flight(self) -> int:
        """Contracts with an unanswered request."""
        return len(self._busy)


def _risks(command: OrderCommand) -> bool:
    """True for what opens or enlarges a position; sorting is stable, so the rest keeps its order."""
    return command.purpose is Purpose.ENTRY and not isinstance(command, CancelOrder)


def request_of(command: OrderCommand) -> Request:
    """Which of the three requests a command is."""
    if isinstance(command, PlaceOrder):
        return Request.PLACE
    return Request.MODIFY if isinstance(command, ModifyOrder) else Request.CANCEL


def outcome_event(command: OrderCommand, outcome: Outcome, at_ns: int) -> OrderEvent:
    """The event an outcome is taken as."""
    request = request_of(command)
    if isinstance(outcome, Accepted):
        return OrderAccepted(at_ns, command.order_id, request, outcome.broker_id)
    if isinstance(outcome, Rejected):
        return OrderRejected(at_ns, command.order_id, request, outcome.reason)
    return OrderUnknown(at_ns, command.order_id, request, outcome.detail)


def _look_at(commit: asyncio.Future[None]) -> None:
    """A commit that failed after its time is of no more interest: its changes go with the next one."""
    if not commit.cancelled():
        commit.exception()


class OrderLane:
    """The one task through which every order request of a process leaves."""

    def __init__(
        self,
        store: Store,
        broker: Broker,
        clock: Clock,
        wall: Clock,
        flush_journal: Callable[[], None],
        take_changes: Callable[[], Changes | None],
        on_event: Callable[[OrderEvent], None],
        on_alarm: Callable[[str, str], None],
        *,
        inline: bool,
        mark: Mark,
    ) -> None:
        """``inline`` commits in the caller (stepped time); else a worker thread does and a task waits for it."""
        self._store = store
        self._broker = broker
        self._clock = clock
        self._wall = wall
        self._flush_journal = flush_journal
        self._take_changes = take_changes
        self._on_event = on_event
        self._on_alarm = on_alarm
        self._inline = inline
        self._mark = mark
        self._queue = LaneQueue()
        self._wake = asyncio.Event()
        self._requests: set[asyncio.Task[None]] = set()
        self._running = self._draining = self._closed = False
        self._rested = asyncio.Event()
        self._commit: asyncio.Future[None] | None = None
        self._unwritten: Changes | None = None
        """Records of a commit that was not durable: they go with the next one."""
        self.store_failed = ""

    def offer(self, command: OrderCommand) -> None:
        """Never waits: the command leaves when its intent is durable and its contract is free."""
        self._queue.offer(command)

    def kick(self) -> None:
        """Something was offered or changed: drain, here or in the lane's task."""
        if self._inline:
            self._drain_inline()
        else:
            self._wake.set()

    @property
    def idle(self) -> bool:
        """No request is under way."""
        return not self._requests

    async def run(self) -> None:
        """The lane's task; ends when cancelled."""
        self._running = True
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._draining = True
                await self._drain()
                self._draining = False
                self._rested.set()
        finally:
            self._running = self._draining = False
            self._rested.set()

    async def _drain(self) -> None:
        batch = self._queue.ready()
        changes = self._transaction(batch)
        if changes is not None:
            durable = await self._commit_in_time(changes)
            if not durable:
                batch = [command for command in batch if not self._dropped(command)]
        self._release(batch)

    async def close(self) -> None:
        """Open nothing more; what protects still leaves. Wait for the answers under way, then write what changed last.

        A floor may wait here for its intent to be durable or for an answer: without it nothing would protect what was
        just bought until the next start.
        """
        self._closed = True
        self.kick()
        while self._requests or (self._running and (self._draining or self._wake.is_set())):
            self._rested.clear()
            await first_of(self._rested.wait(), *(asyncio.wait({request}) for request in self._requests))
        if self._commit is not None:
            await asyncio.wait({self._commit})
        last = self._transaction([])
        if last is not None:
            self._store.commit(last)

    def _transaction(self, batch: list[OrderCommand]) -> Changes | None:
        changes, unwritten = self._take_changes(), self._unwritten
        if changes is None and not batch and unwritten is None:
            return None
        self._unwritten = None
        parts = [part for part in (unwritten, changes) if part is not None]
        return Changes(
            intents=tuple(batch),
            orders=tuple({order.id: order for part in parts for order in part.orders}.values()),
            positions=tuple({position.id: position for part in parts for position in part.positions}.values()),
            ledger=next((part.ledger for part in reversed(parts) if part.ledger is not None), None),
            at_ns=self._clock.now_ns(),
        )

    def _drain_inline(self) -> None:
        batch = self._queue.ready()
        changes = self._transaction(batch)
        if changes is not None:
            try:
                self._store.commit(changes)
                self.store_failed = ""
            except StoreError as error:
                self._failed(str(error), changes)
                batch = [command for command in batch if not self._dropped(command)]
        self._release(batch)

    async def _commit_in_time(self, changes: Changes) -> bool:
        limit = asyncio.ensure_future(self._wall.sleep_until(self._wall.now_ns() + COMMIT_LIMIT_NS))
        earlier = self._commit
        if earlier is not None and not earlier.done():
            await asyncio.wait({earlier, limit}, return_when=asyncio.FIRST_COMPLETED)  # commits keep their order
        commit = None
        if earlier is None or earlier.done():
            commit = self._commit = asyncio.get_running_loop().run_in_executor(None, self._store.commit, changes)
            commit.add_done_callback(_look_at)
            await asyncio.wait({commit, limit}, return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        if commit is None or not commit.done():
            # Committed twice is harmless; lost is not: what is late goes again with the next one.
            self._failed("a commit took longer than 250 ms", changes)
            return False
        try:
            commit.result()
        except StoreError as error:
            self._failed(str(error), changes)
            return False
        self.store_failed = ""
        return True

    def _failed(self, why: str, changes: Changes | None = None) -> None:
        self.store_failed = why
        if changes is not None:
            self._unwritten = changes
        self._on_alarm("not_durable", why)

    def _dropped(self, command: OrderCommand) -> bool:
        """What would open a position is dropped; what protects one leaves anyway."""
        if not _risks(command):
            return False
        self._queue.answered(command.key)
        self._on_event(OrderDropped(self._clock.now_ns(), command.order_id, request_of(command), "not_durable"))
        return True

    def _release(self, batch: list[OrderCommand]) -> None:
        if not batch:
            return
        try:
            self._flush_journal()
        except StoreError as error:  # a full disk: nothing new is begun without its reasons on disk
            self._failed(str(error))
            batch = [command for command in batch if not self._dropped(command)]
        for command in batch:
            if self._closed and _risks(command):
                self._queue.answered(command.key)  # not sent: what protects the same contract need not wait for it
                self.kick()
                continue
            self._mark("lane.before_send")
            task = asyncio.get_running_loop().create_task(self._perform(command))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _perform(self, command: OrderCommand) -> None:
        outcome = await self._outcome(command)
        self._mark("lane.after_answer")
        self._queue.answered(command.key)
        self._on_event(outcome_event(command, outcome, self._clock.now_ns()))
        self.kick()

    async def _outcome(self, command: OrderCommand) -> Outcome:
        try:
            return await self._send(command)
        except Exception as fault:  # noqa: BLE001 - it may have arrived: a silence would leave the contract busy for ever
            broke = f"{type(fault).__name__}: {fault}"
            self._on_alarm("request_broke", f"{request_of(command)} {command.order_id}: {broke}; the book will tell")
            return Unknown(broke)

    def _send(self, command: OrderCommand) -> Coroutine[None, None, Outcome]:
        if isinstance(command, PlaceOrder):
            return self._broker.place(command)
        if isinstance(command, ModifyOrder):
            return self._broker.modify(command)
        return self._broker.cancel(command)
