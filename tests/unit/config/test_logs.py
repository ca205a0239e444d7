"""Levels by two settings, and no secret in any line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.logs import DHAN_LOG, set_up_logs
from algo_scalper.runtime.settings import load_settings


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root, dhan = logging.getLogger(), logging.getLogger(DHAN_LOG)
    handlers, level, dhan_level = root.handlers, root.level, dhan.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    dhan.setLevel(dhan_level)


def test_each_part_has_its_level_and_older_names_work(tmp_path: Path) -> None:
    said = {"DHAN_LOG_LEVEL": "debug", "RAILS_LOG_LEVEL": "warn"}
    set_up_logs(load_settings(said, tmp_path / "none"), str)
    assert logging.getLogger(f"{DHAN_LOG}.rest").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("algo_scalper.runtime").isEnabledFor(logging.INFO)


def test_secrets_are_masked_whoever_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = DhanSettings("1100000001", "eyJ.secret.word")
    set_up_logs(load_settings({}, tmp_path / "none"), account.masked)
    account.replace_token("eyJ.second.word")
    logging.getLogger("some.library").warning("GET /feed?token=%s after %s", "eyJ.second.word", "eyJ.secret.word")
    assert capsys.readouterr().err == "WARNING some.library: GET /feed?token=*** after ***\n"


def test_secrets_are_masked_in_a_traceback_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = DhanSettings("1100000001", "eyJ.secret.word")
    set_up_logs(load_settings({}, tmp_path / "none"), account.masked)
    logging.getLogger("some.library").error("broken", exc_info=ValueError("GET /feed?token=eyJ.secret.word"))
    assert capsys.readouterr().err == "ERROR some.library: broken\nValueError: GET /feed?token=***\n"


def test_a_level_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="environment: DHANHQ_LOG_LEVEL='loud' is not known"):
        set_up_logs(load_settings({"DHANHQ_LOG_LEVEL": "loud"}, tmp_path / "none"), str)
