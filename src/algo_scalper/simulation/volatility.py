"""At-the-money volatility by days to expiry and time of day, and the smile around it, as measured in 2024-26.

Volatilities are fractions a year for ACT/365 time to 15:30 of the expiry day (`domain.calendar.years_to_expiry`).
"""

from __future__ import annotations

from itertools import pairwise
from math import exp

Points = tuple[tuple[float, float], ...]
"""A line through (x, y), x ascending."""

LEVEL_RATIO = {"NIFTY": 1.0, "SENSEX": 1.0, "BANKNIFTY": 1.09, "FINNIFTY": 1.07}
"""At-the-money volatility against NIFTY's."""
_SPOT_VOL = 8.5
"""Log volatility falls this much per unit log rise of the index: -1.1 to -1.3 points per +1 % near 13 %."""
# At-the-money volatility over the 30-day one, by days to expiry; between them in a straight line.
_TERM: Points = ((1, 1.28), (2, 1.10), (3, 1.00), (4, 0.96), (6, 1.00), (10, 1.00), (35, 1.00), (60, 0.98), (400, 0.94))
# Intraday course of at-the-money volatility by minute of the day, as a factor.
_COURSE: Points = ((555, 1.03), (630, 0.99), (720, 0.97), (915, 0.97), (930, 0.985))
_COURSE_LAST_DAY_BUT_ONE: Points = ((555, 1.04), (720, 0.95), (900, 0.89), (930, 0.88))
_COURSE_EXPIRY: Points = (
    (555, 1.95),
    (615, 1.90),
    (630, 1.75),
    (795, 1.75),
    (810, 1.87),
    (870, 1.84),
    (885, 1.47),
    (900, 0.98),
    (915, 0.77),
    (922, 0.82),
    (930, 1.30),
)
# iv / ATM = a + b u + c u^2, u = ln(K/F) / (ATM sqrt T), by days to expiry (up to).
SMILE = (
    (1, (1.0, -0.039, 0.053)),
    (8, (1.0, -0.04, 0.050)),
    (16, (0.99, -0.059, 0.053)),
    (9999, (0.99, -0.070, 0.053)),
)
BEND, WING = 2.5, 4.0
"""The smile goes on straight from ``u`` = +-2.5, as measured wings do, and flat from +-4: no wing may rise for ever."""
CLOSE_MINUTE = 15 * 60 + 30


def between(points: Points, x: float) -> float:
    """The piecewise straight line through ``points``, flat outside them."""
    if x <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return points[-1][1]


def vol_level(previous_scale: float) -> float:
    """NIFTY's 30-day at-the-money volatility for a market as volatile as ``previous_scale`` times the usual."""
    return min(max(0.12 * (0.45 + 0.65 * previous_scale), 0.09), 0.45)


def atm_vol(level: float, days: int, minute_of_day: int, move: float) -> float:
    """At-the-money volatility ``days`` before expiry at a time of day, after the index moved by log ``move`` today."""
    answer = level * exp(-_SPOT_VOL * min(max(move, -0.03), 0.03))
    if days <= 0:
        return answer * between(_COURSE_EXPIRY, minute_of_day)
    course = _COURSE_LAST_DAY_BUT_ONE if days == 1 else _COURSE
    return answer * between(_TERM, days) * between(course, minute_of_day)


def smile_factor(curve: tuple[float, float, float], u: float) -> float:
    """Volatility over at-the-money volatility at ``u`` = ln(K/F) / (ATM sqrt T)."""
    a, b, c = curve
    u = min(max(u, -WING), WING)
    if -BEND <= u <= BEND:
        return a + u * (b + c * u)
    edge = BEND if u > 0.0 else -BEND
    return a + edge * (b + c * edge) + (u - edge) * (b + 2.0 * c * edge)
