"""The live market feed: subscribed to what is wanted, kept up, its messages handed on as they come.

Bytes are not decoded here (`packets` does that, in the handler) except for one question: is this a disconnect packet,
and for which reason. A feed that is lost is told once, one that is back has everything subscribed again; what happened
in between was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from algo_scalper.adapters.dhan.feed_transport import PicowsTransport, Transport
from algo_scalper.adapters.dhan.line import Line, LineRules, Loss, LossKind
from algo_scalper.adapters.dhan.packets import DISCONNECT_REASONS, Buffer, Code, disconnect_reason
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.subscriptions import DISCONNECT_MESSAGE, MOST_INSTRUMENTS, Subscriptions
from algo_scalper.domain.errors import BrokerRefused
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_SECOND

FEED_RULES = LineRules(silence_ns=30 * NS_PER_SECOND)
_HEARTBEAT, _DISCONNECT = int(Code.HEARTBEAT), int(Code.DISCONNECT)

LOSS_BY_REASON: dict[int, LossKind] = {
    805: LossKind.TOO_MANY_CONNECTIONS,
    806: LossKind.NO_SUBSCRIPTION,
    807: LossKind.TOKEN_EXPIRED,
    808: LossKind.AUTHENTICATION_FAILED,
    809: LossKind.TOKEN_INVALID,
    810: LossKind.CLIENT_ID_INVALID,
}

FrameGate = Callable[[str, bytes], None]
"""``(kind, payload)``: takes a copy of each message instead of the handler, to release it in its turn."""


def _always(_now_ns: int) -> bool:
    return True


class DhanFeed:
    """One feed connection.

    ``on_message(message, received_ns)`` is called inside the socket's callback, with a view that is valid only until it
    returns. With a ``frame_gate`` the messages go there, as bytes; whoever holds them hands them to `deliver` with the
    time that is then.
    """

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        chance: Chance,
        *,
        on_message: Callable[[Buffer, int], None],
        on_lost: Callable[[str], None],
        on_restored: Callable[[], None],
        expects_data: Callable[[int], bool] = _always,
        frame_gate: FrameGate | None = None,
        transport: Transport | None = None,
        rules: LineRules = FEED_RULES,
    ) -> None:
        """``expects_data(now_ns)``: is the market open, so that silence means a dead feed?"""
        self._clock = clock
        self._on_message = on_message
        self._gate = frame_gate
        self._subscriptions = Subscriptions()
        self._line = Line(
            transport=PicowsTransport() if transport is None else transport,
            clock=clock,
            chance=chance,
            rules=rules,
            address=settings.feed_address,
            masked=settings.masked,
            greeting=self._subscriptions.resubscribe_all,
            farewell=DISCONNECT_MESSAGE,
            on_message=self._take,
            on_lost=on_lost,
            on_restored=on_restored,
            expects_data=expects_data,
        )

    def __repr__(self) -> str:
        return f"DhanFeed(up={self.is_up}, instruments={len(self._subscriptions)})"

    @property
    def is_up(self) -> bool:
        """Connected, and everything wanted is subscribed."""
        return self._line.is_up

    @property
    def sent_messages(self) -> int:
        """Text messages sent since the beginning, over all connections."""
        return self._line.sent_messages

    @property
    def last_loss(self) -> Loss | None:
        """Why the last connection ended, or could not be made."""
        return self._line.last_loss

    @property
    def wanted(self) -> tuple[int, ...]:
        """The keys that are subscribed, or will be on connecting."""
        return self._subscriptions.keys

    async def run(self) -> None:
        """Keep the feed up until cancelled. Raises what ``on_message`` raised."""
        await self._line.run()

    async def wait_up(self) -> None:
        """Return once connected."""
        await self._line.wait_up()

    def subscribe(self, keys: Iterable[int]) -> None:
        """Want these, now and after every reconnect. Each call counts: `unsubscribe` takes one back.

        Raises `BrokerRefused` when the connection would carry too many, and then wants none of them.
        """
        asked = tuple(keys)
        new = len({key for key in asked if key not in self._subscriptions})
        if len(self._subscriptions) + new > MOST_INSTRUMENTS:
            raise BrokerRefused(f"one feed connection carries {MOST_INSTRUMENTS} instruments; {new} more is too many")
        for message in self._subscriptions.want(asked):
            self._line.send(message)

    def unsubscribe(self, keys: Iterable[int]) -> None:
        """Want these once less."""
        for message in self._subscriptions.let_go(keys):
            self._line.send(message)

    def deliver(self, message: Buffer, at_ns: int) -> None:
        """Hand a held message on."""
        self._on_message(message, at_ns)

    def _take(self, message: memoryview) -> None:
        if not len(message):
            return
        now_ns = self._clock.now_ns()
        if message[0] != _HEARTBEAT:
            self._line.heard(now_ns)
        if self._gate is not None:
            self._gate("feed", bytes(message))
        else:
            self._on_message(message, now_ns)
        if len(message) >= 10 and message[-10] == _DISCONNECT:
            self._note_disconnect(message)

    def _note_disconnect(self, message: memoryview) -> None:
        reason = disconnect_reason(message)
        if reason is not None:
            words = DISCONNECT_REASONS.get(reason, "a reason this project does not know")
            self._line.end(Loss(LOSS_BY_REASON.get(reason, LossKind.DISCONNECTED), f"{reason}: {words}"))
