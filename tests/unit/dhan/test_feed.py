"""The feed over a real socket on 127.0.0.1, with time moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from picows import WSMsgType

from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.line import LineRules, LossKind
from algo_scalper.adapters.dhan.packets import (
    Buffer,
    FeedDecoder,
    encode_disconnect,
    encode_heartbeat,
    encode_quote,
    encode_ticker,
)
from algo_scalper.adapters.dhan.subscriptions import MOST_INSTRUMENTS
from algo_scalper.adapters.dhan.waiting import Backoff
from algo_scalper.domain.errors import BrokerRefused
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import (
    CLIENT,
    START_NS,
    TOKEN,
    Half,
    HandClock,
    SocketServer,
    ended,
    settings_for,
    socket_server,
)

OPTION = instrument_key(Segment.NSE_FNO, 40472)
TICK = Tick(0, NIFTY.key, 1_795_000_000, 2_420_005)
RULES = LineRules(
    handshake_ns=12 * NS_PER_SECOND,
    silence_ns=30 * NS_PER_SECOND,
    backoff=Backoff(NS_PER_SECOND, 16 * NS_PER_SECOND, 60 * NS_PER_SECOND, 240 * NS_PER_SECOND),
)


class Watched:
    """A feed against a server, and everything it said."""

    def __init__(self, server: SocketServer, *, held: bool = False, open_market: bool = True) -> None:
        self.clock = HandClock()
        self.messages: asyncio.Queue[tuple[bytes, int]] = asyncio.Queue()
        self.held: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.restored: asyncio.Queue[int] = asyncio.Queue()
        self.open_market = open_market
        self.handle: Callable[[Buffer, int], None] = lambda message, at_ns: self.messages.put_nowait(
            (bytes(message), at_ns)
        )
        self.feed = DhanFeed(
            settings_for(socket_url=server.url),
            self.clock,
            Half(),
            on_message=self._hear,
            on_lost=self.lost.put_nowait,
            on_restored=lambda: self.restored.put_nowait(self.clock.now_ns()),
            expects_data=lambda _now_ns: self.open_market,
            frame_gate=(lambda kind, payload: self.held.put_nowait((kind, payload))) if held else None,
            rules=RULES,
        )

    def _hear(self, message: Buffer, at_ns: int) -> None:
        self.handle(message, at_ns)


@contextlib.asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(watched.feed.run())
    try:
        async with asyncio.timeout(10):
            yield task
    finally:
        await ended(task)


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
            assert await watched.restored.get() == watched.clock.now_ns()
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
            assert said == "blocked: HTTP 429 Client ID is blocked"
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
        (805, LossKind.TOO_MANY_CONNECTIONS, 45),
        (806, LossKind.NO_SUBSCRIPTION, 45),
        (807, LossKind.TOKEN_EXPIRED, 45),
        (808, LossKind.AUTHENTICATION_FAILED, 45),
        (809, LossKind.TOKEN_INVALID, 45),
        (810, LossKind.CLIENT_ID_INVALID, 45),
        (800, LossKind.DISCONNECTED, 0.75),
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
            assert watched.feed.last_loss is not None
            assert watched.feed.last_loss.kind is kind
            assert await watched.clock.slept(lambda _wake: True) == int(pause_s * NS_PER_SECOND)
            await connection.gone.wait()


async def test_a_close_frame_is_told_with_its_reason() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            (await server.next_connection()).close(1001, "maintenance")
            assert await watched.lost.get() == "closed: closed by the server: 1001 maintenance"


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
        assert await watched.lost.get() == "unreachable: no handshake within 12 s"
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
        async with asyncio.timeout(10):
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
        async with asyncio.timeout(5):
            await connection.gone.wait()


async def test_more_than_a_connection_carries_is_refused_whole() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        with pytest.raises(BrokerRefused, match="5000 instruments"):
            watched.feed.subscribe(instrument_key(Segment.NSE_FNO, n) for n in range(MOST_INSTRUMENTS + 1))
        assert watched.feed.wanted == ()
