"""What a Dhan answer says went wrong, and the errors it becomes: one tree, told apart by whose turn it is.

::

    BrokerError                        (domain) the broker or the way to it
    ├── BrokerUnreachable              (domain) nothing to be learned from an answer; a read may be repeated
    │   ├── NotSent                    the way there: no connection, not a byte of the request left
    │   │   └── HeldBack               ourselves: the budget of requests was spent until its deadline had passed
    │   ├── AnswerLost                 the way back: the request may have arrived, its answer did not
    │   └── BrokerFailing              Dhan: a server error
    └── BrokerRefused                  (domain) the broker answered no
        ├── AnswerUnreadable           Dhan: an answer that is not what it should be
        └── DhanRefused                Dhan said no; ``failure`` has its words, ``remedy`` what to do
            ├── AccountRefused         the account's owner must act
            │   ├── TokenRefused       a new access token is needed
            │   ├── AccessRefused      a subscription or a segment is missing
            │   └── AddressRefused     the request did not come from the whitelisted static IP address
            ├── RequestRefused         what was asked cannot be done
            │   ├── InputRefused       a field is missing or impossible
            │   ├── OrderRefused       the order's state, or the market's, forbids it
            │   └── AskedTooOften      the broker's rate limit
            └── NothingThere           no such order, or no data: nobody's fault

Six families of error bodies are told apart by message first and code second. Codes alone mislead: a dead token is DH-906
on orders and charts, 808 on the data family and DH-901 elsewhere; a foreign IP address is DH-905 like any bad field. So
the message decides wherever it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from algo_scalper.adapters.dhan.values import plain, shown
from algo_scalper.domain.errors import BrokerRefused, BrokerUnreachable

MOST_TEXT = 300
MOST_CODE = 40


class FailureKind(StrEnum):
    """What can be done about it differs by kind."""

    CREDENTIALS = "credentials"  # a new token is needed
    ACCESS = "access"  # a subscription or a segment is missing
    ADDRESS = "address"  # the static IP is not ours
    RATE = "rate"  # asked too often
    IN_TRANSIT = "in_transit"  # the order is on its way: ask again shortly
    MARKET_CLOSED = "market_closed"
    NO_DATA = "no_data"
    INPUT = "input"
    ORDER = "order"
    NOT_FOUND = "not_found"
    SERVER = "server"
    OTHER = "other"


class Failure(msgspec.Struct, frozen=True):
    """One failed answer: its kind, HTTP status, the code as printed (may be empty) and the broker's words."""

    kind: FailureKind
    status: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code + ' ' if self.code else ''}{self.message} (HTTP {self.status})"


class NotSent(BrokerUnreachable):
    """No connection: not a byte of the request left."""


class HeldBack(NotSent):
    """Our own budget of requests was spent until the deadline of this one had passed: it was not sent."""


class AnswerLost(BrokerUnreachable):
    """The request may have arrived and its answer did not. Its connection is closed."""


class BrokerFailing(BrokerUnreachable):
    """Dhan answered with a server error."""


class AnswerUnreadable(BrokerRefused):
    """Dhan's answer is not what it should be."""


class DhanRefused(BrokerRefused):
    """Dhan answered no; ``failure`` says in which way, ``remedy`` what to do about it (may be empty)."""

    def __init__(self, what: str, failure: Failure, remedy: str = "") -> None:
        super().__init__(f"{what}: {failure}{'; ' + remedy if remedy else ''}")
        self.failure = failure
        self.remedy = remedy


class AccountRefused(DhanRefused):
    """The account's owner must act."""


class TokenRefused(AccountRefused):
    """A new access token is needed."""


class AccessRefused(AccountRefused):
    """A subscription is missing or a segment is not active."""


class AddressRefused(AccountRefused):
    """The request did not come from the whitelisted static IP address."""


class RequestRefused(DhanRefused):
    """What was asked cannot be done."""


class InputRefused(RequestRefused):
    """A field is missing or impossible."""


class OrderRefused(RequestRefused):
    """The order's state, or the market's, forbids it."""


class AskedTooOften(RequestRefused):
    """The broker's rate limit."""


class NothingThere(DhanRefused):
    """No such order, or no data."""


_ERROR: dict[FailureKind, type[DhanRefused]] = {
    FailureKind.CREDENTIALS: TokenRefused,
    FailureKind.ACCESS: AccessRefused,
    FailureKind.ADDRESS: AddressRefused,
    FailureKind.RATE: AskedTooOften,
    FailureKind.IN_TRANSIT: OrderRefused,
    FailureKind.MARKET_CLOSED: OrderRefused,
    FailureKind.NO_DATA: NothingThere,
    FailureKind.INPUT: InputRefused,
    FailureKind.ORDER: OrderRefused,
    FailureKind.NOT_FOUND: NothingThere,
    FailureKind.OTHER: RequestRefused,
}

REMEDY: dict[FailureKind, str] = {
    FailureKind.CREDENTIALS: "get a new access token with: scalper login",
    FailureKind.ACCESS: "see which subscription or segment is missing with: scalper doctor",
    FailureKind.ADDRESS: "orders are taken only from the static IP address registered at Dhan; compare with: scalper doctor",
    FailureKind.RATE: "other programs on this account count too; ask less often",
    FailureKind.IN_TRANSIT: "ask again in a second",
    FailureKind.MARKET_CLOSED: "wait for the session",
    FailureKind.INPUT: "compare the fields of the request with docs/reference/dhan-endpoints.md",
}
"""What to do, by kind; the kinds left out have no remedy that is always right."""


REMEDY_BY_CODE = {"810": "check the client id: it is the number shown in the profile on web.dhan.co"}
"""Where the code says more than its kind."""


def refusal(what: str, failure: Failure, remedy: str = "") -> DhanRefused | BrokerFailing:
    """The error a failed read becomes. ``what`` names the call and the instrument; ``remedy`` replaces the usual one."""
    if failure.kind is FailureKind.SERVER:
        return BrokerFailing(f"{what}: {failure}; it may be asked again")
    usual = REMEDY_BY_CODE.get(failure.code) or REMEDY.get(failure.kind, "")
    return _ERROR[failure.kind](what, failure, remedy or usual)


_BY_MESSAGE: tuple[tuple[str, FailureKind], ...] = (
    ("invalid ip", FailureKind.ADDRESS),
    ("too many requests", FailureKind.RATE),
    ("rate limit", FailureKind.RATE),
    ("is blocked", FailureKind.RATE),
    ("transit", FailureKind.IN_TRANSIT),
    ("market is closed", FailureKind.MARKET_CLOSED),
    ("invalid token", FailureKind.CREDENTIALS),
    ("token invalid", FailureKind.CREDENTIALS),
    ("token is invalid", FailureKind.CREDENTIALS),
    ("invalid or expired", FailureKind.CREDENTIALS),
    ("token expired", FailureKind.CREDENTIALS),
    ("authentication failed", FailureKind.CREDENTIALS),
    ("unauthorized", FailureKind.CREDENTIALS),
    ("invalid totp", FailureKind.CREDENTIALS),
    ("not subscribed", FailureKind.ACCESS),
    ("no data present", FailureKind.NO_DATA),
    ("data not available", FailureKind.NO_DATA),
    ("no holdings", FailureKind.NO_DATA),
)

_BY_CODE: dict[str, FailureKind] = {
    "DH-901": FailureKind.CREDENTIALS,
    "DH-902": FailureKind.ACCESS,
    "DH-903": FailureKind.ACCESS,
    "DH-904": FailureKind.RATE,
    "DH-905": FailureKind.INPUT,
    "DH-906": FailureKind.ORDER,
    "DH-907": FailureKind.NO_DATA,
    "DH-908": FailureKind.SERVER,
    "DH-909": FailureKind.SERVER,
    "DH-911": FailureKind.ADDRESS,
    "DH-1111": FailureKind.NO_DATA,
    "800": FailureKind.SERVER,
    "804": FailureKind.INPUT,
    "805": FailureKind.RATE,
    "806": FailureKind.ACCESS,
    "807": FailureKind.CREDENTIALS,
    "808": FailureKind.CREDENTIALS,
    "809": FailureKind.CREDENTIALS,
    "810": FailureKind.CREDENTIALS,
    "811": FailureKind.INPUT,
    "812": FailureKind.INPUT,
    "813": FailureKind.INPUT,
    "814": FailureKind.INPUT,
}

_BY_STATUS: dict[int, FailureKind] = {
    401: FailureKind.CREDENTIALS,
    403: FailureKind.ACCESS,
    404: FailureKind.NOT_FOUND,
    429: FailureKind.RATE,
}


def failure_in(status: int, body: object) -> Failure | None:
    """The failure an answer carries, or None when it succeeded.

    ``body`` is the decoded JSON, or the raw text when it was none. A body failed when it has an error code or message,
    a ``status`` that is not success, an array element with either, or simply an HTTP status of 300 and above: no call of
    Dhan's answers by a redirect.
    """
    for code, message in _told(body):
        return Failure(_kind(status, code, message), status, plain(code[:MOST_CODE]), plain(message[:MOST_TEXT]))
    if status >= 400:
        words = body if isinstance(body, str) else _as_json(body)
        return Failure(_kind(status, "", words), status, "", plain(words[:MOST_TEXT]) or "no text")
    if status >= 300:
        return Failure(FailureKind.OTHER, status, "", "a redirect instead of an answer")
    return None


def _told(body: object) -> Iterator[tuple[str, str]]:
    """``(code, message)`` of every failure a body tells of."""
    if isinstance(body, list):
        for element in body:
            if isinstance(element, dict):
                yield from _told(element)
        return
    if not isinstance(body, dict):
        return
    if body.get("errorCode") or body.get("errorMessage") or body.get("internalErrorCode"):
        code = body.get("internalErrorCode") or body.get("errorCode") or ""
        named = ("errorMessage", "internalErrorMessage", "message", "errorType")
        yield _words(code), _words(next((body[name] for name in named if body.get(name)), "no message"))
        return
    said = body.get("status")
    if isinstance(said, str) and said.lower() != "success":
        data = body.get("data")
        if isinstance(data, dict) and data:
            code, message = next(iter(data.items()))
            yield code, _words(message)
        else:
            yield "", _words(body.get("message") or body.get("remarks") or said)
    elif isinstance(said, int) and body.get("error"):
        yield "", f"{_words(body['error'])} {_words(body.get('path', ''))}".strip()


def _as_json(body: object) -> str:
    try:
        return msgspec.json.encode(body).decode()
    except (OverflowError, RecursionError):  # it takes no integer of more than 64 bits
        return shown(body, MOST_TEXT)


def _words(value: object) -> str:
    return value if isinstance(value, str) else shown(value, MOST_TEXT)


def _kind(status: int, code: str, message: str) -> FailureKind:
    lowered = message.lower()
    for words, kind in _BY_MESSAGE:
        if words in lowered:
            return kind
    if code in _BY_CODE and status != 404:  # DH-906 with a 404: there is no such order
        return _BY_CODE[code]
    if status >= 500:
        return FailureKind.SERVER
    return _BY_STATUS.get(status, FailureKind.OTHER)
