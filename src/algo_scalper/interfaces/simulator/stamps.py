"""What the broker's clock said: the market's time, and how far the clock was off when something was stamped.

A stamp is made once. One that was written while the clock was wrong stays wrong when the clock is put right.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime

from algo_scalper.domain.units import IST_OFFSET_NS, NS_PER_SECOND

NEVER = "0001-01-01 00:00:00"


def ist_text(at_ns: int) -> str:
    """``2026-11-23 10:42:07`` in IST; the never-sentinel for 0."""
    if not at_ns:
        return NEVER
    return datetime.fromtimestamp((at_ns + IST_OFFSET_NS) // NS_PER_SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


class Stamps:
    """One account's times as they are told."""

    def __init__(self) -> None:
        self._from_ns = [0]
        self._skew_ns = [0]

    def skew(self, from_ns: int, skew_ns: int) -> None:
        """From this instant on, not before any earlier one, the clock is ahead by ``skew_ns``, or behind (below 0)."""
        if skew_ns != self._skew_ns[-1]:
            self._from_ns.append(from_ns)
            self._skew_ns.append(skew_ns)

    @property
    def now_skew_s(self) -> int:
        """How far the clock is off now, in whole seconds."""
        return round(self._skew_ns[-1] / NS_PER_SECOND)

    def at(self, at_ns: int) -> int:
        """The instant the clock showed at ``at_ns``; 0, which is never, stays 0."""
        return at_ns + self._skew_ns[bisect_right(self._from_ns, at_ns) - 1] if at_ns else 0

    def text(self, at_ns: int) -> str:
        """The same as rows tell it."""
        return ist_text(self.at(at_ns))
