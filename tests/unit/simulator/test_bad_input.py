"""Whatever comes in, the simulator goes on, and no client ever sees a traceback."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from algo_scalper.interfaces.simulator.endpoints import ENDPOINTS
from algo_scalper.interfaces.simulator.server import SimulatorServer
from algo_scalper.runtime.clock import SystemClock
from tests.unit.simulator.stage import WORD, Visitor, serving, subscribe

PATHS = sorted({path for _, path in ENDPOINTS})
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"])
SOCKETS = ["/", "/feed", "/twentydepth", "/twohundreddepth", "/fulldepth", "/order-updates", "/sim/clock"]
CREDENTIALS = {"version": "2", "token": WORD, "clientId": WORD, "authType": "2"}
BOUNDED = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Try = Callable[[SimulatorServer, Visitor], Awaitable[None]]


def at_a_simulator(attempt: Try) -> None:
    """Run it, and see that the simulator answers afterwards and has nothing to say of itself."""

    async def run() -> None:
        said: list[str] = []
        listener = logging.Handler(logging.ERROR)
        listener.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        log = logging.getLogger("algo_scalper.interfaces.simulator")
        log.addHandler(listener)
        try:
            async with serving(clock=SystemClock(), rate=60.0, limited=False) as (server, visitor):
                await attempt(server, visitor)
                status, text = await visitor.ask("GET", "/sim/status")
                assert status == 200, text
        finally:
            log.removeHandler(listener)
        ours = [line for line in said if " failed: " in line]
        assert not ours, ours

    asyncio.run(run())


async def raw(server: SimulatorServer, data: bytes, *, stays: bool = False) -> bytes:
    """Send these bytes and, unless it ``stays``, say that this was all; what comes back first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        if not stays:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(100_000), 60)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@BOUNDED
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_any_bytes_instead_of_http(parts: list[bytes]) -> None:
    async def attempt(server: SimulatorServer, _: Visitor) -> None:
        for part in parts:
            answer = await raw(server, part)
            assert b"Traceback" not in answer
            assert b" 500 " not in answer.split(b"\r\n", 1)[0]

    at_a_simulator(attempt)


_HEADER = st.tuples(
    st.sampled_from(["access-token", "client-id", "X-Sim-Seq", "Content-Length", "Upgrade", "Host", "Expect", "X"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)


@BOUNDED
@given(METHODS, st.sampled_from(PATHS), st.lists(_HEADER, max_size=5), st.binary(max_size=80))
def test_any_headers_and_body_on_any_path(method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> None:
    async def attempt(server: SimulatorServer, _: Visitor) -> None:
        lines = [f"{method} /v2{path.replace('{}', '1')} HTTP/1.1", "Host: x", f"access-token: {WORD}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines.append(f"Content-Length: {len(body)}")
        answer = await raw(server, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        assert b"Traceback" not in answer

    at_a_simulator(attempt)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    [
        "dhanClientId",
        "securityId",
        "quantity",
        "price",
        "triggerPrice",
        "orderType",
        "exchangeSegment",
        "validity",
        "productType",
        "transactionType",
        "fromDate",
        "toDate",
        "UnderlyingScrip",
        "NSE_FNO",
        "legName",
        "correlationId",
    ]
)
_BODY = st.binary(max_size=60) | st.dictionaries(_FIELDS, _JSON, max_size=6).map(lambda body: json.dumps(body).encode())


@BOUNDED
@given(st.lists(st.tuples(METHODS, st.sampled_from(PATHS), st.text(max_size=12), _BODY), min_size=1, max_size=8))
def test_any_body_and_any_id_on_every_path(asked: list[tuple[str, str, str, bytes]]) -> None:
    async def attempt(_: SimulatorServer, visitor: Visitor) -> None:
        for method, path, word, body in asked:
            place = f"/v2{path.replace('{}', quote(word, safe='') or '0')}"
            try:
                status, text = await visitor.ask(method, place, raw=body)
            except (aiohttp.ClientError, ValueError):
                continue  # the client's own library would not send it
            assert "Traceback" not in text
            assert status < 500 or "DH-908" not in text, (method, place, body, text)

    at_a_simulator(attempt)


_INSTRUMENT = st.fixed_dictionaries(
    {}, optional={"ExchangeSegment": st.sampled_from(["NSE_FNO", "IDX_I", "", "MOON"]) | _JSON, "SecurityId": _JSON}
)
_SAID = (
    st.text(max_size=40)
    | _JSON.map(json.dumps)
    | st.fixed_dictionaries(
        {"RequestCode": st.sampled_from([11, 12, 15, 16, 17, 18, 21, 22, 23, 24, 25]) | _JSON},
        optional={"InstrumentList": st.lists(_INSTRUMENT, max_size=4) | _JSON, "SecurityId": _JSON, "LoginReq": _JSON},
    ).map(json.dumps)
    | st.fixed_dictionaries({}, optional={"attach": _JSON, "now": _JSON, "ready": _JSON}).map(json.dumps)
)


@BOUNDED
@given(st.sampled_from(SOCKETS), st.lists(_SAID | st.binary(max_size=40), min_size=1, max_size=8))
def test_anything_said_on_any_socket(path: str, words: list[Any]) -> None:
    async def attempt(_: SimulatorServer, visitor: Visitor) -> None:
        socket = await visitor.connect(path, CREDENTIALS)
        for word in words:
            if socket.closed:
                break
            try:
                await (socket.send_bytes(word) if isinstance(word, bytes) else socket.send_str(word))
            except (aiohttp.ClientError, UnicodeEncodeError):
                continue
        await visitor.ask("GET", "/sim/status")
        await socket.close()

    at_a_simulator(attempt)


@pytest.mark.parametrize("path", SOCKETS)
def test_bytes_that_are_no_websocket_frame(path: str) -> None:
    async def attempt(server: SimulatorServer, _: Visitor) -> None:
        query = "&".join(f"{name}={value}" for name, value in CREDENTIALS.items())
        asked = f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        asked += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        for noise in (
            b"\xff" * 40,
            b"\x81\x05hello",
            b"\x81\xff" + b"\x7f" * 8,
            b"\x88\x81\0\0\0\0\0",
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            for stays in (True, False):
                assert b"Traceback" not in await raw(server, asked.encode() + noise, stays=stays)

    at_a_simulator(attempt)


async def test_an_upgrade_that_is_none_is_refused() -> None:
    async with serving() as (server, _):
        for line in ("Sec-WebSocket-Version: 7", "Sec-WebSocket-Key: ?", "Connection: close"):
            asked = f"GET /feed HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{line}\r\n\r\n"
            assert (await raw(server, asked.encode(), stays=True)).startswith(b"HTTP/1.1 4")


async def test_a_feed_goes_on_beside_all_of_it() -> None:
    async with serving() as (server, visitor):
        feed = await visitor.feed()
        await feed.send_str(subscribe(17, 13))
        await raw(server, b"\x00" * 100)
        await raw(server, b"POST /v2/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf")
        assert (await visitor.json("GET", "/sim/status"))["feeds"][0]["instruments"] == 1
        await feed.close()
