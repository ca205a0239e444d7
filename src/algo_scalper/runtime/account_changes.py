"""One account's settings, rules and watchlist as seen and changed from outside its engine: by a command, or by the page.

Only who holds the account's lock writes its trading store. While an engine runs, that is the engine: it is asked. While
none runs, the lock is taken here for the moment of the change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from algo_scalper.adapters.storage.change_store import InForce, PastChange
from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.adapters.storage.stores import FIRST_ACCOUNT, Stores, open_stores, stored_settings
from algo_scalper.adapters.storage.tables import ChangeKind
from algo_scalper.domain.errors import AlgoScalperError, ConfigError, SecondInstance, StoreError
from algo_scalper.domain.instruments import key_text
from algo_scalper.domain.ports import Clock
from algo_scalper.runtime.change_desk import change_rule_unattended, change_setting
from algo_scalper.runtime.config import AlgoConfig, key_path, load_algo
from algo_scalper.runtime.database_place import database_url
from algo_scalper.runtime.publish import Answer, Ask, AskKind, ask_engine
from algo_scalper.runtime.rule_changes import Rulebook, RuleRow
from algo_scalper.runtime.setting_values import MONEY_RULE, MONEY_WORDS, known_setting
from algo_scalper.runtime.settings import VARIABLES, Kind, Settings, load_settings, why_not_stored
from algo_scalper.runtime.watchlist import (
    STORED,
    Watched,
    Watchlist,
    check_length,
    choose,
    label_of,
    named,
    parse_item,
)

SOCKET = "engine.sock"
"""Where an engine listens, in its data folder."""


class SettingRow(NamedTuple):
    """One setting as people see it; ``value`` of a secret is masked."""

    name: str
    value: str
    source: str
    stored: str
    by: str
    overruled: tuple[str, ...]
    kind: str
    default: str
    meaning: str
    note: str
    """Why it is not stored, or what counts beside precedence; mostly empty."""


class RulesShown(NamedTuple):
    """Every rule, and the day whose session last traded by what is in force; empty before the first."""

    day: str
    version: int
    rows: tuple[RuleRow, ...]


def settings_of(
    environ: Mapping[str, str], env_file: Path, config: Path, data_dir: Path, account: str = ""
) -> Settings:
    """The settings of a process, with what this account has stored; see `stored_settings` for none.

    Raises `ConfigError` and `StoreError`.
    """
    algo = load_algo(config) if config.exists() else None
    url = database_url(load_settings(environ, env_file, algo))
    return load_settings(environ, env_file, algo, stored_settings(url, data_dir, account))


class AccountChanges:
    """What stands for one account, and the way to change it."""

    def __init__(self, account: str, data_dir: Path, config: Path, clock: Clock, env_file: Path = Path(".env")) -> None:
        """``account`` may be empty: then it is the one of the engine that runs, or the one of the last session."""
        self._account = account
        self._data_dir = data_dir
        self._config = config
        self._clock = clock
        self._env_file = env_file

    @property
    def _url(self) -> str | None:
        return database_url(load_settings(os.environ, self._env_file, self._algo()))

    def _algo(self) -> AlgoConfig | None:
        return load_algo(self._config) if self._config.exists() else None

    def _settings_with(self, stored: Mapping[str, str]) -> Settings:
        return load_settings(os.environ, self._env_file, self._algo(), stored)

    def _open(self) -> Stores:
        return open_stores(self._url, self._data_dir)

    def _whose(self, stores: Stores) -> str:
        return self._account or stores.last_account() or FIRST_ACCOUNT

    # --- reading ---

    def settings(self) -> tuple[SettingRow, ...]:
        """Every setting: its value, where that comes from, and what is stored."""
        stores = self._open()
        try:
            kept = stores.changes(self._whose(stores)).settings()
        finally:
            stores.close()
        settings = self._settings_with({name: one.value for name, one in kept.items()})
        rows = []
        for variable in VARIABLES:
            chosen, stored = settings.get(variable.name), kept.get(variable.name)
            said = settings.all_said(variable.name)
            overruled = tuple(one.source for one in said if one.value and one.source != chosen.source)
            secret = variable.kind is Kind.SECRET and chosen.value
            note = why_not_stored(variable.name) or (MONEY_RULE if variable.name in MONEY_WORDS else "")
            rows.append(
                SettingRow(
                    variable.name,
                    "***" if secret else chosen.value,
                    chosen.source,
                    stored.value if stored else "",
                    stored.by if stored else "",
                    overruled,
                    variable.kind.value,
                    variable.default,
                    variable.meaning,
                    note,
                )
            )
        return tuple(rows)

    def setting(self, name: str) -> SettingRow:
        """One of them. Raises `ConfigError` naming the nearest."""
        wanted = known_setting(name)
        return next(row for row in self.settings() if row.name == wanted)

    def rules(self) -> RulesShown:
        """Every rule: in force, written, and by whom it was laid over."""
        stores = self._open()
        try:
            changes = stores.changes(self._whose(stores))
            laid_over, newest = changes.overrides(), changes.in_force()
        finally:
            stores.close()
        book = Rulebook.read(self._config, {key: kept.value for key, kept in laid_over.items()})
        rows = book.rows(newest.rules if newest else None, {key: kept.by for key, kept in laid_over.items()})
        return RulesShown(*_day_of(newest), rows)

    def history(self, kind: ChangeKind, name: str = "", limit: int = 200) -> tuple[PastChange, ...]:
        """What was changed, newest first. Raises `ConfigError` for a name that never was one, naming the nearest."""
        stores = self._open()
        try:
            past = stores.changes(self._whose(stores)).history(kind, name, limit)
        finally:
            stores.close()
        if name and not past:  # a name of an older version may still have a past
            known_setting(name) if kind is ChangeKind.SETTING else key_path(name)
        return past

    def watchlist(self) -> Watchlist:
        """The list in effect, and where it comes from."""
        stores = self._open()
        try:
            stored = [Watched(item.key, item.label) for item in stores.watchlist.items()]
            kept = stores.changes(self._whose(stores)).settings()
        finally:
            stores.close()
        settings = self._settings_with({name: one.value for name, one in kept.items()})
        return choose(stored, self._algo(), settings)

    # --- changing ---

    async def change(self, ask: Ask) -> Answer:
        """Ask the engine that runs, or make the change where none does. Raises `AlgoScalperError` when neither can be."""
        answer = await ask_engine(self._data_dir / SOCKET, replace(ask, account=self._account), self._clock)
        return answer if answer is not None else await asyncio.to_thread(self._change_alone, ask)

    def _change_alone(self, ask: Ask) -> Answer:
        try:
            lock = InstanceLock(self._data_dir, self._locked_account(), self._url)
        except SecondInstance as held:
            raise StoreError(
                f"nothing was changed: {held}. It does not answer at {self._data_dir / SOCKET}, so it is starting, "
                "ending, stuck, or runs on another machine; try again in a moment"
            ) from held
        with lock:
            return self._change_unattended(ask)

    def _locked_account(self) -> str:
        stores = self._open()
        try:
            return self._whose(stores)
        finally:
            stores.close()

    def _change_unattended(self, ask: Ask) -> Answer:
        stores = self._open()
        try:
            changes, at_ns = stores.changes(self._whose(stores)), self._clock.now_ns()
            if ask.kind is AskKind.SETTING:
                return Answer(done=True, text=change_setting(changes, ask, self._settings_with, at_ns))
            laid_over = {key: kept.value for key, kept in changes.overrides().items()}
            book = Rulebook.read(self._config, laid_over)
            return Answer(done=True, text=change_rule_unattended(changes, ask, book, at_ns))
        except AlgoScalperError as refused:
            return Answer(done=False, text=str(refused))
        finally:
            stores.close()

    async def watch(self, names: list[str], *, off: bool, by: str) -> Answer:
        """Put instruments on the stored list or take them off, and tell a running engine. Raises `AlgoScalperError`."""
        kept = await asyncio.to_thread(self._store_watched, names, off=off, by=by)
        if not kept.done:
            return kept
        answer = await ask_engine(self._data_dir / SOCKET, Ask(AskKind.WATCHLIST, by=by), self._clock)
        if answer is None:
            watchlist = await asyncio.to_thread(self.watchlist)
            counts = f"the next start watches {len(watchlist.items)} instruments, by {watchlist.source}"
            return Answer(done=True, text=f"{kept.text}; {counts}")
        return Answer(done=answer.done, text=f"{kept.text}; {answer.text}")

    def _store_watched(self, names: list[str], *, off: bool, by: str) -> Answer:
        stores = self._open()
        try:
            items = [_found(stores, name) for name in names]
            (self._take_off if off else self._put_on)(stores, items, by)
        except ConfigError as refused:
            return Answer(done=False, text=str(refused))
        finally:
            stores.close()
        said = f"{', '.join(item.label for item in items)}: {'off' if off else 'on'} the stored list"
        return Answer(done=True, text=said)

    def _put_on(self, stores: Stores, items: list[Watched], by: str) -> None:
        on_it = {item.key for item in stores.watchlist.items()}
        fresh = {item.key for item in items} - on_it
        if fresh:
            check_length(len(on_it) + len(fresh), STORED)
        stores.watchlist.add(items, by=by, at_ns=self._clock.now_ns())

    def _take_off(self, stores: Stores, items: list[Watched], by: str) -> None:
        on_it = {item.key for item in stores.watchlist.items()}
        missing = [item.label for item in items if item.key not in on_it]
        if missing:
            raise ConfigError(f"not on the stored list: {', '.join(missing)}; scalper watchlist list shows it")
        stores.watchlist.remove([item.key for item in items], by=by, at_ns=self._clock.now_ns())


def _found(stores: Stores, name: str) -> Watched:
    """An instrument by ``SEGMENT:ID``, an index's name, or a name the catalog knows once. Raises `ConfigError`."""
    if named(name) is not None or ":" in name:
        key = parse_item(name, "watchlist")
        return Watched(key, label_of(key))
    found = stores.watchlist.find(name)
    if len(found) == 1:
        return Watched(found[0][0], found[0][1])
    if found:
        listed = ", ".join(key_text(key) for key, _ in found[:6])
        raise ConfigError(f"watchlist: {name} is listed more than once ({listed}); name the one you mean that way")
    raise ConfigError(
        f"watchlist: {name!r} is neither SEGMENT:ID nor a name the catalog knows (scalper instruments status); write it as "
        "NSE_EQ:2885"
    )


def _day_of(newest: InForce | None) -> tuple[str, int]:
    return (newest.day.isoformat(), newest.rules.version) if newest else ("", 0)
