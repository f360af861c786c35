"""Receive a package's archive into the uploads folder: streamed, bounded, gone when anything goes wrong."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from seatrial.domain import errors
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import ARCHIVE_BYTES_MAX, DEPLOY_FIELD_BYTES_MAX, STREAM_CHUNK_BYTES

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


@dataclass(frozen=True, slots=True)
class ReceivedForm:
    """A multipart form: its small fields as text, and its one file."""

    fields: dict[str, str]
    file: Path
    file_name: str | None


async def receive_raw(request: Request, uploads: Path) -> Path:
    """The request's body as a file.

    Raises:
        BadInput: too large, or empty.
    """
    async with _upload(uploads) as (path, file):
        held, total = bytearray(), 0
        async for chunk in request.stream():
            held += chunk
            total += len(chunk)
            _check_size(total)
            if len(held) >= STREAM_CHUNK_BYTES:
                await file.write(bytes(held))
                held.clear()
        await file.write(bytes(held))
        if not total:
            raise BadInput(errors.MISSING_FIELD, "The request has no archive.", field="body", valid="a .tar.gz")
    return path


async def receive_form(request: Request, uploads: Path, file_field: str) -> ReceivedForm:
    """A form whose part `file_field` goes to a file while it comes.

    Raises:
        BadInput: not such a form, a part that is too large, or no file.
    """
    _, options = parse_options_header(request.headers["content-type"])
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadInput(errors.MALFORMED_INPUT, "The form has no boundary.", field="Content-Type")
    parts = _Parts(file_field)
    parser = MultipartParser(boundary, parts.callbacks())
    total = 0
    async with _upload(uploads) as (path, file):
        async for chunk in request.stream():
            total += len(chunk)
            _check_size(total)
            _parse(parser, chunk)
            if len(parts.held) >= STREAM_CHUNK_BYTES:
                await file.write(parts.take())
        await file.write(parts.take())
        if not parts.has_file:
            raise BadInput(
                errors.MISSING_FIELD, f"The form has no file {file_field!r}.", field=file_field, valid="a .tar.gz"
            )
    fields = {name: bytes(value).decode(errors="replace") for name, value in parts.fields.items()}
    return ReceivedForm(fields, path, parts.file_name)


@asynccontextmanager
async def _upload(uploads: Path) -> AsyncIterator[tuple[Path, anyio.AsyncFile[bytes]]]:
    """A new file; it goes away when the body of the `with` raises."""
    path = uploads / f"{uuid.uuid4()}.tar.gz"
    try:
        async with await anyio.open_file(path, "xb") as file:
            yield path, file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _check_size(total_bytes: int) -> None:
    if total_bytes > ARCHIVE_BYTES_MAX:
        valid = f"at most {ARCHIVE_BYTES_MAX} bytes; declare big weights as [[weights]] instead"
        raise BadInput(errors.PAYLOAD_TOO_LARGE, "The archive is too large.", field="package", valid=valid)


def _parse(parser: MultipartParser, chunk: bytes) -> None:
    try:
        parser.write(chunk)
    except MultipartParseError as error:
        raise BadInput(errors.MALFORMED_INPUT, f"This is not a multipart form: {error}.", field="body") from None


@dataclass(slots=True)
class _Parts:
    """Sorts what the parser finds: bytes of the file to `held`, everything else to `fields`."""

    file_field: str
    fields: dict[str, bytearray] = field(default_factory=dict)
    held: bytearray = field(default_factory=bytearray)
    has_file: bool = False
    file_name: str | None = None
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""
    _name: str = ""

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: self._data(data[start:end]),
        }

    def take(self) -> bytes:
        """The file's bytes since the last call."""
        taken = bytes(self.held)
        self.held.clear()
        return taken

    def _begin(self) -> None:
        self._disposition = b""

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name == self.file_field:
            self.has_file = True
            self.file_name = options[b"filename"].decode(errors="replace") if b"filename" in options else None

    def _data(self, data: bytes) -> None:
        if self._name == self.file_field:
            self.held += data
            return
        kept = self.fields.setdefault(self._name, bytearray())
        kept += data
        if len(kept) > DEPLOY_FIELD_BYTES_MAX:
            valid = f"at most {DEPLOY_FIELD_BYTES_MAX} bytes"
            raise BadInput(errors.PAYLOAD_TOO_LARGE, "This part is too large.", field=self._name, valid=valid)
