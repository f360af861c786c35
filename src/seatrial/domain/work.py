"""What passes between the engine and a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from seatrial.domain.failures import Failure
from seatrial.domain.limits import CANCEL_GRACE_SECONDS_DEFAULT
from seatrial.domain.memory import MemoryUse

FIELD_LAYOUTS = frozenset({"python", "cog"})  # whose handlers take fields; all others take a body


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image that this machine's engine holds: `engine` is the program with its options, `options` are for `run`."""

    engine: tuple[str, ...]
    options: tuple[str, ...]
    id: str


@dataclass(frozen=True, slots=True)
class Program:
    """The server of a package of the layout "http".

    `command` is run in the package's folder. `network`: "own", a loopback that nobody else sees; "host", that of this
    machine; None: its own where the system allows one. `port` is where it listens if it cannot be told. `slots`: how
    many requests it takes at once.
    """

    command: tuple[str, ...]
    network: str | None = None
    port: int | None = None
    slots: int = 1
    image: ContainerImage | None = None  # then the command is what its entry point is given


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything that a worker process needs to start. Paths are absolute; `env` holds no server secrets.

    `layout` is "sagemaker", "python" or (later parts) another; `handler` is "module:attribute" for "python" and
    None for "sagemaker". `contract_methods` maps a task to the method that serves it.
    """

    endpoint_name: str
    version_id: str
    layout: str
    package: Path  # the unpacked package, read-only
    python: Path  # the interpreter of its environment
    scratch: Path  # this worker's own folder; removed when it is gone
    env: Mapping[str, str]
    handler: str | None = None
    task_methods: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # variable -> value; redacted everywhere
    weights: Mapping[str, Path] = field(default_factory=dict)  # path inside the package -> read-only content
    layers: tuple[Path, ...] = ()  # folders of the package whose contents are found at /opt, the first one lowest
    load_timeout_seconds: float = 600.0
    cancel_grace_seconds: float = float(CANCEL_GRACE_SECONDS_DEFAULT)
    memory_bytes_max: int | None = None  # of the process and its descendants together; beyond it they are killed
    memory_growth_bytes_max: int | None = None  # since the loading; beyond it the worker is replaced after its job
    device: str | None = None  # "cuda": a model that is not on one has not loaded
    program: Program | None = None  # of the layout "http"
    remains: Path | None = None  # while this folder is there, scratch and failed answers are moved into it, not removed


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is loaded. Memory in bytes; `device` is such as "cpu" or "cuda:0".

    `device_used`: whether a GPU holds something of the model; None: nothing of a model is to be seen yet.
    `device_evidence` says in words how that is known. `log` is what the process printed until then, redacted, its last
    LOAD_LOG_BYTES_MAX bytes.
    """

    pid: int
    seconds: float
    memory_bytes: int
    python_version: str
    device: str = "cpu"
    device_used: bool | None = None
    device_bytes: int = 0
    device_evidence: str = ""
    memory_peak_bytes: int = 0
    log: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Work:
    """One job for a worker process.

    Undeclared contract or "sagemaker" layout: `body`, with its media type. FIELD_LAYOUTS: `fields`, JSON-able
    values, with media fields in `media`: name -> bytes or a local file, as the handler wants them (`media_forms`
    maps each to "path", "bytes" or "base64"). A body beyond BODY_IN_MEMORY_BYTES_MAX is a file in the worker's scratch
    folder; so is every media field of the form "path".
    """

    token: str
    job_id: str
    timeout_ms: int
    task: str | None = None
    body: bytes | Path = b""
    media_type: str = "application/json"
    accept: str = "*/*"
    attributes: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    media: Mapping[str, bytes | Path] = field(default_factory=dict)
    media_forms: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_files(self) -> bool:
        """True when some of it lies in files of its own."""
        return isinstance(self.body, Path) or any(isinstance(one, Path) for one in self.media.values())


class MemoryReading(NamedTuple):
    """Resident bytes of a worker after an answer; `kept`: nothing of them is held without use."""

    memory_bytes: int
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Produced:
    """What a handler returned. `parts` are the answer's bytes or files outside of the JSON: name -> content."""

    body: bytes | Path
    media_type: str
    parts: Mapping[str, bytes | Path] = field(default_factory=dict)
    handler_ms: float = 0.0
    reading: MemoryReading | None = None
    memory: MemoryUse | None = None


class HandlerFailed(Exception):
    """The handler raised, or returned what cannot be sent. The worker lives on."""

    def __init__(self, failure: Failure, memory: MemoryUse | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.memory = memory


class LoadFailed(Exception):
    """The model did not load; `failure.details["traceback"]` has the last lines."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Withdrawn(Exception):
    """The work was taken back before the handler began with it; it never will."""


class WorkerDied(Exception):
    """The process went away while it held the work.

    `by_us` when we ended it; `begun` when this piece of work had started in the process.
    """

    def __init__(self, failure: Failure, *, begun: bool, by_us: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.begun = begun
        self.by_us = by_us


class WorkTimedOut(Exception):
    """The work ran longer than its timeout, and nothing of it runs any more.

    `process_gone`: so is the process, every descendant seen gone; else the handler stopped when it was asked to.
    """

    def __init__(self, message: str, *, process_gone: bool = True) -> None:
        super().__init__(message)
        self.process_gone = process_gone
