"""Birth: everything the engine begins with arrives in one event; what was under way is an open question."""

from __future__ import annotations

from msgspec.structs import replace

from algo_scalper.domain.calendar import day_schedule, expiries
from algo_scalper.domain.commands import Command, Notify, PollChain, Subscribe
from algo_scalper.domain.events import ContractsChecked, HistoryLoaded, SessionStarted
from algo_scalper.domain.instruments import INDEX_BY_KEY, INDIA_VIX_KEY
from algo_scalper.domain.market import OptionChain
from algo_scalper.domain.orders import OrderState
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.engine.gaps import close_gap, fills_gap, note_gap
from algo_scalper.engine.on_candle import follow_spot, open_day, step_readings
from algo_scalper.engine.on_order import mark_unknown
from algo_scalper.engine.on_second import ask_for_book
from algo_scalper.engine.overnight import hold_back
from algo_scalper.engine.state import IndexState, State, reopen
from algo_scalper.indicators.readings import NO_INDEX_READINGS
from algo_scalper.risk.day_limits import pause_after
from algo_scalper.strategy.expiry import choose_expiry


def born(event: SessionStarted) -> State:
    """The state of a fresh session."""
    rules = event.rules
    exchange_of = {index.name: INDEX_BY_KEY[index.key].exchange for index in rules.indices}
    indices: dict[str, IndexState] = {}
    for index_rules in rules.indices:
        listed = expiries(index_rules.name, event.day, 3)
        indices[index_rules.name] = IndexState(
            rules=index_rules,
            expiry=choose_expiry(listed, event.day, rules.expiry),
            previous_close_paise=event.previous_close_paise.get(index_rules.key, 0),
        )
    first = next(iter(exchange_of.values()))
    state = State(
        started=event,
        rules=rules,
        schedule=day_schedule(event.day, first),
        ledger=replace(event.ledger),  # the event is a value: it is journaled after we have gone on
        contracts={contract.key: contract for contract in event.contracts},
        indices=indices,
        index_by_key={index.rules.key: index for index in indices.values()},
        now_ns=event.at_ns,
        halted=event.standing_halt,
    )
    if event.soft is not None:
        state.paused_until_ns = event.soft.paused_until_ns
        for name, until_ns in event.soft.cooldown_until_ns.items():
            if name in indices:
                indices[name].cooldown_until_ns = until_ns
    return state


def on_started(state: State, event: SessionStarted, out: list[Command]) -> None:
    """Take our books back, ask for the broker's, and subscribe."""
    for position in map(replace, event.positions):
        state.positions[position.id] = position
        state.contracts.setdefault(position.key, position.contract)
        if position.state is not PositionState.CLOSED:
            reopen(state, position)
            position.blind_ns = 0
            position.below_stop_ns = 0
            hold_back(state, position)
    for order in map(replace, event.orders):
        state.orders[order.id] = order
        if order.is_live and (order.request is not None or order.state is OrderState.INTENDED):
            # The process died before the answer: it may have arrived or not.
            order.request = None
            mark_unknown(state, order)
        elif order.unknown_since_ns:
            order.unknown_since_ns = state.now_ns
            order.absent_reads = 0
    _wait_again(state)
    out.extend(
        Notify(
            state.now_ns,
            "info",
            "position_resumed",
            f"{position.contract.name}: {position.held} held, taken back from our books; asking the broker",
        )
        for position in state.open_positions()
    )
    keys = [index.rules.key for index in state.indices.values()]
    out.append(Subscribe((*keys, INDIA_VIX_KEY, *state.open_by_key)))
    out.extend(
        PollChain(index.rules.name, index.expiry) for index in state.indices.values() if index.expiry is not None
    )
    ask_for_book(state, "session_started", out)
    minute_ns = event.at_ns // NS_PER_MINUTE * NS_PER_MINUTE
    note_gap(state, minute_ns, event.at_ns)  # begun inside a minute, it is not heard whole


def _wait_again(state: State) -> None:
    """The waits after today's trades and the requests already made, as our books have them: soft state may be lost."""
    limits, losses_in_row = state.rules.limits, state.ledger.losses_in_row
    state.sent_today = sum(1 + order.modifications for order in state.orders.values())
    for position in state.positions.values():
        if position.state is not PositionState.CLOSED or not position.bought_quantity:
            continue
        index = state.indices.get(position.index)
        if index is not None:
            index.cooldown_until_ns = max(index.cooldown_until_ns, position.closed_ns + index.rules.cooldown_ns)
        if losses_in_row and position.realised_paise <= position.charges_paise:
            pause = pause_after(limits, losses_in_row)
            wait_ns = max(limits.after_loss_ns, (pause.pause_ns or 0) if pause is not None else 0)
            state.paused_until_ns = max(state.paused_until_ns, position.closed_ns + wait_ns)


def on_history(state: State, event: HistoryLoaded, out: list[Command]) -> None:
    """Warm-up candles: readings only, no signal. Later ones replace what was built on minutes that were not whole.

    A minute that is not over is no candle, whoever sends it.
    """
    index = state.index_by_key.get(event.key)
    if index is None:
        return
    candles = tuple(candle for candle in event.candles if candle.start_ns + NS_PER_MINUTE <= state.now_ns)
    later = None
    if index.last_candle is not None:
        if not index.missed_from_ns or not fills_gap(index, candles):
            return
        later = index.last_candle if index.last_candle.start_ns > candles[-1].start_ns else None
        index.readings = NO_INDEX_READINGS
        close_gap(index)
    for candle in candles:
        if not index.opened and state.schedule is not None and state.schedule.index_quoted(candle.start_ns):
            open_day(index, candle.open_paise)  # begun in the middle of the day: this is how it opened
        step_readings(state, index, candle)
        index.candle_start_ns = max(index.candle_start_ns, candle.start_ns)
    if later is not None:
        step_readings(state, index, later)
    if candles:
        follow_spot(state, index, candles[-1].close_paise, out)


def on_contracts_checked(state: State, event: ContractsChecked, out: list[Command]) -> None:
    """Entries of an index wait while its changed terms have not been accepted."""
    for name, change in event.waiting.items():
        if name in state.indices and state.terms_waiting.get(name) != change:
            said = f"{change}: entries wait for: scalper instruments accept {name}"
            out.append(Notify(state.now_ns, "alarm", "contract_terms_changed", said))
    state.terms_waiting = event.waiting


def on_chain(state: State, event: OptionChain, out: list[Command]) -> None:
    """The newest snapshot of a traded expiry."""
    index = state.indices.get(event.underlying)
    if index is None or index.expiry != event.expiry:
        return
    index.chain = event
    if not index.near:
        follow_spot(state, index, event.spot_paise, out)
