"""The reference pages say what the code does: they are generated, and the committed ones are the generated ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from algo_scalper.domain.decisions import DecisionKind, ExitReason, RefusalReason
from algo_scalper.runtime.algo_keys import KEYS
from algo_scalper.runtime.settings import IGNORED, VARIABLES
from tests.architecture.source_files import ROOT
from tools.reference import EXITS, FOLDER, KINDS, REFUSALS, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    generated = pages()[name]().rstrip() + "\n"
    assert (FOLDER / name).read_text(encoding="utf-8") == generated, "run: python tools/reference.py"


def test_every_reason_is_explained() -> None:
    assert set(REFUSALS) == set(RefusalReason)
    assert set(EXITS) == set(ExitReason)
    assert set(KINDS) == set(DecisionKind)


def test_every_key_and_variable_has_its_line() -> None:
    keys = (FOLDER / "configuration.md").read_text(encoding="utf-8")
    assert all(f"| `{key.path.replace('.*.', '.<name>.')}` |" in keys for key in KEYS)
    names = (FOLDER / "environment.md").read_text(encoding="utf-8")
    assert all(f"| `{variable.name}` |" in names for variable in VARIABLES)
    assert all(f"| `{name}` |" in names for name in IGNORED)


def linked_pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", linked_pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place = target.split("#")[0]
        if place and "://" not in target and not target.startswith("mailto:") and not (page.parent / place).exists():
            broken.append(target)
    assert not broken
