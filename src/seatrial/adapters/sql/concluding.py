"""Terminal states: the job's row, the freed names, the counts, the outbox and the superseded, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, null, update

from seatrial.adapters.sql.job_rows import MEMORY_COLUMNS, JobRow, memory_values, part_values, to_job
from seatrial.adapters.sql.outbox_rows import post
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import jobs, reserved_names
from seatrial.domain.jobs import Job, JobState, Part
from seatrial.domain.memory import MemoryUse

_END = Prepared(
    update(jobs)
    .where(jobs.c.seq == bindparam("at"))
    .values(
        {
            name: bindparam(name)
            for name in (
                *("state", "token", "deaths", "started_at_ms", "ended_at_ms", "parts", "failure", "task"),
                *MEMORY_COLUMNS,
            )
        }
        | {"session": null(), "publish_by_ms": null()}
    )
)
_FREE = Prepared(
    delete(reserved_names).where(
        reserved_names.c.uri == bindparam("at"), reserved_names.c.job_id == bindparam("job_id")
    )
)
_SUPERSEDE = {
    kind: update(jobs)
    .where(
        jobs.c.name_chosen,
        jobs.c.superseded_by.is_(None),
        jobs.c[f"{kind}_key"] == bindparam("held_key"),
        jobs.c[f"{kind}_bucket"] == bindparam("held_bucket"),
        jobs.c.id != bindparam("by"),
        jobs.c.state.in_(states),
    )
    .values(superseded_by=bindparam("by"))
    .returning(jobs.c.id)
    for kind, states in {
        "result": (JobState.SUCCEEDED.value,),
        "failure": (JobState.FAILED.value, JobState.CANCELLED.value),
    }.items()
}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """One job's terminal state. `parts` are visible, or else `failure` is the document.

    `token` stays with the job only if its holder brought the outcome, so that the holder may repeat itself.
    """

    row: JobRow
    state: JobState
    now_ms: int
    parts: tuple[Part, ...]
    failure: Mapping[str, Any] | None
    token: str | None
    started_at_ms: int | None
    deaths: int
    memory: MemoryUse | None
    task: str | None


def conclude(run: Run, conclusions: Sequence[Conclusion]) -> list[Job]:
    """Write terminal states; the jobs as they now are."""
    if not conclusions:
        return []
    ended = [_ended(one) for one in conclusions]
    _END.run(run.connection, [_values(one) for one in conclusions])
    names = [(job.id, name) for job in ended for name in (job.output.result, job.output.failure)]
    _FREE.run(run.connection, [{"at": name.uri, "job_id": job_id} for job_id, name in names])
    for one, job in zip(conclusions, ended, strict=True):
        run.moved(one.row.endpoint_id, one.row.purpose, JobState(one.row.state), one.state)
        if one.row.name_chosen:
            run.superseded[job.id] = _supersede(run, job)
    post(run, [job for job in ended if job.notify])
    return ended


def _ended(one: Conclusion) -> Job:
    return to_job(
        one.row,
        {
            "state": one.state,
            "deaths": one.deaths,
            "started_at_ms": one.started_at_ms,
            "ended_at_ms": one.now_ms,
            "parts": one.parts,
            "failure": one.failure,
            "memory": one.memory,
            "task": one.task,
            "publish_by_ms": None,
            "upload_by_ms": None,
        },
    )


def _values(one: Conclusion) -> dict[str, Any]:
    succeeded = one.state is JobState.SUCCEEDED
    return {
        "at": one.row.seq,
        "state": one.state.value,
        "token": one.token,
        "deaths": one.deaths,
        "started_at_ms": one.started_at_ms,
        "ended_at_ms": one.now_ms,
        "parts": [part_values(part) for part in one.parts] if succeeded else None,
        "failure": one.failure,
        "task": one.task,
        **memory_values(one.memory),
    }


def _supersede(run: Run, job: Job) -> tuple[str, ...]:
    """Mark the earlier jobs whose outcome lay where this one's lies now."""
    succeeded = job.state is JobState.SUCCEEDED
    name = job.output.result if succeeded else job.output.failure
    where = {"held_key": name.key, "held_bucket": name.bucket, "by": job.id}
    return tuple(run.connection.execute(_SUPERSEDE["result" if succeeded else "failure"], where).scalars())
