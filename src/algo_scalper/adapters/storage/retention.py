"""Forgetting by rule what is old in the reference store. No row of the trading store is ever removed: it is money."""

from __future__ import annotations

import sqlalchemy as sa

from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.tables import RunOutcome, candles, decisions, job_runs, signals

BATCH_ROWS = 5_000
"""Removed in one transaction: whoever writes beside us waits for milliseconds."""


class Retention:
    """Removes rows older than a moment, in batches; every method says how many it removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decisions(self, account: str, before_ns: int) -> int:
        """Why in, why out, why not."""
        c = decisions.c
        return self._remove(decisions, c.number, c.account == account, c.at_ns < before_ns)

    def signals(self, account: str, before_ns: int) -> int:
        """Signals of the indices."""
        c = signals.c
        return self._remove(signals, c.number, c.account == account, c.at_ns < before_ns)

    def candles(self, before_ns: int) -> int:
        """One-minute bars, which belong to nobody's account."""
        removed = 0
        c = candles.c
        with self._database.read("looking for old candles") as connection:
            keys = connection.execute(sa.select(c.key).distinct().where(c.start_ns < before_ns)).scalars().all()
        for key in keys:
            removed += self._remove(candles, c.start_ns, c.key == key, c.start_ns < before_ns)
        return removed

    def job_runs(self, account: str, before_ns: int, job: str = "") -> int:
        """Runs that are over; of one job where it is named."""
        c = job_runs.c
        which = [c.account == account, c.started_ns < before_ns, c.outcome != RunOutcome.RUNNING.value]
        if job:
            which.append(c.job == job)
        return self._remove(job_runs, c.number, *which)

    def _remove(self, table: sa.Table, key: sa.Column[int], *which: sa.ColumnElement[bool]) -> int:
        removed = 0
        some = sa.select(key).where(*which).order_by(key).limit(BATCH_ROWS).scalar_subquery()
        while True:
            with self._database.write(f"forgetting old {table.name}") as connection:
                count = connection.execute(sa.delete(table).where(*which, key.in_(some))).rowcount
            removed += count
            if count < BATCH_ROWS:
                return removed
