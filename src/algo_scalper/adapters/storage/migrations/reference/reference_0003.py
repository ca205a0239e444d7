"""Runs of jobs with the time they are for: claimed once, never two at a time, and what came of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "reference_0003"
down_revision = "reference_0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table anew and take over what it had; of two runs of one job that began together the later stays."""
    op.execute("CREATE TABLE job_runs_before AS SELECT * FROM job_runs")
    op.drop_table("job_runs")
    op.create_table(
        "job_runs",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("scheduled_ns", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("seen_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("run_by", sa.Text(), nullable=False),
        sa.CheckConstraint("(ended_ns IS NULL) = (outcome = 'running')", name="ended_when_over"),
        sa.CheckConstraint("cause IN ('clock', 'made up', 'by hand')", name="cause_known"),
        sa.CheckConstraint("outcome IN ('running', 'done', 'failed', 'skipped', 'abandoned')", name="outcome_known"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "job_runs_one_a_time",
        "job_runs",
        ["job", "account", "scheduled_ns"],
        unique=True,
        sqlite_where=sa.text("outcome <> 'abandoned'"),
        postgresql_where=sa.text("outcome <> 'abandoned'"),
    )
    op.create_index(
        "job_runs_one_running",
        "job_runs",
        ["job", "account"],
        unique=True,
        sqlite_where=sa.text("outcome = 'running'"),
        postgresql_where=sa.text("outcome = 'running'"),
    )
    op.create_index("job_runs_by_start", "job_runs", ["started_ns"], unique=False)
    op.execute(
        "INSERT INTO job_runs (job, account, scheduled_ns, cause, started_ns, seen_ns, ended_ns, outcome, message, run_by) "
        "SELECT job, '', started_ns, 'clock', started_ns, coalesce(ended_ns, started_ns), coalesce(ended_ns, started_ns), "
        "CASE WHEN ended_ns IS NULL THEN 'abandoned' WHEN failure IS NULL THEN 'done' ELSE 'failed' END, "
        "coalesce(failure, ''), '' FROM job_runs_before "
        "WHERE number IN (SELECT max(number) FROM job_runs_before GROUP BY job, started_ns) ORDER BY number"
    )
    op.drop_table("job_runs_before")


def downgrade() -> None:
    """Back to start, end and failure."""
    op.execute("CREATE TABLE job_runs_after AS SELECT * FROM job_runs")
    op.drop_table("job_runs")
    op.create_table(
        "job_runs",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("job_runs_by_job", "job_runs", ["job", "started_ns"], unique=False)
    op.execute(
        "INSERT INTO job_runs (job, started_ns, ended_ns, failure) SELECT job, started_ns, "
        "CASE WHEN outcome = 'abandoned' THEN NULL ELSE ended_ns END, "
        "CASE WHEN outcome = 'failed' THEN message END FROM job_runs_after WHERE outcome <> 'skipped' ORDER BY number"
    )
    op.drop_table("job_runs_after")
