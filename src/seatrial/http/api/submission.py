"""Turn a request for a job into a Submission: the body as it came, and its options from query or headers.

Each option is a query parameter (`?ttl_seconds=60`) or a header (`X-Seatrial-Ttl-Seconds: 60`); the query wins.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from seatrial.domain import errors
from seatrial.domain.credentials import Principal
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import (
    AFFINITY_CHARS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    INLINE_PAYLOAD_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    INVOCATION_TIMEOUT_SECONDS_MAX,
    LONG_POLL_SECONDS_MAX,
    PRIORITY_MAX,
    QUEUE_TTL_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MIN,
)
from seatrial.domain.objects import ObjectName
from seatrial.engine.submit import INPUTS_BUCKET, Submission
from seatrial.http.errors import invalid
from seatrial.ports.object_store import BucketExists, NoSuchBucket, NoSuchObject, ObjectStore, TooLarge

DOOR = "v1"
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d+)")


class JobOptions(BaseModel):
    """Options of a job."""

    model_config = ConfigDict(extra="forbid")

    task: str | None = Field(None, description="The task; unset: the body's own task field, or the only task.")
    priority: int = Field(5, ge=0, le=PRIORITY_MAX, description="0 is the highest.")
    affinity: str | None = Field(
        None, max_length=AFFINITY_CHARS_MAX, description="A worker that served this key is preferred."
    )
    ttl_seconds: int | None = Field(
        None,
        ge=QUEUE_TTL_SECONDS_MIN,
        le=QUEUE_TTL_SECONDS_MAX,
        description="How long the job may wait in the queue.",
    )
    timeout_seconds: int | None = Field(
        None, ge=1, le=INVOCATION_TIMEOUT_SECONDS_MAX, description="How long the handler may run."
    )
    input: str | None = Field(
        None, description="s3://bucket/key of an object that is the body; then the request itself has none."
    )


_NAMES = tuple(JobOptions.model_fields)
_DEFAULTS = JobOptions()
_HEADER_PREFIX = b"x-seatrial-"
_BY_HEADER = {_HEADER_PREFIX + name.replace("_", "-").encode(): name for name in _NAMES}


@dataclass(frozen=True, slots=True)
class Asked:
    """A submission, and for how many seconds its client wants to wait for the job (`Prefer: wait=N`)."""

    submission: Submission
    wait_seconds: float


async def read_submission(request: Request, principal: Principal, objects: ObjectStore) -> Asked:
    """The submission that a request asks for. A body over the inline limit is stored as an object first.

    Raises:
        BadInput: an option or the body is at fault.
    """
    endpoint_name = request.path_params["name"]
    options = _options(request)
    stored = _named(options.input)
    media_type = request.headers.get("content-type") or await _media_type(stored, objects)
    body: bytes | None = None
    if stored is None:
        content = await _receive(request)
        if isinstance(content, bytes):
            body = content
        else:
            stored = await _store(content, endpoint_name, media_type, objects)
    elif _has_body(request):
        raise BadInput(errors.INVALID_FIELD, "The input is named and sent.", field="input", valid="one of the two")
    submission = Submission(
        endpoint_name=endpoint_name,
        owner=principal.owner,
        door=DOOR,
        media_type=media_type,
        body=body,
        object=stored,
        accept=request.headers.get("accept") or "*/*",
        task=options.task,
        priority=options.priority,
        affinity=options.affinity,
        queue_ttl_seconds=options.ttl_seconds,
        invocation_timeout_seconds=options.timeout_seconds,
        idempotency_key=_idempotency_key(request),
        check_now=True,
    )
    return Asked(submission, _wait_seconds(request))


def _options(request: Request) -> JobOptions:
    given = {
        _BY_HEADER[header]: value.decode("latin-1")
        for header, value in request.scope["headers"]
        if header.startswith(_HEADER_PREFIX) and header in _BY_HEADER
    }
    given.update(request.query_params)
    if not given:
        return _DEFAULTS
    try:
        return JobOptions.model_validate_strings(given)
    except ValidationError as error:
        raise _unknown_option(given) or invalid(error.errors()[0], JobOptions.model_json_schema()) from None


def _unknown_option(given: Mapping[str, str]) -> BadInput | None:
    unknown = next((name for name in given if name not in _NAMES), None)
    if unknown is None:
        return None
    valid = ", ".join(_NAMES)
    return BadInput(errors.UNKNOWN_FIELD, f"There is no option {unknown!r}.", field=unknown, valid=valid)


def _named(uri: str | None) -> ObjectName | None:
    if uri is None:
        return None
    try:
        return ObjectName.from_uri(uri)
    except ValueError as error:
        raise BadInput(errors.INVALID_FIELD, f"{error}.", field="input", valid="s3://bucket/key") from None


async def _media_type(stored: ObjectName | None, objects: ObjectStore) -> str:
    """What a request without a Content-Type is: a stored body is what it was stored as, a sent one JSON."""
    if stored is None:
        return "application/json"
    try:
        return (await objects.head(stored)).media_type
    except (NoSuchBucket, NoSuchObject):
        return "application/json"  # the submission itself refuses an input that is not there


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX:
        valid = f"1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters"
        raise BadInput(errors.INVALID_FIELD, "This Idempotency-Key is unusable.", field="Idempotency-Key", valid=valid)
    return key


def _wait_seconds(request: Request) -> float:
    preferred = request.headers.get("prefer")
    asked = _PREFER_WAIT.search(preferred) if preferred else None
    return min(float(asked[1]), LONG_POLL_SECONDS_MAX) if asked else 0.0


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


async def _receive(request: Request) -> bytes | AsyncIterator[bytes]:
    """The whole body, or the stream of one that is over the inline limit."""
    declared = request.headers.get("content-length", "")
    chunks = request.stream()
    if declared.isdecimal():
        if int(declared) > INPUT_OBJECT_BYTES_MAX:
            raise _too_large()
        return chunks if int(declared) > INLINE_PAYLOAD_BYTES_MAX else await request.body()
    begun = bytearray()
    async for chunk in chunks:
        begun += chunk
        if len(begun) > INLINE_PAYLOAD_BYTES_MAX:
            return _rejoined(bytes(begun), chunks)
    return bytes(begun)


async def _rejoined(begun: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in rest:
        yield chunk


async def _store(chunks: AsyncIterator[bytes], endpoint: str, media_type: str, objects: ObjectStore) -> ObjectName:
    """Keep a large body under the hash of its content: the same request sent again names the same object."""
    try:
        sealed = await objects.stage(chunks, INPUT_OBJECT_BYTES_MAX)
    except TooLarge:
        raise _too_large() from None
    await ensure_bucket(objects, INPUTS_BUCKET)
    name = ObjectName(INPUTS_BUCKET, f"{endpoint}/bodies/{sealed.sha256}")
    await objects.reveal(sealed, name, media_type, {})
    return name


async def ensure_bucket(objects: ObjectStore, bucket: str) -> None:
    """Make the bucket unless it is there."""
    try:
        await objects.create_bucket(bucket)
    except BucketExists:
        pass  # made before: that is what was wanted


def _too_large() -> BadInput:
    return BadInput(
        errors.PAYLOAD_TOO_LARGE,
        "The request body is too large.",
        field="body",
        valid=f"at most {INPUT_OBJECT_BYTES_MAX} bytes; name larger inputs inside the body as s3:// URIs",
    )
