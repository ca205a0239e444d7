"""The simulator's two ways of passing time.

*Paced*: virtual time follows a real clock at a rate, for people to watch. *Stepped*: virtual time stands still until
the attached engine says it is ready, then moves to the next instant at which anything happens; nothing depends on how
fast either process runs.
"""

from __future__ import annotations

import asyncio

import msgspec

from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.simulator.brokerage import Brokerage
from algo_scalper.interfaces.simulator.outbox import Outbox
from algo_scalper.interfaces.simulator.venue import LOST, Inquiry, Venue
from algo_scalper.runtime.clock import first_of, settle

AT_ONCE_NS = 10 * NS_PER_MS
"""Real time spent on steps before other tasks get their turn."""
MOST_BEHIND_NS = NS_PER_SECOND // 2
"""Real time the market may lag before its clock slips instead of chasing."""


class PacedTime:
    """Virtual time at ``rate`` times the clock's, from the first connection on."""

    def __init__(self, brokerage: Brokerage, clock: Clock, rate: float) -> None:
        self._brokerage = brokerage
        self._clock = clock
        self._rate = rate
        self._anchor_real_ns = 0
        self._anchor_ns = brokerage.now_ns
        self._wake = asyncio.Event()
        self.slipped_ns = 0
        """Virtual time given up because the machine was too slow for the rate."""
        brokerage.on_schedule(self._wake.set)

    def begin(self) -> None:
        """Somebody is here: time starts, if it has not."""
        if not self._brokerage.time_runs:
            self._brokerage.start_time()
            self._anchor_real_ns = self._clock.now_ns()
            self._anchor_ns = self._brokerage.now_ns
            self._wake.set()

    def now_ns(self) -> int:
        """Virtual time by the clock; the world may still be on its way there."""
        if not self._brokerage.time_runs:
            return self._anchor_ns
        return self._anchor_ns + round((self._clock.now_ns() - self._anchor_real_ns) * self._rate)

    def catch_up(self) -> bool:
        """Bring the world to now, so that what comes in is stamped with the right time; False if it is not there yet."""
        if not self._brokerage.time_runs:
            return True
        now_ns, began_ns = self.now_ns(), self._clock.now_ns()
        if self._brokerage.run_until(now_ns, lambda: self._clock.now_ns() - began_ns < AT_ONCE_NS):
            return True
        behind_ns = now_ns - self._brokerage.now_ns
        if behind_ns > MOST_BEHIND_NS * self._rate:
            self.slipped_ns += behind_ns
            self._anchor_ns -= behind_ns
        return False

    async def run(self) -> None:
        """Keep the world at now, for ever."""
        while True:
            self._wake.clear()
            if not self.catch_up():
                await settle(1)
                continue
            next_ns = self._brokerage.next_ns() if self._brokerage.time_runs else None
            if next_ns is None:
                await self._wake.wait()
            else:
                await self._sleep_to(next_ns)

    async def _sleep_to(self, virtual_ns: int) -> None:
        """Until the clock reaches ``virtual_ns``, or something earlier becomes due."""
        real_ns = self._anchor_real_ns - round((self._anchor_ns - virtual_ns) / self._rate)
        await first_of(self._clock.sleep_until(real_ns), self._wake.wait())


class Ready(msgspec.Struct, frozen=True):
    """The engine has handled everything and waits: what it has sent so far, and when its next timer is due."""

    requests: int = 0
    feed: int = 0
    orders: int = 0
    next_wake_ns: int | None = None


class SteppedTime:
    """Virtual time that moves only between two words of the attached engine."""

    def __init__(self, brokerage: Brokerage) -> None:
        self._brokerage = brokerage
        self._engine: Outbox | None = None
        self._ready: Ready | None = None
        self._pending: dict[int, Inquiry] = {}
        self._seen: set[int] = set()

    @property
    def attached(self) -> bool:
        """Does an engine drive time now?"""
        return self._engine is not None

    def attach(self, outbox: Outbox, venue: Venue, downtime_ns: int) -> None:
        """An engine of ``venue`` takes over; first the world goes on for ``downtime_ns`` with nobody listening."""
        self._brokerage.run_until(self._brokerage.now_ns + downtime_ns, lambda: True)
        self._brokerage.attached(venue)
        self._seen.clear()
        self._engine = outbox
        self._ready = None

    def detach(self, outbox: Outbox) -> None:
        """The engine's clock socket is closed: time stands still, what was owed to it is dropped."""
        if self._engine is not outbox:
            return
        self._engine = None
        self._ready = None
        self._brokerage.driven.detached()
        pending, self._pending = self._pending, {}
        for inquiry in pending.values():
            inquiry.written.set_result(LOST)

    def take(self, inquiry: Inquiry) -> None:
        """A request of the attached engine: it is sent when the engine is ready, in the order of its number."""
        if inquiry.sequence in self._seen:
            # HTTP libraries ask again by themselves when a connection is lost; the engine has been told already.
            inquiry.written.set_result(LOST)
            return
        self._seen.add(inquiry.sequence)
        inquiry.engine = self._brokerage.driven.engine
        self._pending[inquiry.sequence] = inquiry
        self._brokerage.driven.sockets.counters.requests += 1
        self.progress()

    def ready(self, ready: Ready) -> None:
        """The engine's word."""
        self._ready = ready
        self.progress()

    def progress(self) -> None:
        """Step, if the engine is ready and everything it sent has arrived."""
        ready, engine, counters = self._ready, self._engine, self._brokerage.driven.sockets.counters
        if ready is None or engine is None:
            return
        arrived = (counters.requests, counters.feed_in, counters.orders_in)
        if arrived[0] < ready.requests or arrived[1] < ready.feed or arrived[2] < ready.orders:
            return
        self._ready = None
        for sequence in sorted(self._pending):
            self._brokerage.take(self._pending.pop(sequence))
        instants = [at_ns for at_ns in (self._brokerage.next_ns(), ready.next_wake_ns) if at_ns is not None]
        if not instants:
            engine.put(msgspec.json.encode({"end": {"at_ns": self._brokerage.now_ns}}).decode())
            return
        at_ns = max(min(instants), self._brokerage.now_ns)
        done = self._brokerage.step(at_ns)
        told = {
            "at_ns": at_ns,
            "feed": counters.feed_out,
            "orders": counters.orders_out,
            "answers": done.answered,
            "lost": done.lost,
        }
        engine.put(msgspec.json.encode({"step": told}).decode())


class MarketTime:
    """Whichever of the two ways a simulator passes its time in."""

    def __init__(self, brokerage: Brokerage, clock: Clock, rate: float, *, is_stepped: bool) -> None:
        self._brokerage = brokerage
        self.stepped = SteppedTime(brokerage) if is_stepped else None
        self.paced = None if is_stepped else PacedTime(brokerage, clock, rate)
        self.rate = 0.0 if is_stepped else rate
        """Virtual seconds per real second; 0 in stepped time."""

    @property
    def mode(self) -> str:
        """``paced`` or ``stepped``."""
        return "paced" if self.paced is not None else "stepped"

    @property
    def slipped_ns(self) -> int:
        """Virtual time given up because the machine was too slow for the rate."""
        return self.paced.slipped_ns if self.paced is not None else 0

    @property
    def is_driven(self) -> bool:
        """Is a stepped engine attached?"""
        return self.stepped is not None and self.stepped.attached

    def now_ns(self) -> int:
        """Virtual time."""
        return self.paced.now_ns() if self.paced is not None else self._brokerage.now_ns

    def begin(self) -> None:
        """Somebody is here: paced time starts, if it has not."""
        if self.paced is not None:
            self.paced.begin()

    def catch_up(self) -> None:
        """Bring a paced world to now."""
        if self.paced is not None:
            self.paced.catch_up()

    def progress(self) -> None:
        """Something came in: a stepped engine may be waiting for it."""
        if self.stepped is not None:
            self.stepped.progress()

    def take(self, inquiry: Inquiry, sequence: str, *, acts: bool) -> None:
        """Have a request answered at its time. Paced time begins with the first one that ``acts`` on an account."""
        venue = self._brokerage.of_call(inquiry.call)
        if (
            self.stepped is not None
            and self.stepped.attached
            and venue is self._brokerage.driven
            and sequence.isdigit()
        ):
            inquiry.sequence = int(sequence)
            self.stepped.take(inquiry)
            return
        if acts:
            self.begin()
        self.catch_up()
        venue.take(inquiry)
