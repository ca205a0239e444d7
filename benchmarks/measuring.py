"""What every benchmark here needs: the rules, a table, a percentile, and a sentence about the machine."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec

from algo_scalper.domain.rules import Rules
from algo_scalper.runtime.config import load_rules

ROOT = Path(__file__).resolve().parent.parent


def shipped_rules(indices: int | None = None) -> Rules:
    """The rules this repository ships, with the first ``indices`` indices only."""
    rules = load_rules(ROOT / "config" / "algo.yml")
    return rules if indices is None else msgspec.structs.replace(rules, indices=rules.indices[:indices])


def percentile(sorted_values: Sequence[float], part: float) -> float:
    """The value that ``part`` (0 to 1) of the values do not exceed."""
    return sorted_values[min(int(part * len(sorted_values)), len(sorted_values) - 1)]


def middle(values: Sequence[float]) -> float:
    """The median."""
    return median(values)


def settle_memory() -> None:
    """Collect, and keep what was prepared out of later collections: it is the benchmark's, not the engine's."""
    gc.collect()
    gc.freeze()


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Print a table, the first column to the left and the others to the right."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join((first, *others)).rstrip()

    print(f"\n{title}")
    print(line(head))
    print("  ".join("-" * width for width in widths))
    for row in rows:
        print(line(row))
    for note in notes:
        print(note)


def machine() -> str:
    """Which machine and which versions, and how busy it is: a figure without these is none."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [row.split(":", 1)[1].strip() for row in info.read_text().splitlines() if row.startswith("model name")]
        cpu = names[0] if names else cpu
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    libraries = ", ".join(f"{name} {version(name)}" for name in ("msgspec", "picows", "uvloop", "aiohttp"))
    return (
        f"{os.cpu_count()} x {cpu}, load {load:.1f}; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()} ({sys.implementation.name}); {libraries}"
    )
