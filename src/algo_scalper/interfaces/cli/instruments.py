"""``scalper instruments``: the catalog of what is listed. Scripts can trust the exit codes of this table.

====  ==================================================================================================
code  meaning
====  ==================================================================================================
0     done, or nothing to do; ``status``: a catalog in date and nothing waits for a person
1     refused: the file is not believed, or something is held; ``status``: no catalog, or not in date
2     could not be done: a setting, the network, the database, a file that is no master file
3     ``status`` only: in date, but a change waits for a person and blocks entries
====  ==================================================================================================
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from algo_scalper.adapters.storage.catalog import CatalogStore, Fact, Generation, KeptChange
from algo_scalper.adapters.storage.stores import open_catalog, open_stores
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.cli.person import this_user
from algo_scalper.runtime.account_changes import settings_of
from algo_scalper.runtime.catalog_import import ImportReport, Outcome, import_catalog, import_settings
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.database_place import database_url
from algo_scalper.runtime.settings import Settings

ENV_FILE = Path(".env")
REFUSED, WAITING = 1, 3
MOST_LINES = 12


class CatalogOptions(msgspec.Struct, frozen=True):
    """What all of these commands take."""

    config: Path
    data_dir: Path
    as_json: bool


class Status(msgspec.Struct, frozen=True):
    """What ``status --json`` prints. ``state``: OK, WAITING, STALE or NONE."""

    state: str
    sentence: str
    age_hours: float | None
    generation: Generation | None
    statistics: dict[str, str]
    blocked: dict[str, tuple[KeptChange, ...]]
    changes: tuple[KeptChange, ...]


# --- import ----------------------------------------------------------------------------------------------------------


def run_import(options: CatalogOptions, *, fresh: bool, anew: bool, force: bool, file: Path | None) -> None:
    """Import, print what happened; exit code 1 when the file is refused."""
    settings, required = _settings(options)
    how = import_settings(settings, options.data_dir, required)
    with open_catalog(database_url(settings), options.data_dir) as catalog:
        work = import_catalog(catalog, how, SystemClock(), fresh=fresh, anew=anew, force=force, file=file)
        report = asyncio.run(work)
    if options.as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        typer.echo("\n".join(_report_lines(report)))
    if report.outcome is Outcome.REFUSED:
        sys.exit(REFUSED)


def _report_lines(report: ImportReport) -> list[str]:
    if report.outcome is Outcome.UNCHANGED:
        made_of = f"{report.source} ({report.came}) is the file catalog {report.generation} was made of"
        return [f"Nothing to do: {made_of} ({report.duration:.1f} s)"]
    left = ", ".join(f"{count:,} {reason}" for reason, count in report.left_out.items())
    lines = [f"{report.source} ({report.came}, {report.layout} layout): {report.file_rows:,} rows"]
    lines += [f"  left out: {left}"] if left else []
    lines += [f"  without an underlying: {one}" for one in _first(report.unlinked)]
    lines += [f"  makes no sense: {one}" for one in _first(report.unreadable)]
    if report.outcome is Outcome.REFUSED:
        stays = f"catalog {report.generation} stays" if report.generation else "there is still no catalog"
        lines.append(f"REFUSED, {stays}:")
        lines += [f"  {one}" for one in report.objections]
        return [
            *lines,
            "If every line above is right, --force overrules them; --fresh asks whether there is another file by now.",
        ]
    if report.overruled:
        lines += ["OVERRULED by --force:", *(f"  {one}" for one in report.objections)]
    if not report.freeze_stated:
        lines.append(
            "  this layout does not say how much one order may carry (freeze quantity): its contracts cannot be traded from "
            "the catalog; use the detailed file"
        )
    lines.append(
        f"Catalog {report.generation}: {report.instrument_total:,} instruments, {report.derivative_total:,} contracts "
        f"({report.duration:.1f} s)"
    )
    shown = [str(change) for change in sorted(report.changes, key=lambda one: not one.waits)]
    lines += [f"  changed: {one}" for one in _first(shown)]
    waiting = sorted({change.underlying for change in report.changes if change.waits})
    lines += [f"ENTRIES in {name} wait until you have seen this: scalper instruments accept {name}" for name in waiting]
    return lines


# --- status and accept -----------------------------------------------------------------------------------------------


def run_status(options: CatalogOptions) -> None:
    """Print the catalog's age, statistics and changes; the exit code says whether it is fit to trade by."""
    settings, _ = _settings(options)
    most_age_s = settings.count("CACHE_MAX_AGE", 0, 7 * 86_400)
    with open_catalog(database_url(settings), options.data_dir) as catalog:
        status = status_of(catalog, SystemClock().now_ns(), most_age_s)
    if options.as_json:
        typer.echo(msgspec.json.encode(status))
    else:
        typer.echo("\n".join(_status_lines(status)))
    sys.exit({"OK": 0, "WAITING": WAITING}.get(status.state, REFUSED))


def status_of(catalog: CatalogStore, now_ns: int, most_age_s: int) -> Status:
    """Whether the catalog is there, in date, and free of changes nobody has seen."""
    current, facts, blocked = catalog.current(), catalog.facts(), catalog.blocked_underlyings()
    age_s = _age_s(facts.get(Fact.CONFIRMED_AT, ""), now_ns)
    if current is None:
        state, sentence = "NONE", "no catalog has been imported; run: scalper instruments import"
    elif age_s is None:
        state, sentence = "STALE", "when the catalog's file was current is not known; run: scalper instruments import"
    elif not 0 <= age_s <= most_age_s:
        state = "STALE"
        sentence = f"the catalog's file was last known to be current {age_s / 3600:.1f} hours ago; run: scalper instruments import"
    elif blocked:
        state, sentence = (
            "WAITING",
            f"entries in {', '.join(blocked)} wait for: scalper instruments accept {next(iter(blocked))}",
        )
    else:
        state, sentence = "OK", f"the catalog's file was current {age_s / 3600:.1f} hours ago"
    return Status(
        state,
        sentence,
        None if age_s is None else round(age_s / 3600, 2),
        current,
        facts,
        blocked,
        catalog.changes_of(current.number) if current else (),
    )


def _status_lines(status: Status) -> list[str]:
    lines = [f"{status.state}: {status.sentence}"]
    if status.generation is not None:
        one = status.generation
        lines += [
            f"  catalog {one.number} of {one.day}, {one.layout} layout, {one.source}",
            f"  {one.instrument_rows:,} instruments, {one.derivative_rows:,} contracts of {one.file_rows:,} rows",
        ]
        lines += [f"  OVERRULED when it was imported: {one.forced}"] if one.forced else []
    lines += [f"  {name} = {value}" for name, value in sorted(status.statistics.items()) if value]
    lines += [f"  changed with it: {kept.change}" for kept in status.changes[:MOST_LINES] if not kept.waiting]
    if len(status.changes) > MOST_LINES:
        lines.append(f"  and {len(status.changes) - MOST_LINES} more changes; --json has them all")
    for name, waiting in status.blocked.items():
        lines.append(f"BLOCKED: {name} is not entered until a person accepts:")
        lines += [f"  {kept.change}" for kept in waiting]
    return lines


def run_accept(index: str, options: CatalogOptions, *, yes: bool, by: str | None) -> None:
    """Show old and new values of an index and note that a person has seen them; exit code 1 when they say no."""
    name = index.strip().upper()
    if name not in INDICES:
        raise ConfigError(f"{index!r} is not an index traded here; write one of {', '.join(INDICES)}")
    settings, _ = _settings(options)
    with open_catalog(database_url(settings), options.data_dir) as catalog:
        waiting = catalog.blocked_underlyings().get(name, ())
        if not options.as_json:
            typer.echo("\n".join(str(kept.change) for kept in waiting) or f"Nothing of {name} waits for anybody")
        if waiting and not yes and not typer.confirm(f"Trade {name} by the new values?", err=True):
            sys.exit(REFUSED)
        # Exactly what was shown: an import in this moment may have found more.
        count = catalog.accept([kept.number for kept in waiting], by=by or this_user(), at_ns=SystemClock().now_ns())
    if options.as_json:
        typer.echo(msgspec.json.encode({"index": name, "accepted": count, "changes": waiting}))
    elif count:
        typer.echo(f"{count} accepted; {name} may be entered again")


# --- clear -----------------------------------------------------------------------------------------------------------


def run_clear(options: CatalogOptions, *, force: bool) -> None:
    """Forget the catalog; refused with exit code 1 while something is held, unless forced."""
    settings, _ = _settings(options)
    with closing(open_stores(database_url(settings), options.data_dir)) as stores:
        held = stores.held()
        if not held or force:
            stores.catalog.clear()
    refused = bool(held) and not force
    if options.as_json:
        typer.echo(msgspec.json.encode({"cleared": not refused, "held": held}))
    elif refused:
        typer.echo(f"REFUSED: held are {', '.join(held)}; close them first, or overrule this with --force")
    else:
        typer.echo("The catalog is empty; run: scalper instruments import")
    if refused:
        sys.exit(REFUSED)


def _settings(options: CatalogOptions) -> tuple[Settings, tuple[str, ...]]:
    """The settings as the desk has them, and the indices that must be listed: of the rules, or all where there are none."""
    settings = settings_of(os.environ, ENV_FILE, options.config, options.data_dir)
    if not options.config.exists():
        return settings, tuple(INDICES)
    return settings, tuple(index.name for index in load_algo(options.config).rules.indices)


def _age_s(moment: str, now_ns: int) -> float | None:
    try:
        since = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return now_ns / NS_PER_SECOND - since.astimezone(UTC).timestamp()


def _first(lines: tuple[str, ...] | list[str]) -> list[str]:
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"and {more} more; --json has them all"] if more > 0 else [])]
