"""For tests of sudden death: a mark that kills this very process at its n-th call, as a power cut would."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from algo_scalper.adapters.marks import Mark, no_mark


def mark_of(kill_at: int, record: Path | None) -> Mark:
    """The mark a start asks for: none, one that kills at the ``kill_at``-th call, or one that writes every name down."""
    if kill_at > 0:
        return killer(kill_at)
    return recorder(record) if record is not None else no_mark


def killer(at: int) -> Callable[[str], None]:
    """A mark that sends SIGKILL to this process when it is called for the ``at``-th time, counted from 1."""
    calls = 0

    def mark(_step: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return mark


def recorder(path: Path) -> Callable[[str], None]:
    """A mark that appends each name it is called with as a line of ``path``, so that a test knows what to kill at."""

    def mark(step: str) -> None:
        with path.open("a", encoding="utf-8") as lines:
            lines.write(f"{step}\n")

    return mark
