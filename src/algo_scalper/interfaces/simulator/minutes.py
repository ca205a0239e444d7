"""Minute bars of option contracts, read off the prints of the simulated market. Kept once a minute is over.

Only the simulated day has them: what contracts did on earlier days is not simulated.
"""

from __future__ import annotations

from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.interfaces.simulator.data_rows import Bar
from algo_scalper.simulation.world import World


class Minutes:
    """The day's bars of every contract, made when asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[tuple[int, int], Bar | None] = {}

    @property
    def closed(self) -> int:
        """How many minutes of the session are over."""
        axis = self._world.market.axis
        return max(min(self._world.now_ns - axis.open_ns, axis.seconds * NS_PER_SECOND) // NS_PER_MINUTE, 0)

    def bar(self, key: int, minute: int) -> Bar | None:
        """A closed minute, counted from the open; None when nothing was printed in it."""
        place = (key, minute)
        if place not in self._kept:
            self._kept[place] = self._made(key, minute)
        return self._kept[place]

    def bars(self, key: int, from_ns: int, until_ns: int) -> list[Bar]:
        """The closed minutes that begin in [from, until)."""
        open_ns = self._world.market.axis.open_ns
        first = max(-((open_ns - from_ns) // NS_PER_MINUTE), 0)
        last = min(self.closed, -((open_ns - until_ns) // NS_PER_MINUTE))
        found = (self.bar(key, minute) for minute in range(first, max(last, first)))
        return [bar for bar in found if bar is not None]

    def _made(self, key: int, minute: int) -> Bar | None:
        line = self._world.market.line(key)
        seconds = [second for second in range(minute * 60, minute * 60 + 60) if line.prints(second)]
        if not seconds:
            return None
        ticks = [line.quote(second).tick for second in seconds]
        prices = [tick.ltp_paise for tick in ticks if tick.ltp_paise]
        if not prices:
            return None
        before = line.quote(minute * 60 - 1).tick.volume if minute else 0
        return Bar(
            self._world.market.axis.open_ns + minute * NS_PER_MINUTE,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            max(ticks[-1].volume - before, 0),
            ticks[-1].oi,
        )
