"""The one rule of precedence, and what is said about where a setting came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.config import AlgoConfig, load_algo
from algo_scalper.runtime.settings import IGNORED, VARIABLES, Setting, Settings, load_settings, read_env_file

ROOT = Path(__file__).resolve().parents[3]


def algo(folder: Path, settings: str = "{}") -> AlgoConfig:
    file = folder / "algo.yml"
    file.write_text(f"indices: {{NIFTY: {{}}}}\nsettings: {settings}\n")
    return load_algo(file, "algo.yml")


def env_file(folder: Path, text: str) -> Path:
    file = folder / ".env"
    file.write_text(text)
    file.chmod(0o600)
    return file


def loaded(folder: Path, text: str = "", **environ: str) -> Settings:
    return load_settings(environ, env_file(folder, text))


def test_each_source_yields_to_the_one_before_it(tmp_path: Path) -> None:
    file = env_file(tmp_path, "\n# the page\nPORT=3002\n")
    in_algo = algo(tmp_path, "{PORT: 3003}")
    stored = {"PORT": "3004"}
    everything = load_settings({"PORT": "3001"}, file, in_algo, stored)
    assert everything.get("PORT").shown == "PORT=3001 from environment"
    assert load_settings({}, file, in_algo, stored).get("PORT").shown == "PORT=3002 from .env line 3"
    assert load_settings({}, tmp_path / "none", in_algo, stored).get("PORT").shown == "PORT=3003 from algo.yml line 2"
    assert load_settings({}, tmp_path / "none", None, stored).get("PORT").shown == "PORT=3004 from stored settings"
    assert load_settings({}, tmp_path / "none").get("PORT").shown == "PORT=3000 from built-in default"


def test_the_explanation_names_place_and_what_was_overruled(tmp_path: Path) -> None:
    lines = loaded(tmp_path, "A=1\nB=2\nC=3\nD=4\nPAPER_MODE=true\nPORT=3002\n", PORT="3001").explain()
    assert "PAPER_MODE=true from .env line 5" in lines
    assert "PORT=3001 from environment (overrules .env line 6)" in lines
    assert len(lines) == len(VARIABLES)


def test_an_empty_value_says_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, "PORT=3002\n", PORT="").count("PORT", 1, 65_535) == 3002


def test_older_names_speak_only_when_no_source_has_the_own_one(tmp_path: Path) -> None:
    assert loaded(tmp_path, "CLIENT_ID=old\n").get("DHANHQ_CLIENT_ID").shown == (
        "DHANHQ_CLIENT_ID=old from CLIENT_ID in .env line 1"
    )
    assert loaded(tmp_path, "DHANHQ_CLIENT_ID=own\n", CLIENT_ID="other").text("DHANHQ_CLIENT_ID") == "own"
    assert loaded(tmp_path, "ACCESS_TOKEN=t\n").text("DHANHQ_ACCESS_TOKEN") == "t"
    assert loaded(tmp_path, "DHAN_LOG_LEVEL=DEBUG\n").text("DHANHQ_LOG_LEVEL") == "DEBUG"
    assert loaded(tmp_path, RAILS_LOG_LEVEL="warn").text("LOG_LEVEL") == "warn"


def test_secrets_are_masked(tmp_path: Path) -> None:
    lines = loaded(tmp_path, "DHANHQ_ACCESS_TOKEN=eyJhbGciOi\n").explain()
    assert "DHANHQ_ACCESS_TOKEN=*** from .env line 1" in lines
    assert not any("eyJ" in line for line in lines)


@pytest.mark.parametrize("written", ["DHANHQ_ACCESS_TOKEN", "ACCESS_TOKEN"])
def test_a_secret_shows_in_no_repr_whatever_name_it_was_written_under(tmp_path: Path, written: str) -> None:
    for said in (
        loaded(tmp_path, f"{written}=eyJhbGciOi\n").get("DHANHQ_ACCESS_TOKEN"),
        Setting(written, "eyJhbGciOi", "x"),
    ):
        assert said.value == "eyJhbGciOi"
        assert "eyJ" not in repr(said) + str(said) + said.shown


@pytest.mark.parametrize(("word", "truth"), [("true", True), ("1", True), ("YES", True), ("off", False), ("0", False)])
def test_truth_is_written_in_many_ways(tmp_path: Path, word: str, truth: bool) -> None:
    assert loaded(tmp_path, DHANHQ_WS_ENABLED=word).flag("DHANHQ_WS_ENABLED") is truth


def test_what_is_neither_true_nor_false_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.env line 1: DHANHQ_WS_ENABLED='maybe' is neither true nor false"):
        loaded(tmp_path, "DHANHQ_WS_ENABLED=maybe\n").flag("DHANHQ_WS_ENABLED")


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "30 00"])
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigError, match="environment: PORT="):
        loaded(tmp_path, PORT=port).count("PORT", 1, 65_535)


def test_variables_of_the_old_framework_are_named_as_ignored(tmp_path: Path) -> None:
    notices = loaded(tmp_path, "RAILS_MAX_THREADS=2\n", WEB_CONCURRENCY="3").notices
    assert any(notice.startswith("RAILS_MAX_THREADS from .env line 1 has no effect here") for notice in notices)
    assert any(notice.startswith("WEB_CONCURRENCY from environment has no effect here") for notice in notices)


def test_a_misspelt_name_in_the_file_is_noticed(tmp_path: Path) -> None:
    (notice,) = loaded(tmp_path, "PAPER_MOD=false\n").notices
    assert notice == "PAPER_MOD from .env line 1 is not known here and has no effect; did you mean PAPER_MODE?"


def test_a_file_of_secrets_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    file = env_file(tmp_path, "DHANHQ_ACCESS_TOKEN=t\n")
    assert load_settings({}, file).notices == ()
    file.chmod(0o644)
    assert "chmod 600 .env" in load_settings({}, file).notices[0]


def test_the_file_forms_people_use(tmp_path: Path) -> None:
    file = env_file(tmp_path, "export PORT='3001'\nREDIS_URL=\"redis://h:1/0\" # local\r\n\n\nLOG_LEVEL = debug\n")
    found = read_env_file(file)
    assert {name: said.value for name, said in found.items()} == {
        "PORT": "3001",
        "REDIS_URL": "redis://h:1/0",
        "LOG_LEVEL": "debug",
    }
    assert found["LOG_LEVEL"].source == ".env line 5"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("PORT=1\nnot a line\n'", r"\.env line 2: not a NAME=value line"),
        ("PORT=1\n\nPORT=2\n", r"\.env line 3: PORT is already on \.env line 1"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_env_file(env_file(tmp_path, text))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{PORTT: 1}", r"algo.yml line 2: settings.PORTT: no such variable; the nearest is PORT"),
        ("{DHANHQ_ACCESS_TOKEN: x}", "put it into .env"),
        ("{PORT: [1]}", "must be one value"),
    ],
)
def test_variables_in_algo_yml_are_checked(tmp_path: Path, settings: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_settings({}, tmp_path / "none", algo(tmp_path, settings))


def test_the_example_file_holds_no_secret_and_only_known_names() -> None:
    settings = load_settings({}, ROOT / ".env.example")
    assert settings.notices == ()
    assert settings.text("DHANHQ_ACCESS_TOKEN") == ""
    assert settings.flag("PAPER_MODE") is True
    assert settings.flag("ENABLE_ORDER") is False


def test_no_name_is_both_obeyed_and_ignored() -> None:
    obeyed = {name for variable in VARIABLES for name in (variable.name, *variable.older)}
    assert not obeyed & set(IGNORED)
