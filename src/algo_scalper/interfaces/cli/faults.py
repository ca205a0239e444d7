"""``scalper fault``: break something at a running simulator, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import msgspec
import typer

from algo_scalper.domain.errors import BrokerUnreachable, ConfigError
from algo_scalper.domain.units import clock_text
from algo_scalper.interfaces.simulator.fault_names import FAULTS, Body, named_request

PATIENCE_S = 10.0


class _Answered(msgspec.Struct):
    now_ns: int


def run_fault(name: str, words: Sequence[str], sim_url: str) -> None:
    """Post the fault, or list all of them. Raises `ConfigError` and `BrokerUnreachable`."""
    if not name:
        for each, fault in FAULTS.items():
            typer.echo(f"{each:20} {fault.summary:68} {', '.join(fault.words)}".rstrip())
        return
    body = named_request(name, words)
    now_ns = asyncio.run(_post(body, sim_url))
    typer.echo(f"{clock_text(now_ns)} {name}: {FAULTS[name].summary} {msgspec.json.encode(body).decode()}")


async def _post(body: Body, sim_url: str) -> int:
    url = f"{sim_url.rstrip('/')}/sim/faults"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session,
            session.post(url, data=msgspec.json.encode(body)) as answer,
        ):
            raw = await answer.read()
    except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
        raise BrokerUnreachable(
            f"no simulator answers at {sim_url} ({type(fault).__name__}); start one: scalper sim"
        ) from None
    if answer.status != 200:
        raise ConfigError(f"{sim_url} refused the fault: {raw[:300].decode(errors='replace')}")
    try:
        return msgspec.json.decode(raw, type=_Answered).now_ns
    except msgspec.DecodeError:
        raise ConfigError(f"{sim_url} is no simulator: {raw[:100].decode(errors='replace')}") from None
