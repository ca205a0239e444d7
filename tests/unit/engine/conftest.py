"""A signal the story decides, in the catalogue for the time of a test."""

from __future__ import annotations

import pytest

from algo_scalper.strategy.catalogue import SIGNALS
from tests.unit.engine.story import SIGNAL_NAME, said_by_the_close


@pytest.fixture(autouse=True)
def _story_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNALS, SIGNAL_NAME, said_by_the_close)
