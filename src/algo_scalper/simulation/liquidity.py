"""Spreads, sizes, open interest and volume of option chains, measured on full exchange chains of August 2025.

Premiums and spreads are rupees at an index level of 24,500 and scale with the level.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.instruments import FINNIFTY
from algo_scalper.simulation.volatility import Points


class Liquidity(msgspec.Struct, frozen=True):
    """Medians by premium: spread in rupees, best size in contracts."""

    spread: Points
    size: Points


# fmt: off
_WEEK_1 = Liquidity(
    ((0, 0.05), (22, 0.05), (35, 0.10), (75, 0.15), (150, 0.29), (300, 0.65), (400, 0.95), (600, 2.7), (1000, 20.0), (3000, 60.0)),
    ((1, 180_000), (3, 136_000), (7, 15_000), (15, 11_000), (35, 4_400), (75, 1_900), (150, 600), (300, 225), (600, 75)),
)
_WEEK_2 = Liquidity(
    ((0, 0.05), (3, 0.10), (15, 0.10), (35, 0.15), (75, 0.25), (150, 0.40), (300, 0.75), (400, 1.0), (600, 2.75), (1000, 26.0)),
    ((1, 12_600), (3, 825), (7, 1_200), (15, 825), (35, 525), (75, 375), (150, 225), (300, 150), (600, 225)),
)
_WEEK_3 = Liquidity(
    ((0, 0.20), (3, 1.05), (7, 0.85), (75, 0.95), (150, 1.35), (300, 1.9), (400, 2.3), (600, 14.0), (1000, 50.0)),
    ((1, 825), (35, 300), (150, 150), (600, 150)),
)
_BANK = Liquidity(
    ((0, 0.05), (3, 0.10), (7, 0.45), (35, 0.85), (75, 0.60), (150, 0.70), (300, 0.90), (500, 1.30), (900, 6.0), (1500, 145.0)),
    ((1, 2_000), (3, 490), (7, 140), (35, 140), (75, 70), (600, 70)),
)
_LIQUIDITY: dict[str, tuple[Liquidity, ...]] = {
    "NIFTY": (_WEEK_1, _WEEK_2, _WEEK_3),
    "SENSEX": (_WEEK_1, _WEEK_2, _WEEK_3),
    "BANKNIFTY": (_BANK, _WEEK_3),
    "FINNIFTY": (_WEEK_3,),
}

# By rank of the expiry: lots traded in a day, and open interest in contracts.
DAY_LOTS = {"NIFTY": (98e6, 3.41e6, 329e3), "SENSEX": (40e6, 1e6, 50e3), "BANKNIFTY": (2.7e6, 94e3), "FINNIFTY": (30e3, 1e3)}
OPEN_INTEREST = {"NIFTY": (310e6, 58e6, 9e6), "SENSEX": (40e6, 6e6, 5e5), "BANKNIFTY": (27.5e6, 3.1e6), "FINNIFTY": (1.5e6, 1e5)}

# Share of the expiry per strike and side, by distance out of the money in `STEP`s; on expiry day, and before.
STEP = 0.00204
"""50 points of 24,500, as a log distance."""
VOLUME_EXPIRY: Points = ((-20, 0.0004), (-3.5, 0.0107), (-1, 0.045), (1, 0.074), (3.5, 0.035), (7.5, 0.0132), (15, 0.004), (30, 0.0007), (60, 0.0001))
VOLUME: Points = ((-20, 0.0009), (-3.5, 0.0135), (-1, 0.030), (1, 0.036), (3.5, 0.028), (7.5, 0.0158), (15, 0.0079), (30, 0.003), (60, 0.0007))
INTEREST_EXPIRY: Points = ((-20, 0.001), (-3.5, 0.0037), (-1, 0.0155), (1, 0.048), (3.5, 0.021), (7.5, 0.0145), (15, 0.0107), (30, 0.0043), (60, 0.001))
INTEREST: Points = ((-20, 0.0016), (-3.5, 0.0045), (-1, 0.010), (1, 0.0158), (3.5, 0.0163), (7.5, 0.0143), (15, 0.011), (30, 0.0068), (60, 0.0022))

# Volume by quarter of an hour from 09:15, relative to an even day.
PROFILE = (
    2.6, 1.7, 1.35, 1.1, 1.0, 0.95, 0.92, 0.9, 0.88, 0.87, 0.86, 0.86, 0.86, 0.86,
    0.87, 0.88, 0.88, 0.9, 0.93, 0.96, 0.99, 1.05, 1.1, 1.15, 0.74, 0.6, 0.5,
)
PROFILE_EXPIRY = (
    1.0, 0.9, 0.7, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6,
    0.7, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.9, 2.8, 4.3, 1.3, 0.6, 0.4,
)
DEPTH = (1.0, 1.5, 1.9, 2.2, 2.4)
"""Median size of the five levels against the best."""
SPREAD_SD = 0.28
SIZE_SD = 0.6
"""Standard deviations of the logs of spread and size around their medians."""
# fmt: on


def liquidity_of(underlying: str, rank: int, days: int) -> Liquidity:
    """Tables for the ``rank``-th listed expiry; FINNIFTY comes alive like a bank contract in its last three days."""
    if underlying == FINNIFTY.name and rank == 0 and days <= 3:
        return _BANK
    rows = _LIQUIDITY[underlying]
    return rows[min(rank, len(rows) - 1)]


def by_rank(rows: tuple[float, ...], rank: int) -> float:
    """The figure for an expiry's rank; beyond the table each has a tenth of the one before."""
    return rows[rank] if rank < len(rows) else rows[-1] / 10.0 ** (rank - len(rows) + 1)
