"""``/sim/clock``: the socket by which an engine learns the market's time, and in stepped time moves it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from algo_scalper.domain.errors import ConfigError
from algo_scalper.interfaces.simulator.brokerage import Brokerage
from algo_scalper.interfaces.simulator.clock import MarketTime, Ready
from algo_scalper.interfaces.simulator.connections import Connections
from algo_scalper.interfaces.simulator.outbox import End, Outbox


class _Attach(msgspec.Struct, frozen=True):
    stepped: bool = False
    client_id: str = ""
    downtime_ns: int = 0


class _Word(msgspec.Struct, frozen=True):
    attach: _Attach | None = None
    now: bool = False
    ready: Ready | None = None


class ClockSocket:
    """What is said on it, in both directions."""

    def __init__(self, brokerage: Brokerage, time: MarketTime, connections: Connections) -> None:
        self._brokerage = brokerage
        self._time = time
        self._connections = connections

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection; when a stepped engine's ends, time stands still."""
        socket = await self._connections.accept(request)
        outbox = Outbox()

        def text(data: str) -> None:
            try:
                word = msgspec.json.decode(data, type=_Word)
            except msgspec.DecodeError as torn:
                outbox.put(_json({"error": f"not a word of this socket: {torn}"}))
                return
            self._heard(outbox, word)

        try:
            await self._connections.converse(request, socket, outbox, text)
        finally:
            if self._time.stepped is not None:
                self._time.stepped.detach(outbox)
        return socket

    def _heard(self, outbox: Outbox, word: _Word) -> None:
        stepped = self._time.stepped
        if word.attach is not None:
            refusal = self._attach(outbox, word.attach)
            if refusal:
                outbox.put(_json({"error": refusal}))
                outbox.end(End.CLOSE)
                return
            self._time.begin()
            outbox.put(_json({"hello": self._hello()}))
        if word.now:
            outbox.put(_json({"now": self._time.now_ns()}))
        if word.ready is not None and stepped is not None:
            stepped.ready(word.ready)

    def _attach(self, outbox: Outbox, attach: _Attach) -> str:
        """Greet an engine, and let it drive time if both are for that; why not, else empty."""
        try:
            venue = self._brokerage.named(attach.client_id)
        except ConfigError as unknown:
            return str(unknown)
        stepped = self._time.stepped
        if stepped is None or not attach.stepped:
            return ""
        if stepped.attached:
            return "another engine is attached"
        stepped.attach(outbox, venue, attach.downtime_ns)
        return ""

    def _hello(self) -> dict[str, object]:
        desk = self._brokerage.first.desk
        return {
            "mode": self._time.mode,
            "now_ns": self._time.now_ns(),
            "rate": self._time.rate,
            "day": desk.day.isoformat(),
            "market": "SIMULATED",
            "close_ns": desk.close_ns,
        }


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()
