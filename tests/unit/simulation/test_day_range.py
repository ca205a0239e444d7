"""The day so far is the prints' own, whenever it is asked for: compared with every print of the day, one by one."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from random import Random

import pytest

from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY, Contract
from algo_scalper.domain.market import Candle, Tick
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.simulation.day_range import DayRange, DayRanges
from algo_scalper.simulation.market import MarketDay, recorded_day, synthetic_day

EXPIRY_DAY, OTHER_DAY = date(2026, 11, 23), date(2026, 2, 3)
SPLIT_DAY = date(2024, 3, 2)


@lru_cache(maxsize=4)
def market_of(day: date, seed: int = 5) -> MarketDay:
    return synthetic_day(day, seed)


def tick_at(market: MarketDay, key: int, second: int) -> Tick:
    return market.quote(key, market.line(key).start_ns + second * NS_PER_SECOND).tick


def shown(found: DayRange) -> tuple[int, ...]:
    return found.open_paise, found.high_paise, found.low_paise, found.oi_high, found.oi_low


def printed(market: MarketDay, key: int, second: int) -> tuple[int, ...]:
    """The same from all the prints, without any thought."""
    line = market.line(key)
    ticks = [line.quote(at).tick for at in range(second + 1) if line.prints(at)]
    prices, interests = [tick.ltp_paise for tick in ticks], [tick.oi for tick in ticks]
    return prices[0], max(prices), min(prices), max(interests), min(interests)


def some_contracts(market: MarketDay, count: int) -> list[Contract]:
    """Of every premium and liquidity: the whole listing in its order, every so many."""
    return list(market.contracts[7 :: len(market.contracts) // count])


@pytest.mark.parametrize("day", [OTHER_DAY, EXPIRY_DAY])
def test_a_first_look_in_the_afternoon_finds_every_print_of_the_day(day: date) -> None:
    market, chance = market_of(day), Random(1)
    ranges = DayRanges(market)
    for contract in some_contracts(market, 40):
        second = chance.choice([400, 5_000, 14_000, 21_000, 24_000])
        found = ranges.upto(tick_at(market, contract.key, second))
        assert shown(found) == printed(market, contract.key, second), (contract.name, second)


def test_one_that_looks_often_and_one_that_looks_once_see_the_same() -> None:
    market, chance = market_of(OTHER_DAY), Random(2)
    often, once = DayRanges(market), DayRanges(market)
    for contract in some_contracts(market, 12):
        second = -40
        while second < 9_000:
            tick = tick_at(market, contract.key, second)
            found = often.upto(tick)
            assert found.low_paise <= tick.ltp_paise <= found.high_paise
            second += chance.choice([1, 1, 1, 2, 30, 61, 700, 3_000])
        last = tick_at(market, contract.key, 9_100)
        assert shown(often.upto(last)) == shown(once.upto(last)) == printed(market, contract.key, 9_100)


def test_before_the_first_print_there_is_the_tick_alone_and_it_is_not_of_the_day() -> None:
    market = market_of(OTHER_DAY)
    contract = some_contracts(market, 3)[1]
    ranges = DayRanges(market)
    early = ranges.upto(tick_at(market, contract.key, -60))
    close = market.previous_close_paise[contract.key]
    assert (early.open_paise, early.high_paise, early.low_paise) == (close, close, close)
    first = tick_at(market, contract.key, 0)
    assert ranges.upto(first).open_paise == ranges.upto(first).high_paise == first.ltp_paise


def test_after_the_end_of_trading_nothing_is_added() -> None:
    market = market_of(EXPIRY_DAY)
    ranges = DayRanges(market)
    key = some_contracts(market, 5)[0].key
    at_close = shown(ranges.upto(tick_at(market, key, market.axis.seconds)))
    assert shown(ranges.upto(tick_at(market, key, market.axis.seconds + 600))) == at_close


def test_the_hours_between_two_sessions_are_no_part_of_the_day() -> None:
    market = market_of(SPLIT_DAY)
    assert len(market.schedule.options) == 2
    ranges = DayRanges(market)
    for contract in some_contracts(market, 4):
        last = market.axis.seconds - 100
        found = shown(ranges.upto(tick_at(market, contract.key, last)))
        assert found == printed(market, contract.key, last)


@pytest.mark.parametrize("key", [NIFTY.key, INDIA_VIX_KEY])
def test_an_index_has_its_prints_too(key: int) -> None:
    market = market_of(OTHER_DAY)
    assert shown(DayRanges(market).upto(tick_at(market, key, 7_000))) == printed(market, key, 7_000)


def test_a_recorded_candle_counts_once_it_is_closed() -> None:
    open_ns = market_of(OTHER_DAY).axis.open_ns
    bars = tuple(
        Candle(open_ns + at * NS_PER_MINUTE, 2_500_000, 2_500_000 + 900 * (at == 3), 2_499_000, 2_500_000)
        for at in range(375)
    )
    market = recorded_day("NIFTY", bars, (), OTHER_DAY, 1)
    ranges = DayRanges(market)
    assert ranges.upto(tick_at(market, NIFTY.key, 180)).high_paise < 2_500_900
    found = ranges.upto(tick_at(market, NIFTY.key, 240))
    assert (found.open_paise, found.high_paise) == (2_500_000, 2_500_900)
    assert shown(DayRanges(market).upto(tick_at(market, NIFTY.key, 240))) == shown(found)
