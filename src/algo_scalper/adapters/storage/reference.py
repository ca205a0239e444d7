"""The reference store: reasons, readings and history. Nothing here is money; nothing here may delay an order."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.tables import candles, decisions, signals
from algo_scalper.domain.decisions import Decision, Signal
from algo_scalper.domain.market import Candle

_encode = msgspec.msgpack.encode
_decision = msgspec.msgpack.Decoder(Decision).decode
_signal = msgspec.msgpack.Decoder(Signal).decode


class DecisionLog:
    """Decisions on their way to the reference store.

    `keep` only remembers them: it is called on the way of an order, and an import may hold the file for a second.
    `write` stores what is waiting, off that way. The journal has every decision too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[str, Decision]] = []
        self._writing = threading.Lock()

    @property
    def waiting(self) -> int:
        """Decisions not yet stored."""
        return len(self._waiting)

    def keep(self, account: str, made: Iterable[Decision]) -> None:
        """Remember decisions for the next `write`. Never waits."""
        self._waiting.extend((account, decision) for decision in made)

    def write(self) -> None:
        """Store all that waits, in order. What a `StoreError` left behind is tried again by the next call."""
        with self._writing:
            batch = self._waiting[:]
            if not batch:
                return
            with self._database.write("keeping decisions") as connection:
                connection.execute(sa.insert(decisions), [_decision_row(account, one) for account, one in batch])
            del self._waiting[: len(batch)]


class ReferenceStore:
    """Questions and records of the reference store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decisions_between(self, account: str, from_ns: int, until_ns: int) -> tuple[Decision, ...]:
        """Why in, why out, why not: from (inclusive) until (exclusive), in order."""
        c = decisions.c
        query = (
            sa.select(c.record)
            .where(c.account == account, c.at_ns >= from_ns, c.at_ns < until_ns)
            .order_by(c.at_ns, c.number)
        )
        with self._database.read("reading decisions") as connection:
            return tuple(_decision(record) for record in connection.execute(query).scalars())

    def keep_signal(self, account: str, index: str, signal: Signal, *, at_ns: int) -> None:
        """Remember a signal of an index."""
        row = {
            "account": account,
            "at_ns": at_ns,
            "index_name": index,
            "name": signal.name,
            "direction": signal.direction.value,
            "record": _encode(signal),
        }
        with self._database.write("keeping a signal") as connection:
            connection.execute(sa.insert(signals), row)

    def signals_between(self, account: str, from_ns: int, until_ns: int) -> tuple[tuple[int, str, Signal], ...]:
        """(at_ns, index name, signal) from (inclusive) until (exclusive), in order."""
        c = signals.c
        query = (
            sa.select(c.at_ns, c.index_name, c.record)
            .where(c.account == account, c.at_ns >= from_ns, c.at_ns < until_ns)
            .order_by(c.at_ns, c.number)
        )
        with self._database.read("reading signals") as connection:
            return tuple((at, index, _signal(record)) for at, index, record in connection.execute(query))

    def keep_candles(self, key: int, bars: Iterable[Candle]) -> None:
        """Store one-minute bars of an instrument; a bar that is there already is overwritten."""
        rows = [{"key": key, **msgspec.structs.asdict(bar)} for bar in bars]
        if not rows:
            return
        statement = sqlite.insert(candles) if self._database.is_sqlite else postgresql.insert(candles)
        fresh = {bar.name: statement.excluded[bar.name] for bar in candles.c if not bar.primary_key}
        with self._database.write("keeping candles") as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key", "start_ns"], set_=fresh), rows)

    def candles_between(self, key: int, from_ns: int, until_ns: int) -> tuple[Candle, ...]:
        """Stored bars starting from (inclusive) until (exclusive), oldest first."""
        c = candles.c
        query = (
            sa.select(c.start_ns, c.open_paise, c.high_paise, c.low_paise, c.close_paise)
            .where(c.key == key, c.start_ns >= from_ns, c.start_ns < until_ns)
            .order_by(c.start_ns)
        )
        with self._database.read("reading candles") as connection:
            return tuple(Candle(*row) for row in connection.execute(query))


def _decision_row(account: str, decision: Decision) -> dict[str, object]:
    return {
        "account": account,
        "at_ns": decision.at_ns,
        "kind": decision.kind.value,
        "index_name": decision.index,
        "reason": decision.reason,
        "position_id": decision.position_id,
        "record": _encode(decision),
    }
