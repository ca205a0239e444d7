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
    account: Annotated[
        list[Path] | None, typer.Option(help="A JSON file of what is so of the account; again for each other account.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="When the market begins, as 10:00; else at the open.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A JSON list of faults and their times.")] = None,
    fault_seed: Annotated[int, typer.Option(help="The seed of drawn faults.")] = 1,
    fault_rate: Annotated[float, typer.Option(help="Draw so many faults an hour of the market.", min=0.0)] = 0.0,
    tls: Annotated[Path | None, typer.Option(help="Serve https and wss; certificates lie in this folder.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write all that is sent and answered to this file.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Serve a recorded session at --pace instead of a market.")] = None,
    with_parent: Annotated[bool, typer.Option(help="End when the process that started it ends.")] = False,
) -> None:
    """Run DhanHQ v2 on this machine: a market, an exchange and accounts.

    Example: scalper sim --index nifty_1m_2026.parquet --day 2026-02-03 --pace 60
    """
    from algo_scalper.domain.units import parse_clock_s
    from algo_scalper.interfaces.cli.days import parse_day
    from algo_scalper.interfaces.simulator.account import AccountFacts, account_facts
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
            accounts=tuple(account_facts(path) for path in account or ()) or (AccountFacts(),),
            at_s=parse_clock_s(at, "--at") if at is not None else None,
            faults=faults,
            fault_seed=fault_seed,
            faults_an_hour=fault_rate,
            tls=tls,
            record=record,
            replay=replay,
        ),
        typer.echo,
    )


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help="A fault, as stall; without one they are listed.")] = "",
    words: Annotated[list[str] | None, typer.Argument(help="Its numbers, as seconds=30 at=10:15:30.")] = None,
    sim_url: Annotated[str, typer.Option(help="The simulator to break.")] = "http://127.0.0.1:9200",
) -> None:
    """Break something at a running simulator.

    Example: scalper fault stall seconds=30
    """
    from algo_scalper.interfaces.cli.faults import run_fault

    run_fault(name, words or [], sim_url)


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


AccountOption = Annotated[str, typer.Option("--account", help="Whose; else the engine's that runs, or the last one's.")]
ByOption = Annotated[str, typer.Option("--by", help="Who changes it; else the user of this machine.")]

settings = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Settings: where each comes from, and those stored for an account. Exit codes: 0 done, 1 refused, 2 could not be "
    "done.",
)
app.add_typer(settings, name="settings")


@settings.command("list")
def settings_list(
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print every setting, its value and the place that has it.

    Example: scalper settings list
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_settings_list

    run_settings_list(ChangeOptions(account, "", as_json, config, data_dir))


@settings.command("get")
def settings_get(
    name: Annotated[str, typer.Argument(help="A setting, as LOG_LEVEL.")],
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print one setting, its place, its meaning and its default.

    Example: scalper settings get LOG_LEVEL
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_settings_get

    run_settings_get(name, ChangeOptions(account, "", as_json, config, data_dir))


@settings.command("set")
def settings_set(
    name: Annotated[str, typer.Argument(help="A setting, as LOG_LEVEL.")],
    value: Annotated[str, typer.Argument(help="Its value.")],
    account: AccountOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Store a setting for the next start. The environment, .env and algo.yml go before it; secrets are refused.

    Example: scalper settings set LOG_LEVEL debug
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_change
    from algo_scalper.runtime.publish import AskKind

    run_change(AskKind.SETTING, name, value, ChangeOptions(account, by, as_json, config, data_dir))


@settings.command("unset")
def settings_unset(
    name: Annotated[str, typer.Argument(help="A stored setting.")],
    account: AccountOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Take a stored setting back.

    Example: scalper settings unset LOG_LEVEL
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_change
    from algo_scalper.runtime.publish import AskKind

    run_change(AskKind.SETTING, name, None, ChangeOptions(account, by, as_json, config, data_dir))


@settings.command("history")
def settings_history(
    name: Annotated[str, typer.Argument(help="Only this setting.")] = "",
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print who changed which setting, from what to what, newest first.

    Example: scalper settings history
    """
    from algo_scalper.adapters.storage.tables import ChangeKind
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_history

    run_history(ChangeKind.SETTING, name, ChangeOptions(account, "", as_json, config, data_dir))


rules = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Rules changed while they are traded by. Tightening counts at once, loosening a limit with the next session. Exit "
    "codes: 0 done, 1 refused, 2 could not be done.",
)
app.add_typer(rules, name="rules")


@rules.command("show")
def rules_show(
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print every rule: its value, where that is written, and what is in force where that differs.

    Example: scalper rules show
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_rules_show

    run_rules_show(ChangeOptions(account, "", as_json, config, data_dir))


@rules.command("set")
def rules_set(
    key: Annotated[str, typer.Argument(help="A key of algo.yml, as limits.day_loss.")],
    value: Annotated[str, typer.Argument(help="Its value, written as in algo.yml.")],
    account: AccountOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Lay a rule over algo.yml, until it is taken back. Says from when on it counts.

    Example: scalper rules set limits.day_loss 3%
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_change
    from algo_scalper.runtime.publish import AskKind

    run_change(AskKind.RULE, key, value, ChangeOptions(account, by, as_json, config, data_dir))


@rules.command("unset")
def rules_unset(
    key: Annotated[str, typer.Argument(help="A key that was laid over algo.yml.")],
    account: AccountOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Take a changed rule back: what algo.yml says counts again, a looser limit with the next session.

    Example: scalper rules unset limits.day_loss
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_change
    from algo_scalper.runtime.publish import AskKind

    run_change(AskKind.RULE, key, None, ChangeOptions(account, by, as_json, config, data_dir))


@rules.command("history")
def rules_history(
    key: Annotated[str, typer.Argument(help="Only this key.")] = "",
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print who changed which rule, from what to what, and from when on it counted, newest first.

    Example: scalper rules history limits.day_loss
    """
    from algo_scalper.adapters.storage.tables import ChangeKind
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_history

    run_history(ChangeKind.RULE, key, ChangeOptions(account, "", as_json, config, data_dir))


@rules.command("apply")
def rules_apply(
    position: Annotated[str, typer.Argument(help="The id of an open position; /api/positions lists them.")],
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Give an open position the exit rules of now instead of those it was opened under. Its stop never falls by it.

    Example: scalper rules apply ASABCD-12-3
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_rules_apply

    run_rules_apply(position, ChangeOptions("", by, as_json, config, data_dir))


watchlist = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What is watched beside what is traded: the stored list, else algo.yml, else DHANHQ_WS_WATCHLIST. Exit codes: 0 "
    "done, 1 refused, 2 could not be done.",
)
app.add_typer(watchlist, name="watchlist")
WatchedNames = Annotated[
    list[str], typer.Argument(help="SEGMENT:ID as NSE_EQ:2885, an index, or a name the catalog knows.")
]


@watchlist.command("list")
def watchlist_list(
    account: AccountOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print what is watched, and which place says so.

    Example: scalper watchlist list
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_watch_list

    run_watch_list(ChangeOptions(account, "", as_json, config, data_dir))


@watchlist.command("add")
def watchlist_add(
    names: WatchedNames,
    account: AccountOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Put instruments on the stored list; a running engine watches them at once.

    Example: scalper watchlist add NSE_EQ:2885 BANKNIFTY
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_watch

    run_watch(names, ChangeOptions(account, by, as_json, config, data_dir), off=False)


@watchlist.command("remove")
def watchlist_remove(
    names: WatchedNames,
    account: AccountOption = "",
    by: ByOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Take instruments off the stored list; when it is empty, algo.yml or DHANHQ_WS_WATCHLIST counts again.

    Example: scalper watchlist remove NSE_EQ:2885
    """
    from algo_scalper.interfaces.cli.changes import ChangeOptions, run_watch

    run_watch(names, ChangeOptions(account, by, as_json, config, data_dir), off=True)


jobs = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What the desk does by the clock: catalog, token, positions, report, candles, backup, retention, health.",
)
app.add_typer(jobs, name="jobs")
JobAccountOption = Annotated[str, typer.Option("--account", help="Whose jobs: the account of scalper run.")]


@jobs.command("list")
def jobs_list(
    account: JobAccountOption = "PAPER-REAL",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print every job: when it runs, when next, and what came of its last run.

    Example: scalper jobs list
    """
    from algo_scalper.interfaces.cli.jobs import JobOptions, run_list

    run_list(JobOptions(account, as_json, config, data_dir))


@jobs.command("run")
def jobs_run(
    name: Annotated[str, typer.Argument(help="A job of the list.")],
    account: JobAccountOption = "PAPER-REAL",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Run a job now. Exit code 1: it failed, or was refused because it runs already.

    Example: scalper jobs run backup
    """
    from algo_scalper.interfaces.cli.jobs import JobOptions, run_job

    run_job(name, JobOptions(account, as_json, config, data_dir))


@jobs.command("history")
def jobs_history(
    name: Annotated[str, typer.Argument(help="Only this job.")] = "",
    limit: Annotated[int, typer.Option(help="How many runs.")] = 30,
    account: JobAccountOption = "PAPER-REAL",
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Print runs of jobs, newest first: for which time, why, how long, by whom, and what came of them.

    Example: scalper jobs history backup --json
    """
    from algo_scalper.interfaces.cli.jobs import JobOptions, run_history

    run_history(name, limit, JobOptions(account, as_json, config, data_dir))


db = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The two stores, on SQLite and PostgreSQL alike: migrate, check, back up, restore, move. Exit codes: 0 done, 1 "
    "check found something amiss, 2 could not be done and nothing was changed.",
)
app.add_typer(db, name="db")


@db.command("migrate")
def db_migrate(
    to: Annotated[str | None, typer.Option("--to", help="A revision, as trading_0001; down as well as up.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, even when tables are dropped.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Bring both stores to the newest revision, making them where there are none; refused while an engine trades.

    Example: scalper db migrate
    """
    from algo_scalper.interfaces.cli.database import DatabaseOptions, run_migrate

    run_migrate(DatabaseOptions(config, data_dir, as_json), to, yes=yes)


@db.command("check")
def db_check(
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Look through both stores: damage, revision, rules, sums, space; nothing is changed. Exit code 1: something is amiss.

    Example: scalper db check
    """
    from algo_scalper.interfaces.cli.database import DatabaseOptions, run_check

    run_check(DatabaseOptions(config, data_dir, as_json))


@db.command("backup")
def db_backup(
    folder: Annotated[Path | None, typer.Argument(help="A new folder; else backups/ under the data folder.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Copy both stores, while they are used, into SQLite files with a manifest of what they hold.

    Example: scalper db backup
    """
    from algo_scalper.interfaces.cli.database import DatabaseOptions, run_backup

    run_backup(DatabaseOptions(config, data_dir, as_json), folder)


@db.command("restore")
def db_restore(
    backup: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    to: Annotated[str | None, typer.Option("--to", help="Another place: postgresql://..., or a folder.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Verify a backup against its manifest and put it where there are no stores; one that is there is never overwritten.

    Example: scalper db restore var/backups/2026-11-23-164500 --data-dir restored
    """
    from algo_scalper.interfaces.cli.database import DatabaseOptions, run_restore

    run_restore(DatabaseOptions(config, data_dir, as_json), backup, to)


@db.command("copy")
def db_copy(
    to: Annotated[str, typer.Option("--to", help="Where to: postgresql://user@host/name, or a folder.")],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataOption = DEFAULT_DATA,
) -> None:
    """Carry both stores to an empty place, from SQLite to PostgreSQL or back; rows and sums of money are compared.

    Example: scalper db copy --to postgresql://scalper@localhost/scalper
    """
    from algo_scalper.interfaces.cli.database import DatabaseOptions, run_copy

    run_copy(DatabaseOptions(config, data_dir, as_json), to)


redis = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The server of REDIS_URL that prices, P&L and events are mirrored to. Exit codes: 0 it answers or the key is "
    "there, 1 it does not or there is none, 2 a setting is wrong.",
)
app.add_typer(redis, name="redis")


@redis.command("ping")
def redis_ping(as_json: JsonOption = False, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Ask the server whether it answers, how fast, and whether it has room.

    Example: scalper redis ping
    """
    from algo_scalper.interfaces.cli.redis import run_ping

    run_ping(config, as_json=as_json)


@redis.command("show")
def redis_show(
    key: Annotated[str, typer.Argument(help="A key, as tick:IDX_I:13, or a pattern, as pnl:tracker:*.")],
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print a key with what is left of its time, or the keys of a pattern.

    Example: scalper redis show tick:IDX_I:13
    """
    from algo_scalper.interfaces.cli.redis import run_show

    run_show(key, config, as_json=as_json)


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
