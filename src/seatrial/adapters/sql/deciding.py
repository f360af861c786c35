"""Decisions that are committed before their outcome is visible: where objects are not rows of this database."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, exists, insert, null, select, update

from seatrial.adapters.sql.job_rows import MEMORY_COLUMNS, JobRow, memory_values, to_job
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import decisions, jobs, word
from seatrial.domain.commands import Outcome, Publication, StagedPart
from seatrial.domain.jobs import Job, JobEvent, JobState, after
from seatrial.domain.memory import MemoryUse
from seatrial.domain.objects import ObjectName, Sealed

_DECIDE = Prepared(
    update(jobs)
    .where(jobs.c.seq == bindparam("at"))
    .values(
        {
            name: bindparam(name)
            for name in ("state", "token", "deaths", "started_at_ms", "publish_by_ms", "task", *MEMORY_COLUMNS)
        }
        | {"session": null()}
    )
)
_KEEP = Prepared(insert(decisions), ["job_id", "outcome", "parts", "failure", "decided_at_ms"])
_OF_JOB = select(decisions).where(decisions.c.job_id == bindparam("job_id"))
_REPLACE = (
    update(decisions)
    .where(decisions.c.job_id == bindparam("of_job"))
    .values(outcome=Outcome.FAILED.value, failure=bindparam("failure"))
)
_DROP = delete(decisions).where(decisions.c.job_id == bindparam("job_id"))
_DECIDED = (
    select(jobs, *(column.label(f"decision_{column.name}") for column in decisions.c))
    .join(decisions, decisions.c.job_id == jobs.c.id)
    .order_by(decisions.c.decided_at_ms)
    .limit(bindparam("most"))
)
_WAITING = _DECIDED.where(jobs.c.state == word(JobState.PUBLISHING), decisions.c.decided_at_ms <= bindparam("until_ms"))
_LEFT = _DECIDED.where(jobs.c.state != word(JobState.PUBLISHING))
_OTHERS = select(
    exists().where(
        jobs.c.result_bucket == bindparam("bucket"),
        jobs.c.result_key == bindparam("key"),
        jobs.c.id != bindparam("job_id"),
    )
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The one outcome of a job, as it is committed. `token` stays with the job, so that its holder may repeat it."""

    row: JobRow
    outcome: Outcome
    now_ms: int
    parts: tuple[StagedPart, ...]
    failure: Mapping[str, Any] | None  # the document
    token: str | None
    started_at_ms: int | None
    deaths: int
    memory: MemoryUse | None
    task: str | None


def decide(run: Run, made: Sequence[Decision], publish_within_ms: int) -> list[Job]:
    """Commit decisions; the jobs as they now are, publishing."""
    if not made:
        return []
    decided = [_decided(one, publish_within_ms) for one in made]
    _DECIDE.run(run.connection, [_job_values(one, job) for one, job in zip(made, decided, strict=True)])
    _KEEP.run(run.connection, [_decision_values(one) for one in made])
    for one in made:
        run.moved(one.row.endpoint_id, one.row.purpose, JobState(one.row.state), JobState.PUBLISHING)
    return decided


def read_decision(connection: Connection, row: JobRow) -> Publication | None:
    """What is to be made visible of a publishing job; None: it has been, or was given up."""
    if row.state != JobState.PUBLISHING:
        return None
    found = connection.execute(_OF_JOB, {"job_id": row.id}).first()
    return None if found is None else _publication(row, found.outcome, found.parts, found.failure)


def replace_decision(connection: Connection, job_id: str, failure: Mapping[str, Any]) -> None:
    """What cannot be published becomes a failure; its parts stay noted, since some of them may show already."""
    connection.execute(_REPLACE, {"of_job": job_id, "failure": failure})


def drop_decision(connection: Connection, job_id: str) -> None:
    """Its outcome is visible and the terminal state is in this transaction, or what was given up is withdrawn."""
    connection.execute(_DROP, {"job_id": job_id})


def waiting_decisions(connection: Connection, until_ms: int, limit: int) -> list[Publication]:
    """Those that were made by then and are not visible yet, oldest first."""
    rows = connection.execute(_WAITING, {"until_ms": until_ms, "most": limit})
    return [_publication(row, row.decision_outcome, row.decision_parts, row.decision_failure) for row in rows]


def left_decisions(connection: Connection, limit: int) -> list[Publication]:
    """Those of jobs that ended as publish_failed while parts of them may have been visible.

    Where another job has been given the same names since, its outcome replaces the parts, and none is listed.
    """
    found = []
    for row in connection.execute(_LEFT, {"most": limit}).all():
        where = {"bucket": row.result_bucket, "key": row.result_key, "job_id": row.id}
        parts = [] if connection.execute(_OTHERS, where).scalar() else row.decision_parts
        found.append(_publication(row, row.decision_outcome, parts, row.decision_failure))
    return found


def _publication(row: JobRow, outcome: str, parts: Any, failure: Any) -> Publication:
    return Publication(to_job(row), Outcome(outcome), tuple(_read_part(one) for one in parts), failure)


def _decided(one: Decision, publish_within_ms: int) -> Job:
    return to_job(
        one.row,
        {
            "state": after(JobState(one.row.state), JobEvent.DECIDED),
            "deaths": one.deaths,
            "started_at_ms": one.started_at_ms,
            "memory": one.memory,
            "task": one.task,
            "publish_by_ms": one.now_ms + publish_within_ms,
            "upload_by_ms": None,
        },
    )


def _job_values(one: Decision, job: Job) -> dict[str, Any]:
    return {
        "at": one.row.seq,
        "state": job.state.value,
        "token": one.token,
        "deaths": job.deaths,
        "started_at_ms": job.started_at_ms,
        "publish_by_ms": job.publish_by_ms,
        "task": job.task,
        **memory_values(one.memory),
    }


def _decision_values(one: Decision) -> dict[str, Any]:
    return {
        "job_id": one.row.id,
        "outcome": one.outcome.value,
        "parts": [_part_values(part) for part in one.parts],
        "failure": one.failure,
        "decided_at_ms": one.now_ms,
    }


def _part_values(part: StagedPart) -> dict[str, Any]:
    sealed = part.sealed
    return {
        "name": part.name,
        "bucket": part.object.bucket,
        "key": part.object.key,
        "media_type": part.media_type,
        "size_bytes": sealed.size_bytes,
        "sha256": sealed.sha256,
        "etag": sealed.etag,
        "blob": sealed.blob,
        "inline": None if sealed.inline is None else base64.b64encode(sealed.inline).decode(),
    }


def _read_part(values: Mapping[str, Any]) -> StagedPart:
    inline = values["inline"]
    sealed = Sealed(
        size_bytes=values["size_bytes"],
        sha256=values["sha256"],
        etag=values["etag"],
        blob=values["blob"],
        inline=None if inline is None else base64.b64decode(inline),
    )
    return StagedPart(values["name"], ObjectName(values["bucket"], values["key"]), sealed, values["media_type"])
