"""What commands of one run share: the connection, and what is written once at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.publishing import Publishing
from seatrial.adapters.sql.schema import endpoints, job_counts
from seatrial.domain.jobs import JobPurpose, JobState

_ENDPOINT = select(endpoints.c.status, endpoints.c.active_version).where(endpoints.c.id == bindparam("endpoint_id"))
_COUNTS = select(job_counts.c.state, job_counts.c.count).where(job_counts.c.endpoint_id == bindparam("endpoint_id"))
_SET_COUNT = insert(job_counts)
_SET_COUNTS = Prepared(
    _SET_COUNT.on_conflict_do_update(
        index_elements=[job_counts.c.endpoint_id, job_counts.c.state], set_={"count": _SET_COUNT.excluded.count}
    ),
    ["endpoint_id", "state", "count"],
)


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What the queue needs to know of an endpoint."""

    status: str
    active_version: str | None


class Run:
    """Commands that run together inside one transaction. No command changes an endpoint, so those are read once.

    `publish_within_ms` None: names are rows of this database. Else objects live elsewhere, and a decided job has that
    long to become visible.
    """

    def __init__(self, connection: Connection, publish_within_ms: int | None = None) -> None:
        self.connection = connection
        self.publish_within_ms = publish_within_ms
        self.publishing = Publishing(connection)
        self.superseded: dict[str, tuple[str, ...]] = {}  # job -> earlier ones whose outcome lay under its name
        self._endpoints: dict[str, EndpointFacts | None] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._changed: set[tuple[str, str]] = set()

    def endpoint(self, endpoint_id: str) -> EndpointFacts | None:
        """The endpoint as it is now; None: there is none of that id."""
        if endpoint_id not in self._endpoints:
            row = self.connection.execute(_ENDPOINT, {"endpoint_id": endpoint_id}).first()
            self._endpoints[endpoint_id] = None if row is None else EndpointFacts(row.status, row.active_version)
        return self._endpoints[endpoint_id]

    def depth(self, endpoint_id: str) -> int:
        """Client jobs that are queued or running."""
        counts = self._counts_of(endpoint_id)
        return counts[JobState.QUEUED] + counts[JobState.RUNNING]

    def moved(self, endpoint_id: str, purpose: str, before: JobState | None, after: JobState) -> None:
        """A job changed its state, or came in (`before` is None)."""
        if purpose != JobPurpose.CLIENT:
            return
        counts = self._counts_of(endpoint_id)
        if before is not None:
            counts[before] -= 1
            self._changed.add((endpoint_id, before.value))
        counts[after] += 1
        self._changed.add((endpoint_id, after.value))

    def left(self, endpoint_id: str, purpose: str, state: JobState) -> None:
        """A job is no longer kept."""
        if purpose == JobPurpose.CLIENT:
            self._counts_of(endpoint_id)[state] -= 1
            self._changed.add((endpoint_id, state.value))

    def write(self) -> None:
        """Write the names and the counts that changed; to be called once, at the end."""
        self.publishing.write()
        rows = [
            {"endpoint_id": endpoint_id, "state": state, "count": self._counts[endpoint_id][state]}
            for endpoint_id, state in self._changed
        ]
        if rows:
            _SET_COUNTS.run(self.connection, rows)

    def _counts_of(self, endpoint_id: str) -> Counter[str]:
        counts = self._counts.get(endpoint_id)
        if counts is None:
            rows = self.connection.execute(_COUNTS, {"endpoint_id": endpoint_id})
            counts = self._counts[endpoint_id] = Counter(dict(rows.all()))
        return counts
