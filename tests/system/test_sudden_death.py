"""The process dies by SIGKILL before and after its n-th write or send; the next one finds everything again.

Marks stand around every write of journal, store and paper book, around every send of the order lane, and at every step
of stepped time in which a request is under way. The short form kills at marks spread over a whole trade, half of them
at the orders', and at a few chosen by chance; the long form (``ALGO_SCALPER_SOAK=1``) at every one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.system.lives import KILLED, Nursery, stage

BROKERS = ("simulator", "paper")
SPREAD = 10
CHANCES = 3
DOWNTIME_S = 30
SOAK = bool(os.environ.get("ALGO_SCALPER_SOAK"))
MARKS = {
    *("journal.before_write", "journal.after_write", "journal.before_sync", "journal.after_sync"),
    *("store.before_commit", "store.after_commit", "lane.before_send", "lane.in_flight", "lane.after_answer"),
}
PAPER_MARKS = {"paper.before_commit", "paper.after_commit"}

_marks: dict[str, list[str]] = {}
"""The marks of a whole life, by broker; counted once in each worker."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """One for all lives of a worker."""
    born = Nursery()
    yield born
    born.close()


async def marks_of(nursery: Nursery, folder: Path, broker: str) -> list[str]:
    """The names of the marks a life without a kill goes through."""
    if broker not in _marks:
        home = folder / "counted"
        home.mkdir()
        async with stage(nursery, home, broker) as there:
            code = await there.live(marks=home / "marks")
            assert code == 0, there.log.read_text()
            there.check()
            assert len(there.our_books().trades) == 1, "the scenario lost its trade"
        _marks[broker] = (home / "marks").read_text().split()
    return _marks[broker]


def spread(places: Sequence[int], part: int) -> int:
    """One of places, evenly over all of them: the parts of one kind are half of `SPREAD`, from the first to the last."""
    return places[part * (len(places) - 1) // (SPREAD // 2 - 1)]


async def dies_and_lives(nursery: Nursery, folder: Path, broker: str, kills: tuple[int, ...], downtime_s: int) -> None:
    """Kill one life after another, each at its n-th mark; let the last one live, and look at everything."""
    home = folder / f"killed-{'-'.join(map(str, kills))}"
    home.mkdir()
    async with stage(nursery, home, broker) as there:
        for number, kill_at in enumerate(kills):
            code = await there.live(kill_at=kill_at, downtime_s=downtime_s if number else 0)
            assert code == KILLED, f"mark {kill_at} did not kill but: {code}\n{there.log.read_text()}"
        code = await there.live(downtime_s=downtime_s)
        assert code == 0, there.log.read_text()
        try:
            there.check()
        except AssertionError as broken:
            broken.add_note(f"{broker}, killed at {kills}, {downtime_s} s down\n{there.log.read_text()}")
            raise


@pytest.mark.parametrize("broker", BROKERS)
async def test_a_life_without_a_kill_goes_through_every_kind_of_mark(
    nursery: Nursery, tmp_path: Path, broker: str
) -> None:
    marks = await marks_of(nursery, tmp_path, broker)
    assert set(marks) == MARKS | (PAPER_MARKS if broker == "paper" else set())
    assert marks.count("lane.before_send") == marks.count("lane.after_answer") >= 5  # buy, floor, grown, lifted, out


@pytest.mark.parametrize("broker", BROKERS)
@pytest.mark.parametrize("part", range(SPREAD))
async def test_killed_at_a_mark_the_next_life_finds_everything(
    nursery: Nursery, tmp_path: Path, broker: str, part: int
) -> None:
    marks = await marks_of(nursery, tmp_path, broker)
    every = range(1, len(marks) + 1)
    for_orders = [place for place in every if marks[place - 1].startswith("lane.")]
    places = every[part::SPREAD] if SOAK else [spread(for_orders if part % 2 else every, part // 2)]
    for place in places:
        await dies_and_lives(nursery, tmp_path, broker, (place,), DOWNTIME_S if place % 3 == 0 else 0)


@pytest.mark.parametrize("broker", BROKERS)
async def test_killed_at_marks_chosen_by_chance(nursery: Nursery, tmp_path: Path, broker: str) -> None:
    seed = int(os.environ.get("ALGO_SCALPER_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"again with: ALGO_SCALPER_SEED={seed}")
    chance = random.Random(seed)
    count = len(await marks_of(nursery, tmp_path, broker))
    for place in chance.sample(range(1, count + 1), CHANCES):
        await dies_and_lives(nursery, tmp_path, broker, (place,), chance.choice((0, DOWNTIME_S)))


@pytest.mark.parametrize("broker", BROKERS)
async def test_killed_again_and_again_while_it_recovers(nursery: Nursery, tmp_path: Path, broker: str) -> None:
    marks = await marks_of(nursery, tmp_path, broker)
    bought = marks.index("lane.after_answer") + 1
    started = marks.index("lane.before_send") - 1
    recovering = range(1, started + 12) if SOAK else (started,)
    for place in recovering:
        await dies_and_lives(nursery, tmp_path, broker, (bought, place, place + 3), 0)
