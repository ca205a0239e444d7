"""The simulator's one port: DhanHQ's REST under ``/v2``, its WebSockets, our own ``/sim`` paths and a status page.

Bound to 127.0.0.1 only. Whatever comes in, the answer is the real server's where one is known, else a documented one;
a fault of our own is one line in the log and a 500 for the client.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import msgspec
from aiohttp import web

from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.account import AccountFacts
from algo_scalper.interfaces.simulator.brokerage import Brokerage
from algo_scalper.interfaces.simulator.calls import Call
from algo_scalper.interfaces.simulator.clock import MarketTime
from algo_scalper.interfaces.simulator.clock_socket import ClockSocket
from algo_scalper.interfaces.simulator.connections import Connections
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.dhan_sockets import DhanSockets
from algo_scalper.interfaces.simulator.endpoints import find
from algo_scalper.interfaces.simulator.fault_names import due_ns
from algo_scalper.interfaces.simulator.faults import FaultRequest
from algo_scalper.interfaces.simulator.http_answers import guard, hang_up, response
from algo_scalper.interfaces.simulator.outbox import End
from algo_scalper.interfaces.simulator.own_paths import OwnPaths
from algo_scalper.interfaces.simulator.pointing import HOST
from algo_scalper.interfaces.simulator.recording import Recorder
from algo_scalper.interfaces.simulator.state import StateFile
from algo_scalper.interfaces.simulator.tls import server_context
from algo_scalper.interfaces.simulator.venue import Inquiry, Lost, Venue
from algo_scalper.simulation.world import World

__all__ = ["DEFAULT_PORT", "HOST", "SimulatorConfig", "SimulatorServer", "serve"]

DEFAULT_PORT = 9200
STATUS_PAGE = Path(__file__).with_name("status.html")

http_log = logging.getLogger(f"{__name__}.http")


def _one_line(record: logging.LogRecord) -> bool:
    """Say what was wrong with a malformed request without the HTTP library's traceback."""
    if record.exc_info and record.exc_info[1] is not None:
        fault = record.exc_info[1]
        record.msg = f"{record.getMessage()}: {type(fault).__name__}: {' '.join(str(fault).split())}"
        record.args = ()
        record.exc_info = None
    return True


http_log.addFilter(_one_line)


class SimulatorConfig(msgspec.Struct, frozen=True):
    """How a simulator is served. ``port`` 0 takes any free one; ``rate`` is virtual seconds per real second."""

    port: int = DEFAULT_PORT
    rate: float = 1.0
    stepped: bool = False
    limited: bool = True
    """Are Dhan's rate limits enforced?"""
    state: Path | None = None
    """Where the account's books are kept over a restart; None keeps them in memory."""
    account: AccountFacts = AccountFacts()
    """Who the first account is; what a state file remembers of it comes first."""
    others: tuple[AccountFacts, ...] = ()
    """More accounts of the same market."""
    faults: tuple[FaultRequest, ...] = ()
    """What breaks in the course of the day; instants that are past are left out."""
    tls: Path | None = None
    """A folder of certificates, made if need be; None serves plain http and ws."""
    record: Path | None = None
    """Where everything that is sent and answered is written down."""


class SimulatorServer:
    """DhanHQ v2 over one market. ``start`` and ``stop`` work inside a running loop; ``port`` is known once started."""

    def __init__(self, world: World, config: SimulatorConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        state = StateFile(config.state) if config.state is not None else None
        kept = state.load(world.market.day) if state is not None else None
        desk = Desk(
            world,
            config.account,
            kept.account if kept is not None else None,
            kept.standing if kept is not None else None,
        )
        desk.real_ns = clock.now_ns
        self.venue = Venue(desk, limited=config.limited)
        """The first account's; most simulators have no other."""
        self.brokerage = Brokerage(self.venue, state)
        self.brokerage.open_all(config.others)
        self.time = MarketTime(self.brokerage, clock, config.rate, is_stepped=config.stepped)
        self.port = 0
        self.stopped = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._recorder = Recorder(config.record, self.time.now_ns) if config.record is not None else None
        connections = Connections(clock, self._recorder)
        self._sockets = DhanSockets(self.brokerage, self.time, connections)
        self._clock_socket = ClockSocket(self.brokerage, self.time, connections)
        self._own = OwnPaths(self.brokerage, self.time, self._recorder, config.tls, self.stopped)
        now_ns = world.now_ns
        for request in config.faults:
            if due_ns(request, desk.day, now_ns) >= now_ns:
                self.brokerage.break_something(request)

    async def start(self) -> None:
        """Bind and serve. Raises `ConfigError` when the port is taken, or certificates cannot be made."""
        secure = server_context(self._config.tls) if self._config.tls is not None else None
        app = web.Application(middlewares=[guard])
        app.on_response_prepare.append(self._date)
        self._own.add_to(app.router)
        app.router.add_get("/sim/clock", self._clock_socket.serve)
        app.router.add_route("*", "/{path:.*}", self._any)
        self._runner = web.AppRunner(app, access_log=None, logger=http_log, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self._config.port, ssl_context=secure).start()
        except OSError as taken:
            await self._runner.cleanup()
            if taken.errno != errno.EADDRINUSE:
                raise
            message = f"port {self._config.port} is in use on {HOST}; stop what uses it, or choose another with --port"
            raise ConfigError(message) from None
        self.port = self._runner.addresses[0][1]
        if self.time.paced is not None:
            self._pacing = asyncio.create_task(self.time.paced.run())

    async def stop(self) -> None:
        """Close every connection and the port."""
        self.stopped.set()
        if self._pacing is not None:
            self._pacing.cancel()
            with suppress(asyncio.CancelledError):
                await self._pacing
        for venue in self.brokerage.venues:
            for session in (*venue.sockets.data, *venue.sockets.orders):
                session.outbox.end(End.CLOSE)
            venue.on_change()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._recorder is not None:
            self._recorder.close()

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        """The broker's clock may be wrong, and every answer says so."""
        skew_s = self.venue.faults.skew_s
        if skew_s:
            response.headers["Date"] = formatdate(self._clock.now_ns() / NS_PER_SECOND + skew_s, usegmt=True)

    # HTTP

    async def _any(self, request: web.Request) -> web.StreamResponse:
        """A Dhan path, or a WebSocket on one of Dhan's socket paths."""
        if request.headers.get("Upgrade", "").lower() == "websocket" and (socket := self._sockets.at(request.path)):
            return await self._sockets.let_in(request, socket)
        if request.method == "GET" and request.path == "/":
            return web.Response(body=STATUS_PAGE.read_bytes(), content_type="text/html", charset="utf-8")
        path = request.path.rstrip("/")
        call = Call(
            method=request.method,
            path=path.removeprefix("/v2"),
            is_v2=path.startswith("/v2"),
            token=request.headers.get("access-token", ""),
            client_id=request.headers.get("client-id", ""),
            body=await request.read(),
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        inquiry = Inquiry(call, asyncio.get_running_loop().create_future())
        found = find(call.method, call.path)
        acts = found is not None and found[0].is_order
        self.time.take(inquiry, request.headers.get("X-Sim-Seq", ""), acts=acts)
        written = await inquiry.written
        if isinstance(written, Lost):
            return hang_up(request)
        if self._recorder is not None:
            self._recorder.answer(request.method, request.path, written.status, written.body)
        return response(written)


async def serve(world: World, config: SimulatorConfig, clock: Clock, ready: Callable[[int], None]) -> None:
    """Serve until `POST /sim/shutdown` or cancellation; ``ready`` gets the port once it answers.

    Raises `ConfigError` when the port is taken.
    """
    server = SimulatorServer(world, config, clock)
    await server.start()
    try:
        ready(server.port)
        await server.stopped.wait()
    finally:
        await server.stop()
