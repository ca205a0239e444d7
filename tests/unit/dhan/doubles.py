"""What the tests of the Dhan adapter share: a clock moved by hand, chance without chance, a WebSocket server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from algo_scalper.adapters.dhan.limits import NO_WINDOWS, Limiter
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.ports import Clock

START_NS = 1_795_000_000_000_000_000
TOKEN = "eyJ0eXAi.secret+token/="
CLIENT = "1100000001"


class HandClock:
    """A `Clock` that stands still until it is moved; sleepers wait for `advance`."""

    def __init__(self) -> None:
        self._now_ns = START_NS
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, at_ns: int) -> None:
        if at_ns <= self._now_ns:
            return
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((at_ns, sleeper))
        self._changed.set()
        await sleeper

    @property
    def wakes_ns(self) -> list[int]:
        """From now, ascending: when the sleepers that still sleep want to wake."""
        return sorted(at_ns - self._now_ns for at_ns, sleeper in self._sleepers if not sleeper.done())

    def advance(self, by_ns: int) -> None:
        self._now_ns += by_ns
        for at_ns, sleeper in self._sleepers:
            if at_ns <= self._now_ns and not sleeper.done():
                sleeper.set_result(None)
        self._sleepers = [pair for pair in self._sleepers if not pair[1].done()]

    async def slept(self, wanted: Callable[[int], bool]) -> int:
        """Wait until somebody sleeps for a time that is ``wanted``; that time from now."""
        while True:
            for wake_ns in self.wakes_ns:
                if wanted(wake_ns):
                    return wake_ns
            self._changed.clear()
            await self._changed.wait()


def uncounted(clock: Clock) -> Limiter:
    """A budget without limits: nobody waits for a clock that stands still."""
    return Limiter(clock, Half(), NO_WINDOWS)


class Half:
    """Chance that always says a half."""

    def random(self) -> float:
        return 0.5

    def gauss(self, mu: float, sigma: float) -> float:
        return mu

    def randrange(self, stop: int) -> int:
        return stop // 2


class ServedSocket(WSListener):
    """One connection as the server sees it."""

    def __init__(self, server: SocketServer, path: str) -> None:
        self.server = server
        self.path = path
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.server.served.append(self)
        self.server.connections.put_nowait(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.texts.put_nowait(frame.get_payload_as_utf8_text())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.gone.set()

    def send(self, payload: bytes, kind: WSMsgType = WSMsgType.BINARY, fin: bool = True) -> None:
        assert self.transport is not None
        self.transport.send(kind, payload, fin=fin)

    def reset(self) -> None:
        assert self.transport is not None
        self.transport.disconnect(graceful=False)

    def close(self, code: int, reason: str) -> None:
        assert self.transport is not None
        self.transport.send_close(code, reason.encode())  # type: ignore[arg-type]  # any number is sent
        self.transport.disconnect()


class SocketServer:
    """A WebSocket server on 127.0.0.1. ``refusals``: HTTP statuses for the next handshakes instead of a socket."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[ServedSocket] = asyncio.Queue()
        self.refusals: list[int] = []
        self.served: list[ServedSocket] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/feed"

    async def next_connection(self) -> ServedSocket:
        async with asyncio.timeout(60):
            return await self.connections.get()

    def _accept(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        if self.refusals:
            said = WSUpgradeResponse.create_error_response(self.refusals.pop(0), b"Client ID is blocked")
            return WSUpgradeResponseWithListener(said, None)
        return ServedSocket(self, request.path.decode())


@contextlib.asynccontextmanager
async def socket_server() -> AsyncIterator[SocketServer]:
    server = SocketServer()
    listening = await ws_create_server(server._accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for served in server.served:
            served.reset()
            await served.gone.wait()


def settings_for(port: int = 1, socket_url: str = "ws://127.0.0.1:1/feed") -> DhanSettings:
    return DhanSettings(
        client_id=CLIENT,
        access_token=TOKEN,
        base_url=f"http://127.0.0.1:{port}/v2",
        feed_url=socket_url,
        order_url=socket_url,
        csv_url=f"http://127.0.0.1:{port}/master.csv",
    )


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is over."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class Asked:
    """A request as the server read it."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpServer:
    """Speaks just enough HTTP/1.1 on 127.0.0.1, by script: ``answers[path]`` is a list of replies, the last one repeats.

    A reply is ``(status, body)``; "hold" leaves the request unanswered, "reset" breaks the connection, "eof" closes it
    without an answer.
    """

    def __init__(self) -> None:
        self.port = 0
        self.answers: dict[str, list[tuple[int, object] | str]] = {}
        self.asked: list[Asked] = []
        self.arrived: asyncio.Queue[Asked] = asyncio.Queue()
        self.opened = 0
        self.gone: asyncio.Queue[int] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    def established(self) -> int:
        """Client sockets of this process that are connected to this server now, asked of the kernel."""
        sockets = psutil.Process().net_connections(kind="tcp4")
        ours = [one for one in sockets if one.status == psutil.CONN_ESTABLISHED and one.raddr]
        return len([one for one in ours if one.raddr[1] == self.port])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        self.writers.append(writer)
        try:
            while (asked := await _read_request(reader)) is not None:
                self.asked.append(asked)
                self.arrived.put_nowait(asked)
                script = self.answers[asked.path.split("?")[0]]
                reply = script.pop(0) if len(script) > 1 else script[0]
                if reply == "hold":
                    continue
                if reply == "reset":
                    writer.transport.abort()
                    return
                if reply == "eof":
                    return
                assert not isinstance(reply, str)
                status, body = reply
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                location = f"Location: {body.decode()}\r\n" if status == 302 and isinstance(body, bytes) else ""
                writer.write(
                    f"HTTP/1.1 {status} X\r\n{location}Content-Length: {len(content)}\r\n\r\n".encode() + content
                )
        except ConnectionError:
            pass
        finally:
            self.gone.put_nowait(number)
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


@contextlib.asynccontextmanager
async def http_server() -> AsyncIterator[HttpServer]:
    server = HttpServer()
    listening = await asyncio.start_server(server._serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(60):
            yield server
    finally:
        listening.close()
        for writer in server.writers:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
