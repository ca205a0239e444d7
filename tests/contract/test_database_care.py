"""Migrating, checking, backing up, restoring and moving both stores, on SQLite and on a real PostgreSQL alike."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from algo_scalper.adapters.storage import transfer
from algo_scalper.adapters.storage.backup import MANIFEST, verified
from algo_scalper.adapters.storage.database import Part, file_of, postgres_database
from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.adapters.storage.placing import PARTS
from algo_scalper.adapters.storage.revisions import HEAD, known_revisions, move_to
from algo_scalper.adapters.storage.stores import Stores, connect, open_stores
from algo_scalper.adapters.storage.trading import AuditLine, Fill
from algo_scalper.domain.decisions import Decision, DecisionKind, Direction, Signal
from algo_scalper.domain.errors import ConfigError, SecondInstance, StoreError
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.market import Candle
from algo_scalper.domain.ports import Changes
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.cli.main import app
from algo_scalper.runtime import database_care as care
from algo_scalper.runtime.database_place import Place
from tests.contract.histories import DAY, histories, one_trade
from tests.unit.storage.records import TEXT

ACCOUNT = "1000000001"
AT_NS = 1_795_400_000_000_000_000
EVER = 2**62
OLDER: dict[Part, str] = {"trading": "trading_0001", "reference": "reference_0002"}
FRESH = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place nothing was ever stored in."""
    url = request.getfixturevalue("new_postgres_url") if request.param == "postgres" else None
    return Place(url, tmp_path / "data")


@pytest.fixture
def files(tmp_path: Path) -> Place:
    return Place(None, tmp_path / "files")


def filled(place: Place) -> Place:
    """A day with three trades, a standing halt, and something in the tables of the reference store."""
    with closing(open_stores(place.url, place.folder)) as stores:
        store = stores.trading(ACCOUNT)
        store.next_epoch(started_ns=AT_NS, code_version="0.1.0")
        for number in (1, 2, 3):
            store.commit(one_trade(number))
        store.halt("the feed lies", at_ns=4, by="me")
        stores.decisions.keep(ACCOUNT, [Decision(5, DecisionKind.HALT, "NIFTY", "halted", numbers={"x": 1})])
        stores.reference.keep_signal(ACCOUNT, "NIFTY", Signal(Direction.UP, "supertrend_adx", {"adx": 27.5}), at_ns=5)
        stores.reference.keep_candles(13, [Candle(minute, 100, 120, 90, 110) for minute in range(200)])
    return place


def told(stores: Stores, account: str = ACCOUNT) -> list[Any]:
    """Everything that is ever asked of the stores."""
    store, reference = stores.trading(account), stores.reference
    return [
        store.restore(DAY.isoformat()),
        store.open_positions(),
        store.trades_of_day(DAY),
        store.orders_of_day(DAY),
        store.fills_of_day(DAY),
        store.ledger_of_day(DAY),
        store.week_before(DAY + timedelta(days=1)),
        store.last_day(),
        store.audit_between(-(2**63), EVER),
        reference.decisions_between(account, 0, EVER),
        reference.signals_between(account, 0, EVER),
        reference.candles_between(13, 0, EVER),
    ]


def told_of(place: Place) -> list[Any]:
    with closing(open_stores(place.url, place.folder)) as stores:
        return told(stores)


def amiss(place: Place) -> dict[str, str]:
    return {f"{one.part}, {one.what}": one.said for one in care.check(place) if not one.whole}


def revisions(place: Place) -> list[str | None]:
    found = []
    for part in PARTS:
        with closing(connect(place.url, place.folder, part)) as database, database.read("looking") as connection:
            there = sa.inspect(connection).has_table("alembic_version")
            query = sa.text("SELECT version_num FROM alembic_version")
            found.append(connection.execute(query).scalar_one() if there else None)
    return found


# --- migrate ---


def test_migrating_makes_goes_down_and_comes_up_again_with_what_was_there(place: Place) -> None:
    made = care.migrate(place)
    assert [(one.part, one.before, one.after) for one in made] == [(part, None, HEAD[part]) for part in PARTS]
    before = told_of(filled(place))
    for part in PARTS:
        assert not care.loses_tables(place, HEAD[part])
        assert care.loses_tables(place, OLDER[part])
        (down,) = care.migrate(place, OLDER[part])
        assert (down.before, down.after) == (HEAD[part], OLDER[part])
        assert "older than" in amiss(place)[f"{part}, revision"]
    assert revisions(place) == [OLDER[part] for part in PARTS]
    assert [(one.before, one.after) for one in care.migrate(place)] == [(OLDER[part], HEAD[part]) for part in PARTS]
    assert told_of(place) == before
    assert [(one.before, one.after) for one in care.migrate(place)] == [(HEAD[part], HEAD[part]) for part in PARTS]
    assert amiss(place) == {}


def test_nothing_is_migrated_or_moved_while_an_engine_trades(place: Place, tmp_path: Path) -> None:
    filled(place)
    with InstanceLock(tmp_path / "on another machine" if place.url else place.folder, ACCOUNT, place.url):
        for deed in (
            lambda: care.migrate(place, "trading_0001"),
            lambda: care.copy(place, Place(None, tmp_path / "copy")),
        ):
            with pytest.raises(SecondInstance, match=f"an engine for account {ACCOUNT} already runs as process"):
                deed()
        care.back_up_place(place, tmp_path / "backup", at_ns=AT_NS)  # a backup waits for nobody
    assert revisions(place) == [HEAD[part] for part in PARTS]
    care.migrate(place)


def test_a_revision_nobody_knows_is_refused_by_naming_those_there_are(files: Place) -> None:
    with pytest.raises(ConfigError, match=r"no revision 'base'; there are trading_0001, .*reference_0001"):
        care.migrate(files, "base")
    with (
        pytest.raises(ConfigError, match="trading has no revision reference_0001"),
        closing(connect(None, files.folder, "trading")) as database,
    ):
        move_to(database, "reference_0001")


# --- damage is told, and nothing is overwritten ---


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database, but a text somebody saved here\n" * 200)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'trading_9999'")


def somebody_elses(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE invoices (number INTEGER)")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (garbage, "not a database"),
        (truncated, "malformed|damaged|disk I/O|database disk image"),
        (newer, "trading_9999"),
        (somebody_elses, "invoices|no store of ours"),
    ],
)
def test_a_file_that_is_no_store_of_ours_is_told_by_every_command_and_left_alone(
    files: Place, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    filled(files)
    whole = tmp_path / "whole"
    care.back_up_place(files, whole, at_ns=AT_NS)
    path = file_of(files.folder, "trading")
    damage(path)
    as_it_is = path.read_bytes()
    findings = [one for one in care.check(files) if not one.whole]
    assert findings
    assert {one.part for one in findings} == {"trading"}
    assert any(re.search(said, one.said) for one in findings)
    deeds: list[Callable[[], object]] = [
        lambda: care.migrate(files),
        lambda: care.back_up_place(files, tmp_path / "backup", at_ns=AT_NS),
        lambda: care.copy(files, Place(None, tmp_path / "copy")),
    ]
    for deed in deeds:
        with pytest.raises(StoreError, match=said):
            deed()
    with pytest.raises(StoreError, match="is not overwritten"):
        care.restore(whole, files)
    assert path.read_bytes() == as_it_is
    assert not (tmp_path / "backup").exists()
    assert not file_of(tmp_path / "copy", "reference").exists()


def test_what_is_missing_is_said(files: Place) -> None:
    assert set(amiss(files)) == {"trading, there", "reference, there"}
    with pytest.raises(StoreError, match=r"trading\.sqlite3: is not there, so there is nothing to copy"):
        care.back_up_place(files, files.folder / "backup", at_ns=AT_NS)
    assert not file_of(files.folder, "trading").exists(), "looking makes nothing"
    file_of(files.folder, "trading").parent.mkdir(exist_ok=True)
    file_of(files.folder, "trading").touch()
    assert amiss(files)["trading, revision"] == "empty: it holds no tables"


ANOTHER = (
    "INSERT INTO positions SELECT account, 'another', key, contract, index_name, direction, state, bought_quantity, "
    "cost_paise, sold_quantity, proceeds_paise, charges_paise, exit_reason, opened_ns, closed_ns, closed_day, record "
    "FROM positions"
)
PLANTS = {
    "trading, values within their rules": (
        "UPDATE orders SET state = 'GONE', filled_quantity = 3 WHERE correlation_id = 'as1-00001'",
        "1 against state_known",
    ),
    "trading, nothing twice that may be once": (
        ANOTHER,
        "positions_one_open_a_contract",
    ),
    "trading, nothing without what it belongs to": (
        "DELETE FROM orders WHERE correlation_id = 'as1-00002'",
        "fills: 1 without their orders (fill_of_an_order)",
    ),
    "trading, fills add up to their orders": (
        "UPDATE fills SET value_paise = value_paise + 1 WHERE correlation_id = 'as1-00003'",
        "order as1-00003 of 1000000001",
    ),
    "trading, records can be read": ("UPDATE day_ledger SET record = '\\x00'", "day_ledger"),
}
UNGUARDED = (
    ("orders", "state_known"),
    ("orders", "filled_within_quantity"),
    ("fills", "fill_of_an_order"),
)


def test_what_the_schema_forbids_is_found_all_the_same(place: Place) -> None:
    filled(place)
    assert amiss(place) == {}
    with closing(connect(place.url, place.folder, "trading")) as database, database.engine.connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        for table, rule in UNGUARDED if not database.is_sqlite else ():
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")
        connection.exec_driver_sql("DROP INDEX positions_one_open_a_contract")
        for statement, _ in PLANTS.values():
            connection.exec_driver_sql(statement)
        if not database.is_sqlite:
            connection.commit()
    found = amiss(place)
    assert "positions_one_open_a_contract is not there" in found.pop("trading, tables, columns and rules")
    found.pop("trading, intact", None)  # SQLite's own look sees the broken rule as well
    assert set(found) == set(PLANTS)
    for what, (_, said) in PLANTS.items():
        assert said in found[what]


def test_a_disk_that_is_nearly_full_is_said(files: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    care.migrate(files)
    monkeypatch.setattr("algo_scalper.adapters.storage.examine.LEAST_FREE_BYTES", 2**62)
    assert set(amiss(files)) == {"trading, space", "reference, space"}


# --- backup and restore ---


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
def test_a_backup_of_either_is_restored_into_either(
    place: Place, to: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before = told_of(filled(place))
    backup = tmp_path / "backups" / "one"
    assert care.back_up_place(place, backup, at_ns=AT_NS) > 50_000
    assert {path.name for path in backup.iterdir()} == {MANIFEST, "trading.sqlite3", "reference.sqlite3"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in (backup, *backup.iterdir()))
    url = _new_url(request) if to == "postgres" else None
    target = Place(url, tmp_path / "restored")
    manifest = care.restore(backup, target)
    assert manifest.stores["trading"].held.rows["orders"] == 3
    assert manifest.stores["trading"].held.sums["orders.filled_value_paise"] == 3 * 75 * 12_005
    assert amiss(target) == {}
    assert told_of(target) == before
    with closing(open_stores(target.url, target.folder)) as stores:
        # Numbers go on where they were.
        stores.trading(ACCOUNT).lift_halt(at_ns=6, by="me")
        stores.trading(ACCOUNT).halt("again", at_ns=7, by="me")
        assert stores.trading(ACCOUNT).next_epoch(started_ns=AT_NS) == 2
        assert len(stores.trading(ACCOUNT).audit_between(0, 9)) == 3
    with pytest.raises(StoreError, match="already"):
        care.restore(backup, target)
    assert verified(backup) == manifest, "restoring changes no byte of a backup"


def _new_url(request: pytest.FixtureRequest) -> str:
    """A second empty database beside the one of ``place``."""
    server: str = request.getfixturevalue("postgres_server")
    with closing(postgres_database(server, "trading")) as database:
        connection = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            names = connection.execute(sa.text("SELECT count(*) FROM pg_database")).scalar_one()
            connection.exec_driver_sql(f"CREATE DATABASE other{names}")
    return server.replace("/postgres?", f"/other{names}?")


def test_an_older_stores_backup_is_restored_as_it_was_and_migrated_by_the_next_start(
    place: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    before = told_of(filled(place))
    care.migrate(place, "trading_0001")
    care.back_up_place(place, tmp_path / "backup", at_ns=AT_NS)
    assert verified(tmp_path / "backup").stores["trading"].revision == "trading_0001"
    target = Place(None if place.url else _new_url(request), tmp_path / "restored")
    care.restore(tmp_path / "backup", target)
    assert revisions(target) == ["trading_0001", HEAD["reference"]]
    assert told_of(target) == before
    assert amiss(target) == {}


@pytest.fixture
def backup(files: Place, tmp_path: Path) -> Path:
    filled(files)
    care.back_up_place(files, tmp_path / "backup", at_ns=AT_NS)
    return tmp_path / "backup"


def test_a_backup_that_is_not_what_its_manifest_says_is_not_restored(backup: Path, tmp_path: Path) -> None:
    target = Place(None, tmp_path / "target")
    file, manifest = backup / "trading.sqlite3", backup / MANIFEST
    contents, words = file.read_bytes(), manifest.read_bytes()

    def refused(why: str) -> None:
        with pytest.raises(StoreError, match=why):
            care.restore(backup, target)
        assert not list(target.folder.glob("*")) if target.folder.exists() else True
        file.write_bytes(contents)
        manifest.write_bytes(words)

    file.write_bytes(contents[:-4096])
    refused("is not the file that was backed up")
    file.write_bytes(contents[:5000] + bytes([contents[5000] ^ 1]) + contents[5001:])
    refused("SHA-256 differs")
    file.unlink()
    refused(r"trading\.sqlite3: cannot be read")
    manifest.unlink()
    refused("is no backup")
    manifest.write_bytes(words[:-9])
    refused("cannot be read")
    manifest.write_bytes(words.replace(b'"format": 1', b'"format": 2'))
    refused("another format")
    manifest.write_bytes(words.replace(b'"orders": 3', b'"orders": 4'))
    refused("other rows than the manifest says")
    care.restore(backup, target)


def test_a_restore_waits_for_no_engine_and_overwrites_nothing(backup: Path, tmp_path: Path) -> None:
    target = Place(None, tmp_path / "target")
    with InstanceLock(target.folder, ACCOUNT), pytest.raises(SecondInstance):
        care.restore(backup, target)
    for name in ("reference.sqlite3", "trading.sqlite3-wal"):
        (target.folder / name).write_bytes(b"somebody's")
        with pytest.raises(StoreError, match=f"{name}: is there already and is not overwritten; move {name} away"):
            care.restore(backup, target)
        assert (target.folder / name).read_bytes() == b"somebody's"
        (target.folder / name).unlink()
    care.restore(backup, target)


def test_a_backup_is_never_made_over_another(backup: Path, files: Place) -> None:
    before = (backup / MANIFEST).read_bytes()
    with pytest.raises(StoreError, match="is there already"):
        care.back_up_place(files, backup, at_ns=AT_NS + 1)
    assert (backup / MANIFEST).read_bytes() == before


# --- copy ---


def test_there_and_back_again(files: Place, new_postgres_url: str, tmp_path: Path) -> None:
    before = told_of(filled(files))
    server, back = Place(new_postgres_url, tmp_path / "server"), Place(None, tmp_path / "back")
    there = care.copy(files, server)
    assert care.copy(server, back).stores == there.stores
    assert there.stores["reference"].sums["candles.high_paise"] == 200 * 120
    assert told_of(server) == told_of(back) == before
    assert amiss(server) == amiss(back) == {}
    for target in (server, back):
        with pytest.raises(StoreError, match="already"):
            care.copy(files, target)
    assert told_of(server) == told_of(back) == before


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
def test_a_copy_that_differs_is_not_kept(
    files: Place, tmp_path: Path, to: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(files)
    write = transfer._write

    def forgetful(target: sa.Connection, table: sa.Table, batch: Any) -> None:
        write(target, table, list(batch)[:-1] if table.name == "candles" else batch)

    monkeypatch.setattr(transfer, "_write", forgetful)
    target = Place(request.getfixturevalue("new_postgres_url") if to == "postgres" else None, tmp_path / "copy")
    with pytest.raises(StoreError, match=r"the copy differs from .*: candles 200 and 199, .*nothing of it was kept"):
        care.copy(files, target)
    assert revisions(target) == [None, None]


# --- any history, on both, and carried from one to the other ---

Event = Changes | SoftState | AuditLine


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """A history with a person's deeds between its commits."""
    events: list[Event] = []
    at_ns = AT_NS
    for step in draw(histories()):
        events.append(step)
        for _ in range(draw(st.integers(0, 2))):
            at_ns += draw(st.integers(0, NS_PER_SECOND))
            events.append(AuditLine(at_ns, draw(TEXT), draw(TEXT), draw(TEXT)))
    return events


def lived(stores: Stores, account: str, events: list[Event]) -> None:
    store = stores.trading(account)
    for event in events:
        if isinstance(event, Changes):
            store.commit(event)
        elif isinstance(event, SoftState):
            store.save_soft(event)
        else:
            store.audit(event.who, event.action, event.detail, at_ns=event.at_ns)


def fills_expected(events: list[Event]) -> list[Fill]:
    """By how much every order grew, from commit to commit; a commit made twice grows nothing the second time."""
    had: dict[str, tuple[int, int]] = {}
    grown = []
    for event in events:
        for order in event.orders if isinstance(event, Changes) else ():
            quantity, value = had.get(order.id, (0, 0))
            if order.filled_quantity > quantity:
                value = order.filled_value_paise - value
                at_ns = event.at_ns if isinstance(event, Changes) else 0
                grown.append(Fill(order.id, order.filled_quantity - quantity, value, order.filled_quantity, at_ns))
            had[order.id] = (order.filled_quantity, order.filled_value_paise)
    return grown


def test_any_history_is_the_same_on_both_databases_and_after_a_move(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lives")
    accounts: list[str] = []
    both = [open_stores(url, folder / name) for name, url in (("files", None), ("server", postgres_url))]

    @settings(FRESH, max_examples=6)
    @given(lives())
    def are_the_same(events: list[Event]) -> None:
        account = f"account {len(accounts)}"
        accounts.append(account)
        for stores in both:
            lived(stores, account, events)
        on_file, on_server = (told(stores, account) for stores in both)
        assert on_file == on_server
        commits = [event for event in events if isinstance(event, Changes)]
        orders = {order.id: order for commit in commits for order in commit.orders}
        positions = {position.id: position for commit in commits for position in commit.positions}
        ledgers = [commit.ledger for commit in commits if commit.ledger is not None]
        soft = [event for event in events if isinstance(event, SoftState)]
        restored = on_file[0]
        assert restored.orders == tuple(orders.values())
        assert {one.id: one for one in restored.positions} == positions
        assert restored.ledger == (ledgers[-1] if ledgers else None)
        assert restored.soft == (soft[-1] if soft else None)
        assert sorted(on_file[4], key=lambda fill: (fill.order_id, fill.filled_to)) == sorted(
            fills_expected(events), key=lambda fill: (fill.order_id, fill.filled_to)
        )
        assert on_file[2] == tuple(one for one in positions.values() if one.state is PositionState.CLOSED)
        assert list(on_file[8]) == [event for event in events if isinstance(event, AuditLine)]

    try:
        are_the_same()
        expected = {account: told(both[0], account) for account in accounts}
    finally:
        for stores in both:
            stores.close()
    place, moved = Place(postgres_url, folder / "server"), Place(None, folder / "moved")
    assert amiss(place) == {}
    care.copy(place, moved)
    with closing(open_stores(None, moved.folder)) as stores:
        assert {account: told(stores, account) for account in accounts} == expected


# --- the commands ---


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "ALGO_SCALPER_API_DATABASE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)

    def run_it(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["db", *words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            # What `main` makes of it.
            assert isinstance(result.exception, (StoreError, ConfigError))
            return 2, f"{result.output}scalper: {result.exception}"
        return result.exit_code, result.output

    return run_it


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_commands_and_their_exit_codes(
    kind: str, run: Callable[..., tuple[int, str]], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "postgres":
        url: str = request.getfixturevalue("new_postgres_url")
        monkeypatch.setenv("DATABASE_URL", url.replace("scalper@", "scalper:hunter2@"))
    said = []
    assert run("check")[0] == 1
    for words, code, expected in (
        (("migrate",), 0, f"nothing -> {HEAD['trading']}"),
        (("migrate",), 0, f"is at {HEAD['reference']} already"),
        (("check",), 0, "ok    trading, fills add up to their orders: none amiss"),
        (("backup", "kept"), 0, "kept: both stores, "),
        (("backup",), 0, "var/backups/"),
        (("restore", "kept"), 2, "already"),
        (("restore", "kept", "--to", "elsewhere"), 0, "elsewhere: restored as of "),
        (("copy", "--to", "sqlite:///third"), 0, "third: the same rows and sums of money on both sides"),
        (("copy", "--to", "mysql://me:hunter2@db/x"), 2, "neither a PostgreSQL URL nor a folder"),
        (("migrate", "--to", "trading_0001"), 1, "Is there a backup?"),
        (("migrate", "--to", "trading_0001", "--yes"), 0, f"{HEAD['trading']} -> trading_0001"),
        (("check",), 1, "AMISS trading, revision: trading_0001, older than"),
        (("migrate", "--to", "nonsense"), 2, "no revision 'nonsense'"),
    ):
        found, text = run(*words)
        assert (found, expected in text) == (code, True), text
        said.append(text)
    found, text = run("check", "--json", "--data-dir", "third")
    assert {one["part"] for one in json.loads(text)} == {"trading", "reference"}
    assert "hunter2" not in "".join([*said, text])
    if kind == "sqlite":
        assert msgspec.json.decode(run("backup", "another", "--json")[1])["folder"] == "another"


def test_an_unreachable_server_is_told_without_its_password(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALGO_SCALPER_API_DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("PGHOST", "/nowhere")
    for command in ("check", "migrate", "backup"):
        code, text = run(command)
        assert code == (1 if command == "check" else 2)
        assert "algo_scalper_api_production" in text
        assert "hunter2" not in text


def test_every_revision_has_its_way_up_and_down(place: Place) -> None:
    for part in PARTS:
        with closing(connect(place.url, place.folder, part)) as database:
            before: str | None = None
            known = known_revisions(part)
            for revision in (*known, *known[-2::-1]):
                assert move_to(database, revision) == (before, revision)
                before = revision
