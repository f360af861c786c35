"""Turn a request into a Deployment: an archive in the body (raw or multipart), or the name of a stored one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from seatrial.domain import errors
from seatrial.domain.addresses import IpNetwork
from seatrial.domain.credentials import Principal
from seatrial.domain.delivery import EVENTS, read_events, read_webhooks
from seatrial.domain.endpoint import CanaryPolicy, UpdateWay
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import (
    CANARY_MINUTES_MAX,
    CANCEL_GRACE_SECONDS_MAX,
    CONCURRENCY_MAX,
    DEPLOY_SETTINGS_BYTES_MAX,
    INVOCATION_TIMEOUT_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MIN,
    WORKERS_PER_ENDPOINT_MAX,
)
from seatrial.domain.objects import ObjectName
from seatrial.engine.deploy import Deployment
from seatrial.http.api.archives import receive_form, receive_raw
from seatrial.http.errors import invalid
from seatrial.package.tables import NAME_PATTERN

ARCHIVE_TYPES = frozenset(
    {"application/gzip", "application/x-gzip", "application/x-tar", "application/x-gtar", "application/octet-stream"}
)


class DeploySettings(BaseModel):
    """How a version runs. What is not said here comes from the package, or else from the server."""

    model_config = ConfigDict(extra="forbid")

    workers: int | None = Field(
        None,
        ge=0,
        le=WORKERS_PER_ENDPOINT_MAX,
        description="Worker processes here; 0: only outside workers.",
    )
    env: dict[str, str] | None = Field(None, description="Plain variables of the workers.")
    secrets: dict[str, str] | None = Field(None, description='Variable -> "env:NAME" or "file:PATH"; never shown.')
    python: str | None = Field(None, description="Base interpreter.")
    queue_ttl_seconds: int | None = Field(None, ge=QUEUE_TTL_SECONDS_MIN, le=QUEUE_TTL_SECONDS_MAX)
    invocation_timeout_seconds: int | None = Field(None, ge=1, le=INVOCATION_TIMEOUT_SECONDS_MAX)
    load_timeout_seconds: int | None = Field(None, ge=1)
    cold_start_seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="The trial fails if the model takes longer to load."
    )
    device: Literal["cpu", "cuda"] | None = Field(
        None, description="cuda: a model that is not on a GPU once it is loaded has not loaded."
    )
    cancel_grace_seconds: int | None = Field(None, ge=0, le=CANCEL_GRACE_SECONDS_MAX)
    memory_bytes_max: int | None = Field(None, ge=1, description="Of a worker and its processes together.")
    memory_growth_bytes_max: int | None = Field(
        None, ge=1, description="Of a worker since it loaded; beyond it the worker is replaced after its job."
    )
    queue_depth_max: int | None = Field(None, ge=1)
    concurrency_max: int | None = Field(
        None, ge=1, le=CONCURRENCY_MAX, description="Jobs that run at once at most, over all workers and servers."
    )
    device_group: str | None = Field(
        None, pattern=NAME_PATTERN, description="The same for endpoints that share a device with exclusive tasks."
    )
    output: str | None = Field(None, description="s3://bucket/prefix of results; unset: the server's own.")
    failure_output: str | None = Field(None, description="s3://bucket/prefix of failures; unset: beside results.")
    unproven: bool | None = Field(None, description="Serve although tasks have no sample; shown everywhere.")
    samples: str | None = Field(None, description="s3://bucket/prefix with samples from outside the package.")
    webhook: str | None = Field(
        None, description="URL that is told of the end of every job; several are separated by spaces."
    )
    webhook_events: str | None = Field(
        None, description=f"Of what these are told, separated by spaces: {', '.join(EVENTS)}."
    )
    deduplicate_inference_id: bool | None = Field(
        None, description="Take SageMaker's InferenceId for an idempotency key: the same one gives the same job."
    )
    trial_minutes_max: int | None = Field(
        None, ge=1, description="What the trial would run beyond it is left out, and named in its report."
    )

    update: UpdateWay | None = Field(
        None, description="replace: the version in service leaves its device before this one is loaded and proved."
    )

    canary_minutes: int | None = Field(
        None, ge=1, le=CANARY_MINUTES_MAX, description="Run a sample again so often, on the version in service."
    )
    canary_policy: CanaryPolicy | None = Field(
        None, description="Of a failing canary: report tells of it, take_out takes the endpoint out of service too."
    )

    def of_version(self, receivers: tuple[IpNetwork, ...]) -> dict[str, Any]:
        """The fields of VersionSettings that were said. `receivers`: networks, not public, that webhooks may be in.

        Raises:
            BadInput: a prefix is not an s3:// URI, or a webhook cannot be one.
        """
        said = self.model_dump(exclude_none=True, include=set(DeploySettings.model_fields))
        for given, kept in (("output", "output_prefix"), ("failure_output", "failure_prefix")):
            if given in said:
                said[kept] = _prefix(given, said.pop(given))
        if "webhook" in said:
            urls = said.pop("webhook").split()
            read_webhooks(urls, allow=receivers)
            said["webhooks"] = tuple(urls)
        if "webhook_events" in said:
            said["webhook_events"] = tuple(sorted(read_events(said["webhook_events"], "webhook_events")))
        if "samples" in said:
            said["samples_uri"] = said.pop("samples")
            _prefix("samples", said["samples_uri"])
        return said


class DeployByName(DeploySettings):
    """A deployment of a stored archive."""

    name: str | None = Field(None, description="The endpoint's name; needed with POST.")
    package: str | None = Field(None, description="s3://bucket/key of a .tar.gz. PATCH may leave it out to scale.")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for. `package` None: no new version, only the number of workers."""

    name: str | None
    package: Path | ObjectName | None
    label: str
    settings: Mapping[str, Any]

    def deployment(self, principal: Principal, package: Path | ObjectName) -> Deployment:
        """The engine's order. Needs a name."""
        return Deployment(
            endpoint_name=self.name or "",
            owner=principal.owner,
            reach=principal.reach,
            package=package,
            label=self.label,
            settings=self.settings,
            on_disk_temporary=isinstance(package, Path),
        )

    def forget(self) -> None:
        """Remove what was received: nobody took it over."""
        if isinstance(self.package, Path):
            self.package.unlink(missing_ok=True)


async def read_asked(request: Request, uploads: Path, receivers: tuple[IpNetwork, ...]) -> Asked:
    """What a POST, PUT or PATCH asks for; an archive in it is then a file in `uploads`.

    Raises:
        BadInput: the media type, the settings or the archive's size.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    named = request.path_params.get("name")
    if media_type == "application/json":
        return _by_name(await json_body(request), named, receivers)
    if media_type == "multipart/form-data":
        return await _from_form(request, uploads, named, receivers)
    if media_type not in ARCHIVE_TYPES:
        valid = "application/gzip (the archive), application/json (its s3:// URI) or multipart/form-data"
        raise BadInput(errors.UNSUPPORTED_MEDIA_TYPE, f"Cannot deploy {media_type or 'no media type'}.", valid=valid)
    query = dict(request.query_params)
    name, label = query.pop("name", None), query.pop("label", None)
    pairs = request.query_params.getlist("env")
    settings = _settings_of_text({key: value for key, value in query.items() if key != "env"}, pairs)
    chosen = settings.of_version(receivers)  # before 20 GiB come, rather than after
    return Asked(named or name, await receive_raw(request, uploads), label or "upload.tar.gz", chosen)


def _by_name(body: bytes, named: str | None, receivers: tuple[IpNetwork, ...]) -> Asked:
    try:
        asked = DeployByName.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error.errors()[0], DeployByName.model_json_schema()) from None
    if asked.package is None:
        return Asked(named or asked.name, None, "", asked.of_version(receivers))
    try:
        package = ObjectName.from_uri(asked.package)
    except ValueError as error:
        raise BadInput(errors.INVALID_FIELD, f"{error}.", field="package", valid="s3://bucket/key") from None
    return Asked(named or asked.name, package, asked.package, asked.of_version(receivers))


async def _from_form(request: Request, uploads: Path, named: str | None, receivers: tuple[IpNetwork, ...]) -> Asked:
    form = await receive_form(request, uploads, "package")
    try:
        settings = DeployByName.model_validate_json(form.fields.get("settings", "{}"))
        name = named or form.fields.get("name") or settings.name
        return Asked(name, form.file, form.file_name or "upload.tar.gz", settings.of_version(receivers))
    except ValidationError as error:
        form.file.unlink()
        raise invalid(error.errors()[0], DeployByName.model_json_schema()) from None
    except BadInput:
        form.file.unlink()
        raise


def _settings_of_text(query: Mapping[str, str], env: list[str]) -> DeploySettings:
    """Settings from query parameters; `env=NAME=VALUE` may come often, `secrets` is a JSON object."""
    given: dict[str, Any] = dict(query)
    if env:
        given["env"] = dict(_pair(text) for text in env)
    try:
        if "secrets" in given:
            given["secrets"] = json.loads(given["secrets"])
        return DeploySettings.model_validate_strings(given)
    except ValidationError as error:
        raise invalid(error.errors()[0], DeploySettings.model_json_schema()) from None
    except ValueError:
        valid = 'a JSON object such as {"TOKEN": "env:TOKEN"}'
        raise BadInput(errors.INVALID_FIELD, "This is not JSON.", field="secrets", valid=valid) from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInput(errors.INVALID_FIELD, f"{text!r} is not a variable.", field="env", valid="NAME=VALUE")
    return name, value


def _prefix(field: str, uri: str) -> ObjectName:
    """`s3://bucket` or `s3://bucket/prefix`; a prefix is a folder, so it ends in a slash."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise BadInput(errors.INVALID_FIELD, f"{uri!r} is not an S3 prefix.", field=field, valid="s3://bucket/prefix")
    return ObjectName(bucket, key if not key or key.endswith("/") else key + "/")


async def json_body(request: Request) -> bytes:
    """A small body as it came. Raises BadInput: it has more than DEPLOY_SETTINGS_BYTES_MAX bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > DEPLOY_SETTINGS_BYTES_MAX:
            valid = f"at most {DEPLOY_SETTINGS_BYTES_MAX} bytes of JSON"
            raise BadInput(errors.PAYLOAD_TOO_LARGE, "The body is too large.", field="body", valid=valid)
    return bytes(body)
