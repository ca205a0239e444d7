"""A copy of both stores that can be restored: taken while they are used, looked through, and there whole or not at all.

A backup is a folder: a SQLite file for each store, whatever database it was taken from, and a manifest that says what they
hold. SQLite is copied by its own online backup, which waits for nobody and shows one moment; PostgreSQL row by row, in one
snapshot a store. No program of the server's is needed. Access tokens are in no store, so they are in no backup.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from algo_scalper import __version__
from algo_scalper.adapters.storage.database import Database, Part, file_of, sqlite_snapshot
from algo_scalper.adapters.storage.placing import placing, to_disk
from algo_scalper.adapters.storage.transfer import (
    FILE_MODE,
    Tally,
    copy_to_file,
    copy_to_server,
    store_revision,
    tally_of,
)
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import clock_text, ist_day

UNFINISHED = ".unfinished"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
MANIFEST = "manifest.json"
FORMAT = 1


class StoreCopy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    file: str
    copied_from: str
    revision: str
    held: Tally
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup says of itself; ``made`` is ``made_ns`` in words, in IST."""

    format: int
    made_ns: int
    made: str
    code_version: str
    stores: dict[Part, StoreCopy]


def back_up(databases: Iterable[Database], folder: Path, *, at_ns: int) -> int:
    """Copy the databases into a new ``folder``; how many bytes. Raises `StoreError`; then there is no such folder."""
    work = folder.with_name(folder.name + UNFINISHED)
    if folder.exists():
        raise StoreError(f"{folder}: is there already and is not overwritten; name another folder")
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, mode=0o700)
        copies = {database.part: _copied(database, file_of(work, database.part)) for database in databases}
        made = f"{ist_day(at_ns).isoformat()} {clock_text(at_ns)} IST"
        manifest = work / MANIFEST
        manifest.touch(mode=FILE_MODE)
        manifest.write_bytes(
            msgspec.json.format(msgspec.json.encode(Manifest(FORMAT, at_ns, made, __version__, copies)))
        )
        for path in (*work.iterdir(), work):
            to_disk(path)
        work.rename(folder)
        to_disk(folder.parent)
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError as error:
        remedy = "free space there" if error.errno in _NO_ROOM else "name a folder this user can write"
        raise StoreError(f"{folder}: the backup failed ({error.strerror or error}); {remedy}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def verified(folder: Path) -> Manifest:
    """The manifest of a backup, once its files are what it says. Raises `StoreError` naming the first that is not."""
    try:
        said = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise StoreError(f"{folder}: is no backup ({MANIFEST}: {error.strerror}); name another") from error
    try:
        manifest = msgspec.json.decode(said, type=Manifest)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{folder / MANIFEST}: cannot be read ({error}); use an older backup") from error
    if manifest.format != FORMAT or set(manifest.stores) != {"trading", "reference"}:
        raise StoreError(
            f"{folder / MANIFEST}: of another format than this version's, or not of both stores; use another"
        )
    for part, copy in manifest.stores.items():
        _verify(file_of(folder, part), part, copy)
    return manifest


def restore_files(folder: Path, data_dir: Path) -> Manifest:
    """Put the files of a backup into a data folder that has no stores. Raises `StoreError`; then it still has none."""
    manifest = verified(folder)
    with placing(data_dir) as work:
        for part, copy in manifest.stores.items():
            target = file_of(work, part)
            target.touch(mode=FILE_MODE)
            shutil.copyfile(file_of(folder, part), target)
            _verify(target, part, copy)
    return manifest


def restore_to_server(folder: Path, server: Database) -> Manifest:
    """Put a backup into a PostgreSQL database that has no stores, in one transaction. Raises `StoreError`."""
    manifest = verified(folder)
    held = copy_to_server([sqlite_snapshot(file_of(folder, part), part) for part in manifest.stores], server)
    assert held == {part: copy.held for part, copy in manifest.stores.items()}
    return manifest


def prune(parent: Path, keep: int) -> int:
    """Remove all but the newest ``keep`` backups, whose names sort by their time, and what a dead process left; how many.

    To be called by who has just made one: what is unfinished then is nobody's.
    """
    folders = sorted(path for path in parent.glob("[0-9]*") if path.is_dir())
    unfinished = [path for path in folders if path.name.endswith(UNFINISHED)]
    old = [path for path in folders if path not in unfinished][:-keep]
    for folder in (*old, *unfinished):
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _copied(database: Database, copy: Path) -> StoreCopy:
    revision = store_revision(database)
    if database.is_sqlite:
        _copy_file(database, copy)
        with closing(sqlite_snapshot(copy, database.part)) as snapshot:
            revision, held = tally_of(snapshot)
    else:
        held = copy_to_file(database, copy)
    return StoreCopy(copy.name, database.where, revision, held, copy.stat().st_size, _digest(copy))


def _copy_file(database: Database, copy: Path) -> None:
    source_path = database.engine.url.database
    assert source_path is not None
    copy.touch(mode=FILE_MODE)
    try:
        with closing(sqlite3.connect(source_path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
            verdict = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"{database.where}: the copy could not be made ({error}); check its disk") from error
    if verdict != "ok":
        raise StoreError(f"{database.where}: the copy is damaged ({verdict}), so is the file: restore an older backup")


def _verify(path: Path, part: Part, copy: StoreCopy) -> None:
    try:
        size, digest = path.stat().st_size, _digest(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); use another backup") from error
    if (size, digest) != (copy.size_bytes, copy.sha256):
        raise StoreError(
            f"{path}: is not the file that was backed up ({size:,} bytes, the manifest says {copy.size_bytes:,}, or its "
            "SHA-256 differs): it is damaged or was written to; use another backup"
        )
    with closing(sqlite_snapshot(path, part)) as snapshot:
        found = tally_of(snapshot)
    if found != (copy.revision, copy.held):
        raise StoreError(f"{path}: holds other rows than the manifest says; use another backup")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
