"""The desk's jobs: each waits for its time, claims it, does its work and says what came of it.

A claim is a row that can exist once (`adapters.storage.job_runs`): of several desks on one database one runs a job, and
the others look again should that one fall silent. One job never overlaps itself, whoever runs it. Nothing a job does, or
fails to do, ends the desk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
from collections.abc import Callable, Sequence

import msgspec

from algo_scalper.adapters.dhan.token_store import moment_text
from algo_scalper.adapters.dhan.waiting import done_by
from algo_scalper.adapters.storage.job_runs import SEEN_EVERY_NS, SILENT_NS, Claimed, JobRun, Taken
from algo_scalper.adapters.storage.tables import RunCause, RunOutcome
from algo_scalper.domain.errors import AlgoScalperError, StoreError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Job, Market, Told
from algo_scalper.runtime.jobs.table import JOBS
from algo_scalper.runtime.jobs.when import last_ns

LATE_NS = NS_PER_MINUTE
"""What begins no later than this after its time is on time."""
SAY_AGAIN_NS = 60 * NS_PER_MINUTE
"""A failure that goes on is told again after this."""
OPEN_AGAIN_NS = NS_PER_MINUTE
"""Between two attempts to open the stores."""
BEGIN_AGAIN_NS = 15 * NS_PER_SECOND
"""Between two attempts to claim a run, or to record its end, when the store does not take it."""
RECORD_TRIES = 4
LAST_WORD_S = 5
"""How long the end of a desk waits for the record of a run it cuts short."""

Tell = Callable[[str, str], None]
"""``tell(level, text)``: level is info, warning or alarm."""

_log = logging.getLogger(__name__)


class JobLine(msgspec.Struct, frozen=True):
    """A job as people see it: when it runs next (0: not by the clock here), and its last run."""

    name: str
    what: str
    when: str
    next_ns: int
    next: str
    last: JobRun | None
    last_at: str
    duration_s: float | None


class RunsAlready(StoreError):
    """The job is at work: here, or in another process on the same database."""


class JobRunner:
    """The jobs of one desk. ``open_ground`` is called off the loop, until it succeeds once; see `Ground`."""

    def __init__(
        self,
        open_ground: Callable[[], Ground],
        clock: Clock,
        market: Market,
        *,
        by: str = "",
        jobs: Sequence[Job] = JOBS,
    ) -> None:
        self._open_ground = open_ground
        self._clock = clock
        self._market = market
        self._by = by or f"desk {os.getpid()} on {platform.node()}"
        self._jobs = jobs
        self._ground: Ground | None = None
        self._opening = asyncio.Lock()
        self._troubles: Callable[[], Sequence[str]] = tuple
        self._tell: Tell = _tell_nobody
        self._failures: dict[str, int] = {}
        self._told_ns: dict[tuple[str, str], int] = {}

    async def run(self, tell: Tell, troubles: Callable[[], Sequence[str]] = tuple) -> None:
        """Run jobs by the clock until cancelled. ``troubles``: what the desk sees wrong with the engine."""
        self._tell, self._troubles = tell, troubles
        while True:
            try:
                await self._grounded()
                break
            except AlgoScalperError as fault:
                self._say_seldom("jobs", "alarm", f"no job can run: {fault}")
                await self._clock.sleep_until(self._clock.now_ns() + OPEN_AGAIN_NS)
        async with asyncio.TaskGroup() as group:
            for job in self._by_clock():
                group.create_task(self._attend(job))

    async def run_by_hand(self, job: Job) -> JobRun:
        """Run it now, whatever its time. Raises `RunsAlready`, and `StoreError` when it cannot be claimed."""
        now_ns = self._clock.now_ns()
        claim = await self._claim(job, now_ns, RunCause.HAND)
        if isinstance(claim, Taken):
            run = claim.run
            raise RunsAlready(
                f"job {job.name} runs already since {moment_text(run.started_ns)} ({run.run_by}); wait for its end, or, if "
                f"that process died, {SILENT_NS // NS_PER_MINUTE} minutes"
            )
        await self._work(job, claim.number, Due(now_ns, by_hand=True))
        ground = await self._grounded()
        done = await asyncio.to_thread(ground.stores.job_runs.run_of, job.name, job.account_of(ground.account), now_ns)
        assert done is not None
        return done

    async def day_ended(self) -> None:
        """A simulator's day is over: run what belongs to the end of a day. Never raises what we know of."""
        for job in self._jobs:
            if self._market is Market.SIMULATED and job.ends_simulated_day:
                try:
                    await self.run_by_hand(job)
                except AlgoScalperError as fault:
                    self._tell("alarm", f"job {job.name}: {fault}")

    async def listing(self) -> list[JobLine]:
        """Every job with its next time and its last run."""
        ground = await self._grounded()
        last = await asyncio.to_thread(self._last_runs, ground)
        return [self._line(job, last.get(job.name)) for job in self._jobs]

    async def history(self, limit: int, job: str = "") -> tuple[JobRun, ...]:
        """Runs of this account and of the database, newest first."""
        ground = await self._grounded()
        return await asyncio.to_thread(ground.stores.job_runs.history, ("", ground.account), limit, job)

    async def close(self) -> None:
        """Give back the stores."""
        if self._ground is not None:
            await asyncio.to_thread(self._ground.stores.close)
            self._ground = None

    # --- by the clock ---

    def _by_clock(self) -> list[Job]:
        return [job for job in self._jobs if self._market in job.markets]

    async def _attend(self, job: Job) -> None:
        """One job for as long as the desk lives. Of several times that have passed only the last counts."""
        looked_at_ns = failed = 0
        while True:
            now_ns = self._clock.now_ns()
            due_ns = last_ns(job.when, now_ns)
            if due_ns is None or due_ns <= looked_at_ns:
                await self._clock.sleep_until(job.when.next_ns(now_ns))
                continue
            try:
                await self._come_due(job, due_ns)
            except AlgoScalperError as fault:
                # The store was busy, or is away: the time is not lost by that, as long as the job's rule lets it be late.
                failed += 1
                if failed > 1:
                    self._say_seldom(
                        job.name, "alarm", f"job {job.name} of {moment_text(due_ns)} cannot begin: {fault}"
                    )
                await self._clock.sleep_until(self._clock.now_ns() + BEGIN_AGAIN_NS)
                if not self._too_late(job, due_ns):
                    continue
            except Exception as fault:  # noqa: BLE001 - a mistake about one job must not end all the others in silence
                _log.exception("job %s", job.name)
                told = f"job {job.name} of {moment_text(due_ns)}: a fault of ours: {type(fault).__name__}: {fault}"
                self._say_seldom(job.name, "alarm", told)
            looked_at_ns, failed = due_ns, 0

    async def _come_due(self, job: Job, due_ns: int) -> None:
        """Run it, make it up, or leave it out, as its rule says."""
        late = self._clock.now_ns() - due_ns > LATE_NS
        if late and not await self._was_expected(job, due_ns):
            return
        while not self._too_late(job, due_ns):
            claim = await self._claim(job, due_ns, RunCause.MADE_UP if late else RunCause.CLOCK)
            if isinstance(claim, Claimed):
                await self._work(job, claim.number, Due(due_ns))
                return
            run = claim.run
            if run.scheduled_ns != due_ns:
                await self._skip(job, due_ns, f"the run of {moment_text(run.scheduled_ns)} still ran ({run.run_by})")
                return
            if run.outcome is not RunOutcome.RUNNING or not job.make_up_ns:
                return
            # Another desk is at it. Should its process die, the work is done here.
            await self._clock.sleep_until(max(run.seen_ns + SILENT_NS, self._clock.now_ns()) + NS_PER_SECOND)
            late = True
        await self._skip(job, due_ns, "nothing ran at its time, and by its rule it is too late to make up")

    def _too_late(self, job: Job, due_ns: int) -> bool:
        return self._clock.now_ns() - due_ns > max(job.make_up_ns, LATE_NS)

    async def _was_expected(self, job: Job, due_ns: int) -> bool:
        """On a new database nobody has missed anything."""
        if job.on_new_database:
            return True
        ground = await self._grounded()
        account = job.account_of(ground.account)
        return await asyncio.to_thread(ground.stores.job_runs.was_run_before, job.name, account, due_ns)

    async def _skip(self, job: Job, due_ns: int, why: str) -> None:
        ground = await self._grounded()
        runs, account, now_ns = ground.stores.job_runs, job.account_of(ground.account), self._clock.now_ns()

        def noted() -> bool:
            there = runs.run_of(job.name, account, due_ns)
            return there is None and runs.skip(job.name, account, due_ns, why, by=self._by, at_ns=now_ns)

        if await asyncio.to_thread(noted) and job.make_up_ns:
            self._tell("warning", f"job {job.name} of {moment_text(due_ns)} was left out: {why}")

    # --- one run ---

    async def _claim(self, job: Job, due_ns: int, cause: RunCause) -> Claimed | Taken:
        ground = await self._grounded()
        return await asyncio.to_thread(
            ground.stores.job_runs.claim,
            job.name,
            job.account_of(ground.account),
            due_ns,
            cause=cause,
            by=self._by,
            at_ns=self._clock.now_ns(),
            redo=job.make_up_ns > 0,
        )

    async def _work(self, job: Job, number: int, due: Due) -> None:
        ground = (await self._grounded())._replace(troubles=self._troubles)
        beating = asyncio.create_task(self._beat(ground, number))
        working = asyncio.ensure_future(job.work(ground, due))
        try:
            told = await self._told(job, working)
        except asyncio.CancelledError:
            working.cancel()
            # The desk ends: the record of the run it cuts short is the last thing it writes.
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(LAST_WORD_S):
                    await self._end(ground, number, RunOutcome.ABANDONED, "its process was ended while it ran")
            raise
        finally:
            beating.cancel()
        outcome = RunOutcome.FAILED if told.light is Light.RED else RunOutcome.DONE
        try:
            ours = await self._end_surely(ground, number, outcome, told.text)
        except StoreError as fault:
            told, ours = Told(Light.RED, f"{told.text}; and the run could not be recorded: {fault}"), True
        if not ours:
            told = Told(Light.RED, f"{told.text}; but it was silent so long that it was given up for dead meanwhile")
        self._report(job, told)

    async def _told(self, job: Job, working: asyncio.Future[Told]) -> Told:
        """What the job says, or what became of it instead."""
        until_ns = self._clock.now_ns() + job.limit_ns
        if not await done_by(self._clock, until_ns, working):
            working.cancel()
            return Told(Light.RED, f"given up: it took more than {job.limit_ns // NS_PER_SECOND} s")
        try:
            return working.result()
        except AlgoScalperError as fault:
            return Told(Light.RED, str(fault))
        except Exception as fault:  # noqa: BLE001 - a mistake in one job must not end the desk or the other jobs
            _log.exception("job %s", job.name)
            return Told(Light.RED, f"a fault of ours: {type(fault).__name__}: {fault}")

    async def _beat(self, ground: Ground, number: int) -> None:
        """Say every minute that the run is alive. A store that does not answer now may answer in a minute."""
        while True:
            await self._clock.sleep_until(self._clock.now_ns() + SEEN_EVERY_NS)
            with contextlib.suppress(StoreError):
                await asyncio.to_thread(ground.stores.job_runs.seen, number, at_ns=self._clock.now_ns())

    async def _end_surely(self, ground: Ground, number: int, outcome: RunOutcome, message: str) -> bool:
        for _ in range(RECORD_TRIES - 1):
            with contextlib.suppress(StoreError):
                return await self._end(ground, number, outcome, message)
            await self._clock.sleep_until(self._clock.now_ns() + BEGIN_AGAIN_NS)
        return await self._end(ground, number, outcome, message)

    async def _end(self, ground: Ground, number: int, outcome: RunOutcome, message: str) -> bool:
        return await asyncio.to_thread(
            ground.stores.job_runs.end, number, at_ns=self._clock.now_ns(), outcome=outcome, message=message
        )

    # --- telling ---

    def _report(self, job: Job, told: Told) -> None:
        """Red is an alarm, amber a warning; what goes on is told again after an hour, and its end once."""
        if told.light is Light.GREEN:
            before = [self._told_ns.pop((job.name, level), 0) for level in ("warning", "alarm")]
            if any(before):
                self._tell("info", f"job {job.name}: well again: {told.text}")
            self._failures.pop(job.name, None)
            return
        if told.light is Light.AMBER:
            self._failures.pop(job.name, None)
            self._say_seldom(job.name, "warning", f"job {job.name}: {told.text}")
            return
        self._failures[job.name] = self._failures.get(job.name, 0) + 1
        if self._failures[job.name] >= job.alarm_after:
            self._say_seldom(job.name, "alarm", f"job {job.name} failed: {told.text}")

    def _say_seldom(self, about: str, level: str, text: str) -> None:
        now_ns = self._clock.now_ns()
        if now_ns - self._told_ns.get((about, level), 0) >= SAY_AGAIN_NS:
            self._told_ns[about, level] = now_ns
            self._tell(level, text)

    # --- the ground ---

    async def _grounded(self) -> Ground:
        async with self._opening:
            if self._ground is None:
                self._ground = await asyncio.to_thread(self._open_ground)
            return self._ground

    def _last_runs(self, ground: Ground) -> dict[str, JobRun]:
        runs = ground.stores.job_runs
        runs.bury(at_ns=self._clock.now_ns())
        return runs.last_of_each(("", ground.account))

    def _line(self, job: Job, last: JobRun | None) -> JobLine:
        ticking = self._market in job.markets
        next_ns = job.when.next_ns(self._clock.now_ns()) if ticking else 0
        ends_day = self._market is Market.SIMULATED and job.ends_simulated_day
        return JobLine(
            name=job.name,
            what=job.what,
            when=job.when.said if not ends_day else "when the simulated day is over",
            next_ns=next_ns,
            next=moment_text(next_ns) if ticking else "",
            last=last,
            last_at=moment_text(last.started_ns) if last else "",
            duration_s=last.duration_s if last else None,
        )


def _tell_nobody(_level: str, _text: str) -> None:
    """Before `JobRunner.run`, and for a command that prints the run itself."""
