"""Brings a database to the tables of this version, in one transaction, with its data."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Connection, inspect, text

#: Held while one supervisor migrates; the others wait.
_LOCK = 0x62696F74


class LaterVersion(Exception):
    """The database was written by a version that this one does not know."""


def migrate(connection: Connection) -> None:
    """Raises LaterVersion. A database that was made before there were migrations is taken up at the first."""
    # Alembic takes a moment to import, and only whoever opens a database needs it.
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(files("service.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    if connection.dialect.name == "sqlite":
        version = int(connection.execute(text("PRAGMA user_version")).scalar_one())
        if version > 1:
            raise LaterVersion(f"tables of version {version}, this one knows 1")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is None and inspect(connection).has_table("messages"):
        command.stamp(config, "0001")
        current = "0001"
    head = script.get_current_head()
    if current == head:
        return
    if current is not None and current not in {one.revision for one in script.walk_revisions()}:
        raise LaterVersion(f"tables of revision {current}, this one knows up to {head}")
    command.upgrade(config, "head")
