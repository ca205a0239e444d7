"""The simulated broker in one place and one thread: requests in, virtual time on, packets and answers out.

Nothing here waits. HTTP handlers get a future, sockets an `Outbox`; `clock` decides when time moves and calls `step`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from algo_scalper.domain.commands import PlaceOrder
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import key_security_id
from algo_scalper.domain.market import OptionChain
from algo_scalper.domain.orders import Side
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, tick_down
from algo_scalper.interfaces.simulator.account import AccountFacts
from algo_scalper.interfaces.simulator.calls import (
    Access,
    Asked,
    BookAsked,
    Call,
    ChainAsked,
    DeedAsked,
    Endpoint,
    OrderAsked,
)
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.endpoints import budget_key, find, turned_away, without_data_plan
from algo_scalper.interfaces.simulator.faults import FaultRequest, Faults, Hand, TokenState
from algo_scalper.interfaces.simulator.feed import FeedSession
from algo_scalper.interfaces.simulator.limits import RateLimits
from algo_scalper.interfaces.simulator.outbox import End, Outbox
from algo_scalper.interfaces.simulator.replies import Reply, internal_error, not_found, order_error, rate_limited
from algo_scalper.interfaces.simulator.rows import order_alert
from algo_scalper.simulation.account_book import PLAIN
from algo_scalper.simulation.world import (
    Answer,
    BookQuery,
    ChainQuery,
    Delivery,
    Done,
    Errand,
    Push,
    Question,
    Quoted,
)

MOST_FEEDS = 5
TOO_MANY_CONNECTIONS = 805
NOT_SUBSCRIBED = 806
TOKEN_EXPIRED = 807
AUTHENTICATION_FAILED = 808
_HAND_SLIP_BPS = 1_000


class Lost(msgspec.Struct, frozen=True):
    """The connection that carried the request goes away without an answer."""


LOST = Lost()
Written = Reply | Lost


class Inquiry(msgspec.Struct):
    """One HTTP request being answered."""

    call: Call
    written: asyncio.Future[Written]
    sequence: int = 0
    """Its ``X-Sim-Seq`` in stepped time; 0 outside of it."""
    engine: int = 0
    """Which attached engine sent it."""
    asked: Asked | None = None
    lose_answer: bool = False


class Counters(msgspec.Struct):
    """Messages since the stepped engine attached."""

    requests: int = 0
    feed_in: int = 0
    orders_in: int = 0
    feed_out: int = 0
    orders_out: int = 0


class Stepped(msgspec.Struct, frozen=True):
    """The numbers of the requests that ended in a step, in order."""

    answered: list[int]
    lost: list[int]
    """Their connections were closed without an answer."""


class OrderSession:
    """One order-update connection; silent until it has logged in."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.logged_in = False
        self.received = 0


class Venue:
    """World, desk, faults and sockets together."""

    def __init__(self, desk: Desk, *, limited: bool = True) -> None:
        self.desk = desk
        self.world = desk.world
        self.faults = Faults()
        self.limits = RateLimits()
        self.limited = limited
        self.time_runs = False
        """Does virtual time move by itself? While it stands only a stepped engine's requests count against a rate."""
        self.counters = Counters()
        self.feeds: list[FeedSession] = []
        self.order_sockets: list[OrderSession] = []
        self.on_change: Callable[[], None] = lambda: None
        """Called when the account changed, before anybody is told, and every second: for the state file."""
        self.on_schedule: Callable[[], None] = lambda: None
        """Called when something new is due, so that a waiting clock looks again."""
        self.engine = 0
        """The number of stepped engines that have attached."""
        self.served: Counter[str] = Counter()
        """Requests by path and status, for ``/sim/status``."""
        self._watched: Counter[int] = Counter()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._asked: dict[int, Inquiry] = {}
        self._answered: list[int] = []
        self._lost: list[int] = []
        self._held: list[Inquiry] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._sockets_made = 0
        self._standing_keys: frozenset[int] = frozenset()
        self._token_ends_ns = 0
        self.see_account(desk.account.facts)

    # Time

    def next_ns(self) -> int | None:
        """The next instant at which anything can happen; None when nothing will."""
        instants = [at_ns for at_ns in (self.world.next_ns(), self._due[0][0] if self._due else None) if at_ns]
        return min(instants, default=None)

    def step(self, at_ns: int) -> Stepped:
        """Go to ``at_ns`` (<= `next_ns`), do and send all that is due there."""
        second_before = self.world.now_ns // NS_PER_SECOND
        deliveries = self.world.step(at_ns)
        self._answered, self._lost = [], []
        while self._due and self._due[0][0] <= at_ns:
            heapq.heappop(self._due)[2]()
        self._deliver(deliveries)
        self._attend_standing()
        # Futures and outboxes are filled; not a byte has left before this returns.
        if at_ns // NS_PER_SECOND != second_before or any(isinstance(each, Answer | Push) for each in deliveries):
            self.on_change()
        return Stepped(self._answered, self._lost)

    def _attend_standing(self) -> None:
        """Super orders, triggers and their like see the prices of this instant; what they wait for is watched."""
        standing = self.desk.standing
        if standing.is_idle:
            return
        acted = standing.react()
        wanted = standing.keys()
        if wanted != self._standing_keys:
            fresh, gone = wanted - self._standing_keys, self._standing_keys - wanted
            self._standing_keys = wanted
            self._watched.update(fresh)
            self.world.watch(key for key in fresh if self._watched[key] == 1)
            self._unwatch(sorted(gone))
            acted = True
        if acted:
            self.on_change()
            self.on_schedule()

    def run_until(self, at_ns: int, most_steps: int) -> bool:
        """Step through everything up to ``at_ns``; False when ``most_steps`` were not enough."""
        for _ in range(most_steps):
            next_ns = self.next_ns()
            if next_ns is None or next_ns > at_ns:
                if at_ns > self.world.now_ns:
                    self.step(at_ns)
                return True
            self.step(next_ns)
        return False

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Have ``action`` done ``after_ns`` from now, at least a nanosecond."""
        self._number += 1
        heapq.heappush(self._due, (self.world.now_ns + max(after_ns, 1), self._number, action))
        self.on_schedule()

    # HTTP

    def take(self, inquiry: Inquiry) -> None:
        """Answer a request, now or when its answer is due; its future gets the answer."""
        if self.faults.frozen(self.world.now_ns):
            self._held.append(inquiry)
            return
        call = inquiry.call
        found = find(call.method, call.path)
        if found is None:
            shown = f"/v2{call.path}" if call.is_v2 else call.path
            self._answer(inquiry, not_found(shown, self.world.now_ns // NS_PER_MS))
            return
        endpoint, argument = found
        reply = self._refused(endpoint, inquiry)
        if reply is not None:
            self._answer_later(inquiry, endpoint, reply)
            return
        if endpoint.is_order and self.faults.lose_before:
            self.faults.lose_before -= 1
            self.later(self.world.latency.answer_ns, lambda: self._answer(inquiry, LOST))
            return
        if endpoint.is_order and self.faults.reject_next:
            self.faults.reject_next -= 1
            self._answer_later(inquiry, endpoint, order_error(self.faults.reject_text))
            return
        answer = endpoint.answer(self.desk, call, argument)
        if isinstance(answer, Reply):
            self._answer_later(inquiry, endpoint, answer)
        else:
            self._ask(inquiry, answer)

    def _refused(self, endpoint: Endpoint, inquiry: Inquiry) -> Reply | None:
        """Turned away for its token or its rate, before anything is looked at."""
        call = inquiry.call
        if endpoint.access is not Access.OPEN:
            if not self.admits(call.token, call.client_id or self.desk.client_id):
                return turned_away(endpoint.access)
            if not self.desk.account.facts.data_plan and (unpaid := without_data_plan(endpoint.access)) is not None:
                return unpaid
        counted = self.limited and (self.time_runs or inquiry.sequence)
        if counted and not self.limits.take(endpoint.family, self.world.now_ns, budget_key(call)):
            return rate_limited()
        return None

    def admits(self, token: str, client_id: str) -> bool:
        """Are these the account's credentials, and alive?"""
        good = self.faults.token is TokenState.GOOD
        known = self.desk.account.admits(token, self.world.now_ns)
        return good and known and client_id == self.desk.client_id

    def _ask(self, inquiry: Inquiry, asked: Asked) -> None:
        """Send it to the world; readings outside stepped time are answered at once, without any passing."""
        inquiry.asked = asked
        if isinstance(asked, OrderAsked):
            inquiry.lose_answer = self._loses_answer()
            # What an order carries besides is the exchange's to know; a plain one goes as it always went.
            command, more = asked.command, asked.particulars
            if isinstance(command, PlaceOrder) and more != PLAIN:
                self._submit(inquiry, Errand(lambda at_ns: self.world.place(command, at_ns, more)))
            else:
                self._submit(inquiry, command)
        elif isinstance(asked, DeedAsked):
            inquiry.lose_answer = self._loses_answer()
            self._submit(inquiry, Errand(asked.act))
        elif isinstance(asked, BookAsked):
            if inquiry.sequence:
                self._submit(inquiry, BookQuery())
            else:
                reply = asked.print(self.world.book())
                self.on_change()
                self._answer(inquiry, reply)
        elif inquiry.sequence:
            self._submit(inquiry, ChainQuery(asked.underlying, asked.expiry))
        else:
            self._answer(inquiry, asked.print(self.world.chain(asked.underlying, asked.expiry)))

    def _loses_answer(self) -> bool:
        """Is the answer to this order request one of those that get lost?"""
        if not self.faults.lose_after:
            return False
        self.faults.lose_after -= 1
        return True

    def _submit(self, inquiry: Inquiry, request: Question) -> None:
        self._number += 1
        self._asked[self._number] = inquiry
        self.world.submit(request, self._number)
        self.on_schedule()

    def _answer_later(self, inquiry: Inquiry, endpoint: Endpoint, reply: Reply) -> None:
        """An answer of the server's own: at once, or in stepped time after the usual latency."""
        if not inquiry.sequence:
            self._answer(inquiry, reply)
            return
        latency = self.world.latency
        wait_ns = latency.answer_ns if endpoint.is_order else latency.read_ns
        self.later(wait_ns, lambda: self._answer(inquiry, reply))

    def _answer(self, inquiry: Inquiry, written: Written) -> None:
        shown = written.status if isinstance(written, Reply) else "lost"
        self.served[f"{inquiry.call.method} {inquiry.call.path} {shown}"] += 1
        if inquiry.sequence and inquiry.engine == self.engine:
            (self._answered if isinstance(written, Reply) else self._lost).append(inquiry.sequence)
        if not inquiry.written.done():
            inquiry.written.set_result(written)

    @property
    def held(self) -> int:
        """Requests and connections that wait out a freeze."""
        return len(self._held) + len(self._waiting)

    async def thawed(self) -> None:
        """Return at once, or when a freeze is over: for connections, which are not accepted before."""
        while self.faults.frozen(self.world.now_ns):
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    def _thaw(self) -> None:
        """What waited out a freeze is taken now, in its order."""
        held, self._held = self._held, []
        for inquiry in held:
            self.take(inquiry)
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            if not connection.done():
                connection.set_result(None)

    # Sockets

    def open_feed(self) -> FeedSession:
        """A new feed connection; the oldest goes when there are more than five."""
        self._sockets_made += 1
        session = FeedSession(self._sockets_made, self.desk.known)
        self.feeds.append(session)
        if len(self.feeds) > MOST_FEEDS:
            self.feeds[0].disconnect(TOO_MANY_CONNECTIONS)
            self.close_feed(self.feeds[0])
        return session

    def close_feed(self, session: FeedSession) -> None:
        """The connection is gone; nobody watches for it any more."""
        if session in self.feeds:
            self.feeds.remove(session)
            self._unwatch(session.modes)
            session.modes.clear()

    def feed_text(self, session: FeedSession, text: str) -> None:
        """A text message came in on a feed connection."""
        had = frozenset(session.modes)
        interest = session.read(text)
        self.counters.feed_in += 1
        fresh = [key for key in interest.wanted if not self._watched[key]]
        self._watched.update(key for key in interest.wanted if key not in had)
        if fresh:
            self.world.watch(fresh)
        again = [key for key in interest.wanted if key not in fresh]
        if again:
            self.later(self.world.latency.watch_ns, lambda: self._snapshot(session, again))
        self._unwatch(interest.dropped)
        self.on_schedule()

    def _unwatch(self, keys: Iterable[int]) -> None:
        gone = []
        for key in keys:
            self._watched[key] -= 1
            if self._watched[key] <= 0:
                del self._watched[key]
                gone.append(key)
        if gone:
            self.world.unwatch(gone)

    def _snapshot(self, session: FeedSession, keys: Iterable[int]) -> None:
        """Instruments somebody watches already: the newcomer gets what was last printed."""
        for key in keys:
            if self.desk.tape.get(key) is not None:
                session.add(self.desk.day_print(key))
        self._flush(session)

    def order_login(self, session: OrderSession, good: bool) -> None:
        """The first message of an order connection; a bad one loses the connection without a word."""
        if good:
            session.logged_in = True
        else:
            session.outbox.end(End.RESET)

    def _drop_feeds(self) -> None:
        for session in list(self.feeds):
            session.outbox.end(End.RESET)
            self.close_feed(session)

    def _drop_order_sockets(self) -> None:
        for session in self.order_sockets:
            session.outbox.end(End.RESET)
        self.order_sockets.clear()

    # Deliveries

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            if isinstance(delivery, Quoted):
                self._quoted(delivery)
            elif isinstance(delivery, Push):
                self._pushed(delivery)
            else:
                self._world_answered(delivery)
        for session in self.feeds:
            self._flush(session)

    def _quoted(self, delivery: Quoted) -> None:
        key = delivery.quote.tick.key
        is_first = self.desk.tape.get(key) is None
        day = self.desk.tape.take(delivery.quote)
        if is_first and key in self.desk.indices:
            self.desk.tape.recall(key, self.desk.candles_today(key))
        for session in self.feeds:
            session.add(day)

    def _flush(self, session: FeedSession) -> None:
        self.counters.feed_out += session.flush(self.faults.feed_silent(self.world.now_ns))

    def _pushed(self, delivery: Push) -> None:
        row = delivery.row
        record = self.desk.order(row.broker_id)
        if record is None or self.faults.frozen(self.world.now_ns):
            return
        desk, contract = self.desk, self.desk.contracts[row.key]
        alert = order_alert(
            row, record, contract, desk.last_fill_paise(row), desk.last_paise(row.key), desk.client_id
        ).decode()
        for session in self.order_sockets:
            if session.logged_in and session.outbox.put(alert):
                self.counters.orders_out += 1

    def _world_answered(self, delivery: Answer) -> None:
        inquiry = self._asked.pop(delivery.token, None)
        if inquiry is None or inquiry.asked is None:
            return  # a person's order, or the engine that asked is gone
        reply = _printed(inquiry.asked, delivery)
        self._answer(inquiry, LOST if inquiry.lose_answer else reply)

    # Stepped engines

    def attached(self) -> None:
        """A stepped engine begins: counters from zero, answers owed to earlier ones are nobody's."""
        self.engine += 1
        self.counters = Counters()

    def detached(self) -> None:
        """The stepped engine is gone and its connections with it; the account keeps its books."""
        self._drop_feeds()
        self._drop_order_sockets()

    # The account

    def see_account(self, facts: AccountFacts) -> None:
        """The account is like this now: what that ends, ends."""
        account = self.desk.account
        if not facts.token_alive:
            self._token_died()
        elif not facts.data_plan:
            self._disconnect_feeds(NOT_SUBSCRIBED)
        ends_ns = account.web_expires_ns if facts.token_expires else 0
        if ends_ns > self.world.now_ns and ends_ns != self._token_ends_ns:
            self._token_ends_ns = ends_ns
            self.later(ends_ns - self.world.now_ns, lambda: self._token_ended(ends_ns))
        elif facts.token_expires and ends_ns <= self.world.now_ns:
            self._token_ended(ends_ns)

    def _token_ended(self, ends_ns: int) -> None:
        """The time of the web's token is up; nothing happens if it was given another, or another token is in use."""
        account = self.desk.account
        if account.web_expires_ns == ends_ns and account.minted is None:
            self._token_died()

    def _token_died(self) -> None:
        self._disconnect_feeds(TOKEN_EXPIRED)
        self._drop_order_sockets()

    def _disconnect_feeds(self, reason: int) -> None:
        for session in list(self.feeds):
            session.disconnect(reason)
            self.close_feed(session)

    def feed_refusal(self, token: str, client_id: str) -> int:
        """Why a feed connection with these credentials is turned away, as a disconnect code; 0 when it is not."""
        if not self.admits(token, client_id):
            ours = client_id == self.desk.client_id and self.desk.account.is_known(token)
            dead = self.faults.token is TokenState.DEAD or ours
            return TOKEN_EXPIRED if dead else AUTHENTICATION_FAILED
        return 0 if self.desk.account.facts.data_plan else NOT_SUBSCRIBED

    # Faults

    def break_something(self, request: FaultRequest) -> None:
        """Do what ``POST /sim/faults`` asks, now or at the instant it names."""
        if request.at_ns > self.world.now_ns:
            put_off = msgspec.structs.replace(request, at_ns=0)
            self.later(request.at_ns - self.world.now_ns, lambda: self.break_something(put_off))
            return
        self.faults.apply(request, self.world.now_ns)
        if request.freeze_s:
            self.later(self.faults.frozen_until_ns - self.world.now_ns, self._thaw)
        if request.clear:
            self._thaw()
        if request.token is TokenState.DEAD:
            self._token_died()
        if request.drop_feeds:
            self._drop_feeds()
        if request.drop_order_sockets:
            self._drop_order_sockets()
        if request.hand is not None:
            self._hand(request.hand)

    def _hand(self, hand: Hand) -> None:
        """A person acts on the account from the broker's app."""
        if not hand.cancel_floor:
            self._hand_sells(hand)
            return
        for order in self.world.exchange.working():
            mine = not hand.security_id or key_security_id(order.key) == hand.security_id
            if mine and order.side is Side.SELL:
                self.world.foreign_cancel(order.broker_id)
        self.on_schedule()
        if hand.sell:
            self.later(NS_PER_SECOND, lambda: self._hand_sells(hand))

    def _hand_sells(self, hand: Hand) -> None:
        for position in self.world.book().positions:
            held = position.net_quantity
            if held <= 0 or (hand.security_id and key_security_id(position.key) != hand.security_id):
                continue
            contract = self.desk.contracts[position.key]
            quantity = held if isinstance(hand.sell, str) else min(hand.sell, held)
            bid_paise = self.desk.day_print(position.key).quote.tick.bid_paise
            price_paise = tick_down(bid_paise - bid_paise * _HAND_SLIP_BPS // 10_000, contract.tick_paise)
            self.world.foreign_place(position.key, Side.SELL, quantity, max(price_paise, contract.tick_paise))
        self.on_schedule()


def _printed(asked: Asked, delivery: Answer) -> Reply:
    """The world's answer as HTTP."""
    result = delivery.result
    if isinstance(result, Done):
        if isinstance(result.value, Reply):
            return result.value
        result = result.value if isinstance(result.value, Accepted | Rejected) else result
    if isinstance(asked, OrderAsked) and isinstance(result, Accepted):
        return asked.accepted(result.broker_id)
    if isinstance(asked, OrderAsked) and isinstance(result, Rejected):
        return asked.rejected(result.reason)
    if isinstance(asked, BookAsked) and isinstance(result, BookRead):
        return asked.print(result)
    if isinstance(asked, ChainAsked) and isinstance(result, OptionChain):
        return asked.print(result)
    return internal_error()
