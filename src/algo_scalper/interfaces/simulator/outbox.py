"""What is on its way out of one socket: bounded, so that a slow reader is cut off and never holds the market up."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum

MOST_WAITING = 20_000
"""Messages a reader may be behind before its connection is dropped."""


class End(Enum):
    """How a socket is left, once everything before it is written."""

    CLOSE = "close"  # a WebSocket close frame
    RESET = "reset"  # the connection goes away without one
    ABORT = "abort"  # the same by a TCP reset, which may cost the other side what it has not read


class Outbox:
    """Messages in order, then perhaps an end. Written to by the market, emptied by the socket's own task."""

    def __init__(self) -> None:
        self._waiting: deque[bytes | str] = deque()
        self._end: End | None = None
        self._wake = asyncio.Event()
        self.sent = 0
        """Messages ever put."""

    @property
    def ended(self) -> bool:
        """Is this socket on its way out?"""
        return self._end is not None

    def put(self, message: bytes | str) -> bool:
        """Queue a message; False when the socket has ended, or ends here because its reader is too slow."""
        if self._end is not None:
            return False
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self.end(End.RESET)
            return False
        self._waiting.append(message)
        self.sent += 1
        self._wake.set()
        return True

    def end(self, how: End) -> None:
        """Leave the socket after what is queued; the first word stands."""
        if self._end is None:
            self._end = how
        self._wake.set()

    async def take(self) -> bytes | str | End:
        """The next message, or how to end."""
        while True:
            if self._waiting:
                return self._waiting.popleft()
            if self._end is not None:
                return self._end
            self._wake.clear()
            await self._wake.wait()
