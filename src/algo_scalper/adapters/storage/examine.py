"""Is a store whole? What the schema forbids is looked for all the same: a damaged or foreign-made file may hold it.

Nothing is changed. Every rule is taken from the declared tables, so that a new table is examined the day it is added.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from algo_scalper.adapters.storage.database import Database, Part, file_of
from algo_scalper.adapters.storage.revisions import HEAD, METADATA, known_revisions
from algo_scalper.adapters.storage.stores import connect
from algo_scalper.adapters.storage.tables import (
    TRADING,
    day_ledger,
    fills,
    orders,
    positions,
    rules_in_force,
    soft_state,
)
from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.orders import Order
from algo_scalper.domain.positions import Position
from algo_scalper.domain.rules import Rules

LEAST_FREE_BYTES = 200_000_000
"""A day writes a few megabytes, an import and a backup a hundred."""
SHOWN = 3
_RECORDS = {
    orders: Order,
    positions: Position,
    day_ledger: DayLedger,
    soft_state: SoftState,
    rules_in_force: Rules,
}


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. ``remedy`` is empty where nothing is wrong."""

    part: Part
    what: str
    said: str
    remedy: str = ""

    @property
    def whole(self) -> bool:
        """Nothing is wrong."""
        return not self.remedy


def examine(url: str | None, data_dir: Path, part: Part) -> list[Finding]:
    """Look at one store and its disk. What cannot be looked at is a finding too, never an exception."""
    path = file_of(data_dir, part)
    if not url and not path.exists():
        return [Finding(part, "there", f"{path}: is not there", "the first start makes it; or run: scalper db migrate")]
    try:
        database = connect(url, data_dir, part)
    except StoreError as fault:
        return [_faulty(part, "opened", fault)]
    try:
        return list(_findings(database, data_dir))
    except StoreError as fault:
        return [_faulty(part, "read", fault)]
    finally:
        database.close()


def _findings(database: Database, data_dir: Path) -> Iterator[Finding]:
    part = database.part
    with database.read("checking it") as connection:
        yield _intact(connection, database)
        current = _revision(connection, database)
        yield current
        if current.whole and current.what == "revision" and current.said == HEAD[part]:
            for what, look in _LOOKS.items():
                faults = [fault for table in METADATA[part].sorted_tables for fault in look(connection, table)]
                yield _finding(part, what, faults)
            if part == "trading":
                yield _finding(part, "fills add up to their orders", list(_fills_that_do_not(connection)))
                yield _finding(part, "records can be read", list(_unreadable(connection)))
    yield _space(database, data_dir)


def _finding(part: Part, what: str, faults: list[str]) -> Finding:
    if not faults:
        return Finding(part, what, "none amiss")
    more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return Finding(part, what, "; ".join(faults[:SHOWN]) + more, "stop trading on it and restore the last backup")


def _faulty(part: Part, what: str, fault: StoreError) -> Finding:
    said, _, remedy = str(fault).partition("; ")
    return Finding(part, what, said, remedy or "see what it says")


# --- the database as such ---


def _intact(connection: sa.Connection, database: Database) -> Finding:
    """SQLite looks through its file; of PostgreSQL every table is read, and what it knows of itself is asked."""
    if database.is_sqlite:
        verdicts = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        faults = [str(verdict) for verdict in verdicts if verdict != "ok"]
    else:
        faults = list(_postgres_faults(connection, database.part))
    if not faults:
        return Finding(database.part, "intact", f"{database.where}: read through, nothing damaged")
    said = f"{database.where}: {'; '.join(faults[:SHOWN])}"
    return Finding(database.part, "intact", said, "it was left untouched: move it away and restore the last backup")


def _postgres_faults(connection: sa.Connection, part: Part) -> Iterator[str]:
    for name in sa.inspect(connection).get_table_names():
        # Every value is read, the long ones that lie elsewhere too.
        connection.exec_driver_sql(f'SELECT sum(hashtext(t::text)::bigint) FROM "{name}" t').one()  # noqa: S608 - our names
    invalid = sa.text(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON "
        "n.oid = c.relnamespace WHERE n.nspname = :part AND NOT (i.indisvalid AND i.indisready)"
    )
    yield from (f"index {name} is not valid" for name in connection.execute(invalid, {"part": part}).scalars())
    unproven = sa.text(
        "SELECT c.conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace "
        "WHERE n.nspname = :part AND NOT c.convalidated"
    )
    yield from (f"rule {name} was never proven" for name in connection.execute(unproven, {"part": part}).scalars())
    failed = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
    if count := connection.execute(sa.text(failed)).scalar_one_or_none():
        yield f"the server has met {count} pages with a wrong checksum"


def _revision(connection: sa.Connection, database: Database) -> Finding:
    part, head = database.part, HEAD[database.part]
    tables = sa.inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        if tables:
            said = f"holds tables ({', '.join(sorted(tables)[:SHOWN])}) but no revision of ours, expected {head}"
            return Finding(part, "revision", said, "it belongs to something else or is damaged; name another place")
        return Finding(
            part, "revision", "empty: it holds no tables", "the first start makes them; or: scalper db migrate"
        )
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found == head:
        return Finding(part, "revision", head)
    if found in known_revisions(part):
        return Finding(part, "revision", f"{found}, older than {head}", "run: scalper db migrate")
    said = f"{found}, this version knows up to {head}: a newer version has written it"
    return Finding(part, "revision", said, "start that version, or restore a backup from before it")


def _space(database: Database, data_dir: Path) -> Finding:
    folder = data_dir
    held = 0
    if database.is_sqlite:
        held = sum(path.stat().st_size for path in data_dir.glob(f"{database.part}.sqlite3*"))
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free at {folder}, the store has {held / 1e6:.1f} MB"
    if not database.is_sqlite:
        said = f"{free / 1e9:.1f} GB free at {folder} for journals and backups; the server's disk is not seen from here"
    wanted = max(LEAST_FREE_BYTES, 2 * held)
    return Finding(database.part, "space", said, f"free {wanted / 1e6:.0f} MB there" if free < wanted else "")


# --- the rules of the schema, looked for by query ---


def _missing(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Columns, rules and indexes that are declared and not there."""
    look = sa.inspect(connection)
    if not look.has_table(table.name):
        yield f"table {table.name} is not there"
        return
    there = {column["name"] for column in look.get_columns(table.name)}
    there |= {str(index["name"]) for index in look.get_indexes(table.name)}
    there |= {str(rule["name"]) for rule in look.get_check_constraints(table.name)}
    there |= {str(rule["name"]) for rule in look.get_foreign_keys(table.name)}
    named = [*table.columns, *table.indexes, *(one for one in table.constraints if one.name)]
    yield from (f"{table.name}: {one.name} is not there" for one in named if one.name not in there)


def _forbidden(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Rows that break a rule of their table: a state that is none, more sold than bought, a negative price."""
    for rule in table.constraints:
        if isinstance(rule, sa.CheckConstraint):
            against = sa.text(f"NOT ({rule.sqltext})")
            count = connection.execute(sa.select(sa.func.count()).select_from(table).where(against)).scalar_one()
            if count:
                yield f"{table.name}: {count} against {rule.name}"


def _doubled(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Rows that may be there once: an order's id, an open position of a contract, a standing halt."""
    keys: list[tuple[str, list[sa.ColumnElement[Any]], Any]] = [("its key", list(table.primary_key), None)]
    for index in table.indexes:
        if index.unique:
            where = index.dialect_options["sqlite"].get("where")
            keys.append((str(index.name), list(index.columns), where))
    for name, columns, where in keys:
        query = sa.select(*columns).group_by(*columns).having(sa.func.count() > 1)
        # Two rows without a value are not the same row.
        query = query.where(*(column.is_not(None) for column in columns))
        if where is not None:
            query = query.where(where)
        for row in connection.execute(query.limit(SHOWN)):
            yield f"{table.name}: {', '.join(map(str, row))} more than once ({name})"


def _dangling(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """Rows that belong to a row that is not there."""
    for key in table.foreign_key_constraints:
        other = key.referred_table.alias()
        same = [element.parent == other.c[element.column.name] for element in key.elements]
        alone = sa.select(sa.func.count()).select_from(table).where(~sa.exists().where(*same))
        if count := connection.execute(alone.where(*(column.is_not(None) for column in key.columns))).scalar_one():
            yield f"{table.name}: {count} without their {key.referred_table.name} ({key.name})"


_LOOKS: dict[str, Callable[[sa.Connection, sa.Table], Iterator[str]]] = {
    "tables, columns and rules": _missing,
    "values within their rules": _forbidden,
    "nothing twice that may be once": _doubled,
    "nothing without what it belongs to": _dangling,
}


# --- the trading store's own sums ---


def _fills_that_do_not(connection: sa.Connection) -> Iterator[str]:
    o, f = orders.c, fills.c
    quantity, value = sa.func.coalesce(sa.func.sum(f.quantity), 0), sa.func.coalesce(sa.func.sum(f.value_paise), 0)
    both = orders.outerjoin(fills, (f.account == o.account) & (f.correlation_id == o.correlation_id))
    query = (
        sa.select(o.account, o.correlation_id, o.filled_quantity, quantity, o.filled_value_paise, value)
        .select_from(both)
        .group_by(o.account, o.correlation_id, o.filled_quantity, o.filled_value_paise)
        .having((quantity != o.filled_quantity) | (value != o.filled_value_paise))
    )
    for account, order, said, added, worth, added_worth in connection.execute(query):
        yield f"order {order} of {account}: filled {said} for {worth} paise, its fills say {added} for {added_worth}"


def _unreadable(connection: sa.Connection) -> Iterator[str]:
    assert all(table.metadata is TRADING for table in _RECORDS)
    for table, kind in _RECORDS.items():
        decode = msgspec.msgpack.Decoder(kind).decode
        keys = list(table.primary_key)
        for *key, record in connection.execute(sa.select(*keys, table.c.record).execution_options(yield_per=1_000)):
            try:
                decode(record)
            except (msgspec.MsgspecError, TypeError) as error:  # SQLite keeps a text where bytes should be
                yield f"{table.name} {', '.join(map(str, key))}: {error}"
