"""The form an order request must have, and the broker's words for what is wrong with it.

A price between two ticks is no matter of form: such an order is taken and then refused by the exchange.
"""

from __future__ import annotations

from algo_scalper.domain.exchange_rules import OrderFault, order_fault
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.orders import OrderKind, Side

OFF_TICK = "EXCH:16283:The order price is not multiple of tick size"
"""The exchange's words, as they came in a real order book."""


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
    fault = order_fault(contract, side, kind, quantity, price_paise, trigger_paise)
    if fault is None or fault is OrderFault.FREEZE or (fault is OrderFault.PRICE and price_paise > 0):
        return ""  # refused later, by the risk desk or the exchange
    if fault in (OrderFault.QUANTITY, OrderFault.LOT):
        return f"DH-905: quantity {quantity} is not a multiple of the lot size {contract.lot}"
    if fault is OrderFault.PRICE:
        return f"DH-905: price {price_paise} paise is not above 0"
    if fault is OrderFault.TRIGGER:
        return f"DH-905: trigger {trigger_paise} paise is not a multiple of the tick {contract.tick_paise}"
    return f"DH-906: Trigger Price should be {'greater' if side is Side.SELL else 'less'} than Price"
