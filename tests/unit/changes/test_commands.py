"""``scalper settings``, ``rules``, ``watchlist`` and ``jobs`` as a person types them: what is said, and the exit codes."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.adapters.storage.tables import RunCause
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.cli import main as cli
from algo_scalper.interfaces.cli.person import this_user
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.settings import VARIABLES

RULES = "mode: paper\nindices: {NIFTY: {}}\nguards: {events: off}\n"


class Said(NamedTuple):
    code: int
    out: str
    err: str


Scalper = Callable[..., Said]


@pytest.fixture
def scalper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Scalper:
    monkeypatch.chdir(tmp_path)
    for variable in VARIABLES:
        for name in (variable.name, *variable.older):
            monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "algo.yml").write_text(RULES)

    def run(*words: str) -> Said:
        monkeypatch.setattr("sys.argv", ["scalper", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Said(code, *capsys.readouterr())

    return run


def nobody_of_that_number() -> str:
    raise KeyError("getpwuid(): uid not found: 12345")


def test_a_user_without_a_name_on_this_machine_is_named_by_number(
    scalper: Scalper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", nobody_of_that_number)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert this_user() == "user 12345"
    assert scalper("settings", "set", "LOG_LEVEL", "debug").code == 0
    assert scalper("settings", "history").out.endswith("by user 12345; with the next start\n")
    assert scalper("jobs", "list").code == 0


def test_a_change_says_whose_it_is(scalper: Scalper) -> None:
    # Before the first session nobody can guess the account: a limit kept for another one would not be in force.
    assert scalper("settings", "set", "LOG_LEVEL", "debug").out.startswith("LOG_LEVEL=debug is stored for PAPER, in")
    said = scalper("rules", "set", "limits.trades_day", "2", "--account", "PAPER-REAL")
    assert said == Said(0, "PAPER-REAL: limits.trades_day=2 counts with the next start\n", "")


def test_the_history_of_a_name_there_is_none_of_names_the_nearest(scalper: Scalper) -> None:
    unknown = scalper("settings", "history", "LOGLEVEL")
    assert (unknown.code, unknown.err) == (2, "scalper: LOGLEVEL: no such setting; the nearest is LOG_LEVEL\n")
    assert scalper("settings", "history", "log_level") == Said(0, "LOG_LEVEL was never changed\n", "")
    unknown = scalper("rules", "history", "limits.day_los")
    assert (unknown.code, "the nearest is limits.day_loss" in unknown.err) == (2, True)
    assert scalper("rules", "history", "limits.day_loss").out == "limits.day_loss was never changed\n"
    assert scalper("rules", "history") == Said(0, "Nothing was ever changed\n", "")


def test_what_cannot_be_watched_is_refused_and_not_kept(scalper: Scalper) -> None:
    for words, why in (
        (["NSE_XX:1"], "'NSE_XX:1' is not an instrument"),
        (["Nosuch"], "'Nosuch' is neither SEGMENT:ID nor a name the catalog knows"),
        ([f"NSE_EQ:{number}" for number in range(1, 502)], "501 instruments are more than the 500 that are watched"),
    ):
        said = scalper("watchlist", "add", *words)
        assert (said.code, said.err) == (1, "")
        assert said.out.startswith("REFUSED: ")
        assert why in said.out
    assert scalper("watchlist", "list") == Said(0, "0 watched beside what is traded, by no place\n", "")
    off = scalper("watchlist", "remove", "NSE_EQ:1")
    assert (off.code, "not on the stored list: NSE_EQ:1" in off.out) == (1, True)


def test_a_full_list_takes_what_is_on_it_already_and_nothing_more(scalper: Scalper) -> None:
    assert scalper("watchlist", "add", *(f"NSE_EQ:{number}" for number in range(1, 501))).code == 0
    assert scalper("watchlist", "add", "NSE_EQ:500").code == 0
    assert scalper("watchlist", "add", "NSE_EQ:501").code == 1
    assert scalper("watchlist", "list").out.startswith("500 watched")


def test_a_job_that_runs_elsewhere_is_refused_with_exit_code_1(scalper: Scalper, tmp_path: Path) -> None:
    now_ns = SystemClock().now_ns()
    with closing(open_stores(None, tmp_path / "var")) as stores:
        stores.job_runs.claim(
            "backup", "", now_ns - NS_PER_SECOND, cause=RunCause.CLOCK, by="desk 7", at_ns=now_ns, redo=True
        )
    said = scalper("jobs", "run", "backup")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("scalper: job backup runs already since")
    assert "(desk 7)" in said.err


def test_redis_is_asked_without_a_file_of_rules(scalper: Scalper, tmp_path: Path) -> None:
    (tmp_path / "config" / "algo.yml").unlink()
    said = scalper("redis", "ping")
    assert (said.code, said.err[:27]) == (2, "scalper: REDIS_URL is empty")


def test_a_backup_that_cannot_be_put_somewhere_says_what_to_do(scalper: Scalper, tmp_path: Path) -> None:
    scalper("db", "migrate")
    (tmp_path / "file").write_text("in the way")
    said = scalper("db", "backup", "file/under/it")
    assert (said.code, said.err) == (
        2,
        "scalper: file/under/it: the backup failed (Not a directory); name a folder this user can write\n",
    )
