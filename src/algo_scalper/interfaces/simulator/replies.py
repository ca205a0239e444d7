"""What goes back over HTTP: status, bytes, and Dhan's two ways of printing numbers and of saying no.

The trading and charts backends are Java: floats print as ``7140.0`` and ``1.7375706E9``. The data backend
(``marketfeed``, ``optionchain``) prints whole numbers as ``4520``. There is no single error envelope either.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """One HTTP answer, ready to be written."""

    status: int
    body: bytes
    content_type: str = "application/json"
    location: str = ""
    """Where a redirect leads; empty for everything else."""


def java_float(value: float) -> msgspec.Raw:
    """A float as Java prints a double: plain between 0.001 and 10 million, else with an exponent."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return msgspec.Raw(repr(float(value)).encode())
    shortest = Decimal(repr(float(value))).normalize()
    first, *rest = shortest.as_tuple().digits
    fraction = "".join(map(str, rest)) or "0"
    return msgspec.Raw(f"{'-' if value < 0 else ''}{first}.{fraction}E{shortest.adjusted()}".encode())


def java_rupees(paise: float) -> msgspec.Raw:
    """Paise as the trading backend prints rupees: ``714_000 -> 7140.0``."""
    return java_float(paise / 100)


def data_rupees(paise: int) -> int | float:
    """Paise as the data backend prints rupees: ``13_400 -> 134``, ``13_355 -> 133.55``."""
    return paise // 100 if paise % 100 == 0 else paise / 100


def success(body: object, status: int = 200) -> Reply:
    """A JSON body as it stands."""
    return Reply(status, msgspec.json.encode(body))


def data_success(data: object) -> Reply:
    """The data backend's envelope: ``{"data": ..., "status": "success"}``."""
    return Reply(200, msgspec.json.encode({"data": data, "status": "success"}))


def trading_error(status: int, kind: str, code: str, message: str) -> Reply:
    """The trading and charts family's error body."""
    return success({"errorType": kind, "errorCode": code, "errorMessage": message}, status)


def data_error(status: int, code: int, message: str) -> Reply:
    """The data family's error body."""
    return success({"data": {str(code): message}, "status": "failed"}, status)


def bad_input(message: str | None = None) -> Reply:
    """400 DH-905, which on the real server too rarely says which field it was."""
    text = message or "Missing required fields, bad values for parameters etc."
    return trading_error(400, "Input_Exception", "DH-905", text)


def order_error(message: str, status: int = 400) -> Reply:
    """DH-906: the request was understood and cannot be done."""
    return trading_error(status, "Order_Error", "DH-906", message)


def rate_limited() -> Reply:
    """429 DH-904, without any Retry-After, as the real one."""
    return trading_error(
        429,
        "Rate_Limit",
        "DH-904",
        "Too many requests on server from single user breaching rate limits. Try throttling API calls.",
    )


def invalid_authentication() -> Reply:
    """401 DH-901: what reads of the book answer to a token that is not, or no longer, good."""
    return trading_error(
        401,
        "Invalid_Authentication",
        "DH-901",
        "Client ID or user generated access token is invalid or expired.",
    )


def data_authentication() -> Reply:
    """401 with data code 808."""
    return data_error(401, 808, "Authentication Failed - Client ID or Token invalid")


def internal_error() -> Reply:
    """500 DH-908, for what should not have happened; details are in the simulator's log."""
    return trading_error(500, "Internal_Server_Error", "DH-908", "Internal Server Error")


def not_found(path: str, at_ms: int) -> Reply:
    """The gateway's own 404 for a path nobody serves."""
    return success({"timestamp": at_ms, "status": 404, "error": "Not Found", "path": path}, 404)


def data_unavailable() -> Reply:
    """The old paths' (without ``/v2``) body for a chart without data."""
    return success(
        {
            "errorCode": "NONE",
            "httpStatus": "BAD_REQUEST",
            "internalErrorCode": "RS-9005",
            "internalErrorMessage": "Data not available",
        },
        400,
    )


def empty(status: int) -> Reply:
    """A status without a body."""
    return Reply(status, b"")


def page(text: str) -> Reply:
    """What a person sees in a browser."""
    return Reply(200, text.encode(), "text/html")


def invalid_ip() -> Reply:
    """400 DH-905: an order request from an address that is not registered."""
    return bad_input("Invalid IP")


def user_account() -> Reply:
    """400 DH-903: the segment is not active."""
    return trading_error(
        400,
        "User_Account",
        "DH-903",
        "Errors related to User's Account. Check if the required segments are activated or other requirements are met.",
    )


def no_access() -> Reply:
    """401 DH-902: the account has no data plan."""
    return trading_error(
        401,
        "Invalid_Access",
        "DH-902",
        "User has not subscribed to Data APIs or does not have access to Trading APIs. "
        "Kindly subscribe to Data APIs to be able to fetch Data.",
    )


def data_not_subscribed() -> Reply:
    """400 with data code 806."""
    return data_error(400, 806, "Data APIs not subscribed")


def refused(reason: str) -> Reply:
    """The broker's no: a DH-905 for what cannot be asked, a DH-906 for what cannot be done."""
    code, _, text = reason.partition(": ")
    if code == "DH-905":
        return bad_input(text)
    return order_error(text if code == "DH-906" else reason)


def no_data() -> Reply:
    """400 DH-905: charts of something that is not listed."""
    return bad_input("System is unable to fetch data due to incorrect parameters or no data present")


def no_number(text: str) -> Reply:
    """500 of the old paths, for a security id that is no number."""
    return success(
        {
            "errorCode": "INTERNAL_SERVER_ERROR",
            "httpStatus": "INTERNAL_SERVER_ERROR",
            "internalErrorCode": "RS-9005",
            "internalErrorMessage": f'For input string: "{text}"',
        },
        500,
    )


def auth_error(message: str) -> Reply:
    """The auth host's no, with HTTP 200."""
    return success({"message": message, "status": "error"})
