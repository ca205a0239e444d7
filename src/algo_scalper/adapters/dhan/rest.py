"""HTTP to Dhan: one pooled session, one budget, deadlines by the `Clock`, and a plain answer to "may it have arrived?".

Calls are made by the rows of `endpoints`: `call` for what is read or changed, `ask` for orders, which have three answers.

HTTP/1.1 over IPv4 only: the whitelisted static address is v4, and Dhan's balancer has answered HTTP/2 order requests with
a bogus redirect. A request other than GET is never sent twice, not even by the HTTP library (aiohttp repeats PUT and
DELETE by itself when a kept connection turns out to be dead).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from algo_scalper.adapters.dhan.access_token import token_claims
from algo_scalper.adapters.dhan.failures import (
    AnswerLost,
    AnswerUnreadable,
    FailureKind,
    NotSent,
    failure_in,
    refusal,
)
from algo_scalper.adapters.dhan.limits import Limiter, Priority
from algo_scalper.adapters.dhan.outcomes import judge, settles_nothing
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.values import segment_key
from algo_scalper.adapters.dhan.waiting import done_by
from algo_scalper.adapters.dhan.wire import Effect, Endpoint, Family, Host, R, read_json, read_reply, write_body
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import INDEX_BY_KEY
from algo_scalper.domain.ports import Accepted, Clock, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND, clock_text

READ_TIMEOUT_NS = 10 * NS_PER_SECOND
ORDER_TIMEOUT_NS = 5 * NS_PER_SECOND
MOST_THROTTLED = 3
"""How often a read is asked again after the broker said "too often", each time after the limiter's pause."""
DOWNLOAD_TIMEOUT_NS = 120 * NS_PER_SECOND
KEEP_ALIVE_S = 30.0
CHUNK_BYTES = 1 << 16
MOST_BYTES = 1 << 25
"""Of one answer. Ninety days of minutes are three million."""

NOT_SENT_REMEDY = "nothing was sent: check this machine's network, then ask again"
LOST_REMEDY = {
    Effect.READ: "it may be asked again",
    Effect.CHANGE: "it may have been done: read what stands before asking again",
}

NO_ARGUMENTS: Mapping[str, object] = MappingProxyType({})
log = logging.getLogger(__name__)
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
        self._transport: asyncio.Transport | None = None
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
        self._transport.abort()
        if self._closed is not None:
            await asyncio.wait((self._closed,))


class _Named:
    """A call and its instrument, for messages: ``place_order (POST /orders) of NSE_FNO:42500``.

    Put into words when somebody reads them: an order that goes well waits for none.
    """

    __slots__ = ("_endpoint", "_fields", "_path", "_settings")

    def __init__(
        self, settings: DhanSettings, endpoint: Endpoint[R], path: str, fields: Mapping[str, object] | None
    ) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._path = path
        self._fields = fields

    def __str__(self) -> str:
        endpoint, fields = self._endpoint, self._fields or {}
        # The auth host takes secrets in its query: it is named without one.
        path = endpoint.path if endpoint.host is Host.AUTH else self._settings.masked(self._path)
        named = f"{endpoint.name} ({endpoint.method} {path})"
        if "securityId" in fields:
            return f"{named} of {_instrument(fields.get('exchangeSegment', ''), fields['securityId'])}"
        if "UnderlyingScrip" in fields:
            expiry = f" {fields['Expiry']}" if "Expiry" in fields else ""
            return f"{named} of {_instrument(fields.get('UnderlyingSeg', ''), fields['UnderlyingScrip'])}{expiry}"
        return named


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

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        gate: RequestGate | None = None,
        limiter: Limiter | None = None,
        on_token_refused: Callable[[], None] = lambda: None,
    ) -> None:
        """``limiter``: the account's budget, shared by everybody who asks for it; None asks without one.

        ``on_token_refused`` is called whenever Dhan refuses the token in use.
        """
        self._settings = settings
        self._clock = clock
        self._gate = gate
        self._limiter = limiter
        self._on_token_refused = on_token_refused
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"DhanRest({self._settings.base_url!r})"

    @property
    def base_url(self) -> str:
        """Where requests go."""
        return self._settings.base_url

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        endpoint: Endpoint[R],
        body: msgspec.Struct | Mapping[str, object] | None = None,
        *,
        priority: Priority = Priority.DATA,
        timeout_ns: int = READ_TIMEOUT_NS,
        headers: Mapping[str, str] | None = None,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
    ) -> R:
        """Make a call that is no order request and read its reply.

        ``arguments`` fill the path, the others become the query; ``headers`` are sent besides the usual ones.

        Raises the tree of `failures`. A read may be repeated by the caller; what changes the account is never
        repeated, and after `AnswerLost` only reading tells what happened.
        """
        found = await self.raw(
            endpoint, body, priority=priority, timeout_ns=timeout_ns, headers=headers, arguments=arguments
        )
        try:
            return read_reply(endpoint, found)
        except DataError as wrong:
            raise self.unreadable(str(wrong)) from None

    async def raw(
        self,
        endpoint: Endpoint[R],
        body: msgspec.Struct | Mapping[str, object] | None = None,
        *,
        priority: Priority = Priority.DATA,
        timeout_ns: int = READ_TIMEOUT_NS,
        headers: Mapping[str, str] | None = None,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
    ) -> object:
        """As `call`, but the reply's JSON as it came: for those who read it themselves."""
        if endpoint.effect is Effect.ORDER:
            raise ValueError(f"{endpoint} is an order request: ask, do not call")
        path = endpoint_path(endpoint, arguments)
        fields = write_body(body, self._settings.client_id)
        what = _Named(self._settings, endpoint, path, fields)
        budget = _budget_key(endpoint, fields)
        throttled = 0
        while True:
            await self._admitted(endpoint.family, priority, budget, None)
            try:
                reply = await self.exchange(endpoint, path, fields, timeout_ns=timeout_ns, what=what, headers=headers)
            except NotSent as fault:
                raise NotSent(f"{fault}; {NOT_SENT_REMEDY}") from None
            except AnswerLost as fault:
                raise AnswerLost(f"{fault}; {LOST_REMEDY[endpoint.effect]}") from None
            failure = failure_in(reply.status, reply.body)
            if failure is None:
                break
            failure = msgspec.structs.replace(failure, message=self._settings.masked(failure.message))
            if failure.kind is FailureKind.RATE:
                self._throttled(endpoint.family, budget)
                throttled += 1
                if endpoint.effect is Effect.READ and self._limiter is not None and throttled <= MOST_THROTTLED:
                    continue
            if endpoint.effect is Effect.CHANGE and settles_nothing(reply.status):
                raise AnswerLost(f"{what}: {failure}; {LOST_REMEDY[endpoint.effect]}")
            if failure.kind is FailureKind.CREDENTIALS:
                self._on_token_refused()
                raise refusal(str(what), failure, self._token_remedy())
            raise refusal(str(what), failure)
        if isinstance(reply.body, str):
            raise self.unreadable(f"{what}: not JSON: {reply.body[:120]!r}")
        return reply.body

    async def ask(
        self,
        endpoint: Endpoint[R],
        body: msgspec.Struct | Mapping[str, object] | None = None,
        *,
        priority: Priority,
        timeout_ns: int = ORDER_TIMEOUT_NS,
        deadline_ns: int | None = None,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
    ) -> Outcome:
        """Make an order request, once.

        ``deadline_ns``, by the limiter's clock: not sent at all when the budget has no place until then; without one it waits for its place no
        longer than for its answer. A change (PUT) is counted against those Dhan allows for an order.

        *Accepted*: Dhan took it, nothing more. *Rejected*: Dhan said no, or not a byte left this machine. *Unknown*: it
        may have arrived; returned only after its connection was closed, so nothing of it can still leave here.
        """
        if endpoint.effect is not Effect.ORDER:
            raise ValueError(f"{endpoint} is no order request: call, do not ask")
        path = endpoint_path(endpoint, arguments)
        fields = write_body(body, self._settings.client_id)
        what = _Named(self._settings, endpoint, path, fields)
        judged: list[Outcome] = []

        def keep(reply: Reply) -> bool:
            judged.append(judge(reply.status, reply.body))
            return not isinstance(judged[-1], Unknown)

        limiter = self._limiter
        changed = str(arguments.get("order_id", "")) if endpoint.method == "PUT" and limiter is not None else ""
        if limiter is not None and changed and not limiter.take_modification(changed, priority):
            return Rejected(f"not sent: {limiter.no_modification(changed)}")
        try:
            if limiter is not None:
                until_ns = limiter.now_ns() + timeout_ns if deadline_ns is None else deadline_ns
                await self._admitted(endpoint.family, priority, "", until_ns)
            reply = await self.exchange(endpoint, path, fields, timeout_ns=timeout_ns, what=what, keep=keep)
        except NotSent as fault:
            if limiter is not None and changed:
                limiter.return_modification(changed)
            return Rejected(f"not sent: {fault}")
        except AnswerLost as fault:
            return Unknown(str(fault))
        outcome = judged[-1]
        if isinstance(outcome, Accepted):
            return outcome
        failure = failure_in(reply.status, reply.body)
        if failure is not None and failure.kind is FailureKind.RATE:
            self._throttled(endpoint.family, "")
        elif failure is not None and failure.kind is FailureKind.CREDENTIALS:
            self._on_token_refused()
        if isinstance(outcome, Rejected):
            return Rejected(self._settings.masked(outcome.reason))
        return Unknown(self._settings.masked(outcome.detail))

    def unreadable(self, why: str) -> AnswerUnreadable:
        """The error of an answer that is not what it should be; it may have been our own words, secrets and all."""
        return AnswerUnreadable(self._settings.masked(why))

    async def exchange(
        self,
        endpoint: Endpoint[R],
        path: str,
        fields: Mapping[str, object] | None,
        *,
        timeout_ns: int,
        what: _Named,
        headers: Mapping[str, str] | None = None,
        keep: Callable[[Reply], bool] | None = None,
    ) -> Reply:
        """Send one request to ``path``, its arguments in it, and return its answer, whatever its status.

        Raises `NotSent` when no connection was made, `AnswerLost` when the request may have arrived; the connection is
        closed by then. ``keep`` judges the answer: where it says False the connection is closed before this returns.
        """
        stamped = self._gate.stamp() if self._gate is not None else None
        # A GET is not always a read: renewing a token ends the one in use.
        passage = _Passage(once=endpoint.method != "GET" or endpoint.effect is not Effect.READ)
        extra = {**(headers or {}), **(stamped[1] if stamped else {})}
        sending = asyncio.ensure_future(self._send(passage, endpoint, path, fields, extra))
        await self._finish(sending, passage, what, timeout_ns)
        reply = sending.result()
        log.debug("%s: HTTP %d", what, reply.status)
        if keep is not None and not keep(reply):
            await passage.sever()
        if stamped is not None and self._gate is not None:
            await self._gate.arrived(stamped[0])
        return reply

    async def download(self, url: str, take: Callable[[bytes], None], *, timeout_ns: int = DOWNLOAD_TIMEOUT_NS) -> None:
        """Stream a file, following redirects and sending no credentials; ``take`` gets it chunk by chunk.

        Raises `BrokerUnreachable` when it does not come whole, `DhanRefused` for an HTTP status of 400 and above.
        """
        passage = _Passage(once=False)
        fetching = asyncio.ensure_future(self._fetch(passage, url, take))
        await self._finish(fetching, passage, f"GET {url}", timeout_ns)
        fetching.result()

    async def _finish(self, sending: asyncio.Future[Any], passage: _Passage, what: object, timeout_ns: int) -> None:
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

    async def _send(
        self,
        passage: _Passage,
        endpoint: Endpoint[R],
        path: str,
        fields: Mapping[str, object] | None,
        extra: Mapping[str, str],
    ) -> Reply:
        _PASSAGE.set(passage)
        settings = self._settings
        headers = {"Accept": "application/json", **extra}
        if endpoint.host is Host.REST:
            headers |= {"access-token": settings.access_token, "client-id": settings.client_id}
        data = None
        if fields is not None:
            data = msgspec.json.encode(fields)
            headers["Content-Type"] = "application/json"
        url = (settings.base_url if endpoint.host is Host.REST else settings.auth_url) + path
        async with self._open().request(
            endpoint.method, url, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, read_json(await _content(response)))

    async def _admitted(self, family: Family, priority: Priority, budget: str, deadline_ns: int | None) -> None:
        """Wait for the budget only where there is something to wait for: the common case costs no turn of the loop."""
        limiter = self._limiter
        if limiter is not None and not limiter.take(family, priority, budget):
            await limiter.admit(family, priority, budget, deadline_ns)

    def _throttled(self, family: Family, budget: str) -> None:
        if self._limiter is not None:
            self._limiter.throttled(family, budget)

    def _token_remedy(self) -> str:
        """When the token says that it has ended, say when."""
        ended_ns = token_claims(self._settings.access_token).expires_ns
        if ended_ns is None or ended_ns > self._clock.now_ns():
            return ""
        return f"the access token expired at {clock_text(ended_ns)[:5]}; get a new one with: scalper login"

    async def _fetch(self, passage: _Passage, url: str, take: Callable[[bytes], None]) -> None:
        _PASSAGE.set(passage)
        async with self._open().get(url) as response:
            if response.status >= 400:
                excerpt = (await _content(response))[:120].decode(errors="replace")
                failure = failure_in(response.status, excerpt)
                assert failure is not None
                raise refusal(f"GET {url}", failure)
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


def endpoint_path(endpoint: Endpoint[R], arguments: Mapping[str, object]) -> str:
    """The path with its arguments in it, URL-encoded; what the path does not name goes into the query.

    Raises ValueError for an argument that is missing or empty.
    """
    path, query = endpoint.path, {}
    for name, value in arguments.items():
        if f"{{{name}}}" in path:
            if not str(value):
                raise ValueError(f"{endpoint}: {name} is empty, and the path would be another call's")
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        else:
            query[name] = str(value)
    if "{" in path:
        raise ValueError(f"{endpoint}: the path needs {path}")
    return f"{path}?{urlencode(query)}" if query else path


def _instrument(segment: object, security_id: object) -> str:
    """``NIFTY`` for an index we know, else ``NSE_FNO:42500``."""
    try:
        index = INDEX_BY_KEY.get(segment_key(segment, security_id))
    except DataError:
        index = None
    return index.name if index is not None else f"{segment}:{security_id}"


def _budget_key(endpoint: Endpoint[R], fields: Mapping[str, object] | None) -> str:
    """What separates budgets within a family: the option chain's underlying and expiry."""
    if endpoint.family is not Family.OPTION_CHAIN or fields is None:
        return ""
    return f"{fields.get('UnderlyingScrip')}/{fields.get('Expiry')}"


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to a size no answer has; one that is longer breaks the connection."""
    content = bytearray()
    while chunk := await response.content.readany():
        content += chunk
        if len(content) > MOST_BYTES:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MOST_BYTES >> 20} MiB")
    return bytes(content)


async def _drop(sending: asyncio.Future[Any], passage: _Passage) -> None:
    """Give a request up: cut its connection, then wait until nothing of it runs."""
    await passage.sever()
    sending.cancel()
    await asyncio.wait((sending,))
    if not sending.cancelled():
        sending.exception()
