"""State as a person wants to see it: the records behind the page, the API and the reports.

The structs are the contract with every reader; `view` makes one from the state. Money in paise, times in UTC nanoseconds, distances in basis points; 0 or "" where there is nothing to show.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.calendar import last_entry_ns, next_trading_day
from algo_scalper.domain.decisions import Decision, DecisionKind, Numbers
from algo_scalper.domain.instruments import key_text
from algo_scalper.domain.market import Tick
from algo_scalper.domain.orders import Order, Purpose
from algo_scalper.domain.positions import Position
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, clock_text, ist_ns, percent_text, ratio_bps, rupees_text
from algo_scalper.engine.fills import charges_of, day_net_paise, exit_charges_paise, mark_paise
from algo_scalper.engine.state import IndexState, State
from algo_scalper.risk.day_limits import budget_left_paise, day_loss_limit_paise
from algo_scalper.risk.trailing import emergency_paise, next_trail_paise, target_paise


class IndexView(msgspec.Struct, frozen=True):
    """One index: its price, its readings and what was last decided about it."""

    name: str
    key: int
    role: str
    ltp_paise: int
    change_bps: int
    tick_ns: int
    forming: tuple[int, int, int, int, int] | None
    """The candle being formed: (start_ns, open, high, low, close)."""
    supertrend_paise: int
    trend: int
    adx_m1: float
    adx_m5: float
    last_reason: str
    """The last refusal or entry, in one sentence; empty before the first."""


class PositionView(msgspec.Struct, frozen=True):
    """An open position. ``exit_now_net_paise`` is what leaving at the bid would bring, all charges paid."""

    id: str
    key: int
    contract: str
    index: str
    direction: int
    state: str
    quantity: int
    held: int
    lot: int
    average_paise: int
    signal_paise: int
    opened_ns: int
    bid_paise: int
    ltp_paise: int
    price_ns: int
    high_water_paise: int
    open_paise: int
    charges_paise: int
    exit_now_net_paise: int
    stop_paise: int
    emergency_paise: int
    target_paise: int
    next_trail_paise: int
    """The bid at which the stop moves next; 0 after the last step."""
    time_stop_ns: int
    floor_order_id: str
    floor_broker_id: str
    floor_trigger_paise: int
    floor_quantity: int
    floor_state: str
    exit_reason: str
    frozen: str
    why: str
    """Why it was entered, in one sentence."""


class OrderView(msgspec.Struct, frozen=True):
    """An order of the day."""

    id: str
    broker_id: str
    contract: str
    side: str
    purpose: str
    kind: str
    state: str
    quantity: int
    filled_quantity: int
    price_paise: int
    trigger_paise: int
    average_paise: int
    created_ns: int
    answered_ms: float
    modifications: int
    reason: str


class TradeView(msgspec.Struct, frozen=True):
    """A closed position, with everything it cost. ``charges`` is by line: brokerage, stt, exchange, ..."""

    id: str
    contract: str
    index: str
    direction: int
    quantity: int
    entry_paise: int
    exit_paise: int
    signal_paise: int
    exit_signal_paise: int
    opened_ns: int
    closed_ns: int
    gross_paise: int
    charges: dict[str, int]
    net_paise: int
    reason: str
    best_paise: int
    """Highest bid while held (maximum favourable excursion)."""
    worst_paise: int
    """Lowest bid while held (maximum adverse excursion)."""
    why: str


class DecisionView(msgspec.Struct, frozen=True):
    """One line of the decision log, with a sentence for reading."""

    at_ns: int
    kind: str
    index: str
    contract: str
    direction: int
    reason: str
    sentence: str
    position_id: str
    numbers: dict[str, int | float | str]


class LedgerView(msgspec.Struct, frozen=True):
    """The day's money: realised + open - charges = net. Charges include those of leaving what is open."""

    capital_paise: int
    realised_paise: int
    open_paise: int
    charges_paise: int
    net_paise: int
    budget_left_paise: int
    day_limit_paise: int
    week_net_paise: int
    trades: int
    trades_limit: int
    wins: int
    losses: int
    losses_in_row: int


class FeedView(msgspec.Struct, frozen=True):
    """Feed and broker as the engine knows them."""

    market: str
    orders: str
    last_tick_ns: int
    lag_ms: int
    """How far the newest tick came after the exchange's time of it, which is in whole seconds; 0 where it states none."""
    book_read_ns: int
    unknown_orders: int
    reconciled: bool


class ClockView(msgspec.Struct, frozen=True):
    """The day's moments; 0 where the day has none."""

    open_ns: int
    first_entry_ns: int
    last_entry_ns: int
    flat_by_ns: int
    index_close_ns: int
    square_off_ns: int
    close_ns: int
    phase: str
    """before_open, warming, trading, no_more_entries, flat, closed."""
    oddities: tuple[str, ...]


class View(msgspec.Struct, frozen=True):
    """Everything at one moment."""

    at_ns: int
    day: str
    market: str
    money: str
    halted: str
    headline: str
    """The state of things in one sentence: in a position, or why not."""
    clock: ClockView
    indices: tuple[IndexView, ...]
    positions: tuple[PositionView, ...]
    orders: tuple[OrderView, ...]
    ledger: LedgerView
    feed: FeedView
    rules_version: int


def view(state: State) -> View:
    """The whole state as it is now. Called a few times a second beside the path, never on it."""
    started = state.started
    positions = tuple(_position(state, position) for position in state.open_by_key.values())
    newest = max(state.ticks.values(), key=lambda tick: tick.at_ns, default=None)
    return View(
        at_ns=state.now_ns,
        day=started.day.isoformat(),
        market=started.market,
        money=started.money,
        halted=state.halted or state.ledger.halted,
        headline=_headline(state, positions),
        clock=_clock(state),
        indices=tuple(_index(state, index) for index in state.indices.values()),
        positions=positions,
        orders=tuple(_order(state, order) for order in list(state.orders.values())[-200:]),
        ledger=_ledger(state),
        feed=FeedView(
            market="up" if state.feed_up else "lost",
            orders="up" if state.orders_feed_up else "lost",
            last_tick_ns=newest.at_ns if newest is not None else 0,
            lag_ms=_lag_ms(newest) if newest is not None else 0,
            book_read_ns=state.book_read_ns,
            unknown_orders=state.unknown_orders(),
            reconciled=state.reconciled,
        ),
        rules_version=state.rules.version,
    )


def _lag_ms(tick: Tick) -> int:
    return (tick.at_ns - tick.exchange_s * NS_PER_SECOND) // NS_PER_MS if tick.exchange_s else 0


def _headline(state: State, positions: tuple[PositionView, ...]) -> str:
    if positions:
        shown = positions[0]
        if not shown.held:
            return f"Buying {shown.quantity or shown.lot} {shown.contract}"
        return f"In {shown.contract}: {shown.held} held, if I exit now Rs {rupees_text(shown.exit_now_net_paise)} net"
    phase = _phase(state)
    if phase in ("before_open", "closed"):
        return _market_closed(state, phase)
    reasons = [f"{index.rules.name}: {words(index.last_reason)}" for index in state.indices.values()]
    return "No position. " + "; ".join(reason for reason in reasons if not reason.endswith(": "))


def _market_closed(state: State, phase: str) -> str:
    if phase == "before_open" and state.schedule is not None:
        return f"Before the open: the session begins at {clock_text(state.schedule.index[0].start_ns)[:5]}"
    following = next_trading_day(state.started.day)
    return f"Market closed, next session {following:%a %d %b} 09:15"


def _phase(state: State) -> str:
    schedule, now = state.schedule, state.now_ns
    if schedule is None or now >= schedule.options[-1].end_ns:
        return "closed"
    if now < schedule.options[0].start_ns:
        return "before_open"
    moments = _clock_moments(state)
    if now < moments[0]:
        return "warming"
    if now < moments[1]:
        return "trading"
    return "no_more_entries" if state.open_by_key or now < moments[2] else "flat"


def _clock_moments(state: State) -> tuple[int, int, int]:
    """First entry, last entry and flat_by of the first traded index."""
    day, session = state.started.day, state.rules.session
    expiry = next((index.expiry for index in state.indices.values() if index.expiry is not None), day)
    flat_by = state.flat_by_expiry(expiry)
    last = min(ist_ns(day, session.entries_until_s), last_entry_ns(flat_by))
    return ist_ns(day, session.entries_from_s), last, flat_by


def _clock(state: State) -> ClockView:
    schedule = state.schedule
    if schedule is None:
        return ClockView(0, 0, 0, 0, 0, 0, 0, "closed", ())
    first, last, flat_by = _clock_moments(state)
    return ClockView(
        open_ns=schedule.options[0].start_ns,
        first_entry_ns=first,
        last_entry_ns=last,
        flat_by_ns=flat_by,
        index_close_ns=schedule.index[-1].end_ns,
        square_off_ns=schedule.square_off_ns,
        close_ns=schedule.options[-1].end_ns,
        phase=_phase(state),
        oddities=schedule.oddities,
    )


def _index(state: State, index: IndexState) -> IndexView:
    tick, forming, readings = state.ticks.get(index.rules.key), index.forming, index.readings
    ltp = tick.ltp_paise if tick is not None else 0
    before = index.previous_close_paise
    return IndexView(
        name=index.rules.name,
        key=index.rules.key,
        role=index.rules.role.value,
        ltp_paise=ltp,
        change_bps=ratio_bps(ltp - before, before) if ltp and before else 0,
        tick_ns=tick.at_ns if tick is not None else 0,
        forming=None
        if forming is None
        else (
            forming.start_ns,
            forming.open_paise,
            forming.high_paise,
            forming.low_paise,
            forming.close_paise,
        ),
        supertrend_paise=readings.m1.supertrend_paise,
        trend=int(readings.m1.direction or 0),
        adx_m1=round(readings.m1.adx, 1),
        adx_m5=round(readings.m5.adx, 1),
        last_reason=words(index.last_reason),
    )


def _position(state: State, position: Position) -> PositionView:
    tick = state.ticks.get(position.key)
    bid = tick.bid_paise if tick is not None else 0
    average, rules, contract = position.average_paise, position.exit_rules, position.contract
    floor = state.live_order(position, Purpose.EXIT)
    entry = state.live_order(position, Purpose.ENTRY)
    mark = mark_paise(state, position)
    leaving = exit_charges_paise(state, position, mark) if position.held else 0
    gross = position.realised_paise + position.open_paise(mark)
    return PositionView(
        id=position.id,
        key=position.key,
        contract=contract.name,
        index=position.index,
        direction=int(position.direction),
        state=position.state.value,
        quantity=entry.quantity if entry is not None else position.bought_quantity,
        held=position.held,
        lot=contract.lot,
        average_paise=average,
        signal_paise=position.signal_paise,
        opened_ns=position.opened_ns,
        bid_paise=bid,
        ltp_paise=tick.ltp_paise if tick is not None else 0,
        price_ns=tick.at_ns if tick is not None else 0,
        high_water_paise=position.high_water_paise,
        open_paise=gross,
        charges_paise=position.charges_paise + leaving,
        exit_now_net_paise=gross - position.charges_paise - leaving,
        stop_paise=position.stop_paise,
        emergency_paise=emergency_paise(average, rules, contract.tick_paise),
        target_paise=target_paise(average, rules, contract.tick_paise),
        next_trail_paise=next_trail_paise(average, position.trail_index, rules),
        time_stop_ns=position.opened_ns + rules.time_stop_ns if rules.time_stop_ns else 0,
        floor_order_id=floor.id if floor is not None else "",
        floor_broker_id=floor.broker_id if floor is not None else "",
        floor_trigger_paise=floor.trigger_paise if floor is not None else 0,
        floor_quantity=floor.quantity - floor.filled_quantity if floor is not None else 0,
        floor_state=floor.state.value if floor is not None else "",
        exit_reason=position.exit_reason.name.lower() if position.exit_reason else "",
        frozen=position.frozen,
        why=state.entry_reasons.get(position.id, ""),
    )


def _order(state: State, order: Order) -> OrderView:
    contract = state.contracts.get(order.key)
    filled = order.filled_quantity
    return OrderView(
        id=order.id,
        broker_id=order.broker_id,
        contract=contract.name if contract is not None else key_text(order.key),
        side=order.side.name,
        purpose=order.purpose.name.lower(),
        kind=order.kind.name,
        state=order.state.value,
        quantity=order.quantity,
        filled_quantity=filled,
        price_paise=order.price_paise,
        trigger_paise=order.trigger_paise,
        average_paise=order.filled_value_paise // filled if filled else 0,
        created_ns=order.created_ns,
        answered_ms=round((order.answered_ns - order.created_ns) / NS_PER_MS, 1) if order.answered_ns else 0.0,
        modifications=order.modifications,
        reason=order.reason,
    )


def _ledger(state: State) -> LedgerView:
    ledger, rules = state.ledger, state.rules
    net = day_net_paise(state)
    gross_open = sum(
        position.realised_paise + position.open_paise(mark_paise(state, position))
        for position in state.open_by_key.values()
    )
    return LedgerView(
        capital_paise=rules.capital_paise,
        realised_paise=ledger.realised_paise,
        open_paise=gross_open,
        charges_paise=ledger.realised_paise + gross_open - net,
        net_paise=net,
        budget_left_paise=budget_left_paise(
            rules.limits, rules.capital_paise, net, ledger.peak_net_paise, ledger.week_before_paise
        ),
        day_limit_paise=day_loss_limit_paise(rules.limits, rules.capital_paise),
        week_net_paise=ledger.week_before_paise + net,
        trades=ledger.trades,
        trades_limit=rules.limits.trades_day,
        wins=ledger.wins,
        losses=ledger.losses,
        losses_in_row=ledger.losses_in_row,
    )


def trade_view(state: State, position: Position) -> TradeView:
    """A closed position as a line of the day's trades. Asked when its EXIT decision is made."""
    charges = charges_of(state, position)
    sold = position.sold_quantity
    return TradeView(
        id=position.id,
        contract=position.contract.name,
        index=position.index,
        direction=int(position.direction),
        quantity=sold,
        entry_paise=position.average_paise,
        exit_paise=position.proceeds_paise // sold if sold else 0,
        signal_paise=position.signal_paise,
        exit_signal_paise=position.exit_signal_paise,
        opened_ns=position.opened_ns,
        closed_ns=position.closed_ns,
        gross_paise=position.realised_paise,
        charges=charges.as_dict(),
        net_paise=position.realised_paise - position.charges_paise,
        reason=position.exit_reason.name.lower(),
        best_paise=position.high_water_paise,
        worst_paise=position.low_water_paise,
        why=state.entry_reasons.get(position.id, ""),
    )


def decision_view(decision: Decision) -> DecisionView:
    """A decision with a sentence for reading."""
    return DecisionView(
        at_ns=decision.at_ns,
        kind=decision.kind.value,
        index=decision.index,
        contract=decision.contract,
        direction=decision.direction,
        reason=decision.reason,
        sentence=sentence(decision),
        position_id=decision.position_id,
        numbers=decision.numbers,
    )


def sentence(decision: Decision) -> str:
    """One line a trader can read: what, which way and why. The numbers behind it are `figures`."""
    side = {1: "up", -1: "down"}.get(decision.direction, "")
    return {
        DecisionKind.ENTRY: f"Bought on {words(decision.reason)} {side}",
        DecisionKind.EXIT: f"Left: {words(decision.reason)}",
        DecisionKind.REFUSAL: f"No entry {side}: {words(decision.reason)}",
        DecisionKind.NO_SIGNAL: f"No signal: {words(decision.reason)}",
        DecisionKind.STOP_MOVED: "Stop moved up",
        DecisionKind.HALT: f"Halted: {decision.reason}",
        DecisionKind.RESUME: decision.reason,
        DecisionKind.HANDED_OVER: f"Handed over: {words(decision.reason)}",
    }[decision.kind]


def figures(numbers: Numbers) -> str:
    """The numbers behind a decision, in words: ``"spread Rs 0.45, limit Rs 0.30"``."""
    return ", ".join(_figure(name, value) for name, value in numbers.items())


def words(name: str) -> str:
    """``"spread_wide" -> "spread wide"``."""
    return name.replace("_", " ")


def _figure(name: str, value: int | float | str) -> str:  # noqa: PYI041 - whole numbers and fractions print apart
    if name.endswith("_paise") and isinstance(value, int):
        return f"{words(name[:-6])} Rs {rupees_text(value)}"
    if name.endswith("_bps") and isinstance(value, int):
        return f"{words(name[:-4])} {percent_text(value)}"
    return f"{words(name)} {value}"
