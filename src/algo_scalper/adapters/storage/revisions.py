"""Which revision a database stands at, and how it gets to ours. Alembic is imported only when it has work to do."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from algo_scalper.adapters.storage.database import Database, Part
from algo_scalper.adapters.storage.tables import REFERENCE, TRADING
from algo_scalper.domain.errors import ConfigError, StoreError

HEAD: dict[Part, str] = {"trading": "trading_0002", "reference": "reference_0004"}
METADATA: dict[Part, sa.MetaData] = {"trading": TRADING, "reference": REFERENCE}
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5CA1BE5  # PostgreSQL: one process at a time creates or migrates

_version = sa.table("alembic_version", sa.column("version_num"))


def bring_to_head(database: Database) -> None:
    """Create an empty database, migrate an older one, leave any other untouched and say why (`StoreError`)."""
    if revision_of(database) != HEAD[database.part]:
        move_to(database)


class Move(NamedTuple):
    """From which revision to which a database was taken; ``before`` is None for one that was empty."""

    before: str | None
    after: str


def move_to(database: Database, revision: str | None = None) -> Move:
    """Take the tables up or down to a revision, else to the newest, in one transaction: all of it or nothing.

    Going down drops what the older revision has no place for. A database that is newer than this code, or not ours, is
    left untouched: `StoreError`. A revision nobody has heard of is a `ConfigError`.
    """
    part = database.part
    after = revision or HEAD[part]
    if after != HEAD[part] and after not in known_revisions(part):
        raise ConfigError(f"{part} has no revision {after}; there are {', '.join(known_revisions(part))}")
    if not database.is_sqlite:
        _create_schema(database)
    with database.write("creating or migrating its tables") as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        tables = set(sa.inspect(connection).get_table_names())
        before = _revision(connection) if "alembic_version" in tables else None
        if before == after:
            return Move(before, after)  # another process was faster
        if before is None and tables:
            raise StoreError(
                f"{database.where}: holds tables ({', '.join(sorted(tables)[:3])}) but no revision of ours, expected "
                f"{HEAD[part]}: it belongs to something else or is damaged; name another place, or restore a backup"
            )
        if before is None:
            create(connection, part, after)
        else:
            check_known(database, before)
            _migrate(connection, part, before, after)
    return Move(before, after)


def known_revisions(part: Part) -> tuple[str, ...]:
    """All revisions this code can make, oldest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    from algo_scalper.adapters.storage.migrations.run import configuration  # noqa: PLC0415

    scripts = ScriptDirectory.from_config(configuration(part)).walk_revisions()
    return tuple(script.revision for script in scripts)[::-1]


def check_known(database: Database, revision: str) -> None:
    """Raise `StoreError` for a database of a revision this code does not know: a newer version has written it."""
    if revision != HEAD[database.part] and revision not in known_revisions(database.part):
        raise StoreError(
            f"{database.where}: its revision is {revision}, this code knows up to {HEAD[database.part]}: a newer version "
            "has written it; start that version, or restore a backup from before it. It was left untouched"
        )


def check_whole(database: Database) -> None:
    """Have SQLite look through its whole file (milliseconds for a trading store); damage is a `StoreError`."""
    if not database.is_sqlite:
        return
    with database.read("checking the file") as connection:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if verdict != "ok":
        raise StoreError(
            f"{database.where}: the file is damaged ({verdict}), its revision is {HEAD[database.part]}; it was left "
            "untouched: move it away and restore the last backup"
        )


def revision_of(database: Database) -> str | None:
    """The revision it says it is of; None when it says nothing, or holds nothing."""
    with database.read("reading its revision") as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return _revision(connection)


def _revision(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(_version.c.version_num)).scalar_one_or_none()


def _create_schema(database: Database) -> None:
    with database.write("creating its schema") as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        connection.execute(sa.schema.CreateSchema(database.part, if_not_exists=True))


def create(connection: sa.Connection, part: Part, revision: str) -> None:
    """Make the tables of a revision where there are none, in the transaction of ``connection``."""
    if revision == HEAD[part]:
        _create_head(connection, part)
    else:
        _migrate(connection, part, None, revision)


def _create_head(connection: sa.Connection, part: Part) -> None:
    """All tables at once, stamped; a test holds this equal to the migrations run one by one."""
    METADATA[part].create_all(connection)
    connection.execute(
        sa.text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(sa.insert(_version).values(version_num=HEAD[part]))


def _migrate(connection: sa.Connection, part: Part, before: str | None, after: str) -> None:
    from algo_scalper.adapters.storage.migrations.run import downgrade, upgrade  # noqa: PLC0415

    order = (None, *known_revisions(part))
    (upgrade if order.index(before) < order.index(after) else downgrade)(connection, part, after)
