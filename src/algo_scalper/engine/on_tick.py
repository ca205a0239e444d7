"""A price: remember it, mark the position and decide to leave, or grow the index candle."""

from __future__ import annotations

from algo_scalper.domain.commands import Command
from algo_scalper.domain.decisions import Decision, DecisionKind, ExitReason
from algo_scalper.domain.market import Tick
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.engine.candles import grow
from algo_scalper.engine.exits import close_position, tend
from algo_scalper.engine.fills import exit_charges_paise
from algo_scalper.engine.gaps import note_silence
from algo_scalper.engine.on_candle import follow_spot, on_candle, open_day
from algo_scalper.engine.state import IndexState, State
from algo_scalper.risk.exits import price_exit, spread_is_normal
from algo_scalper.risk.trailing import emergency_paise, target_paise, trail_reached, trail_stop_paise

OVERTAKEN_NS = 5 * NS_PER_SECOND
"""A packet that was overtaken comes soon after. One that is older for longer says that the newer time was wrong."""


def on_tick(state: State, tick: Tick, out: list[Command]) -> None:
    """The hot path: a few microseconds for a contract that is not held."""
    key = tick.key
    known = state.ticks.get(key)
    if known is not None and tick.exchange_s < known.exchange_s and tick.at_ns - known.at_ns < OVERTAKEN_NS:
        return  # an older packet never overwrites a newer price
    state.ticks[key] = tick
    position = state.open_by_key.get(key)
    if position is not None:
        if position.bought_quantity:
            mark(state, position, tick, out)
        return
    index = state.index_by_key.get(key)
    if index is not None:
        _on_index(state, index, tick, out)


def _on_index(state: State, index: IndexState, tick: Tick, out: list[Command]) -> None:
    if tick.ltp_paise <= 0 or not state.index_quoting() or not state.index_quoting_at(tick.exchange_s * NS_PER_SECOND):
        return  # no price; or a print of before the open, which the first packet of the day carries
    if not index.opened:
        open_day(index, tick.ltp_paise)
        follow_spot(state, index, tick.ltp_paise, out)
    note_silence(state, index, tick.exchange_s // 60 * NS_PER_MINUTE)
    closed = grow(index, tick)
    if closed is not None:
        on_candle(state, index, closed, out)


def mark(state: State, position: Position, tick: Tick, out: list[Command]) -> None:
    """The held contract printed or was quoted anew: peaks, trail, exit rules."""
    if tick.bid_paise:
        position.blind_ns = 0
    elif not position.blind_ns:
        position.blind_ns = tick.at_ns
    if position.state is not PositionState.OPEN:
        if position.state is PositionState.LEAVING:
            tend(state, position, out)
        return
    bid, rules, contract = tick.bid_paise, position.exit_rules, position.contract
    if bid > position.high_water_paise:
        position.high_water_paise = bid
        _trail(state, position, out)
    elif 0 < bid < position.low_water_paise:
        position.low_water_paise = bid
    if 0 < bid <= position.stop_paise:
        if not position.below_stop_ns:
            position.below_stop_ns = tick.at_ns
        below_for_ns = tick.at_ns - position.below_stop_ns
    else:
        position.below_stop_ns = 0
        below_for_ns = -1
    average = position.average_paise
    reason = price_exit(
        bid,
        tick.ltp_paise,
        tick.at_ns // NS_PER_SECOND - tick.exchange_s,
        spread_is_normal(bid, tick.ask_paise, contract.tick_paise),
        below_for_ns,
        position.stop_paise,
        emergency_paise(average, rules, contract.tick_paise),
        target_paise(average, rules, contract.tick_paise),
        position.trail_index >= 0,
    )
    if reason is not ExitReason.HOLD:
        close_position(state, position, reason, out)


def _trail(state: State, position: Position, out: list[Command]) -> None:
    average, rules = position.average_paise, position.exit_rules
    reached = trail_reached(average, position.high_water_paise, position.trail_index, rules)
    if reached == position.trail_index:
        return
    charges = position.charges_paise + exit_charges_paise(state, position, position.high_water_paise)
    per_contract = -(-charges // position.bought_quantity)
    stop = trail_stop_paise(average, per_contract, reached, rules, position.contract.tick_paise)
    position.trail_index = reached
    if stop <= position.stop_paise:
        return
    out.append(
        Decision(
            state.now_ns,
            DecisionKind.STOP_MOVED,
            position.index,
            "trail",
            position.contract.name,
            int(position.direction),
            position.id,
            {"from_paise": position.stop_paise, "to_paise": stop, "bid_paise": position.high_water_paise},
            position.rules_version,
        )
    )
    position.stop_paise = stop
    state.touch_position(position)
    tend(state, position, out)
