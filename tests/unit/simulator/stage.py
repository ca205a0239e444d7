"""A simulator on an ephemeral port, a clock moved by hand, and a client that speaks as an engine does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from functools import lru_cache
from typing import Any

import aiohttp

from algo_scalper.domain.instruments import Contract, OptionType, key_security_id
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.simulation.exchange import ExchangeState, SimulatedExchange
from algo_scalper.simulation.market import MarketDay, synthetic_day
from algo_scalper.simulation.world import World

DAY = date(2026, 2, 3)
CASH_PAISE = 10_000_000
WORD = "SIMULATED"


class HandClock:
    """Real time for the server, moved by the test."""

    def __init__(self) -> None:
        self._now_ns = 1_000 * NS_PER_SECOND
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    async def sleep_until(self, at_ns: int) -> None:
        if at_ns > self._now_ns:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.append((at_ns, woken))
            await woken

    def move(self, by_ns: int) -> None:
        self._now_ns += by_ns
        due = [woken for at_ns, woken in self._sleepers if at_ns <= self._now_ns]
        self._sleepers = [(at_ns, woken) for at_ns, woken in self._sleepers if at_ns > self._now_ns]
        for woken in due:
            if not woken.done():
                woken.set_result(None)


@lru_cache(maxsize=4)
def market_of(seed: int = 1, day: date = DAY) -> MarketDay:
    return synthetic_day(day, seed)


def world_of(
    seed: int = 1, *, after_open_s: float = 60.0, day: date = DAY, state: ExchangeState | None = None
) -> World:
    market = market_of(seed, day)
    exchange = SimulatedExchange(market.contracts, day, 0 if state else CASH_PAISE, state)
    return World(market, exchange, seed, start_ns=market.axis.open_ns + round(after_open_s * NS_PER_SECOND))


def near_call(market: MarketDay, steps: int = 0) -> Contract:
    """The NIFTY call of the second expiry nearest the money, ``steps`` strikes above it."""
    expiry = market.expiries("NIFTY")[1]
    spot = market.index_paise("NIFTY", market.axis.open_ns + 60 * NS_PER_SECOND)
    calls = [c for c in market.contracts if c.underlying == "NIFTY" and c.expiry == expiry]
    calls = sorted((c for c in calls if c.option_type is OptionType.CE), key=lambda c: c.strike_paise)
    at = min(range(len(calls)), key=lambda i: abs(calls[i].strike_paise - spot))
    return calls[at + steps]


def resting_price(market: MarketDay, contract: Contract) -> float:
    """Rupees at which a buy is inside the band and far from trading."""
    bid_paise = market.quote(contract.key, market.axis.open_ns + 60 * NS_PER_SECOND).tick.bid_paise
    return bid_paise * 7 // 10 // 100 * 1.0


class Visitor:
    """A client of the simulator."""

    def __init__(self, session: aiohttp.ClientSession, port: int, client_id: str = WORD, token: str = WORD) -> None:
        self._session = session
        self._port = port
        self._client_id = client_id
        self._token = token
        self.root = f"http://127.0.0.1:{port}"

    def other(self, client_id: str, token: str) -> Visitor:
        """Somebody else at the same door."""
        return Visitor(self._session, self._port, client_id, token)

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str = "", seq: int = 0, raw: bytes | None = None
    ) -> tuple[int, str]:
        headers = {
            "access-token": token or self._token,
            "client-id": self._client_id,
            "Content-Type": "application/json",
        }
        if seq:
            headers["X-Sim-Seq"] = str(seq)
        data = raw if raw is not None else json.dumps(body) if body is not None else None
        async with self._session.request(method, self.root + path, data=data, headers=headers) as answer:
            return answer.status, await answer.text()

    async def json(self, method: str, path: str, body: object = None, **how: Any) -> Any:
        return json.loads((await self.ask(method, path, body, **how))[1])

    async def feed(self, token: str = "", path: str = "/feed") -> aiohttp.ClientWebSocketResponse:
        query = {"version": "2", "token": token or self._token, "clientId": self._client_id, "authType": "2"}
        return await self.connect(path, query)

    async def orders(self, token: str = "") -> aiohttp.ClientWebSocketResponse:
        socket = await self.connect("/order-updates")
        login = {
            "LoginReq": {"MsgCode": 42, "ClientId": self._client_id, "Token": token or self._token},
            "UserType": "SELF",
        }
        await socket.send_str(json.dumps(login))
        return socket

    async def clock(self) -> aiohttp.ClientWebSocketResponse:
        return await self.connect("/sim/clock")

    async def connect(self, path: str, query: dict[str, str] | None = None) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket on which a message that never comes is a failure, not a hanging test."""
        patience = aiohttp.ClientWSTimeout(ws_receive=60)
        return await self._session.ws_connect(self.root + path, params=query, max_msg_size=0, timeout=patience)


@asynccontextmanager
async def serving(
    world: World | None = None, clock: Clock | None = None, **config: Any
) -> AsyncIterator[tuple[SimulatorServer, Visitor]]:
    server = SimulatorServer(
        world if world is not None else world_of(), SimulatorConfig(port=0, **config), clock or HandClock()
    )
    await server.start()
    try:
        # An answer that never comes is a failure, not a hanging test.
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            yield server, Visitor(session, server.port)
    finally:
        await server.stop()


def subscribe(code: int, *keys: int) -> str:
    names = {0: "IDX_I", 2: "NSE_FNO", 8: "BSE_FNO"}
    listed = [{"ExchangeSegment": names[key >> 32], "SecurityId": str(key_security_id(key))} for key in keys]
    return json.dumps({"RequestCode": code, "InstrumentCount": len(listed), "InstrumentList": listed})


def order_body(contract: Contract, side: str = "BUY", **changed: Any) -> dict[str, Any]:
    body = {
        "dhanClientId": WORD,
        "correlationId": "t-1",
        "transactionType": side,
        "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": str(key_security_id(contract.key)),
        "quantity": contract.lot,
        "disclosedQuantity": 0,
        "price": 100.0,
        "triggerPrice": 0.0,
        "afterMarketOrder": False,
    }
    return {name: value for name, value in {**body, **changed}.items() if value is not ...}


class SteppedEngine:
    """The smallest engine that walks stepped time; it counts what the protocol tells it to count."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.requests = 0
        self.feed_sent = 0
        self.orders_sent = 0
        self.feed_frames: list[bytes] = []
        self.order_frames: list[str] = []
        self.answers: dict[int, asyncio.Task[tuple[int, str]]] = {}
        self.at_ns = 0

    async def attach(self, **said: Any) -> dict[str, Any]:
        self.clock = await self._visitor.clock()
        await self.clock.send_json({"attach": {"stepped": True, **said}})
        hello = (await self.clock.receive_json())["hello"]
        self.at_ns = hello["now_ns"]
        self.feed = await self._visitor.feed()
        self.orders = await self._visitor.orders()
        self.orders_sent += 1
        return dict(hello)

    async def subscribe(self, code: int, *keys: int) -> None:
        await self.feed.send_str(subscribe(code, *keys))
        self.feed_sent += 1

    def request(self, method: str, path: str, body: object = None) -> int:
        self.requests += 1
        number = self.requests
        self.answers[number] = asyncio.create_task(self._visitor.ask(method, path, body, seq=number))
        return number

    async def step(self, wake_ns: int | None = None) -> dict[str, Any]:
        """Say ready, wait for the step and for everything it counts."""
        ready = {
            "requests": self.requests,
            "feed": self.feed_sent,
            "orders": self.orders_sent,
            "next_wake_ns": wake_ns,
        }
        await self.clock.send_json({"ready": ready})
        said: dict[str, Any] = await self.clock.receive_json()
        if "end" in said:
            return said
        step: dict[str, Any] = said["step"]
        while len(self.feed_frames) < step["feed"]:
            self.feed_frames.append(await self.feed.receive_bytes())
        while len(self.order_frames) < step["orders"]:
            self.order_frames.append(await self.orders.receive_str())
        for number in step["answers"]:
            await self.answers[number]
        self.at_ns = step["at_ns"]
        return step

    async def until(self, number: int, most: int = 200) -> tuple[int, str]:
        """Step until this request is answered."""
        for _ in range(most):
            if number in (await self.step())["answers"]:
                return await self.answers[number]
        raise AssertionError(f"request {number} was not answered in {most} steps")

    async def leave(self) -> None:
        await self.clock.close()
        await self.feed.close()
        await self.orders.close()
