"""The main job: ``scalper dev`` starts simulator, engine, desk and page, and says what it is; a trade comes soon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest

from algo_scalper.domain.commands import Command
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.cli.dev_runs import demo_day
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.virtual import VirtualRun
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.market import synthetic_day
from algo_scalper.simulation.world import World

ROOT = Path(__file__).resolve().parents[2]
PACE = 40
"""What ``scalper dev`` runs at unless told otherwise."""
PATIENCE_S = 120


def rules_of_nifty() -> Rules:
    rules = load_rules(ROOT / "config" / "algo.yml")
    return msgspec.structs.replace(rules, indices=rules.indices[:1])


def first_entry_after_s(day: date, seed: int, rules: Rules) -> float:
    """Virtual seconds from the start of the simulator to the first entry; infinite when none comes in time."""
    market = synthetic_day(day, seed)
    world = World(market, SimulatedExchange(market.contracts, day, rules.capital_paise), seed)
    begun_ns = world.now_ns
    entries: list[int] = []

    def hear(command: Command) -> None:
        if isinstance(command, Decision) and command.kind is DecisionKind.ENTRY:
            entries.append(command.at_ns)

    run = VirtualRun(world, on_command=hear)
    run.start(opening_event(begun_ns, "DEV", 1, day, rules, market.contracts, market.previous_close_paise))
    second = begun_ns
    while not entries and second < begun_ns + PATIENCE_S * PACE * NS_PER_SECOND:
        second += 600 * NS_PER_SECOND
        run.run(second)
    return (entries[0] - begun_ns) / NS_PER_SECOND if entries else float("inf")


@pytest.mark.parametrize("half", [range(1, 11), range(11, 21)], ids=["1-10", "11-20"])
def test_first_trade_comes_within_two_minutes(half: range) -> None:
    rules = rules_of_nifty()
    day = demo_day(date(2026, 11, 21), rules)
    waits = {seed: first_entry_after_s(day, seed, rules) / PACE for seed in half}
    print({seed: round(wait, 1) for seed, wait in waits.items()})
    assert sum(wait <= PATIENCE_S for wait in waits.values()) >= 9


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


class Dev:
    """A running ``scalper dev``; lines of its output are read as they come."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.port = free_port()
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-m",
                "algo_scalper",
                "dev",
                "--port",
                str(self.port),
                "--data-dir",
                str(folder),
                *flags,
            ],
            cwd=ROOT,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []

    def line_with(self, *words: str) -> str:
        """Read on until a line has one of these words; the output's end is a failure."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if any(word in line for word in words):
                return line
        raise AssertionError(f"{words} never came; it said: {''.join(self.said)}")

    def interrupt(self) -> str:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        return out

    def end(self) -> None:
        """A Ctrl-C, which ends the children too; a kill would leave them."""
        if self.process.poll() is None:
            self.interrupt()


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    started = Dev(tmp_path, "--pace", "60", "--seed", "2")
    yield started
    started.end()


def test_dev_trades_and_ctrl_c_says_what_is_open_and_the_next_start_resumes_it(dev: Dev, tmp_path: Path) -> None:
    page = dev.line_with("The page:")
    assert "SIMULATED market, PAPER money" in page
    dev.line_with("Bought on")
    status, body = ask(dev.port, "/api/health")
    health = json.loads(body)
    assert status == 200
    assert health["mode"] == {"market": "SIMULATED", "money": "PAPER"}
    assert ask(dev.port, "/up")[0] == 200
    assert ask(dev.port, "/api/positions")[0] == 401
    assert b"<!doctype html>" in ask(dev.port, "/")[1]

    out = dev.interrupt()
    assert "still open" in out
    assert dev.process.returncode == 0

    again = Dev(tmp_path, "--pace", "60")
    try:
        assert "Resuming" in again.line_with("Resuming", "A new simulated day")
        assert "held, taken back from our books" in again.line_with("taken back")
    finally:
        again.end()


def test_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        done = subprocess.run(
            [sys.executable, "-m", "algo_scalper", "dev", "--port", str(port), "--data-dir", str(tmp_path)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
