"""Settings, rules and watchlist over the API of a desk whose engine does not run: the desk makes the change itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.domain.events import OperatorWord
from algo_scalper.runtime.account_changes import AccountChanges
from tests.unit.desk import fake_day as fake
from tests.unit.desk.test_api import Bench

RULES = """\
mode: paper
indices: {NIFTY: {role: trade}}
guards: {events: off}
watchlist: [NSE_EQ:2885]
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("DATABASE_URL", "LOG_LEVEL", "DHANHQ_WS_WATCHLIST"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "algo.yml"
    config.write_text(RULES)
    clock = fake.HandClock()
    changes = AccountChanges("PAPER", tmp_path, config, clock, tmp_path / "none.env")
    made = Bench(tmp_path, changes=changes)
    with made.client:
        yield made


def change(bench: Bench, path: str, body: dict[str, Any], method: str = "POST") -> tuple[int, str]:
    answer = bench.client.request(method, path, json=body, headers=bench.bearer)
    told = answer.json()
    return answer.status_code, told.get("kept") or told.get("detail")


def test_a_setting_is_stored_shown_with_its_place_and_remembered(bench: Bench) -> None:
    assert change(bench, "/api/settings/LOG_LEVEL", {"value": "debug"}) == (
        200,
        "LOG_LEVEL=debug is stored for PAPER, in effect with the next start: LOG_LEVEL=debug from stored settings",
    )
    (row,) = [row for row in bench.get("/api/settings") if row["name"] == "LOG_LEVEL"]
    assert (row["value"], row["source"], row["by"]) == ("debug", "stored settings", "page")
    (line,) = bench.get("/api/settings/history?name=log_level")
    assert (line["was"], line["now"], line["who"]) == (None, "debug", "page")
    assert change(bench, "/api/settings/LOG_LEVEL", {"value": None})[0] == 200
    assert change(bench, "/api/settings/LOG_LEVEL", {"value": None})[0] == 400


@pytest.mark.parametrize("name", ["DHANHQ_ACCESS_TOKEN", "DHANHQ_BASE_URL", "NO_SUCH_THING"])
def test_a_secret_an_address_and_an_unknown_name_are_refused(bench: Bench, name: str) -> None:
    status, said = change(bench, f"/api/settings/{name}", {"value": "x"})
    assert status == 400
    assert name in said


def test_a_rule_is_laid_over_the_file_and_shown_beside_it(bench: Bench) -> None:
    assert change(bench, "/api/rules/limits.trades_day", {"value": "2"}) == (
        200,
        "PAPER: limits.trades_day=2 counts with the next start",
    )
    (row,) = [row for row in bench.get("/api/rules")["rules"] if row["key"] == "limits.trades_day"]
    assert (row["written"], row["source"], row["by"], row["in_force"]) == ("2", "changed at run time", "page", "")
    assert change(bench, "/api/rules/limits.trades_day", {"value": "lots"})[0] == 400
    assert [line["now"] for line in bench.get("/api/rules/history")] == ["2"]


def test_the_watchlist_is_shown_with_its_place_and_changed(bench: Bench) -> None:
    shown = bench.get("/api/watchlist")
    assert (shown["source"].endswith("algo.yml line 4"), shown["items"]) == (
        True,
        [{"instrument": "NSE_EQ:2885", "name": "NSE_EQ:2885"}],
    )
    status, said = change(bench, "/api/watchlist", {"names": ["SENSEX", "NSE_EQ:1333"]})
    assert status == 200
    assert said == "SENSEX, NSE_EQ:1333: on the stored list; the next start watches 2 instruments, by the stored list"
    assert bench.get("/api/watchlist")["source"] == "the stored list"
    assert change(bench, "/api/watchlist/SENSEX", {}, "DELETE")[0] == 200
    assert change(bench, "/api/watchlist/SENSEX", {}, "DELETE")[0] == 400
    assert change(bench, "/api/watchlist", {"names": ["RELIANCE"]})[0] == 400


def test_while_an_engine_that_does_not_answer_holds_the_account_nothing_is_changed(
    bench: Bench, tmp_path: Path
) -> None:
    with InstanceLock(tmp_path, "PAPER"):
        status, said = change(bench, "/api/rules/limits.trades_day", {"value": "2"})
    assert status == 503
    assert "nothing was changed" in said
    assert bench.get("/api/rules/history") == []


def test_exit_rules_are_applied_to_an_open_position_by_name(bench: Bench) -> None:
    bench.hear()
    assert change(bench, "/api/apply/nobody", {})[0] == 404
    assert bench.client.post("/api/apply/AS7-000031", headers=bench.bearer).status_code == 202
    assert bench.reader.heard == [(OperatorWord.APPLY, "AS7-000031", "page")]


def test_nothing_is_changed_without_the_token(bench: Bench) -> None:
    assert bench.client.post("/api/rules/limits.open", json={"value": "1"}).status_code == 401


def test_a_desk_that_knows_no_account_says_so(tmp_path: Path) -> None:
    bare = Bench(tmp_path)
    with bare.client:
        assert bare.client.get("/api/rules", headers=bare.bearer).status_code == 503
