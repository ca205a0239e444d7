"""What the catalog must do, on SQLite and on a real PostgreSQL: readers see the old one or the new one, orders never wait."""

from __future__ import annotations

import gzip
import os
import random
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter_ns

import msgspec
import pytest
import sqlalchemy as sa

from algo_scalper.adapters.master.links import Parents, parents_of
from algo_scalper.adapters.master.reader import MasterFile
from algo_scalper.adapters.storage.catalog import Build, CatalogStore
from algo_scalper.adapters.storage.database import Database, postgres_database, sqlite_database
from algo_scalper.adapters.storage.migrations.run import downgrade, upgrade
from algo_scalper.adapters.storage.stores import open_catalog, open_stores
from algo_scalper.adapters.storage.tables import REFERENCE, catalog_generations, derivatives, instruments
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.instruments import INDICES, Contract, Segment, instrument_key
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import ist_ns
from algo_scalper.runtime.catalog_import import Outcome
from tests.contract.histories import DAY as TRADED
from tests.contract.histories import one_trade
from tests.shared_data import shared
from tests.unit.master.files import DAY, NOW_NS, changed, detailed, option_of, read, whole_market
from tests.unit.master.imports import Desk

UNTIL = DAY + timedelta(days=60)
OLD = detailed(whole_market())
NEW = detailed(changed(whole_market(), option_of("NIFTY"), lot_size="75.0"))
ROWS = read(OLD)
KINDS = (len(ROWS.listings), len(ROWS.derivatives))
BAR = Candle(60, 100, 110, 90, 105)
Mark = Callable[[str], None]


class Place:
    """Where the stores lie."""

    def __init__(self, url: str | None, folder: Path) -> None:
        self.url = url
        self.folder = folder
        folder.mkdir(exist_ok=True)

    @contextmanager
    def desk(self, mark: Mark = lambda _step: None) -> Iterator[Desk]:
        with open_catalog(self.url, self.folder, mark=mark) as catalog:
            yield Desk(catalog, self.folder)

    def reference(self) -> Database:
        if self.url:
            return postgres_database(self.url, "reference")
        return sqlite_database(self.folder / "reference.sqlite3", "reference")

    def rows(self, statement: sa.Select[tuple[object, ...]]) -> list[tuple[object, ...]]:
        with closing(self.reference()) as database, database.read("looking") as connection:
            return [tuple(row) for row in connection.execute(statement)]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return Place(url, tmp_path / "data")


@pytest.fixture(params=["sqlite", "postgres"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = request.getfixturevalue("new_postgres_url") if request.param == "postgres" else None
    return Place(url, tmp_path / "data")


def nifty(catalog: CatalogStore) -> tuple[Contract, ...]:
    return catalog.contracts(["NIFTY"], DAY, UNTIL)


def counts(place: Place) -> dict[object, tuple[int, int]]:
    """Rows of each generation that has any."""
    found: dict[object, list[int]] = {}
    for at, table in enumerate((instruments, derivatives)):
        for generation, count in place.rows(
            sa.select(table.c.generation, sa.func.count()).group_by(table.c.generation)
        ):
            found.setdefault(generation, [0, 0])[at] = int(str(count))
    return {generation: (both[0], both[1]) for generation, both in found.items()}


# --- what is in the file is what is read --------------------------------------------------------------------------------


def test_what_was_imported_is_read_back(place: Place) -> None:
    with place.desk() as desk:
        report = desk.take(OLD)
        assert (report.outcome, report.instrument_total, report.derivative_total) == (Outcome.IMPORTED, *KINDS)
        found = desk.catalog.contracts(INDICES, DAY, UNTIL)
        expected = [row.contract(row.freeze_quantity or 0) for row in ROWS.derivatives if row.kind == "OPTIDX"]
        assert sorted(found, key=lambda one: one.key) == sorted(expected, key=lambda one: one.key)
        assert list(found) == sorted(
            found,
            key=lambda one: (sorted(INDICES).index(one.underlying), one.expiry, one.strike_paise, one.option_type),
        )
        assert {one.expiry for one in desk.catalog.contracts(["NIFTY"], date(2026, 9, 9), UNTIL)} == {date(2026, 9, 15)}
        linked = place.rows(
            sa.select(derivatives.c.underlying_key).where(derivatives.c.underlying == "ABB").order_by(derivatives.c.key)
        )
        assert linked == [(instrument_key(Segment.NSE_EQ, 13),), (instrument_key(Segment.BSE_EQ, 13),)]


def test_the_same_file_again_is_nothing_to_do_unless_it_is_wanted_anew(place: Place) -> None:
    with place.desk() as desk:
        first = desk.take(OLD).generation
        again = desk.take(OLD)
        assert (again.outcome, again.generation, again.instrument_total) == (Outcome.UNCHANGED, first, KINDS[0])
        anew = desk.take(OLD, anew=True)
        assert (anew.outcome, anew.generation == first, anew.changes) == (Outcome.IMPORTED, False, ())


def test_the_statistics_have_the_names_people_know(place: Place) -> None:
    with place.desk() as desk:
        desk.take(OLD)
        facts = desk.catalog.facts()
        names = ("last_imported_at", "last_import_duration_sec", "last_instrument_rows", "last_derivative_rows",
                 "last_instrument_upserts", "last_derivative_upserts", "instrument_total", "derivative_total")  # fmt: skip
        found = [facts[f"instruments.{name}"] for name in names]
        assert found == ["2026-09-07T03:00:00+00:00", "0.0", *(str(number) for number in KINDS * 3)]


def test_the_last_two_generations_are_kept_and_the_others_only_remembered(place: Place) -> None:
    with place.desk() as desk:
        numbers = [desk.take(text).generation for text in (OLD, NEW, OLD, NEW)]
        assert counts(place) == {numbers[2]: KINDS, numbers[3]: KINDS}
        states = place.rows(sa.select(catalog_generations.c.state).order_by(catalog_generations.c.number))
        assert states == [("pruned",), ("pruned",), ("published",), ("published",)]
        told = [kept.change.what for kept in desk.catalog.changes_of(numbers[1] or 0)]
        assert told == ["lot", "freeze"], "what changed is told for ever"


# --- old or new, never both ---------------------------------------------------------------------------------------------


def test_readers_see_the_old_catalog_or_the_new_one(place: Place) -> None:
    """A reader between any two transactions of an import, and one that began before it was published."""
    with place.desk() as reading:
        reading.take(OLD)
        seen: list[set[int]] = []

        def look(step: str) -> None:
            if step in {"store.before_commit", "store.after_commit"}:
                found = nifty(reading.catalog)
                assert len(found) == 24
                seen.append({one.lot for one in found})

        with place.desk(look) as writing:
            assert writing.take(NEW).outcome is Outcome.IMPORTED
        assert all(len(lots) == 1 for lots in seen)
        assert [lots for at, lots in enumerate(seen) if at == 0 or lots != seen[at - 1]] == [{65}, {75}]
        assert len(seen) > 15


def test_an_import_that_another_has_overtaken_is_told(place: Place) -> None:
    with place.desk() as desk:
        replaced = desk.take(OLD).generation
        build = Build("digest", "a file", "detailed", DAY, NOW_NS, 1, 1, 1, "")
        file: MasterFile = ROWS
        parents: Parents = parents_of(file.listings, file.derivatives)
        first = desk.catalog.begin(build)
        newer = desk.take(NEW).generation
        with pytest.raises(StoreError, match="another import has begun"):
            desk.catalog.add(first, file.listings, file.derivatives, parents, 50)
        second = desk.catalog.begin(build)
        with pytest.raises(StoreError, match="another import has published a catalog meanwhile"):
            desk.catalog.publish(second, (), {}, at_ns=NOW_NS, replacing=replaced)
        assert desk.number() == newer


@pytest.mark.parametrize(
    ("column", "nonsense"),
    [("lot", 0), ("tick_paise", 0), ("freeze_quantity", 64), ("option_type", "XX"), ("strike_paise", None)],
)
def test_nonsense_has_no_place(place: Place, column: str, nonsense: object) -> None:
    with place.desk() as desk, closing(place.reference()) as database:
        desk.take(OLD)
        option = sa.update(derivatives).where(derivatives.c.key == instrument_key(Segment.NSE_FNO, 40_000))
        with pytest.raises(StoreError, match="breaks a rule of the schema"), database.write("nonsense") as connection:
            connection.execute(option.values({column: nonsense}))


# --- orders never wait --------------------------------------------------------------------------------------------------


def test_no_order_waits_while_an_import_holds_its_transaction(place: Place) -> None:
    holding, go_on = threading.Event(), threading.Event()

    def hold(step: str) -> None:
        if step == "store.before_commit":
            holding.set()
            assert go_on.wait(20)

    with closing(open_stores(place.url, place.folder)) as stores:

        def run() -> None:
            with place.desk(hold) as desk:
                outcomes.append(desk.take(OLD).outcome)

        outcomes: list[Outcome] = []
        importing = threading.Thread(target=run)
        importing.start()
        try:
            assert holding.wait(20)
            orders = stores.trading("PAPER")
            for number in range(1, 6):
                orders.commit(one_trade(number))
            assert len(orders.orders_of_day(TRADED)) == 5
            assert not outcomes, "the import stands in a transaction all the while"
        finally:
            go_on.set()
            importing.join(20)
    assert outcomes == [Outcome.IMPORTED]


def test_an_order_is_committed_whatever_an_import_of_the_real_master_holds_open(place: Place) -> None:
    """Committed inside each of the import's own transactions, just before it ends: waiting for it could never end."""
    content = gzip.decompress(shared("data/scrip_master/api-scrip-master_2026-02-10.csv.gz").read_bytes())
    committed: list[int] = []
    with closing(open_stores(place.url, place.folder)) as stores:
        orders = stores.trading("PAPER")

        def mark(step: str) -> None:
            if step == "store.before_commit":
                orders.commit(one_trade(len(committed) + 1))
                committed.append(len(committed) + 1)

        with place.desk(mark) as desk:
            desk.clock.at_ns = ist_ns(date(2026, 2, 10), 8 * 3600)
            desk.how = msgspec.structs.replace(desk.how, batch=5_000)
            desk.take(content)
            current = desk.catalog.current()
            assert current is not None
            assert (current.file_rows, current.derivative_rows) == (273_027, 143_806)
    assert len(committed) > 20


# --- sudden death -------------------------------------------------------------------------------------------------------


def dying(body: Callable[[], None], kill_after_s: float | None) -> bool:
    """Run ``body`` in a child that is killed, by itself or by us after a time; whether it was killed at all."""
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            body()
        os._exit(0)
    os.close(tell)
    if kill_after_s is not None:
        select.select([listen], [], [], kill_after_s)  # the child holds the other end until it is gone
        os.kill(child, signal.SIGKILL)
    os.close(listen)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def importing(place: Place, content: str, mark: Mark = lambda _step: None) -> Callable[[], None]:
    def body() -> None:
        with place.desk(mark) as desk:
            desk.take(content)

    return body


def old_or_new(place: Place) -> int:
    """The lot of the catalog in use, after checking that this is there whole, and its block with it."""
    with place.desk() as desk:
        current = desk.catalog.current()
        assert current is not None
        whole = counts(place)[current.number]
        assert whole == (current.instrument_rows, current.derivative_rows) == KINDS
        (lot,) = {one.lot for one in nifty(desk.catalog)}
        assert (lot == 75) == bool(desk.catalog.blocked_underlyings()), "the block came with the new lot"
        return lot


@pytest.mark.parametrize("step", ["store.before_commit", "store.after_commit"])
def test_a_process_killed_at_any_commit_of_an_import_leaves_the_old_or_the_new(place: Place, step: str) -> None:
    with place.desk() as desk:
        desk.take(OLD)
    nth, found = 1, []
    while dying(importing(place, NEW, die_at(step, nth)), None):
        found.append(old_or_new(place))
        if found[-1] == 75:
            break
        nth += 1
    # Begun, four batches of shares, three of contracts, published. Killed after that, there is nothing to leave behind.
    assert found == [65] * (len(found) - 1) + [75 if step == "store.after_commit" else 65]
    assert len(found) >= 8
    with place.desk() as desk:
        desk.take(OLD, anew=True)
        latest = desk.take(NEW, anew=True).generation
        assert latest in counts(place)
        assert len(counts(place)) == 2, "nothing of those that died is left"


def die_at(step: str, nth: int) -> Mark:
    left = [nth]

    def mark(reached: str) -> None:
        left[0] -= reached == step
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return mark


def test_a_process_killed_at_random_moments_of_an_import_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    chance = random.Random(5)
    place = Place(None, tmp_path / "data")
    with place.desk() as desk:
        desk.take(OLD)
    began = perf_counter_ns()
    assert not dying(importing(Place(None, tmp_path / "measured"), NEW), None)
    usual_s = (perf_counter_ns() - began) / 1e9
    for _ in range(25):
        dying(importing(place, NEW), chance.uniform(0, usual_s))
        old_or_new(place)


# --- migrations ---------------------------------------------------------------------------------------------------------


def test_a_store_from_before_the_catalog_keeps_what_it_has(new_place: Place) -> None:
    with closing(open_stores(new_place.url, new_place.folder)) as stores:
        stores.reference.keep_candles(7, [BAR])
    with closing(new_place.reference()) as database, database.write("taking it back") as connection:
        downgrade(connection, "reference", "reference_0001")
        left = set(sa.inspect(connection).get_table_names())
        assert left == {"decisions", "signals", "job_runs", "candles", "alembic_version"}
        assert set(REFERENCE.tables) > left - {"alembic_version"}
    with new_place.desk() as desk:
        assert desk.take(OLD).outcome is Outcome.IMPORTED
    with closing(open_stores(new_place.url, new_place.folder)) as stores:
        assert stores.reference.candles_between(7, 0, 100) == (BAR,)
    with closing(new_place.reference()) as database, database.write("down and up with rows in it") as connection:
        downgrade(connection, "reference", "reference_0001")
        upgrade(connection, "reference")
    with new_place.desk() as desk:
        assert desk.number() is None
