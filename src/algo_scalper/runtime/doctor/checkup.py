"""What the doctor looks at, and the run over all checks: each on its own, bounded in time, hiding none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.failures import HeldBack, NotSent, TokenRefused
from algo_scalper.adapters.dhan.replies import (
    Addresses,
    FundsAnswer,
    KillSwitch,
    OrderRow,
    PnlExit,
    PositionRow,
    Profile,
)
from algo_scalper.adapters.dhan.waiting import done_by
from algo_scalper.domain.errors import AlgoScalperError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.broker_account import BrokerAccount
from algo_scalper.runtime.doctor.lines import Line, amber, red
from algo_scalper.runtime.settings import Settings

CHECK_WITHIN_NS = 15 * NS_PER_SECOND

_T = TypeVar("_T")


class Readings:
    """What Dhan is asked, each thing once however many checks look at it. Reads only."""

    def __init__(self, client: DhanClient) -> None:
        self._client = client
        self._asked: dict[str, asyncio.Task[Any]] = {}

    async def profile(self) -> Profile:
        """Raises `BrokerError`, as all of these."""
        return await self._once("profile", self._client.profile)

    async def addresses(self) -> Addresses:
        """The registered static IP addresses."""
        return await self._once("addresses", self._client.addresses)

    async def funds(self) -> FundsAnswer:
        """Balances."""
        return await self._once("funds", self._client.funds)

    async def kill_switch(self) -> KillSwitch:
        """Whether trading is switched off."""
        return await self._once("kill_switch", self._client.kill_switch)

    async def pnl_exit(self) -> PnlExit:
        """The broker's own exit."""
        return await self._once("pnl_exit", self._client.pnl_exit)

    async def positions(self) -> tuple[PositionRow, ...]:
        """Of the day."""
        return await self._once("positions", self._client.positions)

    async def orders(self) -> tuple[OrderRow, ...]:
        """Of the day."""
        return await self._once("orders", self._client.orders)

    async def close(self) -> None:
        """Give up what is still being asked."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _once(self, name: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        if name not in self._asked:
            self._asked[name] = asyncio.ensure_future(ask())
        found: _T = await asyncio.shield(self._asked[name])
        return found


class Surroundings:
    """What a check of this machine may look at."""

    def __init__(self, clock: Clock, system: Clock, settings: Settings, data_dir: Path, env_file: Path) -> None:
        """``clock`` is the market's time, ``system`` this machine's."""
        self.clock = clock
        self.system = system
        self.settings = settings
        self.data_dir = data_dir
        self.env_file = env_file

    def masked(self, text: str) -> str:
        """``text`` without secrets, for people."""
        return text


class Checkup(Surroundings):
    """What a check of the account may look at besides."""

    def __init__(self, around: Surroundings, account: BrokerAccount, client: DhanClient, tag: str) -> None:
        """``tag`` begins our own correlation ids."""
        super().__init__(around.clock, around.system, around.settings, around.data_dir, around.env_file)
        self.account = account
        self.broker = Readings(client)
        self.tag = tag

    def masked(self, text: str) -> str:
        """``text`` without the account's secrets."""
        return self.account.dhan.masked(text)


_At = TypeVar("_At", bound=Surroundings)
Check = Callable[[_At], Awaitable[Sequence[Line]]]


async def run_checks(at: _At, checks: Sequence[tuple[str, Check[_At]]]) -> list[Line]:
    """All of them side by side; their lines in the order of the checks."""
    found = await asyncio.gather(*(_one(at, name, check) for name, check in checks))
    return [line for lines in found for line in lines]


async def _one(at: _At, name: str, check: Check[_At]) -> Sequence[Line]:
    looking = asyncio.ensure_future(check(at))
    try:
        if not await done_by(at.system, at.system.now_ns() + CHECK_WITHIN_NS, looking):
            seconds = CHECK_WITHIN_NS // NS_PER_SECOND
            return (amber(name, f"not known: no answer within {seconds} seconds", "try again; check the connection"),)
        return looking.result()
    except TokenRefused:
        return (amber(name, "not known: Dhan refuses the token"),)
    except (AlgoScalperError, OSError, aiohttp.ClientError) as fault:
        if isinstance(fault, NotSent) and not isinstance(fault, HeldBack):
            # Once is enough: the lines of the token and the clock say what stands in the way.
            return (red(name, "not known: Dhan is not reached", "check this machine's network, then run this again"),)
        words = at.masked(str(fault) or type(fault).__name__)
        return (red(name, f"not known: {words}", "see what it says, then run this again"),)
    except Exception as fault:  # noqa: BLE001 - broad: a fault of one check may not hide what the others found
        words = at.masked(f"{type(fault).__name__}: {fault}")
        return (red(name, f"the check itself failed: {words}", "this is a bug of ours: report it with this line"),)
    finally:
        looking.cancel()
        await asyncio.wait((looking,))
