"""The bundled signal: Supertrend and ADX on one-minute candles, confirmed on five-minute ones.

It is an example. On recorded days it does no better than entries at random (docs/explanation/signal.md).
"""

from __future__ import annotations

from enum import StrEnum

from algo_scalper.domain.decisions import Numbers, Signal
from algo_scalper.domain.rules import SignalRules
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.strategy.view import StrategyView

NAME = "supertrend_adx"
CONFIRMATION_OLDEST_NS = 10 * NS_PER_MINUTE
"""With no minute missing, the last closed five-minute candle began four to eight minutes before the latest minute."""


class Unmet(StrEnum):
    """The first condition that kept the signal silent."""

    NOT_READY = "not_ready"
    CONFIRMATION_STALE = "confirmation_stale"
    TRENDS_DISAGREE = "trends_disagree"
    ADX_M1_LOW = "adx_m1_low"
    ADX_M5_LOW = "adx_m5_low"
    NOT_A_TURN = "not_a_turn"


def first_unmet(view: StrategyView, rules: SignalRules) -> Unmet | None:
    """The first condition that does not hold, in the order a person would check them; None when all do."""
    m1, m5 = view.m1, view.m5
    if not (m1.ready and m5.ready):
        return Unmet.NOT_READY
    if m1.start_ns - m5.start_ns >= CONFIRMATION_OLDEST_NS:
        return Unmet.CONFIRMATION_STALE
    if m1.direction is not m5.direction:
        return Unmet.TRENDS_DISAGREE
    if m1.adx < rules.adx_m1_min:
        return Unmet.ADX_M1_LOW
    if m5.adx < rules.adx_m5_min:
        return Unmet.ADX_M5_LOW
    if rules.on_flip_only and not m1.flipped:
        return Unmet.NOT_A_TURN
    return None


def trend_numbers(view: StrategyView, rules: SignalRules) -> Numbers:
    """The readings and thresholds behind a signal or its silence."""
    return {
        "close_paise": view.m1.close_paise,
        "supertrend_m1_paise": view.m1.supertrend_paise,
        "supertrend_m5_paise": view.m5.supertrend_paise,
        "trend_m1": int(view.m1.direction or 0),
        "trend_m5": int(view.m5.direction or 0),
        "adx_m1": round(view.m1.adx, 2),
        "adx_m1_min": rules.adx_m1_min,
        "adx_m5": round(view.m5.adx, 2),
        "adx_m5_min": rules.adx_m5_min,
    }


def trend_signal(view: StrategyView, rules: SignalRules) -> Signal | None:
    """Both trends point the same way and both are strong enough.

    With ``rules.on_flip_only`` only at the candle that turned the one-minute trend; otherwise at every candle that
    finds them aligned, and the cooldown keeps them apart.
    """
    direction = view.m1.direction
    if direction is None or first_unmet(view, rules) is not None:
        return None
    return Signal(direction, NAME, trend_numbers(view, rules))
