"""Which signals there are, by the name ``signal.name`` in ``algo.yml`` calls them. A dict; nothing is discovered."""

from __future__ import annotations

from algo_scalper.strategy import trend_signal
from algo_scalper.strategy.view import SignalFunction, StrategyView

__all__ = ["SIGNALS", "SignalFunction", "StrategyView"]

SIGNALS: dict[str, SignalFunction] = {
    trend_signal.NAME: trend_signal.trend_signal,
}
