"""What placing an order costs on this machine beyond the network: `DhanBroker` beside a bare socket, same bytes.

A server in a process of its own reads a request whole, notes the time and gives Dhan's answer to a placed order. Three
ways to ask it, in turns, each on a kept connection of its own:

- *place*: `DhanBroker.place` whole: the body, the budget (`Limiter`, every real window, their limits out of reach),
  `DhanRest`, aiohttp, the deadline on the clock, the answer judged. On uvloop, as the engine runs.
- *bare, loop*: the same bytes written by an asyncio protocol on the same loop, the answer not looked at.
- *bare, blocking*: the same bytes by ``send`` and ``recv``: the floor.

*Overhead* is place less bare, blocking, percentile by percentile. *Arrived* is from the call to the last byte read by
the server: what a fill waits for; the rest is reading the answer. *CPU* is the processor time of this process, which other
programs on the machine lengthen least. TLS is left out on all three: its cost is the same
library's in each. The orders are a millisecond apart, so each finds cold caches, as orders do; ``--apart-ms 0`` shows what
is left when they do not.

    python -m benchmarks.order_overhead [--rounds 10] [--apart-ms 1]
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import threading
import time
from multiprocessing.connection import Connection
from random import Random
from typing import NamedTuple, cast

import msgspec
import uvloop

from algo_scalper.adapters.dhan.limits import WINDOWS, Limiter
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.commands import PlaceOrder
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.orders import OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted
from algo_scalper.runtime.clock import SystemClock
from benchmarks.measuring import machine, percentile, settle_memory, table

ORDERS = 200
"""In a round, each way."""
WARM = 50
APART_MS = 1.0
AIM_P50_US = 300.0
TOKEN_LENGTH = 290
PLACE, LOOP, BLOCKING = "place an order", "bare socket, same loop", "bare socket, blocking"
ACCEPTED = Accepted("752502167405")
BODY = b'{"orderId": "752502167405", "orderStatus": "TRANSIT"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
OPTION = instrument_key(Segment.NSE_FNO, 42500)


class Timed(NamedTuple):
    """Of one order, in nanoseconds from its start; and the processor time this process spent on it."""

    arrived_ns: int
    answered_ns: int
    cpu_ns: int


# --- the server's process ---------------------------------------------------------------------------------------------


def serve(words: Connection) -> None:
    """Answer whoever connects; tell the port, then of each connection, when it ends, when its requests were read."""
    listening = socket.create_server(("127.0.0.1", 0))
    words.send(listening.getsockname()[1])
    while True:
        line, _ = listening.accept()
        threading.Thread(target=_answer, args=(line, words), daemon=True).start()


def _answer(line: socket.socket, words: Connection) -> None:
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times: list[int] = []
    request = first = b""
    while chunk := line.recv(65_536):
        request += chunk
        head, blank, body = request.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not blank or len(body) < int(length):
            continue
        times.append(time.perf_counter_ns())
        line.sendall(ANSWER)
        first = first or request
        request = b""
    words.send((first, times))


# --- the client's -----------------------------------------------------------------------------------------------------


class Bare(asyncio.Protocol):
    """The same bytes on the same loop, and nothing else."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._read = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's

    def data_received(self, data: bytes) -> None:
        self._read += len(data)
        if self._read >= len(ANSWER) and self._answered is not None:
            self._answered.set_result(None)

    async def ask(self, request: bytes) -> None:
        assert self._transport is not None
        self._read, self._answered = 0, asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._answered

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


def ask_blocking(line: socket.socket, request: bytes) -> None:
    line.sendall(request)
    read = 0
    while read < len(ANSWER):
        read += len(line.recv(65_536))


def command(number: int) -> PlaceOrder:
    """Another order each time, as orders are."""
    price = 10_000 + number % 500 * 5
    return PlaceOrder(
        f"as1-12-{number:06d}", OPTION, Side.BUY, OrderKind.LIMIT, 130, price, 0, Purpose.ENTRY, Product.INTRADAY
    )


async def measure(port: int, words: Connection, rounds: int, apart_s: float) -> dict[str, list[Timed]]:
    """All three ways, in turns."""
    settings = DhanSettings(
        client_id="1100000001", access_token="e" * TOKEN_LENGTH, base_url=f"http://127.0.0.1:{port}/v2"
    )
    clock = SystemClock()
    wide = tuple(msgspec.structs.replace(window, limit=1_000_000) for window in WINDOWS)

    def broker_of(rest: DhanRest) -> DhanBroker:
        return DhanBroker(rest, clock)

    learning = DhanRest(settings, clock)
    assert await broker_of(learning).place(command(0)) == ACCEPTED
    await learning.close()
    request, _ = words.recv()  # the very bytes an order is

    rest = DhanRest(settings, clock, limiter=Limiter(clock, Random(1), wide))
    broker = broker_of(rest)
    _, bare = await asyncio.get_running_loop().create_connection(Bare, "127.0.0.1", port)
    blocking = socket.create_connection(("127.0.0.1", port))
    blocking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    spans: dict[str, list[tuple[int, int, int]]] = {PLACE: [], LOOP: [], BLOCKING: []}
    settle_memory()
    for turn in range(rounds * ORDERS + WARM):
        await asyncio.sleep(apart_s)
        order = command(turn)
        began, cpu = time.perf_counter_ns(), time.process_time_ns()
        outcome = await broker.place(order)
        spans[PLACE].append((began, time.perf_counter_ns(), time.process_time_ns() - cpu))
        assert outcome == ACCEPTED
        await asyncio.sleep(apart_s)
        began, cpu = time.perf_counter_ns(), time.process_time_ns()
        await bare.ask(request)
        spans[LOOP].append((began, time.perf_counter_ns(), time.process_time_ns() - cpu))
        await asyncio.sleep(apart_s)
        began, cpu = time.perf_counter_ns(), time.process_time_ns()
        ask_blocking(blocking, request)
        spans[BLOCKING].append((began, time.perf_counter_ns(), time.process_time_ns() - cpu))
    timed: dict[str, list[Timed]] = {}
    for name, end in ((PLACE, rest.close), (LOOP, bare.close), (BLOCKING, blocking.close)):
        ended = end()
        if ended is not None:
            await ended
        await asyncio.sleep(apart_s)  # a transport closes in a turn of the loop
        _, arrived = words.recv()
        timed[name] = [
            Timed(at - began, answered - began, cpu)
            for (began, answered, cpu), at in list(zip(spans[name], arrived, strict=True))[WARM:]
        ]
    return timed


def main() -> None:
    asked = argparse.ArgumentParser(description="What placing an order costs beside a bare socket.")
    asked.add_argument("--rounds", type=int, default=10)
    asked.add_argument("--apart-ms", type=float, default=APART_MS)
    rounds, apart_ms = asked.parse_args().rounds, asked.parse_args().apart_ms
    words, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    timed = uvloop.run(measure(words.recv(), words, rounds, apart_ms / 1e3))
    server.terminate()
    server.join()

    def spread(name: str, of: int) -> tuple[float, float]:
        values = sorted(one[of] / 1e3 for one in timed[name])
        return percentile(values, 0.5), percentile(values, 0.99)

    floor = spread(BLOCKING, 1)
    rows = []
    for name in (PLACE, LOOP, BLOCKING):
        arrived, answered = spread(name, 0), spread(name, 1)
        cpu = spread(name, 2)[0]
        rows.append((name, *(f"{value:.0f}" for value in (*arrived, *answered, *_less(answered, floor), cpu))))
    over = _less(spread(PLACE, 1), floor)[0]
    table(
        f"Placing an order, {rounds * ORDERS:,} each way, {apart_ms:g} ms apart, microseconds",
        ("", "arrived p50", "p99", "answered p50", "p99", "overhead p50", "p99", "CPU p50"),
        rows,
        (f"Aim: overhead p50 <= {AIM_P50_US:g} us: {'met' if over <= AIM_P50_US else 'not met'}.", machine()),
    )


def _less(values: tuple[float, float], floor: tuple[float, float]) -> tuple[float, float]:
    return values[0] - floor[0], values[1] - floor[1]


if __name__ == "__main__":
    main()
