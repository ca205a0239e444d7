"""Paper unless everything agrees; no order to a real host; no trading by accident."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.config import AlgoConfig, load_algo
from algo_scalper.runtime.gate import (
    NOT_AVAILABLE,
    GateDecision,
    LiveReadiness,
    Money,
    decide_money,
    is_loopback,
    refuse_real_host,
    trading_services_allowed,
)
from algo_scalper.runtime.settings import Settings, load_settings

READY = LiveReadiness(armed_today=True, probe_passed=True, reconciled=True)


def algo(folder: Path, mode: str = "live", settings: str = "{}") -> AlgoConfig:
    file = folder / "algo.yml"
    file.write_text(f"mode: {mode}\nindices: {{NIFTY: {{}}}}\nsettings: {settings}\n")
    return load_algo(file, "algo.yml")


def said(folder: Path, env_file: str = "", **environ: str) -> Settings:
    file = folder / ".env"
    file.write_text(env_file)
    return load_settings(environ, file)


def decided(folder: Path, mode: str = "live", env_file: str = "", **environ: str) -> GateDecision:
    return decide_money(algo(folder, mode), said(folder, env_file, **environ), READY)


def test_with_everything_said_only_the_version_stands_in_the_way(tmp_path: Path) -> None:
    decision = decided(tmp_path, env_file="PAPER_MODE=false\nENABLE_ORDER=true\n")
    assert decision.money is Money.PAPER
    assert decision.missing == (NOT_AVAILABLE,)


@pytest.mark.parametrize("mode", ["paper", "Live", "LIVE", "liv", "true", "1", "''", "on", "[live]"])
def test_any_other_mode_is_paper(tmp_path: Path, mode: str) -> None:
    decision = decided(tmp_path, mode, PAPER_MODE="false", ENABLE_ORDER="true")
    assert decision.money is Money.PAPER
    assert decision.sentence.startswith("PAPER money: algo.yml line 1 says mode: ")


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "", " ", "maybe", "fals", "nope"])
def test_paper_mode_must_be_plainly_false(tmp_path: Path, word: str) -> None:
    decision = decided(tmp_path, PAPER_MODE=word, ENABLE_ORDER="true")
    assert decision.sentence.startswith("PAPER money: environment says PAPER_MODE=")


@pytest.mark.parametrize("word", ["false", "0", "", "maybe", "tru"])
def test_orders_must_be_plainly_enabled(tmp_path: Path, word: str) -> None:
    decision = decided(tmp_path, PAPER_MODE="false", ENABLE_ORDER=word)
    assert decision.sentence.startswith("PAPER money: environment says ENABLE_ORDER=")


def test_the_deciding_setting_is_named_with_file_and_line(tmp_path: Path) -> None:
    decision = decided(tmp_path, env_file="# mine\nPAPER_MODE=true\nENABLE_ORDER=true\n")
    assert decision.sentence == "PAPER money: .env line 2 says PAPER_MODE=true."


def test_a_conflict_between_two_places_is_paper_whatever_precedence_says(tmp_path: Path) -> None:
    for file, environment in itertools.permutations(("true", "false")):
        decision = decided(tmp_path, env_file=f"PAPER_MODE={file}\nENABLE_ORDER=true\n", PAPER_MODE=environment)
        assert "PAPER_MODE=true" in decision.sentence
    decision = decided(tmp_path, env_file="PAPER_MODE=false\nENABLE_ORDER=true\n", PAPER_MODE="")
    assert "PAPER_MODE=''" in decision.sentence


def test_silence_is_paper(tmp_path: Path) -> None:
    assert decided(tmp_path).sentence == "PAPER money: PAPER_MODE is set nowhere, and live needs PAPER_MODE=false."


@pytest.mark.parametrize(
    ("readiness", "told"),
    [
        (READY._replace(armed_today=False), "armed"),
        (READY._replace(probe_passed=False), "probe"),
        (READY._replace(reconciled=False), "reconciled"),
    ],
)
def test_what_only_the_running_system_knows_counts_too(tmp_path: Path, readiness: LiveReadiness, told: str) -> None:
    settings = said(tmp_path, PAPER_MODE="false", ENABLE_ORDER="true")
    decision = decide_money(algo(tmp_path), settings, readiness)
    assert told in decision.sentence


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/v2", "http://localhost:1", "https://LOCALHOST", "http://[::1]:9/", "http://127.9.9.9/v2"],
)
def test_this_machine_may_take_orders(url: str) -> None:
    assert is_loopback(url)
    refuse_real_host(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.dhan.co/v2",
        "https://sandbox.dhan.co/v2",
        "http://127.0.0.1@api.dhan.co/v2",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::1",
        "127.0.0.1:8080",
        "",
    ],
)
def test_every_other_host_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="live money is not available in this version"):
        refuse_real_host(url)


def answer(
    folder: Path,
    argv: list[str],
    environ: dict[str, str] | None = None,
    modules: frozenset[str] = frozenset({"sys", "asyncio"}),
    *,
    interactive: bool = False,
) -> tuple[bool, str]:
    environ = environ or {}
    return trading_services_allowed(said(folder, **environ), environ, argv, modules, interactive=interactive)


def test_a_plain_start_is_allowed(tmp_path: Path) -> None:
    assert answer(tmp_path, ["/usr/bin/scalper", "run"]) == (True, "trading services may start")


@pytest.mark.parametrize("name", ["DISABLE_TRADING_SERVICES", "BACKTEST_MODE", "SCRIPT_MODE"])
@pytest.mark.parametrize("word", ["1", "true", "maybe"])
def test_a_switch_keeps_them_off_and_doubt_does_too(tmp_path: Path, name: str, word: str) -> None:
    allowed, sentence = answer(tmp_path, ["scalper", "run"], {name: word})
    assert not allowed
    assert sentence == f"trading services are off: {name}={word} from environment"


def test_a_switch_set_to_no_does_not(tmp_path: Path) -> None:
    assert answer(tmp_path, ["scalper"], {"DISABLE_TRADING_SERVICES": "0"})[0]


@pytest.mark.parametrize(
    ("argv", "modules", "environ"),
    [
        (["scalper"], {"pytest"}, {}),
        (["scalper"], {"sys"}, {"PYTEST_CURRENT_TEST": "x (call)"}),
        (["/venv/bin/pytest", "tests"], {"sys"}, {}),
        (["/usr/lib/python3.11/unittest/__main__.py"], {"sys"}, {}),
    ],
)
def test_never_under_tests(tmp_path: Path, argv: list[str], modules: set[str], environ: dict[str, str]) -> None:
    assert answer(tmp_path, argv, environ, frozenset(modules))[1] == "trading services are off: this is a test run"


@pytest.mark.parametrize(
    ("argv", "modules", "interactive"),
    [
        ([""], {"sys"}, True),
        (["scalper"], {"sys"}, True),
        (["-c"], {"sys"}, False),
        ([], {"sys"}, False),
        (["ipython"], {"IPython"}, False),
        (["x"], {"ipykernel"}, False),
    ],
)
def test_never_in_a_shell(tmp_path: Path, argv: list[str], modules: set[str], interactive: bool) -> None:
    allowed, sentence = answer(tmp_path, argv, None, frozenset(modules), interactive=interactive)
    assert not allowed
    assert "shell" in sentence
