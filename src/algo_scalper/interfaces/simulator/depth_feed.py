"""One depth connection, of 20 or 200 levels: what it asked for, and the books it gets. No sockets here.

The market shows five levels. Behind them a book goes on by a rule: prices as far apart as the five are, on a grid that
stands still while the market moves, quantities that swell a little and then thin out, in whole lots. It depends on the
contract, the price and a slow part of the time alone, so the same seed gives the same books. The first five levels are
the market's own, and only these trade.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp

import msgspec

from algo_scalper.adapters.dhan.depth import (
    DEPTH_SEGMENTS,
    DISCONNECT_BYTES,
    PER_SOCKET,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Depth,
    DepthBook,
    DepthLevels,
    encode_depth,
    encode_depth_disconnect,
)
from algo_scalper.domain.instruments import Contract, key_segment
from algo_scalper.domain.market import Levels, Quote
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.feed import (
    DISCONNECT,
    MOST_PER_MESSAGE,
    NOTHING,
    TOO_MANY_INSTRUMENTS,
    Asking,
    Interest,
    asked_key,
)
from algo_scalper.interfaces.simulator.outbox import End, Outbox
from algo_scalper.simulation.liquidity import DEPTH, SIZE_SD
from algo_scalper.simulation.mix import mix_all, normal

SHOWN = 5
PORTAL_UNSUBSCRIBE = 25
"""The other documentation's code for leaving."""
MESSAGE_BYTES = 8_192
RENEWED_NS = 20 * NS_PER_SECOND
"""How long the orders deep in a book stand before others take their place."""
LOTS_AN_ORDER = 4
_FULLEST = 20
"""Level up to which quantities swell, by as much again as the best five do."""
_THINNING = 90.0
_WIDEST_TICKS = 64

_requests = msgspec.json.Decoder(Asking)


class DepthSession:
    """Subscriptions of one connection and the books being gathered for its next messages."""

    def __init__(self, number: int, levels: Depth, contracts: dict[int, Contract], seed: int) -> None:
        self.number = number
        self.levels: Depth = levels
        self.outbox = Outbox()
        self.keys: dict[int, None] = {}
        self._contracts = contracts
        self._seed = seed
        self._sequence = 0
        self._packets: list[bytes] = []

    def read(self, text: str) -> Interest:
        """Take a request: a list with 20 levels, one flat instrument with 200.

        Torn JSON, unknown codes and instruments without depth are ignored.
        """
        try:
            request = _requests.decode(text)
        except msgspec.DecodeError:
            return NOTHING
        code, listed = request.RequestCode, request.InstrumentList
        if code == DISCONNECT:
            self.outbox.end(End.CLOSE)
            return NOTHING
        if self.levels == 200 and request.SecurityId:
            listed = [request]
        if len(listed) > MOST_PER_MESSAGE:
            self.disconnect(TOO_MANY_INSTRUMENTS)
            return NOTHING
        keys = tuple(dict.fromkeys(key for key in map(asked_key, listed) if self._has_depth(key)))
        if code == SUBSCRIBE:
            self.keys.update(dict.fromkeys(keys))
            if len(self.keys) > PER_SOCKET[self.levels]:
                self.disconnect(TOO_MANY_INSTRUMENTS)
            return Interest(wanted=keys)
        if code in (UNSUBSCRIBE, PORTAL_UNSUBSCRIBE):
            gone = tuple(key for key in keys if key in self.keys)
            for key in gone:
                del self.keys[key]
            return Interest(dropped=gone)
        return NOTHING

    def _has_depth(self, key: int) -> bool:
        return key in self._contracts and key_segment(key) in DEPTH_SEGMENTS

    def add(self, quote: Quote) -> None:
        """Gather this instrument's book, if it is subscribed; it leaves with `take`."""
        key = quote.tick.key
        if key not in self.keys:
            return
        self._sequence += 1
        book = deepened(quote, self._contracts[key], self.levels, self._seed)
        self._packets.append(encode_depth(book, self.levels, self._sequence))

    def take(self) -> list[bytes]:
        """The messages that leave now, made of what was gathered; a book is never split."""
        packets, self._packets = self._packets, []
        messages: list[bytes] = []
        for packet in packets:
            if messages and len(messages[-1]) + len(packet) <= MESSAGE_BYTES:
                messages[-1] += packet
            else:
                messages.append(packet)
        return messages

    def disconnect(self, reason: int) -> None:
        """Say why, in a packet of 14 bytes, and go."""
        packet = encode_depth_disconnect(reason)
        assert len(packet) == DISCONNECT_BYTES
        self.outbox.put(packet)
        self.outbox.end(End.CLOSE)


def deepened(quote: Quote, contract: Contract, levels: Depth, seed: int) -> DepthBook:
    """The book behind a quote. A side that shows fewer than five levels ends there: nobody stands behind them."""
    at_ns = quote.tick.at_ns
    sides = [
        _side(shown, contract, levels, is_bid, mix_all(seed, contract.key, is_bid, at_ns // RENEWED_NS))
        for shown, is_bid in ((quote.bids, True), (quote.asks, False))
    ]
    return DepthBook(contract.key, at_ns, *sides)


def _side(shown: Levels, contract: Contract, levels: int, is_bid: bool, noise: int) -> DepthLevels:
    lot, tick = contract.lot, contract.tick_paise
    found = [(price, size, _orders(size, lot, mix_all(noise, price))) for price, size in shown]
    if len(shown) < SHOWN:
        return tuple(found)
    # A grid of a power of two ticks stands still while the five levels breathe.
    between = abs(shown[0][0] - shown[-1][0]) / (SHOWN - 1) / tick
    step = 1
    while step * 2 <= min(between, _WIDEST_TICKS):
        step *= 2
    cell = shown[-1][0] // tick // step
    best = sum(size for _, size in shown) / sum(DEPTH)
    for level in _further(levels):
        cell += -1 if is_bid else 1
        price = (cell * step + mix_all(noise, cell) % step) * tick
        if price < tick:
            break
        swell = 1.0 + 0.5 * min((level - SHOWN) / (_FULLEST - SHOWN), 1.0)
        thin = exp(-max(level - _FULLEST, 0) / _THINNING)
        size = best * DEPTH[-1] * swell * thin * exp(SIZE_SD * normal(mix_all(noise, price)))
        size = max(round(size / lot), 1) * lot
        found.append((price, size, _orders(size, lot, mix_all(noise, price, level))))
    return tuple(found)


def _further(levels: int) -> Iterable[int]:
    return range(SHOWN, levels)


def _orders(size: int, lot: int, noise: int) -> int:
    """So many orders make up a level: four lots each, more or less."""
    lots = max(size // lot, 1)
    return max(min(round(lots / LOTS_AN_ORDER * (0.5 + noise % 1_000 / 1_000)), lots), 1)
