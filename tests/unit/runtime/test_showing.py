"""What an engine shows of itself: each candle once, today's alone, and the store's state when it changes."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, ist_ns
from algo_scalper.runtime.publish import Publisher, StoreView
from algo_scalper.runtime.showing import Showing
from algo_scalper.runtime.watching import Watching
from tests.unit.runtime.doubles import HandClock

DAY = date(2026, 11, 25)
MIDNIGHT_NS = ist_ns(DAY, 0)


def candle(start_ns: int) -> Candle:
    return Candle(start_ns, 1, 4, 1, 2)


class Screen:
    """A showing nobody has connected to yet: what would be seen is in ``publisher.day``."""

    def __init__(self) -> None:
        self.publisher = Publisher(HandClock(), lambda word: None)
        self.lane = SimpleNamespace(store_failed="")
        lane: Any = self.lane
        watching = Watching(lambda keys: None, lambda keys: None, {})
        self.showing = Showing(self.publisher, lane, watching, DAY)

    def starts(self) -> list[int]:
        return [shown.start_ns for shown in self.publisher.day.snapshot().candles]


def state_with(newest: Candle | None) -> Any:
    return SimpleNamespace(indices={NIFTY.name: SimpleNamespace(last_candle=newest)})


def test_of_the_minutes_before_a_start_only_todays_are_shown() -> None:
    screen = Screen()
    screen.showing.history(NIFTY.key, [candle(MIDNIGHT_NS - NS_PER_MINUTE), candle(MIDNIGHT_NS)])
    assert screen.starts() == [MIDNIGHT_NS]
    assert screen.publisher.n == 1


def test_a_candle_is_shown_once_and_not_again_after_it_came_as_history() -> None:
    screen = Screen()
    screen.showing.history(NIFTY.key, [candle(MIDNIGHT_NS)])
    for newest in (None, candle(MIDNIGHT_NS)):
        screen.showing.candles(state_with(newest))
    assert screen.publisher.n == 1
    for _ in range(2):
        screen.showing.candles(state_with(candle(MIDNIGHT_NS + NS_PER_MINUTE)))
    assert screen.publisher.n == 2
    assert screen.starts() == [MIDNIGHT_NS, MIDNIGHT_NS + NS_PER_MINUTE]


def test_the_stores_state_is_shown_when_it_changes() -> None:
    screen = Screen()
    screen.showing.store()
    assert screen.publisher.day.store == StoreView("ok", 0, "")
    screen.showing.committed(7)
    screen.lane.store_failed = "disk full"
    for _ in range(2):
        screen.showing.store()
    assert screen.publisher.day.store == StoreView("failing", 7, "disk full")
    assert screen.publisher.n == 2
