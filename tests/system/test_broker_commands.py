"""The commands about the account, as processes of their own at a simulator: what they print, keep and never show."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from algo_scalper.adapters.dhan.token_store import TokenStore
from algo_scalper.interfaces.simulator import account
from algo_scalper.runtime.clock import SystemClock
from tests.architecture.source_files import ROOT
from tests.unit.simulator.stage import Visitor, serving, world_of


class Ran(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Commands in a folder of their own, at one simulator."""

    def __init__(self, folder: Path, visitor: Visitor) -> None:
        self.folder = folder
        self.visitor = visitor
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("DHAN", "PYTEST"))}
        self.environ["PYTHONPATH"] = str(ROOT / "src")

    async def begin(self, *words: str, sim: bool = True) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "algo_scalper", *words, *(("--sim-url", self.visitor.root) if sim else ())]
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *command, cwd=self.folder, env=self.environ, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def run(self, *words: str, typed: str = "", sim: bool = True) -> Ran:
        process = await self.begin(*words, sim=sim)
        async with asyncio.timeout(60):
            out, err = await process.communicate(typed.encode())
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    system = SystemClock()
    async with serving(world_of(after_open_s=3600), system, rate=1.0, limited=False) as (_, visitor):
        yield Shell(tmp_path, visitor)


def token_file(folder: Path) -> tuple[str, int]:
    path = folder / "var" / "tokens" / "SIMULATED.json"
    kept = TokenStore(folder / "var", "SIMULATED").read()
    assert kept is not None
    assert kept.access_token not in path.read_text(), "it lies encrypted"
    return kept.access_token, stat.S_IMODE(path.stat().st_mode)


async def test_a_login_by_pin_and_totp_is_kept_used_and_never_printed(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        at.environ |= {"DHANHQ_PIN": account.PIN, "DHANHQ_TOTP_SECRET": account.TOTP_SECRET}
        refused = await at.run("login", "mint")
        assert refused.code == 2
        assert "--anyway" in refused.err, "the session is on, and the token in use is alive"
        made = await at.run("login", "mint", "--anyway")
        assert made.code == 0, made
        assert "a token until" in made.out
        token, mode = token_file(tmp_path)
        assert mode == 0o600
        status = await at.run("login", "status", "--json")
        told = json.loads(status.out)
        assert told["source"] == "the stored token"
        assert told["can_mint"] is True
        funds = await at.run("funds", "--json")
        assert json.loads(funds.out)["usable_paise"] == 10_000_000, funds
        for ran in (refused, made, status, funds):
            assert not any(secret in ran.out + ran.err for secret in (token, account.PIN, account.TOTP_SECRET))


async def test_prices_and_books_for_the_shell(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        prices = json.loads((await at.run("ltp", "NIFTY", "vix", "--json")).out)
        assert [row["key"] for row in prices] == ["IDX_I:13", "IDX_I:21"]
        assert all(row["ltp_paise"] > 0 for row in prices)
        assert (await at.run("ltp", "NIFTI")).err.startswith("scalper: 'NIFTI' is not known")
        assert (await at.run("ltp", "NSE_FNO:4294967296")).err.startswith("scalper: 'NSE_FNO:4294967296' is not known")
        assert (await at.run("positions")).out == "no positions today\n"
        assert json.loads((await at.run("orders", "--json")).out) == []


@pytest.mark.parametrize("typed", ["", "not a token\n"])
async def test_a_paste_that_is_none_changes_nothing(tmp_path: Path, typed: str) -> None:
    async with shell(tmp_path) as at:
        ran = await at.run("login", "paste", typed=typed)
        assert ran.code == 2
        assert "not a token" not in ran.err
    assert not (tmp_path / "var" / "tokens" / "SIMULATED.json").exists()


async def test_the_doctor_s_exit_code_is_its_worst_light(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        await at.visitor.json("POST", "/sim/account", {"primary_ip": "127.0.0.1"})
        well = await at.run("doctor")
        assert well.code == 0, well.out
        await at.visitor.json("POST", "/sim/account", {"kill_switch": True})
        ill = await at.run("doctor", "--json")
        assert ill.code == 1
        lines = {line["name"]: line for line in json.loads(ill.out)}
        assert lines["kill switch"]["light"] == "red"
        assert lines["disk"]["light"] in ("green", "amber", "red")


async def test_without_any_settings_the_doctor_still_looks_at_the_machine(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        ran = await at.run("doctor", sim=False)
    assert ran.code == 1
    assert "DHANHQ_CLIENT_ID" in ran.out
    assert "GREEN  versions" in ran.out


async def test_a_probe_sends_nothing_without_the_words(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        ran = await at.run("probe", typed="yes\n")
        assert ran.code == 2
        assert "nothing was sent" in ran.err
        assert await at.visitor.json("GET", "/v2/orders") == []


async def test_a_real_host_is_not_probed_from_a_pipe(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        at.environ |= {"DHANHQ_CLIENT_ID": "1100000001", "DHANHQ_ACCESS_TOKEN": "word"}
        plain = await at.run("probe", sim=False)
        named = await at.run("probe", "--market", "dhan", sim=False)
    assert "--market dhan" in plain.err
    assert "a person at a terminal" in named.err
    assert (plain.code, named.code) == (2, 2)


async def test_a_probe_agreed_to_passes_and_is_kept(tmp_path: Path) -> None:
    async with shell(tmp_path) as at:
        process = await at.begin("probe")
        await agree(process)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode == 0, out.decode() + err.decode()
        assert [row["orderStatus"] for row in await at.visitor.json("GET", "/v2/orders")] == ["CANCELLED"]
    (kept,) = kept_probes(tmp_path)
    assert kept["passed"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_probe_that_is_interrupted_takes_back_what_it_placed(tmp_path: Path, number: signal.Signals) -> None:
    async with shell(tmp_path) as at:
        process = await at.begin("probe", "--round-trip")
        await agree(process)
        await line_with(process, " the stop rests:")
        process.send_signal(number)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode == 1, out.decode() + err.decode()
        working = ("TRANSIT", "PENDING", "PART_TRADED")
        assert not [row for row in await at.visitor.json("GET", "/v2/orders") if row["orderStatus"] in working]
        assert not [row for row in await at.visitor.json("GET", "/v2/positions") if row["netQty"]]
    (kept,) = kept_probes(tmp_path)
    assert (kept["passed"], kept["clean"]) == (False, True)


async def agree(process: asyncio.subprocess.Process) -> None:
    """Type what is to be typed."""
    assert process.stdin is not None
    words = (await line_with(process, "To agree, type: ")).partition("type: ")[2]
    process.stdin.write(words.encode())
    await process.stdin.drain()


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """Read on until a line has these words."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if words in line:
                return line
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


def kept_probes(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in (folder / "var" / "probes").glob("*.json")]
