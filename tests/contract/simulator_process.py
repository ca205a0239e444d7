"""A simulator in a process of its own, for clients that block their thread; found by the line it prints.

The standard library alone: a client may be tried from an environment that has nothing of this project. The simulator's
own Python is then named by ``ALGO_SCALPER_PYTHON``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.request import Request, urlopen

PATIENCE_S = 60
"""For what takes milliseconds, on a machine that does other things."""
CLIENT = TOKEN = "SIMULATED"
PIN = "123456"
TOTP_SECRET = "SIMULATEDSIMULATEDSIMULATED23456"
DAY, SEED = "2026-02-03", 1
FACTS = {
    "cash_paise": 100_000_000,
    "holdings": [{"totalQty": 10, "dpQty": 10, "availableQty": 10, "avgCostPrice": 250.5, "lastTradedPrice": 281.2}],
    "mint_cooldown_s": 0,
}
_ADDRESS = re.compile(r"on (http://127\.0\.0\.1:\d+)")


class Simulator:
    """Where it answers, and its own paths."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.sockets = root.replace("http:", "ws:")

    def tell(self, path: str, body: object = None) -> Any:
        """``POST`` to one of the simulator's own paths, or ``GET`` without a body; the answer's JSON."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.root + path, data, {"Content-Type": "application/json"}), timeout=PATIENCE_S) as got:
            return json.loads(got.read())


@contextmanager
def simulator_process(folder: Path, pace: int = 20) -> Iterator[Simulator]:
    """Serve the day at ``pace`` times real time from ten o'clock on; above 5 no rate limit is kept."""
    account = folder / "account.json"
    account.write_text(json.dumps(FACTS))
    python = os.environ.get("ALGO_SCALPER_PYTHON", sys.executable)
    options = ["--day", DAY, "--seed", str(SEED), "--at", "10:00", "--pace", str(pace), "--account", str(account)]
    command = [python, "-m", "algo_scalper", "sim", "--port", "0", "--with-parent", *options]
    with (
        (folder / "said").open("w+") as errors,
        subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            yield Simulator(_address(process, folder / "said"))
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _address(process: subprocess.Popen[str], errors: Path) -> str:
    """The address in the first line; a simulator that says nothing in time is ended, and the test with it."""
    assert process.stdout is not None
    watch = threading.Timer(PATIENCE_S, process.kill)
    watch.start()
    line = process.stdout.readline()
    watch.cancel()
    found = _ADDRESS.search(line)
    assert found is not None, f"the simulator did not start: {line}{errors.read_text()}"
    return found[1]


def until(happens: Callable[[], Any]) -> Any:
    """Ask again until the answer is a true one, and return it; what never comes is a failure, not a hanging test."""
    began = perf_counter()
    while perf_counter() - began < PATIENCE_S:
        answer = happens()
        if answer:
            return answer
    raise AssertionError(f"it did not happen within {PATIENCE_S} s")
