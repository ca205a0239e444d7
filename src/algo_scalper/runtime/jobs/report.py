"""Job: the day's report as a file, for whoever was not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import ist_day
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told

FOLDER = "reports"


async def write_report(ground: Ground, due: Due) -> Told:
    """``reports/2026-11-23.txt`` under the data folder; by hand, of the last day there was."""
    return await asyncio.to_thread(_write, ground, due)


def _write(ground: Ground, due: Due) -> Told:
    day, lines = ground.report(None if due.by_hand else ist_day(due.at_ns))
    if day is None:
        return Told(Light.GREEN, "no day has been traded yet")
    path = ground.data_dir / FOLDER / f"{day.isoformat()}.txt"
    _put(path, "\n".join(lines) + "\n")
    left = [line for line in lines if line.startswith("LEFT:")]
    totals = [" ".join(line.split()) for line in lines if line.startswith(("Gross", "Charges", "Net"))]
    text = ", ".join((*totals, *left, str(path)))
    return Told(Light.AMBER if left else Light.GREEN, text)


def _put(path: Path, text: str) -> None:
    work = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work.write_text(text, encoding="utf-8")
        work.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); make the folder writable") from error
