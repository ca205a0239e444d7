"""The page's web socket: the day as a snapshot, then what changed, four times a second at most."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from algo_scalper.interfaces.api.desk import Desk, desk_of
from algo_scalper.interfaces.api.settings import EngineState
from algo_scalper.runtime.publish import Batch
from algo_scalper.runtime.redis_mirror import MirrorView

AnySocket = WebSocket[Any, Any, Any]


class Link(msgspec.Struct, frozen=True):
    """How the desk itself stands to the engine."""

    connected: bool
    age_ms: int
    """Since the engine was last heard; -1 for never."""
    engine: EngineState
    mirror: MirrorView


class Packet(msgspec.Struct, frozen=True):
    """One message to the page."""

    link: Link
    batch: Batch


@websocket("/api/stream")
async def stream(socket: AnySocket) -> None:
    """Send until the page goes away. Nothing the page sends is read: commands are POSTs."""
    await socket.accept()
    sending = asyncio.create_task(_send(socket, desk_of(socket)))
    leaving = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()  # raises what was not the page going away
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send(socket: AnySocket, desk: Desk) -> None:
    with contextlib.suppress(OSError, WebSocketDisconnect):  # gone in the middle of a message
        async for batch in desk.reader.batches():
            await socket.send_data(msgspec.json.encode(Packet(link_of(desk), batch)).decode())


def link_of(desk: Desk) -> Link:
    """The desk's line to the engine, now."""
    age_ns = desk.reader.age_ns
    age_ms = -1 if age_ns is None else age_ns // 1_000_000
    return Link(desk.reader.connected, age_ms, desk.settings.engine_state(), desk.settings.mirror_view)


async def _until_gone(socket: AnySocket) -> None:
    try:
        while True:
            await socket.receive_data(mode="text")
    except WebSocketDisconnect:
        return
