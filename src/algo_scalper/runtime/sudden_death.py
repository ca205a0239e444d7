"""For tests of sudden death: a mark that kills this very process at its n-th call, as a power cut would."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from algo_scalper.adapters.marks import Mark, no_mark


def killer(at: int) -> Mark:
    """A mark that sends SIGKILL to this process when it is called for the ``at``-th time; 0 never does."""
    return _killer(at) if at > 0 else no_mark


def _killer(at: int) -> Callable[[str], None]:
    calls = 0

    def mark(_step: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return mark
