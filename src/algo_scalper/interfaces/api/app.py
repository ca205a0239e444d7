"""The desk's web server: the routes joined, and served on this machine alone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.datastructures import ResponseHeader, State

from algo_scalper.domain.errors import ConfigError
from algo_scalper.interfaces.api.access import Access, load_token
from algo_scalper.interfaces.api.changes import CHANGE_ROUTES
from algo_scalper.interfaces.api.command import COMMAND_ROUTES
from algo_scalper.interfaces.api.desk import Desk
from algo_scalper.interfaces.api.job_notices import run_jobs
from algo_scalper.interfaces.api.ports import holder_of
from algo_scalper.interfaces.api.read import READ_ROUTES
from algo_scalper.interfaces.api.settings import (
    DEFAULT_PORT,
    SIMULATED,
    DeskSettings,
    EngineState,
    check_host,
)
from algo_scalper.interfaces.api.stream import stream
from algo_scalper.interfaces.page.routes import PAGE_ROUTES
from algo_scalper.runtime.publish import StreamReader

__all__ = ["DeskSettings", "EngineState", "build_app", "serve_desk"]

SHUTDOWN_S = 2
_HEADERS = {
    # The chart library sets its own style element; everything else is ours and from here.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers then hide the Origin of our own forms too, and the login would refuse itself.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def build_app(settings: DeskSettings, reader: StreamReader) -> Litestar:
    """The application over a reader that somebody runs. Makes the token file if there is none."""

    def plays() -> bool:
        """May anyone on this machine use the page? Only while start and engine agree that it is a simulation."""
        view = reader.replica.day.view
        simulated = settings.market == SIMULATED and (view is None or view.market == SIMULATED)
        return simulated and not settings.allow_network

    access = Access(
        load_token(settings.data_dir), port=settings.port, plays=plays, allow_network=settings.allow_network
    )
    return Litestar(
        route_handlers=[*READ_ROUTES, *COMMAND_ROUTES, *CHANGE_ROUTES, stream, *PAGE_ROUTES],
        guards=[access.guard],
        state=State({"desk": Desk(settings, access, reader)}),
        response_headers=[ResponseHeader(name=name, value=value) for name, value in _HEADERS.items()],
        openapi_config=None,  # its viewers load from the network; the page must work without one
        logging_config=None,
    )


async def serve_desk(settings: DeskSettings) -> None:
    """Serve until SIGTERM, Ctrl-C or cancellation. Raises `ConfigError` when it may not or cannot listen."""
    check_host(settings)
    listener = listen(settings.host, settings.port)
    reader = StreamReader(settings.socket_path, settings.clock)
    server = _Server(
        uvicorn.Config(
            build_app(settings, reader),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    beside = [asyncio.create_task(reader.run())]
    if settings.mirror is not None:
        beside.append(asyncio.create_task(settings.mirror.run()))
    if settings.jobs is not None:
        beside.append(asyncio.create_task(run_jobs(settings.jobs, settings, reader)))
    try:
        with _ending(server):
            await server.serve(sockets=[listener])
    finally:
        listener.close()  # the server does, unless it was cancelled
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `ConfigError` naming the port, who holds it and what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        other = DEFAULT_PORT + 1 if port == DEFAULT_PORT else DEFAULT_PORT
        raise ConfigError(
            f"port {port} on {host} cannot be opened ({error.strerror}){holder_of(port)}; "
            f"free it, or use another: PORT={other}"
        ) from None
    return listener


class _Server(uvicorn.Server):
    """Ends by `should_exit`; leaves the process's signals to whoever started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _ending(server: uvicorn.Server) -> Iterator[None]:
    """While serving, SIGTERM, Ctrl-C and a terminal that goes away ask the server to end; `nohup` keeps the last one off."""

    def end(*_: Any) -> None:
        server.should_exit = True

    words = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        words.append(signal.SIGHUP)
    before = {word: signal.signal(word, end) for word in words}
    try:
        yield
    finally:
        for word, handler in before.items():
            signal.signal(word, handler)
