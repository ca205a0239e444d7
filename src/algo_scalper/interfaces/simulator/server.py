"""The simulator's one port: DhanHQ's REST under ``/v2``, its WebSockets, our own ``/sim`` paths and a status page.

Bound to 127.0.0.1 only. Whatever comes in, the answer is the real server's where one is known, else a documented one;
a fault of our own is one line in the log and a 500 for the client.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket as sockets
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

import msgspec
from aiohttp import WSMsgType, web

from algo_scalper.adapters.dhan.depth import Depth
from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND, clock_text
from algo_scalper.interfaces.simulator.account import AccountFacts, changed
from algo_scalper.interfaces.simulator.brokerage import Brokerage, OrderLogin
from algo_scalper.interfaces.simulator.calls import Call
from algo_scalper.interfaces.simulator.clock import PacedTime, Ready, SteppedTime
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.endpoints import find
from algo_scalper.interfaces.simulator.fault_names import FAULTS, due_ns, fault_request
from algo_scalper.interfaces.simulator.faults import FaultRequest, FeedRefusal
from algo_scalper.interfaces.simulator.outbox import End, Outbox
from algo_scalper.interfaces.simulator.pointing import HOST, pointing_lines
from algo_scalper.interfaces.simulator.recording import Recorder
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, internal_error, not_found, success
from algo_scalper.interfaces.simulator.state import StateFile
from algo_scalper.interfaces.simulator.status import accounts, status
from algo_scalper.interfaces.simulator.tls import server_context
from algo_scalper.interfaces.simulator.venue import AUTHENTICATION_FAILED, Inquiry, Lost, OrderSession, Venue
from algo_scalper.simulation.world import World

__all__ = ["DEFAULT_PORT", "HOST", "SimulatorConfig", "SimulatorServer", "serve"]

DEFAULT_PORT = 9200
PING_EVERY_NS = 10 * NS_PER_SECOND
PONG_WITHIN_NS = 40 * NS_PER_SECOND
INVALID_REQUEST = 814
DEPTH_PATHS: dict[str, Depth] = {"/twentydepth": 20, "/twohundreddepth": 200, "/fulldepth": 200}
"""The last is the 200-level host's other documented address, whose path is ``/`` there."""
STATUS_PAGE = Path(__file__).with_name("status.html")
LOGIN_CODE = 42

log = logging.getLogger(__name__)
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

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Socket = Callable[[web.Request, Venue], Awaitable[web.StreamResponse]]


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


class _Attach(msgspec.Struct, frozen=True):
    stepped: bool = False
    client_id: str = ""
    downtime_ns: int = 0


class _ClockWord(msgspec.Struct, frozen=True):
    attach: _Attach | None = None
    now: bool = False
    ready: Ready | None = None


class _LoginRequest(msgspec.Struct, frozen=True):
    MsgCode: int = 0
    ClientId: str = ""
    Token: str = ""


class _Login(msgspec.Struct, frozen=True):
    LoginReq: _LoginRequest = _LoginRequest()
    UserType: str = ""
    Secret: str = ""


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
        self.brokerage = Brokerage(self.venue)
        if state is not None:
            self.venue.on_change = lambda: state.save(desk, clock.now_ns())
        self.stepped = SteppedTime(self.brokerage) if config.stepped else None
        self.paced = None if config.stepped else PacedTime(self.brokerage, clock, config.rate)
        self.port = 0
        self.stopped = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._connections = 0
        self._recorder = Recorder(config.record, self.now_ns) if config.record is not None else None
        self._open_others(state)
        now_ns = world.now_ns
        for request in config.faults:
            if due_ns(request, desk.day, now_ns) >= now_ns:
                self.brokerage.break_something(request)

    def _open_others(self, state: StateFile | None) -> None:
        """The accounts of the configuration, then those that were opened while an earlier simulator ran."""
        for facts in self._config.others:
            self._open(facts, state)
        for client_id in state.others() if state is not None else ():
            if all(venue.desk.client_id != client_id for venue in self.brokerage.venues):
                self._open(AccountFacts(client_id=client_id, token=client_id), state)

    def _open(self, facts: AccountFacts, state: StateFile | None) -> Venue:
        """One more account, with its books if they are kept. Raises `DataError` as `Brokerage.open` and `StateFile.load`."""
        own = state.of(facts.client_id) if state is not None else None
        venue = self.brokerage.open(facts, own.load(self.venue.desk.day) if own is not None else None)
        if own is not None:
            venue.on_change = lambda: own.save(venue.desk, self._clock.now_ns())
            venue.on_change()
        return venue

    async def start(self) -> None:
        """Bind and serve. Raises `ConfigError` when the port is taken, or certificates cannot be made."""
        secure = server_context(self._config.tls) if self._config.tls is not None else None
        app = web.Application(middlewares=[_guard])
        app.on_response_prepare.append(self._date)
        app.router.add_get("/sim/status", self._status)
        app.router.add_post("/sim/faults", self._faults)
        app.router.add_get("/sim/faults", self._named_faults)
        app.router.add_post("/sim/restart", self._restart)
        app.router.add_get("/sim/account", self._account)
        app.router.add_post("/sim/account", self._change_account)
        app.router.add_get("/sim/accounts", self._accounts)
        app.router.add_post("/sim/accounts", self._open_account)
        app.router.add_post("/sim/shutdown", self._shutdown)
        app.router.add_get("/sim/clock", self._clock_socket)
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
        if self.paced is not None:
            self._pacing = asyncio.create_task(self.paced.run())

    async def stop(self) -> None:
        """Close every connection and the port."""
        self.stopped.set()
        if self._pacing is not None:
            self._pacing.cancel()
            with suppress(asyncio.CancelledError):
                await self._pacing
        for venue in self.brokerage.venues:
            for session in (*venue.data_sockets, *venue.order_sockets):
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
        if request.headers.get("Upgrade", "").lower() == "websocket" and (socket := self._socket_at(request.path)):
            return await self._let_in(request, socket)
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
        sequence = request.headers.get("X-Sim-Seq", "")
        venue = self.brokerage.of_call(call)
        drives = self.stepped is not None and self.stepped.attached and venue is self.brokerage.driven
        if self.stepped is not None and drives and sequence.isdigit():
            inquiry.sequence = int(sequence)
            self.stepped.take(inquiry)
        else:
            if self.paced is not None:
                found = find(call.method, call.path)
                if found is not None and found[0].is_order:
                    self.paced.begin()
                self.paced.catch_up()
            venue.take(inquiry)
        written = await inquiry.written
        if isinstance(written, Lost):
            return _hang_up(request)
        if self._recorder is not None:
            self._recorder.answer(request.method, request.path, written.status, written.body)
        return _response(written)

    # Sockets

    def _socket_at(self, path: str) -> Socket | None:
        """What serves the sockets of a path; None where there are none."""
        if path in ("/", "/feed"):
            return self._feed_socket
        if path == "/order-updates":
            return self._order_socket
        return self._depth_socket if path.rstrip("/") in DEPTH_PATHS else None

    async def _let_in(self, request: web.Request, socket: Socket) -> web.StreamResponse:
        """A connection, unless the broker is away or wants none. Who wants order updates says so later."""
        venue = self.brokerage.of_socket(request.query.get("clientId", ""), request.query.get("token", ""))
        await venue.thawed()
        faults = venue.faults
        if faults.down(venue.world.now_ns):
            faults.meet("restart")
            return _hang_up(request)
        if socket != self._order_socket and faults.refuse_feeds is not FeedRefusal.NO:
            faults.meet("refuse_feeds")
            if faults.refuse_feeds is FeedRefusal.TOO_MANY_REQUESTS:
                return web.Response(status=429, text="Client ID is blocked")
            if faults.refuse_feeds is FeedRefusal.RESET:
                return _hang_up(request)
        return await socket(request, venue)

    async def _feed_socket(self, request: web.Request, venue: Venue) -> web.StreamResponse:
        refusal = venue.faults.refuse_feeds
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self._begin()
        session = venue.open_feed()
        query = request.query
        reason = venue.feed_refusal(query.get("token", ""), query.get("clientId", ""))
        if refusal is FeedRefusal.DISCONNECT or reason:
            session.disconnect(reason or AUTHENTICATION_FAILED)
        elif query.get("version") != "2" or query.get("authType") != "2":
            session.disconnect(INVALID_REQUEST)

        def text(data: str) -> None:
            if not session.outbox.ended:
                self._catch_up()
                venue.feed_text(session, data)
                self._progress()

        try:
            await self._converse(request, socket, session.outbox, text)
        finally:
            venue.close_feed(session)
        return socket

    async def _depth_socket(self, request: web.Request, venue: Venue) -> web.StreamResponse:
        levels = DEPTH_PATHS[request.path.rstrip("/")]
        query = request.query
        token, client_id = query.get("token", ""), query.get("clientId", "")
        if venue.resets(levels, token):
            return _hang_up(request, End.ABORT)
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self._begin()
        session = venue.open_depth(levels)
        reason = venue.feed_refusal(token, client_id)
        if venue.faults.refuse_feeds is FeedRefusal.DISCONNECT or reason:
            session.disconnect(reason or AUTHENTICATION_FAILED)
        elif query.get("authType") != "2":
            session.disconnect(INVALID_REQUEST)

        def text(data: str) -> None:
            if not session.outbox.ended:
                self._catch_up()
                venue.depth_text(session, data)
                self._progress()

        try:
            await self._converse(request, socket, session.outbox, text)
        finally:
            venue.close_depth(session)
        return socket

    async def _order_socket(self, request: web.Request, nobodys: Venue) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self._begin()
        session = OrderSession()
        nobodys.order_sockets.append(session)

        def text(data: str) -> None:
            if not session.logged_in and not session.outbox.ended:
                self._log_in(session, nobodys, data)
            else:
                nobodys.counters.orders_in += 1
            self._progress()

        try:
            await self._converse(request, socket, session.outbox, text)
        finally:
            for venue in self.brokerage.venues:
                venue.close_orders(session)
        return socket

    def _log_in(self, session: OrderSession, nobodys: Venue, data: str) -> None:
        """The first message of an order connection; a bad one loses the connection without a word."""
        venues = self._logged_in(data)
        for venue in venues or [nobodys]:
            venue.counters.orders_in += 1
        if not venues:
            session.outbox.end(End.RESET)
            return
        if nobodys not in venues:
            nobodys.close_orders(session)
        for venue in venues:
            venue.order_login(session)

    def _logged_in(self, data: str) -> list[Venue]:
        try:
            login = msgspec.json.decode(data, type=_Login)
        except msgspec.DecodeError:
            return []
        request = login.LoginReq
        secret = login.Secret if login.UserType == "PARTNER" else None
        if request.MsgCode != LOGIN_CODE:
            return []
        return self.brokerage.logged_in(OrderLogin(request.ClientId, request.Token, secret))

    # Time

    async def _clock_socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        outbox = Outbox()

        def text(data: str) -> None:
            try:
                word = msgspec.json.decode(data, type=_ClockWord)
            except msgspec.DecodeError as torn:
                outbox.put(_json({"error": f"not a word of this socket: {torn}"}))
                return
            self._clock_word(outbox, word)

        try:
            await self._converse(request, socket, outbox, text)
        finally:
            if self.stepped is not None:
                self.stepped.detach(outbox)
        return socket

    def _clock_word(self, outbox: Outbox, word: _ClockWord) -> None:
        if word.attach is not None:
            self._begin()
            if self.stepped is not None and word.attach.stepped:
                if self.stepped.attached:
                    outbox.put(_json({"error": "another engine is attached"}))
                    outbox.end(End.CLOSE)
                    return
                try:
                    venue = self.brokerage.named(word.attach.client_id)
                except ConfigError as unknown:
                    outbox.put(_json({"error": str(unknown)}))
                    outbox.end(End.CLOSE)
                    return
                self.stepped.attach(outbox, venue, word.attach.downtime_ns)
            outbox.put(_json({"hello": self._hello()}))
        if word.now:
            outbox.put(_json({"now": self.now_ns()}))
        if word.ready is not None and self.stepped is not None:
            self.stepped.ready(word.ready)

    def _hello(self) -> dict[str, object]:
        return {
            "mode": "paced" if self.paced is not None else "stepped",
            "now_ns": self.now_ns(),
            "rate": self._config.rate if self.paced is not None else 0.0,
            "day": self.venue.desk.day.isoformat(),
            "market": "SIMULATED",
            "close_ns": self.venue.desk.close_ns,
        }

    def now_ns(self) -> int:
        """Virtual time."""
        return self.paced.now_ns() if self.paced is not None else self.venue.world.now_ns

    def _begin(self) -> None:
        if self.paced is not None:
            self.paced.begin()

    def _catch_up(self) -> None:
        if self.paced is not None:
            self.paced.catch_up()

    def _progress(self) -> None:
        if self.stepped is not None:
            self.stepped.progress()

    # Any socket

    async def _converse(
        self, request: web.Request, socket: web.WebSocketResponse, outbox: Outbox, text: Callable[[str], None]
    ) -> None:
        """Read until the other side leaves; binary input is ignored, as the old SDK's farewell is by the real server."""
        heard = [self._clock.now_ns()]
        tasks = [
            asyncio.create_task(self._write(request, socket, outbox)),
            asyncio.create_task(self._ping(socket, outbox, heard)),
        ]
        try:
            async for message in socket:
                heard[0] = self._clock.now_ns()
                if message.type is WSMsgType.TEXT:
                    text(message.data)
                elif message.type is WSMsgType.PING:
                    await socket.pong(message.data)
        except ConnectionError:
            log.debug("a connection to %s was reset by its client", request.path)
        finally:
            outbox.end(End.RESET)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, request: web.Request, socket: web.WebSocketResponse, outbox: Outbox) -> None:
        """Empty the outbox into the socket until its end."""
        self._connections += 1
        number, recorder = self._connections, self._recorder
        with suppress(ConnectionError):
            while True:
                message = await outbox.take()
                if isinstance(message, End):
                    break
                if recorder is not None:
                    recorder.message(number, request.path, message)
                if isinstance(message, bytes):
                    await socket.send_bytes(message)
                else:
                    await socket.send_str(message)
            if message is End.CLOSE:
                await socket.close()
                return
            _hang_up(request, message)
            return
        _hang_up(request)

    async def _ping(self, socket: web.WebSocketResponse, outbox: Outbox, heard: list[int]) -> None:
        """Every ten seconds of real time; who has not been heard of for forty is dropped."""
        while not socket.closed:
            now_ns = self._clock.now_ns()
            await self._clock.sleep_until(now_ns + PING_EVERY_NS)
            if self._clock.now_ns() - heard[0] > PONG_WITHIN_NS:
                outbox.end(End.RESET)
                return
            with suppress(ConnectionError):
                await socket.ping()

    # Our own paths

    def _named(self, request: web.Request) -> Venue:
        """The account that ``?account=`` names, else the first. Raises `ConfigError` when there is none of that id."""
        return self.brokerage.named(request.query.get("account", ""))

    async def _status(self, request: web.Request) -> web.StreamResponse:
        try:
            venue, recorder = self._named(request), self._recorder
        except ConfigError as unknown:
            return _response(bad_input(str(unknown)))
        now_ns = self.now_ns()
        return _response(
            success(
                {
                    "mode": "paced" if self.paced is not None else "stepped",
                    "now_ns": now_ns,
                    "time": clock_text(now_ns),
                    "rate": self._config.rate if self.paced is not None else 0.0,
                    "slipped_ns": self.paced.slipped_ns if self.paced is not None else 0,
                    "attached": self.stepped.attached if self.stepped is not None else False,
                    **status(venue),
                    "accounts": accounts(self.brokerage),
                    "recording": {"messages": recorder.written, "bytes": recorder.size_bytes, "full": recorder.is_full}
                    if recorder is not None
                    else None,
                    "pointing": pointing_lines(self.port, self._config.tls, [venue.desk.facts]),
                }
            )
        )

    async def _named_faults(self, _: web.Request) -> web.StreamResponse:
        """Every fault that has a name, with what it posts."""
        return _response(
            success(
                {name: {"summary": one.summary, "body": one.body, "words": one.words} for name, one in FAULTS.items()}
            )
        )

    async def _faults(self, request: web.Request) -> web.StreamResponse:
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, object])
            name = body.pop("fault", None)
            if name is not None and (not isinstance(name, str) or name not in FAULTS):
                return _response(bad_input(f"no fault is named {str(name)[:40]}"))
            body = {**FAULTS[name].body, **body} if isinstance(name, str) else body
            return self._broken(fault_request(body, "the body"))
        except (msgspec.DecodeError, ConfigError, UnicodeDecodeError) as wrong:
            return _response(bad_input(str(wrong)))

    async def _restart(self, request: web.Request) -> web.StreamResponse:
        """``{"down_s": 5, "hard": true}``, or no body: the broker starts again."""
        try:
            raw = await request.read()
            body = msgspec.json.decode(raw, type=dict[str, object]) if raw else {}
            return self._broken(fault_request({**body, "restart": True}, "the body"))
        except (msgspec.DecodeError, ConfigError, UnicodeDecodeError) as wrong:
            return _response(bad_input(str(wrong)))

    def _broken(self, wanted: FaultRequest) -> web.StreamResponse:
        """Raises `ConfigError` for an account there is not."""
        self._catch_up()
        met = self.brokerage.break_something(wanted)
        return _response(success({"faults": met[0].faults, "now_ns": self.now_ns()}))

    async def _account(self, request: web.Request) -> web.StreamResponse:
        """Everything that is so of an account, its well-known secrets too."""
        try:
            return _response(success(self._named(request).desk.facts))
        except ConfigError as unknown:
            return _response(bad_input(str(unknown)))

    async def _change_account(self, request: web.Request) -> web.StreamResponse:
        try:
            venue = self._named(request)
            facts = changed(venue.desk.facts, await request.read())
            self.brokerage.check(facts, venue)
        except (DataError, ConfigError) as wrong:
            return _response(bad_input(str(wrong)))
        self._catch_up()
        venue.desk.apply(facts)
        venue.see_account(facts)
        venue.on_change()
        return _response(success(venue.desk.facts))

    async def _accounts(self, _: web.Request) -> web.StreamResponse:
        """The facts of every account."""
        return _response(success([venue.desk.facts for venue in self.brokerage.venues]))

    async def _open_account(self, request: web.Request) -> web.StreamResponse:
        """A new account of these facts, from now on."""
        try:
            facts = changed(AccountFacts(), await request.read())
            self._catch_up()
            state = StateFile(self._config.state) if self._config.state is not None else None
            return _response(success(self._open(facts, state).desk.facts))
        except DataError as wrong:
            return _response(bad_input(str(wrong)))

    async def _shutdown(self, _: web.Request) -> web.StreamResponse:
        self.stopped.set()
        return _response(success({"stopping": True}))


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost boundary: no fault of ours and no oversized body reaches a client as a traceback."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return _response(bad_input())
    except web.HTTPException as refused:
        return _response(not_found(request.path, 0)) if refused.status in (404, 405) else _response(bad_input())
    except ConnectionError:
        log.debug("a client left %s before it was answered", request.path)
        return web.Response()
    except Exception as fault:  # noqa: BLE001 - one line here instead of a traceback there
        where = fault.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where is not None else "?"
        log.error("%s %s failed: %s: %s (%s)", request.method, request.path, type(fault).__name__, fault, place)  # noqa: TRY400
        return _response(internal_error())


def _hang_up(request: web.Request, how: End = End.RESET) -> web.Response:
    """The connection goes away without a word."""
    transport = request.transport
    if transport is not None and how is End.ABORT:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # Lingering for no time at all makes the kernel send a reset.
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    elif transport is not None:
        transport.close()
    return web.Response()


def _response(reply: Reply) -> web.Response:
    if reply.location:
        return web.Response(status=reply.status, headers={"Location": reply.location})
    if not reply.body:
        return web.Response(status=reply.status)
    return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()


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
