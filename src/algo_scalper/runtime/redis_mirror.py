"""The mirror: prices, P&L and what happened, copied into Redis or Valkey for other processes.

One more reader of the engine's stream, in the desk's process, on a connection of its own. The engine does not know it
is there: at worst the engine cuts it off, and it begins again from a snapshot. The server may be slow, full, gone and
back; then only the newest of everything waits, bounded, and on its return the mirror writes what is still true and
the events the stream has not got. Nothing is ever read back but the ids of those events.

Whatever is written expires: a key that is there was heard of within `KEEP_S`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path

import msgspec

from algo_scalper.adapters.redis_server import WITHIN_S, Append, Change, Drop, Put, RedisServer, RedisTrouble, Standing
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.engine.views import View
from algo_scalper.runtime.publish import Batch, StreamReader
from algo_scalper.runtime.redis_rows import (
    STATUS,
    STREAM,
    Occurrence,
    Row,
    occurrences,
    pnl_key,
    pnl_row,
    status_row,
    tick_key,
    tick_row,
)

GAP_NS = 250 * NS_PER_MS
BEAT_NS = NS_PER_SECOND
"""The status is written at least so often, which also finds out that the server is gone."""
RETRY_NS = 2 * NS_PER_SECOND
KEEP_S = 60
"""Prices, P&L and the status are gone so long after they were last heard of."""
AGAIN_NS = 10 * NS_PER_SECOND
"""An unchanged P&L is written again after so long, to keep it from expiring."""
SILENT_NS = 5 * NS_PER_SECOND
KEPT_EVENTS = 10_000
EVENTS_KEEP_MS = 7 * 24 * 3600 * 1000
MOST_TOLD = 2 * KEPT_EVENTS

_log = logging.getLogger(__name__)


class MirrorView(msgspec.Struct, frozen=True):
    """How the mirror does. ``state`` is a `Standing`, or ``fault`` after a mistake of ours; ``detail`` says why."""

    state: str
    where: str
    detail: str
    written_age_s: float | None
    """Since the last write the server confirmed; None before the first."""
    write_ms: float
    """How long that write took."""
    keys: int
    events: int
    outages: int


class RedisMirror:
    """Copies one engine's stream into one server, for as long as `run` runs."""

    def __init__(
        self,
        url: str,
        socket_path: str | Path,
        clock: Clock,
        *,
        source: str,
        say: Callable[[str], None] = lambda _: None,
        retry_ns: int = RETRY_NS,
        within_s: float = WITHIN_S,
    ) -> None:
        """``source`` names the engine in the events; ``say`` is told a sentence whenever the standing changes."""
        self.reader = StreamReader(socket_path, clock, ticks=True)
        self._url = url
        self._clock = clock
        self._source = source
        self._say = say
        self._retry_ns = retry_ns
        self._within_s = within_s
        self._where = "REDIS_URL"
        self._standing: str = Standing.CONNECTING
        self._detail = ""
        self._written_ns = 0
        self._write_ms = 0.0
        self._keys = self._events = self._outages = 0
        self._shown: dict[str, tuple[Row, int]] = {}
        """P&L rows as the server has them, by position id, and when they were written."""
        self._told: dict[str, None] = {}
        """Ids of the events the stream has, oldest first."""
        self._last_entry = ""

    @property
    def view(self) -> MirrorView:
        """For health, page and people."""
        age_ns = self._clock.now_ns() - self._written_ns if self._written_ns else None
        return MirrorView(
            state=str(self._standing),
            where=self._where,
            detail=self._detail,
            written_age_s=None if age_ns is None else round(age_ns / NS_PER_SECOND, 1),
            write_ms=round(self._write_ms, 1),
            keys=self._keys,
            events=self._events,
            outages=self._outages,
        )

    async def run(self) -> None:
        """Until cancelled; without a usable address it says so and ends."""
        try:
            server = RedisServer(self._url, within_s=self._within_s)
        except ConfigError as error:
            self._stand(Standing.REFUSED, str(error))
            return
        self._where = server.where
        following = asyncio.create_task(self.reader.run())
        try:
            while True:
                await self._copy_until_trouble(server)
                await server.close()
                await self._clock.sleep_until(self._clock.now_ns() + self._retry_ns)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await server.close()

    async def _copy_until_trouble(self, server: RedisServer) -> None:
        try:
            await self._copy(server)
        except RedisTrouble as trouble:
            self._stand(trouble.standing, str(trouble))
        except Exception as fault:  # noqa: BLE001 - an observer's mistake may not take the desk with it
            _log.exception("the Redis mirror broke and begins again")
            self._stand("fault", f"{type(fault).__name__}: {fault}")

    async def _copy(self, server: RedisServer) -> None:
        await server.ping()
        await self._recall(server)
        self._shown = {position: ({}, 0) for position in self._shown}  # the server may have lost them
        async with aclosing(self.reader.batches(GAP_NS, BEAT_NS)) as batches:
            async for batch in batches:
                await self._write(server, batch)
                self._stand(Standing.UP, "")

    async def _recall(self, server: RedisServer) -> None:
        """Which events the stream has, when somebody else may have changed it or an answer of ours was lost."""
        last = await server.last_entry(STREAM)
        if not last or last != self._last_entry:
            ids = await server.values_in(STREAM, "id", KEPT_EVENTS)
            self._told, self._last_entry = dict.fromkeys(reversed(ids)), last

    async def _write(self, server: RedisServer, batch: Batch) -> None:
        """One batch, and only then remember that the server has it."""
        now_ns = self._clock.now_ns()
        view = batch.snapshot.view if batch.snapshot is not None else batch.view
        rows = self._pnl_rows(view)
        gone = self._shown.keys() - rows.keys() if view is not None else set()
        events = {f"{self._source}:{one.id}": one for one in occurrences(batch)}
        fresh = {name: one for name, one in events.items() if name not in self._told}
        due = {position: row for position, row in rows.items() if self._is_due(position, row, now_ns)}
        left_ms = self._left_ms(0)
        stamp = now_ns // NS_PER_SECOND
        keys: list[Change] = [*self._ticks(batch)]
        keys += [Put(pnl_key(position), {**row, "updated_at": stamp}, left_ms) for position, row in due.items()]
        keys += [Drop(pnl_key(position)) for position in sorted(gone)]
        keys.append(Put(STATUS, self._status(now_ns), KEEP_S * 1000))
        entries: list[Change] = [self._entry(name, one) for name, one in fresh.items()]
        began_ns = time.perf_counter_ns()
        last = await server.write(keys + entries)
        self._write_ms = (time.perf_counter_ns() - began_ns) / NS_PER_MS
        self._written_ns = self._clock.now_ns()
        self._keys += len(keys)
        self._events += len(entries)
        self._last_entry = last or self._last_entry
        self._remember(fresh)
        for position in gone:
            del self._shown[position]
        self._shown.update((position, (row, now_ns)) for position, row in due.items())

    def _entry(self, name: str, one: Occurrence) -> Append:
        body = msgspec.json.encode(one.body).decode()
        fields: Row = {"id": name, "source": self._source, "kind": one.kind, "at_ns": one.at_ns, "body": body}
        return Append(STREAM, fields, KEPT_EVENTS, EVENTS_KEEP_MS)

    def _ticks(self, batch: Batch) -> list[Change]:
        """Prices with what is left of their time: after an outage an old one does not come back as if it were new."""
        newest_ns = self.reader.replica.ticks_at_ns
        puts: list[Change] = []
        for tick in batch.ticks:
            left_ms = self._left_ms(newest_ns - tick.at_ns)
            if left_ms > 0:
                puts.append(Put(tick_key(tick.key), tick_row(tick), left_ms))
        return puts

    def _pnl_rows(self, view: View | None) -> dict[str, Row]:
        """P&L of what is held, as long as the engine is heard."""
        if view is None or self._left_ms(0) <= 0:
            return {}
        return {one.id: pnl_row(one, view) for one in view.positions if one.held and one.average_paise}

    def _is_due(self, position: str, row: Row, now_ns: int) -> bool:
        before, written_ns = self._shown.get(position, ({}, 0))
        return row != before or now_ns - written_ns >= AGAIN_NS

    def _left_ms(self, age_ns: int) -> int:
        """What is left of `KEEP_S` for something that was ``age_ns`` old when the engine was last heard."""
        return KEEP_S * 1000 - (age_ns + (self.reader.age_ns or 0)) // NS_PER_MS

    def _status(self, now_ns: int) -> Row:
        age_ns = self.reader.age_ns
        heard = "unheard" if age_ns is None else "silent" if age_ns > SILENT_NS else "up"
        return status_row(self.reader.replica.day.view, source=self._source, engine=heard, now_ns=now_ns)

    def _remember(self, names: Iterable[str]) -> None:
        self._told.update(dict.fromkeys(names))
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]

    def _stand(self, standing: str, detail: str) -> None:
        changed = standing != self._standing
        if changed and self._standing == Standing.UP:
            self._outages += 1
        self._standing, self._detail = standing, detail
        if changed:
            why = f": {detail}; trading goes on without it" if detail else f" at {self._where}"
            self._say(f"redis mirror: {standing}{why}")
