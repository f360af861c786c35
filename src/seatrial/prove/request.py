"""One request to a target, before it is spelled on a wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    """How the bytes of a media field are sent; the words of `sources` in seatrial.toml."""

    KEY = "key"  # an object key, with the bucket in `bucket_field`
    URI = "uri"  # s3://bucket/key
    URL = "url"  # http(s)://…
    DATA_URL = "data_url"  # data:image/png;base64,…
    BASE64 = "base64"
    RAW = "raw"  # a part of a form


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """Bytes of a media field. `sources` empty: in whichever way the wire likes best."""

    field: str
    name: str  # of the file, such as plan.png
    data: bytes
    media_type: str = "application/octet-stream"
    sources: tuple[Source, ...] = ()
    key_field: str | None = None
    bucket_field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`input` is a JSON value, or bytes that are sent as they are. Files become fields of it.

    `task_field` None: the request's body does not say its task. `webhook` and `id` are used where the wire has them.
    """

    input: Any = field(default_factory=dict)
    files: tuple[SentFile, ...] = ()
    task: str | None = None
    task_field: str | None = None
    media_type: str = "application/json"
    label: str = "request"  # a short word for names of objects
    id: str | None = None
    webhook: str | None = None
    webhook_secret: str | None = None
    timeout_seconds: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)  # of the native API: affinity, priority
