"""Jobs whose input is still to come: a state more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BEFORE = "'cancelled', 'failed', 'publishing', 'queued', 'running', 'succeeded'"
_AFTER = f"'awaiting_upload', {_BEFORE}"
_AWAITED = sa.text("state = 'awaiting_upload'")


def upgrade() -> None:
    for table in ("jobs", "job_counts"):
        if op.get_bind().dialect.name == "sqlite":
            _rebuild(table)
        else:
            op.drop_constraint(op.f(f"ck_{table}_state"), table, type_="check")
            op.create_check_constraint(op.f(f"ck_{table}_state"), table, f"state IN ({_AFTER})")
    for name, column in (("awaited", "expires_at_ms"), ("awaited_endpoint", "endpoint_id")):
        op.create_index(f"ix_jobs_{name}", "jobs", [column], sqlite_where=_AWAITED, postgresql_where=_AWAITED)


def _rebuild(table: str) -> None:
    """SQLite changes no constraint: its own way is another table of the same definition, filled and put in place."""
    bind = op.get_bind()
    of_table = {"table": table}
    definition = bind.execute(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table"), of_table
    ).scalar_one()
    indexes = bind.execute(
        sa.text("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"),
        of_table,
    ).scalars()
    wanted = [definition.replace(_BEFORE, _AFTER), *indexes]
    bind.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_before")
    bind.exec_driver_sql(wanted[0])
    bind.exec_driver_sql(f"INSERT INTO {table} SELECT * FROM {table}_before")  # noqa: S608 - names of our own
    bind.exec_driver_sql(f"DROP TABLE {table}_before")
    for index in wanted[1:]:
        bind.exec_driver_sql(index)
