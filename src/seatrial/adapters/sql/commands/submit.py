"""Accept jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from seatrial.adapters.sql.job_rows import NEW_COLUMNS, new_values, to_job
from seatrial.adapters.sql.object_events import trigger_values, triggers
from seatrial.adapters.sql.outbox_rows import post_deliveries
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.query import Query
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import idempotency_keys, jobs, reserved_names
from seatrial.domain.announcement import queued_deliveries
from seatrial.domain.commands import (
    EndpointGone,
    IdempotencyKey,
    KeyConflict,
    NameTaken,
    QueueFull,
    Submit,
    Submitted,
)
from seatrial.domain.endpoint import EndpointStatus
from seatrial.domain.jobs import Job, JobPurpose, JobState, NewJob, OutputPlan

SubmitOutcome = Submitted | KeyConflict | QueueFull | NameTaken | EndpointGone

_KNOWN_KEYS = Query(
    select(idempotency_keys, jobs.c.ended_at_ms, jobs.c.id.label("found_id"))
    .outerjoin(jobs, jobs.c.id == idempotency_keys.c.job_id)
    .where(idempotency_keys.c.key.in_(bindparam("keys", expanding=True))),
    ["keys"],
)
_KNOWN_JOBS = Query(select(jobs).where(jobs.c.id.in_(bindparam("ids", expanding=True))), ["ids"])
_RESERVED = Query(select(reserved_names).where(reserved_names.c.uri.in_(bindparam("uris", expanding=True))), ["uris"])
_ADD_JOBS = Prepared(insert(jobs), NEW_COLUMNS)
_RESERVE = Prepared(insert(reserved_names), ["uri", "job_id"])
_DROP_KEYS = delete(idempotency_keys).where(idempotency_keys.c.key.in_(bindparam("keys", expanding=True)))
_ADD_KEYS = Prepared(insert(idempotency_keys), ["key", "fingerprint", "job_id", "created_at_ms"])


@dataclass(frozen=True, slots=True)
class _HeldKey:
    fingerprint: str
    job_id: str
    ended_at_ms: int | None = None  # of the job
    gone: bool = False  # the job is: its key is free

    def is_alive(self, key: IdempotencyKey, now_ms: int) -> bool:
        return not self.gone and (self.ended_at_ms is None or self.ended_at_ms + key.life_ms > now_ms)


def submit(run: Run, commands: Sequence[Submit]) -> list[SubmitOutcome]:
    """Look everything up once, decide each in order, and write all accepted jobs at the end.

    An endpoint is kept while jobs are submitted to it, so its depth and its idempotency keys hold. Names are shared
    between endpoints: where another server reserves one at the same time, the second of the two runs again.
    """
    intake = _Intake(run, commands)
    outcomes = [intake.decide(command) for command in commands]
    intake.write()
    return outcomes


class _Intake:
    """What is known of keys, jobs and names: from the database, and from the commands decided so far."""

    def __init__(self, run: Run, commands: Sequence[Submit]) -> None:
        run.keep_endpoints(command.job.endpoint_id for command in commands)
        self._run = run
        self._accepted: list[Submit] = []
        self._outlived: set[str] = set()
        self._keys = _known_keys(run.connection, [command.idempotency for command in commands if command.idempotency])
        self._jobs = _known_jobs(run, [command.job.id for command in commands])
        uris = [uri for command in commands for uri in reserved_uris(command.job.output)]
        self._reserved = {row.uri: row.job_id for row in _RESERVED.all(run.connection, {"uris": uris})}

    def decide(self, command: Submit) -> SubmitOutcome:
        """The outcome of one; an accepted job counts for those after it."""
        return (
            self._seen_before(command)
            or self._refused_by_endpoint(command)
            or self._refused_by_name(command.job)
            or self._accept(command)
        )

    def write(self) -> None:
        """Insert what was accepted."""
        connection, accepted = self._run.connection, self._accepted
        if not accepted:
            return
        _ADD_JOBS.run(connection, [new_values(command.job) for command in accepted])
        uris = [(uri, command.job.id) for command in accepted for uri in reserved_uris(command.job.output)]
        _RESERVE.run(connection, [{"uri": uri, "job_id": job_id} for uri, job_id in uris])
        uploads = [trigger_values(command.job.upload) for command in accepted if command.job.upload is not None]
        if uploads:
            connection.execute(insert(triggers), uploads)
        queued = [command.job for command in accepted if command.job.upload is None]
        told = [one for job in queued for one in queued_deliveries(job, job.submitted_at_ms)]
        if told:
            post_deliveries(connection, told)
        if self._outlived:
            connection.execute(_DROP_KEYS, {"keys": sorted(self._outlived)})
            self._outlived.clear()
        keys = [_key_values(command.idempotency, command.job) for command in accepted if command.idempotency]
        if keys:
            _ADD_KEYS.run(connection, keys)
        self._accepted = []

    def _seen_before(self, command: Submit) -> SubmitOutcome | None:
        if command.job.id in self._jobs:
            return Submitted(command.job.id, existing=True, job=self._job(command.job.id))
        if command.idempotency is None:
            return None
        held = self._keys.get(_identity(command.idempotency))
        if held is None or not held.is_alive(command.idempotency, command.job.submitted_at_ms):
            return None
        if held.fingerprint != command.idempotency.fingerprint:
            return KeyConflict(held.job_id)
        return Submitted(held.job_id, existing=True, job=self._job(held.job_id))

    def _refused_by_endpoint(self, command: Submit) -> SubmitOutcome | None:
        endpoint = self._run.endpoint(command.job.endpoint_id)
        if endpoint is None or endpoint.status == EndpointStatus.DELETING:
            return EndpointGone()
        if command.job.purpose is not JobPurpose.CLIENT:
            return None  # a proof must not fail because clients are many
        waits = command.job.upload is not None
        depth = self._run.awaited(command.job.endpoint_id) if waits else self._run.depth(command.job.endpoint_id)
        return QueueFull(depth, command.queue_depth_max) if depth >= command.queue_depth_max else None

    def _refused_by_name(self, job: NewJob) -> NameTaken | None:
        for name in (job.output.result, job.output.failure):
            if name.uri in self._reserved:
                return NameTaken(name, self._reserved[name.uri])
        return None

    def _accept(self, command: Submit) -> Submitted:
        job = command.job
        if command.idempotency is not None:
            identity = _identity(command.idempotency)
            if identity in self._keys:
                self.write()  # its holder may be one of those that were accepted a moment ago
                self._outlived.add(identity)
            self._keys[identity] = _HeldKey(command.idempotency.fingerprint, job.id)
        self._accepted.append(command)
        self._jobs[job.id] = None
        self._reserved.update(dict.fromkeys(reserved_uris(job.output), job.id))
        state = JobState.QUEUED if job.upload is None else JobState.AWAITING_UPLOAD
        self._run.moved(job.endpoint_id, job.purpose, None, state)
        return Submitted(job.id)

    def _job(self, job_id: str) -> Job | None:
        """The job as it now is, also one that was accepted a moment ago."""
        if self._jobs.get(job_id) is None:
            self.write()
            self._jobs |= _known_jobs(self._run, [job_id])
        return self._jobs[job_id]


def reserved_uris(output: OutputPlan) -> set[str]:
    """The names that belong to a job until it has ended."""
    return {output.result.uri, output.failure.uri}


def _known_jobs(run: Run, ids: Sequence[str]) -> dict[str, Job | None]:
    return {row.id: to_job(row) for row in _KNOWN_JOBS.all(run.connection, {"ids": ids})}


def made_before(connection: Connection, key: IdempotencyKey, now_ms: int) -> Submitted | KeyConflict | None:
    """What a submission under the key would be answered with, if the key is taken."""
    held = _known_keys(connection, [key]).get(_identity(key))
    if held is None or not held.is_alive(key, now_ms):
        return None
    if held.fingerprint != key.fingerprint:
        return KeyConflict(held.job_id)
    row = _KNOWN_JOBS.all(connection, {"ids": [held.job_id]})[0]
    return Submitted(held.job_id, existing=True, job=to_job(row))


def _known_keys(connection: Connection, keys: Sequence[IdempotencyKey]) -> dict[str, _HeldKey]:
    if not keys:
        return {}
    rows = _KNOWN_KEYS.all(connection, {"keys": [_identity(key) for key in keys]})
    return {row.key: _HeldKey(row.fingerprint, row.job_id, row.ended_at_ms, row.found_id is None) for row in rows}


def _identity(key: IdempotencyKey) -> str:
    return json.dumps([key.owner, key.endpoint_id, key.door, key.key])


def _key_values(key: IdempotencyKey, job: NewJob) -> dict[str, Any]:
    return {
        "key": _identity(key),
        "fingerprint": key.fingerprint,
        "job_id": job.id,
        "created_at_ms": job.submitted_at_ms,
    }
