"""Rules of the house that a linter does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_files import ROOT, Source, sources

CODE_FOLDERS = ("src", "tests", "benchmarks", "tools")
BROAD = {"Exception", "BaseException"}
REASON = re.compile(r"#\s*(?:broad:|noqa: BLE001\s*(?:-|#\s*broad:))(?: \S+){3}")
"""Why everything must be caught there: ``# noqa: BLE001 - an observer may not fail the engine``."""

FORBIDDEN = {
    "an issue number": re.compile(r"(?i)\b(?:issue|ticket|pr)\s*#?\d+\b|(?<![\w&/])#\d{1,4}\b(?!\d)"),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:root|work|home/[a-z]+|Users/[A-Za-z]+)/|\.\./shared"),
    "who wrote it": re.compile(r"(?i)\b(?:co-authored-by|generated (?:by|with) [A-Z])"),
    "a to-do": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
}
MAY_NAME_THE_SHARED_FOLDER = {"tests/shared_data.py", "tests/architecture/test_house_rules.py"}
TEXT_SUFFIXES = {".py", ".md", ".yml", ".yaml", ".toml", ".html", ".js", ".css", ".sh", ".csv", ""}
SPOKEN_FILES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "SAFETY.md",
    ".env.example",
    "pyproject.toml",
)
SPOKEN_FOLDERS = ("src", "tests", "docs", "config", "bin", ".ci", "benchmarks", "tools")


def broad_handlers(source: Source) -> Iterator[str]:
    """Handlers of everything that neither raise again nor say why, as ``name:line``."""
    lines = source.text.splitlines()
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler) or not _is_broad(node.type):
            continue
        raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        if not raises and not REASON.search(lines[node.lineno - 1]):
            yield f"{source.name}:{node.lineno}"


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_is_broad(item) for item in kind.elts)
    return isinstance(kind, ast.Name) and kind.id in BROAD


def spoken_texts() -> Iterator[tuple[str, str]]:
    """Every text of the project by name: code, pages, configuration, scripts."""
    paths = [ROOT / name for name in SPOKEN_FILES]
    for folder in SPOKEN_FOLDERS:
        paths += sorted((ROOT / folder).rglob("*"))
    for path in paths:
        vendored = "vendor" in path.parts or "__pycache__" in path.parts or path.name.endswith((".min.js", ".min.css"))
        if path.is_file() and path.suffix in TEXT_SUFFIXES and not vendored:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def forbidden_words(name: str, text: str) -> Iterator[str]:
    """Each forbidden word as ``name:line what: line``."""
    if name in MAY_NAME_THE_SHARED_FOLDER:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line) and not _is_colour(line):
                yield f"{name}:{number} {what}: {line.strip()[:100]}"


def _is_colour(line: str) -> bool:
    """``#123`` in a style sheet or a drawing is a colour."""
    return bool(re.search(r"[:\"'=(,\s]#[0-9a-fA-F]{3,8}\b", line)) and not re.search(
        r"(?i)\b(?:issue|ticket|pr)\b", line
    )


def test_nothing_is_caught_wholesale_without_a_reason() -> None:
    found = [place for folder in CODE_FOLDERS for source in sources(folder) for place in broad_handlers(source)]
    assert not found, "catch what can happen, raise again, or say `# broad: why`:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ("try:\n    f()\nexcept Exception:\n    pass", True),
        ("try:\n    f()\nexcept:\n    pass", True),
        ("try:\n    f()\nexcept (ValueError, BaseException):\n    g()", True),
        ("try:\n    f()\nexcept Exception:  # broad:\n    g()", True),
        ("try:\n    f()\nexcept Exception:  # broad: an observer may not fail the engine\n    g()", False),
        ("try:\n    f()\nexcept Exception:  # noqa: BLE001 - an observer may not fail\n    g()", False),
        ("try:\n    f()\nexcept Exception:  # noqa: BLE001\n    g()", True),
        ("try:\n    f()\nexcept Exception:\n    close()\n    raise", False),
        ("try:\n    f()\nexcept ValueError:\n    pass", False),
    ],
)
def test_a_wholesale_handler_is_seen(text: str, caught: bool) -> None:
    assert bool(list(broad_handlers(Source("made_up.py", text, ast.parse(text))))) is caught


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        source.name
        for folder in CODE_FOLDERS
        for source in sources(folder)
        if source.text.strip() and not ast.get_docstring(source.tree)
    ]
    assert not silent, "begin with a docstring:\n" + "\n".join(silent)


def test_the_project_speaks_of_itself_alone() -> None:
    found = [line for name, text in spoken_texts() for line in forbidden_words(name, text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("line", ["see issue 12", "fixes #7", "see /home/me/x", "TODO later", "Co-authored-by: me"])
def test_a_forbidden_word_is_seen(line: str) -> None:
    assert list(forbidden_words("docs/made_up.md", line))


@pytest.mark.parametrize("line", ["colour: #123;", "https://example.org/page#1", "The order was issued.", "network/"])
def test_an_innocent_line_is_not_taken_for_one(line: str) -> None:
    assert not list(forbidden_words("docs/made_up.md", line))


def test_no_file_of_market_data_is_committed() -> None:
    data = [
        path.relative_to(ROOT).as_posix()
        for folder in SPOKEN_FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".parquet", ".feather", ".bin", ".zst", ".pcap"}
    ]
    assert not data, "recorded market data carries no licence:\n" + "\n".join(data)


def test_the_folders_looked_at_exist() -> None:
    assert all(Path(ROOT / folder).is_dir() for folder in ("src", "tests", "docs", "config", "bin"))
