"""A session in a simulated world, on one thread and in virtual time: the loop of backtests and of chaos.

Everything due at an instant is taken in rank order: answers and pushes of the broker, then the market, then timers
(the second, then the chain polls). The live runtime in stepped time keeps the same order, so the same day over
sockets gives the same trades.
"""

from __future__ import annotations

from collections.abc import Callable

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
from algo_scalper.domain.events import (
    BookRead,
    Event,
    HistoryLoaded,
    OrderReported,
    SecondPassed,
    SessionStarted,
)
from algo_scalper.domain.market import CHAIN_REACH, OptionChain
from algo_scalper.domain.ports import Store
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.runtime.order_lane import LaneQueue, outcome_event
from algo_scalper.runtime.session import Journal, NoJournal, Session
from algo_scalper.simulation.world import Answer, BookQuery, ChainQuery, Done, Push, Quoted, World

CHAIN_EVERY_NS = 10 * NS_PER_SECOND
"""Four indices at this pace are 0.4 requests a second; the broker's practical budget is about one."""


class Interest:
    """How many want each key; tells what was wanted by nobody before, and by nobody any more."""

    def __init__(self) -> None:
        """Nobody wants anything."""
        self._wanted: dict[int, int] = {}

    def add(self, keys: tuple[int, ...]) -> list[int]:
        """The keys that are new."""
        new = []
        for key in keys:
            self._wanted[key] = self._wanted.get(key, 0) + 1
            if self._wanted[key] == 1:
                new.append(key)
        return new

    def drop(self, keys: tuple[int, ...]) -> list[int]:
        """The keys nobody wants any more."""
        gone = []
        for key in keys:
            if self._wanted.get(key, 0) == 1:
                del self._wanted[key]
                gone.append(key)
            elif key in self._wanted:
                self._wanted[key] -= 1
        return gone


def _say_nothing(_command: Command) -> None:
    """Nobody is listening."""


class VirtualRun:
    """Drives one session through one `World`. Implements `Effects` on the world itself."""

    def __init__(
        self,
        world: World,
        journal: Journal | None = None,
        on_command: Callable[[Command], None] | None = None,
        flush: Callable[..., None] | None = None,
        store: Store | None = None,
        first_token: int = 0,
    ) -> None:
        """``on_command`` sees every decision and notice, in order; ``flush`` writes the journal once a minute.

        With a ``store`` every change is committed as a live session's is. A second run on the same world (a restart)
        needs another ``first_token``: answers to the first one's requests are nobody's.
        """
        self.world = world
        self.fault: Exception | None = None
        self.session = Session(journal or NoJournal(), self, self._on_fault)
        self._on_command = on_command or _say_nothing
        self._queue = LaneQueue()
        self._asked: dict[int, OrderCommand] = {}
        self._token = first_token
        self._first_token = first_token
        self._store = store
        self._interest = Interest()
        self._polls: dict[str, PollChain] = {}
        self._reading: list[int] = []
        self._chain_due_ns = 0
        self._second_ns = 0
        self._flush = flush
        self.events = 0

    def start(self, opening: SessionStarted) -> None:
        """Take the first event and the warm-up candles of every index."""
        now_ns = self.world.now_ns
        self._second_ns = (now_ns // NS_PER_SECOND + 1) * NS_PER_SECOND
        self._chain_due_ns = self._second_ns
        self.session.take(opening)
        for index in opening.rules.indices:
            self.take(HistoryLoaded(now_ns, index.key, self.world.history(index.key, now_ns)))

    def take(self, event: Event) -> None:
        """One event, and then whatever may leave."""
        self.session.take(event)
        if self.fault is not None:
            raise self.fault

    def run(self, until_ns: int | None = None) -> None:
        """Until that instant, or until the world's day is over."""
        world = self.world
        while True:
            market_ns = world.next_ns()
            if market_ns is None and until_ns is None:
                return
            at_ns = min(self._second_ns, market_ns) if market_ns is not None else self._second_ns
            if until_ns is not None and at_ns > until_ns:
                return
            self.step(at_ns)

    def step(self, at_ns: int) -> None:
        """Everything due at one instant."""
        take = self.session.take
        deliveries = self.world.step(at_ns)
        self.events += len(deliveries)
        for delivery in deliveries:
            if type(delivery) is Quoted:
                take(delivery.quote.tick)
            elif type(delivery) is Push:
                take(OrderReported(at_ns, delivery.row))
            elif type(delivery) is Answer:
                self._answered(delivery)
            if self.fault is not None:
                raise self.fault
        if at_ns >= self._second_ns:
            self._second_ns += NS_PER_SECOND
            self.take(SecondPassed(at_ns))
            self.events += 1
            while self._reading:
                key = self._reading.pop()
                self.take(HistoryLoaded(at_ns, key, self.world.history(key, at_ns)))
            if self._flush is not None and at_ns % NS_PER_MINUTE == 0:
                self._flush(fsync=False)
            if at_ns >= self._chain_due_ns:
                self._chain_due_ns += CHAIN_EVERY_NS
                for poll in self._polls.values():
                    self._submit(ChainQuery(poll.underlying, poll.expiry, CHAIN_REACH))

    def _submit(self, request: OrderCommand | BookQuery | ChainQuery) -> None:
        self._token += 1
        if isinstance(request, (PlaceOrder, ModifyOrder, CancelOrder)):
            self._asked[self._token] = request
        self.world.submit(request, self._token)

    def _answered(self, answer: Answer) -> None:
        result = answer.result
        if isinstance(result, (BookRead, OptionChain)):
            if answer.token > self._first_token:
                self.take(result)
            return
        command = self._asked.pop(answer.token, None)
        if command is None or isinstance(result, Done):
            return
        self._queue.answered(command.key)
        self.take(outcome_event(command, result, answer.at_ns))
        self.done()

    def _on_fault(self, fault: Exception, event: Event) -> None:
        fault.add_note(f"while handling {type(event).__name__} at {event.at_ns}")
        self.fault = fault

    # Effects

    def order(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> None:
        """Into the lane."""
        self._queue.offer(command)

    def read_book(self, command: ReadBook) -> None:
        """Ask the world."""
        del command
        self._submit(BookQuery())

    def subscribe(self, command: Subscribe) -> None:
        """Watch what was not watched."""
        self.world.watch(self._interest.add(command.keys))

    def unsubscribe(self, command: Unsubscribe) -> None:
        """No longer watch what nobody wants."""
        self.world.unwatch(self._interest.drop(command.keys))

    def poll_chain(self, command: PollChain) -> None:
        """From the next poll on."""
        self._polls[command.underlying] = command

    def read_candles(self, command: ReadCandles) -> None:
        """The world's own minutes, when this event is handled."""
        self._reading.append(command.key)

    def notify(self, command: Notify) -> None:
        """Shown to whoever runs this."""
        self._on_command(command)

    def decided(self, command: Decision) -> None:
        """Shown to whoever runs this."""
        self._on_command(command)

    def done(self) -> None:
        """Write what changed, then release what may leave."""
        changes = self.session.engine.state.take_changes()
        if self._store is not None and changes is not None:
            self._store.commit(changes)
        for command in self._queue.ready():
            self._submit(command)
