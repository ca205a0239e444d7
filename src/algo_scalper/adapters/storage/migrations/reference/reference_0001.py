"""The first tables of the reference store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "reference_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the reference store's tables."""
    op.create_table(
        "candles",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("open_paise", sa.BigInteger(), nullable=False),
        sa.Column("high_paise", sa.BigInteger(), nullable=False),
        sa.Column("low_paise", sa.BigInteger(), nullable=False),
        sa.Column("close_paise", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "low_paise <= open_paise AND low_paise <= close_paise "
            "AND high_paise >= open_paise AND high_paise >= close_paise",
            name="inside_high_and_low",
        ),
        sa.PrimaryKeyConstraint("key", "start_ns"),
    )
    op.create_table(
        "decisions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("index_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("position_id", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('entry', 'exit', 'refusal', 'no_signal', 'stop_moved', 'halt', 'resume', 'handed_over')",
            name="kind_known",
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("decisions_by_time", "decisions", ["account", "at_ns"], unique=False)
    op.create_table(
        "job_runs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("job_runs_by_job", "job_runs", ["job", "started_ns"], unique=False)
    op.create_table(
        "signals",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("index_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("direction", sa.Integer(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("direction IN (1, -1)", name="direction_known"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("signals_by_time", "signals", ["account", "at_ns"], unique=False)


def downgrade() -> None:
    """Drop them and all they hold."""
    op.drop_table("signals")
    op.drop_table("job_runs")
    op.drop_table("decisions")
    op.drop_table("candles")
