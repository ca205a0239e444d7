"""The simulator as a server: how much market it can send, how long an order takes, how long a stepped day, how much memory.

*Feed.* Every listed contract in Full mode on each of five sockets, by a simulator in a process that is held to one core;
the reader, on the other, counts bytes. The market prints as its statistics say, so the pace is raised until the wanted
packets leave: 10,000 a second for each socket is 5,000 instruments at two a second. It has fallen behind when its
clock slipped (``slipped_ns`` of the status page). Both figures that matter are of the server: packets it sent and the
share of its core it used.

*Order.* ``POST /v2/orders`` for a resting order by a blocking socket on a kept connection, from the first byte to the
answer's last. The simulator answers after the latency it models; at 60 times the pace that is a sixtieth. *Read* is
``GET /v2/fundlimit``, which waits for nothing.

*Stepped day.* From the open to the end in stepped time, without sockets, but with each packet encoded: NIFTY and what an
engine watches of its nearest chain, then that whole chain.

    python -m benchmarks.simulator [--seconds 10] [--paces 1 3 5 6]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Sequence
from datetime import date
from multiprocessing.connection import Connection
from urllib.request import urlopen

import psutil
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from algo_scalper.domain.instruments import NIFTY, OptionType, key_security_id, key_segment
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.server import SimulatorConfig, serve
from algo_scalper.interfaces.simulator.venue import Venue
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.market import MarketDay, synthetic_day
from algo_scalper.simulation.world import World
from benchmarks.measuring import machine, percentile, table

DAY = date(2026, 2, 3)
SEED = 1
SOCKETS = 5
AIM_PACKETS = 10_000
"""A second, for each socket."""
PACKET_BYTES = 162
ORDERS = 300
AFTER_OPEN_S = 2_700
PER_MESSAGE = 100
WATCHED = 24
"""Contracts near the money that the engine subscribes."""


def world_of(market: MarketDay, after_open_s: int) -> World:
    exchange = SimulatedExchange(market.contracts, market.day, 100_000_000)
    return World(market, exchange, SEED, start_ns=market.axis.open_ns + after_open_s * NS_PER_SECOND)


def hold_to(core: int) -> None:
    """Keep this process on one core, where the system can and there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {core})


def run_server(words: Connection, pace: float) -> None:
    """Serve on any port, told through ``words``, until told to stop."""
    hold_to(0)
    config = SimulatorConfig(port=0, rate=pace, limited=False)
    uvloop.run(serve(world_of(synthetic_day(DAY, SEED), AFTER_OPEN_S), config, SystemClock(), words.send))


class Server:
    """A simulator in a process of its own."""

    def __init__(self, pace: float) -> None:
        self._ours, theirs = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_server, args=(theirs, pace), daemon=True
        )
        self._process.start()
        self.port = self._ours.recv()
        self._seen = psutil.Process(self._process.pid)

    def status(self) -> dict[str, int]:
        with urlopen(f"http://127.0.0.1:{self.port}/sim/status") as answer:
            told: dict[str, int] = json.load(answer)
        return told

    @property
    def cpu_s(self) -> float:
        spent = self._seen.cpu_times()
        return float(spent.user + spent.system)

    @property
    def resident_mb(self) -> float:
        return float(self._seen.memory_info().rss) / 1e6

    def end(self) -> None:
        with urlopen(f"http://127.0.0.1:{self.port}/sim/shutdown", b"{}"):
            pass
        self._process.join(10)


def wanting(keys: Sequence[int]) -> list[str]:
    """Requests that subscribe these in Full mode."""
    listed = [{"ExchangeSegment": key_segment(key).name, "SecurityId": str(key_security_id(key))} for key in keys]
    parts = [listed[at : at + PER_MESSAGE] for at in range(0, len(listed), PER_MESSAGE)]
    return [json.dumps({"RequestCode": 21, "InstrumentCount": len(part), "InstrumentList": part}) for part in parts]


# --- Feed -------------------------------------------------------------------------------------------------------------


class Counting(WSListener):
    """A reader that only counts."""

    def __init__(self) -> None:
        self.size = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        del transport
        if frame.msg_type == WSMsgType.BINARY:
            self.size += len(frame.get_payload_as_memoryview())


async def feed_row(pace: float, keys: Sequence[int], seconds: float) -> tuple[str, ...]:
    server = Server(pace)
    address = f"ws://127.0.0.1:{server.port}/feed?version=2&token=SIMULATED&clientId=SIMULATED&authType=2"
    readers = [await ws_connect(Counting, address) for _ in range(SOCKETS)]
    for transport, _ in readers:
        for text in wanting(keys):
            transport.send(WSMsgType.TEXT, text.encode())
    await asyncio.sleep(2)  # the snapshots are over
    sizes, cpu, slipped = [each.size for _, each in readers], server.cpu_s, server.status()["slipped_ns"]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    used = (server.cpu_s - cpu) / took
    late_s = (server.status()["slipped_ns"] - slipped) / NS_PER_SECOND / pace
    rates = [(each.size - size) / PACKET_BYTES / took for (_, each), size in zip(readers, sizes, strict=True)]
    resident = server.resident_mb
    for transport, _ in readers:
        transport.disconnect()
    server.end()
    return (
        f"pace {pace:g}",
        f"{min(rates):,.0f}",
        f"{sum(rates):,.0f}",
        f"{used:.0%}",
        f"{late_s:.2f}",
        f"{resident:.0f}",
    )


async def feed(market: MarketDay, paces: Sequence[float], seconds: float) -> None:
    keys = [contract.key for contract in market.contracts]
    rows = [await feed_row(pace, keys, seconds) for pace in paces]
    table(
        f"{len(keys):,} contracts in Full mode on {SOCKETS} sockets, {seconds:g} s each",
        ("", "packets/s, each socket", "all sockets", "core used", "fell behind, s", "resident MB"),
        rows,
        (f"aim: {AIM_PACKETS:,} on each socket and not behind",),
    )


# --- Order ------------------------------------------------------------------------------------------------------------


def request(method: str, path: str, body: dict[str, object] | None = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\naccess-token: SIMULATED\r\nclient-id: SIMULATED\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def round_trip(line: socket.socket, asked: bytes) -> float:
    """Milliseconds from the first byte to the answer's last. Raises ValueError for an answer that is no success."""
    began = time.perf_counter()
    line.sendall(asked)
    got = b""
    while b"\r\n\r\n" not in got:
        got += line.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65_536)
    took = (time.perf_counter() - began) * 1e3
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(got.decode())
    return took


def orders(market: MarketDay) -> None:
    spot = market.index_paise("NIFTY", market.axis.open_ns + AFTER_OPEN_S * NS_PER_SECOND)
    calls = [one for one in market.contracts if one.underlying == "NIFTY" and one.option_type is OptionType.CE]
    later = [one for one in calls if one.expiry == market.expiries("NIFTY")[1]]
    call = min(later, key=lambda one: abs(one.strike_paise - spot))
    bid_paise = market.quote(call.key, market.axis.open_ns + AFTER_OPEN_S * NS_PER_SECOND).tick.bid_paise
    body: dict[str, object] = {
        "dhanClientId": "SIMULATED",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": str(key_security_id(call.key)),
        "quantity": call.lot,
        "price": bid_paise * 7 // 1000,
    }
    rows = []
    for pace, what, asked in (
        (60.0, "read at 60 times the pace", request("GET", "/v2/fundlimit")),
        (60.0, "order at 60 times the pace", request("POST", "/v2/orders", body)),
        (1.0, "order at the pace of the market", request("POST", "/v2/orders", body)),
    ):
        server = Server(pace)
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Few enough at a time for the day's limits and the account's cash.
            took = sorted(round_trip(line, asked) for _ in range(40 if what.startswith("order") else ORDERS))
        server.end()
        rows.append((what, *(f"{percentile(took, part):.2f}" for part in (0.5, 0.99))))
    table("A round trip on loopback, ms", ("", "p50", "p99"), rows)


# --- Stepped day ------------------------------------------------------------------------------------------------------


def stepped_row(what: str, market: MarketDay, keys: Sequence[int]) -> tuple[str, ...]:
    world = world_of(market, 0)
    venue = Venue(Desk(world), limited=False)
    session = venue.sockets.open_feed()
    for text in wanting(keys):
        venue.sockets.feed_text(session, text)
    size = steps = 0
    began = time.process_time()
    while (at_ns := venue.next_ns()) is not None:
        venue.step(at_ns)
        steps += 1
        while session.outbox._waiting:  # noqa: SLF001 - read here instead of by a socket
            size += len(session.outbox._waiting.popleft())  # noqa: SLF001
    took = time.process_time() - began
    packets = size / PACKET_BYTES
    return what, f"{len(keys):,}", f"{took:.1f}", f"{steps:,}", f"{packets:,.0f}", f"{took / packets * 1e6:.1f}"


def stepped_day() -> None:
    rows = []
    for what, most in (("near the money", WATCHED), ("the whole chain", None)):
        market = synthetic_day(DAY, SEED)
        spot = market.index_paise("NIFTY", market.axis.open_ns)
        nearest = market.expiries("NIFTY")[0]
        chain = [one for one in market.contracts if (one.underlying, one.expiry) == ("NIFTY", nearest)]
        chain.sort(key=lambda one: abs(one.strike_paise - spot))
        rows.append(stepped_row(what, market, [NIFTY.key, *(one.key for one in chain[:most])]))
    table(
        "A stepped day of NIFTY and its chain, every packet Full",
        ("", "instruments", "CPU s", "steps", "packets", "us/packet"),
        rows,
        (f"resident at the end: {psutil.Process().memory_info().rss / 1e6:.0f} MB",),
    )


def main() -> int:
    ask_for = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for.add_argument("--seconds", type=float, default=10.0)
    ask_for.add_argument("--paces", type=float, nargs="+", default=[1.0, 3.0, 5.0, 6.0])
    asked = ask_for.parse_args()
    print(machine())
    stepped_day()
    hold_to(1)
    market = synthetic_day(DAY, SEED)
    orders(market)
    uvloop.run(feed(market, asked.paces, asked.seconds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
