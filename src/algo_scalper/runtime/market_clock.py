"""What time the market has: this machine's, or a running simulator's."""

from __future__ import annotations

import aiohttp
import msgspec

from algo_scalper.domain.errors import BrokerUnreachable
from algo_scalper.domain.ports import Clock
from algo_scalper.runtime.clock import PacedClock, SystemClock

SLOWEST_RATE = 0.001
"""A simulator that stands still between steps: for a question or two its time hardly moves."""


class _Status(msgspec.Struct, frozen=True):
    now_ns: int
    rate: float


async def market_clock(sim_url: str | None, system: SystemClock) -> Clock:
    """The simulator's clock where one is named. Raises `BrokerUnreachable` when no simulator answers there."""
    if sim_url is None:
        return system
    url = f"{sim_url.rstrip('/')}/sim/status"
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            found = msgspec.json.decode(await answer.read(), type=_Status)
    except (aiohttp.ClientError, OSError, msgspec.DecodeError):
        raise BrokerUnreachable(f"no simulator answers at {sim_url}; start one with: scalper sim") from None
    return PacedClock(found.now_ns, max(found.rate, SLOWEST_RATE), system)
