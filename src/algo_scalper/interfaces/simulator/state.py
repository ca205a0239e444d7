"""Each account's books in a small file, so that a killed and restarted simulator still has its orders and positions."""

from __future__ import annotations

import glob
from datetime import date
from pathlib import Path

import msgspec

from algo_scalper.domain.errors import DataError
from algo_scalper.interfaces.simulator.account import AccountState
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.simulation.exchange import ExchangeState, next_day
from algo_scalper.simulation.standing import StandingState


class Saved(msgspec.Struct, frozen=True):
    """What the file holds: the exchange's books, and both times at which they were written."""

    now_ns: int
    """Virtual time; 0 before the day has begun."""
    real_ns: int
    """The real clock's."""
    exchange: ExchangeState
    account: AccountState | None = None
    standing: StandingState | None = None

    def resumed_ns(self, real_ns: int, rate: float) -> int:
        """Virtual time now: the market went on at ``rate`` while nobody served it. Nothing is added for a rate of 0."""
        if not self.now_ns:
            return 0
        return self.now_ns + round(max(real_ns - self.real_ns, 0) * rate)


class StateFile:
    """Written whole and swapped in, so that a kill in the middle leaves the previous one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")

    def of(self, client_id: str) -> StateFile:
        """The file beside this one that keeps another account."""
        return StateFile(self._path.with_name(f"{self._path.name}.{client_id}"))

    def others(self) -> list[str]:
        """The client ids whose books lie beside this file."""
        return sorted(
            other.name.removeprefix(f"{self._path.name}.")
            for other in self._path.parent.glob(f"{glob.escape(self._path.name)}.*")
            if other.suffix != ".next"
        )

    def save(self, desk: Desk, real_ns: int) -> None:
        """Keep the account and its books as they stand."""
        world = desk.world
        account, standing = desk.account.export(), desk.standing.export()
        saved = Saved(world.now_ns, real_ns, world.exchange.export(), account, standing)
        self._next.write_bytes(msgspec.json.encode(saved))
        self._next.replace(self._path)

    def load(self, day: date) -> Saved | None:
        """The books to begin ``day`` with: resumed, carried over from an earlier day, or None when there is no file.

        Raises `DataError` for a file that cannot be read or is of a later day.
        """
        if not self._path.exists():
            return None
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=Saved)
        except msgspec.DecodeError as torn:
            raise DataError(
                f"{self._path} is not a simulator's state ({torn}); remove it to begin with a new account"
            ) from None
        kept = saved.exchange
        if kept.day > day:
            raise DataError(f"{self._path} is of {kept.day}, after {day}; remove it or simulate a later day")
        if kept.day < day:
            standing = saved.standing.next_day() if saved.standing is not None else StandingState()
            return Saved(0, saved.real_ns, next_day(kept, day), saved.account, standing)
        return saved
