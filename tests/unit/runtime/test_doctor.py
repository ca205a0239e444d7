"""The doctor's single checks: clocks, addresses, money, other hands, stores, Redis, disk, files; and how they are run."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from algo_scalper.adapters.dhan.failures import NotSent
from algo_scalper.adapters.storage.revisions import HEAD
from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.domain.errors import BrokerUnreachable
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.doctor import on_this_machine as machine
from algo_scalper.runtime.doctor.at_the_broker import gap_of
from algo_scalper.runtime.doctor.checkup import CHECK_WITHIN_NS, Check, Surroundings, run_checks
from algo_scalper.runtime.doctor.lines import Light, Line, amber, green, red, worst
from algo_scalper.runtime.settings import load_settings
from tests.system.accounts import ADDRESSES, DAY, FUNDS, TAG, healthy, visit
from tests.unit.dhan.doubles import HandClock
from tests.unit.dhan.scripted import ist


def around(tmp_path: Path, clock: HandClock | None = None, **environ: str) -> Surroundings:
    now = clock if clock is not None else HandClock()
    data = tmp_path / "data"
    return Surroundings(now, now, load_settings(environ, tmp_path / ".env"), data, tmp_path / ".env")


# --- how checks are run --------------------------------------------------------------------------------------------


async def test_no_check_hides_another_whatever_happens_to_it(tmp_path: Path) -> None:
    clock = HandClock()

    async def fine(_: Surroundings) -> Sequence[Line]:
        return (green("fine", "as it should be"),)

    async def hangs(_: Surroundings) -> Sequence[Line]:
        await asyncio.Event().wait()
        return ()

    async def unreachable(_: Surroundings) -> Sequence[Line]:
        raise BrokerUnreachable("no connection")

    async def offline(_: Surroundings) -> Sequence[Line]:
        raise NotSent("funds: no route to host, and much more that all lines would say")

    async def bug(_: Surroundings) -> Sequence[Line]:
        raise ZeroDivisionError("by nothing")

    checks: list[tuple[str, Check[Surroundings]]] = [
        ("hangs", hangs),
        ("bug", bug),
        ("unreachable", unreachable),
        ("offline", offline),
        ("fine", fine),
    ]
    running = asyncio.create_task(run_checks(around(tmp_path, clock), checks))
    await clock.slept(lambda wait_ns: wait_ns == CHECK_WITHIN_NS)
    clock.advance(CHECK_WITHIN_NS)
    lines = await running
    assert [(line.name, line.light) for line in lines] == [
        ("hangs", Light.AMBER),
        ("bug", Light.RED),
        ("unreachable", Light.RED),
        ("offline", Light.RED),
        ("fine", Light.GREEN),
    ]
    assert "no answer within 15 seconds" in lines[0].value
    assert "ZeroDivisionError: by nothing" in lines[1].value
    assert "no connection" in lines[2].value
    assert lines[3].value == "not known: Dhan is not reached"


def test_the_worst_light() -> None:
    assert worst([]) is Light.GREEN
    assert worst([green("a", ""), amber("b", "")]) is Light.AMBER
    assert worst([red("a", "", "do"), amber("b", "")]) is Light.RED


# --- clocks --------------------------------------------------------------------------------------------------------

HEADER = "Mon, 23 Nov 2026 04:00:00 GMT"
SECOND = round(datetime(2026, 11, 23, 4, tzinfo=UTC).timestamp()) * NS_PER_SECOND
MS = NS_PER_SECOND // 1000


@pytest.mark.parametrize(
    ("sent_ms", "got_ms", "gap_ms"),
    [
        (0, 50, 0),
        (900, 999, 0),  # the header has whole seconds: this is within them
        (-40, 10, 0),
        (-1500, -1400, 1400),  # ours is behind
        (2500, 2600, -1500),  # ours is ahead
        (-5000, 5000, 0),  # a slow answer proves nothing
    ],
)
def test_the_gap_is_what_whole_seconds_and_the_way_cannot_explain(sent_ms: int, got_ms: int, gap_ms: int) -> None:
    assert gap_of(HEADER, SECOND + sent_ms * MS, SECOND + got_ms * MS) == gap_ms * MS


@pytest.mark.parametrize("header", ["", "yesterday", "Mon, 99 Nov 2026"])
def test_a_date_that_is_none(header: str) -> None:
    assert gap_of(header, 0, 1) is None


@pytest.mark.parametrize(
    ("off_s", "light", "words"),
    [(0, Light.GREEN, "agree"), (-2.6, Light.AMBER, "behind"), (6, Light.RED, "ahead of"), (-6, Light.RED, "behind")],
)
async def test_a_clock_that_is_off(tmp_path: Path, off_s: float, light: Light, words: str) -> None:
    system = SystemClock()
    system._anchor_ns += round(off_s * NS_PER_SECOND)
    async with healthy() as server:
        line = (await visit(server, tmp_path, system=system))["clock"]
    assert line.light is light, line
    assert words in line.value


# --- the account ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "light", "words"),
    [
        ({"detectedIP": "198.51.100.8"}, Light.GREEN, "we leave from 198.51.100.8"),
        ({"detectedIP": "", "ipMatchStatus": "", "ordersAllowed": None}, Light.AMBER, "does not say from where"),
        ({"detectedIP": "", "ipMatchStatus": "MATCHED"}, Light.GREEN, "Dhan says we leave from a registered address"),
        ({"detectedIP": "", "ipMatchStatus": "MISMATCH", "ordersAllowed": None}, Light.RED, "not allowed"),
        ({"ordersAllowed": False}, Light.RED, "not allowed"),
        ({"primaryIP": "", "secondaryIP": None}, Light.RED, "no static IP address is registered"),
        ({"primaryIP": "2001:db8:0::9", "detectedIP": "2001:db8::9"}, Light.GREEN, "we leave from 2001:db8::9"),
        ({"primaryIP": "2001:db8::1", "detectedIP": "2001:db8::9"}, Light.RED, "we leave from 2001:db8::9; registered"),
    ],
)
async def test_addresses(tmp_path: Path, changed: dict[str, object], light: Light, words: str) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/ip/getIP"] = 200, {**ADDRESSES, **changed}
        line = (await visit(server, tmp_path))["static IP"]
    assert (line.light, words in line.value) == (light, True), line


async def test_an_account_without_any_address_answers_with_an_error(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/ip/getIP"] = 200, [{"message": "Something went wrong", "status": "ERROR"}]
        line = (await visit(server, tmp_path))["static IP"]
    assert "no static IP address is registered" in line.value


async def test_before_the_open_funds_may_be_refused(tmp_path: Path) -> None:
    async with healthy() as server:
        said = {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Something went wrong"}
        server.answers["GET", "/v2/fundlimit"] = 400, said
        line = (await visit(server, tmp_path))["funds"]
    assert line.light is Light.AMBER
    assert "before the open" in line.remedy


@pytest.mark.parametrize(
    ("changed", "light", "words"),
    [
        ({"availabelBalance": 0.0, "collateralAmount": 0.0}, Light.RED, "no cash to buy options with"),
        ({"sodLimit": 0.0}, Light.RED, "of it from pledged"),
        ({"availabelBalance": 300000.0}, Light.GREEN, "Rs 1,00,000.00 may buy options"),
    ],
)
async def test_money(tmp_path: Path, changed: dict[str, float], light: Light, words: str) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/fundlimit"] = 200, {**FUNDS, **changed}
        line = (await visit(server, tmp_path))["funds"]
    assert (line.light, words in line.value) == (light, True), line


async def test_the_brokers_own_exit_is_shown_with_its_figures(tmp_path: Path) -> None:
    async with healthy() as server:
        set_exit = {"pnlExitStatus": "ACTIVE", "profit": "5000.0", "loss": "2500.0", "productType": ["INTRADAY"]}
        server.answers["GET", "/v2/pnlExit"] = 200, {**set_exit, "enable_kill_switch": True}
        line = (await visit(server, tmp_path))["P&L exit"]
    assert line.light is Light.AMBER
    assert "profit of Rs 5,000.00 or a loss of Rs 2,500.00" in line.value
    assert "INTRADAY positions" in line.value
    assert "switches trading off" in line.value


def order(correlation: str, status: str, security_id: str = "42500") -> dict[str, Any]:
    return {
        "orderId": "1",
        "correlationId": correlation,
        "orderStatus": status,
        "transactionType": "SELL",
        "tradingSymbol": "NIFTY-Nov2026-24500-CE",
        "securityId": security_id,
        "exchangeSegment": "NSE_FNO",
        "quantity": 65,
    }


async def test_other_hands_on_the_account_are_named(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/orders"] = 200, [order("NA", "PENDING", "42501"), order(f"{TAG}-1", "PENDING")]
        held = {
            "tradingSymbol": "SENSEX-Nov2026-80000-PE",
            "securityId": "9",
            "netQty": -20,
            "exchangeSegment": "BSE_FNO",
        }
        own = {"tradingSymbol": "NIFTY-Nov2026-24500-CE", "securityId": "42500", "netQty": 65}
        server.answers["GET", "/v2/positions"] = 200, [held, own]
        line = (await visit(server, tmp_path))["foreign orders"]
    assert line.light is Light.AMBER
    assert line.value == (
        "1 positions and 1 working orders of other hands: SENSEX-Nov2026-80000-PE -20, SELL NIFTY-Nov2026-24500-CE 65"
    )


async def test_what_is_over_is_no_other_hand(tmp_path: Path) -> None:
    async with healthy() as server:
        server.answers["GET", "/v2/orders"] = 200, [order("NA", "TRADED"), order("NA", "CANCELLED")]
        server.answers["GET", "/v2/positions"] = 200, [{"securityId": "9", "netQty": 0, "positionType": "CLOSED"}]
        assert (await visit(server, tmp_path))["foreign orders"].light is Light.GREEN


# --- the master file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modified", "at", "light"),
    [
        (ist(DAY, "06:00"), "09:30", Light.GREEN),
        (ist(DAY, "06:00") - 3 * 86_400 * NS_PER_SECOND, "08:00", Light.GREEN),  # Friday's, before half past eight
        (ist(DAY, "06:00") - 3 * 86_400 * NS_PER_SECOND, "09:30", Light.AMBER),
    ],
)
async def test_the_age_of_the_master_file(tmp_path: Path, modified: int, at: str, light: Light) -> None:
    def answer(_: web.Request) -> web.Response:
        stamp = format_datetime(datetime.fromtimestamp(modified // NS_PER_SECOND, UTC), usegmt=True)
        return web.Response(text="header\n" * 10, headers={"Last-Modified": stamp})

    async with healthy() as server, _http(answer) as port:
        lines = await visit(server, tmp_path, at=at, csv_url=f"http://127.0.0.1:{port}/master.csv")
    assert lines["catalogue"].light is light, lines["catalogue"]


async def test_a_master_file_that_is_not_there(tmp_path: Path) -> None:
    async with healthy() as server:
        del server.answers["GET", "/master.csv"]
        line = (await visit(server, tmp_path))["catalogue"]
    assert line.light is Light.RED
    assert "HTTP 404" in line.value


@asynccontextmanager
async def _http(answer: Any) -> AsyncIterator[int]:
    app = web.Application()

    async def handle(request: web.Request) -> web.Response:
        found: web.Response = answer(request)
        return found

    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


# --- this machine --------------------------------------------------------------------------------------------------


def list_of(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_stores_that_are_not_made_yet_are_not_made_now(tmp_path: Path) -> None:
    lines = await machine.databases(around(tmp_path))
    assert [line.light for line in lines] == [Light.GREEN, Light.GREEN]
    assert "not made yet" in lines[0].value
    assert not list_of(tmp_path)


async def test_stores_as_they_should_be(tmp_path: Path) -> None:
    open_stores(None, tmp_path / "data").close()
    lines = await machine.databases(around(tmp_path))
    assert [line.light for line in lines] == [Light.GREEN, Light.GREEN]
    assert f"whole, writable, revision {HEAD['trading']}" in lines[0].value


async def test_a_store_of_another_version_is_told_and_left_alone(tmp_path: Path) -> None:
    open_stores(None, tmp_path / "data").close()
    path = tmp_path / "data" / "trading.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'trading_9999'")
    connection.close()
    trading, reference = await machine.databases(around(tmp_path))
    assert trading.light is Light.AMBER
    assert f"at revision trading_9999, this version has {HEAD['trading']}" in trading.value
    assert reference.light is Light.GREEN


async def test_a_damaged_store_is_red_and_the_other_is_not(tmp_path: Path) -> None:
    open_stores(None, tmp_path / "data").close()
    (tmp_path / "data" / "trading.sqlite3").write_bytes(b"this is no database, " * 400)
    trading, reference = await machine.databases(around(tmp_path))
    assert trading.light is Light.RED
    assert "restore the last backup" in trading.remedy
    assert reference.light is Light.GREEN


async def test_a_postgresql_that_is_not_there(tmp_path: Path) -> None:
    url = "postgresql://scalper:pass-word-one@127.0.0.1:1/scalper"
    lines = await machine.databases(around(tmp_path, DATABASE_URL=url))
    assert {line.light for line in lines} == {Light.RED}
    assert "pass-word-one" not in str(lines)


async def test_redis_that_is_not_there_is_amber(tmp_path: Path) -> None:
    (line,) = await machine.redis(around(tmp_path, REDIS_URL="redis://127.0.0.1:1"))
    assert line.light is Light.AMBER
    assert "away: redis://127.0.0.1:1" in line.value
    (line,) = await machine.redis(around(tmp_path, REDIS_URL="http://127.0.0.1"))
    assert line.light is Light.RED
    (line,) = await machine.redis(around(tmp_path))
    assert line.light is Light.GREEN


@pytest.mark.parametrize(
    ("free", "light"), [(80_000_000_000, Light.GREEN), (1_000_000_000, Light.AMBER), (100_000_000, Light.RED)]
)
async def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, light: Light) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, free))
    (line,) = await machine.disk(around(tmp_path))
    assert line.light is light


async def test_files_that_others_can_read(tmp_path: Path) -> None:
    at = around(tmp_path)
    at.env_file.write_text("DHANHQ_ACCESS_TOKEN=x")
    at.env_file.chmod(0o600)
    (at.data_dir / "tokens").mkdir(parents=True, mode=0o700)
    at.data_dir.chmod(0o755)
    token = at.data_dir / "tokens" / "1.json"
    token.write_text("{}")
    token.chmod(0o600)
    assert (await machine.permissions(at))[0].light is Light.GREEN
    token.chmod(0o644)
    (line,) = await machine.permissions(at)
    assert line.light is Light.RED
    assert line.remedy == f"run: chmod 600 {token}"
    token.chmod(0o600)
    at.data_dir.chmod(0o777)
    assert "chmod go-w" in (await machine.permissions(at))[0].remedy


async def test_remarks_on_the_settings_are_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DHANHQ_CLEINT_ID=7\n")
    lines = await machine.settings(around(tmp_path))
    assert [line.light for line in lines] == [Light.AMBER]
    assert "did you mean DHANHQ_CLIENT_ID" in lines[0].value


async def test_the_session_at_hand(tmp_path: Path) -> None:
    clock = HandClock()
    clock._now_ns = ist(DAY, "09:00")
    (line,) = await machine.session(around(tmp_path, clock))
    assert line.value.startswith("today, options 09:15-15:40.")
    assert "Expiry today" in line.value
    clock._now_ns = ist(DAY, "18:00")
    (line,) = await machine.session(around(tmp_path, clock))
    assert line.value.startswith("market closed, next session Wed 25 Nov 09:15.")


async def test_versions_and_costs_are_told(tmp_path: Path) -> None:
    assert "Python 3." in (await machine.versions(around(tmp_path)))[0].value
    assert "Rs 5,400" in (await machine.costs(around(tmp_path)))[0].value
    assert os.sep not in (await machine.versions(around(tmp_path)))[0].value
