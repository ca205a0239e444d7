"""The key an account's access token is encrypted with at rest, and the encrypting (AES-256-GCM).

The key comes from the environment (``ALGO_SCALPER_KEY``), else from a file beside the data folder (``var.key`` beside
``var``), made at need, readable by its owner alone: outside the folder, the stores and their backups, so that a copy of any
of these is no use without it. A lost key costs a new token and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from contextlib import suppress
from pathlib import Path

from algo_scalper.domain.errors import ConfigError, StoreError

VARIABLE = "ALGO_SCALPER_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
_MAKE_ONE = "make one with: openssl rand -base64 32"


class WrongKey(StoreError):
    """What was encrypted was not encrypted with this key, or was changed since."""


class TokenKey:
    """One installation's key. Nothing is read or made before it is needed."""

    def __init__(self, data_dir: Path, said: str = "") -> None:
        """``said`` is the value of ``ALGO_SCALPER_KEY``; empty: the file counts."""
        self._said = said
        self.path = Path(f"{data_dir.resolve()}.key")

    @property
    def where(self) -> str:
        """Where the key comes from, for people."""
        return VARIABLE if self._said else str(self.path)

    def __repr__(self) -> str:
        return f"TokenKey({self.where})"

    def encrypt(self, text: bytes, purpose: str) -> bytes:
        """Encrypted, and bound to ``purpose``; the key is made when there is none. Raises `StoreError`, `ConfigError`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - most commands need none

        key = self._key() or self._made()
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, text, purpose.encode())

    def decrypt(self, content: bytes, purpose: str) -> bytes:
        """The text. Raises `WrongKey` when there is no key, another one, or the content was changed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        key = self._key()
        if key is None:
            raise WrongKey(f"its key is gone ({self.path} is not there and {VARIABLE} is not set)")
        try:
            return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            raise WrongKey(f"it was not encrypted with the key of {self.where}, or was changed since") from None

    def _key(self) -> bytes | None:
        if self._said:
            key = _decoded(self._said)
            if key is None:
                raise ConfigError(f"{VARIABLE} is not {KEY_BYTES} bytes in base64; {_MAKE_ONE}, or empty it")
            return key
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise StoreError(f"{self.path}: the token's key cannot be read ({fault.strerror})") from None
        with os.fdopen(handle, "rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                raise StoreError(
                    f"{self.path}: other users of this machine can read the token's key, so it is not used; run: "
                    f"chmod 600 {self.path} (and, to be safe, remove it and get a new token with: scalper login)"
                )
            key = _decoded(file.read(1_024).decode("ascii", "replace"))
        if key is None:
            raise StoreError(f"{self.path}: holds no key; remove it and get a new token with: scalper login")
        return key

    def _made(self) -> bytes:
        """Write a new key, whole or not at all; the one of a process that was faster is taken instead."""
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                new.unlink()
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
                    file.flush()
                    os.fsync(handle)
                with suppress(FileExistsError):
                    self.path.hardlink_to(new)
            finally:
                new.unlink()
        except OSError as fault:
            raise StoreError(
                f"{self.path}: the token's key cannot be written ({fault.strerror}); make its folder writable, or set "
                f"{VARIABLE} ({_MAKE_ONE})"
            ) from None
        key = self._key()
        assert key is not None
        return key


def _decoded(text: str) -> bytes | None:
    """32 bytes of base64, of either alphabet; None for anything else."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None
