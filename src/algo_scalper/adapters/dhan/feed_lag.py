"""How far behind the exchange the feed is, measured by the packets that carry a trade.

The wire has one clock only, the time of the last trade (LTT), in whole seconds. A packet says something about delay
only when it tells of a trade nobody has told yet: its instrument was heard before, and its LTT is later than any other.
Everything else has an old LTT for good reasons: a snapshot on subscribing, a book that changed without a trade, an index
that stands still before the closing auction. Those are not measured, so they never look like a delay.
"""

from __future__ import annotations

from collections import deque

from algo_scalper.domain.units import NS_PER_SECOND

WINDOW_S = 60
AHEAD_S = 60
"""An exchange time so far ahead of ours is not one: it would stop all measuring until it comes."""


class FeedLag:
    """The delay now and the worst of the last minute; a lower bound, since a trade's time has no fraction."""

    def __init__(self) -> None:
        self.newest_s = 0
        """The latest trade heard of; callers ask for `note` only when theirs is later."""
        self.current_ns = 0
        self._known: set[int] = set()
        self._worst: deque[tuple[int, int]] = deque()
        """``(second, worst of it)``: at most one for each second of the window."""

    def note(self, key: int, exchange_s: int, at_ns: int) -> None:
        """A packet of ``key`` with a last trade at ``exchange_s`` was received at ``at_ns``."""
        if exchange_s <= self.newest_s or exchange_s * NS_PER_SECOND > at_ns + AHEAD_S * NS_PER_SECOND:
            return
        self.newest_s = exchange_s
        if key not in self._known:
            self._known.add(key)
            return
        self.current_ns = lag_ns = max(0, at_ns - (exchange_s + 1) * NS_PER_SECOND)
        second = at_ns // NS_PER_SECOND
        if self._worst and self._worst[-1][0] == second:
            lag_ns = max(lag_ns, self._worst.pop()[1])
        self._worst.append((second, lag_ns))
        self._forget(second)

    def begin_anew(self) -> None:
        """The feed was lost and is back: what comes first is snapshots."""
        self._known.clear()

    def worst_ns(self, now_ns: int) -> int:
        """The worst of the last minute; 0 when nothing could be measured in it."""
        self._forget(now_ns // NS_PER_SECOND)
        return max((lag_ns for _, lag_ns in self._worst), default=0)

    def _forget(self, second: int) -> None:
        while self._worst and self._worst[0][0] <= second - WINDOW_S:
            self._worst.popleft()
