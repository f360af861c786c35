"""Would the server accept the samples, or refuse them before the handler sees them?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seatrial.domain.checking.requests import check_request
from seatrial.domain.contract import Contract, Field, FieldType, Sample, Task
from seatrial.domain.errors import BadInput
from seatrial.domain.limits import JSON_INPUT_BYTES_MAX
from seatrial.domain.media_types import BEGINNING_BYTES, is_json, type_by_beginning
from seatrial.package.finding import Finding

ID = "sample_inputs"


def check_sample_inputs(contract: Contract, root: Path) -> Iterator[Finding]:
    """One error for each field of a sample that its task's contract refuses."""
    for task in contract.tasks:
        for sample in task.samples:
            yield from _files(task, sample, root)
            if is_json(sample.media_type):
                yield from _body(contract, task, sample, root)


def _body(contract: Contract, task: Task, sample: Sample, root: Path) -> Iterator[Finding]:
    path = root / sample.input if sample.input else None
    if path is not None and path.stat().st_size > JSON_INPUT_BYTES_MAX:
        yield _error(sample, f"has more than {JSON_INPUT_BYTES_MAX} bytes of JSON", "Make it smaller.")
        return
    body = json.loads(path.read_bytes()) if path is not None else {}
    if not isinstance(body, dict):
        yield _error(sample, "is no JSON object", f"Write it as {{…}} with the fields of {task.name!r}.")
        return
    fields = tuple(one for one in task.fields if one.name not in sample.files)
    payload = {name: value for name, value in body.items() if name not in sample.files}
    try:
        check_request(replace(task, fields=fields), payload, contract.task_field)
    except BadInput as error:
        for problem in error.details["problems"]:
            valid = f" Valid: {problem['valid']}." if problem.get("valid") else ""
            told = f"does not meet the contract of {task.name!r}: {problem['message']}"
            yield _error(sample, told.rstrip("."), f"Correct the sample or [tasks.{task.name}.input].{valid}")


def _files(task: Task, sample: Sample, root: Path) -> Iterator[Finding]:
    for name, file in sample.files.items():
        field, path = task.field_named(name), root / file
        if field is None or not path.is_file():
            continue
        size = path.stat().st_size
        if size == 0 or size > field.bytes_max:
            told = f"has {size} bytes in {file}, and {name!r} takes 1 to {field.bytes_max}"
            yield _error(sample, told, "Use another file, or correct bytes_max.")
        elif field.type is FieldType.IMAGE and (fault := _image_fault(field, path)):
            yield _error(sample, f"has {file}, {fault}", "Use a picture of an accepted format.")


def _image_fault(field: Field, path: Path) -> str | None:
    with path.open("rb") as body:
        found = type_by_beginning(body.read(BEGINNING_BYTES)) or ""
    kind = found.removeprefix("image/") if found.startswith("image/") else None
    if kind is None and "heic" not in field.formats:
        return "which is no picture of a known format"
    if kind is not None and field.formats and kind not in field.formats:
        return f"a {kind}, and {field.name!r} takes {', '.join(field.formats)}"
    return None


def _error(sample: Sample, told: str, remedy: str) -> Finding:
    file = sample.input or next(iter(sample.files.values()), None)
    return Finding(ID, "error", f"The sample {sample.name!r} {told}.", remedy, file)
