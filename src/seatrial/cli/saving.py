"""Make a sample of a job's real input: files for the package, and the lines of `seatrial.toml` that name them."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial.cli.declaring import Manifest
from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.server import Refused, Server, end
from seatrial.domain.media_types import is_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(slots=True)
class Saved:
    """What was written, and the TOML that declares it (empty for a package without a contract)."""

    name: str
    task: str | None
    files: list[Path] = field(default_factory=list)
    toml: str = ""


@dataclass(frozen=True, slots=True)
class _Content:
    """A request taken apart: its JSON, and bytes of media fields with their media types."""

    payload: Mapping[str, Any] | None
    media: Mapping[str, tuple[bytes, str]]


def save(server: Server, job_id: str, package: Path, name: str | None, manifest: Manifest | None, force: bool) -> Saved:
    """Write samples/NAME.json, and a file for each media field, into a package's folder.

    Without `force` nothing is overwritten, nor saved under a name that the manifest declares.
    """
    job = server.get(f"/v1/jobs/{job_id}")
    chosen = name or f"job-{job_id[:8]}"
    if _NAME.fullmatch(chosen) is None:
        fail(f"{chosen!r} is not a sample's name", ExitCode.USAGE, "letters, digits, '_', '.' and '-'")
    contract, task = _task_of(server, job)
    answer = server.call("GET", f"/v1/jobs/{job_id}/input")
    content = _taken_apart(server, answer.content, answer.headers["content-type"], contract, task, job)
    saved, lines = Saved(chosen, task["name"] if task else None), [f"name = {json.dumps(chosen)}"]
    bodies: dict[str, bytes] = {}
    if content.payload is not None:
        bodies[f"{chosen}.json"] = json.dumps(content.payload, indent=2).encode()
        lines.append(f"input = {json.dumps(f'samples/{chosen}.json')}")
    named = []
    for field_name, (data, media_type) in content.media.items():
        file = f"{chosen}-{field_name}{mimetypes.guess_extension(media_type.partition(';')[0]) or '.bin'}"
        bodies[file] = data
        named.append(f"{json.dumps(field_name)} = {json.dumps(f'samples/{file}')}")
    if not force:
        _refuse_taken(chosen, task["name"] if task else None, package, bodies, manifest)
    saved.files = _written(package / "samples", bodies)
    if named:
        lines.append(f"files = {{ {', '.join(named)} }}")
    if task is not None:
        saved.toml = "\n".join([f"[[tasks.{json.dumps(task['name'])}.samples]]", *lines, ""])
    return saved


def _task_of(server: Server, job: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The contract of the job's endpoint as it is now, and the job's task if it has one."""
    try:
        contract = server.ask("GET", f"/v1/endpoints/{job['endpoint']}").json()["contract"]
    except Refused as refused:
        if refused.status == 404:
            return {}, None  # the endpoint is gone: the request is saved as it came
        end(refused, {})
    tasks = contract.get("tasks", [])
    if len(tasks) == 1:
        return contract, tasks[0]
    named = job["task"]
    return contract, next((one for one in tasks if named == one["name"] or named in one["aliases"]), None)


def _taken_apart(
    server: Server,
    body: bytes,
    media_type: str,
    contract: Mapping[str, Any],
    task: Mapping[str, Any] | None,
    job: Mapping[str, Any],
) -> _Content:
    fields = {one["name"]: one for one in task["fields"]} if task else {}
    media = {name for name, one in fields.items() if one["type"] in ("image", "file")}
    if is_json(media_type):
        payload = _parsed(body)
        task_field = contract.get("task_field")
        if task and task_field and task_field in payload:
            payload[task_field] = task["name"]
        return _fetched(server, payload, media, job)
    if media_type.startswith("multipart/form-data"):
        return _from_form(body, media_type, fields, media)
    chosen = [name for name in media if fields[name]["required"]] or list(media)
    if len(chosen) != 1:
        fail(f"the job's input is {media_type}: which field it is for is not known", ExitCode.FAILED)
    return _Content(None, {chosen[0]: (body, media_type)})


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except ValueError as error:
        fail(f"the job's input is not JSON: {error}")
    if not isinstance(payload, dict):
        fail("the job's input is not a JSON object")
    return payload


def _fetched(server: Server, payload: dict[str, Any], media: set[str], job: Mapping[str, Any]) -> _Content:
    """Objects that media fields name become files: the sample must not depend on what a bucket holds later."""
    found: dict[str, tuple[bytes, str]] = {}
    for name in sorted(media):
        value = payload.get(name)
        if isinstance(value, str) and value.startswith("s3://"):
            found[name] = server.read_object(value)
            del payload[name]
    return _Content(payload, found)


def _from_form(body: bytes, media_type: str, fields: Mapping[str, Mapping[str, Any]], media: set[str]) -> _Content:
    from seatrial.engine.multipart_form import parse_form

    payload: dict[str, Any] = {}
    found: dict[str, tuple[bytes, str]] = {}
    for name, part in parse_form(body, media_type).items():
        if name in media and part.filename is not None:
            found[name] = (part.content, part.media_type or "application/octet-stream")
        elif name not in fields or fields[name]["type"] in ("string", "image", "file"):
            payload[name] = part.content.decode()
        else:
            payload[name] = json.loads(part.content)
    return _Content(payload, found)


def _refuse_taken(name: str, task: str | None, package: Path, files: Iterable[str], manifest: Manifest | None) -> None:
    remedy = "--name for another name, or --force to replace it"
    there = next((file for file in files if (package / "samples" / file).exists()), None)
    if there is not None:
        fail(f"{package / 'samples' / there} is there already", ExitCode.FAILED, remedy)
    if manifest is not None and task is not None and manifest.declares(task, name):
        fail(f"{manifest.path} declares a sample {name!r} of {task} already", ExitCode.FAILED, remedy)


def _written(folder: Path, bodies: Mapping[str, bytes]) -> list[Path]:
    path = folder
    try:
        folder.mkdir(exist_ok=True)
        for name, content in bodies.items():
            path = folder / name
            path.write_bytes(content)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    return [folder / name for name in bodies]
