"""Contracts from TOML and JSON files, and the first one to begin with."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seatrial.prove.contract import Autoscaling, Contract, Output, OutputPart, Sample, Task
from seatrial.prove.contract_tables import ContractTable, FieldTable, OutputTable, SampleTable, TaskTable
from seatrial.prove.limits import COLD_START_SECONDS_DEFAULT, CONTRACT_BYTES_MAX, SAMPLE_BYTES_MAX
from seatrial.prove.request import SentFile
from seatrial.prove.validate import PROFILES, BadProfile, Profile, load_schema, profile_from, read_profile_table

JSON = "application/json"
TEMPLATE = """\
# What a stranger holds the deployment to. The words are those of seatrial.toml; see docs/reference/verify.md.
# Files are named relative to this one.

[package]
task_field = "task"              # the request's field that names the task; leave it out where requests have none

[verify]
cold_start_seconds = 900         # that the first answer may take while no worker is there
# load_log_patterns = ["model loaded"]        # regular expressions, each of which the log must show
# critical_log_patterns = ["out of memory"]   # none of which it may show

# [verify.autoscaling]           # that it has to be configured
# minimum = 0
# maximum = 4

[tasks.get_embedding]
latency_seconds_max = 10

[tasks.get_embedding.input.image]
type = "image"
sources = ["base64"]             # how the handler takes it: base64, data_url, uri (s3://…), key, raw
# key_field = "image_s3_key"     # with sources = ["key"]: the field with the object's key
# bucket_field = "bucket"

[tasks.get_embedding.output]
media_type = "application/json"
schema = { type = "object", required = ["embedding"] }

[[tasks.get_embedding.samples]]
name = "first"
input = { session_id = "verify" }           # or a file: input = "samples/first.json"
# files = { image = "samples/first.png" }
"""


class BadContract(Exception):
    """A contract cannot be used; the message says where and what would be valid."""


def load_contract(path: Path) -> Contract:
    """The contract of a TOML or JSON file; a package's seatrial.toml is one.

    Raises:
        BadContract: unreadable, an unknown key, a value that cannot be, or a file that is not there.
    """
    data = _bytes(path, CONTRACT_BYTES_MAX, str(path))
    try:
        told = json.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise BadContract(f"{path} is no {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from None
    return contract_of(told, path.parent, str(path))


def contract_of(told: Any, folder: Path | None, where: str) -> Contract:
    """The contract that such a document holds. Its files are relative to `folder`; None: it may name none.

    Raises:
        BadContract: as `load_contract`; `where` begins every message.
    """
    try:
        table = ContractTable.model_validate(told)
    except ValidationError as error:
        raise BadContract(f"{where}: {_problem(error)}") from None
    reader = _Reader(folder, where)
    tasks = tuple(reader.task(name, one) for name, one in table.tasks.items())
    named = table.task_field or table.package.task_field
    verify, worker = table.verify, table.worker
    cold = verify.cold_start_seconds or worker.cold_start_seconds or COLD_START_SECONDS_DEFAULT
    loading, scaling = verify.load_log_patterns or worker.load_log_patterns, verify.autoscaling
    return Contract(
        name=table.package.name,
        tasks=tasks,
        task_field=named or ("task" if len(tasks) > 1 else None),
        cold_start_seconds=cold,
        load_log_patterns=_patterns(loading, f"{where}: load_log_patterns"),
        critical_log_patterns=_patterns(verify.critical_log_patterns, f"{where}: verify.critical_log_patterns"),
        autoscaling=None if scaling is None else Autoscaling(minimum=scaling.minimum, maximum=scaling.maximum),
    )


class _Reader:
    """Brings what a contract names: files, schemas, profiles."""

    def __init__(self, folder: Path | None, where: str) -> None:
        self._folder = folder
        self._where = where

    def task(self, name: str, table: TaskTable) -> Task:
        where = f"tasks.{name}"
        samples: list[Sample] = []
        for number, one in enumerate(table.samples, start=1):
            sample = self._sample(one, number, table.input, f"{where}.samples[{number}]")
            if any(sample.name == other.name for other in samples):
                raise BadContract(f"{self._where}: {where}.samples[{number}].name: {sample.name!r} comes twice")
            samples.append(sample)
        return Task(
            name=name,
            aliases=tuple(table.aliases),
            samples=tuple(samples),
            output=self._output(table.output, f"{where}.output"),
            media_fields=tuple(key for key, one in table.input.items() if one.type in ("image", "file")),
            latency_seconds_max=table.latency_seconds_max,
            timeout_seconds=table.timeout_seconds,
            exclusive=table.exclusive,
        )

    def _sample(self, table: SampleTable, number: int, fields: Mapping[str, FieldTable], where: str) -> Sample:
        is_path = isinstance(table.input, str) and not table.input.startswith("data:")
        own = Path(str(table.input)).stem if is_path else f"sample-{number}"
        files = tuple(
            self._file(field, said, fields.get(field, FieldTable()), where) for field, said in table.files.items()
        )
        return Sample(
            name=table.name or own,
            input=self._input(table, where),
            files=files,
            media_type=table.media_type,
            expect=self._schema(table.expect, f"{where}.expect"),
        )

    def _input(self, table: SampleTable, where: str) -> Any:
        if table.input is None:
            return {}
        if not isinstance(table.input, str):
            return table.input
        if table.input.startswith("data:"):
            data, _ = self._inline(table.input, f"{where}.input")
        else:
            data = self._read(table.input, f"{where}.input")
        if table.media_type != JSON:
            return data
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadContract(f"{self._where}: {where}.input: {table.input} is no JSON: {error}") from None

    def _file(self, field: str, said: str, declared: FieldTable, where: str) -> SentFile:
        if said.startswith("data:"):
            data, media_type = self._inline(said, f"{where}.files.{field}")
            name = f"{field}{mimetypes.guess_extension(media_type) or '.bin'}"
        else:
            data, name = self._read(said, f"{where}.files.{field}"), Path(said).name
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return SentFile(
            field=field,
            name=name,
            data=data,
            media_type=media_type,
            sources=tuple(declared.sources),
            key_field=declared.key_field,
            bucket_field=declared.bucket_field,
        )

    def _inline(self, said: str, where: str) -> tuple[bytes, str]:
        head, _, encoded = said.partition(",")
        try:
            return base64.b64decode(encoded, validate=True), head.removeprefix("data:").removesuffix(";base64")
        except binascii.Error as error:
            raise BadContract(f"{self._where}: {where}: the data URL is no base64: {error}") from None

    def _output(self, table: OutputTable, where: str) -> Output:
        parts = {
            name: OutputPart(
                media_type=one.media_type,
                required=one.required,
                profile=self._profile(one.checked, f"{where}.parts.{name}.validate"),
            )
            for name, one in table.parts.items()
        }
        return Output(
            media_type=table.media_type,
            schema=self._schema(table.answer, f"{where}.schema"),
            parts=parts,
            soft_failures=table.soft_failures,
            varying=tuple(table.varying),
            tolerance=table.tolerance,
            profile=self._profile(table.checked, f"{where}.validate"),
        )

    def _schema(self, said: str | dict[str, Any] | None, where: str) -> Mapping[str, Any] | None:
        if not isinstance(said, str):
            return said
        try:
            return load_schema(self._path(said, where))
        except BadProfile as error:
            raise BadContract(f"{self._where}: {where}: {error}") from None

    def _profile(self, said: str | dict[str, Any] | None, where: str) -> Profile:
        try:
            if said is None:
                return PROFILES["default"]
            if isinstance(said, str) and said in PROFILES:
                return PROFILES[said]
            told = read_profile_table(self._path(said, where)) if isinstance(said, str) else said
            return profile_from(told, where, where)
        except BadProfile as error:
            raise BadContract(f"{self._where}: {error}") from None

    def _path(self, said: str, where: str) -> Path:
        if self._folder is None:
            raise BadContract(f"{self._where}: {where}: {said!r} names a file, and there is no folder to look in")
        return self._folder / said

    def _read(self, said: str, where: str) -> bytes:
        return _bytes(self._path(said, where), SAMPLE_BYTES_MAX, f"{self._where}: {where}: {said}")


def _bytes(path: Path, bytes_max: int, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise BadContract(f"{where} cannot be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise BadContract(f"{where} has more than {bytes_max:,} bytes")
    return data


def _patterns(said: list[str], where: str) -> tuple[str, ...]:
    for one in said:
        try:
            re.compile(one)
        except re.error as error:
            raise BadContract(f"{where}: {one!r} is no regular expression: {error}") from None
    return tuple(said)


def _problem(error: ValidationError) -> str:
    first, *others = error.errors()
    place, words = first["loc"], "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
    # One value that is of no member of a union has a fault for each, at places that end with the member's name.
    members = [one for one in others if one["loc"][:-1] == place[:-1] and one["input"] is first["input"]]
    members = [one for one in members if one["type"] != first["type"]]
    if members:
        place = place[:-1]
        words += "".join(f" or {one['msg'].removeprefix('Input should be ')}" for one in members)
    known = ", ".join(sorted(ContractTable.model_fields))
    told = ".".join(str(part) for part in place) or "the file"
    return f"{told}: {words}" + (f"; valid: {known}" if len(place) == 1 else "")
