"""Changes at run time: who changed what, the rules laid over the file, and what each day is traded by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "trading_0002"
down_revision = "trading_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "rule_overrides",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "key"),
    )
    op.create_table(
        "rules_in_force",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "day"),
    )
    op.create_table(
        "setting_changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("was", sa.Text(), nullable=True),
        sa.Column("now", sa.Text(), nullable=True),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('setting', 'rule')", name="kind_known"),
        sa.CheckConstraint("was IS NOT NULL OR now IS NOT NULL", name="something_changed"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("setting_changes_by_name", "setting_changes", ["account", "kind", "name"], unique=False)


def downgrade() -> None:
    """Drop them and all they hold."""
    op.drop_table("setting_changes")
    op.drop_table("rules_in_force")
    op.drop_table("rule_overrides")
