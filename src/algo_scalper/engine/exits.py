"""Leaving: one sell order per position, the floor, and every exit, stop change and chase is a change of it.

`tend` is level-triggered: it looks at what is held, what rests and what is wanted, and makes at most the one request
that brings them closer. It is called after everything that may have changed any of the three, so that a lost answer,
a refused change or a restart needs no path of its own.
"""

from __future__ import annotations

from algo_scalper.domain.commands import Command, Notify
from algo_scalper.domain.decisions import Decision, DecisionKind, ExitReason
from algo_scalper.domain.exchange_rules import protected_stop_limit
from algo_scalper.domain.instruments import OptionType
from algo_scalper.domain.orders import Order, OrderKind, OrderState, Purpose, Side
from algo_scalper.domain.positions import Position, PositionState, PositionTrigger, next_position_state
from algo_scalper.domain.units import NS_PER_SECOND, apply_bps
from algo_scalper.engine import orders
from algo_scalper.engine.fills import close_if_flat
from algo_scalper.engine.state import State
from algo_scalper.risk.order_prices import exit_limit_paise
from algo_scalper.risk.trailing import floor_trigger_paise
from algo_scalper.strategy.parity import implied_forward_paise

CANCEL_AGAIN_NS = 5 * NS_PER_SECOND
RETRY_NS = NS_PER_SECOND
"""After an exit order was rejected, wait so long before the next, doubling up to eight times."""


def close_position(state: State, position: Position, reason: ExitReason, out: list[Command]) -> None:
    """Decide to leave. The exit order is the floor, changed; the position leaves until nothing is held.

    Leaving is decided once; but who waits behind the floor because there is no price waits for no later reason.
    """
    waits = position.state is PositionState.LEAVING and position.exit_reason is ExitReason.BLIND
    if position.state in (PositionState.CLOSED, PositionState.HANDED_OVER):
        return
    if position.state is PositionState.LEAVING and (not waits or reason is ExitReason.BLIND):
        return
    position.state = next_position_state(position.state, PositionTrigger.LEAVE)
    position.exit_reason = reason
    tick = state.ticks.get(position.key)
    position.exit_signal_paise = tick.bid_paise if tick is not None else 0
    position.repriced_ns = 0
    state.touch_position(position)
    tend(state, position, out)


def tend(state: State, position: Position, out: list[Command]) -> None:
    """Make at most the requests that bring this position's orders to what is wanted.

    While the process ends nothing is begun but the floor of what has just been bought: nobody will watch it.
    """
    if position.state is PositionState.CLOSED or (state.stopping and position.state is not PositionState.OPEN):
        return
    if position.state is PositionState.HANDED_OVER:
        withdraw_all(state, position, out)
        close_if_flat(state, position, out)
        return
    if position.state is PositionState.LEAVING:
        withdraw(state, state.live_order(position, Purpose.ENTRY), out)
    if not position.held:
        close_if_flat(state, position, out)
        return
    if position.frozen or not state.reconciled:
        return
    order = state.live_order(position, Purpose.EXIT)
    if order is None:
        _place_exit(state, position, out)
    elif order.request is None and not order.unknown_since_ns and order.state is not OrderState.TRANSIT:
        _change_exit(state, position, order, out)


def withdraw(state: State, order: Order | None, out: list[Command]) -> None:
    """Cancel what may still trade, once; again if the book says, a while later, that it still works."""
    if order is None or not order.is_live or order.request is not None or order.unknown_since_ns:
        return
    if order.state is OrderState.TRANSIT:
        return  # Dhan refuses to cancel in TRANSIT; the next row or second brings us back here
    if order.cancel_asked_ns and state.now_ns - order.cancel_asked_ns < CANCEL_AGAIN_NS:
        return
    orders.cancel(state, out, order)


def withdraw_all(state: State, position: Position, out: list[Command]) -> None:
    """Cancel every order of a position that may still trade."""
    for purpose in (Purpose.ENTRY, Purpose.EXIT):
        withdraw(state, state.live_order(position, purpose), out)


def _place_exit(state: State, position: Position, out: list[Command]) -> None:
    position.replace_exit = False
    if not state.options_quoting(position.contract):
        return
    if position.refloor_ns and state.now_ns < position.refloor_ns:
        return
    if position.exit_rejections:
        wait_ns = RETRY_NS << min(position.exit_rejections - 1, 3)
        if state.now_ns < position.repriced_ns + wait_ns:
            return
    position.refloor_ns = 0
    position.repriced_ns = state.now_ns
    price = exit_price_paise(state, position) if position.state is PositionState.LEAVING else 0
    if price:
        position.exit_sent_ns = position.exit_sent_ns or state.now_ns
        orders.place(state, out, position, Purpose.EXIT, OrderKind.LIMIT, position.held, price)
    else:
        trigger = _floor_trigger(position)
        limit = protected_stop_limit(Side.SELL, trigger, position.contract.tick_paise)
        orders.place(state, out, position, Purpose.EXIT, OrderKind.STOP_LIMIT, position.held, limit, trigger)
    state.touch_position(position)


def _change_exit(state: State, position: Position, order: Order, out: list[Command]) -> None:
    total = order.filled_quantity + position.held
    if position.replace_exit or order.modifications >= state.rules.orders.modifications:
        withdraw(state, order, out)
        return
    if position.state is PositionState.LEAVING:
        price = exit_price_paise(state, position)
        if price:
            _chase(state, position, order, total, price, out)
            return
    if order.kind is OrderKind.STOP_LIMIT:
        _carry_floor(state, position, order, total, out)
    elif order.quantity != total:
        orders.modify(state, out, order, OrderKind.LIMIT, total, order.price_paise)


def _chase(state: State, position: Position, order: Order, total: int, price_paise: int, out: list[Command]) -> None:
    """Turn the floor into a marketable limit, then re-price it each second while it does not trade."""
    paced = state.now_ns >= position.repriced_ns + state.rules.orders.reprice_ns
    turn = order.kind is OrderKind.STOP_LIMIT or order.quantity != total
    lower = price_paise < order.price_paise and paced
    if not (turn or lower):
        return
    position.repriced_ns = state.now_ns
    waited_ns = state.now_ns - position.exit_sent_ns if position.exit_sent_ns else 0
    if lower and waited_ns >= state.rules.orders.edge_after_ns:
        out.append(
            Notify(
                state.now_ns,
                "alarm",
                "exit_slow",
                f"{position.contract.name}: {position.held} still held {waited_ns // NS_PER_SECOND} s after the exit",
            )
        )
    position.exit_sent_ns = position.exit_sent_ns or state.now_ns
    orders.modify(state, out, order, OrderKind.LIMIT, total, price_paise)
    state.touch_position(position)


def _carry_floor(state: State, position: Position, order: Order, total: int, out: list[Command]) -> None:
    """Grow the floor with fills at once; lift it behind the stop in large, rare steps."""
    rules = state.rules.orders
    trigger = _floor_trigger(position)
    step = apply_bps(position.average_paise, rules.trail_step_bps)
    lift = (
        trigger - order.trigger_paise >= step
        and state.now_ns >= position.trailed_ns + rules.trail_gap_ns
        and order.modifications < rules.modifications - rules.modifications_kept
    )
    if not lift and order.quantity == total:
        return
    if lift:
        position.trailed_ns = state.now_ns
        state.touch_position(position)
    else:
        trigger = order.trigger_paise
    limit = protected_stop_limit(Side.SELL, trigger, position.contract.tick_paise)
    orders.modify(state, out, order, OrderKind.STOP_LIMIT, total, limit, trigger)


def _floor_trigger(position: Position) -> int:
    return floor_trigger_paise(
        position.average_paise, position.stop_paise, position.exit_rules, position.contract.tick_paise
    )


def exit_price_paise(state: State, position: Position) -> int:
    """The limit to leave at: from the bid, else the chain's bid, else parity; 0 when there is no price to trust.

    Where leaving cannot wait (flat_by, kill), the last price known will do: a sell limit trades at the best bid. But
    the first packets after a start are waited for: the average fill may lie far outside the band by now.
    """
    bid, last = trusted_bid(state, position)
    waited_ns = state.now_ns - position.exit_sent_ns if position.exit_sent_ns else 0
    rules = state.rules.orders
    if not bid:
        tick = state.ticks.get(position.key)
        starting = tick is None and state.now_ns - state.started.at_ns <= state.rules.fresh.option_ns
        if position.exit_reason is ExitReason.BLIND or starting:
            return 0
        bid = last = (tick.bid_paise or tick.ltp_paise) if tick is not None else position.average_paise
        waited_ns = rules.edge_after_ns
    # The band may be narrower than we know: who was refused there asks for less, and begins again after that.
    waited_ns = min(waited_ns, (rules.edge_after_ns, rules.slab_after_ns, 0)[position.exit_rejections % 3])
    contract = position.contract
    return exit_limit_paise(bid, waited_ns, last, contract.exchange, rules, contract.tick_paise)


def trusted_bid(state: State, position: Position) -> tuple[int, int]:
    """``(bid, last)`` from the first source that is fresh: the feed, the chain, parity; (0, 0) when none is."""
    fresh = state.rules.fresh
    tick = state.ticks.get(position.key)
    if tick is not None and tick.bid_paise and state.now_ns - tick.at_ns <= fresh.option_ns:
        return tick.bid_paise, tick.ltp_paise
    index = state.indices.get(position.index)
    chain = index.chain if index is not None else None
    if chain is None or chain.expiry != position.contract.expiry or state.now_ns - chain.at_ns > fresh.chain_ns:
        return 0, 0
    for row in chain.rows:
        if row.key == position.key and row.bid_paise:
            return row.bid_paise, row.ltp_paise
    implied = _implied_paise(state, position)
    return implied, implied


def _implied_paise(state: State, position: Position) -> int:
    """Intrinsic value on the parity forward of the chain's near strikes: never from a frozen index."""
    index = state.indices[position.index]
    forward = implied_forward_paise(index.chain, state.contracts) if index.chain is not None else None
    if forward is None:
        return 0
    strike = position.contract.strike_paise
    return max(forward - strike if position.contract.option_type is OptionType.CE else strike - forward, 0)


def hand_over(state: State, position: Position, why: str, reason: ExitReason, out: list[Command]) -> None:
    """A person, or the broker, has taken this position: withdraw ours, say so, and only watch from now on."""
    if position.state in (PositionState.HANDED_OVER, PositionState.CLOSED):
        return
    position.state = next_position_state(position.state, PositionTrigger.HAND_OVER)
    position.exit_reason = reason
    position.frozen = ""
    state.touch_position(position)
    out.append(
        Decision(
            state.now_ns,
            DecisionKind.HANDED_OVER,
            position.index,
            why,
            position.contract.name,
            int(position.direction),
            position.id,
            {"held": position.held},
            state.rules.version,
        )
    )
    out.append(
        Notify(
            state.now_ns, "alarm", "handed_over", f"{position.contract.name}: {position.held} held, {why}; it is yours"
        )
    )
    tend(state, position, out)
