"""Names of results that a client chooses before there is a job, with the job's id to be."""

from __future__ import annotations

from seatrial.domain.access import outside_object, reaches_object
from seatrial.domain.credentials import Reach
from seatrial.domain.errors import INVALID_FIELD, BadInput
from seatrial.domain.home import Home
from seatrial.domain.limits import KEY_BYTES_MAX
from seatrial.domain.objects import ObjectName

JOB_ID = "{job_id}"
_ID_CHARS = 36
_VALID = f"s3://bucket/key, or a path below the output prefix, with {JOB_ID} in it and without '.' and '..'"


def check_result_name(name: str) -> None:
    """Hold a name for results to be usable. Raises BadInput."""
    key = name
    if name.startswith("s3://"):
        try:
            key = ObjectName.from_uri(name).key
        except ValueError:
            raise _unusable(name) from None
    steps = key.split("/")
    long = len(key.encode()) + _ID_CHARS + len("-error") > KEY_BYTES_MAX
    if JOB_ID not in key or long or any(step in ("", ".", "..") for step in steps):
        raise _unusable(name)


def check_result_reach(name: str, reach: Reach, home: Home | None) -> None:
    """Hold a bucket that is named for results to be in reach. Raises Forbidden."""
    if name.startswith("s3://") and not reaches_object(reach, ObjectName.from_uri(name), home):
        raise outside_object(reach, ObjectName.from_uri(name))


def with_job_id(name: str, job_id: str) -> str:
    """The name of one job's result."""
    return name.replace(JOB_ID, job_id)


def _unusable(name: str) -> BadInput:
    return BadInput(INVALID_FIELD, f"{name[:200]!r} is no name for results.", field="result", valid=_VALID)
