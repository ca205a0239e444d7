"""A trading day told event by event: one index, six contracts, a broker who does what the test says.

Nothing happens by itself: `Day.second` passes a second, `Day.accept` answers a request, `Day.fill` trades one. Every
call returns what the engine wanted because of it, and `Day.said` keeps all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec.structs import replace

from algo_scalper.domain.account import DayLedger, Funds
from algo_scalper.domain.commands import CancelOrder, Command, ModifyOrder, Notify, OrderCommand, PlaceOrder
from algo_scalper.domain.decisions import Decision, DecisionKind, Direction, Signal
from algo_scalper.domain.events import (
    BookRead,
    Event,
    HistoryLoaded,
    OperatorAsked,
    OperatorWord,
    OrderAccepted,
    OrderRejected,
    OrderReported,
    OrderUnknown,
    SecondPassed,
    SessionStarted,
)
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY, Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.market import Candle, ChainRow, OptionChain, Tick
from algo_scalper.domain.orders import (
    BrokerOrder,
    BrokerPosition,
    BrokerStatus,
    OrderKind,
    OrderState,
    Purpose,
    Request,
    Side,
)
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.rules import Rules, SignalRules
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_ns, parse_clock_s
from algo_scalper.engine.engine import Engine
from algo_scalper.strategy.view import StrategyView
from tests.unit.risk import beginner

DAY = beginner.DAY
EXPIRY = beginner.EXPIRY
LOT = beginner.LOT
LAKH = beginner.LAKH
TAG = "ASTEST"
SIGNAL_NAME = "story"
SPOT = 2_450_000

Wanted = TypeVar("Wanted")


def said_by_the_close(view: StrategyView, rules: SignalRules) -> Signal | None:
    """A candle that closes on a whole rupee points up, on 50 paise down, on anything else nowhere."""
    del rules
    direction = {0: Direction.UP, 50: Direction.DOWN}.get(view.m1.close_paise % 100)
    return Signal(direction, SIGNAL_NAME, {"adx_m1": 25.0}) if direction is not None else None


RULES = replace(beginner.RULES, signal=replace(beginner.RULES.signal, name=SIGNAL_NAME))
TWO_LOTS = replace(RULES, size=replace(RULES.size, fixed_lots=2, max_lots=2, risk_bps=400, outlay_bps=4_000))


def contract(strike_paise: int, option_type: OptionType) -> Contract:
    """A listed option of the week."""
    place = (strike_paise - 2_430_000) // 5_000 * 2 + (option_type is OptionType.PE)
    return Contract(
        instrument_key(Segment.NSE_FNO, 42_000 + place), "NIFTY", EXPIRY, strike_paise, option_type, LOT, 5, 1_755
    )


CONTRACTS = tuple(contract(strike, kind) for strike in range(2_430_000, 2_475_000, 5_000) for kind in OptionType)
CALL = contract(SPOT, OptionType.CE)
PUT = contract(SPOT, OptionType.PE)


def at(clock: str) -> int:
    """An instant of the day."""
    return ist_ns(DAY, parse_clock_s(clock, "story"))


class Day:
    """The engine, its clock, and a broker's book kept by hand."""

    def __init__(self, clock: str = "10:30", rules: Rules = RULES, *, reconciled: bool = True, **started: Any) -> None:
        self.engine = Engine()
        self.now_ns = at(clock)
        self.said: list[Command] = []
        self.rows: dict[str, BrokerOrder] = {}
        self.foreign: list[BrokerOrder] = []
        self.net_changed: dict[int, int] = {}
        """What other hands bought (+) or sold (-) beyond the rows, by contract."""
        self.funds = Funds(LAKH, LAKH)
        plain = {
            "at_ns": self.now_ns,
            "account": "TEST",
            "tag": TAG,
            "epoch": 1,
            "code_version": "0",
            "source_hash": "0",
            "day": DAY,
            "market": "SIMULATED",
            "money": "PAPER",
            "rules": rules,
            "contracts": CONTRACTS,
            "previous_close_paise": {NIFTY.key: SPOT},
            "ledger": DayLedger(DAY),
        }
        self.started = SessionStarted(**{**plain, **started})
        self.opening = self.tell(self.started)
        if reconciled:
            self.book()

    @property
    def state(self) -> Any:
        """The engine's own."""
        return self.engine.state

    @property
    def position(self) -> Position:
        """The newest position."""
        return list(self.engine.state.positions.values())[-1]

    def stands(self, state: PositionState) -> bool:
        """Does the newest position stand there?"""
        return self.position.state is state

    def ordered(self, order_id: str, state: OrderState) -> bool:
        """Does this order stand there?"""
        return self.engine.state.orders[order_id].state is state

    # --- telling ---

    def tell(self, event: Event) -> list[Command]:
        """One event."""
        commands = self.engine.handle(event)
        self.said += commands
        return commands

    def second(self, count: int = 1, *, quiet: bool = True) -> list[Command]:
        """Seconds pass; with ``quiet`` False the index and what is held are quoted in each as they were."""
        out: list[Command] = []
        for _ in range(count):
            self.now_ns = (self.now_ns // NS_PER_SECOND + 1) * NS_PER_SECOND
            if not quiet:
                for key in (NIFTY.key, *self.engine.state.open_by_key):
                    known = self.engine.state.ticks.get(key)
                    if known is not None:
                        fresh = replace(known, at_ns=self.now_ns, exchange_s=self.now_ns // NS_PER_SECOND)
                        out += self.tell(fresh)
            out += self.tell(SecondPassed(self.now_ns))
        return out

    def later(self, seconds: int) -> list[Command]:
        """So many seconds on, and only the last of them passes: nothing is quoted meanwhile."""
        self.now_ns += (seconds - 1) * NS_PER_SECOND
        return self.second()

    def until(self, clock: str) -> list[Command]:
        """Jump there and let one second pass."""
        self.now_ns = at(clock) - 1
        return self.second()

    def tick(
        self,
        bid: int = 11_990,
        ask: int = 12_010,
        ltp: int | None = None,
        *,
        key: int = CALL.key,
        printed_ago_s: int = 0,
        after_ns: int = 0,
    ) -> list[Command]:
        """A packet of a contract; last is the bid unless said otherwise."""
        self.now_ns += after_ns
        last = bid if ltp is None else ltp
        known = self.engine.state.ticks.get(key)
        second = max(self.now_ns // NS_PER_SECOND - printed_ago_s, known.exchange_s if known is not None else 0)
        return self.tell(Tick(self.now_ns, key, second, last, bid, ask, 6_500, 6_500))

    def index(self, price: int = SPOT, exchange_s: int | None = None) -> list[Command]:
        """A print of the index."""
        return self.tell(Tick(self.now_ns, NIFTY.key, exchange_s or self.now_ns // NS_PER_SECOND, price))

    def chain(self, prices: dict[int, tuple[int, int]] | None = None, spot: int = SPOT) -> list[Command]:
        """A chain in which every contract is quoted 119.90 to 120.10 unless said otherwise."""
        prices = prices or {}
        rows = []
        for listed in CONTRACTS:
            bid, ask = prices.get(listed.key, (11_990, 12_010))
            rows.append(ChainRow(listed.key, bid, bid, ask, 200_000, 1_000))
        return self.tell(OptionChain(self.now_ns, "NIFTY", EXPIRY, spot, tuple(rows)))

    def operator(self, word: OperatorWord, target: str = "") -> list[Command]:
        """A person's word."""
        return self.tell(OperatorAsked(self.now_ns, word, target, "Asha"))

    def market(self) -> None:
        """Everything a guard wants to have seen."""
        self.tell(Tick(self.now_ns, INDIA_VIX_KEY, self.now_ns // NS_PER_SECOND, 1_400))
        self.chain()
        for listed in (CALL, PUT):
            self.tick(key=listed.key)

    def signal(self, close: int = SPOT) -> list[Command]:
        """A minute of the index closes: whole rupees say up, 50 paise say down."""
        self._index_again(close)
        self.now_ns = (self.now_ns // NS_PER_MINUTE + 1) * NS_PER_MINUTE
        self.market()
        return self.index(close)

    def _index_again(self, price: int) -> None:
        """A print of the index; where the story let minutes pass without one, the broker's own fill them."""
        index = self.engine.state.indices["NIFTY"]
        missed = index.missed_from_ns
        self.index(price)
        if index.missed_from_ns and not missed:
            last = Candle(index.missed_until_ns - NS_PER_MINUTE, price, price, price, price)
            self.tell(HistoryLoaded(self.now_ns, NIFTY.key, (last,)))

    def enter(self, close: int = SPOT) -> PlaceOrder:
        """A signal, and the buy order it becomes."""
        return one(self.signal(close), PlaceOrder)

    def hold(self, price: int = 12_000, quantity: int | None = None) -> tuple[PlaceOrder, PlaceOrder]:
        """Enter, fill, and accept the floor: (entry, floor)."""
        entry = self.enter()
        self.accept(entry)
        floor = one(self.fill(entry.order_id, quantity or entry.quantity, price), PlaceOrder)
        self.accept(floor)
        return entry, floor

    # --- the broker ---

    def accept(self, command: OrderCommand, *, push: bool = True) -> list[Command]:
        """Yes; the book shows it, and unless ``push`` is False the order socket says so."""
        row = self.accept_silently(command)
        out = self.tell(OrderAccepted(self.now_ns, command.order_id, request_of(command), row.broker_id))
        return out + self.push(command.order_id) if push else out

    def accept_silently(self, command: OrderCommand) -> BrokerOrder:
        """The book shows it, and nobody is told."""
        if isinstance(command, PlaceOrder):
            row = BrokerOrder(
                command.order_id,
                f"B{len(self.rows) + 1}",
                command.key,
                command.side,
                command.kind,
                BrokerStatus.PENDING,
                command.quantity,
                0,
                0,
                command.price_paise,
                command.trigger_paise,
            )
        elif isinstance(command, ModifyOrder):
            row = replace(
                self.rows[command.order_id],
                kind=command.kind,
                quantity=command.quantity,
                price_paise=command.price_paise,
                trigger_paise=command.trigger_paise,
            )
        else:
            row = replace(self.rows[command.order_id], status=BrokerStatus.CANCELLED)
        self.rows[command.order_id] = row
        return row

    def reject(self, command: OrderCommand, reason: str = "no") -> list[Command]:
        """No."""
        return self.tell(OrderRejected(self.now_ns, command.order_id, request_of(command), reason))

    def lose(self, command: OrderCommand) -> list[Command]:
        """Neither."""
        return self.tell(OrderUnknown(self.now_ns, command.order_id, request_of(command), "connection closed"))

    def set_row(self, order_id: str, **changed: Any) -> None:
        """The broker's book changes, and nobody is told."""
        self.rows[order_id] = replace(self.rows[order_id], **changed)

    def push(self, order_id: str) -> list[Command]:
        """The order socket tells how a row stands."""
        return self.tell(OrderReported(self.now_ns, self.rows[order_id]))

    def fill(self, order_id: str, quantity: int, price: int) -> list[Command]:
        """So much more of an order trades."""
        row = self.rows[order_id]
        filled = row.filled_quantity + quantity
        status = BrokerStatus.TRADED if filled == row.quantity else BrokerStatus.PART_TRADED
        value = row.filled_value_paise + quantity * price
        self.set_row(order_id, filled_quantity=filled, filled_value_paise=value, status=status)
        return self.push(order_id)

    def person(
        self,
        side: Side,
        quantity: int,
        status: BrokerStatus,
        price: int = 11_900,
        *,
        push: bool = True,
        name: str = "NA",
    ) -> list[Command]:
        """An order of another hand in the held contract; traded whole when the status says so."""
        filled = quantity if status is BrokerStatus.TRADED else 0
        row = BrokerOrder(
            name,
            f"F{len(self.foreign)}",
            CALL.key,
            side,
            OrderKind.LIMIT,
            status,
            quantity,
            filled,
            filled * price,
            price,
        )
        self.foreign.append(row)
        return self.tell(OrderReported(self.now_ns, row)) if push else []

    def book(self, *, began_ago_ns: int = 0) -> list[Command]:
        """The whole book is read."""
        return self.tell(self.reading(began_ago_ns))

    def reading(self, began_ago_ns: int = 0) -> BookRead:
        """The book as it stands, newest first as Dhan lists it."""
        rows = tuple(reversed((*self.rows.values(), *self.foreign)))
        return BookRead(self.now_ns, self.now_ns - began_ago_ns, rows, self._positions(rows), self.funds)

    def _positions(self, rows: Iterable[BrokerOrder]) -> tuple[BrokerPosition, ...]:
        sums: dict[int, list[int]] = {}
        for row in rows:
            held = sums.setdefault(row.key, [0, 0, 0, 0])
            place = 0 if row.side is Side.BUY else 2
            held[place] += row.filled_quantity
            held[place + 1] += row.filled_value_paise
        return tuple(BrokerPosition(key, b - s, b, bv, s, sv) for key, (b, bv, s, sv) in sorted(sums.items()))


def request_of(command: OrderCommand) -> Request:
    """Which of the three."""
    if isinstance(command, PlaceOrder):
        return Request.PLACE
    return Request.MODIFY if isinstance(command, ModifyOrder) else Request.CANCEL


def of(commands: Iterable[Command], kind: type[Wanted]) -> list[Wanted]:
    """Those of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def one(commands: Iterable[Command], kind: type[Wanted]) -> Wanted:
    """The only one of its kind."""
    commands = list(commands)
    found = of(commands, kind)
    assert len(found) == 1, f"{len(found)} {kind.__name__} in {commands}"
    return found[0]


def orders(commands: Iterable[Command]) -> list[OrderCommand]:
    """The order requests."""
    return [command for command in commands if isinstance(command, (PlaceOrder, ModifyOrder, CancelOrder))]


def codes(commands: Iterable[Command], level: str = "") -> list[str]:
    """The codes of the notices."""
    return [notice.code for notice in of(commands, Notify) if level in ("", notice.level)]


def reasons(commands: Iterable[Command], kind: DecisionKind) -> list[str]:
    """The reasons of the decisions of one kind."""
    return [decision.reason for decision in of(commands, Decision) if decision.kind is kind]


def is_floor(command: OrderCommand) -> bool:
    """A resting sell."""
    return (
        isinstance(command, (PlaceOrder, ModifyOrder))
        and command.purpose is Purpose.EXIT
        and command.kind is OrderKind.STOP_LIMIT
    )
