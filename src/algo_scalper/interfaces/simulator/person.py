"""A person with the same account in the broker's own app: cancels our stops, sells what we hold, buys more."""

from __future__ import annotations

from collections.abc import Callable

from algo_scalper.domain.instruments import key_security_id
from algo_scalper.domain.orders import Side
from algo_scalper.domain.units import NS_PER_SECOND, tick_down, tick_up
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.faults import Hand

_SLIP_BPS = 1_000
"""How far through the market a person prices an order."""


class Person:
    """``later`` puts an action off by ns of the market's time."""

    def __init__(self, desk: Desk, later: Callable[[int, Callable[[], None]], None]) -> None:
        self._desk = desk
        self._world = desk.world
        self._later = later

    def acts(self, hand: Hand) -> None:
        """What the hand does, its orders a second after its cancels."""
        if not hand.cancel_floor:
            self._trades(hand)
            return
        for order in self._world.exchange.working():
            mine = not hand.security_id or key_security_id(order.key) == hand.security_id
            if mine and order.side is Side.SELL:
                self._world.foreign_cancel(order.broker_id)
        if hand.sell or hand.buy:
            self._later(NS_PER_SECOND, lambda: self._trades(hand))

    def _trades(self, hand: Hand) -> None:
        if hand.sell:
            self._sells(hand)
        if hand.buy:
            self._buys(hand)

    def _buys(self, hand: Hand) -> None:
        """More of what is held; of nothing held, the contract that was named."""
        held = [position.key for position in self._world.book().positions if position.net_quantity > 0]
        keys = [key for key in held if not hand.security_id or key_security_id(key) == hand.security_id]
        named = [key for key in self._desk.contracts if key_security_id(key) == hand.security_id]
        for key in (keys or named)[:1]:
            contract = self._desk.contracts[key]
            tick = self._desk.day_print(key).quote.tick
            price_paise = tick.ask_paise or tick.ltp_paise
            price_paise = tick_up(price_paise + price_paise * _SLIP_BPS // 10_000, contract.tick_paise)
            self._world.foreign_place(key, Side.BUY, hand.buy, price_paise)

    def _sells(self, hand: Hand) -> None:
        for position in self._world.book().positions:
            held = position.net_quantity
            if held <= 0 or (hand.security_id and key_security_id(position.key) != hand.security_id):
                continue
            contract = self._desk.contracts[position.key]
            quantity = held if isinstance(hand.sell, str) else min(hand.sell, held)
            bid_paise = self._desk.day_print(position.key).quote.tick.bid_paise
            price_paise = tick_down(bid_paise - bid_paise * _SLIP_BPS // 10_000, contract.tick_paise)
            self._world.foreign_place(position.key, Side.SELL, quantity, max(price_paise, contract.tick_paise))
