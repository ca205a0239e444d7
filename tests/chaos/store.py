"""A store in memory that keeps exactly what was committed, over any number of crashes."""

from __future__ import annotations

from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.orders import Order
from algo_scalper.domain.ports import Changes, Restored
from algo_scalper.domain.positions import Position


class MemoryStore:
    """`domain.ports.Store`. The records it is given are copies already, and it hands them on as they are."""

    def __init__(self) -> None:
        self.failing = False
        self.standing_halt = ""
        self.epoch = 0
        self._orders: dict[str, Order] = {}
        self._positions: dict[str, Position] = {}
        self._ledger: DayLedger | None = None
        self._soft: SoftState | None = None

    def next_epoch(self) -> int:
        """The next session number."""
        self.epoch += 1
        return self.epoch

    def commit(self, changes: Changes) -> None:
        """All of it or, while the disk is full, nothing."""
        if self.failing:
            raise StoreError("no space left on device")
        for order in changes.orders:
            self._orders[order.id] = order
        for position in changes.positions:
            self._positions[position.id] = position
        if changes.ledger is not None:
            self._ledger = changes.ledger

    def save_soft(self, soft: SoftState) -> None:
        """The last one."""
        self._soft = soft

    def restore(self, day_iso: str) -> Restored:
        """The day's positions, closed ones too, its orders, ledger, soft state and standing halt."""
        del day_iso
        return Restored(
            positions=tuple(self._positions.values()),
            orders=tuple(self._orders.values()),
            ledger=self._ledger,
            soft=self._soft,
            standing_halt=self.standing_halt,
        )
