"""Every recorded answer, field by field: what its own JSON states is what comes out, and nothing of it is lost unseen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, get_args, get_origin

import msgspec
import pytest

from algo_scalper.adapters.dhan.chain import read_chain
from algo_scalper.adapters.dhan.endpoints import DAILY, INTRADAY, OPTION_CHAIN, ORDER_BOOK, POSITIONS
from algo_scalper.adapters.dhan.failures import (
    AccessRefused,
    AddressRefused,
    AskedTooOften,
    BrokerFailing,
    InputRefused,
    NothingThere,
    OrderRefused,
    RequestRefused,
    TokenRefused,
    failure_in,
    refusal,
)
from algo_scalper.adapters.dhan.limits import Priority
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.rows import read_orders, read_positions
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.wire import Amount, Count, Effect, Endpoint, Family, Host, Paise, Text, read_reply
from algo_scalper.domain.errors import BrokerError, DataError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.ports import Accepted, Rejected
from tests.unit.dhan.doubles import CLIENT, TOKEN, HandClock, http_server
from tests.unit.dhan.recordings import Recording, endpoint_of, names, recording

EXPIRY = date(2026, 9, 15)
EACH = pytest.mark.parametrize("name", names())

IGNORED: dict[str, str] = {}
"""Keys of recorded answers that no field holds, with the reason. There are none."""

NAMED = {
    (200, "806 Data APIs not subscribed"): AccessRefused,
    (200, "Invalid TOTP"): TokenRefused,
    (200, "Something went wrong"): RequestRefused,
    (200, "Unauthorized Request"): TokenRefused,
    (0, "DH-906 Invalid Token"): TokenRefused,
    (400, "813 Invalid SecurityId"): InputRefused,
    (400, "DH-905 Data for Intraday Charts can be fetched for 90 days at a time"): InputRefused,
    (400, "DH-905 Invalid IP"): AddressRefused,
    (400, "DH-905 Missing required fields, bad values for parameters etc."): InputRefused,
    (
        400,
        "DH-905 System is unable to fetch data due to incorrect parameters or no data present",
    ): NothingThere,
    (400, "DH-905 quantity is required"): InputRefused,
    (400, "DH-906 Invalid Token"): TokenRefused,
    (400, "DH-906 Market is Closed! You cannot modify/cancel an order now."): OrderRefused,
    (400, "RS-9005 Data not available"): NothingThere,
    (401, "808 Authentication Failed - Client ID or Token invalid"): TokenRefused,
    (401, "DH-901 Client ID or user generated access token is invalid or expired."): TokenRefused,
    (404, "Not Found /v2/invalid_endpoint"): NothingThere,
    (404, "Not Found /v2/server_error_endpoint"): NothingThere,
    (404, "Not Found /v2/unknown_error_endpoint"): NothingThere,
    (
        429,
        "DH-904 Too many requests on server from single user breaching rate limits. Try throttling API calls.",
    ): AskedTooOften,
    (500, "DH-1111 No holdings available"): NothingThere,
    (500, 'RS-9005 For input string: "invalid_id"'): BrokerFailing,
}
"""By hand: the error that each recorded refusal is."""


def refused(found: Recording) -> type[BrokerError] | None:
    failure = failure_in(found.status, found.body)
    if failure is None:
        return None
    return NAMED[found.status, f"{failure.code} {failure.message}".strip()]


def agree(kind: Any, got: object, told: object, where: str, spellings: Mapping[str, str]) -> None:
    """What came out is what the JSON states, converted independently of the code under test."""
    if get_origin(kind) is tuple:
        assert isinstance(got, tuple)
        assert isinstance(told, list)
        assert len(got) == len(told)
        for number, (one, other) in enumerate(zip(got, told, strict=True)):
            agree(get_args(kind)[0], one, other, f"{where}[{number}]", spellings)
    elif get_origin(kind) is dict:
        assert isinstance(got, dict)
        assert isinstance(told, dict)
        assert list(got) == list(told)
        for key, one in got.items():
            agree(get_args(kind)[1], one, told[key], f"{where}.{key}", spellings)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        agree_struct(kind, got, told, where, spellings)
    elif kind is Text:
        words = "" if told in ("NA", "0001-01-01", "0001-01-01 00:00:00") else str(told).strip()
        assert (where, got) == (where, words)
    elif kind is Paise:
        exact = (Decimal(str(told)) * 100).to_integral_value(ROUND_HALF_EVEN)
        assert (where, got) == (where, int(exact))
        assert type(got) is Paise
    elif kind in (Count, Amount, float, bool):
        assert (where, got) == (where, kind(float(str(told))) if kind is not bool else told)
        assert type(got) is kind
    else:
        raise AssertionError(f"{where}: no independent reading for {kind}")


def agree_struct(kind: type[msgspec.Struct], got: object, told: object, where: str, spellings: Any) -> None:
    assert isinstance(told, dict)
    known = {spellings.get(key, key): value for key, value in told.items()}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    lost = known.keys() - fields.keys() - IGNORED.keys()
    assert not lost, f"{where}: {lost} are in the answer and in no field"
    for name, field in fields.items():
        value = getattr(got, field.name)
        if known.get(name) is None:
            assert value == field.default, f"{where}.{name} is absent"
        else:
            agree(field.type, value, known[name], f"{where}.{name}", spellings)


@EACH
def test_every_recorded_answer_comes_out_as_its_own_fields_state(name: str) -> None:
    found = recording(name)
    error, matched = refused(found), endpoint_of(found)
    if error is not None:
        failure = failure_in(found.status, found.body)
        assert failure is not None
        assert type(refusal(name, failure)) is error
        return
    assert matched is not None, "a success of a call that is not in the table"
    endpoint, _ = matched
    told = [found.body] if endpoint.rows and isinstance(found.body, dict) else found.body
    agree(endpoint.reply, read_reply(endpoint, found.body), told, endpoint.name, endpoint.spellings)


def test_every_refusal_of_the_list_was_recorded() -> None:
    recorded = set()
    for name in names():
        found = recording(name)
        failure = failure_in(found.status, found.body)
        if failure is not None:
            recorded.add((found.status, f"{failure.code} {failure.message}".strip()))
    assert recorded == NAMED.keys()


@EACH
async def test_every_recorded_answer_over_a_socket(name: str) -> None:
    found = recording(name)
    error, matched = refused(found), endpoint_of(found)
    endpoint, arguments = matched or (unlisted(found), {})
    async with http_server() as server:
        address = f"http://127.0.0.1:{server.port}"
        path = found.path if endpoint.host is Host.AUTH else f"/v2{found.path}"
        server.answers[path] = [(found.status or 400, found.content)]
        rest = DhanRest(DhanSettings(CLIENT, TOKEN, f"{address}/v2", auth_url=address), HandClock())
        try:
            if endpoint.effect is Effect.ORDER:
                outcome = await rest.ask(endpoint, {}, priority=Priority.ENTRY, arguments=arguments)
                told = Rejected if error else Accepted
                assert type(outcome) is told
                assert not isinstance(outcome, Accepted) or outcome.broker_id == found.body["orderId"]
            elif error is None:
                assert await rest.call(endpoint, arguments=arguments) == read_reply(endpoint, found.body)
            else:
                with pytest.raises(error) as raised:
                    await rest.call(endpoint, arguments=arguments)
                assert type(raised.value) is error
                assert TOKEN not in str(raised.value)
                assert endpoint.name in str(raised.value)
        finally:
            await rest.close()


def unlisted(found: Recording) -> Endpoint[Any]:
    return Endpoint("unlisted", found.method, found.path, object, Family.DATA, Effect.READ, "Not a call of Dhan's.")


@EACH
def test_the_engines_readers_take_every_recorded_answer_that_is_theirs(name: str) -> None:
    found = recording(name)
    matched = endpoint_of(found)
    if matched is None or refused(found) is not None:
        return
    endpoint, body = matched[0], found.body
    if endpoint is ORDER_BOOK:
        rows = body if isinstance(body, list) else [body]
        assert [row["orderId"] for row in rows] == [order.broker_id for order in read_orders(body, {})]
    elif endpoint is POSITIONS:
        assert sum(row["netQty"] for row in body) == sum(row.net_quantity for row in read_positions(body))
    elif endpoint is OPTION_CHAIN:
        check_chain(body)
    elif endpoint in (DAILY, INTRADAY):
        assert len({len(column) for column in body.values()}) <= 1


def check_chain(body: Any) -> None:
    """Chains older than February 2026 name no contracts: they are refused, not taken for empty."""
    sides = [side for strike in body["data"]["oc"].values() for side in strike.values()]
    listed = [side for side in sides if side.get("security_id")]
    if listed:
        rows = read_chain(body, NIFTY, EXPIRY, 0, {}).rows
        assert [row.oi for row in rows] == [side["oi"] for side in listed]
    else:
        with pytest.raises(DataError, match="not one security id"):
            read_chain(body, NIFTY, EXPIRY, 0, {})
