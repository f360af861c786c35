"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blobs_to_remove",
        sa.Column("blob", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("blob", name=op.f("pk_blobs_to_remove")),
    )
    op.create_table(
        "buckets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_buckets")),
    )
    op.create_table(
        "documents",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_documents")),
    )
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("modified_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("active_version", sa.Text(), nullable=True),
        sa.Column("target_version", sa.Text(), nullable=True),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("unproven", sa.Boolean(), nullable=False),
        sa.Column("workers_desired", sa.Integer(), nullable=False),
        sa.Column("marks", sa.JSON(none_as_null=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('Creating', 'Deleting', 'Failed', 'InService', 'RollingBack', 'Updating')",
            name=op.f("ck_endpoints_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("name", name=op.f("uq_endpoints_name")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_idempotency_keys_created_at_ms"), "idempotency_keys", ["created_at_ms"], unique=False)
    op.create_table(
        "job_counts",
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('cancelled', 'failed', 'publishing', 'queued', 'running', 'succeeded')",
            name=op.f("ck_job_counts_state"),
        ),
        sa.CheckConstraint("count >= 0", name=op.f("ck_job_counts_count")),
        sa.PrimaryKeyConstraint("endpoint_id", "state", name=op.f("pk_job_counts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "jobs",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("endpoint_name", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("affinity", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("accept", sa.Text(), nullable=False),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("submitted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("queue_deadline_ms", sa.BigInteger(), nullable=False),
        sa.Column("invocation_timeout_ms", sa.BigInteger(), nullable=False),
        sa.Column("decide_by_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("result_bucket", sa.Text(), nullable=False),
        sa.Column("result_key", sa.Text(), nullable=False),
        sa.Column("failure_bucket", sa.Text(), nullable=False),
        sa.Column("failure_key", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("parts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("input_media_type", sa.Text(), nullable=False),
        sa.Column("input_bucket", sa.Text(), nullable=True),
        sa.Column("input_key", sa.Text(), nullable=True),
        sa.Column("input_etag", sa.Text(), nullable=True),
        sa.Column("input_inline", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (session IS NOT NULL)", name=op.f("ck_jobs_running_session")),
        sa.CheckConstraint("(state = 'succeeded') = (parts IS NOT NULL)", name=op.f("ck_jobs_parts")),
        sa.CheckConstraint("(state IN ('cancelled', 'failed')) = (failure IS NOT NULL)", name=op.f("ck_jobs_failure")),
        sa.CheckConstraint(
            "(state IN ('cancelled', 'failed', 'succeeded')) = (ended_at_ms IS NOT NULL)", name=op.f("ck_jobs_ended")
        ),
        sa.CheckConstraint("purpose IN ('client', 'trial')", name=op.f("ck_jobs_purpose")),
        sa.CheckConstraint("state <> 'queued' OR token IS NULL", name=op.f("ck_jobs_queued_token")),
        sa.CheckConstraint("state <> 'running' OR token IS NOT NULL", name=op.f("ck_jobs_running_token")),
        sa.CheckConstraint(
            "state IN ('cancelled', 'failed', 'publishing', 'queued', 'running', 'succeeded')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("(input_inline IS NULL) <> (input_key IS NULL)", name=op.f("ck_jobs_input")),
        sa.CheckConstraint("(input_key IS NULL) = (input_bucket IS NULL)", name=op.f("ck_jobs_input_bucket")),
        sa.CheckConstraint("(input_key IS NULL) = (input_etag IS NULL)", name=op.f("ck_jobs_input_etag")),
        sa.CheckConstraint("attempt >= 0 AND deaths >= 0", name=op.f("ck_jobs_attempt")),
        sa.CheckConstraint("length(input_inline) <= 16384", name=op.f("ck_jobs_input_size")),
        sa.CheckConstraint("priority BETWEEN 0 AND 9", name=op.f("ck_jobs_priority")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_jobs")),
        sa.UniqueConstraint("id", name=op.f("uq_jobs_id")),
        sa.UniqueConstraint("token", name=op.f("uq_jobs_token")),
    )
    op.create_index("ix_jobs_endpoint", "jobs", ["endpoint_name", "state", "seq"], unique=False)
    op.create_index(
        "ix_jobs_expiry",
        "jobs",
        ["expires_at_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_jobs_failures",
        "jobs",
        ["state", "seq"],
        unique=False,
        sqlite_where=sa.text("failure IS NOT NULL"),
        postgresql_where=sa.text("failure IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["endpoint_id", "version_id", "priority", "seq"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_jobs_queue_affinity",
        "jobs",
        ["endpoint_id", "version_id", "affinity", "priority", "seq"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND affinity IS NOT NULL"),
        postgresql_where=sa.text("state = 'queued' AND affinity IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_session",
        "jobs",
        ["session"],
        unique=False,
        sqlite_where=sa.text("session IS NOT NULL"),
        postgresql_where=sa.text("session IS NOT NULL"),
    )
    op.create_table(
        "objects",
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("blob", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("modified_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("inline", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("bucket", "key", name=op.f("pk_objects")),
    )
    op.create_index(
        "ix_objects_blob",
        "objects",
        ["blob"],
        unique=False,
        sqlite_where=sa.text("blob IS NOT NULL"),
        postgresql_where=sa.text("blob IS NOT NULL"),
    )
    op.create_table(
        "reserved_names",
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("uri", name=op.f("pk_reserved_names")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("endpoint_name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("package", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("contract", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("stages", sa.JSON(none_as_null=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_versions_endpoint_id_endpoints"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("endpoint_id", "number", name=op.f("uq_versions_endpoint_id_number")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("server", sa.Text(), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_sessions_endpoint_id_endpoints"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name=op.f("fk_sessions_version_id_versions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_endpoint_id"), "sessions", ["endpoint_id"], unique=False)
    op.create_index(op.f("ix_sessions_version_id"), "sessions", ["version_id"], unique=False)
