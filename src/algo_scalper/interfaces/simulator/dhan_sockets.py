"""Dhan's WebSockets: market feed, depth and order updates, each for the account it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from algo_scalper.adapters.dhan.depth import Depth
from algo_scalper.interfaces.simulator.brokerage import Brokerage, OrderLogin
from algo_scalper.interfaces.simulator.clock import MarketTime
from algo_scalper.interfaces.simulator.connections import Connections
from algo_scalper.interfaces.simulator.faults import FeedRefusal
from algo_scalper.interfaces.simulator.http_answers import hang_up
from algo_scalper.interfaces.simulator.outbox import End
from algo_scalper.interfaces.simulator.subscribers import OrderSession
from algo_scalper.interfaces.simulator.venue import AUTHENTICATION_FAILED, Venue

INVALID_REQUEST = 814
DEPTH_PATHS: dict[str, Depth] = {"/twentydepth": 20, "/twohundreddepth": 200, "/fulldepth": 200}
"""The last is the 200-level host's other documented address, whose path is ``/`` there."""
LOGIN_CODE = 42

Socket = Callable[[web.Request, Venue], Awaitable[web.StreamResponse]]


class _LoginRequest(msgspec.Struct, frozen=True):
    MsgCode: int = 0
    ClientId: str = ""
    Token: str = ""


class _Login(msgspec.Struct, frozen=True):
    LoginReq: _LoginRequest = _LoginRequest()
    UserType: str = ""
    Secret: str = ""


class DhanSockets:
    """The paths under which a WebSocket of Dhan's is served."""

    def __init__(self, brokerage: Brokerage, time: MarketTime, connections: Connections) -> None:
        self._brokerage = brokerage
        self._time = time
        self._connections = connections

    def at(self, path: str) -> Socket | None:
        """What serves the sockets of a path; None where there are none."""
        if path in ("/", "/feed"):
            return self._feed_socket
        if path == "/order-updates":
            return self._order_socket
        return self._depth_socket if path.rstrip("/") in DEPTH_PATHS else None

    async def let_in(self, request: web.Request, socket: Socket) -> web.StreamResponse:
        """A connection, unless the broker is away or wants none. Who wants order updates says so later."""
        venue = self._brokerage.of_socket(request.query.get("clientId", ""), request.query.get("token", ""))
        await venue.thawed()
        faults = venue.faults
        if faults.down(venue.world.now_ns):
            faults.meet("restart")
            return hang_up(request)
        if socket != self._order_socket and faults.refuse_feeds is not FeedRefusal.NO:
            faults.meet("refuse_feeds")
            if faults.refuse_feeds is FeedRefusal.TOO_MANY_REQUESTS:
                return web.Response(status=429, text="Client ID is blocked")
            if faults.refuse_feeds is FeedRefusal.RESET:
                return hang_up(request)
        return await socket(request, venue)

    async def _feed_socket(self, request: web.Request, venue: Venue) -> web.StreamResponse:
        refusal = venue.faults.refuse_feeds
        socket = await self._connections.accept(request)
        self._time.begin()
        session = venue.sockets.open_feed()
        query = request.query
        reason = venue.feed_refusal(query.get("token", ""), query.get("clientId", ""))
        if refusal is FeedRefusal.DISCONNECT or reason:
            session.disconnect(reason or AUTHENTICATION_FAILED)
        elif query.get("version") != "2" or query.get("authType") != "2":
            session.disconnect(INVALID_REQUEST)

        def text(data: str) -> None:
            if not session.outbox.ended:
                self._time.catch_up()
                venue.sockets.feed_text(session, data)
                self._time.progress()

        try:
            await self._connections.converse(request, socket, session.outbox, text)
        finally:
            venue.sockets.close_feed(session)
        return socket

    async def _depth_socket(self, request: web.Request, venue: Venue) -> web.StreamResponse:
        levels = DEPTH_PATHS[request.path.rstrip("/")]
        query = request.query
        token, client_id = query.get("token", ""), query.get("clientId", "")
        if venue.resets(levels, token):
            return hang_up(request, End.ABORT)
        socket = await self._connections.accept(request)
        self._time.begin()
        session = venue.sockets.open_depth(levels)
        reason = venue.feed_refusal(token, client_id)
        if venue.faults.refuse_feeds is FeedRefusal.DISCONNECT or reason:
            session.disconnect(reason or AUTHENTICATION_FAILED)
        elif query.get("authType") != "2":
            session.disconnect(INVALID_REQUEST)

        def text(data: str) -> None:
            if not session.outbox.ended:
                self._time.catch_up()
                venue.sockets.depth_text(session, data)
                self._time.progress()

        try:
            await self._connections.converse(request, socket, session.outbox, text)
        finally:
            venue.sockets.close_depth(session)
        return socket

    async def _order_socket(self, request: web.Request, nobodys: Venue) -> web.StreamResponse:
        socket = await self._connections.accept(request)
        self._time.begin()
        session = OrderSession()
        nobodys.sockets.orders.append(session)

        def text(data: str) -> None:
            if not session.logged_in and not session.outbox.ended:
                self._log_in(session, nobodys, data)
            else:
                nobodys.sockets.counters.orders_in += 1
            self._time.progress()

        try:
            await self._connections.converse(request, socket, session.outbox, text)
        finally:
            for venue in self._brokerage.venues:
                venue.sockets.close_orders(session)
        return socket

    def _log_in(self, session: OrderSession, nobodys: Venue, data: str) -> None:
        """The first message of an order connection; a bad one loses the connection without a word."""
        venues = self._logged_in(data)
        for venue in venues or [nobodys]:
            venue.sockets.counters.orders_in += 1
        if not venues:
            session.outbox.end(End.RESET)
            return
        if nobodys not in venues:
            nobodys.sockets.close_orders(session)
        for venue in venues:
            venue.sockets.order_login(session)

    def _logged_in(self, data: str) -> list[Venue]:
        try:
            login = msgspec.json.decode(data, type=_Login)
        except msgspec.DecodeError:
            return []
        request = login.LoginReq
        secret = login.Secret if login.UserType == "PARTNER" else None
        if request.MsgCode != LOGIN_CODE:
            return []
        return self._brokerage.logged_in(OrderLogin(request.ClientId, request.Token, secret))
