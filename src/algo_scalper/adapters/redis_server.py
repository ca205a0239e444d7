"""A Redis or Valkey server as the mirror and its commands need it: every wait bounded, every write all or nothing.

A change of keys travels in ``MULTI``/``EXEC``, so no key is ever there without its expiry, whatever dies in between.
What can go wrong is a `RedisTrouble` with one of a few `Standing` words, and its text never holds a password. The
client library is an optional extra; without it `RedisServer` says how to get it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from algo_scalper.domain.errors import AlgoScalperError, ConfigError

WITHIN_S = 2.0
"""The longest wait for one answer of the server. A later one is a trouble, and the connection is made anew."""
CHUNK = 100
"""Changes in one ``EXEC``: the server does nothing else while it does them."""
PAGE = 500
MOST_KEYS = 1_000
SHOWN_ENTRIES = 10
MOST_WORDS = 300
SCHEMES = ("redis", "rediss", "unix")


class Standing(StrEnum):
    """How things stand with the server, in the words of health, page and doctor."""

    CONNECTING = "connecting"
    UP = "up"
    AWAY = "away"
    SLOW = "slow"
    FULL = "full"
    REFUSED = "refused"


class RedisTrouble(AlgoScalperError):
    """The server could not be asked or would not do it. ``standing`` says in which way."""

    def __init__(self, standing: Standing, text: str) -> None:
        """``text`` is fit to be shown: it names no password."""
        super().__init__(text)
        self.standing = standing


class Put(NamedTuple):
    """This hash, whole, and gone after ``ttl_ms``."""

    key: str
    fields: Mapping[str, str | int]
    ttl_ms: int


class Drop(NamedTuple):
    """No such key any more."""

    key: str


class Append(NamedTuple):
    """One more entry of a stream that keeps about ``most`` of them, and is gone ``ttl_ms`` after its last."""

    stream: str
    fields: Mapping[str, str | int]
    most: int
    ttl_ms: int


Change = Put | Drop | Append


class Facts(NamedTuple):
    """What a server says of itself. ``most_bytes`` is 0 where it sets no limit; ``evicts``: it makes room by itself."""

    version: str
    answered_ms: float
    used_bytes: int
    most_bytes: int
    evicts: bool

    @property
    def is_full(self) -> bool:
        """Would it refuse the next write?"""
        return not self.evicts and 0 < self.most_bytes <= self.used_bytes

    @property
    def said(self) -> str:
        """``"Valkey 9.1.2, 1.1 MB of 100.0 MB"``."""
        limit = f" of {self.most_bytes / 1e6:.1f}" if self.most_bytes else ""
        return f"{self.version}, {self.used_bytes / 1e6:.1f}{limit} MB"


class Shown(NamedTuple):
    """A key for reading. ``expires_s`` is None for one that never does; ``value`` is text, list or mapping."""

    key: str
    kind: str
    expires_s: float | None
    value: Any


class RedisServer:
    """One server behind one connection, made when first needed and anew after every trouble."""

    def __init__(self, url: str, *, within_s: float = WITHIN_S) -> None:
        """Nothing is connected yet. Raises `ConfigError` for a URL that is none, or when the client is not installed."""
        try:
            from redis import asyncio as client  # noqa: PLC0415 - an optional extra
            from redis import exceptions  # noqa: PLC0415
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415
        except ModuleNotFoundError:
            raise ConfigError(
                "REDIS_URL is set, but the client is not installed: pip install 'algo-scalper[redis]', or empty REDIS_URL"
            ) from None
        self.where = shown_address(url)
        self._secrets = _secrets_of(url)
        self._within_s = within_s
        self._faults = exceptions
        try:
            # What is repeated, and when, is the mirror's business.
            self._redis: Any = client.Redis.from_url(
                url,
                decode_responses=True,
                encoding_errors="replace",
                single_connection_client=True,
                client_name="algo-scalper",
                retry=Retry(NoBackoff(), 0),
                protocol=2,  # what every server and proxy speaks
            )
        except (ValueError, TypeError):
            raise _no_address() from None  # its own words may hold the password

    async def close(self) -> None:
        """Let the connection go. The next question makes a new one."""
        try:
            async with asyncio.timeout(self._within_s):
                await self._redis.aclose()
        except (OSError, self._faults.RedisError):
            pass  # it was broken already
        _heed_cancellation()

    async def ping(self) -> None:
        """Raises `RedisTrouble`, as everything here."""
        async with self._bounded():
            await self._redis.execute_command("PING")

    async def write(self, changes: Sequence[Change]) -> str:
        """Do all of this, `CHUNK` at a time, each whole or not at all; the id of the last entry appended, or empty."""
        last = ""
        for first in range(0, len(changes), CHUNK):
            async with self._bounded():
                pipe = self._redis.pipeline(transaction=True)
                appended = []
                for change in changes[first : first + CHUNK]:
                    if isinstance(change, Append):
                        appended.append(len(pipe))
                    _queue(pipe, change)
                answers = await pipe.execute()
                last = answers[appended[-1]] if appended else last
        return last

    async def last_entry(self, stream: str) -> str:
        """The id of a stream's newest entry; empty when there is none."""
        async with self._bounded():
            newest = await self._redis.execute_command("XREVRANGE", stream, "+", "-", "COUNT", 1)
        return newest[0][0] if newest else ""

    async def values_in(self, stream: str, field: str, most: int) -> list[str]:
        """One field of the newest entries of a stream, newest first."""
        found: list[str] = []
        until = "+"
        while len(found) < most:
            async with self._bounded():
                page = await self._redis.execute_command("XREVRANGE", stream, until, "-", "COUNT", PAGE)
            found += [fields.get(field, "") for _, fields in page]
            if len(page) < PAGE:
                break
            until = f"({page[-1][0]}"
        return found[:most]

    async def facts(self) -> Facts:
        """Version, room and the time an answer takes."""
        await self.ping()
        began_ns = time.perf_counter_ns()
        await self.ping()
        answered_ms = (time.perf_counter_ns() - began_ns) / 1e6
        async with self._bounded():
            said = await self._redis.info()
        name = "Valkey" if "valkey_version" in said else "Redis"
        version = said.get("valkey_version") or said.get("redis_version", "")
        evicts = said.get("maxmemory_policy", "noeviction") != "noeviction"
        used, most = int(said.get("used_memory", 0)), int(said.get("maxmemory", 0))
        return Facts(f"{name} {version}", answered_ms, used, most, evicts)

    async def keys(self, pattern: str) -> list[str]:
        """At most `MOST_KEYS` keys of a pattern, sorted; found by ``SCAN``, which never holds the server up."""
        found: set[str] = set()
        cursor = 0
        while True:
            async with self._bounded():
                cursor, page = await self._redis.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
            found.update(page)
            if not int(cursor) or len(found) >= MOST_KEYS:
                return sorted(found)[:MOST_KEYS]

    async def show(self, key: str) -> Shown | None:
        """A key with its kind, what is left of its time, and its value; None when it is not there."""
        async with self._bounded():
            kind = str(await self._redis.execute_command("TYPE", key))
            left_ms = int(await self._redis.execute_command("PTTL", key))
            question = {
                "hash": ("HGETALL", key),
                "stream": ("XREVRANGE", key, "+", "-", "COUNT", SHOWN_ENTRIES),
                "string": ("GET", key),
                "list": ("LRANGE", key, 0, PAGE),
                "set": ("SRANDMEMBER", key, PAGE),
                "zset": ("ZRANGE", key, 0, PAGE),
            }.get(kind)
            value = await self._redis.execute_command(*question) if question else None
        if kind == "none":
            return None
        return Shown(key, kind, left_ms / 1000 if left_ms >= 0 else None, value)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._within_s):
                yield
        except (OSError, self._faults.RedisError) as fault:
            _heed_cancellation()
            raise RedisTrouble(self._standing(fault), self._text(fault)) from None
        _heed_cancellation()

    def _standing(self, fault: BaseException) -> Standing:
        faults = self._faults
        if type(fault) is faults.ConnectionError and isinstance(fault.__cause__, faults.RedisError):
            fault = fault.__cause__  # what the server said while the client connected
        if isinstance(fault, TimeoutError | faults.TimeoutError):
            return Standing.SLOW
        if isinstance(fault, faults.OutOfMemoryError):
            return Standing.FULL
        if isinstance(fault, faults.BusyLoadingError):
            return Standing.AWAY
        if isinstance(fault, faults.AuthenticationError | faults.AuthorizationError | faults.ResponseError):
            return Standing.REFUSED
        return Standing.AWAY

    def _text(self, fault: BaseException) -> str:
        said = (str(fault) or type(fault).__name__)[:MOST_WORDS]
        if isinstance(fault, TimeoutError):
            said = f"no answer within {self._within_s:g} s"
        elif isinstance(fault, self._faults.OutOfMemoryError):
            said = "its memory is full (maxmemory) and it may not evict (maxmemory-policy noeviction)"
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return f"{self.where}: {said}"


def _heed_cancellation() -> None:
    """Now and then the client turns a cancellation into a fault of its own; who is to end would then go on for ever."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _queue(pipe: Any, change: Change) -> None:
    match change:
        case Put(key, fields, ttl_ms):
            pipe.execute_command("DEL", key)  # no field of somebody else's stays behind
            pipe.execute_command("HSET", key, *_flat(fields))
            pipe.execute_command("PEXPIRE", key, ttl_ms)
        case Drop(key):
            pipe.execute_command("DEL", key)
        case Append(stream, fields, most, ttl_ms):
            pipe.execute_command("XADD", stream, "MAXLEN", "~", most, "*", *_flat(fields))
            pipe.execute_command("PEXPIRE", stream, ttl_ms)


def _flat(fields: Mapping[str, str | int]) -> list[str | int]:
    return [part for pair in fields.items() for part in pair]


def shown_address(url: str) -> str:
    """``redis://host:port/db`` without user, password and options. Raises `ConfigError` for what is no address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 6379
    except ValueError:
        raise _no_address() from None
    if parts.scheme not in SCHEMES or not (parts.path if parts.scheme == "unix" else host):
        raise _no_address()
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path.rstrip('/')}"


def _secrets_of(url: str) -> tuple[str, ...]:
    """The password as it may turn up in somebody's words."""
    parts = urlsplit(url)
    found = {parts.password or "", unquote(parts.password or ""), *parse_qs(parts.query).get("password", ())}
    return tuple(found - {""})


def _no_address() -> ConfigError:
    return ConfigError("REDIS_URL is no address: write it as redis://127.0.0.1:6379/0, or empty it")
