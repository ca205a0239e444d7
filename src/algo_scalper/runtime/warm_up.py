"""The minutes from before a start: indicators begin with them, and a day's change is counted from the last close."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from algo_scalper.adapters.dhan.history import DhanHistory
from algo_scalper.domain.calendar import previous_trading_day
from algo_scalper.domain.market import Candle
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.rules import IndexRules
from algo_scalper.domain.units import ist_ns


class WarmUp:
    """Minutes of the previous session and of today so far."""

    def __init__(self, history: DhanHistory, day: date, clock: Clock) -> None:
        """``clock`` is the session's: nothing later than now is asked for."""
        self._history = history
        self._day = day
        self._clock = clock

    async def minutes(self, key: int) -> tuple[Candle, ...]:
        """Of one index. Raises `BrokerError` and `DataError`."""
        from_ns = ist_ns(previous_trading_day(self._day), 0)
        return await self._history.intraday_minutes(key, from_ns, self._clock.now_ns())

    async def all_minutes(self, indices: Iterable[IndexRules]) -> dict[int, tuple[Candle, ...]]:
        """Of each index, by its key."""
        return {index.key: await self.minutes(index.key) for index in indices}


def last_close(candles: tuple[Candle, ...], day: date) -> int:
    """The close in paise of the last minute before this day; 0 when there is none."""
    opened_ns = ist_ns(day, 0)
    before = [candle.close_paise for candle in candles if candle.start_ns < opened_ns]
    return before[-1] if before else 0
