"""What the lines bring, as events: bytes become ticks in paise, a line that is lost or back becomes an event too."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from algo_scalper.adapters.dhan.line import Gap
from algo_scalper.adapters.dhan.packets import Buffer, FeedDecoder
from algo_scalper.domain.events import FeedLost, FeedRestored
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.clock import PacedClock, SteppedClock
from algo_scalper.runtime.paper_account import PaperAccount
from algo_scalper.runtime.session import Session
from algo_scalper.runtime.watching import Watching


class Intake:
    """The way from the sockets into one session."""

    def __init__(
        self,
        session: Session,
        clock: Clock,
        tick_sizes: Mapping[int, int],
        watching: Watching,
        paper: PaperAccount | None,
    ) -> None:
        """``tick_sizes`` may grow; ``paper`` hears every message before the session does."""
        self._session = session
        self._clock = clock
        self._decoder = FeedDecoder(tick_sizes)
        self._watching = watching
        self._paper = paper

    def on_message(self, message: Buffer, _received_ns: int) -> None:
        """One message of the market feed, inside the socket's callback."""
        at_ns = self._clock.now_ns()
        if self._paper is not None:
            self._paper.hear(message, at_ns)
        ticks = self._decoder.decode(message, at_ns)
        if ticks and isinstance(self._clock, PacedClock):
            # First what time it is: by a clock that fell behind a market sixty times as fast, they came from the future.
            self._clock.heard(max(tick.exchange_s for tick in ticks) * NS_PER_SECOND)
            at_ns = self._clock.now_ns()
            ticks = [msgspec.structs.replace(tick, at_ns=at_ns) for tick in ticks]
        for tick in self._watching.sift(ticks) if self._watching.wanted else ticks:
            self._session.take(tick)

    def on_lost(self, feed: str, why: str) -> None:
        """``feed`` is ``market`` or ``orders``."""
        if not self._session.hears:
            return
        if feed == "market" and isinstance(self._clock, PacedClock):
            self._clock.let_go()
        self._session.take(FeedLost(self._clock.now_ns(), feed, why))

    def on_restored(self, feed: str, gap: Gap) -> None:
        """As `on_lost`; what was missed is of the engine's time."""
        if feed == "market":
            self._decoder.lag.begin_anew()
        if not self._session.hears:
            return
        at_ns = self._clock.now_ns()
        self._session.take(FeedRestored(at_ns, feed, at_ns - round(gap.missed_ns * self._pace())))

    def _pace(self) -> float:
        """A gap is measured in real time; the engine's may run faster, or stand still between steps."""
        if isinstance(self._clock, PacedClock):
            return self._clock.rate
        return 0 if isinstance(self._clock, SteppedClock) else 1
