"""Jobs whose session ended although nobody saw its processes end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("presumed", sa.Boolean(), server_default=sa.false(), nullable=False))
