"""What a store must do, run on SQLite and on a real PostgreSQL: what it said is durable is, and nonsense has no place."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from algo_scalper.adapters.storage import database as database_module
from algo_scalper.adapters.storage.change_store import InForce, Kept
from algo_scalper.adapters.storage.database import Database, Part, postgres_database, sqlite_database
from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.adapters.storage.migrations import run
from algo_scalper.adapters.storage.migrations.run import configuration, downgrade, upgrade
from algo_scalper.adapters.storage.revisions import HEAD, METADATA, MIGRATIONS, bring_to_head, move_to
from algo_scalper.adapters.storage.stores import Stores, open_stores, stored_settings
from algo_scalper.adapters.storage.tables import ChangeKind, fills, intents, orders
from algo_scalper.adapters.storage.trading import AuditLine, Fill
from algo_scalper.adapters.storage.watch_store import WatchItem
from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.decisions import Decision, DecisionKind, Direction, Signal
from algo_scalper.domain.errors import ConfigError, SecondInstance, StoreError
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import Order, OrderKind, Purpose
from algo_scalper.domain.ports import Changes, Store
from algo_scalper.domain.positions import Position, PositionState
from tests.contract.histories import (
    CONTRACTS,
    DAY,
    ENTRY_PAISE,
    LOT,
    a_position,
    histories,
    one_trade,
)
from tests.unit.engine.story import RULES

PARTS: tuple[Part, ...] = ("trading", "reference")
ACCOUNT = "1000000001"
FRESH = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


class Place:
    """Where a store lies, and the way around it for looking and for mischief."""

    def __init__(self, url: str | None, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def open(self, **options: Any) -> Stores:
        return open_stores(self.url, self.folder, **options)

    def database(self, part: Part = "trading") -> Database:
        """The database as it is, neither created nor migrated."""
        if self.url:
            return postgres_database(self.url, part)
        self.folder.mkdir(exist_ok=True)
        return sqlite_database(self.folder / f"{part}.sqlite3", part)

    def query(self, statement: Any, part: Part = "trading") -> list[tuple[Any, ...]]:
        with closing(self.database(part)) as database, database.read("looking") as connection:
            return [tuple(row) for row in connection.execute(statement)]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return Place(url, tmp_path / "data")


@pytest.fixture(params=["sqlite", "postgres"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place nothing was ever stored in."""
    url = request.getfixturevalue("new_postgres_url") if request.param == "postgres" else None
    return Place(url, tmp_path / "data")


@pytest.fixture
def stores(place: Place) -> Iterator[Stores]:
    with closing(place.open()) as opened:
        yield opened


# --- what was committed is what is read ---


def test_a_new_store_is_empty_and_counts_its_sessions(stores: Stores) -> None:
    store: Store = stores.trading(ACCOUNT)
    restored = store.restore("2026-11-30")
    assert restored == msgspec.convert(
        {"positions": [], "orders": [], "ledger": None, "soft": None, "standing_halt": ""}, type(restored)
    )
    assert [store.next_epoch() for _ in range(3)] == [1, 2, 3]
    assert stores.trading("another").next_epoch() == 1


def test_epochs_go_on_over_a_restart(place: Place) -> None:
    for expected in (1, 2):
        with closing(place.open()) as stores:
            assert stores.trading(ACCOUNT).next_epoch(started_ns=5, code_version="0.1.0") == expected


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
def test_any_history_is_restored_exactly(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = request.getfixturevalue("postgres_url") if backend == "postgres" else None
    accounts = iter(range(10**6))
    with closing(open_stores(url, tmp_path_factory.mktemp("history"))) as stores:

        @settings(FRESH, max_examples=5)
        @given(histories())
        def is_restored(steps: list[Changes | SoftState]) -> None:
            store = stores.trading(f"account {next(accounts)}")
            orders_now: dict[str, Order] = {}
            positions_now: dict[str, Position] = {}
            ledger, soft = None, None
            for step in steps:
                if isinstance(step, SoftState):
                    store.save_soft(step)
                    soft = step
                    continue
                store.commit(step)
                orders_now |= {order.id: order for order in step.orders}
                positions_now |= {position.id: position for position in step.positions}
                ledger = step.ledger or ledger
            restored = store.restore(DAY.isoformat())
            assert restored.orders == tuple(orders_now.values()) == store.orders_of_day(DAY)
            # Closed ones are restored too: the day's orders belong to them.
            assert {p.id: p for p in restored.positions} == positions_now
            still_open = tuple(p for p in positions_now.values() if p.held)
            assert {p.id for p in store.open_positions()} == {p.id for p in still_open}
            closed = tuple(p for p in positions_now.values() if p.state is PositionState.CLOSED)
            assert store.trades_of_day(DAY) == closed
            assert restored.ledger == ledger == store.ledger_of_day(DAY)
            assert restored.soft == soft
            for order in orders_now.values():
                own = [fill for fill in store.fills_of_day(DAY) if fill.order_id == order.id]
                assert sum(fill.quantity for fill in own) == order.filled_quantity
                assert sum(fill.value_paise for fill in own) == order.filled_value_paise

        is_restored()


def test_only_the_day_asked_for_and_positions_of_any_day(stores: Stores) -> None:
    store = stores.trading(ACCOUNT)
    changes = one_trade(1)
    store.commit(changes)
    tomorrow = store.restore("2026-12-01")
    assert (tomorrow.orders, tomorrow.ledger, tomorrow.positions) == ((), None, changes.positions)
    assert store.orders_of_day(date(2026, 12, 1)) == ()


def test_accounts_do_not_see_one_another(stores: Stores) -> None:
    one, other = stores.trading("one"), stores.trading("other")
    one.commit(one_trade(1))
    other.commit(one_trade(1))
    other.commit(Changes(positions=(a_position(bought_quantity=5 * LOT),)))
    other.halt("by hand", at_ns=1, by="me")
    assert one.restore(DAY.isoformat()).positions[0].bought_quantity == LOT
    assert one.restore(DAY.isoformat()).standing_halt == ""


def test_every_growth_of_an_order_is_a_fill_of_its_own(stores: Stores) -> None:
    store = stores.trading(ACCOUNT)
    whole = msgspec.structs.replace(one_trade(1).orders[0], quantity=300)
    steps = [(0, 0), (75, 900_000), (75, 900_000), (75, 900_001), (225, 2_700_151), (300, 3_600_151)]
    for at, (quantity, value) in enumerate(steps):
        order = msgspec.structs.replace(whole, filled_quantity=quantity, filled_value_paise=value)
        store.commit(Changes(orders=(order,), at_ns=at))
    assert store.fills_of_day(DAY) == (
        Fill(whole.id, 75, 900_001, 75, 1),  # the broker's value of the same fill moved by a paisa
        Fill(whole.id, 150, 1_800_150, 225, 4),
        Fill(whole.id, 75, 900_000, 300, 5),
    )
    with pytest.raises(
        StoreError, match="as1-00001: 300 contracts were filled and now 225; fills are never taken back"
    ):
        store.commit(Changes(orders=(msgspec.structs.replace(whole, filled_quantity=225),)))


def test_intents_are_kept_in_full_and_once(place: Place, stores: Stores) -> None:
    place_order = one_trade(1).intents[0]
    modify = ModifyOrder("as1-00001", "11", CONTRACTS[0].key, OrderKind.LIMIT, 150, 12_010, 0, Purpose.ENTRY)
    cancel = CancelOrder("as1-00001", "11", CONTRACTS[0].key, Purpose.ENTRY)
    store = stores.trading(ACCOUNT)
    for _ in range(2):
        for at, command in enumerate((place_order, modify, modify, cancel)):
            store.commit(Changes(intents=(command,), at_ns=at))
    kept = place.query(sa.select(intents.c.at_ns, intents.c.record).order_by(intents.c.at_ns))
    decode = msgspec.msgpack.Decoder(PlaceOrder | ModifyOrder | CancelOrder).decode
    assert [(at, decode(record)) for at, record in kept] == list(enumerate((place_order, modify, modify, cancel)))
    with pytest.raises(StoreError, match="breaks a rule of the schema"):
        store.commit(Changes(intents=(place_order,), at_ns=9))


def test_the_week_before_a_day(stores: Stores) -> None:
    """Monday the 23rd to Friday the 27th; on Thursday a loss of Wednesday's became known, which is in no other ledger."""
    store = stores.trading(ACCOUNT)
    known_later = -233_908
    for day, realised, charges, before in (
        (20, 900_000, 0, 100_000),
        (23, 50_000, 6_400, 0),
        (26, -20_000, 12_800, 43_600 + known_later),
    ):
        store.commit(Changes(ledger=DayLedger(date(2026, 11, day), realised, charges, week_before_paise=before)))
    weeks = {day: store.week_before(date(2026, 11, day)) for day in (23, 24, 26, 27, 30)}
    assert weeks == {23: 0, 24: 43_600, 26: 43_600, 27: 43_600 + known_later - 32_800, 30: 0}


# --- what cannot be ---


def an_order(**fields: Any) -> Order:
    return msgspec.structs.replace(one_trade(1).orders[0], **fields)


NONSENSE: dict[str, Changes] = {
    "filled beyond its quantity": Changes(orders=(an_order(filled_quantity=150),)),
    "quantity below zero": Changes(orders=(an_order(quantity=-75, filled_quantity=0),)),
    "price below zero": Changes(orders=(an_order(price_paise=-5),)),
    "one broker id on two orders": Changes(orders=(an_order(), an_order(id="as1-00002"))),
    "sold more than bought": Changes(positions=(a_position(bought_quantity=75, sold_quantity=150),)),
    "two open positions in a contract": Changes(positions=(a_position(), a_position(id="as1-00002"))),
    "charges below zero": Changes(ledger=DayLedger(DAY, charges_paise=-1)),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused_and_leaves_nothing_behind(stores: Stores, nonsense: Changes) -> None:
    store = stores.trading(ACCOUNT)
    store.commit(Changes(ledger=DayLedger(DAY, trades=1)))
    before = store.restore(DAY.isoformat())
    good = msgspec.structs.replace(nonsense, intents=one_trade(7).intents)
    with pytest.raises(StoreError, match=r"(trading\.sqlite3|schema trading): keeping orders and positions failed"):
        store.commit(good)
    assert store.restore(DAY.isoformat()) == before


@pytest.mark.parametrize("table", ["orders", "positions"])
def test_a_state_outside_its_table_is_refused(place: Place, stores: Stores, table: str) -> None:
    stores.trading(ACCOUNT).commit(one_trade(1))
    with (
        closing(place.database()) as database,
        pytest.raises(StoreError, match="state_known"),
        database.write("mischief") as connection,
    ):
        connection.execute(sa.text(f"UPDATE {table} SET state = 'LOST'"))


def test_orders_without_a_broker_id_do_not_collide(stores: Stores) -> None:
    stores.trading(ACCOUNT).commit(Changes(orders=(an_order(broker_id=""), an_order(id="as1-00002", broker_id=""))))
    assert len(stores.trading(ACCOUNT).orders_of_day(DAY)) == 2


def test_a_closed_position_makes_room_in_the_same_commit(stores: Stores) -> None:
    store = stores.trading(ACCOUNT)
    store.commit(Changes(positions=(a_position(),)))
    closed = a_position(state=PositionState.CLOSED, closed_ns=one_trade(1).at_ns)
    store.commit(Changes(positions=(a_position(id="as1-00002"), closed)))
    restored = store.restore(DAY.isoformat()).positions
    assert {position.id: position.state for position in restored} == {
        closed.id: PositionState.CLOSED,
        "as1-00002": a_position().state,
    }
    later = store.restore("2026-12-01").positions
    assert [position.id for position in later] == ["as1-00002"]


# --- halts, settings, audit; the reference store ---


def test_a_halt_stands_over_restarts_until_it_is_lifted(place: Place) -> None:
    with closing(place.open()) as stores:
        stores.trading(ACCOUNT).halt("three restarts in ten minutes", at_ns=1, by="lifeboat")
        stores.trading(ACCOUNT).halt("by hand", at_ns=2, by="me")
    with closing(place.open()) as stores:
        store = stores.trading(ACCOUNT)
        assert store.restore(DAY.isoformat()).standing_halt == "three restarts in ten minutes"
        store.lift_halt(at_ns=3, by="me")
        store.lift_halt(at_ns=4, by="me")
        assert store.restore(DAY.isoformat()).standing_halt == ""
        store.halt("again", at_ns=5, by="me")
        assert store.restore(DAY.isoformat()).standing_halt == "again"
        assert store.audit_between(2, 5) == (
            AuditLine(2, "me", "halt", "by hand"),
            AuditLine(3, "me", "lift halt", "three restarts in ten minutes"),
        )


def test_settings_change_and_say_who_did_it(stores: Stores) -> None:
    store = stores.changes(ACCOUNT)
    assert store.change_setting("LOG_LEVEL", "debug", at_ns=1, by="me") is None
    assert store.change_setting("LOG_LEVEL", "info", at_ns=2, by="you") == "debug"
    stores.trading(ACCOUNT).audit("me", "kill", "typed twice", at_ns=3)
    assert store.settings() == {"LOG_LEVEL": Kept("LOG_LEVEL", "info", "you", 2)}
    assert store.change_setting("LOG_LEVEL", None, at_ns=4, by="me") == "info"
    assert store.change_setting("LOG_LEVEL", None, at_ns=5, by="me") is None, "taken back once"
    assert store.settings() == {}
    assert [(line.who, line.detail) for line in stores.trading(ACCOUNT).audit_between(0, 9)] == [
        ("me", "LOG_LEVEL = debug"),
        ("you", "LOG_LEVEL = info"),
        ("me", "typed twice"),
        ("me", "LOG_LEVEL taken back (was info)"),
    ]
    assert [(one.was, one.now, one.who) for one in store.history(ChangeKind.SETTING)] == [
        ("info", None, "me"),
        ("debug", "info", "you"),
        (None, "debug", "me"),
    ]
    assert stores.changes("another").history() == ()


def test_a_changed_rule_its_history_and_the_rules_of_the_day_are_kept_together_or_not_at_all(place: Place) -> None:
    rules = RULES
    tight = replace(rules, version=2, limits=replace(rules.limits, day_loss_bps=100))
    with closing(place.open()) as stores:
        store = stores.changes(ACCOUNT)
        assert store.in_force() is None
        store.keep_in_force(InForce(DAY, 1, rules))
        store.change_rule("limits.day_loss", "1%", at_ns=2, by="me", effect="at once", force=InForce(DAY, 2, tight))

    def refuse(_: str) -> None:
        raise OSError("the power went")

    later = InForce(DAY, 3, replace(rules, version=3))
    dying = place.open(mark=lambda name: refuse(name) if name == "store.before_commit" else None)
    with closing(dying) as stores, suppress(OSError):
        stores.changes(ACCOUNT).change_rule("limits.open", "1", at_ns=3, by="me", effect="at once", force=later)
    with closing(place.open()) as stores:
        store = stores.changes(ACCOUNT)
        assert {key: kept.value for key, kept in store.overrides().items()} == {"limits.day_loss": "1%"}
        assert store.in_force(DAY) == store.in_force() == InForce(DAY, 2, tight)
        assert store.in_force(date(2020, 1, 1)) is None
        assert [(one.name, one.effect) for one in store.history(ChangeKind.RULE)] == [("limits.day_loss", "at once")]
        assert store.history(ChangeKind.RULE, "limits.open") == ()
        assert stored_settings(place.url, place.folder, ACCOUNT) == {}


def test_stored_settings_are_found_without_making_or_changing_anything(new_place: Place) -> None:
    assert stored_settings(new_place.url, new_place.folder, ACCOUNT) == {}
    assert not new_place.folder.exists()
    with closing(new_place.open()) as stores:
        stores.changes(ACCOUNT).change_setting("LOG_LEVEL", "debug", at_ns=1, by="me")
        assert stored_settings(new_place.url, new_place.folder, ACCOUNT) == {"LOG_LEVEL": "debug"}
        assert stored_settings(new_place.url, new_place.folder, "another") == {}
        assert stores.last_account() == ""
        assert stored_settings(new_place.url, new_place.folder) == {}, "the first account is PAPER"
        stores.trading(ACCOUNT).next_epoch(started_ns=5)
        stores.trading("another").next_epoch(started_ns=4)
        assert stores.last_account() == ACCOUNT
        assert stored_settings(new_place.url, new_place.folder) == {"LOG_LEVEL": "debug"}


def test_the_watchlist_keeps_who_put_on_and_who_took_off(stores: Stores) -> None:
    reliance, nifty = instrument_key(Segment.NSE_EQ, 2885), instrument_key(Segment.IDX_I, 13)
    watchlist = stores.watchlist
    assert watchlist.add([(reliance, "RELIANCE"), (nifty, "NIFTY")], by="me", at_ns=1) == 2
    assert watchlist.add([(nifty, "NIFTY")], by="me", at_ns=2) == 0
    assert [item.key for item in watchlist.items()] == [nifty, reliance], "by segment and security id"
    assert watchlist.remove([reliance], by="you", at_ns=3) == 1
    assert watchlist.remove([reliance], by="you", at_ns=4) == 0
    assert [item.key for item in watchlist.items()] == [nifty]
    assert WatchItem(reliance, "RELIANCE", active=False, by="you", at_ns=3) in watchlist.items(inactive=True)
    assert watchlist.find("RELIANCE") == ()
    assert watchlist.tick_sizes([reliance]) == {}


def test_decisions_wait_off_the_way_of_orders_and_are_kept_in_order(place: Place) -> None:
    made = tuple(
        Decision(at, DecisionKind.REFUSAL, "NIFTY", "spread_wide", numbers={"spread_paise": at, "ratio": float("inf")})
        for at in (5, 5, 7)
    )
    with closing(place.open()) as stores:
        stores.trading(ACCOUNT).commit(Changes(decisions=made[:2]))
        assert stores.reference.decisions_between(ACCOUNT, 0, 9) == ()
        stores.decisions.write()
        assert stores.decisions.waiting == 0
        assert stores.reference.decisions_between(ACCOUNT, 0, 9) == made[:2]
        stores.trading(ACCOUNT).commit(Changes(decisions=made[2:]))
    with closing(place.open()) as stores:
        assert stores.reference.decisions_between(ACCOUNT, 5, 7) == made[:2]
        assert stores.reference.decisions_between(ACCOUNT, 0, 9) == made
        assert stores.reference.decisions_between("another", 0, 9) == ()


def test_signals_and_candles(stores: Stores) -> None:
    reference = stores.reference
    signal_up = Signal(Direction.UP, "supertrend_adx", {"adx": 27.5})
    reference.keep_signal(ACCOUNT, "NIFTY", signal_up, at_ns=5)
    assert reference.signals_between(ACCOUNT, 0, 9) == ((5, "NIFTY", signal_up),)

    bars = [Candle(start, 100, 120, 90, 110) for start in (0, 60, 120)]
    reference.keep_candles(13, bars)
    reference.keep_candles(13, [Candle(60, 100, 130, 90, 110)])
    reference.keep_candles(14, [])
    assert reference.candles_between(13, 60, 121) == (Candle(60, 100, 130, 90, 110), bars[2])
    with pytest.raises(StoreError, match="keeping candles failed"):
        reference.keep_candles(13, [Candle(180, 100, 99, 90, 95)])


# --- revisions ---


def spelt(reflected: Any) -> str:
    """A reflected thing as text, its SQL expressions spelt out."""
    if isinstance(reflected, dict):
        return str({key: spelt(reflected[key]) for key in sorted(reflected)})
    return str(reflected)


def schema_of(connection: sa.Connection) -> dict[str, Any]:
    """Everything the database itself says about its tables, in an order of our own."""
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table),
            "indexes": sorted(map(spelt, inspector.get_indexes(table))),
            "checks": sorted(map(spelt, inspector.get_check_constraints(table))),
            "references": sorted(map(spelt, inspector.get_foreign_keys(table))),
        }
        for table in sorted(inspector.get_table_names())
    }


@pytest.mark.parametrize("part", PARTS)
def test_created_migrated_and_declared_schema_are_the_same(new_place: Place, part: Part) -> None:
    with closing(new_place.database(part)) as database:
        bring_to_head(database)
        with database.write("taking it down and up") as connection:
            created = schema_of(connection)
            assert set(created) == {*METADATA[part].tables, "alembic_version"}
            downgrade(connection, part, "base")
            assert set(schema_of(connection)) == {"alembic_version"}
            upgrade(connection, part)
            assert schema_of(connection) == created
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, METADATA[part]) == []
        assert database_revision(new_place, part) == HEAD[part]


@pytest.mark.parametrize("part", PARTS)
def test_the_head_named_in_the_code_is_the_newest_migration(part: Part) -> None:
    assert ScriptDirectory.from_config(configuration(part)).get_heads() == [HEAD[part]]


def test_nothing_is_left_to_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that drafts the next migration finds no difference to write down."""
    shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    monkeypatch.setattr(run, "MIGRATIONS", tmp_path / "migrations")
    for part in PARTS:
        run.draft(part, f"{part}_9999", "Nothing.")
        drafted = (tmp_path / "migrations" / part / f"{part}_9999.py").read_text()
        assert drafted.count("    pass\n") == 2
        assert f'down_revision = "{HEAD[part]}"' in drafted.replace("'", '"')


def database_revision(place: Place, part: Part) -> str:
    return str(place.query(sa.text("SELECT version_num FROM alembic_version"), part)[0][0])


def test_an_older_database_is_migrated(place: Place) -> None:
    with closing(place.open()) as stores:
        stores.trading(ACCOUNT).commit(one_trade(1))
    with closing(place.database()) as database:
        assert move_to(database, "trading_0001") == (HEAD["trading"], "trading_0001")
    assert database_revision(place, "trading") == "trading_0001"
    with closing(place.open()) as stores:
        assert stores.trading(ACCOUNT).orders_of_day(DAY) == one_trade(1).orders
    assert database_revision(place, "trading") == HEAD["trading"]


@pytest.mark.parametrize("part", PARTS)
def test_a_database_newer_than_the_code_is_left_alone(new_place: Place, part: Part) -> None:
    new_place.open().close()
    with closing(new_place.database(part)) as database, database.write("making it newer") as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'trading_9999'"))
    expected = rf"{part}.*its revision is trading_9999, this code knows up to {HEAD[part]}.*start that version"
    with pytest.raises(StoreError, match=expected):
        new_place.open()
    assert database_revision(new_place, part) == "trading_9999"


def test_a_database_of_something_else_is_left_alone(new_place: Place) -> None:
    with closing(new_place.database()) as database:
        if new_place.url:
            with database.write("making a schema") as connection:
                connection.execute(sa.text("CREATE SCHEMA trading"))
        with database.write("making it somebody's") as connection:
            connection.execute(sa.text("CREATE TABLE invoices (number INTEGER)"))
    with pytest.raises(
        StoreError, match=rf"holds tables \(invoices\) but no revision of ours, expected {HEAD['trading']}"
    ):
        new_place.open()
    with closing(new_place.database()) as database, database.read("looking") as connection:
        assert sa.inspect(connection).get_table_names() == ["invoices"]


def test_opening_does_not_import_alembic(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from algo_scalper.adapters.storage.stores import open_stores;"
        "open_stores(None, Path(sys.argv[1])).close();"
        "sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


# --- damage and disasters ---


def test_a_damaged_file_is_recognised_and_left_alone(tmp_path: Path) -> None:
    with closing(open_stores(None, tmp_path)) as stores:
        for number in range(1, 60):
            stores.trading(ACCOUNT).commit(one_trade(number))
    path = tmp_path / "trading.sqlite3"
    whole = path.read_bytes()
    middle = len(whole) // 2 // 4096 * 4096
    damages = {
        "not a database": b"not a database, but a text somebody saved here\n" * 200,
        "damaged|malformed": whole[:middle] + os.urandom(4096) + whole[middle + 4096 :],
        "damaged|malformed|disk I/O": whole[: len(whole) // 2],
    }
    for expected, content in damages.items():
        path.write_bytes(content)
        with pytest.raises(StoreError, match=rf"trading\.sqlite3: .*({expected})"):
            open_stores(None, tmp_path)
        assert path.read_bytes() == content


def test_a_full_disk_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    with closing(open_stores(None, tmp_path)) as stores:
        store = stores.trading(ACCOUNT)
        store.commit(one_trade(1))
        with store._database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        committed = 1
        with suppress(StoreError):
            while committed < 1_000:
                store.commit(one_trade(committed + 1))
                committed += 1
        with pytest.raises(
            StoreError, match=r"trading\.sqlite3: keeping orders and positions failed: .*full; free space"
        ):
            store.commit(one_trade(committed + 1))
        assert store.restore(DAY.isoformat()).ledger == DayLedger(DAY, trades=committed)


def test_a_store_another_process_holds_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "WAIT_MS", 5)
    with (
        closing(open_stores(None, tmp_path)) as stores,
        closing(sqlite3.connect(tmp_path / "trading.sqlite3")) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked; another process holds it"):
            stores.trading(ACCOUNT).next_epoch()
        assert stores.trading(ACCOUNT).restore(DAY.isoformat()).orders == ()  # reading goes on
        other.execute("ROLLBACK")
        assert stores.trading(ACCOUNT).next_epoch() == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file/data: cannot be made"):
        open_stores(None, tmp_path / "file" / "data")


def test_connections_the_server_dropped_do_not_cost_a_commit(postgres_url: str, tmp_path: Path) -> None:
    with closing(open_stores(postgres_url, tmp_path)) as stores:
        store = stores.trading(ACCOUNT)
        store.commit(one_trade(1))
        place = Place(postgres_url, tmp_path)
        dropped = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        assert len(place.query(sa.text(dropped))) >= 1
        store.commit(one_trade(2))
        assert store.restore(DAY.isoformat()).ledger == DayLedger(DAY, trades=2)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_no_password_in_any_error(scheme: str, tmp_path: Path) -> None:
    url = f"{scheme}://trader:hunter2@127.0.0.1:1/money"
    with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1:1/money schema trading: .* failed") as caught:
        open_stores(url, tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["mysql://root:hunter2@localhost/x", "sqlite:///hunter2", "postgres://a:hunter2/@b:5432", "hunter2"]
)
def test_a_url_that_cannot_be_used_is_explained_without_repeating_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="postgresql://user:password@host:5432/name") as caught:
        open_stores(url, tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


# --- sudden death ---


def die_at(step: str, nth: int) -> Callable[[str], None]:
    """A mark that kills this process, without a word, when ``step`` is reached for the n-th time."""
    left = [nth]

    def mark(reached: str) -> None:
        left[0] -= reached == step
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return mark


def killed(body: Callable[[int], None], kill_after: int | None) -> int:
    """Run ``body(pipe)`` in a child that is killed; the number of bytes it wrote: what it knew to be durable.

    With ``kill_after`` this process kills it after that many bytes, wherever it is then; else it kills itself.
    """
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(listen)
            body(tell)
        os._exit(1)
    os.close(tell)
    told = 0
    while data := os.read(listen, 1):
        told += len(data)
        if told == kill_after:
            os.kill(child, signal.SIGKILL)
    os.close(listen)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself: nothing was tested"
    assert os.WTERMSIG(status) == signal.SIGKILL
    return told


def committing(place: Place, mark: Callable[[str], None]) -> Callable[[int], None]:
    """Commits one trade after another for ever and tells of each that returned."""

    def body(tell: int) -> None:
        stores = place.open(mark=mark)
        store = stores.trading(ACCOUNT)
        number = len(store.orders_of_day(DAY))
        while True:
            number += 1
            store.commit(one_trade(number))
            os.write(tell, b".")

    return body


def creating(place: Place, mark: Callable[[str], None]) -> Callable[[int], None]:
    """Opens the stores, and dies afterwards if it has not before."""

    def body(_tell: int) -> None:
        place.open(mark=mark)
        os.kill(os.getpid(), signal.SIGKILL)

    return body


def what_is_there(place: Place) -> int:
    """How many trades are committed, after checking that each is there whole."""
    with closing(place.open()) as stores:
        store = stores.trading(ACCOUNT)
        restored = store.restore(DAY.isoformat())
        count = len(restored.orders)
        if count:
            assert restored.ledger == DayLedger(DAY, trades=count)
            assert restored.positions == one_trade(count).positions
            assert sum(fill.value_paise for fill in store.fills_of_day(DAY)) == count * LOT * ENTRY_PAISE
        counts = [sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in (orders, intents, fills)]
        assert place.query(sa.select(*counts)) == [(count, count, count)]
        return count


def test_a_process_killed_among_commits_leaves_the_old_or_the_new(place: Place) -> None:
    place.open().close()
    there = 0
    for told_before_the_kill in (1, 2, 3, 5, 8):
        told = killed(committing(place, lambda _step: None), told_before_the_kill)
        before, there = there, what_is_there(place)
        assert there - before in {told, told + 1}


@pytest.mark.parametrize(("step", "kept"), [("store.before_commit", 0), ("store.after_commit", 1)])
def test_a_process_killed_at_the_commit_itself(place: Place, step: str, kept: int) -> None:
    place.open().close()
    there = 0
    for nth in (1, 3):
        told = killed(committing(place, die_at(step, nth)), None)
        assert told == nth - 1
        there += told + kept
        assert what_is_there(place) == there


@pytest.mark.parametrize("step", ["store.before_commit", "store.after_commit"])
def test_a_process_killed_while_it_creates_the_tables_harms_nothing(new_place: Place, step: str) -> None:
    for nth in (1, 2, 3, 4):
        killed(creating(new_place, die_at(step, nth)), None)
    assert what_is_there(new_place) == 0


# --- one engine an account ---


def test_a_second_engine_of_the_account_is_refused_by_name(tmp_path: Path) -> None:
    with InstanceLock(tmp_path, ACCOUNT) as lock:
        with pytest.raises(
            SecondInstance, match=rf"account {ACCOUNT} already runs as process {os.getpid()}.*kill -INT"
        ):
            InstanceLock(tmp_path, ACCOUNT)
        InstanceLock(tmp_path, "another/account").release()
        assert lock.still_held()
    InstanceLock(tmp_path, ACCOUNT).release()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    def hold(tell: int) -> None:
        lock = InstanceLock(tmp_path, ACCOUNT)
        os.write(tell, b".")
        signal.pause()
        lock.release()

    assert killed(hold, 1) == 1
    InstanceLock(tmp_path, ACCOUNT).release()


def test_two_machines_on_one_database_are_told_of_each_other(postgres_url: str, tmp_path: Path) -> None:
    with InstanceLock(tmp_path / "one", ACCOUNT, postgres_url) as lock:
        with pytest.raises(SecondInstance, match=rf"already runs as process scalper {os.getpid()} on "):
            InstanceLock(tmp_path / "two", ACCOUNT, postgres_url)
        InstanceLock(tmp_path / "two", "another", postgres_url).release()
        assert lock.still_held()
        drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'scalper %'"
        Place(postgres_url, tmp_path).query(sa.text(drop))
        assert not lock.still_held()
    InstanceLock(tmp_path / "two", ACCOUNT, postgres_url).release()
