"""A healthy account at a scripted Dhan, to be broken one way at a time, and the doctor's visit to it over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.token_store import ChosenToken, TokenStore
from algo_scalper.domain.ports import Clock
from algo_scalper.runtime.broker_account import BrokerAccount, simulated_account
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.doctor.checkup import Checkup, Surroundings
from algo_scalper.runtime.doctor.examine import examine
from algo_scalper.runtime.doctor.lines import Line
from algo_scalper.runtime.settings import load_settings
from algo_scalper.runtime.token_care import LoginMeans
from tests.unit.dhan.doubles import HandClock
from tests.unit.dhan.scripted import ScriptedServer, ist, jwt, scripted_server, settings_at
from tests.unit.simulator.stage import Visitor

DAY = date(2026, 11, 23)
CLIENT = "1100000001"
TAG = "ASTEST"
ENDS = ist(DAY, "20:10")
PROFILE = {
    "dhanClientId": CLIENT,
    "tokenValidity": "23/11/2026 20:10",
    "activeSegment": "E, D, C, M, ",
    "ddpi": "Active",
    "mtf": "Active",
    "dataPlan": "Active",
    "dataValidity": "2026-12-23 09:37:52.0",
}
ADDRESSES = {
    "modifyDatePrimary": "2026-11-28",
    "primaryIP": "198.51.100.7",
    "modifyDateSecondary": "2026-11-02",
    "secondaryIP": "198.51.100.8",
    "detectedIP": "198.51.100.7",
    "ipMatchStatus": "MATCHED",
    "ordersAllowed": True,
}
FUNDS = {
    "dhanClientId": CLIENT,
    "availabelBalance": 150000.0,
    "sodLimit": 100000.0,
    "collateralAmount": 30000.0,
    "receiveableAmount": 0.0,
    "utilizedAmount": 0.0,
    "blockedPayoutAmount": 0.0,
    "withdrawableBalance": 100000.0,
}
DEAD_TOKEN = {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"}


def heal(server: ScriptedServer) -> None:
    """Everything as it should be."""
    server.answers |= {
        ("GET", "/v2/profile"): (200, PROFILE),
        ("GET", "/v2/ip/getIP"): (200, ADDRESSES),
        ("GET", "/v2/fundlimit"): (200, FUNDS),
        ("GET", "/v2/killswitch"): (200, {"dhanClientId": CLIENT, "killSwitchStatus": "DEACTIVATE"}),
        ("GET", "/v2/pnlExit"): (200, {"pnlExitStatus": "DISABLED"}),
        ("GET", "/v2/positions"): (200, []),
        ("GET", "/v2/orders"): (200, []),
        ("GET", "/v2/"): (404, {"timestamp": 1, "status": 404, "error": "Not Found", "path": "/v2/"}),
        ("GET", "/master.csv"): (200, "SEM_EXM_EXCH_ID"),
    }


@asynccontextmanager
async def healthy() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        heal(server)
        yield server


async def visit(
    server: ScriptedServer,
    tmp_path: Path,
    *,
    at: str = "09:30",
    ends_ns: int = ENDS,
    means: LoginMeans = LoginMeans(),  # noqa: B008 - a tuple
    system: Clock | None = None,
    csv_url: str = "",
) -> dict[str, Line]:
    """The doctor's lines about the account, by name."""
    clock = HandClock()
    clock._now_ns = ist(DAY, at)
    token = jwt(CLIENT, ends_ns)
    dhan = settings_at(server, CLIENT, token)
    dhan.csv_url = csv_url or dhan.csv_url
    chosen = ChosenToken(token, ends_ns, web_made=True, sentence="for a test")
    account = BrokerAccount(dhan, TokenStore(tmp_path, CLIENT), chosen, means, (), simulated=False)
    real = system if system is not None else SystemClock()
    around = Surroundings(clock, real, load_settings({}, tmp_path / ".env"), tmp_path, tmp_path / ".env")
    async with DhanClient(dhan, real) as client:
        lines = await examine(Checkup(around, account, client, TAG))
    return {line.name: line for line in lines}


async def visit_simulator(visitor: Visitor, now_ns: int, tmp_path: Path, facts: dict[str, object]) -> dict[str, Line]:
    """The simulated account with these facts, and the doctor's lines about it."""
    registered = {"primary_ip": "127.0.0.1", "primary_changed": "2026-01-30"}
    await visitor.json("POST", "/sim/account", {**registered, **facts})
    clock, real = HandClock(), SystemClock()
    clock._now_ns = now_ns
    settings = load_settings({}, tmp_path / ".env")
    account = simulated_account(visitor.root, tmp_path, settings)
    around = Surroundings(clock, real, settings, tmp_path, tmp_path / ".env")
    async with DhanClient(account.dhan, real) as client:
        lines = await examine(Checkup(around, account, client, TAG))
    return {line.name: line for line in lines}
