"""Which twenty days are simulated: consecutive sessions, their kinds and volatilities in the proportion they occur."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.calendar import is_trading_day, next_trading_day
from algo_scalper.domain.errors import DataError
from algo_scalper.simulation.market import character_of
from algo_scalper.simulation.paths import REGIMES

FIRST_DAY = date(2026, 5, 4)
"""A Monday; the four weeks from here have no closing auction and no special session, like the recorded days."""
COUNT = 20
_POOL = 400
_STRIDE = 7


def twenty_days(first_seed: int = 1) -> list[tuple[date, int]]:
    """(day, seed) of each.

    A day's 400 seeds from ``first_seed`` on are ordered by the volatility they draw and cut into twenty equal parts. The
    day takes its part (every seventh, so that weekdays and expiry days get all sorts), and in it the seed nearest its
    middle whose kind of day still has room in its share of twenty.
    """
    room = _room()
    day = FIRST_DAY if is_trading_day(FIRST_DAY) else next_trading_day(FIRST_DAY)
    chosen = []
    for number in range(COUNT):
        drawn = {seed: character_of(day, seed)[1] for seed in range(first_seed, first_seed + _POOL)}
        ordered = sorted(drawn, key=lambda seed: (drawn[seed].scale, seed))
        places = {seed: place for place, seed in enumerate(ordered)}
        part = (number * _STRIDE + 3) % COUNT
        width = _POOL // COUNT
        middle = part * width + width // 2
        candidates = sorted(ordered[part * width : (part + 1) * width], key=lambda seed: abs(places[seed] - middle))
        seed = next((seed for seed in candidates if room[drawn[seed].regime] > 0), None)
        if seed is None:
            raise DataError(f"none of {_POOL} seeds gives {day} a kind of day that is still wanted: {room}")
        room[drawn[seed].regime] -= 1
        chosen.append((day, seed))
        day = next_trading_day(day)
    return chosen


def _room() -> dict[str, int]:
    """How many of twenty days are of each kind: the share of each, remainders to the largest."""
    exact = {name: COUNT * share for name, share in REGIMES}
    room = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: room[name] - exact[name])[: COUNT - sum(room.values())]:
        room[name] += 1
    return room
