"""What is kept beside the orders: a person's halt above all, over starts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from algo_scalper.adapters.storage.stores import Stores, open_stores
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import OperatorAsked, OperatorWord, SoftState
from algo_scalper.engine.engine import Engine
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.soft_state import SoftKeeper
from tests.unit.runtime.doubles import HandClock

DAY = date(2026, 11, 25)
NOW_NS = 1_795_586_400_000_000_000
ALGO = Path(__file__).resolve().parents[3] / "config" / "algo.yml"


class Start:
    """An engine that has begun, and the keeper of its soft state."""

    def __init__(self, stores: Stores) -> None:
        self.store = stores.trading("A")
        restored = self.store.restore(DAY.isoformat())
        self.engine = Engine()
        self.engine.handle(opening_event(NOW_NS, "A", 1, DAY, load_rules(ALGO), (), {}, restored=restored))
        self.said: list[str] = []
        self.keeper = SoftKeeper(
            self.engine, self.store, stores.decisions, HandClock(NOW_NS), self.said.append, restored.standing_halt
        )

    def word(self, word: OperatorWord) -> None:
        self.engine.handle(OperatorAsked(NOW_NS, word, "", "Asha"))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    opened = open_stores(None, tmp_path)
    yield opened
    opened.close()


async def test_a_halt_stands_in_the_next_start_until_it_is_lifted(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Start(stores)
    start.word(OperatorWord.HALT)
    await start.keeper.keep()
    assert start.keeper.halt == "halted by Asha"
    monkeypatch.setattr(start.store, "halt", lambda reason, **_: pytest.fail(f"kept twice: {reason}"))
    start.keeper.save()
    again = Start(stores)
    assert again.engine.state.halted == "halted by Asha"
    again.word(OperatorWord.RESUME)
    again.keeper.save()
    assert again.keeper.halt == ""
    assert Start(stores).engine.state.halted == ""


def test_what_could_not_be_saved_is_said_takes_nothing_else_along_and_is_tried_again(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Start(stores)
    start.word(OperatorWord.HALT)

    def full(soft: SoftState) -> None:
        raise StoreError(f"no space left on device: {soft.at_ns}")

    with monkeypatch.context() as broken:
        broken.setattr(start.store, "save_soft", full)
        start.keeper.save()
    assert start.said == [f"warning: the soft state was not saved: no space left on device: {NOW_NS}"]
    assert start.keeper.halt == "halted by Asha"
    start.keeper.save()
    assert len(start.said) == 1
