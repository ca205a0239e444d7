"""Chains and minutes: real bodies, odd bodies, and the broker's pace."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any

import pytest

from algo_scalper.adapters.dhan.chain import DhanChains, read_chain
from algo_scalper.adapters.dhan.failures import DhanRefused, FailureKind
from algo_scalper.adapters.dhan.history import DhanHistory, read_minutes
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.market import ChainRow
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_day, ist_ns, ist_second
from tests.shared_data import shared
from tests.unit.dhan.doubles import HandClock, http_server, settings_for

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
        rest = DhanRest(settings_for(server.port), clock)
        chains = DhanChains(rest, clock)
        await chains.option_chain(NIFTY, EXPIRY)
        again = asyncio.ensure_future(chains.option_chain(NIFTY, EXPIRY))
        third = asyncio.ensure_future(chains.option_chain(NIFTY, EXPIRY))
        await chains.option_chain(NIFTY, date(2026, 9, 22))
        await chains.option_chain(SENSEX, EXPIRY)
        await clock.slept(lambda wake: wake == 6 * NS_PER_SECOND)
        assert len(server.asked) == 3
        clock.advance(3 * NS_PER_SECOND)
        assert (await again).at_ns == clock.now_ns()
        assert not third.done()
        clock.advance(3 * NS_PER_SECOND)
        await third
        assert server.asked[0].json == {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "Expiry": "2026-09-15"}
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
        chains = DhanChains(rest, clock, pace_ns=0)
        assert await chains.expiries(NIFTY) == (date(2026, 11, 23), date(2026, 12, 1))
        with pytest.raises(DhanRefused) as told:
            await chains.expiries(NIFTY)
        assert told.value.failure.kind is FailureKind.INPUT
        with pytest.raises(DataError):
            await chains.expiries(NIFTY)
        await rest.close()


def minutes_body(*rows: tuple[float, float, float, float, float]) -> dict[str, object]:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    names = ("timestamp", "open", "high", "low", "close")
    found: dict[str, object] = {name: list(column) for name, column in zip(names, columns, strict=True)}
    return found | {"volume": [0.0] * len(rows)}


def bar(day: date, second: int, *prices: float) -> tuple[float, float, float, float, float]:
    return (ist_ns(day, second) / NS_PER_SECOND, prices[0], prices[1], prices[2], prices[3])


def real_minutes() -> Any:
    return json.loads(shared("wire_samples/rest/POST_v2_charts_intraday_200_01.body.json").read_text())


def test_real_minutes() -> None:
    candles = read_minutes(real_minutes(), NIFTY.key)
    assert len(real_minutes()["timestamp"]) == 2251
    assert len(candles) == 6 * 375
    assert candles[0].open_paise == 2_593_510, "25935.099609375 on the wire"
    days = sorted({ist_day(candle.start_ns) for candle in candles})
    assert len(days) == 6
    for day in days:
        starts = [ist_second(candle.start_ns) for candle in candles if ist_day(candle.start_ns) == day]
        assert starts == [33_300 + 60 * minute for minute in range(375)]
    assert all(c.low_paise <= min(c.open_paise, c.close_paise) <= c.high_paise for c in candles)
    assert all(c.open_paise % 5 == 0 for c in candles)


def test_the_flat_bar_at_the_close_is_not_a_minute() -> None:
    day = date(2026, 3, 9)
    body = minutes_body(
        bar(day, 55_740, 1, 2, 1, 2), bar(day, 55_800, 2, 2, 2, 2), bar(date(2026, 12, 8), 55_800, 2, 3, 2, 3)
    )
    assert [ist_second(candle.start_ns) for candle in read_minutes(body, NIFTY.key)] == [55_740, 55_800]


@pytest.mark.parametrize(
    "body", [[], {}, {"timestamp": [], "open": [], "high": [], "low": []}, {**minutes_body(), "open": [1.0]}]
)
def test_columns_that_do_not_fit_are_an_error(body: object) -> None:
    with pytest.raises(DataError):
        read_minutes(body, NIFTY.key)


async def test_whole_days_are_asked_for_in_pieces_and_cut_here() -> None:
    first, last = date(2026, 1, 5), date(2026, 4, 20)
    async with http_server() as server:
        server.answers["/v2/charts/intraday"] = [
            (200, minutes_body(bar(first, 33_300, 1, 1, 1, 1), bar(first, 33_360, 2, 2, 2, 2))),
            (200, minutes_body(bar(last, 33_360, 4, 4, 4, 4), bar(last, 33_300, 3, 3, 3, 3))),
        ]
        rest = DhanRest(settings_for(server.port), HandClock())
        found = await DhanHistory(rest).intraday_minutes(
            NIFTY.key, ist_ns(first, 33_360), ist_ns(last, 33_360) + NS_PER_MINUTE
        )
        assert [candle.close_paise for candle in found] == [200, 300, 400]
        asked = [one.json for one in server.asked]
        assert [(one["fromDate"], one["toDate"]) for one in asked] == [
            ("2026-01-05 00:00:00", "2026-04-05 00:00:00"),
            ("2026-04-05 00:00:00", "2026-04-21 00:00:00"),
        ]
        assert asked[0]["securityId"] == "13"
        assert (asked[0]["exchangeSegment"], asked[0]["instrument"], asked[0]["interval"]) == ("IDX_I", "INDEX", "1")
        assert await DhanHistory(rest).intraday_minutes(NIFTY.key, 5, 5) == ()
        await rest.close()
