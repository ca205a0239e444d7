"""The 20- and 200-level depth sockets: books decoded with the adapter's decoder, and the connections' manners."""

from __future__ import annotations

import json
import socket as sockets
from typing import Any

import aiohttp
import pytest

from algo_scalper.adapters.dhan.depth import DepthBook, DepthDecoder, depth_disconnect_reason, depth_messages
from algo_scalper.domain.instruments import NIFTY, Contract, key_security_id
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator.depth_feed import deepened
from algo_scalper.simulation.liquidity import DEPTH
from tests.unit.simulator.stage import WORD, SteppedEngine, Visitor, market_of, near_call, serving, world_of

CALL = near_call(market_of())
TICKS = {contract.key: contract.tick_paise for contract in market_of().contracts}
AT_NS = market_of().axis.open_ns + 120 * NS_PER_SECOND
PATHS = {20: "/twentydepth", 200: "/twohundreddepth"}
CREDENTIALS = {"token": WORD, "clientId": WORD, "authType": "2"}


async def depth_socket(visitor: Visitor, levels: int, **query: str) -> aiohttp.ClientWebSocketResponse:
    return await visitor.connect(PATHS[levels], {**CREDENTIALS, **query})


@pytest.mark.parametrize("levels", [20, 200])
async def test_the_first_five_levels_are_the_markets_and_the_rest_goes_on_from_there(levels: Any) -> None:
    async with serving(world_of(), stepped=True) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        depth = await depth_socket(visitor, levels)
        for message in depth_messages(levels, 23, [CALL.key]):
            await depth.send_str(message.decode())
        await visitor.ask("GET", "/sim/status")
        decoder = DepthDecoder(levels, TICKS)
        await engine.subscribe(21, CALL.key)
        await engine.step()
        await engine.step()
        (book,) = decoder.decode(await depth.receive_bytes(), 7)
        assert decoder.counts.torn == decoder.counts.unknown == 0
        shown = market_of().quote(CALL.key, engine.at_ns)
        assert tuple((price, size) for price, size, _ in book.bids[:5]) == shown.bids
        assert tuple((price, size) for price, size, _ in book.asks[:5]) == shown.asks
        assert len(book.asks) == levels
        await depth.close()
        await engine.leave()


def book_of(contract: Contract, levels: Any, at_ns: int = AT_NS) -> DepthBook:
    return deepened(market_of().quote(contract.key, at_ns), contract, levels, 1)


@pytest.mark.parametrize("steps", [-20, -3, 0, 8, 20])
@pytest.mark.parametrize("levels", [20, 200])
def test_a_deep_book_is_in_order_in_whole_lots_on_the_tick_and_never_crossed(steps: int, levels: Any) -> None:
    contract = near_call(market_of(), steps)
    book = book_of(contract, levels)
    bids, asks = ([price for price, _, _ in side] for side in (book.bids, book.asks))
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids[0] < asks[0]
    assert bids[-1] >= contract.tick_paise
    for price, size, orders in (*book.bids, *book.asks):
        assert price % contract.tick_paise == 0
        assert 1 <= orders <= max(size // contract.lot, 1)
    for _, size, _ in (*book.bids[5:], *book.asks[5:]):
        assert size % contract.lot == 0
        assert size > 0


def test_the_same_instant_has_the_same_book_and_deep_orders_stay_while_the_market_moves() -> None:
    assert book_of(CALL, 200) == book_of(CALL, 200)
    first, later = ({price: size for price, size, _ in book_of(CALL, 200, AT_NS + s).asks[40:150]} for s in (0, 10**9))
    same = [price for price in first if price in later]
    assert len(same) > len(first) // 2
    # The size follows the best level's, which breathes; the place in the queue of prices does not change.
    assert later != {}


def test_sizes_go_on_as_large_as_the_fifth_level_and_thin_out_far_away() -> None:
    sizes = [
        [size for _, size, _ in book_of(near_call(market_of(), steps), 200).asks]
        for steps in range(-6, 7)
        for _ in (0,)
    ]
    best = sum(sum(row[:5]) for row in sizes) / sum(DEPTH)
    tenth = sum(sum(row[8:14]) / 6 for row in sizes)
    far = sum(sum(row[180:]) / 20 for row in sizes)
    assert 2.0 < tenth / best < 5.0
    assert far < tenth / 2


async def test_twenty_levels_carry_fifty_instruments_and_two_hundred_one() -> None:
    keys = [near_call(market_of(), steps).key for steps in range(-25, 26)]
    async with serving() as (server, visitor):
        twenty = await depth_socket(visitor, 20)
        for message in depth_messages(20, 23, keys[:50]):
            await twenty.send_str(message.decode())
        await status_of(visitor)
        assert [len(session.keys) for session in server.venue.sockets.depths] == [50]
        for message in depth_messages(20, 23, keys[50:]):
            await twenty.send_str(message.decode())
        assert depth_disconnect_reason((await twenty.receive()).data) == 804
        deep = await depth_socket(visitor, 200)
        for message in depth_messages(200, 23, keys[:2]):
            await deep.send_str(message.decode())
        assert depth_disconnect_reason((await deep.receive()).data) == 804
        await twenty.close()
        await deep.close()


async def status_of(visitor: Visitor) -> Any:
    return await visitor.json("GET", "/sim/status")


async def test_only_contracts_of_the_nse_have_depth_and_each_is_left_by_its_own_code() -> None:
    async with serving() as (server, visitor):
        other = next(contract for contract in market_of().contracts if contract.key >> 32 == 8)
        depth = await depth_socket(visitor, 20)
        listed = [
            {"ExchangeSegment": name, "SecurityId": str(key_security_id(key))}
            for name, key in (("IDX_I", NIFTY.key), ("BSE_FNO", other.key), ("NSE_FNO", CALL.key), ("NSE_EQ", 1333))
        ]
        ask = {"RequestCode": 23, "InstrumentCount": 4, "InstrumentList": listed}
        await depth.send_str(json.dumps(ask))
        await depth.send_str("{")
        await depth.send_bytes(bytes(83))
        await status_of(visitor)
        assert list(server.venue.sockets.depths[0].keys) == [CALL.key]
        await depth.send_str(json.dumps({**ask, "RequestCode": 24}))
        await status_of(visitor)
        assert list(server.venue.sockets.depths[0].keys) == []
        await depth.send_str('{"RequestCode":12}')
        assert (await depth.receive()).type is aiohttp.WSMsgType.CLOSE
        await depth.close()


async def test_a_bad_token_a_dead_one_and_a_missing_word_are_told_in_a_packet() -> None:
    async with serving() as (_, visitor):
        for query, reason in (({"token": "wrong"}, 808), ({"authType": "1"}, 814)):
            depth = await depth_socket(visitor, 20, **query)
            assert depth_disconnect_reason((await depth.receive()).data) == reason
            await depth.close()
        await visitor.ask("POST", "/sim/faults", {"token": "dead"})
        depth = await depth_socket(visitor, 200)
        assert depth_disconnect_reason((await depth.receive()).data) == 807
        await depth.close()


async def test_an_applications_token_is_reset_at_two_hundred_levels_and_welcome_at_twenty() -> None:
    async with serving() as (server, visitor):
        token = server.venue.desk.account.mint(server.venue.world.now_ns, "APP").token
        with pytest.raises(aiohttp.ClientError):
            await depth_socket(visitor, 200, token=token)
        with sockets.create_connection(("127.0.0.1", server.port)) as raw:
            raw.setblocking(False)
            request = f"GET /fulldepth/?token={token}&clientId={WORD}&authType=2 HTTP/1.1\r\nHost: x\r\n"
            upgrade = (
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n"
            )
            raw.send(f"{request}{upgrade}\r\n".encode())
            await status_of(visitor)
            await status_of(visitor)
            with pytest.raises(ConnectionResetError):
                raw.recv(100)
        twenty = await depth_socket(visitor, 20, token=token)
        await status_of(visitor)
        assert not server.venue.sockets.depths[0].outbox.ended
        await twenty.close()


async def test_depth_counts_among_the_five_connections() -> None:
    async with serving() as (server, visitor):
        depth = await depth_socket(visitor, 20)
        feeds = [await visitor.feed() for _ in range(5)]
        assert depth_disconnect_reason((await depth.receive()).data) == 805
        assert [feed.number for feed in server.venue.sockets.feeds] == [2, 3, 4, 5, 6]
        for each in (depth, *feeds):
            await each.close()
