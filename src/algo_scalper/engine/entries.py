"""Entering: every `if` between a signal and a buy order, in one place; and the buy order's short life after it."""

from __future__ import annotations

from algo_scalper.domain.calendar import SessionKind, last_entry_ns
from algo_scalper.domain.charges import round_trip_charges
from algo_scalper.domain.commands import Command
from algo_scalper.domain.decisions import (
    Decision,
    DecisionKind,
    Direction,
    Numbers,
    Refusal,
    RefusalReason,
    Signal,
    StrikeChoice,
)
from algo_scalper.domain.instruments import INDEX_BY_KEY, INDIA_VIX_KEY
from algo_scalper.domain.market import Tick
from algo_scalper.domain.orders import OrderKind, OrderState, Purpose
from algo_scalper.domain.positions import Position
from algo_scalper.domain.rules import Role
from algo_scalper.domain.units import NS_PER_SECOND, apply_bps, ist_ns
from algo_scalper.engine import orders
from algo_scalper.engine.exits import withdraw
from algo_scalper.engine.fills import day_net_paise
from algo_scalper.engine.state import IndexState, State, reopen
from algo_scalper.risk.day_limits import budget_left_paise
from algo_scalper.risk.entry_context import EntryContext
from algo_scalper.risk.expiry_day import entry_window_ns
from algo_scalper.risk.guards import first_refusal
from algo_scalper.risk.order_prices import entry_limit_paise
from algo_scalper.risk.sizing import SizeContext, size_order
from algo_scalper.strategy.strikes import choose_strike

VIX_FRESH_NS = 60 * NS_PER_SECOND
"""VIX moves slowly; older than this it is unknown, and unknown refuses."""


def enter(state: State, index: IndexState, signal: Signal, out: list[Command]) -> None:
    """A signal becomes a buy order, or a refusal with its numbers."""
    spot = index.forming.close_paise if index.forming is not None else index.readings.m1.close_paise
    if index.chain is None:
        choice: StrikeChoice | Refusal = Refusal(RefusalReason.CHAIN_MISSING, {})
    else:
        choice = choose_strike(index.chain, state.contracts, signal.direction, spot, index.rules, state.rules.strike)
    option = _option(state, index, choice)
    context = _context(state, index, signal, choice, option, spot)
    refusal = first_refusal(context)
    if refusal is None and isinstance(choice, StrikeChoice) and option is not None:
        limit = entry_limit_paise(option.ask_paise, state.rules.orders, choice.contract.tick_paise)
        quantity = size_order(_size_context(state, index, choice, option, limit, context), state.rules)
        if isinstance(quantity, int):
            _buy(state, index, signal, choice, option, quantity, limit, out)
            return
        refusal = quantity
    if refusal is not None:
        _refuse(state, index, signal, choice, refusal, out)


def _option(state: State, index: IndexState, choice: StrikeChoice | Refusal) -> Tick | None:
    """The chosen contract's price: its newest tick, or for a watched index its row of the chain."""
    if isinstance(choice, Refusal):
        return None
    tick = state.ticks.get(choice.contract.key)
    if tick is not None or index.rules.role is Role.TRADE or index.chain is None:
        return tick
    for row in index.chain.rows:
        if row.key == choice.contract.key:
            return Tick(index.chain.at_ns, row.key, 0, row.ltp_paise, row.bid_paise, row.ask_paise)
    return None


def _context(
    state: State,
    index: IndexState,
    signal: Signal,
    choice: StrikeChoice | Refusal,
    option: Tick | None,
    spot_paise: int,
) -> EntryContext:
    rules, schedule, day, now = state.rules, state.schedule, state.started.day, state.now_ns
    index_tick = state.ticks.get(index.rules.key)
    vix = state.ticks.get(INDIA_VIX_KEY)
    contract = choice.contract if isinstance(choice, StrikeChoice) else None
    expiry = contract.expiry if contract is not None else index.expiry
    flat_by = state.flat_by_expiry(expiry) if expiry is not None else 0
    entries_from = ist_ns(day, rules.session.entries_from_s)
    entries_until = min(ist_ns(day, rules.session.entries_until_s), last_entry_ns(flat_by))
    if expiry == day:
        entries_from, entries_until = entry_window_ns(entries_from, entries_until, day)
    opened = state.open_positions()
    lot_value = option.ask_paise * contract.lot if option is not None and contract is not None else 0
    state.forget_old_requests()
    return EntryContext(
        now_ns=now,
        rules=rules,
        index=index.rules,
        direction=signal.direction,
        choice=choice,
        option=option,
        spot_paise=spot_paise,
        reconciled=state.reconciled,
        halted=state.halted or state.ledger.halted,
        index_quoting=state.index_quoting(),
        special_session=schedule is None or schedule.kind is not SessionKind.REGULAR,
        entries_from_ns=entries_from,
        entries_until_ns=entries_until,
        no_trade_day=day.isoformat() in rules.guards.no_trade_days,
        expires_today=expiry == day,
        feed_up=state.feed_up,
        orders_feed_up=state.orders_feed_up,
        terms_changed=state.terms_waiting.get(index.rules.name, ""),
        missed_from_ns=index.missed_from_ns,
        index_age_ns=now - index_tick.at_ns if index_tick is not None else -1,
        chain_age_ns=now - index.chain.at_ns if index.chain is not None else -1,
        lag_ns=now - index_tick.exchange_s * NS_PER_SECOND if index_tick is not None else 0,
        gap_bps=index.opening_gap_bps,
        gap_until_ns=ist_ns(day, rules.guards.gap_until_s),
        spike_until_ns=index.spike_until_ns,
        spike_sigma=index.spike_sigma,
        vix=vix.ltp_paise / 100 if vix is not None and now - vix.at_ns <= VIX_FRESH_NS else 0.0,
        open_positions=len(opened),
        same_contract_open=contract is not None and contract.key in state.open_by_key,
        same_side_open=sum(1 for p in opened if p.index == index.rules.name and p.direction is signal.direction),
        opposite_open=sum(1 for p in opened if p.direction is not signal.direction),
        unknown_orders=state.unknown_orders(),
        foreign_in_contract=contract is not None and contract.key in state.foreign_keys,
        cooldown_until_ns=index.cooldown_until_ns,
        paused_until_ns=state.paused_until_ns,
        losses_in_row=state.ledger.losses_in_row,
        trades_today=state.ledger.trades + len(opened),
        orders_last_second=state.requests_since(now - NS_PER_SECOND),
        orders_last_minute=len(state.sent_ns),
        orders_today=state.sent_today,
        funds=state.funds,
        day_net_paise=day_net_paise(state),
        day_peak_paise=state.ledger.peak_net_paise,
        week_before_paise=state.ledger.week_before_paise,
        round_trip_paise=(
            round_trip_charges(contract.exchange, lot_value, lot_value, day).total_paise if contract is not None else 0
        ),
    )


def _size_context(
    state: State, index: IndexState, choice: StrikeChoice, option: Tick, limit_paise: int, context: EntryContext
) -> SizeContext:
    rules, contract = state.rules, choice.contract
    return SizeContext(
        entry_paise=limit_paise,
        lot=contract.lot,
        freeze_quantity=contract.freeze_quantity,
        multiplier_bps=index.rules.multiplier_bps,
        usable_cash_paise=state.funds.usable_paise,
        budget_left_paise=budget_left_paise(
            rules.limits,
            rules.capital_paise,
            context.day_net_paise,
            context.day_peak_paise,
            context.week_before_paise,
        ),
        ask_total=option.ask_total if index.rules.role is Role.TRADE else -1,
        charges_paise=context.round_trip_paise,
        vix=context.vix,
        expires_today=context.expires_today,
    )


def _buy(
    state: State,
    index: IndexState,
    signal: Signal,
    choice: StrikeChoice,
    option: Tick,
    quantity: int,
    limit_paise: int,
    out: list[Command],
) -> None:
    contract = choice.contract
    position = Position(
        id=state.next_id(),
        contract=contract,
        index=index.rules.name,
        direction=signal.direction,
        exit_rules=state.exit_rules_for(contract),
        rules_version=state.rules.version,
        signal_paise=option.ask_paise,
        opened_ns=state.now_ns,
    )
    reopen(state, position)
    state.touch_position(position)
    numbers: Numbers = {
        **signal.numbers,
        "spot_paise": state.ticks[index.rules.key].ltp_paise,
        "otm_steps": choice.otm_steps,
        "oi": choice.oi,
        "bid_paise": option.bid_paise,
        "ask_paise": option.ask_paise,
        "limit_paise": limit_paise,
        "quantity": quantity,
    }
    decision = Decision(
        state.now_ns,
        DecisionKind.ENTRY,
        index.rules.name,
        signal.name,
        contract.name,
        int(signal.direction),
        position.id,
        numbers,
        state.rules.version,
    )
    index.last_reason = f"entered {contract.name}"
    state.entry_reasons[position.id] = sentence_of(signal, index.rules.name)
    out.append(decision)
    orders.place(state, out, position, Purpose.ENTRY, OrderKind.LIMIT, quantity, limit_paise, order_id=position.id)


def sentence_of(signal: Signal, index: str) -> str:
    """Why this was bought, for the position card and the trades table."""
    way = "up" if signal.direction is Direction.UP else "down"
    figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in signal.numbers.items() if "adx" in name)
    return f"{index} trends {way} on one and five minutes ({figures})"


def _refuse(
    state: State,
    index: IndexState,
    signal: Signal,
    choice: StrikeChoice | Refusal,
    refusal: Refusal,
    out: list[Command],
) -> None:
    index.last_reason = refusal.reason.value
    out.append(
        Decision(
            state.now_ns,
            DecisionKind.REFUSAL,
            index.rules.name,
            refusal.reason.value,
            choice.contract.name if isinstance(choice, StrikeChoice) else "",
            int(signal.direction),
            "",
            {**signal.numbers, **refusal.numbers},
            state.rules.version,
        )
    )


def tend_entry(state: State, position: Position, out: list[Command]) -> None:
    """A buy order lives three seconds, is re-priced once while the ask is near the signal's, then let go."""
    order = state.live_order(position, Purpose.ENTRY)
    if order is None or order.request is not None or order.unknown_since_ns or state.stopping:
        return
    if order.state is OrderState.TRANSIT or position.frozen:
        return
    rules = state.rules.orders
    asked_ns = max(order.created_ns, order.request_ns)
    if state.now_ns - asked_ns < rules.entry_wait_ns:
        return
    tick = state.ticks.get(position.key)
    chase_limit = position.signal_paise + apply_bps(position.signal_paise, rules.entry_chase_bps)
    fresh = tick is not None and state.now_ns - tick.at_ns <= state.rules.fresh.option_ns
    if order.modifications == 0 and fresh and tick is not None and 0 < tick.ask_paise <= chase_limit:
        limit = entry_limit_paise(tick.ask_paise, rules, position.contract.tick_paise)
        orders.modify(state, out, order, OrderKind.LIMIT, order.quantity, limit)
    else:
        withdraw(state, order, out)


def near_strikes(state: State, index: IndexState, spot_paise: int) -> tuple[int, ...]:
    """Keys of the strikes around the spot that a signal of either side could choose, for the interest set."""
    if index.expiry is None or index.rules.role is Role.WATCH:
        return ()
    step = INDEX_BY_KEY[index.rules.key].strike_step_paise
    reach = (state.rules.strike.max_otm + 1) * step
    return tuple(
        sorted(
            contract.key
            for contract in state.contracts.values()
            if contract.underlying == index.rules.name
            and contract.expiry == index.expiry
            and abs(contract.strike_paise - spot_paise) <= reach
        )
    )
