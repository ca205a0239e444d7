"""Who is connected to an account, what each has asked for, and what each is sent. No sockets here: outboxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial

import msgspec

from algo_scalper.adapters.dhan.depth import Depth
from algo_scalper.domain.market import Quote
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.interfaces.simulator.depth_feed import DepthSession
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.faults import Faults
from algo_scalper.interfaces.simulator.feed import FeedSession, Interest
from algo_scalper.interfaces.simulator.outbox import End, Outbox
from algo_scalper.interfaces.simulator.rows import order_alert
from algo_scalper.interfaces.simulator.tape import DayPrint
from algo_scalper.interfaces.simulator.wire import Wire
from algo_scalper.simulation.faults import thinned

MOST_FEEDS = 5
"""Market feed and depth together."""
TOO_MANY_CONNECTIONS = 805


class Counters(msgspec.Struct):
    """Messages since the stepped engine attached."""

    requests: int = 0
    feed_in: int = 0
    orders_in: int = 0
    feed_out: int = 0
    orders_out: int = 0


class OrderSession:
    """One order-update connection; silent until it has logged in."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.logged_in = False
        self.received = 0


class Subscribers:
    """The connections of one account."""

    def __init__(
        self,
        desk: Desk,
        faults: Faults,
        wire: Wire,
        later: Callable[[int, Callable[[], None]], None],
        wake: Callable[[], None],
    ) -> None:
        """``later`` puts an action off by ns of the market's time; ``wake`` is called when something new is due."""
        self.feeds: list[FeedSession] = []
        self.depths: list[DepthSession] = []
        self.orders: list[OrderSession] = []
        self.counters = Counters()
        self._desk = desk
        self._world = desk.world
        self._faults = faults
        self._wire = wire
        self._later = later
        self._wake = wake
        self._watched: Counter[int] = Counter()
        self._made = 0

    def open_feed(self) -> FeedSession:
        """A new feed connection; the oldest goes when there are more than five."""
        self._made += 1
        session = FeedSession(self._made, self._desk.known)
        self.feeds.append(session)
        self._make_room()
        return session

    def open_depth(self, levels: Depth) -> DepthSession:
        """A new depth connection; it counts among the five of the feed."""
        self._made += 1
        session = DepthSession(self._made, levels, self._desk.contracts, self._world.seed)
        self.depths.append(session)
        self._make_room()
        return session

    @property
    def data(self) -> list[FeedSession | DepthSession]:
        """Market feed and depth, as they are now."""
        return [*self.feeds, *self.depths]

    def _make_room(self) -> None:
        if len(self.feeds) + len(self.depths) > MOST_FEEDS:
            oldest = min(self.data, key=lambda session: session.number)
            oldest.disconnect(TOO_MANY_CONNECTIONS)
            self._close(oldest)

    def _close(self, session: FeedSession | DepthSession) -> None:
        if isinstance(session, FeedSession):
            self.close_feed(session)
        else:
            self.close_depth(session)

    def close_feed(self, session: FeedSession) -> None:
        """The connection is gone; nobody watches for it any more."""
        if session in self.feeds:
            self.feeds.remove(session)
            self.unwatch(session.modes)
            session.modes.clear()
            self._wire.forget(session.outbox)

    def close_depth(self, session: DepthSession) -> None:
        """The same for depth."""
        if session in self.depths:
            self.depths.remove(session)
            self.unwatch(session.keys)
            session.keys.clear()
            self._wire.forget(session.outbox)

    def feed_text(self, session: FeedSession, text: str) -> None:
        """A text message came in on a feed connection."""
        had = frozenset(session.modes)
        interest = session.read(text)
        self.counters.feed_in += 1
        self._attend(session, interest, had)

    def depth_text(self, session: DepthSession, text: str) -> None:
        """A text message came in on a depth connection."""
        had = frozenset(session.keys)
        self._attend(session, session.read(text), had)

    def _attend(self, session: FeedSession | DepthSession, interest: Interest, had: frozenset[int]) -> None:
        fresh = [key for key in interest.wanted if not self._watched[key]]
        self.watch([key for key in interest.wanted if key not in had])
        again = [key for key in interest.wanted if key not in fresh]
        if again:
            self._later(self._world.latency.watch_ns, lambda: self._snapshot(session, again))
        self.unwatch(interest.dropped)
        self._wake()

    def watch(self, keys: Collection[int]) -> None:
        """Have these quoted, whether a socket asks for them or not."""
        fresh = [key for key in keys if not self._watched[key]]
        self._watched.update(keys)
        if fresh:
            self._world.watch(fresh)

    def unwatch(self, keys: Iterable[int]) -> None:
        """The opposite; what nobody wants any more is quoted no longer."""
        gone = []
        for key in keys:
            self._watched[key] -= 1
            if self._watched[key] <= 0:
                del self._watched[key]
                gone.append(key)
        if gone:
            self._world.unwatch(gone)

    def _snapshot(self, session: FeedSession | DepthSession, keys: Iterable[int]) -> None:
        """Instruments somebody watches already: the newcomer gets what was last printed."""
        for key in keys:
            if self._desk.tape.get(key) is None:
                continue
            day = self._as_shown(self._desk.day_print(key))
            if isinstance(session, FeedSession):
                session.add(day)
            else:
                session.add(day.quote)
        self._flush(session)

    def order_login(self, session: OrderSession) -> None:
        """A connection has logged in to this account's order updates."""
        session.logged_in = True
        if session not in self.orders:
            self.orders.append(session)

    def close_orders(self, session: OrderSession) -> None:
        """The connection is gone, or another account's."""
        if session in self.orders:
            self.orders.remove(session)

    def disconnect_feeds(self, reason: int) -> None:
        """Market feed and depth end with this disconnect code."""
        for session in self.data:
            session.disconnect(reason)
            self._close(session)

    def drop_feeds(self, how: End = End.RESET) -> None:
        """Market feed and depth end without a word."""
        for session in self.data:
            session.outbox.end(how)
            self._close(session)

    def drop_order_sockets(self, how: End = End.RESET) -> None:
        """Order updates end without a word."""
        for session in self.orders:
            session.outbox.end(how)
        self.orders.clear()

    # What is sent

    def quoted(self, quote: Quote) -> None:
        """An instrument is quoted anew: it goes to whoever asked for it, with the next `flush`."""
        day = self._as_shown(self._desk.tape.take(self._thinned(quote)))
        for session in self.feeds:
            session.add(day)
        for depth in self.depths:
            depth.add(day.quote)

    def _thinned(self, quote: Quote) -> Quote:
        """The book as it is shown: while it is made thin, one lot at each level."""
        if self._world.now_ns >= self._faults.thin_until_ns:
            return quote
        contract = self._desk.contracts.get(quote.tick.key)
        return thinned(quote, contract.lot) if contract is not None else quote

    def _as_shown(self, day: DayPrint) -> DayPrint:
        """With the trade time of a clock that may be wrong."""
        skew_s = round(self._faults.skew_s)
        if not skew_s:
            return day
        self._faults.meet("skew")
        tick = msgspec.structs.replace(day.quote.tick, exchange_s=day.quote.tick.exchange_s + skew_s)
        return msgspec.structs.replace(day, quote=msgspec.structs.replace(day.quote, tick=tick))

    def _flush(self, session: FeedSession | DepthSession) -> None:
        messages = session.take()
        if messages and self._faults.feed_silent(self._world.now_ns):
            self._faults.meet("stall_feed")
            return
        for message in messages:
            self._wire.feed(session.outbox, message, partial(self._put_feed, session))

    def _put_feed(self, session: FeedSession | DepthSession, message: bytes) -> None:
        # A stepped engine counts what it gets on its feed; depth is nothing it waits for.
        is_sent = session.outbox.put(message)
        if isinstance(session, FeedSession):
            self.counters.feed_out += is_sent

    def flush(self) -> None:
        """What the quotes of this instant have become leaves for the sockets."""
        for session in self.data:
            self._flush(session)

    def pushed(self, row: BrokerOrder) -> None:
        """An order has changed: its account is told."""
        record = self._desk.order(row.broker_id)
        if record is None:
            return
        desk, contract = self._desk, self._desk.contracts[row.key]
        alert = order_alert(
            row, record, contract, desk.last_fill_paise(row), desk.last_paise(row.key), desk.client_id, desk.stamps
        ).decode()
        self._wire.updates(alert, self._send_update)

    def _send_update(self, text: str) -> None:
        for session in self.orders:
            if session.logged_in:
                self._wire.update(session.outbox, partial(self._put_update, session, text))

    def _put_update(self, session: OrderSession, text: str) -> None:
        self.counters.orders_out += session.outbox.put(text)
