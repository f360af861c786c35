"""Where a client may put bytes that are too large, or too awkward, for a request: a presigned URL."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seatrial.domain import errors
from seatrial.domain.access import outside_object, reaches_object, require
from seatrial.domain.credentials import KeyScope, Principal
from seatrial.domain.errors import BadInput
from seatrial.domain.jobs import Job
from seatrial.domain.limits import (
    AFFINITY_CHARS_MAX,
    INPUT_OBJECT_BYTES_MAX,
    INVOCATION_TIMEOUT_SECONDS_MAX,
    KEY_BYTES_MAX,
    PRIORITY_MAX,
    QUEUE_TTL_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MIN,
    ROW_INLINE_BYTES_MAX,
    UPLOAD_NAME_CHARS_MAX,
    UPLOAD_SECONDS_MAX,
    UPLOAD_URL_SECONDS,
)
from seatrial.domain.media_types import JSON
from seatrial.domain.objects import ObjectName
from seatrial.engine.result_names import JOB_ID, check_result_name, check_result_reach
from seatrial.engine.submission import Submission, Uploading
from seatrial.engine.submit import INPUTS_BUCKET
from seatrial.engine.uploading import upload_name
from seatrial.http.api.deployments import json_body
from seatrial.http.api.submission import DOOR, ensure_bucket, idempotency_key
from seatrial.http.api.views import JobLinks
from seatrial.http.auth import caller, needs
from seatrial.http.dialects.aws_lambda.invocations import EXTRAS
from seatrial.http.dialects.aws_lambda.names import arn
from seatrial.http.dialects.s3.uploads import JOB
from seatrial.http.errors import invalid
from seatrial.http.presigned import presigned_url
from seatrial.http.services import Services
from seatrial.ports.object_store import NoSuchBucket

_WORDS_BYTES = 4 * KEY_BYTES_MAX  # room for the names that replace their placeholders
_ID_CHARS_MORE = 36 - len(JOB_ID)
_TOKEN = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")


class UploadRequest(BaseModel):
    """What is going to be uploaded: an object to be named later or, with an `endpoint`, the input of a job."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(
        None,
        min_length=1,
        description=f"The object's key. Unset: made up; with an endpoint {JOB_ID} may stand in it for the job's id.",
    )
    media_type: str | None = Field(None, description="Then the PUT must carry this Content-Type.")
    endpoint: str | None = Field(None, description="A job of this endpoint waits for the object as its input.")
    file_name: str | None = Field(
        None, min_length=1, max_length=UPLOAD_NAME_CHARS_MAX, description="The end of a key that is made up."
    )
    bucket: str | None = Field(None, description="Where the object goes; unset: seatrial-inputs.")
    size_bytes_max: int = Field(
        INPUT_OBJECT_BYTES_MAX, ge=1, le=INPUT_OBJECT_BYTES_MAX, description="A larger object is refused."
    )
    expires_in_seconds: int = Field(
        UPLOAD_URL_SECONDS, ge=1, le=UPLOAD_SECONDS_MAX, description="The object must have come by then."
    )
    event: Literal["object", "s3", "fields"] | None = Field(
        None,
        description="What the job is given: the object itself, an event of S3 that tells of it (for AWS Lambda's "
        "functions), or `fields`. Unset: fields where there are any, else the object.",
    )
    fields: dict[str, Any] = Field(
        {},
        description=f"The request that the object completes. In its texts {JOB_ID}, {{bucket}}, {{key}}, {{uri}} and "
        "{arrived_at} are replaced.",
    )
    field: str | None = Field(None, min_length=1, description="The field that gets the object's s3:// URI.")
    result: str | None = Field(
        None, description=f"Where the result goes: s3://bucket/key, or a path below the output prefix, with {JOB_ID}."
    )
    task: str | None = None
    priority: int = Field(5, ge=0, le=PRIORITY_MAX)
    affinity: str | None = Field(None, max_length=AFFINITY_CHARS_MAX)
    ttl_seconds: int | None = Field(
        None, ge=QUEUE_TTL_SECONDS_MIN, le=QUEUE_TTL_SECONDS_MAX, description="In the queue, once the object has come."
    )
    timeout_seconds: int | None = Field(None, ge=1, le=INVOCATION_TIMEOUT_SECONDS_MAX)
    webhook: str | None = Field(None, description="URL that is told of the job's end; several are separated by spaces.")


class UploadView(BaseModel):
    """PUT the bytes to `url` with `headers`, then use `uri` as an input. With an endpoint the job does that itself."""

    method: str = "PUT"
    url: str
    headers: dict[str, str]
    uri: str
    expires_in_seconds: int
    size_bytes_max: int | None = None
    how: str = Field("", description="The same as a command line; FILE is yours.")
    id: str | None = Field(None, description="The job's id: GET /v1/jobs/ID shows it from now on.")
    status: str | None = None
    endpoint: str | None = None
    existing: bool = Field(False, description="An earlier request with the same Idempotency-Key had made the job.")
    result: str | None = None
    failure: str | None = None
    links: JobLinks | None = None


_BODY: dict[str, Any] = {"requestBody": {"content": {JSON: {"schema": UploadRequest.model_json_schema()}}}}


class UploadRoutes:
    """Hands out upload URLs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def router(self) -> APIRouter:
        """The route, under /v1."""
        router = APIRouter(prefix="/v1", tags=["uploads"])
        router.add_api_route(
            "/uploads",
            self.create,
            methods=["POST"],
            status_code=201,
            summary="Ask for an upload URL, and let a job wait for what comes",
            response_model_exclude_none=True,
            openapi_extra=_BODY,
            dependencies=[needs(KeyScope.SUBMIT)],
        )
        return router

    async def create(self, request: Request) -> UploadView:
        """A URL that takes one PUT without further credentials. The body may be left out."""
        asked = await _asked(request)
        if asked.media_type is not None and _TOKEN.fullmatch(asked.media_type) is None:
            raise BadInput(errors.INVALID_FIELD, "Not a media type.", field="media_type", valid="such as image/png")
        if asked.endpoint is not None:
            return await self._for_job(request, asked, asked.endpoint)
        return await self._for_later(request, asked)

    async def _for_later(self, request: Request, asked: UploadRequest) -> UploadView:
        """An object that the client will name itself."""
        principal = caller(request)
        alone = asked.model_fields_set - {"key", "media_type", "expires_in_seconds", "file_name"}
        if alone:
            field = min(alone)
            raise BadInput(errors.MISSING_FIELD, f"{field!r} is for a job.", field="endpoint", valid="its name")
        last = f"/{asked.file_name}" if asked.file_name else ""
        key = asked.key or f"{_place(principal)}uploads/{uuid.uuid4()}{last}"
        name = _named(INPUTS_BUCKET, key)
        if not reaches_object(principal.reach, name, self._services.home):
            raise outside_object(principal.reach, name)
        await ensure_bucket(self._services.objects, INPUTS_BUCKET)
        headers = {"Content-Type": asked.media_type} if asked.media_type else {}
        url = self._signed(request, principal, name, asked.expires_in_seconds, headers)
        seconds = asked.expires_in_seconds
        return UploadView(url=url, headers=headers, uri=name.uri, expires_in_seconds=seconds, how=_how(url, headers))

    async def _for_job(self, request: Request, asked: UploadRequest, endpoint: str) -> UploadView:
        """The input of a job, which is accepted with this answer."""
        principal = caller(request)
        require(principal, KeyScope.SUBMIT, endpoint=endpoint)
        wanted = await self._submission(request, asked, endpoint, principal)
        if wanted.upload is None:
            raise AssertionError("an order for an upload has none")
        name = ObjectName.from_uri(wanted.upload.name)
        if not reaches_object(principal.reach, name, self._services.home):
            raise outside_object(principal.reach, name)
        await self._check_bucket(name.bucket)
        accepted = await self._services.submitter.submit(wanted)
        job = await self._services.inspector.job(accepted.job_id)
        put = upload_name(wanted.upload, accepted.job_id)
        headers = {"Content-Type": asked.media_type} if asked.media_type else {}
        left = _seconds_left(job, self._services.clock.now_ms())
        url = self._signed(request, principal, put, left, {}, {JOB: accepted.job_id}) if left else ""
        return UploadView(
            url=url,
            headers=headers,
            uri=put.uri,
            expires_in_seconds=left,
            size_bytes_max=asked.size_bytes_max,
            how=_how(url, headers) if left else "",
            id=job.id,
            status=job.state,
            endpoint=endpoint,
            existing=accepted.existing,
            result=job.output.result.uri,
            failure=job.output.failure.uri,
            links=JobLinks.of(job.id),
        )

    async def _submission(
        self, request: Request, asked: UploadRequest, endpoint: str, principal: Principal
    ) -> Submission:
        if asked.result is not None:
            check_result_name(asked.result)
            check_result_reach(asked.result, principal.reach, self._services.home)
        tells = asked.event == "s3"
        keys = self._services.keyring.credentials
        extras = json.dumps({"function_arn": arn(endpoint, keys.region, keys.account_id)})
        key = asked.key or f"{endpoint}/uploads/{JOB_ID}/{asked.file_name or 'input'}"
        if JOB_ID not in key:
            valid = f"a key with {JOB_ID} in it, so that each job has an object of its own"
            raise BadInput(errors.INVALID_FIELD, "The key is the same for every job.", field="key", valid=valid)
        upload = Uploading(
            name=_named(asked.bucket or INPUTS_BUCKET, key).uri,
            seconds=asked.expires_in_seconds,
            bytes_max=asked.size_bytes_max,
            media_type=asked.media_type,
            tells=tells,
            body=_body(asked),
        )
        return Submission(
            endpoint_name=endpoint,
            owner=principal.owner,
            reach=principal.reach,
            door=DOOR,
            upload=upload,
            task=asked.task,
            priority=asked.priority,
            affinity=asked.affinity,
            queue_ttl_seconds=asked.ttl_seconds,
            invocation_timeout_seconds=asked.timeout_seconds,
            result_name=asked.result or f"results/{JOB_ID}",
            idempotency_key=idempotency_key(request),
            check_now=True,
            webhooks=tuple(asked.webhook.split()) if asked.webhook else (),
            attributes={EXTRAS: extras} if asked.event in ("s3", "fields") else {},
        )

    async def _check_bucket(self, bucket: str) -> None:
        if bucket == INPUTS_BUCKET:
            await ensure_bucket(self._services.objects, bucket)
            return
        try:
            await self._services.objects.list(bucket, limit=1)
        except NoSuchBucket:
            valid = f"a bucket that is there: aws s3 mb s3://{bucket}"
            message = f"There is no bucket {bucket!r}."
            raise BadInput(errors.INVALID_FIELD, message, field="bucket", valid=valid) from None

    def _signed(
        self,
        request: Request,
        principal: Principal,
        name: ObjectName,
        seconds: int,
        headers: Mapping[str, str],
        query: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        keyring = self._services.keyring
        return presigned_url(keyring, principal, "PUT", self._services.url_for(request), name, seconds, headers, query)


def _seconds_left(job: Job, now_ms: int) -> int:
    """While its input is awaited; 0: it is not, any more."""
    if job.upload_by_ms is None:
        return 0
    return max(0, -(-(job.upload_by_ms - now_ms) // 1000))


def _how(url: str, headers: Mapping[str, str]) -> str:
    said = "".join(f"-H '{name}: {value}' " for name, value in headers.items())
    return f"curl --fail-with-body -T FILE {said}'{url}'"


def _named(bucket: str, key: str) -> ObjectName:
    if len(key.encode()) + _ID_CHARS_MORE > KEY_BYTES_MAX or "\0" in key:
        valid = f"at most {KEY_BYTES_MAX} bytes, without NUL"
        raise BadInput(errors.INVALID_FIELD, "The key is unusable.", field="key", valid=valid)
    return ObjectName(bucket, key)


def _body(asked: UploadRequest) -> str | None:
    """The JSON that the job is given, if it is given any."""
    event = asked.event or ("fields" if asked.fields or asked.field else "object")
    if event != "fields":
        if asked.fields or asked.field:
            valid = "fields, or no event"
            raise BadInput(errors.INVALID_FIELD, f"{event!r} takes no fields.", field="event", valid=valid)
        return None
    body = json.dumps(asked.fields | ({asked.field: "{uri}"} if asked.field else {}))
    if len(body.encode()) + _WORDS_BYTES > ROW_INLINE_BYTES_MAX:
        valid = f"at most {ROW_INLINE_BYTES_MAX - _WORDS_BYTES:,} bytes of JSON"
        raise BadInput(errors.PAYLOAD_TOO_LARGE, "The fields are too large.", field="fields", valid=valid)
    return body


def _place(principal: Principal) -> str:
    """Where in the bucket who reaches some endpoints only may put something."""
    return f"{min(principal.endpoints)}/" if principal.endpoints else ""


async def _asked(request: Request) -> UploadRequest:
    """JSON whatever its Content-Type says (curl says that of a form); no body asks for nothing in particular."""
    body = await json_body(request)
    try:
        return UploadRequest.model_validate_json(body) if body else UploadRequest()
    except ValidationError as error:
        raise invalid(error.errors()[0], UploadRequest.model_json_schema()) from None
