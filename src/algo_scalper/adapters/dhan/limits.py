"""One budget of requests per account, shared by everybody who asks: Dhan's limits, and our own caps under them.

Windows slide and are counted exactly: what left within the last second, minute, hour or 24 hours. 24 hours and not the
date, because Dhan does not say when its day begins: whatever it is, no date of theirs holds more than 24 hours of ours.
Dhan counts when a request arrives, we when it leaves, so every window is `GUARD_NS` longer here than there: requests
that travel up to that much longer or shorter than their neighbours still arrive within the limit.

**Exits.** All orders are counted in our own caps, and entries and everything else stop there. An EXIT obeys only Dhan's
limits: our caps exist so that a fault of ours cannot spend the account's budget, and what lies between them and
Dhan's limits (5 a second, 190 a minute, 6,500 a day) is kept for leaving positions. Our own cap never refuses an exit.

**Fairness.** EXIT before ENTRY before BOOK before DATA, first come first served within each. A request passes others
only where those have no place anyway: an exit those at our cap, a chain those of a chain that was just asked.

**Throttling.** After a 429 the family pauses, half of each pause left to chance, doubling while it goes on, from the
start again after a quiet minute. Orders begin at half a second, and an exit never pauses for more than one.

The counts live as long as the process: what was asked before a restart, or by other programs on the account, is only
met as a 429.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum

import msgspec

from algo_scalper.adapters.dhan.failures import HeldBack
from algo_scalper.adapters.dhan.waiting import Backoff
from algo_scalper.adapters.dhan.wire import Family
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, clock_text

GUARD_NS = 50 * NS_PER_MS
MOST_WAIT_NS = 10 * NS_PER_MINUTE
"""How long those wait who gave no deadline: nobody waits unseen for the rest of a day whose budget is spent."""
MOST_MODIFICATIONS = 25
KEPT_MODIFICATIONS = 5
"""Of the changes Dhan allows for an order, those that only exits may use."""
QUIET_NS = NS_PER_MINUTE
EXIT_PAUSE_NS = NS_PER_SECOND
MOST_KEYS = 64
MOST_ORDERS = 7_000
"""Orders whose changes are remembered: a day cannot have more."""

_NS_PER_HOUR = 60 * NS_PER_MINUTE


class Priority(IntEnum):
    """Who goes first when the budget is short."""

    EXIT = 0
    ENTRY = 1
    BOOK = 2
    DATA = 3


class Window(msgspec.Struct, frozen=True):
    """At most ``limit`` requests of ``families`` together in any ``span_ns``; ``per_key``: of each key on its own."""

    families: tuple[Family, ...]
    name: str
    span_ns: int
    limit: int
    ours: bool = False
    """Our own cap: exits are counted in it and do not obey it."""
    per_key: bool = False


_ORDERS = (Family.ORDER,)
_DATA = (Family.DATA, Family.OPTION_CHAIN)

DHAN_WINDOWS = (
    Window(_ORDERS, "1 s", NS_PER_SECOND, 10),
    Window(_ORDERS, "1 min", NS_PER_MINUTE, 250),
    Window(_ORDERS, "1 h", _NS_PER_HOUR, 1_000),
    Window(_ORDERS, "24 h", NS_PER_DAY, 7_000),
    Window(_DATA, "1 s", NS_PER_SECOND, 5),
    Window(_DATA, "24 h", NS_PER_DAY, 100_000),
    Window((Family.OPTION_CHAIN,), "3 s", 3 * NS_PER_SECOND, 1, per_key=True),
    Window((Family.QUOTE,), "1 s", NS_PER_SECOND, 1),
    Window((Family.NON_TRADING,), "1 s", NS_PER_SECOND, 20),
)
"""What Dhan documents. The key of an option chain is its underlying and expiry."""


def own_windows(per_second: int = 5, per_minute: int = 60, per_day: int = 500) -> tuple[Window, ...]:
    """Our own caps on orders, and a gentle one on tokens, whose limit nobody has written down."""
    return (
        Window(_ORDERS, "1 s", NS_PER_SECOND, per_second, ours=True),
        Window(_ORDERS, "1 min", NS_PER_MINUTE, per_minute, ours=True),
        Window(_ORDERS, "24 h", NS_PER_DAY, per_day, ours=True),
        Window((Family.AUTH,), "2 s", 2 * NS_PER_SECOND, 1, ours=True),
    )


WINDOWS = DHAN_WINDOWS + own_windows()
NO_WINDOWS: tuple[Window, ...] = ()
"""For simulators that do not count. A 429 still pauses."""

BACKOFF = Backoff(first_ns=NS_PER_SECOND, most_ns=60 * NS_PER_SECOND)
ORDER_BACKOFF = Backoff(first_ns=500 * NS_PER_MS, most_ns=60 * NS_PER_SECOND)


class Throttled(msgspec.Struct, frozen=True):
    """The broker said "too often": since when the family pauses, until when, and how often it was said by now."""

    family: Family
    key: str
    at_ns: int
    paused_until_ns: int
    exits_paused_until_ns: int
    count: int


class Usage(msgspec.Struct, frozen=True):
    """How full a window is. ``waiting``, the pause and the count of 429 are those of the family (of the key's, there).

    ``limit`` 0: the family has no window.
    """

    family: Family
    key: str
    window: str
    ours: bool
    used: int
    limit: int
    waiting: int
    paused_until_ns: int
    throttled: int


class _Count:
    """The newest requests of a window, as many as it allows: the oldest of them says when there is a place again."""

    __slots__ = ("free_ns", "limit", "span_ns", "times", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.limit = window.limit
        self.span_ns = window.span_ns + GUARD_NS
        self.times: deque[int] = deque(maxlen=window.limit)
        self.free_ns = 0

    def add(self, at_ns: int) -> None:
        times = self.times
        times.append(at_ns)
        if len(times) == self.limit:
            self.free_ns = times[0] + self.span_ns

    def used(self, now_ns: int) -> int:
        times, gone_ns = self.times, now_ns - self.span_ns
        while times and times[0] <= gone_ns:
            times.popleft()
        return len(times)


class _Budget:
    """A family: the counts its requests are counted in, those even an exit obeys, and its pause."""

    __slots__ = (
        "all_counts",
        "backoff",
        "dhan_counts",
        "exits_paused_ns",
        "family",
        "key_windows",
        "keys",
        "level",
        "paused_ns",
        "throttled",
        "tried",
    )

    def __init__(self, family: Family, counts: tuple[_Count, ...], key_windows: tuple[Window, ...]) -> None:
        self.family = family
        self.all_counts = counts
        self.dhan_counts = tuple(count for count in counts if not count.window.ours)
        self.key_windows = key_windows
        self.keys: dict[str, tuple[_Count, ...]] = {}
        self.backoff = ORDER_BACKOFF if family is Family.ORDER else BACKOFF
        self.paused_ns = self.exits_paused_ns = 0
        self.level = self.throttled = 0
        self.tried = True

    def room_ns(self, priority: Priority, key: str) -> int:
        """Since when, or from when on, there is a place, if nobody else takes it."""
        if priority is Priority.EXIT:
            room_ns, counts = self.exits_paused_ns, self.dhan_counts
        else:
            room_ns, counts = self.paused_ns, self.all_counts
        for count in counts:
            if count.free_ns > room_ns:
                room_ns = count.free_ns
        for count in self.keys.get(key, ()):
            if count.free_ns > room_ns:
                room_ns = count.free_ns
        return room_ns

    def add(self, key: str, now_ns: int) -> None:
        """A request leaves now."""
        for count in self.all_counts:
            count.add(now_ns)
        if self.key_windows:
            for count in self.keys.get(key) or self._new_key(key, now_ns):
                count.add(now_ns)
        self.tried = True

    def full(self, priority: Priority, key: str, now_ns: int) -> str:
        """Why there is no place, and when there will be one."""
        room_ns = self.room_ns(priority, key)
        counts = self.dhan_counts if priority is Priority.EXIT else self.all_counts
        windows = [count.window for count in (*counts, *self.keys.get(key, ())) if count.free_ns == room_ns]
        when = f"the next place comes at {clock_text(room_ns)}, in {max(room_ns - now_ns, 0) / NS_PER_SECOND:.1f} s"
        named = f"{self.family}{' ' + key if key else ''} requests"
        if not windows:
            return f"{named} pause, because the broker said too often; {when}"
        whose = "our own cap" if windows[0].ours else "the broker's limit"
        return f"{named}: {windows[0].limit} in {windows[0].name}, {whose}, are used; {when}"

    def pause(self, now_ns: int, chance: Chance) -> None:
        """Dhan said "too often". Answers of one burst are one reason to pause, not several."""
        self.throttled += 1
        if not self.tried:
            return
        self.tried = False
        self.level = 1 if now_ns >= self.paused_ns + QUIET_NS else self.level + 1
        pause_ns = self.backoff.pause_ns(self.level, slow=False, chance=chance)
        self.paused_ns = max(self.paused_ns, now_ns + pause_ns)
        self.exits_paused_ns = now_ns + min(pause_ns, EXIT_PAUSE_NS)

    def _new_key(self, key: str, now_ns: int) -> tuple[_Count, ...]:
        if len(self.keys) >= MOST_KEYS:
            self.keys = {
                old: counts for old, counts in self.keys.items() if any(count.used(now_ns) for count in counts)
            }
        self.keys[key] = tuple(_Count(window) for window in self.key_windows)
        return self.keys[key]


class _Waiter:
    """A request that waits. Its ``place`` becomes "" when it is given, the reason when it is not."""

    __slots__ = ("budget", "deadline_ns", "key", "number", "place", "priority")

    def __init__(
        self, number: int, budget: _Budget, priority: Priority, key: str, deadline_ns: int, place: asyncio.Future[str]
    ) -> None:
        self.number = number
        self.budget = budget
        self.priority = priority
        self.key = key
        self.deadline_ns = deadline_ns
        self.place = place

    def room_ns(self) -> int:
        return self.budget.room_ns(self.priority, self.key)

    def turn(self) -> tuple[Priority, int]:
        return self.priority, self.number


class Limiter:
    """The request budget of one account. For one event loop; time only by the clock given.

    ``on_throttled`` is called with each "too often" of the broker; `usage` says where everything stands.
    """

    def __init__(
        self,
        clock: Clock,
        chance: Chance,
        windows: tuple[Window, ...] = WINDOWS,
        on_throttled: Callable[[Throttled], None] | None = None,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._on_throttled = on_throttled
        counts = [_Count(window) for window in windows if not window.per_key]
        self._budgets = {
            family: _Budget(
                family,
                tuple(count for count in counts if family in count.window.families),
                tuple(window for window in windows if window.per_key and family in window.families),
            )
            for family in Family
        }
        self._queues: dict[tuple[Family, str, Priority], deque[_Waiter]] = {}
        self._deadlines: list[tuple[int, int, _Waiter]] = []
        self._numbers = 0
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_ns = 0
        self._modifications: dict[str, int] = {}

    def now_ns(self) -> int:
        """The time by which deadlines are given."""
        return self._clock.now_ns()

    def take(self, family: Family, priority: Priority, key: str = "") -> bool:
        """Take a place at once, if there is one that nobody who waits has a claim on. Costs no turn of the loop."""
        budget = self._budgets[family]
        now_ns = self._clock.now_ns()
        if self._queues:
            self._serve(now_ns)  # who waits and could go goes first; who is left has no use for this place
        if budget.room_ns(priority, key) > now_ns:
            return False
        budget.add(key, now_ns)
        return True

    async def admit(self, family: Family, priority: Priority, key: str = "", deadline_ns: int | None = None) -> None:
        """Wait for a place until ``deadline_ns``, or for `MOST_WAIT_NS` where none is given.

        Raises `HeldBack` when there was none, at once when none can come before the deadline. A place is used up by
        who is cancelled in the very moment of getting it: counting one too many is safe.
        """
        if self.take(family, priority, key):
            return
        budget, now_ns = self._budgets[family], self._clock.now_ns()
        deadline_ns = now_ns + MOST_WAIT_NS if deadline_ns is None else deadline_ns
        if budget.room_ns(priority, key) > deadline_ns:
            raise HeldBack(budget.full(priority, key, now_ns))
        self._numbers += 1
        place: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(self._numbers, budget, priority, key, deadline_ns, place)
        self._queues.setdefault((family, key, priority), deque()).append(waiter)
        heapq.heappush(self._deadlines, (deadline_ns, waiter.number, waiter))
        self._set_alarm()
        try:
            refused = await place
        finally:
            self._set_alarm()
        if refused:
            raise HeldBack(refused)

    def throttled(self, family: Family, key: str = "") -> None:
        """The broker answered a request of this family with "too often": the family pauses."""
        budget, now_ns = self._budgets[family], self._clock.now_ns()
        budget.pause(now_ns, self._chance)
        if self._on_throttled is not None:
            self._on_throttled(
                Throttled(family, key, now_ns, budget.paused_ns, budget.exits_paused_ns, budget.throttled)
            )

    def take_modification(self, order_id: str, priority: Priority) -> bool:
        """Count a change of an order, if it has one left: 25, the last five of them for exits only."""
        done = self._modifications.pop(order_id, 0)
        kept = 0 if priority is Priority.EXIT else KEPT_MODIFICATIONS
        allowed = done < MOST_MODIFICATIONS - kept
        self._modifications[order_id] = done + allowed
        if len(self._modifications) > MOST_ORDERS:
            del self._modifications[next(iter(self._modifications))]  # the one not touched for longest
        return allowed

    def return_modification(self, order_id: str) -> None:
        """A change that was counted and never left."""
        self._modifications[order_id] = max(self.modifications(order_id) - 1, 0)

    def no_modification(self, order_id: str) -> str:
        """Why `take_modification` said no, in numbers."""
        done = self.modifications(order_id)
        kept = f", the last {KEPT_MODIFICATIONS} of them kept for exits" if done < MOST_MODIFICATIONS else ""
        return f"order {order_id} was changed {done} times and the broker allows {MOST_MODIFICATIONS}{kept}"

    def modifications(self, order_id: str) -> int:
        """How often this order was changed."""
        return self._modifications.get(order_id, 0)

    def usage(self) -> tuple[Usage, ...]:
        """Every window as it stands now, and of the windows per key those in use."""
        now_ns = self._clock.now_ns()
        return tuple(row for budget in self._budgets.values() for row in self._usage_of(budget, now_ns))

    def _usage_of(self, budget: _Budget, now_ns: int) -> Iterator[Usage]:
        def row(key: str, waiting: int, window: Window | None, used: int) -> Usage:
            name, ours, limit = (window.name, window.ours, window.limit) if window else ("", False, 0)
            return Usage(budget.family, key, name, ours, used, limit, waiting, budget.paused_ns, budget.throttled)

        waiting: dict[str, int] = {}
        for (family, key, _), queue in self._queues.items():
            if family is budget.family:
                waiting[key] = waiting.get(key, 0) + sum(not waiter.place.done() for waiter in queue)
        everybody = sum(waiting.values())
        if not budget.all_counts and not budget.key_windows:
            yield row("", everybody, None, 0)
        for count in budget.all_counts:
            yield row("", everybody, count.window, count.used(now_ns))
        for key, counts in budget.keys.items():
            for count in counts:
                if (used := count.used(now_ns)) or waiting.get(key):
                    yield row(key, waiting.get(key, 0), count.window, used)

    def _first_of_each(self) -> list[_Waiter]:
        """The heads of the queues in the order of their turns; who gave up is forgotten."""
        for name, queue in list(self._queues.items()):
            while queue and queue[0].place.done():
                queue.popleft()
            if not queue:
                del self._queues[name]
        return sorted((queue[0] for queue in self._queues.values()), key=_Waiter.turn)

    def _serve(self, now_ns: int) -> None:
        """Give a place to everybody who can have one, in order."""
        while (waiter := next((one for one in self._first_of_each() if one.room_ns() <= now_ns), None)) is not None:
            waiter.budget.add(waiter.key, now_ns)
            waiter.place.set_result("")

    def _turn_away(self, now_ns: int) -> None:
        """Refuse those whose deadline has come."""
        deadlines = self._deadlines
        while deadlines and (deadlines[0][2].place.done() or deadlines[0][0] <= now_ns):
            waiter = heapq.heappop(deadlines)[2]
            if not waiter.place.done():
                waiter.place.set_result(waiter.budget.full(waiter.priority, waiter.key, now_ns))

    def _set_alarm(self) -> None:
        """Have one task awake at the next place or deadline of those who wait; none when nobody does."""
        waits = bool(self._first_of_each())
        if not waits:
            self._deadlines.clear()
        stale = self._alarm is not None and (not waits or self._next_ns() < self._alarm_ns)
        if self._alarm is not None and (stale or self._alarm.done()):
            self._alarm.cancel()
            self._alarm = None
        if waits and self._alarm is None:
            self._alarm_ns = self._next_ns()
            self._alarm = asyncio.ensure_future(self._watch())
            self._alarm.add_done_callback(self._watched)

    def _next_ns(self) -> int:
        return min(self._deadlines[0][0], *(waiter.room_ns() for waiter in self._first_of_each()))

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep_until(self._alarm_ns)
            now_ns = self._clock.now_ns()
            self._serve(now_ns)
            self._turn_away(now_ns)
            if not self._first_of_each():
                return
            self._alarm_ns = self._next_ns()

    def _watched(self, alarm: asyncio.Task[None]) -> None:
        """Nobody waits on a clock that failed: they fail with it."""
        fault = None if alarm.cancelled() else alarm.exception()
        if fault is not None:
            for queue in self._queues.values():
                for waiter in queue:
                    if not waiter.place.done():
                        waiter.place.set_exception(fault)
