"""Requests as bodies: JSON with the files in it, as the contract says that they may be sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from seatrial.prove.request import Request, SentFile, Source
from seatrial.prove.targets.trouble import CannotSend

Keep = Callable[[SentFile], tuple[str, str]]  # stores a file, and says under which bucket and key


def fields_of(request: Request) -> dict[str, Any]:
    """The plain fields of a request's body, its task among them where the body says it.

    Raises:
        CannotSend: its input is no JSON object.
    """
    if not isinstance(request.input, dict):
        raise CannotSend(f"the input of {request.label} is {type(request.input).__name__}, and this needs fields")
    named = {request.task_field: request.task} if request.task_field and request.task else {}
    return {**request.input, **named}


def with_files(request: Request, can: Sequence[Source], keep: Keep | None = None) -> dict[str, Any]:
    """The body with every file in it. `can` are the ways that the wire has, the best first.

    Raises:
        CannotSend: a file's field takes none of them.
    """
    fields = fields_of(request)
    for file in request.files:
        fields |= _spelled(file, chosen(file, can), keep)
    return fields


def chosen(file: SentFile, can: Sequence[Source]) -> Source:
    """The first way of the wire that the file's field takes.

    Raises:
        CannotSend: there is none.
    """
    found = next((one for one in can if not file.sources or one in file.sources), None)
    if found is None:
        raise CannotSend(
            f"field {file.field!r} takes {', '.join(file.sources)}, and this wire sends {', '.join(can) or 'no files'}",
            f"add one of them to `sources` of the field {file.field!r}, if the handler takes it",
        )
    return found


def _spelled(file: SentFile, source: Source, keep: Keep | None) -> dict[str, Any]:
    if source in (Source.BASE64, Source.DATA_URL):
        encoded = base64.b64encode(file.data).decode()
        return {file.field: encoded if source is Source.BASE64 else f"data:{file.media_type};base64,{encoded}"}
    if keep is None:
        raise CannotSend(f"field {file.field!r} wants {source.value}, and this wire stores no files")
    bucket, key = keep(file)
    if source is Source.URI:
        return {file.field: f"s3://{bucket}/{key}"}
    if file.bucket_field is not None:
        return {file.key_field or file.field: key, file.bucket_field: bucket}
    return {file.key_field or file.field: {"bucket": bucket, "key": key} if file.key_field is None else key}


def body_of(request: Request, can: Sequence[Source], keep: Keep | None = None) -> bytes:
    """The body's bytes: as they are, or JSON.

    Raises:
        CannotSend: as `with_files`.
    """
    if isinstance(request.input, bytes):
        return request.input
    if not isinstance(request.input, dict):
        return json.dumps(request.input).encode()
    return json.dumps(with_files(request, can, keep)).encode()
