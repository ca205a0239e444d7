"""One seed, one run: the real engine, session and lane queue against a small world in which everything goes wrong.

Everything, that is, which the network, the market, a person, our disk and our own process can do. All chance comes from one seeded source and nothing reads a clock, so a seed is a run, event by event. A crash throws
away engine, lane and whatever was not committed; the exchange, the wire's requests under way and the store go on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from datetime import date
from functools import partial
from heapq import heappop, heappush
from random import Random

import msgspec

from algo_scalper.domain.calendar import day_schedule, expiries
from algo_scalper.domain.commands import (
    CancelOrder,
    Command,
    ModifyOrder,
    Notify,
    OrderCommand,
    PlaceOrder,
)
from algo_scalper.domain.decisions import Decision, DecisionKind, Direction, Signal
from algo_scalper.domain.events import (
    BookRead,
    BookUnread,
    Event,
    FeedLost,
    FeedRestored,
    HistoryLoaded,
    OperatorAsked,
    OperatorWord,
    OrderReported,
    RulesChanged,
    SecondPassed,
    SessionStopping,
    SoftState,
)
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import (
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    OrderKind,
    Side,
)
from algo_scalper.domain.ports import Accepted, Outcome, Rejected, Unknown
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.rules import Rules, SignalRules
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, clock_text, ist_ns, ist_second
from algo_scalper.risk.tightening import tighter
from algo_scalper.runtime.opening import account_tag, opening_event
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.faults import (
    MarketFault,
    PersonAct,
    PushFault,
    RequestFault,
    market_fault,
    person_act,
    push_fault,
    request_fault,
)
from algo_scalper.strategy.catalogue import SIGNALS
from algo_scalper.strategy.view import StrategyView
from tests.chaos.market import BEAT_NS, LOT, SmallMarket
from tests.chaos.process import Crashed, Process
from tests.chaos.promises import Broken, Flight, Promises
from tests.chaos.store import MemoryStore
from tests.chaos.weather import CALM, SIGNAL, rules_of, weather_of

DAY = date(2026, 11, 20)
ACCOUNT = "chaos"
EVENTS = 2_000
"""At least so many events are handled before the faults end."""
CHAIN_EVERY_NS = 5 * NS_PER_SECOND


def chaos_signal(view: StrategyView, rules: SignalRules) -> Signal | None:
    """Nearly always, and six minutes the same way: what matters is what happens to the order."""
    del rules
    minute = view.m1.start_ns // NS_PER_MINUTE
    if minute % 9 == 0:
        return None
    return Signal(Direction.UP if minute // 6 % 2 else Direction.DOWN, SIGNAL, {})


class Run:
    """The world of one seed, and the process in it while it lives."""

    def __init__(self, seed: int, events: int = EVENTS, trail: int = 60) -> None:
        self.seed = seed
        self.wanted_events = events
        self.chance = Random(seed)
        self.weather = weather_of(self.chance)
        self.rules = rules_of(self.chance, self.weather.patient)
        self.count: Counter[str] = Counter()
        self.events = 0
        self.trail: deque[tuple[int, int, object]] = deque(maxlen=trail)
        schedule = day_schedule(DAY)
        assert schedule is not None
        self._square_off_ns = schedule.square_off_ns
        self.now_ns = ist_ns(DAY, (13 * 3600 + 2_400) if self.weather.evening else 10 * 3600) + 56 * NS_PER_SECOND
        expiry = next(found for found in expiries("NIFTY", DAY, 3) if found > DAY)
        self.market = SmallMarket(self.chance, expiry, self.weather.sigma)
        self.market.jumps = self.weather.jumps
        self.exchange = SimulatedExchange(self.market.contracts, DAY, self.weather.cash_paise)
        self.store = MemoryStore()
        self.process: Process | None = None
        self.tag = account_tag(ACCOUNT) + "-"
        self.faults = True
        self.flights: dict[int, Flight] = {}
        self.journals: list[list[Event | Command]] = []
        self.promises = Promises(self)
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._after_ns: dict[int, int] = {}
        """By contract: requests sent now do not reach the exchange before this."""
        self._beat_ns = self.now_ns
        self._chain_ns = self.now_ns
        self._stalled_until_ns = 0
        self._lost_until_ns: dict[str, int] = {}
        self._rowed: set[str] = set()
        self._left_out: set[str] = set()
        self._partial_before = False
        self._halted_until_ns = 0
        self.touched: set[int] = set()
        """Contracts in which a person, or the broker by itself, has done something."""

    # --- the run ---

    def run(self) -> Counter[str]:
        """The whole of it; raises `Broken` with the story when a promise is."""
        SIGNALS[SIGNAL] = chaos_signal
        try:
            self._start()
            while self.events < self.wanted_events:
                self._advance()
            self._end_faults()
            self._settle_down()
        except Broken as broken:
            raise Broken(self._story(str(broken))) from broken.__cause__
        finally:
            del SIGNALS[SIGNAL]
        self.count["seeds"] += 1
        self.count["events"] += self.events
        return self.count

    def _advance(self) -> None:
        """To the next instant, and everything due there: broker first, then market, then timers."""
        heap = self._heap
        if not heap and self.faults and self._idle():
            self._skip_to_next_minute()
        at_ns = self._beat_ns
        if heap and heap[0][0] < at_ns:
            at_ns = heap[0][0]
        self.now_ns = at_ns
        while heap and heap[0][0] <= at_ns:
            self._guarded(heappop(heap)[2])
        if at_ns == self._beat_ns:
            self._beat_ns += BEAT_NS
            self._beat()

    def _run_for(self, ns: int, until: Callable[[], bool] | None = None) -> None:
        end_ns = self.now_ns + ns
        while self.now_ns < end_ns and not (until is not None and until()):
            self._advance()

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Crashed:
            self._fall()

    def soon(self, in_ns: int, act: Callable[[], None], epoch: int = 0) -> None:
        """Do it then; with an epoch, only while that process lives."""
        self._sequence += 1
        if epoch:
            heappush(self._heap, (self.now_ns + in_ns, self._sequence, lambda: self._if_alive(epoch, act)))
        else:
            heappush(self._heap, (self.now_ns + in_ns, self._sequence, act))

    def _if_alive(self, epoch: int, act: Callable[[], None]) -> None:
        if self.process is not None and self.process.epoch == epoch:
            act()

    def _idle(self) -> bool:
        """Nothing is under way; what is held rests behind its floor, in a market that stands still for a while."""
        process, second = self.process, self.now_ns % NS_PER_MINUTE
        if process is None or self.flights or not 3 * NS_PER_SECOND < second < 50 * NS_PER_SECOND:
            return False
        state = process.state
        if not state.reconciled or state.book_asked_ns or state.unknown_orders():
            return False
        return all(self.weather.patient and self.promises.at_rest(held) for held in state.open_by_key.values())

    def _skip_to_next_minute(self) -> None:
        """The next thing worth seeing is the end of the minute."""
        self.now_ns = self.now_ns // NS_PER_MINUTE * NS_PER_MINUTE + 57 * NS_PER_SECOND
        self._beat_ns = self._chain_ns = self.now_ns
        self.count["minutes_skipped"] += 1

    # --- the process ---

    def deliver(self, event: Event) -> None:
        """One event into the session; then every promise is looked at."""
        process = self.process
        if process is None:
            return
        self.events += 1
        self.trail.append((self.events, self.now_ns, event))
        journal = process.journal
        begin = len(journal)
        self.promises.hear(event)
        crashed = False
        try:
            process.session.take(event)
        except Crashed:
            crashed = True
        if process.fault is not None:
            raise Broken(f"the engine raised {process.fault!r} {process.fault.__notes__}") from process.fault
        commands = journal[begin + 1 :]
        for command in commands:
            self.trail.append((self.events, self.now_ns, command))
        self.promises.after(process.state, event, commands)
        if crashed:
            raise Crashed

    def crash_point(self, name: str) -> None:
        """The process may die here."""
        if self.faults and self.chance.random() < self.weather.crash:
            self.count[f"crash:{name}"] += 1
            raise Crashed

    def _fall(self) -> None:
        """Process gone; whatever left it is on its way still."""
        process = self.process
        if process is None:
            return
        self.note(f"CRASH of epoch {process.epoch}")
        self.journals.append(process.journal)
        self.process = None
        self.promises.crashed()
        long = self.chance.random() < 0.1
        down_ns = self.chance.randrange(5_000, 60_000) if long else self.chance.randrange(1_000, 4_000)
        self.soon(down_ns * NS_PER_MS, self._start)

    def _start(self) -> None:
        self._chain_ns = 0
        process = self.process = Process(self, self.store.next_epoch())
        self._guarded(lambda: self._begin(process))

    def _begin(self, process: Process) -> None:
        if process.epoch > 1:
            self.crash_point("restart_after_epoch")
        restored = self.store.restore(DAY.isoformat())
        opening = opening_event(
            self.now_ns, ACCOUNT, process.epoch, DAY, self.rules, self.market.contracts, {}, restored=restored
        )
        self.deliver(opening)
        if process.epoch > 1:
            self.crash_point("restart_before_book")
        for feed in self._lost_until_ns:
            self.deliver(FeedLost(self.now_ns, feed, "not yet connected"))

    def said(self, notice: Notify) -> None:
        """Alarms by their code."""
        if notice.level == "alarm":
            self.count[f"alarm:{notice.code}"] += 1

    def decided(self, decision: Decision) -> None:
        """Entries, exits and refusals by their reason."""
        if decision.kind is DecisionKind.ENTRY:
            self.count["entries"] += 1
        elif decision.kind in (DecisionKind.EXIT, DecisionKind.HANDED_OVER, DecisionKind.REFUSAL):
            self.count[f"{decision.kind.value}:{decision.reason}"] += 1
            if decision.kind is DecisionKind.HANDED_OVER and self.process is not None:
                self.promises.handed_over(self.process.state.positions[decision.position_id])
        elif decision.kind is DecisionKind.STOP_MOVED:
            self.count["stop_moved"] += 1

    def note(self, text: str) -> None:
        """For the story of a failing seed."""
        self.trail.append((self.events, self.now_ns, text))

    # --- the wire ---

    def send(self, command: OrderCommand, epoch: int) -> None:
        """A request leaves the process."""
        self._sequence += 1
        token = self._sequence
        flight = self.flights[token] = Flight(command, epoch)
        self.promises.sent(command, flight)
        chance = self.chance
        go_ns, back_ns = chance.randrange(20, 60) * NS_PER_MS, chance.randrange(10, 60) * NS_PER_MS
        fault = request_fault(chance, self.weather.wire) if self.faults else RequestFault.NONE
        if fault is RequestFault.NONE and self.faults and self._entries_are_near():
            fault = request_fault(chance, self.weather.wire)
        if fault is not RequestFault.NONE:
            self.count[f"request:{fault.value}"] += 1
        if fault is RequestFault.DELAYED:
            if chance.random() < 0.5:
                go_ns += chance.randrange(200, 2_500) * NS_PER_MS
            else:
                back_ns += chance.randrange(200, 2_500) * NS_PER_MS
        elif fault in (RequestFault.LOST_BEFORE, RequestFault.LOST_AFTER):
            self._lose(command, token, go_ns, epoch, arrives=fault is RequestFault.LOST_AFTER)
            return
        go_ns = max(go_ns, self._after_ns.get(command.key, 0) - self.now_ns)
        if (
            fault is RequestFault.NONE
            and self.faults
            and not isinstance(command, PlaceOrder)
            and chance.random() < self.weather.early_yes
        ):
            self._say_yes_early(command, token, go_ns, epoch)
            return
        self.soon(go_ns, lambda: self._arrive(command, token, back_ns, fault is RequestFault.REJECTED))

    def _say_yes_early(self, command: ModifyOrder | CancelOrder, token: int, go_ns: int, epoch: int) -> None:
        """The broker takes a change and says so before the exchange has seen it: yes means taken, nothing more."""
        self.count["request:early_yes"] += 1
        self.soon(go_ns, lambda: self._answer(command, Accepted(command.broker_id), epoch))
        go_ns += self.chance.randrange(10, 1_500) * NS_PER_MS
        self._after_ns[command.key] = self.now_ns + go_ns + NS_PER_MS  # what is sent later comes later
        self.soon(go_ns, lambda: self._arrive(command, token, -1, rejected=False))

    def _entries_are_near(self) -> bool:
        """The end of a minute, when entries are decided: what goes wrong there meets them."""
        return self.now_ns % NS_PER_MINUTE >= 57 * NS_PER_SECOND or self.now_ns % NS_PER_MINUTE < NS_PER_SECOND

    def _lose(self, command: OrderCommand, token: int, go_ns: int, epoch: int, *, arrives: bool) -> None:
        """No answer: the connection is closed after a while, and until the bound the request may still arrive."""
        chance = self.chance
        closed_ns = chance.randrange(200, 2_000) * NS_PER_MS
        settle_ns = self.rules.orders.settle_ns
        if arrives and chance.random() < self.weather.late_arrival:
            go_ns = closed_ns + chance.randrange(settle_ns // NS_PER_MS) * NS_PER_MS
            self.count["request:late_arrival"] += 1
        elif arrives:
            go_ns = min(go_ns, closed_ns)
        if arrives:
            self.soon(go_ns, lambda: self._arrive(command, token, -1, rejected=False))
        else:
            # Nobody but this harness knows that it never will: until the bound it counts as under way.
            self.soon(closed_ns + settle_ns, lambda: self._gone(token))
        self.soon(closed_ns, lambda: self._answer(command, Unknown("the connection was closed"), epoch))

    def _gone(self, token: int) -> None:
        del self.flights[token]

    def _arrive(self, command: OrderCommand, token: int, back_ns: int, rejected: bool) -> None:
        epoch = self.flights.pop(token).epoch
        outcome: Outcome
        if rejected:
            outcome = Rejected("DH-999: refused by chance")
        elif self._type_refused(command):
            self.count["request:type_refused"] += 1
            outcome = Rejected("DH-906: order type can not be changed")
        else:
            outcome = self._perform(command)
        self.trail.append((self.events, self.now_ns, (outcome, command)))
        self._tell()
        if back_ns < 0:
            return
        self.soon(back_ns, lambda: self._answer(command, outcome, epoch))
        if self.process is not None and self.process.epoch == epoch:
            self.crash_point("arrived_before_answer")

    def _perform(self, command: OrderCommand) -> Accepted | Rejected:
        self.exchange.see(self.market.quote(command.key, self.now_ns))
        self._tell()
        if isinstance(command, PlaceOrder):
            return self.exchange.place(command, self.now_ns)
        if isinstance(command, ModifyOrder):
            return self.exchange.modify(command, self.now_ns)
        return self.exchange.cancel(command, self.now_ns)

    def _type_refused(self, command: OrderCommand) -> bool:
        if not (self.faults and self.weather.type_refused) or not isinstance(command, ModifyOrder):
            return False
        order = self.exchange.order(command.broker_id)
        return order is not None and order.kind is OrderKind.STOP_LIMIT and command.kind is OrderKind.LIMIT

    def _answer(self, command: OrderCommand, outcome: Outcome, epoch: int) -> None:
        process = self.process
        if process is None or process.epoch != epoch:
            return
        self.crash_point("answered_before_take")
        process.answered(command, outcome)

    def _tell(self) -> None:
        """Rows of the exchange go out on the order socket."""
        rows = self.exchange.take_rows()
        for row in rows:
            self.promises.row(row)
            process = self.process
            if process is None:
                continue
            if row.correlation_id.startswith(self.tag) and row.correlation_id not in self._rowed:
                self._rowed.add(row.correlation_id)
                first = msgspec.structs.replace(
                    row, status=BrokerStatus.TRANSIT, filled_quantity=0, filled_value_paise=0
                )
                self._push(first, process.epoch)
            self._push(row, process.epoch)
        for row in rows:
            if row.status is BrokerStatus.PART_TRADED and row.correlation_id.startswith(self.tag):
                self.count["part_fills"] += 1
                if self.process is not None:
                    self.crash_point("between_fills")

    def _push(self, row: BrokerOrder, epoch: int) -> None:
        if "orders" in self._lost_until_ns:
            return
        fault = push_fault(self.chance, self.weather.wire) if self.faults else PushFault.NONE
        if fault is not PushFault.NONE:
            self.count[f"push:{fault.value}"] += 1
        if fault is PushFault.DROPPED:
            return
        takes_ns = self.chance.randrange(10, 40) * NS_PER_MS
        if fault is PushFault.DELAYED:
            takes_ns += self.chance.randrange(50, 4_000) * NS_PER_MS
        for _ in range(2 if fault is PushFault.DUPLICATED else 1):
            self.soon(takes_ns, lambda: self._pushed(row), epoch)
            takes_ns += self.chance.randrange(1, 2_000) * NS_PER_MS

    def _pushed(self, row: BrokerOrder) -> None:
        if "orders" not in self._lost_until_ns:
            self.deliver(OrderReported(self.now_ns, row))

    # --- candles ---

    def read_candles(self, key: int, epoch: int) -> None:
        """The broker's own minutes, a while later; now and then not at all, or without the newest."""
        if self.faults and self.chance.random() < self.weather.book_unread:
            self.count["candles:unread"] += 1
            return

        def answer() -> None:
            late = self.faults and self.chance.random() < 0.2
            newest_ns = self.now_ns // NS_PER_MINUTE * NS_PER_MINUTE - (2 if late else 1) * NS_PER_MINUTE
            price = self.market.index_tick(self.now_ns).ltp_paise
            starts = (newest_ns - NS_PER_MINUTE, newest_ns)
            candles = tuple(Candle(start_ns, price, price, price, price) for start_ns in starts)
            self.count["candles:read"] += 1
            self.deliver(HistoryLoaded(self.now_ns, key, candles))

        self.soon(self.chance.randrange(50, 3_000) * NS_PER_MS, answer, epoch)

    # --- the book ---

    def read_book(self, epoch: int) -> None:
        """Orders and positions are two readings, at two instants."""
        chance, weather = self.chance, self.weather
        began_ns = self.now_ns
        if self.faults and chance.random() < weather.book_unread:
            self.count["book:unread"] += 1
            self.soon(chance.randrange(50, 2_000) * NS_PER_MS, self._unread, epoch)
            return
        orders_ns, positions_ns = chance.randrange(10, 60) * NS_PER_MS, chance.randrange(10, 60) * NS_PER_MS
        answer_ns = max(orders_ns, positions_ns) + chance.randrange(5, 30) * NS_PER_MS
        if self.faults and chance.random() < weather.book_late:
            self.count["book:late"] += 1
            wait_ns = chance.randrange(500, 9_000) * NS_PER_MS
            answer_ns += wait_ns
            if chance.random() < 0.5:  # it waited before the broker looked, not after
                orders_ns += wait_ns
                positions_ns += wait_ns
        piece = self.faults and not self._partial_before and chance.random() < weather.book_partial
        self._partial_before = piece
        read: list[tuple[BrokerOrder, ...]] = []
        held: list[tuple[BrokerPosition, ...]] = []
        self.soon(orders_ns, lambda: read.append(self.exchange.rows()))
        self.soon(positions_ns, lambda: held.append(self.exchange.positions()))

        def answer() -> None:
            rows, positions = read[0], held[0]
            if weather.newest_first:
                rows = rows[::-1]
            if piece:
                rows, positions = self._with_a_row_missing(rows, positions)
            self.deliver(BookRead(self.now_ns, began_ns, rows, positions, self.exchange.funds()))

        self.soon(answer_ns, answer, epoch)

    def _unread(self) -> None:
        self.deliver(BookUnread(self.now_ns, "502 Bad Gateway"))

    def _with_a_row_missing(
        self, rows: tuple[BrokerOrder, ...], positions: tuple[BrokerPosition, ...]
    ) -> tuple[tuple[BrokerOrder, ...], tuple[BrokerPosition, ...]]:
        """A partial answer; of each order and position at most once a day, and never twice running."""
        ours = [
            row.correlation_id
            for row in (rows[:4] if self.weather.newest_first else rows[-4:])
            if row.correlation_id not in self._left_out
        ]
        if ours and self.chance.random() < 0.7:
            gone = self.chance.choice(ours)
            self._left_out.add(gone)
            self.count["book:row_missing"] += 1
            return tuple(row for row in rows if row.correlation_id != gone), positions
        held = [row.key for row in positions if row.net_quantity and str(row.key) not in self._left_out]
        if held:
            key = self.chance.choice(held)
            self._left_out.add(str(key))
            self.count["book:position_missing"] += 1
            return rows, tuple(row for row in positions if row.key != key)
        return rows, positions

    # --- the market, and the seconds ---

    def _beat(self) -> None:
        at_ns = self.now_ns
        for key in sorted(self.exchange.interest):
            self.exchange.see(self.market.quote(key, at_ns))
        self._guarded(self._tell)
        if at_ns >= self._square_off_ns and self.weather.evening:
            self.exchange.pass_time(at_ns)
            self._guarded(self._tell)
        whole = at_ns % NS_PER_SECOND == 0
        self._guarded(lambda: self._print(at_ns, whole))
        if not whole:
            return
        self._guarded(lambda: self.deliver(SecondPassed(at_ns)))
        process = self.process
        if at_ns >= self._chain_ns and process is not None and process.polling:
            self._chain_ns = at_ns + CHAIN_EVERY_NS
            if "market" not in self._lost_until_ns:
                self._guarded(lambda: self.deliver(self.market.chain(at_ns)))
        if at_ns // NS_PER_SECOND % 5 == 0 and self.process is not None:
            state = self.process.state
            cooldowns = {name: index.cooldown_until_ns for name, index in state.indices.items()}
            self.store.save_soft(SoftState(at_ns, cooldowns, state.paused_until_ns))
        for feed, until_ns in list(self._lost_until_ns.items()):
            if at_ns >= until_ns:
                self._guarded(partial(self._restore, feed))
        if self.faults:
            self._guarded(lambda: self._misfortunes(at_ns))

    def _print(self, at_ns: int, whole: bool) -> None:
        process = self.process
        if process is None or "market" in self._lost_until_ns or at_ns < self._stalled_until_ns:
            return
        if whole:
            self.deliver(self.market.index_tick(at_ns))
        busy = self.exchange.interest
        turn = at_ns // BEAT_NS
        for key in sorted(process.watched):
            if key in busy or ((turn + key) % 4 == 0 and key >> 32):
                self.deliver(self.market.quote(key, at_ns).tick)

    def _restore(self, feed: str) -> None:
        del self._lost_until_ns[feed]
        self.promises.feeds_down.discard(feed)
        self.deliver(FeedRestored(self.now_ns, feed))

    def _lose_feed(self, feed: str) -> None:
        if feed in self._lost_until_ns:
            return
        self.count[f"feed:{feed}_lost"] += 1
        self._lost_until_ns[feed] = self.now_ns + self.chance.randrange(1, 15) * NS_PER_SECOND
        self.promises.feeds_down.add(feed)
        self.deliver(FeedLost(self.now_ns, feed, "the socket was closed"))

    def slow_commit(self) -> bool:
        """Does this commit take longer than anyone waits?"""
        if not self.faults or self.chance.random() >= self.weather.not_durable:
            return False
        self.count["store:slow"] += 1
        return True

    def _misfortunes(self, at_ns: int) -> None:
        """What this second brings, beside the wire."""
        chance, weather, market = self.chance, self.weather, self.market

        def hits(rate: float, name: str) -> bool:
            if rate and chance.random() < rate:
                self.count[name] += 1
                return True
            return False

        def seconds(most: int) -> int:
            return chance.randrange(1, most) * NS_PER_SECOND

        fault = market_fault(chance, weather.wire)
        if fault is MarketFault.STALL:
            self.count["market:stall"] += 1
            self._stalled_until_ns = at_ns + seconds(20)
        elif fault is MarketFault.THIN:
            self.count["market:thin"] += 1
            market.thin_until_ns = at_ns + seconds(20)
        if hits(weather.wide, "market:wide"):
            market.wide_until_ns = at_ns + seconds(8)
        if hits(weather.no_bids, "market:no_bids"):
            market.no_bids_until_ns = at_ns + seconds(8)
        if hits(weather.frozen, "market:frozen"):
            market.frozen_until_ns = at_ns + seconds(15)
        if hits(weather.gap, "market:gap"):
            for key in sorted(self.exchange.interest):
                market.gap(key, chance.choice((0.5, 0.7, 0.9, 1.3)))
        if hits(weather.feed_lost, "feed:asked"):
            self._lose_feed("market")
        if hits(weather.orders_lost, "feed:asked"):
            self._lose_feed("orders")
        if self.store.failing:
            self.store.failing = chance.random() < 0.5
        elif self.events > self.wanted_events // 2 and hits(weather.not_durable, "store:failing"):
            self.store.failing = True
        self._operator(at_ns)
        if hits(weather.stop, "stopped"):
            self.deliver(SessionStopping(at_ns, "Ctrl-C"))
            raise Crashed
        if hits(weather.rules, "rules_changed"):
            self._change_rules(rules_of(chance, weather.patient, self.rules.version + 1))
        self._person()

    def _change_rules(self, rules: Rules) -> None:
        # The settle bound is a fact about the broker, not a taste: it does not change within a day.
        settled = msgspec.structs.replace(rules.orders, settle_ns=self.rules.orders.settle_ns)
        # Nor does a person loosen a limit inside a session: the engine would refuse the rules whole.
        self.rules = tighter(self.rules, msgspec.structs.replace(rules, orders=settled))
        self.deliver(RulesChanged(self.now_ns, self.rules, "chaos"))

    def _operator(self, at_ns: int) -> None:
        if self.store.standing_halt and at_ns >= self._halted_until_ns:
            self._word(OperatorWord.RESUME)
        words = self.weather.words * (8 if self._entries_are_near() else 1)
        if self.chance.random() < words:
            if self.chance.random() < 0.25:
                self._halted_until_ns = at_ns + self.chance.randrange(5, 40) * NS_PER_SECOND
                self._word(OperatorWord.HALT)
            elif self.process is not None:
                held = list(self.process.state.open_by_key.values())
                self._word(OperatorWord.CLOSE, self.chance.choice(held).id if held else "nothing")
        if self.events > self.wanted_events // 2 and self.chance.random() < self.weather.kill:
            self._halted_until_ns = at_ns + 10**15
            self._word(OperatorWord.KILL)

    def _word(self, word: OperatorWord, target: str = "") -> None:
        """A word is written down beside the engine before the engine hears it."""
        self.count[f"word:{word.value}"] += 1
        if word in (OperatorWord.HALT, OperatorWord.KILL):
            self.store.standing_halt = f"{word.value} by a person"
        elif word is OperatorWord.RESUME:
            self.store.standing_halt = ""
        self.deliver(OperatorAsked(self.now_ns, word, target, "a person"))

    # --- a person on the account ---

    def _person(self) -> None:
        held = [row for row in self.exchange.positions() if row.net_quantity > 0]
        if not held:
            return
        act = person_act(self.chance, self.weather.wire)
        if act is PersonAct.NONE:
            return
        self.count[f"person:{act.value}"] += 1
        key = self.chance.choice(held).key
        self.touched.add(key)
        self.note(f"PERSON: {act.value} {key}")
        later_ns = self.chance.randrange(100, 15_000) * NS_PER_MS
        if act is PersonAct.CANCEL_FLOOR:
            self._cancel_sells(key, ours=True)
            if self.chance.random() < 0.6:
                quantity = LOT if self.chance.random() < 0.4 else 0
                self.soon(later_ns, lambda: self._sell_by_hand(key, quantity))
        elif act is PersonAct.SELL_PART:
            self._sell_by_hand(key, LOT)
        elif act is PersonAct.SELL_ALL:
            self._cancel_sells(key, ours=True)
            self._sell_by_hand(key, 0)
        elif self.chance.random() < 0.5:
            quote = self.market.quote(key, self.now_ns)
            price = quote.tick.ask_paise * 103 // 100 // 5 * 5
            self.exchange.foreign_place(key, Side.BUY, LOT, price, self.now_ns)
        else:  # a sell of theirs that rests above the market
            self.count["person:resting_sell"] += 1
            price = (self.market.quote(key, self.now_ns).tick.ask_paise + 2_000) // 5 * 5
            self.exchange.foreign_place(key, Side.SELL, LOT, price, self.now_ns)
            self.soon(later_ns * 3, lambda: self._cancel_sells(key, ours=False))
        if act is not PersonAct.CANCEL_FLOOR:
            self.soon(later_ns * 4, lambda: self._person_leaves(key))
        self._tell()

    def _cancel_sells(self, key: int, *, ours: bool) -> None:
        for order in self.exchange.working():
            if order.key == key and order.side is Side.SELL and order.correlation_id.startswith(self.tag) is ours:
                self.exchange.foreign_cancel(order.broker_id, self.now_ns)
        self._tell()

    def _sell_by_hand(self, key: int, quantity: int) -> None:
        """A marketable limit of a person; everything there is when no quantity is named."""
        self.exchange.see(self.market.quote(key, self.now_ns))
        tick = self.market.quote(key, self.now_ns).tick
        price = max((tick.bid_paise or tick.ltp_paise) * 97 // 100 // 5 * 5, 5)
        quantity = min(quantity or 10**6, self.exchange.held(key))
        if quantity > 0:
            self.count["person:sold"] += 1
            self.note(f"PERSON sells {quantity} of {key}")
            self.exchange.foreign_place(key, Side.SELL, quantity, price, self.now_ns)
        self._tell()

    def _person_leaves(self, key: int) -> None:
        """What a person has taken over they sell in the end, and what they bought themselves too."""
        process = self.process
        if process is None:
            self.soon(10 * NS_PER_SECOND, lambda: self._person_leaves(key))
            return
        position = process.state.open_by_key.get(key)
        self._cancel_sells(key, ours=False)
        if position is None or position.state is PositionState.HANDED_OVER:
            self._sell_by_hand(key, 0)
        elif self.exchange.held(key) > position.held:
            self._sell_by_hand(key, self.exchange.held(key) - position.held)

    # --- the end ---

    def _end_faults(self) -> None:
        """From here on everything works. What was sent before may still arrive."""
        self.note("FAULTS END")
        self.faults = False
        self.store.failing = False
        self.weather = msgspec.structs.replace(self.weather, wire=CALM, crash=0.0)
        market = self.market
        market.jumps = 0.0
        market.wide_until_ns = market.thin_until_ns = market.no_bids_until_ns = market.frozen_until_ns = 0
        self._stalled_until_ns = 0
        for feed in list(self._lost_until_ns):
            self._restore(feed)
        for order in self.exchange.working():
            if not order.correlation_id.startswith(self.tag):
                self.exchange.foreign_cancel(order.broker_id, self.now_ns)
        self._tell()

    def _settle_down(self) -> None:
        """Flat by square-off, nothing unknown, and three books that agree."""
        if self.weather.evening:
            self._sleep_into_the_evening()
        self._run_for(self.rules.orders.settle_ns + 12 * NS_PER_SECOND, until=None)
        flat_by_s = ist_second(self.now_ns) + 1
        session = msgspec.structs.replace(self.rules.session, flat_by_s=flat_by_s)
        self._change_rules(msgspec.structs.replace(self.rules, version=self.rules.version + 1, session=session))
        self._run_for(30 * NS_PER_SECOND, until=self._over)
        for row in self.exchange.positions():
            if row.net_quantity > 0:
                self.touched.add(row.key)
                self._person_leaves(row.key)
        self._run_for(40 * NS_PER_SECOND, until=self._over)
        if self.process is None:
            raise Broken("the process never came back")
        self.promises.at_the_end(self.process.state)
        self.journals.append(self.process.journal)

    def _over(self) -> bool:
        state = self.process.state if self.process is not None else None
        return state is not None and not state.open_by_key and not self.flights and not state.unknown_orders()

    def _sleep_into_the_evening(self) -> None:
        """The process dies, and comes back a few seconds before the broker's square-off or after it."""
        self._run_for(6 * NS_PER_SECOND, until=lambda: self.process is not None)
        if self.process is None:
            return
        self.count["evenings"] += 1
        self._heap.clear()  # hours pass: whatever was under way has arrived or never will
        for flight in list(self.flights):
            del self.flights[flight]
        self._fall()
        self._heap.clear()
        wake_ns = self._square_off_ns + self.chance.choice((-900, -4, 3, 10)) * NS_PER_SECOND
        self.now_ns = max(wake_ns, self.now_ns + NS_PER_SECOND) // BEAT_NS * BEAT_NS
        self._beat_ns = self._chain_ns = self.now_ns
        self.touched.update(self.exchange.interest)
        if self.now_ns >= self._square_off_ns:
            for key in sorted(self.exchange.interest):
                self.exchange.see(self.market.quote(key, self.now_ns))
            self.exchange.pass_time(self.now_ns)
            self._tell()
        self._start()

    # --- the story of a failure ---

    def _story(self, what: str) -> str:
        lines = [
            f"seed {self.seed}, event {self.events} at {clock_text(self.now_ns)}: {what}",
            *(
                f"  {number:5d} {clock_text(at_ns)}.{at_ns // NS_PER_MS % 1000:03d} {_line(record)}"
                for number, at_ns, record in self.trail
            ),
            f"  {self.weather}",
            f"run it again: python -m tests.chaos.hunt --seed {self.seed}",
        ]
        return "\n".join(lines)


def _line(record: object) -> str:
    if isinstance(record, BookRead):
        rows = " ".join(
            f"{r.correlation_id}:{r.side.name[0]}{r.filled_quantity}/{r.quantity}:{r.status.value}"
            for r in record.orders[-6:]
        )
        nets = " ".join(f"{p.key & 0xFFFF}:{p.net_quantity}" for p in record.positions if p.net_quantity)
        return f"BookRead began {record.began_ns // NS_PER_MS % 100_000} [{rows}] held [{nets}]"
    text = str(record)
    return text if len(text) < 330 else f"{type(record).__name__} ..."


def run_seed(seed: int, events: int = EVENTS) -> Counter[str]:
    """One run; what happened in it, counted."""
    return Run(seed, events).run()


__all__ = ["Broken", "Run", "run_seed"]
