"""Faults that can be switched on from outside: what is broken now, and the JSON that breaks it.

All durations are seconds of the simulator's own time; delays are its milliseconds.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from math import exp, log
from typing import Annotated, Literal

import msgspec

from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, clock_text
from algo_scalper.simulation.mix import mix_all, normal

MOST_TOLD = 40
_P99_SDS = 2.3263478740408408
"""Standard deviations from the median of a normal distribution to its 99th percentile."""
_NO_TEXT = "RMS:Rejected by the simulator on request"

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Times = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Instant = Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800 * NS_PER_SECOND)]


class FeedRefusal(StrEnum):
    """How the feed turns a new connection away; all three are seen in the wild."""

    NO = "no"
    DISCONNECT = "disconnect"
    TOO_MANY_REQUESTS = "429"
    RESET = "reset"


class TokenState(StrEnum):
    """Is the account's token accepted?"""

    GOOD = "good"
    DEAD = "dead"


class Delay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much longer something takes: log-normal around a median. Without a 99th percentile all take the median."""

    ms: Annotated[float, msgspec.Meta(ge=0, le=3_600_000)] = 0.0
    p99_ms: Annotated[float, msgspec.Meta(ge=0, le=3_600_000)] = 0.0

    def draw_ns(self, seed: int, number: int) -> int:
        """The delay of the ``number``-th thing, in ns; the same for the same seed."""
        if not self.ms or self.p99_ms <= self.ms:
            return round(self.ms * NS_PER_MS)
        deviation = log(self.p99_ms / self.ms) / _P99_SDS
        return round(self.ms * exp(deviation * normal(mix_all(seed, number))) * NS_PER_MS)


NO_DELAY = Delay()


class Hand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person in the broker's own app. With a cancel, the order follows it by a second."""

    cancel_floor: bool = False
    """Cancel resting sells."""
    sell: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] | Literal["all"] = 0
    """Contracts to sell of what is held, or ``"all"``."""
    buy: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = 0
    """Contracts to buy more of what is held, or of ``security_id``."""
    security_id: int = 0
    """Only this contract; 0 for whatever is there."""


class FaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``POST /sim/faults``. Everything is optional. ``at_ns``, ``at`` (10:15:30 of the day) or ``after_s`` put it off."""

    at_ns: Instant = 0
    at: str = ""
    after_s: Seconds = 0.0
    account: str = ""
    """Whom it meets; empty: every account, and the first where it is one person's doing."""
    clear: bool = False
    """Everything works again, the account's own token too; applied before the rest of this request."""

    # Connections
    drop_feeds: bool = False
    """Market feed and depth: gone, without a close frame."""
    drop_order_sockets: bool = False
    hard: bool = False
    """With a drop or a restart: a TCP reset instead of the end of the stream."""
    refuse_feeds: FeedRefusal | None = None
    restart: bool = False
    """The broker's servers start again: every connection drops, what was asked stays unanswered, the books stay."""
    down_s: Seconds = 0.0
    """With ``restart``: nobody is let in for so long."""

    # The account
    token: TokenState | None = None
    mint: bool = False
    """Another token is made elsewhere: the one in use is dead."""
    refuse_ip: bool | None = None
    """Order requests are answered Invalid IP."""
    hand: Hand | None = None

    # Requests
    freeze_s: Seconds = 0.0
    slow_requests: Delay | None = None
    """On the way in: an order reaches the exchange this much later."""
    slow_answers: Delay | None = None
    """On the way out."""
    throttle_s: Seconds = 0.0
    """Every request that counts against a limit is answered 429."""
    lose_before: Times | None = None
    lose_after: Times | None = None
    reject_next: Times | None = None
    """The next order requests are answered 400 DH-906."""
    reject_text: str = ""
    refuse_next: Times | None = None
    """The next orders are taken, and REJECTED in the book."""
    refuse_text: str = ""
    """Its text; ``<orderId>`` in it becomes the order's number."""

    # Messages of sockets
    stall_feed_s: Seconds = 0.0
    slow_feed: Delay | None = None
    """Market feed and depth come late, in their order."""
    glue_feed_s: Seconds = 0.0
    """For so long, half a second's packets come in one message."""
    torn_feed: Times | None = None
    """So many feed messages more end in the middle of a packet."""
    stall_updates_s: Seconds = 0.0
    slow_updates: Delay | None = None
    drop_updates: Times | None = None
    duplicate_updates: Times | None = None
    reorder_updates: Times | None = None
    """So many updates more are overtaken by the one after, or come a second late."""
    glue_updates: Times | None = None
    """So many updates more share a message with the one after."""
    torn_updates: Times | None = None

    # The market
    thin_s: Seconds = 0.0
    """Books show, and orders meet, one lot at each level."""
    slow_fills_s: Seconds = 0.0
    """Nothing of ours trades, whatever is shown."""
    skew_s: Annotated[float, msgspec.Meta(ge=-86_400, le=86_400)] | None = None
    """The broker's clock: the Date of its answers and the trade time of its ticks."""


_COPIED = (
    "token",
    "refuse_feeds",
    "refuse_ip",
    "slow_requests",
    "slow_answers",
    "slow_feed",
    "slow_updates",
    "lose_before",
    "lose_after",
    "torn_feed",
    "drop_updates",
    "duplicate_updates",
    "reorder_updates",
    "glue_updates",
    "torn_updates",
    "skew_s",
)
"""Fields that stand in `Faults` as they were asked for."""
_LASTING = (
    ("stall_feed_s", "stalled_until_ns"),
    ("freeze_s", "frozen_until_ns"),
    ("throttle_s", "throttled_until_ns"),
    ("glue_feed_s", "glued_until_ns"),
    ("stall_updates_s", "updates_stalled_until_ns"),
    ("thin_s", "thin_until_ns"),
    ("slow_fills_s", "unfilled_until_ns"),
)
"""A duration that was asked for, and the instant it becomes."""


class Faults(msgspec.Struct):
    """What is broken now, and how often what was broken has met somebody."""

    token: TokenState = TokenState.GOOD
    refuse_feeds: FeedRefusal = FeedRefusal.NO
    refuse_ip: bool = False
    stalled_until_ns: int = 0
    """The feed is connected and says nothing before this."""
    frozen_until_ns: int = 0
    """Nothing is answered or sent before this."""
    throttled_until_ns: int = 0
    glued_until_ns: int = 0
    updates_stalled_until_ns: int = 0
    thin_until_ns: int = 0
    unfilled_until_ns: int = 0
    down_until_ns: int = 0
    """After a restart: nobody is let in before this."""
    slow_requests: Delay = NO_DELAY
    slow_answers: Delay = NO_DELAY
    slow_feed: Delay = NO_DELAY
    slow_updates: Delay = NO_DELAY
    lose_before: int = 0
    """So many order requests more are lost on the way in."""
    lose_after: int = 0
    """So many answers to order requests more are lost on the way out."""
    reject_next: int = 0
    reject_text: str = ""
    refuse_next: int = 0
    """So many orders more are taken and REJECTED; the exchange has the texts."""
    torn_feed: int = 0
    drop_updates: int = 0
    duplicate_updates: int = 0
    reorder_updates: int = 0
    glue_updates: int = 0
    torn_updates: int = 0
    skew_s: float = 0.0
    met: Counter[str] = msgspec.field(default_factory=Counter)
    """By fault: how many requests, messages or connections it has met since the start."""
    told: list[str] = []
    """The latest requests for faults, with the time at which each took effect."""

    def apply(self, request: FaultRequest, now_ns: int) -> None:
        """Switch on what the request names."""
        if request.clear:
            clean = Faults(met=self.met, told=self.told)
            for field in self.__struct_fields__:
                setattr(self, field, getattr(clean, field))
        for field in _COPIED:
            asked = getattr(request, field)
            if asked is not None:
                setattr(self, field, asked)
        for duration, until in _LASTING:
            seconds = getattr(request, duration)
            if seconds:
                setattr(self, until, now_ns + round(seconds * NS_PER_SECOND))
        if request.reject_next is not None:
            self.reject_next = request.reject_next
            self.reject_text = request.reject_text or _NO_TEXT
        if request.restart:
            self.down_until_ns = now_ns + round(request.down_s * NS_PER_SECOND)
        self.told.append(f"{clock_text(now_ns)} {said(request)}")
        del self.told[:-MOST_TOLD]

    def meet(self, fault: str) -> None:
        """This fault has met a request, a message or a connection."""
        self.met[fault] += 1

    def spend(self, fault: str) -> bool:
        """Is there one left of a fault that is asked for by number? Then it has met somebody."""
        left: int = getattr(self, fault)
        if left:
            setattr(self, fault, left - 1)
            self.met[fault] += 1
        return left > 0

    def frozen(self, now_ns: int) -> bool:
        """Does the server answer nobody?"""
        return now_ns < self.frozen_until_ns

    def down(self, now_ns: int) -> bool:
        """Is nobody let in?"""
        return now_ns < self.down_until_ns

    def throttled(self, now_ns: int) -> bool:
        """Is every request one too many?"""
        return now_ns < self.throttled_until_ns

    def feed_silent(self, now_ns: int) -> bool:
        """Do feed packets stay unsent?"""
        return now_ns < max(self.stalled_until_ns, self.frozen_until_ns)

    def updates_silent(self, now_ns: int) -> bool:
        """Do order updates stay unsent?"""
        return now_ns < max(self.updates_stalled_until_ns, self.frozen_until_ns)

    def lots_a_level(self, now_ns: int) -> int | None:
        """What orders meet at each level: nothing, one lot, or (None) all that is shown."""
        if now_ns < self.unfilled_until_ns:
            return 0
        return 1 if now_ns < self.thin_until_ns else None


def said(request: FaultRequest) -> str:
    """The request as it was written, without what it left out."""
    return msgspec.json.encode(request).decode()
