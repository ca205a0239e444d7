"""``scalper jobs``: what is done by the clock beside the trading, done now, or done before.

Exit codes of ``run``: 0 the job is done, 1 it failed or runs already, 2 it could not be begun.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Coroutine
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer

from algo_scalper.adapters.dhan.token_store import moment_text
from algo_scalper.adapters.storage.job_runs import JobRun
from algo_scalper.adapters.storage.stores import Stores, open_stores
from algo_scalper.adapters.storage.tables import RunOutcome
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.ports import Clock
from algo_scalper.interfaces.cli.broker import columns
from algo_scalper.interfaces.cli.person import this_user
from algo_scalper.interfaces.cli.study import day_lines
from algo_scalper.runtime.account_changes import settings_of
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.database_place import database_url
from algo_scalper.runtime.jobs.job import Ground, Market
from algo_scalper.runtime.jobs.runner import JobRunner, RunsAlready
from algo_scalper.runtime.jobs.table import job_named

_T = TypeVar("_T")
FAILED = 1
MOST_RUNS = 10_000


class JobOptions(msgspec.Struct, frozen=True):
    """What all of these commands take."""

    account: str
    as_json: bool
    config: Path
    data_dir: Path


def open_ground(
    config: Path, data_dir: Path, account: str, market: Market, clock: Clock, *, orders_at_broker: bool = False
) -> Ground:
    """Settings, stores and rules for the jobs of one desk. Raises `ConfigError`, `StoreError`."""
    algo = load_algo(config) if config.exists() else None
    settings = settings_of(os.environ, Path(".env"), config, data_dir, account)
    stores = open_stores(database_url(settings), data_dir)
    return Ground(
        settings=settings,
        indices=tuple(index.name for index in algo.rules.indices) if algo else tuple(INDICES),
        data_dir=data_dir,
        account=account,
        stores=stores,
        clock=clock,
        report=partial(_report, stores, account, market),
        orders_at_broker=orders_at_broker,
    )


def _report(stores: Stores, account: str, market: Market, day: date | None) -> tuple[date | None, list[str]]:
    day = day or stores.trading(account).last_day()
    if day is None:
        return None, []
    return day, [f"{day:%a %d %b %Y}, account {account}", *day_lines(stores, account, day, market.value)]


# --- the commands ----------------------------------------------------------------------------------------------------


def run_list(options: JobOptions) -> None:
    """A line a job: when, next, last and what came of it."""
    lines = _with_runner(options, lambda runner: runner.listing())
    if options.as_json:
        typer.echo(msgspec.json.encode(lines))
        return
    shown: list[dict[str, object]] = [
        {
            "job": line.name,
            "when": line.when,
            "next": line.next,
            "last": line.last_at or "never",
            "outcome": line.last.outcome.value if line.last else "",
            "message": line.last.message if line.last else "",
        }
        for line in lines
    ]
    typer.echo("\n".join(columns(shown)))


def run_job(name: str, options: JobOptions) -> None:
    """Run a job now; exit code 1 when it failed."""
    job = job_named(name)
    try:
        done = _with_runner(options, lambda runner: runner.run_by_hand(job))
    except RunsAlready as refused:
        typer.echo(f"scalper: {refused}", err=True)
        sys.exit(FAILED)
    if options.as_json:
        typer.echo(msgspec.json.encode(_whole(done)))
    else:
        typer.echo(f"{done.job}: {done.outcome} in {done.duration_s:.1f} s: {done.message}")
    if done.outcome is not RunOutcome.DONE:
        sys.exit(FAILED)


def run_history(name: str, limit: int, options: JobOptions) -> None:
    """Runs, newest first; of one job where it is named."""
    if name:
        job_named(name)
    if not 1 <= limit <= MOST_RUNS:
        raise ConfigError(f"--limit {limit}: write a number from 1 to {MOST_RUNS}")
    runs = _with_runner(options, lambda runner: runner.history(limit, name))
    if options.as_json:
        typer.echo(msgspec.json.encode([_whole(run) for run in runs]))
    elif not runs:
        typer.echo("no job has run yet")
    else:
        typer.echo("\n".join(columns([_row(run) for run in runs])))


def _whole(run: JobRun) -> dict[str, object]:
    return {**msgspec.structs.asdict(run), "duration_s": run.duration_s}


def _row(run: JobRun) -> dict[str, object]:
    return {
        "for": moment_text(run.scheduled_ns),
        "job": run.job,
        "cause": run.cause.value,
        "outcome": run.outcome.value,
        "seconds": "" if run.duration_s is None else f"{run.duration_s:.1f}",
        "by": run.run_by,
        "message": run.message,
    }


def _with_runner(options: JobOptions, ask: Callable[[JobRunner], Coroutine[Any, Any, _T]]) -> _T:
    async def asked() -> _T:
        clock = SystemClock()
        runner = JobRunner(
            partial(open_ground, options.config, options.data_dir, options.account, Market.REAL, clock),
            clock,
            Market.REAL,
            by=f"{this_user()} on {platform.node()}, process {os.getpid()}",
        )
        try:
            return await ask(runner)
        finally:
            await runner.close()

    return asyncio.run(asked())
