"""Index candles from ticks: one minute each, bucketed by the exchange's time, closed once."""

from __future__ import annotations

from algo_scalper.domain.market import Candle, Tick
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.engine.state import FormingCandle, IndexState

CLOSE_GRACE_NS = 2 * NS_PER_SECOND
"""A minute without a later print is closed so long after its end."""


def grow(index: IndexState, tick: Tick) -> Candle | None:
    """Add a tick; give the candle it closed, if it began a new minute."""
    start_ns = tick.exchange_s // 60 * NS_PER_MINUTE
    price = tick.ltp_paise
    forming = index.forming
    if forming is not None and start_ns == forming.start_ns:
        if price > forming.high_paise:
            forming.high_paise = price
        elif price < forming.low_paise:
            forming.low_paise = price
        forming.close_paise = price
        return None
    if start_ns <= index.candle_start_ns or (forming is not None and start_ns < forming.start_ns):
        return None  # a late print of a closed minute
    closed = None
    if forming is not None:
        closed = forming.closed()
        index.candle_start_ns = closed.start_ns
    index.forming = FormingCandle(start_ns, price, price, price, price)
    return closed


def close_by_clock(index: IndexState, now_ns: int) -> Candle | None:
    """The forming candle, if its minute has been over for a while and no print has closed it."""
    forming = index.forming
    if forming is None or now_ns < forming.start_ns + NS_PER_MINUTE + CLOSE_GRACE_NS:
        return None
    index.forming = None
    index.candle_start_ns = forming.start_ns
    return forming.closed()
