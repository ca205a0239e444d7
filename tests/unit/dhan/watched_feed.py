"""A feed against a server of the tests, with time moved by hand and everything it says kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.line import Gap, LineRules
from algo_scalper.adapters.dhan.packets import Buffer
from algo_scalper.adapters.dhan.subscriptions import Mode
from algo_scalper.adapters.dhan.waiting import Backoff
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import Half, HandClock, SocketServer, ended, settings_for

OPTION = instrument_key(Segment.NSE_FNO, 40472)
TICK = Tick(0, NIFTY.key, 1_795_000_000, 2_420_005)
RULES = LineRules(
    handshake_ns=12 * NS_PER_SECOND,
    silence_ns=30 * NS_PER_SECOND,
    backoff=Backoff(NS_PER_SECOND, 16 * NS_PER_SECOND, 60 * NS_PER_SECOND, 240 * NS_PER_SECOND),
)


class Watched:
    """A feed against a server, and everything it said."""

    def __init__(
        self, server: SocketServer, *, held: bool = False, open_market: bool = True, least_mode: Mode = Mode.TICKER
    ) -> None:
        self.clock = HandClock()
        self.settings = settings_for(socket_url=server.url)
        self.messages: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()
        self.held: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.restored: asyncio.Queue[Gap] = asyncio.Queue()
        self.open_market = open_market
        self.handle: Callable[[Buffer, int], None] = lambda message, at_ns: self.messages.put_nowait(
            (bytes(message), at_ns)
        )
        self.feed = DhanFeed(
            self.settings,
            self.clock,
            Half(),
            on_message=self._hear,
            on_lost=self.lost.put_nowait,
            on_restored=self.restored.put_nowait,
            expects_data=lambda _now_ns: self.open_market,
            frame_gate=(lambda kind, payload: self.held.put_nowait((kind, payload))) if held else None,
            rules=RULES,
            least_mode=least_mode,
        )

    def _hear(self, message: Buffer, at_ns: int) -> None:
        self.handle(message, at_ns)


@contextlib.asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(watched.feed.run())
    try:
        async with asyncio.timeout(60):
            yield task
    finally:
        await ended(task)
