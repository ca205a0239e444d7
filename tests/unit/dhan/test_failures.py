"""Every family of error bodies, and that success is not mistaken for one."""

from __future__ import annotations

import json
import re

import pytest

from algo_scalper.adapters.dhan import failures
from algo_scalper.adapters.dhan.failures import (
    AccessRefused,
    AddressRefused,
    AskedTooOften,
    BrokerFailing,
    DhanRefused,
    Failure,
    FailureKind,
    InputRefused,
    NothingThere,
    OrderRefused,
    TokenRefused,
    failure_in,
    refusal,
)
from algo_scalper.domain.errors import BrokerUnreachable
from tests.shared_data import shared

K = FailureKind


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "words"),
    [
        (400, {"errorType": "Input_Exception", "errorCode": "DH-905", "errorMessage": "Invalid IP"}, K.ADDRESS, "DH-905", "Invalid IP"),
        (400, {"errorType": "Input_Exception", "errorCode": "DH-905", "errorMessage": "quantity is required"}, K.INPUT, "DH-905", "quantity"),
        (400, {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"}, K.CREDENTIALS, "DH-906", "Token"),
        (400, {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Order is in Transit state"}, K.IN_TRANSIT, "DH-906", "Transit"),
        (400, {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Market is Closed! You cannot modify/cancel an order now."}, K.MARKET_CLOSED, "DH-906", "Closed"),
        (400, {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Trigger Price should be greater than Price"}, K.ORDER, "DH-906", "Trigger"),
        (401, {"errorType": "Invalid_Authentication", "errorCode": "DH-901", "errorMessage": "Client ID or user generated access token is invalid or expired."}, K.CREDENTIALS, "DH-901", "expired"),
        (429, {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "Too many requests on server from single user"}, K.RATE, "DH-904", "Too many"),
        (500, {"errorType": "HOLDING_ERROR", "errorCode": "DH-1111", "errorMessage": "No holdings available"}, K.NO_DATA, "DH-1111", "holdings"),
        (500, {"errorType": "X", "errorCode": "DH-908", "errorMessage": "Something"}, K.SERVER, "DH-908", "Something"),
        (400, {"data": {"813": "Invalid SecurityId"}, "status": "failed"}, K.INPUT, "813", "SecurityId"),
        (401, {"data": {"808": "Authentication Failed - Client ID or Token invalid"}, "status": "failed"}, K.CREDENTIALS, "808", "Failed"),
        (200, {"data": {"806": "Data APIs not subscribed"}, "status": "failed"}, K.ACCESS, "806", "subscribed"),
        (200, [{"message": "Something went wrong", "status": "ERROR"}], K.OTHER, "", "went wrong"),
        (404, {"timestamp": 1737794954581, "status": 404, "error": "Not Found", "path": "/v2/x"}, K.NOT_FOUND, "", "/v2/x"),
        (200, {"message": "Invalid TOTP", "status": "error"}, K.CREDENTIALS, "", "TOTP"),
        (400, {"errorCode": "NONE", "httpStatus": "BAD_REQUEST", "internalErrorCode": "RS-9005", "internalErrorMessage": "Data not available"}, K.NO_DATA, "RS-9005", "not available"),
        (400, {"status": "failure", "errorType": "VALIDATION_ERROR", "errorCode": "E001", "message": "no quantity"}, K.OTHER, "E001", "no quantity"),
        (400, {"errorType": "VALIDATION_ERROR", "errorCode": "E001"}, K.OTHER, "E001", "VALIDATION"),
        (301, None, K.OTHER, "", "a redirect"),
        (502, "<html>bad gateway</html>", K.SERVER, "", "bad gateway"),
        (403, "", K.ACCESS, "", "no text"),
        (500, None, K.SERVER, "", "null"),
    ],
)  # fmt: skip
def test_families(status: int, body: object, kind: FailureKind, code: str, words: str) -> None:
    failure = failure_in(status, body)
    assert failure is not None
    assert (failure.kind, failure.code, failure.status) == (kind, code, status)
    assert words in failure.message
    assert f"HTTP {status}" in str(failure)


def test_words_of_a_stranger_steer_no_terminal() -> None:
    for body in (
        {"errorCode": "DH\x1b-905", "errorMessage": "\x1b]0;mine\x07 bad\nnews\u202e"},
        "\x1b]0;mine\x07 bad\nnews",
    ):
        failure = failure_in(400, body)
        assert failure is not None
        assert str(failure).isprintable()
        assert "bad news" in failure.message


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        None,
        {"orderId": "1", "orderStatus": "TRANSIT"},
        {"data": {"NSE_FNO": {}}, "status": "success"},
        {"status": "SUCCESS", "message": "All orders and positions exited successfully"},
        [{"orderId": "1", "omsErrorCode": "0", "omsErrorDescription": "RMS: refused", "orderStatus": "REJECTED"}],
        {"open": [], "timestamp": []},
    ],
)
def test_success_is_no_failure(body: object) -> None:
    assert failure_in(200, body) is None


def test_every_recorded_answer_is_told_right() -> None:
    seen = {True: 0, False: 0}
    for path in sorted(shared("wire_samples/rest").glob("*.json")):
        recorded = json.loads(path.read_text())
        answer = recorded.get("response") if isinstance(recorded, dict) else None
        if not isinstance(answer, dict) or answer.get("status") is None:
            continue
        text = answer.get("body_text")
        body = answer.get("body") if text is None else json.loads(text)
        if body is None and "body_file" in answer:
            body = json.loads((path.parent / answer["body_file"]).read_text())
        failed = answer["status"] >= 400 or "generateAccessToken" in path.name or "getIP" in path.name
        assert (failure_in(answer["status"], body) is not None) is failed, path.name
        seen[failed] += 1
    assert min(seen.values()) > 8


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (failures.__doc__ or "").splitlines():
        found = re.match(r"^([ │├└─]*)([A-Z]\w+) {2,}", line)
        if found is None:
            continue
        depth, name = len(found[1]), found[2]
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            drawn[name] = above[-1][1]
        above.append((depth, name))
    here = {
        name: kind for name, kind in vars(failures).items() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    real = {name: kind.__bases__[0].__name__ for name, kind in here.items() if kind.__module__ == failures.__name__}
    assert {name: drawn.get(name) for name in real} == real
    assert drawn["BrokerUnreachable"] == drawn["BrokerRefused"] == "BrokerError"


@pytest.mark.parametrize(
    ("kind", "error", "remedy"),
    [
        (FailureKind.CREDENTIALS, TokenRefused, "scalper login"),
        (FailureKind.ACCESS, AccessRefused, "scalper doctor"),
        (FailureKind.ADDRESS, AddressRefused, "static IP"),
        (FailureKind.RATE, AskedTooOften, "ask less often"),
        (FailureKind.IN_TRANSIT, OrderRefused, "in a second"),
        (FailureKind.NOT_FOUND, NothingThere, ""),
        (FailureKind.INPUT, InputRefused, "fields"),
    ],
)
def test_each_kind_has_its_error_and_its_remedy(kind: FailureKind, error: type[DhanRefused], remedy: str) -> None:
    told = refusal("funds (GET /fundlimit)", Failure(kind, 400, "DH-905", "some words"))
    assert type(told) is error
    assert str(told).startswith("funds (GET /fundlimit): DH-905 some words (HTTP 400)")
    assert remedy in str(told)


def test_a_wrong_client_id_is_not_mended_by_a_token() -> None:
    failure = failure_in(401, {"data": {"810": "Client ID is invalid"}, "status": "failed"})
    assert failure is not None
    assert str(refusal("x", failure)).endswith(
        "check the client id: it is the number shown in the profile on web.dhan.co"
    )


def test_a_server_error_is_unreachable_and_may_be_asked_again() -> None:
    told = refusal("funds", Failure(FailureKind.SERVER, 500, "DH-908", "Internal Server Error"))
    assert isinstance(told, BrokerFailing)
    assert isinstance(told, BrokerUnreachable)


def test_every_kind_becomes_an_error() -> None:
    for kind in FailureKind:
        assert str(refusal("a call", Failure(kind, 400, "", "words")))
