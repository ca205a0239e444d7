"""What can be watched and traded, and the integer key everything is looked up by."""

from __future__ import annotations

from datetime import date
from enum import IntEnum, StrEnum

import msgspec


class Segment(IntEnum):
    """Dhan's exchange segments with their feed numbers (6 is unused)."""

    IDX_I = 0
    NSE_EQ = 1
    NSE_FNO = 2
    NSE_CURRENCY = 3
    BSE_EQ = 4
    MCX_COMM = 5
    BSE_CURRENCY = 7
    BSE_FNO = 8


class OptionType(StrEnum):
    """Call or put, in the exchange's letters."""

    CE = "CE"
    PE = "PE"


class Exchange(StrEnum):
    """The two exchanges whose index options we trade."""

    NSE = "NSE"
    BSE = "BSE"


def instrument_key(segment: Segment, security_id: int) -> int:
    """One integer per (segment, security id). A security id alone is not unique: 13 is NIFTY and ABB."""
    return int(segment) << 32 | security_id


def key_segment(key: int) -> Segment:
    """The segment inside a key."""
    return Segment(key >> 32)


def key_security_id(key: int) -> int:
    """The security id inside a key."""
    return key & 0xFFFF_FFFF


def key_text(key: int) -> str:
    """``"NSE_FNO:42500"``, the form people and the original's Redis keys use."""
    return f"{key_segment(key).name}:{key_security_id(key)}"


class Index(msgspec.Struct, frozen=True):
    """An index we may take signals from. Index ticks are in paise too; ``tick_paise`` is its own step."""

    name: str
    key: int
    exchange: Exchange
    options: Segment
    tick_paise: int
    strike_step_paise: int


NIFTY = Index("NIFTY", instrument_key(Segment.IDX_I, 13), Exchange.NSE, Segment.NSE_FNO, 5, 5_000)
BANKNIFTY = Index("BANKNIFTY", instrument_key(Segment.IDX_I, 25), Exchange.NSE, Segment.NSE_FNO, 5, 10_000)
FINNIFTY = Index("FINNIFTY", instrument_key(Segment.IDX_I, 27), Exchange.NSE, Segment.NSE_FNO, 5, 5_000)
SENSEX = Index("SENSEX", instrument_key(Segment.IDX_I, 51), Exchange.BSE, Segment.BSE_FNO, 1, 10_000)
INDICES: dict[str, Index] = {index.name: index for index in (NIFTY, BANKNIFTY, FINNIFTY, SENSEX)}
INDEX_BY_KEY: dict[int, Index] = {index.key: index for index in INDICES.values()}
INDIA_VIX_KEY = instrument_key(Segment.IDX_I, 21)


class Contract(msgspec.Struct, frozen=True):
    """One listed option. Identified by (underlying, expiry, strike, type); trading symbols are not unique."""

    key: int
    underlying: str
    expiry: date
    strike_paise: int
    option_type: OptionType
    lot: int
    tick_paise: int
    freeze_quantity: int
    """The largest quantity one order may carry, in contracts; a multiple of the lot."""

    @property
    def name(self) -> str:
        """``"NIFTY 01 DEC 24500 CE"``."""
        return f"{self.underlying} {self.expiry:%d %b} {self.strike_paise // 100} {self.option_type}".upper()

    @property
    def exchange(self) -> Exchange:
        """Where it trades, and so whose charges apply."""
        return Exchange.BSE if key_segment(self.key) is Segment.BSE_FNO else Exchange.NSE
