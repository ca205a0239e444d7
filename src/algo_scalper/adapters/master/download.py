"""Fetching the master file into the data folder: asked for only when needed, resumed where it broke off, replaced whole.

Under the folder lie ``master.csv`` and ``master.json`` (where it came from, its digest, when it was last known to be the
server's); ``master.part`` and ``part.json`` while a download is not complete. A file is put in place by renaming, so it is
always a whole one. The file is public: no credentials are sent.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import aiohttp
import msgspec

from algo_scalper.domain.errors import BrokerRefused, BrokerUnreachable, StoreError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND

CHUNK_BYTES = 1 << 20
ATTEMPTS = 3
ATTEMPT_S = 120.0
"""For one attempt; the next one goes on where it ended."""
SILENCE_S = 30.0
PAUSE_NS = 2 * NS_PER_SECOND
MOST_BYTES = 512 << 20
"""Ten times the largest master there was. A file that never ends must not fill the disk."""


class Came(StrEnum):
    """Where the file of an import came from."""

    CACHE = "cache"
    CONFIRMED = "confirmed"
    """The server said that ours is the current one."""
    DOWNLOADED = "downloaded"
    RESUMED = "resumed"
    LOCAL = "local"
    """A person named a file on this machine."""


class Fetched(msgspec.Struct, frozen=True):
    """A whole file on this machine. ``confirmed_ns``: when it was last known to be the server's current one."""

    path: Path
    source: str
    digest: str
    size_bytes: int
    confirmed_ns: int
    came: Came


class _Note(msgspec.Struct):
    """What is remembered beside a file, whole or partial."""

    url: str
    etag: str = ""
    last_modified: str = ""
    size_bytes: int = 0
    digest: str = ""
    confirmed_ns: int = 0

    @property
    def validator(self) -> str:
        """What a server knows this version by; a weak tag is good for nothing when bytes are joined."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class _Broken(Exception):
    """An attempt that may be repeated."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other imports of this machine away from a folder while the block runs. Raises StoreError when one is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made ({error.strerror}); make the data folder writable") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{folder}: another import is at work there; wait until it has ended") from None
        yield
    finally:
        os.close(lock)


def local_file(path: Path, now_ns: int) -> Fetched:
    """A file somebody has named. Raises StoreError when it cannot be read."""
    try:
        return Fetched(path, str(path), digest_of(path), path.stat().st_size, now_ns, Came.LOCAL)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error


def digest_of(path: Path) -> str:
    """BLAKE2 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


class MasterCache:
    """The copy of the master file in the data folder, and the way to a newer one."""

    def __init__(
        self, folder: Path, clock: Clock, *, attempt_s: float = ATTEMPT_S, silence_s: float = SILENCE_S
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._attempt_s = attempt_s
        self._silence_s = silence_s
        self._file, self._note = folder / "master.csv", folder / "master.json"
        self._part, self._part_note = folder / "master.part", folder / "part.json"

    async def fetch(self, url: str, max_age_ns: int, *, fresh: bool = False) -> Fetched:
        """The current file: ours while it is younger than ``max_age_ns``, else whatever the server says is current.

        ``fresh`` asks the server in any case. Raises `BrokerUnreachable` when it does not come, `BrokerRefused` when the
        server says no, `StoreError` when it cannot be stored.
        """
        kept = self._kept(url)
        age_ns = self._clock.now_ns() - kept.confirmed_ns if kept else 0
        if kept is not None and not fresh and 0 <= age_ns < max_age_ns:
            return self._fetched(kept, Came.CACHE)
        faults: list[str] = []
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._silence_s, sock_read=self._silence_s),
        ) as session:
            for attempt in range(ATTEMPTS):
                if attempt:
                    await self._clock.sleep_until(self._clock.now_ns() + attempt * PAUSE_NS)
                try:
                    async with asyncio.timeout(self._attempt_s):
                        return await self._ask(session, url, kept)
                except (aiohttp.ClientError, TimeoutError, ConnectionError, _Broken) as fault:
                    faults.append(str(fault) or type(fault).__name__)
                except OSError as error:
                    raise StoreError(
                        f"{self._folder}: {error.strerror or error}; free space, or name another folder"
                    ) from error
        raise BrokerUnreachable(
            f"instrument master: {url} did not come in {ATTEMPTS} attempts ({'; '.join(faults)}); the catalog in use stays, "
            "and the next import goes on where this one ended"
        )

    def forget(self) -> None:
        """Our copy turned out to be no master file: the next import fetches one, whatever its age."""
        self._note.unlink(missing_ok=True)

    async def _ask(self, session: aiohttp.ClientSession, url: str, kept: _Note | None) -> Fetched:
        part = self._unfinished(url)
        # Unpacked on the way, a file could not be resumed: its ranges count packed bytes.
        headers = {"Accept-Encoding": "identity"}
        if part is not None:
            headers |= {"Range": f"bytes={part.size_bytes}-", "If-Range": part.validator}
        elif kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        elif kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        async with session.get(url, headers=headers) as answer:
            if url.startswith("https:") and answer.url.scheme != "https":
                raise BrokerRefused(
                    f"instrument master: {url} leads to {answer.url}, which is not encrypted; not followed"
                )
            if answer.status == 304 and kept is not None:
                kept.confirmed_ns = self._clock.now_ns()
                self._remember(self._note, kept)
                return self._fetched(kept, Came.CONFIRMED)
            if answer.status == 416:
                self._forget_part()
                raise _Broken("the rest of the file was asked for and is not there any more")
            if answer.status in {408, 425, 429} or answer.status >= 500:
                raise _Broken(f"HTTP {answer.status}")
            if answer.status not in {200, 206}:
                excerpt = (await answer.content.read(200)).decode(errors="replace").strip()[:80]
                raise BrokerRefused(
                    f"instrument master: {url} answers {answer.status}: {excerpt!r}; check DHANHQ_CSV_URL; the catalog in use stays"
                )
            resumed = answer.status == 206
            await self._receive(answer, url, part.size_bytes if part is not None and resumed else 0)
        return self._put_in_place(Came.RESUMED if resumed else Came.DOWNLOADED)

    async def _receive(self, answer: aiohttp.ClientResponse, url: str, at: int) -> None:
        if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
            self._forget_part()
            raise _Broken("the server sent another part than the one asked for")
        if at == 0:
            note = _Note(url, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""))
            self._part.unlink(missing_ok=True)
            self._remember(self._part_note, note)
        packed = answer.headers.get("Content-Encoding", "identity") != "identity"
        whole = None if packed or answer.content_length is None else at + answer.content_length
        with self._part.open("ab") as stream:
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                stream.write(chunk)
                if stream.tell() > MOST_BYTES:
                    break
            size = stream.tell()
            stream.flush()
            os.fsync(stream.fileno())
        if size > MOST_BYTES:
            self._forget_part()
            raise BrokerRefused(f"instrument master: {url} is larger than {MOST_BYTES >> 20} MB: it is something else")
        if whole is not None and size != whole:
            raise _Broken(f"{size} of {whole} bytes came")

    def _put_in_place(self, came: Came) -> Fetched:
        note = _read(self._part_note)
        assert note is not None
        note.size_bytes = self._part.stat().st_size
        note.digest = digest_of(self._part)
        note.confirmed_ns = self._clock.now_ns()
        self._part.replace(self._file)
        # Dying here leaves a note that does not fit the file: it is then fetched again.
        self._remember(self._note, note)
        self._part_note.unlink(missing_ok=True)
        return self._fetched(note, came)

    def _kept(self, url: str) -> _Note | None:
        """The note of our copy, if the copy is of this address and as it was stored."""
        note = _read(self._note)
        if note is None or note.url != url:
            return None
        with suppress(OSError):
            if self._file.stat().st_size == note.size_bytes and digest_of(self._file) == note.digest:
                return note
        return None

    def _unfinished(self, url: str) -> _Note | None:
        """The note of a download that broke off and can go on."""
        note = _read(self._part_note)
        if note is None or note.url != url or not note.validator:
            return None
        with suppress(OSError):
            note.size_bytes = self._part.stat().st_size
        return note if note.size_bytes else None

    def _forget_part(self) -> None:
        self._part.unlink(missing_ok=True)
        self._part_note.unlink(missing_ok=True)

    def _remember(self, path: Path, note: _Note) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(note))
        fresh.replace(path)

    def _fetched(self, note: _Note, came: Came) -> Fetched:
        return Fetched(self._file, note.url, note.digest, note.size_bytes, note.confirmed_ns, came)


def _read(path: Path) -> _Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Note)
    except (OSError, msgspec.DecodeError):
        return None
