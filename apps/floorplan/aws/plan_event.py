"""What an event says of its plans: `{bucket, key, jobId, timestamp}`, as a trigger sends it, or S3's own event record.

What is missing or unusable is an `InputError` that names the field. Without a `jobId` the key's name, less its suffix,
is one.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote_plus

from floorplan.errors import InputError

FORM = "it is {bucket, key, jobId, timestamp} or an event record of S3"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
JOB_ID = re.compile(r"\w[\w .()+-]{0,127}")  # a part of the result's key: no slash, no brackets
KEY_BYTES_MAX = 1_024
RECORDS_MAX = 100


@dataclass(frozen=True)
class PlanEvent:
    """One plan: where it lies, and the job that it is."""

    bucket: str
    key: str
    job_id: str


def plans_of(event: object) -> list[PlanEvent]:
    """Every plan that the event tells of, in its order."""
    if not isinstance(event, dict):
        raise InputError("invalid_field", f"The event is no JSON object; {FORM}.", "event")
    if "Records" not in event:
        return [_plan(event)]
    records = event["Records"]
    if not isinstance(records, list) or len(records) > RECORDS_MAX:
        raise InputError("invalid_field", f"'Records' is no list of at most {RECORDS_MAX}; {FORM}.", "Records")
    return [_recorded(record, f"Records[{place}]") for place, record in enumerate(records)]


def _plan(event: dict) -> PlanEvent:
    bucket, key = _text(event, "bucket", ""), _text(event, "key", "")
    return _checked(bucket, key, event.get("jobId", _stem(key)), "")


def _recorded(record: object, place: str) -> PlanEvent:
    """The record of one object; its key is URL-encoded."""
    s3 = _inner(record, "s3", place)
    bucket = _text(_inner(s3, "bucket", f"{place}.s3"), "name", f"{place}.s3.bucket.")
    key = unquote_plus(_text(_inner(s3, "object", f"{place}.s3"), "key", f"{place}.s3.object."))
    return _checked(bucket, key, _stem(key), f"{place}.")


def _checked(bucket: str, key: str, job_id: object, place: str) -> PlanEvent:
    if not BUCKET.fullmatch(bucket):
        raise InputError("invalid_field", f"{bucket!r} is no name of a bucket: {BUCKET.pattern}.", f"{place}bucket")
    if len(key.encode(errors="replace")) > KEY_BYTES_MAX:
        raise InputError("invalid_field", f"The key is longer than {KEY_BYTES_MAX:,} bytes.", f"{place}key")
    if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
        said = f"{str(job_id)[:100]!r} is no jobId: a text of the pattern {JOB_ID.pattern}."
        raise InputError("invalid_field", f"{said} Left out, it is the plan's name.", f"{place}jobId")
    return PlanEvent(bucket, key, job_id)


def _stem(key: str) -> str:
    return PurePosixPath(key).stem


def _inner(holder: object, name: str, place: str) -> dict:
    found = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(found, dict):
        raise InputError("missing_field", f"{place} has no object {name!r}; {FORM}.", f"{place}.{name}")
    return found


def _text(holder: dict, name: str, place: str) -> str:
    found = holder.get(name)
    if found is None or found == "":
        raise InputError("missing_field", f"The event has no {place + name!r}; {FORM}.", place + name)
    if not isinstance(found, str):
        raise InputError("invalid_field", f"{place + name!r} is no text; {FORM}.", place + name)
    return found
