"""Job: the indices' minutes of the last sessions into the reference store, those that are missing there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date

from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.history import DhanHistory
from algo_scalper.domain.calendar import day_schedule, previous_trading_day
from algo_scalper.domain.instruments import INDICES
from algo_scalper.domain.units import NS_PER_MINUTE, ist_day
from algo_scalper.runtime.broker_account import broker_account, need_token
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.job import Due, Ground, Told

SESSIONS = 5


async def fill_candles(ground: Ground, due: Due) -> Told:
    """Ask the broker for what is missing, one request an index; amber when minutes stay missing."""
    wanted = expected_minutes(due.at_ns)
    missing = {name: await asyncio.to_thread(_missing, ground, INDICES[name].key, wanted) for name in ground.indices}
    if not any(missing.values()):
        return Told(Light.GREEN, f"the last {SESSIONS} sessions are whole")
    account = await asyncio.to_thread(broker_account, ground.settings, ground.data_dir, ground.clock.now_ns())
    need_token(account)
    said, left = [], 0
    async with DhanClient(account.dhan, ground.clock) as client:
        for name, starts in missing.items():
            if not starts:
                continue
            key = INDICES[name].key
            bars = await DhanHistory(client.rest).intraday_minutes(key, min(starts), max(starts) + NS_PER_MINUTE)
            fresh = [bar for bar in bars if bar.start_ns in starts]
            await asyncio.to_thread(ground.stores.reference.keep_candles, key, fresh)
            said.append(f"{name} {len(fresh):,} of {len(starts):,}")
            left += len(starts) - len(fresh)
    text = f"missing minutes fetched: {', '.join(said)}"
    if left:
        return Told(Light.AMBER, f"{text}; {left:,} the broker does not have")
    return Told(Light.GREEN, text)


def expected_minutes(at_ns: int) -> frozenset[int]:
    """First instants of all minutes the index was quoted in, of the last sessions that were over at ``at_ns``."""
    return frozenset(start_ns for day in _sessions(at_ns) for start_ns in _minutes(day))


def _sessions(at_ns: int) -> Iterator[date]:
    day = ist_day(at_ns)
    today = day_schedule(day)
    if today is None or at_ns < today.index[-1].end_ns:
        day = previous_trading_day(day)
    for _ in range(SESSIONS):
        yield day
        day = previous_trading_day(day)


def _minutes(day: date) -> Iterator[int]:
    schedule = day_schedule(day)
    for interval in schedule.index if schedule is not None else ():
        yield from range(interval.start_ns, interval.end_ns, NS_PER_MINUTE)


def _missing(ground: Ground, key: int, wanted: frozenset[int]) -> frozenset[int]:
    there = ground.stores.reference.candles_between(key, min(wanted), max(wanted) + 1)
    return wanted - {bar.start_ns for bar in there}
