"""Conditional triggers: orders placed once when a price or an indicator stands or moves as asked.

A price is looked at whenever time passes, an indicator once for each closed candle of its frame. The first look is at
once, and a crossing needs two: the side the condition was on at one, the other side or equality at the next. What
indicators are worth is not this module's to know: a `Gauge` says it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

from algo_scalper.simulation.broker_hand import BrokerHand, OrderTemplate

PRICE_WITH_VALUE = "PRICE_WITH_VALUE"
TECHNICAL_WITH_VALUE = "TECHNICAL_WITH_VALUE"
TECHNICAL_WITH_INDICATOR = "TECHNICAL_WITH_INDICATOR"
TECHNICAL_WITH_CLOSE = "TECHNICAL_WITH_CLOSE"
COMPARISONS = frozenset({PRICE_WITH_VALUE, TECHNICAL_WITH_VALUE, TECHNICAL_WITH_INDICATOR, TECHNICAL_WITH_CLOSE})
CLOSE = "CLOSE"
"""What a `Gauge` is asked for to get a candle's closing price."""
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


class Reading(msgspec.Struct, frozen=True):
    """What an indicator is worth after a closed candle, in whole hundredths of a point or of a percent."""

    candle_ns: int
    """When that candle began."""
    value: int


Gauge = Callable[[int, int, str], Reading | None]
"""(key, minutes of a candle, name of an indicator) -> its newest reading; None while there are too few candles."""


class Trigger(msgspec.Struct):
    """One alert with its orders."""

    alert_id: str
    key: int
    """Whose price or candles are looked at."""
    comparison: str
    operator: str
    value: int
    """What is compared with, in hundredths (paise); of no meaning where it is another reading."""
    expires: date
    orders: list[OrderTemplate]
    condition: dict[str, str | int | float | None]
    """The condition as it was sent, for showing."""
    order_rows: list[dict[str, str | int | float | None]]
    created_ns: int
    minutes: int = 0
    """How long the candles of its indicator are; 0 for a price."""
    indicator: str = ""
    against: str = ""
    """The indicator, or `CLOSE`, it is compared with; empty for a value."""
    status: str = ACTIVE
    triggered_ns: int = 0
    last_paise: int = 0
    """The price of the last look; 0 before the first."""
    candle_ns: int = 0
    """The candle of the last look; 0 before the first, and for a price."""
    gap: int | None = None
    """By how much the left side lay above the right one at the last look; None before the first."""

    @property
    def can_fire(self) -> bool:
        """Is it worth looking at?"""
        return self.status == ACTIVE


def met(operator: str, before: int | None, now: int) -> bool:
    """Is the condition met? Both are left side less right side; ``before`` None: there was no look yet."""
    if operator.startswith("CROSSING"):
        up = before is not None and before < 0 <= now
        down = before is not None and before > 0 >= now
        return up if operator == "CROSSING_UP" else down if operator == "CROSSING_DOWN" else up or down
    return {
        "GREATER_THAN": now > 0,
        "LESS_THAN": now < 0,
        "GREATER_THAN_EQUAL": now >= 0,
        "LESS_THAN_EQUAL": now <= 0,
        "EQUAL": now == 0,
        "NOT_EQUAL": now != 0,
    }[operator]


def watch(one: Trigger, hand: BrokerHand, gauge: Gauge, today: date) -> bool:
    """Look at the price or at a new candle; place the orders if the condition is met. Did anything change?"""
    if today > one.expires:
        one.status = EXPIRED
        return True
    last, before = hand.last_paise(one.key), one.gap
    gap = _candle_gap(one, gauge) if one.minutes else last - one.value
    if not last or gap is None:
        return False
    one.last_paise, one.gap = last, gap
    if not met(one.operator, before, gap):
        return False
    one.status, one.triggered_ns = TRIGGERED, hand.now_ns
    for template in one.orders:
        hand.place(template, f"ALERT-{one.alert_id}"[:25])
    return True


def _candle_gap(one: Trigger, gauge: Gauge) -> int | None:
    """Left side less right side after a candle that was not looked at yet; None where there is none."""
    left = gauge(one.key, one.minutes, one.indicator)
    right = gauge(one.key, one.minutes, one.against) if one.against else None
    if left is None or left.candle_ns == one.candle_ns or (one.against and right is None):
        return None
    one.candle_ns = left.candle_ns
    return left.value - (right.value if right is not None else one.value)
