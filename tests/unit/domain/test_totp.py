"""One-time passwords beside the vectors of RFC 6238, appendix B (SHA-1)."""

from __future__ import annotations

import pytest

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.totp import totp

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""Base32 of the RFC's key, the ASCII digits 12345678901234567890."""
VECTORS = [
    (59, "94287082"),
    (1_111_111_109, "07081804"),
    (1_111_111_111, "14050471"),
    (1_234_567_890, "89005924"),
    (2_000_000_000, "69279037"),
    (20_000_000_000, "65353130"),
]


@pytest.mark.parametrize(("at_s", "code"), VECTORS)
def test_the_vectors_of_the_rfc(at_s: int, code: str) -> None:
    assert totp(SECRET, at_s, digits=8) == code
    assert totp(SECRET, at_s) == code[-6:]


def test_a_code_lasts_its_thirty_seconds() -> None:
    assert totp(SECRET, 30) == totp(SECRET, 59) != totp(SECRET, 60)


def test_secrets_are_read_as_people_write_them() -> None:
    assert totp("gezd gnbv gy3t qojq gezd gnbv gy3t qojq", 59) == totp(SECRET, 59)
    assert totp("MZXW6===", 59) == totp("MZXW6", 59)


def test_what_is_no_base32_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="not base32") as refused:
        totp("hunter-2!", 59)
    assert "hunter" not in str(refused.value)
