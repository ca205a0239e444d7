"""The order-update socket: every change of every order of the account, whichever app placed it.

Nothing is replayed after a reconnect, so ``on_restored`` is a reason to read the book. Keys are camelCase on the wire and
PascalCase in the documentation, zero numbers and empty strings are left out, statuses are in title case, two JSON
documents may come glued in one message, and a report may come twice; all of that is settled here.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import msgspec

from algo_scalper.adapters.dhan.feed import FrameGate
from algo_scalper.adapters.dhan.feed_transport import PicowsTransport, Transport
from algo_scalper.adapters.dhan.line import Connection, Gap, LineRules
from algo_scalper.adapters.dhan.lines import KeptLines, OnRestored
from algo_scalper.adapters.dhan.packets import Buffer
from algo_scalper.adapters.dhan.rows import read_push
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.values import pick
from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.domain.ports import Chance, Clock
from algo_scalper.domain.units import NS_PER_SECOND

LOGIN_CODE = 42
ORDER_RULES = LineRules(overlap_ns=2 * NS_PER_SECOND, login_ns=NS_PER_SECOND)
"""A refused login is a reset some 10 ms after it; a good one may be answered by nothing at all."""
PING_S = 20.0
MOST_BYTES = 1 << 18
"""In one message: a hundred reports and more. One alone is two kilobytes."""
MOST_ORDERS = 4_096
"""So many orders' last reports are remembered, to know a repeat."""
MOST_NUMBER = 1 << 53
"""No quantity and no sum of paise is more."""
_MOST_CONNECTIONS = 2
"""One, and for a moment the one that replaces it."""
_JSON = json.JSONDecoder()
_NO_CONTRACTS: dict[int, Contract] = {}


def login_message(settings: DhanSettings) -> bytes:
    """The first message of a connection. Holds the token or the partner's secret: never log it.

    Raises `ConfigError` for a user type that is neither SELF nor PARTNER, and for a partner without its two values.
    """
    user_type = settings.user_type.strip().upper()
    if user_type == "SELF":
        who = {"MsgCode": LOGIN_CODE, "ClientId": settings.client_id, "Token": settings.access_token}
        return msgspec.json.encode({"LoginReq": who, "UserType": user_type})
    if user_type != "PARTNER":
        raise ConfigError(
            f"the order socket knows the user types SELF and PARTNER, not {settings.user_type!r}: "
            "correct DHANHQ_WS_USER_TYPE, or leave it out for SELF"
        )
    if not settings.partner_id or not settings.partner_secret:
        raise ConfigError(
            "the user type is PARTNER and the partner id or the partner secret is missing: "
            "set DHANHQ_PARTNER_ID and DHANHQ_PARTNER_SECRET, or use the user type SELF"
        )
    partner = {"MsgCode": LOGIN_CODE, "ClientId": settings.partner_id}
    return msgspec.json.encode({"LoginReq": partner, "UserType": user_type, "Secret": settings.partner_secret})


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
        except (ValueError, RecursionError):  # not JSON, or brackets nested beyond reason
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
    try:
        row = read_push(data, contracts)
    except (ArithmeticError, ValueError) as fault:
        raise DataError(f"an order_alert with a number that cannot be: {fault}") from fault
    return None if row is None else _writable(row)


def _writable(row: BrokerOrder) -> BrokerOrder:
    """The row as it can be written down: no number beyond any journal or database, no half characters.

    Raises DataError for such a number.
    """
    numbers = (row.quantity, row.filled_quantity, row.filled_value_paise, row.price_paise, row.trigger_paise)
    if not all(-MOST_NUMBER <= number <= MOST_NUMBER for number in numbers):
        raise DataError(f"order {row.broker_id}: a quantity or a price that cannot be")
    if (row.broker_id + row.correlation_id + row.reason).isascii():
        return row
    return msgspec.structs.replace(
        row, broker_id=_whole(row.broker_id), correlation_id=_whole(row.correlation_id), reason=_whole(row.reason)
    )


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class DhanOrderStream(KeptLines):
    """The order socket, kept up. ``on_report(row, received_ns)`` is called inside the socket's callback.

    A report that says of its order what the last one said is handed on once. ``on_unreadable(text)`` is called for what
    cannot be read: the runtime then reads the book, since something happened to an order and we do not know what.
    ``on_restored`` is called after a `renew` too: nothing was missed as far as we can see, and the book settles it.
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
        on_restored: OnRestored,
        contracts: Mapping[int, Contract] = _NO_CONTRACTS,
        frame_gate: FrameGate | None = None,
        transport: Transport | None = None,
        rules: LineRules = ORDER_RULES,
    ) -> None:
        """Raises `ConfigError` as `login_message` does."""
        login_message(settings)
        self._on_report = on_report
        self._on_unreadable = on_unreadable
        self._contracts = contracts
        self._gate = frame_gate
        self._last: OrderedDict[str, BrokerOrder] = OrderedDict()
        self.other_documents = 0
        """Documents that were no order alerts: login answers and the like."""
        self.repeats = 0
        """Reports that said nothing new."""
        super().__init__(
            settings,
            clock,
            chance,
            transport=PicowsTransport(PING_S, MOST_BYTES) if transport is None else transport,
            rules=rules,
            most_connections=_MOST_CONNECTIONS,
            farewell=None,
            on_lost=on_lost,
            on_restored=on_restored,
            expects_data=lambda _now_ns: False,
        )

    def __repr__(self) -> str:
        return f"DhanOrderStream(up={self.is_up})"

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
            elif self._is_news(row):
                self._on_report(row, at_ns)
        if rest:
            self._on_unreadable(self._settings.masked(f"not JSON: {rest[:120]!r}"))

    def _is_news(self, row: BrokerOrder) -> bool:
        """Does it say anything the last report on this order did not?

        It is compared with the last one only: an order whose price goes up and down again is reported each time.
        """
        if self._last.get(row.broker_id) == row:
            self.repeats += 1
            return False
        self._last[row.broker_id] = row
        self._last.move_to_end(row.broker_id)
        if len(self._last) > MOST_ORDERS:
            self._last.popitem(last=False)
        return True

    def _address(self, number: int) -> str:  # noqa: ARG002 - there is one socket
        return self._settings.order_url

    def _greeting(self, number: int) -> Sequence[bytes]:  # noqa: ARG002
        self._last.clear()  # the book is read now: whatever comes after it is news again
        return (login_message(self._settings),)

    def _keys_on(self, number: int) -> Sequence[int]:  # noqa: ARG002
        return ()

    def _renewed(self) -> None:
        now_ns = self._clock.now_ns()
        self._tell_restored(Gap(now_ns, now_ns, "renewed: logged in with a new token"))

    def _take(self, connection: Connection, message: memoryview) -> None:
        now_ns = self._clock.now_ns()
        connection.heard(now_ns)
        if self._gate is not None:
            self._gate("orders", bytes(message))
        else:
            self.deliver(message, now_ns)
