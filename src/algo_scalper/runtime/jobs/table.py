"""The table of jobs: what, when, what becomes of a missed run. The reference page and ``scalper jobs list`` print it."""

from __future__ import annotations

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE
from algo_scalper.runtime.jobs.backup import back_up_stores
from algo_scalper.runtime.jobs.candles import fill_candles
from algo_scalper.runtime.jobs.catalog import import_instruments
from algo_scalper.runtime.jobs.health import check_health
from algo_scalper.runtime.jobs.job import Job, Market
from algo_scalper.runtime.jobs.positions import compare_positions
from algo_scalper.runtime.jobs.report import write_report
from algo_scalper.runtime.jobs.retention import forget_what_is_old
from algo_scalper.runtime.jobs.token import check_token
from algo_scalper.runtime.jobs.when import AfterClose, BeforeOpen, EveryMinute, OnTradingDays

_HOUR = 60 * NS_PER_MINUTE

JOBS: tuple[Job, ...] = (
    Job(
        name="health",
        what="Engine, stores and disk are looked at.",
        when=EveryMinute(),
        work=check_health,
        make_up_ns=0,
        limit_ns=NS_PER_MINUTE,
        markets=(Market.REAL, Market.SIMULATED),
        alarm_after=2,
    ),
    Job(
        name="catalog",
        what="The instrument master is fetched and imported, if it has changed.",
        # Twice: what fails an hour before the open may succeed in time; the second finds nothing to do otherwise.
        when=BeforeOpen(60, 35),
        work=import_instruments,
        make_up_ns=12 * _HOUR,
        once_a_database=True,
        on_new_database=True,
    ),
    Job(
        name="token",
        what="The broker's access token is held against the session at hand.",
        when=OnTradingDays(8, 30),
        work=check_token,
        make_up_ns=45 * NS_PER_MINUTE,
        limit_ns=NS_PER_MINUTE,
    ),
    Job(
        name="positions",
        what="Nothing is held any more, and the broker's positions are ours.",
        when=AfterClose(10),
        work=compare_positions,
        make_up_ns=6 * _HOUR,
    ),
    Job(
        name="report",
        what="The day's report is written to reports/DATE.txt.",
        when=AfterClose(15),
        work=write_report,
        make_up_ns=5 * NS_PER_DAY,
        ends_simulated_day=True,
    ),
    Job(
        name="candles",
        what="Minutes of the indices missing from the last five sessions are fetched.",
        when=AfterClose(30),
        work=fill_candles,
        make_up_ns=5 * NS_PER_DAY,
        once_a_database=True,
    ),
    Job(
        name="backup",
        what="Both stores are copied to backups/; the newest fourteen copies are kept.",
        when=AfterClose(45),
        work=back_up_stores,
        make_up_ns=5 * NS_PER_DAY,
        once_a_database=True,
    ),
    Job(
        name="retention",
        what="What the rules call old is forgotten; never a row of money.",
        when=AfterClose(90),
        work=forget_what_is_old,
        make_up_ns=5 * NS_PER_DAY,
    ),
)


def job_named(name: str) -> Job:
    """The job of this name. Raises `ConfigError` naming those there are."""
    for job in JOBS:
        if job.name == name:
            return job
    raise ConfigError(f"there is no job {name!r}; there are {', '.join(job.name for job in JOBS)}")
