"""Which indicators a candle stream keeps, stepped in one call."""

from __future__ import annotations

from typing import NamedTuple

from algo_scalper.domain.decisions import Direction
from algo_scalper.domain.market import Candle
from algo_scalper.domain.rules import SignalRules
from algo_scalper.domain.units import ist_day
from algo_scalper.indicators.adx import ADX_START, AdxState, adx_ready, adx_step
from algo_scalper.indicators.candles import NOTHING_GROWING, Growing, grow_candle
from algo_scalper.indicators.supertrend import (
    SUPERTREND_START,
    SupertrendState,
    supertrend_line,
    supertrend_step,
)
from algo_scalper.indicators.true_range import ATR_START, AtrState, atr_ready, atr_step, true_range
from algo_scalper.indicators.volatility import CALM_START, MoveReadings, SigmaProfile, move_step

CONFIRM_MINUTES = 5
"""The longer candles that confirm the one-minute ones."""


class TrendReadings(NamedTuple):
    """Trend and its strength on one stream of candles, up to and including the candle that began at ``start_ns``.

    ``ready`` is False until both indicators have a value; nothing may be decided on readings that are not ready.
    ``flipped`` is True when this very candle turned the trend from one side to the other.
    """

    start_ns: int
    close_paise: int
    ready: bool
    flipped: bool
    atr_state: AtrState
    adx_state: AdxState
    supertrend_state: SupertrendState

    @property
    def direction(self) -> Direction | None:
        """The side Supertrend is on; None until price has crossed one of its bands."""
        side = self.supertrend_state.direction
        return Direction(side) if side else None

    @property
    def supertrend_paise(self) -> int:
        """The Supertrend line to the nearest paisa; 0 while there is none."""
        return round(supertrend_line(self.supertrend_state))

    @property
    def adx(self) -> float:
        """ADX, 0 to 100; 0 while there is none."""
        return self.adx_state.adx


NO_READINGS = TrendReadings(0, 0, False, False, ATR_START, ADX_START, SUPERTREND_START)


def trend_step(readings: TrendReadings, candle: Candle, rules: SignalRules) -> TrendReadings:
    """One more closed candle of the same stream, later than the last.

    With ``rules.carry_gap`` the stream is one joined series, as charting programs and TA-Lib see it. Without, the first
    candle of a day has the range high - low and no movement: the night is not a trend.
    """
    high, low, close = float(candle.high_paise), float(candle.low_paise), float(candle.close_paise)
    first = readings.start_ns == 0
    joined = not first and (rules.carry_gap or ist_day(candle.start_ns) == ist_day(readings.start_ns))

    bar_range = true_range(high, low, float(readings.close_paise), joined)
    atr = readings.atr_state if first else atr_step(readings.atr_state, bar_range, rules.supertrend_period)
    adx = adx_step(readings.adx_state, high, low, bar_range, joined, rules.adx_period)
    trend = readings.supertrend_state
    if atr_ready(atr, rules.supertrend_period):
        trend = supertrend_step(trend, high, low, close, atr.atr, rules.supertrend_multiplier)

    return TrendReadings(
        start_ns=candle.start_ns,
        close_paise=candle.close_paise,
        ready=trend.direction != 0 and adx_ready(adx, rules.adx_period),
        flipped=trend.direction * readings.supertrend_state.direction < 0,
        atr_state=atr,
        adx_state=adx,
        supertrend_state=trend,
    )


class IndexReadings(NamedTuple):
    """All that is kept of one index's candles: its minutes, the longer candles grown from them, and its calm."""

    m1: TrendReadings
    growing: Growing
    m5: TrendReadings
    move: MoveReadings


NO_INDEX_READINGS = IndexReadings(NO_READINGS, NOTHING_GROWING, NO_READINGS, CALM_START)


def index_step(readings: IndexReadings, minute: Candle, rules: SignalRules, profile: SigmaProfile) -> IndexReadings:
    """One more closed minute, for every reading of an index.

    A minute that is not later than the last one taken changes nothing: history read twice, or read over minutes seen
    live, does no harm.
    """
    if minute.start_ns <= readings.m1.start_ns:
        return readings
    growing, closed = grow_candle(readings.growing, minute, CONFIRM_MINUTES)
    m5 = readings.m5
    for candle in closed:
        m5 = trend_step(m5, candle, rules)
    return IndexReadings(
        m1=trend_step(readings.m1, minute, rules),
        growing=growing,
        m5=m5,
        move=move_step(readings.move, minute, profile),
    )
