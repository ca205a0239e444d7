"""Which instruments the feed should send, and the JSON messages that tell it so. No sockets."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

import msgspec

from algo_scalper.domain.instruments import Segment, key_security_id, key_segment

CHUNK = 100
"""Instruments in one message, at most."""
MOST_INSTRUMENTS = 5000
"""On one connection; more and the server drops it with reason 804."""
DISCONNECT_MESSAGE = b'{"RequestCode":12}'


class Mode(IntEnum):
    """How much of an instrument is sent: the request code that subscribes it. One more unsubscribes it."""

    TICKER = 15
    QUOTE = 17
    FULL = 21


def mode_of(key: int) -> Mode:
    """Indices have no book: Quote. Contracts are sold at the bid: Full."""
    return Mode.QUOTE if key_segment(key) is Segment.IDX_I else Mode.FULL


def subscribe_messages(keys: Iterable[int]) -> list[bytes]:
    """The messages that subscribe these instruments, each in its mode, at most `CHUNK` to a message."""
    return _messages(keys, 0)


def unsubscribe_messages(keys: Iterable[int]) -> list[bytes]:
    """The messages that end these subscriptions."""
    return _messages(keys, 1)


def _messages(keys: Iterable[int], ending: int) -> list[bytes]:
    by_mode: dict[Mode, list[int]] = {}
    for key in keys:
        by_mode.setdefault(mode_of(key), []).append(key)
    found: list[bytes] = []
    for mode in sorted(by_mode):
        listed = by_mode[mode]
        for start in range(0, len(listed), CHUNK):
            chunk = listed[start : start + CHUNK]
            instruments = [
                {"ExchangeSegment": key_segment(key).name, "SecurityId": str(key_security_id(key))} for key in chunk
            ]
            found.append(
                msgspec.json.encode(
                    {"RequestCode": mode + ending, "InstrumentCount": len(chunk), "InstrumentList": instruments}
                )
            )
    return found


class Subscriptions:
    """What is wanted, and how many times: an instrument is unsubscribed when the last one who wanted it lets go."""

    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def __contains__(self, key: int) -> bool:
        return key in self._wanted

    @property
    def keys(self) -> tuple[int, ...]:
        """Everything wanted, in the order it was first asked for."""
        return tuple(self._wanted)

    def want(self, keys: Iterable[int]) -> list[bytes]:
        """Count one more for each; the messages for those that are new."""
        new: list[int] = []
        for key in keys:
            if key not in self._wanted:
                new.append(key)
            self._wanted[key] = self._wanted.get(key, 0) + 1
        return subscribe_messages(new)

    def let_go(self, keys: Iterable[int]) -> list[bytes]:
        """Count one less for each; the messages for those nobody wants any more. Unknown keys are left alone."""
        gone: list[int] = []
        for key in keys:
            count = self._wanted.get(key, 0)
            if count > 1:
                self._wanted[key] = count - 1
            elif count == 1:
                del self._wanted[key]
                gone.append(key)
        return unsubscribe_messages(gone)

    def resubscribe_all(self) -> list[bytes]:
        """The messages that subscribe everything wanted, for a connection that knows nothing yet."""
        return subscribe_messages(self._wanted)
