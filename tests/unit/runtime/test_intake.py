"""What the lines bring: a gap in the engine's own time, and nothing before an engine hears."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from algo_scalper.adapters.dhan.line import Gap
from algo_scalper.domain.events import Event, FeedLost, FeedRestored
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.clock import PacedClock, SteppedClock
from algo_scalper.runtime.intake import Intake
from algo_scalper.runtime.watching import Watching
from tests.unit.runtime.doubles import HandClock

NOW_NS = 1_000 * NS_PER_SECOND


def intake_of(clock: Clock, taken: list[Event], *, hears: bool = True) -> Intake:
    session: Any = SimpleNamespace(hears=hears, take=taken.append)
    return Intake(session, clock, {}, Watching(lambda keys: None, lambda keys: None, {}), None)


def sixty_times() -> PacedClock:
    system: Any = HandClock(NOW_NS)
    return PacedClock(NOW_NS, 60.0, system)


@pytest.mark.parametrize(
    ("clock", "missed_s"), [(HandClock(NOW_NS), 2), (SteppedClock(NOW_NS), 0), (sixty_times(), 120)]
)
def test_two_real_seconds_without_a_line_are_told_in_the_engines_time(clock: Clock, missed_s: int) -> None:
    taken = list[Event]()
    intake_of(clock, taken).on_restored("market", Gap(0, 2 * NS_PER_SECOND, "reset"))
    assert taken == [FeedRestored(NOW_NS, "market", NOW_NS - missed_s * NS_PER_SECOND)]


def test_a_line_is_lost_to_an_engine_that_hears_and_to_no_other() -> None:
    taken = list[Event]()
    deaf = intake_of(HandClock(NOW_NS), taken, hears=False)
    deaf.on_lost("orders", "closed")
    deaf.on_restored("orders", Gap(0, 1, "reset"))
    assert taken == []
    intake_of(HandClock(NOW_NS), taken).on_lost("orders", "closed")
    assert taken == [FeedLost(NOW_NS, "orders", "closed")]
