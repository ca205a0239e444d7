"""Everything the broker watches for the account: super orders, forever orders, triggers and the P&L exit, in one place.

`react` is called after every step of the world and costs nothing while nothing stands.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.orders import Product
from algo_scalper.simulation import forever_orders, pnl_exit, super_orders, triggers
from algo_scalper.simulation.account_book import LIVE
from algo_scalper.simulation.broker_hand import BrokerHand
from algo_scalper.simulation.forever_orders import ForeverOrder
from algo_scalper.simulation.pnl_exit import PnlExit
from algo_scalper.simulation.super_orders import SuperOrder
from algo_scalper.simulation.triggers import Gauge, Trigger
from algo_scalper.simulation.world import World


class StandingState(msgspec.Struct):
    """What is kept over a restart."""

    sequence: int = 0
    super_orders: list[SuperOrder] = []
    forever_orders: list[ForeverOrder] = []
    price_triggers: list[Trigger] = []
    pnl_exit: PnlExit = msgspec.field(default_factory=PnlExit)
    kill_switch: bool = False

    def next_day(self) -> StandingState:
        """On the next session: forever orders and triggers that still wait; all else was of the day."""
        return StandingState(
            0,
            [],
            [one for one in self.forever_orders if one.is_waiting],
            [one for one in self.price_triggers if one.status == triggers.ACTIVE],
        )


class Standing:
    """One account's standing instructions over one world."""

    def __init__(self, world: World, gauge: Gauge, state: StandingState | None = None) -> None:
        """``gauge``: what conditional triggers read indicators from."""
        kept = state if state is not None else StandingState()
        self._world, self._gauge = world, gauge
        self._sequence = kept.sequence
        self.hand = BrokerHand(world)
        self.super_orders = {one.order_id: one for one in kept.super_orders}
        self.forever_orders = {one.order_id: one for one in kept.forever_orders}
        self.price_triggers = {one.alert_id: one for one in kept.price_triggers}
        self.pnl_exit = kept.pnl_exit
        self.kill_switch = kept.kill_switch
        """On: no new orders for the rest of the day."""

    def export(self) -> StandingState:
        """The whole state; the records are the live ones."""
        return StandingState(
            self._sequence,
            list(self.super_orders.values()),
            list(self.forever_orders.values()),
            list(self.price_triggers.values()),
            self.pnl_exit,
            self.kill_switch,
        )

    def next_id(self, prefix: str) -> str:
        """A number for an instruction, of the day and in order, unlike any order's."""
        self._sequence += 1
        return f"{prefix}{self._world.market.day:%y%m%d}{self._sequence:06d}"

    def keys(self) -> frozenset[int]:
        """Whose prices must pass for the instructions to be seen to."""
        market = self._world.market
        wanted = {one.key for one in self.super_orders.values() if not one.is_over}
        wanted |= {one.key for one in self.forever_orders.values() if one.is_waiting}
        wanted |= {one.key for one in self.price_triggers.values() if one.can_fire}
        return frozenset(key for key in wanted if market.knows(key))

    def react(self) -> bool:
        """Do what the prices and fills of this instant ask for; did anything change?"""
        hand, changed = self.hand, False
        if not self._is_open():
            return False
        for supers in self.super_orders.values():
            changed |= not supers.is_over and super_orders.watch(supers, hand)
        if not self.kill_switch:
            # These would be new orders; the exits above go on.
            for forever in self.forever_orders.values():
                changed |= forever.is_waiting and forever_orders.watch(forever, hand)
            for trigger in self.price_triggers.values():
                changed |= trigger.can_fire and triggers.watch(trigger, hand, self._gauge, self._world.market.day)
        exits = self.pnl_exit
        if exits.status == pnl_exit.ACTIVE and pnl_exit.is_reached(exits, self._world.exchange.positions(), hand):
            exits.status = pnl_exit.INACTIVE
            self.sell_out(pnl_exit.sold_products(exits))
            self.kill_switch |= exits.with_kill_switch
            changed = True
        return changed

    def sell_out(self, products: frozenset[Product] = frozenset(Product)) -> str:
        """Withdraw every working order and every leg, close every position; why it could not, empty when it did."""
        for one in self.super_orders.values():
            if not one.is_over and one.product in products:
                super_orders.cancel(one, super_orders.ENTRY, self.hand)
        return self.hand.sell_out(products)

    def is_flat(self) -> bool:
        """Is nothing held and nothing working?"""
        exchange = self._world.exchange
        return not any(position.net_quantity for position in exchange.positions()) and not any(
            order.status in LIVE for order in exchange.working()
        )

    @property
    def is_idle(self) -> bool:
        """Does nothing stand that could act?"""
        exits = self.pnl_exit.status == pnl_exit.ACTIVE
        return not (exits or self.super_orders or self.forever_orders or self.price_triggers)

    def _is_open(self) -> bool:
        return any(part.holds(self._world.now_ns) for part in self._world.market.schedule.options)
