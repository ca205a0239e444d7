"""Work beside the path: its faults are told, and it ends with the process or is named."""

from __future__ import annotations

import asyncio

from algo_scalper.runtime.background import END_WITHIN_NS, Background
from tests.unit.runtime.doubles import HandClock, turns


async def breaks() -> None:
    raise ValueError("the cat sat on it")


async def waits() -> None:
    await asyncio.Event().wait()


async def stays() -> None:
    """Will not be cancelled, twice."""
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def test_what_a_task_ends_by_is_told_and_a_cancelled_one_is_no_fault() -> None:
    faults, unhandled = list[BaseException](), list[dict[str, object]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    background = Background(faults.append)
    background.spawn(breaks())
    background.spawn(waits())
    await turns()
    await background.end(HandClock(), lambda text: None)
    await turns()
    assert [str(fault) for fault in faults] == ["the cat sat on it"]
    assert unhandled == []


async def test_what_does_not_end_in_time_is_named_and_left() -> None:
    background, clock, said = Background(lambda fault: None), HandClock(), list[str]()
    background.spawn(stays())
    background.spawn(waits())
    await turns()
    ending = asyncio.create_task(background.end(clock, said.append))
    await turns()
    assert not ending.done()
    clock.move(END_WITHIN_NS)
    await ending
    assert len(said) == 1
    assert said[0].startswith("did not end in time and was left: <coroutine object stays")
    await background.end(clock, said.append)  # now it goes
    assert len(said) == 1
