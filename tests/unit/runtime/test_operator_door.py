"""What people say to an engine: in order, not before it can hear, and kept at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from algo_scalper.domain.events import Event, OperatorAsked, OperatorWord
from algo_scalper.engine.engine import Engine
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.operator_door import NOTHING_CHANGES, OperatorDoor
from algo_scalper.runtime.publish import Ask, AskKind, Word
from tests.unit.runtime.doubles import HandClock

NOW_NS = 1_795_586_400_000_000_000
ALGO = Path(__file__).resolve().parents[3] / "config" / "algo.yml"
NOT_NEEDED: Any = None


class Ear:
    """A session that notes what it is given."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.taken: list[Event] = []

    def take(self, event: Event) -> None:
        self.taken.append(event)


def door_of(ear: Ear, kept: list[str]) -> OperatorDoor:
    session: Any = ear
    clock = HandClock(NOW_NS)
    return OperatorDoor(
        session, clock, NOT_NEEDED, "A", NOT_NEEDED, lambda: kept.append("kept"), lambda code, text: None
    )


def test_words_said_before_the_first_event_are_obeyed_after_it_in_their_order() -> None:
    ear, kept = Ear(), list[str]()
    door = door_of(ear, kept)
    door.on_word(Word(OperatorWord.HALT, "", "Asha"))
    door.on_word(Word(OperatorWord.RESUME, "", "Ravi"))
    assert (ear.taken, kept) == ([], [])
    ear.engine.handle(opening_event(NOW_NS, "A", 1, date(2026, 11, 25), load_rules(ALGO), (), {}))
    door.say_early_words()
    assert ear.taken == [
        OperatorAsked(NOW_NS, OperatorWord.HALT, "", "Asha"),
        OperatorAsked(NOW_NS, OperatorWord.RESUME, "", "Ravi"),
    ]
    assert kept == ["kept", "kept"]


async def test_an_engine_with_rules_of_its_own_says_that_nothing_can_be_changed() -> None:
    answer = await door_of(Ear(), []).on_ask(Ask(AskKind.RULE, "limits.open", "1", "Asha"))
    assert (answer.done, answer.text) == (False, NOTHING_CHANGES)
