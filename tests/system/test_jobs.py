"""Jobs as they run for people: two desks on one database, a broker over sockets, and the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

import msgspec

from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.storage.job_runs import JobRun
from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.adapters.storage.tables import RunOutcome
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.candles import expected_minutes, fill_candles
from algo_scalper.runtime.jobs.catalog import import_instruments
from algo_scalper.runtime.jobs.job import Due, Ground
from algo_scalper.runtime.jobs.positions import compare_positions
from algo_scalper.runtime.settings import load_settings
from tests.system.test_real_market import FROM_NS, served

HERE = Path(__file__).parent
DUE_NS = ist_ns(date(2026, 11, 23), 15 * 3600 + 55 * 60)


def a_desk_process(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "desk_with_jobs.py"), str(folder), str(DUE_NS - NS_PER_SECOND)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def test_two_desks_on_one_database_run_each_job_once(tmp_path: Path) -> None:
    open_stores(None, tmp_path).close()
    desks = [a_desk_process(tmp_path) for _ in range(2)]
    for desk in desks:
        assert desk.stdout is not None
        assert await asyncio.to_thread(desk.stdout.readline) == "ready\n"
    with closing(open_stores(None, tmp_path)) as stores:
        async with asyncio.timeout(60):
            runs: tuple[JobRun, ...] = ()
            while sum(run.outcome is RunOutcome.DONE for run in runs) < 9:
                runs = await asyncio.to_thread(stores.job_runs.history, ["", "PAPER-REAL"], 100)
    said = [await asyncio.to_thread(desk.communicate, "end\n", 30) for desk in desks]
    assert [desk.returncode for desk in desks] == [0, 0], said
    with closing(open_stores(None, tmp_path)) as stores:
        runs = stores.job_runs.history(["", "PAPER-REAL"], 100)
    assert sorted(run.job for run in runs) == [*(f"mark {n}" for n in range(8)), "report"]
    assert {run.scheduled_ns for run in runs} == {DUE_NS}
    marks = (tmp_path / "marks").read_text().split()
    assert len(marks) == 16, "each mark was left once"
    assert (tmp_path / "reports" / "2026-11-23.txt").read_text() == "Net 5\n"


async def test_the_jobs_that_ask_the_broker_get_their_answers(tmp_path: Path) -> None:
    async with served() as server:
        simulator = DhanSettings.simulator(f"http://127.0.0.1:{server.port}")
        said = {
            "DHANHQ_CLIENT_ID": "SIMULATED",
            "DHANHQ_ACCESS_TOKEN": "SIMULATED",
            "DHANHQ_BASE_URL": simulator.base_url,
            "DHANHQ_CSV_URL": simulator.csv_url,
        }
        with closing(open_stores(None, tmp_path)) as stores:
            ground = Ground(
                load_settings(said, tmp_path / "none"),
                ("NIFTY",),
                tmp_path,
                "PAPER-REAL",
                stores,
                SystemClock(FROM_NS),
                lambda day: (day, []),
                orders_at_broker=True,
            )
            due = Due(FROM_NS)
            assert await compare_positions(ground, due) == (Light.GREEN, "nothing is held, here and at the broker")
            told = await import_instruments(ground, due)
            assert told.light in {Light.GREEN, Light.AMBER}, told
            assert stores.catalog.current() is not None
            again = await import_instruments(ground, due)
            assert again.text.startswith("unchanged: "), again
            told = await fill_candles(ground, due)
            wanted = expected_minutes(FROM_NS)
            there = stores.reference.candles_between(INDICES["NIFTY"].key, min(wanted), max(wanted) + 1)
            assert f"NIFTY {len(there):,} of {len(wanted):,}" in told.text
            assert there


def scalper(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "algo_scalper", "jobs", *words, "--data-dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_runs_a_job_and_shows_what_it_did(tmp_path: Path) -> None:
    done = scalper(tmp_path, "run", "backup", "--json")
    assert done.returncode == 0, done.stderr
    run = msgspec.json.decode(done.stdout)
    assert (run["job"], run["outcome"], run["cause"]) == ("backup", "done", "by hand")
    assert len(list((tmp_path / "backups").iterdir())) == 1
    listed = scalper(tmp_path, "list", "--json")
    lines = {line["name"]: line for line in msgspec.json.decode(listed.stdout)}
    assert lines["backup"]["last"]["number"] == run["number"]
    assert lines["catalog"]["last"] is None
    history = scalper(tmp_path, "history")
    assert "by hand" in history.stdout
    unknown = scalper(tmp_path, "run", "backups")
    assert (unknown.returncode, "there is no job 'backups'" in unknown.stderr) == (2, True)
