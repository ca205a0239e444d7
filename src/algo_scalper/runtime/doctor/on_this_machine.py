"""What this machine knows by itself: settings, stores, Redis, disk, who can read what, versions, and what it all costs."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import ssl
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa

from algo_scalper import __version__
from algo_scalper.adapters.dhan.token_store import FOLDER
from algo_scalper.adapters.storage.database import Database, Part, postgres_database, sqlite_database
from algo_scalper.adapters.storage.revisions import HEAD, check_whole
from algo_scalper.domain.calendar import day_schedule
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import clock_text, ist_day
from algo_scalper.runtime.doctor.checkup import Surroundings
from algo_scalper.runtime.doctor.lines import Line, amber, green, red
from algo_scalper.runtime.token_care import session_of

AMBER_DISK_BYTES = 2_000_000_000
RED_DISK_BYTES = 500_000_000
PARTS: tuple[Part, ...] = ("trading", "reference")
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
    url = at.settings.text("DATABASE_URL")
    loop = asyncio.get_running_loop()
    return [await loop.run_in_executor(None, _database, part, url, at.data_dir) for part in PARTS]


def _database(part: Part, url: str, data_dir: Path) -> Line:
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
    where = "REDIS_URL"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 6379
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if parts.scheme not in {"redis", "rediss"} or not host:
        return (red("redis", f"{where} is no address", "write it as redis://127.0.0.1:6379/0, or empty it"),)
    try:
        said = await _ping(host, port, parts.username or "", parts.password or "", tls=parts.scheme == "rediss")
    except OSError as fault:
        text = f"{host}:{port} does not answer ({type(fault).__name__})"
        return (amber("redis", text, "start it, or empty REDIS_URL; trading goes on without the mirror"),)
    if not said.startswith("+PONG"):
        return (amber("redis", f"{host}:{port} answers {said[:60]!r}", "check the user and password in REDIS_URL"),)
    return (green("redis", f"{host}:{port} answers"),)


async def _ping(host: str, port: int, user: str, password: str, *, tls: bool) -> str:
    """The answer to PING, after AUTH where there is a password."""
    reader, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context() if tls else None)
    try:
        if password:
            words = [b"AUTH", *([unquote(user).encode()] if user else []), unquote(password).encode()]
            writer.write(_command(*words))
            said = (await reader.readline()).decode(errors="replace")
            if not said.startswith("+OK"):
                return said.strip()
        writer.write(_command(b"PING"))
        return (await reader.readline()).decode(errors="replace").strip()
    finally:
        writer.close()
        await writer.wait_closed()


def _command(*words: bytes) -> bytes:
    return b"".join((b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)))


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
