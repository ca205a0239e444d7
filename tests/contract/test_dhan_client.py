"""One suite for the client over real sockets: against the simulator, and against what Dhan itself once answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from algo_scalper.adapters.dhan.bodies import MarginBody
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.endpoints import INTRADAY
from algo_scalper.adapters.dhan.failures import AskedTooOften, InputRefused, TokenRefused
from algo_scalper.adapters.dhan.orders import at_market
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.values import iso_date
from algo_scalper.domain.instruments import NIFTY, Segment, instrument_key, key_security_id
from algo_scalper.domain.orders import BrokerStatus, Side
from algo_scalper.domain.ports import Accepted, Outcome
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_day, ist_ns, ist_second
from tests.unit.dhan.doubles import HandClock as AdapterClock
from tests.unit.dhan.doubles import http_server, uncounted
from tests.unit.dhan.recordings import recording
from tests.unit.simulator.stage import DAY, WORD, HandClock, Visitor, near_call, serving, world_of

REST = "wire_samples/rest"
RECORDED = {
    "/v2/profile": "LIVE_GET_profile_20260908",
    "/v2/fundlimit": "LIVE_GET_fundlimit_20260908",
    "/v2/positions": "LIVE_GET_positions_20260930",
    "/v2/holdings": "LIVE_GET_holdings_empty_20260908",
    "/v2/orders": "LIVE_GET_orders_20260930",
    "/v2/trades": "LIVE_GET_trades_20260930",
    "/v2/marketfeed/ltp": "LIVE_POST_marketfeed_ltp_20260908",
    "/v2/marketfeed/ohlc": "POST_v2_marketfeed_ohlc_200_01",
    "/v2/marketfeed/quote": "POST_v2_marketfeed_quote_200_01",
    "/v2/optionchain/expirylist": "POST_v2_optionchain_expirylist_200_01",
    "/v2/optionchain": "POST_v2_optionchain_200_01",
    "/v2/charts/intraday": "POST_v2_charts_intraday_200_01",
    "/v2/margincalculator": "POST_v2_margincalculator_200_01",
}
RECORDED_OPTION = instrument_key(Segment.NSE_FNO, 49_081)
"""Whose quote was recorded."""
RECORDED_FROM = date(2025, 10, 24)
"""The first day of the recorded minutes."""
STATUSES = {"TRANSIT", "PENDING", "REJECTED", "CANCELLED", "PART_TRADED", "TRADED", "EXPIRED"}


class House(NamedTuple):
    """A broker to ask. ``say`` makes the next answers of a path a refusal."""

    client: DhanClient
    option: int
    first_day: date


async def traded(client: DhanClient, world_clock: HandClock, order: asyncio.Task[Outcome]) -> None:
    while not order.done():
        world_clock.move(5_000_000)
        await asyncio.sleep(0)
    assert isinstance(order.result(), Accepted)
    for _ in range(20):
        world_clock.move(NS_PER_SECOND)
        await asyncio.sleep(0)
    assert [row.status for row in await client.broker.orders()] == [BrokerStatus.TRADED]


@asynccontextmanager
async def simulator() -> AsyncIterator[House]:
    world, clock = world_of(), HandClock()
    async with serving(world, clock, limited=False) as (server, _):
        settings = DhanSettings(WORD, WORD, f"http://127.0.0.1:{server.port}/v2")
        real = AdapterClock()
        async with DhanClient(settings, real, uncounted(real), {c.key: c for c in world.contracts}) as client:
            call = near_call(world.market)
            ask = world.market.quote(call.key, world.now_ns).tick.ask_paise
            command = at_market("c-1", call, Side.BUY, call.lot, ask)
            await traded(client, clock, asyncio.create_task(client.broker.place(command)))
            yield House(client, call.key, DAY)


@asynccontextmanager
async def recorded() -> AsyncIterator[House]:
    async with http_server() as server:
        for path, name in RECORDED.items():
            found = recording(f"{REST}/{name}.json")
            server.answers[path] = [(found.status, found.content)]
        for unknown in ("/v2/orders/1", "/v2/orders/external/nobody"):
            server.answers[unknown] = [(200, [])]
        settings = DhanSettings("1100000001", "eyJ.secret.word", f"http://127.0.0.1:{server.port}/v2")
        real = AdapterClock()
        async with DhanClient(settings, real, uncounted(real)) as client:
            yield House(client, RECORDED_OPTION, RECORDED_FROM)


HOUSES = {"simulator": simulator, "recorded": recorded}
BOTH = pytest.mark.parametrize("house", HOUSES)


@BOTH
async def test_who_we_are(house: str) -> None:
    async with HOUSES[house]() as (client, _, _):
        profile = await client.profile()
        assert profile.dhan_client_id in (WORD, "1100000001")
        assert profile.derivatives_active
        assert profile.data_active
        assert profile.token_ends_ns is not None
        assert ist_second(profile.token_ends_ns) == 8 * 3600, "both end at eight in the morning, IST"


@BOTH
async def test_money_positions_and_nothing_held(house: str) -> None:
    async with HOUSES[house]() as (client, _, _):
        funds = await client.funds()
        assert funds.available_balance_paise >= 0
        assert (await client.broker.funds()).available_paise == funds.available_balance_paise
        rows = await client.positions()
        assert rows
        for row in rows:
            assert row.net_qty == row.buy_qty - row.sell_qty
            assert (row.net_qty == 0) == (row.position_type == "CLOSED")
        known = {held.key: held.net_quantity for held in await client.broker.positions()}
        assert sum(known.values()) == sum(row.net_qty for row in rows)
        assert await client.holdings() == (), "an error that means none"


@BOTH
async def test_the_book_and_its_trades(house: str) -> None:
    async with HOUSES[house]() as (client, _, _):
        orders = await client.orders()
        assert orders
        for row in orders:
            assert row.order_status in STATUSES
            assert row.filled_qty + row.remaining_quantity <= row.quantity
            assert row.exchange_segment in ("NSE_FNO", "BSE_FNO")
            assert iso_date(row.create_time, "create_time") <= date(2026, 12, 31)
        assert [row.create_time for row in orders] == sorted((row.create_time for row in orders), reverse=True)
        filled = {row.order_id: row.filled_qty for row in orders if row.filled_qty}
        trades = await client.trades()
        assert trades
        for trade in trades:
            assert trade.traded_quantity > 0
            assert trade.traded_price > 0
        in_both = {trade.order_id for trade in trades} & filled.keys()
        for order_id in in_both:
            assert sum(t.traded_quantity for t in trades if t.order_id == order_id) <= filled[order_id]
        assert await client.order("1") is None
        assert await client.order_by_correlation("nobody") is None


@BOTH
async def test_prices_of_the_index_and_of_an_option(house: str) -> None:
    async with HOUSES[house]() as (client, option, _):
        last = (await client.ltp([NIFTY.key]))[NIFTY.key]
        assert last.last_price_paise > 1_000_000
        day = (await client.ohlc([NIFTY.key]))[NIFTY.key]
        assert day.ohlc.low_paise <= day.ohlc.open_paise <= day.ohlc.high_paise
        quote = (await client.quote([option]))[option]
        assert len(quote.depth.buy) == len(quote.depth.sell) == 5, "always five levels, zero-padded"
        bids = [level.price_paise for level in quote.depth.buy]
        assert bids == sorted(bids, reverse=True)


@BOTH
async def test_expiries_and_a_chain(house: str) -> None:
    async with HOUSES[house]() as (client, _, _):
        expiries = await client.expiries(NIFTY.key)
        assert list(expiries) == sorted(set(expiries))
        chain = await client.option_chain(NIFTY.key, expiries[0])
        strikes = [float(strike) for strike in chain.oc]
        assert strikes == sorted(strikes)
        assert min(strikes) < chain.last_price < max(strikes)
        for strike in chain.oc.values():
            assert strike.ce is not None
            assert strike.pe is not None


@BOTH
async def test_minutes_of_the_index_are_those_of_its_session(house: str) -> None:
    async with HOUSES[house]() as (client, _, first_day):
        until = first_day + timedelta(days=1)
        bars = await client.intraday(NIFTY.key, "INDEX", ist_ns(first_day, 0), ist_ns(until, 0))
        assert bars
        assert [bar.start_ns for bar in bars] == sorted({bar.start_ns for bar in bars})
        for bar in bars:
            assert ist_day(bar.start_ns) == first_day
            assert 9 * 3600 + 900 <= ist_second(bar.start_ns) < 15 * 3600 + 1800, "no flat bar of the close"
            assert bar.start_ns % NS_PER_MINUTE == 0
            assert bar.low_paise <= min(bar.open_paise, bar.close_paise)
            assert bar.high_paise >= max(bar.open_paise, bar.close_paise)


@BOTH
async def test_the_margin_of_an_order(house: str) -> None:
    async with HOUSES[house]() as (client, option, _):
        body = MarginBody(
            exchange_segment="NSE_FNO",
            transaction_type="BUY",
            quantity=65,
            product_type="INTRADAY",
            security_id=str(key_security_id(option)),
            price_paise=10_000,
        )
        margin = await client.margin(body)
        assert margin.total_margin > 0
        assert margin.insufficient_balance >= 0


@asynccontextmanager
async def refusing(house: str, path: str, name: str, fault: dict[str, object]) -> AsyncIterator[DhanClient]:
    """A client whose next answer on this path is a refusal: made by the simulator's fault, or once recorded."""
    if house == "recorded":
        async with http_server() as server:
            found = recording(f"{REST}/{name}.json")
            server.answers[path] = [(found.status, found.content)]
            settings = DhanSettings("1100000001", "eyJ.secret.word", f"http://127.0.0.1:{server.port}/v2")
            real = AdapterClock()
            async with DhanClient(settings, real, uncounted(real)) as client:
                yield client
        return
    async with serving(world_of(), HandClock()) as (server, visitor):
        await spoil(visitor, fault)
        socket = await visitor.orders()  # the day begins, and with it the counting of requests
        settings, real = DhanSettings(WORD, WORD, f"http://127.0.0.1:{server.port}/v2"), AdapterClock()
        async with DhanClient(settings, real, uncounted(real)) as client:
            yield client
        await socket.close()


async def spoil(visitor: Visitor, fault: dict[str, object]) -> None:
    if fault:
        await visitor.ask("POST", "/sim/faults", fault)


@BOTH
async def test_a_dead_token_is_told_apart_whatever_the_code(house: str) -> None:
    dead: dict[str, object] = {"token": "dead"}
    async with refusing(house, "/v2/orders", "GET_v2_orders_401_01", dead) as client:
        with pytest.raises(TokenRefused, match="scalper login"):
            await client.orders()
    async with refusing(house, "/v2/marketfeed/ltp", "POST_v2_marketfeed_ltp_401_01", dead) as client:
        with pytest.raises(TokenRefused, match="808"):
            await client.ltp([NIFTY.key])


@BOTH
async def test_an_unknown_underlying_is_an_input_error(house: str) -> None:
    name = "LIVE_POST_expirylist_invalid_20260908"
    async with refusing(house, "/v2/optionchain/expirylist", name, {}) as client:
        with pytest.raises(InputRefused, match="Invalid SecurityId"):
            await client.expiries(instrument_key(Segment.IDX_I, 999_999))


@BOTH
async def test_a_window_of_more_than_ninety_days_never_leaves_in_one_piece(house: str) -> None:
    """The server refuses it by name; the client cuts it, so that nobody meets the refusal."""
    name = "LIVE_POST_charts_intraday_span_20260908"
    async with refusing(house, "/v2/charts/intraday", name, {}) as client:
        whole = {"securityId": "13", "exchangeSegment": "IDX_I", "instrument": "INDEX", "interval": "1"}
        with pytest.raises(InputRefused, match="90 days at a time"):
            await client.rest.raw(
                INTRADAY, {**whole, "fromDate": "2025-09-01 00:00:00", "toDate": "2026-02-03 00:00:00"}
            )


@BOTH
async def test_too_many_requests_is_visible(house: str) -> None:
    async with refusing(house, "/v2/charts/intraday", "POST_v2_charts_intraday_429_01", {}) as client:
        whole = {"securityId": "13", "exchangeSegment": "IDX_I", "instrument": "INDEX", "interval": "1"}
        asked = {**whole, "fromDate": f"{DAY} 00:00:00", "toDate": f"{DAY + timedelta(days=1)} 00:00:00"}
        bare = DhanRest(client._settings, AdapterClock())  # without a budget, which would ask again after a pause
        with pytest.raises(AskedTooOften, match="Too many requests"):
            await asyncio.gather(*(bare.raw(INTRADAY, asked) for _ in range(6)))  # five in a second are allowed
        await bare.close()
