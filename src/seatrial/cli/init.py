"""`seatrial init`: turn a handler into a package with a contract to fill in."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption
from seatrial.cli.screen import note, print_json


def init(
    directory: Annotated[Path, typer.Argument(help="Folder of the handler; a new one gets a small handler to change.")],
    handler: Annotated[
        str | None, typer.Option(help="module:Class or module:function; found out otherwise.", show_default=False)
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option(help="A JSON request that works: its fields become the contract's.", exists=True, dir_okay=False),
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task that the sample is for.", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Write seatrial.toml for a handler: its tasks, their fields, and a sample to prove them with."""
    from seatrial.cli.handlers import HandlerUnclear, find_handler, write_example
    from seatrial.cli.scaffold import scaffold

    manifest = directory / "seatrial.toml"
    if manifest.exists():
        fail(f"{manifest} is there already", ExitCode.USAGE, "change it, or remove it first")
    payload = _payload(sample)
    directory.mkdir(parents=True, exist_ok=True)
    files = [] if any(directory.iterdir()) else write_example(directory)
    try:
        found = find_handler(directory, handler)
        there = frozenset(path.stem for path in (directory / "samples").glob("*.json"))
        text, sample_name = scaffold(directory.resolve().name, found, payload, task, there)
    except HandlerUnclear as error:
        fail(str(error), ExitCode.USAGE, error.remedy)
    if payload is not None and sample_name is not None:
        target = directory / "samples" / f"{sample_name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json_text.dumps(payload, indent=2) + "\n", encoding="utf-8")
        files.append(target)
    manifest.write_text(text, encoding="utf-8")
    files.append(manifest)
    if json:
        print_json({"files": [str(path) for path in files]})
        return
    for path in files:
        note(f"wrote {path}")
    print(f"Look through {manifest}, then: seatrial deploy {directory} --name {_endpoint_name(directory)}")


def _payload(sample: Path | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    try:
        payload = json_text.loads(sample.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"{sample} is not JSON: {error}", ExitCode.USAGE)
    if not isinstance(payload, dict):
        fail(f"{sample} is not a JSON object", ExitCode.USAGE)
    return payload


def _endpoint_name(directory: Path) -> str:
    kept = "".join(char if char.isalnum() and char.isascii() else "-" for char in directory.resolve().name)
    return kept.strip("-") or "endpoint"
