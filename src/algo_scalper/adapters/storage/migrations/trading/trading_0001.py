"""The first tables of the trading store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "trading_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the trading store's tables."""
    op.create_table(
        "audit_log",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("audit_log_by_time", "audit_log", ["account", "at_ns"], unique=False)
    op.create_table(
        "day_ledger",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("realised_paise", sa.BigInteger(), nullable=False),
        sa.Column("charges_paise", sa.BigInteger(), nullable=False),
        sa.Column("trades", sa.BigInteger(), nullable=False),
        sa.Column("halted", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("charges_paise >= 0 AND trades >= 0", name="counts_not_negative"),
        sa.PrimaryKeyConstraint("account", "day"),
    )
    op.create_table(
        "halts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("halted_by", sa.Text(), nullable=False),
        sa.Column("halted_ns", sa.BigInteger(), nullable=False),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lifted_ns", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("reason <> ''", name="reason_given"),
        sa.CheckConstraint("(lifted_by IS NULL) = (lifted_ns IS NULL)", name="lifted_by_somebody"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "halts_one_standing",
        "halts",
        ["account"],
        unique=True,
        sqlite_where=sa.text("lifted_ns IS NULL"),
        postgresql_where=sa.text("lifted_ns IS NULL"),
    )
    op.create_table(
        "intents",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("request IN ('place', 'modify', 'cancel')", name="request_known"),
        sa.PrimaryKeyConstraint("account", "correlation_id", "request", "at_ns"),
    )
    op.create_index(
        "intents_placed_once",
        "intents",
        ["account", "correlation_id"],
        unique=True,
        sqlite_where=sa.text("request = 'place'"),
        postgresql_where=sa.text("request = 'place'"),
    )
    op.create_table(
        "orders",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("broker_id", sa.Text(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Integer(), nullable=False),
        sa.Column("position_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("filled_quantity", sa.BigInteger(), nullable=False),
        sa.Column("filled_value_paise", sa.BigInteger(), nullable=False),
        sa.Column("price_paise", sa.BigInteger(), nullable=False),
        sa.Column("trigger_paise", sa.BigInteger(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "state IN ('INTENDED', 'TRANSIT', 'PENDING', 'PART_TRADED', 'UNKNOWN', 'TRADED', 'CANCELLED', 'REJECTED', "
            "'EXPIRED', 'DROPPED', 'ABSENT')",
            name="state_known",
        ),
        sa.CheckConstraint("filled_quantity >= 0 AND filled_quantity <= quantity", name="filled_within_quantity"),
        sa.CheckConstraint(
            "filled_value_paise >= 0 AND price_paise >= 0 AND trigger_paise >= 0", name="prices_not_negative"
        ),
        sa.CheckConstraint("kind IN (1, 2)", name="kind_known"),
        sa.CheckConstraint("purpose IN (1, 2)", name="purpose_known"),
        sa.CheckConstraint("side IN (1, 2)", name="side_known"),
        sa.PrimaryKeyConstraint("account", "correlation_id"),
    )
    op.create_index(
        "orders_broker_id",
        "orders",
        ["account", "broker_id"],
        unique=True,
        sqlite_where=sa.text("broker_id <> ''"),
        postgresql_where=sa.text("broker_id <> ''"),
    )
    op.create_index("orders_by_day", "orders", ["account", "day"], unique=False)
    op.create_table(
        "positions",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("index_name", sa.Text(), nullable=False),
        sa.Column("direction", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bought_quantity", sa.BigInteger(), nullable=False),
        sa.Column("cost_paise", sa.BigInteger(), nullable=False),
        sa.Column("sold_quantity", sa.BigInteger(), nullable=False),
        sa.Column("proceeds_paise", sa.BigInteger(), nullable=False),
        sa.Column("charges_paise", sa.BigInteger(), nullable=False),
        sa.Column("exit_reason", sa.Integer(), nullable=False),
        sa.Column("opened_ns", sa.BigInteger(), nullable=False),
        sa.Column("closed_ns", sa.BigInteger(), nullable=False),
        sa.Column("closed_day", sa.Date(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("state IN ('OPENING', 'OPEN', 'LEAVING', 'HANDED_OVER', 'CLOSED')", name="state_known"),
        sa.CheckConstraint("cost_paise >= 0 AND proceeds_paise >= 0 AND charges_paise >= 0", name="money_not_negative"),
        sa.CheckConstraint("direction IN (1, -1)", name="direction_known"),
        sa.CheckConstraint(
            "exit_reason IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 21, 22, 23, 24, 25)",
            name="exit_reason_known",
        ),
        sa.CheckConstraint("sold_quantity >= 0 AND sold_quantity <= bought_quantity", name="sold_within_bought"),
        sa.PrimaryKeyConstraint("account", "id"),
    )
    op.create_index("positions_by_closed_day", "positions", ["account", "closed_day"], unique=False)
    op.create_index(
        "positions_one_open_a_contract",
        "positions",
        ["account", "key"],
        unique=True,
        sqlite_where=sa.text("state <> 'CLOSED'"),
        postgresql_where=sa.text("state <> 'CLOSED'"),
    )
    op.create_table(
        "sessions",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.CheckConstraint("epoch > 0", name="epoch_positive"),
        sa.PrimaryKeyConstraint("account", "epoch"),
    )
    op.create_table(
        "settings",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name"),
    )
    op.create_table(
        "soft_state",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "fills",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("filled_to", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("value_paise", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0 AND quantity <= filled_to", name="quantity_within_filled"),
        sa.ForeignKeyConstraint(
            ["account", "correlation_id"], ["orders.account", "orders.correlation_id"], name="fill_of_an_order"
        ),
        sa.PrimaryKeyConstraint("account", "correlation_id", "filled_to"),
    )
    op.create_index("fills_by_day", "fills", ["account", "day"], unique=False)


def downgrade() -> None:
    """Drop them and all they hold."""
    op.drop_table("fills")
    op.drop_table("soft_state")
    op.drop_table("settings")
    op.drop_table("sessions")
    op.drop_table("positions")
    op.drop_table("orders")
    op.drop_table("intents")
    op.drop_table("halts")
    op.drop_table("day_ledger")
    op.drop_table("audit_log")
