"""Opening both stores: two files beside one another, or two schemas of one PostgreSQL database."""

from __future__ import annotations

from pathlib import Path

from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.adapters.storage.database import Database, Part, postgres_database, sqlite_database
from algo_scalper.adapters.storage.reference import DecisionLog, ReferenceStore
from algo_scalper.adapters.storage.revisions import bring_to_head, check_whole
from algo_scalper.adapters.storage.trading import TradingStore
from algo_scalper.domain.errors import AlgoScalperError, StoreError


class Stores:
    """The two open databases and what is asked of them."""

    def __init__(self, trading: Database, reference: Database) -> None:
        self._trading = trading
        self._reference = reference
        self.reference = ReferenceStore(reference)
        self.decisions = DecisionLog(reference)

    @property
    def where(self) -> tuple[str, str]:
        """Where the trading and the reference store lie, for people; no password in it."""
        return self._trading.where, self._reference.where

    def trading(self, account: str) -> TradingStore:
        """The trading store of one account."""
        return TradingStore(self._trading, account, self.decisions)

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


def _open(url: str | None, data_dir: Path, part: Part, mark: Mark) -> Database:
    if url:
        database = postgres_database(url, part, mark=mark)
    else:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{data_dir}: cannot be made ({error.strerror}); name another data folder") from error
        database = sqlite_database(data_dir / f"{part}.sqlite3", part, mark=mark)
    try:
        bring_to_head(database)
    except AlgoScalperError:
        database.close()
        raise
    return database
