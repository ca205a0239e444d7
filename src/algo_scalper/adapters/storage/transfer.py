"""Rows of a store carried into another one, on the same kind of database or the other, and counted on both sides.

A copy is one transaction on the side that is written: it is there whole or not at all. It is compared before it is
committed: rows of every table, and the sum of every column of money.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec
import sqlalchemy as sa

from algo_scalper.adapters.storage.catalog import insert_many
from algo_scalper.adapters.storage.database import Database, Part, sqlite_database
from algo_scalper.adapters.storage.placing import to_disk
from algo_scalper.adapters.storage.revisions import HEAD, METADATA, check_known, create, revision_of
from algo_scalper.domain.errors import StoreError

BATCH_ROWS = 5_000
MONEY = "_paise"
"""How the names of columns of money end."""
FILE_MODE = 0o600


class Tally(msgspec.Struct, frozen=True):
    """What a store holds: rows by table, and the sum of each column of money by ``table.column``, in paise."""

    rows: dict[str, int]
    sums: dict[str, int]

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def store_revision(database: Database) -> str:
    """The revision of a store there is something to copy of. Raises `StoreError` for none, or one this code cannot read."""
    revision = revision_of(database)
    if revision is None:
        raise StoreError(f"{database.where}: holds no store of ours, so there is nothing to copy")
    check_known(database, revision)
    return revision


def tables_of(connection: sa.Connection, part: Part, revision: str) -> list[sa.Table]:
    """The tables of a store, those others refer to first: as declared, or as they are where it is an older one."""
    if revision == HEAD[part]:
        return METADATA[part].sorted_tables
    found = sa.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def tally(connection: sa.Connection, tables: Iterable[sa.Table]) -> Tally:
    """Count and add up, in the transaction of ``connection``."""
    rows: dict[str, int] = {}
    sums: dict[str, int] = {}
    for table in tables:
        money = [column for column in table.c if column.name.endswith(MONEY)]
        added = [sa.func.coalesce(sa.func.sum(column), 0) for column in money]
        count, *totals = connection.execute(sa.select(sa.func.count(), *added).select_from(table)).one()
        rows[table.name] = int(count)
        sums |= {f"{table.name}.{column.name}": int(total) for column, total in zip(money, totals, strict=True)}
    return Tally(rows, sums)


def tally_of(database: Database) -> tuple[str, Tally]:
    """The revision of a store, and what it holds at one moment."""
    revision = store_revision(database)
    with database.read("counting its rows") as connection:
        return revision, tally(connection, tables_of(connection, database.part, revision))


def copy_to_file(source: Database, path: Path) -> Tally:
    """Write the store into a new SQLite file of its revision, readable by its owner alone, and have it reach the disk."""
    revision = store_revision(source)
    path.touch(mode=FILE_MODE, exist_ok=False)
    with closing(sqlite_database(path, source.part)) as target:
        with target.write("copying a store") as connection:
            held = _copy(source, connection, revision, target.where)
        one_file(target)
    to_disk(path)
    return held


def copy_to_server(sources: Iterable[Database], server: Database) -> dict[Part, Tally]:
    """Write stores into the schemas of a PostgreSQL database, all in one transaction. A schema with tables is refused."""
    held: dict[Part, Tally] = {}
    with server.write("copying stores") as connection:
        for source in sources:
            connection.execute(sa.schema.CreateSchema(source.part, if_not_exists=True))
            connection.exec_driver_sql(f"SET LOCAL search_path TO {source.part}")
            check_vacant(connection, server.where_of(source.part))
            held[source.part] = _copy(source, connection, store_revision(source), server.where_of(source.part))
    return held


def check_vacant(connection: sa.Connection, where: str) -> None:
    """Raise `StoreError` when there are tables where a store is to be put."""
    there = sa.inspect(connection).get_table_names()
    if there:
        raise StoreError(
            f"{where}: holds tables already ({', '.join(sorted(there)[:3])}), so nothing was written; name an empty database"
        )


def one_file(database: Database) -> None:
    """Leave nothing beside a SQLite file: what its log holds goes into it."""
    with database.errors("closing the copy"), database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA journal_mode = DELETE")


def _copy(source: Database, target: sa.Connection, revision: str, where: str) -> Tally:
    """Create the tables of ``revision`` and fill them from one moment of the source."""
    create(target, source.part, revision)
    with source.read("reading it for a copy") as reading:
        tables = tables_of(reading, source.part, revision)
        for table in tables:
            found = reading.execution_options(yield_per=BATCH_ROWS).execute(sa.select(table))
            for batch in found.partitions():
                _write(target, table, batch)
            _go_on_counting(target, table)
        held = tally(reading, tables)
    written = tally(target, tables)
    if written != held:
        raise StoreError(
            f"{where}: the copy differs from {source.where}: {_difference(held, written)}; nothing of it was kept"
        )
    return held


def _write(target: sa.Connection, table: sa.Table, batch: Iterable[sa.Row[tuple[object, ...]]]) -> None:
    if target.dialect.name == "sqlite":
        target.execute(sa.insert(table), [dict(row._mapping) for row in batch])  # noqa: SLF001 - its documented name
    else:
        insert_many(target, table, [tuple(row) for row in batch])


def _go_on_counting(target: sa.Connection, table: sa.Table) -> None:
    """Rows with numbers of their own were written: PostgreSQL's counter must begin behind them."""
    keys = list(table.primary_key)
    if target.dialect.name == "sqlite" or len(keys) != 1 or not isinstance(keys[0].type, sa.Integer):
        return
    last = sa.select(sa.func.max(keys[0])).scalar_subquery()
    counter = sa.func.pg_get_serial_sequence(table.name, keys[0].name)
    # A key we give ourselves has no counter, and setval of none does nothing.
    target.execute(sa.select(sa.func.setval(counter, sa.func.coalesce(last, 1), last.is_not(None))))


def _difference(held: Tally, written: Tally) -> str:
    there = {**held.rows, **held.sums}
    here = {**written.rows, **written.sums}
    return ", ".join(f"{name} {there[name]} and {here.get(name)}" for name in there if there[name] != here.get(name))
