"""A busy feed over a loopback socket: how old does a packet get before it is handled, and how long does wanting take?

*Burst.* 5,000 instruments at 10,000 packets a second, from a picows server in a process of its own: 162-byte Full
packets packed into 4 kB messages, evenly paced, and once a second a burst of 1,000 packets written as one message on
top, which arrives in one callback. Ours is the live path without the engine: picows, `DhanFeed`, `FeedDecoder`, and a
handler that keeps the newest tick of each instrument. The age of a packet runs from just before the server's write to
the return of the callback that handled it (both processes read the same monotonic clock); every packet of a message has
the age of that message. With `--engine-us 3` the handler also spends so many microseconds on each tick: what the engine
costs by `engine_throughput`.

*Floor.* The same bytes to a picows listener that does nothing, in the same run, rounds in turn: what is left when this
project takes no time is the kernel, the event loop and this machine's other programs.

*Wanting.* `subscribe` of 25,000 instruments on five open sockets, in one call and in calls of 1,000; what matters is how
long one call keeps the loop. Then the time until the server has read all of it.

    python -m benchmarks.feed_burst [--seconds 10] [--engine-us 0]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from random import Random
from struct import Struct

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.packets import Buffer, FeedDecoder, encode_full
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.subscriptions import MOST_INSTRUMENTS, MOST_SOCKETS
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.runtime.clock import SystemClock
from benchmarks.measuring import machine, middle, percentile, settle_memory, table

INSTRUMENTS = 5_000
RATE = 10_000
BURST = 1_000
PER_MESSAGE = 25
PACKET_BYTES = 162
AIM_MS = 20.0
KEYS = [instrument_key(Segment.NSE_FNO, 30_000 + number) for number in range(INSTRUMENTS)]
TICKS = dict.fromkeys(KEYS, 5)
_STAMP = Struct("<Q")
STAMP_AT = 46
"""Where a Full packet has the day's highest and lowest open interest, which no tick keeps: the server writes the time
there, in the first packet of each message."""


# --- the server's process ---------------------------------------------------------------------------------------------


def serve(words: Connection) -> None:
    """Accept connections; at ``("play", path, seconds)`` send, at ``("read", count)`` answer when so much was read."""
    uvloop.run(_serve(words))


async def _serve(words: Connection) -> None:
    peers: dict[str, WSTransport] = {}
    ended = asyncio.Event()
    asked: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()
    messages_read = 0

    class Peer(WSListener):
        def __init__(self, path: str) -> None:
            self.path = path.strip("/")

        def on_ws_connected(self, transport: WSTransport) -> None:
            peers[self.path] = transport

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            nonlocal messages_read
            if frame.msg_type == WSMsgType.TEXT and self.path == "wanting":
                messages_read += 1
            elif frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()

    def accept(request: WSUpgradeRequest) -> WSListener:
        return Peer(request.path.decode().split("?")[0])

    def take() -> None:
        try:
            asked.put_nowait(words.recv())
        except EOFError:
            ended.set()

    server = await ws_create_server(accept, "127.0.0.1", 0)
    words.send(server.sockets[0].getsockname()[1])
    asyncio.get_running_loop().add_reader(words.fileno(), take)
    ending = asyncio.ensure_future(ended.wait())
    while not ended.is_set():
        word = asyncio.ensure_future(asked.get())
        await asyncio.wait((word, ending), return_when=asyncio.FIRST_COMPLETED)
        if not word.done():
            word.cancel()
            break
        what, path, amount = word.result()
        if what == "play":
            words.send(await _play(peers[path], amount))
        else:
            while messages_read < amount:  # noqa: ASYNC110 - half a millisecond does not matter here
                await asyncio.sleep(0.0005)
            messages_read = 0
            words.send(time.monotonic_ns())
    server.close()


async def _play(peer: WSTransport, seconds: float) -> int:
    """Pace messages by the clock, never faster; the number of packets sent."""
    chance = Random(5)
    packets = [_packet(chance, key) for key in KEYS]
    apart_ns = 10**9 * PER_MESSAGE // (RATE - BURST)
    began = due = time.monotonic_ns()
    burst_due = began + 10**9 // 2
    sent, at = 0, 0
    while due < began + seconds * 1e9:
        while (left := due - time.monotonic_ns()) > 0:  # noqa: ASYNC110 - this is what pacing is
            await asyncio.sleep(max(left - 200_000, 0) / 1e9)
        if due >= burst_due:
            burst_due += 10**9
            sent += _send(peer, packets, at, BURST)
            at += BURST
        sent += _send(peer, packets, at, PER_MESSAGE)
        at += PER_MESSAGE
        due += apart_ns
    return sent


def _send(peer: WSTransport, packets: list[bytes], at: int, count: int) -> int:
    message = bytearray(b"".join(packets[(at + number) % INSTRUMENTS] for number in range(count)))
    _STAMP.pack_into(message, STAMP_AT, time.monotonic_ns())
    peer.send(WSMsgType.BINARY, message)
    return count


def _packet(chance: Random, key: int) -> bytes:
    paise = chance.randrange(20, 20_000) * 5
    levels = tuple((paise - 5 * level, 65 * chance.randrange(1, 99)) for level in range(5))
    tick = Tick(0, key, 1_795_000_000, paise, volume=chance.randrange(10**7), oi=chance.randrange(10**6))
    return encode_full(Quote(tick, levels, levels))


# --- the client's ---------------------------------------------------------------------------------------------------


class Ages:
    """Of each message: how old it was when it was handled, and how many packets it held."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []
        self.packets = 0

    def note(self, message: Buffer) -> None:
        """At the end of the callback."""
        count = len(message) // PACKET_BYTES
        self.told.append((time.monotonic_ns() - _STAMP.unpack_from(message, STAMP_AT)[0], count))
        self.packets += count

    def ms(self, part: float) -> float:
        """The age that ``part`` of the packets do not exceed."""
        each = sorted(age / 1e6 for age, count in self.told for _ in range(count))
        return percentile(each, part)


class Nothing(WSListener):
    """The empty callback."""

    def __init__(self, ages: Ages) -> None:
        self.ages = ages

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        del transport
        if frame.msg_type == WSMsgType.BINARY:
            self.ages.note(frame.get_payload_as_memoryview())


def feed_of(port: int, path: str, handle: Callable[[Buffer, int], None]) -> DhanFeed:
    return DhanFeed(
        DhanSettings("1100000001", "token", feed_url=f"ws://127.0.0.1:{port}/{path}"),
        SystemClock(),
        Random(1),
        on_message=handle,
        on_lost=print,
        on_restored=print,
    )


async def ask(words: Connection, what: str, path: str, amount: float) -> int:
    """The server's answer, waited for without keeping the loop."""
    words.send((what, path, amount))
    here = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(words.fileno(), here.set)
    await here.wait()
    loop.remove_reader(words.fileno())
    return int(words.recv())


async def bursts(port: int, words: Connection, seconds: float, engine_us: float) -> None:
    decoder, newest = FeedDecoder(TICKS), dict[int, Tick]()
    ours, floor = Ages(), Ages()
    engine_ns = round(engine_us * 1000)

    def handle(message: Buffer, at_ns: int) -> None:
        for tick in decoder.decode(message, at_ns):
            newest[tick.key] = tick
            if engine_ns:
                until = time.perf_counter_ns() + engine_ns
                while time.perf_counter_ns() < until:
                    pass
        ours.note(message)

    feed = feed_of(port, "ours", handle)
    running = asyncio.create_task(feed.run())
    await feed.wait_up()
    empty, _ = await ws_connect(lambda: Nothing(floor), f"ws://127.0.0.1:{port}/floor")
    settle_memory()
    sent = {"ours": 0, "floor": 0}
    for _ in range(2):
        for path in sent:
            sent[path] += await ask(words, "play", path, seconds / 2)
            await asyncio.sleep(0.2)
    lost = (sent["ours"] - ours.packets, sent["floor"] - floor.packets)
    rows = [
        (name, f"{ages.packets:,}", *(f"{ages.ms(part):.2f}" for part in (0.5, 0.99, 1.0)))
        for name, ages in (("ours", ours), ("empty callback", floor))
    ]
    table(
        f"Age of a packet when it was handled, ms ({engine_us:g} us of engine for each tick)",
        ("", "packets", "p50", "p99", "worst"),
        rows,
        (f"lost: {lost[0]} and {lost[1]}; aim: ours p99 <= {AIM_MS:g} ms", f"{len(newest):,} instruments seen"),
    )
    running.cancel()
    await asyncio.wait((running,))
    empty.disconnect()


async def wanting(port: int, words: Connection) -> None:
    keys = [instrument_key(Segment.NSE_FNO, number) for number in range(1, MOST_SOCKETS * MOST_INSTRUMENTS + 1)]
    rows = []
    for at_a_time in (len(keys), 5_000, 1_000, 100):
        takes, ends = [], []
        for _ in range(3):
            feed = feed_of(port, "wanting", lambda message, at_ns: None)  # noqa: ARG005
            feed.subscribe(keys)  # opens the five sockets
            running = asyncio.create_task(feed.run())
            await feed.wait_up()
            feed.unsubscribe(keys)
            await ask(words, "read", "", 2 * len(keys) // 100)
            began = time.monotonic_ns()
            calls = []
            for start in range(0, len(keys), at_a_time):
                call_began = time.perf_counter()
                feed.subscribe(keys[start : start + at_a_time])
                calls.append(time.perf_counter() - call_began)
                await asyncio.sleep(0)
            takes.append((middle(calls), max(calls)))
            ends.append((await ask(words, "read", "", len(keys) // 100) - began) / 1e6)
            running.cancel()
            await asyncio.wait((running,))
            await ask(words, "read", "", MOST_SOCKETS)  # the goodbyes
        median_ms, worst_ms = (middle([take[at] for take in takes]) * 1e3 for at in (0, 1))
        rows.append((f"{at_a_time:,} a call", f"{median_ms:.2f}", f"{worst_ms:.2f}", f"{middle(ends):.1f}"))
    table(
        f"Subscribing {len(keys):,} instruments on {MOST_SOCKETS} sockets, ms",
        ("", "a call", "slowest call", "read by the server"),
        rows,
    )


async def measure(port: int, words: Connection, seconds: float, engine_us: float) -> None:
    await bursts(port, words, seconds, engine_us)
    if engine_us == 0:
        await bursts(port, words, seconds, 3.0)
    await wanting(port, words)


def main() -> int:
    ask_for = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for.add_argument("--seconds", type=float, default=10.0)
    ask_for.add_argument("--engine-us", type=float, default=0.0)
    asked = ask_for.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    theirs.close()
    print(machine())
    uvloop.run(measure(ours.recv(), ours, asked.seconds, asked.engine_us))
    ours.close()
    server.join(5)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
