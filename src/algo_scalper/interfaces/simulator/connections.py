"""One WebSocket, from its handshake to its end: what comes in is read, an `Outbox` is emptied, silence is noticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.http_answers import hang_up
from algo_scalper.interfaces.simulator.outbox import End, Outbox
from algo_scalper.interfaces.simulator.recording import Recorder

PING_EVERY_NS = 10 * NS_PER_SECOND
PONG_WITHIN_NS = 40 * NS_PER_SECOND

log = logging.getLogger(__name__)


class Connections:
    """All WebSockets of a simulator."""

    def __init__(self, clock: Clock, recorder: Recorder | None) -> None:
        self._clock = clock
        self._recorder = recorder
        self._made = 0

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        """The handshake."""
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        return socket

    async def converse(
        self, request: web.Request, socket: web.WebSocketResponse, outbox: Outbox, text: Callable[[str], None]
    ) -> None:
        """Read until the other side leaves; binary input is ignored, as the old SDK's farewell is by the real server."""
        heard = [self._clock.now_ns()]
        tasks = [
            asyncio.create_task(self._write(request, socket, outbox)),
            asyncio.create_task(self._ping(socket, outbox, heard)),
        ]
        try:
            async for message in socket:
                heard[0] = self._clock.now_ns()
                if message.type is WSMsgType.TEXT:
                    text(message.data)
                elif message.type is WSMsgType.PING:
                    await socket.pong(message.data)
        except ConnectionError:
            log.debug("a connection to %s was reset by its client", request.path)
        finally:
            outbox.end(End.RESET)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, request: web.Request, socket: web.WebSocketResponse, outbox: Outbox) -> None:
        """Empty the outbox into the socket until its end."""
        self._made += 1
        number, recorder = self._made, self._recorder
        with suppress(ConnectionError):
            while True:
                message = await outbox.take()
                if isinstance(message, End):
                    break
                if recorder is not None:
                    recorder.message(number, request.path, message)
                if isinstance(message, bytes):
                    await socket.send_bytes(message)
                else:
                    await socket.send_str(message)
            if message is End.CLOSE:
                await socket.close()
                return
            hang_up(request, message)
            return
        hang_up(request)

    async def _ping(self, socket: web.WebSocketResponse, outbox: Outbox, heard: list[int]) -> None:
        """Every ten seconds of real time; who has not been heard of for forty is dropped."""
        while not socket.closed:
            now_ns = self._clock.now_ns()
            await self._clock.sleep_until(now_ns + PING_EVERY_NS)
            if self._clock.now_ns() - heard[0] > PONG_WITHIN_NS:
                outbox.end(End.RESET)
                return
            with suppress(ConnectionError):
                await socket.ping()
