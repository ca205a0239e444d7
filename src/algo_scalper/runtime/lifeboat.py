"""The lifeboat: what is done for the account when the engine can no longer be trusted. No engine code is used here.

`cancel_buys` withdraws every live buy order of ours and leaves the floors resting. `sell_floors` is for when the engine
will not come back: it turns our resting sells into marketable limits. Both work from the broker's book alone, by our
tag, and say what they did and what they could not do.
"""

from __future__ import annotations

from collections.abc import Iterable

from algo_scalper.domain.commands import CancelOrder, ModifyOrder
from algo_scalper.domain.errors import BrokerError
from algo_scalper.domain.instruments import key_text
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Purpose, Side
from algo_scalper.domain.ports import Accepted, Broker
from algo_scalper.domain.units import rupees_text

_WORKING = frozenset({BrokerStatus.TRANSIT, BrokerStatus.PENDING, BrokerStatus.PART_TRADED})
TICK_PAISE = 5
LADDER_BPS = (10_000, 11_500, 13_000, 15_000)
"""Limits tried for a floor, as parts of its trigger. The floor's trigger lies under the market, so a limit there is
marketable; where the exchange's band refuses it as too low, the next rung is higher."""


async def cancel_buys(broker: Broker, tag: str) -> list[str]:
    """Withdraw every working buy of ours; one sentence per order."""
    said: list[str] = []
    for row in await _working(broker, tag, Side.BUY, said):
        outcome = await broker.cancel(CancelOrder(row.correlation_id, row.broker_id, row.key, Purpose.ENTRY))
        said.append(f"buy {row.broker_id} cancel: {type(outcome).__name__.lower()}")
    return said


async def sell_floors(broker: Broker, tag: str) -> list[str]:
    """Turn every resting sell of ours into a marketable limit; one sentence per order."""
    said: list[str] = []
    for row in await _working(broker, tag, Side.SELL, said):
        if row.kind is OrderKind.LIMIT:
            said.append(f"sell {row.broker_id}: already a limit at {rupees_text(row.price_paise)}")
            continue
        said.append(await _sell(broker, row))
    return said


async def _sell(broker: Broker, row: BrokerOrder) -> str:
    for price in _rungs(row.trigger_paise or row.price_paise):
        change = ModifyOrder(
            row.correlation_id, row.broker_id, row.key, OrderKind.LIMIT, row.quantity, price, 0, Purpose.EXIT
        )
        outcome = await broker.modify(change)
        if isinstance(outcome, Accepted):
            return f"sell {row.broker_id}: now a limit at {rupees_text(price)}"
    return f"sell {row.broker_id}: could not be changed; the floor rests at {rupees_text(row.trigger_paise)}"


def _rungs(trigger_paise: int) -> Iterable[int]:
    for bps in LADDER_BPS:
        yield max(trigger_paise * bps // 10_000 // TICK_PAISE * TICK_PAISE, TICK_PAISE)


async def _working(broker: Broker, tag: str, side: Side, said: list[str]) -> list[BrokerOrder]:
    try:
        book = await broker.read_book()
    except BrokerError as error:
        said.append(f"the book could not be read, nothing was changed: {error}")
        return []
    said.extend(f"{held.net_quantity} long in {key_text(held.key)}" for held in book.positions if held.net_quantity > 0)
    prefix = tag + "-"
    return [
        row
        for row in book.orders
        if row.side is side and row.status in _WORKING and row.correlation_id.startswith(prefix)
    ]
