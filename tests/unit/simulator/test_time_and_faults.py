"""Paced time, faults, a person's hand, and a simulator killed in mid-day."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Side
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.main import SimulatorOptions, build_world, run
from algo_scalper.interfaces.simulator.outbox import MOST_WAITING, End, Outbox
from algo_scalper.interfaces.simulator.server import SimulatorServer
from algo_scalper.interfaces.simulator.state import StateFile
from algo_scalper.simulation.exchange import Fill
from tests.unit.simulator.stage import (
    DAY,
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


# Paced time


async def test_paced_time_begins_with_the_first_connection_and_follows_the_clock() -> None:
    clock, world = HandClock(), world_of()
    start_ns = world.now_ns
    async with serving(world, clock, rate=10.0) as (server, visitor):
        clock.move(60 * NS_PER_SECOND)
        await visitor.ask("GET", "/v2/fundlimit")
        assert server.time.now_ns() == start_ns, "nobody was there yet"
        line = await visitor.clock()
        await line.send_json({"attach": {"stepped": False}})
        hello = (await line.receive_json())["hello"]
        assert (hello["mode"], hello["rate"], hello["now_ns"]) == ("paced", 10.0, start_ns)
        assert (hello["day"], hello["market"]) == (DAY.isoformat(), "SIMULATED")
        clock.move(NS_PER_SECOND)
        await line.send_json({"now": True})
        assert await line.receive_json() == {"now": start_ns + 10 * NS_PER_SECOND}
        await line.close()


async def test_paced_quotes_and_answers_come_when_the_clock_gets_there() -> None:
    clock = HandClock()
    async with serving(world_of(), clock) as (_, visitor):
        feed, orders = await visitor.feed(), await visitor.orders()
        await feed.send_str(subscribe(17, NIFTY.key))
        placing = asyncio.create_task(visitor.ask("POST", "/v2/orders", order_body(CALL, price=LOW)))
        await until(visitor, lambda status: "NSE" in str(status) or status["feeds"][0]["instruments"] == 1)
        clock.move(NS_PER_SECOND // 2)
        assert json.loads((await placing)[1])["orderStatus"] == "TRANSIT"
        assert json.loads(await orders.receive_str())["Data"]["status"] == "Pending"
        assert len(await feed.receive_bytes()) == 16 + 50
        await feed.close()
        await orders.close()


async def until(visitor: Visitor, holds: Any) -> dict[str, Any]:
    """Ask for the status until it says so."""
    for _ in range(200):
        status: dict[str, Any] = await visitor.json("GET", "/sim/status")
        if holds(status):
            return status
    raise AssertionError("it never came to that")


async def test_a_reader_that_is_too_slow_is_cut_off() -> None:
    outbox = Outbox()
    assert all(outbox.put(b"x") for _ in range(MOST_WAITING))
    assert not outbox.put(b"x")
    assert await outbox.take() is End.RESET
    assert not outbox.put(b"y")


# Faults


async def stepped_with_login(visitor: Visitor) -> SteppedEngine:
    engine = SteppedEngine(visitor)
    await engine.attach()
    return engine


async def test_an_answer_lost_on_the_way_out_leaves_the_order_standing_and_one_lost_on_the_way_in_does_not() -> None:
    for fault, standing in (("lose_after", 1), ("lose_before", 0)):
        async with serving(stepped=True) as (_, visitor):
            engine = await stepped_with_login(visitor)
            await visitor.ask("POST", "/sim/faults", {fault: 1})
            number = engine.request("POST", "/v2/orders", order_body(CALL, price=LOW))
            lost: list[int] = []
            while not lost:
                step = await engine.step()
                lost = step["lost"]
                assert step["answers"] == []
            assert lost == [number]
            with pytest.raises(aiohttp.ClientError):
                await engine.answers[number]
            assert len(await visitor.json("GET", "/v2/orders")) == standing
            again = await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW)))
            assert again[0] == 200, "one was lost, not two"
            await engine.leave()


async def test_orders_can_be_made_to_be_rejected() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await stepped_with_login(visitor)
        await visitor.ask("POST", "/sim/faults", {"reject_next": 2, "reject_text": "RMS: not today"})
        for _ in range(2):
            status, text = await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW)))
            assert (status, json.loads(text)["errorMessage"]) == (400, "RMS: not today")
        assert (await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=LOW))))[0] == 200
        await engine.leave()


async def test_a_frozen_simulator_answers_nobody_until_it_thaws() -> None:
    clock = HandClock()
    async with serving(world_of(), clock) as (_, visitor):
        feed = await visitor.feed()
        await visitor.ask("POST", "/sim/faults", {"freeze_s": 5})
        asking = asyncio.create_task(visitor.ask("GET", "/v2/fundlimit"))
        joining = asyncio.create_task(visitor.orders())
        await until(visitor, lambda status: status["held"] == 2)
        assert not asking.done()
        assert not joining.done()
        clock.move(6 * NS_PER_SECOND)
        assert (await asking)[0] == 200
        await (await joining).close()
        await feed.close()


async def test_a_fault_can_be_put_off_to_an_instant_and_cleared() -> None:
    async with serving(stepped=True) as (server, visitor):
        engine = await stepped_with_login(visitor)
        at_ns = engine.at_ns + 777
        await visitor.ask("POST", "/sim/faults", {"reject_next": 5, "at_ns": at_ns})
        assert server.venue.faults.reject_next == 0
        step = await engine.step()
        assert step["at_ns"] == at_ns
        assert server.venue.faults.reject_next == 5
        await visitor.ask("POST", "/sim/faults", {"clear": True})
        assert server.venue.faults.reject_next == 0
        await engine.leave()


async def bought_with_floor(visitor: Visitor, engine: SteppedEngine) -> None:
    """Two lots held, and a resting stop under them."""
    ask = market_of().quote(CALL.key, engine.at_ns).tick.ask_paise / 100
    lots = CALL.lot * 2
    await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, quantity=lots, price=ask + 2)))
    floor = order_body(
        CALL,
        "SELL",
        quantity=lots,
        orderType="STOP_LOSS",
        price=round(ask * 0.62 / 0.05) * 0.05,
        triggerPrice=round(ask * 0.7 / 0.05) * 0.05,
        correlationId="floor",
    )
    await engine.until(engine.request("POST", "/v2/orders", floor))


async def test_a_person_cancels_the_floor_and_sells_a_part() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await stepped_with_login(visitor)
        await bought_with_floor(visitor, engine)
        await engine.step(engine.at_ns + NS_PER_SECOND // 10)
        held = (await visitor.json("GET", "/sim/status"))["positions"][str(CALL.key)]
        assert held == CALL.lot * 2
        await visitor.ask("POST", "/sim/faults", {"hand": {"cancel_floor": True, "sell": CALL.lot}})
        for _ in range(12):
            await engine.step()
        rows = {row["correlationId"]: row for row in await visitor.json("GET", "/v2/orders")}
        assert rows["floor"]["orderStatus"] == "CANCELLED"
        assert (rows["NA"]["orderStatus"], rows["NA"]["quantity"]) == ("TRADED", CALL.lot)
        assert (await visitor.ask("GET", "/v2/orders/external/NA"))[0] == 404, "NA is nobody's id"
        positions = await visitor.json("GET", "/v2/positions")
        assert positions[0]["netQty"] == CALL.lot
        seen = [json.loads(frame)["Data"] for frame in engine.order_frames]
        assert {alert["status"] for alert in seen if alert["correlationId"] == "floor"} == {"Pending", "Cancelled"}
        assert {alert["source"] for alert in seen if alert["correlationId"] == "NA"} == {"N"}
        await engine.leave()


async def test_a_person_sells_everything() -> None:
    async with serving(stepped=True) as (_, visitor):
        engine = await stepped_with_login(visitor)
        ask = market_of().quote(CALL.key, engine.at_ns).tick.ask_paise / 100
        await engine.until(engine.request("POST", "/v2/orders", order_body(CALL, price=ask + 2)))
        await visitor.ask("POST", "/sim/faults", {"hand": {"sell": "all"}})
        for _ in range(8):
            await engine.step()
        assert (await visitor.json("GET", "/v2/positions"))[0]["positionType"] == "CLOSED"
        await engine.leave()


# The order socket


@pytest.mark.parametrize("login", ["{", "{}", '{"LoginReq":{"MsgCode":41,"ClientId":"SIMULATED","Token":"SIMULATED"}}'])
async def test_a_bad_login_loses_the_connection_without_a_close_frame(login: str) -> None:
    async with serving() as (_, visitor):
        for socket in (await visitor.orders(token="wrong"), await blank(visitor, login)):
            await socket.receive()
            assert socket.close_code == 1006


async def blank(visitor: Visitor, login: str) -> aiohttp.ClientWebSocketResponse:
    socket = await visitor.connect("/order-updates")
    await socket.send_str(login)
    return socket


# Restarts


async def test_a_restarted_simulator_has_its_orders_positions_and_the_time_that_passed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    clock = HandClock()
    async with serving(world_of(), clock, stepped=True, state=path) as (_, visitor):
        engine = await stepped_with_login(visitor)
        await bought_with_floor(visitor, engine)
        before = [await visitor.ask("GET", path) for path in ("/v2/orders", "/v2/trades", "/v2/fundlimit")]
        killed_ns = engine.at_ns
        kept = path.read_bytes()
        await engine.leave()
    path.write_bytes(kept)  # as a kill would have left it: nothing was written at the end
    saved = StateFile(path).load(DAY)
    assert saved is not None
    assert saved.now_ns == killed_ns
    assert saved.resumed_ns(clock.now_ns() + NS_PER_SECOND, 10.0) == killed_ns + 10 * NS_PER_SECOND
    options = SimulatorOptions(day=DAY, state=path, stepped=True)
    async with serving(build_world(options, clock.now_ns()), clock, stepped=True, state=path) as (server, visitor):
        assert server.time.now_ns() == killed_ns
        after = [await visitor.ask("GET", path) for path in ("/v2/orders", "/v2/trades", "/v2/fundlimit")]
        assert after == before
        engine = await stepped_with_login(visitor)
        floor = next(row for row in json.loads(after[0][1]) if row["correlationId"] == "floor")
        assert floor["orderStatus"] == "PENDING"
        gone = await engine.until(engine.request("DELETE", f"/v2/orders/{floor['orderId']}"))
        assert gone[0] == 200
        await engine.leave()


async def test_the_file_keeps_the_time_although_nothing_is_traded(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    async with serving(stepped=True, state=path) as (_, visitor):
        engine = await stepped_with_login(visitor)
        await engine.subscribe(17, NIFTY.key)
        for _ in range(4):
            await engine.step()
        saved = StateFile(path).load(DAY)
        assert saved is not None
        assert saved.now_ns == engine.at_ns
        await engine.leave()


async def test_each_fill_is_pushed_with_its_own_price(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of()
    desk = Desk(world)
    row = BrokerOrder("c", "22", CALL.key, Side.BUY, OrderKind.LIMIT, BrokerStatus.PART_TRADED, 130, 65, 65 * 9_900, 0)
    fills = (
        Fill(1, "22", "c", CALL.key, Side.BUY, 65, 9_900, 1),
        Fill(2, "23", "d", CALL.key, Side.BUY, 65, 5_000, 2),
        Fill(3, "22", "c", CALL.key, Side.BUY, 65, 10_000, 3),
    )
    monkeypatch.setattr(world.exchange, "fills", lambda: fills)
    assert desk.last_fill_paise(row) == 9_900, "the second fill has happened, but this push is of the first"
    assert desk.last_fill_paise(msgspec.structs.replace(row, filled_quantity=130)) == 10_000
    assert desk.last_fill_paise(msgspec.structs.replace(row, filled_quantity=0)) == 0


async def test_the_market_does_not_wait_for_a_simulator_that_is_down(tmp_path: Path) -> None:
    path, clock = tmp_path / "state.json", HandClock()
    async with serving(world_of(), clock, stepped=True, state=path) as (_, visitor):
        engine = await stepped_with_login(visitor)
        await bought_with_floor(visitor, engine)
        await engine.leave()
    # Down for the rest of the day at 60x: the broker has squared the intraday position off meanwhile.
    options = SimulatorOptions(day=DAY, state=path, pace=60.0)
    world = build_world(options, clock.now_ns() + 375 * NS_PER_SECOND)
    assert [position.net_quantity for position in world.book().positions] == [0]
    assert all(row.status not in {"PENDING", "PART_TRADED"} for row in world.book().orders)
    assert world.now_ns > world.exchange.closed_ns - 60 * NS_PER_SECOND


def test_an_unreadable_or_later_state_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("{")
    with pytest.raises(DataError, match="remove it to begin with a new account"):
        StateFile(path).load(DAY)
    StateFile(path).save(Desk(world_of()), 0)
    with pytest.raises(DataError, match=f"is of {DAY}, after 2026-02-02"):
        StateFile(path).load(DAY.replace(day=2))


def test_an_account_is_carried_into_a_later_day(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    StateFile(path).save(Desk(world_of()), 0)
    saved = StateFile(path).load(DAY.replace(day=4))
    assert saved is not None
    assert (saved.exchange.day, saved.exchange.start_of_day_paise, saved.now_ns) == (DAY.replace(day=4), 10_000_000, 0)


# The process


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == 1:
            asyncio.get_running_loop().create_task(stop(int(line.rsplit(":", 1)[1])))

    async def stop(port: int) -> None:
        url = f"http://127.0.0.1:{port}/sim/shutdown"
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            assert await answer.json() == {"stopping": True}

    run(SimulatorOptions(day=DAY, port=0, pace=10.0), say)
    assert said[0].startswith(f"SIMULATED market of {DAY} (")
    assert ", 10x, on http://127.0.0.1:" in said[0]
    assert any("scalper run --sim-url http://127.0.0.1:" in line for line in said), "how to point clients at it"


async def test_only_this_machine_is_listened_to() -> None:
    async with serving() as (server, _):
        assert isinstance(server, SimulatorServer)
        assert {address[0] for address in server._runner.addresses} == {"127.0.0.1"}  # type: ignore[union-attr]
