"""Where a person's changes are made: inside the engine while it runs, and by whoever holds the account's lock otherwise.

A change is judged, written with its history in one transaction, and then takes effect; a `RulesChanged` is an event like
any other, so that a journal with changes in it replays as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple, Protocol

from algo_scalper.adapters.storage.change_store import ChangeStore, InForce
from algo_scalper.domain.errors import AlgoScalperError, BrokerError, ConfigError
from algo_scalper.domain.events import Event, RulesChanged
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import clock_text
from algo_scalper.runtime.publish import Answer, Ask, AskKind
from algo_scalper.runtime.rule_changes import LAID_OVER, Rulebook, at_a_start, held_back
from algo_scalper.runtime.setting_values import MONEY_RULE, MONEY_WORDS, known_setting, stored_value
from algo_scalper.runtime.settings import STORED_SOURCE, Settings

SettingsWith = Callable[[Mapping[str, str]], Settings]
"""The settings of this process, given what is stored."""


class Running(Protocol):
    """What the desk must know of the engine it changes."""

    def rules_now(self) -> Rules:
        """In force now."""

    def take(self, event: Event) -> None:
        """Give the engine an event."""

    def watch(self) -> str:
        """Read the watchlist again and follow it; a sentence on what is watched."""

    def tell(self, code: str, text: str) -> None:
        """Tell whoever watches."""


class Written(NamedTuple):
    """Where the rules stand, and how settings come about: what a change at run time is judged by."""

    config: Path
    settings_with: SettingsWith


class Morning(NamedTuple):
    """What a start trades by, and what is said about it."""

    rules: Rules
    said: tuple[str, ...]


def begin_day(store: ChangeStore, wanted: Rules, laid_over: Mapping[str, str], day: date, at_ns: int) -> Morning:
    """The rules of a start, kept as the day's: the written ones, no looser than what the day was traded by before."""
    before = store.in_force(day)
    rules = at_a_start(before.rules if before else None, wanted)
    said = [
        f"rule {key}={value} is {LAID_OVER} and stands over algo.yml; take it back with: scalper rules unset {key}"
        for key, value in sorted(laid_over.items())
    ]
    if before is not None:
        said += held_back(before.rules, wanted)
    store.keep_in_force(InForce(day, at_ns, rules))
    return Morning(rules, tuple(said))


class ChangeDesk:
    """Changes while an engine runs, one at a time."""

    def __init__(
        self,
        store: ChangeStore,
        book: Rulebook,
        settings_with: SettingsWith,
        running: Running,
        day: date,
        clock: Clock,
    ) -> None:
        """``day`` is the session's; ``clock`` the session's too."""
        self._store = store
        self._book = book
        self._settings_with = settings_with
        self._running = running
        self._day = day
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, ask: Ask) -> Answer:
        """Make the change, or say why not. Raises nothing that is known of."""
        if ask.account and ask.account != self._store.account:
            return Answer(
                done=False, text=f"the engine that runs there trades account {self._store.account}, not {ask.account}"
            )
        async with self._one_at_a_time:
            try:
                return Answer(done=True, text=await self._make(ask))
            except AlgoScalperError as refused:
                return Answer(done=False, text=str(refused))

    async def _make(self, ask: Ask) -> str:
        if ask.kind is AskKind.WATCHLIST:
            try:
                return self._running.watch()
            except BrokerError as refused:
                raise ConfigError(f"the feed does not take the list: {refused}") from refused
        if ask.kind is AskKind.SETTING:
            said = await asyncio.to_thread(change_setting, self._store, ask, self._settings_with, self._clock.now_ns())
            self._running.tell("setting_changed", f"{said}, by {ask.by}")
            return said
        return await self._change_rule(ask)

    async def _change_rule(self, ask: Ask) -> str:
        standing, at_ns = self._running.rules_now(), self._clock.now_ns()
        change = self._book.change(ask.name, ask.value, standing)
        force = None
        if change.now is not None and change.now != standing:
            force = InForce(self._day, at_ns, change.now)
        was = await asyncio.to_thread(
            self._store.change_rule,
            change.key,
            change.value,
            at_ns=at_ns,
            by=ask.by,
            effect=change.effect,
            force=force,
        )
        self._lay_over(change.key, change.value)
        if force is not None:
            self._running.take(RulesChanged(self._clock.now_ns(), force.rules, ask.by))
        said = f"{clock_text(at_ns)} {_rule_sentence(change.key, change.value, was, change.effect)}"
        self._running.tell("rule_changed", f"{said}, by {ask.by}")
        return said

    def _lay_over(self, key: str, value: str | None) -> None:
        laid_over = {name: said for name, said in self._book.laid_over.items() if name != key}
        if value is not None:
            laid_over[key] = value
        self._book.lay_over(laid_over)


def change_setting(store: ChangeStore, ask: Ask, settings_with: SettingsWith, at_ns: int) -> str:
    """Store one setting or take it back; a sentence on what counts now. Raises `ConfigError` and `StoreError`."""
    name = known_setting(ask.name)
    value = None if ask.value is None else stored_value(name, ask.value)
    stored = {kept.name: kept.value for kept in store.settings().values()}
    if value is None and name not in stored:
        raise ConfigError(f"{name}: nothing is stored for it; scalper settings list says where its value comes from")
    effect = "with the next start"
    store.change_setting(name, value, at_ns=at_ns, by=ask.by, effect=effect)
    stored.pop(name, None)
    if value is not None:
        stored[name] = value
    counts = settings_with(stored).get(name)
    whose = f"for {store.account}"
    said = f"{name}={value} is stored {whose}" if value is not None else f"{name} is stored no more {whose}"
    if counts.source == STORED_SOURCE or value is None:
        said += f", in effect {effect}: {counts.shown}"
    else:
        said += f", but {counts.shown} goes before it"
    return f"{said}; {MONEY_RULE}" if name in MONEY_WORDS else said


def change_rule_unattended(store: ChangeStore, ask: Ask, book: Rulebook, at_ns: int) -> str:
    """Change a rule while no engine runs: judged against what the newest day was traded by. Raises `ConfigError`."""
    newest = store.in_force()
    standing, day = (newest.rules, newest.day.isoformat()) if newest else (None, "")
    change = book.change_unattended(ask.name, ask.value, standing, day)
    was = store.change_rule(change.key, change.value, at_ns=at_ns, by=ask.by, effect=change.effect)
    # Nobody watches an engine of this account: a limit kept for another one by mistake would be in force nowhere.
    return f"{store.account}: {_rule_sentence(change.key, change.value, was, change.effect)}"


def _rule_sentence(key: str, value: str | None, was: str | None, effect: str) -> str:
    if value is None:
        return f"{key}={was} is taken back; what algo.yml says counts {effect}"
    return f"{key}={value} counts {effect}"
