"""The tables of endpoints and jobs. Constraints hold what must never be false, whoever writes.

Times are milliseconds since the epoch. `jobs.seq` is the order of submission. Importing this module makes the
shared metadata complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnClause,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
)

import seatrial.adapters.sql.object_names  # noqa: F401 - its tables belong to the same metadata
from seatrial.adapters.sql.metadata import metadata
from seatrial.domain.commands import Outcome
from seatrial.domain.delivery import DeliveryState
from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.jobs import TERMINAL, JobPurpose, JobState
from seatrial.domain.limits import PRIORITY_MAX, ROW_INLINE_BYTES_MAX

__all__ = [
    "decisions",
    "deliveries",
    "delivery_attempts",
    "documents",
    "endpoint_events",
    "endpoints",
    "idempotency_keys",
    "job_counts",
    "jobs",
    "reserved_names",
    "servers",
    "sessions",
    "stores",
    "subscriptions",
    "topics",
    "versions",
]

_JSON = JSON(none_as_null=True)
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's own row number


def words(values: Iterable[StrEnum]) -> str:
    """A list of SQL string literals, in order, for a CHECK or an index."""
    return ", ".join(f"'{value.value}'" for value in sorted(values))


def word(value: StrEnum) -> ColumnClause[str]:
    """A state as a literal: a planner matches partial indexes with literals only."""
    return literal_column(f"'{value.value}'")


# ---------------------------------------------------------------- the store itself

# One row, made by the first migration that knows it: see incarnation.py.
stores = Table(
    "stores",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("incarnation", Text, nullable=False),
    CheckConstraint('"only" = 1', name="only"),
)

# ---------------------------------------------------------------- endpoints

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("modified_at_ms", BigInteger, nullable=False),
    Column("active_version", Text),
    Column("target_version", Text),
    Column("last_version", Text),
    Column("failure_reason", Text),
    Column("unproven", Boolean, nullable=False),
    Column("workers_desired", Integer, nullable=False),
    Column("marks", _JSON, nullable=False),
    CheckConstraint(f"status IN ({words(EndpointStatus)})", name="status"),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint_id", Text, ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("endpoint_name", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("package", _JSON, nullable=False),
    Column("settings", _JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("contract", _JSON, nullable=False),
    Column("stages", _JSON, nullable=False),
    UniqueConstraint("endpoint_id", "number"),
)

# What happened to endpoints, in order.
endpoint_events = Table(
    "endpoint_events",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("endpoint_id", Text, ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("version_id", Text),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("word", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", _JSON, nullable=False),
)
Index("ix_endpoint_events_endpoint", endpoint_events.c.endpoint_id, endpoint_events.c.seq)

documents = Table(
    "documents",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body", _JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# ---------------------------------------------------------------- jobs

# Who shares this database. `beat_at_ms` is by the database's own clock, the only one that all of them have.
servers = Table(
    "servers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("home", Text, nullable=False),  # the data folder that it owns
    Column("beat_at_ms", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint_id", Text, ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("version_id", Text, ForeignKey("versions.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("server", Text, nullable=False, index=True),
    Column("opened_at_ms", BigInteger, nullable=False),
)

# No foreign keys to endpoints and sessions: jobs stay readable after both are gone.
jobs = Table(
    "jobs",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("endpoint_name", Text, nullable=False),
    Column("version_id", Text),
    Column("taken_by", Text),  # the version that took it last
    Column("purpose", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("task", Text),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("affinity", Text),
    Column("rank_ms", BigInteger, nullable=False, server_default="0"),  # the queue's order, see domain/jobs.py
    Column("device_group", Text),
    Column("exclusive", Boolean, nullable=False, server_default=false()),
    Column("attempt", Integer, nullable=False),
    Column("deaths", Integer, nullable=False),
    Column("accept", Text, nullable=False),
    Column("attributes", _JSON, nullable=False),
    Column("submitted_at_ms", BigInteger, nullable=False),
    Column("queue_deadline_ms", BigInteger, nullable=False),
    Column("invocation_timeout_ms", BigInteger, nullable=False),
    Column("decide_by_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),  # when a queued job ends unserved
    Column("retry_of", Text),
    Column("result_bucket", Text, nullable=False),
    Column("result_key", Text, nullable=False),
    Column("failure_bucket", Text, nullable=False),
    Column("failure_key", Text, nullable=False),
    Column("token", Text, unique=True),
    Column("session", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Column("started_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("parts", _JSON),
    Column("failure", _JSON),
    Column("input_media_type", Text, nullable=False),
    Column("input_bucket", Text),
    Column("input_key", Text),
    Column("input_etag", Text),
    Column("input_inline", LargeBinary),
    Column("memory_peak_bytes", BigInteger),
    Column("memory_growth_bytes", BigInteger),
    Column("device_peak_bytes", BigInteger),
    Column("suspect", Boolean, nullable=False, server_default=false()),  # runs alone, after a death that it shared
    Column("excused", Integer, nullable=False, server_default="0"),  # attempts that we or a server's end broke off
    Column("presumed", Boolean, nullable=False, server_default=false()),  # a session of it ended, its processes unseen
    Column("name_chosen", Boolean, nullable=False, server_default=false()),
    Column("superseded_by", Text),
    Column("notify", _JSON),
    Column("publish_by_ms", BigInteger),  # of a decided job whose outcome is not visible yet
    CheckConstraint(f"state IN ({words(JobState)})", name="state"),
    CheckConstraint(f"purpose IN ({words(JobPurpose)})", name="purpose"),
    CheckConstraint(f"priority BETWEEN 0 AND {PRIORITY_MAX}", name="priority"),
    CheckConstraint("attempt >= 0 AND deaths >= 0", name="attempt"),
    CheckConstraint("(input_inline IS NULL) <> (input_key IS NULL)", name="input"),
    CheckConstraint("(input_key IS NULL) = (input_bucket IS NULL)", name="input_bucket"),
    CheckConstraint("(input_key IS NULL) = (input_etag IS NULL)", name="input_etag"),
    CheckConstraint(f"length(input_inline) <= {ROW_INLINE_BYTES_MAX}", name="input_size"),
    CheckConstraint(f"(state = '{JobState.RUNNING}') = (session IS NOT NULL)", name="running_session"),
    CheckConstraint(f"state <> '{JobState.RUNNING}' OR token IS NOT NULL", name="running_token"),
    CheckConstraint(f"state <> '{JobState.QUEUED}' OR token IS NULL", name="queued_token"),
    CheckConstraint(f"(state IN ({words(TERMINAL)})) = (ended_at_ms IS NOT NULL)", name="ended"),
    CheckConstraint(f"(state = '{JobState.SUCCEEDED}') = (parts IS NOT NULL)", name="parts"),
    CheckConstraint(
        f"(state IN ({words({JobState.FAILED, JobState.CANCELLED})})) = (failure IS NOT NULL)", name="failure"
    ),
)

_queued = jobs.c.state == word(JobState.QUEUED)

Index(
    "ix_jobs_queue",
    jobs.c.endpoint_id,
    jobs.c.version_id,
    jobs.c.rank_ms,
    jobs.c.seq,
    sqlite_where=_queued,
    postgresql_where=_queued,
)
Index(
    "ix_jobs_queue_affinity",
    jobs.c.endpoint_id,
    jobs.c.version_id,
    jobs.c.affinity,
    jobs.c.rank_ms,
    jobs.c.seq,
    sqlite_where=_queued & jobs.c.affinity.is_not(None),
    postgresql_where=_queued & jobs.c.affinity.is_not(None),
)
for _name, _columns, _which in (
    ("device", ["device_group"], (jobs.c.state == word(JobState.RUNNING)) & jobs.c.device_group.is_not(None)),
    ("exclusive", ["device_group", "rank_ms", "seq"], _queued & jobs.c.exclusive),
    ("exclusive_ended", ["device_group", "ended_at_ms"], jobs.c.ended_at_ms.is_not(None) & jobs.c.exclusive),
):
    Index(f"ix_jobs_{_name}", *(jobs.c[one] for one in _columns), sqlite_where=_which, postgresql_where=_which)
Index("ix_jobs_expiry", jobs.c.expires_at_ms, sqlite_where=_queued, postgresql_where=_queued)
_awaited = jobs.c.state == word(JobState.AWAITING_UPLOAD)
for _name, _column in (("awaited", jobs.c.expires_at_ms), ("awaited_endpoint", jobs.c.endpoint_id)):
    Index(f"ix_jobs_{_name}", _column, sqlite_where=_awaited, postgresql_where=_awaited)
Index(
    "ix_jobs_session",
    jobs.c.session,
    sqlite_where=jobs.c.session.is_not(None),
    postgresql_where=jobs.c.session.is_not(None),
)
Index(
    "ix_jobs_failures",
    jobs.c.state,
    jobs.c.seq,
    sqlite_where=jobs.c.failure.is_not(None),
    postgresql_where=jobs.c.failure.is_not(None),
)
Index(
    "ix_jobs_ended",
    jobs.c.ended_at_ms,
    sqlite_where=jobs.c.ended_at_ms.is_not(None),
    postgresql_where=jobs.c.ended_at_ms.is_not(None),
)
Index(
    "ix_jobs_input",
    jobs.c.input_key,
    sqlite_where=jobs.c.input_key.is_not(None),
    postgresql_where=jobs.c.input_key.is_not(None),
)
Index("ix_jobs_endpoint", jobs.c.endpoint_name, jobs.c.state, jobs.c.seq)

# Where a chosen name may be found again, to say which job's outcome it held before.
for _kind in ("result", "failure"):
    Index(
        f"ix_jobs_chosen_{_kind}",
        jobs.c[f"{_kind}_key"],
        jobs.c[f"{_kind}_bucket"],
        sqlite_where=jobs.c.name_chosen & jobs.c.superseded_by.is_(None),
        postgresql_where=jobs.c.name_chosen & jobs.c.superseded_by.is_(None),
    )

# Decisions whose outcome is not visible yet, where objects are not rows: gone with the terminal state.
decisions = Table(
    "decisions",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("parts", _JSON, nullable=False),  # staged, the primary last
    Column("failure", _JSON),
    Column("decided_at_ms", BigInteger, nullable=False, index=True),
    CheckConstraint(f"outcome IN ({words(Outcome)})", name="outcome"),
    CheckConstraint(f"(outcome = '{Outcome.SUCCEEDED}') = (failure IS NULL)", name="failure"),
)

# The outbox: written with a job's terminal state.
deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("job_id", Text, nullable=False, index=True),
    Column("endpoint_name", Text, nullable=False),
    Column("target", _JSON, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("next_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    CheckConstraint(f"state IN ({words(DeliveryState)})", name="state"),
    CheckConstraint(f"(state = '{DeliveryState.PENDING}') = (next_at_ms IS NOT NULL)", name="next"),
    CheckConstraint(f"(state = '{DeliveryState.PENDING}') = (ended_at_ms IS NULL)", name="ended"),
)
_pending = deliveries.c.next_at_ms.is_not(None)
Index("ix_deliveries_due", deliveries.c.next_at_ms, sqlite_where=_pending, postgresql_where=_pending)
_told = deliveries.c.ended_at_ms.is_not(None)
Index("ix_deliveries_ended", deliveries.c.ended_at_ms, sqlite_where=_told, postgresql_where=_told)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("status", Integer),
    Column("answer", Text, nullable=False),
    Column("error", Text),
    sqlite_with_rowid=False,
)

topics = Table(
    "topics",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("attributes", _JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("topic_arn", Text, ForeignKey("topics.arn", ondelete="CASCADE"), nullable=False),
    Column("owner", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("token", Text, nullable=False, unique=True),
    Column("attributes", _JSON, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("topic_arn", "protocol", "address"),
)

# How many client jobs each endpoint has in each state: the depth of its queue without counting rows.
job_counts = Table(
    "job_counts",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    CheckConstraint("count >= 0", name="count"),
    CheckConstraint(f"state IN ({words(JobState)})", name="state"),
    sqlite_with_rowid=False,
)

# Output names (as URIs) that jobs not yet ended will publish under.
reserved_names = Table(
    "reserved_names",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Text, primary_key=True),  # a JSON array: owner, endpoint, door, the client's key
    Column("fingerprint", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
