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
SeedOption = Annotated[int, typer.Option("--seed", help="The seed of a made-up day.")]

LIMITED_UP_TO = 5.0
"""Above this pace a millisecond of this machine is too long in the market's time for its rate limits to be fair."""
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
    sim_url: Annotated[str, typer.Option(help="The simulator to trade on.")] = "http://127.0.0.1:9200",
    broker: Annotated[str, typer.Option(help="Who fills: paper, or simulator (over the wire).")] = "paper",
    port: Annotated[int | None, typer.Option(help="Port of the page; else PORT, else 3000.")] = None,
    account: Annotated[str, typer.Option(help="Name of the paper account.")] = "PAPER",
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Trade on a running simulator: engine and desk, without starting a market.

    Example: scalper sim --pace 10 &  scalper run --broker simulator
    """
    from algo_scalper.interfaces.cli.trading import RunOptions, run_session

    run_session(RunOptions(sim_url, broker, port, account, config, data_dir))


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
    with_parent: Annotated[bool, typer.Option(help="End when the process that started it ends.")] = False,
) -> None:
    """Run DhanHQ v2 on this machine: a market, an exchange and an account.

    Example: scalper sim --index nifty_1m_2026.parquet --day 2026-02-03 --pace 60
    """
    from algo_scalper.interfaces.cli.days import parse_day
    from algo_scalper.interfaces.simulator.main import SimulatorOptions
    from algo_scalper.interfaces.simulator.main import run as run_simulator

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
        )
    )


def main() -> None:
    """Run a command; anything wrong that we know of is one clear line and exit code 2."""
    try:
        app(standalone_mode=True)
    except AlgoScalperError as error:
        typer.echo(f"scalper: {error}", err=True)
        sys.exit(2)
