"""What each job did to its worker's memory; jobs that run alone until it is known which of them kills its worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("memory_peak_bytes", "memory_growth_bytes", "device_peak_bytes"):
        op.add_column("jobs", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("suspect", sa.Boolean(), server_default=sa.false(), nullable=False))
