"""The account: tokens and how one comes by them, data plan, addresses, segments, money, and what each does to answers."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from urllib.parse import parse_qs, urlparse

import aiohttp
import pytest

from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.totp import totp
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.account import PIN, TOTP_SECRET, AccountFacts, changed
from tests.unit.simulator.accounts import body, trading
from tests.unit.simulator.stage import (
    HandClock,
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


async def request(visitor: Visitor, method: str, path: str, **headers: str) -> tuple[int, Any, str]:
    """Without following a redirect: (status, body, location)."""
    async with aiohttp.ClientSession() as session:
        asked = session.request(method, visitor.root + path, headers=headers, allow_redirects=False)
        async with asked as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(text) if is_json and text else text, answer.headers.get("Location", "")


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def generate(code: str, pin: str = PIN, client_id: str = "SIMULATED") -> str:
    return f"/app/generateAccessToken?dhanClientId={client_id}&pin={pin}&totp={code}"


async def test_a_token_by_pin_and_one_time_password() -> None:
    clock, world = HandClock(), world_of()
    async with serving(world, clock) as (_, visitor):
        code = totp(TOTP_SECRET, clock.now_ns() // NS_PER_SECOND)
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        assert await request(visitor, "POST", generate(wrong)) == (
            200,
            {"message": "Invalid TOTP", "status": "error"},
            "",
        )
        for path in (generate(code, pin="000000"), generate(code, client_id="another"), "/app/generateAccessToken"):
            refused = await request(visitor, "POST", path)
            assert refused[1] == {"message": "Unauthorized Request", "status": "error"}
        status, minted, _ = await request(visitor, "POST", generate(code))
        assert status == 200
        assert list(minted) == [
            "dhanClientId",
            "dhanClientName",
            "dhanClientUcc",
            "givenPowerOfAttorney",
            "accessToken",
            "expiryTime",
        ]
        said = claims(minted["accessToken"])
        assert said["exp"] == world.now_ns // NS_PER_SECOND + 86_400
        assert (said["iss"], said["tokenConsumerType"], said["dhanClientId"]) == ("dhan", "APP", "SIMULATED")
        # The market stands at 09:16 IST of the third of February.
        assert minted["expiryTime"] == "2026-02-04T09:16:00.000"
        soon = await request(visitor, "POST", generate(code))
        assert soon[1]["message"] == "Token can be generated once every 2 minutes"
        clock.move(120 * NS_PER_SECOND)
        later = totp(TOTP_SECRET, clock.now_ns() // NS_PER_SECOND)
        again = (await request(visitor, "POST", generate(later)))[1]["accessToken"]
        assert (await visitor.ask("GET", "/v2/fundlimit", token=again))[0] == 200
        assert (await visitor.ask("GET", "/v2/fundlimit", token=minted["accessToken"]))[0] == 401, "one at a time"
        assert (await visitor.ask("GET", "/v2/fundlimit"))[0] == 200, "the well-known word stays"


async def test_the_code_of_the_market_s_own_time_is_good_too() -> None:
    world = world_of()
    async with serving(world) as (_, visitor):
        code = totp(TOTP_SECRET, world.now_ns // NS_PER_SECOND)
        assert "accessToken" in (await request(visitor, "POST", generate(code)))[1]


async def test_renewing_gives_a_new_token_and_kills_the_old_one() -> None:
    facts = AccountFacts(token="made-on-the-web")
    async with serving(account=facts) as (_, visitor):
        status, text = await visitor.ask("GET", "/v2/RenewToken", token="made-on-the-web")
        assert status == 200
        renewed = json.loads(text)["accessToken"]
        assert claims(renewed)["tokenConsumerType"] == "SELF"
        assert (await visitor.ask("GET", "/v2/RenewToken", token="made-on-the-web"))[0] == 400
        assert (await visitor.ask("GET", "/v2/positions", token="made-on-the-web"))[0] == 401
        assert (await visitor.ask("GET", "/v2/RenewToken", token=renewed))[0] == 200
        status, text = await visitor.ask("GET", "/v2/RenewToken", token=renewed)
        assert (status, json.loads(text)["errorMessage"]) == (400, "Invalid Token")
        assert (await visitor.ask("POST", "/v2/RenewToken", token="made-on-the-web"))[0] == 400


async def test_a_token_of_an_app_is_not_renewed() -> None:
    world = world_of()
    async with serving(world) as (_, visitor):
        minted = (await request(visitor, "POST", generate(totp(TOTP_SECRET, world.now_ns // NS_PER_SECOND))))[1]
        status, text = await visitor.ask("GET", "/v2/RenewToken", token=minted["accessToken"])
        assert (status, json.loads(text)["errorMessage"]) == (400, "Invalid Token")


APP = {"app_id": "SIMULATED-APP", "app_secret": "SIMULATED-APP-SECRET"}
PARTNER = {"partner_id": "SIMULATED-PARTNER", "partner_secret": "SIMULATED-PARTNER-SECRET"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_consent_leads_to_a_token_once(method: str) -> None:
    async with serving(account=AccountFacts(redirect_url="http://127.0.0.1:9/back")) as (_, visitor):
        begin = "/app/generate-consent?client_id=SIMULATED"
        assert (await request(visitor, "POST", begin))[1]["message"] == "Unauthorized Request"
        begun = (await request(visitor, "POST", begin, **APP))[1]
        assert (begun["consentAppStatus"], begun["status"]) == ("GENERATED", "success")
        login = f"/login/consentApp-login?consentAppId={begun['consentAppId']}"
        status, _, location = await request(visitor, "GET", login)
        assert status == 302
        assert location.startswith("http://127.0.0.1:9/back/?tokenId=")
        token_id = parse_qs(urlparse(location).query)["tokenId"][0]
        use = f"/app/consumeApp-consent?tokenId={token_id}"
        assert (await request(visitor, method, use))[1]["status"] == "error", "without the app's secret"
        got = (await request(visitor, method, use, **APP))[1]
        assert got["expiryTime"] == "2026-02-04T09:16:00"
        assert (await visitor.ask("GET", "/v2/profile", token=got["accessToken"]))[0] == 200
        assert (await request(visitor, method, use, **APP))[1]["status"] == "error", "used up"
        assert (await request(visitor, "GET", login))[1]["status"] == "error", "a consent is given once"


async def test_without_a_redirect_the_page_shows_the_token_id() -> None:
    async with serving() as (_, visitor):
        begun = (await request(visitor, "POST", "/app/generate-consent?client_id=SIMULATED", **APP))[1]
        shown = await request(visitor, "GET", f"/login/consentApp-login?consentAppId={begun['consentAppId']}")
        assert shown[0] == 200
        token_id = shown[1].partition("<code>")[2].partition("</code>")[0]
        assert "accessToken" in (await request(visitor, "GET", f"/app/consumeApp-consent?tokenId={token_id}", **APP))[1]


async def test_a_partner_s_consent_and_its_login_on_the_order_socket() -> None:
    async with serving() as (server, visitor):
        assert (await request(visitor, "POST", "/partner/generate-consent"))[1]["status"] == "error"
        begun = (await request(visitor, "POST", "/partner/generate-consent", **PARTNER))[1]
        assert begun["consentStatus"] == "GENERATED"
        shown = await request(visitor, "GET", f"/consent-login?consentId={begun['consentId']}")
        token_id = shown[1].partition("<code>")[2].partition("</code>")[0]
        assert (await request(visitor, "GET", f"/app/consumeApp-consent?tokenId={token_id}", **APP))[1][
            "status"
        ] == "error"
        got = (await request(visitor, "POST", f"/partner/consume-consent?tokenId={token_id}", **PARTNER))[1]
        assert claims(got["accessToken"])["partnerId"] == "SIMULATED-PARTNER"
        for secret, good in (("SIMULATED-PARTNER-SECRET", True), ("guess", False)):
            socket = await visitor.connect("/order-updates")
            login = {
                "LoginReq": {"MsgCode": 42, "ClientId": "SIMULATED-PARTNER"},
                "UserType": "PARTNER",
                "Secret": secret,
            }
            await socket.send_str(json.dumps(login))
            if good:
                await visitor.ask("GET", "/v2/fundlimit")
                assert [session.logged_in for session in server.venue.sockets.orders] == [True]
            else:
                assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)
            await socket.close()


async def test_twenty_five_consents_a_day() -> None:
    async with serving() as (_, visitor):
        path = "/app/generate-consent?client_id=SIMULATED"
        answers = [(await request(visitor, "POST", path, **APP))[1] for _ in range(26)]
        assert [answer["status"] for answer in answers] == ["success"] * 25 + ["error"]


# Death


async def test_a_token_dies_at_its_hour_for_calls_and_sockets() -> None:
    async with trading(account=AccountFacts(token_expires="09:17")) as trader:
        assert (await trader.get("/v2/profile"))["tokenValidity"] == "03/02/2026 09:17"
        await trader.engine.subscribe(15, NIFTY.key)
        end_ns = trader.world.market.axis.open_ns + 120 * NS_PER_SECOND
        while trader.world.now_ns < end_ns:
            await trader.engine.step(end_ns)
        assert (await trader.visitor.ask("GET", "/v2/positions"))[0] == 401
        last = [frame async for frame in rest(trader.engine.feed)][-1]
        assert struct.unpack("<BHBIH", last[:10])[0] == 50
        assert struct.unpack("<H", last[8:10])[0] == 807


async def rest(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """What still comes until the socket closes."""
    while (message := await socket.receive()).type is aiohttp.WSMsgType.BINARY:
        yield message.data


async def test_a_dead_token_is_told_so_by_each_family_and_by_the_feed() -> None:
    async with serving() as (_, visitor):
        await visitor.ask("POST", "/sim/account", {"token_alive": False})
        told = {
            path: (await visitor.ask(method, path, {}))
            for method, path in (
                ("GET", "/v2/orders"),
                ("GET", "/v2/profile"),
                ("POST", "/v2/charts/historical"),
                ("POST", "/v2/marketfeed/ltp"),
                ("POST", "/v2/super/orders"),
            )
        }
        assert told["/v2/orders"][0] == 401
        assert {told[path][0] for path in ("/v2/profile", "/v2/charts/historical", "/v2/super/orders")} == {400}
        assert "Invalid Token" in told["/v2/profile"][1]
        assert (told["/v2/marketfeed/ltp"][0], "808" in told["/v2/marketfeed/ltp"][1]) == (401, True)
        assert await disconnect_reason(visitor) == 807
        assert await disconnect_reason(visitor, token="never-heard-of") == 808


async def disconnect_reason(visitor: Visitor, token: str = "SIMULATED") -> int:
    feed = await visitor.feed(token=token)
    frame = await feed.receive_bytes()
    await feed.close()
    assert frame[0] == 50
    return int(struct.unpack("<H", frame[8:10])[0])


# Data plan


async def test_without_a_data_plan_data_is_refused_and_trading_is_not() -> None:
    async with serving(account=AccountFacts(data_plan=False)) as (_, visitor):
        for path in ("/v2/marketfeed/quote", "/v2/optionchain", "/v2/optionchain/expirylist"):
            status, text = await visitor.ask("POST", path, {})
            assert (status, json.loads(text)["data"]) == (400, {"806": "Data APIs not subscribed"})
        for path in ("/v2/charts/intraday", "/v2/charts/historical", "/v2/charts/rollingoption"):
            status, text = await visitor.ask("POST", path, {})
            assert (status, json.loads(text)["errorCode"]) == (401, "DH-902")
        assert (await visitor.json("GET", "/v2/profile"))["dataPlan"] == "Deactive"
        assert (await visitor.ask("GET", "/v2/orders"))[0] == 200
        assert await disconnect_reason(visitor) == 806


async def test_a_feed_is_cut_off_when_the_plan_ends() -> None:
    async with serving() as (server, visitor):
        feed = await visitor.feed()
        await feed.send_str(subscribe(15, NIFTY.key))
        while not server.venue.sockets.feeds:
            await visitor.ask("GET", "/v2/fundlimit")
        await visitor.ask("POST", "/sim/account", {"data_plan": False})
        frames = [frame async for frame in rest(feed)]
        assert struct.unpack("<H", frames[-1][8:10])[0] == 806
        await feed.close()


# Addresses and segments

WRITES = [
    ("POST", "/v2/orders", order_body(CALL, price=LOW)),
    ("POST", "/v2/orders/slicing", order_body(CALL, price=LOW)),
    ("DELETE", "/v2/orders/1", None),
    ("POST", "/v2/super/orders", body(CALL, orderType="LIMIT", price=100, targetPrice=120, stopLossPrice=90)),
    ("DELETE", "/v2/super/orders/1/ENTRY_LEG", None),
    (
        "POST",
        "/v2/forever/orders",
        body(CALL, orderFlag="SINGLE", orderType="LIMIT", validity="DAY", price=90, triggerPrice=91),
    ),
    ("DELETE", "/v2/forever/orders/1", None),
    ("DELETE", "/v2/alerts/orders/1", None),
    ("DELETE", "/v2/positions", None),
]


@pytest.mark.parametrize(("method", "path", "sent"), WRITES, ids=[f"{method} {path}" for method, path, _ in WRITES])
async def test_orders_from_another_address_are_refused(method: str, path: str, sent: Any) -> None:
    facts = AccountFacts(primary_ip="203.0.113.7", detected_ip="2001:db8::1")
    async with serving(account=facts) as (_, visitor):
        status, text = await visitor.ask(method, path, sent)
        assert (status, json.loads(text)["errorCode"], json.loads(text)["errorMessage"]) == (
            400,
            "DH-905",
            "Invalid IP",
        )
        assert await visitor.json("GET", "/v2/orders") == []


async def test_the_body_is_looked_at_before_the_address_and_the_instrument_after_it() -> None:
    facts = AccountFacts(primary_ip="203.0.113.7")
    async with trading(account=facts) as trader:
        said = await trader.do("POST", "/v2/orders", order_body(CALL, quantity=...))
        assert said[1]["errorMessage"] == "quantity is required"
        said = await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW, securityId="1"))
        assert said[1]["errorMessage"] == "Invalid IP"
        await trader.visitor.ask("POST", "/sim/account", {"detected_ip": "203.0.113.7"})
        said = await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW, securityId="1"))
        assert "not listed" in said[1]["errorMessage"]


async def test_an_address_is_registered_and_changed_once_in_seven_days() -> None:
    async with serving() as (_, visitor):
        assert isinstance(await visitor.json("GET", "/v2/ip/getIP"), list), "none was ever set"
        sent = {"dhanClientId": "SIMULATED", "ip": "203.0.113.7", "ipFlag": "PRIMARY"}
        assert (await visitor.ask("PUT", "/v2/ip/modifyIP", sent))[0] == 400, "nothing to modify"
        assert await visitor.json("POST", "/v2/ip/setIP", sent) == {
            "message": "IP saved successfully",
            "status": "SUCCESS",
        }
        assert await visitor.json("GET", "/v2/ip/getIP") == {
            "modifyDatePrimary": "2026-02-10",
            "primaryIP": "203.0.113.7",
            "modifyDateSecondary": "",
            "secondaryIP": "",
            "detectedIP": "127.0.0.1",
            "ipMatchStatus": "MISMATCH",
            "ordersAllowed": False,
        }
        changed_ip = {**sent, "ip": "127.0.0.1"}
        assert (await visitor.ask("PUT", "/v2/ip/modifyIP", changed_ip))[0] == 400, "within seven days"
        await visitor.ask("POST", "/sim/account", {"primary_changed": "2026-01-27"})
        assert (await visitor.ask("PUT", "/v2/ip/modifyIP", changed_ip))[0] == 200
        shown = await visitor.json("GET", "/v2/ip/getIP")
        assert (shown["ipMatchStatus"], shown["ordersAllowed"]) == ("MATCH", True)
        second = {**sent, "ipFlag": "SECONDARY", "ip": "2001:db8::7"}
        assert (await visitor.ask("POST", "/v2/ip/setIP", second))[0] == 200
        for wrong in ({"ip": "300.1.1.1"}, {"ipFlag": "THIRD"}, {"dhanClientId": "x"}):
            assert (await visitor.ask("POST", "/v2/ip/setIP", {**sent, **wrong}))[0] == 400


async def test_without_the_segment_no_option_is_ordered() -> None:
    async with trading(account=AccountFacts(active_segments="E, ")) as trader:
        status, said = await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW))
        assert (status, said["errorCode"]) == (400, "DH-903")
        assert (await trader.get("/v2/profile"))["activeSegment"] == "E, "


# Money


async def test_pledged_money_shows_in_the_balance_and_buys_nothing() -> None:
    async with trading(account=AccountFacts(cash_paise=0, collateral_paise=5_000_000)) as trader:
        funds = await trader.get("/v2/fundlimit")
        assert (funds["availabelBalance"], funds["collateralAmount"]) == (50_000.0, 50_000.0)
        assert (funds["sodLimit"], funds["withdrawableBalance"], funds["utilizedAmount"]) == (0.0, 0.0, 0.0)
        await trader.do("POST", "/v2/orders", order_body(CALL, price=LOW))
        row = (await trader.get("/v2/orders"))[0]
        assert row["orderStatus"] == "REJECTED"
        assert "insufficient funds" in row["omsErrorDescription"]
        await trader.visitor.ask("POST", "/sim/account", {"cash_paise": 1_000_000})
        await trader.visitor.ask("POST", "/sim/account", {"ddpi": True})
        assert (await trader.get("/v2/fundlimit"))["withdrawableBalance"] == 10_000.0


async def test_holdings_are_as_configured() -> None:
    async with serving() as (_, visitor):
        await visitor.ask("POST", "/sim/account", {"holdings": [{"totalQty": 2, "avgCostPrice": 252.05}]})
        (row,) = await visitor.json("GET", "/v2/holdings")
        assert (row["exchange"], row["totalQty"], row["avgCostPrice"]) == ("ALL", 2, 252.05)


# The control endpoint


async def test_the_facts_are_shown_and_changed_in_part() -> None:
    async with serving() as (_, visitor):
        before = await visitor.json("GET", "/sim/account")
        assert before["client_id"] == before["token"] == "SIMULATED"
        after = await visitor.json("POST", "/sim/account", {"kill_switch": True})
        assert after == {**before, "kill_switch": True}
        assert (await visitor.json("GET", "/v2/killswitch"))["killSwitchStatus"] == "ACTIVATE"


BAD_FACTS = [
    b"",
    b"[]",
    b'{"cash":1}',
    b'{"data_plan":"no"}',
    b'{"token_expires":"noon"}',
    b'{"primary_changed":"x"}',
    b'{"totp_secret":"1"}',
]


@pytest.mark.parametrize("raw", BAD_FACTS)
async def test_facts_that_are_none_are_refused_and_change_nothing(raw: bytes) -> None:
    with pytest.raises(DataError, match="not facts of an account"):
        changed(AccountFacts(), raw)
    async with serving() as (_, visitor):
        before = await visitor.json("GET", "/sim/account")
        assert (await visitor.ask("POST", "/sim/account", raw=raw))[0] == 400
        assert await visitor.json("GET", "/sim/account") == before
