"""What a deployment takes and returns, as a stranger knows it: tasks with samples, budgets and what answers must be.

`contract_file.py` reads one from a file; a Seatrial endpoint tells its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.prove.limits import COLD_START_SECONDS_DEFAULT, INFERENCE_SECONDS_DEFAULT, TOLERANCE_DEFAULT
from seatrial.prove.request import Request, SentFile
from seatrial.prove.validate import DEFAULT, Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPart:
    """A further object of an answer: an object of its own, or a field of the JSON answer with base64 or a data URL."""

    media_type: str
    required: bool = True
    profile: Profile = DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a task returns; the words are those of `[tasks.NAME.output]` in seatrial.toml."""

    media_type: str | None = None  # None: not looked at
    schema: Mapping[str, Any] | None = None  # of a JSON answer
    parts: Mapping[str, OutputPart] = field(default_factory=dict)
    soft_failures: bool = True
    varying: tuple[str, ...] = ()
    tolerance: float = TOLERANCE_DEFAULT
    profile: Profile = DEFAULT  # thresholds for what is decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request that proves a task. `input` is a JSON value or bytes; `expect` a JSON Schema of its answer."""

    name: str
    input: Any = field(default_factory=dict)
    files: tuple[SentFile, ...] = ()
    media_type: str = "application/json"
    expect: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A named operation of the deployment, with the samples that prove it."""

    name: str
    aliases: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    output: Output = field(default_factory=Output)
    media_fields: tuple[str, ...] = ()
    latency_seconds_max: float | None = None
    timeout_seconds: float = INFERENCE_SECONDS_DEFAULT
    exclusive: bool = False  # runs alone on its device, such as training


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """What is declared to be registered; None: not looked at."""

    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """All that a stranger holds a deployment to. `task_field` None: a request's body does not say its task."""

    name: str = ""
    tasks: tuple[Task, ...] = ()
    task_field: str | None = None
    cold_start_seconds: float = COLD_START_SECONDS_DEFAULT
    load_log_patterns: tuple[str, ...] = ()  # regular expressions; empty: the usual words
    critical_log_patterns: tuple[str, ...] = ()
    autoscaling: Autoscaling | None = None

    def task(self, name: str) -> Task | None:
        """The task of that name or alias."""
        return next((one for one in self.tasks if name == one.name or name in one.aliases), None)

    def samples(self) -> Iterator[tuple[Task, Sample]]:
        """Every sample with its task, in the order of the contract."""
        return ((task, sample) for task in self.tasks for sample in task.samples)

    def request(self, task: Task, sample: Sample, name: str | None = None) -> Request:
        """The request of a sample. `name`: an alias to ask for the task by."""
        return Request(
            input=sample.input,
            files=sample.files,
            task=name or task.name or None,
            task_field=self.task_field,
            media_type=sample.media_type,
            label=f"{task.name}-{sample.name}".strip("-"),
            timeout_seconds=task.timeout_seconds,
        )
