"""The underlying as the option chain itself implies it: put-call parity of the strikes nearest the money.

Used where the index is unknown (frozen before its print, feed lost); it needs nothing but two-sided option quotes.
"""

from __future__ import annotations

from collections.abc import Mapping

from algo_scalper.domain.instruments import Contract, OptionType
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.pricing import parity_forward

NEAR_PAIRS = 3
"""Strikes used; their forwards lie within a quarter of a point of each other in a liquid weekly expiry."""


def implied_forward_paise(chain: OptionChain, contracts: Mapping[int, Contract], pairs: int = NEAR_PAIRS) -> int | None:
    """The forward to this expiry in paise: the median of strike + call - put over the strikes nearest the money.

    Nearest the money is where call and put cost nearly the same, so no index price is needed to find it. None unless
    ``pairs`` strikes are quoted on both sides, calls and puts. It is a forward: above spot by the carry to expiry.
    """
    calls: dict[int, float] = {}
    puts: dict[int, float] = {}
    for row in chain.rows:
        contract = contracts.get(row.key)
        mid = _mid_paise(row)
        if (
            contract is None
            or mid is None
            or (contract.underlying, contract.expiry) != (chain.underlying, chain.expiry)
        ):
            continue
        (calls if contract.option_type is OptionType.CE else puts)[contract.strike_paise] = mid

    quoted = [(float(strike), calls[strike], puts[strike]) for strike in sorted(calls.keys() & puts.keys())]
    nearest = sorted(quoted, key=lambda pair: abs(pair[1] - pair[2]))[:pairs]
    if len(nearest) < pairs:
        return None
    forward = parity_forward(nearest)
    return None if forward is None else round(forward)


def _mid_paise(row: ChainRow) -> float | None:
    """Half way between bid and ask; None when a side is missing or they are crossed."""
    if row.bid_paise <= 0 or row.ask_paise < row.bid_paise:
        return None
    return (row.bid_paise + row.ask_paise) / 2
