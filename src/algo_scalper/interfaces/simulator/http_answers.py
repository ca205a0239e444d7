"""Answers as the HTTP library sends them: a reply, a connection that goes away, and what no fault of ours becomes."""

from __future__ import annotations

import logging
import socket as sockets
import struct
from collections.abc import Awaitable, Callable

from aiohttp import web

from algo_scalper.interfaces.simulator.outbox import End
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, internal_error, not_found

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


def response(reply: Reply) -> web.Response:
    """A reply as it goes out."""
    if reply.location:
        return web.Response(status=reply.status, headers={"Location": reply.location})
    if not reply.body:
        return web.Response(status=reply.status)
    return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)


def hang_up(request: web.Request, how: End = End.RESET) -> web.Response:
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


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost boundary: no fault of ours and no oversized body reaches a client as a traceback."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return response(bad_input())
    except web.HTTPException as refused:
        return response(not_found(request.path, 0)) if refused.status in (404, 405) else response(bad_input())
    except ConnectionError:
        log.debug("a client left %s before it was answered", request.path)
        return web.Response()
    except Exception as fault:  # noqa: BLE001 - one line here instead of a traceback there
        where = fault.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where is not None else "?"
        log.error("%s %s failed: %s: %s (%s)", request.method, request.path, type(fault).__name__, fault, place)  # noqa: TRY400
        return response(internal_error())
