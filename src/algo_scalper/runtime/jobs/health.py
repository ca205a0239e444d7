"""Job: is the whole alive? Engine, disk and stores, once a minute."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from algo_scalper.domain.errors import StoreError
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.doctor.on_this_machine import AMBER_DISK_BYTES, RED_DISK_BYTES
from algo_scalper.runtime.jobs.job import Due, Ground, Told


async def check_health(ground: Ground, _: Due) -> Told:
    """Red for a silent engine, a store that does not answer, a disk that is full; amber for one that soon will be."""
    wrong = list(ground.troubles())
    try:
        await asyncio.to_thread(ground.stores.answer)
    except StoreError as fault:
        wrong.append(str(fault))
    free = await asyncio.to_thread(_free_bytes, ground.data_dir)
    room = f"{free / 1e9:.1f} GB free"
    if free < RED_DISK_BYTES:
        wrong.append(f"disk: {room}: a full disk stops orders, which are written before they leave")
    if wrong:
        return Told(Light.RED, "; ".join(wrong))
    if free < AMBER_DISK_BYTES:
        return Told(Light.AMBER, f"disk: {room}; free some space before it stops the engine")
    return Told(Light.GREEN, f"well; {room}")


def _free_bytes(folder: Path) -> int:
    there = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    return shutil.disk_usage(there).free
