"""Marks: where durable work tells a test that it stands just before or just after a step that must not be halved."""

from __future__ import annotations

from collections.abc import Callable

Mark = Callable[[str], None]
"""Called as ``mark("store.before_commit")``; tests of sudden death kill the process at the n-th call."""


def no_mark(_step: str) -> None:
    """Nobody is listening: the default."""
