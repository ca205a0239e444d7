"""What a Dhan answer says went wrong. Six families of error bodies, told apart by message first and code second.

Codes alone mislead: a dead token is DH-906 on orders and charts, 808 on the data family and DH-901 elsewhere; a foreign
IP address is DH-905 like any bad field. So the message decides wherever it is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from algo_scalper.domain.errors import BrokerRefused, BrokerUnreachable

MOST_TEXT = 300


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


class DhanRefused(BrokerRefused):
    """Dhan answered no; ``failure`` says in which way."""

    def __init__(self, what: str, failure: Failure) -> None:
        super().__init__(f"{what}: {failure}")
        self.failure = failure


class NotSent(BrokerUnreachable):
    """No connection: not a byte of the request left."""


class AnswerLost(BrokerUnreachable):
    """The request may have arrived and its answer did not. Its connection is closed."""


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
    a ``status`` that is not success, an array element with either, or simply an HTTP status of 400 and above.
    """
    for code, message in _told(body):
        return Failure(_kind(status, code, message), status, code, message[:MOST_TEXT])
    if status >= 400:
        shown = body if isinstance(body, str) else msgspec.json.encode(body).decode()
        return Failure(_kind(status, "", shown), status, "", shown[:MOST_TEXT] or "no text")
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
        message = body.get("errorMessage") or body.get("internalErrorMessage") or body.get("errorType") or "no message"
        yield str(code), str(message)
        return
    said = body.get("status")
    if isinstance(said, str) and said.lower() != "success":
        data = body.get("data")
        if isinstance(data, dict) and data:
            code, message = next(iter(data.items()))
            yield str(code), str(message)
        else:
            yield "", str(body.get("message") or body.get("remarks") or said)
    elif isinstance(said, int) and body.get("error"):
        yield "", f"{body['error']} {body.get('path', '')}".strip()


def _kind(status: int, code: str, message: str) -> FailureKind:
    lowered = message.lower()
    for words, kind in _BY_MESSAGE:
        if words in lowered:
            return kind
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status >= 500:
        return FailureKind.SERVER
    return _BY_STATUS.get(status, FailureKind.OTHER)
