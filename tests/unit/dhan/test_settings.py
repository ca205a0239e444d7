"""The credentials never show."""

from __future__ import annotations

from urllib.parse import quote

from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
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


def test_masking_with_nothing_to_mask() -> None:
    assert DhanSettings("", "").masked("as it stands") == "as it stands"
