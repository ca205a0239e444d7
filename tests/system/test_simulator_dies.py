"""The broker's side dies in mid-day: entries refuse, the position follows its rule for blindness, and it goes on after."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import msgspec

from algo_scalper.domain.orders import OrderState, Purpose, Side
from algo_scalper.domain.units import ist_ns
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.engine_process import EngineProcess, EngineSettings
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.market import synthetic_day
from algo_scalper.simulation.world import World

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 11, 27)
SEED = 21  # a position is opened at 09:30 and held for many minutes
BEGIN_S = 9 * 3600 + 27 * 60  # the minute it begins in is not heard whole, and the next two must be
PACE = 20.0


class Heard:
    """What the engine said, to be waited for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._news = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def line(self, word: str) -> str:
        async with asyncio.timeout(60):
            while True:
                for line in self.lines:
                    if word in line:
                        return line
                self._news.clear()
                await self._news.wait()


def floor_is_known_to_rest(process: EngineProcess) -> bool:
    """Has the engine both the answer and the row of its resting sell?"""
    orders = process.session.engine.state.orders.values()
    return any(o.purpose is Purpose.EXIT and o.state is OrderState.PENDING and o.request is None for o in orders)


async def test_the_simulator_dies_with_a_position_open_and_comes_back(tmp_path: Path) -> None:
    rules = load_rules(ROOT / "config" / "algo.yml")
    rules = msgspec.structs.replace(rules, indices=rules.indices[:1])
    market = synthetic_day(DAY, SEED)
    exchange = SimulatedExchange(market.contracts, DAY, rules.capital_paise)
    world = World(market, exchange, SEED, start_ns=ist_ns(DAY, BEGIN_S))
    first = SimulatorServer(world, SimulatorConfig(port=0, rate=PACE, limited=False), SystemClock())
    await first.start()
    port = first.port
    heard = Heard()
    settings = EngineSettings(tmp_path, "DIES", f"http://127.0.0.1:{port}", broker="simulator")
    process = EngineProcess(settings, rules, heard.say)
    engine = asyncio.create_task(process.run())

    await heard.line("Bought on")
    while not floor_is_known_to_rest(process):  # noqa: ASYNC110 - nobody is told when a floor has come to rest
        await asyncio.sleep(0)
    await first.stop()
    await heard.line("market feed lost")
    await heard.line("no price for 10 s")
    assert [order.side for order in exchange.working()] == [Side.SELL], "the floor rests while nobody can be reached"

    second = SimulatorServer(world, SimulatorConfig(port=port, rate=PACE, limited=False), SystemClock())
    await second.start()
    await heard.line("Left: blind")
    process.stop("the test is over")
    assert await engine == 0
    await second.stop()

    held = sum(f.quantity if f.side is Side.BUY else -f.quantity for f in exchange.fills())
    assert held == 0
    assert not exchange.working()
