"""Why a socket is down, and what can be done about it: one word, what was said, and the remedy."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from algo_scalper.adapters.dhan.packets import DISCONNECT_REASONS


class LossKind(StrEnum):
    """How a connection was lost, or why there was none."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    BLOCKED = "blocked"  # HTTP 429 on the handshake: dead token, inactive plan, or asked too often
    RESET = "reset"
    LOGIN_RESET = "login_reset"  # a reset within moments of the login: how a dead token shows on the order socket
    CLOSED = "closed"
    SILENT = "silent"
    TOO_LONG = "too_long"
    TOO_MANY_INSTRUMENTS = "too_many_instruments"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NO_SUBSCRIPTION = "no_subscription"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a word for what happened, not a secret
    AUTHENTICATION_FAILED = "authentication_failed"
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    CLIENT_ID_INVALID = "client_id_invalid"
    REQUEST_REFUSED = "request_refused"
    DISCONNECTED = "disconnected"  # told by the server, for another reason
    RENEWED = "renewed"  # closed by us, to connect again with a new token
    ENDED = "ended"  # closed by us, for good
    HANDLER_FAILED = "handler_failed"


SAID_NO = frozenset(
    {
        LossKind.BLOCKED,
        LossKind.TOO_MANY_INSTRUMENTS,
        LossKind.TOO_MANY_CONNECTIONS,
        LossKind.NO_SUBSCRIPTION,
        LossKind.TOKEN_EXPIRED,
        LossKind.AUTHENTICATION_FAILED,
        LossKind.TOKEN_INVALID,
        LossKind.CLIENT_ID_INVALID,
        LossKind.REQUEST_REFUSED,
    }
)
"""The server said no: asking again soon does not help and may get the account blocked."""

_NEW_TOKEN = "get a new access token and put it in; the connection is then made at once"  # noqa: S105 - advice
REMEDIES: dict[LossKind, str] = {
    LossKind.UNREACHABLE: "check this machine's network and DNS; it is tried again by itself",
    LossKind.REFUSED: "check the address; it is tried again by itself",
    LossKind.BLOCKED: f"the token is dead, the data plan inactive, or it was asked too often: {_NEW_TOKEN}, "
    "and look at the plan on web.dhan.co",
    LossKind.RESET: "it is tried again by itself",
    LossKind.LOGIN_RESET: f"a refused login shows like this: {_NEW_TOKEN}",
    LossKind.CLOSED: "it is tried again by itself",
    LossKind.SILENT: "it is tried again by itself",
    LossKind.TOO_LONG: "what sent this is not the service we know; it is tried again by itself",
    LossKind.TOO_MANY_INSTRUMENTS: "another program shares this connection's account limits: end it, or want less",
    LossKind.TOO_MANY_CONNECTIONS: "another program uses this account's five connections: end it",
    LossKind.NO_SUBSCRIPTION: "subscribe to the Data APIs on web.dhan.co, under DhanHQ Trading APIs",
    LossKind.TOKEN_EXPIRED: _NEW_TOKEN,
    LossKind.AUTHENTICATION_FAILED: f"check that client id and token belong together, else {_NEW_TOKEN}",
    LossKind.TOKEN_INVALID: _NEW_TOKEN,
    LossKind.CLIENT_ID_INVALID: "check DHANHQ_CLIENT_ID: it is the number shown in the profile on web.dhan.co",
    LossKind.REQUEST_REFUSED: "an instrument is not in today's master: fetch it again",
    LossKind.DISCONNECTED: "it is tried again by itself",
}

_KIND_BY_REASON: dict[int, LossKind] = {
    804: LossKind.TOO_MANY_INSTRUMENTS,
    805: LossKind.TOO_MANY_CONNECTIONS,
    806: LossKind.NO_SUBSCRIPTION,
    807: LossKind.TOKEN_EXPIRED,
    808: LossKind.AUTHENTICATION_FAILED,
    809: LossKind.TOKEN_INVALID,
    810: LossKind.CLIENT_ID_INVALID,
    811: LossKind.REQUEST_REFUSED,
    812: LossKind.REQUEST_REFUSED,
    813: LossKind.REQUEST_REFUSED,
    814: LossKind.REQUEST_REFUSED,
}


class Loss(msgspec.Struct, frozen=True):
    """Why there is no connection."""

    kind: LossKind
    detail: str

    def __str__(self) -> str:
        remedy = self.remedy
        return f"{self.kind.value}: {self.detail}" + (f" ({remedy})" if remedy else "")

    @property
    def remedy(self) -> str:
        """What a person can do about it; empty when we did it ourselves."""
        return REMEDIES.get(self.kind, "")


def told_by_server(reason: int) -> Loss:
    """The loss that a disconnect packet (code 50) with this reason announces."""
    words = DISCONNECT_REASONS.get(reason, "a reason this project does not know")
    return Loss(_KIND_BY_REASON.get(reason, LossKind.DISCONNECTED), f"{reason}: {words}")
