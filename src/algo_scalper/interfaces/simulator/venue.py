"""The simulated broker in one place and one thread: requests in, virtual time on, packets and answers out.

Nothing here waits. HTTP handlers get a future, sockets an `Outbox`; `clock` decides when time moves and calls `step`.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable

import msgspec

from algo_scalper.adapters.dhan.depth import Depth
from algo_scalper.domain.commands import PlaceOrder
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.market import OptionChain
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.simulator.account import APP, AccountFacts
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
from algo_scalper.interfaces.simulator.fault_names import due_ns
from algo_scalper.interfaces.simulator.faults import FaultRequest, Faults, TokenState
from algo_scalper.interfaces.simulator.limits import RateLimits
from algo_scalper.interfaces.simulator.outbox import End
from algo_scalper.interfaces.simulator.person import Person
from algo_scalper.interfaces.simulator.replies import (
    Reply,
    internal_error,
    invalid_ip,
    not_found,
    order_error,
    rate_limited,
)
from algo_scalper.interfaces.simulator.subscribers import Counters, Subscribers
from algo_scalper.interfaces.simulator.wire import Wire
from algo_scalper.simulation.account_book import PLAIN
from algo_scalper.simulation.world import (
    Answer,
    BookQuery,
    ChainQuery,
    Done,
    Errand,
    Push,
    Question,
    Quoted,
)

NOT_SUBSCRIBED = 806
TOKEN_EXPIRED = 807
AUTHENTICATION_FAILED = 808
ON_REQUEST = "RMS:<orderId>:Rejected by the simulator on request"


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
    has_arrived: bool = False
    """It has been delayed on its way in, or is not to be."""
    has_ended: bool = False
    """Answered or lost, perhaps on its way out still."""


class Stepped(msgspec.Struct, frozen=True):
    """The numbers of the requests that ended in a step, in order."""

    answered: list[int]
    lost: list[int]
    """Their connections were closed without an answer."""


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
        self.on_change: Callable[[], None] = lambda: None
        """Called when the account changed, before anybody is told, and every second: for the state file."""
        self.on_schedule: Callable[[], None] = lambda: None
        """Called when something new is due, so that a waiting clock looks again."""
        self.engine = 0
        """The number of stepped engines that have attached."""
        self.served: Counter[str] = Counter()
        """Requests by path and status, for ``/sim/status``."""
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self._asked: dict[int, Inquiry] = {}
        self._answered: list[int] = []
        self._lost: list[int] = []
        self._held: list[Inquiry] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._standing_keys: frozenset[int] = frozenset()
        self._token_ends_ns = 0
        self._wire = Wire(self.faults, desk.world.seed, lambda: self.world.now_ns, self.later)
        self.sockets = Subscribers(desk, self.faults, self._wire, self.later, self._wake)
        self._person = Person(desk, self.later)
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
        while self._due and self._due[0][0] <= at_ns:
            heapq.heappop(self._due)[2]()
        for delivery in deliveries:
            if isinstance(delivery, Quoted):
                self.sockets.quoted(delivery.quote)
            elif isinstance(delivery, Push):
                self.sockets.pushed(delivery.row)
            else:
                self._world_answered(delivery)
        self.sockets.flush()
        self._attend_standing()
        self._count_refusals()
        # Futures and outboxes are filled; not a byte has left before this returns.
        if at_ns // NS_PER_SECOND != second_before or any(isinstance(each, Answer | Push) for each in deliveries):
            self.on_change()
        # What a restart ended between two steps is told with the next.
        done = Stepped(self._answered, self._lost)
        self._answered, self._lost = [], []
        return done

    def _attend_standing(self) -> None:
        """Super orders, triggers and their like see the prices of this instant; what they wait for is watched."""
        standing = self.desk.standing
        if standing.is_idle:
            return
        acted = standing.react()
        wanted = standing.keys()
        if wanted != self._standing_keys:
            self.sockets.watch(wanted - self._standing_keys)
            self.sockets.unwatch(sorted(self._standing_keys - wanted))
            self._standing_keys = wanted
            acted = True
        if acted:
            self.on_change()
            self.on_schedule()

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Have ``action`` done ``after_ns`` from now, at least a nanosecond."""
        self._number += 1
        heapq.heappush(self._due, (self.world.now_ns + max(after_ns, 1), self._number, action))
        self.on_schedule()

    def _wake(self) -> None:
        self.on_schedule()

    # HTTP

    def take(self, inquiry: Inquiry) -> None:
        """Answer a request, now or when its answer is due; its future gets the answer."""
        faults = self.faults
        if faults.down(self.world.now_ns):
            faults.meet("restart")
            self._end(inquiry, LOST)
            return
        if faults.frozen(self.world.now_ns):
            faults.meet("freeze")
            self._held.append(inquiry)
            return
        if faults.slow_requests.ms and not inquiry.has_arrived and self._passes_time(inquiry):
            inquiry.has_arrived = True
            faults.meet("slow_requests")
            self.later(self._wire.delay_ns(faults.slow_requests), lambda: self._arrive(inquiry))
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
        if endpoint.is_order and faults.spend("lose_before"):
            self.later(self.world.latency.answer_ns, lambda: self._end(inquiry, LOST))
            return
        if endpoint.is_order and faults.spend("reject_next"):
            self._answer_later(inquiry, endpoint, order_error(self.faults.reject_text))
            return
        answer = endpoint.answer(self.desk, call, argument)
        if isinstance(answer, Reply):
            self._answer_later(inquiry, endpoint, answer)
        else:
            self._ask(inquiry, answer)

    def _arrive(self, inquiry: Inquiry) -> None:
        """A request that was slow on its way in; one that ended meanwhile has nothing left to ask."""
        if not inquiry.has_ended:
            self.take(inquiry)

    def _passes_time(self, inquiry: Inquiry) -> bool:
        """Does time go on while this request waits? One asked beside a stepped engine would wait for ever."""
        return self.time_runs or inquiry.sequence > 0

    def _refused(self, endpoint: Endpoint, inquiry: Inquiry) -> Reply | None:
        """Turned away for its token or its rate, before anything is looked at."""
        call = inquiry.call
        if self.faults.throttled(self.world.now_ns):
            self.faults.meet("throttle")
            return rate_limited()
        if endpoint.access is not Access.OPEN:
            if not self.admits(call.token, call.client_id or self.desk.client_id):
                return turned_away(endpoint.access)
            if not self.desk.account.facts.data_plan and (unpaid := without_data_plan(endpoint.access)) is not None:
                return unpaid
        counted = self.limited and (self.time_runs or inquiry.sequence)
        if counted and not self.limits.take(endpoint.family, self.world.now_ns, budget_key(call)):
            return rate_limited()
        if endpoint.is_order and self.faults.refuse_ip:
            self.faults.meet("refuse_ip")
            return invalid_ip()
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
        return self.faults.spend("lose_after")

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
        """The answer leaves, or is slow on its way."""
        delay = self.faults.slow_answers
        if delay.ms and self._passes_time(inquiry):
            self.faults.meet("slow_answers")
            self.later(self._wire.delay_ns(delay), lambda: self._end(inquiry, written))
        else:
            self._end(inquiry, written)

    def _end(self, inquiry: Inquiry, written: Written) -> None:
        if inquiry.has_ended:
            return
        inquiry.has_ended = True
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
        self.sockets.counters = Counters()
        self._answered, self._lost = [], []

    def detached(self) -> None:
        """The stepped engine is gone and its connections with it; the account keeps its books."""
        self.sockets.drop_feeds()
        self.sockets.drop_order_sockets()

    # The account

    def see_account(self, facts: AccountFacts) -> None:
        """The account is like this now: what that ends, ends."""
        account = self.desk.account
        if not facts.token_alive:
            self._token_died()
        elif not facts.data_plan:
            self.sockets.disconnect_feeds(NOT_SUBSCRIBED)
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
        self.sockets.disconnect_feeds(TOKEN_EXPIRED)
        self.sockets.drop_order_sockets()

    def resets(self, levels: Depth, token: str) -> bool:
        """Is a depth connection with this token reset without a word? An application's is, at 200 levels."""
        return levels == 200 and self.desk.account.consumer(token) == APP

    def feed_refusal(self, token: str, client_id: str) -> int:
        """Why a feed connection with these credentials is turned away, as a disconnect code; 0 when it is not."""
        if not self.admits(token, client_id):
            ours = client_id == self.desk.client_id and self.desk.account.is_known(token)
            dead = self.faults.token is TokenState.DEAD or ours
            return TOKEN_EXPIRED if dead else AUTHENTICATION_FAILED
        return 0 if self.desk.account.facts.data_plan else NOT_SUBSCRIBED

    # Faults

    def break_something(self, request: FaultRequest) -> None:
        """Do what ``POST /sim/faults`` asks, now or at the instant it names. Raises `ConfigError` for an unreadable one."""
        now_ns = self.world.now_ns
        at_ns = due_ns(request, self.desk.day, now_ns)
        if at_ns > now_ns:
            put_off = msgspec.structs.replace(request, at_ns=0, at="", after_s=0.0)
            self.later(at_ns - now_ns, lambda: self.break_something(put_off))
            return
        self.faults.apply(request, now_ns)
        self.desk.stamps.skew(now_ns, round(self.faults.skew_s * NS_PER_SECOND))
        how = End.ABORT if request.hard else End.RESET
        if request.freeze_s:
            self.later(self.faults.frozen_until_ns - now_ns, self._thaw)
        if request.clear:
            self.desk.account.undo_mint_elsewhere()
            self.world.exchange.refusals.clear()
            self._thaw()
        if request.refuse_next is not None:
            self.world.exchange.refusals[:] = [request.refuse_text or ON_REQUEST] * request.refuse_next
            self.faults.refuse_next = request.refuse_next
        for seconds in (request.thin_s, request.slow_fills_s):
            if seconds:
                self.later(round(seconds * NS_PER_SECOND), self._fill_as_usual)
        self._fill_as_usual()
        if request.mint:
            self.desk.account.mint_elsewhere(now_ns)
        if request.token is TokenState.DEAD or request.mint:
            self._token_died()
        if request.drop_feeds or request.restart:
            self.faults.met["drop_feeds"] += len(self.sockets.data)
            self.sockets.drop_feeds(how)
        if request.drop_order_sockets or request.restart:
            self.faults.met["drop_order_sockets"] += len(self.sockets.orders)
            self.sockets.drop_order_sockets(how)
        if request.restart:
            self._forget_requests()
        if request.hand is not None:
            self.faults.meet("hand")
            self._person.acts(request.hand)
            self.on_schedule()

    def _count_refusals(self) -> None:
        """The exchange uses up the refusals it was given; what is left of them is shown."""
        left = len(self.world.exchange.refusals)
        for _ in range(self.faults.refuse_next - left):
            self.faults.meet("refuse_next")
        self.faults.refuse_next = left

    def _fill_as_usual(self) -> None:
        """Orders meet what the faults of this instant leave them."""
        self.world.exchange.lots_a_level = self.faults.lots_a_level(self.world.now_ns)

    def _forget_requests(self) -> None:
        """The servers start again: nobody who is waiting is answered, and nobody has asked for anything lately."""
        waiting = [*self._asked.values(), *self._held]
        self._asked.clear()
        self._held.clear()
        for inquiry in waiting:
            self._end(inquiry, LOST)
        self.limits = RateLimits()


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
