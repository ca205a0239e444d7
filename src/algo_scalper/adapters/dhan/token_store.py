"""Where an account's access token lies between processes: one file per account, readable by its owner alone.

The page, the command line, a phone and the engine all write here, and the engine takes up whatever is newest without a
restart. Writing replaces the file whole; making a token needs the account's lock, so that two processes never make
two (each new token ends the one before it). The token lies encrypted (`token_key`), bound to its account; a plain file of
an earlier version is read once more and encrypted then.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

import msgspec

from algo_scalper.adapters.dhan.access_token import token_claims
from algo_scalper.adapters.dhan.settings import MASKED
from algo_scalper.adapters.dhan.token_key import TokenKey, WrongKey
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.units import clock_text, ist_day

FORMAT = 2
PLAIN_FORMAT = 1
FOLDER = "tokens"
WEB_MADE = "SELF"
"""The consumer type of tokens made on web.dhan.co: the only ones that can be renewed."""
MOST_BYTES = 16_384
"""A token file is a few hundred bytes; anything much larger is not one."""


class HowMade(StrEnum):
    """How a token came to be."""

    PIN_AND_TOTP = "pin_and_totp"
    RENEWED = "renewed"
    CONSENT = "consent"
    PARTNER = "partner"
    PASTED = "pasted"


class MintedToken(msgspec.Struct, frozen=True):
    """An access token and what is known of it. Its value shows in no repr."""

    client_id: str
    access_token: str
    expires_ns: int
    """UTC ns at which it ends; 0 when nobody says."""
    how: HowMade
    consumer: str = ""
    """SELF when made on web.dhan.co, APP when made by PIN and TOTP or by consent; empty when unknown."""
    minted_ns: int = 0

    def __repr__(self) -> str:
        return (
            f"MintedToken(client_id={MASKED}{self.client_id[-2:]}, access_token={MASKED}, "
            f"expires={moment_text(self.expires_ns)}, how={self.how.value}, consumer={self.consumer!r})"
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is written: ``sealed`` is the encrypted token, ``token`` the plain one of earlier versions."""

    format: int
    sealed: bytes = b""
    token: MintedToken | None = None


class TokenBusy(StoreError):
    """Another process is making a token for this account right now."""


class TokenStore:
    """One account's file. Reading and writing are safe against other processes; making a token needs `making`."""

    def __init__(self, data_dir: Path, client_id: str, key: str = "") -> None:
        """``key`` is the value of ``ALGO_SCALPER_KEY``; empty: the file beside ``data_dir`` counts."""
        folder = data_dir / FOLDER
        self._key = TokenKey(data_dir, key)
        self.client_id = client_id
        self.path = folder / f"{quote(client_id, safe='')}.json"
        self._lock_path = self.path.with_suffix(".lock")

    def __repr__(self) -> str:
        return f"TokenStore({MASKED}{self.client_id[-2:]})"

    def read(self) -> MintedToken | None:
        """The stored token, None when there is none.

        Raises `StoreError` for a file that others can read, that is torn, that belongs to another account, or that this
        key does not open: such a token is not used. Raises `ConfigError` for a key that is none.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise StoreError(f"{self.path}: the token cannot be read ({fault.strerror})") from None
        with os.fdopen(handle, "rb") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                raise StoreError(
                    f"{self.path}: other users of this machine can read the token, so it is not used; run: "
                    f"chmod 600 {self.path} (and, to be safe, get a new one with: scalper login)"
                )
            content = file.read(MOST_BYTES + 1)
        found = self._decoded(content)
        if found.token is None:
            return self._opened(found.sealed)
        # Whoever makes a token at this moment replaces the plain file anyway.
        with contextlib.suppress(TokenBusy), self.making():
            if self._content() == content:
                self.write(found.token)
        return found.token

    def write(self, token: MintedToken) -> None:
        """Replace the file, whole and at once, readable by its owner alone. Raises `StoreError` when it is not kept."""
        if token.client_id != self.client_id:
            raise StoreError("the token is of another client id than this store's account: nothing was written")
        content = msgspec.json.encode(
            _File(FORMAT, sealed=self._key.encrypt(msgspec.json.encode(token), self._purpose))
        )
        new = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            self._make_folder()
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(handle)
            new.replace(self.path)
        except OSError as fault:
            raise StoreError(
                f"{self.path}: the token cannot be written ({fault.strerror}); make its folder writable"
            ) from None

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the file does; (0, 0) while there is none. Cheap: the file is not opened."""
        try:
            found = self.path.stat()
        except OSError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """Hold the account's lock while a token is made and written. Raises `TokenBusy` when another process has it.

        Read the store again inside: the other process may have finished a moment ago. The kernel lets go of the lock
        when its holder dies.
        """
        try:
            self._make_folder()
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as fault:
            raise StoreError(
                f"{self._lock_path}: cannot be made ({fault.strerror}); make its folder writable"
            ) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TokenBusy(
                    "another process is making a token for this account; its token is taken up when it is done"
                ) from None
            yield
        finally:
            os.close(handle)

    def _make_folder(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def _purpose(self) -> str:
        """What the encrypted token is good for: not another account's file."""
        return f"access token of {self.client_id}"

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def _decoded(self, content: bytes) -> _File:
        if len(content) > MOST_BYTES:
            raise StoreError(f"{self.path}: far too large to be a token file, so it is not used; {self._remedy}")
        try:
            found = msgspec.json.decode(content, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # The decoder's own words may repeat a piece of the token.
            raise StoreError(f"{self.path}: torn, or not a token file, so it is not used; {self._remedy}") from None
        if found.format not in {FORMAT, PLAIN_FORMAT}:
            raise StoreError(
                f"{self.path}: written in format {found.format}, this version reads {FORMAT}, so it is not used; "
                f"{self._remedy}"
            )
        if (found.format == PLAIN_FORMAT) != (found.token is not None):
            raise StoreError(f"{self.path}: torn, or not a token file, so it is not used; {self._remedy}")
        if found.token is not None:
            self._check(found.token)
        return found

    def _opened(self, sealed: bytes) -> MintedToken:
        try:
            text = self._key.decrypt(sealed, self._purpose)
        except WrongKey as fault:
            raise StoreError(
                f"{self.path}: the stored token is not used: {fault}. Nothing but the token is lost; get a new one with: "
                "scalper login"
            ) from None
        token = msgspec.json.decode(text, type=MintedToken)
        self._check(token)
        return token

    def _check(self, token: MintedToken) -> None:
        if token.client_id != self.client_id or not token.access_token:
            raise StoreError(f"{self.path}: holds no token of this account, so it is not used; {self._remedy}")

    @property
    def _remedy(self) -> str:
        return f"remove {self.path} and get a new token with: scalper login"


class ChosenToken(msgspec.Struct, frozen=True):
    """Which token is used, and why, in words. ``access_token`` is empty when there is none to use."""

    access_token: str
    expires_ns: int
    """UTC ns; 0 when unknown."""
    web_made: bool
    """Made on web.dhan.co, so that it can be renewed."""
    sentence: str

    def __repr__(self) -> str:
        return f"ChosenToken({self.sentence!r})"


def choose_token(
    client_id: str, env_token: str, env_source: str, stored: MintedToken | None, now_ns: int
) -> ChosenToken:
    """The one of two tokens that ends later, among those of this client id.

    A token that does not say when it ends stands behind one that still lasts. ``env_source`` names where the first was found ("DHANHQ_ACCESS_TOKEN from .env line 2").
    """
    env = _of_environment(client_id, env_token, env_source)
    kept = _of_store(stored)
    if isinstance(env, str):
        why = f"; {env}" if env else ""
        if kept is None:
            return ChosenToken("", 0, web_made=False, sentence=f"no access token{why}; get one with: scalper login")
        return msgspec.structs.replace(kept, sentence=f"{kept.sentence}{_past(kept, now_ns)}{why}")
    if kept is None:
        return msgspec.structs.replace(env, sentence=env.sentence + _past(env, now_ns))
    if kept.access_token == env.access_token:
        return msgspec.structs.replace(
            kept, sentence=f"{kept.sentence} (the same as {env_source}){_past(kept, now_ns)}"
        )
    first, second = (kept, env) if _lasts(kept, now_ns) >= _lasts(env, now_ns) else (env, kept)
    return msgspec.structs.replace(
        first, sentence=f"{first.sentence}{_past(first, now_ns)}; it lasts longer than {second.sentence}"
    )


def _of_environment(client_id: str, env_token: str, env_source: str) -> ChosenToken | str:
    """The token of the environment, or why it is not used (empty when there is none)."""
    if not env_token:
        return ""
    claims = token_claims(env_token)
    if claims.dhan_client_id and claims.dhan_client_id != client_id:
        return f"{env_source} is of another client id than DHANHQ_CLIENT_ID and is not used"
    expires_ns = claims.expires_ns or 0
    return ChosenToken(
        env_token,
        expires_ns,
        web_made=claims.token_consumer_type == WEB_MADE,
        sentence=f"{env_source}, {_until(expires_ns)}",
    )


def _of_store(stored: MintedToken | None) -> ChosenToken | None:
    if stored is None:
        return None
    return ChosenToken(
        stored.access_token,
        stored.expires_ns,
        web_made=stored.consumer == WEB_MADE,
        sentence=f"the stored token ({stored.how.value.replace('_', ' ')}), {_until(stored.expires_ns)}",
    )


def _until(expires_ns: int) -> str:
    return f"until {moment_text(expires_ns)}" if expires_ns else "which does not say when it ends"


def _past(token: ChosenToken, now_ns: int) -> str:
    return ", which has passed: get a new one with: scalper login" if 0 < token.expires_ns <= now_ns else ""


def _lasts(token: ChosenToken, now_ns: int) -> tuple[bool, int]:
    """For ordering: tokens that are over last of all, unknown ends behind known ones that still last."""
    over = 0 < token.expires_ns <= now_ns
    return not over, token.expires_ns


def moment_text(at_ns: int) -> str:
    """``"Mon 23 Nov 08:59"`` in IST; ``"unknown"`` for 0."""
    if not at_ns:
        return "unknown"
    day = ist_day(at_ns)
    return f"{day:%a} {day.day} {day:%b} {clock_text(at_ns)[:5]}"
