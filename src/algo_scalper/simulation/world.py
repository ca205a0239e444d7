"""The market and the exchange on one heap of instants: requests take their time, quotes come when they are printed.

The world moves only when told (`World.step`) and never past an instant at which something is due (`World.next_ns`).
At one instant, in this order: answers and pushes that fall due, the market's quotes (the exchange sees each one and may
fill), then what reaches the exchange, its own square-off and closes, and reads that are sampled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import date
from heapq import heappop, heappush

import msgspec

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.errors import Bug
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.market import Candle, OptionChain, Quote, Tick
from algo_scalper.domain.orders import BrokerOrder, OrderKind, Side
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.simulation.account_book import PLAIN, Particulars
from algo_scalper.simulation.exchange import Answered, SimulatedExchange
from algo_scalper.simulation.latency import Latency, Way
from algo_scalper.simulation.market import MarketDay

GRID_NS = 250 * NS_PER_MS
_PHASES = 4
_BEFORE_OPEN_NS = 60 * NS_PER_SECOND


class BookQuery(msgspec.Struct, frozen=True):
    """Read the order book, positions and funds."""


class ChainQuery(msgspec.Struct, frozen=True):
    """Read an option chain."""

    underlying: str
    expiry: date
    reach: int | None = None
    """None for the whole chain, as the wire gives it; else the near strikes alone."""


class Errand(msgspec.Struct, frozen=True):
    """Anything else that is asked of the broker, done at the instant it gets there; what ``act`` returns is the answer."""

    act: Callable[[int], object]


class Done(msgspec.Struct, frozen=True):
    """What an `Errand` came to."""

    value: object


Question = OrderCommand | BookQuery | ChainQuery | Errand


class Answer(msgspec.Struct, frozen=True):
    """The answer to the request submitted with ``token``. Never `Unknown`: faults are put around the world."""

    at_ns: int
    token: int
    result: Answered | BookRead | OptionChain | Done


class Push(msgspec.Struct, frozen=True):
    """A row on the order socket."""

    at_ns: int
    row: BrokerOrder


class Quoted(msgspec.Struct, frozen=True, gc=False):
    """A packet of the market feed."""

    at_ns: int
    quote: Quote


Delivery = Answer | Push | Quoted

_Turn = tuple[Callable[[int], bool], Callable[[int], Quote], bool, bool]
"""Of a line: does it print, what, is it watched, and does the exchange follow it."""


class _Arrival(msgspec.Struct, frozen=True):
    """A request reaches the broker."""

    command: OrderCommand | Errand
    token: int
    answer_ns: int


class _Sample(msgspec.Struct, frozen=True):
    """A read is taken at the broker."""

    question: BookQuery | ChainQuery
    token: int
    sent_ns: int
    answer_ns: int


class _Snapshot(msgspec.Struct, frozen=True):
    """The first packet of a newly watched key."""

    key: int


class World:
    """One day of one account. Deterministic: the same calls give the same deliveries."""

    def __init__(
        self,
        market: MarketDay,
        exchange: SimulatedExchange,
        seed: int,
        latency: Latency | None = None,
        start_ns: int | None = None,
    ) -> None:
        self.market, self.exchange, self.seed = market, exchange, seed
        self.latency = latency if latency is not None else Latency()
        self.now_ns = start_ns if start_ns is not None else market.axis.open_ns - _BEFORE_OPEN_NS
        self._open_ns = market.axis.open_ns
        self._end_ns = market.axis.open_ns + market.axis.seconds * NS_PER_SECOND
        self._sequence = 0
        # Deliveries and snapshots come before the market at equal times, arrivals and samples after it.
        self._due: list[tuple[int, int, Answer | _Snapshot]] = []
        self._later: list[tuple[int, int, _Arrival | _Sample]] = []
        # Pushes share one socket, so they keep their order.
        self._pushes: deque[Push] = deque()
        self._last_push_ns = 0
        self._watched: set[int] = set()
        self._interest = exchange.interest
        self._lines: list[list[_Turn]] = [[] for _ in range(_PHASES)]
        self._own_ns = exchange.next_ns(self.now_ns)
        self._grid_ns: int | None = None
        self._regroup()

    # --- time ---

    def next_ns(self) -> int | None:
        """The next instant after now at which anything can happen; None when nothing will any more."""
        best = self._grid_ns
        if self._due and (best is None or self._due[0][0] < best):
            best = self._due[0][0]
        if self._later and (best is None or self._later[0][0] < best):
            best = self._later[0][0]
        if self._pushes and (best is None or self._pushes[0].at_ns < best):
            best = self._pushes[0].at_ns
        if self._own_ns is not None and (best is None or self._own_ns < best):
            best = self._own_ns
        return best

    def step(self, at_ns: int) -> list[Delivery]:
        """Go to exactly ``at_ns``, not past `next_ns`, and do what is due there."""
        due = self.next_ns()
        if at_ns < self.now_ns or (due is not None and at_ns > due):
            raise Bug(f"the world stands at {self.now_ns}, {due} is due next: it cannot step to {at_ns}")
        self.now_ns = at_ns
        out: list[Delivery] = []
        if at_ns == due:
            self._deliver(at_ns, out)
            if at_ns == self._grid_ns:
                self._print(at_ns, out)
            while self._later and self._later[0][0] == at_ns:
                self._perform(heappop(self._later)[2], at_ns)
            if at_ns == self._own_ns:
                self._broker_acts(at_ns)
            if self.exchange.interest is not self._interest:
                self._regroup()
        return out

    # --- the feed ---

    def watch(self, keys: Iterable[int]) -> None:
        """Add keys to the interest set; each new one gets a snapshot soon."""
        fresh = [key for key in sorted(set(keys)) if key not in self._watched]
        for key in fresh:
            self.market.line(key)  # raises DataError for a key that is not listed
        self._watched.update(fresh)
        if not fresh:
            return
        at_ns = self.now_ns + self._takes(self.latency.watch_ns, Way.WATCH)
        for key in fresh:
            self._sequence += 1
            heappush(self._due, (at_ns, self._sequence, _Snapshot(key)))
        self._regroup()

    def unwatch(self, keys: Iterable[int]) -> None:
        """Take keys out of the interest set."""
        self._watched.difference_update(keys)
        self._regroup()

    # --- the broker ---

    def submit(self, request: Question, token: int) -> None:
        """Send a request now; its `Answer` carries ``token``."""
        self._sequence += 1
        if isinstance(request, BookQuery | ChainQuery):
            takes = self._takes(self.latency.read_ns, Way.READ)
            sample = _Sample(request, token, self.now_ns, self.now_ns + takes)
            heappush(self._later, (self.now_ns + takes // 2, self._sequence, sample))
            return
        reach_ns = self.now_ns + self._takes(self.latency.order_ns, Way.ORDER)
        answer_ns = max(self.now_ns + self._takes(self.latency.answer_ns, Way.ANSWER), reach_ns + 1)
        heappush(self._later, (reach_ns, self._sequence, _Arrival(request, token, answer_ns)))

    def place(self, command: PlaceOrder, at_ns: int, particulars: Particulars) -> Answered:
        """An order with more to it than price and quantity has reached the broker: for an `Errand`."""
        answer = self._order(command, at_ns, particulars)
        self._look_ahead()
        return answer

    def at_once(self, command: OrderCommand, particulars: Particulars = PLAIN) -> Answered:
        """The broker itself acts on the account: nothing is under way."""
        answer = self._order(command, self.now_ns, particulars)
        self._look_ahead()
        self._tell()
        return answer

    def foreign_place(
        self, key: int, side: Side, quantity: int, price_paise: int, kind: OrderKind = OrderKind.LIMIT
    ) -> Answered:
        """A person places an order in the broker's app: it is at the exchange at once."""
        self.exchange.see(self.market.quote(key, self.now_ns))
        answer = self.exchange.foreign_place(key, side, quantity, price_paise, self.now_ns, kind)
        self._tell()
        return answer

    def foreign_cancel(self, broker_id: str) -> Answered:
        """A person cancels an order in the broker's app."""
        answer = self.exchange.foreign_cancel(broker_id, self.now_ns)
        self._tell()
        return answer

    def book(self) -> BookRead:
        """The book as it stands now."""
        return self._book(self.now_ns, self.now_ns)

    def chain(self, underlying: str, expiry: date) -> OptionChain:
        """An option chain as it stands now."""
        return self.market.chain(underlying, expiry, self.now_ns)

    def history(self, index_key: int, until_ns: int) -> tuple[Candle, ...]:
        """One-minute bars of an index: the previous session, and today's closed by ``until_ns``."""
        return self.market.history(index_key, until_ns)

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """The listed contracts of the day."""
        return self.market.contracts

    @property
    def previous_close_paise(self) -> dict[int, int]:
        """Closes of the previous session by key."""
        return self.market.previous_close_paise

    # --- doing what is due ---

    def _deliver(self, at_ns: int, out: list[Delivery]) -> None:
        while self._due and self._due[0][0] == at_ns:
            item = heappop(self._due)[2]
            if isinstance(item, Answer):
                out.append(item)
            elif item.key in self._watched:
                quote = self.market.quote(item.key, at_ns)
                out.append(Quoted(at_ns, msgspec.structs.replace(quote, tick=_seen_at(quote.tick, at_ns))))
        while self._pushes and self._pushes[0].at_ns == at_ns:
            out.append(self._pushes.popleft())

    def _print(self, at_ns: int, out: list[Delivery]) -> None:
        second, phase = divmod(at_ns - self._open_ns, NS_PER_SECOND)
        see, seen = self.exchange.see, False
        for prints, quoted, is_watched, is_of_interest in self._lines[phase // GRID_NS]:
            if not prints(second):
                continue
            quote = quoted(second)
            if is_watched:
                out.append(Quoted(at_ns, quote))
            if is_of_interest:
                see(quote)
                seen = True
        if seen:
            self._report(at_ns)
        self._grid_ns = self._next_grid(at_ns)

    def _perform(self, item: _Arrival | _Sample, at_ns: int) -> None:
        result: Answered | BookRead | OptionChain | Done
        if isinstance(item, _Arrival):
            command = item.command
            result = Done(command.act(at_ns)) if isinstance(command, Errand) else self._order(command, at_ns)
            self._report(at_ns)
        elif isinstance(item.question, BookQuery):
            result = self._book(item.answer_ns, item.sent_ns)
        else:
            chain = self.market.chain(item.question.underlying, item.question.expiry, at_ns, item.question.reach)
            result = msgspec.structs.replace(chain, at_ns=item.answer_ns)
        self._sequence += 1
        heappush(self._due, (item.answer_ns, self._sequence, Answer(item.answer_ns, item.token, result)))

    def _order(self, command: OrderCommand, at_ns: int, particulars: Particulars = PLAIN) -> Answered:
        if self.market.knows(command.key):
            self.exchange.see(self.market.quote(command.key, at_ns))
        if isinstance(command, PlaceOrder):
            return self.exchange.place(command, at_ns, particulars)
        if isinstance(command, ModifyOrder):
            return self.exchange.modify(command, at_ns)
        if isinstance(command, CancelOrder):
            return self.exchange.cancel(command, at_ns)
        raise Bug(f"not an order command: {command!r}")

    def _broker_acts(self, at_ns: int) -> None:
        for key in sorted(self.exchange.interest):
            self.exchange.see(self.market.quote(key, at_ns))
        self.exchange.pass_time(at_ns)
        if at_ns >= self.exchange.closed_ns:
            names = sorted({contract.underlying for contract in self.market.contracts})
            self.exchange.settle({name: self.market.settlement_paise(name) for name in names}, at_ns)
        self._own_ns = self.exchange.next_ns(at_ns)
        self._report(at_ns)

    def _look_ahead(self) -> None:
        """An order may have brought something of the exchange's own nearer."""
        own_ns = self.exchange.next_ns(self.now_ns)
        if own_ns is not None and (self._own_ns is None or own_ns < self._own_ns):
            self._own_ns = own_ns

    def _report(self, at_ns: int) -> None:
        rows = self.exchange.take_rows()
        if not rows:
            return
        push_ns = max(at_ns + self._delay(self.latency.push_ns, at_ns, Way.PUSH), self._last_push_ns)
        self._last_push_ns = push_ns
        self._pushes.extend(Push(push_ns, row) for row in rows)

    def _tell(self) -> None:
        self._report(self.now_ns)
        if self.exchange.interest is not self._interest:
            self._regroup()

    # --- small things ---

    def _book(self, at_ns: int, began_ns: int) -> BookRead:
        exchange = self.exchange
        return BookRead(at_ns, began_ns, exchange.rows(), exchange.positions(), exchange.funds())

    def _takes(self, base_ns: int, way: Way) -> int:
        return self._delay(base_ns, self.now_ns, way)

    def _delay(self, base_ns: int, sent_ns: int, way: Way) -> int:
        return self.latency.jittered(base_ns, self.seed, sent_ns, way)

    def _regroup(self) -> None:
        """Sort what is priced into the quarters of the second it prints in."""
        self._interest = self.exchange.interest
        self._lines = [[] for _ in range(_PHASES)]
        for key in sorted(self._watched | self._interest):
            line = self.market.line(key)
            turn = (line.prints, line.quote, key in self._watched, key in self._interest)
            self._lines[line.phase_ns // GRID_NS].append(turn)
        self._grid_ns = self._next_grid(self.now_ns)

    def _next_grid(self, after_ns: int) -> int | None:
        """The next instant of the grid at which a watched key has its turn."""
        at_ns = max(self._open_ns, after_ns - (after_ns - self._open_ns) % GRID_NS + GRID_NS)
        for _ in range(_PHASES):
            if at_ns >= self._end_ns:
                return None
            if self._lines[(at_ns - self._open_ns) % NS_PER_SECOND // GRID_NS]:
                return at_ns
            at_ns += GRID_NS
        return None


def _seen_at(tick: Tick, at_ns: int) -> Tick:
    return Tick(
        at_ns,
        tick.key,
        tick.exchange_s,
        tick.ltp_paise,
        tick.bid_paise,
        tick.ask_paise,
        tick.bid_total,
        tick.ask_total,
        tick.volume,
        tick.oi,
    )
