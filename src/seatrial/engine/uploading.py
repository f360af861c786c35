"""From an order for an upload to what waits for the object, and what the job is given then."""

from __future__ import annotations

import json
from collections.abc import Mapping

from seatrial.domain.objects import ObjectName
from seatrial.domain.triggers import Origin, Trigger, TriggerKind
from seatrial.engine.result_names import with_job_id
from seatrial.engine.submission import Submission, Uploading

ARRIVED_AT = "{arrived_at}"


def upload_name(upload: Uploading, job_id: str) -> ObjectName:
    """What the object is to be called."""
    return ObjectName.from_uri(with_job_id(upload.name, job_id))


def told_body(upload: Uploading, job_id: str) -> bytes:
    """The body with everything in it that is known before the object comes."""
    name = upload_name(upload, job_id)
    words = {"{job_id}": job_id, "{bucket}": name.bucket, "{key}": name.key, "{uri}": name.uri}
    return with_words(upload.body or "{}", words).encode()


def with_words(body: str, words: Mapping[str, str]) -> str:
    """JSON whose texts say these words instead of their placeholders."""
    for placeholder, word in words.items():
        body = body.replace(placeholder, json.dumps(word)[1:-1])
    return body


def upload_trigger(submission: Submission, job_id: str, queue_ttl_ms: int, now_ms: int) -> Trigger | None:
    """What the object's arrival sets off; its id is the job's."""
    upload = submission.upload
    if upload is None:
        return None
    name = upload_name(upload, job_id)
    options = {
        "media_type": upload.media_type,
        "bytes_max": upload.bytes_max,
        "queue_ttl_ms": queue_ttl_ms,
        "tells": upload.tells or None,
        "body": None if upload.body is None else told_body(upload, job_id).decode(),
    }
    return Trigger(
        id=job_id,
        owner=submission.owner,
        bucket=name.bucket,
        kind=TriggerKind.UPLOAD,
        target=job_id,
        origin=Origin.UPLOAD,
        name=job_id,
        created_at_ms=now_ms,
        key=name.key,
        options={key: value for key, value in options.items() if value is not None},
    )
