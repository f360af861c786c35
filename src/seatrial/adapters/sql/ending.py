"""Ends jobs: the terminal state, the failure object and the freed names, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, null, update

from seatrial.adapters.sql.job_rows import JobRow, output_plan, part_values, to_job
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, reserved_names
from seatrial.domain.errors import CANCELLED
from seatrial.domain.failures import Failure, failure_body, failure_document
from seatrial.domain.jobs import Job, JobEvent, JobState, Part, after
from seatrial.domain.objects import ObjectName, Sealed

WISHED = Failure(CANCELLED, "The job was cancelled.")

_END = Prepared(
    update(jobs)
    .where(jobs.c.seq == bindparam("at"))
    .values(
        {
            name: bindparam(name)
            for name in ("state", "token", "deaths", "started_at_ms", "ended_at_ms", "parts", "failure")
        }
        | {"session": null()}
    )
)
_FREE = Prepared(
    delete(reserved_names).where(
        reserved_names.c.uri == bindparam("at"), reserved_names.c.job_id == bindparam("job_id")
    )
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How one job ends. With `failure` unset it succeeded and `parts` are visible.

    `token` stays with the job only if its holder brought the ending, so that the holder may repeat itself.
    """

    row: JobRow
    state: JobState
    now_ms: int
    failure: Failure | None = None
    parts: tuple[Part, ...] = ()
    token: str | None = None
    started_at_ms: int | None = None
    deaths: int | None = None  # None: unchanged


def failed(row: JobRow, failure: Failure, now_ms: int, deaths: int | None = None) -> Ending:
    """The ending of a job that nobody holds: as a failure, or cancelled where that was wished before."""
    state, event = JobState(row.state), JobEvent.CANCELLED if row.cancel_requested else JobEvent.FAILED
    why = WISHED if row.cancel_requested else failure
    return Ending(row, after(state, event), now_ms, why, started_at_ms=row.started_at_ms, deaths=deaths)


def cancelled(row: JobRow, now_ms: int) -> Ending:
    """The ending of a job that nobody holds (any more) and that somebody cancelled."""
    state = after(JobState(row.state), JobEvent.CANCELLED)
    return Ending(row, state, now_ms, WISHED, started_at_ms=row.started_at_ms)


def end(run: Run, endings: Sequence[Ending]) -> list[Job]:
    """Carry endings out; the jobs as they now are."""
    if not endings:
        return []
    ended = [_ended(run, ending) for ending in endings]
    _END.run(run.connection, [_values(ending, job) for ending, job in zip(endings, ended, strict=True)])
    names = [(job.id, name) for job in ended for name in (job.output.result, job.output.failure)]
    _FREE.run(run.connection, [{"at": name.uri, "job_id": job_id} for job_id, name in names])
    for ending in endings:
        run.moved(ending.row.endpoint_id, ending.row.purpose, JobState(ending.row.state), ending.state)
    return ended


def _ended(run: Run, ending: Ending) -> Job:
    document = None
    if ending.failure is not None:
        plan = output_plan(ending.row)
        document = failure_document(ending.failure, ending.row.id, ending.row.attempt)
        document = _reveal(run, plan.failure, document, ending.now_ms)
    return to_job(
        ending.row,
        {
            "state": ending.state,
            "deaths": ending.row.deaths if ending.deaths is None else ending.deaths,
            "started_at_ms": ending.started_at_ms,
            "ended_at_ms": ending.now_ms,
            "parts": ending.parts,
            "failure": document,
        },
    )


def _reveal(run: Run, name: ObjectName, document: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Make the failure object visible; without its bucket the document alone says what happened."""
    if not run.publishing.possible(name):
        said = f"the failure object is not there: bucket {name.bucket!r} does not exist"
        return document | {"details": {**document["details"], "not_published": said}}
    body = failure_body(document)
    sealed = Sealed(
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
        inline=body,
    )
    run.publishing.add(name, sealed, "application/json", now_ms)
    return document


def _values(ending: Ending, job: Job) -> dict[str, Any]:
    succeeded = job.state is JobState.SUCCEEDED
    return {
        "at": ending.row.seq,
        "state": job.state.value,
        "token": ending.token,
        "deaths": job.deaths,
        "started_at_ms": job.started_at_ms,
        "ended_at_ms": job.ended_at_ms,
        "parts": [part_values(part) for part in job.parts] if succeeded else None,
        "failure": job.failure,
    }
