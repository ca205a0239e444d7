"""The P&L exit: the day's profit or loss reaches a bound, and everything is sold, for this day only."""

from __future__ import annotations

import msgspec

from algo_scalper.domain.orders import BrokerPosition, Product
from algo_scalper.simulation.broker_hand import BrokerHand

ACTIVE, INACTIVE, DISABLED = "ACTIVE", "INACTIVE", "DISABLED"
PRODUCTS = {"INTRADAY": Product.INTRADAY, "DELIVERY": Product.MARGIN}


class PnlExit(msgspec.Struct):
    """What was asked for. Both bounds are above 0; INACTIVE once it has fired."""

    profit_paise: int = 0
    loss_paise: int = 0
    products: list[str] = []
    with_kill_switch: bool = False
    status: str = DISABLED


def day_pnl_paise(positions: tuple[BrokerPosition, ...], hand: BrokerHand) -> int:
    """Realised and open profit of the day's positions at the last prices, before charges."""
    return sum(
        position.sold_value_paise
        - position.bought_value_paise
        + position.net_quantity * (hand.last_paise(position.key) if position.net_quantity else 0)
        for position in positions
    )


def is_reached(exit_: PnlExit, positions: tuple[BrokerPosition, ...], hand: BrokerHand) -> bool:
    """Has an ACTIVE one's profit or loss been made?"""
    pnl = day_pnl_paise(positions, hand)
    return exit_.status == ACTIVE and not -exit_.loss_paise < pnl < exit_.profit_paise


def sold_products(exit_: PnlExit) -> frozenset[Product]:
    """What it sells when it fires."""
    return frozenset(PRODUCTS[name] for name in exit_.products)
