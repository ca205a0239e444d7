"""Candle series for these tests: generated ones, and real recorded minutes."""

from __future__ import annotations

import random
from functools import lru_cache

import pyarrow.parquet as pq

from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from tests.shared_data import shared

MONDAY_0915_NS = 1_768_189_500 * NS_PER_SECOND  # 2026-01-12 09:15 IST


def generated(count: int, seed: int, *, start_ns: int = MONDAY_0915_NS, step_paise: int = 900) -> list[Candle]:
    """A random walk of one-minute candles in whole paise, with flat bars and jumps among them."""
    chance = random.Random(seed)
    close = 2_500_000
    candles = []
    for minute in range(count):
        kind = chance.random()
        open_ = close + (chance.randrange(-20 * step_paise, 20 * step_paise) if kind < 0.02 else 0)
        if kind > 0.97:
            high = low = close = open_
        else:
            close = open_ + round(chance.gauss(0, step_paise))
            high = max(open_, close) + chance.randrange(step_paise)
            low = min(open_, close) - chance.randrange(step_paise)
        candles.append(Candle(start_ns + minute * NS_PER_MINUTE, open_, high, low, close))
    return candles


@lru_cache(maxsize=4)
def _read(path: str) -> tuple[Candle, ...]:
    columns = pq.read_table(path, columns=["ts", "open", "high", "low", "close"]).to_pydict()
    prices = [[round(value * 100) for value in columns[name]] for name in ("open", "high", "low", "close")]
    return tuple(Candle(ts * NS_PER_SECOND, *ohlc) for ts, *ohlc in zip(columns["ts"], *prices, strict=True))


def recorded(name: str) -> tuple[Candle, ...]:
    """Real one-minute candles of the shared data, for example ``nifty_1m_2026``; skips where they are not."""
    return _read(str(shared(f"data/parquet/{name}.parquet")))
