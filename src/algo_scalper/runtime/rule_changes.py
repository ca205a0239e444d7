"""Rules changed by a person: what is laid over ``algo.yml``, whether it can be meant, and from when on it counts.

Three sets of rules are told apart. *Written* is the file with what is laid over it: the next session trades by it.
*In force* is what the session trades by now: no limit of it is ever looser than at an earlier moment of the same day,
whether the rules, the file or the process has changed in between. *Laid over* stays until a person takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.rules import Rules
from algo_scalper.risk.tightening import loosened, tighter
from algo_scalper.runtime.algo_keys import DEFAULTS, INDEX_SECTION, KEYS, pattern_of
from algo_scalper.runtime.config import AlgoConfig, algo_of, key_path, rules_version, with_override
from algo_scalper.runtime.rule_text import written
from algo_scalper.runtime.yaml_file import Leaf, YamlFile, read_yaml

LAID_OVER = "changed at run time"
NEW_VALUE = "new value"
NOT_RULES = {
    "mode": "which money is traded is asked of every place and all must agree: change mode in algo.yml, and see "
    "docs/explanation/when-is-it-live.md",
    "watchlist": "the watchlist has its own command: scalper watchlist",
}
MEANINGS = {key.path: key.meaning for key in KEYS}
SAID_BY_NAME = ("key", "sid", "segment")
"""Keys of an index that its name says already."""
_METHOD_OF = {"size.method": "size.lots"}
"""Keys whose limit stands under another key."""


class RuleChange(NamedTuple):
    """A change that was found good."""

    key: str
    value: str | None
    now: Rules | None
    """In force from this change on, which may be what was in force before; None while nothing runs."""
    effect: str
    """From when on it counts, for people."""


class RuleRow(NamedTuple):
    """One key as people see it."""

    key: str
    in_force: str
    """Empty for a key no session has had yet, or that the engine does not read."""
    written: str
    source: str
    by: str
    meaning: str


class Rulebook:
    """One ``algo.yml`` as it was when it was read, and what is laid over it."""

    def __init__(self, file: YamlFile, path: Path, laid_over: Mapping[str, str]) -> None:
        self.file = file
        self._path = path
        self.laid_over = dict(laid_over)

    @classmethod
    def read(cls, path: Path, laid_over: Mapping[str, str]) -> Rulebook:
        """The file as it is now. Raises `ConfigError`."""
        return cls(read_yaml(path), path, laid_over)

    def lay_over(self, laid_over: Mapping[str, str]) -> None:
        """These, and no others."""
        self.laid_over = dict(laid_over)

    def algo(self) -> AlgoConfig:
        """What is written. Raises `ConfigError` naming the key to take back when the two do not go together."""
        return self._algo(self.laid_over)

    def _algo(self, laid_over: Mapping[str, str]) -> AlgoConfig:
        try:
            return algo_of(self._merged(laid_over), self._path)
        except ConfigError as refused:
            if not laid_over:
                raise
            listed = ", ".join(f"{key}={value}" for key, value in sorted(laid_over.items()))
            raise ConfigError(
                f"{refused}\nrules {LAID_OVER} stand over {self.file.name}: {listed}. Take one back with: scalper rules "
                "unset KEY"
            ) from None

    def _merged(self, laid_over: Mapping[str, str], new: str = "") -> YamlFile:
        file = self.file
        for key, value in sorted(laid_over.items()):
            file = with_override(file, key_path(key), value, NEW_VALUE if key == new else LAID_OVER)
        return file

    def _wanted(self, laid_over: Mapping[str, str], new: str) -> Rules:
        """What would be written with a new value that is still to be judged: only its own faults are told of."""
        return algo_of(self._merged(laid_over, new), self._path).rules

    def change(self, key: str, value: str | None, standing: Rules) -> RuleChange:
        """Judge a change while ``standing`` is in force; ``value`` None takes it back. Raises `ConfigError`."""
        key, laid_over = self._changed(key, value)
        wanted = self._wanted(laid_over, key)
        now = while_running(standing, wanted)
        return RuleChange(key, laid_over.get(key), now, _effect(key, standing, now, wanted))

    def change_unattended(self, key: str, value: str | None, standing: Rules | None, day: str) -> RuleChange:
        """Judge a change while nothing runs; ``standing`` is what the newest day was traded by. Raises `ConfigError`.

        What is laid over is taken back even when what remains still cannot be read: else two mistakes could lock each
        other in.
        """
        key, laid_over = self._changed(key, value)
        try:
            wanted = self._wanted(laid_over, key)
        except ConfigError as remaining:
            if value is not None:
                raise
            return RuleChange(key, None, None, f"with the next start, which is still refused: {remaining}")
        effect = "with the next start"
        if standing is not None and _METHOD_OF.get(key, key) in loosened(standing, wanted):
            effect = f"with the first session after {day}, because it loosens a limit that day was traded by"
        return RuleChange(key, laid_over.get(key), None, effect)

    def _changed(self, key: str, value: str | None) -> tuple[str, dict[str, str]]:
        known = ".".join(key_path(key)) if value is not None or key not in self.laid_over else key
        if known in NOT_RULES:
            raise ConfigError(f"{known} is not changed here: {NOT_RULES[known]}")
        laid_over = dict(self.laid_over)
        if value is not None:
            return known, {**laid_over, known: value.strip()}
        if laid_over.pop(known, None) is None:
            raise ConfigError(f"{known}: nothing is laid over {self.file.name} there; scalper rules show lists what is")
        return known, laid_over

    def rows(self, in_force: Rules | None, by: Mapping[str, str]) -> tuple[RuleRow, ...]:
        """Every key with what is in force and what is written; ``by`` says who laid a key over."""
        algo = self.algo()
        merged = self._merged(self.laid_over)
        now = written(in_force) if in_force is not None else {}
        asked = written(algo.rules)
        rows = []
        for key in _keys_of(algo):
            path = tuple(key.split("."))
            found = merged.leaves.get(path)
            value = asked.get(key) or _leaf_text(found.value if found else DEFAULTS[pattern_of(path)])
            source = merged.place(path).rpartition(": ")[0] if found else "built-in default"
            rows.append(RuleRow(key, now.get(key, ""), value, source, by.get(key, ""), MEANINGS[pattern_of(path)]))
        return tuple(rows)


def _keys_of(algo: AlgoConfig) -> Iterator[str]:
    """Every key that can be changed, in the order of the file, index by index."""
    of_an_index = [key.path.rpartition(".")[2] for key in KEYS if key.path.startswith(f"{INDEX_SECTION}.*.")]
    for index in algo.rules.indices:
        yield from (f"{INDEX_SECTION}.{index.name}.{last}" for last in of_an_index if last not in SAID_BY_NAME)
    yield from (key.path for key in KEYS if not key.path.startswith(f"{INDEX_SECTION}.") and key.path not in NOT_RULES)


def at_a_start(standing: Rules | None, wanted: Rules) -> Rules:
    """What a start trades by: the written rules, but no looser than what the day was traded by before."""
    return wanted if standing is None else _numbered(tighter(standing, wanted))


def while_running(standing: Rules, wanted: Rules) -> Rules:
    """What can come into force now: tightened at once, loosened not, and what hangs on the start as it is."""
    named = {index.name: index for index in wanted.indices}
    indices = tuple(named.get(index.name, index) for index in standing.indices)
    held = replace(
        wanted,
        indices=indices,
        signal=standing.signal,
        expiry=standing.expiry,
        capital_paise=standing.capital_paise,
        product=standing.product,
    )
    return _numbered(tighter(standing, held))


def held_back(standing: Rules, wanted: Rules) -> tuple[str, ...]:
    """Sentences on the limits that wait for the next session, each with both values."""
    now, asked = written(at_a_start(standing, wanted)), written(wanted)
    return tuple(
        f"{key} {asked.get(key, 'another list')} waits for the next session, because it loosens a limit; today it is "
        f"{now.get(key, 'what it was')}"
        for key in loosened(standing, wanted)
    )


def _effect(key: str, standing: Rules, now: Rules, wanted: Rules) -> str:
    text_now, text_wanted = _value(key, now), _value(key, wanted)
    if text_wanted and text_now == text_wanted:
        if key.startswith("exit."):
            return "at once, for positions opened from now on; scalper rules apply POSITION gives it to an open one"
        return "at once"
    if _METHOD_OF.get(key, key) in loosened(standing, wanted):
        until = f"; until then {text_now}" if text_now and key != "guards.events" else ""
        return f"with the next session, because it loosens a limit{until}"
    return "with the next start"


def _value(key: str, rules: Rules) -> str:
    if key == "guards.events":
        return " ".join(rules.guards.no_trade_days) or "off"
    return written(rules).get(key, "")


def _numbered(rules: Rules) -> Rules:
    return replace(rules, version=rules_version(rules))


def _leaf_text(value: Leaf) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "" if value is None else str(value)
