"""Option prices, greeks and implied volatility: Black-76 on a forward, undiscounted, time in ACT/365 years.

Prices, strikes and forwards share one unit, rupees or paise, as the caller likes; volatilities are fractions (0.12).
The forward comes from put-call parity of near strikes (`parity_forward`), never from a frozen index.
Formulas: F. Black, "The pricing of commodity contracts" (1976). Only + - * /, comparisons, sqrt, exp, log and erfc.

The ``dhan_`` functions reproduce the broker's own figures, which are Black-Scholes on spot with r = 10 % and an expiry
5.5 hours too late. They are for showing and simulating what Dhan prints; nothing decides by them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from math import erfc, exp, log, pi, sqrt
from typing import NamedTuple

from algo_scalper.domain.units import NS_PER_SECOND, ist_ns

_SQRT_HALF = sqrt(0.5)
_INV_SQRT_2PI = 1.0 / sqrt(2.0 * pi)
_DAYS_PER_YEAR = 365.0
_MAX_STEPS = 100
_PRECISION = 1e-13
_MAX_TOTAL_VOL = 20.0
DHAN_RATE = 0.10
"""The continuously compounded rate behind Dhan's own implied volatilities."""


class Greeks(NamedTuple):
    """Sensitivities: gamma per point, theta per calendar day, vega per volatility point (0.01)."""

    delta: float
    gamma: float
    theta: float
    vega: float


def price(forward: float, strike: float, years: float, sigma: float, is_call: bool) -> float:
    """The undiscounted Black-76 price; intrinsic value when no time or no volatility is left."""
    total = sigma * sqrt(years) if years > 0.0 else 0.0
    if total <= 0.0:
        return max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    d1 = log(forward / strike) / total + 0.5 * total
    d2 = d1 - total
    if is_call:
        return 0.5 * (forward * erfc(-d1 * _SQRT_HALF) - strike * erfc(-d2 * _SQRT_HALF))
    return 0.5 * (strike * erfc(d2 * _SQRT_HALF) - forward * erfc(d1 * _SQRT_HALF))


def greeks(forward: float, strike: float, years: float, sigma: float, is_call: bool) -> Greeks:
    """Greeks to the forward; at expiry only delta is left, 0 or +-1."""
    total = sigma * sqrt(years) if years > 0.0 else 0.0
    if total <= 0.0:
        in_the_money = forward > strike if is_call else forward < strike
        return Greeks((1.0 if is_call else -1.0) if in_the_money else 0.0, 0.0, 0.0, 0.0)
    d1 = log(forward / strike) / total + 0.5 * total
    density = _INV_SQRT_2PI * exp(-0.5 * d1 * d1)
    delta = 0.5 * erfc(-d1 * _SQRT_HALF) if is_call else -0.5 * erfc(d1 * _SQRT_HALF)
    return Greeks(
        delta,
        density / (forward * total),
        -0.5 * forward * density * sigma / sqrt(years) / _DAYS_PER_YEAR,
        forward * density * sqrt(years) / 100.0,
    )


def implied_vol(
    premium: float, forward: float, strike: float, years: float, is_call: bool, half_tick: float = 0.025
) -> float | None:
    """The volatility at which `price` gives ``premium``; None where the premium does not determine one.

    None when time is up, a number is not positive, the premium is within ``half_tick`` of intrinsic value (its unit is
    the premium's: 0.025 in rupees, 2.5 in paise) or above what any volatility gives. The out-of-the-money
    leg is inverted: parity makes its price the time value, which an in-the-money price drowns in rounding.
    """
    if years <= 0.0 or forward <= 0.0 or strike <= 0.0:
        return None
    intrinsic = max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    target = premium - intrinsic
    call = strike >= forward
    if not half_tick < target < (forward if call else strike) or target <= 0.0:
        return None
    # Newton on the logarithm of the price in the total volatility s = sigma sqrt(T), kept inside a bracket.
    # Start where the price bends, or near the money by the linear formula: from there Newton does not overshoot far.
    x = log(forward / strike)
    low, high = 0.0, _MAX_TOTAL_VOL
    s = min(max(sqrt(2.0 * abs(x)), target / (forward * _INV_SQRT_2PI)), 0.5 * _MAX_TOTAL_VOL)
    for _ in range(_MAX_STEPS):
        d1 = x / s + 0.5 * s
        d2 = d1 - s
        if call:
            value = 0.5 * (forward * erfc(-d1 * _SQRT_HALF) - strike * erfc(-d2 * _SQRT_HALF))
        else:
            value = 0.5 * (strike * erfc(d2 * _SQRT_HALF) - forward * erfc(d1 * _SQRT_HALF))
        if value > target:
            high = s
        else:
            low = s
        slope = forward * _INV_SQRT_2PI * exp(-0.5 * d1 * d1)
        following = s - (log(value) - log(target)) * value / slope if value > 0.0 and slope > 0.0 else low
        if not low < following < high:
            following = 0.5 * (low + high)
        moved = abs(following - s)
        s = following
        if moved <= _PRECISION * s:
            break
    return s / sqrt(years)


def parity_forward(pairs: Iterable[tuple[float, float, float]]) -> float | None:
    """The forward implied by near strikes, given as (strike, call mid, put mid): the median of strike + C - P.

    Undiscounted. A pair with an absent side (0) is left out; None when none is left.
    """
    forwards = sorted(strike + call - put for strike, call, put in pairs if call > 0.0 and put > 0.0)
    if not forwards:
        return None
    middle = len(forwards) // 2
    return forwards[middle] if len(forwards) % 2 else 0.5 * (forwards[middle - 1] + forwards[middle])


@lru_cache(maxsize=256)
def _dhan_expiry_ns(expiry: date) -> int:
    return ist_ns(expiry, 21 * 3600)  # 15:30 taken for UTC


def dhan_years(at_ns: int, expiry: date) -> float:
    """Time to expiry as Dhan counts it: to 15:30 UTC of the day, 5.5 hours late; never below 0."""
    return max(_dhan_expiry_ns(expiry) - at_ns, 0) / (_DAYS_PER_YEAR * 86_400 * NS_PER_SECOND)


def dhan_price(spot: float, strike: float, years: float, sigma: float, is_call: bool) -> float:
    """Black-Scholes on spot at 10 %; ``years`` from `dhan_years`."""
    growth = exp(DHAN_RATE * years)
    return price(spot * growth, strike, years, sigma, is_call) / growth


def dhan_iv(
    premium: float, spot: float, strike: float, years: float, is_call: bool, half_tick: float = 0.025
) -> float | None:
    """The implied volatility Dhan would print, as a fraction; None as in `implied_vol` (Dhan prints 0)."""
    growth = exp(DHAN_RATE * years)
    return implied_vol(premium * growth, spot * growth, strike, years, is_call, half_tick)


def dhan_greeks(spot: float, strike: float, years: float, sigma: float, is_call: bool) -> Greeks:
    """The greeks Dhan would print: spot delta, theta per calendar day, rounded to five decimals."""
    growth = exp(DHAN_RATE * years)
    delta, gamma, theta, vega = greeks(spot * growth, strike, years, sigma, is_call)
    # Financing: r x the cash leg, K e^-rT N(d2), which is S x delta less the price.
    cash = spot * delta - dhan_price(spot, strike, years, sigma, is_call)
    return Greeks(
        round(delta, 5),
        round(gamma * growth, 5),
        round(theta / growth - DHAN_RATE * cash / _DAYS_PER_YEAR, 5),
        round(vega / growth, 5),
    )
