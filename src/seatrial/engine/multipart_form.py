"""multipart/form-data bodies as payloads (RFC 7578)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from seatrial.domain.checking import RawMedia
from seatrial.domain.contract import FieldType, Task
from seatrial.domain.errors import INVALID_FIELD, MALFORMED_INPUT, BadInput
from seatrial.domain.json_text import parse_request_json
from seatrial.domain.limits import FORM_PARTS_MAX, VALUE_SHOWN_CHARS_MAX

FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part. `filename` is None for a plain text part."""

    content: bytes
    filename: str | None
    media_type: str


def boundary_of(media_type: str) -> bytes:
    """What stands between the parts of such a body; nothing for a type that names none."""
    kind, options = parse_options_header(media_type)
    return options.get(b"boundary", b"") if kind == FORM.encode() else b""


def parse_form(body: bytes, media_type: str) -> dict[str, FormPart]:
    """The parts of a body by name; `media_type` carries the boundary.

    Raises:
        BadInput: malformed_input.
    """
    boundary = boundary_of(media_type)
    if not boundary:
        raise _malformed("the content type names no boundary")
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise _malformed(str(error)) from None
    if not reader.ended:
        raise _malformed("it ends before its last boundary")
    return reader.parts


def form_payload(task: Task, parts: Mapping[str, FormPart]) -> dict[str, Any]:
    """The payload that the parts spell out: files of media fields as RawMedia, everything else by its field's type.

    Raises:
        BadInput: malformed_input, invalid_field.
    """
    return {name: _value(task, name, part) for name, part in parts.items()}


def part_text(name: str, part: FormPart) -> str:
    """A part as text.

    Raises:
        BadInput: invalid_field: not UTF-8.
    """
    try:
        return part.content.decode()
    except UnicodeDecodeError:
        valid = "text in UTF-8"
        raise BadInput(INVALID_FIELD, f"The form's part {name!r} is not text.", field=name, valid=valid) from None


def _value(task: Task, name: str, part: FormPart) -> Any:
    field = task.field_named(name)
    if field is not None and field.is_media and part.filename is not None:
        return RawMedia(part.content, part.media_type, len(part.content))
    if field is None or field.is_media or field.type is FieldType.STRING:
        return part_text(name, part)
    try:
        return parse_request_json(part.content)
    except BadInput as error:
        message = f"The form's part {name!r} must be written as JSON (it is of the type {field.type}). {error.message}"
        raise BadInput(INVALID_FIELD, message, field=name, valid=f"{field.type} as JSON") from None


def _malformed(what: str) -> BadInput:
    return BadInput(
        MALFORMED_INPUT, f"The body is not a valid multipart/form-data form: {what}", valid="multipart/form-data"
    )


class _Reader:
    """Collects what the parser calls back with."""

    def __init__(self) -> None:
        self.parts: dict[str, FormPart] = {}
        self.ended = False
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._content = bytearray()

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._headers = {}
        self._content = bytearray()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._content += memoryview(data)[start:end]

    def _part_end(self) -> None:
        name, filename = self._disposition()
        if name in self.parts:
            raise _malformed(f"the part {name[:VALUE_SHOWN_CHARS_MAX]!r} is there twice")
        if len(self.parts) == FORM_PARTS_MAX:
            raise _malformed(f"it has more than {FORM_PARTS_MAX:,} parts")
        media_type = self._headers.get(b"content-type", b"").decode("latin-1")
        self.parts[name] = FormPart(bytes(self._content), filename, media_type)

    def _disposition(self) -> tuple[str, str | None]:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no name")
        try:
            filename = options.get(b"filename")
            return options[b"name"].decode(), None if filename is None else filename.decode(errors="replace")
        except UnicodeDecodeError:
            raise _malformed("a part's name is not UTF-8") from None

    def _end(self) -> None:
        self.ended = True
