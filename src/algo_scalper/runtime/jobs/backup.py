"""Job: a copy of both stores, and only so many old ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

from algo_scalper.adapters.storage.backup import back_up, prune
from algo_scalper.domain.units import clock_text, ist_day
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told

FOLDER = "backups"
KEPT = 14
"""Sessions one can go back: nearly three weeks."""


async def back_up_stores(ground: Ground, _: Due) -> Told:
    """``backups/2026-11-23-164000`` under the data folder."""
    return await asyncio.to_thread(_copy, ground)


def _copy(ground: Ground) -> Told:
    now_ns = ground.clock.now_ns()
    parent: Path = ground.data_dir / FOLDER
    folder = parent / f"{ist_day(now_ns).isoformat()}-{clock_text(now_ns).replace(':', '')}"
    size = back_up(ground.stores.databases, folder, at_ns=now_ns)
    pruned = prune(parent, KEPT)
    return Told(Light.GREEN, f"{folder} ({size / 1e6:.1f} MB){f', {pruned} old removed' if pruned else ''}")
