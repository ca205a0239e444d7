"""Both files of a place put there together: a process that dies in between leaves the place without them.

They are made in the folder ``placing`` beside where they go, and linked from there. While that folder exists nothing opens
the place; the next attempt takes back what the interrupted one had put there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from algo_scalper.adapters.storage.database import Part, file_of
from algo_scalper.domain.errors import StoreError

PLACING, PLACED = "placing", "placed"
PARTS: tuple[Part, ...] = ("trading", "reference")


def check_placed(data_dir: Path) -> None:
    """Raise `StoreError` where stores are being put, or were when a process died."""
    if (data_dir / PLACING).exists():
        raise StoreError(
            f"{data_dir / PLACING}: stores are being put into this folder, or the process that did has died; wait for it, "
            "or run the same command again (to begin without them: remove that folder and the stores beside it)"
        )


@contextmanager
def placing(data_dir: Path) -> Iterator[Path]:
    """A folder to make both files in; when the block is left they are put under ``data_dir``, which must have none.

    Raises `StoreError` for a place that has a store, and when nothing can be put there; then nothing is.
    """
    work = data_dir / PLACING
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        work.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(work, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{data_dir}: cannot be written ({error.strerror}); name another data folder") from error
    try:
        _alone(handle, work)
        try:
            _take_back(work, data_dir)
            check_free(data_dir)
            _empty(work)
            yield work
            for part in PARTS:
                to_disk(file_of(work, part))
                file_of(data_dir, part).hardlink_to(file_of(work, part))
            to_disk(data_dir)
            # From this moment on they are there: what follows only tidies up.
            shutil.rmtree(data_dir / PLACED, ignore_errors=True)
            work.rename(data_dir / PLACED)
            to_disk(data_dir)
        except OSError as error:
            _take_back(work, data_dir)
            raise StoreError(f"{data_dir}: the stores could not be put there ({error.strerror or error})") from error
        except BaseException:
            _take_back(work, data_dir)
            raise
        finally:
            for left in (work, data_dir / PLACED):
                shutil.rmtree(left, ignore_errors=True)
    finally:
        os.close(handle)


def check_free(data_dir: Path) -> None:
    """Raise `StoreError` when a store, or what belongs to one, lies where stores are to be put."""
    there = sorted(path for part in PARTS for path in data_dir.glob(f"{part}.sqlite3*"))
    if there:
        raise StoreError(
            f"{there[0]}: is there already and is not overwritten; move {', '.join(path.name for path in there)} away, or "
            "name another folder"
        )


def to_disk(path: Path) -> None:
    """Have a file, or a folder's list of names, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _alone(handle: int, work: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{work}: another process is putting stores there; wait until it is done") from None


def _take_back(work: Path, data_dir: Path) -> None:
    """What was linked from here is the same file in both places; nothing else is touched."""
    for part in PARTS:
        with suppress(FileNotFoundError):
            if file_of(data_dir, part).samefile(file_of(work, part)):
                file_of(data_dir, part).unlink()


def _empty(work: Path) -> None:
    for path in work.iterdir():
        path.unlink()
