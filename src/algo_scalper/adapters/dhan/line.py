"""A WebSocket that is kept up: connect, greet, watch for silence, notice the end, wait, connect again.

What is said on it is `feed` and `order_stream`'s business. All waiting is by the `Clock`; messages are handed on inside
the socket's callback. An exception out of the handler ends `run` with that exception: nothing is swallowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial

import msgspec

from algo_scalper.adapters.dhan.feed_transport import RESET, HandshakeRefused, Link, Transport
from algo_scalper.adapters.dhan.waiting import Backoff, done_by
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_SECOND

FAREWELL_NS = NS_PER_SECOND


class LossKind(StrEnum):
    """How a connection was lost, or why there was none."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    BLOCKED = "blocked"  # HTTP 429 on the handshake: dead token, inactive plan, or asked too often
    RESET = "reset"
    CLOSED = "closed"
    SILENT = "silent"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NO_SUBSCRIPTION = "no_subscription"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a word for what happened, not a secret
    AUTHENTICATION_FAILED = "authentication_failed"
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    CLIENT_ID_INVALID = "client_id_invalid"
    DISCONNECTED = "disconnected"  # told by the server, for another reason
    HANDLER_FAILED = "handler_failed"


SAID_NO = frozenset(
    {
        LossKind.BLOCKED,
        LossKind.TOO_MANY_CONNECTIONS,
        LossKind.NO_SUBSCRIPTION,
        LossKind.TOKEN_EXPIRED,
        LossKind.AUTHENTICATION_FAILED,
        LossKind.TOKEN_INVALID,
        LossKind.CLIENT_ID_INVALID,
    }
)
"""The server said no: asking again soon does not help and may get the account blocked."""


class Loss(msgspec.Struct, frozen=True):
    """Why there is no connection."""

    kind: LossKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.detail}"


class LineRules(msgspec.Struct, frozen=True):
    """How long things may take. ``silence_ns`` None: silence is normal here."""

    handshake_ns: int = 10 * NS_PER_SECOND
    steady_ns: int = 10 * NS_PER_SECOND
    """A connection that lived this long was a good one: pauses begin small again."""
    silence_ns: int | None = None
    backoff: Backoff = Backoff()


class Line:
    """One kept-up WebSocket. ``run`` it as a task; cancel the task to end it."""

    def __init__(
        self,
        *,
        transport: Transport,
        clock: Clock,
        chance: Chance,
        rules: LineRules,
        address: Callable[[], str],
        masked: Callable[[str], str],
        greeting: Callable[[], Sequence[bytes]],
        farewell: bytes | None,
        on_message: Callable[[memoryview], None],
        on_lost: Callable[[str], None],
        on_restored: Callable[[], None],
        expects_data: Callable[[int], bool],
    ) -> None:
        """Take the parts; nothing is connected before `run`.

        ``greeting`` gives the messages each new connection begins with; ``expects_data(now_ns)`` says whether silence
        means anything now. ``on_lost`` is called once per outage, ``on_restored`` when a lost line is greeted again.
        """
        self._transport = transport
        self._clock = clock
        self._chance = chance
        self._rules = rules
        self._address = address
        self._masked = masked
        self._greeting = greeting
        self._farewell = farewell
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_restored = on_restored
        self._expects_data = expects_data
        self._link: Link | None = None
        self._ended: asyncio.Future[Loss] | None = None
        self._fault: Exception | None = None
        self._told_lost = False
        self._over = False
        self._data_ns = 0
        self._greeted_ns: int | None = None
        self._up = asyncio.Event()
        self.sent_messages = 0
        """Text messages sent since the beginning, over all connections."""
        self.connections = 0
        self.last_loss: Loss | None = None

    @property
    def is_up(self) -> bool:
        """Connected and greeted."""
        return self._up.is_set()

    async def wait_up(self) -> None:
        """Return once connected and greeted."""
        await self._up.wait()

    def send(self, message: bytes) -> bool:
        """Send a text message if the line is up; False when it is not (the next greeting must say it)."""
        if self._link is None or not self.is_up:
            return False
        self._send(message)
        return True

    def heard(self, now_ns: int) -> None:
        """Data came: the silence begins anew."""
        self._data_ns = now_ns

    def end(self, loss: Loss) -> None:
        """Give the present connection up for this reason; `run` goes on with the next."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(loss)

    async def run(self) -> None:
        """Keep the line up until cancelled. Raises what a handler raised."""
        attempt = 0
        try:
            while True:
                self._greeted_ns = None
                loss = await self._one_connection()
                if self._fault is not None:
                    raise self._fault
                self.last_loss = loss
                if not self._told_lost:
                    self._told_lost = True
                    self._on_lost(str(loss))
                attempt = 1 if self._was_steady() else attempt + 1
                pause_ns = self._rules.backoff.pause_ns(attempt, loss.kind in SAID_NO, self._chance)
                await self._clock.sleep_until(self._clock.now_ns() + pause_ns)
        finally:
            await self._say_farewell()

    async def _one_connection(self) -> Loss:
        """From connecting to the end of the connection; why it ended."""
        ended: asyncio.Future[Loss] = asyncio.get_running_loop().create_future()
        self._ended = ended
        # Bound to this connection's own end: the last words of an old one must not end a new one.
        opening = asyncio.ensure_future(
            self._transport.connect(self._address(), partial(self._take, ended), partial(_note_end, ended))
        )
        try:
            opened = await done_by(self._clock, self._clock.now_ns() + self._rules.handshake_ns, opening)
        finally:
            if not opening.done():
                opening.cancel()
        if not opened:
            return Loss(LossKind.UNREACHABLE, f"no handshake within {self._rules.handshake_ns / NS_PER_SECOND:g} s")
        try:
            self._link = opening.result()
        except HandshakeRefused as refused:
            kind = LossKind.BLOCKED if refused.status == 429 else LossKind.REFUSED
            return Loss(kind, self._masked(refused.detail))
        except OSError as fault:
            return Loss(LossKind.UNREACHABLE, self._masked(f"{type(fault).__name__}: {fault}"))
        self.connections += 1
        try:
            self.heard(self._clock.now_ns())
            for message in self._greeting():
                self._send(message)
            self._greeted_ns = self._clock.now_ns()
            self._up.set()
            if self._told_lost:
                self._told_lost = False
                self._on_restored()
            return await self._watch(ended)
        finally:
            self._up.clear()
            if ended.done():
                self._link.abort()
                self._link = None

    def _was_steady(self) -> bool:
        """Did the connection that has just ended live long enough to be called a good one?"""
        since_ns = self._greeted_ns
        return since_ns is not None and self._clock.now_ns() - since_ns >= self._rules.steady_ns

    async def _watch(self, ended: asyncio.Future[Loss]) -> Loss:
        """Until the connection ends, or has been silent for too long when it should not be."""
        silence_ns = self._rules.silence_ns
        if silence_ns is None:
            return await ended
        while not await done_by(self._clock, self._data_ns + silence_ns, ended):
            now_ns = self._clock.now_ns()
            if not self._expects_data(now_ns):
                self._data_ns = now_ns
            elif now_ns - self._data_ns >= silence_ns:
                self.end(Loss(LossKind.SILENT, f"connected, and no data for {silence_ns / NS_PER_SECOND:g} s"))
        return ended.result()

    def _send(self, message: bytes) -> None:
        if self._link is not None:
            self._link.send_text(message)
            self.sent_messages += 1

    def _take(self, ended: asyncio.Future[Loss], message: memoryview) -> None:
        if self._over or ended.done():
            return
        try:
            self._on_message(message)
        except Exception as fault:  # noqa: BLE001  # broad: the socket library would log and drop it; `run` raises it instead
            self._fault = fault
            self.end(Loss(LossKind.HANDLER_FAILED, type(fault).__name__))

    async def _say_farewell(self) -> None:
        """Close the connection in order; cut it when that takes longer than it should."""
        link, ended = self._link, self._ended
        self._over, self._link = True, None
        if link is None or ended is None:
            return
        if self._farewell is not None:
            link.send_text(self._farewell)
            self.sent_messages += 1
        link.close()
        if not await done_by(self._clock, self._clock.now_ns() + FAREWELL_NS, ended):
            link.abort()


def _note_end(ended: asyncio.Future[Loss], why: str) -> None:
    if not ended.done():
        ended.set_result(Loss(LossKind.RESET if why == RESET else LossKind.CLOSED, why))
