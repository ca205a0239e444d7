"""Is the whole alive? One answer for monitors and people: 200, or 503 with the same body naming what is not."""

from __future__ import annotations

from typing import Any

import msgspec

from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.engine.views import View
from algo_scalper.interfaces.api.settings import NO_MIRROR, EngineState
from algo_scalper.runtime.publish import DayRecord
from algo_scalper.runtime.redis_mirror import MirrorView

ENGINE_SILENT_NS = 5 * NS_PER_SECOND
"""The engine publishes a view at least every second, in and out of market hours."""
TICK_STALE_NS = 30 * NS_PER_SECOND
FEED_UP = "up"
STORE_OK = "ok"
ENGINE_DEAD = ("stopped", "failed")
ENGINE_WAITS = "waiting"
"""Between sessions nothing runs, and nothing is wrong."""


def health(
    record: DayRecord,
    *,
    age_ns: int | None,
    engine: EngineState,
    version: str,
    market: str,
    money: str,
    mirror: MirrorView = NO_MIRROR,
) -> tuple[int, dict[str, Any]]:
    """The status code and the body. ``age_ns`` is the time since the engine was last heard, None for never.

    The mirror is told of and never a trouble: nothing that trades depends on it.
    """
    view = record.view
    troubles = [*_engine_troubles(engine, age_ns), *_store_troubles(record)]
    if engine.state != ENGINE_WAITS:
        troubles += _feed_troubles(view)
    body = {
        "status": "failing" if troubles else "ok",
        "troubles": troubles,
        "version": version,
        "mode": {"market": view.market if view else market, "money": view.money if view else money},
        "engine": {
            "state": engine.state,
            "restarts": engine.restarts,
            "detail": engine.detail,
            "heard_age_s": _seconds(age_ns),
            "halted": view.halted if view else "",
        },
        "feed": {
            "market": view.feed.market if view else "unknown",
            "orders": view.feed.orders if view else "unknown",
            "last_tick_age_s": _since(view, view.feed.last_tick_ns if view else 0, age_ns),
            "lag_s": view.feed.lag_ms / 1_000 if view else None,
        },
        "store": {
            "state": record.store.state if record.store else "unknown",
            "detail": record.store.detail if record.store else "",
            "committed_age_s": _since(view, record.store.committed_ns if record.store else 0, age_ns),
        },
        "broker": {
            "reconciled": view.feed.reconciled if view else False,
            "unknown_orders": view.feed.unknown_orders if view else 0,
            "book_read_age_s": _since(view, view.feed.book_read_ns if view else 0, age_ns),
        },
        "mirror": msgspec.to_builtins(mirror),
        "phase": view.clock.phase if view else "unknown",
    }
    return (503 if troubles else 200), body


def _engine_troubles(engine: EngineState, age_ns: int | None) -> list[str]:
    if engine.state in ENGINE_DEAD:
        return [f"engine: the process is {engine.state}"]
    if engine.state == ENGINE_WAITS:
        return []
    if age_ns is None:
        return ["engine: not heard yet"]
    if age_ns > ENGINE_SILENT_NS:
        return [f"engine: silent for {age_ns // NS_PER_SECOND} s"]
    return []


def _feed_troubles(view: View | None) -> list[str]:
    """Only in session: outside it nothing need come."""
    if view is None or not view.clock.open_ns <= view.at_ns < view.clock.close_ns:
        return []
    if view.feed.market != FEED_UP:
        return [f"feed: the market feed is {view.feed.market or 'unknown'}"]
    if view.at_ns - view.feed.last_tick_ns > TICK_STALE_NS:
        return [f"feed: no tick for {(view.at_ns - view.feed.last_tick_ns) // NS_PER_SECOND} s"]
    return []


def _store_troubles(record: DayRecord) -> list[str]:
    if record.store is not None and record.store.state != STORE_OK:
        return [f"store: {record.store.detail or record.store.state}"]
    return []


def _since(view: View | None, moment_ns: int, age_ns: int | None) -> float | None:
    """Age of a moment on the engine's clock, plus how long the engine has not been heard."""
    if view is None or not moment_ns:
        return None
    return _seconds(view.at_ns - moment_ns + (age_ns or 0))


def _seconds(span_ns: int | None) -> float | None:
    return None if span_ns is None else round(span_ns / NS_PER_SECOND, 1)
