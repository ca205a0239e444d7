"""The instrument master: rows in the shape Dhan serves them, real rows, and the way they come."""

from __future__ import annotations

from datetime import date

import pytest

from algo_scalper.adapters.dhan.catalogue import Catalogue, OptionReader, freeze_quantity, read_catalogue
from algo_scalper.adapters.dhan.failures import DhanRefused
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import INDICES, OptionType, Segment, instrument_key
from tests.shared_data import shared
from tests.unit.dhan.doubles import HandClock, http_server, settings_for

COMPACT = (
    "SEM_EXM_EXCH_ID, SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,"
    "SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,"
    "SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME"
)
DETAILED = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG,SM_FREEZE_QTY,"
)
DAY = date(2026, 2, 9)


def read(*lines: str, day: date = DAY, until: date = date(2026, 3, 31), chunk: int = 1 << 16) -> Catalogue:
    reader = OptionReader(INDICES, day, until)
    content = "\n".join(lines).encode()
    for start in range(0, len(content), chunk):
        reader.feed(content[start : start + chunk])
    return reader.finish()


def option(**changed: str) -> str:
    row = {
        "exchange": "NSE",
        "segment": "D",
        "id": "42500",
        "symbol": "NIFTY-Feb2026-25000-CE",
        "lot": "65.0",
        "expiry": "2026-02-10 14:30:00",
        "strike": "25000.00000",
        "type": "CE",
        "tick": "5.0000",
        "name": "",
        **changed,
    }
    return (
        f"{row['exchange']},{row['segment']},{row['id']},OPTIDX,0,{row['symbol']},{row['lot']},NIFTY 10 FEB 25000 CALL,"
        f"{row['expiry']},{row['strike']},{row['type']},{row['tick']},W,OP,,{row['name']}"
    )


def test_a_compact_row() -> None:
    found = read(COMPACT, option())
    (contract,) = found.contracts
    assert contract.key == instrument_key(Segment.NSE_FNO, 42_500)
    assert (contract.underlying, contract.expiry, contract.strike_paise) == ("NIFTY", date(2026, 2, 10), 2_500_000)
    assert (contract.option_type, contract.lot, contract.tick_paise) == (OptionType.CE, 65, 5)
    assert contract.freeze_quantity == 1755, "27 lots, by the dated table"
    assert found.unreadable == ()


def test_a_detailed_row_states_the_first_quantity_that_is_too_much() -> None:
    row = "NSE,D,35000,NA,OPTIDX,26009,BANKNIFTY,BANKNIFTY-Sep2026-72600-CE,BANKNIFTY 29 SEP 72600 CALL,OP,NA,30.0,2026-09-29,72600.00000,CE,5.0000,M,601,"
    (contract,) = read(DETAILED, row, day=date(2026, 9, 1), until=date(2026, 9, 30)).contracts
    assert (contract.underlying, contract.freeze_quantity, contract.lot) == ("BANKNIFTY", 600, 30)


def test_only_option_contracts_of_these_underlyings_and_dates() -> None:
    found = read(
        COMPACT,
        "NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY",
        "NSE,E,13,EQUITY,0,ABB,1.0,ABB,,,,50.0000,NA,ES,EQ,ABB INDIA LIMITED",
        "NSE,D,59182,FUTIDX,0,NIFTY-Feb2026-FUT,65.0,NIFTY FEB FUT,2026-02-24 14:30:00,-0.01000,XX,10.0000,M,FUT,,",
        "NSE,D,36687,OPTIDX,0,011NSETEST-Nov2036-100-CE,50.0,TEST,2036-11-27 14:30:00,100.00000,CE,5.0000,W,OP,,",
        option(id="1", symbol="NIFTYNXT50-Feb2026-25000-CE"),
        option(id="2", expiry="2026-02-08 14:30:00"),
        option(id="3", expiry="2026-04-01 14:30:00"),
        option(id="4", expiry="2026-02-09 14:30:00"),
        option(id="5", expiry="2026-03-31 14:30:00"),
    )
    assert [contract.key & 0xFFFF for contract in found.contracts] == [4, 5]
    assert found.rows == 9


def test_three_contracts_may_share_a_symbol() -> None:
    found = read(
        COMPACT,
        option(id="3", expiry="2026-02-24 14:30:00"),
        option(id="1"),
        option(id="2", expiry="2026-02-17 14:30:00"),
    )
    assert [contract.key & 0xFFFF for contract in found.contracts] == [1, 2, 3]


def test_a_row_that_makes_no_sense_is_told_and_the_others_kept() -> None:
    found = read(
        COMPACT,
        option(id="x"),
        option(lot="65.5"),
        option(tick="0.0500"),
        option(type="XX"),
        option(strike=""),
        option(),
    )
    assert len(found.contracts) == 1
    assert len(found.unreadable) == 5
    assert found.unreadable[0].startswith("row 1: ")


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_chunks_may_end_anywhere(chunk: int) -> None:
    lines = ("\ufeff" + COMPACT + "\r", option() + "\r", option(id="42501", type="PE", name='"Ä, B"'))
    assert read(*lines, chunk=chunk) == read(*lines)
    assert len(read(*lines, chunk=chunk).contracts) == 2


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((), "empty"),
        (("<html>not found</html>",), "a web page"),
        ((COMPACT.replace("SEM_TICK_SIZE", "X"),), "lacks SEM_TICK_SIZE"),
    ],
)
def test_what_is_no_master_file_is_an_error(lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(*lines)


def test_freeze_quantities_are_dated() -> None:
    assert (freeze_quantity("BANKNIFTY", date(2025, 9, 15)), freeze_quantity("BANKNIFTY", DAY)) == (900, 600)
    with pytest.raises(DataError, match="MIDCPNIFTY"):
        freeze_quantity("MIDCPNIFTY", DAY)


def test_real_compact_rows() -> None:
    lines = shared("wire_samples/csv/compact_rows_2026-02.csv").read_text().splitlines()
    found = read(*lines)
    assert found.unreadable == ()
    assert len(found.contracts) == sum(1 for line in lines if ",OPTIDX," in line) == 30
    sensex = [contract for contract in found.contracts if contract.underlying == "SENSEX"]
    assert {contract.expiry for contract in sensex} == {
        date(2026, 2, 12), date(2026, 2, 19), date(2026, 2, 26), date(2026, 3, 5), date(2026, 3, 12), date(2026, 3, 19), date(2026, 3, 25),
    }  # fmt: skip
    assert {(contract.lot, contract.tick_paise, contract.freeze_quantity) for contract in sensex} == {(20, 5, 1000)}


def test_real_detailed_rows() -> None:
    lines = shared("wire_samples/csv/detailed_rows_2026-09.csv").read_text().splitlines()
    found = read(*lines, day=date(2026, 9, 1), until=date(2026, 12, 31))
    assert {(one.underlying, one.lot, one.freeze_quantity) for one in found.contracts} == {
        ("NIFTY", 65, 1755),
        ("BANKNIFTY", 30, 600),
        ("SENSEX", 20, 1000),
    }


async def test_the_file_comes_through_a_redirect_without_our_token() -> None:
    async with http_server() as server:
        body = (COMPACT + "\n" + option()).encode()
        server.answers = {
            "/v2/instrument/NSE_FNO": [(302, f"http://127.0.0.1:{server.port}/file.csv".encode())],
            "/file.csv": [(200, body)],
            "/gone.csv": [(404, b"no such file")],
        }
        rest = DhanRest(settings_for(server.port), HandClock())
        url = f"http://127.0.0.1:{server.port}"
        found = await read_catalogue(rest, f"{url}/v2/instrument/NSE_FNO", INDICES, DAY, date(2026, 3, 31))
        assert len(found.contracts) == 1
        assert all("access-token" not in asked.headers for asked in server.asked)
        with pytest.raises(DhanRefused, match="no such file"):
            await read_catalogue(rest, f"{url}/gone.csv", INDICES, DAY, date(2026, 3, 31))
        await rest.close()
