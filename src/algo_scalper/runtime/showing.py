"""What an engine shows of itself to whoever watches: its state, candles, decisions, trades, notices, and its store.

The wire is the `Publisher`'s; here is what goes on it, and when. Nothing of this is needed for trading.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from algo_scalper.domain.commands import Notify
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.instruments import INDEX_BY_KEY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import ist_ns
from algo_scalper.engine.state import State
from algo_scalper.engine.views import decision_view, trade_view, view
from algo_scalper.runtime.order_lane import OrderLane
from algo_scalper.runtime.publish import IndexCandle, Notice, Publisher, StoreView
from algo_scalper.runtime.watching import Watching


class Showing:
    """One start, as it is seen from outside."""

    def __init__(self, publisher: Publisher, lane: OrderLane, watching: Watching, day: date) -> None:
        """``lane`` knows whether the store takes what is written, ``watching`` what is looked at beside the traded."""
        self._publisher = publisher
        self._lane = lane
        self._watching = watching
        self._opened_ns = ist_ns(day, 0)
        self._newest_candle_ns: dict[str, int] = {}
        self._committed_ns = 0
        self._store_shown = ""

    async def start(self, path: Path) -> None:
        """Let watchers in at ``path``. Raises `SecondInstance` when another engine answers there."""
        await self._publisher.start(path)

    async def close(self) -> None:
        """Send every watcher away."""
        await self._publisher.close()

    @property
    def is_due(self) -> bool:
        """Would a state shown now be sent now?"""
        return self._publisher.view_due

    def state(self, state: State) -> None:
        """All of it as it is now, with the newest prices."""
        self._publisher.publish("view", view(state))
        self._publisher.offer_ticks(state.now_ns, {**self._watching.newest, **state.ticks})
        self._watched()
        self.store()

    def _watched(self) -> None:
        if not (self._watching.wanted or self._publisher.day.watch):
            return
        shown = self._watching.view()
        if shown != self._publisher.day.watch:
            self._publisher.publish("watch", shown)

    def committed(self, at_ns: int) -> None:
        """The reasons of all orders until then are on disk."""
        self._committed_ns = at_ns

    def store(self) -> None:
        """Does the store take what is written, and up to when? Sent when it has changed."""
        failed = self._lane.store_failed
        shown = f"{failed}{self._committed_ns}"
        if shown != self._store_shown:
            self._store_shown = shown
            state = "failing" if failed else "ok"
            self._publisher.publish("store", StoreView(state, self._committed_ns, failed))

    def notice(self, command: Notify) -> None:
        """A sentence for people."""
        self._publisher.publish("notice", Notice(command.at_ns, command.level, command.code, command.text))

    def decision(self, decision: Decision, state: State) -> None:
        """What was decided; with an exit the trade it ends."""
        self._publisher.publish("decision", decision_view(decision))
        if decision.kind is DecisionKind.EXIT:
            self._publisher.publish("trade", trade_view(state, state.positions[decision.position_id]))

    def earlier(self, decisions: Iterable[Decision], state: State) -> None:
        """What was decided and traded today before this start."""
        for decision in decisions:
            self._publisher.publish("decision", decision_view(decision))
        for position in state.positions.values():
            if position.state is PositionState.CLOSED and position.sold_quantity:
                self._publisher.publish("trade", trade_view(state, position))

    def history(self, key: int, candles: Iterable[Candle]) -> None:
        """Today's minutes before this start belong on the chart too."""
        for candle in candles:
            if candle.start_ns >= self._opened_ns:
                self._candle(INDEX_BY_KEY[key].name, candle)

    def candles(self, state: State) -> None:
        """Those that have closed since the last time."""
        for name, index in state.indices.items():
            candle = index.last_candle
            if candle is not None and candle.start_ns > self._newest_candle_ns.get(name, 0):
                self._candle(name, candle)

    def _candle(self, name: str, candle: Candle) -> None:
        self._newest_candle_ns[name] = candle.start_ns
        shown = IndexCandle(
            name, candle.start_ns, candle.open_paise, candle.high_paise, candle.low_paise, candle.close_paise
        )
        self._publisher.publish("candle", shown)
