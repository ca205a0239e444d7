"""A WebSocket that is kept up: connect, greet, watch for silence, notice the end, wait, connect again.

What is said on it is the business of `feed`, `depth` and `order_stream`. All waiting is by the `Clock`; messages are
handed on inside the socket's callback. An exception out of the handler ends `run` with that exception: nothing is
swallowed.

A line is moved to a new token without a gap (`renew`): a second connection is made and greeted, and only when it has
spoken, or has stayed up for a while, is the first one closed. In between both deliver. When there is no connection to
keep, the next one is made at once, whatever pause was due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from algo_scalper.adapters.dhan.feed_transport import RESET, TOO_LONG, HandshakeRefused, Link, Transport
from algo_scalper.adapters.dhan.losses import SAID_NO, Loss, LossKind
from algo_scalper.adapters.dhan.waiting import Backoff, done_by
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_SECOND

FAREWELL_NS = NS_PER_SECOND
_WORDLESS = frozenset({LossKind.RESET, LossKind.LOGIN_RESET, LossKind.CLOSED})
_KIND_BY_WORD = {RESET: LossKind.RESET, TOO_LONG: LossKind.TOO_LONG}


class Gap(msgspec.Struct, frozen=True):
    """What was missed: nothing that happened between these two instants was told, and nothing is told again.

    ``lost_ns`` is the last instant at which data came, where data was to be expected (a dead line is noticed later than
    it died); else the instant the loss was noticed. ``keys`` are the instruments the lost connections carried.
    """

    lost_ns: int
    restored_ns: int
    reason: str
    keys: tuple[int, ...] = ()

    @property
    def missed_ns(self) -> int:
        """How long it was."""
        return self.restored_ns - self.lost_ns


class LineRules(msgspec.Struct, frozen=True):
    """How long things may take. ``silence_ns`` None: silence is normal here."""

    handshake_ns: int = 10 * NS_PER_SECOND
    steady_ns: int = 10 * NS_PER_SECOND
    """A connection that lived this long was a good one: pauses begin small again."""
    silence_ns: int | None = None
    overlap_ns: int = 5 * NS_PER_SECOND
    """So long a new connection may be quiet before the one it replaces is closed all the same."""
    login_ns: int = 0
    """A reset within so long of the greeting is the server's way to refuse the login."""
    backoff: Backoff = Backoff()


class Connection:
    """One connection of a line. Who handles its messages says `heard` and `end` of it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Loss] = loop.create_future()
        self.spoke: asyncio.Future[None] = loop.create_future()
        self.link: Link | None = None
        self.greeted_ns = 0
        self.heard_ns = 0

    def heard(self, now_ns: int) -> None:
        """Data came: the silence begins anew."""
        self.heard_ns = now_ns
        if not self.spoke.done():
            self.spoke.set_result(None)

    def end(self, loss: Loss) -> None:
        """Give this connection up for this reason; the line goes on with the next."""
        if not self.ended.done():
            self.ended.set_result(loss)

    def send_text(self, message: bytes) -> None:
        """Send, if there is still somebody to send it to."""
        if self.link is not None:
            self.link.send_text(message)

    def abort(self) -> None:
        """Cut it."""
        if self.link is not None:
            self.link.abort()


class _Renewal:
    """A wish for a new connection. ``done`` gives None when there is one, or why there is none."""

    def __init__(self, overlap: bool) -> None:
        self.overlap = overlap
        self.done: asyncio.Future[Loss | None] = asyncio.get_running_loop().create_future()


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
        on_message: Callable[[Connection, memoryview], None],
        on_lost: Callable[[Loss, int], None],
        on_restored: Callable[[Gap], None],
        on_renewed: Callable[[], None],
        expects_data: Callable[[int], bool],
    ) -> None:
        """Take the parts; nothing is connected before `run`.

        ``greeting`` gives the messages each new connection begins with; ``expects_data(now_ns)`` says whether silence
        means anything now. ``on_lost(loss, since_ns)`` is called once per outage, ``on_restored`` when a lost line is
        greeted again, ``on_renewed`` when a line that was not lost goes on over a new connection.
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
        self._on_renewed = on_renewed
        self._expects_data = expects_data
        self._open: list[Connection] = []
        """Greeted and not yet over, the oldest first: one, or two while one replaces the other."""
        self._fault: Exception | None = None
        self._lost: tuple[int, str] | None = None
        self._over = False
        self._greeted_ns: int | None = None
        self._up = asyncio.Event()
        self._asked = asyncio.Event()
        self._renewal: _Renewal | None = None
        self._running = False
        self.sent_messages = 0
        """Text messages sent since the beginning, over all connections."""
        self.connections = 0
        self.refusals = 0
        """Handshakes refused, and connections that were ended by the server before a word came."""
        self.last_loss: Loss | None = None
        self.last_loss_ns = 0

    @property
    def is_up(self) -> bool:
        """Connected and greeted."""
        return self._up.is_set()

    async def wait_up(self) -> None:
        """Return once connected and greeted."""
        await self._up.wait()

    def send(self, message: bytes) -> bool:
        """Send a text message if the line is up; False when it is not (the next greeting must say it)."""
        if not self.is_up:
            return False
        for connection in self._open:
            self._send(connection, message)
        return True

    async def renew(self, *, overlap: bool = True) -> Loss | None:
        """Go on over a new connection, made with the address as it is now; None when done, else why it cannot be.

        With ``overlap`` the old connection is closed after the new one has spoken, and stays when there is no new one.
        Without, it is closed first. One call at a time; a line that does not run has nothing to renew.
        """
        if not self._running:
            return None
        renewal = self._renewal = _Renewal(overlap)
        self._asked.set()
        return await renewal.done

    async def run(self) -> None:
        """Keep the line up until cancelled. Raises what a handler raised."""
        attempt = 0
        self._running = True
        try:
            while True:
                self._greeted_ns = None
                loss, since_ns = await self._one_life()
                if self._fault is not None:
                    raise self._fault
                self._tell_lost(loss, since_ns)
                attempt = 1 if self._was_steady() else attempt + 1
                await self._pause(self._rules.backoff.pause_ns(attempt, loss.kind in SAID_NO, self._chance))
        finally:
            self._running = False
            self._settle(self._renewal, Loss(LossKind.ENDED, "ended here"))
            await self._say_farewell()

    async def _one_life(self) -> tuple[Loss, int]:
        """From connecting to the end, over as many renewals as are asked for; why it ended, and since when."""
        renewal = self._renewal  # one that comes while connecting may want another token: it has its own turn
        self._asked.clear()
        opened = await self._connect()
        if isinstance(opened, Loss):
            self.refusals += opened.kind is LossKind.REFUSED
            self._settle(renewal, opened)
            return opened, self._clock.now_ns()
        try:
            self._greet(opened)
            self._up.set()
            if self._lost is not None:
                (since_ns, reason), self._lost = self._lost, None
                self._on_restored(Gap(since_ns, self._clock.now_ns(), reason))
            self._settle(renewal, None)
            return await self._stay()
        finally:
            self._up.clear()

    async def _connect(self) -> Connection | Loss:
        """A new connection, not yet greeted, or why there is none."""
        connection = Connection()
        # Bound to this connection: the last words of an old one must not end a new one.
        opening = asyncio.ensure_future(
            self._transport.connect(
                self._address(), partial(self._take, connection), partial(self._note_end, connection)
            )
        )
        opened = False
        try:
            opened = await done_by(self._clock, self._clock.now_ns() + self._rules.handshake_ns, opening)
        finally:
            if not opened:
                opening.cancel()
                opening.add_done_callback(_abort_late)
        if not opened:
            return Loss(LossKind.UNREACHABLE, f"no handshake within {self._rules.handshake_ns / NS_PER_SECOND:g} s")
        try:
            connection.link = opening.result()
        except HandshakeRefused as refused:
            kind = LossKind.BLOCKED if refused.status == 429 else LossKind.REFUSED
            return Loss(kind, self._masked(refused.detail))
        except OSError as fault:
            return Loss(LossKind.UNREACHABLE, self._masked(f"{type(fault).__name__}: {fault}"))
        self.connections += 1
        return connection

    def _greet(self, connection: Connection) -> None:
        self._open.append(connection)
        now_ns = self._clock.now_ns()
        connection.heard_ns = now_ns
        for message in self._greeting():
            self._send(connection, message)
        connection.greeted_ns = self._greeted_ns = now_ns

    async def _stay(self) -> tuple[Loss, int]:
        """Until the present connection is lost; handed over to a new one whenever that is asked for."""
        while True:
            (present,) = self._open
            await self._watch(present)
            if self._asked.is_set() and not present.ended.done():
                await self._hand_over(present)
            if present.ended.done() and present in self._open:
                loss = self._named(present)
                now_ns = self._clock.now_ns()
                since_ns = min(present.heard_ns, now_ns) if self._expects_data(now_ns) else now_ns
                self.refusals += loss.kind in _WORDLESS and not present.spoke.done()
                self._drop(present)
                return loss, since_ns

    async def _watch(self, present: Connection) -> None:
        """Until the connection ends, has been silent for too long when it should not be, or is to be renewed."""
        silence_ns = self._rules.silence_ns
        asked = asyncio.ensure_future(self._asked.wait())
        news = asyncio.ensure_future(asyncio.wait((present.ended, asked), return_when=asyncio.FIRST_COMPLETED))
        try:
            if silence_ns is None:
                await news
                return
            while not await done_by(self._clock, present.heard_ns + silence_ns, news):
                now_ns = self._clock.now_ns()
                if not self._expects_data(now_ns):
                    present.heard_ns = now_ns
                elif now_ns - present.heard_ns >= silence_ns:
                    present.end(Loss(LossKind.SILENT, f"connected, and no data for {silence_ns / NS_PER_SECOND:g} s"))
                    return
        finally:
            asked.cancel()
            news.cancel()

    async def _hand_over(self, old: Connection) -> None:
        """Make a new connection, and break with the old one when the new one has shown that it is good."""
        renewal = self._renewal
        if renewal is None or not renewal.overlap:
            old.end(Loss(LossKind.RENEWED, "closed to connect again with the new token"))
            return
        connecting = asyncio.ensure_future(self._connect())
        try:
            await asyncio.wait((connecting, old.ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if old.ended.done() or not connecting.done():
                connecting.cancel()
                connecting.add_done_callback(_drop_late)
        if old.ended.done():
            return  # nothing is left to hand over: the renewal still stands and is served without a pause
        self._asked.clear()
        newer = connecting.result()
        refusal = newer if isinstance(newer, Loss) else await self._prove(old, newer)
        if refusal is None:
            await self._part(old)
            self._on_renewed()
        self._settle(renewal, refusal)

    async def _prove(self, old: Connection, newer: Connection) -> Loss | None:
        """Greet the new connection and wait until it speaks, or is quiet for long enough; why it is no good."""
        self._greet(newer)
        proof = asyncio.ensure_future(
            asyncio.wait((newer.spoke, newer.ended, old.ended), return_when=asyncio.FIRST_COMPLETED)
        )
        try:
            await done_by(self._clock, self._clock.now_ns() + self._rules.overlap_ns, proof)
        finally:
            proof.cancel()
        if not newer.ended.done():
            return None
        loss = self._named(newer)
        self._drop(newer)
        return loss

    async def _part(self, old: Connection) -> None:
        """Close a connection that is needed no more, in order; cut it when that takes longer than it should."""
        self._open.remove(old)
        try:
            if not old.ended.done():
                self._bid_farewell(old)
                await done_by(self._clock, self._clock.now_ns() + FAREWELL_NS, old.ended)
        finally:
            old.abort()

    def _drop(self, connection: Connection) -> None:
        self._open.remove(connection)
        connection.abort()

    def _named(self, connection: Connection) -> Loss:
        """Why it ended; a reset right after a login is a refused login."""
        loss = connection.ended.result()
        soon = self._clock.now_ns() - connection.greeted_ns < self._rules.login_ns
        if loss.kind is LossKind.RESET and soon and not connection.spoke.done():
            return Loss(LossKind.LOGIN_RESET, "the connection broke right after the login")
        return loss

    def _tell_lost(self, loss: Loss, since_ns: int) -> None:
        self.last_loss, self.last_loss_ns = loss, self._clock.now_ns()
        if self._lost is None:
            self._lost = (since_ns, str(loss))
            self._on_lost(loss, since_ns)

    async def _pause(self, pause_ns: int) -> None:
        """Wait before the next attempt, unless a new token is there."""
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await done_by(self._clock, self._clock.now_ns() + pause_ns, asked)
        finally:
            asked.cancel()

    def _was_steady(self) -> bool:
        """Did the connection that has just ended live long enough to be called a good one?"""
        since_ns = self._greeted_ns
        return since_ns is not None and self._clock.now_ns() - since_ns >= self._rules.steady_ns

    def _send(self, connection: Connection, message: bytes) -> None:
        connection.send_text(message)
        self.sent_messages += 1

    def _take(self, connection: Connection, message: memoryview) -> None:
        if self._over or connection.ended.done():
            return
        try:
            self._on_message(connection, message)
        except Exception as fault:  # noqa: BLE001  # broad: the socket library would log and drop it; `run` raises it instead
            self._fault = fault
            for other in (*self._open, connection):
                other.end(Loss(LossKind.HANDLER_FAILED, type(fault).__name__))

    def _note_end(self, connection: Connection, why: str) -> None:
        """The transport's last word on a connection; a server may quote our own words in it."""
        connection.end(Loss(_KIND_BY_WORD.get(why, LossKind.CLOSED), self._masked(why)))

    def _settle(self, renewal: _Renewal | None, loss: Loss | None) -> None:
        """Answer who asked for a new connection."""
        if renewal is None:
            return
        if not renewal.done.done():
            renewal.done.set_result(loss)
        if renewal is self._renewal:
            self._renewal = None

    def _bid_farewell(self, connection: Connection) -> None:
        if self._farewell is not None:
            self._send(connection, self._farewell)
        if connection.link is not None:
            connection.link.close()

    async def _say_farewell(self) -> None:
        """Close what is open in order; cut what takes longer than it should."""
        self._over = True
        for connection in self._open:
            if not connection.ended.done():
                self._bid_farewell(connection)
        until_ns = self._clock.now_ns() + FAREWELL_NS
        for connection in self._open:
            await done_by(self._clock, until_ns, connection.ended)
            connection.abort()
        self._open.clear()


def _abort_late(opening: asyncio.Future[Link]) -> None:
    """A handshake nobody waits for any more may still have succeeded."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()


def _drop_late(connecting: asyncio.Future[Connection | Loss]) -> None:
    """As `_abort_late`, a step further on."""
    if not connecting.cancelled() and connecting.exception() is None:
        made = connecting.result()
        if isinstance(made, Connection):
            made.abort()
