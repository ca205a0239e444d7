"""A small fast market for chaos: one index, eighteen contracts, thin books, jumps, all chance from one source.

Prices are made only when somebody asks (the feed, the exchange, a chain), so a quiet contract costs nothing. It is far
wilder than a real day: premiums jump through stops and floors, books shrink to one lot, sides go missing.
"""

from __future__ import annotations

from datetime import date
from math import exp, sqrt
from random import Random

from algo_scalper.domain.instruments import NIFTY, Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.market import ChainRow, OptionChain, Quote, Tick
from algo_scalper.domain.units import NS_PER_SECOND

LOT = 65
TICK_PAISE = 5
FREEZE_QUANTITY = 1_755
BEAT_NS = NS_PER_SECOND // 2
_STRIKES = range(2_430_000, 2_475_000, 5_000)
_CENTRE_PAISE = 2_450_000
_SWING_PAISE = 7_000


def contracts_of(expiry: date) -> tuple[Contract, ...]:
    """Nine strikes around the index, calls and puts."""
    return tuple(
        Contract(
            key=instrument_key(Segment.NSE_FNO, 40_000 + 2 * place + side),
            underlying=NIFTY.name,
            expiry=expiry,
            strike_paise=strike,
            option_type=option_type,
            lot=LOT,
            tick_paise=TICK_PAISE,
            freeze_quantity=FREEZE_QUANTITY,
        )
        for place, strike in enumerate(_STRIKES)
        for side, option_type in enumerate((OptionType.CE, OptionType.PE))
    )


class SmallMarket:
    """What everything costs now. ``at_ns`` never goes back between calls."""

    def __init__(self, chance: Random, expiry: date, sigma: float) -> None:
        self.chance = chance
        self.expiry = expiry
        self.contracts = contracts_of(expiry)
        self.wide_until_ns = 0
        self.thin_until_ns = 0
        self.no_bids_until_ns = 0
        self.frozen_until_ns = 0
        self.jumps = 0.0
        self._sigma = sigma
        self._index = float(_CENTRE_PAISE)
        self._index_ns = 0
        self._premium = {contract.key: chance.uniform(7_000.0, 14_000.0) for contract in self.contracts}
        self._quotes: dict[int, Quote] = {}

    def index_tick(self, at_ns: int) -> Tick:
        """The index, swinging around its centre so that the listed strikes always surround it."""
        seconds = min((at_ns - self._index_ns) / NS_PER_SECOND, 12.0)
        self._index_ns = at_ns
        self._index += self.chance.gauss(0.0, 900.0) * sqrt(seconds) + (_CENTRE_PAISE - self._index) * 0.01 * seconds
        self._index = min(max(self._index, _CENTRE_PAISE - _SWING_PAISE), _CENTRE_PAISE + _SWING_PAISE)
        return Tick(at_ns, NIFTY.key, at_ns // NS_PER_SECOND, int(self._index) // 5 * 5)

    def last(self, key: int) -> Quote | None:
        """The newest quote made."""
        return self._quotes.get(key)

    def quote(self, key: int, at_ns: int) -> Quote:
        """The next quote of a contract; the standing one when it was made at this instant."""
        before = self._quotes.get(key)
        if before is not None and before.tick.at_ns >= at_ns:
            return before
        if before is not None and at_ns < self.frozen_until_ns:
            made = Quote(_at(before.tick, at_ns), before.bids, before.asks)  # nothing trades, nothing moves
        else:
            made = self._made(key, at_ns, before)
        self._quotes[key] = made
        return made

    def gap(self, key: int, factor: float) -> None:
        """The next quote of this contract is somewhere else."""
        self._premium[key] = min(max(self._premium[key] * factor, 300.0), 60_000.0)

    def chain(self, at_ns: int) -> OptionChain:
        """A snapshot of every contract, newest quotes made for those that have none or an old one."""
        rows = []
        for contract in self.contracts:
            quote = self._quotes.get(contract.key)
            if quote is None or at_ns - quote.tick.at_ns > NS_PER_SECOND:
                quote = self.quote(contract.key, at_ns)
            tick = quote.tick
            rows.append(ChainRow(contract.key, tick.ltp_paise, tick.bid_paise, tick.ask_paise, 100_000, tick.volume))
        return OptionChain(at_ns, NIFTY.name, self.expiry, int(self._index) // 5 * 5, tuple(rows))

    def _made(self, key: int, at_ns: int, before: Quote | None) -> Quote:
        chance = self.chance
        beats = min((at_ns - before.tick.at_ns) / BEAT_NS, 20.0) if before is not None else 1.0
        premium = self._premium[key] * exp(chance.gauss(0.0, self._sigma) * sqrt(beats))
        premium += (10_000.0 - premium) * 0.003 * beats
        if chance.random() < self.jumps:
            premium *= chance.choice((0.35, 0.6, 0.75, 0.85, 1.2, 1.5, 1.9))
        premium = self._premium[key] = min(max(premium, 300.0), 60_000.0)
        wide = at_ns < self.wide_until_ns
        spread = int(premium * chance.uniform(0.03, 0.2)) if wide else chance.randrange(5, 20)
        bid = max(int(premium) - spread // 2, 5) // TICK_PAISE * TICK_PAISE
        ask = bid + max(spread // TICK_PAISE, 1) * TICK_PAISE
        most = 1 if at_ns < self.thin_until_ns else 8
        bids = self._levels(bid, -1, most) if at_ns >= self.no_bids_until_ns else ()
        asks = self._levels(ask, 1, most)
        volume = before.tick.volume if before is not None else 0
        ltp, printed_s = (before.tick.ltp_paise, before.tick.exchange_s) if before is not None else (bid, 0)
        if before is None or chance.random() < 0.6:
            ltp = bid if bids and chance.random() < 0.5 else ask
            printed_s = at_ns // NS_PER_SECOND
            volume += LOT * chance.randrange(1, 20)
        return Quote(
            Tick(
                at_ns,
                key,
                printed_s,
                ltp,
                bid if bids else 0,
                ask,
                sum(size for _, size in bids),
                sum(size for _, size in asks),
                volume,
                100_000,
            ),
            bids,
            asks,
        )

    def _levels(self, best: int, way: int, most: int) -> tuple[tuple[int, int], ...]:
        """Little at the touch and more further away: sizing sees the sum, an order within its limit gets a part."""
        levels = []
        price = best
        for place in range(4):
            if price < TICK_PAISE:
                break
            levels.append((price, LOT * self.chance.randrange(1, 3 if place == 0 else most + 1)))
            price += way * TICK_PAISE * self.chance.randrange(1, 25)
        return tuple(levels)


def _at(tick: Tick, at_ns: int) -> Tick:
    return Tick(
        at_ns,
        tick.key,
        tick.exchange_s,
        tick.ltp_paise,
        tick.bid_paise,
        tick.ask_paise,
        tick.bid_total,
        tick.ask_total,
        tick.volume,
        tick.oi,
    )
