"""What a job is, what it is given, and what it says when it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from algo_scalper.adapters.storage.stores import Stores
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MINUTE
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.jobs.when import When
from algo_scalper.runtime.settings import Settings


class Market(StrEnum):
    """Whose time a desk lives in. A simulator's day is over in minutes: what goes by the calendar has no place there."""

    REAL = "REAL"
    SIMULATED = "SIMULATED"


class Told(NamedTuple):
    """What a job says. Amber: it is done, and somebody should know. Red: counted as failed."""

    light: Light
    text: str


class Ground(NamedTuple):
    """All a job may use."""

    settings: Settings
    indices: tuple[str, ...]
    """Names of the indices in the rules."""
    data_dir: Path
    account: str
    stores: Stores
    clock: Clock
    report: Callable[[date | None], tuple[date | None, list[str]]]
    """The report's lines of a day, and which day it is: the last one where none is named."""
    orders_at_broker: bool = False
    """Our orders go over the wire: the broker's positions are ours too. False for the paper book."""
    troubles: Callable[[], Sequence[str]] = tuple
    """What the desk sees wrong with the engine, in sentences."""


class Due(NamedTuple):
    """The time a run is for."""

    at_ns: int
    by_hand: bool = False


Work = Callable[[Ground, Due], Awaitable[Told]]
"""Raises `AlgoScalperError` when it cannot be done."""


class Job(NamedTuple):
    """A row of the table of jobs."""

    name: str
    what: str
    when: When
    work: Work
    make_up_ns: int
    """A run missed by no more than this is made up; 0: a missed run is left out."""
    limit_ns: int = 15 * NS_PER_MINUTE
    """A run that takes longer is given up."""
    markets: tuple[Market, ...] = (Market.REAL,)
    """On whose time it runs by the clock."""
    ends_simulated_day: bool = False
    """Run when a simulator's day is over."""
    once_a_database: bool = False
    """Once for all desks on one database; else once for each account."""
    on_new_database: bool = False
    """Made up also where it never ran before."""
    alarm_after: int = 1
    """Failures in a row before a person is told."""

    def account_of(self, account: str) -> str:
        """Whose run it is in the record."""
        return "" if self.once_a_database else account
