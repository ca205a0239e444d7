"""Conditional triggers: orders placed once when a price stands or moves against a value as asked.

Only ``PRICE_WITH_VALUE`` fires here. Conditions on indicators are kept, shown ACTIVE and never met: this market keeps no
indicators for the broker.
"""

from __future__ import annotations

from datetime import date

import msgspec

from algo_scalper.simulation.broker_hand import BrokerHand, OrderTemplate

PRICE_WITH_VALUE = "PRICE_WITH_VALUE"
COMPARISONS = frozenset({PRICE_WITH_VALUE, "TECHNICAL_WITH_VALUE", "TECHNICAL_WITH_INDICATOR", "TECHNICAL_WITH_CLOSE"})
OPERATORS = frozenset(
    {
        "CROSSING_UP",
        "CROSSING_DOWN",
        "CROSSING_ANY_SIDE",
        "GREATER_THAN",
        "LESS_THAN",
        "GREATER_THAN_EQUAL",
        "LESS_THAN_EQUAL",
        "EQUAL",
        "NOT_EQUAL",
    }
)
ACTIVE, TRIGGERED, EXPIRED, CANCELLED = "ACTIVE", "TRIGGERED", "EXPIRED", "CANCELLED"


class PriceTrigger(msgspec.Struct):
    """One alert with its orders."""

    alert_id: str
    key: int
    """Whose price is compared."""
    comparison: str
    operator: str
    value_paise: int
    expires: date
    orders: list[OrderTemplate]
    condition: dict[str, str | int | float | None]
    """The condition as it was sent, for showing."""
    order_rows: list[dict[str, str | int | float | None]]
    created_ns: int
    status: str = ACTIVE
    triggered_ns: int = 0
    last_paise: int = 0
    """The price of the last look; 0 before the first."""

    @property
    def can_fire(self) -> bool:
        """Is its price worth watching?"""
        return self.status == ACTIVE and self.comparison == PRICE_WITH_VALUE


def holds(operator: str, before_paise: int, now_paise: int, value_paise: int) -> bool:
    """Is the condition met? A crossing needs an earlier price on the other side (``before_paise`` 0: there is none)."""
    if operator.startswith("CROSSING"):
        up = 0 < before_paise < value_paise <= now_paise
        down = before_paise > value_paise >= now_paise
        return up if operator == "CROSSING_UP" else down if operator == "CROSSING_DOWN" else up or down
    return {
        "GREATER_THAN": now_paise > value_paise,
        "LESS_THAN": now_paise < value_paise,
        "GREATER_THAN_EQUAL": now_paise >= value_paise,
        "LESS_THAN_EQUAL": now_paise <= value_paise,
        "EQUAL": now_paise == value_paise,
        "NOT_EQUAL": now_paise != value_paise,
    }[operator]


def watch(one: PriceTrigger, hand: BrokerHand, today: date) -> bool:
    """Look at the price; place the orders if the condition is met. Did anything change?"""
    if today > one.expires:
        one.status = EXPIRED
        return True
    last, before = hand.last_paise(one.key), one.last_paise
    if not last:
        return False
    one.last_paise = last
    if not holds(one.operator, before, last, one.value_paise):
        return False
    one.status, one.triggered_ns = TRIGGERED, hand.now_ns
    for template in one.orders:
        hand.place(template, f"ALERT-{one.alert_id}"[:25])
    return True
