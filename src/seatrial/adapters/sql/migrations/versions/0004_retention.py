"""What retention looks for: jobs by their end, inputs by their key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ENDED = sa.text("ended_at_ms IS NOT NULL")
_KEPT = sa.text("input_key IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_jobs_ended", "jobs", ["ended_at_ms"], sqlite_where=_ENDED, postgresql_where=_ENDED)
    op.create_index("ix_jobs_input", "jobs", ["input_key"], sqlite_where=_KEPT, postgresql_where=_KEPT)
