"""``scalper``: one command per thing a person does. Every command's help shows an example."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from algo_scalper import __version__
from algo_scalper.domain.errors import AlgoScalperError

app = typer.Typer(
    name="scalper",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="An autonomous engine that buys Indian index options intraday, on paper unless told otherwise.",
)

ConfigOption = Annotated[Path, typer.Option("--config", help="The rules: algo.yml.")]
DataOption = Annotated[Path, typer.Option("--data-dir", help="Where stores, journals and the token lie.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
IndexOption = Annotated[Path | None, typer.Option("--index", help="A file of recorded one-minute bars.")]
DayOption = Annotated[str | None, typer.Option("--day", help="The trading day, as 2026-02-03.")]
BrokerSimOption = Annotated[
    str | None, typer.Option("--sim-url", help="Ask this simulator instead of Dhan, as http://127.0.0.1:9200.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="The seed of a made-up day.")]

DEFAULT_CONFIG = Path("config/algo.yml")
DEFAULT_DATA = Path("var")


@app.command()
def version() -> None:
    """Print the version. Example: scalper version"""
    typer.echo(__version__)


@app.command()
def dev(
    pace: Annotated[float, typer.Option(help="Virtual seconds per real second, 1 to 60.")] = 40.0,
    seed: SeedOption = 1,
    day: DayOption = None,
    index: IndexOption = None,
    broker: Annotated[str, typer.Option(help="Who fills: paper, or simulator (over the wire).")] = "paper",
    port: Annotated[int | None, typer.Option(help="Port of the page; else PORT, else 3000.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
    fresh: Annotated[bool, typer.Option(help="Begin a new day even where one was left with a position.")] = False,
) -> None:
    """Watch the engine trade a simulated day by itself: simulator, engine, desk and page.

    Example: scalper dev --pace 30 --seed 7
    """
    from algo_scalper.interfaces.cli.trading import DevOptions, run_dev

    run_dev(DevOptions(pace, seed, day, index, broker, port, config, data_dir, fresh))


@app.command()
def run(
    market: Annotated[
        str, typer.Option(help="Whose market: simulator, or dhan (the real one, on paper).")
    ] = "simulator",
    sim_url: Annotated[str, typer.Option(help="The simulator to trade on.")] = "http://127.0.0.1:9200",
    broker: Annotated[str, typer.Option(help="Who fills: paper, or simulator (over the wire).")] = "paper",
    port: Annotated[int | None, typer.Option(help="Port of the page; else PORT, else 3000.")] = None,
    account: Annotated[str | None, typer.Option(help="Name of the account; PAPER, or PAPER-REAL on dhan.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Trade on a running simulator, or on paper on Dhan's real market: engine and desk, session after session.

    Example: scalper sim --pace 10 &  scalper run --broker simulator
    """
    from algo_scalper.interfaces.cli.trading import RunOptions, run_session

    run_session(RunOptions(market, sim_url, broker, port, account, config, data_dir))


@app.command()
def sim(
    index: IndexOption = None,
    index_name: Annotated[str, typer.Option(help="Which index the file is of; else read from its name.")] = "",
    day: DayOption = None,
    seed: SeedOption = 1,
    pace: Annotated[float, typer.Option(help="Virtual seconds per real second, 1 to 60.")] = 1.0,
    stepped: Annotated[bool, typer.Option(help="Time moves only when the engine is ready.")] = False,
    port: Annotated[int, typer.Option(help="Port of the simulator.")] = 9200,
    state: Annotated[Path | None, typer.Option(help="Keep the account in this file over restarts.")] = None,
    hold: Annotated[bool, typer.Option(help="After a restart go on from the moment of the end.")] = False,
    account: Annotated[Path | None, typer.Option(help="A JSON file of what is so of the account.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="When the market begins, as 10:00; else at the open.")] = None,
    with_parent: Annotated[bool, typer.Option(help="End when the process that started it ends.")] = False,
) -> None:
    """Run DhanHQ v2 on this machine: a market, an exchange and an account.

    Example: scalper sim --index nifty_1m_2026.parquet --day 2026-02-03 --pace 60
    """
    from algo_scalper.domain.units import parse_clock_s
    from algo_scalper.interfaces.cli.days import parse_day
    from algo_scalper.interfaces.simulator.account import account_facts
    from algo_scalper.interfaces.simulator.main import SimulatorOptions
    from algo_scalper.interfaces.simulator.main import run as run_simulator
    from algo_scalper.runtime.clock import LIMITED_UP_TO

    run_simulator(
        SimulatorOptions(
            index=index,
            index_name=index_name,
            day=parse_day(day),
            seed=seed,
            pace=pace,
            stepped=stepped,
            port=port,
            state=state,
            hold=hold,
            with_parent=with_parent,
            limited=pace <= LIMITED_UP_TO,
            account=account_facts(account),
            at_s=parse_clock_s(at, "--at") if at is not None else None,
        ),
        typer.echo,
    )


@app.command()
def backtest(
    index: IndexOption = None,
    index_name: Annotated[str, typer.Option(help="Which index the file is of; else read from its name.")] = "",
    day: DayOption = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day of a range.")] = None,
    seed: SeedOption = 1,
    config: ConfigOption = DEFAULT_CONFIG,
    journal_dir: Annotated[Path | None, typer.Option("--journals", help="Write a journal per day here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Trade recorded or made-up days in virtual time and report.

    Example: scalper backtest --index nifty_1m_2026.parquet --day 2026-02-03
    """
    from algo_scalper.interfaces.cli.study import BacktestOptions, run_backtest

    run_backtest(BacktestOptions(index, index_name, day, until, seed, config, journal_dir, as_json))


@app.command()
def replay(
    journal: Annotated[Path, typer.Argument(help="A journal file.")],
    as_json: JsonOption = False,
) -> None:
    """Feed a journal to a fresh engine and compare every command byte for byte; exit code 1 when one differs.

    Example: scalper replay var/journals/2026-11-23-PAPER-0001.journal
    """
    from algo_scalper.interfaces.cli.study import run_replay

    run_replay(journal, as_json=as_json)


@app.command()
def why(
    clock: Annotated[str, typer.Argument(help="A time of day, as 10:42.")],
    day: DayOption = None,
    index: Annotated[str | None, typer.Option("--index", help="Only this index, for example NIFTY.")] = None,
    minutes: Annotated[int, typer.Option(help="How many minutes from then.")] = 1,
    account: Annotated[str | None, typer.Option(help="The account; else the one used last.")] = None,
    data_dir: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Say why the engine did, or did not, trade at a moment.

    Example: scalper why 10:42 --index NIFTY
    """
    from algo_scalper.interfaces.cli.study import WhyOptions, run_why

    run_why(WhyOptions(clock, day, index, minutes, account, data_dir, as_json))


@app.command()
def report(
    day: DayOption = None,
    account: Annotated[str | None, typer.Option(help="The account; else the one used last.")] = None,
    data_dir: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Report a traded day: trades with every charge, and what it came to.

    Example: scalper report --day 2026-11-23
    """
    from algo_scalper.interfaces.cli.study import run_report

    run_report(day, account, data_dir, as_json=as_json)


@app.command()
def token(data_dir: DataOption = DEFAULT_DATA) -> None:
    """Print the token the page and the API ask for. Example: scalper token"""
    from algo_scalper.interfaces.api.access import TOKEN_FILE, load_token
    from algo_scalper.interfaces.cli.dev_runs import folder_with

    typer.echo(load_token(folder_with(data_dir, TOKEN_FILE)))


@app.command()
def login(
    way: Annotated[str, typer.Argument(help="status, paste, mint (PIN and TOTP), renew, or consent.")] = "status",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Make a new token in mid-session although one is in use.")
    ] = False,
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """See or get the access token of the broker; it is never printed. Running programs take up a new one by themselves.

    Example: scalper login paste
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_login

    run_login(way, BrokerOptions(sim_url, as_json, config, data_dir), anyway=anyway)


@app.command()
def ltp(
    names: Annotated[list[str], typer.Argument(help="NIFTY, BANKNIFTY, FINNIFTY, SENSEX, VIX, or SEGMENT:ID.")],
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print last prices.

    Example: scalper ltp NIFTY VIX NSE_FNO:42500
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_ltp

    run_ltp(names, BrokerOptions(sim_url, as_json, config, data_dir))


@app.command()
def funds(
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print the account's money, and how much of it may buy options.

    Example: scalper funds
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_funds

    run_funds(BrokerOptions(sim_url, as_json, config, data_dir))


@app.command()
def positions(
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print the account's positions of the day, whoever opened them.

    Example: scalper positions --json
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_positions

    run_positions(BrokerOptions(sim_url, as_json, config, data_dir))


@app.command()
def orders(
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print the account's orders of the day, whoever placed them.

    Example: scalper orders
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_orders

    run_orders(BrokerOptions(sim_url, as_json, config, data_dir))


@app.command()
def doctor(
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Look at everything a trading day needs, a line each with its remedy; nothing is changed. Exit code 1: one is red.

    Example: scalper doctor
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_doctor

    run_doctor(BrokerOptions(sim_url, as_json, config, data_dir))


instruments = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The catalog of what is listed: lots, ticks, freeze quantities, expiries, strikes. Exit codes: 0 done, 1 refused "
    "or out of date, 2 could not be done, 3 a change waits for a person.",
)
app.add_typer(instruments, name="instruments")
FreshOption = Annotated[bool, typer.Option("--fresh", help="Ask the server even if our copy is young.")]
ForceImportOption = Annotated[bool, typer.Option("--force", help="Overrule the doubts about a file; each is recorded.")]
MasterFileOption = Annotated[Path | None, typer.Option("--file", help="Import this file instead of the server's.")]


@instruments.command("import")
def instruments_import(
    fresh: FreshOption = False,
    force: ForceImportOption = False,
    file: MasterFileOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Bring the catalog up to the current instrument master; a file that cannot be right is refused and the old one stays.

    Example: scalper instruments import --fresh
    """
    from algo_scalper.interfaces.cli.instruments import CatalogOptions, run_import

    run_import(CatalogOptions(config, data_dir, as_json), fresh=fresh, anew=False, force=force, file=file)


@instruments.command("reimport")
def instruments_reimport(
    force: ForceImportOption = False,
    file: MasterFileOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Import again, asking the server and writing everything anew although the file may be the same.

    Example: scalper instruments reimport
    """
    from algo_scalper.interfaces.cli.instruments import CatalogOptions, run_import

    run_import(CatalogOptions(config, data_dir, as_json), fresh=True, anew=True, force=force, file=file)


@instruments.command("clear")
def instruments_clear(
    force: Annotated[bool, typer.Option("--force", help="Even while something is held.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Forget the catalog; refused while a position is open.

    Example: scalper instruments clear
    """
    from algo_scalper.interfaces.cli.instruments import CatalogOptions, run_clear

    run_clear(CatalogOptions(config, data_dir, as_json), force=force)


@instruments.command("status")
def instruments_status(
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print how old the catalog is, what it holds, what changed with it, and what waits for a person.

    Example: scalper instruments status --json
    """
    from algo_scalper.interfaces.cli.instruments import CatalogOptions, run_status

    run_status(CatalogOptions(config, data_dir, as_json))


@instruments.command("accept")
def instruments_accept(
    index: Annotated[str, typer.Argument(help="NIFTY, BANKNIFTY, FINNIFTY or SENSEX.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who accepts; else the user of this machine.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """See the old and the new lot, tick or freeze quantity of an index, and let it be entered again.

    Example: scalper instruments accept NIFTY
    """
    from algo_scalper.interfaces.cli.instruments import CatalogOptions, run_accept

    run_accept(index, CatalogOptions(config, data_dir, as_json), yes=yes, by=by)


@app.command()
def probe(
    market: Annotated[
        str, typer.Option(help="Whose market: simulator, or dhan (a real order, agreed to by a person).")
    ] = "simulator",
    underlying: Annotated[str, typer.Option(help="The index whose option is probed.")] = "NIFTY",
    round_trip: Annotated[
        bool, typer.Option("--round-trip", help="Buy and sell one lot of Rs 2 to 5 as well.")
    ] = False,
    sim_url: BrokerSimOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Try at the broker what could only be read: one lot far from the market, looked up, changed, cancelled.

    Prints its plan first and asks for the words to type. Exit code 1: it did not pass.

    Example: scalper probe --sim-url http://127.0.0.1:9200
    """
    from algo_scalper.interfaces.cli.broker import BrokerOptions, run_probe

    run_probe(BrokerOptions(sim_url, as_json, config, data_dir), market, underlying, round_trip=round_trip)


@app.command(hidden=True)
def engine(
    sim_url: str,
    account: str,
    broker: str,
    config: Path,
    data_dir: Path,
    socket_path: Path | None = None,
    stepped: Annotated[bool, typer.Option()] = False,
    downtime_s: float = 0.0,
    until_ns: int = 0,
    kill_at: int = 0,
    marks: Path | None = None,
    market: str = "simulator",
    from_ns: int = 0,
) -> None:
    """The engine process of ``run`` and ``dev``; not for calling by hand."""
    from algo_scalper.interfaces.cli.trading import EngineOptions, run_engine

    run_engine(
        EngineOptions(
            sim_url=sim_url,
            account=account,
            broker=broker,
            config=config,
            data_dir=data_dir,
            socket_path=socket_path,
            stepped=stepped,
            downtime_s=downtime_s,
            until_ns=until_ns,
            kill_at=kill_at,
            marks=marks,
            market=market,
            from_ns=from_ns,
        )
    )


def main() -> None:
    """Run a command; anything wrong that we know of is one clear line and exit code 2."""
    try:
        app(standalone_mode=True)
    except AlgoScalperError as error:
        typer.echo(f"scalper: {error}", err=True)
        sys.exit(2)
