"""The watchlist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "reference_0004"
down_revision = "reference_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "watchlist_items",
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("security_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "segment IN ('IDX_I', 'NSE_EQ', 'NSE_FNO', 'NSE_CURRENCY', 'BSE_EQ', 'MCX_COMM', 'BSE_CURRENCY', 'BSE_FNO')",
            name="segment_known",
        ),
        sa.CheckConstraint("security_id > 0", name="security_id_positive"),
        sa.PrimaryKeyConstraint("segment", "security_id"),
    )


def downgrade() -> None:
    """Drop it and all it holds."""
    op.drop_table("watchlist_items")
