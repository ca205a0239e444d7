"""One database of ours: connecting, transactions that are durable when they return, and errors people can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.domain.errors import ConfigError, StoreError

Part = Literal["trading", "reference"]
WAIT_MS = 2_000
"""How long a statement waits for a lock before it gives up."""


_MAY_BE_OURS = "SELECT count(*) = 0 OR coalesce(sum(name = 'alembic_version'), 0) FROM sqlite_master"
"""An empty file, or one that says which revision of ours it is of."""


class Database:
    """An engine with its ``where``, the name of the place as shown to people (never with a password)."""

    def __init__(self, engine: sa.Engine, part: Part, where: str, secret: str = "", mark: Mark = no_mark) -> None:
        self.engine = engine
        self.part = part
        self.where = where
        self._secret = secret
        self._mark = mark

    @property
    def is_sqlite(self) -> bool:
        """A file of our own, or a schema on a PostgreSQL server."""
        return self.engine.dialect.name == "sqlite"

    def where_of(self, part: Part) -> str:
        """The name of another store on the same server."""
        return self.where.removesuffix(self.part) + part

    @contextmanager
    def write(self, doing: str) -> Iterator[sa.Connection]:
        """One transaction, durable once the block is left; nothing of it is kept when anything raises."""
        with self.errors(doing), self.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            self._mark("store.before_commit")
            transaction.commit()
            self._mark("store.after_commit")

    @contextmanager
    def read(self, doing: str) -> Iterator[sa.Connection]:
        """One consistent view: nothing committed meanwhile is seen by a later query of the block."""
        snapshot: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.errors(doing), self.engine.connect() as connection:
            yield connection.execution_options(reading=True, **snapshot)

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into `StoreError` naming place, deed, cause and remedy."""
        try:
            yield
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip()
            if self._secret:
                cause = cause.replace(self._secret, "***")
            # The chain is cut: a driver's own traceback may show the connection string.
            raise StoreError(f"{self.where}: {doing} failed: {cause}; {self._remedy(error, cause)}") from None

    def _remedy(self, error: SQLAlchemyError, cause: str) -> str:
        if isinstance(error, IntegrityError):
            return "nothing of this transaction was kept: a record breaks a rule of the schema, which is a bug of ours"
        if "not a database" in cause or "malformed" in cause:
            return "the file is damaged: move it away and restore the last backup; it was left untouched"
        if "locked" in cause or "lock timeout" in cause:
            return "another process holds it: end whatever has it open for writing"
        if "full" in cause or "No space" in cause:
            return "free space on its disk"
        if "readonly" in cause or "unable to open" in cause or "permission denied" in cause:
            return "make the place exist and writable for this user"
        if self.is_sqlite:
            return "check the file and its disk"
        return "check that the server runs and that DATABASE_URL names it, its user and password"

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def file_of(data_dir: Path, part: Part) -> Path:
    """Where the file of a store lies under a data folder."""
    return data_dir / f"{part}.sqlite3"


def sqlite_database(path: Path, part: Part, *, mark: Mark = no_mark) -> Database:
    """A file in WAL mode. ``trading`` reaches the disk on every commit; ``reference`` may lose its last moments."""
    synchronous = "FULL" if part == "trading" else "NORMAL"
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), pool_size=2)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `begin` below does
        connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
        if connection.execute(_MAY_BE_OURS).fetchone()[0]:
            connection.execute("PRAGMA journal_mode = WAL")  # written into the file: not into somebody else's
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer takes its lock first: taken later, in mid-transaction, SQLite refuses without waiting.
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return Database(engine, part, str(path), mark=mark)


def sqlite_snapshot(path: Path, part: Part) -> Database:
    """A finished file nobody writes, to be read: not a byte of it or beside it changes."""

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)

    return Database(sa.create_engine("sqlite://", creator=opened, poolclass=sa.NullPool), part, str(path))


def postgres_database(url: str, part: Part, *, mark: Mark = no_mark) -> Database:
    """A schema named ``part`` on a PostgreSQL server; see `postgres_url` for the forms of ``url``."""
    parsed = postgres_url(url)
    where = f"{shown_server(parsed)} schema {part}"
    try:
        engine = sa.create_engine(
            parsed,
            pool_size=2,
            pool_pre_ping=True,  # a connection the server dropped in a quiet hour must not cost an exit its commit
            connect_args={"connect_timeout": 5, "tcp_user_timeout": 5_000},
        )
    except ModuleNotFoundError:
        raise ConfigError(
            "DATABASE_URL names PostgreSQL, but its driver is missing: install algo-scalper[postgres]"
        ) from None

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET search_path TO {part}")
            cursor.execute(f"SET lock_timeout = {WAIT_MS}")
            cursor.execute("SET synchronous_commit = on")
        connection.commit()

    return Database(engine, part, where, parsed.password or "", mark)


def shown_server(url: sa.URL) -> str:
    """``postgresql://host:port/database`` for people: no user and no password in it."""
    host = url.host or url.query.get("host") or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database}"


def postgres_url(url: str) -> sa.URL:
    """``postgres://`` and ``postgresql://`` forms; anything else is a `ConfigError` that does not repeat the URL."""
    remedy = "write postgresql://user:password@host:5432/name (special characters percent-encoded)"
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(f"DATABASE_URL cannot be read; {remedy}, or unset it to use files") from None
    if parsed.drivername not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ConfigError(f"DATABASE_URL: {parsed.drivername} is not supported; {remedy}, or unset it to use files")
    if not parsed.database:
        raise ConfigError(f"DATABASE_URL names no database; {remedy}, or unset it to use files")
    return parsed.set(drivername="postgresql+psycopg")
