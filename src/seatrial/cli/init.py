"""`seatrial init`: turn a handler into a package with a contract to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seatrial.cli.failing import ExitCode, fail
from seatrial.cli.options import JsonOption, example
from seatrial.cli.screen import note, print_json

EXAMPLE_HANDLER = '''\
"""A handler to change: one method per task, fields as keyword arguments, a JSON-able answer."""

from collections import Counter


class Handler:
    """Made once per worker: load the model here."""

    def count_words(self, text: str, top: int = 3):
        """The most frequent words of a text."""
        words = Counter(text.lower().split())
        return {"total": sum(words.values()), "top": dict(words.most_common(top))}
'''
EXAMPLE_SAMPLE = '{"task": "count_words", "text": "the cat sat on the mat", "top": 3}\n'


app = typer.Typer(add_completion=False)


@app.command("init", epilog=example("seatrial init mymodel --sample payload.json"))
def init(
    directory: Annotated[
        Path, typer.Argument(help="Folder of the handler; a new or empty one gets a small handler to change.")
    ],
    sample: Annotated[
        Path | None,
        typer.Option(help="A JSON request that works: its fields become the contract's.", exists=True, dir_okay=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write seatrial.toml for a handler: its tasks, their fields, and a sample to prove them with."""
    from seatrial.domain.errors import SeatrialError
    from seatrial.package.init import initialise

    example: list[Path] = []
    if sample is None and (not directory.exists() or not any(directory.iterdir())):
        directory.mkdir(parents=True, exist_ok=True)
        example = _write_example(directory)
        sample = example[-1]
    try:
        done = initialise(directory, sample)
    except SeatrialError as error:
        fail(error.message, ExitCode.FAILED, error.details.get("remedy") or error.valid)
    written = list(dict.fromkeys([*example, *done.written]))
    if json:
        print_json({"files": [str(path) for path in written], "to_fill_in": list(done.to_fill_in)})
        return
    for path in written:
        note(f"wrote {path}")
    for sentence in done.to_fill_in:
        note(f"to do: {sentence}")
    print(f"Look through {directory / 'seatrial.toml'}, then: seatrial deploy {directory} --name {_name(directory)}")


def _write_example(directory: Path) -> list[Path]:
    """A handler that works, and its sample, for a folder that has none."""
    handler, sample = directory / "handler.py", directory / "samples" / "count_words.json"
    sample.parent.mkdir()
    handler.write_text(EXAMPLE_HANDLER, encoding="utf-8")
    sample.write_text(EXAMPLE_SAMPLE, encoding="utf-8")
    return [handler, sample]


def _name(directory: Path) -> str:
    kept = "".join(char if char.isalnum() and char.isascii() else "-" for char in directory.resolve().name)
    return kept.strip("-")[:63].rstrip("-") or "endpoint"
