"""Records as JSON for people and programs: paise stay integers, and stand beside rupees and clock times as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import clock_text, ist_second, parse_clock_s, rupees_text
from algo_scalper.runtime.publish import DecisionLine

DEFAULT_LIMIT = 500
_FIRST_MOMENT_NS = 10**17
"""Less is a span of time, not a moment: this is 1973."""


def readable(value: object) -> Any:
    """Builtins of a struct; every ``x_paise`` gains ``x_rupees``, every moment ``x_ns`` an ``x_ist`` (empty for 0)."""
    return _with_text(msgspec.to_builtins(value))


def _with_text(value: Any) -> Any:
    if isinstance(value, dict):
        shown: dict[str, Any] = {}
        for name, item in value.items():
            shown[name] = _with_text(item)
            if name == "charges" and isinstance(item, dict):
                shown["charges_rupees"] = {line: rupees_text(paise) for line, paise in item.items()}
            elif isinstance(item, int) and name.endswith("_paise"):
                shown[f"{name.removesuffix('_paise')}_rupees"] = rupees_text(item)
            elif isinstance(item, int) and name.endswith("_ns") and (item == 0 or item > _FIRST_MOMENT_NS):
                shown[f"{name.removesuffix('_ns')}_ist"] = clock_text(item) if item else ""
        return shown
    if isinstance(value, list | tuple):
        return [_with_text(item) for item in value]
    return value


def decision_row(line: DecisionLine) -> Any:
    """A line of the decision log: the decision with its count and the moment it was first said."""
    return {
        **readable(line.decision),
        "line": line.line,
        "count": line.count,
        **readable({"first_ns": line.first_ns}),
    }


def select_decisions(
    lines: Iterable[DecisionLine],
    *,
    kind: str = "",
    index: str = "",
    from_time: str = "",
    to_time: str = "",
    limit: int = DEFAULT_LIMIT,
) -> list[DecisionLine]:
    """Newest first. A counted line is in a span of time when any part of it is; ``to`` includes its whole minute.

    Raises `ConfigError` when a time is not written HH:MM, the limit is not positive or the span is empty.
    """
    from_s = parse_clock_s(from_time, "from") if from_time else 0
    to_s = parse_clock_s(to_time, "to") + 59 if to_time else 86_399
    if from_s > to_s:
        raise ConfigError(f"from {from_time} is after to {to_time}")
    if limit < 1:
        raise ConfigError(f"limit {limit}: at least 1")
    chosen = [
        line
        for line in lines
        if (not kind or line.decision.kind == kind)
        and (not index or line.decision.index == index)
        and ist_second(line.first_ns) <= to_s
        and ist_second(line.decision.at_ns) >= from_s
    ]
    return chosen[: -limit - 1 : -1]
