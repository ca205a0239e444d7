"""How soon ``scalper dev`` shows something, and how much memory engine and desk hold after a whole day.

*Start*: from the process's start to the first answer of ``GET /api/status`` (the desk has the engine's first view: the
simulator has made its market, the engine has read its instrument master and warm-up candles and has begun). Each start
uses an empty data folder and is ended with Ctrl-C; one start before them, not counted, makes the bytecode that an
installed program has (kept in a folder of this benchmark). *First of all* is the health answer: the desk's web server is there.

*Memory*: one run at 60 times the pace until the day is over (about seven minutes), or for ``--minutes``; then, and at
the highest, the resident memory of the engine, of the desk (the process that was started) and of the simulator, which
is not part of the aim. The floor in the same run is an interpreter that has imported nothing.

    python -m benchmarks.startup_memory [--starts 5] [--minutes 9]
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.measuring import ROOT, machine, middle, table

AIM_START_S = 3.0
AIM_RESIDENT_MB = 200
MB = 1024 * 1024
GIVE_UP_S = 60.0
LEFT_OUT = {"PORT", "DATABASE_URL", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
"""Of the environment."""


class Dev:
    """A running ``scalper dev`` with a data folder of its own."""

    def __init__(self, folder: Path, bytecode: Path) -> None:
        self.port = _free_port()
        self._folder = folder
        environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
        environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "algo_scalper", "dev", "--pace", "60", "--seed", "1"),
                *("--port", str(self.port), "--data-dir", str(folder), "--config", str(ROOT / "config" / "algo.yml")),
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=environment,
        )  # fmt: skip

    def answers_after_s(self, path: str) -> float:
        """Seconds from the start until this path answers 200. Raises AssertionError when it never does."""
        while time.monotonic() - self.began < GIVE_UP_S:
            assert self.process.poll() is None, f"scalper dev ended with code {self.process.returncode}"
            if self.status(path) == 200:
                return time.monotonic() - self.began
            time.sleep(0.01)
        raise AssertionError(f"{path} did not answer within {GIVE_UP_S:g} s")

    def status(self, path: str) -> int:
        """The HTTP status of a GET with this run's own token; 0 when nobody listens."""
        token = next((file.read_text().strip() for file in self._folder.glob("dev/*/api-token")), "")
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        request.add_header("Authorization", f"Bearer {token}")
        return _status(request)

    def resident_mb(self) -> dict[str, float]:
        """Of each process that is part of it."""
        desk = psutil.Process(self.process.pid)
        found = {"desk": desk.memory_info().rss / MB}
        for child in desk.children(recursive=True):
            try:
                words = child.cmdline()
                found[next((w for w in ("engine", "sim") if w in words), "other")] = child.memory_info().rss / MB
            except psutil.NoSuchProcess:
                continue
        return found

    def end(self) -> None:
        """Ctrl-C, and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


class Start(NamedTuple):
    """Seconds from the start of the process."""

    health_s: float
    view_s: float


def start_once(bytecode: Path) -> Start:
    """Start on an empty folder, wait for the first view, end."""
    with tempfile.TemporaryDirectory() as folder:
        dev = Dev(Path(folder), bytecode)
        try:
            # 503 with a body is an answer too, but a view is what a person waits for.
            while dev.status("/api/health") not in {200, 503}:
                assert time.monotonic() - dev.began < GIVE_UP_S, "the desk did not answer"
                time.sleep(0.01)
            health = time.monotonic() - dev.began
            return Start(health, dev.answers_after_s("/api/status"))
        finally:
            dev.end()


def bare_s() -> float:
    """The floor: this interpreter, doing nothing."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True)
    return time.monotonic() - began


def bare_mb() -> float:
    """The floor: this interpreter, having imported nothing."""
    code = "import sys; sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    time.sleep(0.3)
    resident: float = psutil.Process(process.pid).memory_info().rss / MB
    process.communicate()
    return resident


def whole_day(minutes: float, bytecode: Path) -> tuple[dict[str, float], dict[str, float], bool]:
    """Resident memory at the end and at its highest; whether the engine had come to the end of the day by itself."""
    highest: dict[str, float] = {}
    last: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        dev = Dev(Path(folder), bytecode)
        try:
            until = time.monotonic() + 60 * minutes
            while time.monotonic() < until and dev.process.poll() is None:
                now = dev.resident_mb()
                if "engine" in last and "engine" not in now:
                    time.sleep(3)  # an engine that died would have been started again by now
                    return last, highest, "engine" not in dev.resident_mb()
                last = now
                highest = {name: max(now.get(name, 0.0), highest.get(name, 0.0)) for name in now | highest}
                time.sleep(0.5)
        finally:
            dev.end()
    return last, highest, False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=9.0, help="0 leaves the day out")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as bytecode:
        show(asked.starts, asked.minutes, Path(bytecode))


def show(count: int, minutes: float, bytecode: Path) -> None:
    """Measure and print."""
    starts, floors = [], []
    start_once(bytecode)  # makes the bytecode
    for _ in range(count):
        starts.append(start_once(bytecode))
        floors.append(bare_s())
    floor, view = middle(floors), middle([each.view_s for each in starts])
    health = middle([each.health_s for each in starts])
    table(
        f"Start of scalper dev, median of {count}",
        ("", "seconds", "slowest", "ratio"),
        (
            ("first view on the API", f"{view:.2f}", f"{max(s.view_s for s in starts):.2f}", f"{view / floor:.0f}x"),
            ("web server there", f"{health:.2f}", f"{max(s.health_s for s in starts):.2f}", f"{health / floor:.0f}x"),
            ("floor: a bare interpreter", f"{floor:.3f}", f"{max(floors):.3f}", "1x"),
        ),
        (f"Aim: first view <= {AIM_START_S:g} s: {'met' if view <= AIM_START_S else 'not met'}.", machine()),
    )
    if not minutes:
        return
    last, highest, ended = whole_day(minutes, bytecode)
    bare = bare_mb()
    both = last.get("engine", 0.0) + last.get("desk", 0.0)
    rows = [
        (name, f"{last.get(name, 0.0):.0f}", f"{highest.get(name, 0.0):.0f}", f"{last.get(name, 0.0) / bare:.1f}x")
        for name in ("engine", "desk", "sim")
    ]
    rows.insert(2, ("engine and desk", f"{both:.0f}", "", f"{both / bare:.1f}x"))
    rows.append(("floor: a bare interpreter", f"{bare:.0f}", "", "1.0x"))
    table(
        f"Resident memory, MB, {'at the end of a whole day' if ended else f'after {minutes:g} minutes at 60x'}",
        ("", "end", "highest", "ratio"),
        rows,
        (
            f"Aim: engine and desk <= {AIM_RESIDENT_MB} MB: {'met' if both <= AIM_RESIDENT_MB else 'not met'}.",
            machine(),
        ),
    )


if __name__ == "__main__":
    main()
