"""What goes wrong around a world, as a pure decision table: given a source of chance and rates, what happens now?

The table only decides. The harness that owns the wire carries it out: loses the answer, drops the push, stalls the
feed, lets a person cancel the floor.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import msgspec

from algo_scalper.domain.market import Levels, Quote
from algo_scalper.domain.ports import Chance


class RequestFault(StrEnum):
    """Of a request to the broker."""

    NONE = "none"
    LOST_BEFORE = "lost_before"  # it never arrived, and no answer came
    LOST_AFTER = "lost_after"  # it arrived and was done; the answer was lost
    DELAYED = "delayed"
    REJECTED = "rejected"


class PushFault(StrEnum):
    """Of a row on the order socket. Delays let later rows overtake."""

    NONE = "none"
    DROPPED = "dropped"
    DUPLICATED = "duplicated"
    DELAYED = "delayed"


class MarketFault(StrEnum):
    """Of the market, drawn once a second."""

    NONE = "none"
    STALL = "stall"  # the feed goes silent while its connection stays open
    THIN = "thin"  # books shrink to one lot a level


class PersonAct(StrEnum):
    """What a person does in the broker's app, drawn once a second while a position is open."""

    NONE = "none"
    CANCEL_FLOOR = "cancel_floor"
    SELL_PART = "sell_part"
    SELL_ALL = "sell_all"
    BUY_MORE = "buy_more"


class FaultRates(msgspec.Struct, frozen=True):
    """Probabilities per draw. What is left of 1 in each group is NONE."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    delayed: float = 0.0
    rejected: float = 0.0
    push_dropped: float = 0.0
    push_duplicated: float = 0.0
    push_delayed: float = 0.0
    stall: float = 0.0
    thin: float = 0.0
    cancel_floor: float = 0.0
    sell_part: float = 0.0
    sell_all: float = 0.0
    buy_more: float = 0.0


HOSTILE = FaultRates(0.03, 0.03, 0.05, 0.02, 0.05, 0.05, 0.08, 0.002, 0.02, 0.004, 0.001, 0.001, 0.001)
"""A bad day: some thirty times what a broker's users report."""

_F = TypeVar("_F")


def _draw(chance: Chance, table: tuple[tuple[float, _F], ...], otherwise: _F) -> _F:
    pick = chance.random()
    for rate, fault in table:
        if pick < rate:
            return fault
        pick -= rate
    return otherwise


def request_fault(chance: Chance, rates: FaultRates) -> RequestFault:
    """What happens to this request; one number of chance is used, whatever the rates."""
    return _draw(
        chance,
        (
            (rates.lost_before, RequestFault.LOST_BEFORE),
            (rates.lost_after, RequestFault.LOST_AFTER),
            (rates.delayed, RequestFault.DELAYED),
            (rates.rejected, RequestFault.REJECTED),
        ),
        RequestFault.NONE,
    )


def push_fault(chance: Chance, rates: FaultRates) -> PushFault:
    """What happens to this row of the order socket."""
    return _draw(
        chance,
        (
            (rates.push_dropped, PushFault.DROPPED),
            (rates.push_duplicated, PushFault.DUPLICATED),
            (rates.push_delayed, PushFault.DELAYED),
        ),
        PushFault.NONE,
    )


def market_fault(chance: Chance, rates: FaultRates) -> MarketFault:
    """What the market does from this second on, for as long as the harness holds it."""
    return _draw(chance, ((rates.stall, MarketFault.STALL), (rates.thin, MarketFault.THIN)), MarketFault.NONE)


def person_act(chance: Chance, rates: FaultRates) -> PersonAct:
    """What a person does in this second."""
    return _draw(
        chance,
        (
            (rates.cancel_floor, PersonAct.CANCEL_FLOOR),
            (rates.sell_part, PersonAct.SELL_PART),
            (rates.sell_all, PersonAct.SELL_ALL),
            (rates.buy_more, PersonAct.BUY_MORE),
        ),
        PersonAct.NONE,
    )


def thinned(quote: Quote, lot: int) -> Quote:
    """The same prices with one lot at every level: what `MarketFault.THIN` makes of a book."""
    tick = quote.tick

    def thin(levels: Levels) -> Levels:
        return tuple((price, min(size, lot)) for price, size in levels)

    bids, asks = thin(quote.bids), thin(quote.asks)
    totals = [sum(size for _, size in levels) for levels in (bids, asks)]
    return Quote(msgspec.structs.replace(tick, bid_total=totals[0], ask_total=totals[1]), bids, asks)
