"""The project's own Python files, parsed once, for the tests that read them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Source(NamedTuple):
    """One file: its path from the repository root, its text and its tree."""

    name: str
    text: str
    tree: ast.Module


@functools.cache
def sources(folder: str) -> tuple[Source, ...]:
    """Every Python file under a folder of the repository, by name."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text)))
    return tuple(found)
