"""What is kept every few seconds beside the orders: cooldowns, a pause, the decision log, and a person's halt.

A process that dies loses the last seconds of it and nothing that protects money; but a halt stands until a person lifts
it, over restarts and days, and is therefore kept as soon as it is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from algo_scalper.adapters.storage.reference import DecisionLog
from algo_scalper.adapters.storage.trading import TradingStore
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.ports import Clock
from algo_scalper.engine.engine import Engine


class SoftKeeper:
    """Writes one engine's soft state."""

    def __init__(
        self,
        engine: Engine,
        store: TradingStore,
        decisions: DecisionLog,
        clock: Clock,
        say: Callable[[str], None],
        halt: str,
    ) -> None:
        """``halt``: the standing halt as it was restored; ``say`` is told what could not be saved."""
        self._engine = engine
        self._store = store
        self._decisions = decisions
        self._clock = clock
        self._say = say
        self.halt = halt
        """A person's halt as the store has it; empty when there is none."""

    async def keep(self) -> None:
        """As `save`, in a worker thread."""
        await asyncio.get_running_loop().run_in_executor(None, self.save)

    def save(self) -> None:
        """Write all of it now. A store that takes nothing is told of, and tried again the next time."""
        state = self._engine.state
        soft = SoftState(
            state.now_ns,
            {name: index.cooldown_until_ns for name, index in state.indices.items()},
            state.paused_until_ns,
        )
        parts: tuple[tuple[str, Callable[[], None]], ...] = (
            ("a person's halt was", lambda: self._keep_halt(state.halted)),
            ("the soft state was", lambda: self._store.save_soft(soft)),
            ("decisions were", self._decisions.write),
        )
        for what, write in parts:
            try:
                write()
            except StoreError as error:  # what fails takes nothing else along
                self._say(f"warning: {what} not saved: {error}")

    def _keep_halt(self, halted: str) -> None:
        if halted == self.halt:
            return
        if halted:
            self._store.halt(halted, at_ns=self._clock.now_ns(), by="operator")
        else:
            self._store.lift_halt(at_ns=self._clock.now_ns(), by="operator")
        self.halt = halted
