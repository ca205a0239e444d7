"""The sockets of one service, opened as they are needed and kept up together.

What the market feed, the depth feed and the order socket have in common: where they connect and how, one word when
something is lost and one when all is back, the move to a new token. What they say and hear is theirs.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

from algo_scalper.adapters.dhan.feed_transport import Transport
from algo_scalper.adapters.dhan.line import Connection, Gap, Line, LineRules
from algo_scalper.adapters.dhan.losses import Loss
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.errors import BrokerUnreachable
from algo_scalper.domain.ports import Chance, Clock

OnRestored = Callable[[Gap], None]


class KeptLines(ABC):
    """One socket or several. The first is opened by `run`, the others when something is to be said on them.

    ``on_lost(why)`` is called once when one of them is lost, ``on_restored(gap)`` when all are back; a further socket
    that carries nothing is kept up without a word.
    """

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        chance: Chance,
        *,
        transport: Transport,
        rules: LineRules,
        most_connections: int,
        farewell: bytes | None,
        on_lost: Callable[[str], None],
        on_restored: OnRestored,
        expects_data: Callable[[int], bool],
    ) -> None:
        """``most_connections``: the server allows so many at once. With all of them in use a renewal has a short gap."""
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._transport = transport
        self._rules = rules
        self._most_connections = most_connections
        self._farewell = farewell
        self._tell_lost = on_lost
        self._tell_restored = on_restored
        self._expects_data = expects_data
        self._lines: list[Line] = []
        self._grown = asyncio.Event()
        self._renewing = asyncio.Lock()
        self._down: set[int] = set()
        self._lost_ns = 0
        self._lost_why = ""
        self._lost_keys: list[int] = []
        self._line(0)

    @property
    def is_up(self) -> bool:
        """All sockets are connected and greeted: everything wanted is subscribed."""
        return all(line.is_up for line in self._lines)

    @property
    def sockets(self) -> int:
        """How many are kept up."""
        return len(self._lines)

    @property
    def sent_messages(self) -> int:
        """Text messages sent since the beginning, over all connections."""
        return sum(line.sent_messages for line in self._lines)

    @property
    def last_loss(self) -> Loss | None:
        """Why a connection last ended, or could not be made."""
        return max(self._lines, key=lambda line: line.last_loss_ns).last_loss

    async def run(self) -> None:
        """Keep them up until cancelled. Raises what a handler raised."""
        tasks: list[asyncio.Task[None]] = []
        try:
            while True:
                self._grown.clear()
                tasks += [asyncio.ensure_future(line.run()) for line in self._lines[len(tasks) :]]
                grown = asyncio.ensure_future(self._grown.wait())
                try:
                    await asyncio.wait((*tasks, grown), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    grown.cancel()
                for task in tasks:
                    if task.done():
                        task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def wait_up(self) -> None:
        """Return once all are connected and greeted."""
        while not self.is_up:
            for line in tuple(self._lines):
                await line.wait_up()

    async def renew(self) -> None:
        """Go on over new connections, made with the token as it is now; nothing is missed meanwhile.

        Each socket is connected and subscribed a second time, and the old connection closed when the new one has
        spoken. A socket that is down is connected at once, whatever pause was due. Raises `BrokerUnreachable` when a
        new connection cannot be made; what still works then goes on as it is.
        """
        async with self._renewing:
            for line in tuple(self._lines):
                loss = await line.renew(overlap=len(self._lines) < self._most_connections)
                if loss is not None:
                    raise BrokerUnreachable(f"{self!r}: no connection with the new token: {loss}")

    @abstractmethod
    def _address(self, number: int) -> str:
        """The URL of this socket's next connection, credentials included."""

    @abstractmethod
    def _greeting(self, number: int) -> Sequence[bytes]:
        """What each new connection of this socket begins with."""

    @abstractmethod
    def _keys_on(self, number: int) -> Sequence[int]:
        """The instruments this socket carries."""

    @abstractmethod
    def _take(self, connection: Connection, message: memoryview) -> None:
        """A message came; the view is valid only until this returns."""

    def _renewed(self) -> None:  # noqa: B027 - not every service has something to do then
        """A socket goes on over a new connection, without having been lost."""

    def _line(self, number: int) -> Line:
        """This socket, opened if it is not there yet."""
        while len(self._lines) <= number:
            self._lines.append(self._new_line(len(self._lines)))
            self._grown.set()
        return self._lines[number]

    def _new_line(self, number: int) -> Line:
        return Line(
            transport=self._transport,
            clock=self._clock,
            chance=self._chance,
            rules=self._rules,
            address=partial(self._address, number),
            masked=self._settings.masked,
            greeting=partial(self._greeting, number),
            farewell=self._farewell,
            on_message=self._take,
            on_lost=partial(self._line_lost, number),
            on_restored=partial(self._line_restored, number),
            on_renewed=self._renewed,
            expects_data=self._expects_data,
        )

    def _line_lost(self, number: int, loss: Loss, since_ns: int) -> None:
        keys = self._keys_on(number)
        if number and not keys:
            return
        first = not self._down
        self._down.add(number)
        if first:
            self._lost_ns, self._lost_why, self._lost_keys = since_ns, str(loss), list(keys)
            self._tell_lost(self._lost_why)
        else:
            self._lost_ns = min(self._lost_ns, since_ns)
            self._lost_keys += keys

    def _line_restored(self, number: int, gap: Gap) -> None:
        if number not in self._down:
            return
        self._down.discard(number)
        if not self._down:
            keys = tuple(dict.fromkeys(self._lost_keys))
            self._tell_restored(Gap(self._lost_ns, gap.restored_ns, self._lost_why, keys))
