"""A YAML file as flat dotted keys that remember their lines, so that every complaint can name its place.

YAML 1.2 is read: ``on`` and ``yes`` are words, ``09:30`` is text and not 570. A key written twice is refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from algo_scalper.domain.errors import ConfigError

Scalar = str | int | float | bool | None
Leaf = Scalar | tuple[Scalar, ...]
KeyPath = tuple[str, ...]

_OLD_DIRECTIVE = re.compile(r"^%YAML\s+1\.[01]\b", re.MULTILINE)


class Found(NamedTuple):
    """A value and where it stands; ``line`` counts from 1."""

    value: Leaf
    line: int


class YamlFile(NamedTuple):
    """A file's leaves by path, in file order. ``elsewhere`` names the place of what was laid over the file."""

    name: str
    leaves: Mapping[KeyPath, Found]
    elsewhere: Mapping[KeyPath, str] = MappingProxyType({})

    def place(self, path: KeyPath) -> str:
        """``"config/algo.yml line 12: exit.stop"``, or without a line for a key the file does not have."""
        if path in self.elsewhere:
            return f"{self.elsewhere[path]}: {'.'.join(path)}"
        found = self.leaves.get(path)
        line = f" line {found.line}" if found else ""
        return f"{self.name}{line}: {'.'.join(path)}"


def read_yaml(path: Path, name: str | None = None) -> YamlFile:
    """Read one file. Raises `ConfigError` naming file and line for anything that is not one plain mapping."""
    shown = name or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{shown}: no such file; copy config/algo.yml, or name another one with --config") from None
    except OSError as problem:
        raise ConfigError(f"{shown}: cannot be read ({problem.strerror})") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{shown}: byte {problem.start} is not UTF-8; save the file as UTF-8") from problem
    return parse_yaml(text, shown)


def parse_yaml(text: str, name: str) -> YamlFile:
    """As `read_yaml`, from text already in hand."""
    if _OLD_DIRECTIVE.search(text):
        raise ConfigError(f"{name}: asks for YAML 1.1, which reads 09:30 as 570 and on as true; remove the %YAML line")
    try:
        top = YAML(typ="rt").load(io.StringIO(text))
    except DuplicateKeyError as problem:
        raise ConfigError(f"{name}{_line_of(problem)}: {_duplicate(problem)}") from problem
    except MarkedYAMLError as problem:
        said = " ".join(str(problem.problem).split())
        raise ConfigError(f"{name}{_line_of(problem)}: not valid YAML ({said})") from problem
    except YAMLError as problem:
        raise ConfigError(f"{name}: not valid YAML ({' '.join(str(problem).split())})") from problem
    if top is None:
        return YamlFile(name, {})
    if not isinstance(top, CommentedMap):
        raise ConfigError(f"{name}: must be `key: value` lines, not {type(top).__name__}")
    leaves = dict(_leaves(top, (), name))
    return YamlFile(name, leaves)


def _leaves(node: CommentedMap, above: KeyPath, name: str) -> Iterator[tuple[KeyPath, Found]]:
    for raw_key, value in node.items():
        path = (*above, str(raw_key))
        line = node.lc.key(raw_key)[0] + 1
        if isinstance(value, CommentedMap) and value:
            yield from _leaves(value, path, name)
        elif isinstance(value, CommentedSeq) and value and all(isinstance(item, CommentedMap) for item in value):
            yield from _named_items(value, path, name)
        elif isinstance(value, CommentedSeq):
            yield path, Found(tuple(_scalar(item, name, line) for item in value), line)
        else:
            yield path, Found(_scalar(value, name, line), line)


def _named_items(items: CommentedSeq, path: KeyPath, name: str) -> Iterator[tuple[KeyPath, Found]]:
    """The original's array form: a list of mappings, each told apart by its own ``key``."""
    lines: dict[str, int] = {}
    for item in items:
        line = item.lc.line + 1
        if "key" not in item:
            raise ConfigError(f"{name} line {line}: {'.'.join(path)}: an item of this list needs a `key:`")
        own = str(item["key"])
        if own in lines:
            raise ConfigError(f"{name} line {line}: {'.'.join(path)}: {own} was already given on line {lines[own]}")
        lines[own] = line
        yield from _leaves(item, (*path, own), name)


def _scalar(value: object, name: str, line: int) -> Scalar:
    """Drop ruamel's own number and text classes. Lists of lists and dates have no meaning in our files."""
    if value is None or isinstance(value, bool):
        return value
    if type(value).__name__ == "ScalarBoolean":
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, CommentedMap) and not value:
        return None
    raise ConfigError(f"{name} line {line}: {value!r} is not a text, a number, true or false; put it in quotes")


def _line_of(problem: MarkedYAMLError) -> str:
    mark = problem.problem_mark
    return f" line {mark.line + 1}" if mark is not None else ""


def _duplicate(problem: DuplicateKeyError) -> str:
    found = re.search(r'duplicate key "([^"]*)"', str(problem.problem))
    key = found[1] if found else "a key"
    return f"{key} is written twice in the same place; keep one of the two"
