"""The engine's own catalogue: option contracts of our indices, straight out of Dhan's master file into memory.

The file is read by the one parser there is (``adapters/master``), as it streams in; only rows of index options are looked at
twice. What is kept for longer is the catalog in the store, which the import writes.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import msgspec

from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.master.reader import MasterReader
from algo_scalper.adapters.master.rows import Derivative
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import INDICES, Contract

FREEZE_QUANTITY: dict[str, tuple[tuple[date, int], ...]] = {
    "NIFTY": ((date.min, 1800),),
    "BANKNIFTY": ((date.min, 900), (date(2026, 1, 1), 600)),
    "FINNIFTY": ((date.min, 1200),),
    "SENSEX": ((date.min, 1000),),
}
"""Contracts one order may carry, from a date on: used when the file does not say (the compact one does not).

Exchanges recompute them monthly. FINNIFTY is the smaller of two figures in circulation, 1200 and 1800.
"""


class Catalogue(msgspec.Struct, frozen=True):
    """What one master file gave: contracts by underlying, expiry and strike, and rows that made no sense."""

    contracts: tuple[Contract, ...]
    unreadable: tuple[str, ...]
    rows: int


class OptionReader:
    """Reads a master file chunk by chunk: `feed` it, then `finish`."""

    def __init__(self, underlyings: Collection[str], day: date, until: date) -> None:
        """Contracts of these underlyings that expire from ``day`` to ``until``, both included."""
        self._underlyings = frozenset(underlyings)
        self._day = day
        self._until = until
        self._reader = MasterReader(day, only="OPTIDX")

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file. Raises DataError when they cannot be those of a master file."""
        self._reader.feed(chunk)

    def finish(self) -> Catalogue:
        """What was found. Raises DataError when the file was empty."""
        file = self._reader.finish()
        found: dict[int, Contract] = {}
        for row in file.derivatives:
            if row.kind == "OPTIDX" and row.expiry <= self._until and self._is_ours(row):
                stated = row.freeze_quantity
                freeze = stated or freeze_quantity(row.underlying, self._day) // row.lot * row.lot
                found[row.key] = row.contract(freeze)
        ordered = sorted(found.values(), key=lambda one: (one.underlying, one.expiry, one.strike_paise, one.key))
        return Catalogue(tuple(ordered), tuple(map(str, file.unreadable)), file.rows)

    def _is_ours(self, row: Derivative) -> bool:
        """Asked for, and on the exchange its index belongs to."""
        if row.underlying not in self._underlyings:
            return False
        index = INDICES.get(row.underlying)
        return index is None or row.exchange == index.exchange


def freeze_quantity(underlying: str, day: date) -> int:
    """The largest order by `FREEZE_QUANTITY` on a day. Raises DataError for an underlying it does not hold."""
    for since, quantity in reversed(FREEZE_QUANTITY.get(underlying, ())):
        if since <= day:
            return quantity
    raise DataError(f"no freeze quantity is known for {underlying}: use the detailed master file, which has it")


async def read_catalogue(rest: DhanRest, url: str, underlyings: Collection[str], day: date, until: date) -> Catalogue:
    """Download a master file (compact, detailed, or /instrument/{segment}) and read it.

    Raises `BrokerError` when it does not come, DataError when it is not a master file.
    """
    reader = OptionReader(underlyings, day, until)
    await rest.download(url, reader.feed)
    return reader.finish()
