"""Where Dhan is and who we are there. The token never shows in a repr, a log line or an exception."""

from __future__ import annotations

from typing import Self
from urllib.parse import quote, urlencode

from algo_scalper.adapters.dhan.access_token import fits_a_header
from algo_scalper.domain.errors import ConfigError

MASKED = "***"
SHORTEST_SECRET = 4
"""Anything shorter would be masked out of ordinary words."""
BEGINNING = 12
"""So much of a longer secret is known again where a text was cut in the middle of it."""

LIVE_REST = "https://api.dhan.co/v2"
LIVE_AUTH = "https://auth.dhan.co"
LIVE_FEED = "wss://api-feed.dhan.co"
LIVE_ORDERS = "wss://api-order-update.dhan.co"
LIVE_DEPTH_20 = "wss://depth-api-feed.dhan.co/twentydepth"
LIVE_DEPTH_200 = "wss://full-depth-api.dhan.co/twohundreddepth"
LIVE_CSV = "https://images.dhan.co/api-data/api-scrip-master-detailed.csv"

SIMULATED = "SIMULATED"
"""The simulated account's client id and token: well-known words, not secrets."""
SIMULATOR = "http://127.0.0.1:9200"
"""Where ``scalper sim`` listens."""


class DhanSettings:
    """Addresses and credentials of one account. The addresses left out are the live service's.

    The access token may be replaced while everything runs (`replace_token`): each request, and each connection made
    from then on, uses the new one. All tokens ever held are masked in what people read.
    """

    def __init__(
        self,
        client_id: str,
        access_token: str,
        base_url: str = LIVE_REST,
        feed_url: str = LIVE_FEED,
        order_url: str = LIVE_ORDERS,
        csv_url: str = LIVE_CSV,
        *,
        auth_url: str = LIVE_AUTH,
        depth_20_url: str = LIVE_DEPTH_20,
        depth_200_url: str = LIVE_DEPTH_200,
        user_type: str = "SELF",
        partner_id: str = "",
        partner_secret: str = "",
    ) -> None:
        """``user_type``: SELF, or PARTNER with the two partner values, which the order socket then logs in with.

        Raises `ConfigError` for a client id or a token with a character in it that no request can carry.
        """
        _refuse_unfit("client id", client_id)
        _refuse_unfit("access token", access_token)
        self.client_id = client_id
        self.base_url = base_url
        self.auth_url = auth_url
        self.feed_url = feed_url
        self.order_url = order_url
        self.depth_20_url = depth_20_url
        self.depth_200_url = depth_200_url
        self.csv_url = csv_url
        self.user_type = user_type
        self.partner_id = partner_id
        self.partner_secret = partner_secret
        self._access_token = access_token
        self._secrets = [access_token, partner_secret]

    @classmethod
    def simulator(
        cls, root: str = SIMULATOR, *, user_type: str = "SELF", partner_id: str = "", partner_secret: str = ""
    ) -> Self:
        """The simulated account of ``scalper sim``, every address at the simulator: none is left at the live service."""
        sockets = root.replace("http", "ws", 1)
        return cls(
            SIMULATED,
            SIMULATED,
            f"{root}/v2",
            f"{sockets}/feed",
            f"{sockets}/order-updates",
            f"{root}/api-data/api-scrip-master-detailed.csv",
            auth_url=root,
            depth_20_url=f"{sockets}/twentydepth",
            depth_200_url=f"{sockets}/twohundreddepth",
            user_type=user_type,
            partner_id=partner_id,
            partner_secret=partner_secret,
        )

    def __repr__(self) -> str:
        return (
            f"DhanSettings(client_id={MASKED}{self.client_id[-2:]}, access_token={MASKED}, base_url={self.base_url!r}, "
            f"feed_url={self.feed_url!r}, order_url={self.order_url!r}, csv_url={self.csv_url!r})"
        )

    @property
    def access_token(self) -> str:
        """The token in use now. Never print it."""
        return self._access_token

    def replace_token(self, access_token: str) -> None:
        """Use this token from now on. Raises `ConfigError` as the constructor does; the old one then stays."""
        _refuse_unfit("access token", access_token)
        self.keep_secret(access_token)
        self._access_token = access_token

    def keep_secret(self, secret: str) -> None:
        """Mask this too: a PIN, a TOTP, an application's secret."""
        if secret and secret not in self._secrets:
            self._secrets.append(secret)

    def masked(self, text: str) -> str:
        """``text`` without our secrets and client id, plain or URL-encoded: for anything a person may read."""
        # The longest first: one secret may hold another.
        for secret in sorted((*self._secrets, self.client_id), key=len, reverse=True):
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, MASKED).replace(quote(secret, safe=""), MASKED)
            if len(secret) > BEGINNING:
                text = _without_beginnings(text, secret)
        return text

    def feed_address(self) -> str:
        """The feed's URL with its credentials. Only for connecting: never log it."""
        return self._with_credentials(self.feed_url, version=True)

    def depth_address(self, levels: int) -> str:
        """The URL of the 20- or 200-level depth socket with its credentials. Only for connecting: never log it."""
        return self._with_credentials(self.depth_20_url if levels == 20 else self.depth_200_url, version=False)

    def _with_credentials(self, url: str, *, version: bool) -> str:
        known = {"token": self.access_token, "clientId": self.client_id, "authType": "2"}
        query = urlencode({"version": "2", **known} if version else known)
        return f"{url}{'&' if '?' in url else '?'}{query}"


def _refuse_unfit(name: str, text: str) -> None:
    if not fits_a_header(text):
        raise ConfigError(f"the {name} has a line break in it, or a character Dhan's have not: copy it again, whole")


def _without_beginnings(text: str, secret: str) -> str:
    """``text`` without what is left of the secret where somebody cut a longer text short: a server, or we."""
    at = text.find(secret[:BEGINNING])
    while at >= 0:
        end = at + BEGINNING
        while end < len(text) and text[end] == secret[end - at]:
            end += 1
        text = f"{text[:at]}{MASKED}{text[end:]}"
        at = text.find(secret[:BEGINNING], at)
    return text
