"""A session on file: what was sent on every socket and answered over REST, with the market's times, and played again.

A file is gzipped JSON, a line for each message: ``at`` in ns of the market's time, ``on`` the connection's number,
``path``, and ``bytes`` (base64) or ``text``; an answer has ``method`` and ``status``. The file stops growing at a size.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from base64 import b64decode, b64encode
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from aiohttp import web

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.ports import Clock
from algo_scalper.interfaces.simulator.pointing import HOST
from algo_scalper.runtime.clock import first_of

MOST_BYTES = 256 << 20
"""A recording's size on disk."""
_FLUSHED_EVERY = 64
"""Lines a killed process may cost."""
_BIGGEST_REST = 1 << 20
"""Longer answers (the instrument master) are not kept: they follow from the day and the seed."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of the file."""

    at: int
    path: str
    on: int = 0
    text: str | None = None
    bytes: str | None = None
    method: str = ""
    status: int = 0


class Recorder:
    """Writes a session down until the file is full. Raises `ConfigError` for a file that cannot be written."""

    def __init__(self, path: Path, now_ns: Callable[[], int], most_bytes: int = MOST_BYTES) -> None:
        try:
            self._raw = path.open("wb")
        except OSError as fault:
            raise ConfigError(f"--record {path}: {fault.strerror}") from None
        self._file = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=5, mtime=0)
        self._now_ns = now_ns
        self._most_bytes = most_bytes
        self.written = 0
        """Lines."""
        self.is_full = False

    @property
    def size_bytes(self) -> int:
        """What has reached the file."""
        return 0 if self._raw.closed else self._raw.tell()

    def message(self, connection: int, path: str, message: bytes | str) -> None:
        """Something was sent on a socket."""
        if isinstance(message, str):
            self._write(Entry(self._now_ns(), path, connection, text=message))
        else:
            self._write(Entry(self._now_ns(), path, connection, bytes=b64encode(message).decode()))

    def answer(self, method: str, path: str, status: int, body: bytes) -> None:
        """A request was answered."""
        if len(body) <= _BIGGEST_REST:
            encoded = b64encode(body).decode()
            self._write(Entry(self._now_ns(), path, bytes=encoded, method=method, status=status))

    def _write(self, entry: Entry) -> None:
        if self.is_full or self._raw.closed:
            return
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self.written += 1
        if self.written % _FLUSHED_EVERY == 0:
            self._file.flush()
            self._raw.flush()
            self.is_full = self._raw.tell() >= self._most_bytes

    def close(self) -> None:
        """Write the rest."""
        if not self._raw.closed:
            self._file.close()
            self._raw.close()


def read_entries(path: Path) -> Iterator[Entry]:
    """The lines of a recording; one that was cut off ends where it does. Raises `DataError` naming the file."""
    decoder = msgspec.json.Decoder(Entry)
    try:
        with gzip.open(path, "rb") as file, suppress(EOFError):
            for line in file:
                if line.endswith(b"\n"):
                    yield decoder.decode(line)
    except (OSError, zlib.error, msgspec.DecodeError) as wrong:
        raise DataError(f"{path} is not a recorded session: {wrong}") from None


class Player:
    """Serves a recording: each connection gets what the first recorded one on its path, then the next, was sent.

    REST calls get the answers of their path in turn, the last one for ever.
    """

    def __init__(self, path: Path, clock: Clock, pace: float) -> None:
        """``pace``: 1 as it was recorded, 10 ten times as fast."""
        self._clock = clock
        self._pace = pace
        self._sockets: dict[str, dict[int, list[Entry]]] = defaultdict(lambda: defaultdict(list))
        self._answers: dict[tuple[str, str], deque[Entry]] = defaultdict(deque)
        self._taken: dict[str, int] = defaultdict(int)
        self.messages = 0
        for entry in read_entries(path):
            self.messages += 1
            if entry.method:
                self._answers[entry.method, entry.path].append(entry)
            else:
                self._sockets[entry.path][entry.on].append(entry)
        if not self.messages:
            raise DataError(f"{path} has nothing in it")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._play(request)
        found = self._answers.get((request.method, request.path))
        if not found:
            return web.json_response({"status": 404, "error": "not in the recording", "path": request.path}, status=404)
        entry = found.popleft() if len(found) > 1 else found[0]
        return web.Response(status=entry.status, body=_body(entry), content_type="application/json")

    async def _play(self, request: web.Request) -> web.StreamResponse:
        recorded = self._sockets.get(request.path)
        if not recorded:
            return web.Response(status=404, text="nothing was recorded on this path")
        numbers = sorted(recorded)
        entries = recorded[numbers[self._taken[request.path] % len(numbers)]]
        self._taken[request.path] += 1
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await first_of(self._send(socket, entries), _drained(socket))
        await socket.close()
        return socket

    async def _send(self, socket: web.WebSocketResponse, entries: list[Entry]) -> None:
        began_ns, first_ns = self._clock.now_ns(), entries[0].at
        with suppress(ConnectionError):
            for entry in entries:
                await self._clock.sleep_until(began_ns + round((entry.at - first_ns) / self._pace))
                if entry.text is not None:
                    await socket.send_str(entry.text)
                else:
                    await socket.send_bytes(_body(entry))

    async def serve(self, port: int, ready: Callable[[int], None], stopped: asyncio.Event) -> None:
        """Serve until ``stopped``. Raises `ConfigError` when the port is taken."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            ready(int(runner.addresses[0][1]))
            await stopped.wait()
        except OSError as taken:
            raise ConfigError(f"port {port} on {HOST}: {taken.strerror}; choose another with --port") from None
        finally:
            await runner.cleanup()


async def _drained(socket: web.WebSocketResponse) -> None:
    """What the client says is heard and not answered; return when it leaves."""
    async for _ in socket:
        pass


def _body(entry: Entry) -> bytes:
    return b64decode(entry.bytes or "") if entry.text is None else entry.text.encode()
