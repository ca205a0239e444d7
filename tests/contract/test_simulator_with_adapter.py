"""The simulator and the Dhan adapter understand each other: what the market and the exchange hold comes out the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from algo_scalper.adapters.dhan.catalogue import read_catalogue
from algo_scalper.adapters.dhan.chain import DhanChains
from algo_scalper.adapters.dhan.history import DhanHistory
from algo_scalper.adapters.dhan.order_stream import parse_alert
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.instruments import INDICES, NIFTY
from algo_scalper.domain.orders import BrokerStatus, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Outcome, Rejected, Unknown
from algo_scalper.simulation.world import World
from tests.unit.simulator.stage import (
    DAY,
    WORD,
    HandClock,
    SteppedEngine,
    Visitor,
    near_call,
    resting_price,
    serving,
    world_of,
)


class Both:
    """A stepped simulator, an engine that walks it, and the adapter's parts on the same account."""

    def __init__(self, world: World, visitor: Visitor, rest: DhanRest, settings: DhanSettings) -> None:
        self.world, self.visitor, self.rest, self.settings = world, visitor, rest, settings
        self.engine = SteppedEngine(visitor)
        self.contracts = {contract.key: contract for contract in world.contracts}
        self.broker = DhanBroker(rest, HandClock(), self.contracts)

    async def walk(self, asked: asyncio.Task[Outcome]) -> Outcome:
        """Step until the adapter has its answer."""
        while not asked.done():
            await self.engine.step(self.engine.at_ns + 5_000_000)
        return asked.result()


@asynccontextmanager
async def both() -> AsyncIterator[Both]:
    world = world_of()
    async with serving(world, stepped=True) as (server, visitor):
        root = f"127.0.0.1:{server.port}"
        settings = DhanSettings(
            WORD,
            WORD,
            f"http://{root}/v2",
            f"ws://{root}/feed",
            f"ws://{root}/order-updates",
            f"http://{root}/api-data/api-scrip-master.csv",
        )
        rest = DhanRest(settings, HandClock())
        try:
            yield Both(world, visitor, rest, settings)
        finally:
            await rest.close()


def order(pair: Both, number: int, side: Side, price_paise: int, trigger_paise: int = 0) -> PlaceOrder:
    call = near_call(pair.world.market)
    kind = OrderKind.STOP_LIMIT if trigger_paise else OrderKind.LIMIT
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return PlaceOrder(
        f"t-{number}", call.key, side, kind, call.lot, price_paise, trigger_paise, purpose, Product.INTRADAY
    )


async def test_both_master_files_give_the_contracts_of_the_day() -> None:
    async with both() as pair:
        until = DAY + timedelta(days=400)
        compact = await read_catalogue(pair.rest, pair.settings.csv_url, INDICES, DAY, until)
        assert compact.unreadable == ()
        found = {contract.key: contract for contract in compact.contracts}
        assert found.keys() == pair.contracts.keys()
        for key, contract in pair.contracts.items():
            same = ("underlying", "expiry", "strike_paise", "option_type", "lot", "tick_paise")
            assert all(getattr(found[key], field) == getattr(contract, field) for field in same)
        detailed = await read_catalogue(pair.rest, f"{pair.settings.base_url}/instrument/NSE_FNO", INDICES, DAY, until)
        assert {c.key: c for c in detailed.contracts} == {
            key: contract for key, contract in pair.contracts.items() if contract.underlying != "SENSEX"
        }, "with the freeze quantities, which the compact file lacks"


async def test_history_comes_out_as_the_market_has_it() -> None:
    async with both() as pair:
        at_ns = pair.world.now_ns
        for index in INDICES.values():
            candles = pair.world.history(index.key, at_ns)
            read = await DhanHistory(pair.rest).intraday_minutes(index.key, candles[0].start_ns, at_ns)
            assert read == candles
            assert len(read) >= 375


async def test_chains_and_expiries_come_out_as_the_market_has_them() -> None:
    async with both() as pair:
        chains = DhanChains(pair.rest, HandClock(), pair.contracts)
        expiries = await chains.expiries(NIFTY)
        assert expiries == pair.world.market.expiries("NIFTY")
        chain = await chains.option_chain(NIFTY, expiries[1])
        real = pair.world.chain("NIFTY", expiries[1])
        assert (chain.spot_paise, chain.rows) == (real.spot_paise, real.rows)


async def test_orders_book_and_pushes_come_out_as_the_exchange_has_them() -> None:
    async with both() as pair:
        await pair.engine.attach()
        call = near_call(pair.world.market)
        ask_paise = pair.world.market.quote(call.key, pair.world.now_ns).tick.ask_paise
        bought = await pair.walk(asyncio.create_task(pair.broker.place(order(pair, 1, Side.BUY, ask_paise + 200))))
        assert isinstance(bought, Accepted)
        trigger_paise = ask_paise * 7 // 10 // 5 * 5
        stop = order(pair, 2, Side.SELL, trigger_paise - trigger_paise // 20 // 5 * 5, trigger_paise)
        floor = await pair.walk(asyncio.create_task(pair.broker.place(stop)))
        assert isinstance(floor, Accepted)
        changed = ModifyOrder(
            "t-2", floor.broker_id, call.key, OrderKind.LIMIT, call.lot, ask_paise - 300, 0, Purpose.EXIT
        )
        assert isinstance(await pair.walk(asyncio.create_task(pair.broker.modify(changed))), Accepted)
        low = round(resting_price(pair.world.market, call) * 100)
        resting = await pair.walk(asyncio.create_task(pair.broker.place(order(pair, 3, Side.BUY, low))))
        assert isinstance(resting, Accepted)
        cancel = CancelOrder("t-3", resting.broker_id, call.key, Purpose.ENTRY)
        assert isinstance(await pair.walk(asyncio.create_task(pair.broker.cancel(cancel))), Accepted)
        again = await pair.walk(asyncio.create_task(pair.broker.cancel(cancel)))
        assert isinstance(again, Rejected)
        wrong = order(pair, 4, Side.BUY, low + 1)
        assert isinstance(await pair.walk(asyncio.create_task(pair.broker.place(wrong))), Rejected)
        for _ in range(10):
            await pair.engine.step(pair.engine.at_ns + 10_000_000)
        book, real = await pair.broker.read_book(), pair.world.book()
        by_id = {row.broker_id: row for row in real.orders}
        assert [row.broker_id for row in book.orders] == sorted(by_id, reverse=True), "newest first"
        for row in book.orders:
            expected = by_id[row.broker_id]
            same = (name for name in row.__struct_fields__ if name != "reason")
            assert all(getattr(row, name) == getattr(expected, name) for name in same), row
        assert book.positions == real.positions
        assert book.funds == real.funds
        found = await pair.broker.order_by_correlation("t-2")
        assert found is not None
        assert found.broker_id == floor.broker_id
        assert await pair.broker.order_by_correlation("nobody") is None
        assert await pair.broker.order_by_id("1") is None
        pushed = [parse_alert(json.loads(frame), pair.contracts) for frame in pair.engine.order_frames]
        last = {row.broker_id: row for row in pushed if row is not None}
        assert {number: row.status for number, row in last.items()} == {
            number: row.status for number, row in by_id.items()
        }
        assert {number: row.filled_value_paise for number, row in last.items()} == {
            number: row.filled_value_paise for number, row in by_id.items()
        }
        await pair.engine.leave()


async def test_a_lost_answer_is_unknown_and_the_book_settles_it() -> None:
    async with both() as pair:
        await pair.engine.attach()
        await pair.visitor.ask("POST", "/sim/faults", {"lose_after": 1})
        low = round(resting_price(pair.world.market, near_call(pair.world.market)) * 100)
        lost = await pair.walk(asyncio.create_task(pair.broker.place(order(pair, 1, Side.BUY, low))))
        assert isinstance(lost, Unknown)
        row = await pair.broker.order_by_correlation("t-1")
        assert row is not None
        assert row.status is BrokerStatus.PENDING
        await pair.engine.leave()
