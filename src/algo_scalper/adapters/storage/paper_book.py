"""The paper broker's own durable book: one SQLite file, as separate from ours as a broker's would be.

The rows are opaque here: what the simulated exchange exports, by row name. They are kept by day and account.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.domain.errors import StoreError

_APPLICATION = 0x50415042  # "PAPB": tells our file from somebody else's
_VERSION = 1
_META = ""
"""The name of the row that holds the exchange's own state beside its rows."""


class PaperBook:
    """One account's paper day. Used by one thread at a time; every `save` is one durable transaction."""

    def __init__(self, path: Path, account: str, day: date, *, mark: Mark = no_mark) -> None:
        self.path = path
        self._of = (account, day.isoformat())
        self._mark = mark
        with self._errors("opening it"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA busy_timeout = 2000")
        (application,) = execute("PRAGMA application_id").fetchone()
        (version,) = execute("PRAGMA user_version").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != (_APPLICATION, _VERSION):
            found = f"version {version}" if application == _APPLICATION else "a file of something else"
            raise StoreError(
                f"paper book {self.path}: found {found}, expected version {_VERSION}; it was left untouched: move it "
                "away to begin a new paper account, or start the version that wrote it"
            )
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA fullfsync = ON")
        if not tables:
            execute("BEGIN IMMEDIATE")
            execute(
                "CREATE TABLE IF NOT EXISTS book (account TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL, "
                "content BLOB NOT NULL, PRIMARY KEY (account, day, name)) WITHOUT ROWID"
            )
            execute(f"PRAGMA application_id = {_APPLICATION}")
            execute(f"PRAGMA user_version = {_VERSION}")
            execute("COMMIT")

    def load(self) -> tuple[dict[str, bytes], bytes | None]:
        """All rows by name in the order of their names, and the meta; ``({}, None)`` when nothing was ever saved."""
        with self._errors("reading it"):
            query = "SELECT name, content FROM book WHERE account = ? AND day = ? ORDER BY name"
            rows: dict[str, bytes] = dict(self._connection.execute(query, self._of))
        meta = rows.pop(_META, None)
        return rows, meta

    def earlier_day(self) -> date | None:
        """The newest day before this one of which anything was saved; None for a new account."""
        with self._errors("reading it"):
            query = "SELECT max(day) FROM book WHERE account = ? AND day < ?"
            (found,) = self._connection.execute(query, self._of).fetchone()
        return date.fromisoformat(found) if found else None

    def save(self, rows: Mapping[str, bytes], meta: bytes) -> None:
        """Add or overwrite these rows and the meta, durably and all at once. Other rows stay. Names are not empty."""
        if _META in rows:
            raise ValueError("a row of the paper book has an empty name; that name is the meta's")
        changed = [(*self._of, name, content) for name, content in (*rows.items(), (_META, meta))]
        with self._errors("saving"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT INTO book VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET content = excluded.content", changed
                )
                self._mark("paper.before_commit")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._mark("paper.after_commit")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"paper book {self.path}: {doing} failed ({error.strerror}); name another place"
            ) from error
        except sqlite3.Error as error:
            raise StoreError(
                f"paper book {self.path}: {doing} failed ({error}); free its disk if it is full; if the file is "
                "damaged, move it away and restore the last backup"
            ) from error
