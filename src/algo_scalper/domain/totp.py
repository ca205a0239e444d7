"""Time-based one-time passwords (RFC 6238, HMAC-SHA-1, 30-second steps): the six digits an authenticator app shows."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from algo_scalper.domain.errors import ConfigError

STEP_S = 30


def totp(secret_b32: str, at_s: int, digits: int = 6) -> str:
    """The code of ``secret_b32`` (base32; spaces, case and padding do not matter) at ``at_s``, seconds since 1970 UTC.

    Raises `ConfigError` for what is no base32; the message never shows the secret.
    """
    bare = "".join(secret_b32.split()).rstrip("=").upper()
    try:
        key = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except binascii.Error:
        raise ConfigError("the TOTP secret is not base32 (letters A-Z, digits 2-7): copy it again") from None
    digest = hmac.new(key, (at_s // STEP_S).to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)
