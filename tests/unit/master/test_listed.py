"""What a session on the real market may trade: the judged catalog, never a file the import has refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from algo_scalper.domain.errors import BrokerUnreachable, DataError, StoreError
from algo_scalper.domain.events import ContractsChecked
from algo_scalper.domain.instruments import Contract
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_SECOND
from algo_scalper.runtime.listed import ChangedTerms, Listed, listed_contracts
from tests.unit.master.files import DAY, StillClock, changed, option_of, whole_market
from tests.unit.master.imports import Desk, a_desk, a_desk_with_a_catalog

UNTIL = DAY + timedelta(days=14)
NEXT_DAY = DAY + timedelta(days=1)
READ_ANEW: tuple[Contract, ...] = ()
"""What the file read here has: nothing, to be told apart from what the catalog has."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with a_desk_with_a_catalog(tmp_path) as desk:
        yield desk


async def the_file() -> tuple[Contract, ...]:
    return READ_ANEW


async def no_answer() -> tuple[Contract, ...]:
    raise BrokerUnreachable("instrument master: did not come")


def listed(
    desk: Desk,
    read_file: Callable[[], Awaitable[tuple[Contract, ...]]] = the_file,
    days: int = 1,
    clock: StillClock | None = None,
    patience_s: int = 0,
) -> Listed:
    waited_on = clock if clock is not None else desk.clock
    day, patience_ns = DAY + timedelta(days=days), patience_s * NS_PER_SECOND
    return asyncio.run(listed_contracts(desk.catalog, ["NIFTY"], day, UNTIL, read_file, waited_on, patience_ns))


def test_the_catalog_of_the_day_is_used_and_no_file_is_read(desk: Desk) -> None:
    found = listed(desk, no_answer, days=0)
    assert {contract.lot for contract in found.contracts} == {65}
    assert found.warning == ""


def test_a_catalog_of_yesterday_that_was_confirmed_today_is_used(desk: Desk) -> None:
    desk.clock.at_ns += NS_PER_DAY
    assert desk.take_lines(whole_market()).outcome == "unchanged"
    assert listed(desk, no_answer).contracts


def test_where_nobody_has_imported_today_the_file_is_read(desk: Desk) -> None:
    assert listed(desk) == Listed(READ_ANEW)


class DeskAtWork(StillClock):
    """While somebody waits three seconds, the desk does its ``job``."""

    def __init__(self, desk: Desk, job: Callable[[], object]) -> None:
        super().__init__(desk.clock.at_ns)
        self._jobs = {desk.clock.at_ns + 3 * NS_PER_SECOND: job}

    async def sleep_until(self, at_ns: int) -> None:
        await super().sleep_until(at_ns)
        job = self._jobs.pop(at_ns, None)
        if job is not None:
            await asyncio.to_thread(job)


def test_a_start_waits_while_the_desk_imports_the_file_of_the_day(desk: Desk) -> None:
    desk.clock.at_ns += NS_PER_DAY
    new = changed(whole_market(), option_of("NIFTY"), lot_size="75.0")
    clock = DeskAtWork(desk, lambda: desk.take_lines(new))
    found = listed(desk, no_answer, clock=clock, patience_s=45)
    assert ({contract.lot for contract in found.contracts}, found.warning) == ({75}, "")
    assert len(clock.waited_ns) == 3


def test_a_start_waits_no_longer_than_the_desk_takes_to_refuse_the_file(desk: Desk) -> None:
    desk.clock.at_ns += NS_PER_DAY
    doubled = changed(whole_market(), option_of("NIFTY"), lot_size="130.0")
    clock = DeskAtWork(desk, lambda: desk.take_lines(doubled))
    assert "was refused" in listed(desk, no_answer, clock=clock, patience_s=45).warning
    assert len(clock.waited_ns) == 3


def test_an_import_that_never_comes_is_waited_for_so_long_and_not_longer(desk: Desk) -> None:
    clock = StillClock(desk.clock.at_ns)
    assert listed(desk, clock=clock, patience_s=45) == Listed(READ_ANEW)
    assert sum(clock.waited_ns) == 45 * NS_PER_SECOND


def test_a_file_that_was_refused_is_not_read_on_another_way(desk: Desk) -> None:
    desk.clock.at_ns += NS_PER_DAY
    assert desk.take_lines(changed(whole_market(), option_of("NIFTY"), lot_size="130.0")).outcome == "refused"
    found = listed(desk)
    assert {contract.lot for contract in found.contracts} == {65}
    assert "the newest instrument master was refused (lot: the lot of NIFTY" in found.warning
    assert found.warning.endswith(f"; the catalog of {DAY} is used")


def test_without_a_catalog_a_refused_file_begins_no_session(tmp_path: Path) -> None:
    with a_desk(tmp_path) as desk:
        desk.take_lines([line for line in whole_market() if line["SECURITY_ID"] != "51"])
        with pytest.raises(
            DataError, match=r"was refused .*index missing: SENSEX.*scalper instruments import tries again"
        ):
            listed(desk)


def test_a_file_that_does_not_come_leaves_the_old_catalog_or_ends_the_start(desk: Desk, tmp_path: Path) -> None:
    found = listed(desk, no_answer)
    assert found.contracts
    assert found.warning == f"instrument master: did not come; the catalog of {DAY} is used"
    with a_desk(tmp_path / "another") as empty, pytest.raises(BrokerUnreachable):
        listed(empty, no_answer)


class Catalog:
    """A catalog whose waiting changes the test puts down."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[SimpleNamespace, ...]] = {}
        self.broken = False

    def blocked_underlyings(self) -> dict[str, tuple[SimpleNamespace, ...]]:
        if self.broken:
            raise StoreError("reference store: disk I/O error")
        return self.waiting


async def test_an_engine_is_told_which_indices_wait_for_a_person_and_only_when_that_has_changed() -> None:
    catalog, taken, warned = Catalog(), list[ContractsChecked](), list[tuple[str, str]]()
    as_catalog: Any = catalog
    terms = ChangedTerms(as_catalog, StillClock(7), taken.append, lambda code, text: warned.append((code, text)))
    await terms.check()
    assert taken == []
    lot, expiry = SimpleNamespace(change="lot 65 -> 70"), SimpleNamespace(change="expires on Monday")
    catalog.waiting = {"NIFTY": (lot, expiry)}
    for _ in range(2):
        await terms.check()
    assert taken == [ContractsChecked(7, {"NIFTY": "lot 65 -> 70; expires on Monday"})]
    catalog.broken = True
    await terms.check()
    assert warned == [("catalog_unread", "reference store: disk I/O error")]
    catalog.broken, catalog.waiting = False, {}
    await terms.check()
    assert taken[1:] == [ContractsChecked(7, {})]
