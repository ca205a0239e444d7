"""What becomes of a message between the broker and a socket: late, torn, glued, doubled, overtaken, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.simulator.faults import Delay, Faults
from algo_scalper.interfaces.simulator.outbox import Outbox

GATHERED_NS = 500 * NS_PER_MS
"""How long glued packets are gathered."""
OVERTAKEN_NS = NS_PER_SECOND
"""An update that waits to be overtaken waits no longer than this."""
_CUT = 5
"""Bytes a torn message lacks: fewer than any packet has."""
Later = Callable[[int, Callable[[], None]], None]
Put = Callable[[], None]
_Message = TypeVar("_Message", bytes, str)


class Wire:
    """Between broker and sockets. While nothing is broken every message goes on at once."""

    def __init__(self, faults: Faults, seed: int, now_ns: Callable[[], int], later: Later) -> None:
        self._faults = faults
        self._seed = seed
        self._now_ns = now_ns
        self._later = later
        self._number = 0
        self._free_ns: dict[Outbox, int] = {}
        """When the last delayed message of a socket leaves: none overtakes it."""
        self._glued: dict[Outbox, list[bytes]] = {}
        self._kept: list[str] = []
        """Updates that wait for the next one."""
        self._keeps_apart = True

    def delay_ns(self, delay: Delay) -> int:
        """The next delay of this distribution."""
        self._number += 1
        return delay.draw_ns(self._seed, self._number)

    def feed(self, outbox: Outbox, message: bytes, put: Callable[[bytes], None]) -> None:
        """A message of the market feed or of depth on its way; ``put`` sends it."""
        faults = self._faults
        if self._now_ns() < faults.glued_until_ns or outbox in self._glued:
            gathered = self._glued.get(outbox)
            if gathered is None:
                self._glued[outbox] = [message]
                self._later(GATHERED_NS, lambda: self._send_glued(outbox, put))
            else:
                gathered.append(message)
            return
        if faults.spend("torn_feed"):
            message = _torn(message)
        self._send(outbox, faults.slow_feed, "slow_feed", lambda: put(message))

    def _send_glued(self, outbox: Outbox, put: Callable[[bytes], None]) -> None:
        message = b"".join(self._glued.pop(outbox, []))
        self._faults.meet("glue_feed")
        if self._faults.spend("torn_feed"):
            message = _torn(message)
        self._send(outbox, self._faults.slow_feed, "slow_feed", lambda: put(message))

    def updates(self, text: str, send: Callable[[str], None]) -> None:
        """An order update on its way to all who listen; ``send`` is called for each message it becomes."""
        faults = self._faults
        if faults.updates_silent(self._now_ns()):
            faults.meet("stall_updates")
            return
        if faults.spend("drop_updates"):
            return
        if faults.spend("torn_updates"):
            text = _torn(text)
        texts = [text, text] if faults.spend("duplicate_updates") else [text]
        if self._kept:
            kept, self._kept = self._kept, []
            texts = [*texts, *kept] if self._keeps_apart else ["".join([*kept, *texts])]
        elif faults.reorder_updates or faults.glue_updates:
            self._keeps_apart = faults.spend("reorder_updates") or not faults.spend("glue_updates")
            self._kept = texts
            self._later(OVERTAKEN_NS, lambda: self._let_go(texts, send))
            return
        for each in texts:
            send(each)

    def _let_go(self, texts: list[str], send: Callable[[str], None]) -> None:
        """Nothing has overtaken them: they come now."""
        if self._kept is texts:
            self._kept = []
            for text in texts:
                send(text)

    def update(self, outbox: Outbox, put: Put) -> None:
        """One message of the order socket leaves for one listener."""
        self._send(outbox, self._faults.slow_updates, "slow_updates", put)

    def _send(self, outbox: Outbox, delay: Delay, name: str, put: Put) -> None:
        now_ns = self._now_ns()
        free_ns = self._free_ns.get(outbox, 0)
        wait_ns = self.delay_ns(delay) if delay.ms else 0
        at_ns = max(now_ns + wait_ns, free_ns)
        if at_ns <= now_ns:
            self._free_ns.pop(outbox, None)
            put()
            return
        self._free_ns[outbox] = at_ns
        self._faults.meet(name)
        self._later(at_ns - now_ns, put)

    def forget(self, outbox: Outbox) -> None:
        """This socket is gone."""
        self._free_ns.pop(outbox, None)
        self._glued.pop(outbox, None)


def _torn(message: _Message) -> _Message:
    """Without its last bytes: it ends in the middle of a packet or a document."""
    return message[:-_CUT]
