"""From a request's bytes to what its task was asked: JSON, a form, or one raw media field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from seatrial.domain.checking import RawMedia, Request, check_request, resolve_task
from seatrial.domain.contract import Contract, MediaSource, Task
from seatrial.domain.errors import UNSUPPORTED_MEDIA_TYPE, BadInput
from seatrial.domain.json_text import malformed, parse_request_json, without_mark
from seatrial.domain.media_types import JSON, essence, is_json
from seatrial.engine.multipart_form import FORM, form_payload, parse_form, part_text


class BodyKind(StrEnum):
    """How a body spells a request out."""

    JSON = "json"
    FORM = "form"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that fits its contract, and the payload that it was read from."""

    kind: BodyKind
    payload: Mapping[str, Any]
    request: Request

    @property
    def task(self) -> Task:
        """The task that it asks for."""
        return self.request.task


def kind_of(media_type: str) -> BodyKind:
    """JSON for application/json, anything with +json, and no type at all."""
    if media_type in (JSON, "") or is_json(media_type):
        return BodyKind.JSON
    return BodyKind.FORM if essence(media_type) == FORM else BodyKind.RAW


def read_request(contract: Contract, media_type: str, body: bytes | Path, size_bytes: int, named: str | None) -> Asked:
    """What a body asks a declared contract for. JSON and forms have to be bytes; a raw body may be a file.

    Raises:
        BadInput: malformed_input, unsupported_media_type, and what `check_request` and `resolve_task` raise.
    """
    kind = kind_of(media_type)
    if kind is BodyKind.RAW or isinstance(body, Path):
        task = resolve_task(contract, named, None)
        payload: Mapping[str, Any] = {_raw_field(task, media_type): RawMedia(body, media_type, size_bytes)}
    elif kind is BodyKind.JSON:
        payload = _json_object(without_mark(body))
        task = resolve_task(contract, named, payload)
    else:
        parts = parse_form(body, media_type)
        field = contract.task_field
        task = resolve_task(contract, named, {field: part_text(field, parts[field])} if field in parts else None)
        payload = form_payload(task, parts)
    try:
        return Asked(kind, payload, _request(task, payload, contract.task_field))
    except BadInput as error:
        error.task = task.name
        raise


def _request(task: Task, payload: Mapping[str, Any], task_field: str) -> Request:
    if not task.handler_checks:
        return check_request(task, payload, task_field)
    return Request(task, {name: value for name, value in payload.items() if name != task_field}, {})


def _json_object(body: bytes) -> Mapping[str, Any]:
    payload = parse_request_json(body)
    if not isinstance(payload, dict):
        raise malformed("it must be an object, with the fields as its members")
    return payload


def _raw_field(task: Task, media_type: str) -> str:
    """The one media field that a raw body can be: the only required one, or the only one."""
    media = [one for one in task.fields if one.is_media]
    required = [one for one in media if one.required]
    chosen = required or media
    if len(chosen) == 1 and MediaSource.RAW in chosen[0].sources:
        return chosen[0].name
    names = ", ".join(one.name for one in media)
    why = (
        f"task {task.name!r} has several media fields ({names}): send a multipart/form-data form with a part for each"
        if len(chosen) > 1
        else f"task {task.name!r} takes no raw body"
    )
    raise BadInput(
        UNSUPPORTED_MEDIA_TYPE,
        f"A body of the type {media_type!r} cannot be read: {why}.",
        field="content-type",
        valid=f"{JSON} or multipart/form-data",
    )
