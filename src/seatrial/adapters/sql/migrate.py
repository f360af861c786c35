"""Brings the tables of a database up to date, one server at a time."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from seatrial.adapters.sql.failures import SchemaTooNew

# "seatrial" in ASCII: the advisory lock that a migrating server holds until its transaction ends.
_LOCK = 0x7365617472696169


def migrate(engine: Engine) -> None:
    """Apply every revision that the database does not have yet, all in one transaction.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
    """
    config = Config()
    config.set_main_option("script_location", "seatrial.adapters.sql:migrations")
    with engine.connect() as connection:
        _wait_for_turn(connection)
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _wait_for_turn(connection: Connection) -> None:
    """Until no other server migrates. A SQLite transaction owns the file from its beginning anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {revision.revision for revision in scripts.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise SchemaTooNew(", ".join(sorted(unknown)), str(scripts.get_current_head()))
