"""Triggers, and the events of objects that set them off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)
_WAITS = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.create_table(
        "triggers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("events", _JSON, nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("suffix", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("options", _JSON, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triggers")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_triggers_bucket_key", "triggers", ["bucket", "key"])
    op.create_table(
        "object_events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("trigger_id", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("next_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('done', 'failed', 'waiting')", name=op.f("ck_object_events_state")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_object_events")),
        sa.UniqueConstraint("id", name=op.f("uq_object_events_id")),
        sa.UniqueConstraint("trigger_id", "bucket", "key", "change", "version", name=op.f("uq_object_events_once")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_object_events_next", "object_events", ["next_at_ms"], sqlite_where=_WAITS, postgresql_where=_WAITS
    )
