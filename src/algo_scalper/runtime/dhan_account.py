"""The account at Dhan out of the settings: addresses, client id, token, and the partner's values where they are used."""

from __future__ import annotations

from urllib.parse import urlsplit

from algo_scalper.adapters.dhan.access_token import fits_a_header
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.gate import is_loopback
from algo_scalper.runtime.settings import Settings

FEED_VERSION = "2"


def dhan_settings_of(settings: Settings, access_token: str = "") -> DhanSettings:
    """The account as the settings have it. ``access_token`` replaces the one of the settings.

    Raises `ConfigError` naming the variable, its place and the remedy.
    """
    said = settings.get("DHANHQ_CLIENT_ID")
    client_id = said.value
    if not client_id:
        raise ConfigError("DHANHQ_CLIENT_ID is set nowhere: write the client id of your Dhan account into .env")
    if not fits_a_header(client_id):
        raise ConfigError(f"{said.source}: DHANHQ_CLIENT_ID is not on one line, or has a character Dhan's have not")
    token = access_token or settings.text("DHANHQ_ACCESS_TOKEN")
    if not token:
        raise ConfigError("there is no access token: get one with scalper login, or set DHANHQ_ACCESS_TOKEN in .env")
    version = settings.get("DHANHQ_WS_VERSION")
    if version.value != FEED_VERSION:
        raise ConfigError(f"{version.source}: DHANHQ_WS_VERSION must be {FEED_VERSION}; Dhan speaks no other any more")
    user_type = _user_type(settings)
    return DhanSettings(
        client_id,
        token,
        _address(settings, "DHANHQ_BASE_URL", "https"),
        _address(settings, "DHANHQ_WS_MARKET_FEED_URL", "wss"),
        _address(settings, "DHANHQ_WS_ORDER_URL", "wss"),
        _address(settings, "DHANHQ_CSV_URL", "https"),
        auth_url=_address(settings, "DHANHQ_AUTH_URL", "https"),
        depth_20_url=_address(settings, "DHANHQ_WS_MARKET_DEPTH_URL", "wss"),
        depth_200_url=_address(settings, "DHANHQ_WS_FULL_DEPTH_URL", "wss"),
        user_type=user_type,
        partner_id=settings.text("DHANHQ_PARTNER_ID"),
        partner_secret=settings.text("DHANHQ_PARTNER_SECRET"),
    )


def _user_type(settings: Settings) -> str:
    said = settings.get("DHANHQ_WS_USER_TYPE")
    user_type = said.value.upper()
    if user_type not in {"SELF", "PARTNER"}:
        raise ConfigError(f"{said.source}: DHANHQ_WS_USER_TYPE={said.value!r} is not known; write SELF or PARTNER")
    if user_type == "PARTNER":
        missing = [name for name in ("DHANHQ_PARTNER_ID", "DHANHQ_PARTNER_SECRET") if not settings.text(name)]
        if missing:
            raise ConfigError(
                f"{said.source}: DHANHQ_WS_USER_TYPE=PARTNER needs {' and '.join(missing)}; set them in .env, or use SELF"
            )
    return user_type


def _address(settings: Settings, name: str, secure: str) -> str:
    """An address without a slash at its end; unencrypted only to this machine."""
    said = settings.get(name)
    url = said.value.rstrip("/")
    plain = secure.removesuffix("s")
    scheme, host = _parts(url)
    if not host or scheme not in {secure, plain}:
        raise ConfigError(f"{said.source}: {name}={said.value!r} is no address; write it as {secure}://host/path")
    if scheme == plain and not is_loopback(url):
        raise ConfigError(f"{said.source}: {name} would send the token to {host} unencrypted; use {secure}://")
    return url


def _parts(url: str) -> tuple[str, str]:
    """Scheme and host; empty texts where they cannot be read."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        whole = parts.port is None or parts.port > 0
    except ValueError:  # brackets of IPv6 that do not match; a port that is none
        return "", ""
    return (parts.scheme, host) if whole else ("", "")
