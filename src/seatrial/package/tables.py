"""The tables of `seatrial.toml`, one model each. A key's description says what is valid, in words for errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from seatrial.domain.contract import IMAGE_MODES, FieldType, MediaForm, MediaSource
from seatrial.domain.endpoint import CanaryPolicy, UpdateWay
from seatrial.domain.limits import (
    CANARY_MINUTES_MAX,
    CANCEL_GRACE_SECONDS_DEFAULT,
    CANCEL_GRACE_SECONDS_MAX,
    CONCURRENCY_MAX,
    HTTP_CONCURRENCY_MAX,
    IMAGE_PIXELS_MAX_DEFAULT,
    INPUT_OBJECT_BYTES_MAX,
    INVOCATION_TIMEOUT_SECONDS_DEFAULT,
    INVOCATION_TIMEOUT_SECONDS_MAX,
    KEY_BYTES_MAX,
    LOAD_LOG_PATTERN_CHARS_MAX,
    LOAD_LOG_PATTERNS_MAX,
    LOAD_TIMEOUT_SECONDS_DEFAULT,
    MEDIA_BYTES_MAX_DEFAULT,
    PRESIGNED_SECONDS_MAX,
    QUEUE_DEPTH_MAX,
    QUEUE_TTL_SECONDS_DEFAULT,
    QUEUE_TTL_SECONDS_MAX,
    QUEUE_TTL_SECONDS_MIN,
    SCALING_BACKLOG_DEFAULT,
    SCALING_COOLDOWN_SECONDS_DEFAULT,
    SCALING_COOLDOWN_SECONDS_MAX,
    TOLERANCE_DEFAULT,
    WORKERS_PER_ENDPOINT_MAX,
)
from seatrial.domain.triggers import GIVEN
from seatrial.package.layout import LAYOUTS

PLAIN_TYPES = ("string", "integer", "number", "boolean", "object", "array")
MEDIA_TYPES = ("image", "file")
TYPES = ", ".join(FieldType)
MEDIA_TYPE_PATTERN = r"^[a-zA-Z0-9!#$&^_.+-]+/[a-zA-Z0-9!#$&^_.+*-]+( *;.*)?$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
IDENTIFIER_PATTERN = r"^[^\W\d]\w*$"

VALIDATE = "the name of a profile (default, studio), the path of a profile in the package, or its table"

Number = int | float
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Text = Annotated[str, StringConstraints(min_length=1)]
MediaTypeText = Annotated[str, StringConstraints(pattern=MEDIA_TYPE_PATTERN)]
KeyText = Annotated[str, StringConstraints(max_length=KEY_BYTES_MAX)]
Count = Annotated[int, Field(ge=0)]


class Table(BaseModel):
    """Strict: a value of another type is an error, never converted; so is an unknown key."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PackageTable(Table):
    """`[package]`."""

    name: Name | None = Field(None, description="up to 128 letters, digits, '_', '.' and '-'")
    description: str = Field("", description="a text")
    layout: Literal["sagemaker", "python", "aws_lambda", "runpod", "cog", "http"] | None = Field(
        None, description=", ".join(LAYOUTS)
    )
    handler: Text | None = Field(
        None, description="'module:Class' or 'module:function'; leave it out for SageMaker's code/inference.py"
    )
    command: list[Text] | None = Field(None, description="a start command as a list of words, for the layout http")
    image: Text | None = Field(None, description="an image by its digest, or the path of one in the package")
    requirements: Text | None = Field(None, description="the path of a requirements file in the package")
    python: Annotated[str, StringConstraints(pattern=r"^(3\.(9|[1-9]\d+)(\.\d+)?|/.+)$")] | None = Field(
        None, description="a version from '3.9' on, or the absolute path of an interpreter"
    )
    layers: list[Text] | None = Field(None, description="a list of folders of the package, for the layout aws_lambda")
    task_field: Text = Field("task", description="the name of the request field that names the task")


class HttpTable(Table):
    """`[http]`, of the layout http."""

    port: int | None = Field(None, ge=1, le=65_535, description="1 to 65535")
    network: Literal["own", "host"] | None = Field(None, description="own or host")
    concurrency: int = Field(
        1, ge=1, le=HTTP_CONCURRENCY_MAX, description=f"1 to {HTTP_CONCURRENCY_MAX} requests at once"
    )


class EndpointTable(Table):
    """`[endpoint]`."""

    deduplicate_inference_id: bool = Field(False, description="true or false")
    update: UpdateWay = Field(UpdateWay.BLUE_GREEN, strict=False, description=", ".join(UpdateWay))
    canary_minutes: int | None = Field(
        None, ge=1, le=CANARY_MINUTES_MAX, description=f"1 to {CANARY_MINUTES_MAX} whole minutes"
    )
    canary_policy: CanaryPolicy = Field(CanaryPolicy.REPORT, strict=False, description=", ".join(CanaryPolicy))


class TriggerTable(Table):
    """`[[triggers]]`: objects of a bucket that become jobs while the package is in service."""

    bucket: Annotated[str, StringConstraints(min_length=3, max_length=63)] = Field(description="the name of a bucket")
    name: Name | None = Field(None, description="up to 128 letters, digits, '_', '.' and '-'")
    prefix: KeyText = Field("", description="the beginning of keys")
    suffix: KeyText = Field("", description="the end of keys")
    events: list[Text] = Field(["s3:ObjectCreated:*"], min_length=1, description="a list of S3's events")
    event: Literal["object", "s3", "sns", "sqs"] = Field("object", description=", ".join(GIVEN))
    task: Text | None = Field(None, description="the name of a task")
    media_type: MediaTypeText | None = Field(None, description="a media type such as image/png")
    result: Text | None = Field(None, description="s3://bucket/key or a path, with {job_id} in it")


class ScalingTable(Table):
    """`[scaling]`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=False)

    minimum: int = Field(
        alias="min", ge=0, le=WORKERS_PER_ENDPOINT_MAX, description=f"0 to {WORKERS_PER_ENDPOINT_MAX} workers"
    )
    maximum: int = Field(
        alias="max", ge=0, le=WORKERS_PER_ENDPOINT_MAX, description=f"min to {WORKERS_PER_ENDPOINT_MAX} workers"
    )
    backlog_per_worker: Annotated[Number, Field(gt=0)] = Field(
        SCALING_BACKLOG_DEFAULT, description="a number of jobs above 0"
    )
    scale_in_seconds: int = Field(
        SCALING_COOLDOWN_SECONDS_DEFAULT,
        ge=0,
        le=SCALING_COOLDOWN_SECONDS_MAX,
        description=f"0 to {SCALING_COOLDOWN_SECONDS_MAX} whole seconds",
    )
    scale_out_seconds: int = Field(
        0,
        ge=0,
        le=SCALING_COOLDOWN_SECONDS_MAX,
        description=f"0 to {SCALING_COOLDOWN_SECONDS_MAX} whole seconds",
    )


class SecretTable(Table):
    """One entry of `[secrets]`."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        None, description="the name of a variable of the server's environment"
    )
    file: Text | None = Field(None, description="a path below the server's folder of secrets")


class WeightsTable(Table):
    """One `[[weights]]`."""

    path: Text = Field(description="where the handler finds it, as a path in the package")
    uri: Text = Field(description="file:///…, a path, s3://bucket/key or https://…; with '/' at its end a prefix")
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="the SHA-256 of the bytes, 64 hexadecimal digits in lower case"
    )


class WorkerTable(Table):
    """`[worker]`."""

    device: Literal["cpu", "cuda"] | None = Field(None, description="cpu or cuda")
    count: int = Field(1, ge=1, le=WORKERS_PER_ENDPOINT_MAX, description=f"1 to {WORKERS_PER_ENDPOINT_MAX} workers")
    load_timeout_seconds: int = Field(
        LOAD_TIMEOUT_SECONDS_DEFAULT,
        ge=1,
        le=INVOCATION_TIMEOUT_SECONDS_MAX,
        description=f"1 to {INVOCATION_TIMEOUT_SECONDS_MAX} whole seconds",
    )
    cold_start_seconds: Annotated[Number, Field(gt=0)] | None = Field(None, description="a number of seconds above 0")
    load_log_patterns: list[Annotated[str, StringConstraints(min_length=1, max_length=LOAD_LOG_PATTERN_CHARS_MAX)]] = (
        Field(
            [],
            max_length=LOAD_LOG_PATTERNS_MAX,
            description=f"a list of at most {LOAD_LOG_PATTERNS_MAX} regular expressions of 1 to "
            f"{LOAD_LOG_PATTERN_CHARS_MAX} characters",
        )
    )
    invocation_timeout_seconds: int = Field(
        INVOCATION_TIMEOUT_SECONDS_DEFAULT,
        ge=1,
        le=INVOCATION_TIMEOUT_SECONDS_MAX,
        description=f"1 to {INVOCATION_TIMEOUT_SECONDS_MAX} whole seconds",
    )
    cancel_grace_seconds: int = Field(
        CANCEL_GRACE_SECONDS_DEFAULT,
        ge=0,
        le=CANCEL_GRACE_SECONDS_MAX,
        description=f"0 to {CANCEL_GRACE_SECONDS_MAX} whole seconds",
    )
    memory_bytes_max: int | None = Field(None, ge=1, description="a whole number of bytes from 1")
    memory_growth_bytes_max: int | None = Field(None, ge=1, description="a whole number of bytes from 1")
    queue_ttl_seconds: int = Field(
        QUEUE_TTL_SECONDS_DEFAULT,
        ge=QUEUE_TTL_SECONDS_MIN,
        le=QUEUE_TTL_SECONDS_MAX,
        description=f"{QUEUE_TTL_SECONDS_MIN} to {QUEUE_TTL_SECONDS_MAX} whole seconds",
    )
    queue_depth_max: int = Field(QUEUE_DEPTH_MAX, ge=1, le=QUEUE_DEPTH_MAX, description=f"1 to {QUEUE_DEPTH_MAX} jobs")
    concurrency_max: int | None = Field(
        None, ge=1, le=CONCURRENCY_MAX, description=f"1 to {CONCURRENCY_MAX} jobs that run at once"
    )
    device_group: Name | None = Field(None, description="a name, the same for endpoints that share a device")


class TaskTable(Table):
    """`[tasks.NAME]`; what lies below it is read by its own models."""

    description: str = Field("", description="a text")
    aliases: list[Name] = Field([], description="a list of names, as a task's own")
    method: Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)] | None = Field(
        None, description="the name of the handler's method"
    )
    extra_fields: bool = Field(False, description="true or false")
    handler_checks: bool = Field(False, description="true or false")
    timeout_seconds: int | None = Field(
        None,
        ge=1,
        le=INVOCATION_TIMEOUT_SECONDS_MAX,
        description=f"1 to {INVOCATION_TIMEOUT_SECONDS_MAX} whole seconds",
    )
    latency_seconds_max: Annotated[Number, Field(gt=0)] | None = Field(None, description="a number of seconds above 0")
    exclusive: bool = Field(False, description="true or false")
    input: dict[str, Any] = Field({}, description="tables [tasks.NAME.input.FIELD]")
    output: Any = Field({}, description="the table [tasks.NAME.output]")
    samples: list[Any] = Field([], description="tables [[tasks.NAME.samples]]")


class ValueTable(Table):
    """A plain value: a field, an array's items or an object's property."""

    type: Literal["string", "integer", "number", "boolean", "object", "array"] = Field(
        description=", ".join(PLAIN_TYPES)
    )
    required: bool = Field(False, description="true or false")
    description: str = Field("", description="a text")
    default: Any = Field(None, description="a value that the field's own limits allow")
    minimum: Number | None = Field(None, description="a number")
    maximum: Number | None = Field(None, description="a number")
    exclusive_minimum: Number | None = Field(None, description="a number")
    exclusive_maximum: Number | None = Field(None, description="a number")
    multiple_of: Annotated[Number, Field(gt=0)] | None = Field(None, description="a number above 0")
    min_length: Count | None = Field(None, description="a whole number from 0")
    max_length: Count | None = Field(None, description="a whole number from 0")
    pattern: str | None = Field(None, description="a regular expression")
    enum: Annotated[list[Any], Field(min_length=1)] | None = Field(None, description="a list of values")
    min_items: Count | None = Field(None, description="a whole number from 0")
    max_items: Count | None = Field(None, description="a whole number from 0")
    items: dict[str, Any] | None = Field(None, description="a table: what each item is")
    properties: dict[str, Any] | None = Field(None, description="a table of tables: what each property is")


class MediaTable(Table):
    """A media field: its bytes come in any of `sources` and are handed over as `form`."""

    type: Literal["image", "file"] = Field(description=", ".join(MEDIA_TYPES))
    required: bool = Field(False, description="true or false")
    description: str = Field("", description="a text")
    form: Literal["path", "bytes", "base64", "as_sent"] = Field(
        MediaForm.BASE64.value, description=", ".join(MediaForm)
    )
    sources: Annotated[list[Literal["key", "uri", "url", "data_url", "base64", "raw"]], Field(min_length=1)] | None = (
        Field(None, description="a list of " + ", ".join(MediaSource))
    )
    formats: list[Text] = Field([], description="a list of format names such as 'png' and 'jpeg'")
    modes: list[Text] = Field([], description="a list of " + ", ".join(IMAGE_MODES))
    exif_rotated: bool = Field(False, description="true or false")
    bytes_max: int = Field(
        MEDIA_BYTES_MAX_DEFAULT,
        ge=1,
        le=INPUT_OBJECT_BYTES_MAX,
        description=f"1 to {INPUT_OBJECT_BYTES_MAX} bytes",
    )
    pixels_min: int = Field(1, ge=1, description="a whole number of pixels from 1, for an image")
    pixels_max: int = Field(IMAGE_PIXELS_MAX_DEFAULT, ge=1, description="a whole number of pixels from 1, for an image")
    key_field: Text | None = Field(None, description="the name of a request field that carries an object key")
    bucket_field: Text | None = Field(None, description="the name of a request field that carries a bucket")
    bucket_default: Text | None = Field(None, description="the name of a bucket")


class OutputTable(Table):
    """`[tasks.NAME.output]`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=False)

    media_type: MediaTypeText | None = Field(None, description="a media type such as 'application/json'")
    answer: str | dict[str, Any] | None = Field(
        None, alias="schema", description="the path of a JSON Schema file in the package, or the schema as a table"
    )
    parts: dict[str, Any] = Field({}, description="tables [tasks.NAME.output.parts.PART]")
    soft_failures: bool = Field(True, description="true or false")
    varying: list[Text] = Field([], description="a list of the answer's fields and parts that differ between runs")
    tolerance: Annotated[Number, Field(ge=0, lt=1)] = Field(TOLERANCE_DEFAULT, description="a number from 0 to below 1")
    checked: str | dict[str, Any] | None = Field(None, alias="validate", description=VALIDATE)
    urls_seconds: Annotated[int, Field(ge=1, le=PRESIGNED_SECONDS_MAX)] | None = Field(
        None, description=f"a whole number of seconds, 1 to {PRESIGNED_SECONDS_MAX}"
    )


class PartTable(Table):
    """`[tasks.NAME.output.parts.PART]`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=False)

    media_type: MediaTypeText = Field(description="a media type such as 'image/png'")
    required: bool = Field(True, description="true or false")
    checked: str | dict[str, Any] | None = Field(None, alias="validate", description=VALIDATE)


class SampleTable(Table):
    """One `[[tasks.NAME.samples]]`."""

    name: Name | None = Field(None, description="up to 128 letters, digits, '_', '.' and '-'")
    input: Text | None = Field(None, description="the path of a file in the package: the request's body")
    files: dict[str, Text] = Field({}, description="a table: media field = path of a file in the package")
    media_type: MediaTypeText = Field("application/json", description="the media type of the input")
    expect: Text | None = Field(None, description="the path of a JSON Schema file in the package")
