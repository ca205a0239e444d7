"""Broken messages by the million through every decoder of the wire: feed, depth and order updates.

Each message begins as a good one, or as noise, and is then cut, glued, overwritten or made to lie about its length; one
in ten stays good, so that what lies behind the first check is reached too. Nothing may be raised but errors of
`algo_scalper.domain.errors` (and those only where a function says so), no message may take long, and what is kept
afterwards may not grow. Memory is watched by tracemalloc in a second, shorter pass: it makes everything five times
slower.

    python -m benchmarks.fuzz_wire [--count 1000000] [--seed 1] [--watched 100000]

`count` messages go to each of the three decoders. The same seed gives the same messages; a message that breaks
something is printed in hex before the exception goes on.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from random import Random

import msgspec

from algo_scalper.adapters.dhan.depth import (
    DepthBook,
    DepthDecoder,
    depth_disconnect_reason,
    encode_depth,
    encode_depth_disconnect,
)
from algo_scalper.adapters.dhan.order_stream import MOST_ORDERS, DhanOrderStream
from algo_scalper.adapters.dhan.packets import (
    MOST_RUPEES,
    DayFigures,
    FeedDecoder,
    decode_quote,
    disconnect_reason,
    encode_disconnect,
    encode_full,
    encode_heartbeat,
    encode_oi,
    encode_prev_close,
    encode_quote,
    encode_status,
    encode_ticker,
    split_packets,
)
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.runtime.clock import SystemClock
from benchmarks.measuring import machine, table

OPTION = instrument_key(Segment.NSE_FNO, 40_472)
TICKS = {OPTION: 5, NIFTY.key: 5, instrument_key(Segment.BSE_FNO, 7): 5}
AT_NS = 1_795_000_000 * 10**9
MOST_MESSAGE_S = 0.5
"""No message may keep the loop longer, in CPU time, whatever it holds."""
MOST_GROWTH_BYTES = 16 << 20
"""What may be kept after any number of messages: the last report of 4,096 orders and 65,536 prices."""
AT_A_TIME = 50_000


def some_tick(chance: Random) -> Tick:
    key = chance.choice([*TICKS, instrument_key(Segment.NSE_EQ, chance.randrange(1, 2**31))])
    paise = chance.randrange(1, 6_000_000) * 5
    return Tick(
        0, key, AT_NS // 10**9, paise, paise, paise + 5, 65, 130, chance.randrange(2**32), chance.randrange(2**32)
    )


def feed_packet(chance: Random) -> bytes:
    tick = some_tick(chance)
    kind = chance.randrange(9)
    if kind == 0:
        return encode_ticker(tick)
    if kind == 1:
        return encode_quote(tick, DayFigures(65, 100, 1, 2))
    if kind == 2:
        return encode_oi(tick.key, tick.oi)
    if kind == 3:
        return encode_prev_close(tick.key, tick.ltp_paise)
    if kind == 4:
        return encode_status(Segment.NSE_EQ)
    if kind == 5:
        return encode_heartbeat()
    if kind == 6:
        return encode_disconnect(chance.randrange(65_536))
    levels = tuple((tick.bid_paise, chance.randrange(1, 2**20)) for _ in range(chance.randrange(6)))
    return encode_full(Quote(tick, levels, levels))


def broken(chance: Random, message: bytes) -> bytes:
    """The message after something happened to it; one in ten stays as it is."""
    what = chance.randrange(10)
    if what == 0 or not message:
        return message
    if what == 1:
        return message[: chance.randrange(len(message))]
    if what == 2:
        return message[chance.randrange(len(message)) :]
    if what == 3:
        return chance.randbytes(chance.randrange(400))
    if what == 4:
        return message + chance.randbytes(chance.randrange(40))
    changed = bytearray(message)
    for _ in range(1 if what < 8 else 8):
        changed[chance.randrange(len(changed))] = chance.choice((0, 1, 50, 127, 128, 255, chance.randrange(256)))
    return bytes(changed)


def feed_message(chance: Random) -> bytes:
    return broken(chance, b"".join(feed_packet(chance) for _ in range(chance.choice((1, 1, 1, 2, 5)))))


def depth_message(chance: Random) -> bytes:
    if chance.randrange(20) == 0:
        return broken(chance, encode_depth_disconnect(chance.randrange(65_536)))
    levels = tuple((chance.randrange(1, 10**6) * 5, chance.randrange(2**32), 1) for _ in range(chance.randrange(25)))
    book = DepthBook(
        chance.choice([OPTION, instrument_key(Segment.NSE_EQ, chance.randrange(2**31))]), 0, levels, levels
    )
    return broken(chance, encode_depth(book, 200 if chance.randrange(2) else 20))


ODD_VALUES: tuple[object, ...] = (
    None,
    True,
    "",
    "NA",
    0,
    -1,
    65,
    2**63,
    -(2**80),
    10**400,
    1e308,
    -0.0,
    133.55,
    "1.7E9",
    "nan",
    "inf",
    "-5",
    "\ud800",
    "x" * 500,
    [],
    {},
    [[{}]],
    "Traded",
    "Rejected",
    "Dreaming",
    "BSE",
    "NSE",
    "M",
)


def alert(chance: Random) -> dict[str, object]:
    data: dict[str, object] = {
        "exchange": chance.choice(("NSE", "BSE", "MCX", "NYSE")),
        "segment": chance.choice(("D", "D", "E", "C", "M")),
        "securityId": str(chance.randrange(1, 100_000)),
        "orderNo": str(chance.randrange(1, 10**15)),
        "txnType": chance.choice(("B", "S")),
        "orderType": chance.choice(("LMT", "MKT", "SL", "SLM")),
        "quantity": 65,
        "price": 133.5,
        "status": chance.choice(("Transit", "Pending", "Traded", "Cancelled", "Rejected", "Part Traded")),
        "correlationId": "as1-1-7",
    }
    for _ in range(chance.randrange(3)):
        name = chance.choice([*data, "tradedQty", "avgTradedPrice", "remainingQuantity", "triggerPrice"])
        data[name] = chance.choice(ODD_VALUES)
    if chance.randrange(4) == 0:
        data = {name[0].upper() + name[1:]: value for name, value in data.items()}
    return {"Data": data, "Type": chance.choice(("order_alert", "order_alert", "order_alert", "login", None))}


def order_message(chance: Random) -> bytes:
    text = "".join(json.dumps(alert(chance)) for _ in range(chance.choice((1, 1, 1, 2, 3)))).encode()
    if chance.randrange(50) == 0:
        return text + b"[" * chance.randrange(20_000)
    return text if chance.randrange(2) else broken(chance, text)


class Sinks:
    """Everything that reads the wire, and what came out of it."""

    def __init__(self) -> None:
        self.feed = FeedDecoder(TICKS)
        self.depth = (DepthDecoder(20, TICKS), DepthDecoder(200, TICKS))
        self.ticks = self.books = self.reports = self.unreadable = 0
        self.orders = DhanOrderStream(
            DhanSettings("1100000001", "a-secret-token"),
            SystemClock(),
            Random(1),
            on_report=self._report,
            on_unreadable=self._unread,
            on_lost=self._unread,
            on_restored=print,
        )

    def take_feed(self, message: bytes) -> None:
        for tick in self.feed.decode(message, AT_NS):
            if not 0 <= tick.ltp_paise <= MOST_RUPEES * 100:
                raise AssertionError(f"a price that cannot be one came through: {tick}")
            msgspec.msgpack.encode(tick)  # what comes out can be journalled
            self.ticks += 1
        for offset in split_packets(message)[0]:
            decode_quote(message, offset, AT_NS, TICKS)
        disconnect_reason(message)

    def take_depth(self, message: bytes) -> None:
        for decoder in self.depth:
            self.books += len(decoder.decode(message, AT_NS))
        depth_disconnect_reason(message)

    def take_orders(self, message: bytes) -> None:
        self.orders.deliver(message, AT_NS)

    def kept(self) -> int:
        """How many things are remembered."""
        feed, orders = self.feed, self.orders
        return (
            len(feed.counts.unknown)
            + len(feed.previous_close_paise)
            + len(feed._open_interest)  # noqa: SLF001 - what nobody else may look at is what is counted
            + len(orders._last)  # noqa: SLF001
            + sum(len(decoder._bids) + len(decoder._asks) for decoder in self.depth)  # noqa: SLF001
        )

    def _report(self, row: BrokerOrder, at_ns: int) -> None:
        del at_ns
        msgspec.msgpack.encode(row)  # what comes out can be journalled
        self.reports += 1

    def _unread(self, text: str) -> None:
        if "a-secret-token" in text:
            raise AssertionError("a token was shown")
        self.unreadable += 1


MAKERS = {"feed": feed_message, "depth": depth_message, "orders": order_message}


def run(name: str, count: int, seed: int, sinks: Sinks) -> tuple[float, float]:
    """CPU seconds in all, and of the slowest message."""
    chance, make = Random(seed), MAKERS[name]
    take = {"feed": sinks.take_feed, "depth": sinks.take_depth, "orders": sinks.take_orders}[name]
    whole = slowest = 0.0
    for begin in range(0, count, AT_A_TIME):
        for message in [make(chance) for _ in range(min(AT_A_TIME, count - begin))]:
            began = time.process_time()
            try:
                take(message)
            except BaseException:
                print(f"{name}, seed {seed}, this message: {message.hex()}")
                raise
            took = time.process_time() - began
            whole += took
            slowest = max(slowest, took)
    return whole, slowest


def growth(count: int, seed: int) -> int:
    """Bytes kept after ``count`` messages to each, beyond what was kept after a tenth of them."""
    sinks = Sinks()
    tracemalloc.start()
    for name in MAKERS:
        run(name, count // 10, seed, sinks)
    before = tracemalloc.get_traced_memory()[0]
    for name in MAKERS:
        run(name, count, seed + 1, sinks)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--count", type=int, default=1_000_000)
    ask.add_argument("--watched", type=int, default=100_000)
    ask.add_argument("--seed", type=int, default=1)
    asked = ask.parse_args()
    print(machine())
    sinks, rows, failed = Sinks(), [], False
    for name in MAKERS:
        whole, slowest = run(name, asked.count, asked.seed, sinks)
        failed |= slowest > MOST_MESSAGE_S
        rows.append(
            (name, f"{asked.count:,}", f"{whole:.1f}", f"{whole / asked.count * 1e6:.1f}", f"{slowest * 1e3:.1f}")
        )
    kept_most = MOST_ORDERS + 256 + 6 * len(TICKS)
    failed |= sinks.kept() > kept_most
    grown = growth(asked.watched, asked.seed + 10) if asked.watched else 0
    failed |= grown > MOST_GROWTH_BYTES
    table(
        "Broken messages",
        ("decoder", "messages", "CPU s", "us/message", "slowest ms"),
        rows,
        (
            (
                f"came out: {sinks.ticks:,} ticks, {sinks.books:,} books, {sinks.reports:,} reports; "
                f"{sinks.unreadable:,} order messages were told as unreadable"
            ),
            (
                f"kept: {sinks.kept():,} entries (at most {kept_most:,}); memory grew by {grown / 1024:,.0f} kB over "
                f"3 x {asked.watched:,} messages (at most {MOST_GROWTH_BYTES >> 10:,} kB)"
            ),
            "FAILED: see above" if failed else "nothing was raised, nothing hung, nothing grew",
        ),
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
