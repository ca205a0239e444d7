"""The instrument master: option contracts of our indices out of Dhan's CSV, compact or detailed.

Columns are found by name, never by position: the detailed file has had three layouts in two years. The file is read as
it streams in (35 MB, some 270,000 rows); only rows of index options are looked at twice.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection
from datetime import date

import msgspec

from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.values import iso_date, number, whole
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key

BSE_MNEMONICS = {"BSXOPT": "SENSEX", "BKXOPT": "BANKEX", "SX50OPT": "SENSEX50"}
"""What BSE rows carry for a symbol name."""

OPTION_SEGMENT = {("NSE", "D"): Segment.NSE_FNO, ("BSE", "D"): Segment.BSE_FNO}

FREEZE_QUANTITY: dict[str, tuple[tuple[date, int], ...]] = {
    "NIFTY": ((date.min, 1800),),
    "BANKNIFTY": ((date.min, 900), (date(2026, 1, 1), 600)),
    "FINNIFTY": ((date.min, 1200),),
    "SENSEX": ((date.min, 1000),),
}
"""Contracts one order may carry, from a date on: used when the file does not say (the compact one does not).

Exchanges recompute them monthly. FINNIFTY is the smaller of two figures in circulation, 1200 and 1800.
"""

_COLUMNS: tuple[dict[str, str], ...] = (
    {
        "exchange": "SEM_EXM_EXCH_ID",
        "segment": "SEM_SEGMENT",
        "security_id": "SEM_SMST_SECURITY_ID",
        "instrument": "SEM_INSTRUMENT_NAME",
        "symbol": "SEM_TRADING_SYMBOL",
        "mnemonic": "SM_SYMBOL_NAME",
        "lot": "SEM_LOT_UNITS",
        "expiry": "SEM_EXPIRY_DATE",
        "strike": "SEM_STRIKE_PRICE",
        "option_type": "SEM_OPTION_TYPE",
        "tick": "SEM_TICK_SIZE",
    },
    {
        "exchange": "EXCH_ID",
        "segment": "SEGMENT",
        "security_id": "SECURITY_ID",
        "instrument": "INSTRUMENT",
        "symbol": "UNDERLYING_SYMBOL",
        "mnemonic": "SYMBOL_NAME",
        "lot": "LOT_SIZE",
        "expiry": "SM_EXPIRY_DATE",
        "strike": "STRIKE_PRICE",
        "option_type": "OPTION_TYPE",
        "tick": "TICK_SIZE",
    },
)
_FREEZE_COLUMN = "SM_FREEZE_QTY"


class Catalogue(msgspec.Struct, frozen=True):
    """What one master file gave: contracts by (underlying, expiry, strike, type), and rows that made no sense."""

    contracts: tuple[Contract, ...]
    unreadable: tuple[str, ...]
    rows: int


class MasterReader:
    """Reads a master file chunk by chunk: `feed` it, then `finish`."""

    def __init__(self, underlyings: Collection[str], day: date, until: date) -> None:
        """Contracts of these underlyings that expire from ``day`` to ``until``, both included."""
        self._underlyings = frozenset(underlyings)
        self._day = day
        self._until = until
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._tail = ""
        self._at: dict[str, int] = {}
        self._rows = 0
        self._contracts: dict[int, Contract] = {}
        self._unreadable: list[str] = []

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file. Raises DataError when its first line is not a master's header."""
        self._lines((self._tail + self._decoder.decode(chunk)).split("\n"), whole_file=False)

    def finish(self) -> Catalogue:
        """What was found. Raises DataError when the file was empty."""
        self._lines((self._tail + self._decoder.decode(b"", final=True)).split("\n"), whole_file=True)
        if not self._at:
            raise DataError("instrument master: the file is empty; nothing can be traded without it")
        ordered = sorted(
            self._contracts.values(), key=lambda one: (one.underlying, one.expiry, one.strike_paise, one.key)
        )
        return Catalogue(tuple(ordered), tuple(self._unreadable), self._rows)

    def _lines(self, lines: list[str], whole_file: bool) -> None:
        self._tail = "" if whole_file else lines.pop()
        for line in lines:
            if not line.strip():
                continue
            if not self._at:
                self._header(line)
                continue
            self._rows += 1
            if "OPTIDX" in line:
                self._option(line)

    def _header(self, line: str) -> None:
        names = [name.strip() for name in _fields(line)]
        for columns in _COLUMNS:
            if columns["security_id"] in names:
                missing = [name for name in columns.values() if name not in names]
                if missing:
                    raise DataError(f"instrument master: the header lacks {', '.join(missing)}")
                self._at = {what: names.index(name) for what, name in columns.items()}
                if _FREEZE_COLUMN in names:
                    self._at["freeze"] = names.index(_FREEZE_COLUMN)
                return
        raise DataError(f"instrument master: not a header this project knows: {line[:80]!r}")

    def _option(self, line: str) -> None:
        fields = _fields(line)
        row = {what: fields[at].strip() for what, at in self._at.items() if at < len(fields)}
        if row.get("instrument") != "OPTIDX":
            return
        underlying = underlying_of(row.get("symbol", ""), row.get("mnemonic", ""))
        if underlying not in self._underlyings:
            return
        try:
            contract = self._contract(row, underlying)
        except DataError as fault:
            self._unreadable.append(f"row {self._rows}: {fault}")
            return
        if contract is not None:
            self._contracts[contract.key] = contract

    def _contract(self, row: dict[str, str], underlying: str) -> Contract | None:
        expiry = iso_date(row.get("expiry"), "expiry")
        if not self._day <= expiry <= self._until:
            return None
        segment = OPTION_SEGMENT.get((row["exchange"], row["segment"]))
        if segment is None or row.get("option_type") not in ("CE", "PE"):
            raise DataError(f"not an option of NSE or BSE: {row['exchange']},{row['segment']},{row.get('option_type')}")
        lot = whole(row.get("lot"), "lot")
        tick_paise = whole(row.get("tick"), "tick in paise")
        strike_paise = round(number(row.get("strike"), "strike") * 100)
        if lot <= 0 or tick_paise <= 0 or strike_paise <= 0:
            raise DataError(f"{underlying} {expiry}: lot {lot}, tick {tick_paise} paise, strike {strike_paise} paise")
        return Contract(
            instrument_key(segment, whole(row.get("security_id"), "security id")),
            underlying,
            expiry,
            strike_paise,
            OptionType(row["option_type"]),
            lot,
            tick_paise,
            self._freeze(row, underlying, lot),
        )

    def _freeze(self, row: dict[str, str], underlying: str, lot: int) -> int:
        """Whole lots one order may carry. The file states the first quantity that is too much."""
        if "freeze" in row and (stated := whole(row["freeze"], "freeze quantity")) > lot:
            return (stated - 1) // lot * lot
        return freeze_quantity(underlying, self._day) // lot * lot


def freeze_quantity(underlying: str, day: date) -> int:
    """The largest order by `FREEZE_QUANTITY` on a day. Raises DataError for an underlying it does not hold."""
    for since, quantity in reversed(FREEZE_QUANTITY.get(underlying, ())):
        if since <= day:
            return quantity
    raise DataError(f"no freeze quantity is known for {underlying}: use the detailed master file, which has it")


def underlying_of(symbol: str, mnemonic: str) -> str:
    """``NIFTY`` from ``NIFTY-Feb2026-25000-CE``, ``SENSEX`` from ``BSXOPT`` where there is nothing better."""
    head = symbol.split("-", 1)[0].strip()
    return BSE_MNEMONICS.get(head, head) if head else BSE_MNEMONICS.get(mnemonic, mnemonic)


async def read_catalogue(rest: DhanRest, url: str, underlyings: Collection[str], day: date, until: date) -> Catalogue:
    """Download a master file (compact, detailed, or /instrument/{segment}) and read it.

    Raises `BrokerError` when it does not come, DataError when it is not a master file.
    """
    reader = MasterReader(underlyings, day, until)
    await rest.download(url, reader.feed)
    return reader.finish()


def _fields(line: str) -> list[str]:
    """The fields of one CSV line; quoted ones may hold commas."""
    return next(csv.reader((line.rstrip("\r"),)))
