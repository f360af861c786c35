"""Is an ONNX model whole, and are the files there in which it keeps its big tensors?

Format: onnx/onnx `onnx.proto` (ModelProto, GraphProto, TensorProto) in the protocol-buffers wire format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from seatrial.domain.limits import WEIGHTS_TENSORS_MAX
from seatrial.package.finding import Finding
from seatrial.package.listing import ListedFile
from seatrial.package.stored import NotHeld, StoredFile

ID = "onnx"
REMEDY = "Export or copy the model again: compare its size with the source's."
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
MODEL_IR_VERSION, MODEL_GRAPH, MODEL_OPSETS = 1, 7, 8
GRAPH_INITIALIZER = 5
TENSOR_EXTERNAL_DATA = 13
ENTRY_KEY, ENTRY_VALUE = 1, 2
TEXT_BYTES_MAX = 4_096


class _Damaged(Exception):
    pass


def wants(file: StoredFile) -> bool:
    """By its name."""
    return file.suffix == ".onnx" and file.size_bytes > 0


def check(file: StoredFile) -> Iterator[Finding]:
    """At most one error about the file itself."""
    try:
        seen = {number for number, _, _ in _fields(file, 0, file.size_bytes)}
        fault = None if MODEL_GRAPH in seen else "it holds no graph"
        if MODEL_IR_VERSION not in seen and MODEL_OPSETS not in seen:
            fault = "it is no model of any ONNX version"
    except _Damaged as error:
        fault = str(error)
    except NotHeld:
        fault = None
    if fault:
        yield Finding(ID, "error", f"{file.name} is no whole ONNX model: {fault}.", REMEDY, file.name)


def check_external_data(files: Iterable[ListedFile]) -> Iterator[Finding]:
    """One error for each file that a model of the package names and the package does not hold."""
    for file in files:
        if not file.name.endswith(".onnx"):
            continue
        name, path = file.name, file.path
        with path.open("rb") as body:
            try:
                places = sorted(set(_places(StoredFile(name, file.size_bytes, body))))
            except _Damaged:
                continue  # the model's own check says so
        for place in places:
            if not (path.parent / place).exists():
                there = (PurePosixPath(name).parent / place).as_posix()
                message = f"{name} keeps tensors in {place!r}, and the package has no {there}."
                yield Finding(ID, "error", message, "Add the file beside the model; both belong together.", name)


def _places(model: StoredFile) -> Iterator[str]:
    """The location of every tensor that is kept outside."""
    for number, start, end in _fields(model, 0, model.size_bytes):
        if number == MODEL_GRAPH:
            for inner, tensor_start, tensor_end in _fields(model, start, end):
                if inner == GRAPH_INITIALIZER:
                    yield from _external(model, tensor_start, tensor_end)


def _external(model: StoredFile, start: int, end: int) -> Iterator[str]:
    for number, entry_start, entry_end in _fields(model, start, end):
        if number == TENSOR_EXTERNAL_DATA:
            pair = {key: (low, high) for key, low, high in _fields(model, entry_start, entry_end)}
            if ENTRY_KEY in pair and ENTRY_VALUE in pair and _text(model, pair[ENTRY_KEY]) == "location":
                yield _text(model, pair[ENTRY_VALUE])


def _text(model: StoredFile, place: tuple[int, int]) -> str:
    start, end = place
    return model.at(start, min(end - start, TEXT_BYTES_MAX)).decode("utf-8", "replace")


def _fields(file: StoredFile, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, first byte and end of every field of the message at [start, end); the contents are not read."""
    position = start
    for _ in range(WEIGHTS_TENSORS_MAX):
        if position >= end:
            return
        tag, position = _varint(file, position)
        number, kind = tag >> 3, tag & 7
        size = 0
        if kind == VARINT:
            _, position = _varint(file, position)
        elif kind == LENGTH:
            size, position = _varint(file, position)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise _Damaged(f"the bytes at {position} are no field")
        if number == 0 or position + size > end:
            raise _Damaged(f"a field at byte {position} needs {size} bytes, and the file ends at {end}")
        yield number, position, position + size
        position += size


def _varint(file: StoredFile, position: int) -> tuple[int, int]:
    """A base-128 number, and where it ends."""
    value = 0
    for index, byte in enumerate(file.at(position, 10)):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise _Damaged(f"the bytes at {position} are no number: it is cut off")
