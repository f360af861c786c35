"""Weights on their way: what has come so far, and which state of the source it is of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from seatrial.adapters.weights.kept import remove
from seatrial.adapters.weights.source import unfit
from seatrial.domain.errors import Unproven
from seatrial.package.names import safe_parts

NOTES = "notes.jsonl"  # first the source's URI, then a line for each file that was begun; a later line wins


class Partial:
    """A folder with `content`, a file or a folder, that grows. What came from another URI is thrown away."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self._validators: dict[str, str | None] = {}
        if not self._read_notes(uri):
            remove(folder)
            folder.mkdir(parents=True)
            self._note({"uri": uri})

    @property
    def content(self) -> Path:
        """The file, or the folder of files."""
        return self.folder / "content"

    def state(self, name: str) -> tuple[int, str | None]:
        """How many bytes of a file are there, and its validator."""
        path = self._path(name)
        return (path.stat().st_size if path.is_file() else 0), self._validators.get(name)

    def writer(self, name: str, start: int, validator: str | None) -> IO[bytes]:
        """The file, open for what comes from `start` on; what lies beyond is cut off."""
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._validators.get(name, "") != validator:
            self._note({"name": name, "validator": validator})
            self._validators[name] = validator
        body = path.open("r+b" if path.exists() else "w+b")
        body.truncate(start)
        body.seek(start)
        return body

    def finish(self) -> None:
        """Leave only the content."""
        (self.folder / NOTES).unlink()

    def _path(self, name: str) -> Path:
        try:
            return self.content.joinpath(*safe_parts(name))
        except Unproven as error:
            why = error.message.removesuffix(".")
            raise unfit(f"The source has a file {name!r}, whose name is not safe: {why}") from error

    def _read_notes(self, uri: str) -> bool:
        """True if the folder holds what came from this URI."""
        try:
            first, *rest = (self.folder / NOTES).read_text("utf-8").splitlines()
            notes = [json.loads(line) for line in rest]
            self._validators = {note["name"]: note["validator"] for note in notes}
            return bool(json.loads(first)["uri"] == uri)
        except (OSError, ValueError, KeyError):  # nothing there, or a note that a crash cut off
            self._validators = {}
            return False

    def _note(self, note: dict[str, str | None]) -> None:
        with (self.folder / NOTES).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(note) + "\n")
