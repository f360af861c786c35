"""The shape of a contract file: the words of seatrial.toml, so that such a file is one too, and a table [verify]."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from seatrial.prove.limits import INFERENCE_SECONDS_DEFAULT, TOLERANCE_DEFAULT
from seatrial.prove.request import Source

Text = Annotated[str, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
TaskName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$")]  # "": it has none
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


SLIP_LIKENESS_MIN = 0.85  # difflib's ratio: of keys that exist, none are as like


class Table(BaseModel):
    """A table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Loose(BaseModel):
    """A table of which only these keys matter here; the others are for the server that runs the package.

    One that is almost a key of these is a slip of the pen: let pass, it would leave a budget, say, unlooked at.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_slips(cls, told: Any) -> Any:
        known = list(cls.model_fields)
        for key in told if isinstance(told, dict) else ():
            meant = get_close_matches(str(key), known, 1, SLIP_LIKENESS_MIN) if key not in known else []
            if meant:
                raise PydanticCustomError(
                    "slip",
                    "{key}: is no key of this table; did you mean {meant}?",
                    {"key": repr(key), "meant": repr(meant[0])},
                )
        return told


class FieldTable(Loose):
    """`[tasks.NAME.input.FIELD]`: what sending a file takes."""

    type: str = "string"
    sources: list[Source] = []
    key_field: Text | None = None
    bucket_field: Text | None = None


class PartTable(Table):
    """`[tasks.NAME.output.parts.PART]`."""

    media_type: Text
    required: bool = True
    checked: str | dict[str, Any] | None = Field(None, alias="validate")


class OutputTable(Table):
    """`[tasks.NAME.output]`. `validate` is a profile's name, a file, or its table."""

    media_type: Text | None = None
    answer: str | dict[str, Any] | None = Field(None, alias="schema")
    parts: dict[str, PartTable] = {}
    soft_failures: bool = True
    varying: list[Text] = []
    tolerance: Annotated[float, Field(ge=0, lt=1)] = TOLERANCE_DEFAULT
    urls_seconds: int | None = None  # of the server that publishes: nothing to be looked at
    checked: str | dict[str, Any] | None = Field(None, alias="validate")


class SampleTable(Table):
    """One `[[tasks.NAME.samples]]`. `input` is a file or the request itself, as a table."""

    name: Name | None = None
    input: str | dict[str, Any] | list[Any] | None = None
    files: dict[str, Text] = {}
    media_type: Text = "application/json"
    expect: str | dict[str, Any] | None = None


class TaskTable(Loose):
    """`[tasks.NAME]`."""

    aliases: list[Text] = []
    input: dict[str, FieldTable] = {}
    output: OutputTable = OutputTable()
    samples: list[SampleTable] = []
    latency_seconds_max: Seconds | None = None
    timeout_seconds: Seconds = INFERENCE_SECONDS_DEFAULT
    exclusive: bool = False


class PackageTable(Loose):
    """`[package]`."""

    name: str = ""
    task_field: Text | None = None


class AutoscalingTable(Table):
    """`[verify.autoscaling]`."""

    minimum: Count | None = None
    maximum: Count | None = None


class VerifyTable(Table):
    """`[verify]`: what is held against the deployment as a whole."""

    cold_start_seconds: Seconds | None = None
    load_log_patterns: list[Text] = []
    critical_log_patterns: list[Text] = []
    autoscaling: AutoscalingTable | None = None


class WorkerTable(Loose):
    """`[worker]`: the words that a deployment's contract shares with its package."""

    cold_start_seconds: Seconds | None = None
    load_log_patterns: list[Text] = []


class ContractTable(Table):
    """A whole file. The tables of seatrial.toml that only its server reads are let pass."""

    package: PackageTable = PackageTable()
    worker: WorkerTable = WorkerTable()
    verify: VerifyTable = VerifyTable()
    tasks: dict[TaskName, TaskTable] = {}
    env: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    weights: list[Any] = []
    endpoint: dict[str, Any] = {}
    scaling: dict[str, Any] = {}
    task_field: Text | None = None
