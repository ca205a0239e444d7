"""The same recorded days as backtest and over real sockets in stepped time: zero differences between their trades.

Over the sockets everything is real: the simulator's HTTP and WebSocket servers, Dhan's bytes, the Dhan adapter, the order
lane with its durable stores. Contract, side, quantity, price and virtual second of every fill must be identical.
"""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import msgspec
import pytest
import uvloop

from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import clock_text
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.research.backtest import run_market
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.engine_process import EngineProcess, EngineSettings
from algo_scalper.runtime.recordings import read_recording
from algo_scalper.simulation.exchange import Fill, SimulatedExchange
from algo_scalper.simulation.market import MarketDay, recorded_day
from algo_scalper.simulation.world import World
from tests.shared_data import shared

ROOT = Path(__file__).resolve().parents[2]
SEED = 5
DAYS = ("2026-02-03", "2026-01-21", "2026-03-09")


def nifty_rules() -> Rules:
    rules = load_rules(ROOT / "config" / "algo.yml")
    return msgspec.structs.replace(rules, indices=rules.indices[:1])


def market_of(day_text: str) -> MarketDay:
    recording = read_recording(shared("data/parquet/nifty_1m_2026.parquet"))
    day = date.fromisoformat(day_text)
    return recorded_day("NIFTY", recording.day(day), recording.before(day), day, SEED)


def trades_of(fills: tuple[Fill, ...]) -> list[tuple[int, str, int, int, str]]:
    return [(f.key, f.side.name, f.quantity, f.price_paise, clock_text(f.at_ns)) for f in fills]


async def over_sockets(market: MarketDay, rules: Rules, folder: Path) -> tuple[Fill, ...]:
    """The exchange's fills after the engine lived the day through the Dhan adapter."""
    exchange = SimulatedExchange(market.contracts, market.day, rules.capital_paise)
    world = World(market, exchange, SEED)
    server = SimulatorServer(world, SimulatorConfig(port=0, stepped=True, limited=False), SystemClock())
    await server.start()
    settings = EngineSettings(folder, "PARITY", f"http://127.0.0.1:{server.port}", broker="simulator", stepped=True)
    said: list[str] = []
    try:
        code = await EngineProcess(settings, rules, said.append).run()
    finally:
        await server.stop()
    assert code == 0, said
    return exchange.fills()


@pytest.mark.parametrize("day", DAYS)
def test_recorded_day_trades_the_same_over_sockets(day: str, tmp_path: Path) -> None:
    market, rules = market_of(day), nifty_rules()
    backtest = trades_of(run_market(market, rules, SEED).fills)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sockets = trades_of(runner.run(over_sockets(market_of(day), rules, tmp_path)))
    print(f"{day}: {len(backtest)} fills")
    assert len(backtest) >= 2, "a day without a trade proves nothing"
    assert sockets == backtest
