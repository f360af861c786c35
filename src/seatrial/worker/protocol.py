"""The pipe between the server and a worker process, all of it.

A frame is a 4-byte big-endian header length, a UTF-8 JSON header, then raw segments. The header has `type` and,
where payloads follow, `segments`: their sizes in bytes, in order. The transport is a stream socket pair; the
worker's stdin, stdout and stderr stay the user's. `docs/reference/pipe-protocol.md` tells the same in prose.

server -> worker                      worker -> server
    load   once, first                    loading      the process is up and imports the user's code
    work   any number, also ahead         loaded       the model is loaded            } one of the two
                                          load_failed  it did not, the process leaves }
                                          begun        the handler begins with this work
                                          done         it returned                    } one of the two,
                                          failed       it raised                      } in the order given (one slot)
                                          listens      the handler heeds what is asked of it; once, at any time
                                          told         what the handler tells of its work; between begun and done
                                          slots        how many works it takes at once from now on; at any time

Closing the socket tells the worker to leave. A frame outside of these rules ends the worker.

Work is withdrawn without a frame: beside the socket there is a pipe of permits, one PERMIT record for each piece of
work, written before the work is sent. The worker begins a piece of work only if it takes its permit out of the pipe;
the server takes the permits of what it wants back. Of the two the kernel lets only one have it.

To stop work that has begun, the handler is asked through one more pipe: a PERMIT record with the number of the work.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, TypedDict  # noqa: UP035  (Python 3.9)

KIB = 1024
MIB = 1024 * KIB

HEADER_BYTES_MAX = 1 * MIB
SEGMENT_BYTES_MAX = 1 * MIB  # longer payloads travel as files
SEGMENTS_MAX = 128
PARTS_MAX = 100  # parts of one answer, beside its body
MESSAGE_CHARS_MAX = 4_000
TRACEBACK_CHARS_MAX = 8_000
THREADS_NAMED_MAX = 20
DETAILS_CHARS_MAX = 64_000  # of all entries of a failure's details together
NAME_CHARS_MAX = 255  # of a part, a media type, an error type, an entry of the details
RECEIVE_BYTES = 256 * KIB  # asked of the socket at once
DESCRIPTOR_MIN = 200  # of the worker's ends: out of the way of descriptors that user code counts on
SLOTS_MAX = 64  # works at once in one process
PERMIT = struct.Struct("=I")  # the number of a piece of work

SERVER_LOST_EXIT_CODE = 96  # of a worker whose package's own server left a request without an answer
LINK_LOST_EXIT_CODE = 98  # of a worker whose handler has closed what it did not open

LOAD = "load"
WORK = "work"
LOADING = "loading"
LOADED = "loaded"
LOAD_FAILED = "load_failed"
BEGUN = "begun"
DONE = "done"
FAILED = "failed"
LISTENS = "listens"
TOLD = "told"
SLOTS = "slots"

CHUNK = "chunk"  # the next one of a stream
PROGRESS = "progress"  # how far the work is

# A line of output that starts the output of a job: MARK + nonce + " " + job id. An empty id: of no job.
MARK = b"\x1e\x02"


class Content(TypedDict, total=False):
    """Where bytes are: a segment of this frame, or a file. Exactly one key is set."""

    segment: int
    path: str  # to the worker: absolute
    file: str  # from the worker: a name in the folder of the job


class Program(TypedDict):
    """The server of a package of the layout "http": how it is started, and what of the network it has."""

    command: List[str]  # noqa: UP006
    model: str  # the folder of the package, as the server sees it
    port: Optional[int]  # noqa: UP045  where it listens if it cannot be told
    network: Optional[str]  # noqa: UP045  what the package asks for: "own" or "host"
    own_network: bool  # what it has
    slots: int  # requests at once
    follow: Optional[str]  # noqa: UP045  the variable whose value its processes have, where they leave the session
    answer_bytes_max: int


class Load(TypedDict):
    """What to load. `package`, `scratch` are folders as the worker sees them; `nonce` is for MARK lines."""

    type: str
    endpoint_name: str
    layout: str
    package: str
    scratch: str
    nonce: str
    handler: Optional[str]  # noqa: UP045
    task_methods: Dict[str, str]  # noqa: UP006
    memory_bytes_max: Optional[int]  # noqa: UP045
    memory_growth_bytes_max: Optional[int]  # noqa: UP045
    layers: List[str]  # noqa: UP006  where layers are found, those that go before first
    device: Optional[str]  # noqa: UP045  "cuda": the model must be on one
    load_timeout_seconds: float
    program: Optional[Program]  # noqa: UP045


class Told(TypedDict):
    """What a handler tells while it works: `what` is CHUNK or PROGRESS, the one segment is JSON."""

    type: str
    token: str
    what: str


class Work(TypedDict):
    """One piece of work. `folder` is for its files, made by whoever puts the first one there.

    `number` counts the works of this worker from 1. `body` is the request as it came; `fields` is a JSON object.
    `media` adds fields of bytes, which `media_forms` gives to the handler as "path", "bytes" or "base64".
    """

    type: str
    number: int
    token: str
    job_id: str
    folder: str
    timeout_ms: int
    task: Optional[str]  # noqa: UP045
    media_type: str
    accept: str
    attributes: Dict[str, str]  # noqa: UP006
    body: Content
    fields: Content
    media: Dict[str, Content]  # noqa: UP006
    media_forms: Dict[str, str]  # noqa: UP006


class Loading(TypedDict):
    """The process runs."""

    type: str


class Loaded(TypedDict):
    """The model is loaded; `memory` is what the process has resident, in bytes, and `memory_peak` the most it had.

    `device_used`: whether a GPU holds something of the model; None: nothing of a model is to be seen yet.
    """

    type: str
    memory: int
    memory_peak: int
    device: str
    device_used: Optional[bool]  # noqa: UP045
    device_memory: int
    device_evidence: str
    python: str
    slots: int  # works at once


class Listens(TypedDict):
    """The handler looks at `context.cancelled`, or has a hook: it is asked to stop before it is made to."""

    type: str


class Slots(TypedDict):
    """The handler takes another number of works at once than was told so far."""

    type: str
    slots: int


class Begun(TypedDict):
    """The handler begins: the timeout counts from here. `at_ms` is since the machine was started."""

    type: str
    token: str
    at_ms: int


class _After(TypedDict, total=False):
    """What is said of the process after a job. Memory in bytes: resident now, its peak during the job, and torch's.

    `threads`: those that the work left behind; `children`: it also left processes.
    `unfit`: why the process does no more work; it leaves.
    """

    memory: int
    memory_peak: int
    device_peak: int
    threads: List[str]  # noqa: UP006
    children: bool
    unfit: str


class Done(_After):
    """The handler returned."""

    type: str
    token: str
    media_type: str
    body: Content
    parts: Dict[str, Content]  # noqa: UP006
    handler_ms: float


class Failed(_After):
    """The handler (no `token`: the loading) raised, or returned what cannot be sent.

    `details` has the exception's class, the traceback's last lines, and `field` and `valid` where the exception
    names them.
    """

    type: str
    token: Optional[str]  # noqa: UP045
    error_type: str
    message: str
    details: Dict[str, Any]  # noqa: UP006


Header = Mapping[str, Any]
Frame = Tuple[Dict[str, Any], List[bytes]]  # noqa: UP006

_LENGTH = struct.Struct(">I")
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Malformed(Exception):
    """What came over the socket is not a frame of this protocol."""


def encode(header: Header, segments: Sequence[bytes] = ()) -> bytes:
    """One frame."""
    if segments:
        header = dict(header, segments=[len(one) for one in segments])
    text = _json(header).encode("utf-8", "replace")  # half a character, from user code
    return b"".join((_LENGTH.pack(len(text)), text, *segments))


class Decoder:
    """Turns received bytes into frames, within the limits."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fault: Optional[Malformed] = None  # noqa: UP045  (Python 3.9)
        self._needed = _LENGTH.size

    def feed(self, data: bytes) -> List[Frame]:  # noqa: UP006
        """Every frame that is whole now; what is wrong after some that are right is told by the next call.

        Raises:
            Malformed: too long, not JSON, or not a header.
        """
        if self._fault is not None:
            raise self._fault
        self._buffer += data
        frames: List[Frame] = []  # noqa: UP006
        try:
            self._cut(frames)
        except Malformed as fault:
            if not frames:
                raise
            self._fault = fault
        return frames

    def _cut(self, frames: List[Frame]) -> None:  # noqa: UP006
        buffer = self._buffer
        start = 0
        while len(buffer) - start >= self._needed:
            body = start + _LENGTH.size + _header_length(buffer, start)
            if len(buffer) < body:
                self._needed = body - start
                break
            header = _header(bytes(buffer[start + _LENGTH.size : body]))
            sizes = header.get("segments", [])
            end = body + sum(sizes)
            if len(buffer) < end:
                self._needed = end - start
                break
            segments = []
            for size in sizes:
                segments.append(bytes(buffer[body : body + size]))
                body += size
            frames.append((header, segments))
            start = end
            self._needed = _LENGTH.size
        del buffer[:start]


def _header_length(buffer: bytearray, start: int) -> int:
    length: int = _LENGTH.unpack_from(buffer, start)[0]
    if length > HEADER_BYTES_MAX:
        raise Malformed(f"a header of {length} bytes; at most {HEADER_BYTES_MAX} are allowed")
    return length


def _header(text: bytes) -> Dict[str, Any]:  # noqa: UP006
    try:
        header = json.loads(text)
    except ValueError as error:
        raise Malformed(f"a header that is not JSON: {error}") from error
    except RecursionError as error:
        raise Malformed("a header that is nested too deeply") from error
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise Malformed("a header that is not an object with a type")
    sizes = header.get("segments", [])
    if not isinstance(sizes, list) or len(sizes) > SEGMENTS_MAX or not all(map(_is_size, sizes)):
        raise Malformed(f"segments that are not at most {SEGMENTS_MAX} sizes up to {SEGMENT_BYTES_MAX} bytes")
    return header


def _is_size(size: object) -> bool:
    return type(size) is int and 0 <= size <= SEGMENT_BYTES_MAX
