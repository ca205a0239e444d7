"""A person changes settings, rules and the watchlist of an engine that trades: by commands, beside it and in its place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_scalper.adapters.journal import read_journal
from algo_scalper.domain.events import RulesChanged, SessionStarted
from algo_scalper.domain.instruments import BANKNIFTY, NIFTY
from algo_scalper.domain.market import Tick
from tests.system.test_main_job import ROOT, free_port

ENOUGH = 60
"""Commands after which an engine that is starting must have begun; each takes the better part of a second."""
VIX_AND_BANKNIFTY = ("IDX_I:21", "BANKNIFTY")


def program(*words: str) -> list[str]:
    return [sys.executable, "-u", "-m", "algo_scalper", *words]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


class Person:
    """Types commands about one data folder, and starts and stops the engine of it."""

    def __init__(self, folder: Path, rules: Path, sim_url: str) -> None:
        self.folder = folder
        self.rules = rules
        self.port = free_port()
        self._run = ["run", "--sim-url", sim_url, "--port", str(self.port), *self._where()]
        self.running: subprocess.Popen[str] | None = None
        self.heard = ""

    def _where(self) -> list[str]:
        return ["--data-dir", str(self.folder), "--config", str(self.rules)]

    def types(self, *words: str) -> tuple[int, str]:
        """The exit code and all that was printed."""
        command = program(*words, *self._where())
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def starts(self) -> None:
        """Engine and desk; commands are answered some seconds later."""
        self.running = subprocess.Popen(
            program(*self._run),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until_done(self, *words: str) -> str:
        """Types the same until the engine has begun and takes it."""
        said = ""
        for _ in range(ENOUGH):
            code, said = self.types(*words)
            if code == 0 and "with the next start" not in said:
                return said
        raise AssertionError(said)

    def stops(self) -> str:
        """Ctrl-C; what was printed since the start."""
        assert self.running is not None
        self.running.send_signal(signal.SIGINT)
        out, _ = self.running.communicate(timeout=60)
        self.running = None
        return out

    def shown(self, key: str) -> dict[str, Any]:
        code, said = self.types("rules", "show", "--json")
        assert code == 0, said
        row: dict[str, Any] = next(row for row in json.loads(said)["rules"] if row["key"] == key)
        return row

    def journals(self) -> list[Path]:
        return sorted((self.folder / "journals").iterdir())


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    port = free_port()
    simulator = subprocess.Popen(
        program("sim", "--port", str(port), "--pace", "5", "--day", "2026-11-27", "--with-parent"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    rules = tmp_path / "algo.yml"
    rules.write_text(
        "mode: paper\nindices: {NIFTY: {}}\nlimits: {day_loss: 4%, trades_day: 4}\nguards: {events: off}\n"
    )
    one = Person(tmp_path / "data", rules, f"http://127.0.0.1:{port}")
    yield one
    if one.running is not None:
        one.stops()
    simulator.send_signal(signal.SIGTERM)
    simulator.wait(timeout=60)


def test_rules_tighten_at_once_loosen_with_the_next_session_survive_a_restart_and_replay(person: Person) -> None:
    # Nobody runs: the command takes the account's lock and writes by itself.
    assert person.types("settings", "set", "LOG_LEVEL", "debug") == (
        0,
        "LOG_LEVEL=debug is stored for PAPER, in effect with the next start: LOG_LEVEL=debug from stored settings\n",
    )
    person.starts()
    person.until_done("rules", "set", "limits.after_loss", "20m")
    code, said = person.types("rules", "set", "limits.trades_day", "3", "--by", "Asha")
    assert (code, "trades_day=3 counts at once" in said) == (0, True)
    code, said = person.types("rules", "set", "limits.trades_day", "9")
    assert (code, "because it loosens a limit; until then 3" in said) == (0, True)
    row = person.shown("limits.trades_day")
    assert (row["written"], row["in_force"], row["source"]) == ("9", "3", "changed at run time")
    code, said = person.types("rules", "set", "limits.day_loss", "six")
    assert (code, "'six' is not a percentage" in said) == (1, True)
    code, said = person.types("rules", "set", "signal.adx.m1", "25")
    assert (code, "signal.adx.m1=25 counts with the next start" in said) == (0, True)
    code, said = person.types("watchlist", "add", *VIX_AND_BANKNIFTY)
    assert (code, "2 instruments are watched, by the stored list" in said) == (0, True)
    code, said = person.types("rules", "apply", "nobody")
    assert (code, "if it is open" in said) == (0, True)
    assert "no open position 'nobody'" in person.stops()

    (first,) = person.journals()
    records = list(read_journal(first))
    changed = [record for record in records if isinstance(record, RulesChanged)]
    # The first was made by the command itself when it came before the engine had begun. What waits is no event.
    assert [event.rules.limits.trades_day for event in changed if event.by == "Asha"] == [3]
    assert {event.rules.limits.trades_day for event in changed} <= {3, 4}
    heard = {record.key for record in records if isinstance(record, Tick)}
    assert BANKNIFTY.key not in heard, "what is only watched is no event"
    assert NIFTY.key in heard
    assert person.types("rules", "unset", "signal.adx.m1")[0] == 0

    person.starts()
    assert "limits.day_loss=3% counts at once" in person.until_done("rules", "set", "limits.day_loss", "3%")
    out = person.stops()
    assert "rule limits.trades_day=9 is changed at run time and stands over algo.yml; take it back with" in out
    assert "limits.trades_day 9 waits for the next session, because it loosens a limit; today it is 3" in out
    second = person.journals()[1]
    started = next(iter(read_journal(second)))
    assert isinstance(started, SessionStarted)
    assert started.rules.limits.trades_day == 3, "the same day: a restart loosens nothing"
    for journal in (first, second):
        replayed = subprocess.run(program("replay", str(journal)), capture_output=True, text=True, check=False)
        assert replayed.returncode == 0, replayed.stdout + replayed.stderr
