"""Real child processes, as small as they come: ended, killed, dead too often."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.runtime.supervise import EXIT_NOT_YET, EXIT_REFUSED, EngineChild, Sessions
from tests.unit.runtime.doubles import HandClock

COUNTING = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); f.close(); sys.exit({code})"


class Watch:
    def __init__(self, *command: str, clock: HandClock | None = None) -> None:
        self.said: list[str] = []
        self.given_up = 0
        self.between_ns = 0
        self.clock = clock or HandClock(NS_PER_MINUTE * 1_000)
        self.child = EngineChild([sys.executable, "-S", "-E", *command], self.clock, self._say, self._gave_up)

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.clock.move(self.between_ns)

    async def _gave_up(self) -> None:
        self.given_up += 1

    async def run(self) -> int:
        async with asyncio.timeout(30):
            return await self.child.run()


def starts(path: Path) -> int:
    return len(path.read_text())


async def test_the_end_of_the_day_is_no_death(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    watch = Watch("-c", COUNTING.format(code=0), str(marks))
    assert await watch.run() == 0
    assert (watch.child.state, watch.child.restarts, starts(marks)) == ("stopped", 0, 1)
    assert watch.given_up == 0


async def test_three_restarts_in_ten_minutes_and_then_it_stays_down(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    watch = Watch("-c", COUNTING.format(code=7), str(marks))
    assert await watch.run() == 7
    assert starts(marks) == 4
    assert (watch.child.state, watch.child.restarts, watch.given_up) == ("failed", 3, 1)
    assert "exit code 7" in watch.said[0]
    assert "stays down" in watch.said[-1]


async def test_an_engine_that_refuses_to_start_is_not_started_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    watch = Watch("-c", COUNTING.format(code=EXIT_REFUSED), str(marks))
    assert await watch.run() == EXIT_REFUSED
    assert (watch.child.state, starts(marks), watch.given_up) == ("failed", 1, 0)
    assert "refused to start" in watch.said[-1]


async def test_deaths_far_apart_are_not_counted_together(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = COUNTING.replace("sys.exit({code})", "n = len(open(sys.argv[1]).read()); sys.exit(0 if n == 6 else 3)")
    watch = Watch("-c", code, str(marks))
    watch.between_ns = 4 * NS_PER_MINUTE
    assert await watch.run() == 0
    assert starts(marks) == 6
    assert watch.given_up == 0


async def test_a_killed_engine_is_a_death_that_is_named(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = COUNTING.replace(
        "sys.exit({code})", "len(open(sys.argv[1]).read()) > 1 or __import__('os').kill(__import__('os').getpid(), 9)"
    )
    watch = Watch("-c", code, str(marks))
    assert await watch.run() == 0
    assert starts(marks) == 2
    assert "signal SIGKILL" in watch.said[0]


async def test_asked_to_stop_it_ends_and_is_not_started_again(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    code = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(5)); open(sys.argv[1], 'w').close(); signal.pause()"
    )
    watch = Watch("-c", code, str(ready))
    running = asyncio.create_task(watch.run())
    await asyncio.to_thread(ready.read_bytes)  # returns when the child has opened and closed it
    await watch.child.stop()
    assert await running == 5
    assert watch.child.state == "stopped"
    assert watch.said == []


async def test_asked_to_stop_while_it_is_being_started_again_it_is_stopped() -> None:
    watch = Watch("-c", "import signal; signal.pause()")
    running = asyncio.create_task(watch.run())
    await watch.child.stop()
    assert await running == -15
    assert watch.child.state == "stopped"


async def test_between_sessions_nothing_runs_and_each_session_has_its_start(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    clock = HandClock(1_000)
    watch = Watch("-c", COUNTING.format(code=0), str(marks), clock=clock)
    starts_ns = iter((2_000, 3_000, 9_000))
    sessions = Sessions(watch.child, clock, watch.said.append, lambda _: (next(starts_ns), "market closed, wait"))
    running = asyncio.create_task(sessions.run())
    async with asyncio.timeout(30):
        await until(lambda: watch.child.state == "waiting")
        assert watch.child.detail == "market closed, wait"
        assert not marks.exists()
        clock.move(1_000)
        await until(lambda: marks.exists() and watch.child.state == "waiting")
        assert starts(marks) == 1
        clock.move(1_000)
        await until(lambda: starts(marks) == 2 and watch.child.state == "waiting")
        await watch.child.stop()
        assert await running == 0
    assert watch.said == ["market closed, wait"] * 3


async def test_an_engine_that_stays_down_ends_the_sessions(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    watch = Watch("-c", COUNTING.format(code=7), str(marks))
    sessions = Sessions(watch.child, watch.clock, watch.said.append, lambda now_ns: (now_ns, ""))
    async with asyncio.timeout(30):
        assert await sessions.run() == 7
    assert watch.child.state == "failed"


@pytest.mark.parametrize(("code", "after_ns"), [(EXIT_REFUSED, NS_PER_MINUTE), (EXIT_NOT_YET, 10 * NS_PER_SECOND)])
async def test_an_engine_that_could_not_start_is_tried_again_and_looks_failed_meanwhile(
    tmp_path: Path, code: int, after_ns: int
) -> None:
    marks = tmp_path / "marks"
    watch = Watch("-c", COUNTING.format(code=code), str(marks))
    begun = 0

    async def meanwhile() -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    sessions = Sessions(watch.child, watch.clock, watch.said.append, lambda now_ns: (now_ns, ""), meanwhile)
    running = asyncio.create_task(sessions.run())
    async with asyncio.timeout(30):
        await until(lambda: begun == 1)
        assert (watch.child.state, starts(marks)) == ("failed", 1)
        watch.clock.move(after_ns - 1)
        await until(lambda: True)
        assert begun == 1
        for time in range(2, 7):  # more often than an engine may die: none of these is a death
            watch.clock.move(after_ns)
            await until(lambda: begun == time)  # noqa: B023 - waited for inside the loop
            assert starts(marks) == time
        assert watch.given_up == 0
        await watch.child.stop()
        assert await running == 0


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)
