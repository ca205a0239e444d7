"""What a fill does: quantities, costs and charges of the position, and at last the day's ledger."""

from __future__ import annotations

from algo_scalper.domain.charges import Charges, order_charges
from algo_scalper.domain.commands import Command, Notify
from algo_scalper.domain.decisions import Decision, DecisionKind, ExitReason
from algo_scalper.domain.errors import Bug
from algo_scalper.domain.orders import Order, Purpose, Side
from algo_scalper.domain.positions import Position, PositionState, PositionTrigger, next_position_state
from algo_scalper.domain.units import rupees_text
from algo_scalper.engine.state import State, reopen
from algo_scalper.risk.day_limits import pause_after
from algo_scalper.risk.trailing import first_stop_paise


def book_fill(state: State, order: Order, quantity: int, value_paise: int, out: list[Command]) -> None:
    """``quantity`` more contracts of an order traded, for ``value_paise`` in all."""
    position = _position_of(state, order, quantity, out)
    position.filled_ns = state.now_ns
    position.mismatch_reads = 0  # what the account was short of may have been this
    if order.side is Side.BUY:
        _bought(state, position, quantity, value_paise, out)
    else:
        position.sold_quantity += quantity
        position.proceeds_paise += value_paise
        position.state = next_position_state(position.state, PositionTrigger.SOLD)
        if position.held < 0:
            _take_back(state, position, out)
    if position.held < 0:
        raise Bug(f"{position.contract.name}: sold {-position.held} more than was held (order {order.id})")
    position.charges_paise = charges_of(state, position).total_paise
    state.touch_position(position)


def _position_of(state: State, order: Order, quantity: int, out: list[Command]) -> Position:
    """Whose fill it is: its own position's; of a buy believed over, the position's that was opened there since.

    There is one position for each contract. It holds more than was sized for, so it is left at once.
    """
    position, other = state.positions[order.position_id], state.open_by_key.get(order.key)
    if order.side is Side.SELL or position.state is not PositionState.CLOSED or other is None:
        return position
    if not position.bought_quantity:
        order.position_id = other.id
    if other.state in (PositionState.OPENING, PositionState.OPEN):
        other.state = next_position_state(other.state, PositionTrigger.LEAVE)
        other.exit_reason = ExitReason.LATE_FILL
        other.repriced_ns = 0
    out.append(
        Notify(
            state.now_ns,
            "alarm",
            "late_fill",
            f"{position.contract.name}: {quantity} of an earlier order bought after all, beside what is held; leaving",
        )
    )
    return other


def _take_back(state: State, position: Position, out: list[Command]) -> None:
    """Our order sold what was already booked as sold by another hand: theirs sold something we never held.

    A person who sells beside our resting floor can do that before our cancel arrives: what they sold is theirs, and
    the account may now be short of it.
    """
    ours = [order for order in state.orders.values() if order.position_id == position.id and order.side is Side.SELL]
    foreign = position.sold_quantity - sum(order.filled_quantity for order in ours)
    value = position.proceeds_paise - sum(order.filled_value_paise for order in ours)
    back = min(-position.held, foreign)
    if back <= 0:
        return
    position.sold_quantity -= back
    position.proceeds_paise -= value * back // foreign
    out.append(
        Notify(
            state.now_ns,
            "alarm",
            "sold_twice",
            f"{position.contract.name}: {back} sold by another hand and by our order too; look at the account's position",
        )
    )


def _bought(state: State, position: Position, quantity: int, value_paise: int, out: list[Command]) -> None:
    first = position.bought_quantity == 0
    late = position.state is PositionState.CLOSED
    if late and not first:
        _unbook(state, position)
    position.bought_quantity += quantity
    position.cost_paise += value_paise
    position.state = next_position_state(position.state, PositionTrigger.BOUGHT)
    average = position.average_paise
    if position.trail_index < 0:
        position.stop_paise = first_stop_paise(average, position.exit_rules, position.contract.tick_paise)
    if first:
        position.opened_ns = state.now_ns
        position.high_water_paise = position.low_water_paise = average
    if late:
        # An entry that was believed over has traded after all: it is held now, and is left at once.
        position.exit_reason = ExitReason.LATE_FILL
        position.closed_ns = 0
        reopen(state, position)
        out.append(
            Notify(
                state.now_ns, "alarm", "late_fill", f"{position.contract.name}: {quantity} bought after all; leaving"
            )
        )


def charges_of(state: State, position: Position) -> Charges:
    """All charges of a position so far, by line: every order of it that traded is one executed order."""
    day, exchange = state.started.day, position.contract.exchange
    total = Charges()
    ours = 0
    for order in state.orders.values():
        if order.position_id == position.id and order.filled_quantity:
            total += order_charges(exchange, order.side, order.filled_value_paise, day)
            if order.side is Side.SELL:
                ours += order.filled_value_paise
    foreign = position.proceeds_paise - ours
    if foreign > 0:  # sold by another hand: one more executed order
        total += order_charges(exchange, Side.SELL, foreign, day)
    return total


def exit_charges_paise(state: State, position: Position, price_paise: int) -> int:
    """What selling everything held at this price would cost, beyond what is already charged."""
    exchange, day = position.contract.exchange, state.started.day
    return order_charges(exchange, Side.SELL, price_paise * position.held, day).total_paise


def close_if_flat(state: State, position: Position, out: list[Command]) -> None:
    """Nothing held and nothing that may still trade: the position is over, and the day's ledger says so."""
    if position.state is PositionState.CLOSED or position.held:
        return
    if state.live_order(position, Purpose.ENTRY) or state.live_order(position, Purpose.EXIT):
        return
    bought = position.bought_quantity > 0
    trigger = PositionTrigger.FLAT if bought else PositionTrigger.ENTRY_ENDED
    position.state = next_position_state(position.state, trigger)
    position.closed_ns = state.now_ns
    state.open_by_key.pop(position.key, None)
    state.touch_position(position)
    if bought:
        _book(state, position, out)


def _book(state: State, position: Position, out: list[Command]) -> None:
    ledger, rules = state.ledger, state.rules
    gross, charges = position.realised_paise, position.charges_paise
    net = gross - charges
    ledger.realised_paise += gross
    ledger.charges_paise += charges
    ledger.trades += 1
    ledger.peak_net_paise = max(ledger.peak_net_paise, ledger.net_paise)
    if net > 0:
        ledger.wins += 1
        ledger.losses_in_row = 0
    else:
        ledger.losses += 1
        ledger.losses_in_row += 1
        _pause_after_loss(state, out)
    index = state.indices.get(position.index)
    if index is not None:
        index.cooldown_until_ns = state.now_ns + index.rules.cooldown_ns
    state.ledger_changed = True
    sold = position.sold_quantity
    out.append(
        Decision(
            state.now_ns,
            DecisionKind.EXIT,
            position.index,
            position.exit_reason.name.lower(),
            position.contract.name,
            int(position.direction),
            position.id,
            {
                "quantity": sold,
                "entry_paise": position.average_paise,
                "exit_paise": position.proceeds_paise // sold,
                "gross_paise": gross,
                "charges_paise": charges,
                "net_paise": net,
                "best_paise": position.high_water_paise,
                "worst_paise": position.low_water_paise,
            },
            rules.version,
        )
    )
    out.append(
        Notify(
            state.now_ns,
            "info",
            "position_closed",
            f"{position.contract.name}: {position.exit_reason.name.lower()}, net Rs {rupees_text(net)}",
        )
    )


def _unbook(state: State, position: Position) -> None:
    """Take a booked position out of the ledger again: it goes on, and is booked whole at its end."""
    ledger = state.ledger
    gross, charges = position.realised_paise, position.charges_paise
    ledger.realised_paise -= gross
    ledger.charges_paise -= charges
    ledger.trades -= 1
    if gross - charges > 0:
        ledger.wins -= 1
    else:
        ledger.losses -= 1
        ledger.losses_in_row = max(ledger.losses_in_row - 1, 0)
    state.ledger_changed = True


def _pause_after_loss(state: State, out: list[Command]) -> None:
    limits, ledger = state.rules.limits, state.ledger
    state.paused_until_ns = max(state.paused_until_ns, state.now_ns + limits.after_loss_ns)
    pause = pause_after(limits, ledger.losses_in_row)
    if pause is None:
        return
    if pause.pause_ns is None:
        halt_day(state, f"{ledger.losses_in_row} losses in a row", out)
    else:
        state.paused_until_ns = max(state.paused_until_ns, state.now_ns + pause.pause_ns)


def halt_day(state: State, why: str, out: list[Command]) -> None:
    """No more entries today; exits go on. Survives a restart with the ledger."""
    if state.ledger.halted:
        return
    state.ledger.halted = why
    state.ledger_changed = True
    out.append(Decision(state.now_ns, DecisionKind.HALT, "", why, numbers={}, rules_version=state.rules.version))
    out.append(Notify(state.now_ns, "warning", "halted", f"No more entries today: {why}"))


def mark_paise(state: State, position: Position) -> int:
    """What an open position is valued at: its last bid; its average fill where there is none."""
    tick = state.ticks.get(position.key)
    return tick.bid_paise if tick is not None and tick.bid_paise else position.average_paise


def day_net_paise(state: State) -> int:
    """Realised and open at the bid, less all charges, those of leaving included."""
    net = state.ledger.net_paise
    for position in state.open_by_key.values():
        if not position.bought_quantity:
            continue
        bid = mark_paise(state, position)
        net += position.realised_paise + position.open_paise(bid)
        net -= position.charges_paise + exit_charges_paise(state, position, bid)
    return net
