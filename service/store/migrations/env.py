"""Alembic's entry: it runs on the connection that the supervisor hands over."""

from __future__ import annotations

from alembic import context

from service.store import tables_operations
from service.store.tables import metadata

assert tables_operations.alerts.metadata is metadata  # both halves of the tables are known
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
