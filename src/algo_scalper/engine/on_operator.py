"""A person's words, changed rules, feeds coming and going, and the end of the process."""

from __future__ import annotations

from algo_scalper.domain.commands import Command, Notify, Unsubscribe
from algo_scalper.domain.decisions import Decision, DecisionKind, ExitReason
from algo_scalper.domain.events import (
    FeedLost,
    FeedRestored,
    OperatorAsked,
    OperatorWord,
    RulesChanged,
    SessionStopping,
)
from algo_scalper.domain.orders import OrderKind, OrderState, Purpose
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import rupees_text
from algo_scalper.engine.exits import close_position, tend
from algo_scalper.engine.fills import exit_charges_paise
from algo_scalper.engine.gaps import note_gap
from algo_scalper.engine.on_second import ask_for_book
from algo_scalper.engine.state import State
from algo_scalper.risk.tightening import loosened
from algo_scalper.risk.trailing import first_stop_paise, trail_reached, trail_stop_paise


def on_operator(state: State, event: OperatorAsked, out: list[Command]) -> None:
    """Halt, resume, close one, apply exit rules to one, or kill: halt and flatten OURS, never what another hand holds."""
    if event.word is OperatorWord.HALT:
        _halt(state, f"halted by {event.by}", out)
    elif event.word is OperatorWord.RESUME:
        _resume(state, event.by, out)
    elif event.word is OperatorWord.CLOSE:
        position = state.positions.get(event.target)
        if position is None:
            out.append(Notify(state.now_ns, "warning", "no_such_position", f"no position {event.target!r} to close"))
        else:
            close_position(state, position, ExitReason.OPERATOR_CLOSE, out)
    elif event.word is OperatorWord.APPLY:
        _apply(state, event, out)
    else:
        _halt(state, f"killed by {event.by}", out)
        state.ledger.halted = state.ledger.halted or f"killed by {event.by}"
        state.ledger_changed = True
        for position in state.open_positions():
            close_position(state, position, ExitReason.KILL, out)


def _halt(state: State, why: str, out: list[Command]) -> None:
    state.halted = why
    out.append(Decision(state.now_ns, DecisionKind.HALT, "", why, rules_version=state.rules.version))


def _resume(state: State, by: str, out: list[Command]) -> None:
    if state.ledger.halted:
        out.append(
            Notify(
                state.now_ns,
                "warning",
                "resume_refused",
                f"not today: {state.ledger.halted}; entries resume with the next session",
            )
        )
        return
    state.halted = ""
    out.append(Decision(state.now_ns, DecisionKind.RESUME, "", f"resumed by {by}", rules_version=state.rules.version))


def _apply(state: State, event: OperatorAsked, out: list[Command]) -> None:
    """The exit rules of now for one position. Its stop may rise by them; it never falls."""
    position = state.positions.get(event.target)
    if position is None or position.state not in (PositionState.OPENING, PositionState.OPEN):
        said = f"no open position {event.target!r} to apply the exit rules to"
        out.append(Notify(state.now_ns, "warning", "no_such_position", said))
        return
    rules, tick_paise, before = (
        state.exit_rules_for(position.contract),
        position.contract.tick_paise,
        position.stop_paise,
    )
    position.exit_rules, position.rules_version = rules, state.rules.version
    if position.bought_quantity:
        average = position.average_paise
        position.trail_index = trail_reached(average, position.high_water_paise, -1, rules)
        stop = first_stop_paise(average, rules, tick_paise)
        if position.trail_index >= 0:
            charges = position.charges_paise + exit_charges_paise(state, position, position.high_water_paise)
            per_contract = -(-charges // position.bought_quantity)
            stop = max(stop, trail_stop_paise(average, per_contract, position.trail_index, rules, tick_paise))
        position.stop_paise = max(before, stop)
    state.touch_position(position)
    out.append(
        Notify(
            state.now_ns,
            "info",
            "rules_applied",
            f"{position.contract.name}: exit rules of version {state.rules.version} applied by {event.by}; stop "
            f"{rupees_text(before)} before, {rupees_text(position.stop_paise)} now",
        )
    )
    tend(state, position, out)


def on_rules(state: State, event: RulesChanged, out: list[Command]) -> None:
    """The whole rules, in effect between events. Positions keep the exit rules they were opened under."""
    why = _why_not(state.rules, event.rules)
    if why:
        out.append(Notify(state.now_ns, "warning", "rules_refused", why))
        return
    state.rules = event.rules
    for rules in event.rules.indices:
        state.indices[rules.name].rules = rules
    out.append(
        Notify(state.now_ns, "info", "rules_changed", f"rules version {event.rules.version} in effect, by {event.by}")
    )


def _why_not(old: Rules, new: Rules) -> str:
    """Why these rules cannot come into effect inside a session; empty when they can."""
    if {rules.name for rules in old.indices} != {rules.name for rules in new.indices}:
        return "indices are added or removed at a start only"
    if new.signal != old.signal:
        return "signal rules change with the next start: readings hang on them"
    if (new.capital_paise, new.product, new.expiry) != (old.capital_paise, old.product, old.expiry):
        return "capital, product and expiry change with the next start: what is held and subscribed hangs on them"
    looser = loosened(old, new)
    if looser:
        return f"limits are loosened with the next session only: {', '.join(looser)}"
    return ""


def on_feed_lost(state: State, event: FeedLost, out: list[Command]) -> None:
    """Entries refuse from now on; what is open follows its rule for blindness."""
    if event.feed == "market":
        state.feed_up = False
        state.feed_lost_ns = state.feed_lost_ns or event.at_ns
    else:
        state.orders_feed_up = False
    out.append(Notify(state.now_ns, "warning", "feed_lost", f"{event.feed} feed lost: {event.detail}"))


def on_feed_restored(state: State, event: FeedRestored, out: list[Command]) -> None:
    """Nothing is replayed: the order feed's gap is closed by reading the book."""
    if event.feed == "market":
        state.feed_up = True
        note_gap(state, event.lost_ns or state.feed_lost_ns, event.at_ns)
        state.feed_lost_ns = 0
    else:
        state.orders_feed_up = True
        if not state.book_asked_ns:
            ask_for_book(state, "order_feed_restored", out)
    out.append(Notify(state.now_ns, "info", "feed_restored", f"{event.feed} feed is back"))


def on_stopping(state: State, event: SessionStopping, out: list[Command]) -> None:
    """The process ends. What is open stays open, its floor at the broker, and is said."""
    out.extend(
        Notify(
            state.now_ns,
            "alarm",
            "stopping_with_position",
            f"{event.why}: {position.contract.name} still open, {_left_behind(state, position)}; the next start resumes "
            "it, the broker squares off INTRADAY at 15:20",
        )
        for position in state.open_positions()
    )
    near = tuple(key for index in state.indices.values() for key in index.near)
    if near:
        out.append(Unsubscribe(near))
    state.stopping = True


def _left_behind(state: State, position: Position) -> str:
    """What stays at the broker when nobody watches any more, as far as it is known."""
    if not position.held:
        return "a buy that works is withdrawn"
    order = state.live_order(position, Purpose.EXIT)
    if order is None:
        return f"{position.held} held and no floor rests yet"
    if order.state is OrderState.INTENDED or order.unknown_since_ns:
        return f"{position.held} held and whether a floor rests is not known"
    if order.kind is OrderKind.LIMIT:
        return f"{position.held} held and offered at Rs {rupees_text(order.price_paise)}"
    return f"{position.held} held; the floor rests at the broker at Rs {rupees_text(order.trigger_paise)}"
