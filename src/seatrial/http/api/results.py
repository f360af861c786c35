"""The bytes of a job's result, or its failure document under the status that fits."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from seatrial.domain import errors
from seatrial.domain.errors import BadInput, NotFound
from seatrial.domain.failures import failure_body
from seatrial.domain.jobs import Job, JobState, Part
from seatrial.domain.limits import STREAM_CHUNK_BYTES
from seatrial.http.api.views import JobView
from seatrial.http.errors import RESULT_GONE
from seatrial.http.reading_response import ReadingResponse
from seatrial.ports.object_store import NoSuchBucket, NoSuchObject, ObjectChanged, ObjectStore, Reading

_NOSNIFF = {"X-Content-Type-Options": "nosniff"}
_INPUT_WORDS = (
    errors.UNKNOWN_TASK, errors.MISSING_FIELD, errors.INVALID_FIELD, errors.UNKNOWN_FIELD, errors.MALFORMED_INPUT,
    errors.UNSUPPORTED_MEDIA_TYPE, errors.PAYLOAD_TOO_LARGE, errors.IMAGE_UNDECODABLE, errors.MEDIA_TOO_LARGE,
    errors.INPUT_NOT_FOUND, errors.INPUT_CHANGED, errors.INPUT_UNREACHABLE,
)  # fmt: skip
_TIMEOUT_WORDS = (errors.INVOCATION_TIMEOUT, errors.QUEUE_TTL_EXPIRED, errors.DEADLINE_EXCEEDED)
_ENDED_BY_PEOPLE = (errors.CANCELLED, errors.ENDPOINT_DELETED)
_STATUS: Mapping[str, int] = (
    dict.fromkeys(_INPUT_WORDS, 422) | dict.fromkeys(_TIMEOUT_WORDS, 504) | dict.fromkeys(_ENDED_BY_PEOPLE, 409)
)


def failure_status(error_type: str) -> int:
    """422 for faults of the input, 504 for timeouts, 409 for what people ended, 500 for the rest."""
    return _STATUS.get(error_type, 500)


async def result_response(job: Job, part_name: str, objects: ObjectStore, at_hand: bytes | None = None) -> Response:
    """The bytes of a part; 202 with the job while it has not ended; the failure document of one without a result.

    `at_hand` are the part's bytes, where the caller has them; otherwise its object is read.

    Raises:
        BadInput: the result has no such part.
        NotFound: the object was deleted or replaced since.
    """
    if not job.ended:
        headers = {"Retry-After": "1"}
        return Response(JobView.of(job).model_dump_json(), 202, headers, "application/json")
    if job.state is not JobState.SUCCEEDED:
        document = job.failure or {}
        error_type = str(document.get("error_type", ""))
        headers = {"X-Seatrial-Error-Type": error_type}
        return Response(failure_body(document), failure_status(error_type), headers, "application/json")
    part = next((one for one in job.parts if one.name == part_name), None)
    if part is None:
        names = ", ".join(one.name for one in job.parts)
        raise BadInput(errors.INVALID_FIELD, f"The result has no part {part_name!r}.", field="part", valid=names)
    further = {"ETag": f'"{part.sha256}"', "X-Seatrial-Part": part.name}
    if at_hand is not None:
        return _typed(Response(at_hand, 200, _NOSNIFF | further), part.media_type)
    return await _bytes_of(await _open(part, objects), part.media_type, further)


async def _open(part: Part, objects: ObjectStore) -> Reading:
    remedy = {"remedy": "Retry the job: POST /v1/jobs/ID/retry."}
    try:
        reading = await objects.read(part.object)
    except (NoSuchObject, NoSuchBucket):
        raise NotFound(RESULT_GONE, f"{part.object.uri} was deleted since.", details=remedy) from None
    if reading.info.sealed.sha256 != part.sha256:
        await reading.close()
        raise NotFound(RESULT_GONE, f"{part.object.uri} holds something else by now.", details=remedy)
    return reading


async def input_response(job: Job, objects: ObjectStore) -> Response:
    """The bytes that a job was given.

    Raises:
        NotFound: its input object was deleted or replaced since.
    """
    if job.input.ref is None:
        return _typed(Response(job.input.inline, 200, _NOSNIFF), job.input.media_type)
    if not job.input.has_come:
        came = "has not come yet" if job.state is JobState.AWAITING_UPLOAD else "never came"
        raise NotFound(errors.INPUT_NOT_FOUND, f"The job's input {job.input.ref.name.uri} {came}.")
    try:
        reading = await objects.read(job.input.ref)
    except (NoSuchObject, NoSuchBucket, ObjectChanged):
        uri = job.input.ref.name.uri
        raise NotFound(errors.INPUT_NOT_FOUND, f"{uri} no longer holds this job's input.") from None
    return await _bytes_of(reading, job.input.media_type, {})


async def _bytes_of(reading: Reading, media_type: str, further: Mapping[str, str]) -> Response:
    headers = {"Content-Length": str(reading.length), **_NOSNIFF, **further}
    if reading.length <= STREAM_CHUNK_BYTES:
        whole = b"".join([chunk async for chunk in reading.chunks])
        response: Response = Response(whole, 200, headers)
    else:
        response = ReadingResponse(reading, 200, headers)
    return _typed(response, media_type)


def _typed(response: Response, media_type: str) -> Response:
    """The media type as it is: Starlette itself would add a charset to text types."""
    response.headers["Content-Type"] = media_type
    return response
