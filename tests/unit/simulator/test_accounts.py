"""Several accounts in one simulator: one market and one time, and nothing else in common."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_scalper.domain.errors import BrokerUnreachable, ConfigError, DataError
from algo_scalper.domain.instruments import NIFTY, key_security_id
from algo_scalper.domain.totp import totp
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.account import PIN, TOTP_SECRET, AccountFacts
from algo_scalper.interfaces.simulator.fault_names import named_request
from algo_scalper.interfaces.simulator.faults import FaultRequest
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.pointing import pointing_lines
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.runtime.clock import settle
from algo_scalper.runtime.sim_link import SimLink
from tests.unit.simulator.stage import (
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
MEERA = AccountFacts(client_id="1100000001", name="MEERA", token="meeras-word", cash_paise=5_000_000)
RAVI = AccountFacts(client_id="1100000002", name="RAVI", token="ravis-word", partner_id="HOUSE", partner_secret="door")


def meera(visitor: Visitor) -> Visitor:
    return visitor.other("1100000001", "meeras-word")


def ravi(visitor: Visitor) -> Visitor:
    return visitor.other("1100000002", "ravis-word")


def bought(client_id: str, **changed: Any) -> dict[str, Any]:
    return order_body(CALL, dhanClientId=client_id, price=LOW, **changed)


async def until(so: Callable[[], bool]) -> None:
    """Let the sockets' own tasks run until it is so."""
    for _ in range(200_000):
        if so():
            return
        await settle(1)
    raise AssertionError("it never came about")


async def pass_time(server: SimulatorServer, clock: HandClock, seconds: float = 1.0) -> None:
    """The paced market goes on by so much."""
    assert server.time.paced is not None
    clock.move(round(seconds * NS_PER_SECOND))
    assert server.time.paced.catch_up()
    await settle(1)


async def placed(server: SimulatorServer, clock: HandClock, visitor: Visitor, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to an order, for which time has to pass."""
    task = asyncio.create_task(visitor.json("POST", "/v2/orders", body))
    venues = server.brokerage.venues
    before = sum(venue.served.total() for venue in venues)
    while not task.done():
        await pass_time(server, clock, 0.1)
        assert sum(venue.served.total() for venue in venues) <= before + 1
    return dict(task.result())


async def test_each_account_has_its_own_orders_and_money() -> None:
    clock = HandClock()
    async with serving(clock=clock, others=(MEERA, RAVI)) as (server, visitor):
        hers = await placed(server, clock, meera(visitor), bought("1100000001"))
        his = await placed(server, clock, ravi(visitor), bought("1100000002"))
        mine = await placed(server, clock, visitor, bought("SIMULATED"))
        assert len({hers["orderId"], his["orderId"], mine["orderId"]}) == 3, (
            "numbers are the broker's, not the account's"
        )
        for who, order in ((meera(visitor), hers), (ravi(visitor), his), (visitor, mine)):
            assert [row["orderId"] for row in await who.json("GET", "/v2/orders")] == [order["orderId"]]
        assert (await meera(visitor).ask("DELETE", f"/v2/orders/{his['orderId']}"))[0] == 400
        start = [
            (await who.json("GET", "/v2/fundlimit"))["sodLimit"] for who in (meera(visitor), ravi(visitor), visitor)
        ]
        assert start == [50_000.0, 100_000.0, 100_000.0]


@pytest.mark.parametrize(
    ("client_id", "token"),
    [("1100000001", "ravis-word"), ("1100000002", "meeras-word"), ("1100000003", "meeras-word"), ("SIMULATED", "x")],
)
async def test_a_token_opens_its_own_account_only(client_id: str, token: str) -> None:
    async with serving(others=(MEERA, RAVI)) as (_, visitor):
        status, text = await visitor.other(client_id, token).ask("GET", "/v2/orders")
        assert (status, json.loads(text)["errorCode"]) == (401, "DH-901")
        feed = await visitor.other(client_id, token).feed()
        assert (await feed.receive_bytes())[0] == 50


async def test_without_a_client_id_the_token_tells_whose_request_it_is() -> None:
    async with serving(others=(MEERA, RAVI)) as (_, visitor):
        assert (await visitor.other("", "ravis-word").json("GET", "/v2/profile"))["dhanClientId"] == "1100000002"


async def test_order_updates_go_to_the_account_alone_and_a_partner_hears_his_own() -> None:
    clock = HandClock()
    async with serving(clock=clock, others=(MEERA, RAVI)) as (server, visitor):
        hers, his = await meera(visitor).orders(), await ravi(visitor).orders()
        house = await visitor.connect("/order-updates")
        login = {"LoginReq": {"MsgCode": 42, "ClientId": "HOUSE"}, "UserType": "PARTNER", "Secret": "door"}
        await house.send_str(json.dumps(login))
        await until(
            lambda: (
                [[one.logged_in for one in venue.sockets.orders] for venue in server.brokerage.venues]
                == [[], [True], [True, True]]
            )
        )
        order = await placed(server, clock, ravi(visitor), bought("1100000002"))
        await pass_time(server, clock)
        for socket in (his, house):
            assert json.loads(await socket.receive_str())["Data"]["orderNo"] == order["orderId"]
        other = await placed(server, clock, meera(visitor), bought("1100000001"))
        await pass_time(server, clock)
        assert json.loads(await hers.receive_str())["Data"]["orderNo"] == other["orderId"], "not his"


async def test_rate_limits_and_feed_connections_are_counted_for_each_account() -> None:
    async with serving(others=(MEERA,)) as (server, visitor):
        theirs = [venue.limits for venue in server.brokerage.venues]
        assert [limits.take(Family.QUOTE, 0) for limits in (theirs[0], theirs[0], theirs[1])] == [True, False, True]
        feeds = [await who.feed() for who in (*[visitor] * 5, meera(visitor))]
        assert [len(venue.sockets.feeds) for venue in server.brokerage.venues] == [5, 1]
        assert not any(feed.outbox.ended for feed in server.venue.sockets.feeds)
        assert len(feeds) == 6


async def test_all_accounts_see_one_market() -> None:
    clock = HandClock()
    async with serving(clock=clock, others=(MEERA,)) as (server, visitor):
        frames = []
        for who in (visitor, meera(visitor)):
            feed = await who.feed()
            await feed.send_str(subscribe(17, NIFTY.key))
            frames.append(feed)
        await until(lambda: all(feed.modes for venue in server.brokerage.venues for feed in venue.sockets.feeds))
        for _ in range(20):
            await pass_time(server, clock)
        packets: list[list[bytes]] = [[], []]
        for seen, feed in zip(packets, frames, strict=True):
            while len(seen) < 5:
                seen.append(await feed.receive_bytes())
        assert packets[0] == packets[1]


async def test_a_fault_meets_all_or_the_one_it_names() -> None:
    async with serving(others=(MEERA, RAVI)) as (server, visitor):
        feeds = [await who.feed() for who in (visitor, meera(visitor), ravi(visitor))]
        await visitor.json("POST", "/sim/faults", {"fault": "token-dies", "account": "1100000001"})
        assert [len(venue.sockets.feeds) for venue in server.brokerage.venues] == [1, 0, 1]
        assert (await meera(visitor).ask("GET", "/v2/orders"))[0] == 401
        assert (await ravi(visitor).ask("GET", "/v2/orders"))[0] == 200
        await visitor.json("POST", "/sim/faults", {"drop_feeds": True, "hand": {"buy": 65}, "mint": True})
        assert [len(venue.sockets.feeds) for venue in server.brokerage.venues] == [0, 0, 0]
        assert [venue.faults.met["hand"] for venue in server.brokerage.venues] == [1, 0, 0]
        assert [venue.desk.account.minted is not None for venue in server.brokerage.venues] == [True, False, False]
        unknown = await visitor.json("POST", "/sim/faults", {"drop_feeds": True, "account": "77"})
        assert unknown["errorMessage"] == "there is no account 77; there are SIMULATED, 1100000001, 1100000002"
        assert len(feeds) == 3


async def test_a_token_is_made_for_the_account_that_asks() -> None:
    clock = HandClock()
    async with serving(clock=clock, others=(MEERA,)) as (server, visitor):
        code = totp(TOTP_SECRET, clock.now_ns() // NS_PER_SECOND)
        made = await visitor.json("POST", f"/app/generateAccessToken?dhanClientId=1100000001&pin={PIN}&totp={code}")
        token = made["accessToken"]
        assert made["dhanClientName"] == "MEERA"
        assert (await visitor.other("1100000001", token).ask("GET", "/v2/orders"))[0] == 200
        assert (await meera(visitor).ask("GET", "/v2/orders"))[0] == 401, "the one from the web is dead"
        assert server.venue.desk.account.minted is None
        keys = {"app_id": MEERA.app_id, "app_secret": MEERA.app_secret}
        async with visitor._session.post(
            f"{visitor.root}/app/generate-consent?client_id=1100000001", headers=keys
        ) as one:
            consent = (await one.json())["consentAppId"]
        page = (await visitor.ask("GET", f"/login/consentApp-login?consentAppId={consent}"))[1]
        token_id = page.split("<code>")[1].split("</code>")[0]
        async with visitor._session.post(
            f"{visitor.root}/app/consumeApp-consent?tokenId={token_id}", headers=keys
        ) as one:
            assert (await one.json())["dhanClientId"] == "1100000001"


async def test_accounts_are_listed_changed_and_opened_while_it_runs() -> None:
    clock = HandClock()
    async with serving(clock=clock, others=(MEERA,)) as (server, visitor):
        await visitor.feed()
        await pass_time(server, clock, 600)
        body = {"client_id": "1100000009", "token": "late", "cash_paise": 300}
        assert (await visitor.json("POST", "/sim/accounts", body))["client_id"] == "1100000009"
        listed = await visitor.json("GET", "/sim/accounts")
        assert [one["client_id"] for one in listed] == ["SIMULATED", "1100000001", "1100000009"]
        late = visitor.other("1100000009", "late")
        assert (await late.json("GET", "/v2/fundlimit"))["availabelBalance"] == 3.0
        refused = await placed(server, clock, late, bought("1100000009"))
        rows = await late.json("GET", "/v2/orders")
        assert rows[0]["orderId"] == refused["orderId"]
        assert rows[0]["orderStatus"] == "REJECTED"
        changed = await visitor.json("POST", "/sim/account?account=1100000009", {"data_plan": False})
        assert changed["data_plan"] is False
        assert server.venue.desk.facts.data_plan
        told = await visitor.json("GET", "/sim/status?account=1100000009")
        assert told["account"]["client_id"] == "1100000009"
        assert [one["client_id"] for one in told["accounts"]] == ["SIMULATED", "1100000001", "1100000009"]
        assert [row["status"] for row in told["order_rows"]] == ["REJECTED"]
        for path in ("/sim/status?account=8", "/sim/account?account=8"):
            assert "there is no account 8" in (await visitor.json("GET", path))["errorMessage"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"client_id": "1100000001", "token": "new"}, "there is an account 1100000001 already"),
        ({"client_id": "3", "token": "meeras-word"}, "3 has the token of 1100000001; give it another token"),
        ({}, "there is an account SIMULATED already"),
        ({"client_id": "../x", "token": "new"}, "is not 1 to 40 letters, digits"),
        ({"client_ids": "3"}, "unknown field `client_ids`"),
    ],
)
async def test_an_account_that_could_not_be_told_apart_is_not_opened(body: dict[str, str], why: str) -> None:
    async with serving(others=(MEERA,)) as (server, visitor):
        status, text = await visitor.ask("POST", "/sim/accounts", body)
        assert (status, why in json.loads(text)["errorMessage"]) == (400, True), text
        assert len(server.brokerage.venues) == 2
        if "client_id" in body:
            assert (await visitor.ask("POST", "/sim/account", body))[0] == 400, "nor may another become it"


def test_a_configuration_with_two_of_one_token_does_not_start() -> None:
    twin = AccountFacts(client_id="1100000005", token="meeras-word")
    with pytest.raises(DataError, match="1100000005 has the token of 1100000001"):
        SimulatorServer(world_of(), SimulatorConfig(others=(MEERA, twin)), HandClock())
    nobody = FaultRequest(at="15:00", account="77")
    with pytest.raises(ConfigError, match="there is no account 77"):
        SimulatorServer(world_of(), SimulatorConfig(faults=(nobody,)), HandClock())


async def test_every_account_is_there_again_after_a_restart(tmp_path: Path) -> None:
    clock, state = HandClock(), tmp_path / "state.json"
    async with serving(clock=clock, others=(MEERA,), state=state) as (server, visitor):
        order = await placed(server, clock, meera(visitor), bought("1100000001"))
        await visitor.json("POST", "/sim/accounts", {"client_id": "1100000009", "token": "late"})
    assert sorted(entry.name for entry in os.scandir(tmp_path)) == [
        "state.json",
        "state.json.1100000001",
        "state.json.1100000009",
    ]
    async with serving(clock=clock, others=(MEERA,), state=state) as (server, visitor):
        assert [venue.desk.client_id for venue in server.brokerage.venues] == ["SIMULATED", "1100000001", "1100000009"]
        assert [row["orderId"] for row in await meera(visitor).json("GET", "/v2/orders")] == [order["orderId"]]
        assert (await visitor.other("1100000009", "late").ask("GET", "/v2/orders"))[0] == 200
        again = await placed(server, clock, meera(visitor), bought("1100000001"))
        assert int(again["orderId"]) > int(order["orderId"])


async def test_an_engine_steps_its_own_account_and_the_others_share_its_time() -> None:
    async with serving(stepped=True, others=(MEERA,)) as (server, visitor):
        engine = SteppedEngine(meera(visitor))
        await engine.attach(client_id="1100000001")
        await engine.subscribe(17, NIFTY.key)
        other = await visitor.feed()
        await other.send_str(subscribe(17, NIFTY.key))
        await until(lambda: any(feed.modes for feed in server.venue.sockets.feeds))
        number = engine.request("POST", "/v2/orders", bought("1100000001"))
        assert json.loads((await engine.until(number))[1])["orderStatus"] == "TRANSIT"
        for _ in range(30):
            await engine.step()
        assert len({venue.world.now_ns for venue in server.brokerage.venues}) == 1
        assert (await other.receive_bytes())[4:8] == key_security_id(NIFTY.key).to_bytes(4, "little")
        await engine.leave()
        clock = await visitor.clock()
        await clock.send_json({"attach": {"stepped": True, "client_id": "8"}})
        assert "there is no account 8" in (await clock.receive_json())["error"]


async def test_an_account_s_day_is_the_same_in_any_company() -> None:
    seen = []
    for others in ((), (RAVI,)):
        async with serving(stepped=True, others=others) as (server, visitor):
            engine = SteppedEngine(visitor)
            await engine.attach()
            await engine.subscribe(21, CALL.key)
            if others:
                await ravi(visitor).feed()
                server.brokerage.venues[1].world.watch([CALL.key])
            answer = await engine.until(engine.request("POST", "/v2/orders", bought("SIMULATED")))
            while engine.at_ns < server.venue.world.market.axis.open_ns + 20 * NS_PER_SECOND:
                await engine.step()
            seen.append((answer, engine.feed_frames[:20], engine.order_frames))
            await engine.leave()
    assert seen[0] == seen[1]


def test_a_fault_s_account_is_a_text_though_it_looks_like_a_number() -> None:
    assert named_request("token-dies", ["account=1100000001"]) == {"token": "dead", "account": "1100000001"}


def test_the_lines_for_a_person_say_each_account_and_repeat_no_word_of_their_own() -> None:
    lines = "\n".join(pointing_lines(9200, None, [MEERA, RAVI]))
    assert "1100000001, as in its file" in lines
    assert "DHANHQ_CLIENT_ID=1100000001 DHANHQ_ACCESS_TOKEN=... " in lines
    assert "word" not in lines
    assert "scalper run --sim-url http://127.0.0.1:9200" in "\n".join(pointing_lines(9200))


async def test_an_engine_of_an_account_there_is_not_is_told_which_there_are() -> None:
    async with serving(clock=HandClock(), account=MEERA) as (server, visitor):
        with pytest.raises(
            BrokerUnreachable, match="takes no engine now: there is no account SIMULATED; there are 1100000001"
        ):
            await SimLink(visitor.root).attach(stepped=False)
        assert not server.brokerage.time_runs
