"""One row of the master: a thing that is quoted, a contract written on one, or a reason to leave it out.

Everything a trade depends on (lot, tick, freeze quantity, expiry, strike) comes from the row. What cannot be right raises
DataError; the reader counts such rows and the judge decides whether a file with so many may be used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

import msgspec

from algo_scalper.adapters.master.layout import Layout
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key

BSE_MNEMONICS = {"BSXOPT": "SENSEX", "BKXOPT": "BANKEX", "SX50OPT": "SENSEX50"}
"""What BSE rows carry for a symbol name."""

_ABSENT = frozenset({"", "NA", "XX"})
_TEST = "NSETEST"
"""In the symbol of the exchange's own test contracts: ``011NSETEST``."""
_MOST = 1e12
"""No number of a master file is larger."""


class LeftOut(StrEnum):
    """Rows that are well and have no place in the catalog."""

    OTHER_EXCHANGE = "other exchange"
    CURRENCY = "currency"
    """Priced finer than a paisa, and nothing here trades it."""
    COMMODITY = "commodity"
    """NSE's have no number in the feed."""
    TEST = "test contract"
    EXPIRED = "expired"


class Listing(msgspec.Struct, frozen=True, gc=False):
    """An index or a security: what is quoted by itself."""

    key: int
    exchange: str
    kind: str
    """INDEX or EQUITY, in Dhan's word."""
    symbol: str
    name: str
    series: str
    isin: str
    lot: int
    tick_paise: int | None
    """None for an index that is published without one."""
    freeze_quantity: int | None


class Derivative(msgspec.Struct, frozen=True, gc=False):
    """A future or an option, with the name of what it is written on."""

    key: int
    exchange: str
    kind: str
    """FUTIDX, FUTSTK, OPTIDX or OPTSTK."""
    underlying: str
    expiry: date
    strike_paise: int | None
    """None for a future, as is the option type."""
    option_type: str | None
    lot: int
    tick_paise: int
    freeze_quantity: int | None
    """The largest order in contracts, whole lots; None when the file does not say."""
    expiry_flag: str
    name: str

    def contract(self, freeze_quantity: int) -> Contract:
        """As the engine knows it; only for options."""
        assert self.strike_paise is not None
        assert self.option_type is not None
        return Contract(
            self.key,
            self.underlying,
            self.expiry,
            self.strike_paise,
            OptionType(self.option_type),
            self.lot,
            self.tick_paise,
            freeze_quantity,
        )


Row = Listing | Derivative | LeftOut
_R = TypeVar("_R", Listing, Derivative)

_SEGMENTS: dict[tuple[str, str], Segment | LeftOut] = {
    ("NSE", "I"): Segment.IDX_I,
    ("BSE", "I"): Segment.IDX_I,
    ("NSE", "E"): Segment.NSE_EQ,
    ("BSE", "E"): Segment.BSE_EQ,
    ("NSE", "D"): Segment.NSE_FNO,
    ("BSE", "D"): Segment.BSE_FNO,
    ("NSE", "C"): LeftOut.CURRENCY,
    ("BSE", "C"): LeftOut.CURRENCY,
    ("NSE", "M"): LeftOut.COMMODITY,
    ("BSE", "M"): LeftOut.COMMODITY,
}
_OTHERS = frozenset({"NSE", "BSE", "MCX", "NCDEX", "ICEX", "INX"})
_OPTIONS = frozenset({"OPTIDX", "OPTSTK"})
_FUTURES = frozenset({"FUTIDX", "FUTSTK"})


class RowReader:
    """Reads rows of one layout; the same object for all rows of a file."""

    def __init__(self, layout: Layout, exchanges: Collection[str], day: date) -> None:
        """``exchanges``: whose rows are wanted. ``day``: derivatives that expired before it are left out."""
        at = layout.at
        self._detailed = layout.detailed
        self._day = day
        self._width = layout.width
        self._places: dict[tuple[str, str], Segment | LeftOut] = {
            place: segment for place, segment in _SEGMENTS.items() if place[0] in exchanges
        }
        self._wanted = frozenset(exchanges)
        self._exchange, self._segment, self._id = at["exchange"], at["segment"], at["security_id"]
        self._kind, self._symbol, self._mnemonic = at["kind"], at["symbol"], at["mnemonic"]
        self._lot, self._tick, self._expiry = at["lot"], at["tick"], at["expiry"]
        self._strike, self._type = at["strike"], at["option_type"]
        self._name, self._series = at.get("name"), at.get("series")
        self._flag, self._isin, self._freeze = at.get("expiry_flag"), at.get("isin"), at.get("freeze")

    def read(self, fields: Sequence[str]) -> Row:
        """What the row is. Raises DataError saying what in it cannot be."""
        if len(fields) < self._width:
            raise DataError(f"has {len(fields)} fields, the header {self._width}")
        exchange, letter = fields[self._exchange], fields[self._segment]
        place = self._places.get((exchange, letter))
        if place is None:
            place = self._unusual(exchange.strip(), letter.strip())
            exchange, letter = exchange.strip(), letter.strip()
        if isinstance(place, LeftOut):
            return place
        try:
            key = instrument_key(place, int(fields[self._id]))
        except ValueError:
            raise DataError(f"security id {fields[self._id]!r} is not a number") from None
        if key & 0xFFFF_FFFF == 0 or key >> 32 != place:
            raise DataError(f"security id {fields[self._id]!r} is none")
        return self._derivative(fields, key, exchange) if letter == "D" else self._listing(fields, key, exchange)

    def _unusual(self, exchange: str, letter: str) -> Segment | LeftOut:
        if (place := self._places.get((exchange, letter))) is not None:
            return place
        if exchange in _OTHERS and exchange not in self._wanted:
            return LeftOut.OTHER_EXCHANGE
        raise DataError(f"exchange {exchange!r}, segment {letter!r} are not known")

    def _listing(self, fields: Sequence[str], key: int, exchange: str) -> Row:
        symbol = fields[self._symbol].strip() or fields[self._mnemonic].strip()
        if _TEST in symbol:
            return LeftOut.TEST
        if not symbol:
            raise DataError(f"security id {fields[self._id]} has no symbol")
        kind = fields[self._kind]
        lot = whole(fields[self._lot], "lot")
        # Ticks of indices are printed in rupees, all others in paise.
        tick = (rupee_paise if kind == "INDEX" else whole)(fields[self._tick], "tick")
        if lot <= 0 or tick < 0:
            raise DataError(f"{symbol}: lot {lot}, tick {tick} paise")
        return Listing(
            key,
            exchange,
            kind,
            symbol,
            "" if self._name is None else fields[self._name],
            "" if self._series is None else _said(fields[self._series]),
            "" if self._isin is None else _said(fields[self._isin]),
            lot,
            tick or None,
            self._most(fields, lot),
        )

    def _derivative(self, fields: Sequence[str], key: int, exchange: str) -> Row:
        kind = fields[self._kind]
        option = kind in _OPTIONS
        if not option and kind not in _FUTURES:
            raise DataError(f"a derivative of kind {kind!r} is not known")
        underlying = self._underlying(fields, 3 if option else 2)
        if _TEST in underlying:
            return LeftOut.TEST
        expiry = expiry_date(fields[self._expiry])
        if expiry < self._day:
            return LeftOut.EXPIRED
        lot, tick = whole(fields[self._lot], "lot"), whole(fields[self._tick], "tick in paise")
        strike: int | None = None
        side: str | None = None
        if option:
            strike, side = rupee_paise(fields[self._strike], "strike"), fields[self._type]
            if side not in {"CE", "PE"} or strike <= 0:
                raise DataError(f"{underlying} {expiry}: option type {side!r}, strike {fields[self._strike]!r}")
        if lot <= 0 or tick <= 0 or not underlying:
            raise DataError(f"{underlying!r} {expiry}: lot {lot}, tick {tick} paise")
        return Derivative(
            key,
            exchange,
            kind,
            underlying,
            expiry,
            strike,
            side,
            lot,
            tick,
            self._most(fields, lot),
            "" if self._flag is None else _said(fields[self._flag]),
            "" if self._name is None else fields[self._name],
        )

    def _underlying(self, fields: Sequence[str], parts: int) -> str:
        symbol = fields[self._symbol]
        if self._detailed:
            return underlying_of(symbol, fields[self._mnemonic])
        # From the right: BAJAJ-AUTO-Feb2026-9000-CE has a hyphen of its own.
        return underlying_of(symbol.rsplit("-", parts)[0], fields[self._mnemonic])

    def _most(self, fields: Sequence[str], lot: int) -> int | None:
        """Whole lots one order may carry. The file states the first quantity that is too much; -1 and 0 state nothing."""
        if self._freeze is None:
            return None
        stated = whole(fields[self._freeze], "freeze quantity")
        return (stated - 1) // lot * lot if stated > lot else None


def contract_place(row: Listing | Derivative) -> tuple[object, ...] | None:
    """What identifies an option, whatever its security id: exchange, underlying, expiry, strike, side. None for others."""
    if isinstance(row, Listing) or row.strike_paise is None:
        return None
    return row.exchange, row.underlying, row.expiry, row.strike_paise, row.option_type


def first_of_each(rows: Iterable[_R]) -> list[_R]:
    """The rows without those that repeat a security id, or a contract under another id."""
    keys: set[int] = set()
    contracts: set[tuple[object, ...]] = set()
    kept: list[_R] = []
    for row in rows:
        if row.key in keys:
            continue
        place = contract_place(row)
        if place is not None:
            if place in contracts:
                continue
            contracts.add(place)
        keys.add(row.key)
        kept.append(row)
    return kept


def underlying_of(symbol: str, mnemonic: str) -> str:
    """``NIFTY``; ``SENSEX`` from ``BSXOPT`` where there is nothing better."""
    head, other = symbol.strip(), mnemonic.strip()
    return BSE_MNEMONICS.get(head, head) if head else BSE_MNEMONICS.get(other, other)


def _said(text: str) -> str:
    return "" if text in _ABSENT else text


def _cached(read: Callable[[str, str], int]) -> Callable[[str, str], int]:
    # A file has a few hundred different lots and ticks and some thousand strikes, each a thousand times.
    return lru_cache(maxsize=1 << 16)(read)


@_cached
def whole(text: str, what: str) -> int:
    """A whole number, written ``65``, ``65.0`` or ``1.0E7``; absent is 0. Raises DataError naming ``what``."""
    found = _number(text, what)
    if found != int(found):
        raise DataError(f"{what}: {text!r} is not a whole number")
    return int(found)


@_cached
def rupee_paise(text: str, what: str) -> int:
    """Rupees to whole paise; absent is 0. Raises DataError for what is no number or finer than a paisa."""
    found = _number(text, what) * 100
    if abs(found - round(found)) > 1e-4:
        raise DataError(f"{what}: {text!r} is finer than a paisa")
    return round(found)


def _number(text: str, what: str) -> float:
    if not text or text.isspace():
        return 0.0
    try:
        found = float(text)
    except ValueError:
        raise DataError(f"{what}: {text!r} is not a number") from None
    if not math.isfinite(found) or abs(found) > _MOST:
        raise DataError(f"{what}: {text!r} is not a number a file could mean")
    return found


@lru_cache(maxsize=1 << 12)
def expiry_date(text: str) -> date:
    """``2026-11-23``, with or without a time behind it, which means nothing. Raises DataError."""
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        if "/" in text:
            raise DataError(
                f"expiry {text!r} is as a spreadsheet writes it: the file was opened and saved again; fetch it from Dhan"
            ) from None
        raise DataError(f"expiry {text!r} is not a date") from None
