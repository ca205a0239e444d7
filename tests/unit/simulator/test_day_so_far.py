"""Quotes, chains and charts tell the same day, whoever asked or watched before."""

from __future__ import annotations

from typing import Any

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.simulator.accounts import trading
from tests.unit.simulator.stage import DAY, Visitor, market_of, near_call, serving, subscribe, world_of

CALL = near_call(market_of())
NUMBER = str(CALL.key & 0xFFFFFFFF)


async def quoted(visitor: Visitor) -> dict[str, Any]:
    body = await visitor.json("POST", "/v2/marketfeed/quote", {"NSE_FNO": [int(NUMBER)]})
    found: dict[str, Any] = body["data"]["NSE_FNO"][NUMBER]
    return found


async def test_a_day_watched_from_the_open_and_one_seen_an_hour_later_are_the_same() -> None:
    async with trading(world_of(after_open_s=1)) as watcher:
        await watcher.engine.subscribe(21, CALL.key)
        await watcher.pass_seconds(3_599)
        watched = await quoted(watcher.visitor)
    async with serving(world_of(after_open_s=3_600)) as (_, visitor):
        late = await quoted(visitor)
        again = await quoted(visitor)
    for name in ("ohlc", "oi", "oi_day_high", "oi_day_low", "last_price", "volume"):
        assert watched[name] == late[name] == again[name], name


async def test_the_day_is_the_reach_of_its_minutes() -> None:
    chart = {
        "securityId": NUMBER,
        "exchangeSegment": "NSE_FNO",
        "instrument": "OPTIDX",
        "interval": "1",
        "fromDate": DAY.isoformat(),
        "toDate": DAY.isoformat(),
    }
    async with serving(world_of(after_open_s=3_600)) as (_, visitor):
        bars = await visitor.json("POST", "/v2/charts/intraday", chart)
        day = (await quoted(visitor))["ohlc"]
        assert len(bars["open"]) == 60
        price = market_of().quote(CALL.key, market_of().axis.open_ns + 3_600 * NS_PER_SECOND).tick.ltp_paise / 100
        assert day["open"] == bars["open"][0]
        assert day["high"] == max(*bars["high"], price)
        assert day["low"] == min(*bars["low"], price)


async def test_a_quote_of_what_nobody_watches_any_more_is_not_the_last_one_that_was_watched() -> None:
    async with trading() as trader:
        await trader.engine.subscribe(21, CALL.key)
        await trader.pass_seconds(5)
        await trader.engine.feed.send_str(subscribe(22, CALL.key))
        trader.engine.feed_sent += 1
        await trader.pass_seconds(1_200)
        shown = await quoted(trader.visitor)
        tick = trader.world.market.quote(CALL.key, trader.world.now_ns).tick
        assert (shown["last_price"], shown["volume"]) == (tick.ltp_paise / 100, tick.volume)


async def test_yesterday_s_open_interest_is_what_the_day_began_with() -> None:
    asked = {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "Expiry": CALL.expiry.isoformat()}

    async def legs(after_open_s: float) -> dict[str, dict[str, int]]:
        async with serving(world_of(after_open_s=after_open_s)) as (_, visitor):
            chain = (await visitor.json("POST", "/v2/optionchain", asked))["data"]["oc"]
            return {strike: both["ce"] for strike, both in chain.items()}

    early, late = await legs(-30), await legs(3 * 3_600)
    assert {strike: leg["previous_oi"] for strike, leg in early.items()} == {
        strike: leg["previous_oi"] for strike, leg in late.items()
    }
    assert all(leg["oi"] == leg["previous_oi"] for leg in early.values()), "nothing has been opened or closed yet"
    near = [leg for leg in late.values() if leg["previous_oi"] > 100_000]
    assert near
    assert sum(leg["oi"] != leg["previous_oi"] for leg in near) > len(near) / 2


async def test_an_index_seen_late_has_the_prints_of_the_running_minute_too() -> None:
    async with serving(world_of(after_open_s=640)) as (_, visitor):
        body = await visitor.json("POST", "/v2/marketfeed/ohlc", {"IDX_I": [13]})
        day = body["data"]["IDX_I"]["13"]["ohlc"]
        line = market_of().line(NIFTY.key)
        prices = [line.quote(second).tick.ltp_paise / 100 for second in range(641) if line.prints(second)]
        assert (day["open"], day["high"], day["low"]) == (prices[0], max(prices), min(prices))
