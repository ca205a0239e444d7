"""Which account is asked, where, with which token: one side or the other, never half of each."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from algo_scalper.adapters.dhan.token_store import HowMade, MintedToken, TokenStore
from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.broker_account import NO_TOKEN, BrokerAccount, broker_account, need_token, simulated_account
from algo_scalper.runtime.settings import load_settings
from tests.unit.dhan.scripted import ist, jwt

CLIENT = "1100000001"
DAY = date(2026, 11, 23)
NOW = ist(DAY, "08:20")
LOCAL = "http://127.0.0.1:9200"


def account(tmp_path: Path, **said: str) -> BrokerAccount:
    environ = {"DHANHQ_CLIENT_ID": CLIENT, **said}
    return broker_account(load_settings(environ, tmp_path / "none.env"), tmp_path, NOW)


def keep(tmp_path: Path, ends: str, value: str = "a-stored-token") -> None:
    TokenStore(tmp_path, CLIENT).write(MintedToken(CLIENT, value, ist(DAY, ends), HowMade.PASTED, "SELF", NOW))


def test_the_stored_token_is_used_where_it_lasts_longer(tmp_path: Path) -> None:
    keep(tmp_path, "20:00")
    assert account(tmp_path).dhan.access_token == "a-stored-token"
    early, late = jwt(CLIENT, ist(DAY, "14:00")), jwt(CLIENT, ist(DAY, "21:00"))
    assert account(tmp_path, DHANHQ_ACCESS_TOKEN=early).dhan.access_token == "a-stored-token"
    assert account(tmp_path, DHANHQ_ACCESS_TOKEN=late).dhan.access_token == late


def test_the_token_that_lost_is_masked_too(tmp_path: Path) -> None:
    keep(tmp_path, "20:00")
    early = jwt(CLIENT, ist(DAY, "14:00"))
    assert early not in account(tmp_path, DHANHQ_ACCESS_TOKEN=early).dhan.masked(f"x {early}")


def test_a_stored_token_that_cannot_be_trusted_is_told_and_the_other_is_used(tmp_path: Path) -> None:
    keep(tmp_path, "20:00")
    TokenStore(tmp_path, CLIENT).path.chmod(0o644)
    word = jwt(CLIENT, ist(DAY, "14:00"))
    found = account(tmp_path, DHANHQ_ACCESS_TOKEN=word)
    assert found.dhan.access_token == word
    assert "chmod 600" in found.notices[0]


def test_without_a_token_one_can_still_log_in_but_not_ask(tmp_path: Path) -> None:
    found = account(tmp_path)
    assert found.dhan.access_token == NO_TOKEN
    with pytest.raises(ConfigError, match="scalper login"):
        need_token(found)


def test_a_pin_for_a_simulator_does_not_travel_to_the_real_host(tmp_path: Path) -> None:
    found = account(tmp_path, DHANHQ_BASE_URL=f"{LOCAL}/v2", DHANHQ_ACCESS_TOKEN="w")
    assert found.simulated
    addresses = (found.dhan.auth_url, found.dhan.feed_url, found.dhan.order_url, found.dhan.csv_url)
    assert addresses == (
        LOCAL,
        "ws://127.0.0.1:9200/feed",
        "ws://127.0.0.1:9200/order-updates",
        f"{LOCAL}/api-data/api-scrip-master-detailed.csv",
    )


@pytest.mark.parametrize(
    "said",
    [
        {"DHANHQ_BASE_URL": f"{LOCAL}/v2", "DHANHQ_AUTH_URL": "https://auth.dhan.co"},
        {"DHANHQ_WS_ORDER_URL": "ws://127.0.0.1:9200/order-updates"},
    ],
)
def test_half_an_account_here_and_half_there_is_refused(tmp_path: Path, said: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="not on the same side"):
        account(tmp_path, DHANHQ_ACCESS_TOKEN="w", **said)


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"DHANHQ_PIN": "804317"}, "DHANHQ_TOTP_SECRET"),
        ({"DHANHQ_TOTP_SECRET": "GEZDGNBV"}, "DHANHQ_PIN"),
        ({"DHANHQ_APP_ID": "x"}, "DHANHQ_APP_SECRET"),
    ],
)
def test_half_a_login_is_told(tmp_path: Path, said: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"{missing} is not") as told:
        account(tmp_path, DHANHQ_ACCESS_TOKEN="w", **said)
    assert "804317" not in str(told.value)


def test_the_means_of_a_login_are_masked_and_show_in_no_repr(tmp_path: Path) -> None:
    secrets = {
        "DHANHQ_PIN": "804317",
        "DHANHQ_TOTP_SECRET": "GEZDGNBVGY3TQOJQ",
        "DHANHQ_APP_ID": "app",
        "DHANHQ_APP_SECRET": "app-secret-word",
    }
    found = account(tmp_path, DHANHQ_ACCESS_TOKEN="a-token-word", **secrets)
    assert found.means.can_mint
    for secret in ("804317", "GEZDGNBVGY3TQOJQ", "app-secret-word", "a-token-word"):
        assert secret not in repr(found)
        assert secret not in found.dhan.masked(f"x {secret}")


@pytest.mark.parametrize("url", ["https://api.dhan.co", "http://example.com:9200", "ws://127.0.0.1:9200", "9200"])
def test_a_simulator_is_on_this_machine(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="a simulator is on this machine"):
        simulated_account(url, tmp_path, load_settings({}, tmp_path / "none.env"))
