"""From what a handler returned to bytes, files and a media type."""

from __future__ import annotations

import json
import math
import mimetypes
import os
import pathlib
import shutil
from typing import Any, Iterator, NamedTuple, Optional, Tuple, Union  # noqa: UP035  (Python 3.9)

# ruff: noqa: TID252, UP006, UP045  (private package name; Python 3.9)
from . import protocol

JSON = "application/json"
BINARY = "application/octet-stream"
TEXT = "text/plain"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"glTF", "model/gltf-binary"),
    (b"PK\x03\x04", "application/zip"),
)
Bytes = (bytes, bytearray, memoryview)
Payload = Union[bytes, pathlib.Path]


class Answer(NamedTuple):
    """The body with its media type, and the bytes or files that go beside it."""

    body: Payload
    media_type: str
    parts: dict[str, Payload]


PLAIN_VALUES = "Return plain Python values: float(x), x.tolist()."
A_MEDIA_TYPE = "Return (value, media type), such as (data, 'image/png'); for a JSON array return a list."
A_FILE = "Write the file before you return its path, and leave it there."
FEWER_PARTS = "Return fewer parts with shorter names, or put them into one archive."


class NotSerialisable(Exception):
    """A value in the answer that cannot be sent; `field` is where."""

    error_type = "output_not_serialisable"

    def __init__(self, field: str, message: str, remedy: str = PLAIN_VALUES) -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy


def checked(answer: Answer) -> Answer:
    """The answer, if its names fit into headers.

    Raises:
        NotSerialisable: a media type or the name of a part is no short printable text.
    """
    given: Any = answer.media_type  # as the handler wrote it
    if not isinstance(given, str) or "/" not in given or not given.isascii() or not given.isprintable():
        raise NotSerialisable("", f"{given!r} is not a media type, such as 'application/json'", A_MEDIA_TYPE)
    too_long = [name for name in (given, *answer.parts) if len(name) > protocol.NAME_CHARS_MAX]
    if too_long:
        message = f"the name {too_long[0][:40]!r}… has more than {protocol.NAME_CHARS_MAX} characters"
        raise NotSerialisable("", message, FEWER_PARTS)
    if len(answer.parts) > protocol.PARTS_MAX:
        message = f"{len(answer.parts)} parts; at most {protocol.PARTS_MAX} are allowed"
        raise NotSerialisable("", message, FEWER_PARTS)
    return answer


def answer(value: Any) -> Answer:
    """The answer for a value that a handler of the "python" layout returned.

    Raises:
        NotSerialisable: it cannot be sent.
    """
    media_type: Optional[str] = None
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[1], str):
            raise NotSerialisable(
                "", "a tuple must be (value, media type); return a list for a JSON array", A_MEDIA_TYPE
            )
        value, media_type = value
    if isinstance(value, str):
        return Answer(_utf8(value, "the answer"), media_type or TEXT, {})
    if isinstance(value, Bytes):
        return Answer(bytes(value), media_type or BINARY, {})
    if isinstance(value, pathlib.PurePath):
        path = existing_file(value, "the answer")
        return Answer(path, media_type or media_type_of_file(path), {})
    value, parts = _split_parts(value)
    return Answer(json_bytes(value), media_type or JSON, parts)


def _split_parts(value: Any) -> Tuple[Any, dict[str, Payload]]:
    parts: dict[str, Payload] = {}
    if not isinstance(value, dict):
        return value, parts
    for key, one in value.items():
        if isinstance(one, Bytes):
            parts[str(key)] = bytes(one)
        elif isinstance(one, pathlib.PurePath):
            parts[str(key)] = existing_file(one, str(key))
    return {key: None if str(key) in parts else one for key, one in value.items()} if parts else value, parts


def existing_file(path: pathlib.PurePath, where: str) -> pathlib.Path:
    """The path, if a regular file is there."""
    found = pathlib.Path(path)
    if not found.is_file():
        raise NotSerialisable(where, f"{where} is the path {str(path)!r}, and there is no such file", A_FILE)
    return found


def media_type_of_file(path: pathlib.Path) -> str:
    """By how the file begins, else by its name."""
    with open(path, "rb") as file:
        start = file.read(16)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    known = next((media_type for magic, media_type in _MAGIC if start.startswith(magic)), None)
    return known or mimetypes.guess_type(path.name)[0] or BINARY


def json_bytes(value: Any) -> bytes:
    """UTF-8 JSON.

    Raises:
        NotSerialisable: naming the first value that JSON cannot carry.
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        for where, problem in _problems(value, "", ()):
            raise NotSerialisable(where, f"{where or 'the answer'} {problem}") from None
        raise NotSerialisable("", f"the answer cannot be written as JSON: {error}") from None


def _utf8(text: str, where: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotSerialisable(where, f"{where} is text that UTF-8 cannot carry: {error.reason}") from None


def _problems(value: Any, where: str, above: Tuple[int, ...]) -> Iterator[Tuple[str, str]]:
    """Where in the value, and what is wrong there."""
    if isinstance(value, (dict, list, tuple)):
        if id(value) in above or len(above) > 500:
            yield where, "contains itself, or is nested too deeply"
            return
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            step = f"[{key}]" if not isinstance(value, dict) else f".{key}" if where else f"{key}"
            if isinstance(value, dict) and not isinstance(key, (str, int, float, type(None))):
                yield where, f"has the key {key!r}, a {_name(key)}: keys of a JSON object are text"
            yield from _problems(one, where + step, (*above, id(value)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield where, f"is {value!r}, which JSON does not have: return None, or text"
    elif isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            yield where, "is text that UTF-8 cannot carry"
    elif not isinstance(value, (int, float, type(None))):
        yield where, f"is a {_name(value)}, which JSON cannot carry: {_remedy(value)}"


def _name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _remedy(value: Any) -> str:
    if isinstance(value, (*Bytes, pathlib.PurePath)):
        return "bytes and files are taken only as values of the answer's top level"
    if hasattr(value, "tolist"):
        return "convert it with .tolist()"
    if isinstance(value, (set, frozenset)):
        return "convert it with sorted() or list()"
    return "convert it to dict, list, str, int, float, bool or None"


class Outbox:
    """Puts payloads into a frame, or into the folder of the job when they are long or files already."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files = 0
        self.segments: list[bytes] = []

    def put(self, payload: Payload) -> protocol.Content:
        """Where the server finds the payload."""
        if isinstance(payload, bytes) and len(payload) <= protocol.SEGMENT_BYTES_MAX:
            self.segments.append(payload)
            return {"segment": len(self.segments) - 1}
        name = f"answer-{self._files}"
        self._files += 1
        os.makedirs(self._folder, exist_ok=True)
        path = os.path.join(self._folder, name)
        if isinstance(payload, bytes):
            with open(path, "wb") as file:
                file.write(payload)
        else:
            shutil.copyfile(payload, path)
        return {"file": name}
