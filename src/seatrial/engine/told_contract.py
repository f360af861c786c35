"""An endpoint's contract with its samples inside, in the words of seatrial.toml: what `seatrial verify` reads."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seatrial.domain.contract import Contract, Field, Output, Sample, Task
from seatrial.domain.limits import TOLD_SAMPLES_BYTES_MAX

JSON = "application/json"


def told_contract(name: str, contract: Contract, root: Path) -> dict[str, Any]:
    """The document; `root` is the unpacked package. Samples beyond the limit are named in `left_out`. Blocking."""
    package: dict[str, Any] = {"name": name}
    if len(contract.tasks) > 1:
        package["task_field"] = contract.task_field
    samples = _Samples(root)
    if contract.declared:
        tasks = {task.name: _task(task, samples) for task in contract.tasks}
    else:
        tasks = {"": {"samples": samples.told("", contract.loose_samples)}}
    return {"contract": {"package": package, "tasks": tasks}, "left_out": samples.left_out}


class _Samples:
    """Reads samples until there are too many bytes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._left_bytes = TOLD_SAMPLES_BYTES_MAX
        self.left_out: list[str] = []

    def told(self, task: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
        """The samples of a task that there is room for."""
        found = []
        for sample in samples:
            names = [one for one in (sample.input, sample.expect, *sample.files.values()) if one is not None]
            size_bytes = sum((self._root / one).stat().st_size for one in names)
            if size_bytes > self._left_bytes:
                self.left_out.append(f"{task}: {sample.name}: {size_bytes:,} bytes".removeprefix(": "))
                continue
            self._left_bytes -= size_bytes
            found.append(self._sample(sample))
        return found

    def _sample(self, sample: Sample) -> dict[str, Any]:
        told: dict[str, Any] = {"name": sample.name, "media_type": sample.media_type}
        if sample.input is not None:
            told["input"] = self._input(sample, self._root / sample.input)
        if sample.files:
            told["files"] = {field: self._file(file) for field, file in sample.files.items()}
        if sample.expect is not None:
            told["expect"] = json.loads((self._root / sample.expect).read_bytes())
        return told

    def _input(self, sample: Sample, file: Path) -> Any:
        if sample.media_type != JSON:
            return _data_url(file.read_bytes(), sample.media_type)
        body = json.loads(file.read_bytes())
        for step in sample.member:
            body = body[step]
        return body

    def _file(self, file: str) -> str:
        media_type = mimetypes.guess_type(file)[0] or "application/octet-stream"
        return _data_url((self._root / file).read_bytes(), media_type)


def _task(task: Task, samples: _Samples) -> dict[str, Any]:
    told: dict[str, Any] = {
        "aliases": list(task.aliases),
        "exclusive": task.exclusive,
        "input": {one.name: _field(one) for one in task.fields},
        "output": _output(task.output),
        "samples": samples.told(task.name, task.samples),
    }
    limits = {"latency_seconds_max": task.latency_seconds_max, "timeout_seconds": task.timeout_seconds}
    return told | {key: value for key, value in limits.items() if value is not None}


def _field(field: Field) -> dict[str, Any]:
    told: dict[str, Any] = {"type": field.type.value, "required": field.required}
    if field.is_media:
        told["sources"] = sorted(field.sources)
        told |= {"key_field": field.key_field, "bucket_field": field.bucket_field}
    return {key: value for key, value in told.items() if value is not None}


def _output(output: Output) -> dict[str, Any]:
    parts = {
        one.name: {"media_type": one.media_type, "required": one.required}
        | ({} if one.validate is None else {"validate": dict(one.validate)})
        for one in output.parts
    }
    told = {
        "media_type": output.media_type,
        "schema": output.schema,
        "validate": output.validate,
        "parts": parts,
        "soft_failures": output.soft_failures,
        "varying": list(output.varying),
        "tolerance": output.tolerance,
    }
    return {key: value for key, value in told.items() if value is not None}


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
