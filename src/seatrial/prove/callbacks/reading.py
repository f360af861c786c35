"""What a callback says: a multipart form (the studio protocol), JSON of any of the usual shapes, or a file as it is."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from seatrial.prove.embedded import pictures_in
from seatrial.prove.limits import CALLBACK_PARTS_MAX, CALLBACK_TEXT_CHARS_KEPT, MIB

# Where a job's id may stand, the outer words first: the studio protocol and our own data, SageMaker, RunPod and Cog.
_ID_FIELDS = ("job_id", "inferenceId", "id")
_TEXT_FIELDS = {
    "status": ("status", "invocationStatus", "type"),
    "completed_at": ("completed_at", "ended_at", "timestamp"),
    "image_url": ("image_url",),
    "error": ("error", "failureReason"),
}


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes with the name and type that the sender gave them."""

    name: str
    media_type: str
    data: bytes


@dataclass(slots=True)
class Said:
    """What the body says; `words` has job_id, status, completed_at, image_url and error as far as they are there."""

    words: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    contents: list[Content] = field(default_factory=list)
    problem: str = ""


async def read_body(headers: Mapping[str, str], body: bytes) -> Said:
    """Understand a body. What cannot be understood is kept as it is, with the problem."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded" and body.lstrip()[:1] == b"{":  # `curl -d '{…}'`
        return _read_json(body)
    if media_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return await _read_form(headers, body, media_type)
    if media_type.endswith(("/json", "+json")) or body.lstrip()[:1] in (b"{", b"["):
        return _read_json(body)
    said = Said()
    if body:
        extension = mimetypes.guess_extension(media_type) or ""
        said.contents.append(Content(f"body{extension}", media_type or "application/octet-stream", body))
    return said


async def _read_form(headers: Mapping[str, str], body: bytes, media_type: str) -> Said:
    try:
        form = await _form(headers, body, media_type)
    except (MultiPartException, KeyError, ValueError, AssertionError) as error:
        told = getattr(error, "message", str(error))
        return Said(contents=[Content("body", media_type, body)], problem=f"the form cannot be read: {told}")
    said = Said()
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                shown = PurePosixPath(value.filename or name).name or name
                said.contents.append(Content(shown, value.content_type or "", await value.read()))
            else:
                said.fields[name[:CALLBACK_TEXT_CHARS_KEPT]] = value[:CALLBACK_TEXT_CHARS_KEPT]
    finally:
        await form.close()
    said.words = _words(said.fields)
    return said


async def _form(headers: Mapping[str, str], body: bytes, media_type: str) -> FormData:
    async def stream() -> AsyncIterator[bytes]:
        yield body
        yield b""

    of = Headers(dict(headers))
    if media_type == "multipart/form-data":
        limits = {"max_files": CALLBACK_PARTS_MAX, "max_fields": CALLBACK_PARTS_MAX, "max_part_size": MIB}
        return await MultiPartParser(of, stream(), **limits).parse()  # type: ignore[arg-type]
    return await FormParser(of, stream()).parse()  # type: ignore[arg-type]


def _read_json(body: bytes) -> Said:
    said = Said(contents=[Content("body.json", "application/json", body)])
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        said.problem = f"the JSON cannot be read: {error}"
        return said
    if isinstance(document, dict):
        said.fields = {_whole(name): _shown(value) for name, value in list(document.items())[:CALLBACK_PARTS_MAX]}
        said.words = _words(document)
    for picture in pictures_in(document, CALLBACK_PARTS_MAX):
        said.contents.append(Content(_whole(picture.file_name), picture.media_type, picture.data))
    return said


def _words(document: Mapping[str, Any]) -> dict[str, str]:
    inner = document.get("data") or _published(document)
    places = (inner, document) if isinstance(inner, dict) else (document,)
    wanted = {"job_id": _ID_FIELDS, **_TEXT_FIELDS}
    words = {}
    for word, names in wanted.items():
        values = [place[name] for place in places for name in names if place.get(name) not in (None, "")]
        if values:
            words[word] = _shown(values[0])
    return words


def _published(document: Mapping[str, Any]) -> Any:
    """What a topic of Amazon SNS tells: the JSON in the Message of its envelope."""
    if document.get("Type") != "Notification" or not isinstance(document.get("Message"), str):
        return None
    try:
        return json.loads(document["Message"])
    except (ValueError, RecursionError):
        return None


def _shown(value: Any) -> str:
    text = _whole(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= CALLBACK_TEXT_CHARS_KEPT else text[:CALLBACK_TEXT_CHARS_KEPT] + "…"


def _whole(text: str) -> str:
    """A text that can be shown and written: JSON may bring half a surrogate pair, which has no UTF-8."""
    return text.encode(errors="replace").decode()
