"""From a frame's bytes to the decision, over a real WebSocket, against an empty callback on the same bytes.

A picows server in a process of its own writes real packets, one to a message and some 0.3 ms apart, to two
connections of this process in turn: 162-byte Full packets of 40 contracts, 50-byte Quote packets of the index and the
VIX, all of a synthetic day. One connection is the live path whole: picows, `DhanFeed` (its line, its clock), the
decoder, `Session.take` with the journal and the engine with one open position and its floor. The other is a picows
listener whose callback does nothing. Both carry the same timer around their `on_ws_frame`, so its cost (given as the
empty callback's p50) is in both.

Three kinds of frame are told apart: *plain* (a contract that is not held, or an index), *held* (the open position is
marked, its exit rules say hold) and *stop* (the price that fires the stop; up to the order offered to the order lane
inside that same callback). For each stop the engine is put back to where it stood, from a copy.

Two times are given. *Callback*: entry to return, which is what this project adds to the socket library. *Wire*: from
just before the server's write to the callback's return, kernel, event loop and waking up included, which is what a
trader waits; there the empty callback is the floor of any engine in Python on this machine.

Nothing is warmed specially; the collector runs as it does in production. Rounds of the two connections alternate.

    python -m benchmarks.frame_to_decision [--rounds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest import mock

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from algo_scalper.adapters.dhan import feed_transport
from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.packets import Buffer, FeedDecoder, encode_full, encode_quote
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.journal import FORMAT, JournalHeader, JournalWriter
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.engine.state import State
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.order_lane import LaneQueue
from algo_scalper.runtime.virtual import VirtualRun
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.world import World
from benchmarks.measuring import machine, percentile, settle_memory, shipped_rules, table
from benchmarks.prepared_day import DAY, SEED, PreparedMarket, patient, run_up_to_the_hour

FRAMES = 2_000
"""In a round, on each connection."""
STOPS = 15
APART_S = 0.0002
AIM_P50_US = 10.0
AIM_P99_TIMES = 5.0
EMPTY, ENGINE = 0, 1


class Timed(NamedTuple):
    """Of one frame, in nanoseconds."""

    kind: str
    callback_ns: int
    wire_ns: int


# --- the server's process ---------------------------------------------------------------------------------------------


def serve(words: Connection, frames: list[bytes]) -> None:
    """Accept two connections; at each word write the frames asked for and answer with the times of the writes."""
    uvloop.run(_serve(words, frames))


async def _serve(words: Connection, frames: list[bytes]) -> None:
    peers: dict[str, WSTransport] = {}
    ended = asyncio.Event()

    class Peer(WSListener):
        def __init__(self, path: str) -> None:
            self.path = path

        def on_ws_connected(self, transport: WSTransport) -> None:
            peers[self.path] = transport

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            """What the client asks for does not matter here."""

    def accept(request: WSUpgradeRequest) -> WSListener:
        return Peer(request.path.decode().split("?")[0])

    def play() -> None:
        try:
            word = words.recv()
        except EOFError:
            ended.set()
            return
        path, asked = word
        times = []
        for number in asked:
            time.sleep(APART_S)
            times.append(time.perf_counter_ns())
            peers[path].send(WSMsgType.BINARY, frames[number])
        words.send(times)

    server = await ws_create_server(accept, "127.0.0.1", 0)
    words.send(server.sockets[0].getsockname()[1])
    asyncio.get_running_loop().add_reader(words.fileno(), play)
    await ended.wait()
    server.close()


# --- the client's ---------------------------------------------------------------------------------------------------


class MarketClock:
    """As `SystemClock`, moved so that the market's time is that of the frame that comes; it costs what that one does."""

    def __init__(self) -> None:
        self._system = SystemClock()
        self._anchor_ns = 0

    def now_ns(self) -> int:
        return self._anchor_ns + time.monotonic_ns()

    def stand_at(self, market_ns: int) -> None:
        self._anchor_ns = market_ns - time.monotonic_ns()

    async def sleep_until(self, at_ns: int) -> None:
        await self._system.sleep_until(self._system.now_ns() + at_ns - self.now_ns())


class Stopwatch:
    """Times one connection's frames; knows which are due."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []
        """Entry and return of each callback."""
        self.all_here = asyncio.Event()
        self._due: list[Callable[[], None]] = []

    def before(self) -> None:
        self._due[len(self.spans)]()

    def after(self, began_ns: int, ended_ns: int) -> None:
        self.spans.append((began_ns, ended_ns))
        if len(self.spans) == len(self._due):
            self.all_here.set()

    def expect(self, due: list[Callable[[], None]]) -> None:
        self.spans, self._due = [], due
        self.all_here.clear()


def timed_listener(base: type[WSListener], watch: Stopwatch) -> type[WSListener]:
    """The listener with the timer around its frame callback."""

    class Timer(base):  # type: ignore[misc,valid-type]
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type != WSMsgType.BINARY:
                super().on_ws_frame(transport, frame)
                return
            watch.before()
            began = time.perf_counter_ns()
            super().on_ws_frame(transport, frame)
            watch.after(began, time.perf_counter_ns())

    return Timer


class Nothing(WSListener):
    """The empty callback."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        pass


class LiveRun(VirtualRun):
    """A backtest up to the hour; then the orders go into a lane and nothing else happens, as in the live process."""

    live = False

    def __init__(self, world: World, journal: JournalWriter) -> None:
        super().__init__(world, journal)
        self.lane = LaneQueue()
        self.kicked = asyncio.Event()
        self.offered = 0

    def order(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> None:
        if self.live:
            self.lane.offer(command)
            self.offered += 1
        else:
            super().order(command)

    def done(self) -> None:
        if self.live:
            self.kicked.set()
        else:
            super().done()


class Bench:
    """Frames, the session they are played to, and the way back to where it stood."""

    def __init__(self, folder: Path) -> None:
        market = PreparedMarket()
        rules = patient(shipped_rules(1))
        exchange = SimulatedExchange(market.contracts, DAY, rules.capital_paise)
        world = World(market, exchange, SEED)  # type: ignore[arg-type]
        header = JournalHeader(FORMAT, "benchmark", "", "BENCH", 1, DAY, "SIMULATED", "PAPER", world.now_ns)
        self.journal = JournalWriter(folder / "bench.journal", header)
        self.run = LiveRun(world, self.journal)
        position = run_up_to_the_hour(self.run, market, rules)
        self.run.live = True
        self.clock = MarketClock()
        self.decoder = FeedDecoder(market.tick_sizes)
        self.ticks: list[Tick] = []
        self.frames: list[bytes] = []
        self.kinds: list[str] = []
        for quote in market.printed()[: 20 * FRAMES]:
            self._add(quote, "held" if quote.tick.key == position.key else "plain")
        last = next(q for q in reversed(market.printed()[: 20 * FRAMES]) if q.tick.key == position.key)
        self._add(_fallen(last, position.stop_paise, position.contract.tick_paise), "stop")
        self.stop_number = len(self.frames) - 1

    def _add(self, quote: Quote, kind: str) -> None:
        self.ticks.append(quote.tick)
        self.frames.append(encode_full(quote) if quote.asks else encode_quote(quote.tick))
        self.kinds.append(kind)

    def on_message(self, message: Buffer, _received_ns: int) -> None:
        """What the engine process does with a message, without the page."""
        at_ns = self.clock.now_ns()
        for tick in self.decoder.decode(message, at_ns):
            self.run.session.take(tick)

    def stands(self, number: int) -> None:
        """The clock stands a few milliseconds after the exchange printed this frame."""
        self.clock.stand_at(self.ticks[number].at_ns + 5_000_000)

    def copied(self) -> State:
        """The engine's state, with what never changes shared."""
        state = self.run.session.engine.state
        shared = (state.started, state.contracts, state.rules, state.schedule)
        return copy.deepcopy(state, {id(one): one for one in shared})

    def put_back(self, kept: State) -> None:
        """The state as it stood, copied again."""
        shared = (kept.started, kept.contracts, kept.rules, kept.schedule)
        fresh = copy.deepcopy(kept, {id(one): one for one in shared})
        state = self.run.session.engine.state
        for name in state.__struct_fields__:
            setattr(state, name, getattr(fresh, name))


def _fallen(quote: Quote, stop_paise: int, tick_paise: int) -> Quote:
    """The next second of the held contract: bid and last at the stop, the spread as narrow as it gets."""
    tick = quote.tick
    bid, ask = stop_paise, stop_paise + tick_paise
    size = max(tick.bid_total // 5, 65)
    levels = tuple((bid - step * tick_paise, size) for step in range(5))
    offers = tuple((ask + step * tick_paise, size) for step in range(5))
    fallen = Tick(
        tick.at_ns + NS_PER_SECOND, tick.key, tick.exchange_s + 1, bid, bid, ask, 5 * size, 5 * size, tick.volume, tick.oi
    )  # fmt: skip
    return Quote(fallen, levels, offers)


async def measure(rounds: int, folder: Path) -> dict[int, list[Timed]]:
    """All rounds; times by connection."""
    bench = Bench(folder)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, bench.frames), daemon=True)
    process.start()
    loop = asyncio.get_running_loop()
    port = await loop.run_in_executor(None, ours.recv)
    watches = (Stopwatch(), Stopwatch())
    await ws_connect(partial(timed_listener(Nothing, watches[EMPTY])), f"ws://127.0.0.1:{port}/empty")
    base = feed_transport._Listener  # noqa: SLF001 - the very callback that is measured
    with mock.patch.object(feed_transport, "_Listener", timed_listener(base, watches[ENGINE])):
        feed = DhanFeed(
            DhanSettings("BENCH", "BENCH", feed_url=f"ws://127.0.0.1:{port}/engine"),
            bench.clock,
            Random(SEED),
            on_message=bench.on_message,
            on_lost=lambda why: print(f"lost: {why}"),
            on_restored=print,
            expects_data=lambda _: False,
        )
        running = asyncio.create_task(feed.run())
        await feed.wait_up()
    found: dict[int, list[Timed]] = {EMPTY: [], ENGINE: []}

    async def play(which: int, numbers: list[int], due: list[Callable[[], None]]) -> None:
        watch = watches[which]
        watch.expect(due)
        ours.send((("/empty", "/engine")[which], numbers))
        sent = await loop.run_in_executor(None, ours.recv)
        await watch.all_here.wait()
        for number, at, (began, ended) in zip(numbers, sent, watch.spans, strict=True):
            found[which].append(Timed(bench.kinds[number], ended - began, ended - at))

    settle_memory()
    for turn in range(rounds):
        first = turn * FRAMES % (len(bench.frames) - 1)
        numbers = list(range(first, min(first + FRAMES, len(bench.frames) - 1)))
        due: list[Callable[[], None]] = [partial(bench.stands, number) for number in numbers]
        for which in (EMPTY, ENGINE) if turn % 2 == 0 else (ENGINE, EMPTY):
            await play(which, numbers, due)
        kept = bench.copied()
        for _ in range(STOPS):
            stop = [bench.stop_number]
            await play(EMPTY, stop, [partial(bench.stands, bench.stop_number)])
            await play(ENGINE, stop, [partial(bench.stands, bench.stop_number)])
            assert bench.run.lane.ready(), "the stop made no order"
            bench.run.lane = LaneQueue()
            bench.put_back(kept)
        bench.journal.flush(fsync=False)
    assert bench.run.offered == rounds * STOPS, f"{bench.run.offered} orders of {rounds * STOPS} stops"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    ours.close()
    process.join(5)
    bench.journal.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = uvloop.run(measure(asked.rounds, Path(name)))
    rows = []

    def row(what: str, which: int, kinds: tuple[str, ...]) -> Figures:
        own, floor = figures(found[which], kinds), figures(found[EMPTY], kinds)
        rows.append(
            (
                what,
                f"{own.frames:,}",
                f"{own.callback[0]:.2f}",
                f"{own.callback[1]:.2f}",
                f"{own.callback[1] / floor.callback[1]:.1f}x",
                f"{own.wire[0]:.0f}",
                f"{own.wire[1]:.0f}",
                f"{own.wire[1] / floor.wire[1]:.2f}x",
            )
        )
        return own

    every = ("plain", "held", "stop")
    floor = row("empty callback", EMPTY, every)
    own = row("engine, all frames", ENGINE, every)
    row("  plain: not held, or an index", ENGINE, ("plain",))
    row("  held: position marked, hold", ENGINE, ("held",))
    row("  stop: to the order in the lane", ENGINE, ("stop",))
    p50 = own.callback[0]
    alone, waited = own.callback[1] / floor.callback[1], own.wire[1] / floor.wire[1]
    table(
        f"Frame to decision, {asked.rounds} rounds of {FRAMES:,} frames on each connection, microseconds",
        ("", "frames", "callback p50", "p99", "p99/empty", "wire p50", "p99", "p99/empty"),
        rows,
        (
            f"Aim: callback p50 <= {AIM_P50_US:g} us: {'met' if p50 <= AIM_P50_US else 'not met'}.",
            f"Aim: p99 <= {AIM_P99_TIMES:g}x the empty callback's: from the wire {_met(waited)}, callback alone {_met(alone)}.",
            machine(),
        ),
    )


class Figures(NamedTuple):
    """Of some frames: (p50, p99) in microseconds."""

    frames: int
    callback: tuple[float, float]
    wire: tuple[float, float]


def figures(timed: list[Timed], kinds: tuple[str, ...]) -> Figures:
    """Over the frames of these kinds."""
    chosen = [each for each in timed if each.kind in kinds]
    callback = sorted(each.callback_ns / 1e3 for each in chosen)
    wire = sorted(each.wire_ns / 1e3 for each in chosen)
    return Figures(
        len(chosen),
        (percentile(callback, 0.5), percentile(callback, 0.99)),
        (percentile(wire, 0.5), percentile(wire, 0.99)),
    )


def _met(times: float) -> str:
    return f"{times:.1f}x, {'met' if times <= AIM_P99_TIMES else 'not met'}"


if __name__ == "__main__":
    main()
