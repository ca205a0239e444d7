"""All the engine knows. Plain records; handlers change them, everything they call returns values."""

from __future__ import annotations

from collections import deque
from datetime import date

import msgspec

from algo_scalper.domain.account import DayLedger, Funds
from algo_scalper.domain.calendar import DaySchedule, contract_end_ns, flat_by_ns
from algo_scalper.domain.errors import Bug
from algo_scalper.domain.events import SessionStarted
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.market import Candle, OptionChain, Tick
from algo_scalper.domain.orders import Order, Purpose
from algo_scalper.domain.ports import Changes
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.rules import ExitRules, IndexRules, Rules
from algo_scalper.domain.units import NS_PER_MINUTE, ist_ns
from algo_scalper.indicators.readings import NO_INDEX_READINGS, IndexReadings
from algo_scalper.risk.expiry_day import FLAT_BY_S, exits_of_the_day


class FormingCandle(msgspec.Struct):
    """The index candle of the present minute."""

    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int

    def closed(self) -> Candle:
        """As a value."""
        return Candle(self.start_ns, self.open_paise, self.high_paise, self.low_paise, self.close_paise)


class IndexState(msgspec.Struct):
    """What is kept of one index."""

    rules: IndexRules
    expiry: date | None
    """The expiry its options are traded in today."""
    previous_close_paise: int = 0
    readings: IndexReadings = NO_INDEX_READINGS
    forming: FormingCandle | None = None
    last_candle: Candle | None = None
    candle_start_ns: int = 0
    """Start of the last closed candle."""
    opening_gap_bps: int | None = None
    """Of the opening over the close before; None while either is not known."""
    opened: bool = False
    spike_until_ns: int = 0
    spike_sigma: float = 0.0
    chain: OptionChain | None = None
    missed_from_ns: int = 0
    """Start of the first minute in which prints were missed; 0 when all are whole."""
    missed_until_ns: int = 0
    """End of the last such minute."""
    candles_asked_ns: int = 0
    near: tuple[int, ...] = ()
    """The near strikes in the interest set for this index."""
    cooldown_until_ns: int = 0
    last_reason: str = ""


class State(msgspec.Struct):
    """The whole of it."""

    started: SessionStarted
    rules: Rules
    schedule: DaySchedule | None
    ledger: DayLedger
    contracts: dict[int, Contract]
    indices: dict[str, IndexState]
    index_by_key: dict[int, IndexState]
    now_ns: int
    counter: int = 0
    ticks: dict[int, Tick] = {}
    orders: dict[str, Order] = {}
    positions: dict[str, Position] = {}
    open_by_key: dict[int, Position] = {}
    """Positions that are not closed, by contract."""
    funds: Funds = Funds(0, 0)
    foreign_keys: set[int] = set()
    """Contracts in which the account holds or works something that is not ours."""
    reconciled: bool = False
    book_began_ns: int = 0
    """When the newest reading of the broker's book was asked for; what happened since is not surely in it."""
    book_read_ns: int = 0
    book_asked_ns: int = 0
    """When a book read was last asked for and is not yet answered; 0 when none is under way."""
    terms_waiting: dict[str, str] = {}
    """Indices with changed contract terms that no person has accepted, and the change."""
    feed_up: bool = True
    orders_feed_up: bool = True
    feed_lost_ns: int = 0
    """When the market feed was lost; 0 while it is up."""
    halted: str = ""
    paused_until_ns: int = 0
    rejections_in_row: int = 0
    sent_ns: deque[int] = msgspec.field(default_factory=deque)
    """When the requests of the last minute were sent."""
    sent_today: int = 0
    stopping: bool = False
    entry_reasons: dict[str, str] = {}
    """Why each position was entered, in one sentence, by position id."""
    changed_orders: dict[str, None] = {}
    changed_positions: dict[str, None] = {}
    ledger_changed: bool = False

    def next_id(self) -> str:
        """A correlation id that was never used: account tag, durable session number, counter; <= 25 characters."""
        self.counter += 1
        order_id = f"{self.started.tag}-{self.started.epoch}-{self.counter}"
        if len(order_id) > 25:
            raise Bug(f"correlation id {order_id} is longer than the broker takes")
        return order_id

    def is_ours(self, correlation_id: str) -> bool:
        """Does this correlation id carry our tag?"""
        return correlation_id.startswith(self.started.tag + "-")

    def orders_of(self, position: Position) -> list[Order]:
        """Every order of a position, in the order of their making."""
        return [order for order in self.orders.values() if order.position_id == position.id]

    def live_order(self, position: Position, purpose: Purpose) -> Order | None:
        """The one order of this purpose that may still trade."""
        for order in self.orders.values():
            if order.position_id == position.id and order.purpose is purpose and order.is_live:
                return order
        return None

    def flat_by(self, position: Position) -> int:
        """When this position must be gone: by rule, or earlier by the dated calendar."""
        return self.flat_by_expiry(position.contract.expiry)

    def flat_by_expiry(self, expiry: date) -> int:
        """`flat_by` of contracts of this expiry; 0 on a day without a session: at once."""
        if self.schedule is None:
            return 0
        by_calendar = flat_by_ns(self.schedule, expiry == self.schedule.day)
        day, asked_s = self.schedule.day, self.rules.session.flat_by_s
        if expiry == day:
            by_calendar = min(by_calendar, ist_ns(day, FLAT_BY_S))
        return by_calendar if asked_s is None else min(by_calendar, ist_ns(day, asked_s))

    def exit_rules_for(self, contract: Contract) -> ExitRules:
        """The exit rules of now, for a position in this contract."""
        return exits_of_the_day(self.rules.exit) if contract.expiry == self.started.day else self.rules.exit

    def options_quoting(self, contract: Contract) -> bool:
        """Is this contract inside its session now?"""
        if self.schedule is None or self.now_ns >= contract_end_ns(self.schedule, contract.expiry):
            return False
        return any(span.start_ns <= self.now_ns < span.end_ns for span in self.schedule.options)

    def index_quoting(self) -> bool:
        """Is the index inside its continuous session now? Outside it is unknown, not stale."""
        return self.index_quoting_at(self.now_ns)

    def index_quoting_at(self, at_ns: int) -> bool:
        """Is this instant inside the index's continuous session?"""
        return self.schedule is not None and self.schedule.index_quoted(at_ns)

    def open_positions(self) -> list[Position]:
        """Positions that are not closed."""
        return list(self.open_by_key.values())

    def unknown_orders(self) -> int:
        """Orders with an open question."""
        return sum(1 for order in self.orders.values() if order.unknown_since_ns)

    def touch_order(self, order: Order) -> None:
        """This order must be written with the next transaction."""
        self.changed_orders[order.id] = None

    def touch_position(self, position: Position) -> None:
        """This position must be written with the next transaction."""
        self.changed_positions[position.id] = None

    def take_changes(self) -> Changes | None:
        """Copies of everything that changed since the last call, for the store; None when nothing did."""
        if not (self.changed_orders or self.changed_positions or self.ledger_changed):
            return None
        changes = Changes(
            orders=tuple(msgspec.structs.replace(self.orders[name]) for name in self.changed_orders),
            positions=tuple(msgspec.structs.replace(self.positions[name]) for name in self.changed_positions),
            ledger=msgspec.structs.replace(self.ledger) if self.ledger_changed else None,
            at_ns=self.now_ns,
        )
        self.changed_orders.clear()
        self.changed_positions.clear()
        self.ledger_changed = False
        return changes

    def requests_since(self, since_ns: int) -> int:
        """Order requests made since an instant within the last minute."""
        return sum(1 for at_ns in self.sent_ns if at_ns > since_ns)

    def forget_old_requests(self) -> None:
        """Keep the last minute only."""
        while self.sent_ns and self.sent_ns[0] <= self.now_ns - NS_PER_MINUTE:
            self.sent_ns.popleft()


def reopen(state: State, position: Position) -> None:
    """Put a position among the open ones."""
    other = state.open_by_key.get(position.key)
    if other is not None and other is not position:
        raise Bug(f"two open positions in {position.contract.name}: {other.id} and {position.id}")
    state.positions[position.id] = position
    if position.state is not PositionState.CLOSED:
        state.open_by_key[position.key] = position
