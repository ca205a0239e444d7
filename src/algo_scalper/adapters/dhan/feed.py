"""The live market feed: subscribed to what is wanted, kept up, its messages handed on as they come.

Bytes are not decoded here (`packets` does that, in the handler) except for one question: is this a disconnect packet,
and for which reason. One socket carries 5,000 instruments; a second is opened when the first is full, up to the five
an account may have. A feed that is lost is told once, one that is back has everything subscribed again and says what
was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from algo_scalper.adapters.dhan.feed_transport import PicowsTransport, Transport
from algo_scalper.adapters.dhan.line import Connection, LineRules
from algo_scalper.adapters.dhan.lines import KeptLines, OnRestored
from algo_scalper.adapters.dhan.losses import told_by_server
from algo_scalper.adapters.dhan.packets import Buffer, Code, disconnect_reason
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.subscriptions import (
    DISCONNECT_MESSAGE,
    MOST_SOCKETS,
    Messages,
    Mode,
    Subscriptions,
)
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_SECOND

FEED_RULES = LineRules(silence_ns=30 * NS_PER_SECOND)
_HEARTBEAT, _DISCONNECT = int(Code.HEARTBEAT), int(Code.DISCONNECT)

FrameGate = Callable[[str, bytes], None]
"""``(kind, payload)``: takes a copy of each message instead of the handler, to release it in its turn."""


def _always(_now_ns: int) -> bool:
    return True


class DhanFeed(KeptLines):
    """The feed of one account.

    ``on_message(message, received_ns)`` is called inside the socket's callback, with a view that is valid only until it
    returns. With a ``frame_gate`` the messages go there, as bytes; whoever holds them hands them to `deliver` with the
    time that is then. Ticks are snapshots: around a `renew` some come twice, which changes nothing.
    """

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        chance: Chance,
        *,
        on_message: Callable[[Buffer, int], None],
        on_lost: Callable[[str], None],
        on_restored: OnRestored,
        expects_data: Callable[[int], bool] = _always,
        frame_gate: FrameGate | None = None,
        transport: Transport | None = None,
        rules: LineRules = FEED_RULES,
        least_mode: Mode = Mode.TICKER,
    ) -> None:
        """``expects_data(now_ns)``: is the market open, so that silence means a dead feed?

        ``least_mode``: nothing is subscribed in less; an index never in Full, which adds nothing to its Quote.
        """
        self._on_message = on_message
        self._gate = frame_gate
        self._subscriptions = Subscriptions(least_mode)
        super().__init__(
            settings,
            clock,
            chance,
            transport=PicowsTransport() if transport is None else transport,
            rules=rules,
            most_connections=MOST_SOCKETS,
            farewell=DISCONNECT_MESSAGE,
            on_lost=on_lost,
            on_restored=on_restored,
            expects_data=expects_data,
        )

    def __repr__(self) -> str:
        return f"DhanFeed(up={self.is_up}, sockets={self.sockets}, instruments={len(self._subscriptions)})"

    @property
    def wanted(self) -> tuple[int, ...]:
        """The keys that are subscribed, or will be on connecting."""
        return self._subscriptions.keys

    def subscribe(self, keys: Iterable[int], mode: Mode | None = None) -> None:
        """Want these, now and after every reconnect; without a mode indices as Quote and the others as Full.

        Each call counts, for each mode: `unsubscribe` takes one back. The highest mode wanted is what is sent. Raises
        `BrokerRefused` when all sockets together would carry too many, and then wants none of them.
        """
        self._say(self._subscriptions.want(keys, mode))

    def unsubscribe(self, keys: Iterable[int], mode: Mode | None = None) -> None:
        """Want these once less, in the mode they were wanted in."""
        self._say(self._subscriptions.let_go(keys, mode))

    def deliver(self, message: Buffer, at_ns: int) -> None:
        """Hand a held message on."""
        self._on_message(message, at_ns)

    def _say(self, messages: Messages) -> None:
        for number, message in messages:
            self._line(number).send(message)

    def _address(self, number: int) -> str:  # noqa: ARG002 - all sockets go to one place
        return self._settings.feed_address()

    def _greeting(self, number: int) -> Sequence[bytes]:
        return self._subscriptions.resubscribe(number)

    def _keys_on(self, number: int) -> Sequence[int]:
        return tuple(self._subscriptions.carried(number))

    def _take(self, connection: Connection, message: memoryview) -> None:
        if not len(message):
            return
        now_ns = self._clock.now_ns()
        if message[0] != _HEARTBEAT:
            connection.heard(now_ns)
        if self._gate is not None:
            self._gate("feed", bytes(message))
        else:
            self._on_message(message, now_ns)
        if len(message) >= 10 and message[-10] == _DISCONNECT:
            reason = disconnect_reason(message)
            if reason is not None:
                connection.end(told_by_server(reason))
