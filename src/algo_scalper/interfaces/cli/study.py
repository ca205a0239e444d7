"""``scalper backtest``, ``replay``, ``why`` and ``report``: questions about days, answered in print or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec
import typer

from algo_scalper.adapters.storage.stores import Stores, open_stores
from algo_scalper.domain.calendar import day_schedule, next_trading_day
from algo_scalper.domain.charges import NO_CHARGES, order_charges
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.orders import Order
from algo_scalper.domain.positions import Position
from algo_scalper.domain.units import NS_PER_MINUTE, clock_text, ist_ns, parse_clock_s
from algo_scalper.engine.views import TradeView, decision_view, figures
from algo_scalper.interfaces.cli.days import parse_day
from algo_scalper.interfaces.cli.dev_runs import folder_with
from algo_scalper.research.backtest import DayResult, run_recorded, run_synthetic
from algo_scalper.research.replay import replay
from algo_scalper.research.report import NO_EDGE, report_lines, total_lines, trade_lines
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.recordings import read_recording


class BacktestOptions(msgspec.Struct, frozen=True):
    """The flags of ``scalper backtest``."""

    index: Path | None
    index_name: str
    day: str | None
    until: str | None
    seed: int
    config: Path
    journal_dir: Path | None
    as_json: bool


class WhyOptions(msgspec.Struct, frozen=True):
    """The arguments of ``scalper why``."""

    clock: str
    day: str | None
    index: str | None
    minutes: int
    account: str | None
    data_dir: Path
    as_json: bool


def run_backtest(options: BacktestOptions) -> None:
    """One report a day, and a total over several."""
    results: list[DayResult] = []
    for result in _results(options):
        results.append(result)
        if not options.as_json:
            typer.echo("\n".join(report_lines(result)) + "\n")
    if options.as_json:
        typer.echo(msgspec.json.encode(results))
    elif len(results) > 1:
        typer.echo(f"{len(results)} days, {sum(len(result.trades) for result in results)} trades")
        gross = sum(result.gross_paise for result in results)
        typer.echo("\n".join(total_lines(gross, sum(result.charges_paise for result in results))))


def _results(options: BacktestOptions) -> Iterable[DayResult]:
    rules = load_rules(options.config)
    first, last = parse_day(options.day), parse_day(options.until)
    if options.index is None:
        if first is None:
            raise ConfigError("name a recorded file with --index, or a day to make up with --day 2026-11-23")
        for day in _sessions(first, last or first):
            yield run_synthetic(day, rules, options.seed, _journal(options, day))
        return
    recording = read_recording(options.index, options.index_name)
    for problem in recording.problems:
        typer.echo(f"{options.index.name}: {problem}", err=True)
    days = sorted(recording.days)
    first = first or days[0]
    last = last or (first if options.day else days[-1])
    chosen = [day for day in days if first <= day <= last]
    if not chosen:
        recording.day(first)  # says which days there are
    for day in chosen:
        yield run_recorded(recording, day, rules, options.seed, _journal(options, day))


def _sessions(first: date, last: date) -> Iterable[date]:
    day = first if day_schedule(first) is not None else next_trading_day(first)
    while day <= last or day == first:
        yield day
        day = next_trading_day(day)


def _journal(options: BacktestOptions, day: date) -> Path | None:
    return options.journal_dir / f"{day.isoformat()}-backtest.journal" if options.journal_dir else None


def run_replay(journal: Path, *, as_json: bool) -> None:
    """Exit code 1 when a command differs."""
    result = replay(journal)
    if as_json:
        typer.echo(msgspec.json.encode(result))
    elif result.same:
        torn = f"; a torn last frame of {result.torn_bytes} bytes was cut" if result.torn_bytes else ""
        typer.echo(f"{result.events} events, {result.commands} commands: every one the same, byte for byte{torn}")
    else:
        typer.echo(f"DIFFERENT at {result.difference}")
    if not result.same:
        sys.exit(1)


def run_why(options: WhyOptions) -> None:
    """The decisions of a moment, from the decision log."""
    stores, account = _open(options.data_dir, options.account)
    try:
        day = parse_day(options.day) or stores.trading(account).last_day()
        if day is None:
            raise ConfigError(f"{options.data_dir}: no day has been traded there yet")
        from_ns = ist_ns(day, parse_clock_s(options.clock, "the time"))
        found = stores.reference.decisions_between(account, from_ns, from_ns + options.minutes * NS_PER_MINUTE)
    finally:
        stores.close()
    shown = [decision_view(one) for one in found if not options.index or one.index.upper() == options.index.upper()]
    if options.as_json:
        typer.echo(msgspec.json.encode(shown))
        return
    if not shown:
        typer.echo(f"Nothing was decided between {options.clock} and {options.minutes} minute(s) later on {day}")
    for line in shown:
        typer.echo(f"{clock_text(line.at_ns)}  {line.index:10s} {line.contract:28s} {line.sentence}")
        if line.numbers:
            typer.echo(f"          {figures(line.numbers)}")


def run_report(day: str | None, account: str | None, data_dir: Path, *, as_json: bool) -> None:
    """A traded day from the stores."""
    stores, name = _open(data_dir, account)
    try:
        trades = trades_of(stores, name, parse_day(day))
    finally:
        stores.close()
    if as_json:
        typer.echo(msgspec.json.encode(trades))
        return
    typer.echo("\n".join(_report(trades)))


def report_of(data_dir: Path, account: str, day: date | None) -> list[str]:
    """The report's lines, for whoever has a day behind it."""
    stores, name = _open(data_dir, account)
    try:
        return day_lines(stores, name, day, "SIMULATED")
    finally:
        stores.close()


def day_lines(stores: Stores, account: str, day: date | None, market: str) -> list[str]:
    """As `report_of`, from open stores; ``market`` is SIMULATED or REAL."""
    held = stores.trading(account).open_positions()
    lines = _report(trades_of(stores, account, day), market)
    if not held:
        return [*lines, "FLAT: nothing is held"]
    left = [
        f"LEFT: {one.held} {one.contract.name}; the floor rests at the broker, which squares off INTRADAY at 15:20"
        for one in held
    ]
    return [*lines, *left]


def trades_of(stores: Stores, account: str, day: date | None) -> list[TradeView]:
    """The day's closed positions with their charges by line."""
    trading = stores.trading(account)
    day = day or trading.last_day()
    if day is None:
        return []
    orders = trading.orders_of_day(day)
    return [_trade(position, orders, day) for position in trading.trades_of_day(day)]


def _trade(position: Position, orders: tuple[Order, ...], day: date) -> TradeView:
    charges = NO_CHARGES
    for order in orders:
        if order.position_id == position.id and order.filled_quantity:
            charges += order_charges(position.contract.exchange, order.side, order.filled_value_paise, day)
    return TradeView(
        id=position.id,
        contract=position.contract.name,
        index=position.index,
        direction=int(position.direction),
        quantity=position.sold_quantity,
        entry_paise=position.average_paise,
        exit_paise=position.proceeds_paise // position.sold_quantity if position.sold_quantity else 0,
        signal_paise=position.signal_paise,
        exit_signal_paise=position.exit_signal_paise,
        opened_ns=position.opened_ns,
        closed_ns=position.closed_ns,
        gross_paise=position.realised_paise,
        charges=charges.as_dict(),
        net_paise=position.realised_paise - position.charges_paise,
        reason=position.exit_reason.name.lower(),
        best_paise=position.high_water_paise,
        worst_paise=position.low_water_paise,
        why="",
    )


def _report(trades: list[TradeView], market: str = "SIMULATED") -> list[str]:
    gross = sum(trade.gross_paise for trade in trades)
    charges = sum(trade.gross_paise - trade.net_paise for trade in trades)
    return [f"{market} market, PAPER money", NO_EDGE, "", *trade_lines(trades), "", *total_lines(gross, charges)]


def _open(data_dir: Path, account: str | None) -> tuple[Stores, str]:
    """The stores of a data folder; of the newest simulated day when the folder holds only those."""
    folder = folder_with(data_dir, "trading.sqlite3")
    if not (folder / "trading.sqlite3").exists():
        raise ConfigError(f"{data_dir}: no trading store there; name the folder with --data-dir, or trade a day first")
    return open_stores(None, folder), account or "PAPER"
