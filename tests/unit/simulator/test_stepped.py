"""Stepped time, walked by a minimal engine: what is counted arrives, and nothing depends on speed."""

from __future__ import annotations

import asyncio
import json

import pytest

from algo_scalper.adapters.dhan.packets import FeedDecoder
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.simulator.stage import SteppedEngine, market_of, near_call, order_body, serving, world_of


async def trade_a_little(seed: int) -> tuple[list[bytes], list[str], list[str], list[int]]:
    """Subscribe, buy a lot, sell it, read the book: everything that was seen, in order."""
    world = world_of(seed)
    call = near_call(world.market)
    instants: list[int] = []
    texts: list[str] = []
    async with serving(world, stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(21, call.key)
        await engine.subscribe(17, NIFTY.key, INDIA_VIX_KEY)
        instants += [(await engine.step())["at_ns"] for _ in range(8)]
        ask = decode(engine.feed_frames, world)[-1]
        price = world.market.quote(call.key, ask.at_ns or engine.at_ns).tick.ask_paise / 100 + 2
        buy = engine.request("POST", "/v2/orders", order_body(call, price=price))
        texts.append((await engine.until(buy))[1])
        sell = engine.request("POST", "/v2/orders", order_body(call, "SELL", correlationId="t-2", price=price - 5))
        texts.append((await engine.until(sell))[1])
        reads = [engine.request("GET", path) for path in ("/v2/orders", "/v2/positions", "/v2/fundlimit")]
        instants += [(await engine.step())["at_ns"] for _ in range(12)]
        texts += [engine.answers[number].result()[1] for number in reads]
        await engine.leave()
        return engine.feed_frames, engine.order_frames, texts, instants


def decode(frames: list[bytes], world: object) -> list[Tick]:
    decoder = FeedDecoder({contract.key: contract.tick_paise for contract in market_of().contracts} | {NIFTY.key: 5})
    return [tick for frame in frames for tick in decoder.decode(frame, 0)]


async def test_a_day_is_bought_and_sold_in_stepped_time() -> None:
    frames, alerts, texts, instants = await trade_a_little(1)
    assert instants == sorted(instants)
    assert json.loads(texts[0])["orderStatus"] == "TRANSIT"
    statuses = [json.loads(alert)["Data"]["status"] for alert in alerts]
    assert statuses == ["Pending", "Traded", "Pending", "Traded"]
    book, positions, funds = (json.loads(text) for text in texts[2:])
    assert [row["transactionType"] for row in book] == ["SELL", "BUY"]
    assert positions[0]["netQty"] == 0
    assert positions[0]["positionType"] == "CLOSED"
    assert funds["availabelBalance"] < funds["sodLimit"], "the round trip cost its charges"
    assert frames


async def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones() -> None:
    first, again, other = await trade_a_little(1), await trade_a_little(1), await trade_a_little(2)
    assert first == again
    assert first[0] != other[0]


async def test_time_stands_still_without_a_ready() -> None:
    async with serving(stepped=True) as (server, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        before_ns = server.time.now_ns()
        await engine.subscribe(17, NIFTY.key)
        await visitor.ask("GET", "/v2/fundlimit")
        assert server.time.now_ns() == before_ns
        await engine.leave()


async def test_a_wake_is_kept_exactly_and_nothing_else_happens_there() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(17, NIFTY.key)
        wake_ns = engine.at_ns + 1_234_567
        step = await engine.step(wake_ns)
        assert step == {"at_ns": wake_ns, "feed": 0, "orders": 0, "answers": [], "lost": []}
        await engine.leave()


async def test_the_server_waits_for_what_the_engine_says_it_has_sent() -> None:
    async with serving(stepped=True) as (server, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        before_ns = server.time.now_ns()
        await engine.clock.send_json({"ready": {"requests": 1, "feed": 0, "orders": 1, "next_wake_ns": None}})
        # A round trip on the same socket: the ready has been read by then.
        await engine.clock.send_json({"now": True})
        assert (await engine.clock.receive_json()) == {"now": before_ns}
        assert server.time.now_ns() == before_ns
        engine.request("GET", "/v2/fundlimit")
        step = (await engine.clock.receive_json())["step"]
        assert step["at_ns"] > before_ns
        engine.answers[1].cancel()
        await engine.leave()


async def test_requests_leave_in_the_order_of_their_numbers_whatever_order_they_arrive_in() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        call = near_call(market_of())
        tasks = {}
        for number in (3, 1, 2):
            body = order_body(call, correlationId=f"t-{number}", price=50.0 + number)
            tasks[number] = asyncio.create_task(visitor.ask("POST", "/v2/orders", body, seq=number))
        engine.answers, engine.requests = tasks, 3
        await engine.until(3)
        answered = {number: json.loads(task.result()[1])["orderId"] for number, task in tasks.items() if task.done()}
        assert answered[1] < answered[2] < answered[3]
        await engine.leave()


async def test_an_engine_that_dies_is_forgotten_and_the_account_is_not() -> None:
    async with serving(stepped=True) as (server, visitor):
        call = near_call(market_of())
        first = SteppedEngine(visitor)
        await first.attach()
        placed = first.request("POST", "/v2/orders", order_body(call, price=60.0))
        await first.until(placed)
        late = first.request("POST", "/v2/orders", order_body(call, price=60.05, correlationId="t-2"))
        await first.step()
        stood_ns = server.time.now_ns()
        await first.clock.close()
        await first.feed.receive()
        second = SteppedEngine(visitor)
        hello = await second.attach(downtime_ns=30 * NS_PER_SECOND)
        assert hello["now_ns"] == stood_ns + 30 * NS_PER_SECOND
        step = await second.step(hello["now_ns"] + NS_PER_SECOND)
        assert step["answers"] == []
        book = await visitor.json("GET", "/v2/orders")
        assert {row["correlationId"] for row in book} == {"t-1", "t-2"}
        first.answers[late].cancel()
        await first.leave()
        await second.leave()


async def test_a_second_engine_is_refused_while_the_first_is_there() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        other = await visitor.clock()
        await other.send_json({"attach": {"stepped": True}})
        assert await other.receive_json() == {"error": "another engine is attached"}
        wake_ns = engine.at_ns + 5
        assert (await engine.step(wake_ns))["at_ns"] == wake_ns, "the first one still drives time"
        await other.close()
        await engine.leave()


async def test_the_end_of_the_day_is_told() -> None:
    async with serving(world_of(after_open_s=375 * 60 - 1), stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        hello = await engine.attach()
        said = {}
        for _ in range(50):
            said = await engine.step()
            if "end" in said:
                break
        assert said["end"]["at_ns"] >= hello["close_ns"]
        await engine.leave()


@pytest.mark.parametrize("word", ["", "{", '{"ready": 5}', "[]"])
async def test_what_is_no_word_of_the_clock_socket_is_said_to_be_none(word: str) -> None:
    async with serving(stepped=True) as (_, visitor):
        clock = await visitor.clock()
        await clock.send_str(word)
        assert "not a word of this socket" in (await clock.receive_json())["error"]
        await clock.close()


async def test_an_answer_of_the_servers_own_takes_virtual_time_too() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        hello = await engine.attach()
        number = engine.request("POST", "/v2/orders", order_body(near_call(market_of()), quantity=...))
        status, text = await engine.until(number)
        assert (status, json.loads(text)["errorMessage"]) == (400, "quantity is required")
        assert engine.at_ns == hello["now_ns"] + world_of().latency.answer_ns
        await engine.leave()
