"""Fetching the master file from a real server on loopback: cached, conditional, resumed, bounded, replaced whole."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from algo_scalper.adapters.master import download
from algo_scalper.adapters.master.download import Came, Fetched, MasterCache, alone_in, digest_of, local_file
from algo_scalper.adapters.storage.catalog import Fact
from algo_scalper.adapters.storage.stores import open_catalog
from algo_scalper.domain.errors import BrokerRefused, BrokerUnreachable, DataError, StoreError
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.catalog_import import ImportSettings, Outcome, import_catalog
from tests.unit.master.files import NOW_NS, StillClock, detailed, whole_market

HOUR_NS = 3_600 * NS_PER_SECOND
BODY = bytes(range(256)) * 4_096
NEWER = BODY[::-1]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Serves ``body`` as a file server does; ``next`` are answers given before, one each."""

    def __init__(self) -> None:
        self.body = BODY
        self.tag = '"one"'
        self.date = ""
        self.ranges = True
        self.next: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.headers))
        return await (self.next.pop(0) if self.next else self.whole)(request)

    async def whole(self, request: web.Request, cut: int | None = None) -> web.StreamResponse:
        headers = {name: value for name, value in (("ETag", self.tag), ("Last-Modified", self.date)) if value}
        known = {value for value in (self.tag, self.date) if value}
        if request.headers.get("If-None-Match") in known or request.headers.get("If-Modified-Since") in known:
            return web.Response(status=304)
        start, status = 0, 200
        if self.ranges and "Range" in request.headers and request.headers.get("If-Range") in known:
            start, status = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(self.body):
                return web.Response(status=416)
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        answer = web.StreamResponse(status=status, headers=headers)
        answer.content_length = len(self.body) - start
        await answer.prepare(request)
        await answer.write(self.body[start:cut])
        if cut is not None:
            assert request.transport is not None
            request.transport.close()
        return answer

    async def broken_off(self, request: web.Request) -> web.StreamResponse:
        return await self.whole(request, cut=600_000)

    async def silent(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await asyncio.Event().wait()
        return answer


def status(code: int, text: str = "") -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=text)

    return answer


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_get("/{name:.*}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    server.url = f"http://127.0.0.1:{port}/master.csv"
    try:
        yield server
    finally:
        await runner.cleanup()


class Cache:
    """A cache in a folder, and its clock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.clock = StillClock()

    async def fetch(self, server: Server, *, fresh: bool = False, max_age_ns: int = 24 * HOUR_NS) -> Fetched:
        return await MasterCache(self.folder, self.clock, attempt_s=5, silence_s=0.2).fetch(
            server.url, max_age_ns, fresh=fresh
        )

    @property
    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "instruments")


async def test_a_file_comes_whole_and_is_not_asked_for_again_within_its_age(cache: Cache) -> None:
    async with a_server() as server:
        first = await cache.fetch(server)
        assert (first.came, first.path.read_bytes(), first.confirmed_ns) == (Came.DOWNLOADED, BODY, NOW_NS)
        assert first.digest == digest_of(first.path)
        cache.clock.at_ns += 24 * HOUR_NS - 1
        assert (await cache.fetch(server)).came is Came.CACHE
        assert len(server.asked) == 1
        assert cache.names == {"master.csv", "master.json"}
        assert not {name.lower() for name in server.asked[0]} & {"access-token", "client-id", "cookie", "authorization"}


async def test_after_its_age_the_server_is_asked_and_may_confirm_it(cache: Cache) -> None:
    async with a_server() as server:
        await cache.fetch(server)
        cache.clock.at_ns += 24 * HOUR_NS
        again = await cache.fetch(server)
        assert (again.came, again.confirmed_ns) == (Came.CONFIRMED, NOW_NS + 24 * HOUR_NS)
        assert server.asked[1]["If-None-Match"] == '"one"'
        assert (await cache.fetch(server)).came is Came.CACHE, "confirmed, it is young again"
        server.body, server.tag = NEWER, '"two"'
        newer = await cache.fetch(server, fresh=True)
        assert (newer.came, newer.path.read_bytes()) == (Came.DOWNLOADED, NEWER)


async def test_a_date_serves_where_there_is_no_tag_and_nothing_where_there_is_neither(cache: Cache) -> None:
    async with a_server() as server:
        server.tag, server.date = "", "Mon, 07 Sep 2026 02:00:00 GMT"
        await cache.fetch(server)
        assert (await cache.fetch(server, fresh=True)).came is Came.CONFIRMED
        assert server.asked[1]["If-Modified-Since"] == server.date
        server.date = ""
        assert (await cache.fetch(server, fresh=True)).came is Came.DOWNLOADED
        assert (await cache.fetch(server, fresh=True)).came is Came.DOWNLOADED
        assert "If-Modified-Since" not in server.asked[3]


async def test_a_download_that_broke_off_goes_on_where_it_ended(cache: Cache) -> None:
    async with a_server() as server:
        server.next = [server.broken_off]
        found = await cache.fetch(server)
        assert (found.came, found.path.read_bytes()) == (Came.RESUMED, BODY)
        assert (server.asked[1]["Range"], server.asked[1]["If-Range"]) == ("bytes=600000-", '"one"')
        assert cache.clock.waited_ns == [2 * NS_PER_SECOND]
        assert cache.names == {"master.csv", "master.json"}


async def test_it_goes_on_even_in_the_next_import(cache: Cache) -> None:
    async with a_server() as server:
        server.next = [server.broken_off, status(503), status(503)]
        with pytest.raises(
            BrokerUnreachable, match=r"did not come in 3 attempts .*; HTTP 503; HTTP 503\); the catalog in use"
        ):
            await cache.fetch(server)
        assert cache.names == {"master.part", "part.json"}
        found = await cache.fetch(server)
        assert (found.came, found.path.read_bytes()) == (Came.RESUMED, BODY)


async def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(cache: Cache) -> None:
    async with a_server() as server:
        server.next = [server.broken_off, status(500), status(500)]
        with pytest.raises(BrokerUnreachable):
            await cache.fetch(server)
        server.body, server.tag = NEWER, '"two"'
        found = await cache.fetch(server)
        assert (found.came, found.path.read_bytes()) == (Came.DOWNLOADED, NEWER)


async def test_without_a_strong_validator_nothing_is_joined(cache: Cache) -> None:
    async with a_server() as server:
        server.tag = 'W/"one"'
        server.next = [server.broken_off]
        assert (await cache.fetch(server)).path.read_bytes() == BODY
        assert "Range" not in server.asked[1]


@pytest.mark.parametrize("said", ["bytes 5-9/10", "", "bytes */7"])
async def test_another_range_than_asked_for_is_thrown_away(cache: Cache, said: str) -> None:
    async def wrong(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=b"other", headers={"Content-Range": said})

    async with a_server() as server:
        server.next = [server.broken_off, wrong]
        found = await cache.fetch(server)
        assert (found.came, found.path.read_bytes()) == (Came.DOWNLOADED, BODY)
        assert len(server.asked) == 3


async def test_a_range_that_is_not_there_any_more_begins_anew(cache: Cache) -> None:
    async with a_server() as server:
        server.next = [server.broken_off, status(416)]
        assert (await cache.fetch(server)).path.read_bytes() == BODY


async def test_an_answer_unpacked_on_the_way_is_taken_and_never_resumed(cache: Cache) -> None:
    async def packed(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip", "ETag": '"one"'})

    async with a_server() as server:
        server.next = [packed]
        assert (await cache.fetch(server)).path.read_bytes() == BODY
        assert server.asked[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("code", [400, 403, 404, 410])
async def test_a_no_is_not_asked_again(cache: Cache, code: int) -> None:
    async with a_server() as server:
        server.next = [status(code, "no such file")]
        with pytest.raises(BrokerRefused, match=f"answers {code}: 'no such file'; check DHANHQ_CSV_URL"):
            await cache.fetch(server)
        assert (len(server.asked), cache.names) == (1, set())


async def test_a_silent_server_is_given_up(cache: Cache) -> None:
    async with a_server() as server:
        server.next = [server.silent] * 3
        with pytest.raises(BrokerUnreachable, match="did not come in 3 attempts"):
            await cache.fetch(server)
        assert cache.clock.waited_ns == [2 * NS_PER_SECOND, 4 * NS_PER_SECOND]


async def test_a_failure_leaves_the_older_copy_as_it_was(cache: Cache) -> None:
    async with a_server() as server:
        await cache.fetch(server)
        server.next = [status(500)] * 3
        with pytest.raises(BrokerUnreachable):
            await cache.fetch(server, fresh=True)
        assert (await cache.fetch(server)).path.read_bytes() == BODY


@pytest.mark.parametrize("harm", ["cut", "changed", "no note", "a torn note", "another address", "from the future"])
async def test_a_copy_that_is_not_as_it_was_stored_is_fetched_again(cache: Cache, harm: str) -> None:
    async with a_server() as server:
        kept = await cache.fetch(server)
        note = cache.folder / "master.json"
        if harm == "cut":
            kept.path.write_bytes(BODY[:-1])
        elif harm == "changed":
            kept.path.write_bytes(NEWER)
        elif harm == "no note":
            note.unlink()
        elif harm == "a torn note":
            note.write_bytes(note.read_bytes()[:20])
        elif harm == "another address":
            server.url = server.url.replace("master", "detailed")
        else:
            cache.clock.at_ns -= HOUR_NS
        again = await cache.fetch(server)
        assert (len(server.asked), again.path.read_bytes()) == (2, BODY)


async def test_a_file_without_end_is_cut_off(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MOST_BYTES", 1 << 19)
    async with a_server() as server:
        with pytest.raises(BrokerRefused, match="is larger than 0 MB: it is something else"):
            await cache.fetch(server)
        assert cache.names == set()


async def test_a_full_disk_is_told(cache: Cache) -> None:
    async with a_server() as server:
        (cache.folder / "master.part").mkdir()
        with pytest.raises(StoreError, match="name another folder"):
            await cache.fetch(server)


def test_two_imports_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "instruments"
    with alone_in(folder), pytest.raises(StoreError, match="another import is at work there"), alone_in(folder):
        pass
    with alone_in(tmp_path / "instruments"):
        pass


def test_a_file_somebody_names_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        local_file(tmp_path / "none.csv", NOW_NS)


async def test_an_import_from_a_server_is_done_once_and_confirmed_after_that(tmp_path: Path) -> None:
    async with a_server() as server:
        server.body = detailed(whole_market()).encode()
        how = ImportSettings(server.url, tmp_path / "instruments", 24 * HOUR_NS, 50, ("BSE", "NSE"), tuple(INDICES))
        clock = StillClock()
        with open_catalog(None, tmp_path) as catalog:
            seen = []
            for later_ns, fresh in ((0, False), (HOUR_NS, False), (HOUR_NS, True)):
                clock.at_ns += later_ns
                report = await import_catalog(catalog, how, clock, fresh=fresh)
                seen.append((report.outcome, report.came, catalog.facts()[Fact.CONFIRMED_AT]))
            assert seen == [
                (Outcome.IMPORTED, Came.DOWNLOADED, "2026-09-07T03:00:00+00:00"),
                (Outcome.UNCHANGED, Came.CACHE, "2026-09-07T03:00:00+00:00"),
                (Outcome.UNCHANGED, Came.CONFIRMED, "2026-09-07T05:00:00+00:00"),
            ], "a copy that was only read again is as old as it was"
            server.body, server.tag = b"<html>maintenance</html>", '"two"'
            with pytest.raises(DataError, match="a web page"):
                await import_catalog(catalog, how, clock, fresh=True)
            current = catalog.current()
            assert current is not None
            assert current.number == 1


async def test_what_is_no_master_file_is_not_kept_for_a_day(tmp_path: Path) -> None:
    how = ImportSettings(
        "", tmp_path / "instruments", 24 * HOUR_NS, batch=50, exchanges=("BSE", "NSE"), required=tuple(INDICES)
    )
    async with a_server() as server:
        server.tag, server.body = "", b"<html>maintenance</html>"
        asking = msgspec.structs.replace(how, url=server.url)
        with open_catalog(None, tmp_path) as catalog:
            with pytest.raises(DataError, match="a web page"):
                await import_catalog(catalog, asking, StillClock())
            server.body = detailed(whole_market()).encode()
            report = await import_catalog(catalog, asking, StillClock())
    assert (report.outcome, report.came) == (Outcome.IMPORTED, Came.DOWNLOADED)
    assert len(server.asked) == 2
