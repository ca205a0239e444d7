"""The stream beside the engine: numbered, bounded, never in the engine's way, and the desk's copy equals the record."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from algo_scalper.domain.commands import Notify
from algo_scalper.domain.errors import SecondInstance
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.runtime import publish as publish_module
from algo_scalper.runtime.publish import Batch, Publisher, Replica, Snapshot, StreamGap, StreamReader, Word
from tests.unit.desk import fake_day as fake

EMPTY = Snapshot(view=None, candles=(), decisions=(), trades=(), notices=(), store=None)
NOTICE = {"at_ns": fake.at(10, 0), "level": "info", "code": "x", "text": "hello"}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """A scenario on a fresh event loop."""
    asyncio.run(scenario)


async def until(condition: Callable[[], object]) -> None:
    """Turn the loop until the condition holds: local sockets need turns, not time."""
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition was never met")


async def turns() -> None:
    """A few turns of the loop, in which closed connections are let go."""
    for _ in range(50):
        await asyncio.sleep(0)


def frame(n: int, kind: str, body: object) -> bytes:
    """A message as the wire carries it, without its length."""
    return msgspec.msgpack.encode({"n": n, "kind": kind, "body": body})


def nobody(word: Word) -> None:
    """A callback for scenarios in which nobody speaks."""
    raise AssertionError(f"an unexpected word: {word}")


async def pair(path: Path, **options: Any) -> tuple[Publisher, StreamReader, fake.HandClock, asyncio.Task[None]]:
    """A publisher and a reader that has its first snapshot."""
    clock = fake.HandClock()
    publisher = Publisher(clock, nobody, **options)
    await publisher.start(path)
    reader = StreamReader(path, clock)
    following = asyncio.create_task(reader.run())
    await until(lambda: reader.connected)
    return publisher, reader, clock, following


async def end(publisher: Publisher, *tasks: asyncio.Task[None]) -> None:
    """Stop what a scenario started."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await publisher.close()
    await turns()


def test_the_desks_copy_equals_the_engines_record_before_and_after_it_connects(tmp_path: Path) -> None:
    async def scenario() -> None:
        publisher, reader, _, following = await pair(tmp_path / "s")
        everything = [
            ("view", fake.view(positions=(fake.position_view(),))),
            ("candle", fake.candle(600)),
            ("decision", fake.decision(1)),
            ("decision", fake.decision(2)),
            ("trade", fake.trade_view()),
            ("notice", NOTICE),
            ("store", {"state": "ok", "committed_ns": 5}),
        ]
        for kind, record in everything:
            publisher.publish(kind, record)
        await until(lambda: reader.replica.n == publisher.n)
        assert reader.replica.day.snapshot() == publisher.day.snapshot()
        assert reader.replica.n == len(everything)
        assert reader.replica.day.view == fake.view(positions=(fake.position_view(),))
        assert [one.count for one in reader.replica.day.decisions.values()] == [2]

        late = StreamReader(tmp_path / "s", fake.HandClock())
        also_following = asyncio.create_task(late.run())
        await until(lambda: late.connected)
        assert late.replica.day.snapshot() == publisher.day.snapshot()
        assert (late.replica.n, publisher.faults) == (publisher.n, 0)
        await end(publisher, following, also_following)

    run(scenario())


RECORDS = st.one_of(
    st.builds(lambda m: ("candle", fake.candle(m)), st.integers(555, 929)),
    st.builds(
        lambda m, r, i, k: ("decision", fake.decision(m, reason=r, index=i, kind=k)),
        st.integers(0, 59),
        st.sampled_from(["spread_wide", "cooldown"]),
        st.sampled_from(["NIFTY", "SENSEX"]),
        st.sampled_from(["refusal", "refusal", "entry"]),
    ),
    st.builds(lambda n, p: ("trade", fake.trade_view(n, net_paise=p)), st.integers(1, 4), st.integers(-9999, 9999)),
    st.just(("notice", NOTICE)),
    st.builds(lambda m: ("view", fake.view(market=m)), st.sampled_from(["SIMULATED", "REAL"])),
)


@settings(max_examples=25, deadline=None)
@given(before=st.lists(RECORDS, max_size=12), after=st.lists(RECORDS, max_size=12))
def test_whatever_is_published_and_whenever_one_connects_the_copies_are_equal(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def scenario() -> None:
        clock = fake.HandClock()
        publisher = Publisher(clock, nobody)
        await publisher.start(tmp_path_factory.mktemp("s") / "s")
        for kind, record in before:
            publisher.publish(kind, record)
        reader = StreamReader(publisher._path, clock)
        following = asyncio.create_task(reader.run())
        await until(lambda: reader.connected)
        for kind, record in after:
            publisher.publish(kind, record)
            clock.move(NS_PER_SECOND)
        await until(lambda: reader.replica.n == publisher.n)
        assert reader.replica.day.snapshot() == publisher.day.snapshot()
        assert publisher.faults == 0
        await end(publisher, following)

    run(scenario())


def test_a_slow_reader_is_cut_off_and_resumes_from_a_snapshot_while_others_lose_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        publisher, reader, _, following = await pair(tmp_path / "s", backlog_bytes=100_000)
        _, slow = await asyncio.open_unix_connection(str(tmp_path / "s"), limit=1)  # reads a few bytes, then no more
        await until(lambda: len(publisher._watchers) == 2)
        sent = 0
        while not publisher.cut_off:
            publisher.publish("notice", {**NOTICE, "text": f"{sent} " + "x" * 20_000})
            sent += 1
            assert sent < 500, "a reader that never reads was never cut off"
            await until(lambda: reader.replica.n == publisher.n)
        assert publisher.cut_off == 1
        slow.close()

        back, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        size = int.from_bytes(await back.readexactly(4), "big")
        replica = Replica()
        assert replica.take(await back.readexactly(size), 1) is None
        assert replica.n == publisher.n == sent
        assert replica.day.snapshot() == publisher.day.snapshot()
        writer.close()
        await end(publisher, following)

    run(scenario())


def test_a_reader_that_was_cut_off_comes_back_by_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        publisher, reader, clock, following = await pair(tmp_path / "s", backlog_bytes=1_000)
        while not publisher.cut_off:  # no turn of the loop in between: nobody can read
            publisher.publish("notice", {**NOTICE, "text": "x" * 50_000})
        await until(lambda: not reader.connected)
        clock.move(NS_PER_SECOND)
        await until(lambda: reader.connected and reader.replica.n == publisher.n)
        assert reader.replica.day.snapshot() == publisher.day.snapshot()
        await end(publisher, following)

    run(scenario())


def test_a_skipped_number_is_refused_and_nothing_of_it_is_taken() -> None:
    replica = Replica()
    replica.take(frame(4, "snapshot", EMPTY), 1)
    replica.take(frame(5, "notice", NOTICE), 2)
    with pytest.raises(StreamGap, match=r"message 7 .* followed 5"):
        replica.take(frame(7, "notice", NOTICE), 3)
    assert (len(replica.day.notices), replica.n, replica.received_ns) == (1, 5, 2)


def test_a_message_before_the_snapshot_is_a_gap() -> None:
    with pytest.raises(StreamGap):
        Replica().take(frame(1, "notice", NOTICE), 1)


def test_after_a_gap_the_reader_connects_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        answers = iter(
            [
                [frame(5, "snapshot", EMPTY), frame(7, "notice", NOTICE)],
                [frame(9, "snapshot", EMPTY), frame(10, "notice", NOTICE)],
            ]
        )

        async def serve(stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for one in next(answers):
                writer.write(len(one).to_bytes(4, "big") + one)
            await stream.read()
            writer.close()

        server = await asyncio.start_unix_server(serve, path=str(tmp_path / "s"))
        clock = fake.HandClock()
        reader = StreamReader(tmp_path / "s", clock)
        following = asyncio.create_task(reader.run())
        await until(lambda: "StreamGap" in reader.detail)
        clock.move(NS_PER_SECOND)
        await until(lambda: reader.connected and reader.replica.n == 10)
        assert reader.detail == ""
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        server.close()
        await turns()

    run(scenario())


def test_at_most_four_views_a_second_are_sent_and_the_newest_wins(tmp_path: Path) -> None:
    async def scenario() -> None:
        publisher, reader, clock, following = await pair(tmp_path / "s")
        due = [publisher.view_due]
        for second in range(5):
            publisher.publish("view", fake.view(now_ns=fake.at(10, 42, second)))
        due.append(publisher.view_due)
        assert (due, publisher.n) == ([True, False], 1)
        await until(lambda: reader.replica.n == 1)
        assert reader.replica.day.view == fake.view(now_ns=fake.at(10, 42, 0))
        clock.move(249 * NS_PER_MS)
        await turns()
        assert publisher.n == 1
        clock.move(1 * NS_PER_MS)
        await until(lambda: reader.replica.n == 2)
        assert reader.replica.day.view == fake.view(now_ns=fake.at(10, 42, 4))
        await end(publisher, following)

    run(scenario())


def test_refusals_repeated_minute_after_minute_are_one_line_with_a_count() -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    for minute in (1, 2, 3):
        publisher.publish("decision", fake.decision(minute))
        publisher.publish("decision", fake.decision(minute, index="SENSEX", reason="watch_only"))
    publisher.publish("decision", fake.decision(4, kind="entry", reason="supertrend_adx"))
    publisher.publish("decision", fake.decision(5))
    publisher.publish("decision", fake.decision(6, direction=-1))
    lines = [
        (line.decision.index, line.decision.kind, line.count, line.first_ns, line.decision.at_ns)
        for line in publisher.day.decisions.values()
    ]
    assert lines == [
        ("NIFTY", "refusal", 3, fake.at(10, 1), fake.at(10, 3)),
        ("SENSEX", "refusal", 3, fake.at(10, 1), fake.at(10, 3)),
        ("NIFTY", "entry", 1, fake.at(10, 4), fake.at(10, 4)),
        ("NIFTY", "refusal", 1, fake.at(10, 5), fake.at(10, 5)),
        ("NIFTY", "refusal", 1, fake.at(10, 6), fake.at(10, 6)),
    ]
    assert next(iter(publisher.day.decisions.values())).decision.numbers["spread_paise"] == 103
    assert publisher.n == 9


def test_a_line_said_again_is_the_newest() -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    for index in ("NIFTY", "SENSEX", "NIFTY"):
        publisher.publish("decision", fake.decision(index=index))
    assert [line.decision.index for line in publisher.day.snapshot().decisions] == ["SENSEX", "NIFTY"]


def test_entries_are_never_counted_together() -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    publisher.publish("decision", fake.decision(1, kind="entry"))
    publisher.publish("decision", fake.decision(2, kind="entry"))
    assert [line.count for line in publisher.day.decisions.values()] == [1, 1]


def test_the_log_keeps_the_newest_two_thousand() -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    for number in range(2_005):
        publisher.publish("decision", fake.decision(number % 60, kind="entry"))
        publisher.publish("notice", NOTICE)
    assert len(publisher.day.decisions) == 2_000
    assert next(iter(publisher.day.decisions)) == 6
    assert len(publisher.day.notices) == 200


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("gossip", NOTICE),
        ("decision", {"nonsense": 1}),
        ("candle", {**fake.candle(600), "open": "24,500"}),
        ("notice", {**NOTICE, "at_ns": 2**70}),
        ("view", None),
        ("notice", {**NOTICE, "text": "\ud800"}),
    ],
)
def test_what_cannot_be_published_is_counted_and_never_raised(
    kind: str, record: object, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    publisher.publish(kind, record)
    assert (publisher.faults, publisher.n) == (1, 0)
    assert publisher.day.snapshot() == EMPTY
    assert repr(kind) in caplog.text


def test_a_notify_command_is_published_as_it_is() -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    publisher.publish("notice", Notify(at_ns=7, level="alarm", code="c", text="t"))
    (notice,) = publisher.day.notices
    assert (notice.at_ns, notice.level, notice.code, notice.text) == (7, "alarm", "c", "t")


def test_candles_of_the_day_only() -> None:
    publisher = Publisher(fake.HandClock(), nobody)
    yesterday = fake.DAY - timedelta(days=1)
    publisher.publish("candle", fake.candle(900, day=yesterday))
    publisher.publish("candle", fake.candle(555))
    publisher.publish("candle", fake.candle(901, day=yesterday))
    publisher.publish("candle", fake.candle(556))
    assert [candle.start_ns for candle in publisher.day.snapshot().candles] == [fake.at(9, 15), fake.at(9, 16)]


def test_a_view_of_another_day_begins_that_day() -> None:
    clock = fake.HandClock()
    publisher = Publisher(clock, nobody)
    publisher.publish("view", fake.view())
    publisher.publish("decision", fake.decision())
    publisher.publish("trade", fake.trade_view())
    clock.move(NS_PER_SECOND)
    publisher.publish("view", msgspec.structs.replace(fake.view(), day="2026-11-26"))
    assert (len(publisher.day.decisions), len(publisher.day.trades)) == (0, 0)


def test_words_reach_the_engine_and_what_is_no_word_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        heard: list[Word] = []
        clock = fake.HandClock()
        publisher = Publisher(clock, heard.append)
        await publisher.start(tmp_path / "s")
        reader = StreamReader(tmp_path / "s", clock)
        assert reader.say(OperatorWord.HALT) is False
        following = asyncio.create_task(reader.run())
        await until(lambda: reader.connected)
        assert reader.say(OperatorWord.HALT)
        assert reader.say(OperatorWord.CLOSE, "P1", by="phone")
        await until(lambda: len(heard) == 2)
        assert heard == [Word(OperatorWord.HALT, "", "page"), Word(OperatorWord.CLOSE, "P1", "phone")]

        for nonsense in (b"\x81\xa4word\xa5dance", b"\xc1", b"x" * 5_000):
            stranger, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(len(nonsense).to_bytes(4, "big") + nonsense)
            await stranger.read()  # to the end: the publisher hung up
            writer.close()
        assert len(heard) == 2
        await end(publisher, following)

    run(scenario())


def test_a_fault_in_the_engine_is_not_taken_for_a_fault_of_the_reader(tmp_path: Path) -> None:
    async def scenario() -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

        def poisoned(word: Word) -> None:
            raise RuntimeError(word.word)

        clock = fake.HandClock()
        publisher = Publisher(clock, poisoned)
        await publisher.start(tmp_path / "s")
        reader = StreamReader(tmp_path / "s", clock)
        following = asyncio.create_task(reader.run())
        await until(lambda: reader.connected)
        reader.say(OperatorWord.KILL)
        await until(lambda: faults)
        assert isinstance(faults[0], RuntimeError)
        publisher.publish("notice", NOTICE)
        await until(lambda: reader.replica.n == 1)
        await end(publisher, following)

    run(scenario())


def test_the_socket_is_its_owners_and_a_dead_ones_is_replaced_but_a_live_ones_is_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = Publisher(fake.HandClock(), nobody)
        await first.start(tmp_path / "s")
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        with pytest.raises(SecondInstance, match="another engine already publishes at"):
            await Publisher(fake.HandClock(), nobody).start(tmp_path / "s")
        await turns()
        await end(first)
        assert not (tmp_path / "s").exists()

        with socket.socket(socket.AF_UNIX) as dead:  # a process that died leaves its file behind
            dead.bind(str(tmp_path / "s"))
        second = Publisher(fake.HandClock(), nobody)
        await second.start(tmp_path / "s")
        await end(second)

    run(scenario())


def test_where_a_unix_socket_cannot_be_a_private_file_leads_to_a_locked_port(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / ("deep" * 30)
        folder.mkdir()
        publisher, reader, _, following = await pair(folder / "s")
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600
        publisher.publish("notice", NOTICE)
        await until(lambda: reader.replica.n == 1)

        port = msgspec.json.decode((folder / "s").read_bytes())["port"]
        stranger, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((5).to_bytes(4, "big") + b"guess")
        assert await stranger.read() == b""
        writer.close()
        await end(publisher, following)

    run(scenario())


def test_age_is_the_time_since_the_engine_was_last_heard(tmp_path: Path) -> None:
    async def scenario() -> None:
        publisher, reader, clock, following = await pair(tmp_path / "s")
        clock.move(3 * NS_PER_SECOND)
        assert reader.age_ns == 3 * NS_PER_SECOND
        publisher.publish("notice", NOTICE)
        await until(lambda: reader.age_ns == 0)
        await end(publisher, following)
        assert StreamReader(tmp_path / "s", clock).age_ns is None

    run(scenario())


def test_a_watcher_gets_the_whole_then_changes_then_signs_of_life(tmp_path: Path) -> None:
    async def scenario() -> None:
        publisher, reader, clock, following = await pair(tmp_path / "s")
        batches = reader.batches()

        async def following_batch() -> Batch:
            task = asyncio.ensure_future(anext(batches))
            for _ in range(20):
                await asyncio.sleep(0)
                if task.done():
                    break
                clock.move(250 * NS_PER_MS)
            return await task

        assert (await following_batch()).snapshot == EMPTY
        publisher.publish("view", fake.view(now_ns=fake.at(10, 1)))
        publisher.publish("candle", fake.candle(600))
        publisher.publish("notice", NOTICE)
        await until(lambda: reader.replica.n == 3)
        batch = await following_batch()
        assert (batch.snapshot, batch.view) == (None, fake.view(now_ns=fake.at(10, 1)))
        assert (len(batch.candles), len(batch.notices), len(batch.trades)) == (1, 1, 0)
        before_ns = clock.now_ns()
        assert await following_batch() == Batch()
        assert clock.now_ns() - before_ns == NS_PER_SECOND
        await batches.aclose()
        assert not reader._pending
        await end(publisher, following)

    run(scenario())


def test_a_watcher_too_far_behind_gets_the_whole_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_module, "KEPT_PENDING", 3)

    async def scenario() -> None:
        publisher, reader, clock, following = await pair(tmp_path / "s")
        batches = reader.batches()
        await anext(batches)
        for _ in range(4):
            publisher.publish("notice", NOTICE)
        await until(lambda: reader.replica.n == 4)
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        clock.move(250 * NS_PER_MS)
        batch = await waiting
        assert batch.snapshot is not None
        assert len(batch.snapshot.notices) == 4
        assert batch.notices == ()
        await end(publisher, following)

    run(scenario())
