"""Paper money on a market that is reached as Dhan's is: by the account's settings and the system's clock alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import msgspec
import pytest

from algo_scalper.adapters.dhan.auth import DhanAuth
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns
from algo_scalper.interfaces.simulator.account import PIN, TOTP_SECRET
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.runtime.broker_account import broker_account
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.engine_process import EXIT_FAULT, EngineProcess, EngineSettings
from algo_scalper.runtime.publish import Word
from algo_scalper.runtime.real_market import dhan_market_of
from algo_scalper.runtime.settings import load_settings
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.market import synthetic_day
from algo_scalper.simulation.world import World
from tests.system.test_simulator_dies import ROOT, Heard

DAY = date(2026, 11, 27)
FROM_NS = ist_ns(DAY, 9 * 3600 + 20 * 60)


class Running:
    """An engine on that market, in this process."""

    def __init__(self, folder: Path, port: int, **said: str) -> None:
        keys = {"DHANHQ_CLIENT_ID": "SIMULATED", "DHANHQ_ACCESS_TOKEN": "SIMULATED"}
        settings = load_settings({**keys, "DHANHQ_BASE_URL": f"http://127.0.0.1:{port}/v2", **said}, folder / "none")
        self.account = broker_account(settings, folder, FROM_NS)
        market = dhan_market_of(settings, self.account, FROM_NS)
        rules = load_rules(ROOT / "config" / "algo.yml")
        self.heard = Heard()
        self.process = EngineProcess(
            EngineSettings(folder, "PAPER-REAL", "http://nobody", market=market),
            msgspec.structs.replace(rules, indices=rules.indices[:1]),
            self.heard.say,
        )
        self.engine = asyncio.create_task(self.process.run())

    async def until(self, true: object) -> None:
        assert callable(true)
        async with asyncio.timeout(30):
            while not true():
                assert not self.engine.done(), self.heard.lines
                await asyncio.sleep(0)

    async def end(self) -> None:
        self.process.stop("the test is over")
        assert await self.engine == 0


@asynccontextmanager
async def served() -> AsyncIterator[SimulatorServer]:
    market = synthetic_day(DAY, 13)
    world = World(market, SimulatedExchange(market.contracts, DAY, 0), 13, start_ns=FROM_NS)
    server = SimulatorServer(world, SimulatorConfig(port=0, rate=1.0), SystemClock())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def ticked(process: EngineProcess) -> bool:
    return hasattr(process, "session") and process.session.engine.is_born and bool(process.session.engine.state.ticks)


async def test_the_engine_follows_it_by_the_systems_clock_and_takes_a_new_token_up(tmp_path: Path) -> None:
    async with served() as server:
        running = Running(tmp_path, server.port)
        await running.until(lambda: ticked(running.process))
        state = running.process.session.engine.state
        assert (state.started.market, state.started.money) == ("REAL", "PAPER")
        assert state.started.day == DAY
        await running.until(lambda: state.reconciled)
        clock = SystemClock(server.time.now_ns())
        async with DhanClient(running.account.dhan, clock) as client:
            minted = await DhanAuth(client.rest, running.account.dhan, clock).mint(PIN, TOTP_SECRET)
        first = {feed.number for feed in server.venue.sockets.feeds}
        with running.account.store.making():
            running.account.store.write(minted)
        await running.until(
            lambda: server.venue.sockets.feeds and not first & {feed.number for feed in server.venue.sockets.feeds}
        )
        assert running.account.dhan.access_token == minted.access_token
        assert state.feed_up, "the new connection was there before the old one went"
        assert not any("feed lost" in line for line in running.heard.lines), running.heard.lines
        assert not any(minted.access_token in line for line in running.heard.lines)
        await running.end()


async def test_a_feed_that_is_switched_off_refuses_entries_and_says_so(tmp_path: Path) -> None:
    async with served() as server:
        running = Running(tmp_path, server.port, DHANHQ_WS_ENABLED="false")
        line = await running.heard.line("market feed lost")
        assert "switched off: DHANHQ_WS_ENABLED=false from environment; entries refuse" in line
        assert not running.process.session.engine.state.feed_up
        assert server.venue.sockets.feeds == []
        await running.end()


async def test_a_start_with_a_dead_token_waits_for_a_living_one(tmp_path: Path) -> None:
    async with served() as server:
        running = Running(tmp_path, server.port, DHANHQ_ACCESS_TOKEN="a.dead.token")
        line = await running.heard.line("the start waits for a token")
        assert "Invalid Token" in line
        assert "a.dead.token" not in line
        assert not running.process.begun
        clock = SystemClock(server.time.now_ns())
        async with DhanClient(running.account.dhan, clock) as client:
            minted = await DhanAuth(client.rest, running.account.dhan, clock).mint(PIN, TOTP_SECRET)
        with running.account.store.making():
            running.account.store.write(minted)
        await running.until(lambda: ticked(running.process))
        await running.end()


async def test_a_word_said_while_the_start_waits_is_obeyed_and_kept_at_once(tmp_path: Path) -> None:
    async with served() as server:
        running = Running(tmp_path, server.port, DHANHQ_ACCESS_TOKEN="a.dead.token")
        await running.heard.line("the start waits for a token")
        running.process._door.on_word(Word(OperatorWord.HALT, "", "Asha"))
        assert not running.process.begun
        clock = SystemClock(server.time.now_ns())
        async with DhanClient(running.account.dhan, clock) as client:
            minted = await DhanAuth(client.rest, running.account.dhan, clock).mint(PIN, TOTP_SECRET)
        with running.account.store.making():
            running.account.store.write(minted)
        await running.until(lambda: running.process.begun)
        assert running.process.session.engine.state.halted == "halted by Asha"
        await running.until(lambda: running.process._soft.halt == "halted by Asha")
        await running.end()


async def test_a_clock_that_was_moved_ends_the_start_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served() as server:
        running = Running(tmp_path, server.port)
        await running.until(lambda: ticked(running.process))
        system = running.process._system
        slept_ns = system.wall_gap_ns() + 1_800 * NS_PER_SECOND
        monkeypatch.setattr(system, "wall_gap_ns", lambda: slept_ns)
        assert "slept or its clock was set, by +1800 s" in await running.heard.line("the machine slept")
        assert await running.engine == EXIT_FAULT
