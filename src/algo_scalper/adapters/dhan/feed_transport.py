"""One WebSocket connection, seen from above: connect, whole messages in, text out, one word of why it ended.

`PicowsTransport` is the implementation used; anything with the same two protocols can stand in its place. The library's
own logger is silenced because at debug level it prints the request line, and with it the access token.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from algo_scalper.domain.errors import BrokerUnreachable

_BINARY, _TEXT, _CONTINUATION, _CLOSE = WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.CLOSE

OnMessage = Callable[[memoryview], None]
OnEnded = Callable[[str], None]

HANDSHAKE_TIDY_S = 15.0
MOST_BYTES = 1 << 20
"""In one message, whole or in fragments. A hundred snapshots are 16 kB, an order update two: a message of more is not
what we asked for, and gathering it would take whatever memory the sender likes."""

RESET = "reset: the connection broke without a close frame"
TOO_LONG = "the server began a message longer than this project takes"


class HandshakeRefused(BrokerUnreachable):
    """The server answered the upgrade with something else. ``status`` is its HTTP status, 0 when it was not HTTP."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Link(Protocol):
    """An open connection."""

    def send_text(self, message: bytes) -> None:
        """Send one text message; nothing happens when the connection is gone."""

    def close(self) -> None:
        """Say goodbye and close."""

    def abort(self) -> None:
        """Close without a word."""


class Transport(Protocol):
    """A way to open connections."""

    async def connect(self, url: str, on_message: OnMessage, on_ended: OnEnded) -> Link:
        """Open one. Raises `HandshakeRefused` or OSError.

        ``on_message`` is called inside the socket's callback with a view that is valid only until it returns;
        ``on_ended`` once, with why, after the last message.
        """


class PicowsTransport:
    """WebSockets by picows, over IPv4.

    With ``ping_s`` the server is pinged after so many idle seconds, and given up when it does not answer in as many
    again: for a socket on which silence is normal and a dead peer must be noticed all the same. A message of more than
    ``most_bytes`` ends the connection with `TOO_LONG`.
    """

    def __init__(self, ping_s: float | None = None, most_bytes: int = MOST_BYTES) -> None:
        self._ping_s = ping_s
        self._most_bytes = most_bytes

    async def connect(self, url: str, on_message: OnMessage, on_ended: OnEnded) -> Link:
        """As `Transport.connect`. The caller bounds the time it may take; the library's own bound only tidies up."""
        listener = _Listener(on_message, on_ended, self._most_bytes)
        ping_s = self._ping_s
        try:
            transport, _ = await ws_connect(
                lambda: listener,
                url,
                websocket_handshake_timeout=HANDSHAKE_TIDY_S,
                max_redirects=0,
                logger_name=logging.Logger("dhan_socket", logging.CRITICAL + 1),  # noqa: LOG001 - heard by nobody
                enable_auto_ping=ping_s is not None,
                auto_ping_idle_timeout=ping_s or 0,
                auto_ping_reply_timeout=ping_s or 0,
                max_frame_size=self._most_bytes,
                family=socket.AF_INET,
            )
        except WSHandshakeError as refused:
            status = int(refused.response.status) if refused.response is not None else 0
            said = (refused.raw_body or b"").decode(errors="replace").strip()[:120]
            raise HandshakeRefused(status, f"HTTP {status} {said}".strip() if status else "not a WebSocket") from None
        except WSError as refused:
            raise HandshakeRefused(0, type(refused).__name__) from None
        return _Link(transport)


class _Link:
    def __init__(self, transport: WSTransport) -> None:
        self._transport = transport

    def send_text(self, message: bytes) -> None:
        self._transport.send(WSMsgType.TEXT, message)

    def close(self) -> None:
        self._transport.send_close()
        self._transport.disconnect()

    def abort(self) -> None:
        self._transport.disconnect(graceful=False)


class _Listener(WSListener):
    """Puts messages together from frames (fragments are rare and allowed) and notes how the connection ended."""

    def __init__(self, on_message: OnMessage, on_ended: OnEnded, most_bytes: int = MOST_BYTES) -> None:
        self._on_message = on_message
        self._on_ended = on_ended
        self._most_bytes = most_bytes
        self._fragments = bytearray()
        self._said = ""
        self._gone: asyncio.Task[None] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came: a message, part of one, or the server's goodbye. Pings are answered by the library."""
        kind = frame.msg_type
        if transport.is_close_frame_sent and kind != _CLOSE:
            return  # we are leaving; after a broken frame the library reads on at a place where no frame begins
        if kind in (_BINARY, _TEXT):
            if frame.fin:
                self._on_message(frame.get_payload_as_memoryview())
            else:
                self._fragments = bytearray(frame.get_payload_as_memoryview())
        elif kind == _CONTINUATION:
            self._gather(transport, frame)
        elif kind == _CLOSE:
            code = frame.get_close_code()
            self._said = _our_fault(transport) or (
                f"closed by the server: {code} {frame.get_close_reason() or ''}".rstrip()
            )
            transport.send_close(code)
            transport.disconnect()

    def _gather(self, transport: WSTransport, frame: WSFrame) -> None:
        """One more fragment; the last one makes the message. The library bounds a frame, this bounds their sum."""
        if self._said:
            return
        if len(self._fragments) + frame.payload_size > self._most_bytes:
            self._said, self._fragments = TOO_LONG, bytearray()
            transport.disconnect(graceful=False)
            return
        self._fragments += frame.get_payload_as_memoryview()
        if frame.fin:
            whole, self._fragments = self._fragments, bytearray()
            self._on_message(memoryview(whole))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The connection is gone."""
        fault = _our_fault(transport)
        if fault:
            self._gone = asyncio.ensure_future(_heard_out(transport))
        self._on_ended(self._said or fault or RESET)


async def _heard_out(transport: WSTransport) -> None:
    """Take the library's own exception, which we have in words: left alone it would be logged as forgotten."""
    with contextlib.suppress(WSError):
        await transport.wait_disconnected()


def _our_fault(transport: WSTransport) -> str:
    """Why the library gave the connection up by itself; empty when it did not."""
    sent = getattr(transport.close_handshake, "sent", None)  # the library's types forget that there may have been none
    if sent is None:
        return ""
    if sent.code == WSCloseCode.MESSAGE_TOO_BIG:
        return TOO_LONG
    return "what came is not WebSocket frames" if sent.code == WSCloseCode.PROTOCOL_ERROR else ""
