"""How alembic runs the scripts in versions/; calltrace_collector.store.migrate gives the connection."""

from __future__ import annotations

from alembic import context

from calltrace_collector.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # All or nothing, on SQLite too: the caller's transaction holds the whole migration.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
