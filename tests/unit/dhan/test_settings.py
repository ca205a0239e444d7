"""The credentials never show."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.errors import ConfigError
from tests.unit.dhan.doubles import CLIENT, TOKEN, HandClock, settings_for


def test_the_live_service_is_the_default() -> None:
    live = DhanSettings(CLIENT, TOKEN)
    assert live.base_url == "https://api.dhan.co/v2"
    assert live.feed_address().startswith("wss://api-feed.dhan.co?version=2&token=")
    assert live.order_url == "wss://api-order-update.dhan.co"
    assert live.csv_url.endswith("api-scrip-master-detailed.csv")


def test_nothing_printed_has_the_token_or_the_whole_client_id() -> None:
    settings = settings_for()
    for shown in (repr(settings), str(settings), f"{settings}", repr(DhanRest(settings, HandClock()))):
        assert TOKEN not in shown
        assert quote(TOKEN, safe="") not in shown
        assert CLIENT not in shown
    assert settings.masked(f"a {settings.feed_address()} b {TOKEN} c {CLIENT}").count("***") == 4


LONG = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9." + "c2VjcmV0" * 30


@pytest.mark.parametrize("cut", [12, 40, 200, len(LONG) - 1])
def test_a_secret_that_was_cut_short_is_masked_as_well(cut: int) -> None:
    settings = DhanSettings("1100000001", LONG)
    assert settings.masked(f"it said {LONG[:cut]}' and went on: {LONG[:cut]}") == "it said ***' and went on: ***"


def test_what_only_begins_like_a_short_secret_is_left_alone() -> None:
    settings = DhanSettings("1100000001", LONG)
    assert settings.masked("order 1100000002 and eyJ0eXA") == "order 1100000002 and eyJ0eXA"


@pytest.mark.parametrize("broken", ["eyJ\nabc", "eyJ\r\nX-Other: 1", "eyJ\x00", "t\u00f6ken"])
def test_what_no_request_can_carry_is_refused_before_one_is_made(broken: str) -> None:
    with pytest.raises(ConfigError, match="the access token has a line break in it") as told:
        DhanSettings("1100000001", broken)
    assert broken not in str(told.value)
    with pytest.raises(ConfigError, match="the client id has a line break"):
        DhanSettings(broken, TOKEN)
    settings = DhanSettings("1100000001", TOKEN)
    with pytest.raises(ConfigError, match="the access token"):
        settings.replace_token(broken)
    assert settings.access_token == TOKEN


def test_masking_with_nothing_to_mask() -> None:
    assert DhanSettings("", "").masked("as it stands") == "as it stands"
