"""Opening both stores: two files beside one another, or two schemas of one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.adapters.storage.catalog import CatalogStore
from algo_scalper.adapters.storage.change_store import ChangeStore
from algo_scalper.adapters.storage.database import Database, Part, file_of, postgres_database, sqlite_database
from algo_scalper.adapters.storage.job_runs import JobRuns
from algo_scalper.adapters.storage.placing import check_placed
from algo_scalper.adapters.storage.reference import DecisionLog, ReferenceStore
from algo_scalper.adapters.storage.retention import Retention
from algo_scalper.adapters.storage.revisions import bring_to_head, check_whole
from algo_scalper.adapters.storage.tables import positions, sessions, settings
from algo_scalper.adapters.storage.trading import TradingStore
from algo_scalper.adapters.storage.watch_store import WatchStore
from algo_scalper.domain.errors import AlgoScalperError, StoreError
from algo_scalper.domain.positions import PositionState

FIRST_ACCOUNT = "PAPER"
"""Whose settings are meant when nobody says so and no session has begun yet."""


class Stores:
    """The two open databases and what is asked of them."""

    def __init__(self, trading: Database, reference: Database) -> None:
        self._trading = trading
        self._reference = reference
        self.reference = ReferenceStore(reference)
        self.catalog = CatalogStore(reference)
        self.decisions = DecisionLog(reference)
        self.job_runs = JobRuns(reference)
        self.retention = Retention(reference)
        self.watchlist = WatchStore(reference)

    @property
    def where(self) -> tuple[str, str]:
        """Where the trading and the reference store lie, for people; no password in it."""
        return self._trading.where, self._reference.where

    @property
    def databases(self) -> tuple[Database, Database]:
        """Trading and reference, for who copies them."""
        return self._trading, self._reference

    def answer(self) -> None:
        """Ask each for something small; `StoreError` when one does not answer."""
        for database in self.databases:
            with database.read("asking whether it answers") as connection:
                connection.execute(sa.select(sa.literal(1)))

    def held(self) -> tuple[str, ...]:
        """What any account holds, as ``PAPER: NIFTY 01 DEC 24500 CE``."""
        c = positions.c
        query = (
            sa.select(c.account, c.contract)
            .where(c.state != PositionState.CLOSED.value)
            .order_by(c.account, c.contract)
        )
        with self._trading.read("looking for open positions") as connection:
            return tuple(f"{account}: {contract}" for account, contract in connection.execute(query))

    def last_account(self) -> str:
        """Whose session began last; empty before the first."""
        with self._trading.read("looking for the last session") as connection:
            return _last_account(connection)

    def trading(self, account: str) -> TradingStore:
        """The trading store of one account."""
        return TradingStore(self._trading, account, self.decisions)

    def changes(self, account: str) -> ChangeStore:
        """Settings and rules one account has changed."""
        return ChangeStore(self._trading, account)

    def close(self) -> None:
        """Write the decisions that wait and give back all connections."""
        try:
            self.decisions.write()
        finally:
            self._trading.close()
            self._reference.close()


def open_stores(url: str | None, data_dir: Path, *, mark: Mark = no_mark) -> Stores:
    """Open both stores at the newest revision, creating or migrating them where needed.

    Without ``url`` they are ``trading.sqlite3`` and ``reference.sqlite3`` under ``data_dir``, else the schemas
    ``trading`` and ``reference`` of that PostgreSQL database. A database that is newer than this code, damaged or not
    ours is left untouched: `StoreError`. A URL that cannot be read is a `ConfigError`.
    """
    trading = _open(url, data_dir, "trading", mark)
    try:
        check_whole(trading)
        return Stores(trading, _open(url, data_dir, "reference", mark))
    except AlgoScalperError:
        trading.close()
        raise


@contextmanager
def open_catalog(url: str | None, data_dir: Path, *, mark: Mark = no_mark) -> Iterator[CatalogStore]:
    """The catalog alone, for an import: the trading store is not touched. Raises as `open_stores`."""
    database = _open(url, data_dir, "reference", mark)
    try:
        yield CatalogStore(database)
    finally:
        database.close()


def stored_settings(url: str | None, data_dir: Path, account: str = "") -> dict[str, str]:
    """The settings an account has stored, by name; empty where there is no store yet. Nothing is created or migrated.

    Without ``account``: of the one whose session began last, `FIRST_ACCOUNT` before the first.
    """
    path = data_dir / "trading.sqlite3"
    if not url and not path.exists():
        return {}
    database = postgres_database(url, "trading") if url else sqlite_database(path, "trading")
    try:
        with database.read("looking for stored settings") as connection:
            if not sa.inspect(connection).has_table("settings"):
                return {}
            whose = account or _last_account(connection) or FIRST_ACCOUNT
            mine = sa.select(settings.c.name, settings.c.value).where(settings.c.account == whose)
            return {row.name: row.value for row in connection.execute(mine)}
    finally:
        database.close()


def _last_account(connection: sa.Connection) -> str:
    newest = sa.select(sessions.c.account).order_by(sessions.c.started_ns.desc(), sessions.c.epoch.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none() or ""


def connect(url: str | None, data_dir: Path, part: Part, *, mark: Mark = no_mark) -> Database:
    """One of the two databases as it is: neither created nor migrated. Its folder is made when it is missing."""
    if url:
        return postgres_database(url, part, mark=mark)
    check_placed(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{data_dir}: cannot be made ({error.strerror}); name another data folder") from error
    return sqlite_database(file_of(data_dir, part), part, mark=mark)


def _open(url: str | None, data_dir: Path, part: Part, mark: Mark) -> Database:
    database = connect(url, data_dir, part, mark=mark)
    try:
        bring_to_head(database)
    except AlgoScalperError:
        database.close()
        raise
    return database
