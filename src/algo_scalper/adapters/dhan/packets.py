"""DhanHQ v2 feed packets: bytes to domain values and back. No sockets, no clock.

All integers are little-endian and unsigned, all prices float32 rupees. A packet begins with eight bytes: code u8,
length u16 *including this header*, segment u8, security id u32. One WebSocket message may hold several packets back to
back, so a message is walked by length (`split_packets`); the official SDK reads the first only and loses the others.

Three quirks of the wire are settled here and nowhere else:

- LTT is the IST wall clock written as if it were UTC: ``exchange_s = LTT - 19800``.
- Prices are float32 (22547.30078125 for 22547.30): they are rounded once, to the instrument's own tick.
- Quote and Full carry the total *sell* quantity before the total *buy* quantity, and ``close`` is the previous day's.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct

import msgspec

from algo_scalper.adapters.dhan.feed_lag import FeedLag
from algo_scalper.domain.instruments import Segment, key_security_id
from algo_scalper.domain.market import Levels, Quote, Tick
from algo_scalper.domain.units import IST_OFFSET_S

Buffer = bytes | bytearray | memoryview
HEADER_BYTES = 8
BOOK_LEVELS = 5
MOST_REMEMBERED = 1 << 16
"""Prices of one tick size that are kept in mind: 0.05 to 3276.80, and then some. Beyond it they are learnt anew."""
MOST_RUPEES = 10_000_000.0
"""No instrument costs more. A price beyond it, below zero or not a number is a broken packet: let in, it would mark a
position, or be a number too large to be written down.
"""


class Code(IntEnum):
    """Response codes of the feed."""

    HEARTBEAT = 0
    TICKER = 2
    DEPTH_V1 = 3
    QUOTE = 4
    OPEN_INTEREST = 5
    PREVIOUS_CLOSE = 6
    STATUS = 7
    FULL = 8
    DISCONNECT = 50


PACKET_BYTES: dict[int, int] = {
    Code.HEARTBEAT: 8,
    Code.TICKER: 16,
    Code.DEPTH_V1: 112,
    Code.QUOTE: 50,
    Code.OPEN_INTEREST: 12,
    Code.PREVIOUS_CLOSE: 16,
    Code.STATUS: 8,
    Code.FULL: 162,
    Code.DISCONNECT: 10,
}
"""Documented length of each packet, header included."""

DISCONNECT_REASONS: dict[int, str] = {
    800: "internal server error",
    804: "too many instruments on one connection",
    805: "too many connections or requests: the oldest connection was dropped",
    806: "the account has no data API subscription",
    807: "the access token has expired",
    808: "authentication failed: client id or token refused",
    809: "the access token is invalid",
    810: "the client id is invalid",
    811: "invalid expiry date",
    812: "invalid date format",
    813: "invalid security id",
    814: "invalid request",
}
"""Reasons of a disconnect packet (and of the REST data family), in words."""

_HEADER = Struct("<BHBI")
_TICKER = Struct("<BHBIfI")
_QUOTE = Struct("<BHBIfHIfIIIffff")
_OPEN_INTEREST = Struct("<BHBII")
_PREVIOUS_CLOSE = Struct("<BHBIfI")
_DISCONNECT = Struct("<BHBIH")
_FULL = Struct("<BHBIfHIfIIIIIIffff")
_LEVEL = Struct("<IIHHff")
_FULL_BYTES = PACKET_BYTES[Code.FULL]
_BOOK_OFFSET = 62

# What a tick keeps of each packet; x skips the rest. 18 fields instead of 48 is half the time of a Full packet.
_FULL_TICK = Struct("<3xBIf2xI4xI8xI24xII4xff" + "II12x" * 4)
_QUOTE_TICK = Struct("<3xBIf2xI4xI")
_TICKER_TICK = Struct("<3xBIfI")
# The same with the eight header bytes as one number: code, length and instrument are known or not at one look.
_unpack_full = Struct("<Qf2xI4xI8xI24xII4xff" + "II12x" * 4).unpack_from
_unpack_quote = Struct("<Qf2xI4xI24x").unpack_from
_unpack_ticker = Struct("<QfI").unpack_from
_QUOTE_BYTES = PACKET_BYTES[Code.QUOTE]
_TICKER_BYTES = PACKET_BYTES[Code.TICKER]
_BOOK = Struct("<" + "II4xff" * BOOK_LEVELS)

_LEAST_BYTES = bytes(PACKET_BYTES.get(code, HEADER_BYTES) for code in range(256))
_FULL_CODE, _QUOTE_CODE, _TICKER_CODE = int(Code.FULL), int(Code.QUOTE), int(Code.TICKER)
_IS_PRICE = bytes(code in (Code.TICKER, Code.QUOTE, Code.FULL) for code in range(256))
_NO_OPEN_INTEREST: dict[int, int] = {}


class _OnTick(dict[float, int]):
    """Prices of the wire in paise on one tick. The same few thousand come all day: looked up, not computed again."""

    def __init__(self, tick_paise: int) -> None:
        super().__init__()
        self._tick_paise = tick_paise
        self._per_rupee = 100 / tick_paise

    def __missing__(self, rupees: float) -> int:
        """Compute and keep. Raises ValueError when it cannot be a price (also for what is not a number)."""
        if not 0.0 <= rupees <= MOST_RUPEES:
            raise ValueError(f"no price: {rupees}")
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[rupees] = found = round(rupees * self._per_rupee) * self._tick_paise
        return found


class _ByTick(dict[int, _OnTick]):
    """The prices of each tick size."""

    def __missing__(self, tick_paise: int) -> _OnTick:
        self[tick_paise] = found = _OnTick(tick_paise)
        return found


_PRICES = _ByTick()


class TornPacket(msgspec.Struct, frozen=True):
    """The rest of a message that is not a whole packet; everything before it was."""

    offset: int
    code: int
    stated_bytes: int
    remaining_bytes: int

    def __str__(self) -> str:
        return (
            f"torn feed packet at byte {self.offset}: code {self.code} states {self.stated_bytes} bytes, "
            f"{self.remaining_bytes} are left"
        )


def split_packets(message: Buffer) -> tuple[list[int], TornPacket | None]:
    """Offsets of the whole packets of a message, in order, and what is left over if it ends in half a one.

    A length that is shorter than its code needs, or longer than what is left, ends the walk: whatever follows has lost
    its frame. Unknown codes are whole packets like any other. Heartbeats may leave their length at zero.
    """
    size = len(message)
    if size >= HEADER_BYTES and message[1] | message[2] << 8 == size >= _LEAST_BYTES[message[0]]:
        return [0], None  # by far the commonest message: one packet
    offsets: list[int] = []
    at = 0
    while at < size:
        length = _whole_length(message, at, size)
        if not length:
            return offsets, _torn(message, at, size)
        offsets.append(at)
        at += length
    return offsets, None


def _whole_length(message: Buffer, at: int, size: int) -> int:
    """The length of the packet at ``at``, 0 when it is not whole."""
    remaining = size - at
    if remaining < HEADER_BYTES:
        return 0
    code = message[at]
    length = message[at + 1] | message[at + 2] << 8
    if code == Code.HEARTBEAT and length == 0:
        length = HEADER_BYTES
    return length if _LEAST_BYTES[code] <= length <= remaining else 0


def _torn(message: Buffer, at: int, size: int) -> TornPacket:
    remaining = size - at
    stated = message[at + 1] | message[at + 2] << 8 if remaining >= HEADER_BYTES else remaining
    return TornPacket(at, message[at], stated, remaining)


def packet_code(message: Buffer, offset: int = 0) -> int:
    """The response code of the packet at ``offset``."""
    return message[offset]


def packet_key(message: Buffer, offset: int = 0) -> int:
    """The instrument key of the packet at ``offset``."""
    _, _, segment, security_id = _HEADER.unpack_from(message, offset)
    return int(segment) << 32 | int(security_id)


def decode_tick(
    message: Buffer,
    offset: int,
    at_ns: int,
    ticks: Mapping[int, int],
    open_interest: Mapping[int, int] = _NO_OPEN_INTEREST,
) -> Tick | None:
    """The tick in a Ticker, Quote or Full packet at ``offset``, or None.

    ``ticks`` maps instrument keys to their tick in paise; an instrument that is not in it gives None, and so does any
    other packet. Quote packets carry no open interest: theirs comes from ``open_interest``, where code-5 packets are
    kept. Raises ValueError when a price cannot be one. `split_packets` has checked the length.
    """
    code = message[offset]
    if code == _FULL_CODE:
        (
            segment, security_id, ltp, ltt, volume, interest,
            bids0, asks0, bid, ask,
            bids1, asks1, bids2, asks2, bids3, asks3, bids4, asks4,
        ) = _FULL_TICK.unpack_from(message, offset)  # fmt: skip
        key = segment << 32 | security_id
        tick_paise = ticks.get(key)
        if tick_paise is None:
            return None
        prices = _PRICES[tick_paise]
        return Tick(
            at_ns,
            key,
            ltt - IST_OFFSET_S if ltt else 0,
            prices[ltp],
            prices[bid],
            prices[ask],
            bids0 + bids1 + bids2 + bids3 + bids4,
            asks0 + asks1 + asks2 + asks3 + asks4,
            volume,
            interest,
        )
    if code == _QUOTE_CODE:
        segment, security_id, ltp, ltt, volume = _QUOTE_TICK.unpack_from(message, offset)
    elif code == _TICKER_CODE:
        segment, security_id, ltp, ltt = _TICKER_TICK.unpack_from(message, offset)
        volume = 0
    else:
        return None
    key = segment << 32 | security_id
    tick_paise = ticks.get(key)
    if tick_paise is None:
        return None
    price = _PRICES[tick_paise][ltp]
    return Tick(at_ns, key, ltt - IST_OFFSET_S if ltt else 0, price, 0, 0, 0, 0, volume, open_interest.get(key, 0))


def decode_quote(message: Buffer, offset: int, at_ns: int, ticks: Mapping[int, int]) -> Quote | None:
    """The Full packet at ``offset`` with its five levels, best first, empty levels left out.

    None for any other packet, and for one with a price that cannot be one.
    """
    if message[offset] != Code.FULL:
        return None
    try:
        tick = decode_tick(message, offset, at_ns, ticks)
    except ValueError:
        return None
    if tick is None:
        return None
    prices = _PRICES[ticks[tick.key]]
    fields = _BOOK.unpack_from(message, offset + _BOOK_OFFSET)
    bids: list[tuple[int, int]] = []
    asks: list[tuple[int, int]] = []
    try:
        for at in range(0, 4 * BOOK_LEVELS, 4):
            bid_quantity, ask_quantity, bid, ask = fields[at : at + 4]
            if bid_quantity:
                bids.append((prices[bid], bid_quantity))
            if ask_quantity:
                asks.append((prices[ask], ask_quantity))
    except ValueError:
        return None
    return Quote(tick, tuple(bids), tuple(asks))


def decode_open_interest(message: Buffer, offset: int = 0) -> tuple[int, int]:
    """``(key, open interest in contracts)`` of a code-5 packet."""
    _, _, segment, security_id, interest = _OPEN_INTEREST.unpack_from(message, offset)
    return segment << 32 | security_id, interest


def decode_previous_close(message: Buffer, offset: int, ticks: Mapping[int, int]) -> tuple[int, int] | None:
    """``(key, previous close in paise)`` of a code-6 packet, or None for an instrument that is not in ``ticks``.

    Raises ValueError when it cannot be a price.
    """
    _, _, segment, security_id, close, _ = _PREVIOUS_CLOSE.unpack_from(message, offset)
    key = segment << 32 | security_id
    tick_paise = ticks.get(key)
    return None if tick_paise is None else (key, _PRICES[tick_paise][close])


def disconnect_reason(message: Buffer) -> int | None:
    """The reason of the disconnect packet in a message, or None if there is none.

    The server says nothing after it, so it is the last packet; the walk is made only when the last ten bytes look it.
    """
    size = len(message)
    length = PACKET_BYTES[Code.DISCONNECT]
    if size < length or message[size - length] != Code.DISCONNECT:
        return None
    offsets, _ = split_packets(message)
    if not offsets or offsets[-1] != size - length:
        return None
    return int(_DISCONNECT.unpack_from(message, offsets[-1])[4])


class FeedCounts(msgspec.Struct):
    """What passed through a decoder and did not become a tick, for the page and for alarms."""

    heartbeats: int = 0
    statuses: int = 0
    unlisted: int = 0
    """Packets of instruments that nobody asked for."""
    unreadable: int = 0
    """Packets whose price cannot be one."""
    torn: int = 0
    unknown: dict[int, int] = {}
    """Packets of codes that are not decoded, by code."""


class FeedDecoder:
    """Messages to ticks, with what must be remembered between packets. Never raises for what the wire says."""

    def __init__(self, ticks: Mapping[int, int]) -> None:
        """``ticks``: the tick in paise of every instrument by key. It may grow; what is in it stays as it is."""
        self._ticks = ticks
        self._full: dict[int, tuple[int, _OnTick]] = {}
        """Key and prices by the header of a Full packet, learnt from the first one of each instrument."""
        self._quote: dict[int, tuple[int, _OnTick]] = {}
        self._ticker: dict[int, tuple[int, _OnTick]] = {}
        self._open_interest: dict[int, int] = {}
        self.previous_close_paise: dict[int, int] = {}
        """By key; live servers send it for indices."""
        self.counts = FeedCounts()
        self.lag = FeedLag()
        self.last_torn: TornPacket | None = None

    def decode(self, message: Buffer, at_ns: int) -> list[Tick]:
        """The ticks of one message, in order; ``at_ns`` is when it was received."""
        size = len(message)
        tick = None
        if size == _FULL_BYTES:  # by far the commonest messages: one packet
            tick = self._full_tick(message, 0, at_ns)
        elif size == _QUOTE_BYTES:
            tick = self._quote_tick(message, 0, at_ns)
        elif size == _TICKER_BYTES:
            tick = self._ticker_tick(message, 0, at_ns)
        if tick is not None:
            return [tick]
        found: list[Tick] = []
        at = 0
        while at < size:
            code, left = message[at], size - at
            if code == _FULL_CODE and left >= _FULL_BYTES:
                tick = self._full_tick(message, at, at_ns)
            elif code == _QUOTE_CODE and left >= _QUOTE_BYTES:
                tick = self._quote_tick(message, at, at_ns)
            elif code == _TICKER_CODE and left >= _TICKER_BYTES:
                tick = self._ticker_tick(message, at, at_ns)
            else:
                tick = None
            if tick is None:
                at = self._step(message, at, size, at_ns, found)
            else:
                found.append(tick)
                at += _LEAST_BYTES[code]
        return found

    def _full_tick(self, message: Buffer, at: int, at_ns: int) -> Tick | None:
        """The tick of a Full packet whose header is known; None when it has to be read with care."""
        (
            header, ltp, ltt, volume, interest,
            bids0, asks0, bid, ask,
            bids1, asks1, bids2, asks2, bids3, asks3, bids4, asks4,
        ) = _unpack_full(message, at)  # fmt: skip
        known = self._full.get(header)
        if known is None:
            return None
        key, prices = known
        exchange_s = ltt - IST_OFFSET_S if ltt else 0
        try:
            tick = Tick(
                at_ns,
                key,
                exchange_s,
                prices[ltp],
                prices[bid],
                prices[ask],
                bids0 + bids1 + bids2 + bids3 + bids4,
                asks0 + asks1 + asks2 + asks3 + asks4,
                volume,
                interest,
            )
        except ValueError:
            return None
        if exchange_s > self.lag.newest_s:
            self.lag.note(key, exchange_s, at_ns)
        return tick

    def _quote_tick(self, message: Buffer, at: int, at_ns: int) -> Tick | None:
        """As `_full_tick`, of a Quote packet."""
        header, ltp, ltt, volume = _unpack_quote(message, at)
        known = self._quote.get(header)
        if known is None:
            return None
        key, prices = known
        exchange_s = ltt - IST_OFFSET_S if ltt else 0
        try:
            tick = Tick(at_ns, key, exchange_s, prices[ltp], 0, 0, 0, 0, volume, self._open_interest.get(key, 0))
        except ValueError:
            return None
        if exchange_s > self.lag.newest_s:
            self.lag.note(key, exchange_s, at_ns)
        return tick

    def _ticker_tick(self, message: Buffer, at: int, at_ns: int) -> Tick | None:
        """As `_full_tick`, of a Ticker packet."""
        header, ltp, ltt = _unpack_ticker(message, at)
        known = self._ticker.get(header)
        if known is None:
            return None
        key, prices = known
        exchange_s = ltt - IST_OFFSET_S if ltt else 0
        try:
            tick = Tick(at_ns, key, exchange_s, prices[ltp], 0, 0, 0, 0, 0, self._open_interest.get(key, 0))
        except ValueError:
            return None
        if exchange_s > self.lag.newest_s:
            self.lag.note(key, exchange_s, at_ns)
        return tick

    def _step(self, message: Buffer, at: int, size: int, at_ns: int, found: list[Tick]) -> int:
        """Any packet, read with care; where the next one begins."""
        length = _whole_length(message, at, size)
        if not length:
            self.counts.torn += 1
            self.last_torn = _torn(message, at, size)
            return size
        code = message[at]
        if _IS_PRICE[code]:
            self._price(message, at, at_ns, found)
        else:
            self._note(code, message, at)
        return at + length

    def _price(self, message: Buffer, offset: int, at_ns: int, found: list[Tick]) -> None:
        """Add the tick of a packet with a price, or count why there is none."""
        try:
            tick = decode_tick(message, offset, at_ns, self._ticks, self._open_interest)
        except ValueError:
            self.counts.unreadable += 1
            return
        if tick is None:
            self.counts.unlisted += 1
            return
        found.append(tick)
        self._learn(message, offset, tick.key)
        if tick.exchange_s > self.lag.newest_s:
            self.lag.note(tick.key, tick.exchange_s, at_ns)

    def _learn(self, message: Buffer, offset: int, key: int) -> None:
        """The next packet with this very header is read at one look."""
        code, length, _, _ = _HEADER.unpack_from(message, offset)
        known = self._full if code == _FULL_CODE else self._quote if code == _QUOTE_CODE else self._ticker
        if length == PACKET_BYTES[code]:
            header = int.from_bytes(message[offset : offset + HEADER_BYTES], "little")
            if header not in known:
                known[header] = (key, _PRICES[self._ticks[key]])

    def _note(self, code: int, message: Buffer, offset: int) -> None:
        counts = self.counts
        if code == Code.OPEN_INTEREST:
            key, interest = decode_open_interest(message, offset)
            if key in self._ticks:
                self._open_interest[key] = interest
            else:
                counts.unlisted += 1
        elif code == Code.PREVIOUS_CLOSE:
            try:
                known = decode_previous_close(message, offset, self._ticks)
            except ValueError:
                counts.unreadable += 1
                return
            if known is not None:
                self.previous_close_paise[known[0]] = known[1]
        elif code == Code.HEARTBEAT:
            counts.heartbeats += 1
        elif code == Code.STATUS:
            counts.statuses += 1
        elif code != Code.DISCONNECT:
            counts.unknown[code] = counts.unknown.get(code, 0) + 1


class DayFigures(msgspec.Struct, frozen=True):
    """What Quote and Full packets carry beside the tick and the book; prices in paise, quantities in contracts."""

    last_quantity: int = 0
    average_paise: int = 0
    sell_quantity: int = 0
    buy_quantity: int = 0
    oi_high: int = 0
    oi_low: int = 0
    open_paise: int = 0
    previous_close_paise: int = 0
    high_paise: int = 0
    low_paise: int = 0


NO_FIGURES = DayFigures()


def _segment(key: int) -> int:
    return key >> 32


def _ltt(exchange_s: int) -> int:
    return exchange_s + IST_OFFSET_S if exchange_s else 0


def _rupees(paise: int) -> float:
    return paise / 100


def encode_ticker(tick: Tick) -> bytes:
    """A 16-byte Ticker packet."""
    return _TICKER.pack(
        Code.TICKER, 16, _segment(tick.key), key_security_id(tick.key), _rupees(tick.ltp_paise), _ltt(tick.exchange_s)
    )


def encode_quote(tick: Tick, day: DayFigures = NO_FIGURES) -> bytes:
    """A 50-byte Quote packet. The last traded quantity wraps at 16 bits, as on the real wire."""
    return _QUOTE.pack(
        Code.QUOTE,
        50,
        _segment(tick.key),
        key_security_id(tick.key),
        _rupees(tick.ltp_paise),
        day.last_quantity & 0xFFFF,
        _ltt(tick.exchange_s),
        _rupees(day.average_paise),
        tick.volume,
        day.sell_quantity,
        day.buy_quantity,
        _rupees(day.open_paise),
        _rupees(day.previous_close_paise),
        _rupees(day.high_paise),
        _rupees(day.low_paise),
    )


def encode_full(
    quote: Quote,
    day: DayFigures = NO_FIGURES,
    bid_orders: tuple[int, ...] = (),
    ask_orders: tuple[int, ...] = (),
) -> bytes:
    """A 162-byte Full packet: the tick, the day's figures and up to five levels a side, missing ones zero.

    ``bid_orders`` and ``ask_orders`` count the orders at each level; left out, a level holds one order.
    """
    tick = quote.tick
    packet = bytearray(_FULL_BYTES)
    _FULL.pack_into(
        packet,
        0,
        Code.FULL,
        _FULL_BYTES,
        _segment(tick.key),
        key_security_id(tick.key),
        _rupees(tick.ltp_paise),
        day.last_quantity & 0xFFFF,
        _ltt(tick.exchange_s),
        _rupees(day.average_paise),
        tick.volume,
        day.sell_quantity,
        day.buy_quantity,
        tick.oi,
        day.oi_high,
        day.oi_low,
        _rupees(day.open_paise),
        _rupees(day.previous_close_paise),
        _rupees(day.high_paise),
        _rupees(day.low_paise),
    )
    for level in range(BOOK_LEVELS):
        bid_paise, bid_quantity, bid_count = _level(quote.bids, bid_orders, level)
        ask_paise, ask_quantity, ask_count = _level(quote.asks, ask_orders, level)
        _LEVEL.pack_into(
            packet,
            _BOOK_OFFSET + level * _LEVEL.size,
            bid_quantity,
            ask_quantity,
            bid_count,
            ask_count,
            _rupees(bid_paise),
            _rupees(ask_paise),
        )
    return bytes(packet)


def _level(levels: Levels, orders: tuple[int, ...], level: int) -> tuple[int, int, int]:
    if level >= len(levels):
        return 0, 0, 0
    price_paise, quantity = levels[level]
    return price_paise, quantity, orders[level] if level < len(orders) else 1


def encode_oi(key: int, oi: int) -> bytes:
    """A 12-byte open-interest packet, sent beside Quote for derivatives."""
    return _OPEN_INTEREST.pack(Code.OPEN_INTEREST, 12, _segment(key), key_security_id(key), oi)


def encode_prev_close(key: int, previous_close_paise: int, previous_oi: int = 0) -> bytes:
    """A 16-byte previous-close packet, sent on subscribing an index."""
    return _PREVIOUS_CLOSE.pack(
        Code.PREVIOUS_CLOSE, 16, _segment(key), key_security_id(key), _rupees(previous_close_paise), previous_oi
    )


def encode_status(segment: Segment) -> bytes:
    """An 8-byte market-status packet: a header and nothing else."""
    return _HEADER.pack(Code.STATUS, HEADER_BYTES, int(segment), 0)


def encode_heartbeat() -> bytes:
    """An 8-byte heartbeat."""
    return _HEADER.pack(Code.HEARTBEAT, HEADER_BYTES, 0, 0)


def encode_disconnect(reason: int) -> bytes:
    """A 10-byte disconnect packet; ``reason`` is one of `DISCONNECT_REASONS`."""
    return _DISCONNECT.pack(Code.DISCONNECT, 10, 0, 0, reason)
