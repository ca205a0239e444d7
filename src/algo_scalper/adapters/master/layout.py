"""The columns of the master file, by name: the compact layout, and the detailed one in all its generations.

Never by position: the detailed file has had three layouts in two years (39 columns in 2025; without the SELL columns and
with price limits in April 2026; with the freeze quantity since August 2026). A file of 2023 had a blank before a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from algo_scalper.domain.errors import DataError

_COMPACT = {
    "exchange": "SEM_EXM_EXCH_ID",
    "segment": "SEM_SEGMENT",
    "security_id": "SEM_SMST_SECURITY_ID",
    "kind": "SEM_INSTRUMENT_NAME",
    "symbol": "SEM_TRADING_SYMBOL",
    "mnemonic": "SM_SYMBOL_NAME",
    "name": "SEM_CUSTOM_SYMBOL",
    "series": "SEM_SERIES",
    "lot": "SEM_LOT_UNITS",
    "expiry": "SEM_EXPIRY_DATE",
    "strike": "SEM_STRIKE_PRICE",
    "option_type": "SEM_OPTION_TYPE",
    "tick": "SEM_TICK_SIZE",
    "expiry_flag": "SEM_EXPIRY_FLAG",
}
_DETAILED = {
    "exchange": "EXCH_ID",
    "segment": "SEGMENT",
    "security_id": "SECURITY_ID",
    "kind": "INSTRUMENT",
    "symbol": "UNDERLYING_SYMBOL",
    "mnemonic": "SYMBOL_NAME",
    "name": "DISPLAY_NAME",
    "series": "SERIES",
    "lot": "LOT_SIZE",
    "expiry": "SM_EXPIRY_DATE",
    "strike": "STRIKE_PRICE",
    "option_type": "OPTION_TYPE",
    "tick": "TICK_SIZE",
    "expiry_flag": "EXPIRY_FLAG",
}
_NOT_IN_ALL = {"isin": "ISIN", "freeze": "SM_FREEZE_QTY"}
"""Read where a file has them."""
_MAY_BE_ABSENT = frozenset({"name", "series", "expiry_flag"})
"""Nothing is traded by these."""


class Layout(msgspec.Struct, frozen=True):
    """Where each column of one file stands. ``symbol`` of the compact layout is a contract's, of the detailed its underlying's."""

    name: str
    at: Mapping[str, int]
    width: int

    @property
    def detailed(self) -> bool:
        """Whether the underlying has a column of its own."""
        return self.name == "detailed"

    @property
    def states_freeze(self) -> bool:
        """Whether the file says how much one order may carry."""
        return "freeze" in self.at


def layout_of(header: Sequence[str]) -> Layout:
    """The layout that a first line announces. Raises DataError for any other first line."""
    names = [name.strip().strip('"') for name in header]
    for layout, columns in (("compact", _COMPACT), ("detailed", _DETAILED)):
        if columns["security_id"] not in names:
            continue
        missing = [name for what, name in columns.items() if name not in names and what not in _MAY_BE_ABSENT]
        if missing:
            raise DataError(f"instrument master: the header lacks {', '.join(missing)}; {AGAIN}")
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise DataError(f"instrument master: the header has {', '.join(twice)} twice; {AGAIN}")
        wanted = columns if layout == "compact" else {**columns, **_NOT_IN_ALL}
        at = {what: names.index(name) for what, name in wanted.items() if name in names}
        # A comma at the end of the header makes an empty last column, which the rows may leave out.
        return Layout(layout, MappingProxyType(at), len(names) - (names[-1] == ""))
    begins = ",".join(names)[:80]
    if begins.lstrip().startswith("<"):
        raise DataError(f"instrument master: this is a web page, not a CSV file: {begins!r}; {AGAIN}")
    if begins.lstrip().startswith(("{", "[")):
        raise DataError(f"instrument master: this is JSON, not a CSV file: {begins!r}; {AGAIN}")
    raise DataError(f"instrument master: not a header this project knows: {begins!r}; {AGAIN}")


AGAIN = "check DHANHQ_CSV_URL and fetch the file again"
