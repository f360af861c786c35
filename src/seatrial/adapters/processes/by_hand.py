"""What a worker was given, written down, so that it can be run again by hand: without its server, at a terminal.

`worker.json` is its spec but for the values of secrets, which are never written; `request.json` is one piece of work,
whose contents are files beside it. Both are in a folder that outlives the worker.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from seatrial.adapters.processes.descendants import SERVER_VARIABLE, WORKER_VARIABLE
from seatrial.adapters.processes.launch import (
    WORKER_FOLDER,
    Surroundings,
    environment,
    explore,
    jail_command,
    jail_plan,
    load_order,
    package_view,
    surroundings_of,
)
from seatrial.adapters.processes.scratch import Scratch
from seatrial.domain.limits import JSON_OUTPUT_BYTES_MAX
from seatrial.domain.media_types import is_json
from seatrial.domain.work import FIELD_LAYOUTS, ContainerImage, Program, Work, WorkerSpec

WORKER_FILE = "worker.json"
REQUEST_FILE = "request.json"
REQUEST_FOLDER = "request"
ORDER_FILE = "order.json"
ANSWER_FOLDER = "answer"
BY_HAND = "by-hand"  # the scratch folder of what is run by hand
RUN = WORKER_FOLDER / "by_hand.py"
SHELLS = ("/bin/bash", "/bin/sh")
PASSED_ON = ("TERM", "COLORTERM", "COLUMNS", "LINES")  # of the terminal
_PATHS = ("package", "python", "scratch", "remains")


class NotRunnable(Exception):
    """What would be run by hand is not there (any more); one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with `worker.json`, the data folder of the server that wrote it, and where output goes."""

    folder: Path
    data_dir: Path
    stdout: int | None = None  # a descriptor for what the command prints; None: our own


def write_down(spec: WorkerSpec, work: Work | None, folder: Path) -> None:
    """Write what it takes to run that work by hand (None: only to load). Blocks."""
    told = asdict(replace(spec, secrets=dict.fromkeys(spec.secrets, "")))
    told |= {name: None if told[name] is None else str(told[name]) for name in _PATHS}
    told["weights"] = {path: str(content) for path, content in spec.weights.items()}
    _write_json(folder / WORKER_FILE, told)
    if work is not None:
        _write_json(folder / REQUEST_FILE, _request(work, spec.layout, folder))


def _request(work: Work, layout: str, folder: Path) -> dict[str, Any]:
    """The header of a `work` frame whose contents are all files."""
    contents = folder / REQUEST_FOLDER
    contents.mkdir(exist_ok=True)

    def put(name: str, content: bytes | Path) -> dict[str, str]:
        if isinstance(content, Path):
            return {"path": str(content)}
        (contents / name).write_bytes(content)
        return {"path": str(contents / name)}

    header: dict[str, Any] = {
        "number": 1,
        "token": work.token,
        "job_id": work.job_id,
        "folder": str(Scratch(folder / BY_HAND).job(1)),
        "task": work.task,
        "media_type": work.media_type,
        "accept": work.accept,
        "attributes": dict(work.attributes),
        "timeout_ms": work.timeout_ms,
    }
    if layout not in FIELD_LAYOUTS:
        return header | {"body": put("body", work.body)}
    media = {name: put(f"media-{number}", content) for number, (name, content) in enumerate(work.media.items())}
    fields = put("fields.json", json.dumps(dict(work.fields)).encode())
    return header | {"fields": fields, "media": media, "media_forms": dict(work.media_forms)}


def reproduce(place: Place, secrets: Mapping[str, str], options: Sequence[str]) -> int:
    """Run the handler on the request that was written down, in a fresh scratch folder; its exit code.

    Raises:
        NotRunnable: something of it is gone.
    """
    spec = _spec(place, secrets, place.folder / BY_HAND)
    Scratch(spec.scratch).make()
    shutil.rmtree(place.folder / ANSWER_FOLDER, ignore_errors=True)
    request = place.folder / REQUEST_FILE
    files = [str(place.folder / ORDER_FILE), str(request) if request.exists() else "-"]
    command = [str(spec.python), str(RUN), *files, str(place.folder / ANSWER_FOLDER), *options]
    return _run(place, spec, command)


def json_answer(place: Place) -> bytes | None:
    """What `reproduce` was just answered, if it is JSON that a trial would have looked at."""
    folder = place.folder / ANSWER_FOLDER
    result, media_type = folder / "result", folder / ".media-type"
    if not media_type.exists() or not is_json(media_type.read_text(encoding="utf-8")):
        return None
    return result.read_bytes() if result.stat().st_size <= JSON_OUTPUT_BYTES_MAX else None


def shell(place: Place, secrets: Mapping[str, str], command: Sequence[str]) -> int:
    """Run a command, or a shell, where the worker ran: in the scratch folder that it left, if it did; its exit code.

    Raises:
        NotRunnable: something of it is gone, or there is no such command.
    """
    left = sorted((place.folder / "workers").glob("*/tmp"), key=lambda path: path.stat().st_mtime)
    scratch = left[-1].parent if left else place.folder / BY_HAND
    spec = _spec(place, secrets, scratch)
    if not left:
        Scratch(scratch).make()
    return _run(place, spec, list(command) or [next(one for one in SHELLS if Path(one).exists())])


def _spec(place: Place, secrets: Mapping[str, str], scratch: Path) -> WorkerSpec:
    try:
        told = json.loads((place.folder / WORKER_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotRunnable(
            "The trial ended before there was anything to run: its package could not be outfitted."
        ) from None
    told |= {name: None if told[name] is None else Path(told[name]) for name in _PATHS}
    told |= {"scratch": scratch, "secrets": {name: secrets.get(name, "") for name in told["secrets"]}}
    if told.get("program") is not None:
        told["program"] = _told_program(told["program"])
    spec = WorkerSpec(**told | {"weights": {path: Path(content) for path, content in told["weights"].items()}})
    gone = [str(one) for one in (spec.package, spec.python, *spec.weights.values()) if not one.exists()]
    if gone:
        raise NotRunnable(f"{gone[0]} is gone: what is unused is removed after a while; deploy it again")
    return spec


def _told_program(told: Mapping[str, Any]) -> Program:
    image = told["image"]
    if image is not None:
        image = ContainerImage(tuple(image["engine"]), tuple(image["options"]), image["id"])
    return Program(**{**told, "command": tuple(told["command"]), "image": image})


def _run(place: Place, spec: WorkerSpec, command: list[str]) -> int:
    shared, _ = explore(place.data_dir, (place.folder,), isolate=True)
    surroundings = surroundings_of(spec, shared)
    scratch = Scratch(spec.scratch)
    view = _view(spec, scratch, surroundings)
    order = load_order(spec, view, scratch, "", surroundings, f"{BY_HAND}-{os.getpid()}")
    _write_json(place.folder / ORDER_FILE, order)
    plan = jail_plan(spec, scratch, surroundings, ()) | {"terminal": True, "folder": str(view)}
    variables = _variables(place, spec, scratch, surroundings)
    if command[1:2] != [str(RUN)]:  # a handler finds its modules by itself
        variables["PYTHONPATH"] = os.pathsep.join(_module_folders(spec, view))
    plan["run"] = [_found(command[0], variables["PATH"]), *command[1:]]
    process = subprocess.Popen(jail_command(plan), env=variables, cwd=spec.scratch, stdout=place.stdout)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command too, whose it is
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        if process.poll() is None:
            process.kill()
            process.wait()
    return code if code >= 0 else 128 - code


def _view(spec: WorkerSpec, scratch: Scratch, surroundings: Surroundings) -> Path:
    links = scratch.folder / "ml"
    if not surroundings.isolated and links.exists():
        return links / "model"
    return package_view(spec, scratch, surroundings)


def _module_folders(spec: WorkerSpec, view: Path) -> list[str]:
    """What the worker puts before its sys.path."""
    folders = {
        "sagemaker": [view / "code", view / "code" / "lib", view],
        "runpod": [(view / (spec.handler or "handler.py")).parent],
    }.get(spec.layout, [view])
    return [*map(str, folders), *filter(None, [spec.env.get("PYTHONPATH")])]


def _variables(place: Place, spec: WorkerSpec, scratch: Scratch, surroundings: Surroundings) -> dict[str, str]:
    """The worker's own, with what a terminal needs; a secret whose value is not known is left out."""
    known = replace(spec, secrets={name: value for name, value in spec.secrets.items() if value})
    worker = environment(known, scratch, surroundings, "")
    own = {name: value for name, value in worker.items() if name not in (WORKER_VARIABLE, SERVER_VARIABLE)}
    added = {
        "SEATRIAL_SCRATCH": str(spec.scratch),
        "SEATRIAL_REMAINS": str(place.folder),
        "SEATRIAL_REQUEST": str(place.folder / REQUEST_FILE),
    }
    terminal = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return terminal | own | added


def _found(program: str, path: str) -> str:
    found = shutil.which(program, path=path)
    if found is None:
        raise NotRunnable(f"there is no command {program!r} in the worker's surroundings; PATH is {path}")
    return found


def _write_json(file: Path, told: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(told, indent=1), encoding="utf-8")
