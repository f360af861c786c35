"""`seatrial invoke`: one line from a file to its result."""

from __future__ import annotations

import json as json_text
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.media import beside, is_text, media_type_of
from seatrial.cli.options import DataOption, JsonOption, KeyOption, example
from seatrial.cli.screen import note, print_json, waiting
from seatrial.cli.server import LONG_POLL_SECONDS, Server, connect
from seatrial.domain.media_types import is_json

SEND_SECONDS = 3600.0


app = typer.Typer(add_completion=False)


@app.command(
    "invoke",
    epilog=example(
        "seatrial invoke floorplan --input plan.png --task find_rooms --output rooms.json",
        "seatrial invoke echo --field text=hello --field times=2 --wait",
    ),
)
def invoke(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    input: Annotated[
        str | None,
        typer.Option("--input", "-i", help="File with the request: JSON, or the picture or file itself; - is stdin."),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", "-t", help="The task.", show_default=False)] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", "-f", help="NAME=VALUE (JSON or text; @@ for a text with @ first), NAME=@FILE; often."),
    ] = None,
    media_type: Annotated[
        str | None, typer.Option(help="Of the input; found out otherwise.", show_default=False)
    ] = None,
    priority: Annotated[int | None, typer.Option(help="0 (highest) to 9.", show_default=False)] = None,
    affinity: Annotated[
        str | None, typer.Option(help="A worker that ran this key lately is preferred.", show_default=False)
    ] = None,
    timeout_seconds: Annotated[int | None, typer.Option(help="How long it may run.", show_default=False)] = None,
    webhook: Annotated[str | None, typer.Option(help="URL that is told of the job's end.", show_default=False)] = None,
    idempotency_key: KeyOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result; --output implies it.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for the result; parts go beside it.")
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Submit a job, and with --wait or --output fetch its result. Exit code 1 when the job fails."""
    given_fields, content = _fields(field or []), _read_input(input)
    texts, files = _parted(given_fields)
    if output is not None:
        _make_way(output)
    server = connect(data)
    how = _request(server, name, content, input or "", task, texts, files, media_type)
    params = {
        "task": task,
        "priority": priority,
        "affinity": affinity,
        "timeout_seconds": timeout_seconds,
        "webhook": webhook,
    }
    given = {key: value for key, value in params.items() if value is not None}
    path = f"/v1/endpoints/{name}/jobs"
    accepted = server.submit(path, idempotency_key, params=given, timeout=SEND_SECONDS, **how)
    if not wait and output is None:
        print_json(accepted) if json else print(accepted["id"])
        return
    job = wait_for_end(server, accepted["id"])
    if job["status"] != "succeeded":
        _say_failure(job, json)
    if output is not None:
        _write(server, job, output)
        if json:
            print_json(job)
    else:
        _print_result(server, job, json)


def wait_for_end(server: Server, job_id: str) -> dict[str, Any]:
    """The job once it has ended."""
    with waiting(f"job {job_id}"):
        while True:
            job: dict[str, Any] = server.get(f"/v1/jobs/{job_id}", wait=LONG_POLL_SECONDS)
            if job["ended_at"] is not None:
                return job


def _say_failure(job: dict[str, Any], json: bool) -> None:
    document = job["error"] or {}
    if json:
        print_json(document)
    details = document.get("details", {})
    remedy = details.get("remedy") or (details.get("valid") and f"send {details['valid']}")
    said = f"{document.get('error_type', job['status'])}: {document.get('message', '')}"
    fail(f"job {job['id']} {job['status']}: {said}", ExitCode.FAILED, remedy)


# ---------------------------------------------------------------- the request


def _read_input(input: str | None) -> bytes | None:
    if input is None:
        return None
    try:
        return sys.stdin.buffer.read() if input == "-" else Path(input).read_bytes()
    except OSError as error:
        fail(f"{input} cannot be read: {error.strerror}", ExitCode.USAGE)


def _fields(pairs: list[str]) -> dict[str, str]:
    fields = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            fail(f"--field {pair!r} is not NAME=VALUE", ExitCode.USAGE)
        fields[name] = text
    return fields


def _parted(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Path]]:
    """Texts, and files by their fields."""
    files = {name: Path(text[1:]) for name, text in fields.items() if text.startswith("@") and text[1:2] != "@"}
    texts = {name: text.replace("@@", "@", 1) if text.startswith("@@") else text for name, text in fields.items()}
    return {name: text for name, text in texts.items() if name not in files}, files


def _values(
    server: Server, name: str, task: str | None, texts: Mapping[str, str], payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Fields as the contract declares them; what is not declared as a text is JSON if it reads so.

    `payload` are the request's other fields, of which one may name the task.
    """
    values = {key: _guessed(text) for key, text in texts.items()}
    if values == texts:
        return values  # texts either way: no need to ask for the contract
    contract = server.get(f"/v1/endpoints/{name}")["contract"]
    named = contract.get("task_field", "")
    meant = _meant(contract, task or texts.get(named) or payload.get(named))
    declared = {one["name"]: one["type"] for one in meant[0]["fields"]} if len(meant) == 1 else {}
    as_they_are = {key for key in texts if key == named or declared.get(key) in ("string", "image", "file")}
    return values | {key: texts[key] for key in as_they_are}


def _guessed(text: str) -> Any:
    try:
        return json_text.loads(text)
    except ValueError:
        return text


def _meant(contract: Mapping[str, Any], task: str | None) -> list[dict[str, Any]]:
    """The tasks that a request may be for."""
    tasks = contract.get("tasks", [])
    return [one for one in tasks if task is None or task == one["name"] or task in one["aliases"]]


def _request(
    server: Server,
    name: str,
    content: bytes | None,
    file: str,
    task: str | None,
    fields: Mapping[str, str],
    files: Mapping[str, Path],
    media_type: str | None,
) -> dict[str, Any]:
    """How to send it: JSON, the bytes as they are, or a form when bytes come with fields."""
    sent = {field: _sent(path) for field, path in files.items()}
    if sent and content is None:
        return {"data": dict(fields), "files": sent}
    if content is None:
        return {"json": _values(server, name, task, fields, {})}
    kind = media_type or media_type_of(file, content)
    if not fields and not sent:
        return {"content": content, "headers": {"Content-Type": kind}}
    if is_json(kind):
        if sent:
            fail("a JSON document has no place for files", ExitCode.USAGE, "give its fields with --field, too")
        payload = _json_object(content, file)
        return {"json": payload | _values(server, name, task, fields, payload)}
    media = _media_field(server, name, task)
    return {"data": dict(fields), "files": {media: (Path(file).name or "input", content, kind), **sent}}


def _sent(path: Path) -> tuple[str, bytes, str]:
    """A file of a form: name, content, media type."""
    content = _read_input(str(path)) or b""
    return path.name, content, media_type_of(path.name, content)


def _json_object(content: bytes, file: str) -> dict[str, Any]:
    try:
        payload = json_text.loads(content)
    except ValueError as error:
        fail(f"{file} is not JSON: {error}", ExitCode.USAGE)
    if not isinstance(payload, dict):
        fail(f"{file} is not a JSON object: fields cannot be added to it", ExitCode.USAGE)
    return payload


def _media_field(server: Server, name: str, task: str | None) -> str:
    """The field that a file goes to: the task's only required media field, or its only one."""
    contract = server.get(f"/v1/endpoints/{name}")["contract"]
    tasks, meant = contract.get("tasks", []), _meant(contract, task)
    if tasks and not meant:
        fail(f"there is no task {task!r}", ExitCode.NOT_FOUND, ", ".join(one["name"] for one in tasks))
    if len(meant) != 1:
        fail("which task the file is for is not clear", ExitCode.USAGE, ", ".join(one["name"] for one in tasks) or None)
    media = [one for one in meant[0]["fields"] if one["type"] in ("image", "file")]
    chosen = [one for one in media if one["required"]] or media
    if len(chosen) != 1:
        names = ", ".join(one["name"] for one in media) or "it has none"
        fail(f"task {meant[0]['name']!r} has no single media field: {names}", ExitCode.USAGE, "send JSON with --input")
    return str(chosen[0]["name"])


# ---------------------------------------------------------------- the result


def _make_way(output: Path) -> None:
    """Folders for the result, made before hours of work rather than missed after them."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{output.parent} cannot be made: {error.strerror}", ExitCode.USAGE)
    if output.is_dir() or not os.access(output if output.exists() else output.parent, os.W_OK):
        fail(f"{output} cannot be written", ExitCode.USAGE, "a file, in a folder that is yours")


def _write(server: Server, job: dict[str, Any], output: Path) -> None:
    for part in job["parts"]:
        primary = part["name"] == "result"
        path = output if primary else beside(output, part["name"], part["media_type"])
        try:
            path.write_bytes(server.call("GET", part["url"]).content)
        except OSError as error:
            fail(f"{path} cannot be written: {error.strerror}")
        note(f"wrote {path} ({part['media_type']}, {part['size_bytes']} bytes)")


def _print_result(server: Server, job: dict[str, Any], json: bool) -> None:
    primary = next(part for part in job["parts"] if part["name"] == "result")
    content = server.call("GET", primary["url"]).content
    if is_json(primary["media_type"]):
        print_json(json_text.loads(content))
    elif json:
        print_json(job)
    elif sys.stdout.isatty() and not is_text(primary["media_type"]):
        fail(f"the result is {primary['media_type']}", ExitCode.USAGE, "--output FILE, or send it on to a program")
    else:
        sys.stdout.buffer.write(content)
