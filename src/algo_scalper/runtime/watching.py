"""The watchlist at work: subscribed beside what the engine wants, its prices kept for who looks, and never an event.

What the engine has subscribed itself goes to the engine as ever; of the rest nothing does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from algo_scalper.domain.market import Tick
from algo_scalper.runtime.publish import WatchLine, WatchView
from algo_scalper.runtime.watchlist import Watchlist

FINEST_TICK_PAISE = 1
"""An instrument whose tick nobody has told is rounded to the paisa."""


class Watching:
    """What is watched, and the newest tick of each."""

    def __init__(
        self,
        subscribe: Callable[[Iterable[int]], None],
        unsubscribe: Callable[[Iterable[int]], None],
        tick_sizes: dict[int, int],
    ) -> None:
        """``subscribe`` and ``unsubscribe`` are the feed's; ``tick_sizes`` is the decoder's and may grow."""
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
        self._tick_sizes = tick_sizes
        self._core: Counter[int] = Counter()
        self._list = Watchlist("no place", ())
        self.wanted: frozenset[int] = frozenset()
        """On the list."""
        self._only: frozenset[int] = frozenset()
        """On the list, and nothing the engine has asked for."""
        self.newest: dict[int, Tick] = {}

    def follow(self, wanted: Watchlist, tick_sizes: dict[int, int]) -> None:
        """Watch this list instead of the one before. Raises `BrokerRefused` when the feed cannot carry it."""
        keys = frozenset(item.key for item in wanted.items)
        for key in keys:
            self._tick_sizes.setdefault(key, tick_sizes.get(key) or FINEST_TICK_PAISE)
        if keys - self.wanted:
            self._subscribe(sorted(keys - self.wanted))
        if self.wanted - keys:
            self._unsubscribe(sorted(self.wanted - keys))
        self._list, self.wanted = wanted, keys
        self.newest = {key: tick for key, tick in self.newest.items() if key in keys}
        self._part()

    def core_wants(self, keys: Iterable[int]) -> None:
        """The engine subscribes these."""
        self._core.update(keys)
        self._part()

    def core_lets_go(self, keys: Iterable[int]) -> None:
        """The engine no longer needs these, once less."""
        self._core.subtract(keys)
        self._core = +self._core
        self._part()

    def _part(self) -> None:
        self._only = self.wanted - self._core.keys()

    def sift(self, ticks: list[Tick]) -> list[Tick]:
        """Keep the prices of what is watched; give the ticks that are the engine's."""
        wanted, only, newest = self.wanted, self._only, self.newest
        for tick in ticks:
            if tick.key in wanted:
                newest[tick.key] = tick
        return [tick for tick in ticks if tick.key not in only] if only else ticks

    def view(self) -> WatchView:
        """For the page: every line of the list, with its price where one has come."""
        lines = []
        for key, label in self._list.items:
            tick = self.newest.get(key)
            lines.append(WatchLine(key, label, tick.ltp_paise if tick else 0, tick.at_ns if tick else 0))
        return WatchView(self._list.source, tuple(lines))
