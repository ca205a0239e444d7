"""`scalper sim`: a market and its accounts out of the options, served until told to stop."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import msgspec

from algo_scalper.domain.calendar import next_trading_day
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND, ist_day, ist_ns
from algo_scalper.interfaces.simulator.account import AccountFacts
from algo_scalper.interfaces.simulator.brokerage import CASH_PAISE, go_on
from algo_scalper.interfaces.simulator.fault_names import drawn_faults, read_script
from algo_scalper.interfaces.simulator.pointing import HOST, pointing_lines
from algo_scalper.interfaces.simulator.recording import Player
from algo_scalper.interfaces.simulator.server import DEFAULT_PORT, SimulatorConfig, serve
from algo_scalper.interfaces.simulator.state import StateFile
from algo_scalper.runtime.clock import SystemClock, first_of
from algo_scalper.runtime.recordings import read_recording
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.market import MarketDay, recorded_day, synthetic_day
from algo_scalper.simulation.world import World


class SimulatorOptions(msgspec.Struct, frozen=True):
    """The command's options. With ``index`` a recorded day is simulated, else one made from the seed."""

    index: Path | None = None
    """A file of recorded one-minute bars, Parquet or CSV."""
    index_name: str = ""
    """Which index the file is of; guessed from its name when empty."""
    day: date | None = None
    """None: the file's last day, or the next trading day."""
    seed: int = 1
    pace: float = 1.0
    """Virtual seconds per real second."""
    stepped: bool = False
    port: int = DEFAULT_PORT
    with_parent: bool = False
    """End when the process that started this one is gone."""
    state: Path | None = None
    hold: bool = False
    """After a restart time goes on from where it ended, as if the market had waited."""
    cash_paise: int = CASH_PAISE
    """What a new account begins with."""
    limited: bool = True
    at_s: int | None = None
    """Second of the day at which the market begins; None: a minute before the open."""
    accounts: tuple[AccountFacts, ...] = (AccountFacts(),)
    """Who the accounts are, at least one; a state file's facts come first."""
    faults: Path | None = None
    """A script of faults, JSON."""
    fault_seed: int = 1
    faults_an_hour: float = 0.0
    """Faults drawn from the seed, so many in an hour of the market."""
    tls: Path | None = None
    record: Path | None = None
    replay: Path | None = None
    """A recording to serve instead of a market."""


def build_market(options: SimulatorOptions, today: date) -> MarketDay:
    """The day to simulate. Raises `ConfigError` and `DataError` as `read_recording` and `MarketDay`."""
    if options.index is None:
        return synthetic_day(options.day or next_trading_day(today - timedelta(days=1)), options.seed)
    recording = read_recording(options.index, options.index_name)
    day = options.day or max(recording.days)
    return recorded_day(recording.index_name, recording.day(day), recording.before(day), day, options.seed)


def build_world(options: SimulatorOptions, real_ns: int) -> World:
    """Market and account; the account is the state file's where there is one, at the time it has become."""
    market = build_market(options, ist_day(real_ns))
    saved = StateFile(options.state).load(market.day) if options.state is not None else None
    if saved is None:
        exchange = SimulatedExchange(market.contracts, market.day, options.cash_paise)
        start_ns = None if options.at_s is None else ist_ns(market.day, options.at_s)
        return World(market, exchange, options.seed, start_ns=start_ns)
    exchange = SimulatedExchange(market.contracts, market.day, state=saved.exchange)
    world = World(market, exchange, options.seed, start_ns=saved.now_ns or None)
    go_on(world, saved.resumed_ns(real_ns, 0.0 if options.stepped or options.hold else options.pace))
    return world


def run(options: SimulatorOptions, say: Callable[[str], None]) -> None:
    """Serve until ``POST /sim/shutdown`` or Ctrl-C; ``say`` gets a line once the port answers.

    Raises `ConfigError` (options, a port in use) and `DataError` (a file that is not what it claims to be).
    """
    clock = SystemClock()
    if options.replay is not None:
        _replay(options, options.replay, clock, say)
        return
    world = build_world(options, clock.now_ns())
    drawn = drawn_faults(options.fault_seed, options.faults_an_hour, world.now_ns, world.exchange.closed_ns)
    config = SimulatorConfig(
        port=options.port,
        rate=options.pace,
        stepped=options.stepped,
        limited=options.limited,
        state=options.state,
        account=options.accounts[0],
        others=options.accounts[1:],
        faults=(*(read_script(options.faults) if options.faults is not None else ()), *drawn),
        tls=options.tls,
        record=options.record,
    )
    scheme = "http" if options.tls is None else "https"
    time = "stepped" if options.stepped else f"{options.pace:g}x"

    def ready(port: int) -> None:
        say(f"SIMULATED market of {world.market.day} ({world.market.regime}), {time}, on {scheme}://{HOST}:{port}")
        if not options.with_parent:
            for line in pointing_lines(port, options.tls, options.accounts):
                say(line)

    serving = serve(world, config, clock, ready)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(first_of(serving, _orphaned(clock)) if options.with_parent else serving)


def _replay(options: SimulatorOptions, path: Path, clock: Clock, say: Callable[[str], None]) -> None:
    """Serve a recording until Ctrl-C."""
    player = Player(path, clock, options.pace)

    def ready(port: int) -> None:
        say(f"RECORDED session of {path}, {player.messages} messages, {options.pace:g}x, on http://{HOST}:{port}")

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(player.serve(options.port, ready, asyncio.Event()))


async def _orphaned(clock: Clock) -> None:
    """Return when the process that started this one is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        await clock.sleep_until(clock.now_ns() + NS_PER_SECOND)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The fast event loop where it exists."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not installed on Windows

    return uvloop.new_event_loop
