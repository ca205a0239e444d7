"""Finding a contract in memory."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from algo_scalper.adapters.master.book import ContractBook
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key

DAYS = (date(2026, 9, 8), date(2026, 9, 15))
CALL, PUT = OptionType.CE, OptionType.PE


def contract(number: int, expiry: date, strike: int, side: OptionType) -> Contract:
    return Contract(instrument_key(Segment.NSE_FNO, number), "NIFTY", expiry, strike, side, 65, 5, 1755)


ALL = [
    contract(at, expiry, strike, side)
    for at, (expiry, strike, side) in enumerate(
        (expiry, strike, side) for expiry in DAYS for strike in (2_500_000, 2_505_000) for side in (CALL, PUT)
    )
]


def test_every_contract_is_found_by_what_identifies_it() -> None:
    book = ContractBook(reversed(ALL))
    assert len(book) == 8
    for one in ALL:
        assert book.find(one.underlying, one.expiry, one.strike_paise, one.option_type) is one
    assert book.expiries("NIFTY") == DAYS
    assert book.strikes("NIFTY", DAYS[1]) == (2_500_000, 2_505_000)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            ("NIFTY", DAYS[0], 2_510_000, CALL),
            "NIFTY 2026-09-08 25100 CE is not listed: strikes of that day go from 25000 to 25050",
        ),
        (("NIFTY", date(2026, 9, 9), 2_500_000, PUT), "is not listed: NIFTY expires on 2026-09-08, 2026-09-15$"),
        (("SENSEX", DAYS[0], 8_200_000, CALL), "is not listed: the catalog has no option of SENSEX"),
    ],
)
def test_what_is_not_listed_is_told_with_what_is(asked: tuple[str, date, int, OptionType], words: str) -> None:
    with pytest.raises(DataError, match=words):
        ContractBook(ALL).find(*asked)


def test_one_contract_under_two_ids_is_an_error() -> None:
    with pytest.raises(DataError, match="NIFTY 08 SEP 25000 CE is listed twice"):
        ContractBook([ALL[0], msgspec.structs.replace(ALL[0], key=99)])
