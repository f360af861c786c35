"""Attempts that nobody is charged for, counted beside all attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("excused", sa.Integer(), server_default="0", nullable=False))
