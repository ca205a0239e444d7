"""What this machine knows by itself: settings, stores, Redis, disk, who can read what, versions, and what it all costs."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa

from algo_scalper import __version__
from algo_scalper.adapters.dhan.token_store import FOLDER
from algo_scalper.adapters.redis_server import RedisServer, RedisTrouble, Standing, shown_address
from algo_scalper.adapters.storage.database import Database, Part, postgres_database, sqlite_database
from algo_scalper.adapters.storage.revisions import HEAD, check_whole
from algo_scalper.domain.calendar import day_schedule
from algo_scalper.domain.errors import ConfigError, StoreError
from algo_scalper.domain.units import clock_text, ist_day
from algo_scalper.runtime.database_place import database_url
from algo_scalper.runtime.doctor.checkup import Surroundings
from algo_scalper.runtime.doctor.lines import Line, amber, green, red
from algo_scalper.runtime.token_care import session_of

AMBER_DISK_BYTES = 2_000_000_000
RED_DISK_BYTES = 500_000_000
PARTS: tuple[Part, ...] = ("trading", "reference")
AMBER_REDIS_MS = 250.0
REDIS_REMEDY = {
    Standing.AWAY: "start it, or empty REDIS_URL; trading goes on without the mirror",
    Standing.SLOW: "see what keeps it busy (SLOWLOG GET); trading goes on without the mirror",
    Standing.FULL: "raise its maxmemory or let it evict (maxmemory-policy volatile-ttl); trading goes on without the mirror",
    Standing.REFUSED: "check user, password and rights in REDIS_URL; trading goes on without the mirror",
}
SECRET_FILES = ("api-token", f"{FOLDER}/*.json", "probes/*.json")


async def settings(at: Surroundings) -> Sequence[Line]:
    """What start-up would say of the files."""
    if at.settings.notices:
        return [amber("settings", notice, "see docs/reference/environment.md") for notice in at.settings.notices]
    return (green("settings", f"read without a remark{'' if at.env_file.exists() else ' (there is no .env)'}"),)


async def session(at: Surroundings) -> Sequence[Line]:
    """The session at hand, and what is odd about it."""
    now_ns = at.clock.now_ns()
    found = session_of(now_ns)
    opens = clock_text(found.options[0].start_ns)[:5]
    if found.day == ist_day(now_ns) and day_schedule(found.day) is not None:
        said = f"today, options {opens}-{clock_text(found.options[-1].end_ns)[:5]}"
    else:
        said = f"market closed, next session {found.day:%a} {found.day.day} {found.day:%b} {opens}"
    return (green("session", " ".join((said + ".", *found.oddities))),)


async def databases(at: Surroundings) -> Sequence[Line]:
    """Both stores: whole, of our revision, writable. Nothing is made or migrated."""
    url = database_url(at.settings)
    loop = asyncio.get_running_loop()
    return [await loop.run_in_executor(None, _database, part, url, at.data_dir) for part in PARTS]


def _database(part: Part, url: str | None, data_dir: Path) -> Line:
    name = f"{part} store"
    path = data_dir / f"{part}.sqlite3"
    if not url and not path.exists():
        folder = next(parent for parent in (data_dir, *data_dir.resolve().parents) if parent.exists())
        if not os.access(folder, os.W_OK):
            return red(name, f"{path}: not made yet, and {folder} is not writable", f"make {folder} writable")
        return green(name, f"{path}: not made yet; the first start makes it")
    try:
        database = postgres_database(url, part) if url else sqlite_database(path, part)
        try:
            return _looked_into(database, name, path)
        finally:
            database.close()
    except StoreError as fault:
        text, _, remedy = str(fault).partition("; ")
        return red(name, text, remedy or "see what it says")


def _looked_into(database: Database, name: str, path: Path) -> Line:
    check_whole(database)
    with database.read("reading its revision") as connection:
        made = sa.inspect(connection).has_table("alembic_version")
        query = sa.text("SELECT version_num FROM alembic_version")
        revision = connection.execute(query).scalar_one_or_none() if made else None
        if not database.is_sqlite and connection.execute(sa.text("SELECT pg_is_in_recovery()")).scalar_one():
            return red(
                name, f"{database.where}: a read-only copy", "point DATABASE_URL at the server that takes writes"
            )
    if database.is_sqlite and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return red(name, f"{database.where}: not writable", f"run: chmod u+rw {path}")
    if revision is None:
        return green(name, f"{database.where}: empty; the first start makes its tables")
    if revision != HEAD[database.part]:
        said = f"{database.where}: at revision {revision}, this version has {HEAD[database.part]}"
        return amber(name, said, "the next start migrates an older one, and refuses a newer one")
    return green(name, f"{database.where}: whole, writable, revision {revision}")


async def redis(at: Surroundings) -> Sequence[Line]:
    """Does the mirror answer? Trading never waits for it."""
    url = at.settings.text("REDIS_URL")
    if not url:
        return (green("redis", "no mirror is asked for (REDIS_URL is empty)"),)
    try:
        shown_address(url)
    except ConfigError:
        return (red("redis", "REDIS_URL is no address", "write it as redis://127.0.0.1:6379/0, or empty it"),)
    try:
        server = RedisServer(url)
    except ConfigError:
        return (amber("redis", "the client is not installed", "pip install 'algo-scalper[redis]', or empty REDIS_URL"),)
    try:
        facts = await server.facts()
    except RedisTrouble as trouble:
        return (amber("redis", f"{trouble.standing}: {trouble}", REDIS_REMEDY[trouble.standing]),)
    finally:
        await server.close()
    said = f"{server.where} answers in {facts.answered_ms:.1f} ms, {facts.said}"
    if facts.is_full:
        return (amber("redis", f"{Standing.FULL}: {said}", REDIS_REMEDY[Standing.FULL]),)
    if facts.answered_ms > AMBER_REDIS_MS:
        return (amber("redis", f"{Standing.SLOW}: {said}", REDIS_REMEDY[Standing.SLOW]),)
    return (green("redis", said),)


async def disk(at: Surroundings) -> Sequence[Line]:
    """Room for journals and stores."""
    folder = next(parent for parent in (at.data_dir, *at.data_dir.resolve().parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free for {at.data_dir}"
    if free < RED_DISK_BYTES:
        return (
            red("disk", f"{said}: a full disk stops orders, which are written before they leave", "free some space"),
        )
    if free < AMBER_DISK_BYTES:
        return (amber("disk", said, "free some space before it stops the engine"),)
    return (green("disk", said),)


async def permissions(at: Surroundings) -> Sequence[Line]:
    """Who else on this machine can read secrets, or write where the engine writes."""
    open_files = [path for path in _secret_files(at) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_files:
        names = " ".join(str(path) for path in open_files)
        return (red("permissions", f"other users of this machine can read {names}", f"run: chmod 600 {names}"),)
    if at.data_dir.exists() and stat.S_IMODE(at.data_dir.stat().st_mode) & 0o022:
        said = f"other users of this machine can write into {at.data_dir}"
        return (red("permissions", said, f"run: chmod go-w {at.data_dir}"),)
    return (green("permissions", "secrets are readable by you alone"),)


def _secret_files(at: Surroundings) -> Iterator[Path]:
    if os.name != "posix":
        return
    if at.env_file.exists():
        yield at.env_file
    for pattern in SECRET_FILES:
        yield from sorted(at.data_dir.glob(pattern))


async def versions(_: Surroundings) -> Sequence[Line]:
    """What runs here."""
    said = f"algo-scalper {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return (green("versions", f"{said}, {platform.system()} {platform.machine()}"),)


async def costs(_: Surroundings) -> Sequence[Line]:
    """What it costs, traded or not."""
    return (
        green(
            "running costs",
            "the data API plan and a server with a static IP address, by the month; and about Rs 64 of charges a NIFTY round "
            "trip: 4 trades on 21 days are Rs 5,400 a month",
        ),
    )
