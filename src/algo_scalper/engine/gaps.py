"""Minutes in which prints were missed: no decision is made on them, and they are read again from the broker.

A feed that was lost, an index that fell silent on it, or a start in the middle of a minute leaves candles that are not
whole, and readings built on them. Until the broker's own minutes have replaced them the index is not entered; exits
never hang on candles.
"""

from __future__ import annotations

from algo_scalper.domain.commands import Command, ReadCandles
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.engine.state import IndexState, State

BARS_LATE_NS = 5 * NS_PER_SECOND
"""The broker's minutes appear one to three seconds after their end."""
ASK_AGAIN_NS = 15 * NS_PER_SECOND


def note_gap(state: State, from_ns: int, until_ns: int) -> None:
    """Nothing was heard in ``[from_ns, until_ns)``: the minutes of every index that it touches are not whole."""
    for index in state.indices.values():
        _note(state, index, from_ns, until_ns)


def note_silence(state: State, index: IndexState, start_ns: int) -> None:
    """A print of the minute that began at ``start_ns``: were there whole minutes without one before it?

    An index prints every second, so it was silent though the feed was not lost.
    """
    last_ns = index.forming.start_ns if index.forming is not None else index.candle_start_ns
    if last_ns and start_ns > last_ns + NS_PER_MINUTE:
        _note(state, index, last_ns + NS_PER_MINUTE, start_ns)


def _note(state: State, index: IndexState, from_ns: int, until_ns: int) -> None:
    for span in state.schedule.index if state.schedule is not None else ():
        begin_ns, end_ns = max(from_ns, span.start_ns), min(until_ns, span.end_ns)
        if begin_ns < end_ns:
            first_ns = begin_ns // NS_PER_MINUTE * NS_PER_MINUTE
            last_ns = -(-end_ns // NS_PER_MINUTE) * NS_PER_MINUTE
            index.missed_from_ns = min(index.missed_from_ns or first_ns, first_ns)
            index.missed_until_ns = max(index.missed_until_ns, last_ns)


def ask_for_candles(state: State, out: list[Command]) -> None:
    """Every second: once the last of the missed minutes is over, ask for them until they are there."""
    if not state.feed_up:
        return
    for index in state.indices.values():
        if not index.missed_from_ns or state.now_ns < index.missed_until_ns + BARS_LATE_NS:
            continue
        if state.now_ns >= index.candles_asked_ns + ASK_AGAIN_NS:
            index.candles_asked_ns = state.now_ns
            out.append(ReadCandles(index.rules.key))


def fills_gap(index: IndexState, candles: tuple[Candle, ...]) -> bool:
    """Do these minutes reach over all that were missed, up to the last one closed here?"""
    if not candles:
        return False
    reached_ns = candles[-1].start_ns + NS_PER_MINUTE
    kept = index.last_candle is not None and index.last_candle.start_ns == reached_ns
    return reached_ns >= index.missed_until_ns and (kept or index.candle_start_ns < reached_ns)


def close_gap(index: IndexState) -> None:
    """The minutes are whole again."""
    index.missed_from_ns = index.missed_until_ns = index.candles_asked_ns = 0
