"""What each task of an endpoint takes and returns, with limits and samples.

A contract is written in `seatrial.toml` (see package/manifest.py, which reads it) and kept as plain data with
the version. Checking a request against it is pure: see `domain/checking`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from seatrial.domain.limits import IMAGE_PIXELS_MAX_DEFAULT, MEDIA_BYTES_MAX_DEFAULT, TOLERANCE_DEFAULT


class FieldType(StrEnum):
    """What a field holds. `image` and `file` are media fields: their bytes may come in any declared form."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    IMAGE = "image"
    FILE = "file"


IMAGE_MODES = ("grey", "grey16", "grey_alpha", "rgb", "rgba", "palette", "cmyk")
MEDIA = frozenset({FieldType.IMAGE, FieldType.FILE})


class MediaSource(StrEnum):
    """How a client may send a media field."""

    KEY = "key"  # an object key, with the bucket in `bucket_field` or `bucket_default`
    URI = "uri"  # s3://bucket/key
    URL = "url"  # http(s)://…
    DATA_URL = "data_url"  # data:image/png;base64,…
    BASE64 = "base64"
    RAW = "raw"  # the request's body or a multipart part


class MediaForm(StrEnum):
    """How the handler wants a media field: a local file, its bytes, base64 text, or just as it was sent."""

    PATH = "path"
    BYTES = "bytes"
    BASE64 = "base64"
    AS_SENT = "as_sent"


@dataclass(frozen=True, slots=True)
class Field:
    """One input field. For plain types the limits are JSON Schema keywords in `schema`."""

    name: str
    type: FieldType
    required: bool = False
    description: str = ""
    default: Any = None
    schema: Mapping[str, Any] = field(default_factory=dict)  # JSON Schema of a plain field, `type` included
    # media fields only
    form: MediaForm = MediaForm.BASE64
    sources: frozenset[MediaSource] = frozenset(MediaSource)
    formats: tuple[str, ...] = ()  # "png", "jpeg", … ; empty: any
    modes: tuple[str, ...] = ()  # of IMAGE_MODES; empty: any
    exif_rotated: bool = False  # the handler heeds the orientation that EXIF has; proved in trials
    bytes_max: int = MEDIA_BYTES_MAX_DEFAULT
    pixels_min: int = 1
    pixels_max: int = IMAGE_PIXELS_MAX_DEFAULT
    pixels_max_declared: bool = False  # by the contract, even if it is the default: then it is tried
    key_field: str | None = None  # another request field that carries an object key for this one
    bucket_field: str | None = None
    bucket_default: str | None = None
    several: bool = False  # a list of them, each sent in any of the forms

    @property
    def is_media(self) -> bool:
        """True for fields whose bytes are delivered."""
        return self.type in MEDIA


class AnswerFiles(StrEnum):
    """Where a handler's answer may have files, beside the declared parts."""

    NONE = "none"
    WHOLE = "whole"  # the answer is one file
    WITHIN = "within"  # anywhere in a JSON answer: each becomes an object, and a reference to it stands in its place


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A secondary object of a result: the answer's field `name` holds its bytes, and then a reference to it.

    `validate` is a table of thresholds as `Output.validate` has it.
    """

    name: str
    media_type: str
    required: bool = True
    validate: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a task returns. `schema` is a JSON Schema 2020-12 of the JSON answer; None: anything.

    `soft_failures`: an answer that says itself that it failed is a failure (see checking/soft_failures.py).
    `varying` are the answer's fields and parts that may differ between two runs of one request; numbers of the
    others may differ by `tolerance`, relative to the larger. `validate` is what the validators (`prove/validate`)
    hold the answer's bytes against: a profile as a table, `{"extends": "studio", "image": {…}}`; None: nothing.
    """

    media_type: str | None = None  # None: whatever the handler says
    schema: Mapping[str, Any] | None = None
    parts: tuple[OutputPart, ...] = ()
    soft_failures: bool = True
    varying: tuple[str, ...] = ()
    tolerance: float = TOLERANCE_DEFAULT
    validate: Mapping[str, Any] | None = None
    files: AnswerFiles = AnswerFiles.NONE
    urls_seconds: int | None = None  # references to parts have signed URLs, good for so long


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that proves a task. Paths are relative to the package (or to the folder of outside samples).

    `input` is a file with the request body; `files` maps media fields to files with their bytes; `expect`, if
    any, is a file with a JSON Schema that the answer must also meet.
    """

    name: str
    input: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    expect: str | None = None
    member: tuple[str | int, ...] = ()  # the steps to the body inside of the file's JSON; none: all of it


@dataclass(frozen=True, slots=True)
class Task:
    """A named operation. `extra_fields` allows request fields that are not declared.

    With `handler_checks` it is the handler that refuses what breaks the declared fields, in its own words.
    `latency_seconds_max` is the budget that its samples keep in a trial, from the handler's start to its answer.
    """

    name: str
    description: str = ""
    aliases: tuple[str, ...] = ()
    method: str | None = None  # the handler's method; None: the task's name
    fields: tuple[Field, ...] = ()
    output: Output = field(default_factory=Output)
    samples: tuple[Sample, ...] = ()
    extra_fields: bool = False
    handler_checks: bool = False
    timeout_seconds: int | None = None
    latency_seconds_max: float | None = None
    exclusive: bool = False  # its jobs run alone on their device: training, say

    def field_named(self, name: str) -> Field | None:
        """The declared field of that name."""
        return next((one for one in self.fields if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Contract:
    """All tasks of a package. `declared` is False for a package without `seatrial.toml`.

    An undeclared contract passes every body through as it is; its `loose_samples` prove it.
    With exactly one task, a request may leave the task's name out.
    """

    tasks: tuple[Task, ...] = ()
    declared: bool = True
    task_field: str = "task"
    loose_samples: tuple[Sample, ...] = ()

    def task(self, name: str) -> Task | None:
        """The task of that name or alias."""
        return next((one for one in self.tasks if name == one.name or name in one.aliases), None)
