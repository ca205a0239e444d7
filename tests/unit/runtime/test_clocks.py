"""Three clocks and the timers: never back, in order, and on a leash."""

from __future__ import annotations

import asyncio

from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.clock import (
    LEASH_HOLDS_NS,
    LEASH_NS,
    PacedClock,
    Rank,
    SteppedClock,
    SystemClock,
    Timers,
    first_of,
)
from tests.unit.runtime.doubles import HandClock, turns

S = NS_PER_SECOND
START = 1_000_000 * S


class HandSystem(SystemClock):
    """A system clock moved by hand."""

    def __init__(self) -> None:
        self.hand = HandClock(50 * S)

    def now_ns(self) -> int:
        return self.hand.now_ns()

    async def sleep_until(self, at_ns: int) -> None:
        await self.hand.sleep_until(at_ns)


def test_the_system_clock_never_goes_back() -> None:
    clock = SystemClock()
    seen = [clock.now_ns() for _ in range(1_000)]
    assert seen == sorted(seen)
    assert abs(clock.wall_gap_ns()) < 5 * S


def paced(rate: float = 60.0) -> tuple[PacedClock, HandClock]:
    system = HandSystem()
    return PacedClock(START, rate, system), system.hand


def test_paced_time_runs_at_its_rate() -> None:
    clock, system = paced()
    assert clock.now_ns() == START
    system.move(S)
    assert clock.now_ns() == START + 60 * S


def test_paced_time_waits_when_corrected_and_never_goes_back() -> None:
    clock, system = paced()
    system.move(S)
    assert clock.now_ns() == START + 60 * S
    clock.correct(START + 30 * S)
    assert clock.now_ns() == START + 60 * S
    system.move(S // 4)
    assert clock.now_ns() == START + 60 * S
    system.move(S)
    assert clock.now_ns() == START + 105 * S
    clock.correct(START + 500 * S)
    assert clock.now_ns() == START + 500 * S


def test_paced_time_does_not_run_ahead_of_a_market_that_is_heard() -> None:
    clock, system = paced()
    clock.heard(START)
    system.move(S)
    assert clock.now_ns() == START + LEASH_NS
    clock.heard(START + 50 * S)
    assert clock.now_ns() == START + 50 * S + LEASH_NS
    clock.heard(START + 10 * S)
    assert clock.now_ns() == START + 50 * S + LEASH_NS, "an older packet pulls nothing back"


def test_a_market_silent_in_real_time_lets_time_go_on() -> None:
    clock, system = paced(1.0)
    clock.heard(START)
    system.move(LEASH_HOLDS_NS - 1)
    assert clock.now_ns() == START + LEASH_NS
    system.move(1)
    assert clock.now_ns() == START + LEASH_HOLDS_NS


async def test_paced_sleepers_wake_in_virtual_time() -> None:
    clock, system = paced()
    task = asyncio.create_task(clock.sleep_until(START + 60 * S))
    await turns()
    system.move(S - 1)
    await turns()
    assert not task.done()
    system.move(1)
    await turns()
    assert task.done()


async def test_stepped_sleepers_wake_in_the_order_of_their_instants_then_of_asking() -> None:
    clock = SteppedClock(START)
    woken: list[str] = []

    async def sleeper(name: str, at_ns: int) -> None:
        await clock.sleep_until(at_ns)
        woken.append(name)

    tasks = [
        asyncio.create_task(sleeper(name, START + after))
        for name, after in (("late", 5), ("first", 2), ("second", 2), ("now", 0))
    ]
    await turns()
    assert woken == ["now"]
    assert clock.next_wake_ns() == START + 2
    await clock.move_to(START + 2)
    assert woken == ["now", "first", "second"]
    await clock.move_to(START + 1)
    assert clock.now_ns() == START + 2, "never back"
    tasks[0].cancel()
    await turns()
    assert clock.next_wake_ns() is None, "who no longer waits is not waited for"


async def test_timers_run_by_instant_then_rank_then_order_of_asking() -> None:
    timers = Timers()
    ran: list[str] = []
    for name, at_ns, rank in (
        ("poll", 10, Rank.POLL),
        ("second", 10, Rank.SECOND),
        ("broker", 10, Rank.BROKER),
        ("broker too", 10, Rank.BROKER),
        ("sooner", 9, Rank.POLL),
        ("later", 11, Rank.BROKER),
    ):
        timers.at(at_ns, rank, lambda at_ns, name=name: ran.append(f"{name} {at_ns}"))  # type: ignore[misc]
    assert timers.next_ns() == 9
    timers.run_due(10, Rank.BROKER)
    assert ran == ["sooner 9", "broker 10", "broker too 10"]
    timers.run_due(10)
    assert ran[3:] == ["second 10", "poll 10"]
    assert timers.next_ns() == 11


async def test_a_timer_may_ask_for_the_next() -> None:
    timers = Timers()
    ran: list[int] = []

    def each(at_ns: int) -> None:
        ran.append(at_ns)
        timers.at(at_ns + 5, Rank.SECOND, each)

    timers.at(5, Rank.SECOND, each)
    timers.run_due(22)
    assert ran == [5, 10, 15, 20]


async def test_a_process_that_stood_still_hears_what_was_sent_to_it_before_it_acts_on_silence() -> None:
    said: list[str] = []
    for late_ns in (S, S + 1):
        timers, clock = Timers(), SteppedClock(late_ns)
        timers.at(0, Rank.SECOND, lambda _: said.append("a second passed"))
        running = asyncio.create_task(timers.run(clock))
        await asyncio.sleep(0)
        said.append("what a socket held")
        await turns()
        running.cancel()
    assert said == ["a second passed", "what a socket held", "what a socket held", "a second passed"]


async def test_the_timers_task_sleeps_until_something_is_due_or_something_sooner_is_asked() -> None:
    timers, clock = Timers(), SteppedClock(0)
    ran: list[int] = []
    task = asyncio.create_task(timers.run(clock))
    await turns()
    timers.at(100, Rank.SECOND, ran.append)
    await turns()
    assert clock.next_wake_ns() == 100
    timers.at(50, Rank.SECOND, ran.append)
    await turns()
    assert clock.next_wake_ns() == 50
    await clock.move_to(100)
    await turns()
    assert ran == [50, 100]
    task.cancel()


async def test_the_first_of_several_waits_ends_the_others() -> None:
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    ready = asyncio.Event()
    ready.set()
    await first_of(ready.wait(), never())
    await turns()
    assert ended.is_set()
