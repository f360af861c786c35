"""What would run when a pickle is loaded? And does it end where a pickle ends?

The operations are read with the standard library's `pickletools` and never performed; what they import is judged by
picklescan's lists. Pickles of several kinds are looked into: plain, compressed (joblib), inside `torch.save`'s zip and
inside `.npy` and `.npz` arrays of objects.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, cast

from seatrial.domain.limits import NAMES_SHOWN_MAX, PICKLE_ARGUMENT_BYTES_MAX, PICKLE_OPCODES_MAX
from seatrial.package.finding import Finding
from seatrial.package.stored import NotHeld, StoredFile

ID = "pickles"
SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".bin", ".ckpt", ".npy", ".npz")
ALWAYS_PICKLES = (".pkl", ".pickle", ".dill")
REMEDY = (
    "Load it only if you made it yourself; better, save the weights as safetensors, ONNX or plain arrays, which run "
    "nothing."
)
CUT_OFF = "Write the pickle again, or copy the file again: compare its size with the source's."
COMPRESSED: tuple[tuple[bytes, Callable[[IO[bytes]], IO[bytes]]], ...] = (
    (b"\x1f\x8b", lambda body: cast(IO[bytes], gzip.GzipFile(fileobj=body))),
    (b"BZh", lambda body: cast(IO[bytes], bz2.BZ2File(body))),
    (b"\xfd7zXZ\x00", lambda body: cast(IO[bytes], lzma.LZMAFile(body))),  # noqa: SIM115  # as long as the body is
)
ZLIB_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
TORCH_OBJECT = "/data.pkl"  # what torch.save keeps of an object, beside its tensors' bytes
TORCH_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_LEGACY_PICKLES = 5  # magic, protocol, system, the object, keys of its storages; raw bytes follow
UNKNOWN = "unknown"  # a name that is only made while the pickle is loaded
UNREADABLE = (
    ValueError,
    EOFError,
    OSError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
INFLATED_BYTES_MAX = 64 * 1024 * 1024


@dataclass(slots=True)
class _Read:
    """What was read of one pickle."""

    imports: set[tuple[str, str]] = field(default_factory=set)
    broken: str | None = None
    unread: bool = False
    first: Any = None


def wants(file: StoredFile) -> bool:
    """By its name."""
    return file.suffix in SUFFIXES and file.size_bytes > 0


def check(file: StoredFile) -> Iterator[Finding]:
    """A warning with the dangerous imports, an error for one that breaks off."""
    for place, stream in _pickles(file):
        found = _read(stream)
        where = f"{file.name}{place}"
        dangerous = _dangerous(found.imports)
        if dangerous:
            told = ", ".join(dangerous[:NAMES_SHOWN_MAX])
            yield Finding(ID, "warning", f"{where} is a pickle that calls {told} when it is loaded.", REMEDY, file.name)
        is_pickle = file.suffix in ALWAYS_PICKLES or place.endswith(TORCH_OBJECT)
        if found.broken and is_pickle and not _has_raw_arrays(found):
            yield Finding(ID, "error", f"{where} is no whole pickle: {found.broken}.", CUT_OFF, file.name)
        if found.unread:
            message = f"{where} is a pickle too long to be judged whole; its beginning is harmless."
            if not dangerous:
                yield Finding(ID, "warning", message, REMEDY, file.name)


def _pickles(file: StoredFile) -> Iterator[tuple[str, IO[bytes]]]:
    """Every pickle in the file, with its place in it."""
    head = file.at(0, 10)
    if head.startswith(b"PK\x03\x04"):
        yield from _zipped(file)
    elif head.startswith(b"\x93NUMPY"):
        yield from _array_of_objects(file)
    elif file.suffix in (".npy", ".npz"):
        return
    elif file.suffix in ALWAYS_PICKLES or _begins_as_pickle(head) or _is_compressed(head):
        file.body.seek(0)
        yield "", _inflated(file.body, head)


def _begins_as_pickle(head: bytes) -> bool:
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _is_compressed(head: bytes) -> bool:
    return head.startswith((*(magic for magic, _ in COMPRESSED), *ZLIB_HEADS))


def _inflated(body: IO[bytes], head: bytes) -> IO[bytes]:
    for magic, reader in COMPRESSED:
        if head.startswith(magic):
            return reader(body)
    if head.startswith(ZLIB_HEADS):
        packed = body.read(INFLATED_BYTES_MAX)
        return io.BytesIO(zlib.decompressobj().decompress(packed, INFLATED_BYTES_MAX))
    return body


def _zipped(file: StoredFile) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        with zipfile.ZipFile(file.body) as archive:
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    with archive.open(name) as inner:
                        yield f"!{name}", inner
                elif name.endswith(".npy"):
                    with archive.open(name) as inner:
                        yield from _array_of_objects(StoredFile(name, archive.getinfo(name).file_size, inner), "!")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, zlib.error, NotHeld):
        return  # whether it is whole is said by the check of its own format


def _array_of_objects(file: StoredFile, mark: str = "") -> Iterator[tuple[str, IO[bytes]]]:
    file.body.seek(0)
    start = file.body.read(8)
    length = int.from_bytes(file.body.read(2 if start[6:7] == b"\x01" else 4), "little")
    if b"'|O'" in file.body.read(min(length, 64 * 1024)):
        yield (f"{mark}{file.name}" if mark else ""), file.body


def _read(stream: IO[bytes]) -> _Read:
    """The imports of the pickles that stand one behind another in the stream."""
    found = _Read()
    source = _Source(stream)
    pickles = 0
    budget = PICKLE_OPCODES_MAX
    try:
        while budget > 0:
            budget -= _one_pickle(source, found, budget)
            pickles += 1
            if found.first == TORCH_LEGACY_MAGIC and pickles == TORCH_LEGACY_PICKLES:
                return found
            if source.at_end():
                return found
        found.unread = True
    except NotHeld:
        found.unread = True
    except UNREADABLE as error:
        if pickles == 0:
            found.broken = str(error) or "it breaks off"
    return found


class _Source:
    """What pickletools reads from: long arguments are stepped over, not kept."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._ahead = b""

    def read(self, size: int) -> bytes:
        ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        if size <= PICKLE_ARGUMENT_BYTES_MAX:
            return ahead + self._stream.read(size - len(ahead))
        return _Unread(len(ahead) + self._step_over(size - len(ahead)))

    def readline(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        return ahead if ahead.endswith(b"\n") else ahead + self._stream.readline(PICKLE_ARGUMENT_BYTES_MAX)

    def at_end(self) -> bool:
        self._ahead = self._ahead or self._stream.read(1)
        return not self._ahead

    def _step_over(self, size: int) -> int:
        """How many bytes were there."""
        if isinstance(self._stream, _RANDOM):  # elsewhere seeking is reading
            before = self._stream.tell()
            end = self._stream.seek(0, io.SEEK_END)
            return self._stream.seek(min(before + size, end)) - before
        there = 0
        while there < size and (chunk := self._stream.read(min(size - there, PICKLE_ARGUMENT_BYTES_MAX))):
            there += len(chunk)
        return there


_RANDOM = (io.BytesIO, io.BufferedReader, io.RawIOBase)


class _Unread(bytes):
    """Bytes that were stepped over, of which only the number is known."""

    _size: int

    def __new__(cls, size: int) -> _Unread:
        made = super().__new__(cls)
        made._size = size
        return made

    def __len__(self) -> int:
        return self._size


def _one_pickle(source: _Source, found: _Read, budget: int) -> int:
    """Note what one pickle imports; how many operations it has."""
    texts: deque[str] = deque(maxlen=2)  # the newest values on the stack, as far as they are texts
    memo: dict[int, str] = {}
    count = memoized = 0
    argument: Any
    for opcode, argument, _ in pickletools.genops(source):  # type: ignore[arg-type]  # it only reads
        count += 1
        name = opcode.name
        if found.first is None and name.startswith("LONG"):
            found.first = argument
        if name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            if texts:
                memo[memoized if argument is None else int(argument)] = texts[-1]
            memoized += 1
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            texts.append(memo.get(int(argument), UNKNOWN))
        elif "UNICODE" in name or "STRING" in name:
            texts.append(argument if isinstance(argument, str) else UNKNOWN)
        elif name != "FRAME":
            if name in ("GLOBAL", "INST"):
                module, _, attribute = argument.partition(" ")
                found.imports.add((module, attribute))
            elif name == "STACK_GLOBAL":
                found.imports.add((texts[0], texts[1]) if len(texts) == 2 else (UNKNOWN, UNKNOWN))
            texts.clear()
        if count >= budget:
            break
    return count


def _dangerous(imports: set[tuple[str, str]]) -> list[str]:
    """Those that picklescan's lists call dangerous, by name.

    It reads a small pickle made of these imports alone, through its public function.
    """
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes  # type: ignore[import-untyped]  # noqa: PLC0415

    made = b"".join(f"c{module}\n{name}\n0".encode("utf-8", "replace") for module, name in sorted(imports))
    judged = scan_pickle_bytes(io.BytesIO(made + b"N."), "")
    return sorted(f"{one.module}.{one.name}" for one in judged.globals if one.safety is SafetyLevel.Dangerous)


def _has_raw_arrays(found: _Read) -> bool:
    """joblib writes arrays between the operations, where no reader of pickles can follow."""
    return any(module.startswith("joblib.") for module, _ in found.imports)
