"""Turn a folder with somebody's own handler into a package: a contract to fill in, and a sample if one is given."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.domain.errors import FILE_EXISTS, Conflict
from seatrial.package.checks.sagemaker_functions import ARGUMENTS
from seatrial.package.guess import ONLY_TASK, GuessedField, GuessedTask, guess_from_functions, guess_from_signatures
from seatrial.package.layout import detect_layout
from seatrial.package.problems import MANIFEST_NAME
from seatrial.package.refusal import refusal
from seatrial.package.serving import start_command
from seatrial.package.source import Source, Unparsable, read_source
from seatrial.package.tables import NAME_PATTERN

TASK_FIELD = "task"
NO_SAMPLE = "Add a request to samples/, such as samples/one.json: it proves the server."
NO_TASKS = (
    "Without tasks only the server knows a bad request: declare [tasks.NAME] to have those refused before they run."
)
SAGEMAKER_MODULE = "inference.py"
SAGEMAKER_ENTRY = f"code/{SAGEMAKER_MODULE}"
SERVED = {"runpod": "a RunPod worker", "aws_lambda": "a Lambda function", "cog": "a Cog model"}
MODULES = ("handler.py", "predict.py", "model.py", "main.py", "app.py")
IMAGE_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Initialised:
    """The files that were written, and what a person has to look at, a sentence each."""

    written: tuple[Path, ...]
    to_fill_in: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    layout_lines: list[str]
    tasks: dict[str, GuessedTask]
    notes: list[str]


def initialise(directory: Path, sample: Path | None = None) -> Initialised:
    """Write `seatrial.toml` and `samples/NAME.json` into a folder that has a handler. Nothing is overwritten.

    Raises:
        Conflict: a file is there already.
        Unproven: there is no handler, it is no Python, it is of a layout that is served without a contract, or the
            sample is no JSON object.
    """
    manifest = directory / MANIFEST_NAME
    target = directory / "samples" / f"{_name(sample.stem)}.json" if sample is not None else None
    _refuse_existing(manifest, target, sample)
    payload = _read_payload(sample)
    draft = _draft(directory)
    task = _place_payload(draft, payload) if draft.tasks else None
    text = _manifest_text(directory, draft, task, target.name if target is not None else None)
    written = [manifest]
    if target is not None and sample is not None:
        body = sample.read_bytes()
        if target.resolve() != sample.resolve():
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(body)
            written.append(target)
    manifest.write_text(text, "utf-8")
    bare = ", ".join(name for name in draft.tasks if name != task)
    if bare:
        draft.notes.append(f"Add a sample for every task ({bare}): each is proved by one, or deployed --unproven.")
    if draft.tasks:
        draft.notes.append("Check each field's type, limits and whether it is required, and describe each task.")
    else:
        draft.notes.append(NO_TASKS if sample is not None else f"{NO_SAMPLE} {NO_TASKS}")
    return Initialised(tuple(written), tuple(draft.notes))


def _refuse_existing(manifest: Path, target: Path | None, sample: Path | None) -> None:
    taken = [manifest] if manifest.exists() else []
    if target is not None and sample is not None and target.exists() and target.resolve() != sample.resolve():
        taken.append(target)
    if taken:
        names = " and ".join(path.name for path in taken)
        raise Conflict(FILE_EXISTS, f"{names} is there already, and nothing is overwritten. Move it away first.")


def _read_payload(sample: Path | None) -> Mapping[str, Any]:
    if sample is None:
        return {}
    try:
        payload = json.loads(sample.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise refusal(
            f"The sample {sample.name} cannot be read: {error}", "Give a file with one JSON object."
        ) from error
    if not isinstance(payload, Mapping):
        raise refusal(f"The sample {sample.name} is no JSON object", "Give a request body such as {…}.")
    return payload


def _draft(directory: Path) -> _Draft:
    entry = directory / SAGEMAKER_ENTRY
    if entry.is_file():
        tasks = guess_from_functions(_source(directory, entry), TASK_FIELD)
        return _named_tasks(_Draft([], tasks, []))
    _refuse_served(directory)
    command = start_command(directory)
    if command is not None:
        words = ", ".join(_quoted(word) for word in command)
        return _Draft(['layout = "http"', f"command = [{words}]"], {}, ["Check the start command: it is a guess."])
    _refuse_misplaced(directory, directory / SAGEMAKER_MODULE)
    modules = [directory / name for name in MODULES if (directory / name).is_file()]
    others = sorted(directory.glob("*.py"))
    path = modules[0] if modules else others[0] if len(others) == 1 else None
    if path is None:
        raise refusal(
            f"{directory.resolve().name} has no handler: neither {SAGEMAKER_ENTRY} nor {MODULES[0]}",
            f"Put the code at {SAGEMAKER_ENTRY} (SageMaker's functions) or {MODULES[0]} (a class, a method per task).",
        )
    _refuse_misplaced(directory, path)
    found = guess_from_signatures(_source(directory, path))
    if found is None:
        raise refusal(f"{path.name} defines no public class or function", "Add the class that handles requests.")
    attribute, tasks = found
    return _named_tasks(_Draft([f'handler = "{path.stem}:{attribute}"'], tasks, []))


def _refuse_served(directory: Path) -> None:
    """Refuse what is served as it is: a contract from signatures would take its events for tasks with fields."""
    layout = detect_layout(directory, None, ())
    if layout in SERVED:
        raise refusal(
            f"{directory.resolve().name} is {SERVED[layout]}: it is served as it is, and needs no {MANIFEST_NAME}",
            f"Give it a sample (samples/NAME.json) and deploy it. To declare its fields nevertheless, write "
            f'{MANIFEST_NAME} by hand, with layout = "{layout}" and [tasks.NAME.input].',
        )


def _refuse_misplaced(directory: Path, path: Path) -> None:
    """Refuse SageMaker's functions where its layout does not look: called by name as fields they could never work."""
    if not path.is_file():
        return
    source = _source(directory, path)
    functions = [name for name in ARGUMENTS if source.definition(name) is not None]
    if functions:
        raise refusal(
            f"{path.name} has SageMaker's functions ({', '.join(functions)}), and their place is {SAGEMAKER_ENTRY}",
            f"Move it, with the modules and the requirements.txt that it needs: mkdir -p code && mv {path.name} "
            f"{SAGEMAKER_ENTRY}",
            field=path.name,
            valid=SAGEMAKER_ENTRY,
        )


def _named_tasks(draft: _Draft) -> _Draft:
    """Leave out what cannot be the name of a task."""
    for name in [name for name in draft.tasks if not re.match(NAME_PATTERN, name)]:
        del draft.tasks[name]
        draft.notes.append(f"The handler compares the task with {name!r}, which cannot be a task's name here.")
    draft.tasks = draft.tasks or {ONLY_TASK: GuessedTask()}
    return draft


def _source(directory: Path, path: Path) -> Source:
    try:
        return read_source(directory, path)
    except Unparsable as error:
        name = path.relative_to(directory).as_posix()
        where = f"{name}, line {error.line}" if error.line else name
        raise refusal(f"{where} is no Python: {error}", "Correct the file.", field=name) from error


def _place_payload(draft: _Draft, payload: Mapping[str, Any]) -> str | None:
    """The task that the payload is a sample of; its fields are added to that task, their types to all."""
    if not payload:
        return None
    named = payload.get(TASK_FIELD)
    if isinstance(named, str) and named not in draft.tasks and not draft.layout_lines:
        _declare(draft, named)
    only = next(iter(draft.tasks)) if len(draft.tasks) == 1 else None
    task = only if named is None or named == only else named if named in draft.tasks else None
    if task is None or (named is not None and named != task):
        known = ", ".join(draft.tasks)
        said = f"names the task {named!r}" if named is not None else f"has no field {TASK_FIELD!r}"
        draft.notes.append(f"The sample {said}, but the handler's tasks seem to be: {known}. No task uses it yet.")
        return None
    fields = draft.tasks[task].fields
    for name, value in payload.items():
        if name == TASK_FIELD or value is None:
            continue
        if name not in fields:
            draft.notes.append(f"The sample has the field {name!r}, which the handler does not seem to read.")
            fields[name] = GuessedField(required=False)
        for field in (one.fields[name] for one in draft.tasks.values() if name in one.fields):
            field.type = field.type or _type_of(value)
    return task


def _declare(draft: _Draft, named: str) -> None:
    """A task that the sample names and the code does not tell apart: it is the only one, or one more."""
    if list(draft.tasks) == [ONLY_TASK]:
        draft.tasks = {named: draft.tasks[ONLY_TASK]}
    elif re.match(NAME_PATTERN, named):
        known = ", ".join(draft.tasks)
        draft.notes.append(
            f"The sample names the task {named!r}, but the handler's tasks seem to be: {known}. It is declared from "
            "the sample alone."
        )
        draft.tasks[named] = GuessedTask()
    _named_tasks(draft)


def _type_of(value: object) -> str:
    if isinstance(value, str):
        return "image" if _is_image(value) else "string"
    kinds: dict[type, str] = {bool: "boolean", int: "integer", float: "number", list: "array"}
    return kinds.get(type(value), "object")


def _is_image(text: str) -> bool:
    """True for the base64 of what begins as image files do, also as a data URL."""
    if text.startswith("data:image/"):
        return True
    try:
        return len(text) > 64 and base64.b64decode(text[:64], validate=True).startswith(IMAGE_MAGIC)
    except (binascii.Error, ValueError):
        return False


def _manifest_text(directory: Path, draft: _Draft, sample_task: str | None, sample_name: str | None) -> str:
    lines = [
        "# Made by `seatrial init` from the code: guesses, to be checked. Reference: docs/reference/package.md",
        "[package]",
        f"name = {_quoted(_name(directory.resolve().name))}",
        'description = ""',
        *draft.layout_lines,
    ]
    for name, task in draft.tasks.items():
        lines += ["", f"[tasks.{_key(name)}]", 'description = ""']
        if not draft.layout_lines:
            lines.append("extra_fields = true  # until every field is declared")
        for field_name, field in task.fields.items():
            lines += ["", f"[tasks.{_key(name)}.input.{_key(field_name)}]", f"type = {_quoted(field.type or 'string')}"]
            lines += [f"form = {_quoted(field.form)}"] if field.form else []
            lines += ["required = true"] if field.required else []
        if name == sample_task and sample_name is not None:
            lines += ["", f"[[tasks.{_key(name)}.samples]]", f"input = {_quoted(f'samples/{sample_name}')}"]
    return "\n".join(lines) + "\n"


def _name(text: str) -> str:
    """A text as a name: what cannot be in one becomes "-"."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).lstrip("_.-")[:128] or "model"


def _key(text: str) -> str:
    return text if BARE_KEY.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
