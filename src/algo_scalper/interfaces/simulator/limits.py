"""Dhan's rate limits, counted in the simulator's own time: per client, over sliding windows."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND


class Family(StrEnum):
    """Which budget a request is taken from."""

    ORDER = "order"
    DATA = "data"
    QUOTE = "quote"
    CHAIN = "chain"
    NON_TRADING = "non_trading"


_LIMITS: dict[Family, tuple[tuple[int, int], ...]] = {
    Family.ORDER: ((10, NS_PER_SECOND), (250, NS_PER_MINUTE), (1_000, 60 * NS_PER_MINUTE), (7_000, NS_PER_DAY)),
    Family.DATA: ((5, NS_PER_SECOND), (100_000, NS_PER_DAY)),
    Family.QUOTE: ((1, NS_PER_SECOND),),
    Family.CHAIN: ((1, 3 * NS_PER_SECOND),),
    Family.NON_TRADING: ((20, NS_PER_SECOND),),
}
"""(requests, window); the official table, plus the option chain's one request per 3 s and unique contract series."""


class RateLimits:
    """One client's recent requests. ``key`` separates budgets within a family: the chain's (underlying, expiry)."""

    def __init__(self) -> None:
        self._taken: dict[tuple[Family, str], deque[int]] = {}
        self.refused = 0

    def take(self, family: Family, at_ns: int, key: str = "") -> bool:
        """Is there budget left at ``at_ns``? If so it is spent; a refused request spends nothing."""
        taken = self._taken.setdefault((family, key), deque())
        longest = _LIMITS[family][-1][1]
        while taken and taken[0] <= at_ns - longest:
            taken.popleft()
        for requests, window_ns in _LIMITS[family]:
            if len(taken) >= requests and taken[-requests] > at_ns - window_ns:
                self.refused += 1
                return False
        taken.append(at_ns)
        return True
