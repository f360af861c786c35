"""Decisions that wait for their publication, superseded names, and the outbox of deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)
_CHOSEN = sa.column("name_chosen", sa.Boolean()) & sa.column("superseded_by").is_(None)
_PENDING = sa.text("next_at_ms IS NOT NULL")
_TOLD = sa.text("ended_at_ms IS NOT NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("name_chosen", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("jobs", sa.Column("superseded_by", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("notify", _JSON, nullable=True))
    op.add_column("jobs", sa.Column("publish_by_ms", sa.BigInteger(), nullable=True))
    for kind in ("failure", "result"):
        columns = [f"{kind}_key", f"{kind}_bucket"]
        op.create_index(f"ix_jobs_chosen_{kind}", "jobs", columns, sqlite_where=_CHOSEN, postgresql_where=_CHOSEN)
    op.create_table(
        "decisions",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("parts", _JSON, nullable=False),
        sa.Column("failure", _JSON, nullable=True),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("outcome IN ('cancelled', 'failed', 'succeeded')", name=op.f("ck_decisions_outcome")),
        sa.CheckConstraint("(outcome = 'succeeded') = (failure IS NULL)", name=op.f("ck_decisions_failure")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_decided_at_ms"), "decisions", ["decided_at_ms"])
    _create_outbox()


def _create_outbox() -> None:
    op.create_table(
        "deliveries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("endpoint_name", sa.Text(), nullable=False),
        sa.Column("target", _JSON, nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('delivered', 'failed', 'pending')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint("(state = 'pending') = (next_at_ms IS NOT NULL)", name=op.f("ck_deliveries_next")),
        sa.CheckConstraint("(state = 'pending') = (ended_at_ms IS NULL)", name=op.f("ck_deliveries_ended")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("id", name=op.f("uq_deliveries_id")),
    )
    op.create_index(op.f("ix_deliveries_job_id"), "deliveries", ["job_id"])
    op.create_index("ix_deliveries_due", "deliveries", ["next_at_ms"], sqlite_where=_PENDING, postgresql_where=_PENDING)
    op.create_index("ix_deliveries_ended", "deliveries", ["ended_at_ms"], sqlite_where=_TOLD, postgresql_where=_TOLD)
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_delivery_attempts_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
        sqlite_with_rowid=False,
    )
