"""Clients of other people do their basic round against the simulator: log in, quotes, place, change, cancel, positions.

*BrokerKit* speaks through the official client, its feed included; *Fenix* has HTTP code of its own and no feed. Both are
as published; their addresses, constants in the code, are set from outside.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.contract.simulator_process import (
    CLIENT,
    DAY,
    PATIENCE_S,
    PIN,
    TOTP_SECRET,
    Simulator,
    simulator_process,
    until,
)

NIFTY = 13
LOT = 65


@pytest.fixture
def simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("NO_PROXY", "*")
    with simulator_process(tmp_path) as made:
        yield made


async def test_brokerkit_does_its_round(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = pytest.importorskip("brokerkit_dhan", reason="brokerkit-dhan is not installed")
    instruments, enums, models, sdk = (
        importlib.import_module(name)
        for name in ("brokerkit_dhan.instruments", "brokerkit.enums", "brokerkit.models", "dhanhq")
    )
    monkeypatch.setattr(sdk.DhanLogin, "AUTH_BASE_URL", simulator.root)
    monkeypatch.setattr(sdk.DhanHTTP, "API_BASE_URL", f"{simulator.root}/v2")
    monkeypatch.setattr(sdk.MarketFeed, "market_feed_wss", f"{simulator.sockets}/feed")
    files = f"{simulator.root}/api-data/api-scrip-master"
    monkeypatch.setattr(instruments, "_COMPACT_CSV_URL", f"{files}.csv")
    monkeypatch.setattr(instruments, "_DETAILED_CSV_URL", f"{files}-detailed.csv")

    broker = await kit.DhanBroker.create(CLIENT, pin=PIN, totp_secret=TOTP_SECRET)
    listed = await broker.instruments.fetch_instruments()
    nifty = next(one for one in listed if (one.symbol, one.instrument_type) == ("NIFTY", enums.InstrumentType.IDX))
    expiries = await broker.market.expiry_list(nifty)
    assert expiries[0] == date.fromisoformat(DAY)
    spot = (await broker.market.get_ltp([nifty]))["NIFTY"]
    chain = await broker.market.get_option_chain(nifty, expiries[1])
    assert chain.underlying_ltp == pytest.approx(spot, rel=Decimal("0.02"))
    calls = [one for one in listed if one.underlying == "NIFTY" and one.expiry == expiries[1]]
    calls = [one for one in calls if one.instrument_type is enums.InstrumentType.CE]
    call = min(calls, key=lambda one: abs(one.strike - spot))
    quote = await broker.market.get_quote(call)
    assert 0 < quote.bid_price < quote.ask_price
    assert call.freeze_quantity == 27 * LOT + 1

    ticks: asyncio.Queue[Any] = asyncio.Queue()
    await broker.streaming.subscribe_ltp([call], ticks.put_nowait)
    tick = await asyncio.wait_for(ticks.get(), PATIENCE_S)
    assert tick.symbol == call.symbol
    assert tick.volume >= quote.volume
    assert tick.ltp == pytest.approx(quote.last_price, rel=Decimal("0.3"))

    def order(kind: Any, price: Decimal | None = None) -> Any:
        return models.OrderRequest(
            instrument=call,
            transaction_type=enums.TransactionType.BUY,
            order_type=kind,
            quantity=call.lot_size,
            product=enums.Product.MIS,
            price=price,
        )

    low = Decimal(round(quote.bid_price * Decimal("0.8")))
    placed = await broker.orders.place_order(order(enums.OrderType.LIMIT, low))
    await broker.orders.modify(placed.order_id, enums.Segment.FNO, price=low - 1)
    assert (await broker.orders.get_order(placed.order_id, enums.Segment.FNO)).price == low - 1
    cancelled = await broker.orders.cancel(placed.order_id, enums.Segment.FNO)
    assert cancelled.status is enums.OrderStatus.CANCELLED
    bought = await broker.orders.place_order(order(enums.OrderType.MARKET))
    async with asyncio.timeout(PATIENCE_S):
        while bought.filled_quantity < LOT:
            bought = await broker.orders.get_order(bought.order_id, enums.Segment.FNO)
    held = {one.trading_symbol: one.quantity for one in await broker.portfolio.positions()}
    assert held == {call.symbol: LOT}
    assert [one.quantity for one in await broker.portfolio.holdings()] == [10]
    await broker.orders.exit_all_positions()

    feed = broker.streaming._feed
    await broker.close()
    # Its own farewell leaves a thread running, a loop and a session open.
    for thread in threading.enumerate():
        if getattr(thread, "_target", None) == feed.run:
            await asyncio.to_thread(thread.join, PATIENCE_S)
    feed.loop.close()
    broker._context.get_dhan_http().session.close()


def test_fenix_does_its_round(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    fenix = pytest.importorskip("fenix", reason="fenix is not installed")
    servers = {"api": f"{simulator.root}/v2", "auth": f"{simulator.root}/app"}
    monkeypatch.setitem(fenix.Dhan._API, "servers", servers)
    master = f"{simulator.root}/api-data/api-scrip-master-detailed.csv"
    monkeypatch.setitem(fenix.Dhan._API["paths"], "instruments", master)

    broker = fenix.Dhan()
    broker.authenticate({"client_id": CLIENT, "totpstr": TOTP_SECRET, "pin": PIN})
    assert broker.fetch_profile()[fenix.Profile.CLIENT_ID] == CLIENT
    expiry = broker.fetch_expiry_list(NIFTY, "IDX_I")["data"][1]
    chain = broker.fetch_option_chain(NIFTY, "IDX_I", expiry)["data"]
    strike = min(chain["oc"], key=lambda each: abs(float(each) - chain["last_price"]))
    quote = chain["oc"][strike]["ce"]
    _, listed = broker.load_fno_tokens()
    call = listed[f"{quote['security_id']}_NSE_FNO"]
    assert (call["Expiry"], float(call["StrikePrice"]), call["LotSize"]) == (expiry, float(strike), LOT)

    # Its records name the exchange; its orders want Dhan's word for the segment.
    instrument = call | {"Exchange": "NSE_FNO"}
    terms = (fenix.Side.BUY, fenix.Product.MIS, fenix.Validity.DAY, fenix.Variety.REGULAR)
    low = round(quote["top_bid_price"] * 0.8)
    number = broker.place_order(instrument, LOT, *terms, "fenix-1", price=low)[fenix.Order.ID]
    assert broker.fetch_order_by_correlation_id("fenix-1")[fenix.Order.ID] == number
    broker.modify_order(number, price=low - 1, quantity=2 * LOT)
    changed = broker.fetch_order(number)
    assert (changed[fenix.Order.PRICE], changed[fenix.Order.QUANTITY]) == (low - 1, 2 * LOT)
    broker.cancel_order(number)
    assert broker.fetch_order(number)[fenix.Order.STATUS] == fenix.Status.CANCELLED

    free = broker.fetch_margin_limits()[fenix.RMS.MARGINAVAIL]
    bought = broker.place_order(instrument, LOT, *terms, "fenix-2")[fenix.Order.ID]
    filled = until(lambda: (row := broker.fetch_order(bought))[fenix.Order.STATUS] == fenix.Status.FILLED and row)
    (held,) = broker.fetch_net_positions()
    assert (held[fenix.Position.NET_QTY], held[fenix.Position.AVG_PRICE]) == (LOT, filled[fenix.Order.AVG_PRICE])
    spent = free - broker.fetch_margin_limits()[fenix.RMS.MARGINAVAIL]
    assert spent >= LOT * filled[fenix.Order.AVG_PRICE]
    assert [row[fenix.Order.ID] for row in broker.fetch_tradebook()] == [bought]
    assert broker.exit_all_positions()["status"] == "SUCCESS"
    broker._session.close()
