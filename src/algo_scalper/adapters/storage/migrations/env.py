"""Alembic's entry point: runs the migrations on the connection it is given, in that connection's transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    render_as_batch=True,  # SQLite cannot change a column or a constraint in place
    transactional_ddl=False,  # the transaction is the caller's, begun and committed there
)
context.run_migrations()
