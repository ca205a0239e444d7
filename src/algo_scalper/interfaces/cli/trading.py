"""``scalper dev``, ``run`` and the engine process behind them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
import typer

from algo_scalper import __version__
from algo_scalper.domain.errors import BrokerError, BrokerUnreachable, ConfigError, DataError, SecondInstance
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND, ist_day
from algo_scalper.interfaces.cli.days import parse_day
from algo_scalper.interfaces.cli.dev_runs import DevRun, choose_run, demo_day
from algo_scalper.runtime.account_changes import SOCKET, AccountChanges, settings_of
from algo_scalper.runtime.change_desk import Written
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import AlgoConfig, load_algo
from algo_scalper.runtime.database_place import database_url
from algo_scalper.runtime.gate import NOT_AVAILABLE, LiveReadiness, decide_money, trading_services_allowed
from algo_scalper.runtime.logs import set_up_logs
from algo_scalper.runtime.redis_mirror import RedisMirror
from algo_scalper.runtime.settings import Settings, load_settings
from algo_scalper.runtime.supervise import EXIT_NOT_YET, EXIT_REFUSED, EngineChild

ENV_FILE = Path(".env")
SIM_START_NS = 20 * NS_PER_SECOND
MOST_PACE = 60.0
SIMULATOR, DHAN = "simulator", "dhan"


class DevOptions(msgspec.Struct, frozen=True):
    """The flags of ``scalper dev``."""

    pace: float
    seed: int
    day: str | None
    index: Path | None
    broker: str
    port: int | None
    config: Path
    data_dir: Path
    fresh: bool


class RunOptions(msgspec.Struct, frozen=True):
    """The flags of ``scalper run``."""

    market: str
    sim_url: str
    broker: str
    port: int | None
    account: str | None
    config: Path
    data_dir: Path


class DeskOptions(msgspec.Struct, frozen=True):
    """What is served: whose market, which account, and where the page is."""

    market: str
    url: str
    account: str
    broker: str
    config: Path
    data_dir: Path
    port: int


class EngineOptions(msgspec.Struct, frozen=True):
    """The arguments of the engine process."""

    sim_url: str
    account: str
    broker: str
    config: Path
    data_dir: Path
    socket_path: Path | None
    stepped: bool
    downtime_s: float
    until_ns: int
    kill_at: int
    marks: Path | None
    market: str
    from_ns: int


def run_engine(options: EngineOptions) -> None:
    """The engine process, whole: exit code 0 at the end of the day, 70 after a fault."""
    from algo_scalper.runtime.engine_process import EngineProcess, EngineSettings
    from algo_scalper.runtime.sudden_death import mark_of

    algo, settings = _settings(options.config, options.data_dir, options.account)
    _allowed(settings)
    _check_market(options.market, options.broker)
    market = None
    if options.market == DHAN:
        from algo_scalper.runtime.broker_account import broker_account, need_token
        from algo_scalper.runtime.listed import IMPORT_PATIENCE_NS
        from algo_scalper.runtime.real_market import dhan_market_of

        account = broker_account(settings, options.data_dir, options.from_ns or SystemClock().now_ns())
        need_token(account)
        market = dhan_market_of(settings, account, options.from_ns)
        if not options.from_ns and options.socket_path is not None:
            market = market._replace(import_patience_ns=IMPORT_PATIENCE_NS)
    set_up_logs(settings, market.account.dhan.masked if market is not None else str)
    process = EngineProcess(
        EngineSettings(
            data_dir=options.data_dir,
            account=options.account,
            sim_url=options.sim_url,
            broker=options.broker,
            stepped=options.stepped,
            downtime_ns=round(options.downtime_s * NS_PER_SECOND),
            until_ns=options.until_ns,
            socket_path=options.socket_path,
            database_url=database_url(settings),
            market=market,
        ),
        algo.rules,
        _say,
        mark_of(options.kill_at, options.marks),
        Written(options.config, lambda stored: load_settings(os.environ, ENV_FILE, algo, stored)),
    )
    factory = None if options.stepped else _fast_loop()
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            code = runner.run(process.run())
    except (ConfigError, SecondInstance) as refused:
        _say(f"scalper: {refused}")
        code = EXIT_REFUSED
    except (BrokerError, DataError) as fault:
        if market is None or process.begun:
            raise
        _say(f"scalper: {fault}")
        code = EXIT_NOT_YET
    sys.exit(code)


def run_session(options: RunOptions) -> None:
    """Engine and desk: on a simulator that is already running, or on Dhan's market, session after session."""
    real = options.market == DHAN
    account = options.account or ("PAPER-REAL" if real else "PAPER")
    algo, settings = _settings(options.config, options.data_dir, account)
    _allowed(settings)
    _check_market(options.market, options.broker)
    _say_gate(algo, settings, options.data_dir)
    port = options.port if options.port is not None else settings.count("PORT", 1, 65_535)
    if real:
        _say_market(settings, options.data_dir)
    desk = DeskOptions(
        market=options.market,
        url=options.sim_url,
        account=account,
        broker=options.broker,
        config=options.config,
        data_dir=options.data_dir,
        port=port,
    )
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(_serve(desk))


def run_dev(options: DevOptions) -> None:
    """Simulator, engine, desk and page; Ctrl-C ends all of it."""
    algo, settings = _settings(options.config)
    _allowed(settings)
    _check_market(SIMULATOR, options.broker)
    if not 1.0 <= options.pace <= MOST_PACE:
        raise ConfigError(f"--pace {options.pace:g} is outside 1 to {MOST_PACE:g}")
    _say_gate(algo, settings, options.data_dir)
    port = options.port if options.port is not None else settings.count("PORT", 1, 65_535)
    day = parse_day(options.day)
    if day is None and options.index is None:
        day = demo_day(ist_day(SystemClock().now_ns()), algo.rules)
    chosen = choose_run(options.data_dir, options.seed, day, options.index, fresh=options.fresh)
    typer.echo(chosen.sentence)
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(_dev(options, chosen, port))


async def _dev(options: DevOptions, chosen: DevRun, port: int) -> None:
    clock = SystemClock()
    sim_port = _free_port()
    command = [
        *_scalper("sim"),
        *("--port", str(sim_port), "--seed", str(chosen.seed), "--pace", str(options.pace)),
        *("--state", str(chosen.folder / "simulator.state"), "--hold", "--with-parent"),
    ]
    if chosen.day is not None:
        command += ["--day", chosen.day.isoformat()]
    if chosen.index is not None:
        command += ["--index", str(chosen.index)]
    simulator = await asyncio.create_subprocess_exec(*command, start_new_session=True)
    url = f"http://127.0.0.1:{sim_port}"
    try:
        await _answers(url, clock, simulator)
        await _serve(DeskOptions(SIMULATOR, url, "PAPER", options.broker, options.config, chosen.folder, port))
    finally:
        if simulator.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                simulator.send_signal(signal.SIGTERM)
            await simulator.wait()


async def _answers(url: str, clock: Clock, simulator: asyncio.subprocess.Process) -> None:
    """Return once the simulator answers; say why when it does not."""
    until_ns = clock.now_ns() + SIM_START_NS
    async with aiohttp.ClientSession() as session:
        while clock.now_ns() < until_ns and simulator.returncode is None:
            try:
                async with session.get(f"{url}/sim/status") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await clock.sleep_until(clock.now_ns() + NS_PER_SECOND // 20)
    raise BrokerUnreachable(f"the simulator did not start on {url}; its own words are above")


async def _serve(options: DeskOptions) -> None:
    """The desk in this process, the engine as its child."""
    from algo_scalper.interfaces.api.app import DeskSettings, EngineState, listen, serve_desk
    from algo_scalper.interfaces.cli.jobs import open_ground
    from algo_scalper.runtime.jobs.job import Market
    from algo_scalper.runtime.jobs.runner import JobRunner
    from algo_scalper.runtime.supervise import EngineChild, Sessions

    listen("127.0.0.1", options.port).close()  # say at once when the port is taken, before anything trades
    options.data_dir.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    real = options.market == DHAN
    socket_path = options.data_dir / SOCKET
    command = [
        *_scalper("engine"),
        *(options.url, options.account, options.broker, str(options.config), str(options.data_dir)),
        *("--socket-path", str(socket_path), "--market", options.market),
    ]
    child = EngineChild(command, clock, _say, lambda: _sell_floors(options.url, options.account, options.broker))
    _, said = _settings(options.config, options.data_dir, options.account)
    sessions = paste = None
    if real:
        from algo_scalper.runtime.broker_account import broker_account, keep_pasted

        account = broker_account(said, options.data_dir, clock.now_ns())
        paste = partial(keep_pasted, account, clock)
        keeping = partial(_keep_token, said, options.data_dir, clock)
        sessions = Sessions(child, clock, _say, _next_session, keeping)

    def engine_state() -> EngineState:
        return EngineState(child.state, child.restarts, child.detail)

    whose = Market.REAL if real else Market.SIMULATED
    at_broker = options.broker != "paper"
    ground = partial(
        open_ground, options.config, options.data_dir, options.account, whose, clock, orders_at_broker=at_broker
    )
    jobs = JobRunner(ground, clock, whose)
    settings = DeskSettings(
        data_dir=options.data_dir,
        socket_path=socket_path,
        version=__version__,
        engine_state=engine_state,
        clock=clock,
        port=options.port,
        market=whose.value,
        money="PAPER",
        paste_token=paste,
        changes=AccountChanges(options.account, options.data_dir, options.config, clock),
        mirror=_mirror_of(said, options, socket_path, clock),
        jobs=jobs,
        print_line=_say,
    )

    async def until_the_end() -> int:
        code = await (sessions.run() if sessions is not None else child.run())
        if code == 0 and not child.stopping:
            await jobs.day_ended()
        return code

    engine = asyncio.create_task(until_the_end())
    engine.add_done_callback(lambda _: _say_end(options.data_dir, options.account, child))
    typer.echo(f"{settings.market} market, PAPER money. The page: http://127.0.0.1:{options.port}   (Ctrl-C ends it)")
    try:
        await serve_desk(settings)
    finally:
        await child.stop()
        await engine


def _mirror_of(said: Settings, options: DeskOptions, socket_path: Path, clock: Clock) -> RedisMirror | None:
    """The mirror of ``REDIS_URL``; what is wrong with the address is said and shown, and stops nothing."""
    url = said.text("REDIS_URL")
    if not url:
        return None
    source = f"{options.account}@{options.data_dir.name}"  # a simulated day is a folder of its own
    return RedisMirror(url, socket_path, clock, source=source, say=_say)


async def _keep_token(settings: Settings, data_dir: Path, clock: SystemClock) -> None:
    """While no engine runs, the token of the next session is made, renewed or asked for here."""
    from algo_scalper.adapters.dhan.auth import DhanAuth
    from algo_scalper.adapters.dhan.rest import DhanRest
    from algo_scalper.runtime.broker_account import broker_account
    from algo_scalper.runtime.token_care import TokenKeeper

    account = broker_account(settings, data_dir, clock.now_ns())
    rest = DhanRest(account.dhan, clock)
    keeper = TokenKeeper(
        DhanAuth(rest, account.dhan, clock),
        account.dhan,
        account.store,
        clock,
        account.means,
        account.chosen,
        on_new=lambda _: None,
        say=lambda level, text: _say(f"{level}: {text}"),
    )
    try:
        await keeper.run()
    finally:
        await rest.close()


def _next_session(now_ns: int) -> tuple[int, str]:
    """When the engine is to start, and what to say until then."""
    from algo_scalper.runtime.real_market import closed_text, next_session

    session = next_session(now_ns)
    return session.start_ns, closed_text(session)


async def _sell_floors(url: str, account: str, broker: str) -> None:
    """The engine stays down: our floors become marketable limits, at the broker that still has them."""
    from algo_scalper.adapters.dhan.orders import DhanBroker
    from algo_scalper.adapters.dhan.rest import DhanRest
    from algo_scalper.adapters.dhan.settings import DhanSettings
    from algo_scalper.runtime.lifeboat import sell_floors
    from algo_scalper.runtime.opening import account_tag

    if broker == "paper":
        _say("lifeboat: the paper book lives with the engine; what it holds is kept for the next start")
        return
    clock = SystemClock()
    rest = DhanRest(DhanSettings.simulator(url), clock)
    try:
        for sentence in await sell_floors(DhanBroker(rest, clock), account_tag(account)):
            _say(f"lifeboat: {sentence}")
    finally:
        await rest.close()


def _say_end(data_dir: Path, account: str, child: EngineChild) -> None:
    """The day's report, when the engine has ended by itself or was stopped."""
    from algo_scalper.interfaces.cli.study import report_of

    if child.state == "stopped" and (data_dir / "trading.sqlite3").exists():
        for line in report_of(data_dir, account, None):
            typer.echo(line)
        if not child.stopping:
            typer.echo("The page stays up; Ctrl-C ends it.")


def _settings(config: Path, data_dir: Path | None = None, account: str = "") -> tuple[AlgoConfig, Settings]:
    """The rules and the settings; with a data folder, those the account has stored there too."""
    algo = load_algo(config)
    if data_dir is None:
        return algo, load_settings(os.environ, ENV_FILE, algo)
    return algo, settings_of(os.environ, ENV_FILE, config, data_dir, account)


def _allowed(settings: Settings) -> None:
    answer = trading_services_allowed(
        settings,
        os.environ,
        sys.argv,
        sys.modules.keys(),
        interactive=hasattr(sys, "ps1") or bool(sys.flags.interactive),
    )
    if not answer.allowed:
        raise ConfigError(answer.sentence)


def _say_gate(algo: AlgoConfig, settings: Settings, data_dir: Path) -> None:
    """Which one decided between paper and live, and where it stands."""
    from algo_scalper.runtime.probe.record import probe_passed

    for notice in settings.notices:
        typer.echo(notice)
    probed = probe_passed(data_dir, settings.text("DHANHQ_BASE_URL"), settings.text("DHANHQ_CLIENT_ID"))
    typer.echo(decide_money(algo, settings, LiveReadiness(probe_passed=probed)).sentence)


def _say_market(settings: Settings, data_dir: Path) -> None:
    """Fail early on keys that are missing or impossible, say which token is used and what is switched off."""
    from algo_scalper.runtime.broker_account import broker_account
    from algo_scalper.runtime.real_market import dhan_market_of

    account = broker_account(settings, data_dir, SystemClock().now_ns())
    for notice in (*account.notices, account.chosen.sentence):
        typer.echo(notice)
    market = dhan_market_of(settings, account)
    for feed, switched in (("market", market.feed_off), ("order", market.order_feed_off)):
        if switched:
            typer.echo(f"the {feed} feed is switched off ({switched}): entries will be refused")


def _check_market(market: str, broker: str) -> None:
    if market not in {SIMULATOR, DHAN}:
        raise ConfigError(f"--market {market!r} is not known; choose {SIMULATOR} or {DHAN}")
    if broker not in {"paper", "simulator"}:
        raise ConfigError(f"--broker {broker!r} is not known; choose paper or simulator")
    if market == DHAN and broker != "paper":
        raise ConfigError(f"--market {DHAN} trades on paper only: leave --broker away. {NOT_AVAILABLE}")


def _scalper(command: str) -> list[str]:
    return [sys.executable, "-m", "algo_scalper", command]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop where it exists."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal or the pipe is gone: nobody hears it, and nothing else may end
        typer.echo(line)
