"""The request budget: never more than a window allows, nobody held without need, and who goes first."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.failures import HeldBack, NotSent
from algo_scalper.adapters.dhan.limits import (
    GUARD_NS,
    MOST_KEYS,
    MOST_ORDERS,
    MOST_WAIT_NS,
    NO_WINDOWS,
    WINDOWS,
    Limiter,
    Priority,
    Throttled,
    Usage,
    Window,
    own_windows,
)
from algo_scalper.adapters.dhan.wire import Family
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND, ist_ns
from tests.unit.dhan.doubles import START_NS, Half, HandClock

SECOND, MINUTE, HOUR = NS_PER_SECOND, NS_PER_MINUTE, 60 * NS_PER_MINUTE
EXIT, ENTRY, BOOK, DATA = Priority
TURN_NS = SECOND + GUARD_NS


class Desk:
    """A limiter, its clock, and the order in which its askers were let through."""

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        self.clock = HandClock()
        self.said: list[Throttled] = []
        self.limiter = Limiter(self.clock, Half(), windows, on_throttled=self.said.append)
        self.left: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def wait(
        self, name: str, family: Family, priority: Priority, key: str = "", deadline_ns: int | None = None
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._wait(name, family, priority, key, deadline_ns))
        self.tasks.append(task)
        await turns()
        return task

    async def _wait(self, name: str, family: Family, priority: Priority, key: str, deadline_ns: int | None) -> None:
        await self.limiter.admit(family, priority, key, deadline_ns)
        self.left.append(name)

    async def move(self, by_ns: int) -> None:
        self.clock.advance(by_ns)
        await turns()

    def took(self, count: int, family: Family, priority: Priority) -> None:
        for _ in range(count):
            assert self.limiter.take(family, priority)

    def row(self, family: Family, window: str, ours: bool = False, key: str = "") -> Usage:
        (found,) = [
            row
            for row in self.limiter.usage()
            if (row.family, row.window, row.ours, row.key) == (family, window, ours, key)
        ]
        return found


async def at_once(asked: Coroutine[Any, Any, None]) -> None:
    """The clock stands still: who waits now waits for ever."""
    await asyncio.wait_for(asked, 60)


async def turns(count: int = 12) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    yield one
    for task in one.tasks:
        task.cancel()
    await asyncio.gather(*one.tasks, return_exceptions=True)


# --- the table ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "span_ns", "limit"),
    [
        (Family.ORDER, SECOND, 10),
        (Family.ORDER, MINUTE, 250),
        (Family.ORDER, HOUR, 1_000),
        (Family.ORDER, NS_PER_DAY, 7_000),
        (Family.DATA, SECOND, 5),
        (Family.DATA, NS_PER_DAY, 100_000),
        (Family.QUOTE, SECOND, 1),
        (Family.OPTION_CHAIN, 3 * SECOND, 1),
        (Family.OPTION_CHAIN, SECOND, 5),
        (Family.OPTION_CHAIN, NS_PER_DAY, 100_000),
        (Family.NON_TRADING, SECOND, 20),
    ],
)
def test_the_brokers_windows_are_the_documented_ones(family: Family, span_ns: int, limit: int) -> None:
    found = [one.limit for one in WINDOWS if family in one.families and one.span_ns == span_ns and not one.ours]
    assert found == [limit]


def test_our_own_caps_lie_under_the_brokers() -> None:
    own = {one.span_ns: one.limit for one in own_windows() if Family.ORDER in one.families}
    assert own == {SECOND: 5, MINUTE: 60, NS_PER_DAY: 500}
    for window in WINDOWS:
        if Family.ORDER in window.families and not window.ours and window.span_ns in own:
            assert own[window.span_ns] < window.limit


@pytest.mark.parametrize(
    "window", [one for one in WINDOWS if not one.per_key], ids=lambda one: f"{one.families[0]} {one.name}"
)
def test_every_window_allows_what_it_says_and_not_one_more(window: Window) -> None:
    one = Desk((window,))
    priority = BOOK
    one.took(window.limit, window.families[-1], priority)
    assert not one.limiter.take(window.families[0], priority)
    one.clock.advance(window.span_ns + GUARD_NS - 1)
    assert not one.limiter.take(window.families[0], priority)
    one.clock.advance(1)
    assert one.limiter.take(window.families[0], priority)


def test_the_day_is_the_last_24_hours_whatever_the_date_says() -> None:
    one = Desk(own_windows(per_day=3))
    one.clock.advance(ist_ns(date(2026, 11, 23), 23 * 3600) - START_NS)
    one.took(3, Family.ORDER, ENTRY)
    one.clock.advance(10 * HOUR)
    assert not one.limiter.take(Family.ORDER, ENTRY), "another date, within 24 hours"
    one.clock.advance(14 * HOUR + GUARD_NS)
    assert one.limiter.take(Family.ORDER, ENTRY)


# --- who waits, and for how long ---------------------------------------------------------------------------------------


def test_entries_stop_at_our_cap_and_exits_at_the_brokers() -> None:
    one = Desk()
    one.took(5, Family.ORDER, ENTRY)
    assert not one.limiter.take(Family.ORDER, ENTRY)
    one.took(5, Family.ORDER, EXIT)
    assert not one.limiter.take(Family.ORDER, EXIT), "ten in a second: the broker's own limit"
    one.clock.advance(TURN_NS)
    one.took(5, Family.ORDER, EXIT)
    assert not one.limiter.take(Family.ORDER, ENTRY), "exits count in our cap"


def test_a_day_of_entries_leaves_the_exits_their_place() -> None:
    one = Desk()
    for _ in range(500):
        one.took(1, Family.ORDER, ENTRY)
        one.clock.advance(MINUTE)
    assert not one.limiter.take(Family.ORDER, ENTRY)
    one.took(10, Family.ORDER, EXIT)


async def test_an_exit_passes_everybody_who_waits(desk: Desk) -> None:
    desk.took(10, Family.ORDER, EXIT)
    await desk.wait("data", Family.ORDER, DATA)
    await desk.wait("book", Family.ORDER, BOOK)
    await desk.wait("entry", Family.ORDER, ENTRY)
    await desk.wait("exit", Family.ORDER, EXIT)
    await desk.wait("exit again", Family.ORDER, EXIT)
    await desk.move(TURN_NS)
    assert desk.left == ["exit", "exit again", "entry", "book", "data"]


async def test_first_come_first_served_and_books_before_data(desk: Desk) -> None:
    desk.took(5, Family.DATA, DATA)
    for number in range(6):
        await desk.wait(f"data {number}", Family.DATA, DATA)
    await desk.wait("book", Family.DATA, BOOK)
    await desk.move(TURN_NS)
    assert desk.left == ["book", "data 0", "data 1", "data 2", "data 3"]
    await desk.move(TURN_NS)
    assert desk.left[5:] == ["data 4", "data 5"]


async def test_who_takes_at_once_does_not_pass_who_waits(desk: Desk) -> None:
    desk.took(1, Family.QUOTE, DATA)
    await desk.wait("first", Family.QUOTE, DATA)
    desk.clock.advance(TURN_NS)
    assert not desk.limiter.take(Family.QUOTE, EXIT), "the place is that of who waited, its task just has not run yet"
    await turns()
    assert desk.left == ["first"]


async def test_an_exit_goes_at_once_where_entries_wait_for_our_cap(desk: Desk) -> None:
    desk.took(5, Family.ORDER, ENTRY)
    await desk.wait("entry", Family.ORDER, ENTRY)
    assert desk.limiter.take(Family.ORDER, EXIT)
    assert desk.left == []


async def test_a_chain_that_was_just_asked_holds_up_nobody_else(desk: Desk) -> None:
    assert desk.limiter.take(Family.OPTION_CHAIN, DATA, "13/2026-11-24")
    await desk.wait("again", Family.OPTION_CHAIN, DATA, "13/2026-11-24")
    assert desk.limiter.take(Family.OPTION_CHAIN, DATA, "13/2026-12-01")
    assert desk.limiter.take(Family.OPTION_CHAIN, DATA, "51/2026-11-24")
    assert desk.limiter.take(Family.DATA, DATA)
    await desk.move(3 * SECOND + GUARD_NS - 1)
    assert desk.left == []
    await desk.move(1)
    assert desk.left == ["again"]


def test_chains_are_counted_as_data_too() -> None:
    one = Desk()
    for number in range(5):
        assert one.limiter.take(Family.OPTION_CHAIN, DATA, str(number))
    assert not one.limiter.take(Family.OPTION_CHAIN, DATA, "5")
    assert not one.limiter.take(Family.DATA, DATA)


def test_chains_of_long_ago_are_forgotten() -> None:
    one = Desk()
    for number in range(10 * MOST_KEYS):
        assert one.limiter.take(Family.OPTION_CHAIN, DATA, str(number))
        assert not one.limiter.take(Family.OPTION_CHAIN, DATA, str(number))
        one.clock.advance(SECOND)
    assert len(one.limiter._budgets[Family.OPTION_CHAIN].keys) <= MOST_KEYS
    assert len([row for row in one.limiter.usage() if row.key]) == 3


async def test_a_deadline_that_passes_says_what_was_full_and_until_when(desk: Desk) -> None:
    desk.took(5, Family.ORDER, ENTRY)
    first = await desk.wait("first", Family.ORDER, ENTRY, deadline_ns=START_NS + TURN_NS)
    others = [await desk.wait(str(number), Family.ORDER, ENTRY) for number in range(4)]
    late = await desk.wait("late", Family.ORDER, ENTRY, deadline_ns=START_NS + TURN_NS + SECOND // 2)
    await desk.move(TURN_NS)
    assert first.done()
    assert all(one.done() for one in others)
    assert not late.done()
    await desk.move(SECOND // 2)
    with pytest.raises(HeldBack, match=r"^order requests: 5 in 1 s, our own cap, are used; .* in 0\.6 s$") as held:
        await late
    assert isinstance(held.value, NotSent)
    assert desk.row(Family.ORDER, "1 s").waiting == 0


async def test_who_cannot_be_served_in_time_is_told_at_once(desk: Desk) -> None:
    desk.took(10, Family.ORDER, EXIT)
    with pytest.raises(HeldBack, match=r"10 in 1 s, the broker's limit"):
        await at_once(desk.limiter.admit(Family.ORDER, EXIT, deadline_ns=START_NS + TURN_NS - 1))
    one = Desk(own_windows(per_day=1))
    one.took(1, Family.ORDER, ENTRY)
    with pytest.raises(HeldBack, match=r"1 in 24 h, our own cap, are used; the next place comes at 16:36:40, in 864"):
        await at_once(one.limiter.admit(Family.ORDER, ENTRY))
    assert desk.clock.wakes_ns == []


async def test_without_a_deadline_one_waits_long_and_not_for_ever(desk: Desk) -> None:
    desk.took(5, Family.DATA, BOOK)
    await desk.wait("last", Family.DATA, DATA)
    for _ in range(MOST_WAIT_NS // TURN_NS):
        for number in range(5):
            await desk.wait(f"book {number}", Family.DATA, BOOK)
        await desk.move(TURN_NS)
    assert "last" not in desk.left
    await desk.move(SECOND)
    for number in range(5):
        await desk.wait(f"book {number}", Family.DATA, BOOK)
    (fault,) = [task.exception() for task in desk.tasks if task.done() and task.exception()]
    assert isinstance(fault, HeldBack)


async def test_who_gives_up_leaves_no_hole(desk: Desk) -> None:
    desk.took(1, Family.QUOTE, DATA)
    gone = await desk.wait("gone", Family.QUOTE, DATA)
    await desk.wait("next", Family.QUOTE, DATA)
    gone.cancel()
    await turns()
    assert desk.row(Family.QUOTE, "1 s").waiting == 1
    await desk.move(TURN_NS)
    assert desk.left == ["next"]


async def test_nobody_left_waiting_leaves_no_task_behind(desk: Desk) -> None:
    desk.took(1, Family.QUOTE, DATA)
    before = len(asyncio.all_tasks())
    gone = await desk.wait("gone", Family.QUOTE, DATA)
    assert len(asyncio.all_tasks()) == before + 2
    gone.cancel()
    await turns()
    assert len(asyncio.all_tasks()) == before


class BrokenClock(HandClock):
    async def sleep_until(self, at_ns: int) -> None:
        raise RuntimeError("the simulator is gone")


async def test_nobody_waits_on_a_clock_that_failed() -> None:
    limiter = Limiter(BrokenClock(), Half())
    assert limiter.take(Family.QUOTE, DATA)
    with pytest.raises(RuntimeError, match="the simulator is gone"):
        await at_once(limiter.admit(Family.QUOTE, DATA))


def test_without_windows_nothing_waits() -> None:
    one = Desk(NO_WINDOWS)
    one.took(2_000, Family.ORDER, DATA)
    assert all(row.limit == 0 for row in one.limiter.usage())
    one.limiter.throttled(Family.ORDER)
    assert not one.limiter.take(Family.ORDER, DATA), "a 429 pauses all the same"


# --- too often ---------------------------------------------------------------------------------------------------------


def pauses(one: Desk, family: Family, count: int, quiet_ns: int = 1) -> Iterator[tuple[int, int]]:
    for _ in range(count):
        one.took(1, family, BOOK)
        one.limiter.throttled(family, "k")
        said = one.said[-1]
        yield said.paused_until_ns - said.at_ns, said.exits_paused_until_ns - said.at_ns
        one.clock.advance(said.paused_until_ns - said.at_ns - 1)
        assert not one.limiter.take(family, BOOK)
        one.clock.advance(1)
        one.clock.advance(quiet_ns)


def test_a_pause_doubles_up_to_a_minute_with_half_of_it_left_to_chance() -> None:
    one = Desk()
    found = [pause_ns for pause_ns, _ in pauses(one, Family.NON_TRADING, 8)]
    assert found == [SECOND * 3 // 4 * turn for turn in (1, 2, 4, 8, 16, 32, 60, 60)]


def test_orders_pause_from_half_a_second_and_an_exit_never_longer_than_one() -> None:
    one = Desk(NO_WINDOWS)
    found = list(pauses(one, Family.ORDER, 9))
    assert [pause_ns for pause_ns, _ in found] == [
        375 * NS_PER_MS * turn for turn in (1, 2, 4, 8, 16, 32, 64, 120, 120)
    ]
    assert [exit_ns for _, exit_ns in found] == [375 * NS_PER_MS, 750 * NS_PER_MS] + [SECOND] * 7


def test_an_exit_tries_again_while_the_others_pause() -> None:
    one = Desk(NO_WINDOWS)
    assert [pause_ns for pause_ns, _ in pauses(one, Family.ORDER, 4, quiet_ns=0)][-1] == 3 * SECOND
    one.took(1, Family.ORDER, ENTRY)
    one.limiter.throttled(Family.ORDER)
    assert not one.limiter.take(Family.ORDER, EXIT)
    one.clock.advance(SECOND)
    assert not one.limiter.take(Family.ORDER, ENTRY)
    assert one.limiter.take(Family.ORDER, EXIT)
    one.limiter.throttled(Family.ORDER)
    assert one.said[-1].exits_paused_until_ns - one.clock.now_ns() == SECOND
    assert one.said[-1].paused_until_ns - one.clock.now_ns() == 12 * SECOND, "its 429 lengthens the pause of the others"


def test_the_answers_of_one_burst_are_one_reason_to_pause() -> None:
    one = Desk()
    one.took(5, Family.DATA, DATA)
    for _ in range(5):
        one.limiter.throttled(Family.DATA)
        one.clock.advance(NS_PER_MS)
    assert {said.paused_until_ns - START_NS for said in one.said} == {SECOND * 3 // 4}
    assert [said.count for said in one.said] == [1, 2, 3, 4, 5]
    assert one.row(Family.DATA, "1 s").throttled == 5


def test_after_a_quiet_minute_the_pauses_begin_again() -> None:
    one = Desk()
    assert [turn for turn, _ in pauses(one, Family.QUOTE, 3, quiet_ns=MINUTE)] == [SECOND * 3 // 4] * 3
    assert [turn for turn, _ in pauses(one, Family.QUOTE, 2, quiet_ns=MINUTE - 1)] == [SECOND * 3 // 4, SECOND * 3 // 2]


async def test_who_waits_for_a_pause_goes_when_it_ends(desk: Desk) -> None:
    desk.took(1, Family.DATA, DATA)
    desk.limiter.throttled(Family.DATA)
    with pytest.raises(HeldBack, match=r"^data requests pause, because the broker said too often; .* in 0\.8 s$"):
        await at_once(desk.limiter.admit(Family.DATA, DATA, deadline_ns=START_NS + 1))
    await desk.wait("one", Family.DATA, DATA)
    assert desk.row(Family.DATA, "1 s") == Usage(Family.DATA, "", "1 s", False, 1, 5, 1, START_NS + SECOND * 3 // 4, 1)
    await desk.move(SECOND * 3 // 4 - 1)
    assert desk.left == []
    await desk.move(1)
    assert desk.left == ["one"]


# --- what is shown -----------------------------------------------------------------------------------------------------


def test_usage_shows_every_window_and_forgets_what_has_left_it() -> None:
    one = Desk()
    one.took(3, Family.ORDER, ENTRY)
    assert one.limiter.take(Family.OPTION_CHAIN, DATA, "13/2026-11-24")
    assert (one.row(Family.ORDER, "1 s").used, one.row(Family.ORDER, "1 s", ours=True).used) == (3, 3)
    assert one.row(Family.OPTION_CHAIN, "3 s", key="13/2026-11-24").used == 1
    assert one.row(Family.DATA, "24 h").used == one.row(Family.OPTION_CHAIN, "24 h").used == 1
    one.clock.advance(TURN_NS)
    assert (one.row(Family.ORDER, "1 s").used, one.row(Family.ORDER, "1 min").used) == (0, 3)
    assert len(one.limiter.usage()) == 4 + 3 + 2 + 2 + 1 + 1 + 1 + 1


# --- changes of an order -----------------------------------------------------------------------------------------------


def test_the_last_five_changes_of_an_order_are_for_exits() -> None:
    limiter = Desk().limiter
    assert [limiter.take_modification("7", ENTRY) for _ in range(22)] == [True] * 20 + [False] * 2
    assert limiter.modifications("7") == 20
    assert limiter.no_modification("7") == (
        "order 7 was changed 20 times and the broker allows 25, the last 5 of them kept for exits"
    )
    assert [limiter.take_modification("7", EXIT) for _ in range(7)] == [True] * 5 + [False] * 2
    assert limiter.no_modification("7") == "order 7 was changed 25 times and the broker allows 25"
    limiter.return_modification("7")
    assert limiter.take_modification("7", EXIT)
    assert limiter.take_modification("8", ENTRY)
    assert (limiter.modifications("8"), limiter.modifications("9")) == (1, 0)


def test_orders_of_long_ago_are_forgotten() -> None:
    limiter = Desk().limiter
    for number in range(MOST_ORDERS):
        assert limiter.take_modification(str(number), ENTRY)
    assert limiter.take_modification("0", EXIT)
    assert limiter.take_modification("new", ENTRY)
    assert (limiter.modifications("0"), limiter.modifications("1"), limiter.modifications("2")) == (2, 0, 1)


# --- whatever comes ----------------------------------------------------------------------------------------------------

PATIENCE_NS = 40 * SECOND
SMALL = (
    Window((Family.ORDER,), "1 s", SECOND, 4),
    Window((Family.ORDER,), "5 s", 5 * SECOND, 9),
    Window((Family.ORDER,), "1 s", SECOND, 2, ours=True),
    Window((Family.ORDER,), "8 s", 8 * SECOND, 5, ours=True),
    Window((Family.DATA, Family.OPTION_CHAIN), "1 s", SECOND, 3),
    Window((Family.OPTION_CHAIN,), "3 s", 3 * SECOND, 1, per_key=True),
    Window((Family.QUOTE,), "1 s", SECOND, 1),
)
"""Small enough that a short run meets every one of them."""


class Coming(NamedTuple):
    gap_ms: int
    family: Family
    priority: Priority
    key: str
    patience_ms: int | None
    gives_up_ms: int | None


class Went(NamedTuple):
    number: int
    at_ns: int
    came_ns: int
    coming: Coming


arrivals = st.lists(
    st.builds(
        Coming,
        st.sampled_from([0, 0, 0, 1, 10, 100, 300, 1_000, 4_000]),
        st.sampled_from([Family.ORDER, Family.ORDER, Family.DATA, Family.OPTION_CHAIN, Family.QUOTE]),
        st.sampled_from(list(Priority)),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, None, None, 0, 500, 2_000]),
        st.sampled_from([None, None, None, 200, 1_050]),
    ),
    max_size=40,
)


class Run:
    """A run of arrivals on a virtual clock that stops at every instant anything happens."""

    def __init__(self, comings: Sequence[Coming], windows: tuple[Window, ...] = SMALL) -> None:
        self.comings = comings
        self.windows = windows
        self.went: list[Went] = []
        self.refused: dict[int, int] = {}
        self.gave_up: set[int] = set()
        self.waiting: dict[int, tuple[int, Coming]] = {}
        self.needlessly: list[int] = []

    def play(self) -> Run:
        asyncio.run(self._play())
        return self

    async def _play(self) -> None:
        clock = HandClock()
        limiter = Limiter(clock, Half(), self.windows)
        instants: defaultdict[int, list[int]] = defaultdict(list)
        at_ns = clock.now_ns()
        for number, coming in enumerate(self.comings):
            at_ns += coming.gap_ms * NS_PER_MS
            instants[at_ns].append(number)
        leavers: defaultdict[int, list[int]] = defaultdict(list)
        tasks: dict[int, asyncio.Task[None]] = {}
        while instants or leavers or self.waiting:
            next_ns = min([*instants, *leavers, *(clock.now_ns() + wake for wake in clock.wakes_ns)])
            clock.advance(next_ns - clock.now_ns())
            await turns()
            for number in leavers.pop(next_ns, []):
                tasks[number].cancel()
            await turns()
            for number in instants.pop(next_ns, []):
                coming = self.comings[number]
                if limiter.take(coming.family, coming.priority, coming.key):
                    self.went.append(Went(number, next_ns, next_ns, coming))
                    continue
                self.waiting[number] = (next_ns, coming)
                tasks[number] = asyncio.ensure_future(self._one(limiter, clock, number))
                if coming.gives_up_ms is not None:
                    leavers[next_ns + coming.gives_up_ms * NS_PER_MS].append(number)
            await turns()
            self.needlessly += [
                number for number, (_, coming) in self.waiting.items() if self._room(coming, clock.now_ns())
            ]
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _one(self, limiter: Limiter, clock: HandClock, number: int) -> None:
        came_ns, coming = self.waiting[number]
        patience_ns = PATIENCE_NS if coming.patience_ms is None else coming.patience_ms * NS_PER_MS
        try:
            await limiter.admit(coming.family, coming.priority, coming.key, came_ns + patience_ns)
            self.went.append(Went(number, clock.now_ns(), came_ns, coming))
        except HeldBack:
            self.refused[number] = clock.now_ns() - came_ns
        except asyncio.CancelledError:
            self.gave_up.add(number)
            raise
        finally:
            del self.waiting[number]

    def counted(self, window: Window, key: str) -> list[int]:
        return [
            one.at_ns
            for one in self.went
            if one.coming.family in window.families and (not window.per_key or one.coming.key == key)
        ]

    def _room(self, coming: Coming, now_ns: int) -> bool:
        """By the plainest count there is: is there a place now?"""
        for window in self.windows:
            if coming.family not in window.families or (window.ours and coming.priority is EXIT):
                continue
            within = [at for at in self.counted(window, coming.key) if at > now_ns - window.span_ns - GUARD_NS]
            if len(within) >= window.limit:
                return False
        return True


@settings(max_examples=150, deadline=None)
@given(arrivals)
def test_whatever_comes(comings: list[Coming]) -> None:
    run = Run(comings).play()
    for window in SMALL:
        for key in ("a", "b") if window.per_key else ("",):
            times = run.counted(window, key)
            if not window.ours:
                for first, over in zip(times, times[window.limit :], strict=False):
                    assert over - first >= window.span_ns + GUARD_NS, f"more than {window} allows"
            else:
                for at, went in enumerate(run.went):
                    if went.coming.family in window.families and went.coming.priority is not EXIT:
                        before = [
                            one
                            for one in run.went[:at]
                            if one.coming.family in window.families and one.at_ns > went.at_ns - window.span_ns
                        ]
                        assert len(before) < window.limit, f"more than {window} allows"
    assert run.needlessly == [], "nobody waits while there is a place"
    ends = [one.number for one in run.went] + list(run.refused) + list(run.gave_up)
    assert sorted(ends) == list(range(len(comings))), "everybody goes, is told, or gave up: once"
    for number, waited_ns in run.refused.items():
        patience_ms = comings[number].patience_ms
        assert waited_ns <= (PATIENCE_NS if patience_ms is None else patience_ms * NS_PER_MS)
    for one in run.went:
        if one.coming.patience_ms is not None and one.at_ns > one.came_ns:
            assert one.at_ns - one.came_ns <= one.coming.patience_ms * NS_PER_MS
    for earlier, went in enumerate(run.went):
        for passed in run.went[earlier + 1 :]:
            stood_there = passed.number < went.number or passed.came_ns < went.at_ns
            if stood_there and _same_line(passed.coming, went.coming):
                mine, other = (went.coming.priority, went.number), (passed.coming.priority, passed.number)
                assert mine < other, "who matters more, or came first, goes first"


def _same_line(one: Coming, other: Coming) -> bool:
    """Do they wait for the very same places?"""
    if one.family is not other.family or (one.family is Family.OPTION_CHAIN and one.key != other.key):
        return False
    return one.family is not Family.ORDER or (one.priority is EXIT) == (other.priority is EXIT)


@settings(max_examples=25, deadline=None)
@given(arrivals)
def test_the_same_comes_out_of_the_same(comings: list[Coming]) -> None:
    first, again = Run(comings).play(), Run(comings).play()
    assert (first.went, first.refused, first.gave_up) == (again.went, again.refused, again.gave_up)


@settings(max_examples=25, deadline=None)
@given(arrivals)
def test_the_real_windows_hold_as_well(comings: list[Coming]) -> None:
    run = Run(comings * 3, WINDOWS).play()
    assert run.needlessly == []
    for window in WINDOWS:
        for key in ("a", "b") if window.per_key else ("",):
            times = run.counted(window, key)
            if not window.ours:
                for first, over in zip(times, times[window.limit :], strict=False):
                    assert over - first >= window.span_ns + GUARD_NS
