"""One WebSocket connection, seen from above: connect, whole messages in, text out, one word of why it ended.

`PicowsTransport` is the implementation used; anything with the same two protocols can stand in its place. The library's
own logger is silenced because at debug level it prints the request line, and with it the access token.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Protocol

from picows import WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect

from algo_scalper.domain.errors import BrokerUnreachable

_BINARY, _TEXT, _CONTINUATION, _CLOSE = WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.CLOSE

OnMessage = Callable[[memoryview], None]
OnEnded = Callable[[str], None]

HANDSHAKE_TIDY_S = 15.0
RESET = "reset: the connection broke without a close frame"


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
    again: for a socket on which silence is normal and a dead peer must be noticed all the same.
    """

    def __init__(self, ping_s: float | None = None) -> None:
        self._ping_s = ping_s

    async def connect(self, url: str, on_message: OnMessage, on_ended: OnEnded) -> Link:
        """As `Transport.connect`. The caller bounds the time it may take; the library's own bound only tidies up."""
        listener = _Listener(on_message, on_ended)
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

    def __init__(self, on_message: OnMessage, on_ended: OnEnded) -> None:
        self._on_message = on_message
        self._on_ended = on_ended
        self._fragments = bytearray()
        self._said = ""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came: a message, part of one, or the server's goodbye. Pings are answered by the library."""
        kind = frame.msg_type
        if kind in (_BINARY, _TEXT):
            if frame.fin:
                self._on_message(frame.get_payload_as_memoryview())
            else:
                self._fragments = bytearray(frame.get_payload_as_memoryview())
        elif kind == _CONTINUATION:
            self._fragments += frame.get_payload_as_memoryview()
            if frame.fin:
                whole, self._fragments = self._fragments, bytearray()
                self._on_message(memoryview(whole))
        elif kind == _CLOSE:
            self._said = f"closed by the server: {frame.get_close_code()} {frame.get_close_reason() or ''}".rstrip()
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the library's signature
        """The connection is gone."""
        self._on_ended(self._said or RESET)
