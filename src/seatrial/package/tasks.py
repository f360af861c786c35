"""The tasks of a contract, read from `[tasks.NAME]`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seatrial.domain.contract import Output, OutputPart, Task
from seatrial.domain.limits import OUTPUT_PARTS_MAX, TASKS_MAX
from seatrial.package.fields import read_fields
from seatrial.package.problems import Problems, did_you_mean, shown
from seatrial.package.samples import read_samples
from seatrial.package.schema import read_schema
from seatrial.package.tables import NAME_PATTERN, OutputTable, PartTable, TaskTable
from seatrial.package.validation import read_validation

PRIMARY_PART = "result"


def read_tasks(
    root: Path, values: object, task_field: str, problems: Problems, known: Sequence[Task] = ()
) -> tuple[Task, ...]:
    """All tasks in the order of the file; those that cannot be read are noted and left out.

    `known` are those that the code itself declares: then the file says more about them, and has no others.
    """
    if not isinstance(values, Mapping):
        problems.add("tasks", None, f"found {shown(values)}", "tables [tasks.NAME]")
        return ()
    if not values and not known:
        problems.add("[tasks]", None, "declares no task", "at least one table [tasks.NAME]")
    if len(values) > TASKS_MAX:
        problems.add("[tasks]", None, f"found {len(values)} tasks", f"at most {TASKS_MAX}")
    own = {task.name: task for task in known}
    for name in values if own else ():
        if name not in own:
            fault = f"is no task of the package's code{did_you_mean(name, own)}"
            problems.add(f"[tasks.{name}]", None, fault, ", ".join(own))
    found = {name: _read_task(root, name, one, task_field, problems, own.get(name)) for name, one in values.items()}
    tasks = tuple(task for task in (own | found).values() if task is not None)
    _check_aliases(tasks, problems)
    return tasks


def _read_task(
    root: Path, name: str, values: object, task_field: str, problems: Problems, own: Task | None
) -> Task | None:
    table = f"tasks.{name}"
    if not re.match(NAME_PATTERN, name):
        problems.add(f"[{table}]", None, f"found the name {name!r}", "up to 128 letters, digits, '_', '.' and '-'")
    parsed = problems.parse(TaskTable, values, f"[{table}]")
    if parsed is None:
        return None
    fields = read_fields(parsed.input, task_field, table, problems)
    if own is not None:
        said = {one.name: one for one in fields}
        fields = tuple(said.pop(one.name, one) for one in own.fields) + tuple(said.values())
    media = [one.name for one in fields if one.is_media]
    if parsed.handler_checks and media:
        fault = f"does not go with the media field {media[0]!r}, which the server reads"
        problems.add(f"[{table}]", "handler_checks", fault, "tasks of plain fields only")
    names = (name, *parsed.aliases)
    task = Task(
        name=name,
        description=parsed.description,
        aliases=tuple(parsed.aliases),
        method=parsed.method,
        fields=fields,
        output=_read_output(root, parsed.output, table, problems),
        samples=read_samples(root, parsed.samples, fields, names, task_field, table, problems),
        extra_fields=parsed.extra_fields,
        handler_checks=parsed.handler_checks,
        timeout_seconds=parsed.timeout_seconds,
        latency_seconds_max=parsed.latency_seconds_max,
        exclusive=parsed.exclusive,
    )
    return task if own is None else _beside(own, task, parsed)


def _beside(own: Task, said: Task, parsed: TaskTable) -> Task:
    """What the file says of a task that the code declares; where it says nothing, the code's word."""
    output = replace(said.output, files=own.output.files)
    if said.output.schema is None and said.output.media_type is None and not said.output.parts:
        output = replace(output, schema=own.output.schema)
    return replace(
        said,
        description=said.description or own.description,
        method=said.method or own.method,
        output=output,
        exclusive=said.exclusive if "exclusive" in parsed.model_fields_set else own.exclusive,
    )


def _read_output(root: Path, values: object, table: str, problems: Problems) -> Output:
    where = f"{table}.output"
    parsed = problems.parse(OutputTable, values, f"[{where}]")
    if parsed is None:
        return Output()
    schema = None
    if parsed.answer is not None:
        schema = read_schema(root, parsed.answer, f"[{where}]", "schema", problems)
    return Output(
        media_type=parsed.media_type,
        schema=schema,
        parts=_read_parts(root, parsed.parts, where, problems),
        soft_failures=parsed.soft_failures,
        varying=tuple(parsed.varying),
        tolerance=float(parsed.tolerance),
        urls_seconds=parsed.urls_seconds,
        validate=read_validation(root, parsed.checked, parsed.media_type, f"[{where}]", problems),
    )


def _read_parts(root: Path, values: Mapping[str, Any], where: str, problems: Problems) -> tuple[OutputPart, ...]:
    if len(values) > OUTPUT_PARTS_MAX:
        problems.add(f"[{where}.parts]", None, f"found {len(values)} parts", f"at most {OUTPUT_PARTS_MAX}")
    parts = []
    for name, one in values.items():
        table = f"[{where}.parts.{name}]"
        if name == PRIMARY_PART:
            problems.add(table, None, f"{PRIMARY_PART!r} is the answer itself", "another name")
        if parsed := problems.parse(PartTable, one, table):
            checked = read_validation(root, parsed.checked, parsed.media_type, table, problems)
            parts.append(OutputPart(name, parsed.media_type, parsed.required, checked))
    return tuple(parts)


def _check_aliases(tasks: tuple[Task, ...], problems: Problems) -> None:
    """Every name and alias means one task."""
    owners = {task.name: task.name for task in tasks}
    for task in tasks:
        for alias in task.aliases:
            if alias in owners:
                problems.add(
                    f"[tasks.{task.name}]",
                    "aliases",
                    f"{alias!r} already means the task {owners[alias]!r}",
                    "names that no task or alias has yet",
                )
            owners.setdefault(alias, task.name)
