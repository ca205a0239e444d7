"""Which instruments the feed should send and on which socket, and the JSON messages that tell it so. No sockets.

An instrument is wanted in a mode (ticker, quote or full) and counted for each; the wire carries the highest mode that
somebody wants. To change a mode the old subscription is ended before the new one is made: whether a second subscription
replaces the first or stands beside it is not documented, and this order is right either way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from algo_scalper.domain.errors import BrokerRefused
from algo_scalper.domain.instruments import Segment

CHUNK = 100
"""Instruments in one message, at most."""
MOST_INSTRUMENTS = 5000
"""On one connection; more and the server drops it with reason 804."""
MOST_SOCKETS = 5
"""Of one account; a sixth and the server drops the oldest with reason 805."""
DISCONNECT_MESSAGE = b'{"RequestCode":12}'

Messages = list[tuple[int, bytes]]
"""Text messages to send, each with the number of its socket."""


class Mode(IntEnum):
    """How much of an instrument is sent: the request code that subscribes it. One more unsubscribes it."""

    TICKER = 15
    QUOTE = 17
    FULL = 21


_HIGHEST_FIRST = (int(Mode.FULL), int(Mode.QUOTE), int(Mode.TICKER))
_Modes = dict[int, int]
"""Request codes by key. Plain numbers: a member of an enumeration takes four times as long to look up by."""
_SEGMENT_NAMES = {int(segment): segment.name for segment in Segment}


def instrument_json(key: int) -> str:
    """An instrument as the messages name it."""
    return f'{{"ExchangeSegment":"{_SEGMENT_NAMES[key >> 32]}","SecurityId":"{key & 0xFFFF_FFFF}"}}'


def list_message(code: int, keys: list[int]) -> bytes:
    """A request for a list of instruments."""
    listed = ",".join(map(instrument_json, keys))
    return f'{{"RequestCode":{code},"InstrumentCount":{len(keys)},"InstrumentList":[{listed}]}}'.encode()


def mode_messages(modes: Mapping[int, int], ending: int = 0) -> list[bytes]:
    """The messages that subscribe these instruments in these modes; ``ending`` 1: that end the subscriptions."""
    by_mode: dict[int, list[int]] = {}
    for key, mode in modes.items():
        by_mode.setdefault(mode, []).append(key)
    return [
        list_message(mode + ending, by_mode[mode][start : start + CHUNK])
        for mode in sorted(by_mode)
        for start in range(0, len(by_mode[mode]), CHUNK)
    ]


class Seats:
    """Which socket carries which instrument: a new one is opened when all before it are full."""

    def __init__(self, per_socket: int, most_sockets: int) -> None:
        self.per_socket = per_socket
        self.most_sockets = most_sockets
        self._socket_of: dict[int, int] = {}
        self._taken = [0] * most_sockets
        self._first_free = 0

    def __len__(self) -> int:
        return len(self._socket_of)

    def __contains__(self, key: int) -> bool:
        return key in self._socket_of

    def __getitem__(self, key: int) -> int:
        return self._socket_of[key]

    @property
    def free(self) -> int:
        """How many more fit."""
        return self.per_socket * self.most_sockets - len(self._socket_of)

    def take(self, key: int) -> int:
        """A seat on the first socket that has one; its number. The caller has looked that there is one."""
        while self._taken[self._first_free] >= self.per_socket:
            self._first_free += 1
        number = self._first_free
        self._taken[number] += 1
        self._socket_of[key] = number
        return number

    def leave(self, key: int) -> int:
        """Free its seat; the number of the socket it was on."""
        number = self._socket_of.pop(key)
        self._taken[number] -= 1
        self._first_free = min(self._first_free, number)
        return number


class Subscriptions:
    """What is wanted, in which modes and how many times, and what each socket therefore carries."""

    def __init__(self, least_mode: Mode = Mode.TICKER) -> None:
        """``least_mode``: nothing is subscribed in less. It raises what was asked for, it never lowers it."""
        self._least_mode = least_mode
        self._counts: dict[int, dict[int, int]] = {}
        """How many want it, by request code, by key."""
        self._seats = Seats(MOST_INSTRUMENTS, MOST_SOCKETS)
        self._carried: list[_Modes] = [{} for _ in range(MOST_SOCKETS)]

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, key: int) -> bool:
        return key in self._counts

    @property
    def keys(self) -> tuple[int, ...]:
        """Everything wanted, in the order it was first asked for."""
        return tuple(self._counts)

    def carried(self, number: int) -> Mapping[int, int]:
        """What a socket carries, and in which mode (its request code)."""
        return self._carried[number]

    def want(self, keys: Iterable[int], mode: Mode | None = None) -> Messages:
        """Count one more for each, in this mode; what to send for what changed.

        Without a mode an index is wanted as Quote, since it has no book, and a contract as Full: it is sold at the bid.

        Raises `BrokerRefused` when there are more than all sockets carry, and then wants none of them.
        """
        asked = tuple(keys)
        self._refuse_too_many(asked)
        of_index, of_others = self._codes(mode)
        gone: dict[int, _Modes] = {}
        come: dict[int, _Modes] = {}
        for key in asked:
            code = of_others if key >> 32 else of_index
            counts = self._counts.get(key)
            if counts is None:
                self._counts[key] = {code: 1}
                number = self._seats.take(key)
                self._carried[number][key] = code
                come.setdefault(number, {})[key] = code
            else:
                counts[code] = counts.get(code, 0) + 1
                self._carry(key, gone, come)
        return _told(gone, 1) + _told(come, 0)

    def let_go(self, keys: Iterable[int], mode: Mode | None = None) -> Messages:
        """Count one less for each, in the mode it was wanted in. What nobody wants so is left alone."""
        of_index, of_others = self._codes(mode)
        gone: dict[int, _Modes] = {}
        come: dict[int, _Modes] = {}
        for key in keys:
            code = of_others if key >> 32 else of_index
            counts = self._counts.get(key, {})
            count = counts.get(code, 0)
            if count > 1:
                counts[code] = count - 1
            elif count == 1:
                del counts[code]
                if counts:
                    self._carry(key, gone, come)
                else:
                    del self._counts[key]
                    number = self._seats.leave(key)
                    gone.setdefault(number, {})[key] = self._carried[number].pop(key)
        return _told(gone, 1) + _told(come, 0)

    def resubscribe(self, number: int) -> list[bytes]:
        """The messages that subscribe everything a socket carries, for a connection that knows nothing yet."""
        return mode_messages(self._carried[number])

    def _refuse_too_many(self, asked: tuple[int, ...]) -> None:
        if len(asked) > self._seats.free:
            new = len({key for key in asked if key not in self._counts})
            if new > self._seats.free:
                raise BrokerRefused(
                    f"{MOST_SOCKETS} feed connections carry {MOST_INSTRUMENTS} instruments each; {len(self)} are "
                    f"subscribed and {new} more are too many: unsubscribe what is not looked at"
                )

    def _codes(self, mode: Mode | None) -> tuple[int, int]:
        """What a wish for this mode is counted as, for an index and for anything else: Full adds nothing to an index."""
        wanted = Mode.FULL if mode is None else mode
        raised = max(wanted, self._least_mode)
        return int(min(raised, Mode.QUOTE)), int(raised)

    def _carry(self, key: int, gone: dict[int, _Modes], come: dict[int, _Modes]) -> None:
        """Let the wire carry the highest mode wanted now."""
        counts, number = self._counts[key], self._seats[key]
        code = next(one for one in _HIGHEST_FIRST if one in counts)
        before = self._carried[number][key]
        if before == code:
            return
        if key not in come.get(number, ()):
            gone.setdefault(number, {})[key] = before
        self._carried[number][key] = code
        come.setdefault(number, {})[key] = code


def _told(changes: Mapping[int, Mapping[int, int]], ending: int) -> Messages:
    return [(number, message) for number in sorted(changes) for message in mode_messages(changes[number], ending)]
