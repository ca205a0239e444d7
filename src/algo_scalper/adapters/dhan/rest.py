"""HTTP to Dhan: one pooled session, deadlines by the `Clock`, and a plain answer to "may it have arrived?".

HTTP/1.1 over IPv4 only: the whitelisted static address is v4, and Dhan's balancer has answered HTTP/2 order requests with
a bogus redirect. A request other than GET is never sent twice, not even by the HTTP library (aiohttp repeats PUT and
DELETE by itself when a kept connection turns out to be dead).
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import aiohttp
import msgspec

from algo_scalper.adapters.dhan.failures import AnswerLost, DhanRefused, Failure, FailureKind, NotSent, failure_in
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.waiting import done_by
from algo_scalper.domain.errors import BrokerUnreachable
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND

READ_TIMEOUT_NS = 10 * NS_PER_SECOND
DOWNLOAD_TIMEOUT_NS = 120 * NS_PER_SECOND
KEEP_ALIVE_S = 30.0
CHUNK_BYTES = 1 << 16

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RequestGate(Protocol):
    """How a stepped clock takes part in requests: it numbers them and holds their answers until their turn."""

    def stamp(self) -> tuple[int, Mapping[str, str]] | None:
        """A number for the request about to leave and the headers that carry it; None leaves the request alone."""

    async def arrived(self, seq: int) -> None:
        """Awaited when the answer to request ``seq`` has been read, before anybody sees it."""


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer: its status and its body, as JSON where it is JSON, else as text."""

    status: int
    body: object


class _Passage:
    """The connection one request travels on: whether it left at all, and the means to cut it."""

    def __init__(self, once: bool) -> None:
        self._once = once
        self._transport: asyncio.BaseTransport | None = None
        self._closed: asyncio.Future[None] | None = None

    @property
    def taken(self) -> bool:
        """True once the request had a connection: from then on it may have arrived."""
        return self._transport is not None

    def may_take(self) -> None:
        if self._once and self.taken:
            raise aiohttp.ClientConnectionError("the connection was lost and the request is not sent again")

    def take(self, connection: aiohttp.connector.Connection) -> None:
        protocol = connection.protocol
        self._transport = connection.transport
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            self._closed.add_done_callback(_consume)

    async def sever(self) -> None:
        """Cut the connection by reset, so that the kernel sends nothing more of it, and wait until it is closed."""
        if self._transport is None:
            return
        raw = self._transport.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            # A duplicate of the handle, because an event loop's own view of its socket may not allow options.
            with socket.fromfd(raw.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
                twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()
        if self._closed is not None:
            await asyncio.wait((self._closed,))


def _consume(closed: asyncio.Future[None]) -> None:
    """Look at how a connection ended, so that asyncio does not report an end nobody looked at."""
    if not closed.cancelled():
        closed.exception()


_PASSAGE: contextvars.ContextVar[_Passage] = contextvars.ContextVar("dhan_passage")


class _Connector(aiohttp.TCPConnector):
    """aiohttp's pool, telling each request's passage which connection it got."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> aiohttp.connector.Connection:
        passage = _PASSAGE.get()
        passage.may_take()
        connection = await super().connect(req, traces, timeout)
        passage.take(connection)
        return connection


class DhanRest:
    """The one HTTP session of an account. Close it with `close`."""

    def __init__(self, settings: DhanSettings, clock: Clock, gate: RequestGate | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._gate = gate
        self._session: aiohttp.ClientSession | None = None
        self._credentials = {"access-token": settings.access_token, "client-id": settings.client_id}

    def __repr__(self) -> str:
        return f"DhanRest({self._settings.base_url!r})"

    @property
    def base_url(self) -> str:
        """Where requests go."""
        return self._settings.base_url

    @property
    def client_id(self) -> str:
        """The client id that order bodies must repeat."""
        return self._settings.client_id

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        timeout_ns: int = READ_TIMEOUT_NS,
        keep: Callable[[Reply], bool] | None = None,
    ) -> Reply:
        """Send one request and return its answer, whatever its status.

        Raises `NotSent` when no connection was made, `AnswerLost` when the request may have arrived; the connection is
        closed by then. ``keep`` judges the answer: where it says False the connection is closed before this returns.
        """
        stamped = self._gate.stamp() if self._gate is not None else None
        headers = {"Accept": "application/json", **self._credentials, **(stamped[1] if stamped else {})}
        passage = _Passage(once=method != "GET")
        sending = asyncio.ensure_future(self._send(passage, method, path, body, headers))
        await self._finish(sending, passage, f"{method} {path}", timeout_ns)
        reply = sending.result()
        if keep is not None and not keep(reply):
            await passage.sever()
        if stamped is not None and self._gate is not None:
            await self._gate.arrived(stamped[0])
        return reply

    async def read(self, method: str, path: str, body: object = None, *, timeout_ns: int = READ_TIMEOUT_NS) -> object:
        """The decoded JSON of a request that changes nothing.

        Raises `BrokerUnreachable` when it may be repeated (nothing came, or a server error) and `DhanRefused` when
        the answer is no.
        """
        reply = await self.exchange(method, path, body, timeout_ns=timeout_ns)
        failure = failure_in(reply.status, reply.body)
        what = f"{method} {path}"
        if failure is not None:
            failure = msgspec.structs.replace(failure, message=self._settings.masked(failure.message))
            if failure.kind is FailureKind.SERVER:
                raise BrokerUnreachable(f"{what}: {failure}")
            raise DhanRefused(what, failure)
        if isinstance(reply.body, str):
            excerpt = self._settings.masked(reply.body[:120])
            raise DhanRefused(what, Failure(FailureKind.OTHER, reply.status, "", f"not JSON: {excerpt!r}"))
        return reply.body

    async def download(self, url: str, take: Callable[[bytes], None], *, timeout_ns: int = DOWNLOAD_TIMEOUT_NS) -> None:
        """Stream a file, following redirects and sending no credentials; ``take`` gets it chunk by chunk.

        Raises `BrokerUnreachable` when it does not come whole, `DhanRefused` for an HTTP status of 400 and above.
        """
        passage = _Passage(once=False)
        fetching = asyncio.ensure_future(self._fetch(passage, url, take))
        await self._finish(fetching, passage, f"GET {url}", timeout_ns)
        fetching.result()

    async def _finish(self, sending: asyncio.Future[Any], passage: _Passage, what: str, timeout_ns: int) -> None:
        """Wait for a request in flight; raises what its failing means, with its connection closed."""
        try:
            in_time = await done_by(self._clock, self._clock.now_ns() + timeout_ns, sending)
        except BaseException:
            await _drop(sending, passage)
            raise
        if not in_time:
            await _drop(sending, passage)
            lost = AnswerLost if passage.taken else NotSent
            raise lost(f"{what}: no answer within {timeout_ns / NS_PER_SECOND:g} s")
        fault = sending.exception()
        if isinstance(fault, aiohttp.ClientError | OSError | TimeoutError):
            await passage.sever()
            lost = AnswerLost if passage.taken else NotSent
            raise lost(self._settings.masked(f"{what}: {type(fault).__name__}: {fault}")) from None

    async def _send(self, passage: _Passage, method: str, path: str, body: object, headers: dict[str, str]) -> Reply:
        _PASSAGE.set(passage)
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        url = self._settings.base_url + path
        async with self._open().request(method, url, data=data, headers=headers, allow_redirects=False) as response:
            content = await response.read()
            return Reply(response.status, _decoded(content))

    async def _fetch(self, passage: _Passage, url: str, take: Callable[[bytes], None]) -> None:
        _PASSAGE.set(passage)
        async with self._open().get(url) as response:
            if response.status >= 400:
                excerpt = (await response.read())[:120].decode(errors="replace")
                failure = failure_in(response.status, excerpt)
                assert failure is not None
                raise DhanRefused(f"GET {url}", failure)
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                take(chunk)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(family=socket.AF_INET, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
                trust_env=False,
            )
        return self._session


async def _drop(sending: asyncio.Future[Any], passage: _Passage) -> None:
    """Give a request up: cut its connection, then wait until nothing of it runs."""
    await passage.sever()
    sending.cancel()
    await asyncio.wait((sending,))
    if not sending.cancelled():
        sending.exception()


def _decoded(content: bytes) -> object:
    """JSON where it is JSON, else the text. An empty body (202 with nothing) is None."""
    if not content.strip():
        return None
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content.decode(errors="replace")
