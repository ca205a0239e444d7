"""The most likely damages to a master file: each is refused with its evidence, and the catalog in use stays."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from algo_scalper.adapters.storage.catalog import Fact
from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.units import NS_PER_DAY
from algo_scalper.runtime.catalog_import import Outcome
from tests.unit.master.files import (
    DAY,
    DETAILED,
    Line,
    changed,
    compact,
    detailed,
    option_line,
    option_of,
    share_line,
    whole_market,
)
from tests.unit.master.imports import Desk, a_desk, a_desk_with_a_catalog

WHOLE = detailed(whole_market())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with a_desk_with_a_catalog(tmp_path / "data") as made:
        yield made


def zipped(text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("master.csv", text)
    return packed.getvalue()


# --- what is no master file: nobody can overrule that -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"\n \r\n", "the file is empty", id="blank lines"),
        pytest.param(b"<!DOCTYPE html>\n<html>503</html>", "a web page, not a CSV", id="web page"),
        pytest.param(b'{"errorCode":"DH-904"}', "JSON, not a CSV", id="an error in JSON"),
        pytest.param(WHOLE.encode("utf-16"), "this is UTF-16, not CSV in UTF-8", id="UTF-16 with a mark"),
        pytest.param(WHOLE.encode("utf-16-le"), "holds zero bytes", id="UTF-16 without a mark"),
        pytest.param(gzip.compress(WHOLE.encode()), "this is gzip, not CSV", id="gzip"),
        pytest.param(zipped(WHOLE), "this is zip or Excel, not CSV", id="zip"),
        pytest.param(WHOLE.replace("LOT_SIZE", "LOTS", 1).encode(), "the header lacks LOT_SIZE", id="a column missing"),
        pytest.param(WHOLE.replace(",", ";").encode(), "not a header this project knows", id="semicolons"),
        pytest.param(WHOLE.split("\n", 1)[1].encode(), "not a header this project knows", id="no header"),
        pytest.param(WHOLE[:5000].encode() + b"\0" * 512, "holds zero bytes", id="a block of zeros"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_master_file(desk: Desk, content: bytes, words: str, force: bool) -> None:
    with pytest.raises(DataError, match=f"instrument master: .*{words}"):
        desk.take(content, force=force)
    assert desk.number() == 1
    assert desk.catalog.facts()[Fact.LAST_REFUSAL].startswith("instrument master: ")


# --- what can be read and cannot be right -------------------------------------------------------------------------------

NEAR = expiries("NIFTY", DAY, 1)[0]


def without(test: Callable[[Line], bool]) -> str:
    return detailed([row for row in whole_market() if not test(row)])


def altered(test: Callable[[Line], bool], **fields: object) -> str:
    return detailed(changed(whole_market(), test, **fields))


def is_share(exchange: str, part: tuple[str, ...] = ("",)) -> Callable[[Line], bool]:
    return lambda row: (
        row["SEGMENT"] == "E" and row["EXCH_ID"] == exchange and row["UNDERLYING_SYMBOL"].startswith(part)
    )


def is_index(name: str) -> Callable[[Line], bool]:
    return lambda row: row["SEGMENT"] == "I" and row["UNDERLYING_SYMBOL"] == name


DOUBTS = [
    pytest.param(WHOLE[: WHOLE.rindex(",D,")], "torn: the file ends in the middle of row", id="cut in a row"),
    pytest.param(
        "\n".join(WHOLE.split("\n")[:150]), "options missing: no option of NIFTY expires on 2026-09-07", id="cut at a row's end"
    ),
    pytest.param(DETAILED + "\n", "index missing: NIFTY (IDX_I:13) is not in the file", id="a header and no rows"),
    pytest.param(
        without(is_share("BSE", ("SHARE1", "SHARE2"))),
        "shrunk: BSE EQUITY: ", id="a fifth of an exchange's shares gone",
    ),
    pytest.param(without(is_index("FINNIFTY")), "index missing: FINNIFTY (IDX_I:27) is not in the file", id="an index gone"),
    pytest.param(
        altered(is_index("BANKNIFTY"), underlying_symbol="NIFTY AUTO"),
        "index missing: IDX_I:25 should be BANKNIFTY of NSE and is 'NIFTY AUTO' of NSE",
        id="another index under its number",
    ),
    pytest.param(without(option_of("SENSEX")), "options missing: no option of SENSEX", id="no options of an index"),
    pytest.param(
        altered(option_of("NIFTY"), lot_size="130.0"),
        "lot: the lot of NIFTY expiring 2026-09-08 goes from 65 to 130", id="a lot doubled",
    ),
    pytest.param(
        altered(option_of("SENSEX"), lot_size="10.0"),
        "lot: the lot of SENSEX expiring 2026-09-10 goes from 20 to 10", id="a lot halved",
    ),
    pytest.param(
        altered(option_of("NIFTY"), tick_size="0.0500"), "24 of them index options: row", id="ticks of options in rupees"
    ),
    pytest.param(
        altered(lambda row: row["SEGMENT"] == "D", sm_expiry_date="10/09/26"),
        "as a spreadsheet writes it: the file was opened and saved again", id="saved by a spreadsheet",
    ),
    pytest.param(
        altered(option_of("NIFTY"), lot_size="0"), "unreadable: 24 of ", id="lots of nothing"
    ),
    pytest.param(
        altered(option_of("NIFTY"), sm_freeze_qty="0"),
        "freeze: options of NIFTY without a freeze quantity above their lot, expiring from 2026-09-08", id="no freeze quantity",
    ),
    pytest.param(
        altered(option_of("BANKNIFTY"), exch_id="BSE"),
        "crossed: 24 OPTIDX of BANKNIFTY on BSE: BANKNIFTY is only on NSE", id="a contract on the other exchange",
    ),
    pytest.param(
        altered(is_index("SENSEX"), exch_id="NSE"),
        "index missing: IDX_I:51 should be SENSEX of BSE and is 'SENSEX' of NSE", id="an index on the other exchange",
    ),
    pytest.param(
        detailed([*whole_market(), *[row for row in whole_market() if option_of("NIFTY")(row)][:3]]),
        "duplicate: 3 security ids stand there twice, the first is NSE_FNO:40000", id="an id twice",
    ),
    pytest.param(
        detailed([*whole_market(), option_line("NIFTY", "NSE", 99_999, NEAR, 25_000, "CE")]),
        "duplicate: NSE NIFTY 2026-09-08 25000 CE is listed twice, as NSE_FNO:40000 and as NSE_FNO:99999",
        id="a contract under two ids",
    ),
    pytest.param(
        detailed(whole_market(DAY + timedelta(days=14))),
        "old: the nearest options of NIFTY expire on 2026-09-22; on 2026-09-07 some should on 2026-09-08",
        id="the file of another time",
    ),
    pytest.param(
        altered(option_of("SENSEX"), option_type="XX"), "option type 'XX'", id="options without a side"
    ),
    pytest.param(
        altered(option_of("NIFTY"), security_id="12E3"), "security id '12E3' is not a number", id="ids in exponents"
    ),
    pytest.param(
        altered(option_of("NIFTY"), display_name="N\u00cfFTY").encode("latin-1"),
        "24 of them index options: row 174: holds bytes that are not UTF-8", id="Latin-1",
    ),
    pytest.param(
        altered(is_index("NIFTY"), security_id="14"), "index missing: NIFTY (IDX_I:13) is not in the file", id="an index moved"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "evidence"), DOUBTS)
def test_a_damaged_file_is_refused_with_its_evidence(desk: Desk, text: str | bytes, evidence: str) -> None:
    assert text != WHOLE
    before = desk.catalog.contracts(["NIFTY", "SENSEX"], DAY, DAY + timedelta(days=30))
    report = desk.take(text)
    assert report.outcome is Outcome.REFUSED
    assert evidence in "\n".join(report.objections)
    assert desk.number() == report.generation == 1
    assert desk.catalog.contracts(["NIFTY", "SENSEX"], DAY, DAY + timedelta(days=30)) == before
    assert evidence in desk.catalog.facts()[Fact.LAST_REFUSAL]
    assert desk.catalog.facts()[Fact.INSTRUMENT_TOTAL] == str(report.instrument_total)


@pytest.mark.parametrize(("text", "evidence"), DOUBTS)
def test_force_overrules_each_and_says_what(desk: Desk, text: str | bytes, evidence: str) -> None:
    report = desk.take(text, force=True)
    assert (report.outcome, report.overruled) == (Outcome.IMPORTED, True)
    current = desk.catalog.current()
    assert current is not None
    assert (current.number, evidence in current.forced) == (2, True)
    assert current.instrument_rows == report.instrument_total
    assert current.derivative_rows == report.derivative_total == report.derivative_upserts


def test_there_are_more_than_twenty_damages() -> None:
    assert len(DOUBTS) > 20


def test_an_unbelieved_first_file_leaves_no_catalog(tmp_path: Path) -> None:
    with a_desk(tmp_path / "data") as desk:
        report = desk.take(without(option_of("NIFTY")))
        assert (report.outcome, report.generation, desk.number()) == (Outcome.REFUSED, None, None)


def test_a_file_is_held_against_what_should_still_be_listed_not_against_what_expired(desk: Desk) -> None:
    # Ten days later both expiries of NIFTY are over, a third of NSE's index options: that is no shrinking.
    desk.requiring("FINNIFTY").clock.at_ns += 10 * NS_PER_DAY
    report = desk.take_lines([*whole_market(), share_line("NEW", "NSE", 9_000)])
    assert (report.outcome, report.objections) == (Outcome.IMPORTED, ())


def test_an_index_that_is_not_traded_may_be_missing(tmp_path: Path) -> None:
    with a_desk(tmp_path / "data") as desk:
        assert desk.requiring("NIFTY", "SENSEX").take(without(option_of("FINNIFTY"))).outcome is Outcome.IMPORTED


@pytest.mark.parametrize(("left", "outcome"), [(81, Outcome.IMPORTED), (80, Outcome.REFUSED)])
def test_a_fifth_is_too_much(desk: Desk, left: int, outcome: Outcome) -> None:
    hundred = [row for row in whole_market() if not is_share("BSE")(row)]
    shares = [share_line(f"B{number}", "BSE", 2_000 + number) for number in range(99)] + [share_line("ABB", "BSE", 500)]
    assert desk.take_lines(hundred + shares, force=True).outcome is Outcome.IMPORTED
    report = desk.take_lines(hundred + shares[-left:])
    assert report.outcome is outcome
    if outcome is Outcome.REFUSED:
        assert report.objections == ("shrunk: BSE EQUITY: 80 rows, 100 of the catalog in use should still be there",)


def test_a_compact_file_is_believed_and_its_contracts_cannot_be_traded(desk: Desk) -> None:
    report = desk.take(compact(whole_market()))
    assert (report.outcome, report.objections, report.freeze_stated) == (Outcome.IMPORTED, (), False)
    with pytest.raises(
        DataError, match="has no freeze quantity for NIFTY 2026-09-08; set DHANHQ_CSV_URL to the detailed"
    ):
        desk.catalog.contracts(["NIFTY"], DAY, DAY + timedelta(days=30))


def test_a_few_strange_shares_do_not_stop_an_import(desk: Desk) -> None:
    more = [row | {"SECURITY_ID": str(100_000 + number), "UNDERLYING_SYMBOL": f"MORE{number}"}
            for number, row in enumerate([row for row in whole_market() if is_share("NSE")(row)] * 30)]  # fmt: skip
    report = desk.take_lines([*whole_market(), *more, more[0] | {"LOT_SIZE": "x"}, more[1] | {"SECURITY_ID": "?"}])
    assert (report.outcome, report.unreadable_rows) == (Outcome.IMPORTED, 2)
    assert len(report.unreadable) == 2


def many_shares() -> list[Line]:
    return [share_line(f"B{number}", "BSE", 5_000 + number) for number in range(1_000)]


def test_one_index_option_that_makes_no_sense_is_one_too_many(desk: Desk) -> None:
    lines = [*whole_market(), *many_shares()]
    report = desk.take_lines(changed(lines, lambda row: row["SECURITY_ID"] == "40003", tick_size="0"))
    assert report.outcome is Outcome.REFUSED
    (objection,) = report.objections
    assert objection.startswith(f"unreadable: 1 of {len(lines)} rows make no sense, 1 of them index options: row 177: ")


def test_one_strange_byte_in_a_name_costs_its_row_only(desk: Desk) -> None:
    strange = changed(
        whole_market(),
        lambda row: row["UNDERLYING_SYMBOL"] == "SHARE7" and row["EXCH_ID"] == "BSE",
        display_name="\u00c4",
    )
    report = desk.take(detailed([*strange, *many_shares()]).encode("latin-1"))
    assert (report.outcome, report.unreadable_rows) == (Outcome.IMPORTED, 1)
    assert "holds bytes that are not UTF-8" in report.unreadable[0]
