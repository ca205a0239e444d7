"""The days ``scalper dev`` has begun: a new one each time, except that a day left with a position is resumed."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import msgspec

from algo_scalper.domain.calendar import expiries, next_trading_day
from algo_scalper.domain.rules import Role, Rules
from algo_scalper.strategy.expiry import choose_expiry

KEPT_RUNS = 10
MOST_DAYS_TO_EXPIRY = 4
"""Nearer the expiry a strike of the shipped premium band is listed near the money; a week before, often none is."""


def folder_with(data_dir: Path, name: str) -> Path:
    """The data folder, or the newest simulated day under it when only those have a file of this name."""
    runs = sorted(path for path in (data_dir / "dev").glob("[0-9]*") if (path / name).exists())
    return runs[-1] if runs and not (data_dir / name).exists() else data_dir


def demo_day(today: date, rules: Rules) -> date:
    """The day simulated when none is named: from today on, the first session near enough to the traded expiry."""
    traded = next((index.name for index in rules.indices if index.role is Role.TRADE), rules.indices[0].name)
    day = next_trading_day(today - timedelta(days=1))
    for _ in range(10):
        expiry = choose_expiry(expiries(traded, day, 3), day, rules.expiry)
        if expiry is not None and (expiry - day).days <= MOST_DAYS_TO_EXPIRY:
            break
        day = next_trading_day(day)
    return day


class _Marker(msgspec.Struct, frozen=True):
    seed: int
    day: date | None
    index: str | None


class DevRun(msgspec.Struct, frozen=True):
    """One simulated day with its stores; ``sentence`` says what was chosen and why."""

    folder: Path
    seed: int
    day: date | None
    index: Path | None
    sentence: str


def choose_run(data_dir: Path, seed: int, day: date | None, index: Path | None, *, fresh: bool) -> DevRun:
    """Resume the last run when it holds a position; else begin the next one, forgetting the oldest."""
    root = data_dir / "dev"
    runs = sorted(path for path in root.glob("[0-9]*") if path.is_dir())
    if runs and not fresh:
        resumed = _resumed(runs[-1])
        if resumed is not None:
            return resumed
    number = int(runs[-1].name) + 1 if runs else 1
    for old in runs[: max(len(runs) - KEPT_RUNS + 1, 0)]:
        shutil.rmtree(old)
    folder = root / f"{number:04d}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(msgspec.json.encode(_Marker(seed, day, str(index) if index else None)))
    return DevRun(folder, seed, day, index, f"A new simulated day in {folder}")


def _resumed(folder: Path) -> DevRun | None:
    from algo_scalper.adapters.storage.stores import open_stores

    try:
        marker = msgspec.json.decode((folder / "run.json").read_bytes(), type=_Marker)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    if not (folder / "trading.sqlite3").exists():
        return None
    stores = open_stores(None, folder)
    try:
        positions = stores.trading("PAPER").open_positions()
    finally:
        stores.close()
    if not positions:
        return None
    names = ", ".join(f"{position.held} {position.contract.name}" for position in positions)
    index = Path(marker.index) if marker.index else None
    return DevRun(folder, marker.seed, marker.day, index, f"Resuming {folder}: it was left holding {names}")
