"""What a quote screen shows beside the last tick: the day's open, high, low, turnover and last traded quantity.

A `Quote` of the simulated market carries the tick and five levels; the rest of Dhan's Quote and Full packets is
gathered here. Open, high and low are the day's, whoever looked when; the average price and the last quantity begin with
the first tick seen of an instrument.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.market import Quote
from algo_scalper.simulation.day_range import DayRanges


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

    def __init__(self, previous_close_paise: dict[int, int], ranges: DayRanges) -> None:
        self._previous_close_paise, self._ranges = previous_close_paise, ranges
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
        reach = self._ranges.upto(tick)
        day = self._prints.get(tick.key)
        if day is None:
            close = self._previous_close_paise.get(tick.key, 0)
            day = self._prints[tick.key] = DayPrint(quote, 0, 0, 0, close, 0, 0)
        traded = tick.volume - day.quote.tick.volume
        if traded > 0:
            day.last_quantity = traded
            day.turnover_paise += traded * price
            day.volume_seen += traded
        day.quote = quote
        day.open_paise, day.high_paise, day.low_paise = reach.open_paise, reach.high_paise, reach.low_paise
        day.oi_high, day.oi_low = reach.oi_high, reach.oi_low
        return day
