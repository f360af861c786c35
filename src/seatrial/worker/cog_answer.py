"""What Cog makes of an answer: plain values, with its files beside it.

By replicate/cog 0.23, `crates/coglet-python/src/output.rs`: models, data classes, enumerations, times, arrays and
collections become JSON, paths and open files stand for their bytes.
"""

# ruff: noqa: TID252, UP006, UP045  (the worker loads this package under a private name; Python 3.9)
from __future__ import annotations

import base64
import dataclasses
import datetime
import enum
import inspect
import io
import mimetypes
import os
import pathlib
import sys
from typing import Any, Dict, NamedTuple, Optional  # noqa: UP035

from . import protocol
from .answer import BINARY, Answer, NotSerialisable, Payload, existing_file, media_type_of_file

DEPTH_MAX = 500


class Encoded(NamedTuple):
    """A value for JSON. Where a file was stands its name; `files` has the bytes by place (RFC 6901, no first slash)."""

    value: Any
    files: Dict[str, Payload]

    def told(self) -> Any:
        """For a chunk that is told at once: small files as data URLs, of others their names."""
        if set(self.files) == {""}:
            data = self.files[""]
            if isinstance(data, bytes) and len(data) <= protocol.SEGMENT_BYTES_MAX // 2:
                kind = mimetypes.guess_type(str(self.value))[0] or BINARY
                return f"data:{kind};base64,{base64.b64encode(data).decode()}"
        return self.value


def file_answer(value: Any) -> Optional[Answer]:
    """The answer that is one file; None if it is something else."""
    if isinstance(value, os.PathLike) and not isinstance(value, (str, bytes)):
        path = existing_file(pathlib.Path(value), "the answer")
        return Answer(path, media_type_of_file(path), {})
    if isinstance(value, io.IOBase):
        return Answer(_bytes_of(value), mimetypes.guess_type(_name_of(value))[0] or BINARY, {})
    return None


def encode(value: Any, *, keeps: bool = False) -> Encoded:
    """The value for JSON, and its files; `keeps` their bytes as they are now.

    Raises:
        NotSerialisable: a path without a file, or nested too deeply.
    """
    files: Dict[str, Payload] = {}
    return Encoded(_encode(value, "", files, keeps, 0), files)


def _encode(value: Any, place: str, files: Dict[str, Payload], keeps: bool, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise NotSerialisable(place, "the answer contains itself, or is nested too deeply")
    members = _members(value)
    if members is not None:
        return {key: _encode(one, _step(place, key), files, keeps, depth + 1) for key, one in members.items()}
    if isinstance(value, (list, set, frozenset, tuple)) or inspect.isgenerator(value):
        return [_encode(one, _step(place, number), files, keeps, depth + 1) for number, one in enumerate(value)]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        path = existing_file(pathlib.Path(value), place or "the answer")
        return _keep(path.read_bytes() if keeps else path, path.name, place, files)
    if isinstance(value, io.IOBase):
        return _keep(_bytes_of(value), os.path.basename(_name_of(value)), place, files)
    return _plain(value)


def _members(value: Any) -> Optional[Dict[Any, Any]]:
    """Those of a model, a data class or a dict."""
    if isinstance(value, dict):
        return value
    if isinstance(value, type):
        return None
    for name in ("model_dump", "dict"):  # pydantic 2 and 1
        dump = getattr(value, name, None)
        if callable(dump):
            return dict(dump())
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _keep(payload: Payload, name: str, place: str, files: Dict[str, Payload]) -> str:
    if len(place) > protocol.NAME_CHARS_MAX:
        raise NotSerialisable(place, f"the place of a file, {place[:60]!r}…, has too long a name", "Use shorter keys.")
    files[place] = payload
    return name


def _step(place: str, step: Any) -> str:
    escaped = str(step).replace("~", "~0").replace("/", "~1")
    return f"{place}/{escaped}" if place else escaped


def _plain(value: Any) -> Any:
    """numpy's numbers and arrays, if there is numpy, as Python's."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return value
    if isinstance(value, numpy.integer):
        return int(value)
    if isinstance(value, numpy.floating):
        return float(value)
    return value.tolist() if isinstance(value, numpy.ndarray) else value


def _bytes_of(file: Any) -> bytes:
    if file.seekable():
        file.seek(0)
    content = file.read()
    return content.encode() if isinstance(content, str) else bytes(content)


def _name_of(file: Any) -> str:
    name = getattr(file, "name", "")
    return name if isinstance(name, str) else ""
