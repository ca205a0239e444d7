"""The two sockets of a session: which of them it needs, up before the first event, and renewed with every new token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.order_stream import DhanOrderStream
from algo_scalper.domain.errors import BrokerError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.real_market import DhanMarket

CONNECT_WITHIN_NS = 10 * NS_PER_SECOND
FEEDS = ("market", "orders")


class Feeds:
    """The market feed and the order feed; the latter is not needed on paper."""

    def __init__(self, market: DhanFeed, orders: DhanOrderStream, real: DhanMarket | None, *, on_paper: bool) -> None:
        """``real`` says which of them a setting has switched off; with a simulator, None, all are on."""
        self.market = market
        self.orders = orders
        self._real = real
        self._on_paper = on_paper

    def switched_off(self, feed: str) -> str:
        """Which setting has switched this one of `FEEDS` off; empty when none has."""
        if self._real is None:
            return ""
        return self._real.feed_off if feed == "market" else self._real.order_feed_off

    @property
    def needed(self) -> list[DhanFeed | DhanOrderStream]:
        """Those that run."""
        sockets: list[DhanFeed | DhanOrderStream] = []
        if not self.switched_off("market"):
            sockets.append(self.market)
        if not self._on_paper and not self.switched_off("orders"):
            sockets.append(self.orders)
        return sockets

    def run(self, spawn: Callable[[Coroutine[None, None, None]], None]) -> None:
        """Connect, and again after every loss."""
        for socket in self.needed:
            spawn(socket.run())

    async def wait_up(self, clock: Clock) -> None:
        """Return when all that are needed are up. Raises `BrokerError` naming the one that is not, and the remedy."""
        limit = asyncio.ensure_future(clock.sleep_until(clock.now_ns() + CONNECT_WITHIN_NS))
        up = asyncio.ensure_future(self._all_up())
        await asyncio.wait([up, limit], return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        if not up.done():
            up.cancel()
            which = self.orders if self.market.is_up else self.market
            remedy = "see scalper doctor" if self._real is not None else "is the simulator running?"
            raise BrokerError(f"{which} did not come up within 10 s ({which.last_loss}); {remedy}")

    async def _all_up(self) -> None:
        for socket in self.needed:
            await socket.wait_up()

    async def log_in_again(self, alarm: Callable[[str, str], None]) -> None:
        """With the new token: each makes its new connection before it gives up the old one."""
        for socket in self.needed:
            try:
                await socket.renew()
            except BrokerError as fault:
                alarm("token", f"the new token is refused and the old connection kept: {fault}")
