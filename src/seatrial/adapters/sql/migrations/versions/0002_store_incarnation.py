"""The store's incarnation: a random word, renewed whenever a backup is restored."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    stores = op.create_table(
        "stores",
        sa.Column("only", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("incarnation", sa.Text(), nullable=False),
        sa.CheckConstraint('"only" = 1', name=op.f("ck_stores_only")),
        sa.PrimaryKeyConstraint("only", name=op.f("pk_stores")),
    )
    op.bulk_insert(stores, [{"only": 1, "incarnation": secrets.token_hex(8)}])
