"""Engine, desk and mirror together on a simulated market, and a Redis server that dies and comes back in mid-stream."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.interfaces.api.app import serve_desk
from algo_scalper.interfaces.api.settings import DeskSettings, EngineState
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.engine_process import EngineProcess, EngineSettings
from algo_scalper.runtime.redis_mirror import KEEP_S, RedisMirror
from algo_scalper.runtime.redis_rows import rupees
from tests.system.test_real_market import served, ticked
from tests.system.test_simulator_dies import ROOT, Heard
from tests.valkey_server import until, valkey


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Whole:
    """An engine and its desk in this process, mirrored."""

    def __init__(self, process: EngineProcess, mirror: RedisMirror, port: int) -> None:
        self.process = process
        self.mirror = mirror
        self.port = port

    async def health(self) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.port}/api/health") as answer,
        ):
            return answer.status, await answer.json()


@asynccontextmanager
async def mirrored(folder: Path, sim_port: int, redis_url: str) -> AsyncIterator[Whole]:
    rules = load_rules(ROOT / "config" / "algo.yml")
    heard = Heard()
    clock = SystemClock()
    path = folder / "e"
    process = EngineProcess(
        EngineSettings(folder, "PAPER", f"http://127.0.0.1:{sim_port}", socket_path=path),
        msgspec.structs.replace(rules, indices=rules.indices[:1]),
        heard.say,
    )
    mirror = RedisMirror(redis_url, path, clock, source="PAPER@t", retry_ns=20_000_000)
    desk = DeskSettings(
        data_dir=folder,
        socket_path=path,
        version="0",
        engine_state=lambda: EngineState("running"),
        clock=clock,
        port=free_port(),
        market="SIMULATED",
        mirror=mirror,
    )
    engine = asyncio.create_task(process.run())
    page = asyncio.create_task(serve_desk(desk))
    try:
        await until(lambda: ticked(process) or engine.done(), 60)
        assert not engine.done(), heard.lines
        yield Whole(process, mirror, desk.port)
    finally:
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)
        process.stop("the test is over")
        code = await engine
    assert code == 0, heard.lines


async def test_the_market_is_mirrored_and_a_dying_server_is_shown_and_stops_nothing(tmp_path: Path) -> None:
    with valkey() as server:
        async with served() as simulator, mirrored(server.socket.parent, simulator.port, server.url()) as whole:
            state = whole.process.session.engine.state
            await until(lambda: whole.mirror.view.state == "up")
            await until(lambda: NIFTY.key in whole.mirror.reader.replica.ticks)
            written = whole.mirror.view.keys
            await until(lambda: whole.mirror.view.keys > written + 1)
            seen = await server.do("HGETALL", "tick:IDX_I:13")
            assert seen["segment"] == "IDX_I"
            assert abs(float(seen["ltp"]) - float(rupees(state.ticks[NIFTY.key].ltp_paise))) < 100
            left = await server.keys()
            assert {"scalper:status", "tick:IDX_I:13"} <= set(left)
            assert all(0 < ttl <= KEEP_S * 1000 for key, ttl in left.items() if key != "scalper:events")

            server.kill()
            await until(lambda: whole.mirror.view.state == "away")
            _, body = await whole.health()
            assert body["mirror"]["state"] == "away"
            assert body["mirror"]["outages"] == 1
            assert not any("mirror" in trouble or "redis" in trouble for trouble in body["troubles"])
            before_ns = state.now_ns
            ticks = dict(state.ticks)
            await until(lambda: state.now_ns > before_ns and state.ticks != ticks)

            server.start()
            await until(lambda: whole.mirror.view.state == "up")
            assert await server.do("HGET", "scalper:status", "market") == "SIMULATED"
            _, body = await whole.health()
            assert (body["mirror"]["state"], body["mirror"]["detail"]) == ("up", "")
