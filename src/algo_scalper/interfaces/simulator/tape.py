"""What a quote screen shows beside the last tick: the day's open, high, low, turnover and last traded quantity.

A `Quote` of the simulated market carries the tick and five levels; the rest of Dhan's Quote and Full packets is
gathered here from the ticks as they pass. It begins with the first tick seen of an instrument.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.market import Candle, Quote


class DayPrint(msgspec.Struct):
    """One instrument's day so far. Prices in paise, quantities in contracts."""

    quote: Quote
    open_paise: int
    high_paise: int
    low_paise: int
    previous_close_paise: int
    oi_high: int
    oi_low: int
    last_quantity: int = 0
    turnover_paise: int = 0
    """Price x quantity of the volume seen; with ``volume_seen`` it gives the average price."""
    volume_seen: int = 0

    @property
    def average_paise(self) -> int:
        """Volume-weighted average of what was seen; the last price before any volume was. 0 for an index."""
        if self.volume_seen:
            return self.turnover_paise // self.volume_seen
        return self.quote.tick.ltp_paise if self.quote.tick.volume else 0


class Tape:
    """The day prints of all instruments seen."""

    def __init__(self, previous_close_paise: dict[int, int]) -> None:
        self._previous_close_paise = previous_close_paise
        self._prints: dict[int, DayPrint] = {}
        self.last_paise: dict[int, int] = {}
        """Last price by key."""

    def get(self, key: int) -> DayPrint | None:
        """What has been seen of an instrument; None before its first tick."""
        return self._prints.get(key)

    def take(self, quote: Quote) -> DayPrint:
        """Add a quote and return the instrument's day with it."""
        tick = quote.tick
        price = tick.ltp_paise
        self.last_paise[tick.key] = price
        day = self._prints.get(tick.key)
        if day is None:
            close = self._previous_close_paise.get(tick.key, 0)
            day = self._prints[tick.key] = DayPrint(quote, price, price, price, close, tick.oi, tick.oi)
            return day
        traded = tick.volume - day.quote.tick.volume
        if traded > 0:
            day.last_quantity = traded
            day.turnover_paise += traded * price
            day.volume_seen += traded
        day.quote = quote
        day.high_paise = max(day.high_paise, price)
        day.low_paise = min(day.low_paise, price)
        day.oi_high = max(day.oi_high, tick.oi)
        day.oi_low = min(day.oi_low, tick.oi)
        return day

    def recall(self, key: int, candles: tuple[Candle, ...]) -> None:
        """Put the day's earlier candles of an index under what has been seen of it."""
        day = self._prints.get(key)
        if day is None or not candles:
            return
        day.open_paise = candles[0].open_paise
        day.high_paise = max(day.high_paise, *(candle.high_paise for candle in candles))
        day.low_paise = min(day.low_paise, *(candle.low_paise for candle in candles))
