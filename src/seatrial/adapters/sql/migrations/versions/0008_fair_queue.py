"""The queue's order by rank, and jobs that want a device for themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_QUEUED = sa.text("state = 'queued'")
_QUEUED_FOR_AFFINITY = sa.text("state = 'queued' AND affinity IS NOT NULL")
_GROUPED_RUNNING = sa.text("state = 'running' AND device_group IS NOT NULL")
_EXCLUSIVE = sa.column("exclusive", sa.Boolean())
_EXCLUSIVE_QUEUED = (sa.column("state") == sa.literal_column("'queued'")) & _EXCLUSIVE
_EXCLUSIVE_ENDED = sa.column("ended_at_ms").is_not(None) & _EXCLUSIVE


def upgrade() -> None:
    op.add_column("jobs", sa.Column("rank_ms", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("device_group", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("exclusive", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE jobs SET rank_ms = submitted_at_ms + priority * 60000")
    for name, columns, where in (
        ("ix_jobs_queue", ["endpoint_id", "version_id", "rank_ms", "seq"], _QUEUED),
        ("ix_jobs_queue_affinity", ["endpoint_id", "version_id", "affinity", "rank_ms", "seq"], _QUEUED_FOR_AFFINITY),
    ):
        op.drop_index(name, table_name="jobs")
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)
    for name, columns, which in (
        ("ix_jobs_device", ["device_group"], _GROUPED_RUNNING),
        ("ix_jobs_exclusive", ["device_group", "rank_ms", "seq"], _EXCLUSIVE_QUEUED),
        ("ix_jobs_exclusive_ended", ["device_group", "ended_at_ms"], _EXCLUSIVE_ENDED),
    ):
        op.create_index(name, "jobs", columns, sqlite_where=which, postgresql_where=which)
