"""Days and times as people type them."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.errors import ConfigError


def parse_day(text: str | None) -> date | None:
    """``"2026-02-03"``; None stays None. `ConfigError` shows how to write it."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--day {text!r} is not a day; write it as 2026-02-03") from None
