"""What a signal may look at: a frozen view of one index after a closed minute."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from algo_scalper.domain.decisions import Signal
from algo_scalper.domain.rules import SignalRules
from algo_scalper.domain.units import ist_second
from algo_scalper.indicators.candles import SESSION_OPEN_S
from algo_scalper.indicators.readings import TrendReadings


class StrategyView(msgspec.Struct, frozen=True):
    """One index at the close of a one-minute candle. Nothing in it belongs to a candle that is still forming.

    ``m1`` and ``m5`` are the readings of the last closed one- and five-minute candles, with their starts and closes.
    """

    m1: TrendReadings
    m5: TrendReadings

    @property
    def minutes_since_open(self) -> int:
        """Minutes from 09:15 IST to the end of the latest candle."""
        return (ist_second(self.m1.start_ns) - SESSION_OPEN_S) // 60 + 1


SignalFunction = Callable[[StrategyView, SignalRules], Signal | None]
"""A signal: pure, without memory of its own; the same view and rules give the same answer."""
