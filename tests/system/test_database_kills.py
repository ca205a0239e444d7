"""``kill -9`` at any moment of a migration, a backup, a restore, a move or an order's commit: the old state or the new.

The moments are drawn at random over the time the whole deed takes; the long form (``ALGO_SCALPER_SOAK=1``) draws many more.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from algo_scalper.adapters.storage.backup import UNFINISHED, verified
from algo_scalper.adapters.storage.database import Part, file_of
from algo_scalper.adapters.storage.placing import PARTS, PLACING
from algo_scalper.adapters.storage.revisions import HEAD
from algo_scalper.adapters.storage.stores import connect, open_stores
from algo_scalper.adapters.storage.tables import fills, intents, orders
from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.market import Candle
from algo_scalper.runtime import database_care as care
from algo_scalper.runtime.database_place import Place
from tests.contract.histories import DAY, one_trade

SOAK = os.environ.get("ALGO_SCALPER_SOAK") == "1"
MOMENTS = 300 if SOAK else 6
SERVER_MOMENTS = 60 if SOAK else 3
ACCOUNT = "1000000001"
TRADES = 5
OLDER: dict[Part, str] = {"trading": "trading_0001", "reference": "reference_0002"}


class Child:
    """A process that does one thing and is killed at a moment, unless it was faster."""

    def __init__(self, deed: Callable[[int], object]) -> None:
        listen, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            with suppress(BaseException):
                os.close(listen)
                deed(tell)
                os._exit(0)
            os._exit(1)
        os.close(tell)
        self._listen = listen

    def end(self, after_s: float | None) -> tuple[int, bool]:
        """Kill it after so many seconds, None: let it end; the bytes it told, and whether it was killed."""
        until = None if after_s is None else time.monotonic() + after_s
        told = 0
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._listen], [], [], left)[0]:
                os.kill(self.pid, signal.SIGKILL)
                until = None
                continue
            data = os.read(self._listen, 64)
            if not data:
                break
            told += len(data)
        os.close(self._listen)
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert status in {0, -signal.SIGKILL}, "the child failed by itself: nothing was tested"
        return told, status == -signal.SIGKILL


def moments(deed: Callable[[], object], count: int) -> Iterator[float]:
    """At once, random moments within the time the deed takes, and late; it is done once, in a child, to learn that."""
    began = time.monotonic()
    Child(lambda _: deed()).end(None)
    took = time.monotonic() - began
    chance = random.Random(26)
    yield 0.0
    for _ in range(count):
        yield chance.uniform(0, took)
    yield 4 * took


def killed(deed: Callable[[], object], after_s: float) -> bool:
    """Was it killed before it was done?"""
    return Child(lambda _: deed()).end(after_s)[1]


def filled(place: Place) -> Place:
    with closing(open_stores(place.url, place.folder)) as stores:
        store = stores.trading(ACCOUNT)
        store.next_epoch(started_ns=1)
        for number in range(1, TRADES + 1):
            store.commit(one_trade(number))
        stores.reference.keep_candles(13, [Candle(minute, 100, 120, 90, 110) for minute in range(5_000)])
    return place


def what_it_holds(place: Place) -> tuple[object, ...]:
    with closing(open_stores(place.url, place.folder)) as stores:
        store = stores.trading(ACCOUNT)
        candles = stores.reference.candles_between(13, 0, 10**9)
        return store.restore(DAY.isoformat()), store.fills_of_day(DAY), store.last_day(), candles


def amiss(place: Place) -> list[object]:
    return [one for one in care.check(place) if not one.whole]


def revisions(place: Place) -> dict[Part, str | None]:
    found: dict[Part, str | None] = {}
    for part in PARTS:
        with closing(connect(place.url, place.folder, part)) as database, database.read("looking") as connection:
            there = sa.inspect(connection).has_table("alembic_version")
            query = sa.text("SELECT version_num FROM alembic_version")
            found[part] = connection.execute(query).scalar_one() if there else None
    return found


@pytest.fixture
def files(tmp_path: Path) -> Place:
    return filled(Place(None, tmp_path / "files"))


def test_killed_in_a_migration(files: Place, tmp_path: Path) -> None:
    held = what_it_holds(files)
    for revision in OLDER.values():
        care.migrate(files, revision)
    work = Place(None, tmp_path / "work")

    def begin() -> None:
        shutil.rmtree(work.folder, ignore_errors=True)
        shutil.copytree(files.folder, work.folder)

    begin()
    met = set()
    for moment in moments(lambda: care.migrate(work), MOMENTS):
        begin()
        killed(lambda: care.migrate(work), moment)
        found = revisions(work)
        met.add(tuple(found.values()))
        assert all(found[part] in {OLDER[part], HEAD[part]} for part in PARTS)
        assert all(one.what == "revision" for one in care.check(work) if not one.whole), "whole, if older"
        care.migrate(work)
        assert amiss(work) == []
        assert what_it_holds(work) == held
    assert len(met) > 1, "every moment fell on the same side: nothing was tested"


def test_killed_in_a_migration_on_a_server(new_postgres_url: str, tmp_path: Path) -> None:
    place = filled(Place(new_postgres_url, tmp_path / "server"))
    held = what_it_holds(place)

    def begin() -> None:
        for revision in OLDER.values():
            care.migrate(place, revision)

    begin()
    for moment in moments(lambda: care.migrate(place), SERVER_MOMENTS):
        begin()
        killed(lambda: care.migrate(place), moment)
        found = revisions(place)
        assert all(found[part] in {OLDER[part], HEAD[part]} for part in PARTS)
        care.migrate(place)
        assert what_it_holds(place) == held
    assert amiss(place) == []


def test_killed_in_a_backup(files: Place, tmp_path: Path) -> None:
    backup = tmp_path / "backups" / "one"

    def deed() -> None:
        care.back_up_place(files, backup, at_ns=1)

    for moment in moments(deed, MOMENTS):
        shutil.rmtree(backup, ignore_errors=True)
        if not killed(deed, moment) or backup.exists():
            assert verified(backup).stores["trading"].held.rows["orders"] == TRADES
        assert {path.name for path in backup.parent.iterdir()} <= {"one", "one" + UNFINISHED}
    shutil.rmtree(backup, ignore_errors=True)
    deed()
    assert [path.name for path in backup.parent.iterdir()] == ["one"], "what was left unfinished is gone"
    assert amiss(files) == []


def there_or_not(target: Place, held: tuple[object, ...], again: Callable[[], object]) -> bool:
    """Is all of it there? If not, nothing opens the place, and the same command makes it whole."""
    if (target.folder / PLACING).exists():
        with pytest.raises(StoreError, match="run the same command again"):
            open_stores(None, target.folder)
        assert amiss(target)
    elif any(file_of(target.folder, part).exists() for part in PARTS):
        assert amiss(target) == []
        assert what_it_holds(target) == held
        return True
    again()
    assert amiss(target) == []
    assert what_it_holds(target) == held
    assert not (target.folder / PLACING).exists()
    return False


@pytest.mark.parametrize("what", ["restore", "copy"])
def test_killed_while_stores_are_put_into_a_folder(files: Place, tmp_path: Path, what: str) -> None:
    held = what_it_holds(files)
    care.back_up_place(files, tmp_path / "backup", at_ns=1)
    target = Place(None, tmp_path / "target")

    def deed() -> None:
        if what == "restore":
            care.restore(tmp_path / "backup", target)
        else:
            care.copy(files, target)

    for moment in moments(deed, MOMENTS):
        shutil.rmtree(target.folder)
        killed(deed, moment)
        there_or_not(target, held, deed)
    verified(tmp_path / "backup")


STEPS: dict[str, tuple[object, str]] = {
    "link": (Path, "hardlink_to"),
    "rename": (Path, "rename"),
    "fsync": (os, "fsync"),
    "rmtree": (shutil, "rmtree"),
}


def restore_and_die(backup: Path, target: Place, step: str, nth: int, after: bool, _tell: int) -> None:
    """Dies right before, or right after, the n-th time this step is done."""
    owner, name = STEPS[step]
    done, left = getattr(owner, name), [nth]

    def dying(*arguments: object, **named: object) -> object:
        left[0] -= 1
        if not left[0] and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = done(*arguments, **named)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)
    care.restore(backup, target)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_the_very_steps_of_putting_them_there(files: Place, tmp_path: Path, step: str) -> None:
    held = what_it_holds(files)
    backup = tmp_path / "backup"
    care.back_up_place(files, backup, at_ns=1)
    met = set()
    for nth in (1, 2, 3, 4):
        for after in (False, True):
            target = Place(None, tmp_path / f"target-{nth}-{after}")
            Child(partial(restore_and_die, backup, target, step, nth, after)).end(None)
            met.add(there_or_not(target, held, partial(care.restore, backup, target)))
    assert True in met


def test_killed_in_a_move_to_a_server(files: Place, new_postgres_url: str, tmp_path: Path) -> None:
    held = what_it_holds(files)
    server = Place(new_postgres_url, tmp_path / "server")

    def empty() -> None:
        for part in PARTS:
            with (
                closing(connect(server.url, server.folder, part)) as database,
                database.write("emptying") as connection,
            ):
                connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {part} CASCADE")

    for moment in moments(lambda: care.copy(files, server), SERVER_MOMENTS):
        empty()
        killed(lambda: care.copy(files, server), moment)
        found = set(revisions(server).values())
        assert found in ({None}, set(HEAD.values())), "both stores or none"
        if found == {None}:
            care.copy(files, server)
        assert what_it_holds(server) == held
    assert amiss(server) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_among_the_commits_of_orders(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = Place(request.getfixturevalue("new_postgres_url") if kind == "postgres" else None, tmp_path / "data")
    open_stores(place.url, place.folder).close()
    chance = random.Random(26)
    there = 0

    def trade(tell: int) -> None:
        stores = open_stores(place.url, place.folder)
        store, number = stores.trading(ACCOUNT), there
        os.write(tell, b".")
        while True:
            number += 1
            store.commit(one_trade(number))
            os.write(tell, b".")

    for _ in range(MOMENTS if kind == "sqlite" else SERVER_MOMENTS):
        child = Child(trade)
        assert os.read(child._listen, 1) == b"."
        told, was_killed = child.end(chance.uniform(0, 0.1))
        assert was_killed
        before, there = there, trades_there(place)
        assert there - before in {told, told + 1}, "what was told is there, and at most the one it was at"
    assert amiss(place) == []


def trades_there(place: Place) -> int:
    """How many trades there are, each with its intent, order, fill and ledger."""
    with closing(open_stores(place.url, place.folder)) as stores:
        restored = stores.trading(ACCOUNT).restore(DAY.isoformat())
    count = len(restored.orders)
    assert restored.ledger == (DayLedger(DAY, trades=count) if count else None)
    counts = [sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in (orders, intents, fills)]
    with closing(connect(place.url, place.folder, "trading")) as database, database.read("counting") as connection:
        assert connection.execute(sa.select(*counts)).one() == (count, count, count)
    return count
