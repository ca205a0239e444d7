"""``scalper instruments``: what it prints, and the exit codes scripts trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from algo_scalper.adapters.storage.catalog import Fact
from algo_scalper.adapters.storage.stores import open_catalog, open_stores
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.cli import main as cli
from algo_scalper.interfaces.cli.instruments import status_of
from algo_scalper.runtime.catalog_import import import_settings
from algo_scalper.runtime.settings import VARIABLES, Setting, Settings, load_settings
from tests.contract.histories import one_trade
from tests.unit.master.files import NOW_NS, StillClock, changed, compact, detailed, option_of, stored, whole_market

DAY_S = 86_400


class Said(NamedTuple):
    code: int
    out: str
    err: str


Scalper = Callable[..., Said]


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def scalper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clock: StillClock
) -> Scalper:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("algo_scalper.interfaces.cli.instruments.SystemClock", lambda: clock)
    for variable in VARIABLES:
        for name in (variable.name, *variable.older):
            monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Said:
        monkeypatch.setattr("sys.argv", ["scalper", "instruments", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Said(code, *capsys.readouterr())

    return run


def file(text: str) -> str:
    return str(stored(Path(), text))


def test_import_status_reimport_clear(scalper: Scalper) -> None:
    nothing = scalper("status")
    assert (nothing.code, nothing.out) == (1, "NONE: no catalog has been imported; run: scalper instruments import\n")
    first = scalper("import", "--file", file(detailed(whole_market())))
    assert first.code == 0
    assert "Catalog 1: 173 instruments, 104 contracts" in first.out
    assert "left out: 1 other exchange, 1 currency, 1 commodity, 2 test contract, 1 expired" in first.out
    again = scalper("import", "--file", file(detailed(whole_market())))
    assert (again.code, again.out[:14]) == (0, "Nothing to do:")
    assert "Catalog 2: 173" in scalper("reimport", "--file", file(detailed(whole_market()))).out
    status = scalper("status")
    assert status.code == 0
    assert "OK: the catalog's file was current 0.0 hours ago" in status.out
    assert "instruments.derivative_total = 104" in status.out
    assert scalper("clear") == Said(0, "The catalog is empty; run: scalper instruments import\n", "")
    assert scalper("status").code == 1


def test_a_refused_file_is_exit_code_1_with_the_evidence_and_force_says_what_it_overrules(scalper: Scalper) -> None:
    scalper("import", "--file", file(detailed(whole_market())))
    doubled = file(detailed(changed(whole_market(), option_of("NIFTY"), lot_size="130.0")))
    refused = scalper("import", "--file", doubled)
    assert refused.code == 1
    assert "REFUSED, catalog 1 stays:\n  lot: the lot of NIFTY expiring 2026-09-08 goes from 65 to 130" in refused.out
    assert "instruments.last_refusal = lot: the lot of NIFTY" in scalper("status").out
    forced = scalper("import", "--force", "--file", doubled)
    assert forced.code == 0
    assert "OVERRULED by --force:\n  lot: the lot of NIFTY" in forced.out
    assert "ENTRIES in NIFTY wait until you have seen this: scalper instruments accept NIFTY" in forced.out
    status = scalper("status")
    assert (status.code, "OVERRULED when it was imported: lot: the lot of NIFTY" in status.out) == (3, True)
    assert "instruments.last_refusal" not in status.out, "an import that went well takes it back"


def test_what_is_no_master_file_is_exit_code_2(scalper: Scalper) -> None:
    said = scalper("import", "--file", file("<html>Service unavailable</html>"))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("scalper: instrument master: this is a web page, not a CSV file")


def test_a_server_that_is_not_there_is_exit_code_2(scalper: Scalper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSV_URL", "http://127.0.0.1:9/master.csv")
    said = scalper("import")
    assert said.code == 2
    assert "http://127.0.0.1:9/master.csv did not come in 3 attempts" in said.err


def test_a_change_waits_is_shown_and_is_accepted_by_name(scalper: Scalper, monkeypatch: pytest.MonkeyPatch) -> None:
    scalper("import", "--file", file(detailed(whole_market())))
    scalper("import", "--file", file(detailed(changed(whole_market(), option_of("NIFTY"), sm_freeze_qty="1301"))))
    status = scalper("status")
    assert status.code == 3
    assert (
        "BLOCKED: NIFTY is not entered until a person accepts:\n  NIFTY freeze (2026-09-08, 2026-09-15): 1755 -> 1300"
        in status.out
    )
    monkeypatch.setattr("typer.confirm", lambda *_asked, **_how: False)
    said_no = scalper("accept", "nifty")
    assert (said_no.code, "1755 -> 1300" in said_no.out) == (1, True)
    assert scalper("status").code == 3
    said_yes = scalper("accept", "NIFTY", "--yes", "--by", "anna", "--json")
    assert said_yes.code == 0
    assert json.loads(said_yes.out)["accepted"] == 1
    assert scalper("status").code == 0
    assert scalper("accept", "NIFTY", "--yes").out == "Nothing of NIFTY waits for anybody\n"
    assert scalper("accept", "GOLD").code == 2


def test_a_catalog_out_of_date_is_exit_code_1(scalper: Scalper, clock: StillClock) -> None:
    scalper("import", "--file", file(detailed(whole_market())))
    clock.at_ns += DAY_S * NS_PER_SECOND
    assert scalper("status").code == 0
    clock.at_ns += NS_PER_SECOND * 360
    status = scalper("status")
    assert (status.code, status.out[:70]) == (
        1,
        "STALE: the catalog's file was last known to be current 24.1 hours ago;",
    )


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-09-08T03:00:00+00:00"])
def test_a_moment_that_cannot_be_is_out_of_date(scalper: Scalper, moment: str) -> None:
    scalper("import", "--file", file(detailed(whole_market())))
    with open_catalog(None, Path("var")) as catalog:
        catalog.note({Fact.CONFIRMED_AT: moment}, at_ns=NOW_NS)
        assert status_of(catalog, NOW_NS, DAY_S).state == "STALE"


def test_everything_can_be_read_by_a_program(scalper: Scalper) -> None:
    made = json.loads(scalper("import", "--json", "--file", file(compact(whole_market()))).out)
    assert {name: made[name] for name in ("outcome", "layout", "freeze_stated", "instrument_total", "derivative_total")} == {
        "outcome": "imported", "layout": "compact", "freeze_stated": False, "instrument_total": 173, "derivative_total": 104,
    }  # fmt: skip
    status: dict[str, Any] = json.loads(scalper("status", "--json").out)
    assert (status["state"], status["generation"]["number"], status["blocked"]) == ("OK", 1, {})
    assert json.loads(scalper("clear", "--json").out) == {"cleared": True, "held": []}


def test_nothing_is_cleared_while_something_is_held(scalper: Scalper) -> None:
    scalper("import", "--file", file(detailed(whole_market())))
    with closing(open_stores(None, Path("var"))) as stores:
        stores.trading("PAPER").commit(one_trade(1))
        held = stores.held()
    assert len(held) == 1
    refused = scalper("clear")
    assert (refused.code, refused.out) == (
        1, f"REFUSED: held are {held[0]}; close them first, or overrule this with --force\n",
    )  # fmt: skip
    assert scalper("status").code == 0
    assert scalper("clear", "--force").code == 0


# --- the knobs ----------------------------------------------------------------------------------------------------------


def settings(**values: str) -> Settings:
    return Settings(({name: Setting(name, value, ".env line 1") for name, value in values.items()},))


def test_the_knobs_and_what_they_are_when_nobody_says_anything(tmp_path: Path) -> None:
    how = import_settings(load_settings({}, tmp_path / ".env"), tmp_path, ["NIFTY"])
    assert how.url == "https://images.dhan.co/api-data/api-scrip-master-detailed.csv"
    assert (how.max_age_ns, how.batch, how.exchanges) == (DAY_S * NS_PER_SECOND, 5000, ("BSE", "NSE"))
    how = import_settings(
        settings(CSV_URL="http://localhost:9200/m.csv", CACHE_MAX_AGE="60", BATCH_SIZE="700", VALID_EXCHANGES="nse, "),
        tmp_path,
        ["NIFTY"],
    )
    assert (how.url, how.max_age_ns, how.batch, how.exchanges) == (
        "http://localhost:9200/m.csv", 60 * NS_PER_SECOND, 700, ("NSE",),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"DHANHQ_CSV_URL": "http://images.dhan.co/m.csv"}, "http only to this machine"),
        ({"CSV_URL": "ftp://images.dhan.co/m.csv"}, "CSV_URL in .env line 1: DHANHQ_CSV_URL='ftp"),
        ({"CSV_URL": "https://["}, "write it as https://host/path"),
        ({"BATCH_SIZE": "0"}, "BATCH_SIZE='0' is not a whole number from 1 to 100000"),
        ({"CACHE_MAX_AGE": "a day"}, "CACHE_MAX_AGE='a day' is not a whole number"),
        ({"VALID_EXCHANGES": "NSE,MCX"}, "MCX is not read here; write NSE,BSE"),
        ({"VALID_EXCHANGES": ","}, "nothing is not read here"),
        ({"VALID_EXCHANGES": "NSE"}, "VALID_EXCHANGES leaves out BSE, where SENSEX is traded"),
    ],
)
def test_a_knob_that_cannot_be_is_named_with_its_place(values: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        import_settings(settings(**values), tmp_path, ["NIFTY", "SENSEX"])


def test_the_stored_settings_of_the_last_session_count_as_they_do_in_the_desk(scalper: Scalper, tmp_path: Path) -> None:
    with closing(open_stores(None, tmp_path / "var")) as stores:
        stores.changes("PAPER-REAL").change_setting("VALID_EXCHANGES", "NSE", at_ns=1, by="me")
        stores.trading("PAPER").next_epoch(started_ns=4)
    assert scalper("import", "--file", file(detailed(whole_market()))).code == 0, "another account's do not"
    with closing(open_stores(None, tmp_path / "var")) as stores:
        stores.trading("PAPER-REAL").next_epoch(started_ns=5)
    said = scalper("import", "--file", file(detailed(whole_market())))
    assert (said.code, said.err[:71]) == (
        2,
        "scalper: stored settings: VALID_EXCHANGES leaves out BSE, where SENSEX ",
    )
    with closing(open_stores(None, tmp_path / "var")) as stores:
        stores.changes("PAPER-REAL").change_setting("CACHE_MAX_AGE", "many", at_ns=2, by="me")
    assert "stored settings: CACHE_MAX_AGE='many' is not a whole number" in scalper("status").err


def test_before_the_first_session_the_stored_settings_are_those_the_command_keeps(scalper: Scalper) -> None:
    with closing(open_stores(None, Path("var"))) as stores:
        stores.changes("PAPER").change_setting("BATCH_SIZE", "none", at_ns=1, by="me")
    assert "stored settings: BATCH_SIZE='none'" in scalper("import", "--file", "any").err
