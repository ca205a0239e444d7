"""Several sockets of one feed, the move to a new token, what a gap says, and messages without end."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from picows import WSMsgType

from algo_scalper.adapters.dhan.feed_transport import MOST_BYTES
from algo_scalper.adapters.dhan.packets import FeedDecoder, encode_disconnect, encode_heartbeat, encode_ticker
from algo_scalper.adapters.dhan.subscriptions import MOST_INSTRUMENTS, MOST_SOCKETS, Mode
from algo_scalper.domain.errors import BrokerRefused, BrokerUnreachable
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import START_NS, TOKEN, ServedSocket, SocketServer, socket_server
from tests.unit.dhan.watched_feed import OPTION, Watched, running

NEW_TOKEN = "eyJ0eXAi.another+token/="


def options(count: int) -> list[int]:
    return [instrument_key(Segment.NSE_FNO, number) for number in range(50_001, 50_001 + count)]


def numbered(number: int) -> bytes:
    """A packet that can be told from the others by its price."""
    return encode_ticker(Tick(0, NIFTY.key, 1_795_000_000, number * 5))


def token_of(served: ServedSocket) -> str:
    return parse_qs(urlsplit(served.path).query)["token"][0]


def open_now(server: SocketServer) -> int:
    return len([served for served in server.served if not served.gone.is_set()])


async def instruments(served: ServedSocket, count: int) -> set[str]:
    """The ids the next messages on this socket subscribe, until there are so many."""
    found: set[str] = set()
    while len(found) < count:
        found |= {one["SecurityId"] for one in json.loads(await served.texts.get())["InstrumentList"]}
    return found


async def numbers_heard(watched: Watched, until: int) -> list[int]:
    """The numbers of the packets handed on, up to this one."""
    decoder, heard = FeedDecoder({NIFTY.key: 5}), [-1]
    while heard[-1] != until:
        message, at_ns = await watched.messages.get()
        heard += [tick.ltp_paise // 5 for tick in decoder.decode(message, at_ns)]
    return heard[1:]


async def test_a_second_socket_opens_for_the_5001st_instrument() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe(options(MOST_INSTRUMENTS))
        async with running(watched):
            first = await server.next_connection()
            assert len(await instruments(first, MOST_INSTRUMENTS)) == MOST_INSTRUMENTS
            await watched.feed.wait_up()
            assert watched.feed.sockets == 1
            watched.feed.subscribe([NIFTY.key])
            second = await server.next_connection()
            assert await instruments(second, 1) == {"13"}
            await watched.feed.wait_up()
            assert (watched.feed.sockets, first.texts.empty(), watched.lost.empty()) == (2, True, True)
            second.send(numbered(7))
            assert await numbers_heard(watched, 7) == [7]


async def test_never_a_sixth_socket() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        all_of_them = options(MOST_SOCKETS * MOST_INSTRUMENTS)
        watched.feed.subscribe(all_of_them)
        async with running(watched):
            sockets = [await server.next_connection() for _ in range(MOST_SOCKETS)]
            await watched.feed.wait_up()
            for served in sockets:
                assert len(await instruments(served, MOST_INSTRUMENTS)) == MOST_INSTRUMENTS
            with pytest.raises(BrokerRefused, match="1 more are too many"):
                watched.feed.subscribe([NIFTY.key])
            watched.feed.subscribe(all_of_them[:3])
            assert watched.feed.sockets == MOST_SOCKETS
            watched.settings.replace_token(NEW_TOKEN)
            renewing = asyncio.ensure_future(watched.feed.renew())
            for old in sockets:
                newer = await server.next_connection()
                await old.gone.wait()
                assert (token_of(newer), open_now(server)) == (NEW_TOKEN, MOST_SOCKETS)
                assert (await watched.lost.get()).startswith("renewed: "), (
                    "with no room for another, a gap is owned up to"
                )
                assert len((await watched.restored.get()).keys) == MOST_INSTRUMENTS
            await renewing


async def test_one_of_two_sockets_lost_is_a_gap_of_its_own_instruments() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe(options(MOST_INSTRUMENTS))
        watched.feed.subscribe([NIFTY.key, OPTION])
        async with running(watched):
            connections = [await server.next_connection() for _ in range(2)]
            await watched.feed.wait_up()
            for served in connections:
                if await instruments(served, 1) & {"13"}:
                    served.reset()
            assert (await watched.lost.get()).startswith("reset: ")
            assert not watched.feed.is_up
            await watched.clock.slept(lambda wake: wake < NS_PER_SECOND)
            watched.clock.advance(NS_PER_SECOND)
            again = await server.next_connection()
            gap = await watched.restored.get()
            assert gap.keys == (NIFTY.key, OPTION)
            assert gap.reason.startswith("reset: ")
            assert await instruments(again, 2) == {"13", "40472"}
            assert watched.lost.empty()


async def test_two_sockets_lost_are_one_outage_that_ends_when_both_are_back() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe([*options(MOST_INSTRUMENTS), OPTION])
        async with running(watched):
            connections = [await server.next_connection() for _ in range(2)]
            await watched.feed.wait_up()
            for served in connections:
                served.reset()
            await watched.lost.get()
            server.refusals = [503]
            pauses = watched.clock
            await pauses.slept(lambda _wake: len([one for one in pauses.wakes_ns if one < NS_PER_SECOND]) == 2)
            pauses.advance(NS_PER_SECOND)
            await server.next_connection()
            await pauses.slept(lambda wake: NS_PER_SECOND < wake < 2 * NS_PER_SECOND)
            assert watched.restored.empty(), "one is back, the other not yet"
            pauses.advance(2 * NS_PER_SECOND)
            await server.next_connection()
            gap = await watched.restored.get()
            assert set(gap.keys) == {*options(MOST_INSTRUMENTS), OPTION}
            assert watched.lost.empty()


async def test_a_gap_reaches_back_to_the_last_data() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe([OPTION])
        async with running(watched):
            connection = await server.next_connection()
            await watched.feed.wait_up()
            await watched.clock.slept(lambda wake: wake == 30 * NS_PER_SECOND)
            watched.clock.advance(7 * NS_PER_SECOND)
            connection.send(numbered(1))
            await numbers_heard(watched, 1)
            for wake_s in (23, 7):
                assert await watched.clock.slept(lambda wake: wake > 0) == wake_s * NS_PER_SECOND
                watched.clock.advance(wake_s * NS_PER_SECOND)
            assert (await watched.lost.get()).startswith("silent: ")
            watched.clock.advance(await watched.clock.slept(lambda wake: wake < NS_PER_SECOND))
            await server.next_connection()
            gap = await watched.restored.get()
            assert (gap.lost_ns - START_NS, gap.keys) == (7 * NS_PER_SECOND, (OPTION,))
            assert gap.missed_ns == watched.clock.now_ns() - gap.lost_ns > 30 * NS_PER_SECOND


async def test_out_of_session_a_gap_begins_when_it_is_noticed() -> None:
    async with socket_server() as server:
        watched = Watched(server, open_market=False)
        async with running(watched):
            connection = await server.next_connection()
            await watched.feed.wait_up()
            watched.clock.advance(20 * NS_PER_SECOND)
            connection.reset()
            await watched.lost.get()
            watched.clock.advance(await watched.clock.slept(lambda wake: wake < NS_PER_SECOND))
            await server.next_connection()
            assert (await watched.restored.get()).lost_ns == START_NS + 20 * NS_PER_SECOND


async def test_a_new_token_takes_over_without_a_message_lost() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe([NIFTY.key])
        async with running(watched):
            old = await server.next_connection()
            await instruments(old, 1)
            await watched.feed.wait_up()
            old.send(numbered(0))
            watched.settings.replace_token(NEW_TOKEN)
            renewing = asyncio.ensure_future(watched.feed.renew())
            newer = await server.next_connection()
            assert (token_of(old), token_of(newer)) == (TOKEN, NEW_TOKEN)
            old.send(numbered(1))
            assert await instruments(newer, 1) == {"13"}
            old.send(numbered(2))
            newer.send(encode_heartbeat())  # no data yet: the old one stays
            watched.feed.subscribe([OPTION])
            assert await instruments(newer, 1) == await instruments(old, 1) == {"40472"}, "both, while there are two"
            assert not renewing.done()
            for number in range(3, 50):
                old.send(numbered(number))
                newer.send(numbered(number))
            assert json.loads(await old.texts.get()) == {"RequestCode": 12}
            await old.gone.wait()
            await renewing
            newer.send(numbered(50))
            heard = await numbers_heard(watched, 50)
            assert set(heard) == set(range(51))
            assert watched.feed.is_up
            assert watched.lost.empty()
            assert watched.restored.empty()


async def test_a_quiet_new_connection_takes_over_after_a_while() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            old = await server.next_connection()
            await watched.feed.wait_up()
            renewing = asyncio.ensure_future(watched.feed.renew())
            await server.next_connection()
            await watched.clock.slept(lambda wake: wake == 5 * NS_PER_SECOND)
            assert not old.gone.is_set()
            watched.clock.advance(5 * NS_PER_SECOND)
            await renewing
            await old.gone.wait()


async def test_a_new_token_that_is_refused_leaves_the_old_connection_alone() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            old = await server.next_connection()
            await watched.feed.wait_up()
            server.refusals = [429]
            with pytest.raises(BrokerUnreachable, match="no connection with the new token: blocked: HTTP 429"):
                await watched.feed.renew()
            renewing = asyncio.ensure_future(watched.feed.renew())
            newer = await server.next_connection()
            newer.send(encode_disconnect(807))
            with pytest.raises(BrokerUnreachable, match="token_expired: 807"):
                await renewing
            await newer.gone.wait()
            old.send(numbered(3))
            assert await numbers_heard(watched, 3) == [3]
            assert watched.feed.is_up
            assert watched.lost.empty()


async def test_with_nothing_to_keep_a_new_token_connects_at_once() -> None:
    async with socket_server() as server:
        server.refusals = [429]
        watched = Watched(server)
        watched.feed.subscribe([OPTION])
        async with running(watched):
            await watched.lost.get()
            await watched.clock.slept(lambda wake: wake == 45 * NS_PER_SECOND)
            watched.settings.replace_token(NEW_TOKEN)
            await watched.feed.renew()
            assert token_of(await server.next_connection()) == NEW_TOKEN
            assert (await watched.restored.get()).keys == (OPTION,)


async def test_the_old_connection_may_die_while_the_new_one_is_made() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        watched.feed.subscribe([OPTION])
        async with running(watched):
            old = await server.next_connection()
            await watched.feed.wait_up()
            old.reset()
            await old.gone.wait()
            await watched.feed.renew()
            assert (await watched.lost.get()).startswith("reset: ")
            await watched.restored.get()
            assert watched.feed.is_up


async def test_a_feed_that_does_not_run_has_nothing_to_renew() -> None:
    async with socket_server() as server:
        await Watched(server).feed.renew()


async def test_who_waits_for_a_new_connection_is_told_when_the_feed_is_ended() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            await server.next_connection()
            await watched.feed.wait_up()
            renewing = asyncio.ensure_future(watched.feed.renew())
            await server.next_connection()
            await watched.clock.slept(lambda wake: wake == 5 * NS_PER_SECOND)
        with pytest.raises(BrokerUnreachable, match="ended here"):
            await renewing


@pytest.mark.parametrize("whole", [True, False])
async def test_a_message_without_end_is_not_gathered(whole: bool) -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            if whole:
                connection.send(bytes(MOST_BYTES + 1))
            else:
                connection.send(bytes(MOST_BYTES // 2), fin=False)
                connection.send(bytes(MOST_BYTES // 2), WSMsgType.CONTINUATION, fin=False)
                connection.send(b"\0", WSMsgType.CONTINUATION, fin=False)
            said = await watched.lost.get()
            assert said.startswith("too_long: the server began a message longer than this project takes")
            assert watched.messages.empty()


async def test_the_longest_message_in_fragments_is_taken() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        async with running(watched):
            connection = await server.next_connection()
            connection.send(bytes(MOST_BYTES // 2), fin=False)
            connection.send(bytes(MOST_BYTES // 2), WSMsgType.CONTINUATION)
            assert len((await watched.messages.get())[0]) == MOST_BYTES


async def test_the_least_mode_reaches_the_wire() -> None:
    async with socket_server() as server:
        watched = Watched(server, least_mode=Mode.QUOTE)
        async with running(watched):
            connection = await server.next_connection()
            await watched.feed.wait_up()
            watched.feed.subscribe([OPTION], Mode.TICKER)
            assert json.loads(await connection.texts.get())["RequestCode"] == 17
            watched.feed.subscribe([OPTION], Mode.FULL)
            assert [json.loads(await connection.texts.get())["RequestCode"] for _ in range(2)] == [18, 21]
            watched.feed.unsubscribe([OPTION], Mode.FULL)
            assert [json.loads(await connection.texts.get())["RequestCode"] for _ in range(2)] == [22, 17]
