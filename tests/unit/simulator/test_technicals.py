"""Indicators of conditional triggers against TA-Lib, and by hand where it has no such one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
import talib

from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.interfaces.simulator.technicals import FRAMES, INDICATORS, Technicals, longer
from tests.unit.simulator.stage import world_of

OPEN_NS = world_of().market.axis.open_ns
Prices = np.ndarray[Any, np.dtype[np.float64]]


def walk(count: int, seed: int) -> list[Candle]:
    chance, price, found = Random(seed), 2_500_000, []
    for number in range(count):
        closes = price + chance.randint(-600, 600)
        high, low = max(price, closes) + chance.randint(0, 300), min(price, closes) - chance.randint(0, 300)
        found.append(Candle(OPEN_NS + number * NS_PER_MINUTE, price, high, low, closes))
        price = closes + chance.randint(-50, 50)
    return found


def last(values: Prices) -> float:
    return float(values[-1])


def macd_histogram(close: Prices) -> float:
    return last(talib.MACD(close, 12, 26, 9)[2])


EXPECTED: dict[str, Callable[[Prices, Prices, Prices], float]] = {
    **{f"SMA_{n}": lambda h, lo, c, n=n: last(talib.SMA(c, n)) for n in (5, 10, 20, 50, 100, 200)},  # type: ignore[misc]
    **{f"EMA_{n}": lambda h, lo, c, n=n: last(talib.EMA(c, n)) for n in (5, 10, 20, 50, 100, 200)},  # type: ignore[misc]
    "BB_UPPER": lambda h, lo, c: last(talib.BBANDS(c, 20, 2, 2)[0]),
    "BB_LOWER": lambda h, lo, c: last(talib.BBANDS(c, 20, 2, 2)[2]),
    "RSI_14": lambda h, lo, c: 100 * last(talib.RSI(c, 14)),
    "ATR_14": lambda h, lo, c: last(talib.ATR(h, lo, c, 14)),
    "STOCHASTIC": lambda h, lo, c: 100 * last(talib.STOCHF(h, lo, c, 14, 1)[0]),
    "STOCHRSI_14": lambda h, lo, c: 100 * last(talib.STOCHRSI(c, 14, 14, 3)[1]),
    "MACD_26": lambda h, lo, c: last(talib.EMA(c, 26)),
    "MACD_12": lambda h, lo, c: last(talib.EMA(c, 12)),
    "MACD_HIST": lambda h, lo, c: macd_histogram(c),
}


@pytest.mark.parametrize("name", sorted(INDICATORS))
@pytest.mark.parametrize("seed", [1, 2])
def test_each_documented_indicator_is_talibs(name: str, seed: int) -> None:
    candles = walk(420, seed)
    high = np.array([candle.high_paise for candle in candles], dtype=np.float64)
    low = np.array([candle.low_paise for candle in candles], dtype=np.float64)
    close = np.array([candle.close_paise for candle in candles], dtype=np.float64)
    read = INDICATORS[name](candles)
    assert read == pytest.approx(EXPECTED[name](high, low, close), abs=1e-3)


def test_all_the_documented_names_are_there() -> None:
    assert set(INDICATORS) == set(EXPECTED)
    assert len(INDICATORS) == 21


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("SMA_5", 5),
        ("EMA_10", 10),
        ("BB_LOWER", 20),
        ("RSI_14", 15),
        ("ATR_14", 15),
        ("STOCHASTIC", 14),
        ("STOCHRSI_14", 30),
        ("MACD_26", 26),
        ("MACD_HIST", 34),
    ],
)
def test_with_a_candle_too_few_there_is_no_value(name: str, needed: int) -> None:
    candles = walk(needed, 3)
    assert INDICATORS[name](candles) is not None
    assert INDICATORS[name](candles[:-1]) is None


def test_a_market_that_stands_still_reads_zero_and_divides_by_nothing() -> None:
    still = [Candle(OPEN_NS + n * NS_PER_MINUTE, 100, 100, 100, 100) for n in range(60)]
    assert [INDICATORS[name](still) for name in ("RSI_14", "STOCHASTIC", "STOCHRSI_14", "ATR_14", "MACD_HIST")] == [
        0
    ] * 5
    assert INDICATORS["BB_UPPER"](still) == INDICATORS["BB_LOWER"](still) == 100


def test_five_closes_by_hand() -> None:
    closes = [10_000, 10_100, 10_050, 10_200, 10_150]
    candles = [Candle(OPEN_NS + n * NS_PER_MINUTE, c, c + 10, c - 10, c) for n, c in enumerate(closes)]
    assert INDICATORS["SMA_5"](candles) == 10_100  # 50_500 / 5
    one_more = [*candles, Candle(OPEN_NS + 5 * NS_PER_MINUTE, 10_400, 10_410, 10_390, 10_400)]
    assert INDICATORS["EMA_5"](one_more) == pytest.approx(10_100 + (10_400 - 10_100) / 3)


def test_longer_candles_begin_with_the_session_and_close_with_their_last_minute() -> None:
    minutes = walk(12, 4)
    five = longer(minutes, 5)
    assert [candle.start_ns for candle in five] == [OPEN_NS, OPEN_NS + 5 * NS_PER_MINUTE]
    assert five[1] == Candle(
        minutes[5].start_ns,
        minutes[5].open_paise,
        max(candle.high_paise for candle in minutes[5:10]),
        min(candle.low_paise for candle in minutes[5:10]),
        minutes[9].close_paise,
    )


def test_a_reading_changes_with_the_close_of_a_candle_and_not_within_it() -> None:
    world = world_of(after_open_s=300)
    technicals = Technicals(world)
    read = technicals.reading(NIFTY.key, 5, "SMA_5")
    assert read is not None
    assert read.candle_ns == OPEN_NS
    world.now_ns = OPEN_NS + 10 * NS_PER_MINUTE - 1
    assert technicals.reading(NIFTY.key, 5, "SMA_5") == read
    world.now_ns += 1
    after = technicals.reading(NIFTY.key, 5, "SMA_5")
    assert after is not None
    assert after.candle_ns == OPEN_NS + 5 * NS_PER_MINUTE
    assert technicals.reading(NIFTY.key, 1, "CLOSE") is not None


def test_there_is_no_reading_of_what_has_no_candles_or_too_few() -> None:
    technicals = Technicals(world_of())
    assert technicals.reading(INDIA_VIX_KEY, 1, "SMA_5") is None
    assert technicals.reading(NIFTY.key, 15, "SMA_200") is None
    assert all(technicals.reading(NIFTY.key, minutes, "RSI_14") is not None for minutes in FRAMES.values())
