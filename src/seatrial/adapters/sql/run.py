"""What commands of one run share: the connection, and what is written once at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from seatrial.adapters.sql.announcing import announce
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.publishing import Publishing
from seatrial.adapters.sql.query import Query
from seatrial.adapters.sql.schema import endpoints, job_counts, stores
from seatrial.domain.jobs import JobPurpose, JobState

_ENDPOINT = Query(
    select(endpoints.c.status, endpoints.c.active_version).where(endpoints.c.id == bindparam("endpoint_id"))
)
_ENDPOINTS_KEPT = Query(
    select(endpoints.c.id, endpoints.c.status, endpoints.c.active_version)
    .where(endpoints.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(endpoints.c.id)
    .with_for_update(key_share=True),
    ["ids"],
)
_TURN = select(stores.c.only).with_for_update()
_COUNTS = Query(
    select(job_counts.c.state, job_counts.c.count).where(job_counts.c.endpoint_id == bindparam("endpoint_id"))
)
_COUNTED = select(job_counts.c.endpoint_id, job_counts.c.state).where(
    job_counts.c.endpoint_id.in_(bindparam("ids", expanding=True))
)
_ADD_COUNTS = Prepared(insert(job_counts), ["endpoint_id", "state", "count"])
_CHANGE_COUNTS = Prepared(
    update(job_counts)
    .where(job_counts.c.endpoint_id == bindparam("of"), job_counts.c.state == bindparam("in_state"))
    .values(count=job_counts.c.count + bindparam("by"))
)


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What the queue needs to know of an endpoint."""

    status: str
    active_version: str | None


class Run:
    """Commands that run together inside one transaction. No command changes an endpoint, so those are read once.

    Other servers write at the same time. What a command decides upon it locks, in an order that all share:
    endpoints (where jobs are submitted), sessions, jobs, and last, in `write`, names and counts.

    `publish_within_ms` None: names are rows of this database. Else objects live elsewhere, and a decided job has that
    long to become visible.
    """

    def __init__(self, connection: Connection, publish_within_ms: int | None = None) -> None:
        self.connection = connection
        self.publish_within_ms = publish_within_ms
        self.publishing = Publishing(connection)
        self.superseded: dict[str, tuple[str, ...]] = {}  # job -> earlier ones whose outcome lay under its name
        self._endpoints: dict[str, EndpointFacts | None] = {}
        self._kept: set[str] = set()
        self._counts: dict[str, Counter[str]] = {}
        self._moves: Counter[tuple[str, str]] = Counter()
        self._filled: set[str] = set()
        self._my_turn = False

    def keep_endpoints(self, endpoint_ids: Iterable[str]) -> None:
        """Until this transaction ends nobody else changes these endpoints or submits to them: depths stay true."""
        ids = set(endpoint_ids) - self._kept
        if not ids:
            return
        self._kept |= ids
        self._endpoints.update(dict.fromkeys(ids))
        for row in _ENDPOINTS_KEPT.all(self.connection, {"ids": sorted(ids)}):
            self._endpoints[row.id] = EndpointFacts(row.status, row.active_version)

    def endpoint(self, endpoint_id: str) -> EndpointFacts | None:
        """The endpoint as it is now; None: there is none of that id."""
        if endpoint_id not in self._endpoints:
            row = _ENDPOINT.first(self.connection, {"endpoint_id": endpoint_id})
            self._endpoints[endpoint_id] = None if row is None else EndpointFacts(row.status, row.active_version)
        return self._endpoints[endpoint_id]

    def depth(self, endpoint_id: str) -> int:
        """Client jobs that are queued or running; of an endpoint that is kept."""
        return self._counted(endpoint_id, JobState.QUEUED) + self._counted(endpoint_id, JobState.RUNNING)

    def awaited(self, endpoint_id: str) -> int:
        """Client jobs whose input is still to come; of an endpoint that is kept."""
        return self._counted(endpoint_id, JobState.AWAITING_UPLOAD)

    def _counted(self, endpoint_id: str, state: JobState) -> int:
        counts = self._counts.get(endpoint_id)
        if counts is None:
            rows = _COUNTS.all(self.connection, {"endpoint_id": endpoint_id})
            counts = self._counts[endpoint_id] = Counter(dict(rows))
        return counts[state.value] + self._moves[endpoint_id, state.value]

    def running(self, endpoint_id: str) -> int:
        """Client jobs that run; true while it is this transaction's turn to take."""
        rows = _COUNTS.all(self.connection, {"endpoint_id": endpoint_id})
        return Counter(dict(rows))[JobState.RUNNING.value] + self._moves[endpoint_id, JobState.RUNNING.value]

    def take_turns(self) -> None:
        """Until this transaction ends no other server takes jobs that are limited in how many run at once."""
        if not self._my_turn:
            self.connection.execute(_TURN)
            self._my_turn = True

    def moved(self, endpoint_id: str, purpose: str, before: JobState | None, after: JobState) -> None:
        """A job changed its state, or came in (`before` is None)."""
        if after is JobState.QUEUED:
            self._filled.add(endpoint_id)
        if purpose != JobPurpose.CLIENT:
            return
        if before is not None:
            self._moves[endpoint_id, before.value] -= 1
        self._moves[endpoint_id, after.value] += 1

    def left(self, endpoint_id: str, purpose: str, state: JobState) -> None:
        """A job is no longer kept."""
        if purpose == JobPurpose.CLIENT:
            self._moves[endpoint_id, state.value] -= 1

    def write(self) -> None:
        """Write the names, and how the counts changed; to be called once, at the end."""
        self.publishing.write()
        if self._filled:
            announce(self.connection, self._filled)
        # In one order everywhere: two servers that change the same counts wait for each other, never in a circle.
        changes = [(of, state, by) for (of, state), by in sorted(self._moves.items()) if by]
        rows = [{"of": of, "in_state": state, "by": by} for of, state, by in changes]
        if rows and _CHANGE_COUNTS.run(self.connection, rows) < len(changes):
            self._add_counts(changes)

    def _add_counts(self, changes: list[tuple[str, str, int]]) -> None:
        """The first jobs of an endpoint in a state: their counts were not there to be changed."""
        ids = sorted({of for of, _, _ in changes})
        known = {tuple(row) for row in self.connection.execute(_COUNTED, {"ids": ids})}
        rows = [
            {"endpoint_id": of, "state": state, "count": by} for of, state, by in changes if (of, state) not in known
        ]
        _ADD_COUNTS.run(self.connection, rows)
