"""The read side of the simulated broker: what endpoints look things up in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

from algo_scalper.domain.account import Funds
from algo_scalper.domain.instruments import INDEX_BY_KEY, INDIA_VIX_KEY, Contract, Index
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import BrokerOrder, Product
from algo_scalper.domain.units import ist_day
from algo_scalper.interfaces.simulator.account import Account, AccountFacts, AccountState
from algo_scalper.interfaces.simulator.minutes import Minutes
from algo_scalper.interfaces.simulator.stamps import Stamps
from algo_scalper.interfaces.simulator.tape import DayPrint, Tape
from algo_scalper.interfaces.simulator.technicals import Technicals
from algo_scalper.simulation.day_range import DayRanges
from algo_scalper.simulation.exchange import ExchangeOrder, Fill
from algo_scalper.simulation.standing import Standing, StandingState
from algo_scalper.simulation.world import World


class Desk:
    """One account at the simulated broker."""

    def __init__(
        self,
        world: World,
        facts: AccountFacts | None = None,
        account: AccountState | None = None,
        standing: StandingState | None = None,
    ) -> None:
        """``account`` and ``standing``: what was kept of an earlier run; the facts are then those of that run."""
        self.world = world
        self.account = Account(facts if facts is not None else AccountFacts(), world.market.day, account)
        self.technicals = Technicals(world)
        self.standing = Standing(world, self.technicals.reading, standing)
        self.minutes = Minutes(world)
        self.stamps = Stamps()
        self.real_ns: Callable[[], int] = lambda: world.now_ns
        """The machine's own clock, for one-time passwords; the market's until a server sets it."""
        if account is None:
            self.apply(self.account.facts)
        self._ranges = DayRanges(world.market)
        self.tape = Tape(world.previous_close_paise, self._ranges)
        self.contracts: dict[int, Contract] = {contract.key: contract for contract in world.contracts}
        self.indices: dict[int, Index] = {
            key: index for key, index in INDEX_BY_KEY.items() if key in world.previous_close_paise
        }
        self.known = frozenset((*self.contracts, *self.indices, INDIA_VIX_KEY))
        """Every key that has a price."""

    @property
    def client_id(self) -> str:
        """The account's client id."""
        return self.account.facts.client_id

    @property
    def facts(self) -> AccountFacts:
        """The account's facts, the kill switch as it stands."""
        return msgspec.structs.replace(self.account.facts, kill_switch=self.standing.kill_switch)

    def apply(self, facts: AccountFacts) -> None:
        """Let these be the facts from now on."""
        # Cash is given once: from then on it is the exchange's to know.
        self.account.facts = msgspec.structs.replace(facts, cash_paise=None)
        self.standing.kill_switch = facts.kill_switch
        if facts.cash_paise is not None:
            self.world.exchange.endow(facts.cash_paise)

    def funds(self, funds: Funds) -> Funds:
        """The exchange's funds as the broker tells them: collateral is counted into the balance."""
        pledged = self.account.facts.collateral_paise
        return Funds(funds.available_paise + pledged, funds.start_of_day_paise, pledged)

    @property
    def day(self) -> date:
        """The trading day being simulated."""
        return self.world.market.day

    @property
    def close_ns(self) -> int:
        """When the last contract stops trading."""
        return self.world.exchange.closed_ns

    def order(self, broker_id: str) -> ExchangeOrder | None:
        """The broker's record of an order, as it stands now."""
        return self.world.exchange.order(broker_id)

    def fills(self) -> list[tuple[Fill, ExchangeOrder]]:
        """The day's trades, newest first, each with its order; a settlement belongs to none and is left out."""
        exchange = self.world.exchange
        found = ((fill, exchange.order(fill.broker_id)) for fill in reversed(exchange.fills()))
        return [(fill, order) for fill, order in found if order is not None]

    def last_fill_paise(self, row: BrokerOrder) -> int:
        """Price of the newest execution counted in ``row``; 0 before the first."""
        counted = price_paise = 0
        for fill in self.world.exchange.fills():
            if fill.broker_id == row.broker_id and counted < row.filled_quantity:
                counted += fill.quantity
                price_paise = fill.price_paise
        return price_paise

    def product_of(self, key: int) -> Product:
        """The product of what is held; of the newest order in a contract that is flat or held in both."""
        held, intraday = self.world.exchange.held(key), self.world.exchange.intraday_held(key)
        if held and intraday in (0, held):
            return Product.INTRADAY if intraday else Product.MARGIN
        product = Product.INTRADAY
        for row in self.world.exchange.rows():
            record = self.order(row.broker_id)
            if row.key == key and record is not None:
                product = record.product
        return product

    def day_print(self, key: int) -> DayPrint:
        """An instrument's day: from the tape if it is being printed, else priced now and not kept."""
        quote, seen = self.world.market.quote(key, self.world.now_ns), self.tape.get(key)
        if seen is not None:
            # Nobody may be watching it any more.
            return seen if seen.quote.tick.at_ns >= quote.tick.at_ns else self.tape.take(quote)
        return Tape(self.world.previous_close_paise, self._ranges).take(quote)

    def last_paise(self, key: int) -> int:
        """Last price; 0 for an instrument nobody lists."""
        return self.world.market.quote(key, self.world.now_ns).tick.ltp_paise if key in self.known else 0

    def top_quantities(self, key: int, at_ns: int) -> tuple[int, int]:
        """Quantities at the best bid and ask; 0 for an empty side."""
        quote = self.world.market.quote(key, at_ns)
        return quote.bids[0][1] if quote.bids else 0, quote.asks[0][1] if quote.asks else 0

    def previous_oi(self, key: int) -> int:
        """Open interest at the close of the session before: nothing is opened overnight, so what the day begins with."""
        return self.world.market.line(key).quote(-1).tick.oi

    def candles_today(self, key: int) -> tuple[Candle, ...]:
        """Closed one-minute candles of an index since today's open."""
        today = self.day
        return tuple(
            candle for candle in self.world.history(key, self.world.now_ns) if ist_day(candle.start_ns) == today
        )
