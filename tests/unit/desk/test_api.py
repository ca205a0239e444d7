"""The desk's API: who may, what is told, and what is passed on. The engine is a record filled by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient

from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.domain.errors import ConfigError, StoreError
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.engine.views import View
from algo_scalper.interfaces.api.access import OPEN_TO_ALL, TOKEN_FILE, load_token
from algo_scalper.interfaces.api.app import build_app, listen, serve_desk
from algo_scalper.interfaces.api.job_notices import run_jobs
from algo_scalper.interfaces.api.ports import holder_of
from algo_scalper.interfaces.api.settings import DeskSettings, EngineState, check_host
from algo_scalper.runtime.clock import SystemClock, settle
from algo_scalper.runtime.jobs.job import Ground, Market
from algo_scalper.runtime.jobs.runner import JobRunner, Tell
from algo_scalper.runtime.jobs.table import job_named
from algo_scalper.runtime.publish import DecisionLine, Notice, Publisher, StoreView, StreamReader
from algo_scalper.runtime.settings import load_settings
from tests.unit.desk import fake_day as fake

HOME = "http://127.0.0.1:3000"
COOKIE = "algo_scalper_3000"


class HandReader(StreamReader):
    """A line to an engine that is a list: words land in ``heard``, the record is filled by the test."""

    def __init__(self, clock: fake.HandClock) -> None:
        super().__init__("nowhere", clock)
        self.heard: list[tuple[OperatorWord, str, str]] = []
        self.open = True

    def say(self, word: OperatorWord, target: str = "", by: str = "page") -> bool:
        if self.open:
            self.heard.append((word, target, by))
        return self.open


class Bench:
    """A desk under test."""

    def __init__(self, data_dir: Path, **changes: Any) -> None:
        self.clock = fake.HandClock()
        self.engine = EngineState("running")
        self.reader = HandReader(self.clock)
        settings = DeskSettings(
            data_dir=data_dir,
            socket_path=data_dir / "s",
            version="1.2.3",
            engine_state=lambda: self.engine,
            clock=self.clock,
            market="SIMULATED",
        )
        self.app = build_app(settings._replace(**changes), self.reader)
        self.token = (data_dir / TOKEN_FILE).read_text().strip()
        self.bearer = {"Authorization": f"Bearer {self.token}"}
        self.client = TestClient(self.app, base_url=HOME)

    def hear(self, view: View | None = None) -> None:
        """The engine was heard now."""
        self.reader.replica.day.apply(view or fake.view(positions=(fake.position_view(),)))
        self.reader.replica.received_ns = self.clock.now_ns()

    def get(self, path: str, **headers: str) -> Any:
        """A GET with the token; the JSON of the answer, which must be 200."""
        answer = self.client.get(path, headers={**self.bearer, **headers})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    with made.client:
        made.hear()
        yield made


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, market="REAL")
    with made.client:
        made.hear(fake.view(market="REAL", positions=(fake.position_view(),)))
        yield made


# ---- the token and the cookie ------------------------------------------------------------------------------------


def test_only_health_the_page_and_its_files_are_open(bench: Bench) -> None:
    handlers = {
        path: handler
        for route in bench.app.routes
        for path, handler in [(route.path, each) for each in getattr(route, "route_handlers", ())]
        if isinstance(handler, HTTPRouteHandler) and handler.handler_name != "options_handler"
    }
    is_open = {path for path, handler in handlers.items() if handler.opt.get(OPEN_TO_ALL)}
    assert is_open == {"/up", "/api/health", "/", "/login", "/assets/{name:str}"}
    assert len(handlers) == len(is_open) + 20


@pytest.mark.parametrize("path", ["/api/status", "/api/positions", "/api/orders", "/api/trades", "/api/decisions"])
@pytest.mark.parametrize("offered", ["", "Bearer wrong", "Basic {token}", "Bearer {token}x", "Bearer é"])
def test_reading_asks_for_the_token(bench: Bench, path: str, offered: str) -> None:
    header = offered.format(token=bench.token).encode("latin-1")
    assert bench.client.get(path, headers={b"Authorization": header}).status_code == 401
    assert bench.client.get(f"{path}?token={bench.token}").status_code == 401
    assert bench.client.get(path, headers=bench.bearer).status_code == 200


def test_on_play_money_the_page_opens_by_itself_and_its_cookie_reads_and_commands(bench: Bench) -> None:
    answer = bench.client.get("/")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie  # noqa: PT018 - one cookie
    assert bench.token not in answer.text + str(answer.headers)
    assert bench.client.get("/api/status").status_code == 200
    assert bench.client.post("/api/halt", headers={"X-Algo-Scalper": "1"}).status_code == 202


def test_a_command_by_cookie_needs_the_header_no_foreign_page_can_send(bench: Bench) -> None:
    bench.client.get("/")
    assert bench.client.post("/api/halt").status_code == 403
    assert bench.reader.heard == []
    assert bench.client.post("/api/halt", headers=bench.bearer).status_code == 202


def test_on_a_real_market_the_page_asks_for_the_token(real: Bench) -> None:
    answer = real.client.get("/")
    assert answer.status_code == 401
    assert 'name="token"' in answer.text
    assert "set-cookie" not in answer.headers
    wrong = real.client.post("/login", data={"token": "guess"})
    assert wrong.status_code == 401
    assert "not the token" in wrong.text
    assert answer.headers["referrer-policy"] == "same-origin"  # else a browser's form says "Origin: null"
    right = real.client.post("/login", data={"token": real.token}, headers={"Origin": HOME}, follow_redirects=False)
    assert right.status_code == 303
    assert right.headers["location"] == "/"
    assert real.client.get("/").status_code == 200
    assert real.client.get("/api/status").status_code == 200


def test_a_play_cookie_is_worth_nothing_once_the_market_is_real(bench: Bench, tmp_path: Path) -> None:
    bench.client.get("/")
    play = bench.client.cookies[COOKIE]
    bench.reader.replica.day.apply(fake.view(market="REAL"))
    assert bench.client.get("/api/status").status_code == 401

    later = Bench(tmp_path, market="REAL")
    assert later.token == bench.token
    with later.client:
        later.client.cookies.set(COOKIE, play)
        assert later.client.get("/api/status").status_code == 401
        assert later.client.get("/").status_code == 401


def test_a_desk_open_to_the_network_gives_no_cookie_away(tmp_path: Path) -> None:
    open_desk = Bench(tmp_path, allow_network=True, host="0.0.0.0")
    with open_desk.client:
        assert open_desk.client.get("/").status_code == 401
        assert open_desk.client.get("/up", headers={"Host": "192.168.1.7:3000"}).status_code == 503
        assert open_desk.client.get("/up", headers={"Host": "evil.example"}).status_code == 403


def test_the_token_is_made_once_and_kept_private(tmp_path: Path) -> None:
    token = load_token(tmp_path)
    assert len(token) >= 43
    assert stat.S_IMODE((tmp_path / TOKEN_FILE).stat().st_mode) == 0o600
    assert load_token(tmp_path) == token
    (tmp_path / TOKEN_FILE).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_token(tmp_path)


def test_an_empty_token_file_is_refused_and_not_taken_for_a_token(tmp_path: Path) -> None:
    (tmp_path / TOKEN_FILE).touch(mode=0o600)
    with pytest.raises(ConfigError, match="not a token of ours"):
        load_token(tmp_path)


# ---- where a request comes from ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "192.168.1.7:3000", ""]
)
@pytest.mark.parametrize("path", ["/", "/up", "/api/status", "/assets/page.js"])
def test_a_name_pointed_at_this_machine_by_somebody_else_is_refused(bench: Bench, host: str, path: str) -> None:
    assert bench.client.get(path, headers={**bench.bearer, "Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "127.0.0.1"])
def test_names_of_this_machine_are_fine(bench: Bench, host: str) -> None:
    assert bench.client.get("/up", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:8080", "null"])
def test_another_sites_page_may_neither_command_nor_listen(bench: Bench, origin: str) -> None:
    bench.client.get("/")
    headers = {"Origin": origin, "X-Algo-Scalper": "1"}
    assert bench.client.post("/api/kill", headers=headers, json={"confirm": "KILL"}).status_code == 403
    assert bench.reader.heard == []
    with pytest.raises(WebSocketDisconnect), bench.client.websocket_connect("/api/stream", headers=headers):
        pass


def test_no_answer_lets_other_sites_read_it(bench: Bench) -> None:
    answer = bench.client.get("/api/health", headers={"Origin": HOME})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_the_desk_listens_on_this_machine_unless_told_otherwise(tmp_path: Path) -> None:
    settings = DeskSettings(
        tmp_path, tmp_path / "s", "1", lambda: EngineState("running"), fake.HandClock(), host="0.0.0.0"
    )
    with pytest.raises(ConfigError, match=r"host 0\.0\.0\.0.*--allow-network"):
        check_host(settings)
    check_host(settings._replace(allow_network=True))
    for host in ("127.0.0.1", "localhost", "::1"):
        check_host(settings._replace(host=host))


def test_a_port_in_use_is_named_with_its_holder_and_the_way_out() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            listen("127.0.0.1", port)
    assert f"port {port} on 127.0.0.1" in str(caught.value)
    assert "PORT=3000" in str(caught.value)
    if Path("/proc/net/tcp").exists():
        assert f"process {os.getpid()}" in str(caught.value)


def test_who_holds_a_port_is_read_from_the_process_table(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    row = "   0: 0100007F:0BB8 00000000:0000 {} 00000000:00000000 00:00000000 00000000  0 0 {} 1"
    (tmp_path / "net/tcp").write_text("\n".join(["header", row.format("01", 111), row.format("0A", 222)]))
    for process, inode in (("41", 111), ("42", 222)):
        (tmp_path / process / "fd").mkdir(parents=True)
        (tmp_path / process / "fd/3").symlink_to(f"socket:[{inode}]")
        (tmp_path / process / "comm").write_text("ruby\n")
    assert "held by ruby (process 42" in holder_of(3000, tmp_path)
    assert holder_of(3001, tmp_path) == ""


# ---- health ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/up", "/api/health"])
def test_health_is_open_and_tells_what_is_running(bench: Bench, path: str) -> None:
    bench.reader.replica.day.apply(StoreView("ok", fake.at(10, 41, 58)))
    bench.clock.move(NS_PER_SECOND)
    answer = bench.client.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["version"]) == ("ok", "1.2.3")
    assert body["mode"] == {"market": "SIMULATED", "money": "PAPER"}
    assert body["feed"] == {"market": "up", "orders": "up", "last_tick_age_s": 1.5, "lag_s": 0.7}
    assert body["store"] == {"state": "ok", "detail": "", "committed_age_s": 3.0}
    assert body["broker"] == {"reconciled": True, "unknown_orders": 0, "book_read_age_s": 3.0}
    assert body["engine"]["heard_age_s"] == 1.0


def _silent(bench: Bench) -> None:
    bench.clock.move(5 * NS_PER_SECOND + 1)


def _dead(bench: Bench) -> None:
    bench.engine = EngineState("failed", 3, "poisoned")


def _feed_lost(bench: Bench) -> None:
    bench.hear(fake.view(feed="lost"))


def _feed_silent(bench: Bench) -> None:
    view = fake.view()
    feed = msgspec.structs.replace(view.feed, last_tick_ns=view.at_ns - 31 * NS_PER_SECOND)
    bench.hear(msgspec.structs.replace(view, feed=feed))


def _store_failing(bench: Bench) -> None:
    bench.reader.replica.day.apply(StoreView("failing", 1, "disk full"))


def _never_heard(bench: Bench) -> None:
    bench.reader.replica.received_ns = 0


@pytest.mark.parametrize(
    ("trouble", "named"),
    [
        (_silent, "engine: silent for 5 s"),
        (_dead, "engine: the process is failed"),
        (_feed_lost, "feed: the market feed is lost"),
        (_feed_silent, "feed: no tick for 31 s"),
        (_store_failing, "store: disk full"),
        (_never_heard, "engine: not heard yet"),
    ],
)
def test_health_is_503_with_the_same_body_when_a_vital_part_is_dead_or_stale(
    bench: Bench, trouble: Any, named: str
) -> None:
    before = bench.client.get("/api/health").json()
    trouble(bench)
    answer = bench.client.get("/api/health")
    assert answer.status_code == 503
    body = answer.json()
    assert (body["status"], body["troubles"]) == ("failing", [named])
    assert body.keys() == before.keys()


@pytest.mark.parametrize(("hour", "minute"), [(9, 14), (15, 30), (18, 0)])
def test_out_of_session_a_quiet_feed_is_no_trouble(bench: Bench, hour: int, minute: int) -> None:
    view = fake.view(feed="lost", now_ns=fake.at(hour, minute))
    bench.hear(msgspec.structs.replace(view, feed=msgspec.structs.replace(view.feed, last_tick_ns=0)))
    assert bench.client.get("/up").status_code == 200


def test_five_silent_seconds_are_still_alive(bench: Bench) -> None:
    bench.clock.move(5 * NS_PER_SECOND)
    assert bench.client.get("/up").status_code == 200


# ---- reading -----------------------------------------------------------------------------------------------------


def test_status_is_the_view_with_paise_and_rupees(bench: Bench) -> None:
    body = bench.get("/api/status")
    assert body["ledger"]["net_paise"] == 58_586
    assert body["ledger"]["net_rupees"] == "585.86"
    assert body["ledger"]["capital_rupees"] == "1,00,000.00"
    assert body["clock"]["flat_by_ist"] == "15:05:00"
    assert msgspec.convert(body, View) == bench.reader.replica.day.view


def test_status_before_the_engine_was_heard_is_503(tmp_path: Path) -> None:
    fresh = Bench(tmp_path)
    with fresh.client:
        assert fresh.client.get("/api/status", headers=fresh.bearer).status_code == 503
        assert fresh.get("/api/positions") == fresh.get("/api/orders") == fresh.get("/api/trades") == []


def test_positions_orders_and_trades(bench: Bench) -> None:
    bench.reader.replica.day.apply(fake.trade_view(1))
    bench.reader.replica.day.apply(fake.trade_view(2, net_paise=-100))
    assert [one["exit_now_net_rupees"] for one in bench.get("/api/positions")] == ["308.85"]
    assert [one["state"] for one in bench.get("/api/orders")] == ["TRADED", "PENDING"]
    newest, oldest = bench.get("/api/trades")
    assert (newest["net_rupees"], oldest["net_rupees"]) == ("-1.00", "239.42")
    assert oldest["charges"]["stt"] == 1_319
    assert oldest["charges_rupees"]["stt"] == "13.19"
    assert oldest["gross_paise"] - sum(oldest["charges"].values()) == oldest["net_paise"]


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", [4, 3, 2, 1]),
        ("kind=refusal", [4, 2, 1]),
        ("index=nifty", [4, 3, 1]),
        ("kind=refusal&index=NIFTY", [4, 1]),
        ("limit=2", [4, 3]),
        ("from=10:42&to=10:42", [1]),
        ("from=10:46", [4, 3]),
        ("from=10:46&to=10:46", [3]),
        ("to=10:41", [2, 1]),
        ("from=10:40&to=10:40", [1]),
        ("from=12:00", []),
    ],
)
def test_decisions_by_kind_index_time_and_number(bench: Bench, query: str, lines: list[int]) -> None:
    """Line 1 was said from 10:40 to 10:44, so it is the answer to "why no trade at 10:42?"."""
    for line, count, first, decision in (
        (1, 5, fake.at(10, 40), fake.decision(44)),
        (2, 1, fake.at(10, 41), fake.decision(41, index="SENSEX")),
        (3, 1, fake.at(10, 46, 30), msgspec.structs.replace(fake.decision(kind="entry"), at_ns=fake.at(10, 46, 30))),
        (4, 1, fake.at(10, 50), fake.decision(50)),
    ):
        bench.reader.replica.day.apply(DecisionLine(line, count, first, decision))
    assert [row["line"] for row in bench.get(f"/api/decisions?{query}")] == lines


def test_a_decision_row_tells_count_span_and_numbers(bench: Bench) -> None:
    bench.reader.replica.day.apply(DecisionLine(1, 5, fake.at(10, 40), fake.decision(44)))
    (row,) = bench.get("/api/decisions")
    assert (row["count"], row["first_ist"], row["at_ist"]) == (5, "10:40:00", "10:44:00")
    assert row["numbers"] == {
        "spread_paise": 144, "spread_rupees": "1.44", "limit_paise": 89, "limit_rupees": "0.89"
    }  # fmt: skip


@pytest.mark.parametrize("query", ["from=quarter", "to=25:00", "from=11:00&to=10:00", "limit=0", "limit=x"])
def test_an_impossible_filter_is_a_400_that_says_why(bench: Bench, query: str) -> None:
    answer = bench.client.get(f"/api/decisions?{query}", headers=bench.bearer)
    assert answer.status_code == 400
    assert answer.json()["detail"]


# ---- commanding --------------------------------------------------------------------------------------------------


def test_words_are_passed_on_as_they_are(bench: Bench) -> None:
    for path, body in (
        ("/api/halt", None),
        ("/api/resume", None),
        ("/api/close/AS7-000031", None),
        ("/api/kill", {"confirm": "KILL"}),
    ):
        assert bench.client.post(path, headers=bench.bearer, json=body).status_code == 202
    assert bench.reader.heard == [
        (OperatorWord.HALT, "", "page"),
        (OperatorWord.RESUME, "", "page"),
        (OperatorWord.CLOSE, "AS7-000031", "page"),
        (OperatorWord.KILL, "", "page"),
    ]


@pytest.mark.parametrize("body", [{}, {"confirm": "kill"}, {"confirm": True}, None])
def test_kill_wants_its_word_typed(bench: Bench, body: object) -> None:
    assert bench.client.post("/api/kill", headers=bench.bearer, json=body).status_code == 400
    assert bench.reader.heard == []


def test_close_of_what_is_not_open_is_404(bench: Bench) -> None:
    assert bench.client.post("/api/close/AS7-000099", headers=bench.bearer).status_code == 404
    assert bench.reader.heard == []


@pytest.mark.parametrize("path", ["/api/halt", "/api/resume", "/api/close/AS7-000031", "/api/kill"])
def test_every_command_asks_for_the_token(bench: Bench, path: str) -> None:
    answer = bench.client.post(path, headers={"X-Algo-Scalper": "1"}, json={"confirm": "KILL"})
    assert answer.status_code == 401
    assert bench.client.get(path, headers=bench.bearer).status_code == 405
    assert bench.reader.heard == []


def test_a_word_that_could_not_be_sent_is_told(bench: Bench) -> None:
    bench.reader.open = False
    answer = bench.client.post("/api/halt", headers=bench.bearer)
    assert answer.status_code == 503
    assert "NOT sent" in answer.json()["detail"]


# ---- the stream and the page -------------------------------------------------------------------------------------


def test_the_stream_begins_with_the_whole_day(bench: Bench) -> None:
    bench.reader.replica.day.apply(Notice(1, "info", "x", "hello"))
    with bench.client.websocket_connect("/api/stream", headers=bench.bearer) as page:
        packet = page.receive_json()
    assert packet["link"]["engine"]["state"] == "running"
    assert packet["link"]["age_ms"] == 0
    assert packet["batch"]["snapshot"]["view"]["headline"] == fake.view().headline
    assert packet["batch"]["snapshot"]["notices"][0]["text"] == "hello"


def test_the_stream_asks_for_the_token(bench: Bench) -> None:
    with pytest.raises(WebSocketDisconnect), bench.client.websocket_connect("/api/stream"):
        pass


@pytest.mark.parametrize(("market", "money"), [("SIMULATED", "PAPER"), ("REAL", "LIVE")])
def test_the_page_bears_the_two_words_before_any_script_runs(tmp_path: Path, market: str, money: str) -> None:
    made = Bench(tmp_path, market=market, money=money)
    with made.client:
        text = made.client.get("/", headers={"Cookie": ""}).text
    assert f">{market}<small>market</small>" in text
    assert f">{money}<small>money</small>" in text


def test_everything_the_page_loads_is_here(bench: Bench) -> None:
    page = bench.client.get("/").text
    script = bench.client.get("/assets/page.js").text
    assert "http://" not in script
    wanted = {part.split('"')[0] for text in (page, script) for part in text.split('"/assets/')[1:]}
    assert {"page.css", "page.js", "icon.svg", "lightweight-charts-5.2.1.mjs"} <= wanted
    for name in wanted:
        answer = bench.client.get(f"/assets/{name}")
        assert answer.status_code == 200, name
        if name.endswith(("js", "mjs")):
            assert answer.headers["content-type"].startswith("text/javascript")
    assert bench.client.get("/assets/..%2Froutes.py").status_code == 404
    assert bench.client.get("/assets/vendor").status_code == 404


def test_jobs_are_read_with_their_next_time_and_their_last_run(tmp_path: Path) -> None:
    clock = fake.HandClock()

    def ground() -> Ground:
        stores = open_stores(None, tmp_path)
        return Ground(
            load_settings({}, tmp_path / "none"), ("NIFTY",), tmp_path, "PAPER", stores, clock, lambda day: (day, [])
        )

    runner = JobRunner(ground, clock, Market.REAL)
    bench = Bench(tmp_path, jobs=runner)
    with bench.client:
        lines = {line["name"]: line for line in bench.get("/api/jobs")}
        assert lines["backup"]["last"] is None
        assert lines["backup"]["next_ns"] > clock.now_ns()
        done = asyncio.run(runner.run_by_hand(job_named("backup")))
        line = next(line for line in bench.get("/api/jobs") if line["name"] == "backup")
        assert (line["last"]["number"], line["last"]["outcome"]) == (done.number, "done")
        assert bench.client.get("/api/jobs", headers={"Cookie": ""}).status_code == 401
    asyncio.run(runner.close())


def test_a_desk_without_jobs_has_none_and_one_without_a_store_says_so(bench: Bench, tmp_path: Path) -> None:
    assert bench.get("/api/jobs") == []

    def ground() -> Ground:
        raise StoreError("it is damaged")

    lost = Bench(tmp_path, jobs=JobRunner(ground, fake.HandClock(), Market.REAL))
    answer = lost.client.get("/api/jobs", headers=lost.bearer)
    assert (answer.status_code, answer.json()) == (503, {"detail": "it is damaged"})


async def test_what_jobs_tell_is_printed_and_outlives_the_engines_snapshots(tmp_path: Path) -> None:
    publisher = Publisher(fake.HandClock(), lambda _: None)
    await publisher.start(tmp_path / "s")
    reader = StreamReader(tmp_path / "s", SystemClock())
    printed: list[str] = []

    class OneWord(JobRunner):
        def __init__(self) -> None:
            pass

        async def run(self, tell: Tell, troubles: Callable[[], Sequence[str]] = tuple) -> None:
            assert troubles() == [], "an engine that was never heard is only starting"
            tell("alarm", "job backup failed: no room")

        async def close(self) -> None:
            pass

    settings = DeskSettings(
        tmp_path, tmp_path / "s", "1.2.3", lambda: EngineState("starting"), fake.HandClock(), print_line=printed.append
    )
    await run_jobs(OneWord(), settings, reader)
    assert printed == ["ALARM: job backup failed: no room"]
    following = asyncio.create_task(reader.run())
    async with asyncio.timeout(60):
        while not reader.connected:
            await settle()
    assert [notice.text for notice in reader.replica.day.notices] == ["job backup failed: no room"]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await publisher.close()


async def test_the_desk_serves_and_ends_with_a_page_still_connected(tmp_path: Path) -> None:
    """The one test over a real port: uvicorn, the web socket and the way down."""
    pytest.importorskip("websockets", reason="the web socket protocol of the web server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = DeskSettings(
        tmp_path, tmp_path / "s", "1.2.3", lambda: EngineState("starting"), fake.HandClock(), port=port
    )
    serving = asyncio.create_task(serve_desk(settings))
    home = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        for _ in range(100_000):
            try:
                answer = await session.get(f"{home}/up")
                break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0)
        else:
            raise AssertionError("the desk never listened")
        assert answer.status == 503
        bearer = {"Authorization": f"Bearer {(tmp_path / TOKEN_FILE).read_text().strip()}"}
        page = await session.ws_connect(f"{home}/api/stream", headers=bearer)
        assert "snapshot" in (await page.receive_json())["batch"]
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 60)
        assert (await page.receive()).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}


def test_a_pasted_broker_token_is_kept_and_never_repeated(tmp_path: Path) -> None:
    pasted: list[str] = []

    def keep(access_token: str) -> str:
        if access_token != "eyJ.good.one":
            raise ConfigError("that is not an access token of Dhan")
        pasted.append(access_token)
        return "A token until Tue 24 Nov 08:00 is kept"

    bench = Bench(tmp_path, paste_token=keep)
    ask = partial(bench.client.post, "/api/broker-token", headers=bench.bearer)
    assert bench.client.post("/api/broker-token", json={"access_token": "eyJ.good.one"}).status_code == 401
    kept = ask(json={"access_token": " eyJ.good.one\n"})
    assert (kept.status_code, kept.json()) == (202, {"kept": "A token until Tue 24 Nov 08:00 is kept"})
    assert pasted == ["eyJ.good.one"]
    wrong = ask(json={"access_token": "eyJ.bad.one"})
    assert wrong.status_code == 400
    assert "eyJ" not in wrong.text
    assert "broker-token" in bench.client.get("/", headers=bench.bearer).text


def test_a_desk_that_logs_in_nowhere_takes_no_broker_token(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    answer = bench.client.post("/api/broker-token", headers=bench.bearer, json={"access_token": "x"})
    assert answer.status_code == 404
    assert "broker-token" not in bench.client.get("/").text
