"""The Redis mirror against a real server: keys and units, expiry, and every way in which a server is not there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from algo_scalper.adapters.redis_server import (
    CHUNK,
    Append,
    Change,
    Drop,
    Put,
    RedisServer,
    RedisTrouble,
    Standing,
    shown_address,
)
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.api.health import health
from algo_scalper.interfaces.api.settings import EngineState
from algo_scalper.interfaces.cli.main import app
from algo_scalper.runtime import redis_mirror
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.doctor import on_this_machine
from algo_scalper.runtime.doctor.checkup import Surroundings
from algo_scalper.runtime.doctor.lines import Light, Line
from algo_scalper.runtime.publish import (
    Batch,
    DayRecord,
    DecisionLine,
    IndexCandle,
    Notice,
    Publisher,
    Snapshot,
    StreamReader,
)
from algo_scalper.runtime.redis_mirror import AGAIN_NS, KEEP_S, KEPT_EVENTS, MirrorView, RedisMirror
from algo_scalper.runtime.redis_rows import occurrences, pnl_row, rupees, tick_key, tick_row
from algo_scalper.runtime.settings import load_settings
from tests.unit.desk import fake_day as fake
from tests.valkey_server import ValkeyServer, until, valkey

CALL = instrument_key(Segment.NSE_FNO, 42_229)
NOW = fake.at(10, 42)
INDEX_TICK = Tick(NOW, NIFTY.key, NOW // NS_PER_SECOND, 24_512_30)
CALL_TICK = Tick(NOW, CALL, NOW // NS_PER_SECOND, 124_25, 124_15, 124_35, 650, 1_300, 81_250, 1_200_500)
CANDLE = msgspec.convert(fake.candle(600), IndexCandle)
PASSWORD = "p@ss:w/rd"


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a unix socket."""
    made = Path(tempfile.mkdtemp(prefix="mirror-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mirror writes as often as it can: what is tested is what it writes, and a test does not wait."""
    monkeypatch.setattr(redis_mirror, "GAP_NS", NS_PER_MS)
    monkeypatch.setattr(redis_mirror, "BEAT_NS", 5 * NS_PER_MS)


class Desk:
    """An engine's publisher, and a mirror of it that runs."""

    def __init__(self, publisher: Publisher, mirror: RedisMirror, said: list[str]) -> None:
        self.publisher = publisher
        self.mirror = mirror
        self.said = said
        self.ticks: dict[int, Tick] = {}

    @property
    def state(self) -> str:
        return self.mirror.view.state

    async def stands(self, standing: str) -> None:
        await until(lambda: self.state == standing)

    async def written(self) -> None:
        """What is published by now has been written: the write after the next one is whole."""
        await until(lambda: self.publisher._view_waiting is None)
        await until(lambda: self.mirror.reader.replica.n == self.publisher.n)
        keys = self.mirror.view.keys
        await until(lambda: self.mirror.view.keys > keys)
        keys = self.mirror.view.keys
        await until(lambda: self.mirror.view.keys > keys)

    def tick(self, tick: Tick) -> None:
        self.ticks[tick.key] = tick
        self.publisher.offer_ticks(tick.at_ns, self.ticks)


@asynccontextmanager
async def desk(folder: Path, url: str, *, within_s: float = 2.0, source: str = "PAPER@var") -> AsyncIterator[Desk]:
    clock = SystemClock(NOW)
    publisher = Publisher(clock, lambda word: pytest.fail(f"unexpected: {word}"))
    await publisher.start(folder / "e")
    said: list[str] = []
    mirror = RedisMirror(
        url, folder / "e", clock, source=source, say=said.append, retry_ns=20 * NS_PER_MS, within_s=within_s
    )
    running = asyncio.create_task(mirror.run())
    try:
        yield Desk(publisher, mirror, said)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await publisher.close()
        for _ in range(50):
            await asyncio.sleep(0)


async def events(server: ValkeyServer, kind: str) -> list[dict[str, str]]:
    entries = await server.do("XRANGE", "scalper:events", "-", "+")
    return [fields for _, fields in entries if fields["kind"] == kind]


async def notices(server: ValkeyServer) -> list[str]:
    return [json.loads(one["body"])["text"] for one in await events(server, "notice")]


# ---- what is written ---------------------------------------------------------------------------------------------


def test_an_index_has_a_price_and_no_book() -> None:
    assert tick_key(NIFTY.key) == "tick:IDX_I:13"
    assert tick_row(INDEX_TICK) == {
        "segment": "IDX_I",
        "security_id": 13,
        "kind": "quote",
        "ltp": "24512.30",
        "ts": 1_795_583_520,
        "received_at_ms": 1_795_583_520_000,
    }


def test_a_contract_has_the_book_the_volume_and_the_open_interest() -> None:
    assert tick_key(CALL) == "tick:NSE_FNO:42229"
    row = tick_row(CALL_TICK)
    assert row["kind"] == "full"
    assert {name: row[name] for name in ("ltp", "bid", "ask", "bid_total", "ask_total", "vol", "oi")} == {
        "ltp": "124.25",
        "bid": "124.15",
        "ask": "124.35",
        "bid_total": 650,
        "ask_total": 1_300,
        "vol": 81_250,
        "oi": 1_200_500,
    }


def test_a_side_that_is_empty_is_left_out() -> None:
    row = tick_row(msgspec.structs.replace(CALL_TICK, bid_paise=0, bid_total=0))
    assert "bid" not in row
    assert row["kind"] == "full"


def test_pnl_is_in_rupees_and_percent() -> None:
    """65 bought at 118.40, now 124.25, at best 126.80: 5.85 and 8.40 a piece."""
    position = fake.position_view()
    row = pnl_row(position, fake.view(positions=(position,)))
    assert {name: row[name] for name in ("pnl", "pnl_pct", "hwm_pnl", "hwm_pnl_pct", "drawdown_rupees")} == {
        "pnl": "380.25",
        "pnl_pct": "4.94",
        "hwm_pnl": "546.00",
        "hwm_pnl_pct": "7.09",
        "drawdown_rupees": "165.75",
    }
    assert (row["ltp"], row["entry_price"], row["quantity"]) == ("124.25", "118.40", 65)
    assert row["capital_deployed"] == "7696.00"
    assert row["net_pnl"] == "308.85", "5.75 x 65 = 373.75 at the bid, less 64.90 of charges"
    assert (row["paper"], row["direction"], row["index_key"]) == ("1", "bullish", "NIFTY")
    assert row["entry_timestamp"] == fake.at(10, 31, 4) // NS_PER_SECOND


def test_a_loss_is_negative_and_its_best_is_never_under_nothing() -> None:
    position = msgspec.structs.replace(fake.position_view(), ltp_paise=100_05, high_water_paise=118_00)
    row = pnl_row(position, fake.view(positions=(position,)))
    assert (row["pnl"], row["pnl_pct"]) == ("-1192.75", "-15.50")
    assert (row["hwm_pnl"], row["drawdown_rupees"]) == ("0.00", "1192.75")


@given(st.integers(-(10**12), 10**12))
def test_rupees_are_exact(paise: int) -> None:
    assert Decimal(rupees(paise)) == Decimal(paise) / 100


def test_a_snapshot_tells_what_its_records_told_one_by_one() -> None:
    view = fake.view()
    notice = Notice(NOW, "info", "x", "hello")
    line = DecisionLine(1, 1, NOW, fake.decision(1))
    single = [
        *occurrences(Batch(view=view)),
        *occurrences(Batch(notices=(notice,))),
        *occurrences(Batch(decisions=(line,))),
        *occurrences(Batch(candles=(CANDLE,))),
        *occurrences(Batch(trades=(fake.trade_view(),))),
    ]
    whole = Snapshot(view, (CANDLE,), (line,), (fake.trade_view(),), (notice,), None)
    told = occurrences(Batch(snapshot=whole))
    assert {one.id for one in told} == {one.id for one in single}
    assert [one.at_ns for one in told] == sorted(one.at_ns for one in told)
    assert len({one.id for one in told}) == len(told)


# ---- the address -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://me:secret@host/3?password=secret", "redis://host:6379/3"),
        ("rediss://:secret@cache.example:6380", "rediss://cache.example:6380"),
        ("redis://[::1]:6379/1", "redis://[::1]:6379/1"),
        ("unix://me:secret@/run/valkey.sock?db=2&password=secret", "unix:///run/valkey.sock"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert shown_address(url) == shown
    assert RedisServer(url).where == shown


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1", "redis://", "unix://", "redis://:sec/ret@host", "redis://host:port", "secret", ""]
)
def test_what_is_no_address_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL is no address") as said:
        RedisServer(url)
    assert "sec" not in str(said.value)


async def test_an_address_that_is_none_stops_the_mirror_alone(folder: Path) -> None:
    async with desk(folder, "redis://:sec/ret@host") as running:
        await running.stands("refused")
        assert "REDIS_URL is no address" in running.mirror.view.detail
        assert "trading goes on without it" in running.said[0]
        assert "sec" not in repr((running.mirror.view, running.said))


async def test_without_the_client_the_mirror_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    async with desk(folder, "redis://127.0.0.1") as running:
        await running.stands("refused")
        assert "pip install 'algo-scalper[redis]'" in running.mirror.view.detail


async def test_rediss_speaks_tls(folder: Path) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(3))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        async with desk(folder, f"rediss://:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}/0") as running:
            await running.stands("away")
            assert running.mirror.view.where == f"rediss://127.0.0.1:{port}/0"
    assert heard[0][:2] == b"\x16\x03", "a TLS handshake"


# ---- prices on the stream ----------------------------------------------------------------------------------------


@asynccontextmanager
async def following(folder: Path, *, ticks: bool) -> AsyncIterator[tuple[Publisher, StreamReader]]:
    publisher = Publisher(fake.HandClock(), lambda word: pytest.fail(f"unexpected: {word}"))
    await publisher.start(folder / "e")
    reader = StreamReader(folder / "e", fake.HandClock(), ticks=ticks)
    running = asyncio.create_task(reader.run())
    await until(lambda: reader.connected)
    try:
        yield publisher, reader
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await publisher.close()
        for _ in range(50):
            await asyncio.sleep(0)


async def offered(publisher: Publisher, ticks: dict[int, Tick], came: Callable[[], object]) -> None:
    """Offer until the wish to follow has reached the publisher and the prices have come."""

    def seen() -> object:
        publisher.offer_ticks(NOW, ticks)
        return came()

    await until(seen)


async def test_prices_go_to_who_asked_and_take_no_number(folder: Path) -> None:
    async with following(folder, ticks=True) as (publisher, reader), asyncio.timeout(60):
        page = StreamReader(folder / "e", fake.HandClock())
        looking = asyncio.create_task(page.run())
        await until(lambda: page.connected)
        await offered(publisher, {NIFTY.key: INDEX_TICK}, lambda: reader.replica.ticks)
        publisher.publish("notice", Notice(NOW, "info", "x", "after the price"))
        await until(lambda: reader.replica.n == page.replica.n == 1)
        assert reader.replica.ticks == {NIFTY.key: INDEX_TICK}
        assert page.replica.ticks == {}
        assert reader.replica.day.snapshot() == page.replica.day.snapshot()
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_only_what_changed_is_sent_and_all_of_it_to_a_newcomer(folder: Path) -> None:
    async with following(folder, ticks=True) as (publisher, reader):
        ticks = {NIFTY.key: INDEX_TICK, CALL: CALL_TICK}
        await offered(publisher, ticks, lambda: len(reader.replica.ticks) == 2)
        batches = reader.batches()
        assert len((await anext(batches)).ticks) == 2
        newer = msgspec.structs.replace(CALL_TICK, ltp_paise=125_00)
        publisher.offer_ticks(NOW, ticks | {CALL: newer})
        publisher.offer_ticks(NOW, ticks | {CALL: newer})
        await until(lambda: reader.replica.ticks[CALL] == newer)
        pending = next(iter(reader._pending))
        assert list(pending.ticks.values()) == [newer]
        await batches.aclose()
        late = StreamReader(folder / "e", fake.HandClock(), ticks=True)
        also = asyncio.create_task(late.run())
        await offered(publisher, ticks | {CALL: newer}, lambda: len(late.replica.ticks) == 2)
        also.cancel()
        await asyncio.gather(also, return_exceptions=True)


async def test_nobody_looks_at_prices_while_nobody_asked(folder: Path) -> None:
    class Untouched(dict[int, Tick]):
        def items(self) -> Any:
            raise AssertionError("the prices were looked at")

    async with following(folder, ticks=False) as (publisher, _):
        publisher.offer_ticks(NOW, Untouched({CALL: CALL_TICK}))
        assert publisher.faults == 0


async def test_a_reader_that_takes_no_prices_is_cut_and_the_publisher_goes_on(folder: Path) -> None:
    publisher = Publisher(fake.HandClock(), lambda word: pytest.fail(f"unexpected: {word}"), backlog_bytes=10_000)
    await publisher.start(folder / "e")
    stuck, writer = await asyncio.open_unix_connection(str(folder / "e"), limit=1_000)
    follow = msgspec.msgpack.encode({"what": "follow", "ticks": True})
    writer.write(len(follow).to_bytes(4, "big") + follow)
    number = 0

    def cut() -> int:
        nonlocal number
        number += 1
        publisher.offer_ticks(NOW, {key: Tick(NOW + number, key, 1, number + 1) for key in range(500)})
        return publisher.cut_off

    await until(cut)
    assert not publisher._watchers
    assert stuck.at_eof() is False
    writer.close()
    await publisher.close()
    for _ in range(50):
        await asyncio.sleep(0)


async def test_prices_that_cannot_be_sent_are_counted_and_raise_nothing(folder: Path) -> None:
    async with following(folder, ticks=True) as (publisher, reader):
        await offered(publisher, {CALL: CALL_TICK}, lambda: reader.replica.ticks)
        publisher.offer_ticks(NOW, {CALL: msgspec.structs.replace(CALL_TICK, oi=1 << 70)})
        assert publisher.faults == 1
        publisher.offer_ticks(NOW, {CALL: msgspec.structs.replace(CALL_TICK, oi=7)})
        await until(lambda: reader.replica.ticks[CALL].oi == 7)


# ---- the copy ----------------------------------------------------------------------------------------------------


async def test_prices_pnl_status_and_events_are_there_and_all_expire(server: ValkeyServer, folder: Path) -> None:
    async with desk(folder, server.url()) as running:
        position = fake.position_view()
        running.publisher.publish("view", fake.view(positions=(position,)))
        running.publisher.publish("decision", fake.decision(1))
        await running.stands("up")
        running.tick(CALL_TICK)
        running.tick(INDEX_TICK)
        await running.written()
        left = await server.keys()
        assert set(left) == {
            "tick:NSE_FNO:42229",
            "tick:IDX_I:13",
            f"pnl:tracker:{position.id}",
            "scalper:status",
            "scalper:events",
        }
        assert all(0 < ttl <= KEEP_S * 1000 for key, ttl in left.items() if key != "scalper:events")
        assert 0 < left["scalper:events"] <= 7 * 24 * 3600 * 1000
        assert (await server.do("HGETALL", "tick:NSE_FNO:42229"))["bid"] == "124.15"
        pnl = await server.do("HGETALL", f"pnl:tracker:{position.id}")
        assert (pnl["pnl"], pnl["market"], pnl["paper"]) == ("380.25", "SIMULATED", "1")
        assert abs(int(pnl["updated_at"]) - NOW // NS_PER_SECOND) < 60
        status = await server.do("HGETALL", "scalper:status")
        assert (status["source"], status["engine"], status["market"]) == ("PAPER@var", "up", "SIMULATED")
        (decision,) = await events(server, "decision")
        assert decision["source"] == "PAPER@var"
        assert json.loads(decision["body"]) == msgspec.to_builtins(fake.decision(1))


async def test_a_closed_position_goes_and_fields_of_somebody_else_do_not_stay(
    server: ValkeyServer, folder: Path
) -> None:
    await server.do("HSET", "tick:NSE_FNO:42229", "atp", "99.9")
    await server.do("SET", "tick:IDX_I:13", "no hash at all")
    async with desk(folder, server.url()) as running:
        position = fake.position_view()
        running.publisher.publish("view", fake.view(positions=(position,)))
        await running.stands("up")
        running.tick(CALL_TICK)
        running.tick(INDEX_TICK)
        await running.written()
        assert "atp" not in await server.do("HGETALL", "tick:NSE_FNO:42229")
        assert await server.do("HGET", "tick:IDX_I:13", "ltp") == "24512.30"
        assert await server.do("EXISTS", f"pnl:tracker:{position.id}") == 1
        running.publisher.publish("view", fake.view())
        await running.written()
        assert await server.do("EXISTS", f"pnl:tracker:{position.id}") == 0


async def test_a_position_that_is_not_filled_yet_has_no_pnl(server: ValkeyServer, folder: Path) -> None:
    async with desk(folder, server.url()) as running:
        entering = msgspec.structs.replace(fake.position_view(), held=0, average_paise=0)
        running.publisher.publish("view", fake.view(positions=(entering,)))
        await running.stands("up")
        await running.written()
        assert await server.do("KEYS", "pnl:*") == []


async def test_a_desk_that_starts_again_tells_no_event_twice(server: ValkeyServer, folder: Path) -> None:
    for _ in range(2):
        async with desk(folder, server.url()) as running:
            for number in (1, 2, 3):
                running.publisher.publish("notice", Notice(NOW + number, "info", "x", f"{number}"))
            await running.stands("up")
            await running.written()
    assert await notices(server) == ["1", "2", "3"]


async def test_two_engines_on_one_server_tell_their_own(server: ValkeyServer, folder: Path) -> None:
    for source in ("PAPER@var", "PAPER-REAL@var"):
        async with desk(folder, server.url(), source=source) as running:
            running.publisher.publish("notice", Notice(NOW, "info", "x", "hello"))
            await running.stands("up")
            await running.written()
    assert [one["source"] for one in await events(server, "notice")] == ["PAPER@var", "PAPER-REAL@var"]


async def test_the_stream_is_bounded(server: ValkeyServer) -> None:
    asked = RedisServer(server.url())
    entries: list[Change] = [Append("s", {"id": str(number)}, 200, 60_000) for number in range(1_000)]
    await asked.write(entries)
    kept = await server.do("XLEN", "s")
    assert 200 <= kept <= 200 + 2 * CHUNK, "trimmed by whole blocks of the server's"
    newest = await asked.values_in("s", "id", KEPT_EVENTS)
    assert newest == [str(number) for number in range(999, 999 - kept, -1)]
    await asked.close()


class Bench:
    """A mirror whose batches the test makes, on a clock moved by hand."""

    def __init__(self, server: ValkeyServer) -> None:
        self.clock = fake.HandClock(NOW)
        self.mirror = RedisMirror(server.url(), "nowhere", self.clock, source="t")
        self.server = RedisServer(server.url())
        self.hear()

    def hear(self, ticks_at_ns: int = NOW) -> None:
        self.mirror.reader.replica.received_ns = self.clock.now_ns()
        self.mirror.reader.replica.ticks_at_ns = ticks_at_ns

    async def write(self, batch: Batch) -> None:
        await self.mirror._write(self.server, batch)


async def test_an_old_price_gets_what_is_left_of_its_time_and_a_dead_one_none(server: ValkeyServer) -> None:
    bench = Bench(server)
    bench.hear(NOW + 40 * NS_PER_SECOND)
    await bench.write(Batch(ticks=(CALL_TICK,)))
    assert 15_000 < await server.do("PTTL", "tick:NSE_FNO:42229") <= 20_000
    bench.clock.move(25 * NS_PER_SECOND)  # the engine is silent: its last prices grow old all the same
    await server.do("DEL", "tick:NSE_FNO:42229")
    await bench.write(Batch(ticks=(CALL_TICK,)))
    assert await server.do("EXISTS", "tick:NSE_FNO:42229") == 0
    assert await server.do("HGET", "scalper:status", "engine") == "silent"
    await bench.server.close()


async def test_pnl_of_an_engine_that_fell_silent_does_not_come_back(server: ValkeyServer) -> None:
    bench = Bench(server)
    view = fake.view(positions=(fake.position_view(),))
    await bench.write(Batch(view=view))
    assert len(await server.do("KEYS", "pnl:*")) == 1
    bench.clock.move((KEEP_S + 1) * NS_PER_SECOND)
    await bench.write(Batch(snapshot=Snapshot(view, (), (), (), (), None)))
    assert await server.do("KEYS", "pnl:*") == []
    await bench.server.close()


async def test_unchanged_pnl_is_written_again_only_to_keep_it(server: ValkeyServer) -> None:
    bench = Bench(server)
    batch = Batch(view=fake.view(positions=(fake.position_view(),)))
    key = f"pnl:tracker:{fake.position_view().id}"
    await bench.write(batch)
    await server.do("HSET", key, "mark", "1")
    await bench.write(batch)
    assert await server.do("HEXISTS", key, "mark") == 1
    bench.clock.move(AGAIN_NS)
    bench.hear()
    await bench.write(batch)
    assert await server.do("HEXISTS", key, "mark") == 0
    await bench.server.close()


# ---- a server that is not there, slow, full, or says no ----------------------------------------------------------


async def test_killed_and_started_again_in_mid_stream(server: ValkeyServer, folder: Path) -> None:
    async with desk(folder, server.url()) as running:
        position = fake.position_view()
        running.publisher.publish("view", fake.view(positions=(position,)))
        running.publisher.publish("notice", Notice(NOW, "info", "x", "before"))
        await running.stands("up")
        running.tick(CALL_TICK)
        await running.written()
        server.kill()
        await running.stands("away")
        running.publisher.publish("notice", Notice(NOW + 1, "info", "x", "while it was away"))
        running.tick(msgspec.structs.replace(CALL_TICK, ltp_paise=130_00))
        running.publisher.publish("view", fake.view())
        server.start()
        await running.stands("up")
        await running.written()
        assert await notices(server) == ["before", "while it was away"]
        assert await server.do("HGET", "tick:NSE_FNO:42229", "ltp") == "130.00"
        assert await server.do("KEYS", "pnl:*") == []
        assert running.mirror.view.outages == 1
        assert running.publisher.cut_off == running.publisher.faults == 0
        assert [line.split(":")[1].split()[0] for line in running.said] == ["up", "away", "up"]


async def test_a_position_closed_while_the_connection_was_away_goes_on_its_return(
    server: ValkeyServer, folder: Path
) -> None:
    async with desk(folder, server.url()) as running:
        running.publisher.publish("view", fake.view(positions=(fake.position_view(),)))
        await running.stands("up")
        await running.written()
        await server.do("CONFIG", "SET", "maxmemory", "1")
        running.publisher.publish("view", fake.view())
        await running.stands("full")
        assert len(await server.do("KEYS", "pnl:*")) == 1
        await server.do("CONFIG", "SET", "maxmemory", "0")
        await running.stands("up")
        await running.written()
        assert await server.do("KEYS", "pnl:*") == []


async def test_what_is_held_is_there_again_at_once_after_the_server_forgot_it(
    server: ValkeyServer, folder: Path
) -> None:
    async with desk(folder, server.url()) as running:
        running.publisher.publish("view", fake.view(positions=(fake.position_view(),)))
        await running.stands("up")
        await running.written()
        server.kill()
        await running.stands("away")
        server.start()
        await running.stands("up")
        assert len(await server.do("KEYS", "pnl:*")) == 1


async def test_a_server_that_is_not_there_yet(folder: Path, server: ValkeyServer) -> None:
    server.kill()
    async with desk(folder, server.url()) as running:
        await running.stands("away")
        server.start()
        await running.stands("up")
        assert running.mirror.view.outages == 0


async def test_a_slow_server_is_waited_for_within_bounds(server: ValkeyServer, folder: Path) -> None:
    async with desk(folder, server.url(), within_s=0.2) as running:
        await running.stands("up")
        await server.do("CLIENT", "PAUSE", 600_000, "WRITE")
        await running.stands("slow")
        assert "no answer within 0.2 s" in running.mirror.view.detail
        for number in range(6_000):  # more than is kept for any reader
            running.publisher.publish("notice", Notice(NOW + number, "info", "x", f"{number}"))
            if number % 50 == 0:
                await asyncio.sleep(0)
        await until(lambda: running.mirror.reader.replica.n == running.publisher.n)
        assert all(len(pending.records) <= 5_000 for pending in running.mirror.reader._pending)
        assert running.publisher.cut_off == 0
        await server.do("CLIENT", "UNPAUSE")
        await running.stands("up")
        await running.written()
        told = await notices(server)
        assert told[-1] == "5999"
        assert len(told) == len(set(told)), "an answer that was lost does not tell an event twice"


async def test_a_full_server_loses_nothing_that_is_still_true(server: ValkeyServer, folder: Path) -> None:
    async with desk(folder, server.url()) as running:
        await running.stands("up")
        await server.do("CONFIG", "SET", "maxmemory", "1")
        running.tick(CALL_TICK)
        await running.stands("full")
        assert "maxmemory" in running.mirror.view.detail
        assert await server.do("EXISTS", "tick:NSE_FNO:42229") == 0
        running.publisher.publish("notice", Notice(NOW, "alarm", "x", "in the meantime"))
        await server.do("CONFIG", "SET", "maxmemory", "0")
        await running.stands("up")
        await running.written()
        assert await server.do("HGET", "tick:NSE_FNO:42229", "ltp") == "124.25"
        assert await notices(server) == ["in the meantime"]


async def test_a_wrong_password_is_refused_and_never_shown(server: ValkeyServer, folder: Path) -> None:
    await server.do("CONFIG", "SET", "requirepass", PASSWORD)
    url = f"unix://:{'wrong-secret'}@{server.socket}"
    async with desk(folder, url) as running:
        await running.stands("refused")
        assert "wrong-secret" not in repr((running.mirror.view, running.said))
    async with desk(folder, server.url(PASSWORD)) as running:
        await running.stands("up")
        assert PASSWORD not in repr((running.mirror.view, running.said))


async def test_a_password_somebody_repeats_is_masked(server: ValkeyServer) -> None:
    asked = RedisServer(server.url(PASSWORD))
    assert asked._text(OSError(f"cannot reach {PASSWORD}")).endswith(": cannot reach ***")
    await asked.close()


async def test_a_chunk_is_written_whole_or_not_at_all(server: ValkeyServer) -> None:
    asked = RedisServer(server.url())
    await server.do("SET", "a", "stays")
    await server.do("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RedisTrouble) as trouble:
        await asked.write([Drop("a"), Put("b", {"x": 1}, 1_000), Append("c", {"x": 1}, 10, 1_000)])
    assert trouble.value.standing is Standing.FULL
    assert await server.keys() == {"a": -1}
    await asked.close()


async def test_a_mistake_of_ours_is_shown_and_begun_again(
    server: ValkeyServer, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(folder, server.url()) as running:
        await running.stands("up")
        with monkeypatch.context() as patched:
            patched.setattr(RedisMirror, "_status", lambda *_: 1 // 0)
            await running.stands("fault")
            assert "ZeroDivisionError" in running.mirror.view.detail
        await running.stands("up")
    assert "the Redis mirror broke" in caplog.text


def test_a_mirror_that_is_away_is_told_and_is_no_trouble() -> None:
    away = MirrorView("away", "redis://h:6379", "gone", 12.0, 0.4, 10, 2, 1)
    code, body = health(
        DayRecord(), age_ns=0, engine=EngineState("running"), version="1", market="REAL", money="PAPER", mirror=away
    )
    assert (code, body["troubles"]) == (200, [])
    assert (body["mirror"]["state"], body["mirror"]["detail"]) == ("away", "gone")


# ---- the doctor and the commands ---------------------------------------------------------------------------------


async def examined(folder: Path, url: str) -> Line:
    settings = load_settings({"REDIS_URL": url}, folder / "none")
    clock = SystemClock(NOW)
    (line,) = await on_this_machine.redis(Surroundings(clock, clock, settings, folder, folder / "none"))
    return line


async def test_the_doctor_sees_a_server_that_is_well_full_or_says_no(server: ValkeyServer, folder: Path) -> None:
    line = await examined(folder, server.url())
    assert line.light is Light.GREEN
    assert f"unix://{server.socket} answers in" in line.value
    await server.do("CONFIG", "SET", "maxmemory", "1")
    line = await examined(folder, server.url())
    assert (line.light, line.value.split(":")[0]) == (Light.AMBER, "full")
    assert "maxmemory" in line.remedy
    await server.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert (await examined(folder, server.url())).light is Light.GREEN, "it makes room by itself"
    await server.do("CONFIG", "SET", "requirepass", PASSWORD)
    line = await examined(folder, f"unix://:wrong-secret@{server.socket}")
    assert (line.light, line.value.split(":")[0]) == (Light.AMBER, "refused")
    assert "wrong-secret" not in str(line)


async def test_the_doctor_without_the_client(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    line = await examined(folder, "redis://127.0.0.1")
    assert line.light is Light.AMBER
    assert "pip install 'algo-scalper[redis]'" in line.remedy


def scalper(*words: str) -> tuple[int, str]:
    """A command as a person calls it: its exit code and what it printed."""
    done = CliRunner().invoke(app, ["redis", *words])
    return done.exit_code, done.output


def test_ping_and_show(server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", server.url())
    code, said = scalper("ping")
    assert code == 0
    assert said.startswith(f"unix://{server.socket} answers in ")
    written: list[Change] = [
        Put(tick_key(NIFTY.key), tick_row(INDEX_TICK), 60_000),
        Append("scalper:events", {"id": "n:1", "kind": "notice"}, 10, 60_000),
    ]
    asked = RedisServer(server.url())

    async def write() -> None:
        await asked.write(written)
        await asked.close()

    asyncio.run(write())
    code, said = scalper("show", "tick:IDX_I:13")
    assert code == 0
    assert said.splitlines()[0] == "tick:IDX_I:13   hash, expires in 60 s"
    assert "  ltp             24512.30" in said.splitlines()
    assert json.loads(scalper("show", "tick:IDX_I:13", "--json")[1])["value"]["ltp"] == "24512.30"
    assert scalper("show", "tick:*") == (0, "tick:IDX_I:13\n")
    assert "id=n:1  kind=notice" in scalper("show", "scalper:events")[1]
    assert scalper("show", "nothing")[0] == scalper("show", "nothing*")[0] == 1


def test_ping_of_a_server_that_is_gone_or_none_at_all(server: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", server.url(PASSWORD))
    server.kill()
    code, said = scalper("ping")
    assert code == 1
    assert said.startswith("away: ")
    assert PASSWORD not in said
    monkeypatch.setenv("REDIS_URL", "")
    with pytest.raises(ConfigError, match="REDIS_URL is empty"):
        CliRunner().invoke(app, ["redis", "ping"], catch_exceptions=False)


async def test_a_cancellation_is_never_lost_in_the_client(server: ValkeyServer) -> None:
    """Ended at every moment of its work, also while the client turns the end into a fault of its own."""
    await server.do("CONFIG", "SET", "requirepass", PASSWORD)

    async def ask_for_ever(asked: RedisServer) -> None:
        while True:
            with contextlib.suppress(RedisTrouble):
                await asked.write([Put("a", {"x": 1}, 1_000)])
            await asked.close()

    for password in ("wrong", PASSWORD):
        asked = RedisServer(server.url(password))
        for turns in range(120):
            asking = asyncio.create_task(ask_for_ever(asked))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            async with asyncio.timeout(60):
                await asyncio.wait({asking})
            assert asking.cancelled()
        await asked.close()
