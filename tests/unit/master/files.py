"""Master files typed by hand, row by row as Dhan serves them, small enough to read and whole enough to be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from algo_scalper.adapters.master.reader import MasterFile, MasterReader
from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.units import ist_ns

DAY = date(2026, 9, 7)
"""A Monday: NIFTY expires on the 8th, SENSEX on the 10th."""
NOW_NS = ist_ns(DAY, 8 * 3600 + 30 * 60)

COMPACT = (
    "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,"
    "SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,"
    "SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME"
)
DETAILED = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG,BRACKET_FLAG,"
    "COVER_FLAG,ASM_GSM_FLAG,ASM_GSM_CATEGORY,BUY_SELL_INDICATOR,BUY_CO_MIN_MARGIN_PER,BUY_CO_SL_RANGE_MAX_PERC,"
    "BUY_CO_SL_RANGE_MIN_PERC,BUY_BO_MIN_MARGIN_PER,BUY_BO_PROFIT_RANGE_MAX_PERC,BUY_BO_PROFIT_RANGE_MIN_PERC,"
    "MTF_LEVERAGE,SM_UPPER_LIMIT,SM_LOWER_LIMIT,SM_FREEZE_QTY,"
)
"""Since August 2026, with its comma at the end."""

DETAILED_APRIL = DETAILED.removesuffix(",SM_FREEZE_QTY,")
"""The generation before: no freeze quantity, no comma."""
DETAILED_2025 = DETAILED_APRIL.removesuffix(",SM_UPPER_LIMIT,SM_LOWER_LIMIT").replace(
    ",BUY_BO_MIN_MARGIN_PER", ",SELL_CO_MIN_MARGIN_PER,SELL_CO_SL_RANGE_MAX_PERC,BUY_BO_MIN_MARGIN_PER"
)
"""The generation with SELL columns (two of its eight), ending at MTF_LEVERAGE."""

INDEX_OPTIONS: dict[str, tuple[str, int, int, int, int]] = {
    # exchange, lot, first strike and step in rupees, stated freeze quantity
    "NIFTY": ("NSE", 65, 25_000, 50, 1756),
    "BANKNIFTY": ("NSE", 30, 55_000, 100, 601),
    "FINNIFTY": ("NSE", 60, 26_000, 50, 1201),
    "SENSEX": ("BSE", 20, 82_000, 100, 1001),
}
INDEX_IDS = {"NIFTY": 13, "BANKNIFTY": 25, "FINNIFTY": 27, "SENSEX": 51}
TICKS = {"NSE": "0.0500", "BSE": "0.0100"}
FIRST_IDS = {"NIFTY": 40_000, "BANKNIFTY": 50_000, "FINNIFTY": 60_000, "SENSEX": 820_000}
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
STRIKES = 6
SHARES = 80

Line = dict[str, str]
"""One row by the names of the detailed layout."""


def line(**fields: object) -> Line:
    return {name.upper(): str(value) for name, value in fields.items()}


def index_line(name: str, exchange: str, number: int) -> Line:
    return line(
        exch_id=exchange, segment="I", security_id=number, isin="NA", instrument="INDEX", underlying_security_id=number,
        underlying_symbol=name, symbol_name=name, display_name=name.title(), instrument_type="INDEX", series="NA",
        lot_size="1.0", sm_expiry_date="0001-01-01", option_type="XX", tick_size=TICKS[exchange], expiry_flag="N",
        sm_freeze_qty="0",
    )  # fmt: skip


def share_line(symbol: str, exchange: str, number: int, **changed: object) -> Line:
    return line(
        exch_id=exchange, segment="E", security_id=number, isin="INE885A01032", instrument="EQUITY",
        underlying_symbol=symbol, symbol_name=f"{symbol} LTD", display_name=symbol.title(), instrument_type="ES",
        series="EQ", lot_size="1.0", tick_size="5.0000", expiry_flag="NA", sm_freeze_qty="-1",
    ) | line(**changed)  # fmt: skip


def option_line(
    underlying: str, exchange: str, number: int, expiry: date, strike: float, side: str, **changed: object
) -> Line:
    index = underlying in INDEX_OPTIONS
    lot, freeze = (INDEX_OPTIONS[underlying][1], INDEX_OPTIONS[underlying][4]) if index else (500, 20_001)
    kind = "OPTIDX" if index else "OPTSTK"
    symbol = f"{underlying}-{expiry:%b%Y}-{strike:g}-{side}"
    return line(
        exch_id=exchange, segment="D", security_id=number, isin="NA", instrument=kind, underlying_security_id=26_000,
        underlying_symbol=underlying, symbol_name="BSXOPT" if exchange == "BSE" and index else symbol,
        trading_symbol=symbol, display_name=f"{underlying} {expiry:%d} {MONTHS[expiry.month - 1]} {strike:g} {side}",
        instrument_type="OP" if exchange == "NSE" else kind, series="NA", lot_size=f"{lot:.1f}",
        sm_expiry_date=expiry.isoformat(), strike_price=f"{strike:.5f}", option_type=side, tick_size="5.0000",
        expiry_flag="W", sm_upper_limit="20.1000", sm_lower_limit="0.0500", sm_freeze_qty=freeze,
    ) | line(**changed)  # fmt: skip


def future_line(underlying: str, exchange: str, number: int, expiry: date, **changed: object) -> Line:
    index = underlying in INDEX_OPTIONS
    return line(
        exch_id=exchange, segment="D", security_id=number, isin="NA", instrument="FUTIDX" if index else "FUTSTK",
        underlying_symbol=underlying, symbol_name="BSXFUT" if exchange == "BSE" else "",
        trading_symbol=f"{underlying}-{expiry:%b%Y}-FUT", display_name=f"{underlying} {MONTHS[expiry.month - 1]}  FUT",
        instrument_type="FUT", series="NA", lot_size="65.0", sm_expiry_date=expiry.isoformat(),
        strike_price="-0.01000" if exchange == "NSE" else "0.00000", option_type="XX" if exchange == "NSE" else "",
        tick_size="10.0000", expiry_flag="M", sm_freeze_qty="1756",
    ) | line(**changed)  # fmt: skip


def strangers(day: date = DAY) -> list[Line]:
    """Rows with no place in the catalog: MCX, currencies, commodities, test contracts, expired ones."""
    far = date(2036, 11, 27)
    return [
        option_line("GOLD", "MCX", 500_001, far, 60_000, "CE") | line(segment="M", instrument="OPTFUT"),
        option_line("USDINR", "NSE", 1_220, far, 83.25, "CE")
        | line(segment="C", instrument="OPTCUR", tick_size="0.2500"),
        option_line("SILVER", "NSE", 1_221, far, 90_000, "CE") | line(segment="M", instrument="OPTFUT"),
        future_line("011NSETEST", "NSE", 36_687, far),
        share_line("141NSETEST", "NSE", 14_781),
        option_line("NIFTY", "NSE", 39_999, date(day.year - 1, 9, 2), 25_000, "CE"),
    ]


def whole_market(day: date = DAY) -> list[Line]:
    """Everything a believable file has."""
    lines = [index_line(name, INDEX_OPTIONS[name][0], number) for name, number in INDEX_IDS.items()]
    lines.append(index_line("INDIA VIX", "NSE", 21))
    # Ids are shared between segments: 13 is NIFTY and ABB, 25 BANKNIFTY and ADANIENT.
    shares = ["ABB", "ADANIENT", "BAJAJ-AUTO", "M&M", *(f"SHARE{number}" for number in range(SHARES))]
    ids = [13, 25, *range(1_000, 1_000 + len(shares))]
    for exchange in ("NSE", "BSE"):
        lines += [share_line(symbol, exchange, number) for symbol, number in zip(shares, ids, strict=False)]
    for name, (exchange, _, first, step, _) in INDEX_OPTIONS.items():
        number = FIRST_IDS[name]
        for expiry in expiries(name, day, 2):
            for at in range(STRIKES):
                for side in ("CE", "PE"):
                    lines.append(option_line(name, exchange, number, expiry, first + at * step, side))
                    number += 1
        lines.append(future_line(name, exchange, number, expiries(name, day, 2)[-1]))
    far = expiries("NIFTY", day, 2)[-1]
    lines += [
        option_line("BAJAJ-AUTO", "NSE", 70_001, far, 9_000, "CE"),
        option_line("M&M", "NSE", 70_002, far, 3_000, "PE"),
        future_line("ABB", "NSE", 70_003, far),
        option_line("ABB", "BSE", 870_001, far, 5_000, "CE"),
    ]
    return lines + strangers(day)


def detailed(lines: Iterable[Line], header: str = DETAILED) -> str:
    names = header.split(",")
    return "\n".join([header, *(",".join(row.get(name, "") for name in names) for row in lines)]) + "\n"


def compact(lines: Iterable[Line]) -> str:
    """The compact layout; like Dhan's, it does not end with a line's end."""
    return "\n".join([COMPACT, *map(_compact, lines)])


def _compact(row: Line) -> str:
    derivative, expiry = row["SEGMENT"] in "DCM", row.get("SM_EXPIRY_DATE", "")
    if derivative:
        expiry += " 14:30:00" if row["EXCH_ID"] == "NSE" else " 15:30:00"
    mnemonic = row["SYMBOL_NAME"] if not derivative or row["EXCH_ID"] == "BSE" else ""
    symbol = row.get("TRADING_SYMBOL") or row["UNDERLYING_SYMBOL"]
    return ",".join(
        (
            row["EXCH_ID"], row["SEGMENT"], row["SECURITY_ID"], row["INSTRUMENT"], "0", symbol, row["LOT_SIZE"],
            row["DISPLAY_NAME"], expiry, row.get("STRIKE_PRICE", ""), row.get("OPTION_TYPE", ""), row["TICK_SIZE"],
            row["EXPIRY_FLAG"], row["INSTRUMENT_TYPE"], "" if derivative else row["SERIES"], mnemonic,
        )
    )  # fmt: skip


def changed(lines: Iterable[Line], where: Callable[[Line], bool], **fields: Any) -> list[Line]:
    """The lines with fields changed where it says."""
    return [row | line(**fields) if where(row) else row for row in lines]


def option_of(name: str) -> Callable[[Line], bool]:
    """Whether a line is an option of an index that has not expired."""
    return lambda row: (
        row["INSTRUMENT"] == "OPTIDX" and row["UNDERLYING_SYMBOL"] == name and row["SECURITY_ID"] != "39999"
    )


def read(
    text: str | bytes, day: date = DAY, exchanges: tuple[str, ...] = ("NSE", "BSE"), chunk: int = 1 << 16
) -> MasterFile:
    content = text.encode() if isinstance(text, str) else text
    reader = MasterReader(day, exchanges)
    for start in range(0, len(content), chunk):
        reader.feed(content[start : start + chunk])
    return reader.finish()


def stored(folder: Path, text: str | bytes, name: str = "master.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


class StillClock:
    """A `Clock` that stands still; waiting takes no time and moves it."""

    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.at_ns = now_ns
        self.waited_ns: list[int] = []

    def now_ns(self) -> int:
        return self.at_ns

    async def sleep_until(self, at_ns: int) -> None:
        self.waited_ns.append(at_ns - self.at_ns)
        self.at_ns = max(self.at_ns, at_ns)
