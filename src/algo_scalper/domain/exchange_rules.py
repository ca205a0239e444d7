"""What the exchange takes: the form of an order, how far prices may lie apart, and the limit in place of a market order.

Written once: the engine prices by it, the simulated exchange admits by it, and the broker client checks its last word
by it. Facts (the broker's pages, not yet seen on the real one): a limit must lie within about 40 % of the last price,
Rs 20 at Rs 50 and below; BSE about 60 %, Rs 30. A stop's limit may lie at most 20 % of the trigger from it, Rs 10 at
Rs 50 and below, also on modification. Market orders are turned into limits by the broker since 2026-03-21, and market
stops refused on the sell side: neither is ever sent.
"""

from __future__ import annotations

from enum import StrEnum

from algo_scalper.domain.instruments import Contract, Exchange
from algo_scalper.domain.orders import OrderKind, Side
from algo_scalper.domain.units import apply_bps, tick_down, tick_up

MOST_CORRELATION = 25
"""Characters of a correlation id. Measured; the documentation says 30, and a 26-character id is refused."""
MOST_MODIFICATIONS = 25
"""Of one order."""

CHEAP_PAISE = 5_000
"""At this premium and below, distances are in rupees instead of percent."""
_BAND_BPS = {Exchange.NSE: 4_000, Exchange.BSE: 6_000}
_BAND_CHEAP_PAISE = {Exchange.NSE: 2_000, Exchange.BSE: 3_000}
_STOP_GAP_BPS = 2_000
_STOP_GAP_CHEAP_PAISE = 1_000
_SLABS_BPS = ((1_000, 500), (10_000, 300), (50_000, 200))
_SLAB_ABOVE_BPS = 100


class OrderFault(StrEnum):
    """Why no exchange takes an order, whatever the market does."""

    QUANTITY = "quantity"
    LOT = "lot"
    FREEZE = "freeze"
    PRICE = "price"
    TRIGGER = "trigger"
    SIDE_OF_TRIGGER = "side_of_trigger"


def order_fault(
    contract: Contract, side: Side, kind: OrderKind, quantity: int, price_paise: int, trigger_paise: int
) -> OrderFault | None:
    """The first thing wrong with the order's form, or None. A stop's limit lies at least a tick behind its trigger."""
    if quantity <= 0:
        return OrderFault.QUANTITY
    if quantity % contract.lot:
        return OrderFault.LOT
    if price_paise <= 0 or price_paise % contract.tick_paise:
        return OrderFault.PRICE
    if kind is OrderKind.STOP_LIMIT:
        if trigger_paise <= 0 or trigger_paise % contract.tick_paise:
            return OrderFault.TRIGGER
        behind = trigger_paise - price_paise if side is Side.SELL else price_paise - trigger_paise
        if behind <= 0:
            return OrderFault.SIDE_OF_TRIGGER
    return OrderFault.FREEZE if quantity > contract.freeze_quantity > 0 else None


def fault_text(fault: OrderFault, contract: Contract, quantity: int, price_paise: int, trigger_paise: int) -> str:
    """The fault in words, with the numbers and what would be right."""
    return {
        OrderFault.QUANTITY: f"quantity {quantity} is not above 0",
        OrderFault.LOT: f"quantity {quantity} is not a multiple of the lot {contract.lot}",
        OrderFault.FREEZE: f"quantity {quantity} is above the freeze quantity {contract.freeze_quantity}; send slices",
        OrderFault.PRICE: f"price {price_paise} paise is not a multiple of the tick {contract.tick_paise}",
        OrderFault.TRIGGER: f"trigger {trigger_paise} paise is not a multiple of the tick {contract.tick_paise}",
        OrderFault.SIDE_OF_TRIGGER: (
            f"limit {price_paise} must lie beyond trigger {trigger_paise} paise: below it to sell, above it to buy"
        ),
    }[fault]


def price_band(last_paise: int, exchange: Exchange, tick_paise: int) -> tuple[int, int]:
    """Lowest and highest limit the exchange takes around the last price, in paise."""
    if last_paise <= CHEAP_PAISE:
        room = _BAND_CHEAP_PAISE[exchange]
    else:
        room = apply_bps(last_paise, _BAND_BPS[exchange])
    return max(tick_up(last_paise - room, tick_paise), tick_paise), tick_down(last_paise + room, tick_paise)


def stop_gap(trigger_paise: int) -> int:
    """The farthest a stop's limit may lie from its trigger, in paise."""
    return _STOP_GAP_CHEAP_PAISE if trigger_paise <= CHEAP_PAISE else apply_bps(trigger_paise, _STOP_GAP_BPS)


def protection_bps(premium_paise: int) -> int:
    """The price protection of a premium: under Rs 10 5 %, to 100 3 %, to 500 2 %, above 1 %.

    The slabs of another NSE broker's page; Dhan's own were measured once, at 1 % on a commodity.
    """
    for below_paise, bps in _SLABS_BPS:
        if premium_paise < below_paise:
            return bps
    return _SLAB_ABOVE_BPS


def protected_limit(side: Side, touch_paise: int, tick_paise: int) -> int:
    """The limit sent in place of a market order: the touch (ask to buy, bid to sell) and the protection beyond it.

    At least one tick beyond, never below one tick.
    """
    slip = max(apply_bps(touch_paise, protection_bps(touch_paise)), tick_paise)
    if side is Side.BUY:
        return tick_down(touch_paise + slip, tick_paise)
    return max(tick_up(touch_paise - slip, tick_paise), tick_paise)


def protected_stop_limit(side: Side, trigger_paise: int, tick_paise: int) -> int:
    """The limit of a stop order: as far behind its trigger as is taken, less one tick of safety."""
    gap = stop_gap(trigger_paise)
    if side is Side.BUY:
        return tick_down(trigger_paise + gap, tick_paise) - tick_paise
    return max(tick_up(trigger_paise - gap, tick_paise) + tick_paise, tick_paise)


def slices(quantity: int, freeze_quantity: int, lot: int) -> tuple[int, ...]:
    """The quantities of the orders that carry ``quantity``: whole lots, none above the freeze quantity, fullest first.

    Raises ValueError when the quantity is no positive multiple of the lot.
    """
    if quantity <= 0 or quantity % lot:
        raise ValueError(f"quantity {quantity} is not a positive multiple of the lot {lot}")
    most = freeze_quantity // lot * lot
    if most <= 0:
        raise ValueError(f"freeze quantity {freeze_quantity} is less than a lot of {lot}")
    full, rest = divmod(quantity, most)
    return (most,) * full + ((rest,) if rest else ())
