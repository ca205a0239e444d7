"""The catalog in the reference store: what is listed, in generations, of which readers see one and a whole one.

A new generation is written beside the old one in batches, each a short transaction of its own, and becomes the catalog by
a change of one row. A process that dies in between leaves the old catalog and some rows nobody reads, which the next import
removes. Orders are in another store and never wait for any of this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date
from enum import StrEnum
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from algo_scalper.adapters.master.judge import Before
from algo_scalper.adapters.master.links import Parents
from algo_scalper.adapters.master.rows import Derivative, Listing
from algo_scalper.adapters.master.terms import Change, What, terms_of
from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.tables import (
    GenerationState,
    catalog_changes,
    catalog_current,
    catalog_facts,
    catalog_generations,
    derivatives,
    instruments,
)
from algo_scalper.domain.errors import DataError, StoreError
from algo_scalper.domain.instruments import INDICES, Contract, OptionType

KEPT = 2
"""Generations whose rows are kept: the catalog and the one before it."""
_PRUNE_ROWS = 5_000

_LISTED = (instruments, derivatives)


class Fact(StrEnum):
    """Statistics of the last import; the first eight under the names of the original."""

    LAST_IMPORTED_AT = "instruments.last_imported_at"
    LAST_IMPORT_DURATION_SEC = "instruments.last_import_duration_sec"
    LAST_INSTRUMENT_ROWS = "instruments.last_instrument_rows"
    LAST_DERIVATIVE_ROWS = "instruments.last_derivative_rows"
    LAST_INSTRUMENT_UPSERTS = "instruments.last_instrument_upserts"
    LAST_DERIVATIVE_UPSERTS = "instruments.last_derivative_upserts"
    INSTRUMENT_TOTAL = "instruments.instrument_total"
    DERIVATIVE_TOTAL = "instruments.derivative_total"
    CONFIRMED_AT = "instruments.confirmed_at"
    """When the file of the catalog was last known to be the server's current one."""
    LAST_REFUSED_AT = "instruments.last_refused_at"
    LAST_REFUSAL = "instruments.last_refusal"


class Generation(msgspec.Struct, frozen=True):
    """One import that became the catalog: where it came from and what it holds. ``forced``: doubts a person overruled."""

    number: int
    digest: str
    source: str
    layout: str
    day: date
    started_ns: int
    published_ns: int
    file_rows: int
    instrument_rows: int
    derivative_rows: int
    forced: str


class Build(msgspec.Struct, frozen=True):
    """A generation about to be written; the fields are `Generation`'s."""

    digest: str
    source: str
    layout: str
    day: date
    started_ns: int
    file_rows: int
    instrument_rows: int
    derivative_rows: int
    forced: str


class KeptChange(msgspec.Struct, frozen=True):
    """A change as it was stored; ``accepted_by`` None while it is not accepted."""

    number: int
    generation: int
    at_ns: int
    change: Change
    accepted_by: str | None
    accepted_ns: int | None

    @property
    def waiting(self) -> bool:
        """Whether it keeps an index from being entered."""
        return self.change.waits and self.accepted_by is None


class CatalogStore:
    """Questions to the catalog, and the steps of an import."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- questions -------------------------------------------------------------------------------------------------

    def current(self) -> Generation | None:
        """The catalog in use, None before the first import."""
        with self._database.read("reading the catalog") as connection:
            return _current(connection)

    def contracts(self, underlyings: Collection[str], day: date, until: date) -> tuple[Contract, ...]:
        """Options of our indices that expire from ``day`` to ``until``, by underlying, expiry, strike and side.

        Raises DataError when there is no catalog, or when it does not say how much one order may carry (a compact file
        does not): an order of unknown size is not sent.
        """
        c = derivatives.c
        found: list[Contract] = []
        with self._database.read("reading contracts") as connection:
            generation = _current(connection)
            if generation is None:
                raise DataError("there is no catalog of instruments; run: scalper instruments import")
            for name in sorted(underlyings):
                index = INDICES[name]
                query = sa.select(
                    c.key, c.expiry, c.strike_paise, c.option_type, c.lot, c.tick_paise, c.freeze_quantity
                ).where(
                    c.generation == generation.number,
                    c.underlying_key == index.key,
                    c.kind == "OPTIDX",
                    c.expiry.between(day, until),
                )
                for key, expiry, strike, side, lot, tick, freeze in connection.execute(
                    query.order_by(c.expiry, c.strike_paise, c.option_type)
                ):
                    if freeze is None:
                        raise DataError(
                            f"the catalog of {generation.day} ({generation.layout} file) has no freeze quantity for {name} "
                            f"{expiry}; set DHANHQ_CSV_URL to the detailed file and run: scalper instruments import --fresh"
                        )
                    found.append(Contract(key, name, expiry, strike, OptionType(side), lot, tick, freeze))
        return tuple(found)

    def blocked_underlyings(self) -> dict[str, tuple[KeptChange, ...]]:
        """Indices that may not be entered, each with the changes a person has not accepted yet."""
        c = catalog_changes.c
        blocked: dict[str, list[KeptChange]] = {}
        for kept in self._changes(c.waits.is_(True), c.accepted_ns.is_(None)):
            blocked.setdefault(kept.change.underlying, []).append(kept)
        return {name: tuple(found) for name, found in blocked.items()}

    def had_one(self) -> bool:
        """Whether there ever was a catalog, if only one that was cleared."""
        published = catalog_generations.c.state != GenerationState.BUILDING.value
        with self._database.read("looking for catalogs") as connection:
            return connection.execute(sa.select(sa.exists().where(published))).scalar_one()

    def changes_of(self, generation: int) -> tuple[KeptChange, ...]:
        """What changed with a generation."""
        return tuple(self._changes(catalog_changes.c.generation == generation))

    def facts(self) -> dict[str, str]:
        """The statistics by name."""
        with self._database.read("reading statistics") as connection:
            rows = connection.execute(sa.select(catalog_facts.c.name, catalog_facts.c.value))
            return {name: value for name, value in rows}  # noqa: C416 - rows are not pairs to the type checker

    def before(self, day: date) -> Before | None:
        """What a new file is held against: all that the catalog should still list on ``day``."""
        i, d = instruments.c, derivatives.c
        with self._database.read("reading the catalog") as connection:
            generation = _current(connection)
            if generation is None:
                return None
            number = generation.number
            counts: dict[tuple[str, str], int] = {}
            for counting in (
                sa.select(i.exchange, i.kind, sa.func.count())
                .where(i.generation == number)
                .group_by(i.exchange, i.kind),
                sa.select(d.exchange, d.kind, sa.func.count())
                .where(d.generation == number, d.expiry >= day)
                .group_by(d.exchange, d.kind),
            ):
                counts |= {(exchange, kind): count for exchange, kind, count in connection.execute(counting)}
            options = connection.execute(
                sa.select(d.underlying, d.expiry, d.lot, d.tick_paise, d.freeze_quantity, d.strike_paise)
                .where(d.generation == number, d.kind == "OPTIDX")
                .distinct()
            )
            return Before(counts, terms_of((row[0], row[1], row[2], row[3], row[4], row[5]) for row in options))

    def _changes(self, *conditions: sa.ColumnElement[bool]) -> list[KeptChange]:
        c = catalog_changes.c
        query = sa.select(catalog_changes).where(*conditions).order_by(c.number)
        with self._database.read("reading what changed") as connection:
            return [
                KeptChange(
                    row.number,
                    row.generation,
                    row.at_ns,
                    Change(row.underlying, What(row.what), row.place, row.was, row.now, row.waits),
                    row.accepted_by,
                    row.accepted_ns,
                )
                for row in connection.execute(query)
            ]

    # --- an import -------------------------------------------------------------------------------------------------

    def begin(self, build: Build) -> int:
        """Begin a generation; what an import that died has left behind is removed."""
        c = catalog_generations.c
        with self._database.read("looking for remains") as connection:
            left = (
                connection.execute(sa.select(c.number).where(c.state == GenerationState.BUILDING.value)).scalars().all()
            )
        for number in left:
            self._remove_rows(number)
        with self._database.write("beginning a catalog") as connection:
            connection.execute(sa.delete(catalog_generations).where(c.number.in_(left)))
            row = msgspec.structs.asdict(build) | {"state": GenerationState.BUILDING.value}
            key = connection.execute(sa.insert(catalog_generations), row).inserted_primary_key
            assert key is not None
            return int(key[0])

    def add(
        self, generation: int, listings: Iterable[Listing], options: Iterable[Derivative], parents: Parents, batch: int
    ) -> tuple[int, int]:
        """Write the rows of a generation, ``batch`` at a time; contracts without a parent are left out. Rows of each."""
        ordered = sorted(listings, key=_key)
        first = self._write_all(generation, instruments, (_listing_row(generation, row) for row in ordered), batch)
        contracts = sorted(options, key=_key)
        rows = (
            _derivative_row(generation, row, parent)
            for row in contracts
            if (parent := parents.get((row.exchange, row.kind, row.underlying))) is not None
        )
        return first, self._write_all(generation, derivatives, rows, batch)

    def publish(
        self, generation: int, found: Sequence[Change], facts: dict[Fact, str], *, at_ns: int, replacing: int | None
    ) -> None:
        """Make it the catalog, in one transaction with what changed and the statistics.

        ``replacing`` is the generation it was held against. Raises StoreError when another import was faster.
        """
        c = catalog_generations.c
        with self._database.write("publishing the catalog") as connection:
            self._still_building(connection, generation)
            standing = _current(connection)
            if (standing.number if standing else None) != replacing:
                raise StoreError(
                    f"{self._database.where}: another import has published a catalog meanwhile; import again"
                )
            connection.execute(
                sa.update(catalog_generations)
                .where(c.number == generation)
                .values(state=GenerationState.PUBLISHED.value, published_ns=at_ns)
            )
            if standing is None:
                connection.execute(sa.insert(catalog_current), {"one": 1, "generation": generation})
            else:
                connection.execute(sa.update(catalog_current).values(generation=generation))
            if found:
                connection.execute(
                    sa.insert(catalog_changes),
                    [
                        {
                            "generation": generation,
                            "at_ns": at_ns,
                            "underlying": one.underlying,
                            "what": one.what.value,
                            "place": one.where,
                            "was": one.was,
                            "now": one.now,
                            "waits": one.waits,
                        }
                        for one in found
                    ],
                )
            self._note(connection, facts, at_ns)

    def note(self, facts: dict[Fact, str], *, at_ns: int) -> None:
        """Remember statistics; an empty value forgets one."""
        with self._database.write("noting statistics") as connection:
            self._note(connection, facts, at_ns)

    def prune(self) -> int:
        """Remove the rows of all generations but the newest two; how many generations that were."""
        c = catalog_generations.c
        with self._database.read("looking for old catalogs") as connection:
            whole = connection.execute(
                sa.select(c.number).where(c.state == GenerationState.PUBLISHED.value).order_by(c.number.desc())
            ).scalars()
            old = list(whole)[KEPT:]
        for number in old:
            self._remove_rows(number)
            with self._database.write("removing an old catalog") as connection:
                connection.execute(
                    sa.update(catalog_generations).where(c.number == number).values(state=GenerationState.PRUNED.value)
                )
        return len(old)

    def clear(self) -> None:
        """Forget the catalog, every generation and the statistics; changes a person has not accepted stay."""
        c = catalog_generations.c
        with self._database.write("clearing the catalog") as connection:
            connection.execute(sa.delete(catalog_current))
            connection.execute(sa.delete(catalog_facts))
            numbers = (
                connection.execute(sa.select(c.number).where(c.state != GenerationState.PRUNED.value)).scalars().all()
            )
        for number in numbers:
            self._remove_rows(number)
        with self._database.write("clearing the catalog") as connection:
            connection.execute(
                sa.update(catalog_generations)
                .where(c.state == GenerationState.PUBLISHED.value)
                .values(state=GenerationState.PRUNED.value)
            )
            connection.execute(sa.delete(catalog_generations).where(c.state == GenerationState.BUILDING.value))

    def accept(self, numbers: Collection[int], *, by: str, at_ns: int) -> int:
        """Note that a person has seen old and new value of these changes; how many were waiting."""
        c = catalog_changes.c
        with self._database.write("accepting a change") as connection:
            return connection.execute(
                sa.update(catalog_changes)
                .where(c.number.in_(numbers), c.waits.is_(True), c.accepted_ns.is_(None))
                .values(accepted_by=by, accepted_ns=at_ns)
            ).rowcount

    # --- writing rows ----------------------------------------------------------------------------------------------

    def _write_all(self, generation: int, table: sa.Table, rows: Iterator[tuple[Any, ...]], batch: int) -> int:
        written = 0
        while some := list(islice(rows, batch)):
            with self._database.write(f"writing {table.name}") as connection:
                self._still_building(connection, generation)
                insert_many(connection, table, some)
            written += len(some)
        return written

    def _still_building(self, connection: sa.Connection, generation: int) -> None:
        c = catalog_generations.c
        held = sa.select(c.number).where(c.number == generation, c.state == GenerationState.BUILDING.value)
        if connection.execute(held.with_for_update()).one_or_none() is None:
            raise StoreError(
                f"{self._database.where}: another import has begun and taken this one's place; import again"
            )

    def _remove_rows(self, generation: int) -> None:
        """In short transactions: whoever writes decisions here should not wait."""
        for table in _LISTED:
            c = table.c
            some = sa.select(c.key).where(c.generation == generation).limit(_PRUNE_ROWS)
            statement = sa.delete(table).where(c.generation == generation, c.key.in_(some))
            while True:
                with self._database.write("removing an old catalog") as connection:
                    if connection.execute(statement).rowcount < _PRUNE_ROWS:
                        break

    def _note(self, connection: sa.Connection, facts: dict[Fact, str], at_ns: int) -> None:
        if not facts:
            return
        insert = sqlite.insert(catalog_facts) if self._database.is_sqlite else postgresql.insert(catalog_facts)
        fresh = {name: insert.excluded[name] for name in ("value", "changed_ns")}
        connection.execute(
            insert.on_conflict_do_update(index_elements=["name"], set_=fresh),
            [{"name": name.value, "value": value, "changed_ns": at_ns} for name, value in facts.items()],
        )


def _current(connection: sa.Connection) -> Generation | None:
    c = catalog_generations.c
    columns = [c[name] for name in Generation.__struct_fields__]
    query = sa.select(*columns).join(catalog_current, catalog_current.c.generation == c.number)
    row = connection.execute(query).one_or_none()
    return None if row is None else Generation(*row)


def _key(row: Listing | Derivative) -> int:
    return row.key


def _listing_row(generation: int, row: Listing) -> tuple[Any, ...]:
    return (
        generation,
        row.key,
        row.exchange,
        row.kind,
        row.symbol,
        row.name,
        row.series,
        row.isin,
        row.lot,
        row.tick_paise,
        row.freeze_quantity,
    )


def _derivative_row(generation: int, row: Derivative, parent: int) -> tuple[Any, ...]:
    return (
        generation,
        row.key,
        row.exchange,
        row.kind,
        row.underlying,
        parent,
        row.expiry.isoformat(),
        row.strike_paise,
        row.option_type,
        row.lot,
        row.tick_paise,
        row.freeze_quantity,
        row.expiry_flag,
        row.name,
    )


def insert_many(connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
    """Straight through the driver: the rows are tuples in the order of the table's columns. Three times as fast as Core."""
    names = ", ".join(column.name for column in table.columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # noqa: S608 - our names
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise sa.exc.DBAPIError.instance(None, None, error, connection.dialect.loaded_dbapi.Error) from error
