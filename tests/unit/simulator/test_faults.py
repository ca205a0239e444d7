"""Every fault on demand: what a client sees of it, that it ends, and that it is counted."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.depth import depth_disconnect_reason
from algo_scalper.adapters.dhan.packets import disconnect_reason, split_packets
from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.simulator.fault_names import (
    FAULTS,
    drawn_faults,
    due_ns,
    fault_request,
    named_request,
    read_script,
)
from algo_scalper.interfaces.simulator.faults import Delay, FaultRequest
from algo_scalper.interfaces.simulator.server import SimulatorServer
from tests.unit.simulator.stage import (
    DAY,
    WORD,
    HandClock,
    SteppedEngine,
    Visitor,
    market_of,
    near_call,
    order_body,
    resting_price,
    serving,
    subscribe,
    world_of,
)

CALL = near_call(market_of())
LOW = resting_price(market_of(), CALL)


async def broken(visitor: Visitor, **fault: Any) -> None:
    status, text = await visitor.ask("POST", "/sim/faults", fault)
    assert status == 200, text


async def met(visitor: Visitor) -> dict[str, int]:
    counts: dict[str, int] = (await visitor.json("GET", "/sim/status"))["faults"]["met"]
    return counts


async def attached(visitor: Visitor) -> SteppedEngine:
    engine = SteppedEngine(visitor)
    await engine.attach()
    return engine


async def round_trip_ms(engine: SteppedEngine, method: str = "POST", path: str = "/v2/orders") -> float:
    began_ns = engine.at_ns
    await engine.until(engine.request(method, path, order_body(CALL, price=LOW) if method == "POST" else None))
    return (engine.at_ns - began_ns) / NS_PER_MS


async def steps(engine: SteppedEngine, seconds: float) -> None:
    """Let this much time pass."""
    until_ns = engine.at_ns + round(seconds * NS_PER_SECOND)
    while engine.at_ns < until_ns:
        await engine.step(until_ns)


# Requests


async def test_slow_requests_reach_the_exchange_late_and_slow_answers_come_back_late() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        usual_ms = await round_trip_ms(engine)
        for fault, read_too in (("slow_requests", True), ("slow_answers", True)):
            await broken(visitor, **{fault: {"ms": 700}})
            created = len(engine.order_frames)
            assert 680 < await round_trip_ms(engine) - usual_ms < 720
            seen_late = len(engine.order_frames) == created
            assert seen_late is False or fault == "slow_requests"
            assert 700 < await round_trip_ms(engine, "GET", "/v2/orders") < 800 or not read_too
            await broken(visitor, clear=True)
        assert abs(await round_trip_ms(engine) - usual_ms) < 20
        assert (await met(visitor))["slow_requests"] == (await met(visitor))["slow_answers"] == 2
        await engine.leave()


def test_a_delay_has_the_median_and_the_99th_percentile_that_were_asked_for() -> None:
    drawn = sorted(Delay(200, 2_000).draw_ns(7, number) / NS_PER_MS for number in range(4_000))
    assert 185 < drawn[2_000] < 215
    assert 1_600 < drawn[3_960] < 2_500
    assert Delay(50).draw_ns(1, 1) == 50 * NS_PER_MS
    assert Delay().draw_ns(1, 1) == 0


async def test_a_storm_of_429_turns_everything_away_until_it_is_over() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await broken(visitor, throttle_s=2)
        for method, path in (("GET", "/v2/orders"), ("POST", "/v2/orders")):
            status, text = await engine.until(engine.request(method, path, order_body(CALL, price=LOW)))
            assert (status, json.loads(text)["errorCode"]) == (429, "DH-904")
        await steps(engine, 2)
        assert (await engine.until(engine.request("GET", "/v2/orders")))[0] == 200
        assert (await met(visitor))["throttle"] == 2
        await engine.leave()


async def test_an_unregistered_address_may_read_and_not_order() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await broken(visitor, refuse_ip=True)
        status, text = await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW)))
        assert (status, json.loads(text)["errorMessage"]) == (400, "Invalid IP")
        assert (await visitor.ask("GET", "/v2/orders"))[0] == 200
        await broken(visitor, refuse_ip=False)
        assert (await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW))))[0] == 200
        await engine.leave()


async def test_an_order_can_be_taken_and_rejected_in_the_book_with_a_real_text() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await broken(visitor, fault="refuse-funds")
        status, text = await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW)))
        assert (status, json.loads(text)["orderStatus"]) == (200, "TRANSIT")
        (row,) = await visitor.json("GET", "/v2/orders")
        said = f"RMS:{row['orderId']}:You have insufficient funds. Please add Rs.23.70 to trade."
        assert (row["orderStatus"], row["omsErrorDescription"]) == ("REJECTED", said)
        await steps(engine, 1)
        assert json.loads(engine.order_frames[-1])["Data"]["status"] == "Rejected"
        assert (await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW))))[0] == 200
        assert [row["orderStatus"] for row in await visitor.json("GET", "/v2/orders")] == ["PENDING", "REJECTED"]
        assert (await met(visitor))["refuse_next"] == 1
        await engine.leave()


# Fills


async def test_thin_books_are_shown_thin_and_fill_in_parts() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        ask = market_of().quote(CALL.key, engine.at_ns).tick.ask_paise / 100
        await broken(visitor, thin_s=30)
        body = order_body(CALL, quantity=CALL.lot * 6, price=ask + 3)
        await engine.until(engine.request("POST", "/v2/orders", body))
        (row,) = await visitor.json("GET", "/v2/orders")
        assert (row["orderStatus"], row["filledQty"]) == ("PART_TRADED", CALL.lot * 5)
        shown = await visitor.json("POST", "/v2/marketfeed/quote", {"NSE_FNO": [CALL.key & 0xFFFF_FFFF]})
        assert row["remainingQuantity"] == CALL.lot
        assert shown["status"] == "success"
        await steps(engine, 5)
        assert (await visitor.json("GET", "/v2/orders"))[0]["orderStatus"] == "TRADED"
        await engine.leave()


async def test_slow_fills_leave_an_order_resting_in_front_of_a_full_book_and_then_it_trades() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        ask = market_of().quote(CALL.key, engine.at_ns).tick.ask_paise / 100
        await broken(visitor, slow_fills_s=4)
        await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=ask + 3)))
        await steps(engine, 3)
        assert (await visitor.json("GET", "/v2/orders"))[0]["filledQty"] == 0
        await steps(engine, 4)
        assert (await visitor.json("GET", "/v2/orders"))[0]["orderStatus"] == "TRADED"
        await engine.leave()


# Order updates


async def updates_of(visitor: Visitor, engine: SteppedEngine, orders: int = 2) -> list[str]:
    """The frames of the order socket for so many resting orders."""
    began = len(engine.order_frames)
    for number in range(orders):
        body = order_body(CALL, price=LOW, correlationId=f"u-{number}")
        await engine.until(engine.request("POST", "/v2/orders", body))
    await steps(engine, 3)
    return engine.order_frames[began:]


def tags(frames: list[str]) -> list[str]:
    return [json.loads(frame)["Data"]["correlationId"] for frame in frames]


async def test_order_updates_are_lost_doubled_overtaken_glued_torn_and_late() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        assert tags(await updates_of(visitor, engine)) == ["u-0", "u-1"]
        await broken(visitor, drop_updates=1)
        assert tags(await updates_of(visitor, engine)) == ["u-1"]
        await broken(visitor, duplicate_updates=1)
        assert tags(await updates_of(visitor, engine)) == ["u-0", "u-0", "u-1"]
        await broken(visitor, reorder_updates=1)
        assert tags(await updates_of(visitor, engine)) == ["u-1", "u-0"]
        await broken(visitor, reorder_updates=1)
        assert tags(await updates_of(visitor, engine, 1)) == ["u-0"], "nothing overtook it: it came late"
        await broken(visitor, glue_updates=1)
        (glued,) = await updates_of(visitor, engine)
        first, end = json.JSONDecoder().raw_decode(glued)
        assert (first["Data"]["correlationId"], json.loads(glued[end:])["Data"]["correlationId"]) == ("u-0", "u-1")
        await broken(visitor, torn_updates=1)
        torn, whole = await updates_of(visitor, engine)
        with pytest.raises(json.JSONDecodeError):
            json.loads(torn)
        assert tags([whole]) == ["u-1"]
        await broken(visitor, stall_updates_s=1.5)
        assert await updates_of(visitor, engine, 1) == []
        counts = await met(visitor)
        assert [counts[name] for name in ("drop_updates", "duplicate_updates", "glue_updates", "torn_updates")] == [
            1
        ] * 4
        assert (counts["reorder_updates"], counts["stall_updates"]) == (2, 1)
        await engine.leave()


async def test_late_updates_keep_their_order() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await broken(visitor, slow_updates={"ms": 300, "p99_ms": 900})
        assert tags(await updates_of(visitor, engine, 6)) == [f"u-{number}" for number in range(6)]
        assert (await met(visitor))["slow_updates"] == 6
        await engine.leave()


# The feed


async def test_a_lagging_feed_gives_every_packet_late_and_in_order() -> None:
    async def frames(**fault: Any) -> tuple[list[bytes], int]:
        async with serving(world_of(), stepped=True) as (_, visitor):
            engine = await attached(visitor)
            await broken(visitor, **fault)
            began_ns = engine.at_ns
            await engine.subscribe(17, NIFTY.key)
            while not engine.feed_frames:
                await engine.step()
            first_ns = engine.at_ns - began_ns
            await steps(engine, 8)
            await engine.leave()
            return engine.feed_frames, first_ns

    prompt, prompt_ns = await frames()
    late, late_ns = await frames(slow_feed={"ms": 3_000})
    assert late_ns - prompt_ns == 3 * NS_PER_SECOND
    assert late == prompt[: len(late)]
    assert len(late) >= 6


async def test_glued_packets_share_a_message_and_a_torn_message_ends_inside_one() -> None:
    async with serving(world_of(), stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await broken(visitor, glue_feed_s=4)
        await engine.subscribe(17, NIFTY.key, CALL.key)
        await steps(engine, 4.6)
        counted = [len(split_packets(frame)[0]) for frame in engine.feed_frames]
        assert max(counted) > 3
        assert (await met(visitor))["glue_feed"] in (len(counted), len(counted) - 1)
        await broken(visitor, torn_feed=1)
        await steps(engine, 2)
        torn = [split_packets(frame)[1] for frame in engine.feed_frames[len(counted) :]]
        assert [one is not None for one in torn] == [True] + [False] * (len(torn) - 1)
        assert (await met(visitor))["torn_feed"] == 1
        await engine.leave()


async def test_a_wrong_clock_shows_in_the_date_and_in_the_trade_time() -> None:
    async def written(skew_s: float) -> tuple[int, str]:
        async with serving(world_of(), stepped=True) as (_, visitor):
            engine = await attached(visitor)
            await broken(visitor, skew_s=skew_s)
            await engine.subscribe(15, CALL.key)
            while not engine.feed_frames:
                await engine.step()
            async with aiohttp.ClientSession() as session, session.get(f"{visitor.root}/v2/fundlimit") as answer:
                date_said = answer.headers["Date"]
            await engine.leave()
            return int.from_bytes(engine.feed_frames[0][12:16], "little"), date_said

    right, _ = await written(0)
    wrong, said = await written(90)
    assert wrong == right + 90
    assert parsedate_to_datetime(said).timestamp() == 1_000 + 90, "the hand clock stands at 1000 s"


# Connections and the account


async def test_a_restart_drops_every_connection_answers_nobody_and_keeps_the_books() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW)))
        depth = await visitor.connect("/twentydepth", {"token": WORD, "clientId": WORD, "authType": "2"})
        waiting = engine.request("POST", "/v2/orders", order_body(CALL, price=LOW))
        asked = await engine.step()
        assert waiting not in asked["answers"]
        assert (await visitor.ask("POST", "/sim/restart", {"down_s": 3}))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await engine.answers[waiting]
        for socket in (engine.feed, engine.orders, depth):
            await socket.receive()
            assert socket.close_code == 1006
        with pytest.raises(aiohttp.ClientError):
            await visitor.feed()
        lost = engine.request("GET", "/v2/orders")
        assert lost in (await engine.step())["lost"]
        with pytest.raises(aiohttp.ClientError):
            await engine.answers[lost]
        await steps(engine, 3)
        rows = await visitor.json("GET", "/v2/orders")
        assert [row["orderStatus"] for row in rows] == ["PENDING", "PENDING"], "the one on its way arrived"
        await (await visitor.feed()).close()
        counts = await met(visitor)
        assert (counts["drop_feeds"], counts["drop_order_sockets"], counts["restart"] >= 2) == (2, 1, True)
        await engine.leave()


async def test_dropped_by_a_reset() -> None:
    async with serving() as (_, visitor):
        feed = await visitor.feed()
        await broken(visitor, fault="reset-feeds")
        message = await feed.receive()
        assert message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR}
        assert feed.close_code == 1006


async def test_a_token_minted_elsewhere_kills_ours_until_clear() -> None:
    async with serving() as (server, visitor):
        feed = await visitor.feed()
        depth = await visitor.connect("/twentydepth", {"token": WORD, "clientId": WORD, "authType": "2"})
        await broken(visitor, mint=True)
        assert disconnect_reason((await feed.receive()).data) == 807
        assert depth_disconnect_reason((await depth.receive()).data) == 807
        assert (await visitor.ask("GET", "/v2/orders"))[0] == 401
        other = server.venue.desk.account.minted
        assert other is not None
        assert (await visitor.ask("GET", "/v2/orders", token=other.token))[0] == 200
        await broken(visitor, clear=True)
        assert (await visitor.ask("GET", "/v2/orders"))[0] == 200
        await feed.close()
        await depth.close()


async def test_a_person_buys_more_of_what_is_held_or_what_is_named() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        await broken(visitor, hand={"buy": CALL.lot})
        await steps(engine, 1)
        assert await visitor.json("GET", "/v2/positions") == [], "nothing is held and nothing named"
        await broken(visitor, hand={"buy": CALL.lot, "security_id": CALL.key & 0xFFFF_FFFF})
        await steps(engine, 2)
        await broken(visitor, hand={"buy": CALL.lot})
        await steps(engine, 2)
        (row,) = await visitor.json("GET", "/v2/positions")
        assert row["netQty"] == CALL.lot * 2
        assert {one["correlationId"] for one in await visitor.json("GET", "/v2/orders")} == {"NA"}
        await engine.leave()


async def test_a_fault_beside_standing_time_does_not_leave_a_reader_waiting_for_ever() -> None:
    async with serving(stepped=True) as (_, visitor):
        await broken(visitor, slow_answers={"ms": 500}, slow_requests={"ms": 500})
        assert (await visitor.ask("GET", "/v2/orders"))[0] == 200


# Names, scripts and chance


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_every_named_fault_is_taken_shown_and_undone(name: str) -> None:
    async with serving(clock=HandClock()) as (server, visitor):
        assert server.venue.faults.told == []
        status, text = await visitor.ask("POST", "/sim/faults", {"fault": name})
        assert status == 200, text
        shown = await visitor.json("GET", "/sim/status")
        assert len(shown["faults"]["told"]) == 1
        listed = (await visitor.json("GET", "/sim/faults"))[name]
        assert listed["summary"] == FAULTS[name].summary
        await broken(visitor, clear=True)
        assert (await visitor.ask("GET", "/v2/fundlimit"))[0] == 200
        for after in (FAULTS[name].after, {}):
            fault_request(after, name)


def test_words_are_put_where_the_fault_has_them() -> None:
    assert named_request("stall", ["seconds=7.5", "at=10:15"]) == {"stall_feed_s": 7.5, "at": "10:15"}
    assert named_request("slow-answers", ["ms=5"]) == {"slow_answers": {"ms": 5, "p99_ms": 3_000.0}}
    assert named_request("refuse-feeds", ["how=429"]) == {"refuse_feeds": "429"}
    assert named_request("sell", ["quantity=65"]) == {"hand": {"sell": 65}}
    assert named_request("reject", ["count=2", "text=RMS: no"]) == {"reject_next": 2, "reject_text": "RMS: no"}


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("nothing", [], "no fault is named 'nothing'; there are clear"),
        ("stall", ["7"], "write it as key=value; stall takes seconds, at, after_s"),
        ("stall", ["minutes=7"], "stall has no 'minutes'"),
        ("stall", ["seconds=-1"], "not a fault"),
        ("stall", ["at=soon"], "is not a time of day"),
        ("refuse-feeds", ["how=gently"], "not a fault"),
    ],
)
def test_what_is_no_fault_is_named_with_the_remedy(name: str, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        named_request(name, words)


def test_a_fault_is_due_at_a_time_of_day_at_an_instant_or_after_a_while() -> None:
    day = date(2026, 2, 3)
    # 2026-02-03 10:15:30 IST.
    assert due_ns(FaultRequest(at="10:15:30"), day, 5) == 1_770_093_930 * NS_PER_SECOND
    assert due_ns(FaultRequest(at_ns=77), day, 5) == 77
    assert due_ns(FaultRequest(after_s=1.5), day, 5) == 1_500_000_005
    assert due_ns(FaultRequest(), day, 5) == 5


async def test_a_script_breaks_things_at_its_times_and_leaves_out_what_is_past(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text(
        json.dumps(
            [
                {"at": "09:15:30", "fault": "reject", "reject_next": 9},
                {"at": "09:16:02", "fault": "stall"},
                {"at": "09:16:04", "lose_after": 3},
            ]
        )
    )
    async with serving(world_of(), stepped=True, faults=read_script(path)) as (server, visitor):
        engine = await attached(visitor)
        faults = server.venue.faults
        assert (faults.reject_next, faults.stalled_until_ns, faults.lose_after) == (0, 0, 0)
        await steps(engine, 3)
        assert (faults.stalled_until_ns > engine.at_ns, faults.lose_after) == (True, 0)
        await steps(engine, 2)
        assert faults.lose_after == 3
        assert [line[:8] for line in faults.told] == ["09:16:02", "09:16:04"]
        await engine.leave()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not a list of faults"),
        ("{}", "not a list of faults"),
        ('[{"explode":1}]', "entry 1: not a fault"),
        ('[{"at":"9"}]', "entry 1: '9' is not a time of day"),
        ('[{},{"fault":"zap"}]', "entry 2: no fault is named 'zap'"),
    ],
)
def test_a_bad_script_is_named_with_its_entry(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "faults.json"
    path.write_text(text)
    with pytest.raises((DataError, ConfigError), match=said):
        read_script(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_script(tmp_path / "none.json")


def test_drawn_faults_are_the_same_for_a_seed_and_as_many_as_were_asked_for() -> None:
    start_ns, end_ns = market_of().axis.open_ns, market_of().axis.open_ns + 6 * 3_600 * NS_PER_SECOND
    drawn = drawn_faults(5, 60.0, start_ns, end_ns)
    assert drawn == drawn_faults(5, 60.0, start_ns, end_ns)
    assert drawn != drawn_faults(6, 60.0, start_ns, end_ns)
    assert drawn_faults(5, 0.0, start_ns, end_ns) == ()
    assert 300 < len(drawn) < 480, "six hours of sixty, and what ends some of them"
    assert all(start_ns < fault.at_ns < end_ns + 61 * NS_PER_SECOND for fault in drawn)


async def test_the_same_seed_of_faults_gives_the_same_bytes() -> None:
    async def session() -> tuple[list[bytes], list[str], list[str]]:
        world = world_of()
        drawn = tuple(
            fault
            for fault in drawn_faults(11, 1_500.0, world.now_ns, world.now_ns + 40 * NS_PER_SECOND)
            if not (fault.drop_feeds or fault.drop_order_sockets or fault.restart or fault.token or fault.freeze_s)
            and not fault.lose_before
            and not fault.lose_after
        )
        assert len(drawn) > 5
        async with serving(world, stepped=True, faults=drawn) as (server, visitor):
            engine = await attached(visitor)
            await engine.subscribe(21, CALL.key, NIFTY.key)
            for number in range(8):
                engine.request("POST", "/v2/orders", order_body(CALL, price=LOW, correlationId=f"s-{number}"))
                await steps(engine, 4)
            await engine.leave()
            for answer in engine.answers.values():
                await answer
            return engine.feed_frames, engine.order_frames, server.venue.faults.told

    assert await session() == await session()


# Whatever is posted

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = st.sampled_from([*FaultRequest.__struct_fields__, "fault"])


@given(st.lists(st.dictionaries(_FIELDS, _ANYTHING, min_size=1, max_size=4), min_size=1, max_size=6))
def test_whatever_is_posted_as_a_fault_is_taken_or_refused(bodies: list[dict[str, Any]]) -> None:
    async def post() -> None:
        async with serving() as (server, visitor):
            assert isinstance(server, SimulatorServer)
            for body in bodies:
                for path in ("/sim/faults", "/sim/restart"):
                    status, text = await visitor.ask("POST", path, body)
                    assert status in (200, 400), text
            await broken(visitor, clear=True)
            assert (await visitor.ask("GET", "/sim/status"))[0] == 200

    asyncio.run(post())


async def test_a_subscriber_of_depth_stalls_with_the_feed() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await attached(visitor)
        depth = await visitor.connect("/twentydepth", {"token": WORD, "clientId": WORD, "authType": "2"})
        await broken(visitor, stall_feed_s=3)
        await depth.send_str(subscribe(23, CALL.key))
        await visitor.ask("GET", "/sim/status")
        await steps(engine, 5)
        assert server_day(await visitor.json("GET", "/sim/status")) == DAY
        assert len(await depth.receive_bytes()) == 2 * 332
        assert server_day(await visitor.json("GET", "/sim/status")) == DAY
        await depth.close()
        await engine.leave()


def server_day(status: dict[str, Any]) -> date:
    return date.fromisoformat(status["day"])
