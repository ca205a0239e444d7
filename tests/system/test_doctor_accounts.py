"""The doctor at eight broken accounts: for each the right sentence, in red, with a remedy, and all others as they were.

First at a scripted server with Dhan's own bodies, then at the simulator.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_scalper.runtime.doctor.lines import Light, Line, worst
from tests.system.accounts import ADDRESSES, CLIENT, DAY, DEAD_TOKEN, FUNDS, PROFILE, healthy, visit, visit_simulator
from tests.unit.dhan.scripted import ist
from tests.unit.simulator.stage import serving


def only_red(lines: dict[str, Line]) -> Line:
    """The one red line; the others are green."""
    (found,) = (line for line in lines.values() if line.light is Light.RED)
    assert found.remedy
    assert all(line.light is Light.GREEN for line in lines.values() if line is not found), lines
    return found


async def test_a_healthy_account_is_green_throughout_and_nothing_but_reads_is_sent(tmp_path: Path) -> None:
    async with healthy() as server:
        lines = await visit(server, tmp_path)
    assert {line.light for line in lines.values()} == {Light.GREEN}, lines
    assert worst(lines.values()) is Light.GREEN
    assert lines["token"].value == "until Mon 23 Nov 20:10; the session of Mon 23 Nov needs it until 15:35"
    assert lines["funds"].value == (
        "Rs 1,00,000.00 may buy options (cash Rs 1,20,000.00, pledged Rs 30,000.00; start of day Rs 1,00,000.00)"
    )
    assert lines["static IP"].value == (
        "we leave from 198.51.100.7, registered: 198.51.100.7 (primary), 198.51.100.8 (secondary); "
        "primary locked until 2026-11-28"
    )
    assert {asked.method for asked in server.asked} == {"GET"}
    assert not any("setIP" in asked.path or "modifyIP" in asked.path for asked in server.asked)
    bare = [asked for asked in server.asked if asked.path in ("/v2/", "/master.csv")]
    assert bare
    assert not any("access-token" in asked.headers for asked in bare), "what needs no token is asked without one"
    shown = " ".join(f"{line.value} {line.remedy}" for line in lines.values())
    assert CLIENT not in shown
    assert "eyJ" not in shown


async def test_1_orders_would_leave_from_another_address(tmp_path: Path) -> None:
    async with healthy() as server:
        wrong = {**ADDRESSES, "detectedIP": "203.0.113.9", "ipMatchStatus": "NOT_MATCHED", "ordersAllowed": False}
        server.answers["GET", "/v2/ip/getIP"] = 200, wrong
        found = only_red(await visit(server, tmp_path))
    assert found.value == (
        "we leave from 203.0.113.9; registered: 198.51.100.7 (primary), 198.51.100.8 (secondary): every order will be "
        "refused (Invalid IP)"
    )
    assert found.remedy == (
        "leave from the registered address, or change it on web.dhan.co; primary locked until 2026-11-28"
    )


async def test_2_requests_leave_by_ipv6(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/ip/getIP"] = 200, {**ADDRESSES, "detectedIP": "2001:db8::9", "ordersAllowed": False}
        found = only_red(await visit(server, tmp_path))
    assert found.value.startswith(
        "requests leave by IPv6, from 2001:db8::9; registered is IPv4, 198.51.100.7 (primary)"
    )
    assert "make this machine leave by IPv4" in found.remedy
    assert "change nothing at Dhan" in found.remedy, "a change is locked for seven days and would not help"


async def test_3_no_data_plan(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/profile"] = 200, {**PROFILE, "dataPlan": "Deactive", "dataValidity": "NA"}
        found = only_red(await visit(server, tmp_path))
    assert found.value == (
        "the Data API plan is Deactive: without it there are no quotes, charts, option chains and feeds"
    )
    assert "subscribe" in found.remedy


async def test_4_the_token_is_dead(tmp_path: Path) -> None:
    async with healthy() as server:
        for method, path in list(server.answers):
            if path.startswith("/v2/") and path != "/v2/":
                server.answers[method, path] = 400, DEAD_TOKEN
        server.answers["GET", "/v2/orders"] = (
            401,
            {
                "errorType": "Invalid_Authentication",
                "errorCode": "DH-901",
                "errorMessage": "Client ID or user generated access token is invalid or expired.",
            },
        )
        lines = await visit(server, tmp_path)
    (found,) = (line for line in lines.values() if line.light is Light.RED)
    assert found.name == "token"
    assert found.value == (
        "Dhan refuses the token, though it would last until Mon 23 Nov 20:10: another login has replaced it, or it was ended"
    )
    assert found.remedy.startswith("get a new one: scalper login")
    for name in ("account", "data plan", "segments", "static IP", "funds", "kill switch", "P&L exit", "foreign orders"):
        assert (lines[name].light, lines[name].value) == (Light.AMBER, "not known: Dhan refuses the token")
    assert lines["clock"].light is lines["catalogue"].light is Light.GREEN, (
        "what needs no token is looked at all the same"
    )


async def test_5_the_token_dies_at_two(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/profile"] = 200, {**PROFILE, "tokenValidity": "23/11/2026 14:00"}
        found = only_red(await visit(server, tmp_path, ends_ns=ist(DAY, "14:00")))
    assert found.value == (
        "the token ends Mon 23 Nov 14:00, before 15:35 (flat_by 15:05 and 30 minutes) of the session of Mon 23 Nov"
    )
    assert "scalper login renew" in found.remedy


async def test_5b_dhan_knows_of_an_earlier_end_than_the_token(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/profile"] = 200, {**PROFILE, "tokenValidity": "23/11/2026 14:00"}
        assert "ends Mon 23 Nov 14:00" in only_red(await visit(server, tmp_path)).value


async def test_6_futures_and_options_are_not_active(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/profile"] = 200, {**PROFILE, "activeSegment": "E, C, M, "}
        found = only_red(await visit(server, tmp_path))
    assert found.value == "futures and options are not active (active: E, C, M): every option order will be refused"
    assert "activate the derivatives segment" in found.remedy


async def test_7_the_kill_switch_is_on(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/killswitch"] = 200, {"dhanClientId": CLIENT, "killSwitchStatus": "ACTIVATE"}
        found = only_red(await visit(server, tmp_path))
    assert found.value == "the kill switch is on: Dhan takes no orders for the rest of the day"


async def test_8_all_the_money_is_pledged(tmp_path: Path) -> None:
    async with healthy() as server:
        pledged = {**FUNDS, "availabelBalance": 250000.0, "collateralAmount": 250000.0, "sodLimit": 250000.0}
        server.answers["GET", "/v2/fundlimit"] = 200, pledged
        found = only_red(await visit(server, tmp_path))
    assert found.value == (
        "Rs 2,50,000.00 available, all of it from pledged holdings: it cannot buy options, and there is no cash "
        "(cash Rs 0.00, pledged Rs 2,50,000.00; start of day Rs 2,50,000.00)"
    )
    assert "add cash" in found.remedy


async def test_all_at_once_each_says_its_own(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/ip/getIP"] = None
        server.answers["GET", "/v2/killswitch"] = 500, {"status": 500, "error": "Internal", "path": "/v2/killswitch"}
        server.answers["GET", "/v2/fundlimit"] = 200, [1, 2]
        server.answers["GET", "/v2/profile"] = 200, {**PROFILE, "activeSegment": "E, ", "dataPlan": "Deactive"}
        lines = await visit(server, tmp_path)
    red = {name for name, line in lines.items() if line.light is Light.RED}
    assert red == {"static IP", "kill switch", "funds", "segments", "data plan"}
    assert lines["token"].light is Light.GREEN


# --- at the simulator ----------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[dict[str, object], str, str]] = {
    "wrong IP": (
        {"detected_ip": "203.0.113.9"},
        "static IP",
        "we leave from 203.0.113.9; registered: 127.0.0.1 (primary): every order will be refused (Invalid IP)",
    ),
    "IPv6 egress": (
        {"detected_ip": "2001:db8::9"},
        "static IP",
        (
            "requests leave by IPv6, from 2001:db8::9; registered is IPv4, 127.0.0.1 (primary): every order will be "
            "refused (Invalid IP)"
        ),
    ),
    "no data plan": (
        {"data_plan": False},
        "data plan",
        "the Data API plan is Deactive: without it there are no quotes, charts, option chains and feeds",
    ),
    "token dying at 14:00": (
        {"token_expires": "14:00"},
        "token",
        "the token ends Tue 3 Feb 14:00, before 15:40 (flat_by 15:10 and 30 minutes) of the session of Tue 3 Feb",
    ),
    "F&O inactive": (
        {"active_segments": "E, C, M, "},
        "segments",
        "futures and options are not active (active: E, C, M): every option order will be refused",
    ),
    "kill switch on": (
        {"kill_switch": True},
        "kill switch",
        "the kill switch is on: Dhan takes no orders for the rest of the day",
    ),
    "pledge-only funds": (
        {"cash_paise": 0, "collateral_paise": 20_000_000},
        "funds",
        (
            "Rs 2,00,000.00 available, all of it from pledged holdings: it cannot buy options, and there is no cash "
            "(cash Rs 0.00, pledged Rs 2,00,000.00; start of day Rs 0.00)"
        ),
    ),
}


async def test_the_simulated_account_is_green_when_nothing_is_broken(tmp_path: Path) -> None:
    async with serving() as (server, visitor):
        lines = await visit_simulator(visitor, server.time.now_ns(), tmp_path, {})
    assert {line.light for line in lines.values()} == {Light.GREEN}, lines


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_simulated_account(tmp_path: Path, name: str) -> None:
    facts, check, sentence = BROKEN[name]
    async with serving() as (server, visitor):
        found = only_red(await visit_simulator(visitor, server.time.now_ns(), tmp_path, facts))
    assert (found.name, found.value) == (check, sentence)


async def test_a_simulated_account_with_a_dead_token(tmp_path: Path) -> None:
    async with serving() as (server, visitor):
        lines = await visit_simulator(visitor, server.time.now_ns(), tmp_path, {"token_alive": False})
    (found,) = (line for line in lines.values() if line.light is Light.RED)
    assert found.name == "token"
    assert found.value == "Dhan refuses the token: another login has replaced it, or it was ended"
    assert found.remedy.startswith("get a new one: scalper login")
    assert lines["funds"].value == "not known: Dhan refuses the token"


async def test_the_doctor_changes_nothing_at_the_simulated_account(tmp_path: Path) -> None:
    async with serving() as (server, visitor):
        await visit_simulator(visitor, server.time.now_ns(), tmp_path, {})
        before = await visitor.json("GET", "/sim/account")
        lines = await visit_simulator(visitor, server.time.now_ns(), tmp_path, {})
        assert await visitor.json("GET", "/sim/account") == before
        assert await visitor.json("GET", "/v2/orders") == []
    assert lines["static IP"].value.endswith("primary locked until 2026-02-06")
