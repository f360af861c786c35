"""Topics and who subscribes to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("attributes", _JSON, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("arn", name=op.f("pk_topics")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("topic_arn", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("attributes", _JSON, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_arn"], ["topics.arn"], name=op.f("fk_subscriptions_topic_arn_topics"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("arn", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("token", name=op.f("uq_subscriptions_token")),
        sa.UniqueConstraint(
            "topic_arn", "protocol", "address", name=op.f("uq_subscriptions_topic_arn_protocol_address")
        ),
    )
