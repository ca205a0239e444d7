"""Shorthands of the tests that talk to the account: a stepped engine that asks, buys and waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.server import SimulatorServer
from algo_scalper.simulation.world import World
from tests.unit.simulator.stage import SteppedEngine, Visitor, order_body, serving, world_of

GENERAL = "Missing required fields, bad values for parameters etc."


class Trader:
    """A stepped engine and a visitor on one simulator."""

    def __init__(self, server: SimulatorServer, visitor: Visitor, engine: SteppedEngine, world: World) -> None:
        self.server = server
        self.visitor = visitor
        self.engine = engine
        self.world = world

    async def do(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask with virtual time passing; (status, body)."""
        status, text = await self.engine.until(self.engine.request(method, path, body), most=2_000)
        return status, json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        return await self.visitor.json("GET", path)

    async def buy(self, contract: Contract, lots: int = 1, **changed: Any) -> str:
        """Buy at the market; the order's id."""
        body = order_body(contract, quantity=contract.lot * lots, price=self.ask(contract) + 3, **changed)
        status, answer = await self.do("POST", "/v2/orders", body)
        assert status == 200, answer
        return str(answer["orderId"])

    def ask(self, contract: Contract) -> float:
        return self.world.market.quote(contract.key, self.world.now_ns).tick.ask_paise / 100

    def last(self, contract: Contract) -> float:
        return self.world.market.quote(contract.key, self.world.now_ns).tick.ltp_paise / 100

    async def until(self, holds: Callable[[], bool], minutes: int = 370) -> None:
        """Let time pass until it is so."""
        end_ns = self.world.now_ns + minutes * 60 * NS_PER_SECOND
        while self.world.now_ns < end_ns:
            if holds():
                return
            await self.engine.step(self.world.now_ns + NS_PER_SECOND)
        raise AssertionError("it never came to that")

    async def pass_seconds(self, seconds: float) -> None:
        end_ns = self.world.now_ns + round(seconds * NS_PER_SECOND)
        while self.world.now_ns < end_ns:
            await self.engine.step(end_ns)


@asynccontextmanager
async def trading(world: World | None = None, **config: Any) -> AsyncIterator[Trader]:
    stood = world if world is not None else world_of()
    async with serving(stood, stepped=True, limited=False, **config) as (server, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        yield Trader(server, visitor, engine, stood)
        await engine.leave()


def body(contract: Contract, **fields: Any) -> dict[str, Any]:
    """A placement's common fields with others put over them; ``...`` takes one away."""
    base = {
        "dhanClientId": "SIMULATED",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY",
        "securityId": str(contract.key & 0xFFFFFFFF),
        "quantity": contract.lot,
    }
    return {name: value for name, value in {**base, **fields}.items() if value is not ...}
