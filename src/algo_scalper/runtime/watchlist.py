"""What is watched beside what is traded, and which of three places says so.

The stored list goes first when anything is on it, then ``watchlist`` in ``algo.yml``, then ``DHANHQ_WS_WATCHLIST``: the
order of the original, and the other way round than for settings. Nothing watched here is ever decided on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import (
    INDEX_BY_KEY,
    INDIA_VIX_KEY,
    INDICES,
    Segment,
    instrument_key,
    key_security_id,
    key_segment,
    key_text,
)
from algo_scalper.runtime.config import AlgoConfig
from algo_scalper.runtime.settings import Settings

STORED = "the stored list"
MOST_WATCHED = 500
_SEPARATOR = re.compile(r"[;,\n]")
_NAMED = {**{index.name: index.key for index in INDICES.values()}, "INDIA VIX": INDIA_VIX_KEY, "VIX": INDIA_VIX_KEY}


class Watched(NamedTuple):
    """One instrument, by the name people know it by."""

    key: int
    label: str


class Watchlist(NamedTuple):
    """The list in effect and the place it comes from; empty when no place has one."""

    source: str
    items: tuple[Watched, ...]


def named(text: str) -> int | None:
    """The key of an index or of India VIX by its name; None for any other name."""
    return _NAMED.get(text.strip().upper())


def parse_item(text: str, place: str) -> int:
    """``"NSE_EQ:2885"`` or an index's name to a key. Raises `ConfigError` naming the place."""
    known = named(text)
    if known is not None:
        return known
    segment, colon, number = text.strip().upper().partition(":")
    if not colon or segment not in Segment.__members__ or not (number.isascii() and number.isdigit()):
        raise ConfigError(
            f"{place}: {text.strip()!r} is not an instrument; write it as NSE_EQ:2885, with one of "
            f"{', '.join(Segment.__members__)}"
        )
    if not 0 < int(number) < 1 << 32:
        raise ConfigError(f"{place}: {number} is no security id")
    return instrument_key(Segment[segment], int(number))


def parse_list(text: str, place: str) -> tuple[Watched, ...]:
    """Items apart by comma, semicolon or line, each once. Raises `ConfigError`."""
    return _items([part for part in _SEPARATOR.split(text) if part.strip()], place)


def choose(stored: Sequence[Watched], algo: AlgoConfig | None, settings: Settings) -> Watchlist:
    """The list in effect. Raises `ConfigError` for one that cannot be read, or is too long."""
    if stored:
        return Watchlist(STORED, _bounded(tuple(stored), STORED))
    if algo is not None and algo.watchlist.value:
        place = f"{algo.name} line {algo.watchlist.line}"
        value = algo.watchlist.value
        if not isinstance(value, tuple):
            raise ConfigError(f"{place}: watchlist: {value!r} is not a list; write [NSE_EQ:2885]")
        return Watchlist(place, _items([str(item) for item in value], place))
    setting = settings.get("DHANHQ_WS_WATCHLIST")
    if setting.value:
        place = f"DHANHQ_WS_WATCHLIST from {setting.source}"
        return Watchlist(place, parse_list(setting.value, place))
    return Watchlist("no place", ())


def label_of(key: int) -> str:
    """An index by its name, anything else as ``SEGMENT:ID``."""
    if key == INDIA_VIX_KEY:
        return "INDIA VIX"
    return INDEX_BY_KEY[key].name if key in INDEX_BY_KEY else key_text(key)


def _items(texts: Sequence[str], place: str) -> tuple[Watched, ...]:
    keys = dict.fromkeys(parse_item(text, place) for text in texts)
    ordered = sorted(keys, key=lambda key: (key_segment(key).name, key_security_id(key)))
    return _bounded(tuple(Watched(key, label_of(key)) for key in ordered), place)


def _bounded(items: tuple[Watched, ...], place: str) -> tuple[Watched, ...]:
    check_length(len(items), place)
    return items


def check_length(count: int, place: str) -> None:
    """Raise `ConfigError` for a list longer than what is watched."""
    if count > MOST_WATCHED:
        raise ConfigError(
            f"{place}: {count} instruments are more than the {MOST_WATCHED} that are watched; take some off"
        )
