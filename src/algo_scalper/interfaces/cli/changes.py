"""``scalper settings``, ``rules`` and ``watchlist``: what stands, who changed it, and changing it.

Exit codes: 0 done, 1 refused with the reason, 2 could not be done (a file, the database, an engine that does not answer).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import typer

from algo_scalper.adapters.storage.change_store import PastChange
from algo_scalper.adapters.storage.tables import ChangeKind
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.instruments import key_text
from algo_scalper.domain.units import IST, NS_PER_SECOND
from algo_scalper.interfaces.cli.dev_runs import folder_with
from algo_scalper.interfaces.cli.person import this_user
from algo_scalper.runtime.account_changes import SOCKET, AccountChanges, SettingRow
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.publish import Answer, Ask, AskKind, say_to_engine
from algo_scalper.runtime.rule_changes import RuleRow

REFUSED = 1


class ChangeOptions(NamedTuple):
    """What all of these commands take."""

    account: str
    by: str
    as_json: bool
    config: Path
    data_dir: Path


def changes_of(options: ChangeOptions) -> AccountChanges:
    """The account's changes, in the data folder or the newest simulated day under it."""
    return AccountChanges(options.account, _folder(options), options.config, SystemClock())


def _folder(options: ChangeOptions) -> Path:
    """Where an engine runs, else where there is a store, else the newest simulated day: never beside all of them."""
    for name in (SOCKET, "trading.sqlite3", "run.json"):
        folder = folder_with(options.data_dir, name)
        if (folder / name).exists():
            return folder
    return options.data_dir


def _who(options: ChangeOptions) -> str:
    return options.by or this_user()


# --- settings --------------------------------------------------------------------------------------------------------


def run_settings_list(options: ChangeOptions) -> None:
    """Every setting, its value and its place."""
    rows = changes_of(options).settings()
    if options.as_json:
        _print_json([row._asdict() for row in rows])
        return
    for row in rows:
        typer.echo(_setting_line(row))


def run_settings_get(name: str, options: ChangeOptions) -> None:
    """One setting, with what it means."""
    row = changes_of(options).setting(name)
    if options.as_json:
        _print_json(row._asdict())
        return
    typer.echo(_setting_line(row))
    typer.echo(f"  {row.meaning} ({row.kind}; default {row.default or 'empty'})")
    if row.stored:
        typer.echo(f"  stored: {row.stored}, by {row.by}")
    if row.note:
        typer.echo(f"  {row.note}")


def _setting_line(row: SettingRow) -> str:
    overruled = f" (goes before {', '.join(row.overruled)})" if row.overruled else ""
    return f"{row.name}={row.value} from {row.source}{overruled}"


def run_change(kind: AskKind, name: str, value: str | None, options: ChangeOptions) -> None:
    """Change one setting or rule, or take back what is stored; exit code 1 when it is refused."""
    _end(asyncio.run(changes_of(options).change(Ask(kind, name, value, _who(options)))), options)


def run_history(kind: ChangeKind, name: str, options: ChangeOptions) -> None:
    """Who changed what, newest first."""
    wanted = name.upper() if kind is ChangeKind.SETTING else name
    past = changes_of(options).history(kind, wanted)
    if options.as_json:
        _print_json(past)
        return
    for one in past:
        typer.echo(_past_line(one))
    if not past:
        typer.echo(f"{wanted or 'Nothing'} was {'never' if wanted else 'ever'} changed")


def _past_line(one: PastChange) -> str:
    moment = datetime.fromtimestamp(one.at_ns / NS_PER_SECOND, IST)
    was = "nothing" if one.was is None else one.was
    now = "nothing" if one.now is None else one.now
    return f"{moment:%Y-%m-%d %H:%M:%S}  {one.name}: {was} -> {now}  by {one.who}; {one.effect}"


# --- rules -----------------------------------------------------------------------------------------------------------


def run_rules_show(options: ChangeOptions) -> None:
    """Every rule: what is written, what is in force where that differs, and what was laid over the file."""
    shown = changes_of(options).rules()
    if options.as_json:
        _print_json({"day": shown.day, "version": shown.version, "rules": [row._asdict() for row in shown.rows]})
        return
    if shown.day:
        typer.echo(f"In force on {shown.day}: version {shown.version}")
    for row in shown.rows:
        typer.echo(_rule_line(row))


def _rule_line(row: RuleRow) -> str:
    line = f"{row.key}: {row.written}  ({row.source}{f', by {row.by}' if row.by else ''})"
    if row.in_force and row.in_force != row.written:
        line += f"; in force: {row.in_force}"
    return line


def run_rules_apply(position: str, options: ChangeOptions) -> None:
    """Send the word; the engine answers on the page and in its terminal."""
    path = _folder(options) / SOCKET
    if not asyncio.run(say_to_engine(path, OperatorWord.APPLY, position, _who(options))):
        raise ConfigError(f"no engine runs at {path}: an open position keeps its exit rules over a restart")
    said = f"The exit rules of now go to {position}, if it is open; its notices say what became of its stop"
    _end(Answer(done=True, text=said), options)


# --- the watchlist ---------------------------------------------------------------------------------------------------


def run_watch_list(options: ChangeOptions) -> None:
    """What is watched, and which place says so."""
    watchlist = changes_of(options).watchlist()
    if options.as_json:
        items = [{"instrument": key_text(item.key), "name": item.label} for item in watchlist.items]
        _print_json({"source": watchlist.source, "items": items})
        return
    typer.echo(f"{len(watchlist.items)} watched beside what is traded, by {watchlist.source}")
    for item in watchlist.items:
        typer.echo(f"  {key_text(item.key)}  {item.label}")


def run_watch(names: Sequence[str], options: ChangeOptions, *, off: bool) -> None:
    """Put on the stored list, or take off."""
    _end(asyncio.run(changes_of(options).watch(list(names), off=off, by=_who(options))), options)


# --- what they share -------------------------------------------------------------------------------------------------


def _end(answer: Answer, options: ChangeOptions) -> None:
    if options.as_json:
        _print_json(answer)
    else:
        typer.echo(answer.text if answer.done else f"REFUSED: {answer.text}")
    if not answer.done:
        sys.exit(REFUSED)


def _print_json(value: Any) -> None:
    typer.echo(msgspec.json.encode(value))
