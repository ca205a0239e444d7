"""The paths under ``/sim`` that Dhan does not have: status, faults, accounts, the end. See ``docs/reference/simulator.md``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.units import clock_text
from algo_scalper.interfaces.simulator.account import AccountFacts, changed
from algo_scalper.interfaces.simulator.brokerage import Brokerage
from algo_scalper.interfaces.simulator.clock import MarketTime
from algo_scalper.interfaces.simulator.fault_names import FAULTS, fault_request
from algo_scalper.interfaces.simulator.faults import FaultRequest
from algo_scalper.interfaces.simulator.http_answers import Handler, response
from algo_scalper.interfaces.simulator.pointing import pointing_lines
from algo_scalper.interfaces.simulator.recording import Recorder
from algo_scalper.interfaces.simulator.replies import bad_input, success
from algo_scalper.interfaces.simulator.status import accounts, status
from algo_scalper.interfaces.simulator.venue import Venue

Told = Callable[[web.Request], Awaitable[object]]
"""What is answered with 200; what a request got wrong is raised."""


class OwnPaths:
    """What each path does. ``?account=`` names whose; without it, it is the first account."""

    def __init__(
        self,
        brokerage: Brokerage,
        time: MarketTime,
        recorder: Recorder | None,
        tls: Path | None,
        stopped: asyncio.Event,
    ) -> None:
        self._brokerage = brokerage
        self._time = time
        self._recorder = recorder
        self._tls = tls
        self._stopped = stopped

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve them."""
        router.add_get("/sim/status", _answering(self._status))
        router.add_get("/sim/faults", _answering(self._named_faults))
        router.add_post("/sim/faults", _answering(self._faults))
        router.add_post("/sim/restart", _answering(self._restart))
        router.add_get("/sim/account", _answering(self._account))
        router.add_post("/sim/account", _answering(self._change_account))
        router.add_get("/sim/accounts", _answering(self._accounts))
        router.add_post("/sim/accounts", _answering(self._open_account))
        router.add_post("/sim/shutdown", _answering(self._shutdown))

    def _named(self, request: web.Request) -> Venue:
        return self._brokerage.named(request.query.get("account", ""))

    async def _status(self, request: web.Request) -> object:
        venue, recorder, now_ns = self._named(request), self._recorder, self._time.now_ns()
        port = request.transport.get_extra_info("sockname")[1] if request.transport is not None else 0
        return {
            "mode": self._time.mode,
            "now_ns": now_ns,
            "time": clock_text(now_ns),
            "rate": self._time.rate,
            "slipped_ns": self._time.slipped_ns,
            "attached": self._time.is_driven,
            **status(venue),
            "accounts": accounts(self._brokerage),
            "recording": {"messages": recorder.written, "bytes": recorder.size_bytes, "full": recorder.is_full}
            if recorder is not None
            else None,
            "pointing": pointing_lines(port, self._tls, [venue.desk.facts]),
        }

    async def _named_faults(self, _: web.Request) -> object:
        """Every fault that has a name, with what it posts."""
        return {name: {"summary": one.summary, "body": one.body, "words": one.words} for name, one in FAULTS.items()}

    async def _faults(self, request: web.Request) -> object:
        body = _object(await request.read())
        name = body.pop("fault", None)
        if name is not None and (not isinstance(name, str) or name not in FAULTS):
            raise ConfigError(f"no fault is named {str(name)[:40]}")
        body = {**FAULTS[name].body, **body} if isinstance(name, str) else body
        return self._broken(fault_request(body, "the body"))

    async def _restart(self, request: web.Request) -> object:
        """``{"down_s": 5, "hard": true}``, or no body: the broker starts again."""
        raw = await request.read()
        return self._broken(fault_request({**(_object(raw) if raw else {}), "restart": True}, "the body"))

    def _broken(self, wanted: FaultRequest) -> object:
        self._time.catch_up()
        met = self._brokerage.break_something(wanted)
        return {"faults": met[0].faults, "now_ns": self._time.now_ns()}

    async def _account(self, request: web.Request) -> object:
        """Everything that is so of an account, its well-known secrets too."""
        return self._named(request).desk.facts

    async def _change_account(self, request: web.Request) -> object:
        venue = self._named(request)
        facts = changed(venue.desk.facts, await request.read())
        self._brokerage.check(facts, venue)
        self._time.catch_up()
        venue.desk.apply(facts)
        venue.see_account(facts)
        venue.on_change()
        return venue.desk.facts

    async def _accounts(self, _: web.Request) -> object:
        return [venue.desk.facts for venue in self._brokerage.venues]

    async def _open_account(self, request: web.Request) -> object:
        """A new account of these facts, from now on."""
        facts = changed(AccountFacts(), await request.read())
        self._time.catch_up()
        return self._brokerage.open(facts).desk.facts

    async def _shutdown(self, _: web.Request) -> object:
        self._stopped.set()
        return {"stopping": True}


def _answering(told: Told) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return response(success(await told(request)))
        except (DataError, ConfigError) as wrong:
            return response(bad_input(str(wrong)))

    return answer


def _object(raw: bytes) -> dict[str, object]:
    """A JSON object. Raises `DataError`."""
    try:
        found: dict[str, object] = msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise DataError(f"not a JSON object: {wrong}") from None
    return found
