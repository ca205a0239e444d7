"""The numbered stream beside the engine: what happened, for everyone who only watches.

The engine process owns a `Publisher`; the desk follows it with a `StreamReader`. Both keep a `DayRecord` and
change it by the same function, so the desk's copy equals the engine's or is thrown away. Watching can neither
slow nor fail the engine: a reader that does not keep up is cut off and starts again from a snapshot, and a record
that cannot be sent is counted and logged, never raised.

Wire: a 4-byte big-endian length, then msgpack ``{"n", "kind", "body"}``. ``n`` grows by one with every message; on
connecting a reader gets one ``snapshot`` that carries the current ``n``. The other way the same framing carries
`Word`, an operator's word, `Follow`, the wish for prices as well, or `Ask`, a change a person wants and an answer to,
and nothing else. The `Answer` goes to who asked alone and repeats the current ``n`` too.

Prices are a second kind of message, for readers that asked: ``ticks``, the newest tick of every instrument that had
one since the last such message. It repeats the current ``n`` instead of taking a new one, so readers with and without
prices count alike. The engine's path knows nothing of it: the batch is what differs from the last one, seen a few
times a second, and nobody looks while nobody has asked.

The socket is a unix socket that only its owner may open. Where unix sockets are missing, or the path is too long for
one, it is a loopback TCP port; the path is then a private file with the port and a key the reader must show.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import stat
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import cast

import msgspec

from algo_scalper.domain.errors import DataError, SecondInstance
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.market import Tick
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, ist_day
from algo_scalper.engine.views import DecisionView, TradeView, View
from algo_scalper.runtime.clock import first_of

VIEW_GAP_NS = 250 * NS_PER_MS
BEAT_NS = NS_PER_SECOND
RETRY_NS = 500 * NS_PER_MS
BACKLOG_BYTES = 1 << 20
MAX_FRAME_BYTES = 32 << 20
MAX_WORD_BYTES = 4096
KEPT_DECISIONS = 2_000
CLOSE_WITHIN_NS = NS_PER_SECOND
KEPT_NOTICES = 200
KEPT_PENDING = 5_000
ANSWER_WITHIN_NS = 5 * NS_PER_SECOND

_log = logging.getLogger(__name__)


class IndexCandle(
    msgspec.Struct,
    frozen=True,
    rename={"open_paise": "open", "high_paise": "high", "low_paise": "low", "close_paise": "close"},
):
    """A closed one-minute candle of an index; on the wire ``{index, start_ns, open, high, low, close}`` in paise."""

    index: str
    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int


class Notice(msgspec.Struct, frozen=True):
    """Something a person was told; the fields of `domain.commands.Notify`."""

    at_ns: int
    level: str
    code: str
    text: str


class StoreView(msgspec.Struct, frozen=True):
    """The trading store as the engine process knows it. ``state`` is ``ok`` or ``failing``."""

    state: str
    committed_ns: int
    """The last commit that was durable, on the engine's clock; 0 before the first."""
    detail: str = ""


class DecisionLine(msgspec.Struct, frozen=True):
    """A decision as the log shows it. A refusal repeated minute after minute is one line: its newest words, counted."""

    line: int
    count: int
    first_ns: int
    decision: DecisionView


class WatchLine(msgspec.Struct, frozen=True):
    """An instrument of the watchlist; ``at_ns`` 0: no price has come yet."""

    key: int
    name: str
    ltp_paise: int = 0
    at_ns: int = 0


class WatchView(msgspec.Struct, frozen=True):
    """What is watched beside what is traded, and the place the list comes from."""

    source: str
    lines: tuple[WatchLine, ...]


class Snapshot(msgspec.Struct, frozen=True):
    """The day so far: all a reader needs that has just connected."""

    view: View | None
    candles: tuple[IndexCandle, ...]
    decisions: tuple[DecisionLine, ...]
    trades: tuple[TradeView, ...]
    notices: tuple[Notice, ...]
    store: StoreView | None
    watch: WatchView | None = None


class Word(msgspec.Struct, frozen=True, tag_field="what", tag="word"):
    """An operator's word on its way to the engine; ``target`` is a position id for ``close``, else empty."""

    word: OperatorWord
    target: str = ""
    by: str = "page"


class Follow(msgspec.Struct, frozen=True, tag_field="what", tag="follow"):
    """A reader's wish for more than the day's record: from now on also the prices, beginning with all there are."""

    ticks: bool


class AskKind(StrEnum):
    """What a person may want changed while the engine runs."""

    SETTING = "setting"
    RULE = "rule"
    WATCHLIST = "watchlist"
    """The list was changed in its store: read it again."""


class Ask(msgspec.Struct, frozen=True, tag_field="what", tag="ask"):
    """A change a person wants. ``value`` None takes back what is stored."""

    kind: AskKind
    name: str = ""
    value: str | None = None
    by: str = "page"
    account: str = ""
    """Whose; empty: of whatever account the engine trades."""


class Answer(msgspec.Struct, frozen=True):
    """What became of it: done, with the moment it counts from; or refused, with why and what to do."""

    done: bool
    text: str


class Ticks(msgspec.Struct, frozen=True):
    """The newest tick of each instrument that had one since the last batch; ``at_ns`` is the engine's time of it."""

    at_ns: int
    ticks: tuple[Tick, ...]


class Message(msgspec.Struct, frozen=True):
    """The envelope of the wire."""

    n: int
    kind: str
    body: msgspec.Raw


class StreamGap(DataError):
    """A message number was skipped: the copy can no longer be trusted and is fetched anew."""


Record = View | IndexCandle | DecisionLine | TradeView | Notice | StoreView | WatchView

PUBLISHED: dict[str, type[msgspec.Struct]] = {
    "view": View,
    "candle": IndexCandle,
    "decision": DecisionView,
    "trade": TradeView,
    "notice": Notice,
    "store": StoreView,
    "watch": WatchView,
}
"""What `Publisher.publish` takes, by kind. On the wire a decision travels inside its `DecisionLine`."""

_UNFIT = (KeyError, AttributeError, TypeError, ValueError, OverflowError, msgspec.MsgspecError)
"""What a record raises that is not what its kind says, or that cannot be encoded."""

_ON_WIRE: dict[str, type[msgspec.Struct]] = {**PUBLISHED, "decision": DecisionLine}


class DayRecord:
    """What there is to show of the day, bounded. Changed by `apply` alone, on both sides of the socket."""

    def __init__(self) -> None:
        """An empty day."""
        self.view: View | None = None
        self.candles: dict[str, dict[int, IndexCandle]] = {}
        self.decisions: dict[int, DecisionLine] = {}
        self.trades: dict[str, TradeView] = {}
        self.notices: deque[Notice] = deque(maxlen=KEPT_NOTICES)
        self.store: StoreView | None = None
        self.watch: WatchView | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> DayRecord:
        """The record a snapshot was taken of."""
        record = cls()
        record.view, record.store, record.watch = snapshot.view, snapshot.store, snapshot.watch
        records: tuple[Record, ...] = (*snapshot.candles, *snapshot.decisions, *snapshot.trades, *snapshot.notices)
        for one in records:
            record.apply(one)
        return record

    def snapshot(self) -> Snapshot:
        """Everything kept, oldest first."""
        return Snapshot(
            view=self.view,
            candles=tuple(candle for by_start in self.candles.values() for candle in by_start.values()),
            decisions=tuple(self.decisions.values()),
            trades=tuple(self.trades.values()),
            notices=tuple(self.notices),
            store=self.store,
            watch=self.watch,
        )

    def apply(self, record: Record) -> None:
        """Take one record in. A view of another day begins that day: what belonged to the old one goes."""
        match record:
            case View():
                if self.view is not None and self.view.day != record.day:
                    self.decisions.clear()
                    self.trades.clear()
                self.view = record
            case IndexCandle():
                self._apply_candle(record)
            case DecisionLine():
                self.decisions.pop(record.line, None)  # a counted line moves to the end: newest last
                self.decisions[record.line] = record
                if len(self.decisions) > KEPT_DECISIONS:
                    del self.decisions[next(iter(self.decisions))]
            case TradeView():
                self.trades[record.id] = record
            case Notice():
                self.notices.append(record)
            case StoreView():
                self.store = record
            case WatchView():
                self.watch = record

    def _apply_candle(self, candle: IndexCandle) -> None:
        """Candles of the newest day seen only: warm-up history of the days before is not shown."""
        kept = self.candles.setdefault(candle.index, {})
        if kept:
            kept_day, day = ist_day(next(iter(kept))), ist_day(candle.start_ns)
            if day < kept_day:
                return
            if day > kept_day:
                kept.clear()
        kept[candle.start_ns] = candle


class _Watcher:
    """One connected reader and the most bytes that may wait for it."""

    def __init__(self, writer: asyncio.StreamWriter, allowed_bytes: int) -> None:
        self.writer = writer
        self.allowed_bytes = allowed_bytes
        self.wants_ticks = False

    @property
    def waiting_bytes(self) -> int:
        return self.writer.transport.get_write_buffer_size()


class Publisher:
    """The engine's side. ``on_word`` is called on the event loop for every operator word that arrives."""

    def __init__(
        self,
        clock: Clock,
        on_word: Callable[[Word], None],
        on_ask: Callable[[Ask], Awaitable[Answer]] | None = None,
        *,
        backlog_bytes: int = BACKLOG_BYTES,
    ) -> None:
        """Nothing listens before `start`; what is published until then is in the first snapshot.

        ``on_ask`` answers who wants something changed, and raises nothing. Without it nobody is answered.
        """
        self.day = DayRecord()
        self.n = 0
        self.cut_off = 0
        """Readers that did not keep up and were disconnected."""
        self.faults = 0
        """Records that could not be published: each is a mistake of ours, logged with its kind."""
        self._clock = clock
        self._on_word = on_word
        self._on_ask = on_ask
        self._answering: set[asyncio.Task[None]] = set()
        self._backlog_bytes = backlog_bytes
        self._watchers: set[_Watcher] = set()
        self._ticks_sent: dict[int, Tick] = {}
        self._next_line = 1
        self._last_line: dict[str, int] = {}
        self._view_sent_ns = -VIEW_GAP_NS
        self._view_waiting: View | None = None
        self._view_waits = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._path = Path()
        self._key = ""

    @property
    def view_due(self) -> bool:
        """Would a view published now be sent now? Lets the caller skip building one that would be replaced."""
        return self._clock.now_ns() - self._view_sent_ns >= VIEW_GAP_NS

    async def start(self, path: str | Path) -> None:
        """Listen at ``path``. Raises `SecondInstance` when another engine answers there."""
        self._path = Path(path)
        await _refuse_if_answered(self._path)
        self._path.unlink(missing_ok=True)
        listener = _unix_listener(self._path)
        if listener is not None:
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_WORD_BYTES)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_WORD_BYTES)
            self._key = secrets.token_urlsafe(32)
            door = _Door(port=self._server.sockets[0].getsockname()[1], key=self._key)
            self._path.touch(mode=0o600)
            self._path.write_bytes(msgspec.json.encode(door))
        self._flusher = asyncio.create_task(self._send_waiting_views())

    async def close(self) -> None:
        """Disconnect every reader and take the socket away."""
        if self._flusher is not None:
            self._flusher.cancel()
        watchers = tuple(self._watchers)
        for watcher in watchers:
            watcher.writer.close()
        self._watchers.clear()
        if self._server is not None:
            self._server.close()
            # A reader that no longer reads must not keep the engine from ending.
            until_ns = self._clock.now_ns() + CLOSE_WITHIN_NS
            await first_of(self._server.wait_closed(), self._clock.sleep_until(until_ns))
            for watcher in watchers:
                watcher.writer.transport.abort()
            self._path.unlink(missing_ok=True)

    def publish(self, kind: str, record: object) -> None:
        """Record and send one thing: the struct of `PUBLISHED`, or what has its fields. Never raises, never waits."""
        try:
            shape = PUBLISHED[kind]
            taken = record if type(record) is shape else msgspec.convert(record, shape, from_attributes=True)
            if isinstance(taken, View):
                self._offer_view(taken)
            elif isinstance(taken, DecisionView):
                self._send_decision(taken)
            else:
                self._send(kind, cast("Record", taken))
        except _UNFIT as fault:
            self._count_fault(kind, fault)

    def offer_ticks(self, at_ns: int, ticks: Mapping[int, Tick]) -> None:
        """Send what is new among the engine's latest ticks to the readers that asked. Never raises, never waits.

        An unchanged price is the same object as last time, so that looking costs some nanoseconds an instrument.
        """
        watchers = [watcher for watcher in self._watchers if watcher.wants_ticks]
        if not watchers:
            return
        sent = self._ticks_sent
        fresh = tuple(tick for key, tick in ticks.items() if sent.get(key) is not tick)
        if not fresh:
            return
        try:
            frame = _frame({"n": self.n, "kind": "ticks", "body": Ticks(at_ns, fresh)})
        except _UNFIT as fault:
            self._count_fault("ticks", fault)
            return
        self._ticks_sent = dict(ticks)
        self._write(frame, watchers)

    def _count_fault(self, kind: str, fault: Exception) -> None:
        self.faults += 1
        _log.error("not published: a record of kind %r: %s: %s", kind, type(fault).__name__, fault)

    def _offer_view(self, view: View) -> None:
        """At most one view per gap is sent; of those in between the newest wins."""
        if self.view_due:
            self._send_view(view)
        else:
            self._view_waiting = view
            self._view_waits.set()

    def _send_view(self, view: View) -> None:
        self._view_waiting = None
        self._view_sent_ns = self._clock.now_ns()
        self._send("view", view)

    async def _send_waiting_views(self) -> None:
        while True:
            await self._view_waits.wait()
            self._view_waits.clear()
            await self._clock.sleep_until(self._view_sent_ns + VIEW_GAP_NS)
            if self._view_waiting is not None:
                self.publish("view", self._view_waiting)

    def _send_decision(self, decision: DecisionView) -> None:
        """A refusal that only repeats its index's last line is counted into it."""
        last = self.day.decisions.get(self._last_line.get(decision.index, 0))
        if last is not None and _repeats(last.decision, decision):
            line = DecisionLine(last.line, last.count + 1, last.first_ns, decision)
        else:
            line = DecisionLine(self._next_line, 1, decision.at_ns, decision)
        self._send("decision", line)
        self._last_line[decision.index] = line.line
        self._next_line = max(self._next_line, line.line + 1)

    def _send(self, kind: str, record: Record) -> None:
        frame = _frame({"n": self.n + 1, "kind": kind, "body": record})  # what cannot be encoded is not recorded either
        self.day.apply(record)
        self.n += 1
        self._write(frame, tuple(self._watchers))

    def _write(self, frame: bytes, watchers: Iterable[_Watcher]) -> None:
        for watcher in watchers:
            if watcher.waiting_bytes > watcher.allowed_bytes:
                self._cut(watcher)
            else:
                watcher.writer.write(frame)

    def _cut(self, watcher: _Watcher) -> None:
        self.cut_off += 1
        self._watchers.discard(watcher)
        watcher.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watcher: _Watcher | None = None
        try:
            if self._key and not secrets.compare_digest(await _read_frame(reader, MAX_WORD_BYTES), self._key.encode()):
                return
            frame = _frame({"n": self.n, "kind": "snapshot", "body": self.day.snapshot()})
            watcher = _Watcher(writer, len(frame) + self._backlog_bytes)
            self._watchers.add(watcher)
            writer.write(frame)
            while True:
                heard = msgspec.msgpack.decode(await _read_frame(reader, MAX_WORD_BYTES), type=Word | Follow | Ask)
                if isinstance(heard, Ask):
                    self._begin_answer(heard, writer)
                elif isinstance(heard, Follow):
                    watcher.wants_ticks = heard.ticks
                    self._ticks_sent = {}  # the next batch is whole
                else:
                    # On its own turn of the loop: a fault in the engine must not look like a fault of this reader.
                    asyncio.get_running_loop().call_soon(self._on_word, heard)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the reader went away, and comes back by itself; or the process ends
        except (DataError, msgspec.MsgspecError) as fault:
            _log.warning("a reader of %s was disconnected: it sent what is no operator word: %s", self._path, fault)
        finally:
            if watcher is not None:
                self._watchers.discard(watcher)
            writer.close()

    def _begin_answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        """The change goes on when who asked goes away: it is a person's, and not this connection's."""
        if self._on_ask is None:
            return
        task = asyncio.get_running_loop().create_task(self._answer(self._on_ask(ask), writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, answering: Awaitable[Answer], writer: asyncio.StreamWriter) -> None:
        answer = await answering
        if not writer.is_closing():
            writer.write(_frame({"n": self.n, "kind": "answer", "body": answer}))


async def ask_engine(path: str | Path, ask: Ask, clock: Clock, within_ns: int = ANSWER_WITHIN_NS) -> Answer | None:
    """Ask the engine that publishes at ``path`` for a change; None when nobody listens there.

    Raises `DataError` when the engine was reached and did not answer: whether the change was made is then not known.
    """
    try:
        reader, writer = await _connect(Path(path))
    except (OSError, msgspec.MsgspecError):
        return None
    answers: list[Answer] = []
    try:
        writer.write(_frame(ask))
        await first_of(_await_answer(reader, answers), clock.sleep_until(clock.now_ns() + within_ns))
    finally:
        writer.close()
    if not answers:
        raise DataError(
            f"the engine at {path} did not answer: whether {ask.name or ask.kind} was changed is not known; look at its "
            "history before you try again"
        )
    return answers[0]


async def say_to_engine(path: str | Path, word: OperatorWord, target: str, by: str) -> bool:
    """Send one operator's word to the engine that publishes at ``path``; False when nobody listens there."""
    try:
        reader, writer = await _connect(Path(path))
    except (OSError, msgspec.MsgspecError):
        return False
    with contextlib.suppress(ConnectionError):
        writer.write(_frame(Word(word, target, by)))
        writer.write_eof()
        # Closing with something unread would reset the line, and the word might be lost with it.
        while await reader.read(MAX_WORD_BYTES):
            pass
    writer.close()
    return True


async def _await_answer(reader: asyncio.StreamReader, answers: list[Answer]) -> None:
    """Read on until the answer comes or the line ends; the day's record goes by."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while not answers:
            message = msgspec.msgpack.decode(await _read_frame(reader, MAX_FRAME_BYTES), type=Message)
            if message.kind == "answer":
                answers.append(msgspec.msgpack.decode(message.body, type=Answer))


class Replica:
    """The desk's copy of the engine's `DayRecord`, and the number and moment of its last message."""

    def __init__(self) -> None:
        """Knows nothing until the first snapshot."""
        self.day = DayRecord()
        self.ticks: dict[int, Tick] = {}
        """The newest tick by instrument; only for a reader that follows prices."""
        self.ticks_at_ns = 0
        """The engine's time of the last batch of ticks; 0 before the first."""
        self.n = -1
        self.received_ns = 0
        """When the last message came, on this process's clock; 0 before the first."""

    def take(self, frame: bytes, at_ns: int) -> Record | Ticks | None:
        """Apply one message and return its record; None for a snapshot. Raises `StreamGap` on a skipped number."""
        message = msgspec.msgpack.decode(frame, type=Message)
        if message.kind == "snapshot":
            self.day = DayRecord.of(msgspec.msgpack.decode(message.body, type=Snapshot))
            self.ticks.clear()
            self.n, self.received_ns = message.n, at_ns
            return None
        if message.kind == "ticks" and message.n == self.n:
            batch = msgspec.msgpack.decode(message.body, type=Ticks)
            self.ticks.update((tick.key, tick) for tick in batch.ticks)
            self.ticks_at_ns, self.received_ns = batch.at_ns, at_ns
            return batch
        if message.n != self.n + 1:
            raise StreamGap(f"message {message.n} of the engine's stream followed {self.n}; reading it anew")
        shape = _ON_WIRE.get(message.kind)
        if shape is None:
            raise DataError(f"the engine's stream has a message of unknown kind {message.kind!r}: versions differ")
        record = cast("Record", msgspec.msgpack.decode(message.body, type=shape))
        self.day.apply(record)
        self.n, self.received_ns = message.n, at_ns
        return record


class Batch(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one watcher of the desk has not seen yet: a snapshot, or what changed; empty as a sign of life."""

    snapshot: Snapshot | None = None
    view: View | None = None
    candles: tuple[IndexCandle, ...] = ()
    decisions: tuple[DecisionLine, ...] = ()
    trades: tuple[TradeView, ...] = ()
    notices: tuple[Notice, ...] = ()
    store: StoreView | None = None
    watch: WatchView | None = None
    ticks: tuple[Tick, ...] = ()


_Newest = View | StoreView | WatchView
"""Of these only the newest is worth telling."""


class _Pending:
    """Records gathered for one watcher. Bounded: a watcher that falls too far behind gets the snapshot again."""

    def __init__(self) -> None:
        self.whole = True
        self.newest: dict[type[_Newest], _Newest] = {}
        self.records: list[Record] = []
        self.ticks: dict[int, Tick] = {}

    def add(self, record: Record | Ticks | None) -> None:
        if isinstance(record, Ticks):
            self.ticks.update((tick.key, tick) for tick in record.ticks)
        elif record is None or len(self.records) >= KEPT_PENDING:
            self.whole = True
            self.newest.clear()
            self.records.clear()
        elif isinstance(record, _Newest):
            self.newest[type(record)] = record
        else:
            self.records.append(record)

    def drain(self, replica: Replica) -> Batch | None:
        """What has gathered, or None. A snapshot includes everything gathered until now."""
        if self.whole:
            batch = Batch(snapshot=replica.day.snapshot(), ticks=tuple(replica.ticks.values()))
        elif not self.newest and not self.records and not self.ticks:
            return None
        else:
            view, store = self.newest.get(View), self.newest.get(StoreView)
            batch = Batch(
                view=cast("View | None", view),
                candles=tuple(one for one in self.records if isinstance(one, IndexCandle)),
                decisions=tuple(one for one in self.records if isinstance(one, DecisionLine)),
                trades=tuple(one for one in self.records if isinstance(one, TradeView)),
                notices=tuple(one for one in self.records if isinstance(one, Notice)),
                store=cast("StoreView | None", store),
                watch=cast("WatchView | None", self.newest.get(WatchView)),
                ticks=tuple(self.ticks.values()),
            )
        self.whole = False
        self.newest.clear()
        self.records.clear()
        self.ticks.clear()
        return batch


class StreamReader:
    """The desk's side: follows the engine's stream, reconnects by itself, and carries operator words back."""

    def __init__(self, path: str | Path, clock: Clock, *, retry_ns: int = RETRY_NS, ticks: bool = False) -> None:
        """``path`` is the publisher's; it need not exist yet. ``ticks``: follow the prices as well."""
        self.replica = Replica()
        self.detail = "not connected yet"
        """Why there is no connection; empty while there is one."""
        self._path = Path(path)
        self._clock = clock
        self._retry_ns = retry_ns
        self._ticks = ticks
        self._writer: asyncio.StreamWriter | None = None
        self._pending: set[_Pending] = set()
        self._own: deque[Notice] = deque(maxlen=KEPT_NOTICES)

    @property
    def connected(self) -> bool:
        """Is the engine's socket open?"""
        return self._writer is not None

    @property
    def age_ns(self) -> int | None:
        """Time since the last message of the engine; None before the first."""
        return self._clock.now_ns() - self.replica.received_ns if self.replica.received_ns else None

    async def run(self) -> None:
        """Follow the stream until cancelled. The last copy stays readable while the engine is away."""
        while True:
            try:
                await self._follow()
            except (OSError, asyncio.IncompleteReadError, DataError, msgspec.MsgspecError) as lost:
                self.detail = f"{type(lost).__name__}: {lost}"
            await self._clock.sleep_until(self._clock.now_ns() + self._retry_ns)

    def tell(self, notice: Notice) -> None:
        """Show a notice of the desk's own among the engine's; it outlives the engine's snapshots."""
        self._own.append(notice)
        self._show(notice)

    def _show(self, notice: Notice) -> None:
        self.replica.day.apply(notice)
        for pending in self._pending:
            pending.add(notice)

    def say(self, word: OperatorWord, target: str = "", by: str = "page") -> bool:
        """Send an operator's word; False when the engine is not connected and nothing was sent."""
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(_frame(Word(word, target, by)))
        return True

    async def batches(self, gap_ns: int = VIEW_GAP_NS, beat_ns: int = BEAT_NS) -> AsyncGenerator[Batch, None]:
        """First a snapshot, then what changed, at most once per gap; at least once per beat, empty if need be."""
        pending = _Pending()
        self._pending.add(pending)
        try:
            yielded_ns = self._clock.now_ns()
            while True:
                batch = pending.drain(self.replica)
                if batch is not None or self._clock.now_ns() - yielded_ns >= beat_ns:
                    yielded_ns = self._clock.now_ns()
                    yield batch or Batch()
                await self._clock.sleep_until(self._clock.now_ns() + gap_ns)
        finally:
            self._pending.discard(pending)

    async def _follow(self) -> None:
        reader, writer = await _connect(self._path)
        try:
            if self._ticks:
                writer.write(_frame(Follow(ticks=True)))
            while True:
                frame = await _read_frame(reader, MAX_FRAME_BYTES)
                record = self.replica.take(frame, self._clock.now_ns())
                self._writer, self.detail = writer, ""
                for pending in self._pending:
                    pending.add(record)
                if record is None:
                    for notice in self._own:
                        self._show(notice)
        finally:
            self._writer = None
            writer.close()


class _Door(msgspec.Struct, frozen=True):
    """Where the TCP stand-in for a unix socket listens, and the key that opens it."""

    port: int
    key: str


def _repeats(last: DecisionView, decision: DecisionView) -> bool:
    """The same no to the same intention; the strike and the numbers may differ."""
    return decision.kind == "refusal" == last.kind and (last.index, last.direction, last.reason) == (
        decision.index,
        decision.direction,
        decision.reason,
    )


def _frame(value: object) -> bytes:
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(4, "big") + body


async def _read_frame(reader: asyncio.StreamReader, limit_bytes: int) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > limit_bytes:
        raise DataError(f"a frame of {size} bytes where at most {limit_bytes} are sent")
    return await reader.readexactly(size)


def _unix_listener(path: Path) -> socket.socket | None:
    """A unix socket that only its owner may open; None where there are none or the path is too long for one."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        if "too long" in str(error):
            return None
        raise
    path.chmod(0o600)  # before it listens: nobody can have connected yet
    return listener


def _door_at(path: Path) -> _Door | None:
    """The TCP stand-in behind ``path``; None when it is a unix socket. Raises `OSError` when nothing is there."""
    if stat.S_ISSOCK(path.stat().st_mode):
        return None
    return msgspec.json.decode(path.read_bytes(), type=_Door)


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    door = _door_at(path)
    if door is None:
        return await asyncio.open_unix_connection(str(path))
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(len(door.key).to_bytes(4, "big") + door.key.encode())
    return reader, writer


async def _refuse_if_answered(path: Path) -> None:
    """A socket nobody listens on is left from a process that died; one that answers belongs to another engine."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        _, writer = await _connect(path)
        writer.close()
        raise SecondInstance(f"another engine already publishes at {path}; stop it first, or use another data folder")
