"""One account's orders matched against the quotes that stand: broker, risk desk and exchange in one pure machine.

Nothing here knows the time or draws chance: every call carries its instant, every price comes from a `Quote` that was
`see`-n. Liquidity is finite: what an order took of a level is gone until the contract's next quote, and a resting
limit trades only when the market passes it or when the queue it stood in has been eaten by real volume.

Conservative where a paper exchange could flatter: a resting order never trades better than its own limit; charges are
debited fill by fill; a buy must have premium and charges covered beside all other working buys.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from algo_scalper.domain.account import Funds
from algo_scalper.domain.calendar import DaySchedule, contract_end_ns, day_schedule
from algo_scalper.domain.charges import exercise_charges, order_charges
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import Bug, DataError
from algo_scalper.domain.exchange_rules import MOST_CORRELATION, MOST_MODIFICATIONS, price_band, stop_gap
from algo_scalper.domain.instruments import Contract, Exchange, OptionType, key_text
from algo_scalper.domain.market import Levels, Quote
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, BrokerStatus, OrderKind, Product, Side
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.simulation.account_book import (
    LIVE,
    PLAIN,
    ExchangeChanges,
    ExchangeOrder,
    ExchangeState,
    Fill,
    Holding,
    Particulars,
    next_day,
)
from algo_scalper.simulation.admission import OFF_TICK, malformed
from algo_scalper.simulation.faults import thinned

__all__ = [
    "FOREIGN_ID",
    "SETTLEMENT_ID",
    "SQUARE_OFF_ID",
    "Answered",
    "ExchangeChanges",
    "ExchangeOrder",
    "ExchangeState",
    "Fill",
    "Holding",
    "SimulatedExchange",
    "next_day",
]

Answered = Accepted | Rejected
"""What an exchange can say; a lost answer is the wire's doing, not its."""

FOREIGN_ID = "NA"
"""The correlation id of an order placed in the broker's own app."""
SQUARE_OFF_ID = "VTT_SQROFF"
"""The correlation id of the broker's own selling."""
SETTLEMENT_ID = "EXPIRY"
"""Stands for the order id in the fill of an expired contract."""
SHORT_MARGIN_PERCENT = 12
"""Margin of an uncovered sale, of strike x quantity: about a lakh for one NIFTY lot and more."""
_UNSEEN = 10**12
"""A queue behind the fifth level: unknown, so never eaten."""


class SimulatedExchange:
    """The machine. Call `see` with every quote of `interest`, `pass_time` at `next_ns`, and `take_changes` after."""

    def __init__(
        self, contracts: Iterable[Contract], day: date, cash_paise: int = 0, state: ExchangeState | None = None
    ) -> None:
        self._contracts = {contract.key: contract for contract in contracts}
        kept = state if state is not None else ExchangeState(day, cash_paise, cash_paise)
        if kept.day != day:
            raise DataError(f"the account's book is of {kept.day}, not of {day}: begin the day with next_day()")
        gone = [key_text(held.key) for held in kept.holdings if held.net_quantity and held.key not in self._contracts]
        if gone:
            raise DataError(f"the account holds {', '.join(gone)}, which is not listed on {day}: settle it by hand")
        self.day = day
        self.cash_paise = kept.cash_paise
        self._start_of_day_paise = kept.start_of_day_paise
        self._sequence = kept.sequence
        self._orders = {order.broker_id: order for order in kept.orders}
        self._holdings = {held.key: held for held in kept.holdings}
        self._fills = list(kept.fills)
        self._squared_off = kept.squared_off
        self._schedules: dict[Exchange, DaySchedule | None] = {e: day_schedule(day, e) for e in Exchange}
        self._working: dict[int, list[ExchangeOrder]] = {}
        self._kept = [order for order in kept.orders if order.is_kept and order.status in LIVE]
        for order in kept.orders:
            if order.status in LIVE and not order.is_kept:
                self._working.setdefault(order.key, []).append(order)
        self._quotes: dict[int, Quote] = {}
        self._taken: dict[int, dict[tuple[Side, int], int]] = {}
        self._rows: list[BrokerOrder] = []
        self._touched: dict[str, ExchangeOrder] = {}
        self._moved: dict[int, Holding] = {}
        self._told = len(self._fills)
        self.interest: frozenset[int] = frozenset()
        """Keys whose every quote must be seen: those with working orders or a position."""
        self.lots_a_level: int | None = None
        """A fault: matching finds at most so many lots at each level; with 0 nothing trades. None: all that is shown."""
        self.refusals: list[str] = []
        """A fault: what the risk desk says to the next orders, in turn; ``<orderId>`` stands for the order's number."""
        self._update_interest()

    # --- requests ---

    def place(self, command: PlaceOrder, at_ns: int, particulars: Particulars = PLAIN) -> Answered:
        """An order arrives. Malformed ones are rejected; what the risk desk refuses is accepted, then REJECTED."""
        return self._place(
            command.order_id,
            command.key,
            command.side,
            command.kind,
            command.product,
            command.quantity,
            command.price_paise,
            command.trigger_paise,
            at_ns,
            particulars,
        )

    def foreign_place(
        self,
        key: int,
        side: Side,
        quantity: int,
        price_paise: int,
        at_ns: int,
        kind: OrderKind = OrderKind.LIMIT,
        trigger_paise: int = 0,
        product: Product = Product.INTRADAY,
    ) -> Answered:
        """A person places an order in the broker's app."""
        return self._place(FOREIGN_ID, key, side, kind, product, quantity, price_paise, trigger_paise, at_ns)

    def modify(self, command: ModifyOrder, at_ns: int) -> Answered:
        """Change a working order; ``quantity`` is its new total. A refused change leaves the order as it was."""
        found = self._changeable(command.broker_id, at_ns)
        if isinstance(found, Rejected):
            return found
        order = found
        if order.modifications >= MOST_MODIFICATIONS:
            return Rejected(
                f"DH-906: Order {order.broker_id} was modified {MOST_MODIFICATIONS} times, no more is allowed"
            )
        if command.kind is OrderKind.STOP_LIMIT and order.triggered:
            return Rejected("DH-906: the stop has triggered, the order can only be modified as a LIMIT")
        wrong = malformed(
            self._contracts[order.key],
            order.key,
            order.side,
            command.kind,
            command.quantity,
            command.price_paise,
            command.trigger_paise,
        )
        if wrong:
            return Rejected(wrong)
        if command.quantity <= order.filled_quantity:
            return Rejected(f"DH-905: quantity {command.quantity} is not above the {order.filled_quantity} traded")
        before = (order.kind, order.quantity, order.price_paise, order.trigger_paise)
        order.kind, order.quantity = command.kind, command.quantity
        order.price_paise, order.trigger_paise = command.price_paise, command.trigger_paise
        refusal = self._refusal(order)
        if refusal:
            order.kind, order.quantity, order.price_paise, order.trigger_paise = before
            return Rejected(refusal)
        order.modifications += 1
        if before[0] is OrderKind.STOP_LIMIT and command.kind is OrderKind.LIMIT:
            order.triggered = False
        if command.price_paise != before[2] or command.quantity > before[1] or command.kind is not before[0]:
            order.priority = self._next()
            order.sweeping = False
            self._stand_in_queue(order)
        self._report(order, at_ns)
        self._work(order, at_ns)
        self._update_interest()
        return Accepted(order.broker_id)

    def cancel(self, command: CancelOrder, at_ns: int) -> Answered:
        """Withdraw what is still working."""
        return self._cancel(command.broker_id, at_ns)

    def foreign_cancel(self, broker_id: str, at_ns: int) -> Answered:
        """A person cancels an order in the broker's app, whoever placed it."""
        return self._cancel(broker_id, at_ns)

    def convert(self, key: int, quantity: int, product: Product) -> Answered:
        """Part of an open position becomes one of the other ``product``; no order is made of it."""
        held = self._holdings.get(key)
        net = held.net_quantity if held is not None else 0
        if held is None or not net:
            return Rejected("DH-906: no open position to convert")
        sign = 1 if net > 0 else -1
        intraday = held.intraday_quantity * sign
        if not 0 < quantity <= (intraday if product is Product.MARGIN else abs(net) - intraday):
            return Rejected(f"DH-906: the open position has not {quantity} of that product to convert")
        held.intraday_quantity += sign * (-quantity if product is Product.MARGIN else quantity)
        self._moved[key] = held
        return Accepted("")

    def intraday_held(self, key: int) -> int:
        """The part of `held` that is INTRADAY."""
        held = self._holdings.get(key)
        return held.intraday_quantity if held else 0

    def endow(self, cash_paise: int) -> None:
        """The account has this much cash, as if the day had begun with it."""
        self._start_of_day_paise += cash_paise - self.cash_paise
        self.cash_paise = cash_paise

    # --- the market and the clock ---

    def see(self, quote: Quote) -> None:
        """The next quote of a contract: stops trigger, resting orders trade. An older or repeated one is ignored."""
        key = quote.tick.key
        before = self._quotes.get(key)
        if before is not None and quote.tick.at_ns <= before.tick.at_ns:
            return
        if self.lots_a_level is not None and key in self._contracts:
            quote = thinned(quote, self.lots_a_level * self._contracts[key].lot)
        self._quotes[key] = quote
        if key in self._taken:
            del self._taken[key]
        if key not in self._working:
            return
        traded = quote.tick.volume - before.tick.volume if before is not None else 0
        if self.lots_a_level is not None:
            traded = min(traded, self.lots_a_level * self._contracts[key].lot)
        at_ns = quote.tick.at_ns
        if not self._is_open(self._contracts[key], at_ns):
            return
        orders = self._working[key]
        orders.sort(key=_price_time)
        for order in tuple(orders):
            if order.is_resting_stop or order.sweeping:
                self._work(order, at_ns)
            else:
                traded -= self._let_trade(order, quote, traded, at_ns)
        self._update_interest()

    def next_ns(self, after_ns: int) -> int | None:
        """The next instant at which the broker or the exchange does something by itself; None when the day is over.

        What is overdue (a process that slept through it) is due at once.
        """
        due = [at for at in self._instants() if at > after_ns]
        due += [max(at, after_ns + 1) for at in map(self._release_ns, self._kept) if at]
        overdue = any(self._is_over(order.key, after_ns) for orders in self._working.values() for order in orders)
        if overdue or (not self._squared_off and self._square_off_due(after_ns)):
            due.append(after_ns + 1)
        return min(due) if due else None

    def pass_time(self, at_ns: int) -> None:
        """Square-off and closes that are due at this instant."""
        if not self._squared_off and self._square_off_due(at_ns):
            self._squared_off = True
            self._square_off(at_ns)
        for order in [o for o in self._kept if 0 < self._release_ns(o) <= at_ns]:
            self._release(order, at_ns)
        for order in [o for orders in self._working.values() for o in orders]:
            if self._is_over(order.key, at_ns):
                self._end(order, BrokerStatus.EXPIRED, at_ns)
        self._update_interest()

    @property
    def closed_ns(self) -> int:
        """When the last contract stops trading; 0 on a day without a session."""
        return max((s.options[-1].end_ns for s in self._schedules.values() if s is not None), default=0)

    def settle(self, closes_paise: dict[str, int], at_ns: int) -> None:
        """Expiring contracts that are still held become cash at their intrinsic value. Closes are by underlying."""
        for held in list(self._holdings.values()):
            contract = self._contracts[held.key]
            if not held.net_quantity or contract.expiry != self.day:
                continue
            close = closes_paise[contract.underlying]
            is_call = contract.option_type is OptionType.CE
            value = max(close - contract.strike_paise if is_call else contract.strike_paise - close, 0)
            quantity, long = abs(held.net_quantity), held.net_quantity > 0
            self._book(held, Side.SELL if long else Side.BUY, quantity, value, Product.MARGIN)
            held.intraday_quantity = 0
            if long:
                self.cash_paise -= exercise_charges(contract.exchange, value * quantity, self.day).total_paise
            self._fills.append(
                Fill(
                    len(self._fills) + 1,
                    SETTLEMENT_ID,
                    SETTLEMENT_ID,
                    held.key,
                    Side.SELL if long else Side.BUY,
                    quantity,
                    value,
                    at_ns,
                )
            )
        self._update_interest()

    # --- reading ---

    def rows(self) -> tuple[BrokerOrder, ...]:
        """The day's order book, oldest first, everyone's orders."""
        return tuple(order.row() for order in self._orders.values())

    def order(self, broker_id: str) -> ExchangeOrder | None:
        """The record behind a row, with its times and product."""
        return self._orders.get(broker_id)

    def positions(self) -> tuple[BrokerPosition, ...]:
        """The day's positions by key, closed ones included."""
        return tuple(
            BrokerPosition(
                held.key,
                held.net_quantity,
                held.bought_quantity,
                held.bought_value_paise,
                held.sold_quantity,
                held.sold_value_paise,
            )
            for _, held in sorted(self._holdings.items())
        )

    def fills(self) -> tuple[Fill, ...]:
        """The day's trades in order."""
        return tuple(self._fills)

    def held(self, key: int) -> int:
        """Contracts held; below 0 is short."""
        held = self._holdings.get(key)
        return held.net_quantity if held else 0

    def working(self) -> tuple[ExchangeOrder, ...]:
        """Orders that may still trade, by arrival."""
        return tuple(o for o in self._orders.values() if o.status in LIVE)

    def funds(self) -> Funds:
        """Available is cash less what working buys and uncovered sales block."""
        return Funds(self.available_paise, self._start_of_day_paise)

    @property
    def available_paise(self) -> int:
        """Cash that is not blocked."""
        blocked = 0
        sells: dict[int, int] = {}
        for orders in self._working.values():
            for order in orders:
                if order.side is Side.BUY:
                    blocked += self._buy_block(order)
                else:
                    sells[order.key] = sells.get(order.key, 0) + order.remaining
        keys = sells | {key: sells.get(key, 0) for key, held in self._holdings.items() if held.net_quantity < 0}
        for key, selling in keys.items():
            uncovered = max(selling - self.held(key), 0)
            blocked += self._short_margin(key, uncovered)
        return self.cash_paise - blocked

    def export(self) -> ExchangeState:
        """The whole state; records are the live ones, encode them before the next call."""
        return ExchangeState(
            self.day,
            self.cash_paise,
            self._start_of_day_paise,
            self._sequence,
            list(self._orders.values()),
            list(self._holdings.values()),
            list(self._fills),
            self._squared_off,
        )

    def take_rows(self) -> tuple[BrokerOrder, ...]:
        """The rows of `take_changes` alone, for a world that keeps no books."""
        if not self._rows:
            return ()
        return self.take_changes().rows

    def take_changes(self) -> ExchangeChanges:
        """What changed since the last call of this."""
        changes = ExchangeChanges(
            tuple(self._rows),
            tuple(self._touched.values()),
            tuple(self._moved.values()),
            tuple(self._fills[self._told :]),
            self.cash_paise,
            self._sequence,
        )
        self._rows.clear()
        self._touched.clear()
        self._moved.clear()
        self._told = len(self._fills)
        return changes

    # --- entering ---

    def _place(
        self,
        correlation_id: str,
        key: int,
        side: Side,
        kind: OrderKind,
        product: Product,
        quantity: int,
        price_paise: int,
        trigger_paise: int,
        at_ns: int,
        particulars: Particulars = PLAIN,
    ) -> Answered:
        wrong = malformed(self._contracts.get(key), key, side, kind, quantity, price_paise, trigger_paise)
        if len(correlation_id) > MOST_CORRELATION:
            wrong = f"DH-905: correlationId has {len(correlation_id)} characters, {MOST_CORRELATION} are allowed"
        if wrong:
            return Rejected(wrong)
        order = self._new_order(correlation_id, key, side, kind, product, quantity, price_paise, trigger_paise, at_ns)
        order.particulars = particulars
        if particulars.after_open_s is not None:
            self._keep(order, at_ns)
            return Accepted(order.broker_id)
        refusal = self._closed_text(order, at_ns) or self._asked_for(order) or self._refusal(order)
        if refusal:
            order.status, order.reason = BrokerStatus.REJECTED, refusal
            self._report(order, at_ns)
        else:
            self._admit(order, at_ns)
            if particulars.immediate and order.status in LIVE:
                self._end(order, BrokerStatus.CANCELLED, at_ns)
        self._update_interest()
        return Accepted(order.broker_id)

    def _keep(self, order: ExchangeOrder, at_ns: int) -> None:
        """An after-market order waits for the open; during the session there are none."""
        if self._is_open(self._contracts[order.key], at_ns):
            order.status = BrokerStatus.REJECTED
            order.reason = f"RMS:{order.broker_id}:After market orders are taken outside the session only."
        else:
            order.status, order.is_kept = BrokerStatus.PENDING, True
            self._kept.append(order)
            self._update_interest()
        self._report(order, at_ns)

    def _release_ns(self, order: ExchangeOrder) -> int:
        """When a kept order goes to the exchange; never for one that came after the close."""
        schedule = self._schedules[self._contracts[order.key].exchange]
        opens_ns = schedule.options[0].start_ns if schedule is not None else 0
        return opens_ns + (order.particulars.after_open_s or 0) * NS_PER_SECOND if order.created_ns < opens_ns else 0

    def _release(self, order: ExchangeOrder, at_ns: int) -> None:
        self._kept.remove(order)
        order.is_kept = False
        refusal = self._closed_text(order, at_ns) or self._refusal(order)
        if refusal:
            order.status, order.reason = BrokerStatus.REJECTED, refusal
            self._report(order, at_ns)
        else:
            self._admit(order, at_ns)

    def _new_order(
        self,
        correlation_id: str,
        key: int,
        side: Side,
        kind: OrderKind,
        product: Product,
        quantity: int,
        price_paise: int,
        trigger_paise: int,
        at_ns: int,
    ) -> ExchangeOrder:
        number = self._next()
        order = ExchangeOrder(
            f"22{self.day:%y%m%d}{number:06d}",
            correlation_id,
            key,
            side,
            kind,
            product,
            quantity,
            price_paise,
            trigger_paise if kind is OrderKind.STOP_LIMIT else 0,
            at_ns,
            at_ns,
            number,
        )
        self._orders[order.broker_id] = order
        return order

    def _admit(self, order: ExchangeOrder, at_ns: int) -> None:
        order.status = BrokerStatus.PENDING
        self._working.setdefault(order.key, []).append(order)
        self._stand_in_queue(order)
        self._report(order, at_ns)
        self._work(order, at_ns)

    def _closed_text(self, order: ExchangeOrder, at_ns: int) -> str:
        contract = self._contracts[order.key]
        if not self._is_open(contract, at_ns):
            return f"RMS:{order.broker_id}:Market is Closed! Orders are taken during the session only."
        if self._squared_off and order.side is Side.BUY and order.product is Product.INTRADAY:
            return f"RMS:{order.broker_id}:Intraday orders are not allowed after the square-off time."
        return ""

    def _asked_for(self, order: ExchangeOrder) -> str:
        """The refusal a fault has put here for the next order; a person's own orders are left alone."""
        if not self.refusals or order.correlation_id == FOREIGN_ID:
            return ""
        return self.refusals.pop(0).replace("<orderId>", order.broker_id)

    def _refusal(self, order: ExchangeOrder) -> str:
        """Why the risk desk or the exchange refuses an order or its change; empty when they do not."""
        contract, said = self._contracts[order.key], f"RMS:{order.broker_id}:"
        if order.quantity > contract.freeze_quantity:
            return f"{said}Order quantity {order.quantity} exceeds the freeze quantity {contract.freeze_quantity}"
        if order.price_paise % contract.tick_paise:
            return OFF_TICK
        if order.kind is OrderKind.STOP_LIMIT:
            gap, allowed = abs(order.trigger_paise - order.price_paise), stop_gap(order.trigger_paise)
            if gap > allowed:
                return f"{said}Difference of trigger and limit {gap / 100:.2f} exceeds {allowed / 100:.2f}"
        elif not self._inside_band(order):
            return "EXCH:16284:The order price is out of the days price range."
        short_of = -self._available_with(order)
        if short_of > 0:
            return f"{said}You have insufficient funds. Please add Rs.{short_of / 100:.2f} to trade."
        return ""

    def _available_with(self, order: ExchangeOrder) -> int:
        """Cash left if this order worked as it now reads, as far as it needs any; a covered sale needs none."""
        orders = self._working.get(order.key, [])
        if any(other is order for other in orders):
            available = self.available_paise
        else:
            self._working[order.key] = [*orders, order]
            available = self.available_paise
            self._working[order.key] = orders
            if not orders:
                del self._working[order.key]
        if order.side is Side.BUY:
            return available
        others = sum(o.remaining for o in orders if o is not order and o.side is Side.SELL)
        return available if order.remaining + others > self.held(order.key) else max(available, 0)

    def _inside_band(self, order: ExchangeOrder) -> bool:
        quote = self._quotes.get(order.key)
        if quote is None or not quote.tick.ltp_paise:
            return True
        contract = self._contracts[order.key]
        low, high = price_band(quote.tick.ltp_paise, contract.exchange, contract.tick_paise)
        return low <= order.price_paise <= high

    def _changeable(self, broker_id: str, at_ns: int) -> ExchangeOrder | Rejected:
        order = self._orders.get(broker_id)
        if order is None:
            return Rejected(f"DH-906: Order {broker_id} is not found")
        if order.status not in LIVE:
            return Rejected(f"DH-906: Order {broker_id} is {order.status.value} and can not be changed")
        if not self._is_open(self._contracts[order.key], at_ns):
            return Rejected("DH-906: Market is Closed! You cannot modify/cancel an order now.")
        return order

    def _cancel(self, broker_id: str, at_ns: int) -> Answered:
        kept = self._orders.get(broker_id)
        if kept is not None and kept.is_kept and kept.status in LIVE:
            self._kept.remove(kept)
            kept.status, kept.is_kept = BrokerStatus.CANCELLED, False
            self._report(kept, at_ns)
            self._update_interest()
            return Accepted(broker_id)
        found = self._changeable(broker_id, at_ns)
        if isinstance(found, Rejected):
            return found
        self._end(found, BrokerStatus.CANCELLED, at_ns)
        self._update_interest()
        return Accepted(found.broker_id)

    # --- matching ---

    def _work(self, order: ExchangeOrder, at_ns: int) -> None:
        """Trigger a stop the last price has reached, then take what stands within the limit."""
        quote = self._quotes.get(order.key)
        if quote is None:
            return
        if order.is_resting_stop:
            last = quote.tick.ltp_paise
            reached = last <= order.trigger_paise if order.side is Side.SELL else last >= order.trigger_paise
            if not last or not reached:
                return
            order.triggered = True
            if not self._inside_band(order):
                order.reason = "EXCH:16284:The order price is out of the days price range."
                self._end(order, BrokerStatus.REJECTED, at_ns)
                return
            self._stand_in_queue(order)
        self._take(order, quote, at_ns)

    def _take(self, order: ExchangeOrder, quote: Quote, at_ns: int) -> None:
        """Trade with the displayed levels inside the limit, each as far as nobody of ours took it already."""
        levels = quote.asks if order.side is Side.BUY else quote.bids
        within = 0
        for price, size in levels:
            if price > order.price_paise if order.side is Side.BUY else price < order.price_paise:
                break
            within += 1
            taken = self._taken.setdefault(order.key, {})
            left = size - taken.get((order.side, price), 0)
            quantity = min(left, order.remaining)
            if quantity > 0:
                taken[order.side, price] = taken.get((order.side, price), 0) + quantity
                self._fill(order, quantity, price, at_ns)
            if not order.remaining:
                return
        order.sweeping = within == len(levels)

    def _let_trade(self, order: ExchangeOrder, quote: Quote, traded: int, at_ns: int) -> int:
        """A resting limit under a new quote; returns how much of the traded volume it used up."""
        tick, limit = quote.tick, order.price_paise
        buying = order.side is Side.BUY
        opposite = tick.ask_paise if buying else tick.bid_paise
        if opposite and (opposite <= limit if buying else opposite >= limit):
            # The market came to us: everything shown through our price would have met it first, at our price.
            shown = self._through(order, quote)
            if shown > 0:
                self._fill(order, min(shown, order.remaining), limit, at_ns)
            # While it waits for more, no volume goes past it to a worse price.
            return traded if order.remaining else 0
        last = tick.ltp_paise
        if traded <= 0 or not last:
            return 0
        if last < limit if buying else last > limit:
            quantity = min(traded, order.remaining)
            self._fill(order, quantity, limit, at_ns)
            return quantity
        if last != limit:
            return 0
        eaten = min(order.queue_ahead, traded)
        order.queue_ahead -= eaten
        quantity = min(traded - eaten, order.remaining)
        if quantity > 0:
            self._fill(order, quantity, limit, at_ns)
        return eaten + max(quantity, 0)

    def _through(self, order: ExchangeOrder, quote: Quote) -> int:
        """Displayed contracts at or through the order's price, marked as taken up to what it needs."""
        levels = quote.asks if order.side is Side.BUY else quote.bids
        taken = self._taken.setdefault(order.key, {})
        needed = order.remaining
        found = 0
        for price, size in levels:
            if price > order.price_paise if order.side is Side.BUY else price < order.price_paise:
                break
            part = min(size - taken.get((order.side, price), 0), needed - found)
            if part > 0:
                taken[order.side, price] = taken.get((order.side, price), 0) + part
                found += part
        return found

    def _stand_in_queue(self, order: ExchangeOrder) -> None:
        """How much stands before the order at its price, as displayed; unknown behind the last level."""
        quote = self._quotes.get(order.key)
        levels: Levels = ()
        if quote is not None:
            levels = quote.bids if order.side is Side.BUY else quote.asks
        for price, size in levels:
            if price == order.price_paise:
                order.queue_ahead = size
                return
            if price < order.price_paise if order.side is Side.BUY else price > order.price_paise:
                order.queue_ahead = 0
                return
        order.queue_ahead = _UNSEEN if levels else 0

    def _fill(self, order: ExchangeOrder, quantity: int, price_paise: int, at_ns: int) -> None:
        contract = self._contracts[order.key]
        order.filled_quantity += quantity
        order.filled_value_paise += quantity * price_paise
        if order.filled_quantity > order.quantity:
            raise Bug(f"order {order.broker_id} filled {order.filled_quantity} of {order.quantity}")
        charges = order_charges(contract.exchange, order.side, order.filled_value_paise, self.day).total_paise
        self.cash_paise -= charges - order.charges_paise
        order.charges_paise = charges
        held = self._holdings.setdefault(order.key, Holding(order.key))
        self._book(held, order.side, quantity, price_paise, order.product)
        self._fills.append(
            Fill(
                len(self._fills) + 1,
                order.broker_id,
                order.correlation_id,
                order.key,
                order.side,
                quantity,
                price_paise,
                at_ns,
            )
        )
        if order.filled_quantity == order.quantity:
            self._end(order, BrokerStatus.TRADED, at_ns)
        else:
            order.status = BrokerStatus.PART_TRADED
            self._report(order, at_ns)

    def _book(self, held: Holding, side: Side, quantity: int, price_paise: int, product: Product) -> None:
        value = quantity * price_paise
        signed = quantity if side is Side.BUY else -quantity
        held.net_quantity += signed
        if product is Product.INTRADAY:
            held.intraday_quantity += signed
        if side is Side.BUY:
            held.bought_quantity += quantity
            held.bought_value_paise += value
            self.cash_paise -= value
        else:
            held.sold_quantity += quantity
            held.sold_value_paise += value
            self.cash_paise += value
        self._moved[held.key] = held

    def _end(self, order: ExchangeOrder, status: BrokerStatus, at_ns: int) -> None:
        order.status = status
        order.sweeping = False
        orders = self._working[order.key]
        orders.remove(order)
        if not orders:
            del self._working[order.key]
        self._report(order, at_ns)

    def _report(self, order: ExchangeOrder, at_ns: int) -> None:
        order.updated_ns = at_ns
        self._rows.append(order.row())
        self._touched[order.broker_id] = order

    # --- the broker's own doings ---

    def _square_off(self, at_ns: int) -> None:
        """Intraday orders are cancelled, intraday positions closed by limits at the far edge of the band."""
        for order in [o for orders in self._working.values() for o in orders]:
            if order.product is Product.INTRADAY:
                self._end(order, BrokerStatus.CANCELLED, at_ns)
        for key, held in sorted(self._holdings.items()):
            # What is intraday of what is there: another product may have been sold out of the same contract.
            quantity = held.intraday_quantity
            if quantity > 0:
                quantity = max(min(quantity, held.net_quantity), 0)
            elif quantity < 0:
                quantity = min(max(quantity, held.net_quantity), 0)
            if not quantity or not self._is_open(self._contracts[key], at_ns):
                continue
            contract = self._contracts[key]
            quote = self._quotes.get(key)
            last = quote.tick.ltp_paise if quote is not None else 0
            low, high = price_band(last, contract.exchange, contract.tick_paise)
            side = Side.SELL if quantity > 0 else Side.BUY
            left = abs(quantity)
            while left > 0:
                part = min(left, contract.freeze_quantity)
                left -= part
                order = self._new_order(
                    SQUARE_OFF_ID,
                    key,
                    side,
                    OrderKind.LIMIT,
                    Product.INTRADAY,
                    part,
                    low if side is Side.SELL else high,
                    0,
                    at_ns,
                )
                self._admit(order, at_ns)

    def _square_off_due(self, at_ns: int) -> bool:
        return any(0 < s.square_off_ns <= at_ns < self.closed_ns for s in self._schedules.values() if s is not None)

    def _instants(self) -> set[int]:
        found: set[int] = set()
        for schedule in self._schedules.values():
            if schedule is not None:
                found |= {schedule.expiring_end_ns, schedule.options[-1].end_ns}
                if schedule.square_off_ns and not self._squared_off:
                    found.add(schedule.square_off_ns)
        return found

    # --- small things ---

    def _is_open(self, contract: Contract, at_ns: int) -> bool:
        schedule = self._schedules[contract.exchange]
        return (
            schedule is not None
            and schedule.options_open(at_ns)
            and at_ns < contract_end_ns(schedule, contract.expiry)
            and contract.expiry >= self.day
        )

    def _is_over(self, key: int, at_ns: int) -> bool:
        """Has the contract stopped trading for the day?"""
        contract = self._contracts[key]
        schedule = self._schedules[contract.exchange]
        return schedule is None or at_ns >= contract_end_ns(schedule, contract.expiry)

    def _buy_block(self, order: ExchangeOrder) -> int:
        value = order.filled_value_paise + order.price_paise * order.remaining
        charges = order_charges(self._contracts[order.key].exchange, Side.BUY, value, self.day).total_paise
        return order.price_paise * order.remaining + charges - order.charges_paise

    def _short_margin(self, key: int, quantity: int) -> int:
        return self._contracts[key].strike_paise * quantity * SHORT_MARGIN_PERCENT // 100

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _update_interest(self) -> None:
        held = {key for key, holding in self._holdings.items() if holding.net_quantity}
        wanted = held | self._working.keys() | {order.key for order in self._kept}
        if wanted != self.interest:
            self.interest = frozenset(wanted)


def _price_time(order: ExchangeOrder) -> tuple[int, int, int]:
    """Better prices first, then arrival; a stop waits behind everything."""
    price = -order.price_paise if order.side is Side.BUY else order.price_paise
    return (1 if order.is_resting_stop else 0, price, order.priority)
