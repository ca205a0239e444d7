"""The instrument master as CSV: the compact file of the whole market, and the detailed file of one segment.

The quirks are the real file's: lots as floats, ticks of derivatives in paise and of indices in rupees, expiry at
14:30 (NSE) or 15:30 (BSE), one trading symbol for all weeklies of a month, ids shared between segments, test contracts,
a trailing comma in the detailed layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from algo_scalper.domain.calendar import is_monthly
from algo_scalper.domain.instruments import Contract, Exchange, OptionType, Segment, key_security_id, key_segment

COMPACT_HEADER = (
    "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,"
    "SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,"
    "SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME"
)
DETAILED_HEADER = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG,BRACKET_FLAG,"
    "COVER_FLAG,ASM_GSM_FLAG,ASM_GSM_CATEGORY,BUY_SELL_INDICATOR,BUY_CO_MIN_MARGIN_PER,BUY_CO_SL_RANGE_MAX_PERC,"
    "BUY_CO_SL_RANGE_MIN_PERC,BUY_BO_MIN_MARGIN_PER,BUY_BO_PROFIT_RANGE_MAX_PERC,BUY_BO_PROFIT_RANGE_MIN_PERC,"
    "MTF_LEVERAGE,SM_UPPER_LIMIT,SM_LOWER_LIMIT,SM_FREEZE_QTY,"
)

_INDICES = (
    ("NSE", 13, "NIFTY", "Nifty 50"),
    ("NSE", 21, "INDIA VIX", "India VIX"),
    ("NSE", 25, "BANKNIFTY", "Nifty Bank"),
    ("NSE", 27, "FINNIFTY", "Finnifty"),
    ("NSE", 442, "MIDCPNIFTY", "Nifty Midcap Select"),
    ("BSE", 51, "SENSEX", "Sensex"),
    ("BSE", 69, "BANKEX", "BSE BANKEX"),
)
_INDEX_TICK = {"NSE": "0.0500", "BSE": "0.0100"}
_STRANGERS = (
    # Nothing we trade, and every reader must survive them: an id shared with NIFTY, another with BANKNIFTY, and one of
    # the exchange's own test contracts.
    "NSE,E,13,EQUITY,0,ABB,1.0,ABB,,,,50.0000,NA,ES,EQ,ABB INDIA LIMITED",
    "NSE,E,25,EQUITY,0,ADANIENT,1.0,Adani Enterprises,,,,10.0000,NA,ES,EQ,ADANI ENTERPRISES LIMITED",
    "NSE,D,36687,FUTSTK,0,011NSETEST-Nov2036-FUT,50.0,011NSETEST 27 NOV FUT,2036-11-27 14:30:00,-0.01000,XX,5.0000,W,FUT,,",
)
UNDERLYING_TOKEN = {"NIFTY": 26_000, "BANKNIFTY": 26_009, "FINNIFTY": 26_037, "SENSEX": 1}
_EXPIRY_TIME = {Exchange.NSE: "14:30:00", Exchange.BSE: "15:30:00"}
_INSTRUMENT_TYPE = {Exchange.NSE: "OP", Exchange.BSE: "OPTIDX"}
_MNEMONIC = {Exchange.NSE: "", Exchange.BSE: "BSXOPT"}
_SIDE = {OptionType.CE: "CALL", OptionType.PE: "PUT"}


def trading_symbol(contract: Contract) -> str:
    """``NIFTY-Nov2026-24500-CE``: without the day, so all weeklies of a month share it."""
    return f"{contract.underlying}-{contract.expiry:%b%Y}-{contract.strike_paise // 100}-{contract.option_type}"


def display_name(contract: Contract) -> str:
    """``NIFTY 23 NOV 24500 CALL``: with the day, without the year."""
    side = _SIDE[contract.option_type]
    return f"{contract.underlying} {contract.expiry:%d %b} {contract.strike_paise // 100} {side}".upper()


def expiry_with_time(contract: Contract) -> str:
    """``2026-11-23 14:30:00``; the time is the exchange's habit and means nothing."""
    return f"{contract.expiry:%Y-%m-%d} {_EXPIRY_TIME[contract.exchange]}"


def expiry_flag(contract: Contract) -> str:
    """``M`` for a monthly contract, ``W`` for a weekly one."""
    return "M" if is_monthly(contract.underlying, contract.expiry) else "W"


def compact_csv(contracts: Iterable[Contract]) -> str:
    """The whole ``api-scrip-master.csv``."""
    return "\n".join((COMPACT_HEADER, *_compact_rows(contracts))) + "\n"


def _compact_rows(contracts: Iterable[Contract]) -> Iterator[str]:
    for exchange, number, symbol, name in _INDICES:
        yield f"{exchange},I,{number},INDEX,0,{symbol},1.0,{name},0001-01-01,,XX,{_INDEX_TICK[exchange]},,INDEX,X,{symbol}"
    for contract in contracts:
        exchange = contract.exchange
        yield ",".join(
            (
                exchange,
                "D",
                str(key_security_id(contract.key)),
                "OPTIDX",
                "0",
                trading_symbol(contract),
                f"{contract.lot:.1f}",
                display_name(contract),
                expiry_with_time(contract),
                f"{contract.strike_paise / 100:.5f}",
                contract.option_type,
                f"{contract.tick_paise:.4f}",
                expiry_flag(contract),
                _INSTRUMENT_TYPE[exchange],
                "",
                _MNEMONIC[exchange],
            )
        )
    yield from _STRANGERS


def detailed_csv(contracts: Iterable[Contract], segment: Segment) -> str:
    """One segment in the detailed layout, as ``GET /v2/instrument/{segment}`` leads to."""
    rows = _detailed_index_rows() if segment is Segment.IDX_I else _detailed_option_rows(contracts, segment)
    return "\n".join((DETAILED_HEADER, *rows)) + "\n"


def whole_detailed_csv(contracts: Iterable[Contract]) -> str:
    """The whole ``api-scrip-master-detailed.csv``."""
    listed = tuple(contracts)
    segments = (_detailed_option_rows(listed, segment) for segment in (Segment.NSE_FNO, Segment.BSE_FNO))
    return "\n".join((DETAILED_HEADER, *_detailed_index_rows(), *chain.from_iterable(segments))) + "\n"


def _detailed_index_rows() -> Iterator[str]:
    for exchange, number, symbol, name in _INDICES:
        tick = _INDEX_TICK[exchange]
        yield (
            f"{exchange},I,{number},NA,INDEX,{number},{symbol},{symbol},{name},INDEX,NA,1.0,0001-01-01,,XX,{tick},"
            "N,N,N,N,NA,A,0,0,0,0,0,0,0,0.0000,0.0000,0,"
        )


def _detailed_option_rows(contracts: Iterable[Contract], segment: Segment) -> Iterator[str]:
    for contract in contracts:
        if key_segment(contract.key) is not segment:
            continue
        exchange = contract.exchange
        symbol = _MNEMONIC[exchange] or trading_symbol(contract)
        yield (
            f"{exchange},D,{key_security_id(contract.key)},NA,OPTIDX,{UNDERLYING_TOKEN.get(contract.underlying, 0)},"
            f"{contract.underlying},{symbol},{display_name(contract)},{_INSTRUMENT_TYPE[exchange]},NA,{contract.lot:.1f},"
            f"{contract.expiry:%Y-%m-%d},{contract.strike_paise / 100:.5f},{contract.option_type},"
            f"{contract.tick_paise:.4f},{expiry_flag(contract)},N,N,N,NA,A,0,0,0,0,0,0,0,"
            # The day's price band is not listed; Dhan prints 0.0000 where it has none. Freeze is one above the maximum.
            f"0.0000,0.0000,{contract.freeze_quantity + 1},"
        )
