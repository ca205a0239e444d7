"""What the market tells us: ticks, candles, option chains. Frozen values; they cross every boundary."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from algo_scalper.domain.instruments import Contract

CHAIN_REACH = 12
"""Strikes on each side of the spot that enter the core: what is chosen from, and what parity is read from."""

Levels = tuple[tuple[int, int], ...]
"""Price levels, best first: ``((price_paise, quantity), ...)``, at most five."""


class Tick(msgspec.Struct, frozen=True, gc=False, tag="t", array_like=True):
    """One packet of the feed, as the engine sees it.

    Two times: ``at_ns`` when we saw it, ``exchange_s`` when the exchange says (UTC epoch seconds; Dhan's LTT
    resolves one second). An index has no book: its bid, ask and sizes are 0. A missing side is 0.
    ``bid_total`` and ``ask_total`` are the sums of the top five levels, in contracts.
    """

    at_ns: int
    key: int
    exchange_s: int
    ltp_paise: int
    bid_paise: int = 0
    ask_paise: int = 0
    bid_total: int = 0
    ask_total: int = 0
    volume: int = 0
    oi: int = 0


class Quote(msgspec.Struct, frozen=True, gc=False):
    """A tick with the book behind it: what an exchange matches against. The engine takes ``tick`` alone."""

    tick: Tick
    bids: Levels = ()
    asks: Levels = ()


class Candle(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A closed bar; ``start_ns`` is its first instant."""

    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int


class ChainRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One contract inside an option chain snapshot. Zero means absent, as Dhan prints it."""

    key: int
    ltp_paise: int
    bid_paise: int
    ask_paise: int
    oi: int
    volume: int


class OptionChain(msgspec.Struct, frozen=True, tag="chain", array_like=True):
    """An option-chain snapshot of one underlying and expiry, rows by (strike, CE before PE)."""

    at_ns: int
    underlying: str
    expiry: date
    spot_paise: int
    rows: tuple[ChainRow, ...]


def strikes_near(strikes: Sequence[int], spot_paise: int, reach: int = CHAIN_REACH) -> Sequence[int]:
    """Of ascending strikes, those at most ``reach`` places from the first one at or above the spot."""
    middle = bisect_left(strikes, spot_paise)
    return strikes[max(middle - reach, 0) : middle + reach + 1]


def near_chain(chain: OptionChain, contracts: Mapping[int, Contract], reach: int = CHAIN_REACH) -> OptionChain:
    """The chain without its far strikes: a whole one has some two hundred and fifty, a decision looks at a few."""
    strike_of = {row.key: contracts[row.key].strike_paise for row in chain.rows if row.key in contracts}
    near = set(strikes_near(sorted(set(strike_of.values())), chain.spot_paise, reach))
    rows = tuple(row for row in chain.rows if strike_of.get(row.key) in near)
    return OptionChain(chain.at_ns, chain.underlying, chain.expiry, chain.spot_paise, rows)
