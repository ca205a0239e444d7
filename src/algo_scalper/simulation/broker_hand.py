"""The broker's own hands on the account: what super orders, forever orders, triggers and exits place by themselves.

Nothing is under way for it: an order it places is at the exchange in the same instant. What would be a MARKET order is
priced as one, by the last price or the best quote, whichever lies further through, and 1 % more.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.orders import OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.domain.units import tick_down, tick_up
from algo_scalper.simulation.account_book import LIVE, PLAIN, ExchangeOrder, Particulars
from algo_scalper.simulation.exchange import SQUARE_OFF_ID, Answered
from algo_scalper.simulation.world import World

PROTECTION_BPS = 100
"""A MARKET order becomes a limit this far through the market."""


class OrderTemplate(msgspec.Struct, frozen=True):
    """An order to be placed later. A ``price_paise`` of 0 is MARKET: priced when it is placed."""

    key: int
    side: Side
    quantity: int
    product: Product
    price_paise: int = 0
    trigger_paise: int = 0
    """Not 0: a stop-limit."""
    immediate: bool = False


class BrokerHand:
    """Places, changes and cancels at once. Prices of keys nobody lists are 0."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._contracts: dict[int, Contract] = {contract.key: contract for contract in world.contracts}

    @property
    def now_ns(self) -> int:
        """The instant it is."""
        return self._world.now_ns

    def last_paise(self, key: int) -> int:
        """The last price; 0 when there is none."""
        market = self._world.market
        return market.quote(key, self.now_ns).tick.ltp_paise if market.knows(key) else 0

    def market_paise(self, key: int, side: Side) -> int:
        """The limit a MARKET order would get; 0 for what has no price."""
        if key not in self._contracts:
            return 0
        tick = self._world.market.quote(key, self.now_ns).tick
        if side is Side.BUY:
            return self.protected_paise(key, side, max(tick.ltp_paise, tick.ask_paise))
        return self.protected_paise(key, side, min(tick.ltp_paise, tick.bid_paise or tick.ltp_paise))

    def protected_paise(self, key: int, side: Side, price_paise: int) -> int:
        """A limit 1 % through a price of a listed contract."""
        step, room = self._contracts[key].tick_paise, price_paise * PROTECTION_BPS // 10_000
        if side is Side.BUY:
            return tick_up(price_paise + room, step)
        return max(tick_down(price_paise - room, step), step)

    def order(self, broker_id: str) -> ExchangeOrder | None:
        """The exchange's record of an order."""
        return self._world.exchange.order(broker_id)

    def held(self, key: int) -> int:
        """Contracts held; below 0 is short."""
        return self._world.exchange.held(key)

    def contract(self, key: int) -> Contract | None:
        """The listed contract under a key."""
        return self._contracts.get(key)

    def place(self, order: OrderTemplate, correlation_id: str, particulars: Particulars = PLAIN) -> Answered:
        """Put an order on the exchange."""
        price = order.price_paise or self.market_paise(order.key, order.side)
        command = PlaceOrder(
            order_id=correlation_id,
            key=order.key,
            side=order.side,
            kind=OrderKind.STOP_LIMIT if order.trigger_paise else OrderKind.LIMIT,
            quantity=order.quantity,
            price_paise=price,
            trigger_paise=order.trigger_paise,
            purpose=Purpose.ENTRY if order.side is Side.BUY else Purpose.EXIT,
            product=order.product,
        )
        if order.immediate:
            particulars = msgspec.structs.replace(particulars, immediate=True)
        return self._world.at_once(command, particulars)

    def modify(self, record: ExchangeOrder, quantity: int, price_paise: int) -> Answered:
        """Give a working limit another total quantity and price."""
        kind, trigger = record.kind, record.trigger_paise
        purpose = Purpose.ENTRY if record.side is Side.BUY else Purpose.EXIT
        return self._world.at_once(
            ModifyOrder(
                record.correlation_id, record.broker_id, record.key, kind, quantity, price_paise, trigger, purpose
            )
        )

    def cancel(self, broker_id: str) -> Answered:
        """Withdraw an order."""
        record = self.order(broker_id)
        if record is None:
            return Rejected(f"DH-906: Order {broker_id} is not found")
        purpose = Purpose.ENTRY if record.side is Side.BUY else Purpose.EXIT
        return self._world.at_once(CancelOrder(record.correlation_id, broker_id, record.key, purpose))

    def sell_out(self, products: frozenset[Product] = frozenset(Product)) -> str:
        """Cancel every working order and close every position of these products; why it could not, empty when it did."""
        exchange = self._world.exchange
        trouble = ""
        for order in exchange.working():
            if order.product in products and order.status in LIVE:
                answer = self.cancel(order.broker_id)
                trouble = trouble or (answer.reason if isinstance(answer, Rejected) else "")
        for position in exchange.positions():
            net_quantity = position.net_quantity
            # Of what is there: another product may have been sold out of the same contract.
            low, high = min(net_quantity, 0), max(net_quantity, 0)
            intraday = min(max(exchange.intraday_held(position.key), low), high)
            for product, net in ((Product.INTRADAY, intraday), (Product.MARGIN, net_quantity - intraday)):
                if net and product in products:
                    trouble = self._close(position.key, net, product) or trouble
        return trouble

    def _close(self, key: int, net_quantity: int, product: Product) -> str:
        side = Side.SELL if net_quantity > 0 else Side.BUY
        left, most = abs(net_quantity), self._contracts[key].freeze_quantity
        while left > 0:
            part = min(left, most)
            left -= part
            answer = self.place(OrderTemplate(key, side, part, product), SQUARE_OFF_ID)
            record = self.order(answer.broker_id) if isinstance(answer, Accepted) else None
            if record is None:
                return answer.reason if isinstance(answer, Rejected) else "the order was lost"
            if record.reason:
                return record.reason
        return ""
