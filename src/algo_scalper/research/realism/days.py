"""Which twenty days make a set: consecutive sessions, their kinds and volatilities in the proportion they occur."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.calendar import is_trading_day, next_trading_day
from algo_scalper.simulation.market import character_of
from algo_scalper.simulation.paths import REGIMES

FIRST_DAY = date(2026, 5, 4)
"""A Monday; the four weeks from here have no closing auction and no special session, like the recorded days."""
COUNT = 20
POOL = 400
"""How many seeds a day of a set is taken from."""
_STRIDE = 7


def seeds_of(number: int) -> range:
    """The seeds of set ``number``, from 0 on: each set has a block of its own, the first begins at 1."""
    return range(1 + number * POOL, 1 + (number + 1) * POOL)


def parts_of(number: int) -> list[int]:
    """Which twentieth of volatility each day of a set has, 0 the calmest: every seventh, in the next set the next one."""
    return [(place * _STRIDE + number) % COUNT for place in range(COUNT)]


def twenty_days(number: int) -> list[tuple[date, int]]:
    """(day, seed) of each day of set ``number``.

    The set's seeds are ordered by the volatility they draw for the day and cut into twenty equal parts. The day takes the
    seed nearest the middle of its part (`parts_of`) whose kind of day still has room in its share of twenty.
    """
    room = _room()
    day = FIRST_DAY if is_trading_day(FIRST_DAY) else next_trading_day(FIRST_DAY)
    width = POOL // COUNT
    chosen = []
    for part in parts_of(number):
        drawn = {seed: character_of(day, seed)[1] for seed in seeds_of(number)}
        ordered = sorted(drawn, key=lambda seed: (drawn[seed].scale, seed))
        places = {seed: place for place, seed in enumerate(ordered)}
        middle = part * width + width // 2
        wanted = [seed for seed in ordered if room[drawn[seed].regime] > 0]
        seed = min(wanted, key=lambda seed: abs(places[seed] - middle))
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
