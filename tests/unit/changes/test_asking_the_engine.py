"""A change asked for over the engine's socket: answered to who asked alone, and told when it is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from algo_scalper.domain.errors import DataError
from algo_scalper.domain.events import OperatorWord
from algo_scalper.runtime.publish import Answer, Ask, AskKind, Publisher, StreamReader, Word, ask_engine, say_to_engine
from tests.unit.desk import fake_day as fake
from tests.unit.desk.test_publish import until

WISH = Ask(AskKind.RULE, "limits.open", "1", "Asha")


async def test_who_asks_is_answered_and_who_watches_counts_on(tmp_path: Path) -> None:
    clock, heard, words = fake.HandClock(), list[Ask](), list[Word]()

    async def answer(ask: Ask) -> Answer:
        heard.append(ask)
        publisher.publish("view", fake.view())
        return Answer(done=True, text="at once")

    publisher = Publisher(clock, words.append, answer)
    await publisher.start(tmp_path / "s")
    reader = StreamReader(tmp_path / "s", clock)
    following = asyncio.create_task(reader.run())
    assert await ask_engine(tmp_path / "s", WISH, clock) == Answer(done=True, text="at once")
    assert heard == [WISH]
    assert await say_to_engine(tmp_path / "s", OperatorWord.APPLY, "P1", "Asha")
    await until(lambda: words and reader.replica.n == 1)
    assert words == [Word(OperatorWord.APPLY, "P1", "Asha")]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await publisher.close()


async def test_nobody_listening_is_no_answer_and_an_engine_that_is_silent_is_told_of(tmp_path: Path) -> None:
    clock = fake.HandClock()
    assert await ask_engine(tmp_path / "s", WISH, clock) is None
    assert not await say_to_engine(tmp_path / "s", OperatorWord.APPLY, "P1", "Asha")
    publisher = Publisher(clock, lambda _: None)
    await publisher.start(tmp_path / "s")
    asking = asyncio.create_task(ask_engine(tmp_path / "s", WISH, clock))
    while not asking.done():  # each turn lets it come further; the engine says nothing, whatever the time
        await asyncio.sleep(0)
        clock.move(10**8)
    with pytest.raises(DataError, match=r"whether limits\.open was changed is not known"):
        await asking
    await publisher.close()
