"""Depth packets against hand-checked bytes and their own inverse, and the sockets they come on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.depth import (
    Depth,
    DepthBook,
    DepthDecoder,
    DepthLevels,
    DhanDepth,
    depth_disconnect_reason,
    encode_depth,
    encode_depth_disconnect,
)
from algo_scalper.adapters.dhan.line import Gap, LineRules
from algo_scalper.adapters.dhan.losses import LossKind
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.waiting import Backoff
from algo_scalper.domain.errors import BrokerRefused
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import (
    CLIENT,
    START_NS,
    TOKEN,
    Half,
    HandClock,
    ServedSocket,
    SocketServer,
    ended,
    socket_server,
)

OPTION = instrument_key(Segment.NSE_FNO, 74147)
SHARE = instrument_key(Segment.NSE_EQ, 1333)
TICKS = {OPTION: 5, SHARE: 10}

BID_ROW = bytes.fromhex("66666666660648408200000001000000")
"""48.05 as a float64, 130 units, 1 order."""
ASK_ROW = bytes.fromhex("cdcccccccc0c48405d07000009000000")
"""48.10, 1885 units, 9 orders."""
BID_HEADER_20 = bytes.fromhex("4c012902a321010007000000")
"""332 bytes, code 41, segment 2, security id 74147, sequence 7."""
ASK_HEADER_20 = bytes.fromhex("4c013302a321010007000000")
BOOK = DepthBook(OPTION, 9, ((4805, 130, 1),), ((4810, 1885, 9),))
TWENTY = BID_HEADER_20 + BID_ROW + bytes(19 * 16) + ASK_HEADER_20 + ASK_ROW + bytes(19 * 16)
TWO_HUNDRED = bytes.fromhex("1c002902a321010001000000") + BID_ROW + bytes.fromhex("1c003302a321010001000000") + ASK_ROW


@pytest.mark.parametrize(("levels", "message"), [(20, TWENTY), (200, TWO_HUNDRED)])
def test_bids_and_asks_of_a_message_are_one_book(levels: Depth, message: bytes) -> None:
    assert DepthDecoder(levels, TICKS).decode(message, 9) == [BOOK]
    assert encode_depth(BOOK, levels, sequence=7) == message


def test_several_instruments_are_stacked_in_a_message() -> None:
    other = DepthBook(SHARE, 9, ((39_740, 5, 2), (39_730, 6, 1)), ())
    decoder = DepthDecoder(20, TICKS)
    assert decoder.decode(memoryview(TWENTY + encode_depth(other, 20)), 9) == [BOOK, other]


def test_one_side_alone_changes_the_book_once_both_are_known() -> None:
    bids, asks = TWENTY[:332], TWENTY[332:]
    decoder = DepthDecoder(20, TICKS)
    assert decoder.decode(bids, 8) == [], "no book without asks: an empty side would be a claim"
    assert decoder.decode(asks, 9) == [BOOK]
    assert decoder.decode(bids, 10) == [DepthBook(OPTION, 10, BOOK.bids, BOOK.asks)]
    decoder.forget([OPTION])
    assert decoder.decode(asks, 11) == []


def test_the_rows_a_200_level_packet_states_are_bounded_by_its_length() -> None:
    lying = bytearray(TWO_HUNDRED)
    lying[8:12] = b"\xff\xff\xff\xff"
    assert DepthDecoder(200, TICKS).decode(bytes(lying), 9) == [BOOK]
    lying[8:12] = bytes(4)
    assert DepthDecoder(200, TICKS).decode(bytes(lying), 9) == [DepthBook(OPTION, 9, (), BOOK.asks)]


@pytest.mark.parametrize("cut", [1, 11, 12, 331])
def test_a_torn_packet_ends_the_message(cut: int) -> None:
    decoder = DepthDecoder(20, TICKS)
    assert decoder.decode(TWENTY + TWENTY[:cut], 9) == [BOOK]
    assert decoder.counts.torn == 1


def test_what_is_not_ours_is_counted() -> None:
    decoder = DepthDecoder(20, {})
    strange = struct.pack("<hBBiI", 16, 99, 2, 1, 0) + bytes(4)
    assert decoder.decode(TWENTY + strange + encode_depth_disconnect(805), 9) == []
    assert (decoder.counts.unlisted, decoder.counts.unknown, decoder.counts.torn) == (2, 1, 0)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -0.05, 1e300])
def test_a_price_that_cannot_be_one_spoils_its_side(price: float) -> None:
    broken = TWENTY[:12] + struct.pack("<d", price) + TWENTY[20:]
    decoder = DepthDecoder(20, TICKS)
    assert decoder.decode(TWENTY, 9) == [BOOK]
    assert decoder.decode(broken, 10) == [DepthBook(OPTION, 10, BOOK.bids, BOOK.asks)], "bids as they were, asks anew"
    assert decoder.counts.unreadable == 1


def test_a_disconnect_is_fourteen_bytes() -> None:
    packet = bytes.fromhex("0e00320000000000000000002503")
    assert encode_depth_disconnect(805) == packet
    assert depth_disconnect_reason(TWENTY + packet) == 805
    assert depth_disconnect_reason(TWENTY) is None
    assert depth_disconnect_reason(packet[:12]) is None


rows = st.lists(
    st.tuples(st.integers(1, 2_000_000).map(lambda steps: steps * 5), st.integers(1, 2**32 - 1), st.integers(0, 10**6)),
    max_size=200,
).map(tuple)


@given(st.sampled_from([20, 200]), rows, rows)
def test_books_round_trip(levels: Depth, bids: DepthLevels, asks: DepthLevels) -> None:
    book = DepthBook(OPTION, 5, bids, asks)
    told = DepthBook(OPTION, 5, bids[:levels], asks[:levels])
    assert DepthDecoder(levels, TICKS).decode(encode_depth(book, levels), 5) == [told]


@given(st.sampled_from([20, 200]), st.binary(max_size=800))
def test_no_bytes_raise(levels: Depth, noise: bytes) -> None:
    decoder = DepthDecoder(levels, {0: 5})
    decoder.decode(noise, 1)
    decoder.decode(BID_HEADER_20 + noise, 1)
    depth_disconnect_reason(noise)


class Watched:
    """A depth feed against a server, and everything it said."""

    def __init__(self, server: SocketServer, levels: Depth, most_sockets: int = 5) -> None:
        self.clock = HandClock()
        self.books: asyncio.Queue[DepthBook] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.restored: asyncio.Queue[Gap] = asyncio.Queue()
        root = server.url.removesuffix("/feed")
        self.depth = DhanDepth(
            DhanSettings(CLIENT, TOKEN, depth_20_url=f"{root}/twentydepth", depth_200_url=f"{root}/twohundreddepth"),
            self.clock,
            Half(),
            levels,
            TICKS,
            on_book=self.books.put_nowait,
            on_lost=self.lost.put_nowait,
            on_restored=self.restored.put_nowait,
            rules=LineRules(backoff=Backoff(NS_PER_SECOND, 16 * NS_PER_SECOND)),
            most_sockets=most_sockets,
        )


@contextlib.asynccontextmanager
async def running(watched: Watched) -> AsyncIterator[None]:
    task = asyncio.ensure_future(watched.depth.run())
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        await ended(task)


def options(count: int) -> list[int]:
    return [instrument_key(Segment.NSE_FNO, number) for number in range(1, count + 1)]


async def said(served: ServedSocket) -> dict[str, object]:
    found = json.loads(await served.texts.get())
    assert isinstance(found, dict)
    return found


async def test_twenty_levels_fifty_to_a_socket() -> None:
    async with socket_server() as server:
        watched = Watched(server, 20)
        watched.depth.subscribe(options(50))
        async with running(watched):
            first = await server.next_connection()
            message = await said(first)
            assert (message["RequestCode"], message["InstrumentCount"]) == (23, 50)
            await watched.depth.wait_up()
            watched.depth.subscribe([OPTION])
            second = await server.next_connection()
            assert await said(second) == {
                "RequestCode": 23,
                "InstrumentCount": 1,
                "InstrumentList": [{"ExchangeSegment": "NSE_FNO", "SecurityId": "74147"}],
            }
            await watched.depth.wait_up()
            assert second.path.startswith("/twentydepth?token=")
            second.send(TWENTY)
            book = await watched.books.get()
            assert (book.bids, book.asks, book.received_ns) == (BOOK.bids, BOOK.asks, START_NS)
            watched.depth.subscribe([OPTION])
            watched.depth.unsubscribe([OPTION])
            assert second.texts.empty()
            watched.depth.unsubscribe([OPTION])
            assert (await said(second))["RequestCode"] == 24


async def test_two_hundred_levels_one_to_a_socket() -> None:
    async with socket_server() as server:
        watched = Watched(server, 200, most_sockets=2)
        watched.depth.subscribe([OPTION, SHARE])
        async with running(watched):
            sockets = [await server.next_connection() for _ in range(2)]
            messages = [await said(served) for served in sockets]
            assert sorted(messages, key=str) == [
                {"RequestCode": 23, "ExchangeSegment": "NSE_EQ", "SecurityId": "1333"},
                {"RequestCode": 23, "ExchangeSegment": "NSE_FNO", "SecurityId": "74147"},
            ]
            with pytest.raises(BrokerRefused, match="2 sockets carry 1 instruments each with 200 levels"):
                watched.depth.subscribe(options(1))
            assert watched.depth.wanted == (OPTION, SHARE)
            sockets[0].send(TWO_HUNDRED)
            assert (await watched.books.get()).bids == BOOK.bids


async def test_depth_of_an_index_is_refused() -> None:
    async with socket_server() as server:
        watched = Watched(server, 20)
        with pytest.raises(BrokerRefused, match="no 20-level depth for IDX_I:13"):
            watched.depth.subscribe([OPTION, NIFTY.key])
        assert watched.depth.wanted == ()


@pytest.mark.parametrize("how", ["http", "reset"])
async def test_the_other_form_of_the_200_level_address_is_tried(how: str) -> None:
    async with socket_server() as server:
        watched = Watched(server, 200)
        watched.depth.subscribe([OPTION])
        if how == "http":
            server.refusals = [404]
        async with running(watched):
            if how == "reset":
                refused = await server.next_connection()
                assert refused.path.startswith("/twohundreddepth?")
                refused.reset()
            await watched.lost.get()
            watched.clock.advance(await watched.clock.slept(lambda wake: wake < NS_PER_SECOND))
            other = await server.next_connection()
            assert other.path.startswith("/?token=")
            await watched.restored.get()
            other.send(TWO_HUNDRED)
            await watched.books.get()
            other.reset()
            await watched.lost.get()
            watched.clock.advance(await watched.clock.slept(lambda wake: wake < 2 * NS_PER_SECOND))
            assert (await server.next_connection()).path.startswith("/?token="), "the form that worked is kept"


async def test_a_reason_is_told_and_everything_subscribed_again() -> None:
    async with socket_server() as server:
        watched = Watched(server, 20)
        watched.depth.subscribe([OPTION])
        async with running(watched):
            connection = await server.next_connection()
            connection.send(TWENTY + encode_depth_disconnect(806))
            assert (await watched.lost.get()).startswith("no_subscription: 806: ")
            assert (await watched.books.get()).key == OPTION
            assert watched.depth.last_loss is not None
            assert watched.depth.last_loss.kind is LossKind.NO_SUBSCRIPTION
            watched.clock.advance(await watched.clock.slept(lambda wake: wake > 20 * NS_PER_SECOND))
            again = await server.next_connection()
            assert (await said(again))["RequestCode"] == 23
            assert (await watched.restored.get()).keys == (OPTION,)
