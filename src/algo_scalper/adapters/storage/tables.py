"""The tables of the two stores, and the constraints that make the impossible impossible.

Money is integer paise, times are UTC nanoseconds, days are IST trading dates. ``record`` is the whole domain record
(msgpack by field name): what is read back is exactly what was written; the columns beside it are what is queried and
constrained. ``account`` is in every row and key of `TRADING`: one engine is one account.

A change here needs a migration beside it; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from algo_scalper.domain.decisions import DecisionKind, Direction, ExitReason
from algo_scalper.domain.orders import OrderKind, OrderState, Purpose, Request, Side
from algo_scalper.domain.positions import PositionState

TRADING = MetaData()
REFERENCE = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, members: Iterable[Enum]) -> CheckConstraint:
    """The column holds the value of a member of this enum and nothing else."""
    values = ", ".join(repr(member.value) for member in members)
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known")


def _account() -> Column[str]:
    return Column("account", Text, primary_key=True)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _word(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


sessions = Table(
    "sessions",
    TRADING,
    _account(),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    _count("started_ns"),
    _word("code_version"),
    CheckConstraint("epoch > 0", name="epoch_positive"),
)

intents = Table(
    "intents",
    TRADING,
    _account(),
    Column("correlation_id", Text, primary_key=True),
    Column("request", Text, primary_key=True),
    Column("at_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("record", LargeBinary, nullable=False),
    one_of("request", Request),
    # An order is placed once: a second intent to place it is a bug, not a retry.
    Index(
        "intents_placed_once",
        "account",
        "correlation_id",
        unique=True,
        sqlite_where=text("request = 'place'"),
        postgresql_where=text("request = 'place'"),
    ),
)

orders = Table(
    "orders",
    TRADING,
    _account(),
    Column("correlation_id", Text, primary_key=True),
    Column("day", Date, nullable=False),
    _word("broker_id"),
    _count("key"),
    Column("side", Integer, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("purpose", Integer, nullable=False),
    _word("position_id"),
    _word("state"),
    _count("quantity"),
    _count("filled_quantity"),
    _count("filled_value_paise"),
    _count("price_paise"),
    _count("trigger_paise"),
    _count("created_ns"),
    Column("record", LargeBinary, nullable=False),
    one_of("side", Side),
    one_of("kind", OrderKind),
    one_of("purpose", Purpose),
    one_of("state", OrderState),
    CheckConstraint("filled_quantity >= 0 AND filled_quantity <= quantity", name="filled_within_quantity"),
    CheckConstraint("filled_value_paise >= 0 AND price_paise >= 0 AND trigger_paise >= 0", name="prices_not_negative"),
    Index("orders_by_day", "account", "day"),
    Index(
        "orders_broker_id",
        "account",
        "broker_id",
        unique=True,
        sqlite_where=text("broker_id <> ''"),
        postgresql_where=text("broker_id <> ''"),
    ),
)

fills = Table(
    "fills",
    TRADING,
    _account(),
    Column("correlation_id", Text, primary_key=True),
    # The order's filled quantity after this fill: the same growth seen twice is the same row.
    Column("filled_to", BigInteger, primary_key=True, autoincrement=False),
    _count("quantity"),
    _count("value_paise"),
    Column("day", Date, nullable=False),
    _count("at_ns"),
    CheckConstraint("quantity > 0 AND quantity <= filled_to", name="quantity_within_filled"),
    ForeignKeyConstraint(
        ["account", "correlation_id"], ["orders.account", "orders.correlation_id"], name="fill_of_an_order"
    ),
    Index("fills_by_day", "account", "day"),
)

positions = Table(
    "positions",
    TRADING,
    _account(),
    Column("id", Text, primary_key=True),
    _count("key"),
    _word("contract"),
    _word("index_name"),
    Column("direction", Integer, nullable=False),
    _word("state"),
    _count("bought_quantity"),
    _count("cost_paise"),
    _count("sold_quantity"),
    _count("proceeds_paise"),
    _count("charges_paise"),
    Column("exit_reason", Integer, nullable=False),
    _count("opened_ns"),
    _count("closed_ns"),
    Column("closed_day", Date),
    Column("record", LargeBinary, nullable=False),
    one_of("direction", Direction),
    one_of("state", PositionState),
    one_of("exit_reason", ExitReason),
    CheckConstraint("sold_quantity >= 0 AND sold_quantity <= bought_quantity", name="sold_within_bought"),
    CheckConstraint("cost_paise >= 0 AND proceeds_paise >= 0 AND charges_paise >= 0", name="money_not_negative"),
    Index("positions_by_closed_day", "account", "closed_day"),
    Index(
        "positions_one_open_a_contract",
        "account",
        "key",
        unique=True,
        sqlite_where=text("state <> 'CLOSED'"),
        postgresql_where=text("state <> 'CLOSED'"),
    ),
)

day_ledger = Table(
    "day_ledger",
    TRADING,
    _account(),
    Column("day", Date, primary_key=True),
    _count("realised_paise"),
    _count("charges_paise"),
    _count("trades"),
    _word("halted"),
    Column("record", LargeBinary, nullable=False),
    CheckConstraint("charges_paise >= 0 AND trades >= 0", name="counts_not_negative"),
)

soft_state = Table(
    "soft_state",
    TRADING,
    _account(),
    _count("at_ns"),
    Column("record", LargeBinary, nullable=False),
)

halts = Table(
    "halts",
    TRADING,
    Column("number", _NUMBER, primary_key=True),
    _word("account"),
    _word("reason"),
    _word("halted_by"),
    _count("halted_ns"),
    Column("lifted_by", Text),
    Column("lifted_ns", BigInteger),
    CheckConstraint("reason <> ''", name="reason_given"),
    CheckConstraint("(lifted_by IS NULL) = (lifted_ns IS NULL)", name="lifted_by_somebody"),
    Index(
        "halts_one_standing",
        "account",
        unique=True,
        sqlite_where=text("lifted_ns IS NULL"),
        postgresql_where=text("lifted_ns IS NULL"),
    ),
)

settings = Table(
    "settings",
    TRADING,
    _account(),
    Column("name", Text, primary_key=True),
    _word("value"),
    _word("changed_by"),
    _count("changed_ns"),
)

audit_log = Table(
    "audit_log",
    TRADING,
    Column("number", _NUMBER, primary_key=True),
    _word("account"),
    _count("at_ns"),
    _word("who"),
    _word("action"),
    _word("detail"),
    Index("audit_log_by_time", "account", "at_ns"),
)

decisions = Table(
    "decisions",
    REFERENCE,
    Column("number", _NUMBER, primary_key=True),
    _word("account"),
    _count("at_ns"),
    _word("kind"),
    _word("index_name"),
    _word("reason"),
    _word("position_id"),
    Column("record", LargeBinary, nullable=False),
    one_of("kind", DecisionKind),
    Index("decisions_by_time", "account", "at_ns"),
)

signals = Table(
    "signals",
    REFERENCE,
    Column("number", _NUMBER, primary_key=True),
    _word("account"),
    _count("at_ns"),
    _word("index_name"),
    _word("name"),
    Column("direction", Integer, nullable=False),
    Column("record", LargeBinary, nullable=False),
    one_of("direction", Direction),
    Index("signals_by_time", "account", "at_ns"),
)

job_runs = Table(
    "job_runs",
    REFERENCE,
    Column("number", _NUMBER, primary_key=True),
    _word("job"),
    _count("started_ns"),
    Column("ended_ns", BigInteger),
    Column("failure", Text),
    Index("job_runs_by_job", "job", "started_ns"),
)

candles = Table(
    "candles",
    REFERENCE,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("start_ns", BigInteger, primary_key=True, autoincrement=False),
    _count("open_paise"),
    _count("high_paise"),
    _count("low_paise"),
    _count("close_paise"),
    CheckConstraint(
        "low_paise <= open_paise AND low_paise <= close_paise "
        "AND high_paise >= open_paise AND high_paise >= close_paise",
        name="inside_high_and_low",
    ),
)
