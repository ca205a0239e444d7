"""``Engine.handle(event) -> commands``: one entrance, one table of handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from algo_scalper.domain.commands import Command
from algo_scalper.domain.errors import Bug
from algo_scalper.domain.events import (
    BookRead,
    BookUnread,
    ContractsChecked,
    Event,
    FeedLost,
    FeedRestored,
    HistoryLoaded,
    OperatorAsked,
    OrderAccepted,
    OrderDropped,
    OrderRejected,
    OrderReported,
    OrderUnknown,
    RulesChanged,
    SecondPassed,
    SessionStarted,
    SessionStopping,
)
from algo_scalper.domain.market import OptionChain, Tick
from algo_scalper.engine.on_operator import on_feed_lost, on_feed_restored, on_operator, on_rules, on_stopping
from algo_scalper.engine.on_order import on_accepted, on_dropped, on_rejected, on_reported, on_unknown
from algo_scalper.engine.on_second import on_second
from algo_scalper.engine.on_start import born, on_chain, on_contracts_checked, on_history, on_started
from algo_scalper.engine.on_tick import on_tick
from algo_scalper.engine.reconcile import on_book_read, on_book_unread
from algo_scalper.engine.state import State

Handler = Callable[[State, Any, list[Command]], None]

HANDLERS: dict[type, Handler] = {
    SessionStarted: on_started,
    HistoryLoaded: on_history,
    Tick: on_tick,
    OptionChain: on_chain,
    SecondPassed: on_second,
    ContractsChecked: on_contracts_checked,
    FeedLost: on_feed_lost,
    FeedRestored: on_feed_restored,
    OrderAccepted: on_accepted,
    OrderRejected: on_rejected,
    OrderUnknown: on_unknown,
    OrderDropped: on_dropped,
    OrderReported: on_reported,
    BookRead: on_book_read,
    BookUnread: on_book_unread,
    OperatorAsked: on_operator,
    RulesChanged: on_rules,
    SessionStopping: on_stopping,
}


class Engine:
    """Born empty; its first event is `SessionStarted`. It never awaits, reads a clock, logs or draws a number."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._state: State | None = None

    @property
    def is_born(self) -> bool:
        """Has it taken its first event?"""
        return self._state is not None

    @property
    def state(self) -> State:
        """All it knows; for views and stores to read, never to change."""
        if self._state is None:
            raise Bug("the engine was asked before SessionStarted")
        return self._state

    def handle(self, event: Event) -> list[Command]:
        """What is wanted because of this event, in order. Raises `Bug` when a promise would break."""
        out: list[Command] = []
        state = self._state
        if state is None:
            if not isinstance(event, SessionStarted):
                raise Bug(f"the first event must be SessionStarted, not {type(event).__name__}")
            state = self._state = born(event)
        elif type(event) is SessionStarted:
            raise Bug("a second SessionStarted: a session is one process start")
        elif event.at_ns > state.now_ns:
            state.now_ns = event.at_ns
        HANDLERS[type(event)](state, event, out)
        return out
