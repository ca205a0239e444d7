"""The promises, looked at after every event: from the exchange's side, from the engine's, and both against each other.

What the exchange did is known here exactly (every row it made, every request on its way to it), so nothing is taken
from the engine's word that could be had from there.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from algo_scalper.domain.commands import CancelOrder, Command, ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.events import (
    BookRead,
    BookUnread,
    Event,
    OrderAccepted,
    OrderRejected,
    OrderReported,
    OrderUnknown,
    SecondPassed,
)
from algo_scalper.domain.market import Tick
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, Order, OrderKind, OrderState, Purpose, Request, Side
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.engine.state import State

if TYPE_CHECKING:
    from tests.chaos.harness import Run

_LIVE = frozenset({BrokerStatus.TRANSIT, BrokerStatus.PENDING, BrokerStatus.PART_TRADED})
UNCOVERED_KNOWN_NS = 3 * NS_PER_SECOND
"""Everything is known and nothing is under way: so long may a held contract lack its resting sell."""
UNCOVERED_NS = 30 * NS_PER_SECOND
"""With pushes dropped and books late, so long; a lost answer, a refusal or a freeze begins it anew."""


class Broken(AssertionError):
    """A promise did not hold."""


class Flight(msgspec.Struct):
    """A request on its way to the exchange, sent by the process of that epoch."""

    command: OrderCommand
    epoch: int


def charges_paise(rows: list[tuple[Side, int]]) -> int:
    """Charges of executed orders given as (side, value in paise), at NSE's rates of November 2026, by hand.

    Brokerage Rs 20 an order; STT 0.15 % of sells; exchange 0.03503 %; IPFT 0.0005 %; SEBI Rs 10 a crore; stamp 0.003 %
    of buys; GST 18 % of brokerage, exchange, IPFT and SEBI. Rounded once, half up.
    """
    total = Fraction(0)
    for side, value in rows:
        fees = 2_000 + value * (Fraction(3_503, 10_000_000) + Fraction(50, 10_000_000) + Fraction(1, 1_000_000))
        total += fees * Fraction(118, 100)
        total += value * (Fraction(15, 10_000) if side is Side.SELL else Fraction(3, 100_000))
    return int(total + Fraction(1, 2))


class Promises:
    """What must hold, and the independent books it is checked against."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.feeds_down: set[str] = set()
        self.rows: dict[str, BrokerOrder] = {}
        """Our orders as the exchange last told them, by correlation id."""
        self.keys: dict[int, list[str]] = {}
        self._sent_ids: set[str] = set()
        self._placed: deque[int] = deque()
        self._books_read = 0
        self._lost: dict[str, tuple[int, Request, int]] = {}
        """Requests whose answer was lost: since when, which, and how many books since prove absence."""
        self._asked: dict[str, Request] = {}
        self._uncovered: dict[str, int] = {}
        self._uncovered_known: dict[str, tuple[int, int]] = {}
        self._closed: dict[str, tuple[int, int, int, int]] = {}
        self._orders_of: dict[str, list[Order]] = {}
        self._orders_known = 0

    # --- from the exchange's side ---

    def sent(self, command: OrderCommand, flight: Flight) -> None:
        """A request has left."""
        del flight
        if isinstance(command, PlaceOrder):
            if command.order_id in self._sent_ids:
                raise Broken(f"correlation id {command.order_id} is sent a second time")
            self._sent_ids.add(command.order_id)
        self._asked[command.order_id] = _request(command)
        self._never_naked(command.key)

    def row(self, row: BrokerOrder) -> None:
        """The exchange has made a row."""
        if not row.correlation_id.startswith(self.run.tag):
            return
        if row.correlation_id not in self.rows:
            self.keys.setdefault(row.key, []).append(row.correlation_id)
        self.rows[row.correlation_id] = row
        self._never_naked(row.key)

    def _never_naked(self, key: int) -> None:
        """Sold, resting to be sold and on its way to be sold: never more than was bought; in one order at most."""
        bought = sold = selling = 0
        live: set[str] = set()
        rests: dict[str, int] = {}
        for order_id in self.keys.get(key, ()):
            row = self.rows[order_id]
            if row.side is Side.BUY:
                bought += row.filled_quantity
            else:
                sold += row.filled_quantity
                if row.status in _LIVE:
                    rests[order_id] = row.quantity - row.filled_quantity
                    live.add(order_id)
        for flight in self.run.flights.values():
            command = flight.command
            if command.key != key or command.purpose is not Purpose.EXIT:
                continue
            if isinstance(command, PlaceOrder):
                rests[command.order_id] = command.quantity
                live.add(command.order_id)
            elif isinstance(command, ModifyOrder) and command.order_id in live:
                filled = self.rows[command.order_id].filled_quantity
                rests[command.order_id] = max(rests[command.order_id], command.quantity - filled)
        selling = sum(rests.values())
        if sold + selling > bought:
            raise Broken(
                f"never naked: {key & 0xFFFF} bought {bought}, sold {sold}, and {selling} more may be sold {rests}"
            )
        if len(live) > 1:
            raise Broken(f"never double: {key & 0xFFFF} has {len(live)} sell orders that may trade: {sorted(live)}")

    # --- after every event ---

    def crashed(self) -> None:
        """What was asked and not answered is an open question of the next process."""
        self._books_read = 0
        for order_id, request in self._asked.items():
            row = self.rows.get(order_id)
            if row is not None and row.status not in _LIVE:
                continue  # it may well have been told
            self._lost[order_id] = (self.run.now_ns, request, 0)
        self._asked.clear()
        self._uncovered.clear()
        self._uncovered_known.clear()
        self._orders_of.clear()
        self._orders_known = 0

    def after(self, state: State, event: Event, commands: list[Event | Command]) -> None:
        """All of them."""
        for command in commands:
            if isinstance(command, PlaceOrder | ModifyOrder | CancelOrder):
                self._asked_for(state, command)
        if type(event) is not Tick or commands:
            self._books_agree(state)
        if type(event) is Tick and event.key in state.open_by_key:
            self._left_in_an_emergency(state.open_by_key[event.key], event)
        if type(event) is SecondPassed:
            self._covered(state)

    def hear(self, event: Event) -> None:
        """What the engine is about to be told, kept apart from what it makes of it."""
        if isinstance(event, OrderAccepted | OrderRejected):
            self._asked.pop(event.order_id, None)
            self._lost.pop(event.order_id, None)
        elif isinstance(event, OrderUnknown):
            self._asked.pop(event.order_id, None)
            row = self.rows.get(event.order_id)
            if row is None or row.status in _LIVE:
                self._lost[event.order_id] = (event.at_ns, event.request, 0)
        elif isinstance(event, BookRead):
            self._books_read += 1
            seen = {row.correlation_id for row in event.orders}
            for order_id, (since_ns, request, absent) in list(self._lost.items()):
                if order_id in seen:
                    del self._lost[order_id]
                elif event.began_ns >= since_ns + self.run.rules.orders.settle_ns:
                    if absent + 1 >= 2:
                        del self._lost[order_id]
                    else:
                        self._lost[order_id] = (since_ns, request, absent + 1)
        elif isinstance(event, OrderReported):
            lost = self._lost.get(event.row.correlation_id)
            if lost is not None and (lost[1] is Request.PLACE or event.row.status not in _LIVE):
                del self._lost[event.row.correlation_id]
        if isinstance(event, BookUnread | OrderRejected | OrderUnknown):
            self._uncovered.clear()

    def _asked_for(self, state: State, command: OrderCommand) -> None:
        now_ns = state.now_ns
        while self._placed and self._placed[0] <= now_ns - NS_PER_SECOND:
            self._placed.popleft()
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.ENTRY:
            self._may_enter(state, command)
        position = state.positions[state.orders[command.order_id].position_id]
        if position.state is PositionState.HANDED_OVER and not isinstance(command, CancelOrder):
            raise Broken(f"{position.id} was handed over, and yet {command}")
        if state.stopping:
            raise Broken(f"{command} after the process was asked to end")
        if command.purpose is Purpose.EXIT and not isinstance(command, CancelOrder):
            self._sells_what_is_held(state, position, command)
        self._placed.append(now_ns)

    def _sells_what_is_held(self, state: State, position: Position, command: PlaceOrder | ModifyOrder) -> None:
        """A sell order is always for everything held: no more, and no less either."""
        sells = command.quantity
        if isinstance(command, ModifyOrder):
            sells -= state.orders[command.order_id].filled_quantity
        if sells != position.held:
            raise Broken(f"{position.id} holds {position.held}, and its order is to sell {sells}: {command}")

    def _may_enter(self, state: State, command: PlaceOrder) -> None:
        if self.run.store.standing_halt or state.ledger.halted:
            raise Broken(f"an entry while halted ({self.run.store.standing_halt or state.ledger.halted})")
        if self.feeds_down:
            raise Broken(f"an entry while {sorted(self.feeds_down)} is down")
        if not self._books_read:
            raise Broken("an entry before the broker's book was read")
        if self._lost:
            raise Broken(f"an entry while the fate of {self._lost} is open")
        if len(self._placed) >= state.rules.orders.per_second:
            raise Broken(f"an entry as request {len(self._placed) + 1} of this second")
        if command.side is not Side.BUY:
            raise Broken(f"an entry that sells: {command}")

    def _books_agree(self, state: State) -> None:
        if len(state.orders) != self._orders_known:
            self._orders_known = len(state.orders)
            self._orders_of = {}
            for order in state.orders.values():
                self._orders_of.setdefault(order.position_id, []).append(order)
        for position in state.open_by_key.values():
            self._position_agrees(position)
        self._ledger_agrees(state)

    def _left_in_an_emergency(self, position: Position, tick: Tick) -> None:
        """The first bid under the emergency stop is enough."""
        lowest = position.average_paise * (10_000 - position.exit_rules.emergency_bps) // 10_000
        if position.held and position.state is PositionState.OPEN and 0 < tick.bid_paise < lowest:
            raise Broken(
                f"{position.id}: a bid of {tick.bid_paise} against an average of {position.average_paise}, and it stays"
            )

    def _position_agrees(self, position: Position) -> None:
        bought = cost = sold = proceeds = 0
        for order in self._orders_of.get(position.id, ()):
            if order.side is Side.BUY:
                bought += order.filled_quantity
                cost += order.filled_value_paise
            else:
                sold += order.filled_quantity
                proceeds += order.filled_value_paise
            row = self.rows.get(order.id)
            if order.filled_quantity and (row is None or row.filled_quantity < order.filled_quantity):
                raise Broken(f"order {order.id} has {order.filled_quantity} filled, the exchange says {row}")
        if (bought, cost) != (position.bought_quantity, position.cost_paise):
            raise Broken(
                f"{position.id} bought {position.bought_quantity}, its orders {bought}; cost {position.cost_paise}, {cost}"
            )
        by_hand = position.sold_quantity - sold
        if by_hand < 0 or position.proceeds_paise < proceeds:
            raise Broken(f"{position.id} sold {position.sold_quantity}, its orders {sold}")
        if by_hand == 0 and position.proceeds_paise != proceeds:
            raise Broken(f"{position.id} took {position.proceeds_paise}, its orders {proceeds}")
        if by_hand and by_hand > self._sold_by_others(position.key):
            raise Broken(f"{position.id}: {by_hand} booked as sold by another hand, more than the exchange knows")
        if position.held < 0:
            raise Broken(f"{position.id} holds {position.held}")

    def _sold_by_others(self, key: int) -> int:
        total = sum(row.sold_quantity for row in self.run.exchange.positions() if row.key == key)
        return total - sum(
            self.rows[order_id].filled_quantity
            for order_id in self.keys.get(key, ())
            if self.rows[order_id].side is Side.SELL
        )

    def _ledger_agrees(self, state: State) -> None:
        ledger = state.ledger
        closed = [p for p in state.positions.values() if p.state is PositionState.CLOSED and p.bought_quantity]
        if ledger.trades != len(closed):
            raise Broken(f"the ledger has {ledger.trades} trades, {len(closed)} positions are closed")
        gross = charges = 0
        for position in closed:
            known = self._closed.get(position.id)
            if known is None or known[:2] != (position.proceeds_paise, position.charges_paise):
                self._position_agrees(position)
                known = self._closed[position.id] = (
                    position.proceeds_paise,
                    position.charges_paise,
                    position.proceeds_paise - position.cost_paise,
                    self._charges_by_hand(position),
                )
            gross += known[2]
            charges += known[3]
            if position.held:
                raise Broken(f"{position.id} is closed and holds {position.held}")
        if (ledger.realised_paise, ledger.charges_paise) != (gross, charges):
            raise Broken(
                f"the ledger says {ledger.realised_paise} less {ledger.charges_paise}, "
                f"the closed positions {gross} less {charges}"
            )

    def _charges_by_hand(self, position: Position) -> int:
        ours = [order for order in self._orders_of.get(position.id, ()) if order.filled_quantity]
        executed = [(order.side, order.filled_value_paise) for order in ours]
        foreign = position.proceeds_paise - sum(order.filled_value_paise for order in ours if order.side is Side.SELL)
        if foreign:
            executed.append((Side.SELL, foreign))
        return charges_paise(executed)

    def handed_over(self, position: Position) -> None:
        """We give a position away only to a hand that has shown itself."""
        if position.key not in self.run.touched:
            raise Broken(f"{position.id} was handed over, and nobody had touched it")

    # --- the floor ---

    def _covered(self, state: State) -> None:
        """A held contract has its resting sell, for all of it, within a bounded time."""
        now_ns = state.now_ns
        for position in state.open_by_key.values():
            resting = self._resting(position.key)
            held = max(position.held, self._held(position))
            if position.state is PositionState.HANDED_OVER or resting >= held:
                self._uncovered.pop(position.id, None)
                self._uncovered_known.pop(position.id, None)
                continue
            if self._excused(state, position):
                self._uncovered.pop(position.id, None)
                self._uncovered_known.pop(position.id, None)
                continue
            since_ns = self._uncovered.setdefault(position.id, now_ns)
            if now_ns - since_ns > UNCOVERED_NS:
                raise Broken(f"{position.id}: {held} held and {resting} resting for {UNCOVERED_NS // NS_PER_SECOND} s")
            if self._in_the_dark(state, position):
                self._uncovered_known.pop(position.id, None)
                continue
            since_ns, seconds = self._uncovered_known.get(position.id, (now_ns, 0))
            self._uncovered_known[position.id] = (since_ns, seconds + 1)
            if now_ns - since_ns > UNCOVERED_KNOWN_NS and seconds >= 3:
                raise Broken(f"{position.id}: {position.held} held, {resting} resting, all known and nothing done")

    def at_rest(self, position: Position) -> bool:
        """Held, covered, and nothing else of it alive."""
        live = [order for order in self._orders_of.get(position.id, ()) if order.is_live]
        covered = position.held == self._held(position) == self._resting(position.key)
        return position.state is PositionState.OPEN and not position.frozen and covered and len(live) == 1

    def _held(self, position: Position) -> int:
        """What the exchange sold to this position and has not bought back, whether the engine knows it or not."""
        held = 0
        for order in self._orders_of.get(position.id, ()):
            row = self.rows.get(order.id)
            if row is not None:
                held += row.filled_quantity if row.side is Side.BUY else -row.filled_quantity
        return held

    def _resting(self, key: int) -> int:
        return sum(
            row.quantity - row.filled_quantity
            for order_id in self.keys.get(key, ())
            if (row := self.rows[order_id]).side is Side.SELL and row.status in _LIVE
        )

    def _excused(self, state: State, position: Position) -> bool:
        """Unknown, frozen, or waiting for a person: these are rules of their own, with their own bounds."""
        return bool(
            position.frozen
            or position.refloor_ns
            or position.exit_rejections
            or not state.reconciled
            or any(order.unknown_since_ns for order in self._orders_of.get(position.id, ()))
        )

    def _in_the_dark(self, state: State, position: Position) -> bool:
        """The engine cannot know yet: a request is unanswered, or the exchange has moved on unseen."""
        del state
        for order in self._orders_of.get(position.id, ()):
            row = self.rows.get(order.id)
            if order.request is not None or order.state is OrderState.TRANSIT or order.cancel_asked_ns:
                return True
            if row is None or (row.status in _LIVE) != order.is_live or row.filled_quantity != order.filled_quantity:
                return True
            if row.status in _LIVE and order.kind is not row.kind and row.kind is OrderKind.STOP_LIMIT:
                return True
            if row.quantity != order.quantity and order.is_live:
                return True
        return False

    # --- at the end ---

    def at_the_end(self, state: State) -> None:
        """Faults are over for a while: flat, nothing unknown, and three books that agree."""
        if state.open_by_key:
            raise Broken(f"not flat by square-off: {list(state.open_by_key.values())}")
        if state.unknown_orders():
            raise Broken(f"still unknown: {[o for o in state.orders.values() if o.unknown_since_ns]}")
        for row in self.rows.values():
            order = state.orders.get(row.correlation_id)
            if order is None:
                raise Broken(f"an order of ours that the engine does not know: {row}")
            if (order.filled_quantity, order.filled_value_paise) != (row.filled_quantity, row.filled_value_paise):
                raise Broken(f"order {order.id} filled {order.filled_quantity}, at the exchange {row}")
            if row.status in _LIVE or order.is_live:
                raise Broken(f"an order that may still trade: {row} {order.state}")
        for held in self.run.exchange.positions():
            ours = sum(p.bought_quantity for p in state.positions.values() if p.key == held.key)
            gone = sum(p.sold_quantity for p in state.positions.values() if p.key == held.key)
            if ours != gone:
                raise Broken(f"{held.key & 0xFFFF}: bought {ours}, sold {gone}")
        self._books_agree(state)


def _request(command: OrderCommand) -> Request:
    if isinstance(command, PlaceOrder):
        return Request.PLACE
    return Request.MODIFY if isinstance(command, ModifyOrder) else Request.CANCEL
