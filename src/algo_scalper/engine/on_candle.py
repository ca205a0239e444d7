"""A closed index candle: step the readings, move the interest set, look for a signal."""

from __future__ import annotations

from algo_scalper.domain.commands import Command, Subscribe, Unsubscribe
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import ratio_bps
from algo_scalper.engine.entries import enter, near_strikes
from algo_scalper.engine.state import IndexState, State
from algo_scalper.indicators.readings import index_step
from algo_scalper.indicators.volatility import SIGMA_PROFILES
from algo_scalper.strategy.catalogue import SIGNALS
from algo_scalper.strategy.trend_signal import first_unmet, trend_numbers
from algo_scalper.strategy.view import StrategyView


def on_candle(state: State, index: IndexState, candle: Candle, out: list[Command]) -> None:
    """The one place where a decision to enter begins."""
    step_readings(state, index, candle)
    move = index.readings.move.sigmas
    if abs(move) >= state.rules.guards.spike_sigma > 0:
        index.spike_until_ns = state.now_ns + state.rules.guards.spike_wait_ns
        index.spike_sigma = move
    follow_spot(state, index, candle.close_paise, out)
    view = StrategyView(index.readings.m1, index.readings.m5)
    signal = SIGNALS[state.rules.signal.name](view, state.rules.signal)
    if signal is not None:
        enter(state, index, signal, out)
        return
    unmet = first_unmet(view, state.rules.signal)
    index.last_reason = unmet.value if unmet is not None else "no_signal"
    out.append(
        Decision(
            state.now_ns,
            DecisionKind.NO_SIGNAL,
            index.rules.name,
            index.last_reason,
            numbers=trend_numbers(view, state.rules.signal),
            rules_version=state.rules.version,
        )
    )


def step_readings(state: State, index: IndexState, candle: Candle) -> None:
    """One more closed minute for everything kept of this index."""
    index.last_candle = candle
    index.readings = index_step(index.readings, candle, state.rules.signal, SIGMA_PROFILES[index.rules.name])


def open_day(index: IndexState, first_paise: int) -> None:
    """The first print of the session: how far from yesterday's close."""
    index.opened = True
    if index.previous_close_paise:
        index.opening_gap_bps = ratio_bps(first_paise - index.previous_close_paise, index.previous_close_paise)


def follow_spot(state: State, index: IndexState, spot_paise: int, out: list[Command]) -> None:
    """Keep the near strikes of this index in the interest set; what is held or working stays in it."""
    near = near_strikes(state, index, spot_paise)
    if near == index.near:
        return
    held = state.open_by_key
    gone = tuple(key for key in index.near if key not in near and key not in held)
    new = tuple(key for key in near if key not in index.near)
    index.near = near
    if gone:
        out.append(Unsubscribe(gone))
    if new:
        out.append(Subscribe(new))
