"""What an access token says of itself. Dhan's tokens are JWTs; nothing here checks a signature, only reads claims."""

from __future__ import annotations

import base64
import binascii

import msgspec

from algo_scalper.domain.units import NS_PER_SECOND


class TokenClaims(msgspec.Struct, frozen=True, rename="camel"):
    """The claims of a token that matter here. Absent ones are empty."""

    exp: float = 0.0
    """UTC seconds at which it ends."""
    iat: float = 0.0
    token_consumer_type: str = ""
    """SELF when made on web.dhan.co, APP when made by PIN and TOTP or by consent."""
    dhan_client_id: str = ""

    @property
    def expires_ns(self) -> int | None:
        """UTC ns at which it ends; None when it does not say."""
        return round(self.exp * NS_PER_SECOND) if self.exp > 0 else None


NO_CLAIMS = TokenClaims()


def fits_a_header(text: str) -> bool:
    """Whether a client id or a token can travel: nothing was broken into two lines or lost on the way here."""
    return text.isascii() and text.isprintable()


def token_claims(access_token: str) -> TokenClaims:
    """The claims of a JWT; empty ones for anything else (the simulator's token is a plain word)."""
    parts = access_token.split(".")
    if len(parts) != 3:
        return NO_CLAIMS
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=TokenClaims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return NO_CLAIMS
