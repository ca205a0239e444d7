"""Jobs: when they are due, who runs them, what becomes of a missed or a lost run, and what people are told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.replies import PositionRow
from algo_scalper.adapters.dhan.wire import Count, Text
from algo_scalper.adapters.storage.job_runs import SILENT_NS, Claimed, JobRun, JobRuns, Taken
from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.adapters.storage.tables import RunCause, RunOutcome
from algo_scalper.domain.calendar import is_trading_day
from algo_scalper.domain.errors import BrokerUnreachable, ConfigError, DataError, StoreError
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.ports import Changes
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND, ist_day, ist_ns, parse_clock_s
from algo_scalper.runtime.clock import SteppedClock, settle
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs import health
from algo_scalper.runtime.jobs.candles import SESSIONS, expected_minutes
from algo_scalper.runtime.jobs.job import Due, Ground, Job, Market, Told
from algo_scalper.runtime.jobs.positions import compare_positions, differences, net_quantities
from algo_scalper.runtime.jobs.report import write_report
from algo_scalper.runtime.jobs.retention import JOURNAL_DAYS, forget_what_is_old
from algo_scalper.runtime.jobs.runner import BEGIN_AGAIN_NS, SAY_AGAIN_NS, JobRunner
from algo_scalper.runtime.jobs.table import JOBS, job_named
from algo_scalper.runtime.jobs.token import check_token
from algo_scalper.runtime.jobs.when import AfterClose, BeforeOpen, EveryMinute, OnTradingDays, When, last_ns
from algo_scalper.runtime.settings import load_settings
from tests.contract.histories import a_position

MONDAY = date(2026, 11, 23)
"""A session; the next day is a holiday, Wednesday one again."""
WEDNESDAY = date(2026, 11, 25)
NINE = "09:00"


def at(day: date, clock: str) -> int:
    return ist_ns(day, parse_clock_s(clock, "a test"))


# --- when ---


@pytest.mark.parametrize(
    ("when", "after", "due"),
    [
        (BeforeOpen(60, 35), (MONDAY, "00:00"), (MONDAY, "08:15")),
        (BeforeOpen(60, 35), (MONDAY, "08:15"), (MONDAY, "08:40")),
        (BeforeOpen(60, 35), (MONDAY, "08:40"), (WEDNESDAY, "08:15")),  # Tuesday is Guru Nanak's day
        (AfterClose(10), (MONDAY, "15:49"), (MONDAY, "15:50")),
        (AfterClose(10), (date(2026, 12, 4), "15:50"), (date(2026, 12, 7), "15:55")),  # longer hours from that Monday
        (AfterClose(10), (date(2026, 7, 31), "12:00"), (date(2026, 7, 31), "15:40")),
        (BeforeOpen(60), (date(2026, 11, 6), "23:00"), (date(2026, 11, 8), "17:15")),  # Muhurat, a Sunday evening
        (AfterClose(9 * 60), (date(2026, 11, 8), "20:00"), (date(2026, 11, 9), "04:15")),  # past midnight
        (OnTradingDays(8, 30), (MONDAY, "08:30"), (WEDNESDAY, "08:30")),
        (OnTradingDays(8, 30), (date(2026, 11, 21), "12:00"), (MONDAY, "08:30")),
        (EveryMinute(), (MONDAY, "08:29:59"), (MONDAY, "08:30")),
        (EveryMinute(), (MONDAY, "08:30"), (MONDAY, "08:31")),
    ],
)
def test_the_next_time(when: When, after: tuple[date, str], due: tuple[date, str]) -> None:
    assert when.next_ns(at(*after)) == at(*due)
    assert last_ns(when, at(*due)) == at(*due)


@given(
    st.sampled_from([BeforeOpen(60, 35), AfterClose(10), OnTradingDays(8, 30), EveryMinute()]),
    st.integers(at(date(2026, 1, 1), "00:00"), at(date(2026, 12, 31), "00:00")),
)
def test_the_last_and_the_next_time_enclose_the_moment(when: When, now_ns: int) -> None:
    last, following = last_ns(when, now_ns), when.next_ns(now_ns)
    assert last is not None
    assert last <= now_ns < following
    assert when.next_ns(last) == following, "nothing lies between them"
    assert following % NS_PER_MINUTE == 0
    if not isinstance(when, EveryMinute):
        assert is_trading_day(ist_day(following))


# --- a desk ---


class Doing:
    """A job's work that a test steers: what it says, and when it comes to an end."""

    def __init__(self) -> None:
        self.told: Told | Exception = Told(Light.GREEN, "done")
        self.began: list[int] = []
        self.held = False
        self.let_go = asyncio.Event()

    async def __call__(self, _: Ground, due: Due) -> Told:
        self.began.append(due.at_ns)
        if self.held:
            await self.let_go.wait()
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


class Desk:
    """One desk's runner on a clock moved by hand."""

    def __init__(
        self, folder: Path, clock: SteppedClock, jobs: tuple[Job, ...], name: str = "desk", market: Market = Market.REAL
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.said: list[tuple[str, str]] = []
        self.runner = JobRunner(self.ground, clock, market, by=name, jobs=jobs)
        self.refuses: StoreError | None = None
        self.running: asyncio.Task[None] | None = None
        self.report: Callable[[date | None], tuple[date | None, list[str]]] = lambda day: (day, ["Net 5", "FLAT"])

    def ground(self) -> Ground:
        if self.refuses is not None:
            raise self.refuses
        settings = load_settings({}, self.folder / "none")
        stores = open_stores(None, self.folder)
        return Ground(settings, ("NIFTY",), self.folder, "PAPER", stores, self.clock, self._report)

    def _report(self, day: date | None) -> tuple[date | None, list[str]]:
        return self.report(day)

    def start(self) -> None:
        self.running = asyncio.create_task(self.runner.run(lambda level, text: self.said.append((level, text))))

    async def asleep(self, until_ns: int | None = None) -> None:
        """Return once the desk waits for the clock alone, for this instant where one is named."""
        async with asyncio.timeout(60):
            while self.clock.next_wake_ns() is None or until_ns not in {None, self.clock.next_wake_ns()}:
                assert self.running is not None
                assert not self.running.done(), self.running.result()
                await settle()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not true():
                await settle()

    async def history(self) -> list[JobRun]:
        return list(await self.runner.history(50))

    async def over(self, count: int) -> list[JobRun]:
        """The history, once so many runs are over."""
        async with asyncio.timeout(60):
            while True:
                runs = await self.history()
                if sum(run.ended_ns is not None for run in runs) >= count:
                    return runs

    async def end(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
        await self.runner.close()


@asynccontextmanager
async def a_desk(
    folder: Path, clock: SteppedClock, *jobs: Job, name: str = "desk", market: Market = Market.REAL
) -> AsyncIterator[Desk]:
    desk = Desk(folder, clock, jobs, name, market)
    try:
        yield desk
    finally:
        await desk.end()


@pytest.fixture
def doing() -> Doing:
    return Doing()


def a_job(doing: Doing, **other: object) -> Job:
    job = Job("chore", "A chore.", OnTradingDays(9, 0), doing, make_up_ns=60 * NS_PER_MINUTE)
    return job._replace(**other)  # type: ignore[arg-type]


def known(folder: Path, job: str = "chore") -> None:
    """The job has run here before."""
    with closing(open_stores(None, folder)) as stores:
        claim = stores.job_runs.claim(job, "PAPER", 1, cause=RunCause.CLOCK, by="before", at_ns=1)
        assert isinstance(claim, Claimed)
        stores.job_runs.end(claim.number, at_ns=2, outcome=RunOutcome.DONE, message="")


async def test_a_job_runs_at_its_time_and_is_recorded(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, "08:59"))
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        desk.start()
        await desk.asleep(at(MONDAY, NINE))
        assert doing.began == []
        await clock.move_to(at(MONDAY, NINE))
        (run,) = await desk.over(1)
        assert doing.began == [at(MONDAY, NINE)] == [run.scheduled_ns]
        assert (run.outcome, run.cause, run.message, run.run_by) == (RunOutcome.DONE, RunCause.CLOCK, "done", "desk")
        await desk.asleep(at(WEDNESDAY, NINE))
        (line,) = await desk.runner.listing()
        assert (line.next, line.last, line.duration_s) == ("Wed 25 Nov 09:00", run, 0.0)
        assert desk.said == []


async def test_a_failure_is_an_alarm_and_goes_on_in_silence_for_an_hour(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, "08:59:30"))
    doing.told = BrokerUnreachable("no answer")
    job = a_job(doing, when=EveryMinute(), make_up_ns=0, alarm_after=2)

    def began(due_ns: int) -> bool:
        return doing.began[-1:] == [due_ns]

    async with a_desk(tmp_path, clock, job) as desk:
        known(tmp_path)
        desk.start()
        due_ns = at(MONDAY, "08:59")
        for _ in range(SAY_AGAIN_NS // NS_PER_MINUTE + 2):
            due_ns += NS_PER_MINUTE
            await desk.asleep(due_ns)
            await clock.move_to(due_ns)
            await desk.until(partial(began, due_ns))
        await desk.asleep()
        told = ("alarm", "job chore failed: no answer")
        await desk.until(lambda: desk.said == [told, told])
        doing.told = Told(Light.GREEN, "fine")
        await desk.asleep(due_ns + NS_PER_MINUTE)
        await clock.move_to(due_ns + NS_PER_MINUTE)
        await desk.until(lambda: desk.said[2:] == [("info", "job chore: well again: fine")])


async def test_amber_is_done_and_told(tmp_path: Path, doing: Doing) -> None:
    doing.told = Told(Light.AMBER, "look at this")
    async with a_desk(tmp_path, SteppedClock(at(MONDAY, NINE)), a_job(doing)) as desk:
        desk.start()
        (run,) = await desk.over(1)
        assert run.outcome is RunOutcome.DONE
        await desk.until(lambda: desk.said == [("warning", "job chore: look at this")])


async def test_a_mistake_of_ours_ends_neither_the_desk_nor_the_other_jobs(tmp_path: Path, doing: Doing) -> None:
    doing.told = ZeroDivisionError("by nothing")
    other = Doing()
    jobs = (a_job(doing), a_job(other, name="other"))
    async with a_desk(tmp_path, SteppedClock(at(MONDAY, NINE)), *jobs) as desk:
        desk.start()
        runs = {run.job: run for run in await desk.over(2)}
        assert runs["chore"].outcome is RunOutcome.FAILED
        assert runs["chore"].message == "a fault of ours: ZeroDivisionError: by nothing"
        assert runs["other"].outcome is RunOutcome.DONE
        await desk.asleep(at(WEDNESDAY, NINE))


async def test_a_mistake_about_one_jobs_time_leaves_the_others_running(
    tmp_path: Path, doing: Doing, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Doing()
    jobs = (a_job(doing), a_job(other, name="other"))
    async with a_desk(tmp_path, SteppedClock(at(MONDAY, NINE)), *jobs) as desk:
        claim = desk.runner._claim

        async def mistaken(job: Job, due_ns: int, cause: RunCause) -> Claimed | Taken:
            if job.name == "chore":
                raise KeyError(due_ns)
            return await claim(job, due_ns, cause)

        monkeypatch.setattr(desk.runner, "_claim", mistaken)
        desk.start()
        await desk.over(1)
        await desk.asleep(at(WEDNESDAY, NINE))
        assert (doing.began, other.began) == ([], [at(MONDAY, NINE)])
        ((level, text),) = desk.said
        assert level == "alarm"
        assert "job chore of Mon 23 Nov 09:00: a fault of ours: KeyError" in text


@pytest.mark.parametrize(("refused", "alarms"), [(1, 0), (3, 1)])
async def test_a_store_that_is_busy_for_a_moment_costs_no_run(
    tmp_path: Path, doing: Doing, monkeypatch: pytest.MonkeyPatch, refused: int, alarms: int
) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        claim, asked = desk.runner._claim, 0

        async def busy(job: Job, due_ns: int, cause: RunCause) -> Claimed | Taken:
            nonlocal asked
            asked += 1
            if asked <= refused:
                raise StoreError("another process holds it")
            return await claim(job, due_ns, cause)

        monkeypatch.setattr(desk.runner, "_claim", busy)
        desk.start()
        for _ in range(refused):
            then_ns = clock.now_ns() + BEGIN_AGAIN_NS
            await desk.asleep(then_ns)
            await clock.move_to(then_ns)
        (run,) = await desk.over(1)
        assert (run.scheduled_ns, run.outcome) == (at(MONDAY, NINE), RunOutcome.DONE)
        told = ("alarm", "job chore of Mon 23 Nov 09:00 cannot begin: another process holds it")
        await desk.asleep(at(WEDNESDAY, NINE))
        assert desk.said[:alarms] == [told] * alarms
        assert len(desk.said) == 2 * alarms, "and that it is well again"


async def test_an_end_the_store_does_not_take_at_once_is_recorded_later(
    tmp_path: Path, doing: Doing, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        end, asked = JobRuns.end, 0

        def busy(runs: JobRuns, number: int, **words: Any) -> bool:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise StoreError("another process holds it")
            return end(runs, number, **words)

        monkeypatch.setattr(JobRuns, "end", busy)
        desk.start()
        await desk.asleep(at(MONDAY, "09:00:15"))
        await clock.move_to(at(MONDAY, "09:00:15"))
        (run,) = await desk.over(1)
        assert (run.outcome, run.message, doing.began) == (RunOutcome.DONE, "done", [at(MONDAY, NINE)])


# --- missed ---


async def test_a_missed_run_is_made_up_as_long_as_its_rule_says(tmp_path: Path, doing: Doing) -> None:
    known(tmp_path)
    async with a_desk(tmp_path, SteppedClock(at(MONDAY, "10:00")), a_job(doing)) as desk:
        desk.start()
        await desk.until(lambda: doing.began == [at(MONDAY, NINE)])
        run = (await desk.over(2))[0]
        assert (run.cause, run.outcome, run.scheduled_ns) == (RunCause.MADE_UP, RunOutcome.DONE, at(MONDAY, NINE))


@pytest.mark.parametrize(("make_up_ns", "told"), [(60 * NS_PER_MINUTE, True), (0, False)])
async def test_a_run_that_is_too_late_is_left_out_and_noted(
    tmp_path: Path, doing: Doing, make_up_ns: int, told: bool
) -> None:
    known(tmp_path)
    clock = SteppedClock(at(MONDAY, "10:00:01"))
    async with a_desk(tmp_path, clock, a_job(doing, make_up_ns=make_up_ns)) as desk:
        desk.start()
        await desk.asleep(at(WEDNESDAY, NINE))
        run = (await desk.over(2))[0]
        assert doing.began == []
        assert (run.outcome, run.scheduled_ns) == (RunOutcome.SKIPPED, at(MONDAY, NINE))
        assert "too late to make up" in run.message
        assert [level for level, _ in desk.said] == (["warning"] if told else [])


async def test_of_many_missed_times_only_the_last_counts(tmp_path: Path, doing: Doing) -> None:
    known(tmp_path)
    job = a_job(doing, make_up_ns=30 * NS_PER_DAY)
    async with a_desk(tmp_path, SteppedClock(at(WEDNESDAY, "20:00")), job) as desk:
        desk.start()
        await desk.over(2)
        await desk.asleep(at(date(2026, 11, 26), NINE))
        assert doing.began == [at(WEDNESDAY, NINE)]


async def test_on_a_new_database_nothing_was_missed_but_what_is_wanted_there(tmp_path: Path, doing: Doing) -> None:
    wanted = Doing()
    jobs = (a_job(doing), a_job(wanted, name="wanted", on_new_database=True))
    async with a_desk(tmp_path, SteppedClock(at(MONDAY, "09:30")), *jobs) as desk:
        desk.start()
        (run,) = await desk.over(1)
        await desk.asleep(at(WEDNESDAY, NINE))
        assert (run.job, doing.began) == ("wanted", [])


async def test_a_desk_that_comes_back_does_not_run_again_what_is_done(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    for _ in range(2):
        async with a_desk(tmp_path, clock, a_job(doing)) as desk:
            desk.start()
            await desk.asleep(at(WEDNESDAY, NINE))
    assert doing.began == [at(MONDAY, NINE)]


# --- several desks ---


async def test_of_two_desks_one_runs_the_job(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    doing.held = True
    async with a_desk(tmp_path, clock, a_job(doing)) as one, a_desk(tmp_path, clock, a_job(doing), name="two") as two:
        one.start()
        two.start()
        await one.until(lambda: doing.began)
        await one.asleep()
        doing.let_go.set()
        (run,) = await one.over(1)
        await clock.move_to(at(MONDAY, "09:06"))  # the other looks again, and finds it done
        await two.asleep(at(WEDNESDAY, NINE))
        assert await two.history() == [run]
        assert doing.began == [at(MONDAY, NINE)]


async def test_what_a_dead_desk_left_is_made_up_by_one_that_lives(tmp_path: Path, doing: Doing) -> None:
    known(tmp_path)
    with closing(open_stores(None, tmp_path)) as stores:
        due_ns = at(MONDAY, NINE)
        stores.job_runs.claim("chore", "PAPER", due_ns, cause=RunCause.CLOCK, by="dead", at_ns=due_ns)
    clock = SteppedClock(due_ns + NS_PER_MINUTE)
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        desk.start()
        await desk.asleep(due_ns + SILENT_NS + NS_PER_SECOND)
        assert doing.began == []
        await clock.move_to(due_ns + SILENT_NS + NS_PER_SECOND)
        await desk.asleep(at(WEDNESDAY, NINE))
        made_up, left = (await desk.history())[:2]
        assert (left.run_by, left.outcome, left.ended_ns) == ("dead", RunOutcome.ABANDONED, due_ns)
        assert (made_up.run_by, made_up.outcome, made_up.cause) == ("desk", RunOutcome.DONE, RunCause.MADE_UP)


async def test_a_long_run_says_that_it_is_alive(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    doing.held = True
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        desk.start()
        await desk.until(lambda: doing.began)
        for minute in range(1, 12):
            await desk.asleep(at(MONDAY, NINE) + minute * NS_PER_MINUTE)
            await clock.move_to(at(MONDAY, NINE) + minute * NS_PER_MINUTE)
        await desk.asleep(at(MONDAY, "09:12"))
        (line,) = await desk.runner.listing()
        assert line.last is not None
        assert (line.last.outcome, line.last.seen_ns) == (RunOutcome.RUNNING, at(MONDAY, "09:11"))
        doing.let_go.set()
        (run,) = await desk.over(1)
        assert (run.outcome, run.duration_s) == (RunOutcome.DONE, 660.0)


async def test_a_run_beyond_its_limit_is_given_up(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    doing.held = True
    async with a_desk(tmp_path, clock, a_job(doing, limit_ns=30 * NS_PER_SECOND)) as desk:
        desk.start()
        await desk.until(lambda: doing.began)
        await desk.asleep(at(MONDAY, "09:00:30"))
        await clock.move_to(at(MONDAY, "09:00:30"))
        (run,) = await desk.over(1)
        assert (run.outcome, run.message) == (RunOutcome.FAILED, "given up: it took more than 30 s")


async def test_a_run_the_desks_end_cuts_short_is_recorded_and_made_up_later(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, NINE))
    doing.held = True
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        desk.start()
        await desk.until(lambda: doing.began)
    doing.held = False
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        desk.start()
        await desk.asleep(at(WEDNESDAY, NINE))
        assert [run.outcome for run in await desk.history()] == [RunOutcome.DONE, RunOutcome.ABANDONED]


async def test_one_job_does_not_overlap_itself_by_hand_or_by_clock(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, "08:58"))
    doing.held = True
    job = a_job(doing)
    async with a_desk(tmp_path, clock, job) as desk, a_desk(tmp_path, clock, job, name="hand") as hand:
        by_hand = asyncio.create_task(hand.runner.run_by_hand(job))
        await hand.until(lambda: doing.began)
        with pytest.raises(StoreError, match=r"job chore runs already since Mon 23 Nov 08:58 \(hand\)"):
            await desk.runner.run_by_hand(job)
        desk.start()
        for clock_text in ("08:59", NINE):
            await desk.asleep(at(MONDAY, clock_text))
            await clock.move_to(at(MONDAY, clock_text))
        runs = await desk.over(1)
        skipped = next(run for run in runs if run.outcome is RunOutcome.SKIPPED)
        assert skipped.scheduled_ns == at(MONDAY, NINE)
        assert skipped.message == "the run of Mon 23 Nov 08:58 still ran (hand)"
        doing.let_go.set()
        done = await by_hand
        assert (done.cause, done.outcome) == (RunCause.HAND, RunOutcome.DONE)
        assert doing.began == [at(MONDAY, "08:58")]


# --- the desk's own troubles ---


async def test_stores_that_cannot_be_opened_are_told_of_and_tried_again(tmp_path: Path, doing: Doing) -> None:
    clock = SteppedClock(at(MONDAY, "08:57"))
    async with a_desk(tmp_path, clock, a_job(doing)) as desk:
        desk.refuses = StoreError("locked")
        desk.start()
        await desk.asleep(at(MONDAY, "08:58"))
        assert desk.said == [("alarm", "no job can run: locked")]
        with pytest.raises(StoreError, match="locked"):
            await desk.runner.listing()
        desk.refuses = None
        await clock.move_to(at(MONDAY, "08:58"))
        await desk.asleep(at(MONDAY, NINE))


async def test_on_a_simulator_only_what_makes_sense_there_runs(tmp_path: Path) -> None:
    clock = SteppedClock(at(MONDAY, "15:54:30"))
    async with a_desk(tmp_path, clock, *JOBS, market=Market.SIMULATED) as desk:
        desk.report = lambda day: (date(2026, 2, 3) if day is None else day, ["Net Rs 1"])
        desk.start()
        for clock_text in ("15:55", "15:56"):
            await desk.asleep(at(MONDAY, clock_text))
            await clock.move_to(at(MONDAY, clock_text))
        await desk.asleep(at(MONDAY, "15:57"))
        assert {run.job for run in await desk.history()} == {"health"}
        await desk.runner.day_ended()
        assert (tmp_path / "reports" / "2026-02-03.txt").read_text() == "Net Rs 1\n"
        lines = {line.name: line for line in await desk.runner.listing()}
        assert lines["report"].when == "when the simulated day is over"
        assert [name for name, line in lines.items() if line.next_ns] == ["health"]


def test_every_job_has_its_own_name_and_a_rule(tmp_path: Path) -> None:
    assert len({job.name for job in JOBS}) == len(JOBS)
    assert {job.name for job in JOBS if Market.REAL not in job.markets} == set()
    assert {job.name for job in JOBS if Market.SIMULATED in job.markets} == {"health"}
    assert job_named("backup").once_a_database
    with pytest.raises(ConfigError, match="there is no job 'backups'; there are health, catalog"):
        job_named("backups")


# --- what the jobs do ---


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with closing(open_stores(None, tmp_path)) as stores:
        yield Ground(
            load_settings({}, tmp_path / "none"),
            ("NIFTY",),
            tmp_path,
            "PAPER",
            stores,
            SteppedClock(at(MONDAY, "16:00")),
            lambda day: (day, ["Gross   Rs    5.00", "LEFT: 75 NIFTY"]),
        )


NOW = Due(at(MONDAY, "16:00"))


class Usage(NamedTuple):
    free: int


async def test_health_is_red_for_troubles_stores_and_a_full_disk(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"bytes": 10**11}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free["bytes"]))
    assert (await health.check_health(ground, NOW)).text == "well; 100.0 GB free"
    sick = ground._replace(troubles=lambda: ["engine: silent for 12 s"])
    assert await health.check_health(sick, NOW) == Told(Light.RED, "engine: silent for 12 s")
    free["bytes"] = 10**9
    assert (await health.check_health(ground, NOW)).light is Light.AMBER
    free["bytes"] = 10**8
    told = await health.check_health(ground, NOW)
    assert told.light is Light.RED
    assert "a full disk stops orders" in told.text
    free["bytes"] = 10**11

    def silent() -> None:
        raise StoreError("the server does not answer")

    monkeypatch.setattr(ground.stores, "answer", silent)
    assert await health.check_health(ground, NOW) == Told(Light.RED, "the server does not answer")


async def test_a_position_held_after_the_close_is_red(ground: Ground) -> None:
    assert (await compare_positions(ground, NOW)) == Told(Light.GREEN, "nothing is held in the paper book")
    held = a_position(bought_quantity=75)
    ground.stores.trading("PAPER").commit(Changes(positions=(held,)))
    told = await compare_positions(ground, NOW)
    assert told == Told(Light.RED, f"still held after the close: 75 {held.contract.name}")


def a_row(segment: str, quantity: int) -> PositionRow:
    return PositionRow(exchange_segment=Text(segment), security_id=Text("42"), net_qty=Count(quantity))


def test_quantities_are_compared_by_contract_and_over_products() -> None:
    rows = [a_row("NSE_FNO", quantity) for quantity in (75, -25)]
    key = instrument_key(Segment.NSE_FNO, 42)
    assert net_quantities(rows) == {key: 50}
    assert list(differences({key: 50}, {key: 50}, {key: "A"})) == []
    assert list(differences({key: 75}, {}, {key: "A"})) == ["A: we have 75, the broker has 0"]
    with pytest.raises(DataError, match="names no instrument"):
        net_quantities([a_row("MOON", 75)])


def test_the_minutes_expected_are_those_of_the_last_five_sessions_that_are_over() -> None:
    over = expected_minutes(at(MONDAY, "15:40"))
    assert len(over) == SESSIONS * 360  # since August 2026 the index is quoted from 09:15 to 15:15
    assert max(over) == at(MONDAY, "15:14")
    assert min(over) == at(date(2026, 11, 17), "09:15")
    running = expected_minutes(at(MONDAY, "12:00"))
    assert max(running) == at(date(2026, 11, 20), "15:14")
    assert expected_minutes(at(date(2026, 11, 24), "12:00")) == over, "a holiday adds nothing"


async def test_the_report_is_a_file_of_its_day_and_says_what_was_left(ground: Ground) -> None:
    told = await write_report(ground, NOW)
    path = ground.data_dir / "reports" / "2026-11-23.txt"
    assert told == Told(Light.AMBER, f"Gross Rs 5.00, LEFT: 75 NIFTY, {path}")
    assert path.read_text().splitlines()[1] == "LEFT: 75 NIFTY"
    assert list(path.parent.iterdir()) == [path]
    none = ground._replace(report=lambda day: (None, []) if day is None else (day, []))
    assert (await write_report(none, Due(NOW.at_ns, by_hand=True))).text == "no day has been traded yet"


async def test_only_old_journals_and_old_runs_are_forgotten(ground: Ground) -> None:
    folder = ground.data_dir / "journals"
    folder.mkdir()
    last_old = date.fromordinal(MONDAY.toordinal() - JOURNAL_DAYS - 1)
    kept = date.fromordinal(MONDAY.toordinal() - JOURNAL_DAYS)
    for name in (f"{last_old}-PAPER-0001.journal", f"{kept}-PAPER-0001.journal", "my own.journal", f"{last_old}.txt"):
        (folder / name).write_text("x")
    for job, age_days in (("health", 4), ("health", 2), ("report", 4)):
        then = NOW.at_ns - age_days * NS_PER_DAY
        claim = ground.stores.job_runs.claim(job, "PAPER", then, cause=RunCause.CLOCK, by="me", at_ns=then)
        assert isinstance(claim, Claimed)
        ground.stores.job_runs.end(claim.number, at_ns=then, outcome=RunOutcome.DONE, message="")
    told = await forget_what_is_old(ground, NOW)
    assert told == Told(Light.GREEN, "forgotten: 1 runs of jobs, 1 journals")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{last_old}.txt",
        f"{kept}-PAPER-0001.journal",
        "my own.journal",
    ]
    assert (await forget_what_is_old(ground, NOW)).text == "nothing is old"


async def test_a_missing_token_is_red_and_says_where_it_comes_from(ground: Ground, tmp_path: Path) -> None:
    settings = load_settings({"DHANHQ_CLIENT_ID": "1000000001"}, tmp_path / "none")
    told = await check_token(ground._replace(settings=settings), NOW)
    assert told.light is Light.RED
    assert "token" in told.text
