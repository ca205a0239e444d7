"""Which contracts a session on the real market may trade: the catalog's, which was judged, before any file read anew.

A file the import has refused is not traded by on another way: where today's is doubted, the catalog that stays counts.
An index whose terms have changed is not entered until a person has accepted that, which may happen at any moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import date, datetime
from typing import NamedTuple

from algo_scalper.adapters.storage.catalog import CatalogStore, Fact
from algo_scalper.domain.errors import BrokerError, DataError, StoreError
from algo_scalper.domain.events import ContractsChecked
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import IST, NS_PER_SECOND

IMPORT_PATIENCE_NS = 45 * NS_PER_SECOND
"""How long a start waits for the desk to import the file of the day; several times what an import takes."""
_LOOK_EVERY_NS = NS_PER_SECOND


class Listed(NamedTuple):
    """Contracts, and what is to be said about where they come from; mostly nothing."""

    contracts: tuple[Contract, ...]
    warning: str = ""


async def listed_contracts(
    catalog: CatalogStore,
    underlyings: Collection[str],
    day: date,
    until: date,
    read_file: Callable[[], Awaitable[tuple[Contract, ...]]],
    clock: Clock,
    patience_ns: int = 0,
) -> Listed:
    """Options that expire from ``day`` to ``until``.

    Where the catalog is not of this day it is looked at again for ``patience_ns``, for the desk may be importing it at
    this moment; only then ``read_file`` is asked, whose file nobody has judged.

    Raises `DataError` when the newest file was refused and nothing else lists them, and what ``read_file`` raises.
    """
    until_ns = clock.now_ns() + patience_ns
    while not _is_of(catalog, day):
        refused_on = _day_of(catalog.facts().get(Fact.LAST_REFUSED_AT, ""))
        if refused_on == day or clock.now_ns() >= until_ns:
            break
        await clock.sleep_until(clock.now_ns() + _LOOK_EVERY_NS)
    else:
        return Listed(catalog.contracts(underlyings, day, until))
    current, refusal = catalog.current(), catalog.facts().get(Fact.LAST_REFUSAL, "")
    if refusal:
        why: BrokerError | DataError = DataError(
            f"the newest instrument master was refused ({refusal}); see scalper instruments status; scalper instruments "
            "import tries again, with --force it overrules the doubts"
        )
    else:
        try:
            return Listed(await read_file())
        except (BrokerError, DataError) as fault:
            why = fault
    kept = catalog.contracts(underlyings, day, until) if current is not None else ()
    if current is None or not kept:
        raise why
    return Listed(kept, f"{why}; the catalog of {current.day} is used")


def _is_of(catalog: CatalogStore, day: date) -> bool:
    """Was the catalog made of that day's file, or found to be the same as it?"""
    current = catalog.current()
    return current is not None and day in {current.day, _day_of(catalog.facts().get(Fact.CONFIRMED_AT, ""))}


def _day_of(moment: str) -> date | None:
    """The Indian day of a statistic's time."""
    return datetime.fromisoformat(moment).astimezone(IST).date() if moment else None


class ChangedTerms:
    """The indices that wait for a person to accept their contracts' changed terms, as an engine was last told."""

    def __init__(
        self,
        catalog: CatalogStore,
        clock: Clock,
        take: Callable[[ContractsChecked], None],
        warn: Callable[[str, str], None],
    ) -> None:
        """``take`` is given the event, ``warn(code, text)`` tells a person of a catalog that cannot be read."""
        self._catalog = catalog
        self._clock = clock
        self._take = take
        self._warn = warn
        self._waiting: dict[str, str] = {}

    async def check(self) -> None:
        """Tell the engine which indices wait, when that has changed."""
        asked = asyncio.get_running_loop().run_in_executor(None, self._catalog.blocked_underlyings)
        try:
            blocked = await asked
        except StoreError as fault:
            self._warn("catalog_unread", str(fault))
            return
        waiting = {name: "; ".join(str(kept.change) for kept in changes) for name, changes in blocked.items()}
        if waiting != self._waiting:
            self._waiting = waiting
            self._take(ContractsChecked(self._clock.now_ns(), waiting))
