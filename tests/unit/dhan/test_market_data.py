"""Chains and expiries: real bodies, odd bodies, and the broker's pace."""

from __future__ import annotations

import asyncio
import json
from datetime import date

import pytest

from algo_scalper.adapters.dhan.chain import DhanChains, read_chain
from algo_scalper.adapters.dhan.failures import DhanRefused, FailureKind
from algo_scalper.adapters.dhan.limits import GUARD_NS, Limiter
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.market import ChainRow
from algo_scalper.domain.units import NS_PER_SECOND
from tests.shared_data import shared
from tests.unit.dhan.doubles import CLIENT, Half, HandClock, http_server, settings_for

EXPIRY = date(2026, 9, 15)


def leg(security_id: int, **prices: object) -> dict[str, object]:
    return {"security_id": security_id, "last_price": 0, "oi": 0, "volume": 0, "implied_volatility": 0, **prices}


def chain_body(**strikes: object) -> dict[str, object]:
    return {"data": {"last_price": 23092.19921875, "oc": strikes}, "status": "success"}


def test_a_real_chain() -> None:
    body = json.loads(shared("wire_samples/rest/LIVE_option_chain_two_strikes_20260914.json").read_text())
    chain = read_chain(body["response"]["body"], NIFTY, EXPIRY, 7, {})
    assert (chain.at_ns, chain.underlying, chain.expiry, chain.spot_paise) == (7, "NIFTY", EXPIRY, 2_339_810)
    assert chain.rows == (
        ChainRow(instrument_key(Segment.NSE_FNO, 47_317), 350, 310, 345, 3_060_785, 69_015_245),
        ChainRow(instrument_key(Segment.NSE_FNO, 47_318), 49_060, 48_620, 48_945, 116_545, 180_895),
    )


def test_rows_are_ordered_by_strike_and_noise_is_rounded() -> None:
    body = chain_body(
        **{
            "23100.000000": {"pe": leg(4), "ce": leg(3, last_price=12.3499996)},
            "9950.000000": {"ce": leg(1), "pe": leg(2, top_bid_price=0.05)},
            "23150.000000": {"ce": leg(0), "pe": {"last_price": 0}},
        }
    )
    chain = read_chain(body, NIFTY, EXPIRY, 0, {})
    assert chain.spot_paise == 2_309_220, "23092.19921875 on the wire"
    assert [row.key & 0xFFFF for row in chain.rows] == [1, 2, 3, 4], "contracts that do not exist are left out"
    assert chain.rows[2].ltp_paise == 1_235
    assert chain.rows[1].bid_paise == 5


def test_bse_contracts_get_bse_keys() -> None:
    chain = read_chain(chain_body(**{"84000.000000": {"ce": leg(824_824), "pe": leg(830_030)}}), SENSEX, EXPIRY, 0, {})
    assert [row.key for row in chain.rows] == [instrument_key(Segment.BSE_FNO, n) for n in (824_824, 830_030)]


def test_a_chain_of_before_security_ids_is_not_one() -> None:
    body = json.loads(shared("wire_samples/rest/POST_v2_optionchain_200_02.body.json").read_text())
    with pytest.raises(DataError, match="not one security id"):
        read_chain(body, NIFTY, EXPIRY, 0, {})


@pytest.mark.parametrize("body", [[], {}, {"data": {}}, {"data": {"oc": []}}, {"data": {"oc": {"x": {}}}}])
def test_what_is_no_chain_is_an_error(body: object) -> None:
    with pytest.raises(DataError):
        read_chain(body, NIFTY, EXPIRY, 0, {})


def test_an_empty_chain_is_a_chain() -> None:
    assert read_chain(chain_body(), NIFTY, EXPIRY, 0, {}).rows == ()


async def test_a_chain_is_asked_once_in_three_seconds_and_others_meanwhile() -> None:
    async with http_server() as server:
        server.answers["/v2/optionchain"] = [(200, chain_body())]
        clock = HandClock()
        rest = DhanRest(settings_for(server.port), clock, limiter=Limiter(clock, Half()))
        chains = DhanChains(rest, clock)
        await chains.option_chain(NIFTY, EXPIRY)
        again = asyncio.ensure_future(chains.option_chain(NIFTY, EXPIRY))
        third = asyncio.ensure_future(chains.option_chain(NIFTY, EXPIRY))
        await chains.option_chain(NIFTY, date(2026, 9, 22))
        await chains.option_chain(SENSEX, EXPIRY)
        turn_ns = 3 * NS_PER_SECOND + GUARD_NS
        await clock.slept(lambda wake: wake == turn_ns)
        clock.advance(turn_ns - 1)
        assert len(server.asked) == 3
        clock.advance(1)
        assert (await again).at_ns == clock.now_ns()
        assert not third.done()
        await clock.slept(lambda wake: wake == turn_ns)
        clock.advance(turn_ns)
        await third
        assert server.asked[0].json == {
            "dhanClientId": CLIENT,
            "UnderlyingScrip": 13,
            "UnderlyingSeg": "IDX_I",
            "Expiry": "2026-09-15",
        }
        assert server.asked[2].json["UnderlyingScrip"] == 51
        await rest.close()


async def test_expiries() -> None:
    refused = {"data": {"813": "Invalid SecurityId"}, "status": "failed"}
    async with http_server() as server:
        server.answers["/v2/optionchain/expirylist"] = [
            (200, {"data": ["2026-11-23", "2026-12-01"], "status": "success"}),
            (400, refused),
            (200, {"data": {}, "status": "success"}),
        ]
        clock = HandClock()
        rest = DhanRest(settings_for(server.port), clock)
        chains = DhanChains(rest, clock)
        assert await chains.expiries(NIFTY) == (date(2026, 11, 23), date(2026, 12, 1))
        with pytest.raises(DhanRefused) as told:
            await chains.expiries(NIFTY)
        assert told.value.failure.kind is FailureKind.INPUT
        with pytest.raises(DataError):
            await chains.expiries(NIFTY)
        await rest.close()
