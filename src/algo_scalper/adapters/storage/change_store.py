"""Settings and rules a person changed while nothing was restarted: what stands, who changed it, and what a day trades by."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from algo_scalper.adapters.storage.database import Database
from algo_scalper.adapters.storage.tables import (
    ChangeKind,
    audit_log,
    rule_overrides,
    rules_in_force,
    setting_changes,
    settings,
)
from algo_scalper.domain.errors import StoreError
from algo_scalper.domain.rules import Rules

_encode = msgspec.msgpack.encode
_rules = msgspec.msgpack.Decoder(Rules).decode


class Kept(msgspec.Struct, frozen=True):
    """A stored value, and who stored it when."""

    name: str
    value: str
    by: str
    at_ns: int


class PastChange(msgspec.Struct, frozen=True):
    """One line of the history. ``was`` or ``now`` None: nothing was stored before, or nothing is any more."""

    at_ns: int
    who: str
    kind: ChangeKind
    name: str
    was: str | None
    now: str | None
    effect: str


class InForce(msgspec.Struct, frozen=True):
    """What a day was last traded by."""

    day: date
    at_ns: int
    rules: Rules


class ChangeStore:
    """The changes of one account, in the trading store: only who holds the account's lock may write them."""

    def __init__(self, database: Database, account: str) -> None:
        self.account = account
        self._database = database

    # --- what stands ---

    def settings(self) -> dict[str, Kept]:
        """Stored settings by name."""
        with self._database.read("reading the settings") as connection:
            return self._kept(connection, settings, settings.c.name)

    def overrides(self) -> dict[str, Kept]:
        """Rules laid over the file, by key."""
        with self._database.read("reading the changed rules") as connection:
            return self._kept(connection, rule_overrides, rule_overrides.c.key)

    def in_force(self, day: date | None = None) -> InForce | None:
        """What this day was last traded by, or without one the newest day; None when there is none."""
        c = rules_in_force.c
        query = sa.select(c.day, c.changed_ns, c.record).where(c.account == self.account)
        if day is not None:
            query = query.where(c.day == day)
        with self._database.read("reading the rules of the day") as connection:
            row = connection.execute(query.order_by(c.day.desc()).limit(1)).one_or_none()
        if row is None:
            return None
        try:
            return InForce(row.day, row.changed_ns, _rules(row.record))
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self._database.where}: the rules of {row.day} cannot be read ({error}); start the version that wrote "
                "them, or restore the last backup"
            ) from error

    def history(self, kind: ChangeKind | None = None, name: str = "", limit: int = 200) -> tuple[PastChange, ...]:
        """The newest changes, newest first; of one kind, of one name."""
        c = setting_changes.c
        query = sa.select(c.at_ns, c.who, c.kind, c.name, c.was, c.now, c.effect).where(c.account == self.account)
        if kind is not None:
            query = query.where(c.kind == kind.value)
        if name:
            query = query.where(c.name == name)
        with self._database.read("reading the history of changes") as connection:
            rows = connection.execute(query.order_by(c.number.desc()).limit(limit))
            return tuple(PastChange(r.at_ns, r.who, ChangeKind(r.kind), r.name, r.was, r.now, r.effect) for r in rows)

    # --- changing it ---

    def change_setting(self, name: str, value: str | None, *, at_ns: int, by: str, effect: str = "") -> str | None:
        """Store one setting, None takes it away; gives what was stored before."""
        with self._database.write("changing a setting") as connection:
            return self._change(connection, ChangeKind.SETTING, name, value, at_ns, by, effect)

    def change_rule(
        self, key: str, value: str | None, *, at_ns: int, by: str, effect: str, force: InForce | None = None
    ) -> str | None:
        """Lay one rule over the file, None takes it away, with ``force`` in the same transaction; gives what was there."""
        with self._database.write("changing a rule") as connection:
            was = self._change(connection, ChangeKind.RULE, key, value, at_ns, by, effect)
            if force is not None:
                self._keep_in_force(connection, force)
        return was

    def keep_in_force(self, force: InForce) -> None:
        """Remember what a day is traded by from now on."""
        with self._database.write("keeping the rules of the day") as connection:
            self._keep_in_force(connection, force)

    def _keep_in_force(self, connection: sa.Connection, force: InForce) -> None:
        row = {
            "account": self.account,
            "day": force.day,
            "version": force.rules.version,
            "changed_ns": force.at_ns,
            "record": _encode(force.rules),
        }
        self._replace(connection, rules_in_force, row)

    def _change(
        self,
        connection: sa.Connection,
        kind: ChangeKind,
        name: str,
        value: str | None,
        at_ns: int,
        by: str,
        effect: str,
    ) -> str | None:
        table, named = (
            (settings, settings.c.name) if kind is ChangeKind.SETTING else (rule_overrides, rule_overrides.c.key)
        )
        mine = (table.c.account == self.account) & (named == name)
        was = connection.execute(sa.select(table.c.value).where(mine)).scalar_one_or_none()
        if was is None and value is None:
            return None
        if value is None:
            connection.execute(sa.delete(table).where(mine))
        else:
            row = {"account": self.account, named.name: name, "value": value, "changed_by": by, "changed_ns": at_ns}
            self._replace(connection, table, row)
        line = {"account": self.account, "at_ns": at_ns, "who": by, "kind": kind.value, "name": name}
        connection.execute(sa.insert(setting_changes), {**line, "was": was, "now": value, "effect": effect})
        detail = f"{name} = {value}" if value is not None else f"{name} taken back (was {was})"
        audited = {"account": self.account, "at_ns": at_ns, "who": by, "action": f"change {kind.value}"}
        connection.execute(sa.insert(audit_log), {**audited, "detail": detail})
        return None if was is None else str(was)

    def _kept(self, connection: sa.Connection, table: sa.Table, named: sa.Column[Any]) -> dict[str, Kept]:
        query = sa.select(named, table.c.value, table.c.changed_by, table.c.changed_ns)
        rows = connection.execute(query.where(table.c.account == self.account).order_by(named))
        return {row[0]: Kept(*row) for row in rows}

    def _replace(self, connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
        """Insert the row, or overwrite the one under the same primary key."""
        statement: Any = sqlite.insert(table) if self._database.is_sqlite else postgresql.insert(table)
        keys = [column.name for column in table.primary_key]
        fresh = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=fresh), row)
