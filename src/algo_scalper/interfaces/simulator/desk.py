"""The read side of the simulated broker: what endpoints look things up in."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import INDEX_BY_KEY, INDIA_VIX_KEY, Contract, Index
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import BrokerOrder
from algo_scalper.domain.units import ist_day
from algo_scalper.interfaces.simulator.register import Register
from algo_scalper.interfaces.simulator.tape import DayPrint, Tape
from algo_scalper.simulation.world import World

SIMULATED = "SIMULATED"
"""The simulated account's client id and token: well-known words, not secrets."""


class Desk:
    """One account at the simulated broker."""

    def __init__(self, world: World, register: Register, client_id: str = SIMULATED, token: str = SIMULATED) -> None:
        self.world = world
        self.register = register
        self.client_id = client_id
        self.token = token
        self.tape = Tape(world.previous_close_paise)
        self.contracts: dict[int, Contract] = {contract.key: contract for contract in world.contracts}
        self.indices: dict[int, Index] = {
            key: index for key, index in INDEX_BY_KEY.items() if key in world.previous_close_paise
        }
        self.known = frozenset((*self.contracts, *self.indices, INDIA_VIX_KEY))
        """Every key that has a price."""

    @property
    def day(self) -> date:
        """The trading day being simulated."""
        return ist_day(self.world.now_ns)

    def rows(self, book: BookRead) -> list[BrokerOrder]:
        """The book's orders, newest first, shown to the register on their way."""
        self.register.observe_all(book.orders, book.at_ns)
        return sorted(
            book.orders, key=lambda row: (self.register.orders[row.broker_id].created_ns, row.broker_id), reverse=True
        )

    def order(self, broker_id: str) -> BrokerOrder | None:
        """The order as it stands now."""
        for row in self.world.book().orders:
            if row.broker_id == broker_id:
                return row
        return None

    def day_print(self, key: int) -> DayPrint:
        """An instrument's day: from the tape if it is being printed, else priced now and not kept."""
        seen = self.tape.get(key)
        if seen is not None:
            return seen
        aside = Tape(self.world.previous_close_paise)
        aside.take(self.world.market.quote(key, self.world.now_ns))
        if key in self.indices:
            aside.recall(key, self.candles_today(key))
        found = aside.get(key)
        assert found is not None  # noqa: S101 - `take` has just made it
        return found

    def last_paise(self, key: int) -> int:
        """Last price; 0 for an instrument nobody lists."""
        return self.day_print(key).quote.tick.ltp_paise if key in self.known else 0

    def top_quantities(self, key: int, at_ns: int) -> tuple[int, int]:
        """Quantities at the best bid and ask; 0 for an empty side."""
        quote = self.world.market.quote(key, at_ns)
        return quote.bids[0][1] if quote.bids else 0, quote.asks[0][1] if quote.asks else 0

    def candles_today(self, key: int) -> tuple[Candle, ...]:
        """Closed one-minute candles of an index since today's open."""
        today = self.day
        return tuple(
            candle
            for candle in self.world.history(key, self.world.now_ns)
            if ist_day(candle.start_ns) == today
        )
