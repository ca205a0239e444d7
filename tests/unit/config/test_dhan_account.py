"""The account from the settings: what is missing, impossible or unsafe is named with its place and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.dhan_account import dhan_settings_of
from algo_scalper.runtime.settings import Settings, load_settings

KEYS = {"DHANHQ_CLIENT_ID": "1100000001", "DHANHQ_ACCESS_TOKEN": "eyJ.secret.word"}


def settings_of(tmp_path: Path, said: dict[str, str]) -> Settings:
    return load_settings(said, tmp_path / "none.env")


def test_two_keys_are_enough_and_the_rest_is_the_live_service(tmp_path: Path) -> None:
    dhan = dhan_settings_of(settings_of(tmp_path, KEYS))
    assert (dhan.client_id, dhan.access_token) == ("1100000001", "eyJ.secret.word")
    assert dhan.base_url == "https://api.dhan.co/v2"
    assert dhan.order_url == "wss://api-order-update.dhan.co"
    assert "secret" not in repr(dhan)


def test_the_older_names_of_the_keys_work(tmp_path: Path) -> None:
    dhan = dhan_settings_of(settings_of(tmp_path, {"CLIENT_ID": "7", "ACCESS_TOKEN": "word"}))
    assert (dhan.client_id, dhan.access_token) == ("7", "word")


def test_a_token_from_the_store_is_used_instead(tmp_path: Path) -> None:
    assert dhan_settings_of(settings_of(tmp_path, KEYS), "stored").access_token == "stored"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"DHANHQ_CLIENT_ID": ""}, "DHANHQ_CLIENT_ID is set nowhere"),
        ({"DHANHQ_ACCESS_TOKEN": ""}, "scalper login"),
        ({"DHANHQ_WS_VERSION": "1"}, "environment: DHANHQ_WS_VERSION must be 2"),
        ({"DHANHQ_BASE_URL": "http://api.dhan.co/v2"}, "unencrypted; use https://"),
        ({"DHANHQ_WS_ORDER_URL": "ws://example.com"}, "unencrypted; use wss://"),
        ({"DHANHQ_BASE_URL": "api.dhan.co"}, "is no address"),
        ({"DHANHQ_BASE_URL": "https://api.dhan.co:99999/v2"}, "is no address"),
        ({"DHANHQ_BASE_URL": "https://api.dhan.co:x/v2"}, "is no address"),
        ({"DHANHQ_ACCESS_TOKEN": "eyJ.two\nlines"}, "the access token has a line break in it"),
        ({"DHANHQ_CLIENT_ID": "1100\r\n000001"}, "environment: DHANHQ_CLIENT_ID is not on one line"),
        ({"DHANHQ_WS_USER_TYPE": "OTHER"}, "write SELF or PARTNER"),
        ({"DHANHQ_WS_USER_TYPE": "PARTNER", "DHANHQ_PARTNER_ID": "p"}, "DHANHQ_PARTNER_SECRET"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, said: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=r"DHANHQ|access token") as told:
        dhan_settings_of(settings_of(tmp_path, {**KEYS, **said}))
    assert words in str(told.value)


def test_this_machine_needs_no_encryption(tmp_path: Path) -> None:
    dhan = dhan_settings_of(settings_of(tmp_path, {**KEYS, "DHANHQ_BASE_URL": "http://127.0.0.1:9200/v2/"}))
    assert dhan.base_url == "http://127.0.0.1:9200/v2"


def test_names_of_the_old_framework_are_named_with_what_to_use(tmp_path: Path) -> None:
    found = settings_of(
        tmp_path, {"RAILS_SERVE_STATIC_FILES": "1", "SOLID_QUEUE_IN_PUMA": "true", "RAILS_LOG_LEVEL": "x"}
    )
    assert any("RAILS_SERVE_STATIC_FILES" in notice and "LOG_LEVEL" in notice for notice in found.notices)
    assert any("SOLID_QUEUE_IN_PUMA" in notice for notice in found.notices)
    assert not any("RAILS_LOG_LEVEL from" in notice for notice in found.notices), "it is an older name, obeyed"
