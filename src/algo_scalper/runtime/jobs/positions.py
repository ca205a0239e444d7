"""Job: after the close nothing is held, and the broker's positions are ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.replies import PositionRow
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.runtime.broker_account import broker_account, need_token
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told

LOOK = "look into the broker's app"


async def compare_positions(ground: Ground, _: Due) -> Told:
    """Red for what we still hold, or hold otherwise than the broker; amber for what is somebody else's."""
    held = await asyncio.to_thread(ground.stores.trading(ground.account).open_positions)
    names = {position.key: position.contract.name for position in held}
    ours = {key: sum(one.held for one in held if one.key == key) for key in names}
    wrong = [f"still held after the close: {quantity} {names[key]}" for key, quantity in ours.items()]
    if not ground.orders_at_broker:
        said = "nothing is held in the paper book" if not wrong else "; ".join(wrong)
        return Told(Light.RED if wrong else Light.GREEN, said)
    account = await asyncio.to_thread(broker_account, ground.settings, ground.data_dir, ground.clock.now_ns())
    need_token(account)
    async with DhanClient(account.dhan, ground.clock) as client:
        rows = await client.positions()
    theirs = net_quantities(rows)
    wrong += differences(ours, theirs, names)
    foreign = [f"{row.net_qty} {row.trading_symbol}" for row in rows if row.net_qty and _key(row) not in ours]
    if wrong:
        return Told(Light.RED, f"{'; '.join(wrong)}; {LOOK}")
    if foreign:
        return Told(Light.AMBER, f"we hold nothing; the account holds {', '.join(foreign)}, which is not ours; {LOOK}")
    return Told(Light.GREEN, "nothing is held, here and at the broker")


def net_quantities(rows: Iterable[PositionRow]) -> dict[int, int]:
    """Net quantity by instrument key, all products together. Raises `DataError` for a row that names no instrument."""
    found: dict[int, int] = {}
    for row in rows:
        found[_key(row)] = found.get(_key(row), 0) + row.net_qty
    return found


def differences(ours: Mapping[int, int], theirs: Mapping[int, int], names: Mapping[int, str]) -> Iterator[str]:
    """A sentence for every contract of ours the broker has in another quantity."""
    for key, quantity in ours.items():
        there = theirs.get(key, 0)
        if there != quantity:
            yield f"{names[key]}: we have {quantity}, the broker has {there}"


def _key(row: PositionRow) -> int:
    segment, security_id = str(row.exchange_segment), str(row.security_id)
    if segment not in Segment.__members__ or not (security_id.isascii() and security_id.isdigit()):
        raise DataError(f"a position of the broker names no instrument: {segment}:{security_id} {row.trading_symbol}")
    return instrument_key(Segment[segment], int(security_id))
