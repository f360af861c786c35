"""Ends jobs: with their names in one transaction, or as a decision whose publication follows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete

from seatrial.adapters.sql.concluding import Conclusion, conclude
from seatrial.adapters.sql.deciding import Decision, decide
from seatrial.adapters.sql.job_rows import JobRow, output_plan, visible_part
from seatrial.adapters.sql.object_events import triggers
from seatrial.adapters.sql.run import Run
from seatrial.domain.commands import Outcome, StagedPart
from seatrial.domain.errors import CANCELLED, PUBLISH_FAILED
from seatrial.domain.failures import Failure, failure_body, failure_document
from seatrial.domain.jobs import Job, JobEvent, JobState, after
from seatrial.domain.memory import MemoryUse
from seatrial.domain.objects import ObjectName, Sealed

_DROP_UPLOADS = delete(triggers).where(triggers.c.id.in_(bindparam("ids", expanding=True)))
WISHED = Failure(CANCELLED, "The job was cancelled.")

_EVENTS = {
    Outcome.SUCCEEDED: JobEvent.PUBLISHED,
    Outcome.FAILED: JobEvent.FAILED,
    Outcome.CANCELLED: JobEvent.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How one job ends: with staged parts, or with a failure.

    `token` stays with the job only if its holder brought the ending, so that the holder may repeat itself.
    """

    row: JobRow
    outcome: Outcome
    now_ms: int
    failure: Failure | None = None
    parts: tuple[StagedPart, ...] = ()
    token: str | None = None
    started_at_ms: int | None = None
    deaths: int | None = None  # None: unchanged
    memory: MemoryUse | None = None
    task: str | None = None  # None: unchanged


def failed(row: JobRow, failure: Failure, now_ms: int, deaths: int | None = None) -> Ending:
    """The ending of a job that nobody holds: as a failure, or cancelled where that was wished before."""
    outcome, why = (Outcome.CANCELLED, WISHED) if row.cancel_requested else (Outcome.FAILED, failure)
    return Ending(row, outcome, now_ms, why, started_at_ms=row.started_at_ms, deaths=deaths)


def cancelled(row: JobRow, now_ms: int) -> Ending:
    """The ending of a job that nobody holds (any more) and that somebody cancelled."""
    return Ending(row, Outcome.CANCELLED, now_ms, WISHED, started_at_ms=row.started_at_ms)


def end(run: Run, endings: Sequence[Ending]) -> list[Job]:
    """Carry endings out; the jobs as they now are: ended, or publishing where objects are not rows."""
    drop_uploads(run, [one.row.id for one in endings if one.row.state == JobState.AWAITING_UPLOAD])
    if run.publish_within_ms is not None:
        return decide(run, [_decision(ending) for ending in endings], run.publish_within_ms)
    return conclude(run, [_shown(run, ending) for ending in endings])


def drop_uploads(run: Run, job_ids: Sequence[str]) -> None:
    """These jobs wait for no object any more."""
    if job_ids:
        run.connection.execute(_DROP_UPLOADS, {"ids": list(job_ids)})


def ended_state(decided: JobState, outcome: Outcome) -> JobState:
    """What a decided job becomes once its outcome is visible."""
    return after(decided, _EVENTS[outcome])


def document_of(row: JobRow, failure: Failure) -> dict[str, Any]:
    """The failure document of a job."""
    return failure_document(failure, row.id, row.attempt)


def not_shown(document: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The document of a failure whose object could not be made visible."""
    said = f"the failure object is not there: {why}"
    return {**document, "details": {**document["details"], "not_published": said}}


def _decision(ending: Ending) -> Decision:
    return Decision(
        row=ending.row,
        outcome=ending.outcome,
        now_ms=ending.now_ms,
        parts=ending.parts,
        failure=None if ending.failure is None else document_of(ending.row, ending.failure),
        token=ending.token,
        started_at_ms=ending.started_at_ms,
        deaths=_deaths(ending),
        memory=ending.memory,
        task=ending.task or ending.row.task,
    )


def _shown(run: Run, ending: Ending) -> Conclusion:
    """Make the outcome's names rows of this transaction."""
    outcome, failure = ending.outcome, ending.failure
    if outcome is Outcome.SUCCEEDED:
        failure = _show_parts(run, ending)
        outcome = outcome if failure is None else Outcome.FAILED
    document = None if failure is None else _show_failure(run, ending, failure)
    return Conclusion(
        row=ending.row,
        state=ended_state(after(JobState(ending.row.state), JobEvent.DECIDED), outcome),
        now_ms=ending.now_ms,
        parts=tuple(map(visible_part, ending.parts)) if failure is None else (),
        failure=document,
        token=ending.token,
        started_at_ms=ending.started_at_ms,
        deaths=_deaths(ending),
        memory=ending.memory,
        task=ending.task or ending.row.task,
    )


def _show_parts(run: Run, ending: Ending) -> Failure | None:
    """Make all parts visible, the primary last, or none of them; why that was impossible."""
    for part in ending.parts:
        if not run.publishing.possible(part.object):
            bucket = part.object.bucket
            return Failure(
                PUBLISH_FAILED,
                f"The result could not be published: bucket {bucket!r} does not exist.",
                {"bucket": bucket, "remedy": "create the bucket and retry the job"},
            )
    for part in ending.parts:
        run.publishing.add(part.object, part.sealed, part.media_type, ending.now_ms)
    return None


def _show_failure(run: Run, ending: Ending, failure: Failure) -> dict[str, Any]:
    """Make the failure object visible; without its bucket the document alone says what happened."""
    document = document_of(ending.row, failure)
    name: ObjectName = output_plan(ending.row).failure
    if not run.publishing.possible(name):
        return not_shown(document, f"bucket {name.bucket!r} does not exist")
    body = failure_body(document)
    sealed = Sealed(
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
        inline=body,
    )
    run.publishing.add(name, sealed, "application/json", ending.now_ms)
    return document


def _deaths(ending: Ending) -> int:
    return int(ending.row.deaths) if ending.deaths is None else ending.deaths
