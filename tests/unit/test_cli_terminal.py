"""The terminal may go away while positions are open: nothing that is said there may stop anything."""

from __future__ import annotations

import signal

import pytest
import typer
import uvicorn

from algo_scalper.interfaces.api.app import _ending
from algo_scalper.interfaces.cli import trading
from algo_scalper.interfaces.cli.broker import columns


def _gone(line: str) -> None:
    raise BrokenPipeError(32, f"nobody reads {line!r}")


def test_what_nobody_can_hear_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typer, "echo", _gone)
    trading._say("bought")


def test_what_a_broker_says_stays_on_its_line_and_steers_no_terminal() -> None:
    heading, row = columns([{"order_id": "7", "reason": "RMS:\x1b[2Jno\nfunds"}])
    assert (heading, row) == ("order id  reason", "7         RMS: [2Jno funds")


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_terminal_that_goes_away_ends_everything_in_order_like_ctrl_c(word: signal.Signals) -> None:
    server = uvicorn.Server(uvicorn.Config("nothing:app"))
    with _ending(server):
        signal.raise_signal(word)
    assert server.should_exit


def test_nohup_keeps_it_running() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    server = uvicorn.Server(uvicorn.Config("nothing:app"))
    try:
        with _ending(server):
            signal.raise_signal(signal.SIGHUP)
        assert not server.should_exit
    finally:
        signal.signal(signal.SIGHUP, before)
