"""Apply a unified diff to a copy of the package: exactly, or not at all.

A hunk is found by its own lines, not by its numbers, so that unrelated edits above it do not spoil it. It must be found
exactly once: otherwise the planted bug no longer stands for anything, and the test says which one to draw anew.
"""

from __future__ import annotations

from pathlib import Path

ENDS = ("--- ", "+++ ", "@@")


class PatchStale(AssertionError):
    """The code a planted bug was made for has changed."""


def apply(patch: Path, root: Path) -> None:
    """Change the files under ``root`` that the diff names (``a/`` and ``b/`` are dropped)."""
    target: Path | None = None
    lines = patch.read_text().splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith("+++ b/"):
            target = root / line.removeprefix("+++ b/")
        elif line.startswith("@@"):
            begin = at
            while at < len(lines) and not lines[at].startswith(ENDS):
                at += 1
            if target is None:
                raise PatchStale(f"{patch.name}: a hunk before any file name")
            _replace(patch, target, lines[begin:at])


def _replace(patch: Path, target: Path, hunk: list[str]) -> None:
    old = "\n".join(line[1:] for line in hunk if not line.startswith("+")) + "\n"
    new = "\n".join(line[1:] for line in hunk if not line.startswith("-")) + "\n"
    text = target.read_text()
    found = text.count(old)
    if found != 1:
        raise PatchStale(
            f"{patch.name}: its lines stand {found} times in {target.name}, once is wanted; "
            f"the code has changed, so draw the planted bug anew:\n{old}"
        )
    target.write_text(text.replace(old, new))
