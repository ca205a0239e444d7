"""The trading store of one account: what we intended, what came of it, what stands. Every call is one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.reference import DecisionLog
from algo_scalper.adapters.storage.tables import (
    audit_log,
    day_ledger,
    fills,
    halts,
    intents,
    orders,
    positions,
    sessions,
    soft_state,
)
from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.commands import ModifyOrder, OrderCommand, PlaceOrder
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.events import SoftState
from algo_scalper.domain.orders import Order, Request
from algo_scalper.domain.ports import Changes, Restored
from algo_scalper.domain.positions import Position, PositionState
from algo_scalper.domain.units import ist_day

_encode = msgspec.msgpack.encode
_order = msgspec.msgpack.Decoder(Order).decode
_position = msgspec.msgpack.Decoder(Position).decode
_ledger = msgspec.msgpack.Decoder(DayLedger).decode
_soft = msgspec.msgpack.Decoder(SoftState).decode

Row = dict[str, Any]
Kept = TypeVar("Kept")


class Fill(msgspec.Struct, frozen=True):
    """One growth of an order's filled quantity, as we learned of it; ``value_paise`` is price x quantity."""

    order_id: str
    quantity: int
    value_paise: int
    filled_to: int
    at_ns: int


class AuditLine(msgspec.Struct, frozen=True):
    """What a person (or the lifeboat) did to the running of things."""

    at_ns: int
    who: str
    action: str
    detail: str


class TradingStore:
    """`domain.ports.Store`, and the questions reports ask. Decisions go on to the reference store's `DecisionLog`."""

    def __init__(self, database: Database, account: str, decisions: DecisionLog) -> None:
        self.account = account
        self._database = database
        self._decisions = decisions

    # --- the engine's own books ---

    def next_epoch(self, *, started_ns: int = 0, code_version: str = "") -> int:
        """Advance the durable session number and return it; committed before this returns."""
        with self._database.write("beginning a session") as connection:
            last = sa.select(sa.func.coalesce(sa.func.max(sessions.c.epoch), 0)).where(
                sessions.c.account == self.account
            )
            epoch = int(connection.execute(last).scalar_one()) + 1
            connection.execute(
                sa.insert(sessions),
                {"account": self.account, "epoch": epoch, "started_ns": started_ns, "code_version": code_version},
            )
        return epoch

    def commit(self, changes: Changes) -> None:
        """Make the changes durable (fsync). Raises `StoreError` when they are not; then nothing of them is kept.

        The same changes may be committed twice (a commit whose answer was lost): the second time adds nothing.
        """
        with self._database.write("keeping orders and positions") as connection:
            if changes.intents:
                rows = [self._intent_row(command, changes.at_ns) for command in changes.intents]
                self._insert_new(connection, intents, rows)
            if changes.orders:
                grown = self._grown(connection, changes)
                self._replace(connection, orders, [self._order_row(order) for order in changes.orders])
                if grown:
                    self._insert_new(connection, fills, grown)
            if changes.positions:
                # A closed position makes room for the next one of its contract: it goes first.
                by_closed = sorted(changes.positions, key=lambda position: position.state is not PositionState.CLOSED)
                self._replace(connection, positions, [self._position_row(position) for position in by_closed])
            if changes.ledger is not None:
                self._replace(connection, day_ledger, [self._ledger_row(changes.ledger)])
        self._decisions.keep(self.account, changes.decisions)

    def save_soft(self, soft: SoftState) -> None:
        """Keep the soft state; losing it loses no money."""
        with self._database.write("keeping the soft state") as connection:
            row = {"account": self.account, "at_ns": soft.at_ns, "record": _encode(soft)}
            self._replace(connection, soft_state, [row])

    def restore(self, day_iso: str) -> Restored:
        """Positions open or closed today, the day's orders and ledger, the last soft state, the standing halt."""
        day = date.fromisoformat(day_iso)
        with self._database.read("restoring the account") as connection:
            # Closed ones too: the day's orders belong to them, and the broker's book will name those orders.
            of_today = sa.select(positions.c.record).where(
                positions.c.account == self.account,
                (positions.c.state != PositionState.CLOSED.value) | (positions.c.closed_day == day),
            )
            ledger = sa.select(day_ledger.c.record).where(day_ledger.c.account == self.account, day_ledger.c.day == day)
            soft = sa.select(soft_state.c.record).where(soft_state.c.account == self.account)
            return Restored(
                positions=self._decoded(
                    connection, of_today.order_by(positions.c.opened_ns, positions.c.id), _position
                ),
                orders=self._decoded(connection, self._orders_of(day), _order),
                ledger=next(iter(self._decoded(connection, ledger, _ledger)), None),
                soft=next(iter(self._decoded(connection, soft, _soft)), None),
                standing_halt=self._standing_halt(connection),
            )

    # --- halts and the audit log ---

    def halt(self, reason: str, *, at_ns: int, by: str) -> None:
        """Let no entry be taken, over restarts too, until `lift_halt`. An earlier halt's reason stays."""
        with self._database.write("halting") as connection:
            if not self._standing_halt(connection):
                row = {"account": self.account, "reason": reason, "halted_by": by, "halted_ns": at_ns}
                connection.execute(sa.insert(halts), row)
            self._audit(connection, at_ns, by, "halt", reason)

    def lift_halt(self, *, at_ns: int, by: str) -> None:
        """End the standing halt, if there is one."""
        with self._database.write("lifting the halt") as connection:
            reason = self._standing_halt(connection)
            if reason:
                standing = sa.update(halts).where(halts.c.account == self.account, halts.c.lifted_ns.is_(None))
                connection.execute(standing.values(lifted_by=by, lifted_ns=at_ns))
                self._audit(connection, at_ns, by, "lift halt", reason)

    def audit(self, who: str, action: str, detail: str, *, at_ns: int) -> None:
        """Write down a person's deed."""
        with self._database.write("writing the audit log") as connection:
            self._audit(connection, at_ns, who, action, detail)

    def audit_between(self, from_ns: int, until_ns: int) -> tuple[AuditLine, ...]:
        """The audit log from (inclusive) until (exclusive), in order."""
        log = audit_log.c
        query = (
            sa.select(log.at_ns, log.who, log.action, log.detail)
            .where(log.account == self.account, log.at_ns >= from_ns, log.at_ns < until_ns)
            .order_by(log.at_ns, log.number)
        )
        with self._database.read("reading the audit log") as connection:
            return tuple(AuditLine(*row) for row in connection.execute(query))

    # --- what reports ask ---

    def open_positions(self) -> tuple[Position, ...]:
        """Positions that still hold something, of any day."""
        query = sa.select(positions.c.record).where(
            positions.c.account == self.account,
            positions.c.state != PositionState.CLOSED.value,
            positions.c.bought_quantity > positions.c.sold_quantity,
        )
        with self._database.read("reading open positions") as connection:
            return self._decoded(connection, query.order_by(positions.c.opened_ns), _position)

    def last_day(self) -> date | None:
        """The day of this account's last session, traded or not; None before the first."""
        last = sa.select(sa.func.max(sessions.c.started_ns)).where(sessions.c.account == self.account)
        with self._database.read("reading the last day") as connection:
            started_ns = connection.execute(last).scalar_one()
        return ist_day(int(started_ns)) if started_ns else None

    def trades_of_day(self, day: date) -> tuple[Position, ...]:
        """Round trips that ended on this IST day, in the order they ended."""
        query = (
            sa.select(positions.c.record)
            .where(
                positions.c.account == self.account,
                positions.c.closed_day == day,
                positions.c.state == PositionState.CLOSED.value,
                positions.c.bought_quantity > 0,
            )
            .order_by(positions.c.closed_ns, positions.c.id)
        )
        with self._database.read("reading the day's trades") as connection:
            return self._decoded(connection, query, _position)

    def orders_of_day(self, day: date) -> tuple[Order, ...]:
        """Orders made on this IST day, in the order they were made."""
        with self._database.read("reading the day's orders") as connection:
            return self._decoded(connection, self._orders_of(day), _order)

    def fills_of_day(self, day: date) -> tuple[Fill, ...]:
        """Fills of the orders made on this IST day, in the order we learned of them."""
        c = fills.c
        query = (
            sa.select(c.correlation_id, c.quantity, c.value_paise, c.filled_to, c.at_ns)
            .where(c.account == self.account, c.day == day)
            .order_by(c.at_ns, c.correlation_id, c.filled_to)
        )
        with self._database.read("reading the day's fills") as connection:
            return tuple(Fill(*row) for row in connection.execute(query))

    def ledger_of_day(self, day: date) -> DayLedger | None:
        """The day's ledger as last committed."""
        query = sa.select(day_ledger.c.record).where(day_ledger.c.account == self.account, day_ledger.c.day == day)
        with self._database.read("reading the day's ledger") as connection:
            return next(iter(self._decoded(connection, query, _ledger)), None)

    def week_before(self, day: date) -> int:
        """Net result in paise of this week, from Monday to the day before ``day``.

        The newest ledger of the week knows the days before its own, and what was learned of them later.
        """
        c, monday = day_ledger.c, day - timedelta(days=day.weekday())
        query = sa.select(c.record).where(c.account == self.account, c.day >= monday, c.day < day)
        newest = query.order_by(c.day.desc()).limit(1)
        with self._database.read("reading the week's result") as connection:
            ledger = next(iter(self._decoded(connection, newest, _ledger)), None)
        return ledger.week_before_paise + ledger.net_paise if ledger is not None else 0

    # --- rows ---

    def _grown(self, connection: sa.Connection, changes: Changes) -> list[Row]:
        """Fill rows: by how much each order's fills have grown since it was last committed."""
        ids = [order.id for order in changes.orders]
        query = sa.select(orders.c.correlation_id, orders.c.filled_quantity, orders.c.filled_value_paise).where(
            orders.c.account == self.account, orders.c.correlation_id.in_(ids)
        )
        before = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)}
        rows: list[Row] = []
        for order in changes.orders:
            quantity_before, value_before = before.get(order.id, (0, 0))
            quantity = order.filled_quantity - quantity_before
            value_paise = order.filled_value_paise - value_before
            if quantity < 0:
                raise StoreError(
                    f"order {order.id}: {quantity_before} contracts were filled and now {order.filled_quantity}; "
                    "fills are never taken back: compare the order with the broker's book"
                )
            if quantity:
                rows.append(self._fill_row(order, quantity, value_paise, changes.at_ns))
            elif value_paise:
                self._correct_last_fill(connection, order, value_paise)
        return rows

    def _correct_last_fill(self, connection: sa.Connection, order: Order, by_paise: int) -> None:
        """The broker's price of the same fills changed by a rounding; the rows still add up to the order."""
        connection.execute(
            sa.update(fills)
            .where(
                fills.c.account == self.account,
                fills.c.correlation_id == order.id,
                fills.c.filled_to == order.filled_quantity,
            )
            .values(value_paise=fills.c.value_paise + by_paise)
        )

    def _fill_row(self, order: Order, quantity: int, value_paise: int, at_ns: int) -> Row:
        return {
            "account": self.account,
            "correlation_id": order.id,
            "filled_to": order.filled_quantity,
            "quantity": quantity,
            "value_paise": value_paise,
            "day": ist_day(order.created_ns),
            "at_ns": at_ns,
        }

    def _intent_row(self, command: OrderCommand, at_ns: int) -> Row:
        return {
            "account": self.account,
            "correlation_id": command.order_id,
            "request": _request_of(command).value,
            "at_ns": at_ns,
            "record": _encode(command),
        }

    def _order_row(self, order: Order) -> Row:
        return {
            "account": self.account,
            "correlation_id": order.id,
            "day": ist_day(order.created_ns),
            "broker_id": order.broker_id,
            "key": order.key,
            "side": order.side.value,
            "kind": order.kind.value,
            "purpose": order.purpose.value,
            "position_id": order.position_id,
            "state": order.state.value,
            "quantity": order.quantity,
            "filled_quantity": order.filled_quantity,
            "filled_value_paise": order.filled_value_paise,
            "price_paise": order.price_paise,
            "trigger_paise": order.trigger_paise,
            "created_ns": order.created_ns,
            "record": _encode(order),
        }

    def _position_row(self, position: Position) -> Row:
        return {
            "account": self.account,
            "id": position.id,
            "key": position.key,
            "contract": position.contract.name,
            "index_name": position.index,
            "direction": position.direction.value,
            "state": position.state.value,
            "bought_quantity": position.bought_quantity,
            "cost_paise": position.cost_paise,
            "sold_quantity": position.sold_quantity,
            "proceeds_paise": position.proceeds_paise,
            "charges_paise": position.charges_paise,
            "exit_reason": position.exit_reason.value,
            "opened_ns": position.opened_ns,
            "closed_ns": position.closed_ns,
            "closed_day": ist_day(position.closed_ns) if position.closed_ns else None,
            "record": _encode(position),
        }

    def _ledger_row(self, ledger: DayLedger) -> Row:
        return {
            "account": self.account,
            "day": ledger.day,
            "realised_paise": ledger.realised_paise,
            "charges_paise": ledger.charges_paise,
            "trades": ledger.trades,
            "halted": ledger.halted,
            "record": _encode(ledger),
        }

    # --- statements ---

    def _orders_of(self, day: date) -> sa.Select[tuple[bytes]]:
        return (
            sa.select(orders.c.record)
            .where(orders.c.account == self.account, orders.c.day == day)
            .order_by(orders.c.created_ns, orders.c.correlation_id)
        )

    def _standing_halt(self, connection: sa.Connection) -> str:
        query = sa.select(halts.c.reason).where(halts.c.account == self.account, halts.c.lifted_ns.is_(None))
        return connection.execute(query).scalar_one_or_none() or ""

    def _audit(self, connection: sa.Connection, at_ns: int, who: str, action: str, detail: str) -> None:
        row = {"account": self.account, "at_ns": at_ns, "who": who, "action": action, "detail": detail}
        connection.execute(sa.insert(audit_log), row)

    def _decoded(self, connection: sa.Connection, query: sa.Select[tuple[bytes]], decode: Any) -> tuple[Any, ...]:
        try:
            return tuple(decode(record) for record in connection.execute(query).scalars())
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self._database.where}: a stored record of account {self.account} cannot be read ({error}); "
                "start the version that wrote it, or restore the last backup"
            ) from error

    def _replace(self, connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert the rows, or overwrite those that are there under the same primary key."""
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        fresh = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=fresh), list(rows))

    def _insert_new(self, connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert the rows that are not there yet under the same primary key."""
        keys = [column.name for column in table.primary_key]
        connection.execute(self._insert(table).on_conflict_do_nothing(index_elements=keys), list(rows))

    def _insert(self, table: sa.Table) -> Any:
        return sqlite.insert(table) if self._database.is_sqlite else postgresql.insert(table)


def _request_of(command: OrderCommand) -> Request:
    if isinstance(command, PlaceOrder):
        return Request.PLACE
    return Request.MODIFY if isinstance(command, ModifyOrder) else Request.CANCEL
