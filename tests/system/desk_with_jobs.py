"""A desk's jobs as a process of its own: ``desk_with_jobs.py FOLDER FROM_NS``. Ends when a line comes in."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Job, Market, Told
from algo_scalper.runtime.jobs.runner import JobRunner
from algo_scalper.runtime.jobs.table import JOBS
from algo_scalper.runtime.jobs.when import AfterClose
from algo_scalper.runtime.settings import load_settings


async def leave_a_mark(ground: Ground, due: Due) -> Told:
    """One line in a file for every time this was done, by whatever process."""
    with (ground.data_dir / "marks").open("a", encoding="utf-8") as file:
        file.write(f"{due.at_ns} {os.getpid()}\n")
    return Told(Light.GREEN, "marked")


async def main(folder: Path, from_ns: int) -> None:
    """Run the marks, and what of the table comes due at that hour, until told to end."""
    clock = SystemClock(from_ns)
    marking = tuple(Job(f"mark {n}", "A mark.", AfterClose(15), leave_a_mark, make_up_ns=10**15) for n in range(8))
    ground = Ground(
        load_settings({}, folder / "none"),
        ("NIFTY",),
        folder,
        "PAPER-REAL",
        open_stores(None, folder),
        clock,
        lambda day: (day, ["Net 5"]),
    )
    runner = JobRunner(
        lambda: ground, clock, Market.REAL, jobs=(*marking, *(job for job in JOBS if job.name == "report"))
    )
    running = asyncio.create_task(runner.run(lambda level, text: print(level, text, file=sys.stderr)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await runner.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
