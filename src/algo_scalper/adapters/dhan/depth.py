"""Full market depth, 20 or 200 levels: packets to books and back, and the sockets they come on.

A packet begins with twelve bytes, little-endian: its length i16 *including these*, code u8 (41 bids, 51 asks, 50
disconnect), segment u8, security id i32, and a u32 that is a sequence number with 20 levels and the number of rows with
200. A row is price float64 rupees, quantity u32, orders u32. The bids and the asks of an instrument are two packets,
stacked in one message, so a message is cut by length. There is no time and no last price in them.

Depth exists for NSE shares and NSE derivatives only. A 20-level socket carries 50 instruments, a 200-level socket one;
whether these sockets share the account's five with the market feed is disputed, so count on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from algo_scalper.adapters.dhan.feed_transport import PicowsTransport, Transport
from algo_scalper.adapters.dhan.line import Connection, LineRules
from algo_scalper.adapters.dhan.lines import KeptLines, OnRestored
from algo_scalper.adapters.dhan.losses import told_by_server
from algo_scalper.adapters.dhan.packets import MOST_RUPEES, Buffer
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.subscriptions import (
    DISCONNECT_MESSAGE,
    MOST_SOCKETS,
    Seats,
    instrument_json,
    list_message,
)
from algo_scalper.domain.errors import BrokerRefused
from algo_scalper.domain.instruments import Segment, key_security_id, key_segment, key_text
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_SECOND

Depth = Literal[20, 200]
DepthLevels = tuple[tuple[int, int, int], ...]
"""``((price_paise, quantity, orders), ...)``, best first."""

BIDS, ASKS, DISCONNECT = 41, 51, 50
SUBSCRIBE, UNSUBSCRIBE = 23, 24
PER_SOCKET: dict[int, int] = {20: 50, 200: 1}
HEADER_BYTES = 12
DISCONNECT_BYTES = 14
DEPTH_SEGMENTS = frozenset({Segment.NSE_EQ, Segment.NSE_FNO})
PING_S = 20.0
DEPTH_RULES = LineRules(overlap_ns=5 * NS_PER_SECOND)
"""No watch for silence: the book of a far strike may stand still. A dead peer is noticed by pinging it."""

_HEADER = Struct("<hBBiI")
_ROW = Struct("<dII")
_REASON = Struct("<H")


class DepthBook(msgspec.Struct, frozen=True):
    """The book of one instrument as it was last told, empty levels left out."""

    key: int
    received_ns: int
    bids: DepthLevels = ()
    asks: DepthLevels = ()


class DepthCounts(msgspec.Struct):
    """What passed through a decoder and did not become a side of a book."""

    unlisted: int = 0
    unreadable: int = 0
    """Sides with a price that cannot be one."""
    torn: int = 0
    unknown: int = 0


class DepthDecoder:
    """Messages to books. Never raises for what the wire says."""

    def __init__(self, levels: Depth, ticks: Mapping[int, int]) -> None:
        """``ticks``: the tick in paise of every instrument by key; read at each packet, so it may grow."""
        self._levels = levels
        self._ticks = ticks
        self._bids: dict[int, DepthLevels] = {}
        self._asks: dict[int, DepthLevels] = {}
        self.counts = DepthCounts()

    def decode(self, message: Buffer, at_ns: int) -> list[DepthBook]:
        """The books a message changed, one for each instrument in it; ``at_ns`` is when it was received.

        When only one side came the other is as it was last told; when it never was, there is no book yet.
        """
        changed: dict[int, None] = {}
        at, size = 0, len(message)
        while at < size:
            length = _length(message, at, size)
            if not length:
                self.counts.torn += 1
                break
            _, code, segment, security_id, last = _HEADER.unpack_from(message, at)
            if code in {BIDS, ASKS}:
                key = segment << 32 | security_id & 0xFFFF_FFFF
                tick_paise = self._ticks.get(key)
                if tick_paise is None:
                    self.counts.unlisted += 1
                else:
                    rows = min((length - HEADER_BYTES) // _ROW.size, self._levels if self._levels == 20 else last, 200)
                    side = _side(message, at + HEADER_BYTES, rows, tick_paise)
                    if side is None:
                        self.counts.unreadable += 1
                    else:
                        (self._bids if code == BIDS else self._asks)[key] = side
                        changed[key] = None
            elif code != DISCONNECT:
                self.counts.unknown += 1
            at += length
        bids, asks = self._bids, self._asks
        return [DepthBook(key, at_ns, bids[key], asks[key]) for key in changed if key in bids and key in asks]

    def forget(self, keys: Iterable[int]) -> None:
        """These are subscribed anew, or no more: no side of theirs is combined with one from before."""
        for key in keys:
            self._bids.pop(key, None)
            self._asks.pop(key, None)


def _length(message: Buffer, at: int, size: int) -> int:
    """The length of the packet at ``at``; 0 when it is not whole, or shorter than it can be."""
    if size - at < HEADER_BYTES:
        return 0
    length = message[at] | message[at + 1] << 8
    least = DISCONNECT_BYTES if message[at + 2] == DISCONNECT else HEADER_BYTES
    return length if least <= length <= size - at else 0


def _side(message: Buffer, at: int, rows: int, tick_paise: int) -> DepthLevels | None:
    """The levels of one side on the instrument's tick; None when a price cannot be one."""
    found: list[tuple[int, int, int]] = []
    per_rupee = 100 / tick_paise
    for price, quantity, orders in _ROW.iter_unpack(memoryview(message)[at : at + rows * _ROW.size]):
        if not 0.0 <= price <= MOST_RUPEES:
            return None
        if quantity:
            found.append((round(price * per_rupee) * tick_paise, quantity, orders))
    return tuple(found)


def depth_disconnect_reason(message: Buffer) -> int | None:
    """The reason of the disconnect packet in a message, or None if there is none."""
    at, size = 0, len(message)
    while at < size and (length := _length(message, at, size)):
        if message[at + 2] == DISCONNECT:
            return int(_REASON.unpack_from(message, at + HEADER_BYTES)[0])
        at += length
    return None


def encode_depth(book: DepthBook, levels: Depth, sequence: int = 0) -> bytes:
    """The two packets of a book, bids then asks. With 20 levels missing ones are zero; with 200 they are left out."""
    return _encode_side(book.key, BIDS, book.bids, levels, sequence) + _encode_side(
        book.key, ASKS, book.asks, levels, sequence
    )


def _encode_side(key: int, code: int, side: DepthLevels, levels: Depth, sequence: int) -> bytes:
    told = side[:levels]
    rows = [_ROW.pack(paise / 100, quantity, orders) for paise, quantity, orders in told]
    if levels == 20:
        rows += [bytes(_ROW.size)] * (levels - len(rows))
    length = HEADER_BYTES + _ROW.size * len(rows)
    last = sequence if levels == 20 else len(rows)
    return _HEADER.pack(length, code, int(key_segment(key)), key_security_id(key), last) + b"".join(rows)


def encode_depth_disconnect(reason: int) -> bytes:
    """A 14-byte disconnect packet."""
    return _HEADER.pack(DISCONNECT_BYTES, DISCONNECT, 0, 0, 0) + _REASON.pack(reason)


def depth_messages(levels: Depth, code: int, keys: Sequence[int]) -> list[bytes]:
    """The messages that subscribe (23) or unsubscribe (24) these: a list with 20 levels, one by one with 200."""
    if levels == 200:
        return [f'{{"RequestCode":{code},{instrument_json(key)[1:]}'.encode() for key in keys]
    return [list_message(code, list(keys[at : at + 50])) for at in range(0, len(keys), 50)]


class DhanDepth(KeptLines):
    """The 20- or 200-level depth of what is subscribed. ``on_book(book)`` is called inside the socket's callback.

    Each `subscribe` counts, `unsubscribe` takes one back. Sockets are opened as they are needed.
    """

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        chance: Chance,
        levels: Depth,
        ticks: Mapping[int, int],
        *,
        on_book: Callable[[DepthBook], None],
        on_lost: Callable[[str], None],
        on_restored: OnRestored,
        transport: Transport | None = None,
        rules: LineRules = DEPTH_RULES,
        most_sockets: int = MOST_SOCKETS,
    ) -> None:
        """``ticks``: as `DepthDecoder` takes them. ``most_sockets``: what the market feed leaves of the five."""
        self._levels: Depth = levels
        self._on_book = on_book
        self.decoder = DepthDecoder(levels, ticks)
        self._counts: dict[int, int] = {}
        self._seats = Seats(PER_SOCKET[levels], most_sockets)
        super().__init__(
            settings,
            clock,
            chance,
            transport=PicowsTransport(PING_S) if transport is None else transport,
            rules=rules,
            most_connections=most_sockets,
            farewell=DISCONNECT_MESSAGE,
            on_lost=on_lost,
            on_restored=on_restored,
            expects_data=lambda _now_ns: False,
        )

    def __repr__(self) -> str:
        return f"DhanDepth({self._levels}, up={self.is_up}, sockets={self.sockets}, instruments={len(self._counts)})"

    @property
    def wanted(self) -> tuple[int, ...]:
        """The keys that are subscribed, or will be on connecting."""
        return tuple(self._counts)

    def subscribe(self, keys: Iterable[int]) -> None:
        """Want these, now and after every reconnect.

        Raises `BrokerRefused` for an instrument that has no such depth, and when the sockets would carry too many; then
        none of them is wanted.
        """
        asked = tuple(keys)
        for key in asked:
            if key_segment(key) not in DEPTH_SEGMENTS:
                raise BrokerRefused(
                    f"there is no {self._levels}-level depth for {key_text(key)}: NSE_EQ and NSE_FNO only"
                )
        new = dict.fromkeys(key for key in asked if key not in self._counts)
        if len(new) > self._seats.free:
            raise BrokerRefused(
                f"{self._seats.most_sockets} sockets carry {self._seats.per_socket} instruments each with "
                f"{self._levels} levels; {len(self._counts)} are subscribed and {len(new)} more are too many"
            )
        for key in asked:
            self._counts[key] = self._counts.get(key, 0) + 1
        self._say(SUBSCRIBE, [(self._seats.take(key), key) for key in new])

    def unsubscribe(self, keys: Iterable[int]) -> None:
        """Want these once less."""
        gone: list[tuple[int, int]] = []
        for key in keys:
            count = self._counts.get(key, 0)
            if count > 1:
                self._counts[key] = count - 1
            elif count == 1:
                del self._counts[key]
                gone.append((self._seats.leave(key), key))
        self.decoder.forget(key for _, key in gone)
        self._say(UNSUBSCRIBE, gone)

    def _say(self, code: int, seats: Sequence[tuple[int, int]]) -> None:
        for number in sorted({number for number, _ in seats}):
            line = self._line(number)
            for message in depth_messages(self._levels, code, [key for seat, key in seats if seat == number]):
                line.send(message)

    def _address(self, number: int) -> str:
        """With 200 levels the path is documented in two ways: the one that is refused is left for the other."""
        address = self._settings.depth_address(self._levels)
        if self._levels == 200 and len(self._lines) > number and self._lines[number].refusals % 2:
            return urlunsplit(urlsplit(address)._replace(path="/"))
        return address

    def _greeting(self, number: int) -> Sequence[bytes]:
        keys = self._keys_on(number)
        self.decoder.forget(keys)
        return depth_messages(self._levels, SUBSCRIBE, keys)

    def _keys_on(self, number: int) -> Sequence[int]:
        return [key for key in self._counts if self._seats[key] == number]

    def _take(self, connection: Connection, message: memoryview) -> None:
        now_ns = self._clock.now_ns()
        connection.heard(now_ns)
        for book in self.decoder.decode(message, now_ns):
            self._on_book(book)
        reason = depth_disconnect_reason(message)
        if reason is not None:
            connection.end(told_by_server(reason))
