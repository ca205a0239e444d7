"""Which revision a database stands at, and how it gets to ours. Alembic is imported only when it has work to do."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from algo_scalper.adapters.storage.database import Database, Part
from algo_scalper.adapters.storage.tables import REFERENCE, TRADING
from algo_scalper.domain.errors import StoreError

HEAD: dict[Part, str] = {"trading": "trading_0002", "reference": "reference_0004"}
METADATA: dict[Part, sa.MetaData] = {"trading": TRADING, "reference": REFERENCE}
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5CA1BE5  # PostgreSQL: one process at a time creates or migrates

_version = sa.table("alembic_version", sa.column("version_num"))


def bring_to_head(database: Database) -> None:
    """Create an empty database, migrate an older one, leave any other untouched and say why (`StoreError`)."""
    part = database.part
    if _found(database) == HEAD[part]:
        return
    if not database.is_sqlite:
        _create_schema(database)
    with database.write("creating or migrating its tables") as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        tables = set(sa.inspect(connection).get_table_names())
        found = _revision(connection) if "alembic_version" in tables else None
        if found == HEAD[part]:
            return  # another process was faster
        if found is None and tables:
            raise StoreError(
                f"{database.where}: holds tables ({', '.join(sorted(tables)[:3])}) but no revision of ours, expected "
                f"{HEAD[part]}: it belongs to something else or is damaged; name another place, or restore a backup"
            )
        if found is None:
            _create(connection, part)
        else:
            _upgrade(connection, database, found)


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


def _found(database: Database) -> str | None:
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


def _create(connection: sa.Connection, part: Part) -> None:
    """All tables at once, stamped; a test holds this equal to the migrations run one by one."""
    METADATA[part].create_all(connection)
    connection.execute(
        sa.text(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(sa.insert(_version).values(version_num=HEAD[part]))


def _upgrade(connection: sa.Connection, database: Database, found: str) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    from algo_scalper.adapters.storage.migrations.run import configuration, upgrade  # noqa: PLC0415

    known = {script.revision for script in ScriptDirectory.from_config(configuration(database.part)).walk_revisions()}
    if found not in known:
        raise StoreError(
            f"{database.where}: its revision is {found}, this code knows up to {HEAD[database.part]}: a newer version "
            "has written it; start that version, or restore a backup from before it. It was left untouched"
        )
    upgrade(connection, database.part, HEAD[database.part])
