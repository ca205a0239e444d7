"""Runs of jobs: claimed once by whoever comes first, recorded, and given up for dead when nothing is heard of them.

The database decides, not the processes: a job's time is claimed by a row that can exist only once, and a second row can
say ``running`` of one job only after the first no longer does. A run says every minute that it is alive; one that was
silent for `SILENT_NS` belongs to a process that died.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.tables import RunCause, RunOutcome, job_runs
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND

SEEN_EVERY_NS = NS_PER_MINUTE
SILENT_NS = 5 * NS_PER_MINUTE
"""A run nothing was heard of for so long was abandoned."""
_TRIES = 3


class JobRun(msgspec.Struct, frozen=True):
    """One run. ``scheduled_ns`` is the time it is for, ``seen_ns`` when its process last said it is alive."""

    number: int
    job: str
    account: str
    """Empty for what is done once for the whole database."""
    scheduled_ns: int
    cause: RunCause
    started_ns: int
    seen_ns: int
    ended_ns: int | None
    outcome: RunOutcome
    message: str
    run_by: str

    @property
    def duration_s(self) -> float | None:
        """How long it took; None while it runs."""
        return None if self.ended_ns is None else round((self.ended_ns - self.started_ns) / NS_PER_SECOND, 3)


_COLUMNS = tuple(job_runs.c[name] for name in JobRun.__struct_fields__)


class Claimed(msgspec.Struct, frozen=True):
    """It is ours to run, under this number."""

    number: int


class Taken(msgspec.Struct, frozen=True):
    """It is not ours: this run is in the way, of the same time or, still running, of another."""

    run: JobRun


class JobRuns:
    """The record of all runs. Every call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self, job: str, account: str, scheduled_ns: int, *, cause: RunCause, by: str, at_ns: int, redo: bool = False
    ) -> Claimed | Taken:
        """Claim the run of a job and its time, or learn who has it. ``redo``: also what a dead process left.

        Of any number of processes that ask at the same time exactly one gets `Claimed`.
        """
        row = {
            "job": job,
            "account": account,
            "scheduled_ns": scheduled_ns,
            "cause": cause.value,
            "started_ns": at_ns,
            "seen_ns": at_ns,
            "outcome": RunOutcome.RUNNING.value,
            "message": "",
            "run_by": by,
        }
        c = job_runs.c
        ours = (c.job == job, c.account == account)
        for _ in range(_TRIES):
            with self._database.write("claiming a job") as connection:
                self._bury(connection, ours, at_ns)
                if not redo:
                    left = self._one(connection, *ours, c.scheduled_ns == scheduled_ns)
                    if left is not None:
                        return Taken(left)
                number = connection.execute(self._insert(row)).scalar_one_or_none()
                if number is not None:
                    return Claimed(int(number))
                same = c.outcome != RunOutcome.ABANDONED.value, c.scheduled_ns == scheduled_ns
                other = self._one(connection, *ours, *same) or self._one(
                    connection, *ours, c.outcome == RunOutcome.RUNNING.value
                )
            if other is not None:
                return Taken(other)
            # What was in the way has ended between the two questions: ask again.
        raise StoreError(f"{self._database.where}: job {job} could not be claimed in {_TRIES} attempts; try again")

    def seen(self, number: int, *, at_ns: int) -> bool:
        """Say that the run is alive; False when it is no longer ours."""
        return self._change(number, {"seen_ns": at_ns})

    def end(self, number: int, *, at_ns: int, outcome: RunOutcome, message: str) -> bool:
        """Note how a run ended; False when it had been given up for dead meanwhile, and that stays."""
        values = {"seen_ns": at_ns, "ended_ns": at_ns, "outcome": outcome.value, "message": message}
        return self._change(number, values)

    def skip(self, job: str, account: str, scheduled_ns: int, message: str, *, by: str, at_ns: int) -> bool:
        """Note that nothing is run for this time, and why; False when the time has its row already."""
        row = {
            "job": job,
            "account": account,
            "scheduled_ns": scheduled_ns,
            "cause": RunCause.CLOCK.value,
            "started_ns": at_ns,
            "seen_ns": at_ns,
            "ended_ns": at_ns,
            "outcome": RunOutcome.SKIPPED.value,
            "message": message,
            "run_by": by,
        }
        with self._database.write("noting a missed job") as connection:
            return connection.execute(self._insert(row)).scalar_one_or_none() is not None

    def bury(self, *, at_ns: int) -> None:
        """Give up for dead, for every job, what was silent too long."""
        with self._database.write("looking for abandoned jobs") as connection:
            self._bury(connection, (), at_ns)

    def run_of(self, job: str, account: str, scheduled_ns: int) -> JobRun | None:
        """The newest run for this time."""
        c = job_runs.c
        with self._database.read("reading job runs") as connection:
            return self._one(connection, c.job == job, c.account == account, c.scheduled_ns == scheduled_ns)

    def was_run_before(self, job: str, account: str, scheduled_ns: int) -> bool:
        """Has an earlier time of it come here? False on a new database, where nobody can have missed anything."""
        c = job_runs.c
        earlier = (c.cause != RunCause.HAND.value, c.scheduled_ns < scheduled_ns)
        with self._database.read("reading job runs") as connection:
            return self._one(connection, c.job == job, c.account == account, *earlier) is not None

    def last_of_each(self, accounts: Collection[str]) -> dict[str, JobRun]:
        """The newest run of every job of these accounts."""
        c = job_runs.c
        newest = sa.select(sa.func.max(c.number)).where(c.account.in_(accounts)).group_by(c.job)
        with self._database.read("reading job runs") as connection:
            rows = connection.execute(sa.select(*_COLUMNS).where(c.number.in_(newest)))
            return {run.job: run for run in map(_run, rows)}

    def history(self, accounts: Collection[str], limit: int, job: str = "") -> tuple[JobRun, ...]:
        """Runs of these accounts, newest first; of one job where it is named."""
        c = job_runs.c
        query = sa.select(*_COLUMNS).where(c.account.in_(accounts))
        if job:
            query = query.where(c.job == job)
        with self._database.read("reading job runs") as connection:
            return tuple(map(_run, connection.execute(query.order_by(c.number.desc()).limit(limit))))

    def _insert(self, row: dict[str, object]) -> sa.Executable:
        # No target is named: both the time's row and another one running are reasons to insert nothing.
        if self._database.is_sqlite:
            return sqlite.insert(job_runs).values(row).on_conflict_do_nothing().returning(job_runs.c.number)
        return postgresql.insert(job_runs).values(row).on_conflict_do_nothing().returning(job_runs.c.number)

    def _bury(self, connection: sa.Connection, which: tuple[sa.ColumnElement[bool], ...], at_ns: int) -> None:
        c = job_runs.c
        silent = sa.update(job_runs).where(*which, c.outcome == RunOutcome.RUNNING.value, c.seen_ns < at_ns - SILENT_NS)
        minutes = SILENT_NS // NS_PER_MINUTE
        connection.execute(
            silent.values(
                outcome=RunOutcome.ABANDONED.value,
                ended_ns=c.seen_ns,
                message=f"its process was silent for {minutes} minutes: it died or was stopped",
            )
        )

    def _change(self, number: int, values: Mapping[str, object]) -> bool:
        running = sa.update(job_runs).where(job_runs.c.number == number, job_runs.c.outcome == RunOutcome.RUNNING.value)
        with self._database.write("noting a job") as connection:
            return connection.execute(running.values(dict(values))).rowcount == 1

    def _one(self, connection: sa.Connection, *which: sa.ColumnElement[bool]) -> JobRun | None:
        query = sa.select(*_COLUMNS).where(*which).order_by(job_runs.c.number.desc()).limit(1)
        row = connection.execute(query).one_or_none()
        return None if row is None else _run(row)


def _run(row: sa.Row[tuple[object, ...]]) -> JobRun:
    return msgspec.convert(dict(zip(JobRun.__struct_fields__, row, strict=True)), JobRun)
