"""A second passed: everything that is a matter of time rather than of price."""

from __future__ import annotations

from algo_scalper.domain.commands import Command, Notify, ReadBook
from algo_scalper.domain.decisions import ExitReason
from algo_scalper.domain.events import SecondPassed
from algo_scalper.domain.orders import OrderState, Purpose
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.units import NS_PER_SECOND, ratio_bps, rupees_text
from algo_scalper.engine.candles import close_by_clock
from algo_scalper.engine.entries import tend_entry
from algo_scalper.engine.exits import close_position, tend, trusted_bid
from algo_scalper.engine.fills import day_net_paise, halt_day
from algo_scalper.engine.gaps import ask_for_candles
from algo_scalper.engine.on_candle import on_candle
from algo_scalper.engine.state import State
from algo_scalper.risk.day_limits import day_loss_limit_paise
from algo_scalper.risk.exits import clock_exit

BOOK_EVERY_NS = 10 * NS_PER_SECOND
"""While something is held or working, the broker's book is read at least so often."""
BOOK_FLAT_NS = 60 * NS_PER_SECOND
"""While nothing is: for the funds, which another hand may use, and for what it holds."""
BOOK_SETTLE_NS = 2 * NS_PER_SECOND
"""While something is unknown, frozen or in transit too long, so often."""
BOOK_ANSWER_NS = 15 * NS_PER_SECOND
"""A reading that was not answered by then is asked for again."""


def on_second(state: State, event: SecondPassed, out: list[Command]) -> None:
    """Candles by the clock, positions, limits, and the broker's book."""
    quoting = state.index_quoting()
    for index in state.indices.values():
        closed = close_by_clock(index, event.at_ns)
        if closed is not None and quoting:
            on_candle(state, index, closed, out)
    ask_for_candles(state, out)
    if state.open_by_key:
        for position in state.open_positions():
            _watch(state, position, out)
        _day_loss(state, out)
    _ask_for_book(state, out)


def _watch(state: State, position: Position, out: list[Command]) -> None:
    if position.held and position.state is PositionState.OPEN:
        bid, _ = trusted_bid(state, position)
        _look(state, position)
        gain = ratio_bps(bid - position.average_paise, position.average_paise) if bid else 0
        rules = position.exit_rules
        reason = clock_exit(
            state.now_ns,
            state.flat_by(position),
            position.opened_ns,
            rules.time_stop_ns if bid else 0,
            gain,
            rules.time_stop_under_bps,
            state.now_ns - position.blind_ns if position.blind_ns else 0,
            rules.blind_ns,
        )
        if reason is not ExitReason.HOLD:
            if reason is ExitReason.BLIND:
                _say_blind(state, position, out)
            close_position(state, position, reason, out)
    elif state.now_ns >= state.flat_by(position):
        close_position(state, position, ExitReason.FLAT_BY, out)
    if position.state is PositionState.OPENING or position.state is PositionState.OPEN:
        tend_entry(state, position, out)
    tend(state, position, out)


def _look(state: State, position: Position) -> None:
    """Since when there is no price: since the last packet, or the first one without a bid (`on_tick.mark`)."""
    if not state.options_quoting(position.contract):
        position.blind_ns = 0
    elif not position.blind_ns:
        tick = state.ticks.get(position.key)
        # After a restart nothing is seen at first: that is no blindness yet.
        seen_ns = max(position.opened_ns, state.started.at_ns, tick.at_ns if tick is not None else 0)
        if state.now_ns - seen_ns > state.rules.fresh.option_ns:
            position.blind_ns = seen_ns


def _say_blind(state: State, position: Position, out: list[Command]) -> None:
    bid, _ = trusted_bid(state, position)
    floor = state.live_order(position, Purpose.EXIT)
    if bid:
        how = f"leaving at Rs {rupees_text(bid)} from the chain"
    elif floor is not None and not floor.unknown_since_ns and floor.request is None:
        how = "no price anywhere: the floor stays"
    else:
        how = "no price anywhere, and whether a floor rests is not known"
    out.append(Notify(state.now_ns, "alarm", "blind", f"{position.contract.name}: no price for 10 s; {how}"))


def _day_loss(state: State, out: list[Command]) -> None:
    """The day's limit counts what is open, at the bid, with all charges: reached, everything is left."""
    if state.ledger.halted.startswith("day loss"):
        return
    net = day_net_paise(state)
    limit = day_loss_limit_paise(state.rules.limits, state.rules.capital_paise)
    if net > -limit:
        return
    halt_day(state, f"day loss Rs {rupees_text(-net)} reached the limit Rs {rupees_text(limit)}", out)
    for position in state.open_positions():
        close_position(state, position, ExitReason.DAY_LOSS, out)


def _ask_for_book(state: State, out: list[Command]) -> None:
    if state.book_asked_ns and state.now_ns - state.book_asked_ns < BOOK_ANSWER_NS:
        return
    why, every_ns = _book_due(state)
    if why and state.now_ns - max(state.book_read_ns, state.book_asked_ns) >= every_ns:
        ask_for_book(state, why, out)


def _book_due(state: State) -> tuple[str, int]:
    """Why the broker's book is to be read, and how long after the last reading."""
    if not state.reconciled:
        return "not_reconciled", BOOK_SETTLE_NS
    for order in state.orders.values():
        if order.unknown_since_ns:
            return "unknown_order", BOOK_SETTLE_NS
        if order.is_live and order.request is None and (order.state is OrderState.TRANSIT or order.cancel_asked_ns):
            return "answer_awaited", BOOK_SETTLE_NS
    for position in state.open_by_key.values():
        if position.frozen:
            return "frozen", BOOK_SETTLE_NS
        if not position.held:
            return "fill_awaited", BOOK_SETTLE_NS * 2
    if state.open_by_key:
        return "routine", BOOK_EVERY_NS
    if any(position.closed_ns >= state.book_began_ns for position in state.positions.values()):
        return "closed", BOOK_SETTLE_NS  # what was sold for is in the funds of the next reading only
    return "routine", BOOK_FLAT_NS


def ask_for_book(state: State, why: str, out: list[Command]) -> None:
    """Ask once; the answer is an event."""
    state.book_asked_ns = state.now_ns
    out.append(ReadBook(why))
