"""One piece of work, as a handler module reads it."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pathlib
from typing import IO, Any, Iterator, Mapping, Tuple, Union  # noqa: UP035  (Python 3.9)

# ruff: noqa: TID252, UP006, UP007  (private package name; Python 3.9)
from . import protocol


class InputUnreadable(Exception):
    """The body is no JSON."""

    error_type = "malformed_input"
    remedy = "Send JSON: the body is what the handler gets."


class Request:
    """A `work` frame; its contents are read when they are asked for."""

    def __init__(self, frame: protocol.Frame) -> None:
        self._header, self._segments = frame
        self.number: int = self._header["number"]
        self.token: str = self._header["token"]
        self.job_id: str = self._header["job_id"]
        self.folder: str = self._header["folder"]
        self.timeout_ms: int = self._header["timeout_ms"]
        self.task = self._header.get("task")
        self.media_type: str = self._header["media_type"]
        self.accept: str = self._header["accept"]
        self.attributes: Mapping[str, str] = self._header["attributes"]

    @property
    def body(self) -> bytes:
        """The request as it came."""
        return self._read(self._header["body"])

    @contextlib.contextmanager
    def body_stream(self) -> Iterator[Tuple[IO[bytes], int]]:
        """The request as it came, to read bit by bit, with its length in bytes."""
        content = self._header["body"]
        if "segment" in content:
            data = self._segments[content["segment"]]
            yield io.BytesIO(data), len(data)
            return
        with open(content["path"], "rb") as file:
            yield file, os.fstat(file.fileno()).st_size

    def json(self) -> Any:
        """What the body says.

        Raises:
            InputUnreadable: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise InputUnreadable(f"the body ({self.media_type}) is no JSON: {error}") from None

    def fields(self) -> dict[str, Any]:
        """The fields by name, those of media in the form that the handler wants."""
        fields: dict[str, Any] = json.loads(self._read(self._header["fields"]))
        forms = self._header["media_forms"]
        for name, content in self._header["media"].items():
            value = self._media(name, content, forms.get(name, "bytes"))
            field, slash, number = name.rpartition("/")
            if slash and isinstance(fields.get(field), list):  # one of several
                fields[field][int(number)] = value
            else:
                fields[name] = value
        return fields

    def _media(self, name: str, content: protocol.Content, form: str) -> Union[pathlib.Path, bytes, str]:
        if form == "path":
            return self._file(name, content)
        data = self._read(content)
        return base64.b64encode(data).decode("ascii") if form == "base64" else data

    def _file(self, name: str, content: protocol.Content) -> pathlib.Path:
        if "path" in content:
            return pathlib.Path(content["path"])
        os.makedirs(self.folder, exist_ok=True)
        path = pathlib.Path(self.folder, "media-" + base64.urlsafe_b64encode(name.encode()).decode("ascii"))
        path.write_bytes(self._segments[content["segment"]])
        return path

    def _read(self, content: protocol.Content) -> bytes:
        if "segment" in content:
            return self._segments[content["segment"]]
        with open(content["path"], "rb") as file:
            return file.read()
