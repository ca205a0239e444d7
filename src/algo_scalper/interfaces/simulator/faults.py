"""Faults that can be switched on from outside: what is broken now, and the JSON that breaks it.

All durations are seconds of the simulator's own time.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from algo_scalper.domain.units import NS_PER_SECOND


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


class Hand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person in the broker's own app. With both, the sale follows the cancel by a second."""

    cancel_floor: bool = False
    """Cancel resting sells."""
    sell: int | str = 0
    """Contracts to sell of what is held, or ``"all"``."""
    security_id: int = 0
    """Only this contract; 0 for whatever is there."""


class FaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /sim/faults``. Everything is optional; ``at_ns`` puts it off to an instant of the simulator's time."""

    at_ns: int = 0
    drop_feeds: bool = False
    drop_order_sockets: bool = False
    token: TokenState | None = None
    refuse_feeds: FeedRefusal | None = None
    stall_feed_s: float = 0.0
    freeze_s: float = 0.0
    lose_before: int | None = None
    lose_after: int | None = None
    reject_next: int | None = None
    reject_text: str = ""
    hand: Hand | None = None
    clear: bool = False


class Faults(msgspec.Struct):
    """What is broken now."""

    token: TokenState = TokenState.GOOD
    refuse_feeds: FeedRefusal = FeedRefusal.NO
    stalled_until_ns: int = 0
    """The feed is connected and says nothing before this."""
    frozen_until_ns: int = 0
    """Nothing is answered or sent before this."""
    lose_before: int = 0
    """So many order requests more are lost on the way in."""
    lose_after: int = 0
    """So many answers to order requests more are lost on the way out."""
    reject_next: int = 0
    reject_text: str = ""

    def apply(self, request: FaultRequest, now_ns: int) -> None:
        """Switch on what the request names."""
        if request.clear:
            clean = Faults()
            for field in self.__struct_fields__:
                setattr(self, field, getattr(clean, field))
        if request.token is not None:
            self.token = request.token
        if request.refuse_feeds is not None:
            self.refuse_feeds = request.refuse_feeds
        if request.stall_feed_s:
            self.stalled_until_ns = now_ns + round(request.stall_feed_s * NS_PER_SECOND)
        if request.freeze_s:
            self.frozen_until_ns = now_ns + round(request.freeze_s * NS_PER_SECOND)
        if request.lose_before is not None:
            self.lose_before = request.lose_before
        if request.lose_after is not None:
            self.lose_after = request.lose_after
        if request.reject_next is not None:
            self.reject_next = request.reject_next
            self.reject_text = request.reject_text or "RMS:Rejected by the simulator on request"

    def frozen(self, now_ns: int) -> bool:
        """Does the server answer nobody?"""
        return now_ns < self.frozen_until_ns

    def feed_silent(self, now_ns: int) -> bool:
        """Do feed packets stay unsent?"""
        return now_ns < max(self.stalled_until_ns, self.frozen_until_ns)
