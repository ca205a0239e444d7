"""The order-update socket: every change of every order of the account, whichever app placed it.

Nothing is replayed after a reconnect, so ``on_restored`` is a reason to read the book. Keys are camelCase on the wire and
PascalCase in the documentation, zero numbers and empty strings are left out, statuses are in title case, and two JSON
documents may come glued in one message; all of that is read here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import msgspec

from algo_scalper.adapters.dhan.feed import FrameGate
from algo_scalper.adapters.dhan.feed_transport import PicowsTransport, Transport
from algo_scalper.adapters.dhan.line import Line, LineRules, Loss
from algo_scalper.adapters.dhan.packets import Buffer
from algo_scalper.adapters.dhan.rows import read_push
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.values import pick
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.domain.ports import Chance, Clock

LOGIN_CODE = 42
ORDER_RULES = LineRules()
PING_S = 20.0
_JSON = json.JSONDecoder()
_NO_CONTRACTS: dict[int, Contract] = {}


def login_message(settings: DhanSettings) -> bytes:
    """The first message of a connection. Holds the token: never log it."""
    return msgspec.json.encode(
        {
            "LoginReq": {"MsgCode": LOGIN_CODE, "ClientId": settings.client_id, "Token": settings.access_token},
            "UserType": "SELF",
        }
    )


def split_documents(message: str) -> tuple[list[object], str]:
    """The JSON documents of one message, in order, and what is left when its end is not one."""
    found: list[object] = []
    at = 0
    while True:
        while at < len(message) and message[at].isspace():
            at += 1
        if at == len(message):
            return found, ""
        try:
            document, at = _JSON.raw_decode(message, at)
        except ValueError:
            return found, message[at:]
        found.append(document)


def parse_alert(document: object, contracts: Mapping[int, Contract] = _NO_CONTRACTS) -> BrokerOrder | None:
    """The row in an ``order_alert``; None for any other document (login answers and the like).

    Raises DataError for an alert on a contract of ours that cannot be understood.
    """
    if not isinstance(document, dict) or pick(document, "type") != "order_alert":
        return None
    data = pick(document, "data")
    if not isinstance(data, dict):
        raise DataError("an order_alert without Data")
    return read_push(data, contracts)


class DhanOrderStream:
    """The order socket, kept up. ``on_report(row, received_ns)`` is called inside the socket's callback.

    ``on_unreadable(text)`` is called for what cannot be read: the runtime then reads the book, since something happened
    to an order and we do not know what.
    """

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        chance: Chance,
        *,
        on_report: Callable[[BrokerOrder, int], None],
        on_unreadable: Callable[[str], None],
        on_lost: Callable[[str], None],
        on_restored: Callable[[], None],
        contracts: Mapping[int, Contract] = _NO_CONTRACTS,
        frame_gate: FrameGate | None = None,
        transport: Transport | None = None,
        rules: LineRules = ORDER_RULES,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_report = on_report
        self._on_unreadable = on_unreadable
        self._contracts = contracts
        self._gate = frame_gate
        self.other_documents = 0
        """Documents that were no order alerts: login answers and the like."""
        self._line = Line(
            transport=PicowsTransport(PING_S) if transport is None else transport,
            clock=clock,
            chance=chance,
            rules=rules,
            address=lambda: settings.order_url,
            masked=settings.masked,
            greeting=lambda: (login_message(settings),),
            farewell=None,
            on_message=self._take,
            on_lost=on_lost,
            on_restored=on_restored,
            expects_data=lambda _now_ns: False,
        )

    def __repr__(self) -> str:
        return f"DhanOrderStream(up={self.is_up})"

    @property
    def is_up(self) -> bool:
        """Connected, and the login was sent."""
        return self._line.is_up

    @property
    def sent_messages(self) -> int:
        """Text messages sent since the beginning, logins included, over all connections."""
        return self._line.sent_messages

    @property
    def last_loss(self) -> Loss | None:
        """Why the last connection ended, or could not be made. A reset right after login is how a dead token shows."""
        return self._line.last_loss

    async def run(self) -> None:
        """Keep the socket up until cancelled. Raises what a handler raised."""
        await self._line.run()

    async def wait_up(self) -> None:
        """Return once connected and logged in."""
        await self._line.wait_up()

    def deliver(self, message: Buffer, at_ns: int) -> None:
        """Read one message and report its rows, in order."""
        documents, rest = split_documents(bytes(message).decode(errors="replace"))
        for document in documents:
            try:
                row = parse_alert(document, self._contracts)
            except DataError as fault:
                self._on_unreadable(self._settings.masked(str(fault)))
                continue
            if row is None:
                self.other_documents += 1
            else:
                self._on_report(row, at_ns)
        if rest:
            self._on_unreadable(self._settings.masked(f"not JSON: {rest[:120]!r}"))

    def _take(self, message: memoryview) -> None:
        if self._gate is not None:
            self._gate("orders", bytes(message))
        else:
            self.deliver(message, self._clock.now_ns())
