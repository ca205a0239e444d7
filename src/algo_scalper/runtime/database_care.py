"""Looking after both stores: migrating, checking, backing up, restoring and moving them, with nobody trading meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import unquote

import msgspec
import sqlalchemy as sa

from algo_scalper.adapters.storage.backup import Manifest, back_up, restore_files, restore_to_server
from algo_scalper.adapters.storage.database import Database, Part, file_of, postgres_database
from algo_scalper.adapters.storage.examine import Finding, examine
from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.adapters.storage.placing import PARTS, PLACING, check_free, placing
from algo_scalper.adapters.storage.revisions import known_revisions, move_to, revision_of
from algo_scalper.adapters.storage.stores import connect
from algo_scalper.adapters.storage.tables import sessions
from algo_scalper.adapters.storage.transfer import Tally, copy_to_file, copy_to_server
from algo_scalper.domain.errors import ConfigError, StoreError
from algo_scalper.runtime.database_place import Place


class Moved(msgspec.Struct, frozen=True):
    """What a migration did to one store; ``before`` is None where there was none."""

    part: Part
    where: str
    before: str | None
    after: str


class Copied(msgspec.Struct, frozen=True):
    """What was carried from one place to another, equal on both sides."""

    source: str
    target: str
    stores: dict[Part, Tally]


def migrate(place: Place, revision: str | None = None) -> list[Moved]:
    """Take both stores to the newest revision, or the one of ``revision`` to that. Refused while an engine trades there."""
    parts = (part_of(revision),) if revision else PARTS
    moved = []
    with nobody_trades(place):
        for part in parts:
            with closing(connect(place.url, place.folder, part)) as database:
                move = move_to(database, revision)
                moved.append(Moved(part, database.where, move.before, move.after))
    return moved


def loses_tables(place: Place, revision: str) -> bool:
    """Does going to this revision drop what a newer one has?"""
    part = part_of(revision)
    if not place.url and not file_of(place.folder, part).exists():
        return False
    with closing(connect(place.url, place.folder, part)) as database:
        now, order = revision_of(database), known_revisions(part)
    return now in order and order.index(now) > order.index(revision)


def part_of(revision: str) -> Part:
    """Whose revision it is. Raises `ConfigError` for one nobody knows."""
    for part in PARTS:
        if revision in known_revisions(part):
            return part
    known = ", ".join(name for part in PARTS for name in known_revisions(part))
    raise ConfigError(f"there is no revision {revision!r}; there are {known}")


def check(place: Place) -> list[Finding]:
    """Everything `examine` finds of both stores."""
    return [finding for part in PARTS for finding in examine(place.url, place.folder, part)]


def back_up_place(place: Place, folder: Path, *, at_ns: int) -> int:
    """Copy both stores, in use or not, into a new folder; how many bytes."""
    with _both(place) as databases:
        return back_up(databases, folder, at_ns=at_ns)


def restore(backup: Path, place: Place) -> Manifest:
    """Put a backup where there are no stores, nor an engine. Raises `StoreError`; then there still are none."""
    _check_free(place)
    with nobody_trades(place):
        if place.url is None:
            return restore_files(backup, place.folder)
        with closing(postgres_database(place.url, "trading")) as server:
            return restore_to_server(backup, server)


def copy(source: Place, target: Place) -> Copied:
    """Carry both stores to a place that has none, while nobody trades on either. Raises `StoreError`; then it has none."""
    with nobody_trades(source), _both(source) as databases:
        if target.url is not None:
            with closing(postgres_database(target.url, "trading")) as server:
                held = copy_to_server(databases, server)
        else:
            held = _copy_to_folder(databases, target)
    return Copied(source.shown, target.shown, held)


@contextmanager
def nobody_trades(place: Place) -> Iterator[None]:
    """Hold the locks of all accounts that ever traded there. Raises `SecondInstance` naming the engine that has one."""
    with ExitStack() as locks:
        for account in sorted(_accounts(place)):
            locks.enter_context(InstanceLock(place.folder, account, place.url))
        yield


def _accounts(place: Place) -> set[str]:
    """Those with a lock file, and those with a session in the store."""
    found = {unquote(path.stem.removeprefix("engine-")) for path in place.folder.glob("engine-*.lock")}
    if not place.url and (_interrupted(place) or not file_of(place.folder, "trading").exists()):
        return found
    with closing(connect(place.url, place.folder, "trading")) as database:
        if revision_of(database) is None:
            return found
        with database.read("looking for accounts") as connection:
            return found | set(connection.execute(sa.select(sessions.c.account).distinct()).scalars())


@contextmanager
def _both(place: Place) -> Iterator[list[Database]]:
    """Both stores as they are. Raises `StoreError` where one is missing."""
    with ExitStack() as opened:
        databases = []
        for part in PARTS:
            if not place.url and not file_of(place.folder, part).exists():
                raise StoreError(
                    f"{file_of(place.folder, part)}: is not there, so there is nothing to copy; name the data folder with "
                    "--data-dir, or make it: scalper db migrate"
                )
            databases.append(opened.enter_context(closing(connect(place.url, place.folder, part))))
        yield databases


def _interrupted(place: Place) -> bool:
    """Was a process killed while it put stores there? What it had put is taken back by the next that does."""
    return (place.folder / PLACING).exists()


def _check_free(target: Place) -> None:
    if not target.url and not _interrupted(target):
        check_free(target.folder)


def _copy_to_folder(databases: list[Database], target: Place) -> dict[Part, Tally]:
    _check_free(target)
    with nobody_trades(target), placing(target.folder) as work:
        return {database.part: copy_to_file(database, file_of(work, database.part)) for database in databases}
