"""The watchlist in the reference store: what is watched beside what is traded, and who put it there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.tables import catalog_current, derivatives, instruments, watchlist_items
from algo_scalper.domain.instruments import Segment, instrument_key, key_security_id, key_segment


class WatchItem(msgspec.Struct, frozen=True):
    """An instrument of the list; ``label`` is the name it was added by, or was found under."""

    key: int
    label: str
    active: bool
    by: str
    at_ns: int


class WatchStore:
    """Questions to the list, and changes of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def items(self, *, inactive: bool = False) -> tuple[WatchItem, ...]:
        """What is on the list, by segment and security id; with ``inactive`` what was on it too."""
        c = watchlist_items.c
        query = sa.select(c.segment, c.security_id, c.label, c.active, c.changed_by, c.changed_ns)
        if not inactive:
            query = query.where(c.active.is_(True))
        with self._database.read("reading the watchlist") as connection:
            rows = connection.execute(query.order_by(c.segment, c.security_id)).all()
        return tuple(WatchItem(instrument_key(Segment[r[0]], r[1]), r[2], bool(r[3]), r[4], r[5]) for r in rows)

    def find(self, name: str) -> tuple[tuple[int, str], ...]:
        """(key, label) of what the catalog in use lists under this symbol or name, by segment and security id."""
        wanted = name.strip()
        found: list[tuple[int, str]] = []
        with self._database.read("looking a name up in the catalog") as connection:
            generation = connection.execute(sa.select(catalog_current.c.generation)).scalar_one_or_none()
            i, d = instruments.c, derivatives.c
            listed = sa.select(i.key, i.symbol).where(i.generation == generation, i.symbol == wanted.upper())
            found += [(row[0], row[1]) for row in connection.execute(listed)]
            if not found:
                contracts = sa.select(d.key, d.name).where(d.generation == generation, d.name == wanted)
                found += [(row[0], row[1]) for row in connection.execute(contracts)]
        return tuple(sorted(found))

    def tick_sizes(self, keys: Iterable[int]) -> dict[int, int]:
        """Ticks in paise by key, of those the catalog in use knows."""
        wanted = list(keys)
        sizes: dict[int, int] = {}
        with self._database.read("reading tick sizes") as connection:
            generation = connection.execute(sa.select(catalog_current.c.generation)).scalar_one_or_none()
            for table in (instruments, derivatives):
                c = table.c
                query = sa.select(c.key, c.tick_paise).where(c.generation == generation, c.key.in_(wanted))
                sizes |= {row[0]: row[1] for row in connection.execute(query) if row[1]}
        return sizes

    def add(self, items: Iterable[tuple[int, str]], *, by: str, at_ns: int) -> int:
        """Put these (key, label) on the list; gives how many were not on it."""
        wanted = dict(items)
        on_it = {item.key for item in self.items()}
        self._write([self._row(key, label, by, at_ns, active=True) for key, label in wanted.items()])
        return len(wanted.keys() - on_it)

    def remove(self, keys: Iterable[int], *, by: str, at_ns: int) -> int:
        """Take these off the list; gives how many were on it."""
        wanted = set(keys)
        gone = [item for item in self.items() if item.key in wanted]
        self._write([self._row(item.key, item.label, by, at_ns, active=False) for item in gone])
        return len(gone)

    def _row(self, key: int, label: str, by: str, at_ns: int, *, active: bool) -> dict[str, Any]:
        return {
            "segment": key_segment(key).name,
            "security_id": key_security_id(key),
            "label": label,
            "active": active,
            "changed_by": by,
            "changed_ns": at_ns,
        }

    def _write(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        table = watchlist_items
        statement: Any = sqlite.insert(table) if self._database.is_sqlite else postgresql.insert(table)
        fresh = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        with self._database.write("changing the watchlist") as connection:
            keys = ["segment", "security_id"]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=fresh), rows)
