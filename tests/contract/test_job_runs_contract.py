"""Runs of jobs on SQLite and on a real PostgreSQL: claimed once however many ask, never two at a time, buried when silent."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from algo_scalper.adapters.storage.backup import UNFINISHED, back_up, prune
from algo_scalper.adapters.storage.database import Database, Part, postgres_database, sqlite_database
from algo_scalper.adapters.storage.job_runs import SILENT_NS, Claimed, JobRun, JobRuns, Taken
from algo_scalper.adapters.storage.migrations.run import downgrade, upgrade
from algo_scalper.adapters.storage.retention import BATCH_ROWS
from algo_scalper.adapters.storage.stores import Stores, open_stores
from algo_scalper.adapters.storage.tables import RunCause, RunOutcome, decisions, job_runs, signals
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.market import Candle
from algo_scalper.domain.ports import Changes
from tests.contract.histories import DAY, one_trade

CLOCK = RunCause.CLOCK
PARTS: tuple[Part, ...] = ("trading", "reference")
RACERS, TIMES = 4, 25


class Place:
    """Where the stores lie."""

    def __init__(self, url: str | None, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def open(self) -> Stores:
        return open_stores(self.url, self.folder)

    def reference(self) -> Database:
        if self.url:
            return postgres_database(self.url, "reference")
        return sqlite_database(self.folder / "reference.sqlite3", "reference")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return Place(url, tmp_path / "data")


@pytest.fixture
def stores(place: Place) -> Iterator[Stores]:
    with closing(place.open()) as opened:
        yield opened


def claimed(
    runs: JobRuns, scheduled_ns: int, *, job: str = "backup", account: str = "", at_ns: int = 0, redo: bool = False
) -> Claimed | Taken:
    return runs.claim(job, account, scheduled_ns, cause=CLOCK, by="me", at_ns=at_ns or scheduled_ns, redo=redo)


def number_of(claim: Claimed | Taken) -> int:
    assert isinstance(claim, Claimed), claim
    return claim.number


def in_the_way(claim: Claimed | Taken) -> JobRun:
    assert isinstance(claim, Taken), claim
    return claim.run


# --- one run ---


def test_a_run_is_recorded_from_its_claim_to_its_end(stores: Stores) -> None:
    runs = stores.job_runs
    assert runs.last_of_each(["", "PAPER"]) == {}
    assert not runs.was_run_before("backup", "", 101)
    number = number_of(claimed(runs, 100, at_ns=105))
    assert runs.seen(number, at_ns=110)
    assert runs.end(number, at_ns=2_000_000_105, outcome=RunOutcome.DONE, message="3 MB")
    run = runs.run_of("backup", "", 100)
    assert run == JobRun(
        number, "backup", "", 100, CLOCK, 105, 2_000_000_105, 2_000_000_105, RunOutcome.DONE, "3 MB", "me"
    )
    assert run.duration_s == 2.0
    assert runs.was_run_before("backup", "", 101)
    assert not runs.was_run_before("backup", "", 100), "a later run says nothing about this time"
    assert not runs.was_run_before("backup", "PAPER", 101)
    assert runs.last_of_each([""]) == {"backup": run}
    assert runs.history(["", "PAPER"], 5) == (run,) == runs.history([""], 5, "backup")
    assert runs.history([""], 5, "report") == ()
    assert not runs.end(number, at_ns=9, outcome=RunOutcome.FAILED, message="twice")


def test_a_time_is_claimed_once_for_each_account(stores: Stores) -> None:
    runs = stores.job_runs
    number = number_of(claimed(runs, 100, account="one"))
    runs.end(number, at_ns=101, outcome=RunOutcome.FAILED, message="no answer")
    assert in_the_way(claimed(runs, 100, account="one")).message == "no answer"
    assert in_the_way(claimed(runs, 100, account="one", redo=True)).outcome is RunOutcome.FAILED
    number_of(claimed(runs, 100, account="other"))
    number_of(claimed(runs, 101, account="one"))


def test_a_job_does_not_overlap_itself(stores: Stores) -> None:
    runs = stores.job_runs
    first = number_of(claimed(runs, 100))
    assert in_the_way(claimed(runs, 160)).scheduled_ns == 100
    assert isinstance(claimed(runs, 160, job="report"), Claimed)
    runs.end(first, at_ns=170, outcome=RunOutcome.DONE, message="")
    number_of(claimed(runs, 160))


def test_a_silent_run_is_abandoned_after_five_minutes_and_done_again_only_when_asked(stores: Stores) -> None:
    runs = stores.job_runs
    number = number_of(claimed(runs, 100))
    assert runs.seen(number, at_ns=200)
    still = 200 + SILENT_NS
    assert in_the_way(claimed(runs, 100, at_ns=still, redo=True)).outcome is RunOutcome.RUNNING
    left = in_the_way(claimed(runs, 100, at_ns=still + 1))
    assert (left.outcome, left.ended_ns) == (RunOutcome.ABANDONED, 200)
    assert "silent for 5 minutes" in left.message
    again = number_of(claimed(runs, 100, at_ns=still + 2, redo=True))
    assert not runs.seen(number, at_ns=still + 3), "the one that was given up has lost it"
    assert not runs.end(number, at_ns=still + 3, outcome=RunOutcome.DONE, message="late")
    assert runs.end(again, at_ns=still + 4, outcome=RunOutcome.DONE, message="")
    assert [run.outcome for run in runs.history([""], 5)] == [RunOutcome.DONE, RunOutcome.ABANDONED]
    assert in_the_way(claimed(runs, 100, at_ns=still + 5, redo=True)).number == again


def test_a_skipped_time_says_why_and_is_not_run_any_more(stores: Stores) -> None:
    runs = stores.job_runs
    assert runs.skip("report", "PAPER", 100, "too late", by="me", at_ns=900)
    assert not runs.skip("report", "PAPER", 100, "again", by="me", at_ns=901)
    run = in_the_way(claimed(runs, 100, job="report", account="PAPER", redo=True))
    assert (run.outcome, run.message) == (RunOutcome.SKIPPED, "too late")


@pytest.mark.parametrize(
    "nonsense",
    [{"outcome": "perhaps"}, {"cause": "whim"}, {"ended_ns": 5}, {"outcome": "done"}, {"message": None}],
)
def test_a_row_that_makes_no_sense_has_no_place(stores: Stores, place: Place, nonsense: dict[str, object]) -> None:
    number = number_of(claimed(stores.job_runs, 100))
    with closing(place.reference()) as database:
        change = sa.update(job_runs).where(job_runs.c.number == number).values(nonsense)
        with pytest.raises(StoreError), database.write("mischief") as connection:
            connection.execute(change)


# --- many at once ---

RACE = """
import sys
from pathlib import Path
from algo_scalper.adapters.storage.job_runs import Claimed
from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.adapters.storage.tables import RunCause, RunOutcome
url, folder, name, times = sys.argv[1] or None, Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
stores = open_stores(url, folder)
print("ready", flush=True)
sys.stdin.readline()
for scheduled in range(1, times + 1):
    claim = stores.job_runs.claim("catalog", "", scheduled, cause=RunCause.CLOCK, by=name, at_ns=scheduled, redo=True)
    if isinstance(claim, Claimed):
        print(scheduled, flush=True)
        stores.job_runs.end(claim.number, at_ns=scheduled, outcome=RunOutcome.DONE, message="")
stores.close()
"""


def racer(place: Place, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RACE, place.url or "", str(place.folder), name, str(TIMES)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_of_several_processes_exactly_one_gets_each_time(place: Place) -> None:
    place.open().close()
    racers = [racer(place, f"desk {number}") for number in range(RACERS)]
    for one in racers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in racers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    won = [[int(line) for line in one.communicate(timeout=60)[0].split()] for one in racers]
    assert [one.returncode for one in racers] == [0] * RACERS
    everything = sorted(time for times in won for time in times)
    assert len(everything) == len(set(everything)), "a time was claimed twice"
    with closing(place.open()) as stores:
        recorded = sorted(run.scheduled_ns for run in stores.job_runs.history([""], 1_000))
    assert recorded == everything
    # A racer that lost only to another time's run has left this one to nobody: few of them, and none twice.
    assert len(everything) >= TIMES // 2


def test_of_several_threads_exactly_one_gets_the_time(place: Place) -> None:
    place.open().close()
    opened = [place.open() for _ in range(RACERS)]
    try:
        with ThreadPoolExecutor(RACERS) as pool:
            for scheduled in range(1, 11):

                def claim(stores: Stores, scheduled_ns: int = scheduled) -> Claimed | Taken:
                    return claimed(stores.job_runs, scheduled_ns)

                told = list(pool.map(claim, opened))
                won = [one for one in told if isinstance(one, Claimed)]
                assert len(won) == 1
                assert {one.run.number for one in told if isinstance(one, Taken)} == {won[0].number}
                opened[0].job_runs.end(won[0].number, at_ns=1, outcome=RunOutcome.DONE, message="")
    finally:
        for stores in opened:
            stores.close()


def test_a_process_killed_in_its_run_leaves_it_to_be_buried(place: Place) -> None:
    dying = RACE.replace("print(scheduled, flush=True)", "print(scheduled, flush=True); sys.stdin.readline()")
    place.open().close()
    command = [sys.executable, "-c", dying, place.url or "", str(place.folder), "dying", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "1\n"]
        os.kill(process.pid, signal.SIGKILL)
    with closing(place.open()) as stores:
        runs = stores.job_runs
        assert in_the_way(claimed(runs, 1, job="catalog", at_ns=2, redo=True)).run_by == "dying"
        runs.bury(at_ns=SILENT_NS + 2)
        assert runs.last_of_each([""])["catalog"].outcome is RunOutcome.ABANDONED
        number_of(claimed(runs, 1, job="catalog", at_ns=SILENT_NS + 2, redo=True))


# --- the record of before ---


def test_runs_of_before_are_taken_over(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for url in (None, request.getfixturevalue("new_postgres_url")):
        place = Place(url, tmp_path / "before")
        place.open().close()
        with closing(place.reference()) as database:
            with database.write("an older record") as connection:
                downgrade(connection, "reference", "reference_0002")
                for row in ("1, 2, NULL", "1, 3, 'the later'", "4, NULL, NULL", "6, 7, NULL"):
                    connection.execute(
                        sa.text(f"INSERT INTO job_runs (job, started_ns, ended_ns, failure) VALUES ('old', {row})")
                    )
                upgrade(connection, "reference")
            with database.read("looking") as connection:
                c = job_runs.c
                query = sa.select(c.scheduled_ns, c.ended_ns, c.outcome, c.message).order_by(c.number)
                found = [tuple(row) for row in connection.execute(query)]
        assert found == [(1, 3, "failed", "the later"), (4, 4, "abandoned", ""), (6, 7, "done", "")]


# --- forgetting, and copies ---


def test_only_what_is_old_and_ours_is_forgotten(stores: Stores, place: Place) -> None:
    made = tuple(Decision(at, DecisionKind.REFUSAL, "NIFTY", "lagging") for at in range(1, BATCH_ROWS + 12))
    for account in ("PAPER", "other"):
        stores.trading(account).commit(Changes(decisions=made))
    stores.decisions.write()
    stores.reference.keep_candles(13, [Candle(at, 5, 6, 4, 5) for at in (1, 2, 3)])
    for at in (1, 2, 3):
        stores.job_runs.end(number_of(claimed(stores.job_runs, at)), at_ns=at, outcome=RunOutcome.DONE, message="")
    running = number_of(claimed(stores.job_runs, 1, job="report"))
    old = stores.retention
    assert old.decisions("PAPER", BATCH_ROWS + 10) == BATCH_ROWS + 9
    assert old.decisions("PAPER", BATCH_ROWS + 10) == 0
    assert old.signals("PAPER", 10**18) == 0
    assert old.candles(3) == 2
    assert old.job_runs("", 3, "backup") == 2
    assert old.job_runs("", 10) == 1, "what runs is never forgotten"
    assert len(stores.reference.decisions_between("PAPER", 0, 10**18)) == 2
    assert len(stores.reference.decisions_between("other", 0, 10**18)) == BATCH_ROWS + 11
    assert [bar.start_ns for bar in stores.reference.candles_between(13, 0, 9)] == [3]
    assert [run.number for run in stores.job_runs.history([""], 9)] == [running]
    assert {decisions.name, signals.name} < set(job_runs.metadata.tables)


def test_a_copy_of_the_files_opens_and_holds_what_was_committed(tmp_path: Path) -> None:
    with closing(open_stores(None, tmp_path / "data")) as stores:
        stores.trading("PAPER").commit(one_trade(1))
        number_of(claimed(stores.job_runs, 100))
        assert back_up(stores.databases, tmp_path / "backups" / "2026-11-23", at_ns=5) > 50_000
        stores.trading("PAPER").commit(one_trade(2))
    copies = tmp_path / "backups" / "2026-11-23"
    assert sorted(path.name for path in copies.iterdir()) == ["manifest.json", "reference.sqlite3", "trading.sqlite3"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in copies.iterdir())
    with closing(open_stores(None, copies)) as restored:
        assert len(restored.trading("PAPER").orders_of_day(DAY)) == len(one_trade(1).orders)
        assert restored.job_runs.run_of("backup", "", 100) is not None


def test_an_unfinished_copy_is_never_taken_for_one(tmp_path: Path) -> None:
    open_stores(None, tmp_path).close()
    (tmp_path / "reference.sqlite3").write_bytes(b"no database" * 1_000)
    databases = tuple(sqlite_database(tmp_path / f"{part}.sqlite3", part) for part in PARTS)
    with pytest.raises(StoreError, match="not a database"):
        back_up(databases, tmp_path / "backups" / "2026-11-23", at_ns=5)
    assert list((tmp_path / "backups").iterdir()) == []


COPYING = """
import sys
from pathlib import Path
from algo_scalper.adapters.storage.backup import back_up
from algo_scalper.adapters.storage.stores import open_stores
stores = open_stores(None, Path(sys.argv[1]))
print("ready", flush=True)
for number in range(1_000):
    back_up(stores.databases, Path(sys.argv[1]) / "backups" / f"{sys.argv[2]}-{number:04d}", at_ns=5)
    print("copied", flush=True)
"""


def test_a_process_killed_among_copies_leaves_only_whole_ones(tmp_path: Path) -> None:
    chance = random.Random(7)
    with closing(open_stores(None, tmp_path)) as stores:
        for at_ns in range(200):
            stores.reference.keep_candles(at_ns, [Candle(minute, 5, 6, 4, 5) for minute in range(50)])
    for number in range(8):
        command = [sys.executable, "-c", COPYING, str(tmp_path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            if number == 0:
                assert process.stdout.readline() == "copied\n", "one is whole, however slow the machine"
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.3))
            process.kill()
    whole = [path for path in (tmp_path / "backups").iterdir() if not path.name.endswith(UNFINISHED)]
    assert whole
    for folder in whole:
        with closing(open_stores(None, folder)) as restored:  # looks through the trading store
            assert len(restored.reference.candles_between(199, 0, 100)) == 50
    prune(tmp_path / "backups", len(whole))
    assert sorted((tmp_path / "backups").iterdir()) == sorted(whole)


def test_the_newest_copies_are_kept(tmp_path: Path) -> None:
    for name in ("2026-11-20-1", "2026-11-21-1.unfinished", "2026-11-23-1", "2026-11-23-2", "2026-11-24-1", "mine"):
        (tmp_path / name).mkdir()
    assert prune(tmp_path, 2) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-11-23-2", "2026-11-24-1", "mine"]
