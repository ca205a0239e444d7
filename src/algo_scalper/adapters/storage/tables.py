"""The tables of the two stores, and the constraints that make the impossible impossible.

Money is integer paise, times are UTC nanoseconds, days are IST trading dates. ``record`` is the whole domain record
(msgpack by field name): what is read back is exactly what was written; the columns beside it are what is queried and
constrained. ``account`` is in every row and key of `TRADING`: one engine is one account.

A change here needs a migration beside it; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from algo_scalper.domain.instruments import OptionType, Segment
from algo_scalper.domain.orders import OrderKind, OrderState, Purpose, Request, Side
from algo_scalper.domain.positions import PositionState


class ChangeKind(StrEnum):
    """What a person may change while nothing is restarted."""

    SETTING = "setting"
    RULE = "rule"


class GenerationState(StrEnum):
    """What a catalog's generation is: being written, whole, or only remembered."""

    BUILDING = "building"
    PUBLISHED = "published"
    PRUNED = "pruned"


class RunOutcome(StrEnum):
    """What became of a job's run."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It could not do its work, or found what must not be."""
    SKIPPED = "skipped"
    """Its time came and nothing was run: too late, or an earlier run was still at it."""
    ABANDONED = "abandoned"
    """Its process fell silent or ended before the run did."""


class RunCause(StrEnum):
    """Why a job ran then."""

    CLOCK = "clock"
    MADE_UP = "made up"
    HAND = "by hand"


TRADING = MetaData()
REFERENCE = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, members: Iterable[Enum]) -> CheckConstraint:
    """The column holds the value of a member of this enum and nothing else."""
    values = ", ".join(repr(member.value) for member in members)
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known")


def one_of_names(column: str, members: Iterable[Enum]) -> CheckConstraint:
    """As `one_of`, by the members' names."""
    names = ", ".join(repr(member.name) for member in members)
    return CheckConstraint(f"{column} IN ({names})", name=f"{column}_known")


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

setting_changes = Table(
    "setting_changes",
    TRADING,
    Column("number", _NUMBER, primary_key=True),
    _word("account"),
    _count("at_ns"),
    _word("who"),
    _word("kind"),
    _word("name"),
    Column("was", Text),
    Column("now", Text),
    _word("effect"),
    one_of("kind", ChangeKind),
    CheckConstraint("was IS NOT NULL OR now IS NOT NULL", name="something_changed"),
    Index("setting_changes_by_name", "account", "kind", "name"),
)
"""Who changed which setting or rule, from what, to what, and from when on it counts. NULL: nothing was stored."""

rule_overrides = Table(
    "rule_overrides",
    TRADING,
    _account(),
    Column("key", Text, primary_key=True),
    _word("value"),
    _word("changed_by"),
    _count("changed_ns"),
)
"""Rules changed at run time: they stand over ``algo.yml`` until a person takes them back."""

rules_in_force = Table(
    "rules_in_force",
    TRADING,
    _account(),
    Column("day", Date, primary_key=True),
    _count("version"),
    _count("changed_ns"),
    Column("record", LargeBinary, nullable=False),
)
"""What a day was last traded by: no start of that day may trade by looser limits."""

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
    # Empty for what is done once for the whole database.
    _word("account"),
    _count("scheduled_ns"),
    _word("cause"),
    _count("started_ns"),
    _count("seen_ns"),
    Column("ended_ns", BigInteger),
    _word("outcome"),
    _word("message"),
    _word("run_by"),
    one_of("cause", RunCause),
    one_of("outcome", RunOutcome),
    CheckConstraint("(ended_ns IS NULL) = (outcome = 'running')", name="ended_when_over"),
    # The claim: one run of a job and its time. What a dead process left may be run again.
    Index(
        "job_runs_one_a_time",
        "job",
        "account",
        "scheduled_ns",
        unique=True,
        sqlite_where=text("outcome <> 'abandoned'"),
        postgresql_where=text("outcome <> 'abandoned'"),
    ),
    # No two runs of one job overlap, whatever time each is for.
    Index(
        "job_runs_one_running",
        "job",
        "account",
        unique=True,
        sqlite_where=text("outcome = 'running'"),
        postgresql_where=text("outcome = 'running'"),
    ),
    Index("job_runs_by_start", "started_ns"),
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

# --- the catalog: what is listed, one generation beside the other; the one row of `catalog_current` says which is read ---

catalog_generations = Table(
    "catalog_generations",
    REFERENCE,
    Column("number", _NUMBER, primary_key=True),
    _word("state"),
    _word("digest"),
    _word("source"),
    _word("layout"),
    Column("day", Date, nullable=False),
    _count("started_ns"),
    Column("published_ns", BigInteger),
    _count("file_rows"),
    _count("instrument_rows"),
    _count("derivative_rows"),
    _word("forced"),
    one_of("state", GenerationState),
    CheckConstraint("(published_ns IS NULL) = (state = 'building')", name="published_when_built"),
)

catalog_current = Table(
    "catalog_current",
    REFERENCE,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
    CheckConstraint("one = 1", name="only_one"),
    ForeignKeyConstraint(["generation"], ["catalog_generations.number"], name="current_is_a_generation"),
)

instruments = Table(
    "instruments",
    REFERENCE,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    _word("exchange"),
    _word("kind"),
    _word("symbol"),
    _word("name"),
    _word("series"),
    _word("isin"),
    _count("lot"),
    Column("tick_paise", BigInteger),
    Column("freeze_quantity", BigInteger),
    CheckConstraint("lot > 0 AND (tick_paise IS NULL OR tick_paise > 0)", name="lot_and_tick_positive"),
    CheckConstraint("freeze_quantity IS NULL OR freeze_quantity >= lot", name="freeze_holds_a_lot"),
    Index("instruments_by_symbol", "generation", "symbol"),
    sqlite_with_rowid=False,
)

derivatives = Table(
    "derivatives",
    REFERENCE,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    _word("exchange"),
    _word("kind"),
    _word("underlying"),
    _count("underlying_key"),
    Column("expiry", Date, nullable=False),
    Column("strike_paise", BigInteger),
    Column("option_type", Text),
    _count("lot"),
    _count("tick_paise"),
    Column("freeze_quantity", BigInteger),
    _word("expiry_flag"),
    _word("name"),
    one_of("option_type", OptionType),
    CheckConstraint("(strike_paise IS NULL) = (option_type IS NULL)", name="strike_with_side"),
    CheckConstraint("strike_paise IS NULL OR strike_paise > 0", name="strike_positive"),
    CheckConstraint("lot > 0 AND tick_paise > 0", name="lot_and_tick_positive"),
    CheckConstraint("freeze_quantity IS NULL OR freeze_quantity >= lot", name="freeze_holds_a_lot"),
    # A contract is (underlying, expiry, strike, side) on its exchange; trading symbols are not unique.
    Index(
        "derivatives_one_a_contract",
        "generation",
        "underlying_key",
        "expiry",
        "strike_paise",
        "option_type",
        unique=True,
    ),
    sqlite_with_rowid=False,
)

catalog_changes = Table(
    "catalog_changes",
    REFERENCE,
    Column("number", _NUMBER, primary_key=True),
    _count("generation"),
    _count("at_ns"),
    _word("underlying"),
    _word("what"),
    _word("place"),
    _word("was"),
    _word("now"),
    Column("waits", Boolean, nullable=False),
    Column("accepted_by", Text),
    Column("accepted_ns", BigInteger),
    CheckConstraint("(accepted_by IS NULL) = (accepted_ns IS NULL)", name="accepted_by_somebody"),
    ForeignKeyConstraint(["generation"], ["catalog_generations.number"], name="change_of_a_generation"),
    Index("catalog_changes_by_generation", "generation"),
)

catalog_facts = Table(
    "catalog_facts",
    REFERENCE,
    Column("name", Text, primary_key=True),
    _word("value"),
    _count("changed_ns"),
)
"""Statistics of the last import under the original's names, as text."""

watchlist_items = Table(
    "watchlist_items",
    REFERENCE,
    Column("segment", Text, primary_key=True),
    Column("security_id", BigInteger, primary_key=True, autoincrement=False),
    _word("label"),
    Column("active", Boolean, nullable=False),
    _word("changed_by"),
    _count("changed_ns"),
    one_of_names("segment", Segment),
    CheckConstraint("security_id > 0", name="security_id_positive"),
)
"""What is watched beside what is traded. An item taken off stays, inactive, with who took it off."""
