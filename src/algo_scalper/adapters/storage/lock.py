"""One engine an account: the second is refused. The lock dies with its process, however that dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import sqlalchemy as sa

from algo_scalper.adapters.storage.database import Database, postgres_database
from algo_scalper.domain.errors import SecondInstance, StoreError

_HOLDER = sa.text(
    "SELECT application_name FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE l.locktype = 'advisory' "
    "AND l.granted AND l.classid::bigint << 32 | l.objid::bigint = :number"
)


class InstanceLock:
    """Held from construction until `release`.

    A file under ``data_dir`` is locked (flock: the kernel lets go of it when the process ends). With the ``url`` of a
    PostgreSQL database an advisory lock is taken there too: two machines may share a database but not a folder.
    Raises `SecondInstance` naming the process that holds it.
    """

    def __init__(self, data_dir: Path, account: str, url: str | None = None) -> None:
        self.path = data_dir / f"engine-{quote(account, safe='')}.lock"
        self._server: tuple[Database, sa.Connection] | None = None
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be made ({error.strerror}); make the folder writable") from error
        try:
            self._lock_file(account)
            if url:
                self._server = _lock_server(url, account)
        except BaseException:
            os.close(self._file)
            raise

    def _lock_file(self, account: str) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise SecondInstance(
                f"an engine for account {account} already runs as process {holder} ({self.path} is locked); "
                f"stop it first (kill -INT {holder}), or name another account and data folder"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def still_held(self) -> bool:
        """Is the server's lock still ours? It is lost with its connection; the file's lock cannot be lost."""
        if self._server is None:
            return True
        try:
            self._server[1].execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def release(self) -> None:
        """Let the next engine in. The file stays: removing it would let two processes lock two files of one name."""
        if self._server is not None:
            database, connection = self._server
            connection.close()
            database.close()
            self._server = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()


def _lock_server(url: str, account: str) -> tuple[Database, sa.Connection]:
    database = postgres_database(url, "trading")
    number = int.from_bytes(hashlib.blake2b(f"algo_scalper {account}".encode(), digest_size=8).digest(), signed=True)
    with database.errors("locking the account"):
        connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(
            sa.text("SELECT set_config('application_name', :name, false)"),
            {"name": f"scalper {os.getpid()} on {platform.node()}"[:63]},
        )
        if connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one():
            return database, connection
        holder = connection.execute(_HOLDER, {"number": number}).scalars().first()
        connection.close()
    database.close()
    raise SecondInstance(
        f"an engine for account {account} already runs as process {holder or 'unknown'} "
        f"({database.where} is locked for it); stop it first, or name another account or database"
    )
