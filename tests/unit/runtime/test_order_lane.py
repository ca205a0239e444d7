"""The live lane: durable before sent; a slow disk drops entries and never holds an exit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import OrderAccepted, OrderDropped, OrderUnknown
from algo_scalper.domain.orders import Purpose, Request
from algo_scalper.domain.ports import Changes, Outcome, Unknown
from algo_scalper.runtime.order_lane import COMMIT_LIMIT_NS, OrderEvent, OrderLane
from tests.unit.runtime.doubles import ONE, TWO, HandClock, HeldBroker, HeldStore, modify, place, record, turns


class Lane:
    """A lane with everything about it held in the hand."""

    def __init__(self, *, inline: bool = False) -> None:
        self.log: list[str] = []
        self.store, self.broker = HeldStore(self.log), HeldBroker(self.log)
        self.clock, self.wall = HandClock(), HandClock()
        self.changes: Changes | None = None
        self.events: list[OrderEvent] = []
        self.alarms: list[tuple[str, str]] = []
        self.journal_full = False
        self.news = asyncio.Event()
        self.lane = OrderLane(
            self.store,
            self.broker,
            self.clock,
            self.wall,
            self._flush,
            self._take,
            self._on_event,
            lambda code, text: self.alarms.append((code, text)),
            inline=inline,
            mark=lambda step: None,
        )

    def _flush(self) -> None:
        if self.journal_full:
            raise StoreError("journal: no space left on device")
        self.log.append("flushed")

    def _take(self) -> Changes | None:
        taken, self.changes = self.changes, None
        return taken

    def _on_event(self, event: OrderEvent) -> None:
        self.events.append(event)
        self.news.set()

    def want(self, *commands: object) -> None:
        """The engine's commands of one event, and its changed records."""
        self.changes = Changes(orders=tuple(record(command.order_id) for command in commands))  # type: ignore[attr-defined]
        for command in commands:
            self.lane.offer(command)  # type: ignore[arg-type]
        self.lane.kick()

    async def sent(self, count: int = 1) -> list[str]:
        """Wait until so many requests have left."""
        async with asyncio.timeout(60):
            while len(found := [line for line in self.log if line.startswith("sent")]) < count:
                self.broker.news.clear()
                await self.broker.news.wait()
        return found

    async def told(self, count: int = 1) -> list[OrderEvent]:
        """Wait until the engine was told so many events."""
        async with asyncio.timeout(60):
            while len(self.events) < count:
                self.news.clear()
                await self.news.wait()
        return self.events

    async def commit_is_late(self) -> None:
        """250 ms of real time pass while the disk does not answer."""
        async with asyncio.timeout(60):
            while not self.wall.sleepers:
                await turns(1)
        self.wall.move(COMMIT_LIMIT_NS)


@asynccontextmanager
async def running() -> AsyncIterator[Lane]:
    lane = Lane()
    task = asyncio.create_task(lane.lane.run())
    try:
        yield lane
    finally:
        if lane.store.gate is not None:
            lane.store.gate.set()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_durable_then_the_journal_then_sent_then_told() -> None:
    async with running() as lane:
        lane.want(place("a"))
        await lane.sent()
        assert lane.log == ["committed a", "flushed", "sent place a"]
        assert lane.store.kept[0].orders[0].id == "a"
        assert not lane.lane.idle
        lane.broker.answer("a")
        assert await lane.told() == [OrderAccepted(lane.clock.now_ns(), "a", Request.PLACE, "B-a")]
        await turns()
        assert lane.lane.idle


async def test_all_that_waits_goes_in_one_transaction() -> None:
    async with running() as lane:
        lane.want(place("a", ONE), place("b", TWO))
        await lane.sent(2)
        assert lane.log[0] == "committed a,b"


async def test_the_next_of_a_contract_leaves_after_the_answer() -> None:
    async with running() as lane:
        lane.want(place("a"))
        await lane.sent()
        lane.want(modify("m"))
        await turns()
        assert await lane.sent() == ["sent place a"]
        lane.broker.answer("a", Unknown("closed"))
        assert await lane.sent(2) == ["sent place a", "sent modify m"]
        assert isinstance(lane.events[0], OrderUnknown)


async def test_records_without_a_request_are_written_too() -> None:
    async with running() as lane:
        lane.want()
        lane.changes = Changes(orders=(record("x"),))
        lane.lane.kick()
        async with asyncio.timeout(60):
            while not lane.store.kept:
                await turns(1)
        assert not [line for line in lane.log if line.startswith("sent")]


async def test_a_disk_that_refuses_drops_entries_and_lets_exits_leave_with_an_alarm() -> None:
    async with running() as lane:
        lane.store.failing = True
        lane.want(place("entry", ONE), place("floor", TWO, Purpose.EXIT))
        assert await lane.sent() == ["sent place floor"]
        assert await lane.told() == [OrderDropped(lane.clock.now_ns(), "entry", Request.PLACE, "not_durable")]
        assert lane.alarms == [("not_durable", "no space left on device")]
        assert lane.lane.store_failed
        lane.store.failing = False
        lane.broker.answer("floor")
        await lane.told(2)
        lane.want(place("next", ONE))
        await lane.sent(2)
        assert {order.id for order in lane.store.kept[-1].orders} == {"entry", "floor", "next"}, "nothing is lost"
        assert lane.lane.store_failed == ""


async def test_a_late_commit_drops_entries_and_lets_exits_leave() -> None:
    async with running() as lane:
        lane.store.gate = threading.Event()
        lane.want(place("entry", ONE), place("floor", TWO, Purpose.EXIT))
        await lane.commit_is_late()
        assert await lane.sent() == ["sent place floor"]
        assert isinstance((await lane.told())[0], OrderDropped)
        assert lane.alarms == [("not_durable", "a commit took longer than 250 ms")]


async def test_an_exit_does_not_wait_for_an_earlier_commit_that_never_ends() -> None:
    async with running() as lane:
        lane.store.gate = threading.Event()
        lane.want(place("floor", ONE, Purpose.EXIT))
        await lane.commit_is_late()
        await lane.sent()
        lane.want(place("second", TWO, Purpose.EXIT))
        await lane.commit_is_late()
        assert (await lane.sent(2))[1] == "sent place second"
        # The disk comes back: both go with the next commit, and one at a time.
        lane.store.gate.set()
        lane.want(place("third", 3, Purpose.EXIT))
        await lane.sent(3)
        assert {order.id for order in lane.store.kept[-1].orders} == {"floor", "second", "third"}


async def test_a_late_commit_that_fails_in_the_end_is_not_forgotten() -> None:
    async with running() as lane:
        lane.store.gate = threading.Event()
        lane.store.failing = True
        lane.want(place("floor", ONE, Purpose.EXIT))
        await lane.commit_is_late()
        await lane.sent()
        lane.store.gate.set()
        lane.broker.answer("floor")
        await lane.told()
        lane.store.failing = False
        await lane.lane.close()
        assert {order.id for changes in lane.store.kept for order in changes.orders} == {"floor"}


async def test_a_journal_that_is_full_drops_entries_and_lets_exits_leave() -> None:
    async with running() as lane:
        lane.journal_full = True
        lane.want(place("entry", ONE), place("floor", TWO, Purpose.EXIT))
        assert await lane.sent() == ["sent place floor"]
        assert isinstance((await lane.told())[0], OrderDropped)
        assert lane.alarms[0][0] == "not_durable"


async def test_close_waits_for_answers_sends_nothing_more_and_writes_what_changed_last() -> None:
    async with running() as lane:
        lane.want(place("a"))
        await lane.sent()
        lane.lane.offer(place("never", TWO))
        lane.changes = Changes(orders=(record("last"),))
        closing = asyncio.create_task(lane.lane.close())
        await turns()
        assert not closing.done()
        lane.broker.answer("a")
        await closing
        assert await lane.sent() == ["sent place a"]
        assert "last" in {order.id for changes in lane.store.kept for order in changes.orders}


async def test_at_the_end_a_floor_that_waits_still_leaves_and_an_entry_does_not() -> None:
    async with running() as lane:
        lane.want(modify("chase", ONE, Purpose.ENTRY))
        await lane.sent()
        lane.want(place("floor", ONE, Purpose.EXIT), place("entry", TWO))
        closing = asyncio.create_task(lane.lane.close())
        await turns()
        lane.broker.answer("chase")
        assert await lane.sent(2) == ["sent modify chase", "sent place floor"]
        assert not closing.done(), "its answer is awaited"
        lane.broker.answer("floor")
        await closing
        assert {order.id for changes in lane.store.kept for order in changes.orders} >= {"floor", "entry"}


async def test_at_the_end_an_entrys_change_that_is_not_sent_keeps_no_floor_waiting() -> None:
    async with running() as lane:
        lane.want(modify("chase", ONE, Purpose.ENTRY))
        closing = asyncio.create_task(lane.lane.close())
        lane.lane.offer(place("floor", ONE, Purpose.EXIT))
        assert await lane.sent() == ["sent place floor"]
        lane.broker.answer("floor")
        await closing


async def test_closing_a_lane_that_nobody_runs_does_not_wait_for_it() -> None:
    lane = Lane()
    lane.want(place("floor", ONE, Purpose.EXIT))
    await lane.lane.close()
    assert lane.store.kept


async def test_a_request_that_breaks_is_unknown_and_said_and_the_contract_goes_on() -> None:
    async with running() as lane:

        async def broken(command: object) -> Outcome:
            raise KeyError("nobody thought of this")

        lane.broker.place = broken  # type: ignore[method-assign]
        lane.want(place("floor", ONE, Purpose.EXIT))
        (told,) = await lane.told()
        assert isinstance(told, OrderUnknown)
        assert "nobody thought of this" in told.detail
        assert [code for code, _ in lane.alarms] == ["request_broke"]
        lane.want(modify("next", ONE))
        assert await lane.sent() == ["sent modify next"]


async def test_in_stepped_time_everything_happens_within_the_call() -> None:
    lane = Lane(inline=True)
    lane.want(place("a"))
    assert lane.log == ["committed a", "flushed"]
    await turns()
    assert lane.log[-1] == "sent place a"
    lane.store.failing = True
    lane.want(place("entry", TWO), place("floor", 3, Purpose.EXIT))
    assert [type(event) for event in lane.events] == [OrderDropped]
    await turns()
    assert lane.log[-1] == "sent place floor"
    for name in ("a", "floor"):
        lane.broker.answer(name)
    await turns()
    assert len(lane.events) == 3


@pytest.mark.parametrize("inline", [True, False])
async def test_nothing_is_committed_when_nothing_changed(inline: bool) -> None:
    lane = Lane(inline=inline)
    lane.lane.kick()
    await turns()
    assert lane.log == []
