"""Job: forget what the rules say is old. Only these; money rows, reports and the audit log are kept for good."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import NS_PER_DAY, ist_day
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told

DECISION_DAYS = 400
SIGNAL_DAYS = 400
CANDLE_DAYS = 400
JOURNAL_DAYS = 120
"""A journal replays a day to the byte; under newer code an old one cannot be replayed anyway."""
RUN_DAYS = 400
RUN_DAYS_OF = MappingProxyType({"health": 3})
"""Jobs whose runs are remembered for another time: what is looked at every minute would drown the rest."""
JOURNALS = "journals"


async def forget_what_is_old(ground: Ground, _: Due) -> Told:
    """Decisions and signals of our account, candles, runs of jobs, and the journals of our folder."""
    return await asyncio.to_thread(_forget, ground)


def _forget(ground: Ground) -> Told:
    now_ns = ground.clock.now_ns()
    rows = ground.stores.retention
    removed = {
        "decisions": rows.decisions(ground.account, now_ns - DECISION_DAYS * NS_PER_DAY),
        "signals": rows.signals(ground.account, now_ns - SIGNAL_DAYS * NS_PER_DAY),
        "candles": rows.candles(now_ns - CANDLE_DAYS * NS_PER_DAY),
        "runs of jobs": _runs(ground, now_ns),
        "journals": _journals(ground.data_dir / JOURNALS, ist_day(now_ns) - timedelta(days=JOURNAL_DAYS)),
    }
    said = ", ".join(f"{count:,} {name}" for name, count in removed.items() if count)
    return Told(Light.GREEN, f"forgotten: {said}" if said else "nothing is old")


def _runs(ground: Ground, now_ns: int) -> int:
    removed = 0
    for account in ("", ground.account):
        removed += ground.stores.retention.job_runs(account, now_ns - RUN_DAYS * NS_PER_DAY)
        for job, days in RUN_DAYS_OF.items():
            removed += ground.stores.retention.job_runs(account, now_ns - days * NS_PER_DAY, job)
    return removed


def _journals(folder: Path, before: date) -> int:
    """Files whose name begins with a date before this one; others are not ours to judge."""
    removed = 0
    for path in sorted(folder.glob("*.journal")):
        day = _date(path.name[:10])
        if day is None or day >= before:
            continue
        try:
            path.unlink()
        except OSError as error:
            raise StoreError(f"{path}: cannot be removed ({error.strerror}); make the folder writable") from error
        removed += 1
    return removed


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
