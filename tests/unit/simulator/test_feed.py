"""The market feed: packets decoded with the adapter's decoder, and the connection's manners."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from algo_scalper.adapters.dhan.packets import (
    Code,
    FeedDecoder,
    decode_previous_close,
    decode_quote,
    disconnect_reason,
    packet_code,
    split_packets,
)
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.interfaces.simulator.faults import FeedRefusal
from algo_scalper.interfaces.simulator.feed import MESSAGE_BYTES, FeedSession, Mode
from algo_scalper.interfaces.simulator.outbox import End
from algo_scalper.interfaces.simulator.server import SimulatorServer
from algo_scalper.interfaces.simulator.tape import Tape
from algo_scalper.simulation.day_range import DayRanges
from algo_scalper.simulation.world import Quoted
from tests.unit.simulator.stage import (
    HandClock,
    SteppedEngine,
    Visitor,
    market_of,
    near_call,
    serving,
    subscribe,
    world_of,
)

TICKS = {contract.key: contract.tick_paise for contract in market_of().contracts} | {
    NIFTY.key: 5,
    SENSEX.key: 1,
    INDIA_VIX_KEY: 5,
}


def packets(frames: list[bytes]) -> list[bytes]:
    """Every packet by itself."""
    found = []
    for frame in frames:
        offsets, torn = split_packets(frame)
        assert torn is None
        found += [frame[at:end] for at, end in zip(offsets, [*offsets[1:], len(frame)], strict=True)]
    return found


async def watched(code: int, *keys: int, steps: int = 10) -> list[bytes]:
    """The packets of the first ``steps`` steps after subscribing, and nothing else running."""
    async with serving(world_of(), stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(code, *keys)
        for _ in range(steps):
            await engine.step()
        await engine.leave()
        return packets(engine.feed_frames)


async def test_a_full_option_packet_carries_exactly_what_the_market_shows() -> None:
    call, world = near_call(market_of()), world_of()
    world.watch([call.key])
    shown = [each.quote for _ in range(10) for each in world.step(world.next_ns() or 0) if isinstance(each, Quoted)]
    got = [decode_quote(packet, 0, 0, TICKS) for packet in await watched(21, call.key)]
    assert len(got) == len(shown) > 5
    for quote, real in zip(got, shown, strict=True):
        assert quote is not None
        assert (quote.bids, quote.asks) == (real.bids, real.asks)
        for field in (
            "key",
            "exchange_s",
            "ltp_paise",
            "bid_paise",
            "ask_paise",
            "bid_total",
            "ask_total",
            "volume",
            "oi",
        ):
            assert getattr(quote.tick, field) == getattr(real.tick, field), field


async def test_an_index_comes_as_quotes_after_its_previous_close() -> None:
    first, *rest = await watched(17, NIFTY.key)
    assert packet_code(first) == Code.PREVIOUS_CLOSE
    assert decode_previous_close(first, 0, TICKS) == (NIFTY.key, market_of().previous_close_paise[NIFTY.key])
    assert {packet_code(packet) for packet in rest} == {Code.QUOTE}
    ticks = FeedDecoder(TICKS).decode(b"".join(rest), 7)
    assert [tick.volume for tick in ticks] == [0] * len(ticks)


async def test_full_adds_nothing_for_an_index_and_ticker_is_ticker() -> None:
    assert {packet_code(packet) for packet in await watched(21, NIFTY.key)} == {Code.PREVIOUS_CLOSE, Code.QUOTE}
    assert {packet_code(packet) for packet in await watched(15, NIFTY.key)} == {Code.PREVIOUS_CLOSE, Code.TICKER}


async def test_an_option_in_quote_mode_has_its_open_interest_beside_it_and_no_previous_close_packet() -> None:
    call = near_call(market_of())
    got = await watched(17, call.key)
    assert [packet_code(packet) for packet in got[:2]] == [Code.OPEN_INTEREST, Code.QUOTE]
    ticks = FeedDecoder(TICKS).decode(b"".join(got), 0)
    at_ns = world_of().now_ns
    assert ticks[0].oi == market_of().quote(call.key, at_ns).tick.oi > 0
    close = int.from_bytes(got[1][38:42], "little")
    assert close, "the previous close is in the close field"


async def test_the_trade_time_on_the_wire_is_indian_time_taken_for_utc() -> None:
    ticker = (await watched(15, NIFTY.key))[-1]
    written = int.from_bytes(ticker[12:16], "little")
    # 2026-02-03 09:16 IST is 1770090360; written as if it were UTC it reads 1770110160.
    assert 1_770_110_160 - 60 <= written <= 1_770_110_160 + 60


async def test_packets_of_one_instant_share_messages_of_bounded_size() -> None:
    calls = [near_call(market_of(), steps).key for steps in range(-20, 20)]
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(21, *calls)
        while not engine.feed_frames:
            await engine.step()
        await engine.leave()
    counted = [len(split_packets(frame)[0]) for frame in engine.feed_frames]
    assert sum(counted) == 40, "one snapshot each"
    assert max(map(len, engine.feed_frames)) <= MESSAGE_BYTES
    assert counted == [25, 15]


async def test_a_mode_is_left_by_its_own_code_only() -> None:
    async with serving(stepped=True) as (server, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(17, NIFTY.key, SENSEX.key)
        for _ in range(3):
            await engine.step()
        await engine.subscribe(18, SENSEX.key)
        await engine.subscribe(16, NIFTY.key)
        await engine.step()
        engine.feed_frames.clear()
        assert server.venue.sockets.feeds[0].modes == {NIFTY.key: Mode.QUOTE}, "16 is not how a quote is left"
        await engine.leave()


async def test_a_second_socket_gets_its_own_snapshot_of_what_is_already_watched() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(17, NIFTY.key)
        await engine.step()
        other = await visitor.feed()
        await other.send_str(subscribe(15, NIFTY.key))
        engine.feed_sent += 1
        clock_only = {"requests": 0, "feed": 2, "orders": 1, "next_wake_ns": None}
        await engine.clock.send_json({"ready": clock_only})
        step = (await engine.clock.receive_json())["step"]
        frame = await other.receive_bytes()
        assert [packet_code(packet) for packet in packets([frame])] == [Code.PREVIOUS_CLOSE, Code.TICKER]
        assert step["at_ns"] < engine.at_ns + 250_000_000
        await other.close()
        await engine.leave()


async def refused(visitor: Visitor, **query: str) -> int | None:
    feed = await visitor.feed(**query)
    message = await feed.receive()
    await feed.close()
    return disconnect_reason(message.data) if message.type is WSMsgType.BINARY else None


async def test_a_bad_token_is_told_808_and_a_killed_one_807() -> None:
    async with serving() as (_, visitor):
        assert await refused(visitor, token="wrong") == 808
        await visitor.ask("POST", "/sim/faults", {"token": "dead"})
        assert await refused(visitor) == 807
        await visitor.ask("POST", "/sim/faults", {"token": "good"})
        feed = await visitor.feed()
        await feed.send_str(subscribe(17, NIFTY.key))
        await feed.close()


async def test_the_other_two_ways_of_being_turned_away() -> None:
    async with serving() as (_, visitor):
        await visitor.ask("POST", "/sim/faults", {"refuse_feeds": "429"})
        with pytest.raises(aiohttp.WSServerHandshakeError) as turned_away:
            await visitor.feed()
        assert turned_away.value.status == 429
        await visitor.ask("POST", "/sim/faults", {"refuse_feeds": "reset"})
        with pytest.raises(aiohttp.ClientError):
            await visitor.feed()
        await visitor.ask("POST", "/sim/faults", {"refuse_feeds": FeedRefusal.DISCONNECT})
        assert await refused(visitor) == 808


async def test_a_sixth_connection_costs_the_first_with_805() -> None:
    async with serving() as (server, visitor):
        feeds = [await visitor.feed(path="/") for _ in range(6)]
        message = await feeds[0].receive()
        assert disconnect_reason(message.data) == 805
        assert [feed.number for feed in server.venue.sockets.feeds] == [2, 3, 4, 5, 6]
        for feed in feeds:
            await feed.close()


async def test_a_killed_token_takes_the_living_connections_along() -> None:
    async with serving() as (_, visitor):
        feed, orders = await visitor.feed(), await visitor.orders()
        await visitor.ask("POST", "/sim/faults", {"token": "dead"})
        assert disconnect_reason((await feed.receive()).data) == 807
        ended = await orders.receive()
        assert ended.type in (WSMsgType.CLOSED, WSMsgType.CLOSE)
        assert orders.close_code == 1006, "no close frame"
        await feed.close()


async def test_stray_binary_input_is_ignored() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.feed.send_bytes(bytes(83))
        await engine.subscribe(17, NIFTY.key)
        while not engine.feed_frames:
            await engine.step()
        await engine.leave()


async def test_dropped_feeds_end_without_a_close_frame() -> None:
    async with serving() as (_, visitor):
        feed = await visitor.feed()
        await visitor.ask("POST", "/sim/faults", {"drop_feeds": True})
        await feed.receive()
        assert feed.close_code == 1006


async def test_a_stalled_feed_is_connected_and_silent_for_its_virtual_seconds() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        hello = await engine.attach()
        await engine.subscribe(17, NIFTY.key)
        await visitor.ask("POST", "/sim/faults", {"stall_feed_s": 4.5})
        while not engine.feed_frames:
            await engine.step()
        assert engine.at_ns - hello["now_ns"] == 5_000_000_000
        await engine.leave()


def session() -> FeedSession:
    return FeedSession(1, frozenset(TICKS))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"RequestCode":"x"}', '{"RequestCode":99}', '{"RequestCode":17,"InstrumentList":[{}]}', "null"],
)
def test_nonsense_is_ignored(text: str) -> None:
    feed = session()
    assert feed.read(text).wanted == ()
    assert not feed.outbox.ended
    assert feed.received == 1


def test_ids_may_be_numbers_and_unlisted_ones_are_left_out() -> None:
    listed: list[dict[str, Any]] = [
        {"ExchangeSegment": "IDX_I", "SecurityId": 13},
        {"ExchangeSegment": "NSE_EQ", "SecurityId": "13"},
        {"ExchangeSegment": "MOON", "SecurityId": "13"},
        {"ExchangeSegment": "IDX_I", "SecurityId": "thirteen"},
    ]
    feed = session()
    assert feed.read(json.dumps({"RequestCode": 17, "InstrumentList": listed})).wanted == (NIFTY.key,)


def test_more_than_a_hundred_in_one_message_ends_the_connection_with_804() -> None:
    feed = session()
    feed.read(subscribe(17, *[instrument_key(Segment.IDX_I, number) for number in range(101)]))
    assert feed.outbox.ended
    assert feed.modes == {}


async def test_a_goodbye_is_answered_with_a_close() -> None:
    feed = session()
    feed.read('{"RequestCode":12}')
    assert await feed.outbox.take() is End.CLOSE


def test_the_day_beside_the_tick_is_gathered_from_the_ticks() -> None:
    call, market = near_call(market_of()), market_of()
    tape = Tape(market.previous_close_paise, DayRanges(market))
    start_ns = market.line(call.key).start_ns
    earlier = [market.quote(call.key, start_ns + second * 1_000_000_000) for second in range(60)]
    quotes = [market.quote(call.key, start_ns + second * 1_000_000_000) for second in range(60, 180)]
    day = [tape.take(quote) for quote in quotes][-1]
    prices = [quote.tick.ltp_paise for quote in (*earlier, *quotes)]
    assert (day.open_paise, day.high_paise, day.low_paise) == (prices[0], max(prices), min(prices))
    assert min(prices) <= day.average_paise <= max(prices)
    assert day.volume_seen == quotes[-1].tick.volume - quotes[0].tick.volume > 0


async def test_pings_come_every_ten_seconds_and_silence_for_forty_costs_the_connection() -> None:
    clock = HandClock()
    async with serving(clock=clock) as (server, visitor):
        feed = await visitor.feed()
        await settled(server, visitor)
        clock.move(41_000_000_000)
        await feed.receive()
        assert feed.close_code == 1006


async def settled(server: SimulatorServer, visitor: Visitor) -> None:
    """One round trip: the connection's tasks have begun by then."""
    assert server.venue.sockets.feeds
    await visitor.ask("GET", "/sim/status")
