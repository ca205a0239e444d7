"""Calls over a real connection: what they are named, what their failing means, and what is never let in."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from algo_scalper.adapters.dhan import rest as rest_module
from algo_scalper.adapters.dhan.endpoints import CANCEL_ORDER, EXIT_ALL, FUNDS, INTRADAY, ORDER_BY_ID, PLACE_ORDER
from algo_scalper.adapters.dhan.failures import (
    AnswerLost,
    AnswerUnreadable,
    BrokerFailing,
    DhanRefused,
    NotSent,
    TokenRefused,
)
from algo_scalper.adapters.dhan.limits import Priority
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.domain.errors import BrokerError
from algo_scalper.domain.ports import Rejected, Unknown
from tests.unit.dhan.doubles import CLIENT, HandClock, HttpServer, http_server, settings_for

BOTH_LOOPS = True

DEAD = {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"}
BROKEN = {"errorType": "Internal_Server_Error", "errorCode": "DH-908", "errorMessage": "Internal Server Error"}


@contextlib.asynccontextmanager
async def asking() -> AsyncIterator[tuple[DhanRest, HttpServer]]:
    async with http_server() as server:
        rest = DhanRest(settings_for(server.port), HandClock())
        try:
            yield rest, server
        finally:
            await rest.close()


async def test_an_error_names_the_call_the_instrument_and_the_remedy() -> None:
    async with asking() as (rest, server):
        server.answers["/v2/charts/intraday"] = [(400, DEAD)]
        with pytest.raises(TokenRefused) as told:
            await rest.raw(INTRADAY, {"securityId": "13", "exchangeSegment": "IDX_I"})
        assert str(told.value) == (
            "intraday (POST /charts/intraday) of NIFTY: DH-906 Invalid Token (HTTP 400); "
            "get a new access token with: scalper login"
        )


async def test_a_token_that_says_when_it_ended_is_told_with_the_time() -> None:
    async with asking() as (rest, server):
        # {"exp": 1700000000} is 2023-11-15 03:43:20 IST; the header and the signature are nobody's business.
        rest._settings.replace_token("e30.eyJleHAiOjE3MDAwMDAwMDB9.x")
        server.answers["/v2/fundlimit"] = [(400, DEAD)]
        with pytest.raises(TokenRefused, match="expired at 03:43; get a new one with: scalper login"):
            await rest.raw(FUNDS)


LONG = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9." + "c2VjcmV0" * 30
ECHO = f"bad header, access-token: {LONG}, client-id: {CLIENT}"


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"errorCode": "DH-905", "errorMessage": ECHO}),
        (400, f"<html>{ECHO}</html>"),
        (200, f"<html>{ECHO}</html>"),
        (200, {"headers": ECHO}),
        (200, [ECHO]),
        (502, {"headers": {"said": [ECHO]}}),
        (302, ""),
    ],
)
async def test_a_server_that_repeats_our_headers_makes_us_repeat_no_secret(answer: tuple[int, object]) -> None:
    async with asking() as (rest, server):
        rest._settings.replace_token(LONG)
        server.answers["/v2/orders"] = server.answers["/v2/fundlimit"] = [answer]
        with pytest.raises(BrokerError) as told:
            await rest.call(FUNDS)
        with pytest.raises(BrokerError) as listed:
            await DhanBroker(rest, HandClock()).orders()
        outcome = await rest.ask(PLACE_ORDER, {}, priority=Priority.ENTRY)
        assert isinstance(outcome, Rejected | Unknown)
        for words in (
            str(told.value),
            str(listed.value),
            outcome.reason if isinstance(outcome, Rejected) else outcome.detail,
        ):
            assert LONG[:20] not in words
            assert LONG[40:60] not in words
            assert CLIENT not in words


async def test_a_redirect_is_told_as_one_and_may_have_done_what_was_asked() -> None:
    async with asking() as (rest, server):
        server.answers["/v2/fundlimit"] = server.answers["/v2/positions"] = [(301, "")]
        with pytest.raises(DhanRefused, match=r"funds .*: a redirect instead of an answer \(HTTP 301\)"):
            await rest.call(FUNDS)
        with pytest.raises(AnswerLost, match="HTTP 301"):
            await rest.call(EXIT_ALL)


async def test_what_was_not_sent_and_what_was_lost_come_with_what_to_do() -> None:
    async with asking() as (rest, server):
        server.answers["/v2/fundlimit"] = server.answers["/v2/positions"] = ["reset"]
        with pytest.raises(AnswerLost, match=r"funds .*; it may be asked again$"):
            await rest.call(FUNDS)
        with pytest.raises(AnswerLost, match=r"exit_all .*; it may have been done: read what stands before asking"):
            await rest.call(EXIT_ALL)
    nobody = DhanRest(settings_for(server.port), HandClock())
    with pytest.raises(NotSent, match=r"funds .*; nothing was sent: check this machine's network, then ask again$"):
        await nobody.call(FUNDS)
    await nobody.close()


async def test_an_empty_answer_is_called_empty() -> None:
    async with asking() as (rest, server):
        server.answers["/v2/fundlimit"] = [(200, b"")]
        with pytest.raises(AnswerUnreadable, match="the answer is empty"):
            await rest.call(FUNDS)


async def test_a_server_error_may_be_asked_again_for_what_is_read_and_not_for_what_changes() -> None:
    async with asking() as (rest, server):
        server.answers["/v2/fundlimit"] = [(500, BROKEN)]
        with pytest.raises(BrokerFailing, match="it may be asked again"):
            await rest.raw(FUNDS)
        server.answers["/v2/positions"] = [(500, BROKEN)]
        with pytest.raises(AnswerLost, match="read what stands before asking again"):
            await rest.raw(EXIT_ALL)
        assert len(server.asked) == 2


async def test_an_answer_nested_deeper_than_anyone_can_follow_is_unreadable() -> None:
    async with asking() as (rest, server):
        server.answers["/v2/fundlimit"] = [(200, b"[" * 100_000)]
        with pytest.raises(AnswerUnreadable, match="funds"):
            await rest.raw(FUNDS)


async def test_an_answer_without_end_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "MOST_BYTES", 1 << 20)
    async with asking() as (rest, server):
        server.answers["/v2/fundlimit"] = [(200, b" " * ((1 << 20) + 1))]
        with pytest.raises(AnswerLost, match="longer than"):
            await rest.raw(FUNDS)


async def test_an_empty_id_would_be_another_call_and_is_refused() -> None:
    async with asking() as (rest, server):
        with pytest.raises(ValueError, match="order_id is empty"):
            await rest.raw(ORDER_BY_ID, arguments={"order_id": ""})
        with pytest.raises(ValueError, match="order_id is empty"):
            await rest.ask(CANCEL_ORDER, priority=Priority.EXIT, arguments={"order_id": ""})
        assert server.asked == []


async def test_orders_are_asked_and_reads_are_called() -> None:
    async with asking() as (rest, _):
        with pytest.raises(ValueError, match="ask, do not call"):
            await rest.raw(PLACE_ORDER, {})
        with pytest.raises(ValueError, match="call, do not ask"):
            await rest.ask(FUNDS, priority=Priority.DATA)
