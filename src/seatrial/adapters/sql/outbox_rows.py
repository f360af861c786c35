"""Deliveries as rows, written in the transaction that ends a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert

from seatrial.adapters.sql.fan_out import fan_out
from seatrial.adapters.sql.job_rows import read_target, target_values
from seatrial.adapters.sql.prepared import Prepared
from seatrial.adapters.sql.run import Run
from seatrial.adapters.sql.schema import deliveries
from seatrial.domain.announcement import announcement
from seatrial.domain.delivery import Attempt, Delivery, DeliveryState, TargetKind, delivery_id
from seatrial.domain.jobs import Job
from seatrial.domain.topics import Publication, job_publication

_POST = Prepared(
    insert(deliveries),
    [column.name for column in deliveries.c if column.name not in ("seq", "ended_at_ms")],
)


_SAME = ("id", "job_id", "endpoint_name", "event", "body", "tries", "created_at_ms", "next_at_ms")


def post(run: Run, ended: Sequence[Job]) -> None:
    """Put what is to be told of these jobs into the outbox."""
    rows = [row for job in ended for row in _rows(job)]
    if rows:
        _POST.run(run.connection, rows)
    published = [publication for job in ended for publication in _publications(job)]
    if published:
        post_deliveries(run.connection, fan_out(run.connection, published))


def post_deliveries(connection: Connection, told: Sequence[Delivery]) -> None:
    """Put these, which are pending, into the outbox."""
    rows = [
        {
            **{name: getattr(one, name) for name in _SAME},
            "target": target_values(one.target),
            "receiver": one.target.receiver,
            "state": one.state.value,
        }
        for one in told
    ]
    if rows:
        _POST.run(connection, rows)


def to_delivery(row: Row[Any], attempts: Sequence[Mapping[str, Any]] = ()) -> Delivery:
    """The delivery of a row."""
    return Delivery(
        id=row.id,
        job_id=row.job_id,
        endpoint_name=row.endpoint_name,
        target=read_target(row.target),
        event=row.event,
        body=row.body,
        state=DeliveryState(row.state),
        tries=row.tries,
        created_at_ms=row.created_at_ms,
        next_at_ms=row.next_at_ms,
        ended_at_ms=row.ended_at_ms,
        attempts=tuple(_attempt(one) for one in attempts),
    )


def _attempt(values: Mapping[str, Any]) -> Attempt:
    names = ("number", "at_ms", "duration_ms", "status", "answer", "error")
    return Attempt(**{name: values[name] for name in names})


def _rows(job: Job) -> list[dict[str, Any]]:
    event = job.state.value
    return [
        {
            "id": delivery_id(job.id, number),
            "job_id": job.id,
            "endpoint_name": job.endpoint_name,
            "target": target_values(target),
            "receiver": target.receiver,
            "event": event,
            "body": announcement(job),
            "state": DeliveryState.PENDING.value,
            "tries": 0,
            "created_at_ms": job.ended_at_ms,
            "next_at_ms": job.ended_at_ms,
        }
        for number, target in enumerate(job.notify, 1)
        if target.kind is not TargetKind.TOPIC and target.wants(event)
    ]


def _publications(job: Job) -> list[Publication]:
    """What is told of a job to topics."""
    event = job.state.value
    return [
        job_publication(job, target) for target in job.notify if target.kind is TargetKind.TOPIC and target.wants(event)
    ]
