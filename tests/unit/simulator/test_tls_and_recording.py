"""https and wss with an authority of this machine; the status page; sessions written down and played again."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.interfaces.simulator import recording, tls
from algo_scalper.interfaces.simulator.pointing import pointing_lines
from algo_scalper.interfaces.simulator.recording import Player, Recorder, read_entries
from tests.unit.simulator.stage import HandClock, SteppedEngine, Visitor, market_of, near_call, serving, subscribe

CALL = near_call(market_of())


# TLS


async def test_a_client_that_trusts_only_our_authority_speaks_https_and_wss(tmp_path: Path) -> None:
    async with serving(tls=tmp_path) as (server, _):
        trusting = ssl.create_default_context(cafile=tmp_path / tls.AUTHORITY)
        root = f"https://127.0.0.1:{server.port}"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
            async with session.get(f"{root}/v2/fundlimit", headers={"access-token": "SIMULATED"}) as answer:
                assert answer.status == 200
            query = "version=2&token=SIMULATED&clientId=SIMULATED&authType=2"
            async with session.ws_connect(f"wss://localhost:{server.port}/feed?{query}") as feed:
                await feed.send_str(subscribe(17, NIFTY.key))
                async with session.get(f"{root}/sim/status") as answer:
                    assert [one["instruments"] for one in (await answer.json())["feeds"]] == [1]
        async with aiohttp.ClientSession() as stranger:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await stranger.get(f"{root}/sim/status")


def test_certificates_are_kept_the_authoritys_key_is_not_and_ours_is_nobody_elses(tmp_path: Path) -> None:
    tls.server_context(tmp_path)
    first = (tmp_path / tls.CERTIFICATE).read_bytes()
    tls.server_context(tmp_path)
    assert (tmp_path / tls.CERTIFICATE).read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {tls.AUTHORITY, tls.CERTIFICATE, tls.KEY}
    assert (tmp_path / tls.KEY).stat().st_mode & 0o077 == 0
    (tmp_path / tls.AUTHORITY).write_text("nonsense")
    tls.server_context(tmp_path)
    assert (tmp_path / tls.CERTIFICATE).read_bytes() != first, "made anew: it was of another authority"


def test_without_openssl_or_a_folder_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="name a folder that can be written to"):
        tls.server_context(tmp_path / "file")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs the openssl command"):
        tls.server_context(tmp_path)


def test_the_pointing_lines_follow_the_scheme(tmp_path: Path) -> None:
    plain, secure = "\n".join(pointing_lines(9200)), "\n".join(pointing_lines(9200, tmp_path))
    assert "ws://127.0.0.1:9200/twentydepth" in plain
    assert "wss://127.0.0.1:9200/twohundreddepth" in secure
    assert "http://" not in secure
    assert f"SSL_CERT_FILE={tmp_path / 'ca.pem'}" in secure


# The status page


async def test_the_root_is_a_page_for_a_browser_and_still_the_feed_for_a_socket() -> None:
    async with serving() as (_, visitor):
        status, text = await visitor.ask("GET", "/")
        assert (status, text.startswith("<!doctype html>")) == (200, True)
        assert "http" not in text.replace("http-equiv", ""), "it loads nothing from anywhere"
        feed = await visitor.feed(path="/")
        shown = await visitor.json("GET", "/sim/status")
        assert [one["number"] for one in shown["feeds"]] == [1]
        for word in ("market", "account", "order_rows", "position_rows", "pointing", "regime", "depths"):
            assert f"told.{word}" in text
            assert word in shown
        await feed.close()


# Recordings


async def recorded(path: Path) -> tuple[list[bytes], list[str]]:
    """A short session on file; what its feed and its order socket were sent."""
    async with serving(stepped=True, record=path) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        await engine.subscribe(17, NIFTY.key, CALL.key)
        await engine.until(engine.request("GET", "/v2/fundlimit"))
        for _ in range(12):
            await engine.step()
        assert (await visitor.json("GET", "/sim/status"))["recording"]["messages"] > 5
        await engine.leave()
        return engine.feed_frames, engine.order_frames


async def test_a_recorded_session_plays_the_same_frames_at_their_times_or_faster(tmp_path: Path) -> None:
    path = tmp_path / "session.gz"
    frames, _ = await recorded(path)
    times = [entry.at for entry in read_entries(path) if entry.path == "/feed"]
    assert len(times) == len(frames) > 5
    for pace in (1.0, 10.0):
        clock, stopped = HandClock(), asyncio.Event()
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving_it = asyncio.create_task(Player(path, clock, pace).serve(0, ready.set_result, stopped))
        async with aiohttp.ClientSession() as session:
            visitor = Visitor(session, await ready)
            feed = await visitor.feed()
            assert await feed.receive_bytes() == frames[0]
            began_ns = clock.now_ns()
            for at_ns, frame in zip(times[1:], frames[1:], strict=True):
                due_ns = began_ns + round((at_ns - times[0]) / pace)
                await visitor.ask("GET", "/v2/fundlimit")
                clock.move(due_ns - clock.now_ns())
                assert await feed.receive_bytes() == frame
            await feed.receive()
            assert feed.close_code == 1000
            assert "availabelBalance" in (await visitor.ask("GET", "/v2/fundlimit"))[1]
            assert (await visitor.ask("GET", "/v2/nothing"))[0] == 404
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await visitor.connect("/twentydepth")
            await feed.close()
        stopped.set()
        await serving_it


def test_a_recording_ends_at_its_size_and_one_that_was_cut_off_ends_where_it_does(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    recorder = Recorder(path, lambda: 7, most_bytes=2_000)
    for number in range(40_000):
        recorder.message(1, "/feed", json.dumps({"number": number}))
    assert recorder.is_full
    assert len(list(read_entries(path))) == recorder.written, "a kill costs nothing that was flushed"
    recorder.close()
    recorder.close()
    whole = list(read_entries(path))
    assert len(whole) == recorder.written < 40_000
    assert path.stat().st_size < 4_000
    path.write_bytes(path.read_bytes()[:-300])
    assert 0 < len(list(read_entries(path))) < len(whole)


@pytest.mark.parametrize("raw", [b"", b"nonsense", gzip.compress(b"{}\n"), gzip.compress(b"")])
def test_what_is_no_recording_is_named(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.gz (is not a recorded session|has nothing in it)"):
        Player(path, HandClock(), 1.0)
    with pytest.raises(DataError):
        Player(tmp_path / "none.gz", HandClock(), 1.0)
    with pytest.raises(ConfigError, match="--record"):
        Recorder(tmp_path, lambda: 0)


def test_the_bound_of_a_recording_is_what_the_documentation_says() -> None:
    shown: Any = recording.MOST_BYTES
    assert shown == 256 * 1024 * 1024
