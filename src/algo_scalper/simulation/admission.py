"""The rules an order must pass by itself: what a request may look like, and how far prices may lie apart."""

from __future__ import annotations

from algo_scalper.domain.instruments import Contract, Exchange
from algo_scalper.domain.orders import OrderKind, Side

MAX_CORRELATION = 25
MAX_MODIFICATIONS = 25
_CHEAP_PAISE = 5_000


def price_band(last_paise: int, exchange: Exchange, tick_paise: int) -> tuple[int, int]:
    """Lowest and highest limit the exchange takes: 40 % around the last price, Rs 20 up to Rs 50; BSE 60 %, Rs 30."""
    wide = exchange is Exchange.BSE
    if last_paise <= _CHEAP_PAISE:
        room = 3_000 if wide else 2_000
    else:
        room = last_paise * (60 if wide else 40) // 100
    low = max(-(-(last_paise - room) // tick_paise) * tick_paise, tick_paise)
    return low, (last_paise + room) // tick_paise * tick_paise


def stop_gap(trigger_paise: int) -> int:
    """The farthest a stop's limit may lie from its trigger: 20 %, Rs 10 up to Rs 50."""
    return 1_000 if trigger_paise <= _CHEAP_PAISE else trigger_paise * 20 // 100


def malformed(
    contract: Contract | None,
    key: int,
    side: Side,
    kind: OrderKind,
    quantity: int,
    price_paise: int,
    trigger_paise: int,
) -> str:
    """Why the request itself cannot be taken, in the broker's words; empty when it can."""
    if contract is None:
        return f"DH-905: securityId of key {key} is not listed"
    if quantity <= 0 or quantity % contract.lot:
        return f"DH-905: quantity {quantity} is not a multiple of the lot size {contract.lot}"
    if price_paise <= 0 or price_paise % contract.tick_paise:
        return f"DH-905: price {price_paise} paise is not a multiple of the tick {contract.tick_paise}"
    if kind is OrderKind.LIMIT:
        return ""
    if trigger_paise <= 0 or trigger_paise % contract.tick_paise:
        return f"DH-905: trigger {trigger_paise} paise is not a multiple of the tick {contract.tick_paise}"
    if side is Side.SELL and trigger_paise <= price_paise:
        return "DH-906: Trigger Price should be greater than Price"
    if side is Side.BUY and trigger_paise >= price_paise:
        return "DH-906: Trigger Price should be less than Price"
    return ""
