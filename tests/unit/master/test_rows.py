"""Every quirk of the master file, in both layouts and all generations of the detailed one; then the real files."""

from __future__ import annotations

import gzip
from datetime import date

import msgspec
import pytest

from algo_scalper.adapters.master.links import parents_of, unlinked
from algo_scalper.adapters.master.rows import Derivative, LeftOut, Listing, first_of_each, underlying_of
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Segment, instrument_key
from tests.shared_data import shared
from tests.unit.master.files import (
    COMPACT,
    DETAILED,
    DETAILED_2025,
    DETAILED_APRIL,
    compact,
    detailed,
    future_line,
    index_line,
    option_line,
    read,
    share_line,
    whole_market,
)

EXPIRY = date(2026, 9, 8)
NIFTY_CALL = option_line("NIFTY", "NSE", 42_500, EXPIRY, 25_000, "CE")


def one_contract(text: str) -> Derivative:
    (found,) = read(text).derivatives
    return found


def test_both_layouts_say_the_same_but_for_freeze_quantity_isin_and_the_bse_series() -> None:
    by_name, by_symbol = read(detailed(whole_market())), read(compact(whole_market()))
    assert by_name.unreadable_rows == by_symbol.unreadable_rows == 0
    assert by_name.rows == by_symbol.rows == len(whole_market())
    assert by_name.left_out == by_symbol.left_out
    without = {"freeze_quantity": None}
    assert [replaced(row, **without) for row in by_name.derivatives] == by_symbol.derivatives
    assert [replaced(row, **without, isin="") for row in by_name.listings] == by_symbol.listings
    assert by_name.layout.states_freeze
    assert not by_symbol.layout.states_freeze


def replaced(row: Derivative | Listing, **fields: object) -> Derivative | Listing:
    return msgspec.structs.replace(row, **fields)


@pytest.mark.parametrize("header", [DETAILED, DETAILED_APRIL, DETAILED_2025], ids=["2026-08", "2026-04", "2025-07"])
def test_every_generation_of_the_detailed_layout_is_read_by_name(header: str) -> None:
    found = read(detailed(whole_market(), header))
    assert found.unreadable_rows == 0
    assert len(found.derivatives) == 4 * (2 * 6 * 2 + 1) + 4
    freezes = {row.freeze_quantity for row in found.derivatives if row.underlying == "NIFTY" and row.option_type}
    assert freezes == ({1755} if header == DETAILED else {None})


def test_columns_in_another_order_and_names_with_blanks() -> None:
    names = [
        "SM_FREEZE_QTY",
        " SEGMENT",
        *(name for name in DETAILED.split(",") if name not in {"SM_FREEZE_QTY", "SEGMENT"}),
    ]
    row = NIFTY_CALL | {" SEGMENT": "D"}
    assert one_contract(detailed([row], ",".join(names))) == one_contract(detailed([NIFTY_CALL]))


def test_a_security_id_alone_is_not_unique() -> None:
    found = read(detailed([index_line("NIFTY", "NSE", 13), share_line("ABB", "NSE", 13), share_line("ABB", "BSE", 13)]))
    assert [row.key for row in found.listings] == [
        instrument_key(Segment.IDX_I, 13), instrument_key(Segment.NSE_EQ, 13), instrument_key(Segment.BSE_EQ, 13),
    ]  # fmt: skip


def test_weeklies_of_one_month_share_a_symbol_and_are_three_contracts() -> None:
    days = [date(2026, 9, 8), date(2026, 9, 15), date(2026, 9, 22)]
    lines = [option_line("NIFTY", "NSE", 1 + at, day, 25_000, "CE") for at, day in enumerate(days)]
    assert len({row["TRADING_SYMBOL"] for row in lines}) == 1
    found = read(compact(lines)).derivatives
    assert [row.expiry for row in found] == days
    assert first_of_each(found) == found


@pytest.mark.parametrize(
    ("exchange", "letter", "kept"),
    [
        ("NSE", "D", Segment.NSE_FNO),
        ("BSE", "D", Segment.BSE_FNO),
        ("MCX", "M", LeftOut.OTHER_EXCHANGE),
        ("NSE", "C", LeftOut.CURRENCY),
        ("BSE", "C", LeftOut.CURRENCY),
        ("NSE", "M", LeftOut.COMMODITY),
    ],
)
def test_segment_letters(exchange: str, letter: str, kept: Segment | LeftOut) -> None:
    found = read(detailed([NIFTY_CALL | {"EXCH_ID": exchange, "SEGMENT": letter}]))
    if isinstance(kept, Segment):
        assert [row.key for row in found.derivatives] == [instrument_key(kept, 42_500)]
    else:
        assert (found.left_out, found.derivatives) == ({kept: 1}, [])


def test_only_the_exchanges_asked_for() -> None:
    found = read(detailed(whole_market()), exchanges=("NSE",))
    assert {row.exchange for row in found.listings} == {row.exchange for row in found.derivatives} == {"NSE"}
    assert found.left_out[LeftOut.OTHER_EXCHANGE] > 80


@pytest.mark.parametrize("written", ["2026-09-08", "2026-09-08 14:30:00", "2026-09-08 15:30:00"])
def test_the_time_behind_an_expiry_means_nothing(written: str) -> None:
    assert one_contract(detailed([NIFTY_CALL | {"SM_EXPIRY_DATE": written}])).expiry == EXPIRY


def test_a_contract_lives_through_its_expiry_day_and_no_longer() -> None:
    text = detailed([NIFTY_CALL])
    assert len(read(text, day=EXPIRY).derivatives) == 1
    assert read(text, day=date(2026, 9, 9)).left_out == {LeftOut.EXPIRED: 1}


def test_lots_are_float_strings_even_in_exponents() -> None:
    assert one_contract(detailed([NIFTY_CALL | {"LOT_SIZE": "75"}])).lot == 75
    (bond,) = read(detailed([share_line("BOND", "NSE", 7, lot_size="1.0E7")])).listings
    assert bond.lot == 10_000_000


def test_ticks_are_paise_but_of_indices_rupees() -> None:
    found = read(
        detailed(
            [
                index_line("NIFTY", "NSE", 13),
                index_line("SENSEX", "BSE", 51),
                share_line("ABB", "NSE", 13, tick_size="50.0000"),
            ]
        )
    )
    assert [row.tick_paise for row in found.listings] == [5, 1, 50]
    assert read(detailed([index_line("GIFTNIFTY", "NSE", 5_024) | {"TICK_SIZE": "0"}])).listings[0].tick_paise is None


def test_futures_have_neither_strike_nor_side() -> None:
    lines = [future_line("NIFTY", "NSE", 1, EXPIRY), future_line("SENSEX", "BSE", 2, EXPIRY)]
    for row in (*read(detailed(lines)).derivatives, *read(compact(lines)).derivatives):
        assert (row.strike_paise, row.option_type, row.kind) == (None, None, "FUTIDX")
        assert row.name.endswith("SEP  FUT"), "the double blank is Dhan's"


@pytest.mark.parametrize(
    ("symbol", "mnemonic", "underlying"),
    [
        ("NIFTY", "", "NIFTY"),
        ("SENSEX", "BSXOPT", "SENSEX"),
        ("BSXOPT", "", "SENSEX"),
        ("", "BKXOPT", "BANKEX"),
        ("", "SX50OPT", "SENSEX50"),
    ],
)
def test_underlyings(symbol: str, mnemonic: str, underlying: str) -> None:
    assert underlying_of(symbol, mnemonic) == underlying


def test_underlyings_with_hyphens_and_ampersands() -> None:
    lines = [
        option_line("BAJAJ-AUTO", "NSE", 1, EXPIRY, 9_000, "CE"),
        option_line("M&M", "NSE", 2, EXPIRY, 3_000, "PE"),
        future_line("BAJAJ-AUTO", "NSE", 3, EXPIRY),
    ]
    assert [row.underlying for row in read(compact(lines)).derivatives] == ["BAJAJ-AUTO", "M&M", "BAJAJ-AUTO"]


@pytest.mark.parametrize(
    ("stated", "lot", "usable"),
    [("1756", 65, 1755), ("1801", 65, 1755), ("601", 30, 600), ("600", 30, 570), ("1001", 20, 1000), ("66", 65, 65)],
)
def test_the_file_states_the_first_quantity_that_is_too_much(stated: str, lot: int, usable: int) -> None:
    row = NIFTY_CALL | {"SM_FREEZE_QTY": stated, "LOT_SIZE": f"{lot}.0"}
    assert one_contract(detailed([row])).freeze_quantity == usable


@pytest.mark.parametrize("stated", ["-1", "0", "", "65", "20"])
def test_no_freeze_quantity_is_none_not_a_number_from_somewhere_else(stated: str) -> None:
    assert one_contract(detailed([NIFTY_CALL | {"SM_FREEZE_QTY": stated}])).freeze_quantity is None


def test_fields_in_quotes_may_hold_commas() -> None:
    (row,) = read(detailed([share_line("ABB", "NSE", 13, display_name='"Abb, of Ä"')])).listings
    assert row.name == "Abb, of Ä"


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunks_may_end_anywhere_and_lines_as_windows_ends_them(chunk: int) -> None:
    text = "\ufeff" + detailed(whole_market()).replace("\n", "\r\n").replace("India Vix", '"Índia, Vix"')
    assert read(text, chunk=chunk) == read(text)
    assert read(text, chunk=chunk).derivatives == read(detailed(whole_market())).derivatives


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"SECURITY_ID": "x"}, "security id 'x' is not a number"),
        ({"SECURITY_ID": "0"}, "security id '0' is none"),
        ({"SECURITY_ID": "99999999999"}, "is none"),
        ({"LOT_SIZE": "65.5"}, "lot: '65.5' is not a whole number"),
        ({"LOT_SIZE": "0"}, "lot 0"),
        ({"LOT_SIZE": "-65"}, "lot -65"),
        ({"TICK_SIZE": "0.0500"}, "tick in paise: '0.0500' is not a whole number"),
        ({"TICK_SIZE": ""}, "tick 0"),
        ({"STRIKE_PRICE": "nan"}, "not a number a file could mean"),
        ({"STRIKE_PRICE": "25000.001"}, "finer than a paisa"),
        ({"STRIKE_PRICE": "0"}, "strike '0'"),
        ({"OPTION_TYPE": "XX"}, "option type 'XX'"),
        ({"SM_EXPIRY_DATE": ""}, "expiry '' is not a date"),
        ({"SM_EXPIRY_DATE": "08/09/26"}, "as a spreadsheet writes it"),
        ({"INSTRUMENT": "SWAP"}, "a derivative of kind 'SWAP' is not known"),
        ({"SEGMENT": "Z"}, "segment 'Z'"),
        ({"EXCH_ID": "XYZ"}, "exchange 'XYZ'"),
        ({"UNDERLYING_SYMBOL": "", "SYMBOL_NAME": ""}, "'' 2026-09-08"),
    ],
)
def test_a_row_that_cannot_be_is_counted_and_shown(fields: dict[str, str], why: str) -> None:
    found = read(detailed([NIFTY_CALL | fields, share_line("ABB", "NSE", 13)]))
    assert (found.unreadable_rows, found.derivatives, len(found.listings)) == (1, [], 1)
    assert why in str(found.unreadable[0])
    assert str(found.unreadable[0]).startswith("row 1: ")


def test_an_open_quote_costs_its_row_only() -> None:
    lines = [share_line("ABB", "NSE", 13, display_name='"Abb'), NIFTY_CALL]
    found = read(detailed(lines))
    assert (found.unreadable_rows, len(found.derivatives)) == (1, 1)


# --- underlyings --------------------------------------------------------------------------------------------------------


def test_an_underlying_is_looked_for_on_its_own_exchange_only() -> None:
    lines = [
        index_line("NIFTY", "NSE", 13),
        index_line("SENSEX", "BSE", 51),
        share_line("ABB", "BSE", 500),
        NIFTY_CALL,
        option_line("SENSEX", "NSE", 2, EXPIRY, 82_000, "CE"),
        option_line("ABB", "NSE", 3, EXPIRY, 5_000, "CE"),
        option_line("ABB", "BSE", 4, EXPIRY, 5_000, "CE"),
    ]
    found = read(detailed(lines))
    parents = parents_of(found.listings, found.derivatives)
    assert parents == {
        ("NSE", "OPTIDX", "NIFTY"): instrument_key(Segment.IDX_I, 13),
        ("BSE", "OPTSTK", "ABB"): instrument_key(Segment.BSE_EQ, 500),
    }
    assert [str(one) for one in unlinked(found.listings, found.derivatives, parents)] == [
        "1 OPTIDX of SENSEX on NSE: SENSEX is only on BSE",
        "1 OPTSTK of ABB on NSE: ABB is only on BSE",
    ]


def test_a_share_is_the_parent_not_a_debenture_of_its_name() -> None:
    lines = [
        share_line("CHOLAFIN", "NSE", 19_257, series="D1"),
        share_line("CHOLAFIN", "NSE", 685),
        share_line("CHOLAFIN", "NSE", 9, series="D2"),
        future_line("CHOLAFIN", "NSE", 1, EXPIRY),
        index_line("NIFTY NEXT 50", "NSE", 38),
        index_line("CHOLAFIN", "NSE", 39),
        option_line("NIFTY", "NSE", 2, EXPIRY, 60_000, "CE") | {"UNDERLYING_SYMBOL": "NIFTYNXT50"},
    ]
    found = read(detailed(lines))
    assert parents_of(found.listings, found.derivatives) == {
        ("NSE", "FUTSTK", "CHOLAFIN"): instrument_key(Segment.NSE_EQ, 685),
        ("NSE", "OPTIDX", "NIFTYNXT50"): instrument_key(Segment.IDX_I, 38),
    }


# --- the real files -----------------------------------------------------------------------------------------------------


def test_the_real_compact_file() -> None:
    content = gzip.decompress(shared("data/scrip_master/api-scrip-master_2026-02-10.csv.gz").read_bytes())
    found = read(content, day=date(2026, 2, 10), chunk=1 << 20)
    # Counted with csv and collections.Counter from the same file.
    assert found.rows == 273_027
    assert (found.unreadable_rows, found.torn) == (0, "")
    assert dict(found.left_out) == {
        LeftOut.CURRENCY: 161 + 12_572 + 129 + 11_300, LeftOut.COMMODITY: 44_642,
        LeftOut.OTHER_EXCHANGE: 140 + 6 + 36_422 + 1_368, LeftOut.TEST: 40,
    }  # fmt: skip
    kinds = [(row.exchange, row.kind) for row in found.listings]
    assert kinds.count(("NSE", "INDEX")) == 119
    assert kinds.count(("BSE", "INDEX")) == 75
    options = [row for row in found.derivatives if row.kind == "OPTIDX"]
    assert sum(row.underlying == "NIFTY" for row in options) == 4_068
    assert sum(row.underlying == "SENSEX" for row in options) == 4_088
    terms = {(row.underlying, row.lot) for row in options}
    assert terms == {
        ("NIFTY", 65), ("BANKNIFTY", 30), ("FINNIFTY", 60), ("MIDCPNIFTY", 120), ("NIFTYNXT50", 25), ("SENSEX", 20),
        ("BANKEX", 30), ("SENSEX50", 75),
    }  # fmt: skip
    assert first_of_each(found.derivatives) == found.derivatives, "no id and no contract twice"
    parents = parents_of(found.listings, found.derivatives)
    assert list(unlinked(found.listings, found.derivatives, parents)) == []
    assert parents["BSE", "OPTIDX", "SENSEX50"] == instrument_key(Segment.IDX_I, 83)


def test_the_real_detailed_files() -> None:
    content = gzip.decompress(
        shared("data/scrip_master/api-scrip-master-detailed_NSE-E-I-only_2026-04-15.csv.gz").read_bytes()
    )
    found = read(content, day=date(2026, 4, 15))
    assert (found.rows, found.unreadable_rows, len(found.derivatives)) == (9_469, 0, 0)
    assert found.left_out == {LeftOut.TEST: 22}
    rows = read(shared("wire_samples/csv/detailed_rows_2026-09.csv").read_bytes(), day=date(2026, 9, 1))
    assert rows.unreadable_rows == 0
    assert {(row.underlying, row.lot, row.freeze_quantity) for row in rows.derivatives if row.option_type} == {
        ("NIFTY", 65, 1755), ("BANKNIFTY", 30, 600), ("SENSEX", 20, 1000),
    }  # fmt: skip


def test_a_file_whose_first_line_is_no_header_of_ours() -> None:
    with pytest.raises(DataError, match="not a header this project knows: 'a,b,c'"):
        read("a,b,c\n1,2,3\n")
    with pytest.raises(DataError, match="has SEM_SEGMENT twice"):
        read(COMPACT.replace("SEM_EXPIRY_CODE", "SEM_SEGMENT") + "\n")
