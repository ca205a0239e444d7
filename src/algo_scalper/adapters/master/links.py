"""What every contract is written on, found on its own exchange: NIFTY of NSE is never the parent of a BSE contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from algo_scalper.adapters.master.rows import Derivative, Listing

PARENT_KIND = {"FUTIDX": "INDEX", "OPTIDX": "INDEX", "FUTSTK": "EQUITY", "OPTSTK": "EQUITY"}

LISTED_AS = {("NSE", "NIFTYNXT50"): "NIFTY NEXT 50", ("BSE", "SENSEX50"): "SNSX50"}
"""Indices whose contracts carry another name than the index itself."""

_ORDINARY = frozenset({"EQ", "A", "B"})
"""Series of ordinary shares: a company's debenture may carry the share's symbol (MOTHERSON, series D1)."""

Parents = dict[tuple[str, str, str], int]
"""(exchange, kind of the contract, underlying) to the key of what it is written on."""


class Unlinked(msgspec.Struct, frozen=True):
    """Contracts whose underlying is not on their exchange, and the exchange that has it (empty when none does)."""

    exchange: str
    kind: str
    underlying: str
    contracts: int
    found_on: str

    def __str__(self) -> str:
        where = f"only on {self.found_on}" if self.found_on else "nowhere in the file"
        return f"{self.contracts} {self.kind} of {self.underlying} on {self.exchange}: {self.underlying} is {where}"


def parents_of(listings: Iterable[Listing], derivatives: Iterable[Derivative]) -> Parents:
    """The parent of every (exchange, kind, underlying) that has one on its exchange."""
    quoted = _by_symbol(listings)
    parents: Parents = {}
    for exchange, kind, underlying in {(row.exchange, row.kind, row.underlying) for row in derivatives}:
        symbol = LISTED_AS.get((exchange, underlying), underlying)
        found = quoted.get((exchange, PARENT_KIND[kind], symbol))
        if found is not None:
            parents[exchange, kind, underlying] = found.key
    return parents


def unlinked(listings: Iterable[Listing], derivatives: Iterable[Derivative], parents: Parents) -> Iterator[Unlinked]:
    """Contracts without a parent, by underlying; they have no place in the catalog."""
    lost = Counter(place for row in derivatives if (place := (row.exchange, row.kind, row.underlying)) not in parents)
    elsewhere = {(row.kind, row.symbol): row.exchange for row in listings} if lost else {}
    for (exchange, kind, underlying), count in sorted(lost.items()):
        yield Unlinked(exchange, kind, underlying, count, elsewhere.get((PARENT_KIND[kind], underlying), ""))


def _by_symbol(listings: Iterable[Listing]) -> dict[tuple[str, str, str], Listing]:
    found: dict[tuple[str, str, str], Listing] = {}
    for row in listings:
        place = (row.exchange, row.kind, row.symbol)
        first = found.get(place)
        if first is None or (first.series not in _ORDINARY and row.series in _ORDINARY):
            found[place] = row
    return found
