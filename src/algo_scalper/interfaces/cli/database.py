"""``scalper db``: looking after the two stores. Scripts can trust the exit codes of this table.

====  =========================================================================================
code  meaning
====  =========================================================================================
0     done; ``check``: both stores are whole and of this version
1     ``check``: something is amiss, and said with its remedy; ``migrate``: a person said no
2     could not be done, and nothing was changed: a setting, the place, an engine that trades
====  =========================================================================================
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import typer

from algo_scalper.domain.units import clock_text, ist_day
from algo_scalper.runtime import database_care
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.database_place import Place, database_url, place_named
from algo_scalper.runtime.jobs.backup import FOLDER
from algo_scalper.runtime.settings import load_settings

ENV_FILE = Path(".env")
AMISS = 1


class DatabaseOptions(msgspec.Struct, frozen=True):
    """What all of these commands take."""

    config: Path
    data_dir: Path
    as_json: bool

    @property
    def place(self) -> Place:
        """The place the settings mean."""
        algo = load_algo(self.config) if self.config.exists() else None
        return Place(database_url(load_settings(os.environ, ENV_FILE, algo)), self.data_dir)


def run_migrate(options: DatabaseOptions, revision: str | None, *, yes: bool) -> None:
    """Migrate and say from where to where; going down is asked for unless ``yes``."""
    place = options.place
    if revision and not yes and database_care.loses_tables(place, revision):
        question = f"Going down to {revision} drops tables and all they hold, in {place.shown}. Is there a backup?"
        if not typer.confirm(question, err=True):
            sys.exit(AMISS)
    moved = database_care.migrate(place, revision)
    if options.as_json:
        typer.echo(msgspec.json.encode(moved))
        return
    for one in moved:
        said = f"is at {one.after} already" if one.before == one.after else f"{one.before or 'nothing'} -> {one.after}"
        typer.echo(f"{one.part}: {one.where}: {said}")


def run_check(options: DatabaseOptions) -> None:
    """Print a line for everything looked at; exit code 1 when something is amiss."""
    findings = database_care.check(options.place)
    if options.as_json:
        typer.echo(msgspec.json.encode(findings))
    else:
        for one in findings:
            typer.echo(f"{'ok   ' if one.whole else 'AMISS'} {one.part}, {one.what}: {one.said}")
            if not one.whole:
                typer.echo(f"      {one.remedy}")
    if not all(one.whole for one in findings):
        sys.exit(AMISS)


def run_backup(options: DatabaseOptions, folder: Path | None) -> None:
    """Copy both stores, and say where to and how much."""
    now_ns = SystemClock().now_ns()
    name = f"{ist_day(now_ns).isoformat()}-{clock_text(now_ns).replace(':', '')}"
    target = folder or options.data_dir / FOLDER / name
    size = database_care.back_up_place(options.place, target, at_ns=now_ns)
    if options.as_json:
        typer.echo(msgspec.json.encode({"folder": str(target), "bytes": size}))
    else:
        typer.echo(f"{target}: both stores, {size / 1e6:.1f} MB")


def run_restore(options: DatabaseOptions, backup: Path, to: str | None) -> None:
    """Verify a backup, put it where there are no stores, and check what is there then."""
    place = place_named(to, options.data_dir) if to else options.place
    manifest = database_care.restore(backup, place)
    if options.as_json:
        typer.echo(msgspec.json.encode({"place": place.shown, "manifest": manifest}))
    else:
        typer.echo(f"{place.shown}: restored as of {manifest.made}")
        for part, store in manifest.stores.items():
            typer.echo(f"  {part}: {store.held.total:,} rows at {store.revision}")
    amiss = [one for one in database_care.check(place) if not one.whole]
    for one in amiss:
        typer.echo(f"AMISS {one.part}, {one.what}: {one.said}; {one.remedy}", err=True)
    if amiss:
        sys.exit(AMISS)


def run_copy(options: DatabaseOptions, to: str) -> None:
    """Carry both stores to another place, and say what was found equal on both sides."""
    copied = database_care.copy(options.place, place_named(to, options.data_dir))
    if options.as_json:
        typer.echo(msgspec.json.encode(copied))
        return
    typer.echo(f"{copied.source} -> {copied.target}: the same rows and sums of money on both sides")
    for part, held in copied.stores.items():
        typer.echo(f"  {part}: {held.total:,} rows, {len(held.sums)} columns of money")
    typer.echo("Nothing was removed from the first place; set DATABASE_URL (or empty it) to use the second.")
