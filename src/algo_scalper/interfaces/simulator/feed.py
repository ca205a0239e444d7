"""One market-feed connection: what it asked for, and the packets it gets. No sockets here.

An index answers in Ticker or Quote, never Full, and gets its previous close in a packet of its own; a derivative has it
in the ``close`` field, and its open interest beside each Quote in which it changed.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from algo_scalper.adapters.dhan.packets import (
    DayFigures,
    encode_disconnect,
    encode_full,
    encode_oi,
    encode_prev_close,
    encode_quote,
    encode_ticker,
)
from algo_scalper.domain.instruments import Segment, instrument_key, key_segment
from algo_scalper.interfaces.simulator.outbox import End, Outbox
from algo_scalper.interfaces.simulator.tape import DayPrint

MOST_PER_MESSAGE = 100
MOST_PER_SOCKET = 5_000
TOO_MANY_INSTRUMENTS = 804
MESSAGE_BYTES = 4_096
"""Packets are packed back to back into messages of at most this size."""


class Mode(IntEnum):
    """How much of an instrument is sent; the value is its subscribe code, one more unsubscribes."""

    TICKER = 15
    QUOTE = 17
    FULL = 21


DISCONNECT = 12
_SUBSCRIBE = {mode.value: mode for mode in Mode}
_UNSUBSCRIBE = {mode.value + 1: mode for mode in Mode}


class Instrument(msgspec.Struct):
    """An instrument as a request names it."""

    ExchangeSegment: str = ""
    SecurityId: str | int = 0


class Asking(Instrument):
    """A request: a list of instruments, or with 200 levels of depth a single one in the request itself."""

    RequestCode: int = 0
    InstrumentCount: int = 0
    InstrumentList: list[Instrument] = []


_requests = msgspec.json.Decoder(Asking)


class Interest(msgspec.Struct, frozen=True):
    """What a text message changed."""

    wanted: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


NOTHING = Interest()


class FeedSession:
    """Subscriptions of one connection and the packets being gathered for its next messages."""

    def __init__(self, number: int, known: frozenset[int]) -> None:
        self.number = number
        self.outbox = Outbox()
        self.modes: dict[int, Mode] = {}
        self.received = 0
        self._known = known
        self._greeted: set[int] = set()
        self._told_oi: dict[int, int] = {}
        self._packets: list[bytes] = []

    def read(self, text: str) -> Interest:
        """Take a request. Unknown codes, torn JSON and unlisted instruments are ignored, as the real server does."""
        self.received += 1
        try:
            request = _requests.decode(text)
        except msgspec.DecodeError:
            return NOTHING
        code = request.RequestCode
        if code == DISCONNECT:
            self.outbox.end(End.CLOSE)
            return NOTHING
        if len(request.InstrumentList) > MOST_PER_MESSAGE:
            self.disconnect(TOO_MANY_INSTRUMENTS)
            return NOTHING
        keys = tuple(dict.fromkeys(key for key in map(asked_key, request.InstrumentList) if key in self._known))
        if code in _SUBSCRIBE:
            for key in keys:
                self.modes[key] = _SUBSCRIBE[code]
                self._greeted.discard(key)
            if len(self.modes) > MOST_PER_SOCKET:
                self.disconnect(TOO_MANY_INSTRUMENTS)
            return Interest(wanted=keys)
        if code in _UNSUBSCRIBE:
            gone = tuple(key for key in keys if self.modes.get(key) is _UNSUBSCRIBE[code])
            for key in gone:
                del self.modes[key]
            return Interest(dropped=gone)
        return NOTHING

    def add(self, day: DayPrint) -> None:
        """Gather this instrument's packets, if it is subscribed; they leave with `take`."""
        tick = day.quote.tick
        mode = self.modes.get(tick.key)
        if mode is None:
            return
        is_index = key_segment(tick.key) is Segment.IDX_I
        if tick.key not in self._greeted:
            self._greeted.add(tick.key)
            self._told_oi.pop(tick.key, None)
            if is_index:
                self._packets.append(encode_prev_close(tick.key, day.previous_close_paise))
        if mode is Mode.TICKER:
            self._packets.append(encode_ticker(tick))
        elif mode is Mode.FULL and not is_index:
            self._packets.append(encode_full(day.quote, figures(day)))
        else:
            if not is_index and self._told_oi.get(tick.key) != tick.oi:
                self._told_oi[tick.key] = tick.oi
                self._packets.append(encode_oi(tick.key, tick.oi))
            self._packets.append(encode_quote(tick, figures(day)))

    def take(self) -> list[bytes]:
        """The messages that leave now, made of what was gathered."""
        packets, self._packets = self._packets, []
        if not packets:
            return []
        messages, size = [bytearray()], 0
        for packet in packets:
            if size + len(packet) > MESSAGE_BYTES:
                messages.append(bytearray())
                size = 0
            messages[-1] += packet
            size += len(packet)
        return [bytes(message) for message in messages]

    def disconnect(self, reason: int) -> None:
        """Say why (code 50) and go."""
        self.outbox.put(encode_disconnect(reason))
        self.outbox.end(End.CLOSE)


def figures(day: DayPrint) -> DayFigures:
    """The day beside the tick; an index has no volume, average or quantities."""
    tick = day.quote.tick
    return DayFigures(
        last_quantity=day.last_quantity,
        average_paise=day.average_paise,
        sell_quantity=tick.ask_total,
        buy_quantity=tick.bid_total,
        oi_high=day.oi_high,
        oi_low=day.oi_low,
        open_paise=day.open_paise,
        previous_close_paise=day.previous_close_paise,
        high_paise=day.high_paise,
        low_paise=day.low_paise,
    )


def asked_key(instrument: Instrument) -> int:
    """The instrument's key, -1 when its segment or id is none."""
    try:
        return instrument_key(Segment[instrument.ExchangeSegment], int(instrument.SecurityId))
    except (KeyError, ValueError, OverflowError):
        return -1
