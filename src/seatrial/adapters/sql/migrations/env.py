"""Runs the revisions on the connection that `seatrial.adapters.sql.migrate` hands over."""

from __future__ import annotations

from alembic import context

import seatrial.adapters.sql.schema  # noqa: F401 - completes the metadata
from seatrial.adapters.sql.metadata import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
