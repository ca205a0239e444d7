"""Where Dhan is and who we are there. The token never shows in a repr, a log line or an exception."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

MASKED = "***"


@dataclass(frozen=True, slots=True, repr=False)
class DhanSettings:
    """Addresses and credentials of one account. The defaults are the live service; the simulator has its own."""

    client_id: str
    access_token: str
    base_url: str = "https://api.dhan.co/v2"
    feed_url: str = "wss://api-feed.dhan.co"
    order_url: str = "wss://api-order-update.dhan.co"
    csv_url: str = "https://images.dhan.co/api-data/api-scrip-master.csv"

    def __repr__(self) -> str:
        return (
            f"DhanSettings(client_id={MASKED}{self.client_id[-2:]}, access_token={MASKED}, base_url={self.base_url!r}, "
            f"feed_url={self.feed_url!r}, order_url={self.order_url!r}, csv_url={self.csv_url!r})"
        )

    def masked(self, text: str) -> str:
        """``text`` without our token and client id, plain or URL-encoded: for anything a person may read."""
        for secret in (self.access_token, self.client_id):
            if secret:
                text = text.replace(secret, MASKED).replace(quote(secret, safe=""), MASKED)
        return text

    def feed_address(self) -> str:
        """The feed's URL with its credentials. Only for connecting: never log it."""
        query = urlencode({"version": "2", "token": self.access_token, "clientId": self.client_id, "authType": "2"})
        return f"{self.feed_url}{'&' if '?' in self.feed_url else '?'}{query}"
