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
from seatrial.domain.delivery import EVENTS, read_events
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import (
    AFFINITY_CHARS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    INLINE_PAYLOAD_BYTES_MAX,
    INPUT_OBJECT_BYTES_MAX,
    INVOCATION_TIMEOUT_SECONDS_MAX,
    LONG_POLL_SECONDS_MAX,
    PRESIGNED_SECONDS_MAX,
    PRIORITY_MAX,
    QUEUE_TTL_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MIN,
)
from seatrial.domain.objects import ObjectName
from seatrial.engine.outputs import OUTPUT_URLS
from seatrial.engine.submission import BodyDigest, StagedBody, Submission
from seatrial.http.errors import invalid
from seatrial.ports.object_store import BucketExists, ObjectStore, TooLarge

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
    webhook: str | None = Field(None, description="URL that is told of the job's end; several are separated by spaces.")
    output_urls: int | None = Field(
        None,
        ge=1,
        le=PRESIGNED_SECONDS_MAX,
        description="References to parts in the answer get signed URLs that are good for so many seconds.",
    )
    webhook_events: str | None = Field(
        None,
        description=f"Of what these are told, separated by spaces: {', '.join(EVENTS[:6])}. Unset: of the end.",
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
    """The submission that a request asks for. A body over the inline limit is staged while it comes.

    Raises:
        BadInput: an option or the body is at fault.
    """
    options = _options(request)
    stored = _named(options.input)
    media_type = request.headers.get("content-type")
    if stored is not None and _has_body(request):
        raise BadInput(errors.INVALID_FIELD, "The input is named and sent.", field="input", valid="one of the two")
    submission = Submission(
        endpoint_name=request.path_params["name"],
        owner=principal.owner,
        reach=principal.reach,
        door=DOOR,
        media_type=media_type,
        body=await _receive(request, media_type, objects) if stored is None else None,
        object=stored,
        accept=request.headers.get("accept") or "*/*",
        task=options.task,
        priority=options.priority,
        affinity=options.affinity,
        queue_ttl_seconds=options.ttl_seconds,
        invocation_timeout_seconds=options.timeout_seconds,
        idempotency_key=idempotency_key(request),
        check_now=True,
        webhooks=tuple(options.webhook.split()) if options.webhook else (),
        attributes={} if options.output_urls is None else {OUTPUT_URLS: str(options.output_urls)},
        webhook_events=read_events(options.webhook_events, "webhook_events"),
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


def idempotency_key(request: Request) -> str | None:
    """The client's `Idempotency-Key`. Raises BadInput: too long, or empty."""
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


async def _receive(request: Request, media_type: str | None, objects: ObjectStore) -> bytes | StagedBody:
    """The whole body, staged when it is over the inline limit."""
    declared = request.headers.get("content-length", "")
    chunks = request.stream()
    if declared.isdecimal():
        if int(declared) > INPUT_OBJECT_BYTES_MAX:
            raise _too_large()
        if int(declared) > INLINE_PAYLOAD_BYTES_MAX:
            return await _stage(chunks, media_type, objects)
        return await request.body()
    begun = bytearray()
    async for chunk in chunks:
        begun += chunk
        if len(begun) > INLINE_PAYLOAD_BYTES_MAX:
            return await _stage(_rejoined(bytes(begun), chunks), media_type, objects)
    return bytes(begun)


async def _rejoined(begun: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in rest:
        yield chunk


async def _stage(chunks: AsyncIterator[bytes], media_type: str | None, objects: ObjectStore) -> StagedBody:
    digest = BodyDigest(media_type)

    async def digested() -> AsyncIterator[bytes]:
        async for chunk in chunks:
            digest.add(chunk)
            yield chunk

    try:
        return StagedBody(await objects.stage(digested(), INPUT_OBJECT_BYTES_MAX), digest.hex())
    except TooLarge:
        raise _too_large() from None


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
