"""Spreads, sizes, open interest and volume of option chains, measured on full exchange chains of August 2025.

Premiums and spreads are rupees at the index level of a table and scale with it; sizes are units.
"""

from __future__ import annotations

import msgspec

from algo_scalper.domain.instruments import FINNIFTY
from algo_scalper.simulation.volatility import Points


class Liquidity(msgspec.Struct, frozen=True):
    """By premium: the median spread in rupees, the spread of its logs, and the median best size in units.

    ``level`` is the index level the figures were measured at: premiums and spreads scale with it.
    """

    spread: Points
    spread_sd: Points
    size: Points
    level: float = 24_500.0


# fmt: off
_WEEK_1 = Liquidity(
    ((0, 0.05), (10, 0.05), (16, 0.065), (22, 0.075), (35, 0.10), (75, 0.15), (150, 0.29), (300, 0.65), (400, 1.5), (600, 2.7), (800, 5.0), (1000, 13.0), (1500, 20.0), (3000, 30.0)),
    ((12, 0.28), (20, 0.35), (40, 0.28), (75, 0.36), (150, 0.32), (300, 0.28), (400, 0.35), (800, 0.55), (1000, 1.15)),
    ((0, 190_000), (1, 180_000), (4.9, 136_000), (5.1, 16_000), (9.9, 15_000), (10.1, 11_000), (20, 10_000), (20.1, 4_900), (49, 4_000), (51, 2_000), (75, 1_900), (100, 1_500), (125, 800), (150, 500), (199, 460), (201, 230), (399, 200), (401, 75), (799, 75), (801, 150)),
)
_WEEK_2 = Liquidity(
    ((0, 0.05), (1, 0.075), (2, 0.10), (15, 0.10), (35, 0.15), (75, 0.25), (150, 0.40), (300, 0.75), (400, 1.3), (600, 2.75), (800, 7.0), (1000, 22.0), (2000, 28.0)),
    ((400, 0.28), (480, 1.25), (800, 1.25), (1000, 0.6)),
    ((0.7, 12_600), (0.85, 1_150), (1.9, 1_200), (2.1, 825), (4.9, 825), (5.1, 1_200), (9.9, 1_200), (10.1, 825), (20, 800), (20.1, 550), (49, 500), (51, 380), (99, 370), (101, 225), (199, 225), (201, 150), (399, 150), (401, 225), (799, 225), (801, 750)),
)
_WEEK_3 = Liquidity(
    ((0, 0.20), (3, 1.05), (7, 0.85), (14, 0.72), (35, 0.85), (75, 0.95), (150, 1.35), (300, 2.05), (400, 3.0), (600, 14.0), (1000, 50.0)),
    ((3, 0.28),),
    ((1, 825), (4, 300), (10, 300), (11, 150), (200, 150), (201, 225), (400, 225), (401, 150), (799, 150), (801, 75)),
)
_BANK = Liquidity(
    ((0, 0.05), (3, 0.10), (5, 0.30), (7, 0.45), (14, 0.55), (24, 0.75), (35, 0.90), (42, 0.85), (52, 0.54), (75, 0.53), (150, 0.70), (300, 0.95), (500, 1.30), (800, 2.2), (1000, 60.0), (1500, 145.0), (4000, 160.0)),
    ((3, 0.28),),
    ((1, 2_000), (1.9, 1_000), (2.1, 450), (4.9, 430), (5.1, 140), (48, 140), (50, 62), (799, 62), (801, 140)),
    54_000.0,
)
_BANK_ON_NIFTY = Liquidity(_BANK.spread, _BANK.spread_sd, _BANK.size)
_LIQUIDITY: dict[str, tuple[Liquidity, ...]] = {
    "NIFTY": (_WEEK_1, _WEEK_2, _WEEK_3),
    "SENSEX": (_WEEK_1, _WEEK_2, _WEEK_3),
    "BANKNIFTY": (_BANK, _WEEK_3),
    "FINNIFTY": (_WEEK_3,),
}

# By rank of the expiry: lots traded in a day, and open interest in contracts.
DAY_LOTS = {"NIFTY": (98e6, 3.41e6, 329e3), "SENSEX": (40e6, 1e6, 50e3), "BANKNIFTY": (2.7e6, 94e3), "FINNIFTY": (30e3, 1e3)}
OPEN_INTEREST = {"NIFTY": (310e6, 58e6, 9e6), "SENSEX": (40e6, 6e6, 5e5), "BANKNIFTY": (27.5e6, 3.1e6), "FINNIFTY": (1.5e6, 1e5)}

# Share of the expiry per strike and side, by distance out of the money in `STEP`s; on expiry day, one or two days
# before it, and earlier.
STEP = 0.00204
"""50 points of 24,500, as a log distance."""
VOLUME_EXPIRY: Points = ((-20, 0.00003), (-8, 0.0003), (-5.5, 0.0012), (-3.5, 0.0095), (-1, 0.045), (0, 0.085), (1, 0.105), (2, 0.07), (3.5, 0.034), (7.5, 0.0132), (15, 0.004), (22, 0.0011), (30, 0.0004), (45, 0.0001))
VOLUME_NEAR: Points = ((-20, 0.00002), (-9, 0.0001), (-5.5, 0.0005), (-3.5, 0.0100), (-1, 0.035), (1, 0.049), (3.5, 0.0303), (7.5, 0.0168), (15, 0.0076), (30, 0.0022), (45, 0.0006))
VOLUME: Points = ((-25, 0.00002), (-10, 0.0003), (-6, 0.0018), (-3.5, 0.0135), (-1, 0.030), (1, 0.036), (3.5, 0.028), (7.5, 0.0158), (15, 0.0079), (30, 0.003), (45, 0.0009))
INTEREST_EXPIRY: Points = ((-40, 0.00005), (-20, 0.0002), (-8, 0.001), (-5, 0.003), (-3.5, 0.0037), (-1, 0.0125), (1, 0.060), (3.5, 0.0195), (7.5, 0.0145), (15, 0.0107), (30, 0.0043), (45, 0.0018))
INTEREST: Points = ((-40, 0.0001), (-20, 0.0004), (-8, 0.0014), (-3.5, 0.0039), (-1, 0.010), (1, 0.0158), (3.5, 0.0163), (7.5, 0.0143), (15, 0.011), (30, 0.0068), (45, 0.0040))

# Volume by quarter of an hour from 09:15, relative to an even day.
PROFILE = (
    2.6, 1.7, 1.35, 1.1, 1.0, 0.95, 0.92, 0.9, 0.88, 0.87, 0.86, 0.86, 0.86, 0.86,
    0.87, 0.88, 0.88, 0.9, 0.93, 0.96, 0.99, 1.05, 1.1, 1.15, 0.74, 0.6, 0.5,
)
PROFILE_EXPIRY = (
    0.8, 0.66, 0.58, 0.5, 0.5, 0.55, 0.5, 0.45, 0.47, 0.53, 0.54, 0.52, 0.59, 0.6,
    0.7, 0.66, 0.8, 1.05, 1.0, 1.3, 1.3, 1.95, 2.5, 4.4, 1.4, 0.6, 0.4,
)
DEPTH = (1.0, 1.5, 1.9, 2.2, 2.4)
"""Median size of the five levels against the best."""
SIZE_SD = 0.6
"""Standard deviation of the logs of sizes around their medians."""
# fmt: on


def liquidity_of(underlying: str, rank: int, days: int) -> Liquidity:
    """Tables for the ``rank``-th listed expiry; FINNIFTY comes alive like a bank contract in its last three days."""
    if underlying == FINNIFTY.name and rank == 0 and days <= 3:
        return _BANK_ON_NIFTY
    rows = _LIQUIDITY[underlying]
    return rows[min(rank, len(rows) - 1)]


def by_rank(rows: tuple[float, ...], rank: int) -> float:
    """The figure for an expiry's rank; beyond the table each has a tenth of the one before."""
    return rows[rank] if rank < len(rows) else rows[-1] / 10.0 ** (rank - len(rows) + 1)
