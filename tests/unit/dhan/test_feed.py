"""The feed over a real socket on 127.0.0.1, with time moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from picows import WSMsgType

from algo_scalper.adapters.dhan.losses import REMEDIES, LossKind
from algo_scalper.adapters.dhan.packets import (
    Buffer,
    FeedDecoder,
    encode_disconnect,
    encode_heartbeat,
    encode_quote,
    encode_ticker,
)
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import (
    CLIENT,
    START_NS,
    TOKEN,
    SocketServer,
    socket_server,
)
from tests.unit.dhan.watched_feed import OPTION, TICK, Watched, running


async def test_credentials_go_into_the_query_and_nowhere_else() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            query = parse_qs(urlsplit(connection.path).query)
            assert query == {"version": ["2"], "token": [TOKEN], "clientId": [CLIENT], "authType": ["2"]}
            assert TOKEN not in repr(watched.feed)


async def test_what_is_wanted_is_subscribed_and_messages_are_handed_on_in_the_callback() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe([NIFTY.key])
        async with running(watched):
            connection = await server.next_connection()
            assert json.loads(await connection.texts.get())["RequestCode"] == 17
            await watched.feed.wait_up()
            watched.feed.subscribe([OPTION])
            assert json.loads(await connection.texts.get())["RequestCode"] == 21
            watched.feed.unsubscribe([OPTION])
            assert json.loads(await connection.texts.get())["RequestCode"] == 22
            assert watched.feed.sent_messages == 3
            assert watched.feed.wanted == (NIFTY.key,)
            connection.send(encode_quote(TICK) + encode_ticker(TICK))
            message, at_ns = await watched.messages.get()
            assert at_ns == START_NS
            assert [tick.ltp_paise for tick in FeedDecoder({NIFTY.key: 5}).decode(message, at_ns)] == [2_420_005] * 2
            assert watched.lost.empty()
            assert watched.restored.empty()


async def test_a_message_in_fragments_is_put_together() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            packet = encode_quote(TICK)
            connection.send(packet[:20], fin=False)
            connection.send(packet[20:30], WSMsgType.CONTINUATION, fin=False)
            connection.send(packet[30:], WSMsgType.CONTINUATION)
            assert (await watched.messages.get())[0] == packet


async def test_a_bare_reset_is_told_once_and_everything_is_subscribed_again() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe([NIFTY.key, SENSEX.key, OPTION])
        async with running(watched):
            first = await server.next_connection()
            await watched.feed.wait_up()
            first.reset()
            assert (await watched.lost.get()).startswith("reset: ")
            assert not watched.feed.is_up
            watched.feed.subscribe([instrument_key(Segment.BSE_FNO, 7)])
            assert await watched.clock.slept(lambda _wake: True) == NS_PER_SECOND * 3 // 4
            watched.clock.advance(NS_PER_SECOND)
            second = await server.next_connection()
            sent = [json.loads(await second.texts.get()) for _ in range(2)]
            assert [(one["RequestCode"], one["InstrumentCount"]) for one in sent] == [(17, 2), (21, 2)]
            assert (await watched.restored.get()).restored_ns == watched.clock.now_ns()
            assert watched.lost.empty(), "one outage, one word"
            assert watched.feed.sent_messages == 4


async def test_pauses_double_while_nothing_answers_and_are_told_as_one_outage() -> None:
    async with socket_server() as server:
        server.refusals = [503, 503, 503]
        watched = Watched(server)
        async with running(watched):
            assert (await watched.lost.get()).startswith("refused: HTTP 503")
            for turn_s in (1, 2, 4):
                wake_ns = await watched.clock.slept(lambda wake: wake < 12 * NS_PER_SECOND)
                assert wake_ns == turn_s * NS_PER_SECOND * 3 // 4
                watched.clock.advance(wake_ns)
            await server.next_connection()
            await watched.restored.get()
            assert watched.lost.empty()


async def test_429_on_the_handshake_waits_a_minute() -> None:
    async with socket_server() as server:
        server.refusals = [429]
        watched = Watched(server)
        async with running(watched):
            said = await watched.lost.get()
            assert said.startswith("blocked: HTTP 429 Client ID is blocked (")
            assert "get a new access token" in said
            assert await watched.clock.slept(lambda wake: wake > 40 * NS_PER_SECOND) == 45 * NS_PER_SECOND


async def test_nobody_listening() -> None:
    async with socket_server() as server:
        pass
    watched = Watched(server)
    async with running(watched):
        said = await watched.lost.get()
        assert said.startswith("unreachable: ")
        assert TOKEN not in said


@pytest.mark.parametrize(
    ("reason", "kind", "pause_s"),
    [
        (804, LossKind.TOO_MANY_INSTRUMENTS, 45),
        (805, LossKind.TOO_MANY_CONNECTIONS, 45),
        (806, LossKind.NO_SUBSCRIPTION, 45),
        (807, LossKind.TOKEN_EXPIRED, 45),
        (808, LossKind.AUTHENTICATION_FAILED, 45),
        (809, LossKind.TOKEN_INVALID, 45),
        (810, LossKind.CLIENT_ID_INVALID, 45),
        (811, LossKind.REQUEST_REFUSED, 45),
        (812, LossKind.REQUEST_REFUSED, 45),
        (813, LossKind.REQUEST_REFUSED, 45),
        (814, LossKind.REQUEST_REFUSED, 45),
        (800, LossKind.DISCONNECTED, 0.75),
        (899, LossKind.DISCONNECTED, 0.75),
    ],
)
async def test_reasons_of_a_disconnect_are_told_apart(reason: int, kind: LossKind, pause_s: float) -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            connection.send(encode_quote(TICK) + encode_disconnect(reason))
            connection.reset()
            said = await watched.lost.get()
            assert said.startswith(f"{kind.value}: {reason}: ")
            assert said.endswith(f"({REMEDIES[kind]})")
            assert watched.feed.last_loss is not None
            assert watched.feed.last_loss.kind is kind
            assert await watched.clock.slept(lambda _wake: True) == int(pause_s * NS_PER_SECOND)
            await connection.gone.wait()


async def test_a_close_frame_is_told_with_its_reason() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            (await server.next_connection()).close(1001, "maintenance")
            assert (await watched.lost.get()).startswith("closed: closed by the server: 1001 maintenance (")


async def test_a_token_the_server_quotes_is_masked() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            (await server.next_connection()).close(1008, f"bad token {TOKEN}")
            said = await watched.lost.get()
            assert said.startswith("closed: closed by the server: 1008 bad token ***")
            assert TOKEN not in repr(watched.feed.last_loss)


async def test_silence_in_session_is_a_lost_feed() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            await watched.feed.wait_up()
            assert await watched.clock.slept(lambda wake: wake > 0) == 30 * NS_PER_SECOND
            watched.clock.advance(20 * NS_PER_SECOND)
            connection.send(encode_quote(TICK))
            await watched.messages.get()
            watched.clock.advance(10 * NS_PER_SECOND)
            assert await watched.clock.slept(lambda wake: wake > 0) == 20 * NS_PER_SECOND, "from the last data"
            connection.send(encode_heartbeat())  # a heartbeat is not data
            await watched.messages.get()
            watched.clock.advance(20 * NS_PER_SECOND)
            assert (await watched.lost.get()).startswith("silent: ")
            await connection.gone.wait()
            await watched.clock.slept(lambda wake: wake < 12 * NS_PER_SECOND)
            watched.clock.advance(NS_PER_SECOND)
            await server.next_connection()
            await watched.restored.get()


async def test_silence_outside_the_session_means_nothing() -> None:
    async with socket_server() as server:
        watched = Watched(server, open_market=False)
        async with running(watched):
            await server.next_connection()
            await watched.feed.wait_up()
            for _ in range(3):
                await watched.clock.slept(lambda wake: wake == 30 * NS_PER_SECOND)
                watched.clock.advance(30 * NS_PER_SECOND)
            await watched.clock.slept(lambda wake: wake == 30 * NS_PER_SECOND)
            watched.open_market = True
            assert watched.lost.empty()
            watched.clock.advance(30 * NS_PER_SECOND)
            assert (await watched.lost.get()).startswith("silent: ")


async def test_a_server_that_never_answers_the_handshake() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    server = SocketServer()
    server.port = silent.sockets[0].getsockname()[1]
    watched = Watched(server)
    async with running(watched):
        for turn_s in (1, 2, 4):
            await watched.clock.slept(lambda wake: wake == 12 * NS_PER_SECOND)
            watched.clock.advance(12 * NS_PER_SECOND)
            pause_ns = await watched.clock.slept(lambda wake: wake < 12 * NS_PER_SECOND)
            assert pause_ns == turn_s * NS_PER_SECOND * 3 // 4, "time spent on a handshake is not time connected"
            watched.clock.advance(pause_ns)
        assert (await watched.lost.get()).startswith("unreachable: no handshake within 12 s")
        assert watched.lost.empty()
    silent.close()


async def test_a_gate_holds_messages_until_they_are_delivered() -> None:
    async with socket_server() as server:
        watched = Watched(server, held=True)
        async with running(watched):
            connection = await server.next_connection()
            connection.send(encode_quote(TICK))
            kind, payload = await watched.held.get()
            assert (kind, payload) == ("feed", encode_quote(TICK))
            assert watched.messages.empty()
            watched.feed.deliver(payload, 42)
            assert watched.messages.get_nowait() == (payload, 42)


async def test_an_exception_of_the_handler_comes_out_of_run() -> None:
    def broken(_message: Buffer, _at_ns: int) -> None:
        raise ZeroDivisionError("a bug")

    async with socket_server() as server:
        watched = Watched(server)
        watched.handle = broken
        async with asyncio.timeout(60):
            task = asyncio.ensure_future(watched.feed.run())
            connection = await server.next_connection()
            connection.send(encode_quote(TICK))
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await task
            await connection.gone.wait()


async def test_pauses_begin_small_again_after_a_steady_connection() -> None:
    async with socket_server() as server:
        server.refusals = [503, 503]
        watched = Watched(server)
        async with running(watched):
            for _ in range(2):
                watched.clock.advance(await watched.clock.slept(lambda wake: wake < 12 * NS_PER_SECOND))
            connection = await server.next_connection()
            await watched.feed.wait_up()
            watched.clock.advance(10 * NS_PER_SECOND)
            connection.reset()
            assert await watched.clock.slept(lambda wake: wake < 12 * NS_PER_SECOND) == NS_PER_SECOND * 3 // 4


async def test_ending_it_says_goodbye() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            await watched.feed.wait_up()
        assert json.loads(await connection.texts.get()) == {"RequestCode": 12}
        async with asyncio.timeout(60):
            await connection.gone.wait()
