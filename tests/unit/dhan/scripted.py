"""A server on 127.0.0.1 that answers as a test scripts it and remembers what it was asked, and tokens made for tests."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

from aiohttp import web

from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.units import NS_PER_SECOND, ist_ns, parse_clock_s


class Asked(NamedTuple):
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


Scripted = tuple[int, object] | Callable[[Asked], tuple[int, object]]


class ScriptedServer:
    """``answers[method, path]`` is (status, JSON), or a function of the request; None resets the connection."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Scripted | None] = {}
        self.asked: list[Asked] = []
        self.port = 0

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _answer(self, request: web.Request) -> web.Response:
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), await request.read())
        self.asked.append(asked)
        missing = (404, {"timestamp": 1, "status": 404, "error": "Not Found", "path": request.path})
        scripted = self.answers.get((request.method, request.path), missing)
        if scripted is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body = scripted(asked) if callable(scripted) else scripted
        return web.json_response(body, status=status)


@contextlib.asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server._answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def settings_at(server: ScriptedServer, client_id: str, access_token: str) -> DhanSettings:
    sockets = server.root.replace("http", "ws")
    return DhanSettings(
        client_id,
        access_token,
        f"{server.root}/v2",
        f"{sockets}/feed",
        f"{sockets}/order-updates",
        f"{server.root}/master.csv",
        auth_url=server.root,
    )


def jwt(client_id: str, expires_ns: int, consumer: str = "SELF") -> str:
    """A token as Dhan writes them; nobody here checks its signature."""
    claims: dict[str, Any] = {
        "iss": "dhan",
        "exp": expires_ns // NS_PER_SECOND,
        "tokenConsumerType": consumer,
        "dhanClientId": client_id,
    }

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'typ': 'JWT', 'alg': 'HS512'})}.{part(claims)}.{'s' * 86}"


def ist(day: date, clock: str) -> int:
    """UTC ns of an IST wall time."""
    return ist_ns(day, parse_clock_s(clock, "test"))
