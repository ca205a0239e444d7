"""The catalog of instruments, in generations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "reference_0002"
down_revision = "reference_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the catalog's tables."""
    op.create_table(
        "catalog_facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "catalog_generations",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("published_ns", sa.BigInteger(), nullable=True),
        sa.Column("file_rows", sa.BigInteger(), nullable=False),
        sa.Column("instrument_rows", sa.BigInteger(), nullable=False),
        sa.Column("derivative_rows", sa.BigInteger(), nullable=False),
        sa.Column("forced", sa.Text(), nullable=False),
        sa.CheckConstraint("(published_ns IS NULL) = (state = 'building')", name="published_when_built"),
        sa.CheckConstraint("state IN ('building', 'published', 'pruned')", name="state_known"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "derivatives",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("underlying", sa.Text(), nullable=False),
        sa.Column("underlying_key", sa.BigInteger(), nullable=False),
        sa.Column("expiry", sa.Date(), nullable=False),
        sa.Column("strike_paise", sa.BigInteger(), nullable=True),
        sa.Column("option_type", sa.Text(), nullable=True),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("tick_paise", sa.BigInteger(), nullable=False),
        sa.Column("freeze_quantity", sa.BigInteger(), nullable=True),
        sa.Column("expiry_flag", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.CheckConstraint("option_type IN ('CE', 'PE')", name="option_type_known"),
        sa.CheckConstraint("(strike_paise IS NULL) = (option_type IS NULL)", name="strike_with_side"),
        sa.CheckConstraint("freeze_quantity IS NULL OR freeze_quantity >= lot", name="freeze_holds_a_lot"),
        sa.CheckConstraint("lot > 0 AND tick_paise > 0", name="lot_and_tick_positive"),
        sa.CheckConstraint("strike_paise IS NULL OR strike_paise > 0", name="strike_positive"),
        sa.PrimaryKeyConstraint("generation", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "derivatives_one_a_contract",
        "derivatives",
        ["generation", "underlying_key", "expiry", "strike_paise", "option_type"],
        unique=True,
    )

    op.create_table(
        "instruments",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("isin", sa.Text(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("tick_paise", sa.BigInteger(), nullable=True),
        sa.Column("freeze_quantity", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("freeze_quantity IS NULL OR freeze_quantity >= lot", name="freeze_holds_a_lot"),
        sa.CheckConstraint("lot > 0 AND (tick_paise IS NULL OR tick_paise > 0)", name="lot_and_tick_positive"),
        sa.PrimaryKeyConstraint("generation", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("instruments_by_symbol", "instruments", ["generation", "symbol"], unique=False)

    op.create_table(
        "catalog_changes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("underlying", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("was", sa.Text(), nullable=False),
        sa.Column("now", sa.Text(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=True),
        sa.Column("accepted_ns", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(accepted_by IS NULL) = (accepted_ns IS NULL)", name="accepted_by_somebody"),
        sa.ForeignKeyConstraint(["generation"], ["catalog_generations.number"], name="change_of_a_generation"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("catalog_changes_by_generation", "catalog_changes", ["generation"], unique=False)

    op.create_table(
        "catalog_current",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one = 1", name="only_one"),
        sa.ForeignKeyConstraint(["generation"], ["catalog_generations.number"], name="current_is_a_generation"),
        sa.PrimaryKeyConstraint("one"),
    )


def downgrade() -> None:
    """Drop them and all they hold."""
    op.drop_table("catalog_current")
    op.drop_table("catalog_changes")
    op.drop_table("instruments")
    op.drop_table("derivatives")
    op.drop_table("catalog_generations")
    op.drop_table("catalog_facts")
