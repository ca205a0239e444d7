"""Hand-written option chains: a line per contract, prices in rupees."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.market import ChainRow, OptionChain

EXPIRY = date(2026, 1, 20)


def paise(rupees: str) -> int:
    """``"123.45" -> 12345``."""
    return round(float(rupees) * 100)


def contract(number: int, strike: int, side: str, expiry: date = EXPIRY, underlying: str = "NIFTY") -> Contract:
    """A NIFTY option of lot 65."""
    key = instrument_key(Segment.NSE_FNO, number)
    return Contract(key, underlying, expiry, strike * 100, OptionType(side), 65, 5, 1_755)


def chain(text: str) -> tuple[OptionChain, dict[int, Contract]]:
    """``strike side bid ask oi`` a line; the rows in the order given, ids counting from 40001."""
    rows, contracts = [], {}
    for number, line in enumerate(text.split("\n"), start=40_001):
        if line.strip():
            strike, side, bid, ask, oi = line.split()
            listed = contract(number, int(strike), side)
            contracts[listed.key] = listed
            rows.append(ChainRow(listed.key, paise(ask), paise(bid), paise(ask), int(oi), 1_000))
    return OptionChain(1, "NIFTY", EXPIRY, 0, tuple(rows)), contracts
