"""Positions of an earlier day: the engine was not running when that day ended, so what became of them is not known.

Nothing is sold on our books' word alone. Every fill of today is in the broker's positions, but nothing of an earlier
day need be: INTRADAY is squared off by the broker itself. So nothing is sent for such a position until the broker shows
it as held; what two books do not show is gone, and is taken out of our books with an alarm.
"""

from __future__ import annotations

from datetime import timedelta

from algo_scalper.domain.calendar import day_schedule
from algo_scalper.domain.commands import Command, Notify
from algo_scalper.domain.decisions import ExitReason
from algo_scalper.domain.orders import BrokerPosition, Product
from algo_scalper.domain.positions import Position, PositionState, PositionTrigger, next_position_state
from algo_scalper.domain.units import ist_day, rupees_text
from algo_scalper.engine.fills import exit_charges_paise
from algo_scalper.engine.state import State
from algo_scalper.risk.trailing import floor_trigger_paise

OF_AN_EARLIER_DAY = "of_an_earlier_day"
"""Why such a position is frozen from the start on."""
READS_THAT_SAY_GONE = 2


def hold_back(state: State, position: Position) -> None:
    """At a start: of an earlier day and still held by our books, it waits for the broker's word."""
    if position.held and ist_day(position.opened_ns) < state.started.day:
        position.frozen, position.frozen_ns = OF_AN_EARLIER_DAY, state.now_ns


def settle_overnight(
    state: State, position: Position, row: BrokerPosition | None, began_ns: int, out: list[Command]
) -> bool:
    """Is this one that the broker does not show as held? Then nothing else is to be made of this book for it.

    MARGIN may be carried over the night, so there a missing row is no answer; a row that says nothing is held is one.
    """
    if position.frozen != OF_AN_EARLIER_DAY or (row is not None and row.net_quantity > 0):
        return False
    carried = state.rules.product is Product.MARGIN and row is None
    if not carried and began_ns >= position.frozen_ns:
        position.mismatch_reads += 1
        if position.mismatch_reads >= READS_THAT_SAY_GONE:
            _write_off(state, position, out)
    return True


def _write_off(state: State, position: Position, out: list[Command]) -> None:
    """It is gone. Its real sale is in no book of today: the floor's trigger is taken for the price, as an estimate.

    The floor rested there, so little worse is likely. It counts against the week and not against today.
    """
    day, quantity = ist_day(position.opened_ns), position.held
    price = floor_trigger_paise(
        position.average_paise, position.stop_paise, position.exit_rules, position.contract.tick_paise
    )
    position.charges_paise += exit_charges_paise(state, position, price)
    position.sold_quantity += quantity
    position.proceeds_paise += quantity * price
    taken = position.state is PositionState.HANDED_OVER
    for trigger in (PositionTrigger.SOLD, PositionTrigger.FLAT):
        position.state = next_position_state(position.state, trigger)
    position.exit_reason = ExitReason.CLOSED_AT_BROKER_BY_PERSON if taken else ExitReason.BROKER_SQUARE_OFF
    schedule = day_schedule(day, position.contract.exchange)
    ended_ns = (schedule.square_off_ns or schedule.options[-1].end_ns) if schedule is not None else 0
    position.closed_ns = max(ended_ns, position.opened_ns)
    position.frozen = ""
    state.open_by_key.pop(position.key, None)
    state.touch_position(position)
    net = position.realised_paise - position.charges_paise
    today = state.started.day
    if day >= today - timedelta(days=today.weekday()):
        state.ledger.week_before_paise += net
        state.ledger_changed = True
    out.append(
        Notify(
            state.now_ns,
            "alarm",
            "gone_overnight",
            f"{position.contract.name}: {quantity} were held on {day} when the engine last ran, and the broker shows "
            f"none now. Booked at Rs {rupees_text(price)} as an estimate, net Rs {rupees_text(net)}: see the broker's "
            "contract note for the real price",
        )
    )
