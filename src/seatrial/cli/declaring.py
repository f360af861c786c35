"""Declare a sample in `seatrial.toml`, in place of one of the same name, and leave the rest as its author wrote it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from seatrial.cli.failing import ExitCode, fail

_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


class Manifest:
    """A package's manifest, as text that is changed at one place."""

    def __init__(self, path: Path) -> None:
        """Ends the command when there is none, or it is no TOML."""
        if not path.is_file():
            fail(f"{path} is not there", ExitCode.USAGE, "`seatrial init` makes one")
        self.path = path
        self._text = path.read_text(encoding="utf-8")
        try:
            tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            fail(f"{path} is not TOML: {error}", ExitCode.USAGE)

    def declares(self, task: str, name: str) -> bool:
        """Whether the task has a sample of that name."""
        return name in _names(_samples(self._text, task))

    def declare(self, task: str, name: str, toml: str) -> None:
        """Append `toml`, a [[tasks.TASK.samples]] table, having taken out the one of the same name."""
        kept = "".join(self._without(task, name)).rstrip("\n")
        if name in _names(_samples(kept, task)):
            fail(f"{self.path} declares the sample {name!r} in a way that cannot be replaced", remedy="edit it by hand")
        self._text = f"{kept}\n\n{toml}"
        self.path.write_text(self._text, encoding="utf-8")

    def _without(self, task: str, name: str) -> Iterator[str]:
        """The text's tables but for the sample's own, and the tables inside of it."""
        starts = [0, *(found.start() for found in _HEADER.finditer(self._text)), len(self._text)]
        inside = False
        for start, end in pairwise(starts):
            table = self._text[start:end]
            samples = _samples(table, task)
            own = table.lstrip().startswith("[[") and _names(samples) == [name]
            inside = own or (inside and isinstance(samples, Mapping))
            yield _about_what_follows(table) if inside else table


def _samples(text: str, task: str) -> Any:
    """What a manifest, or one table of it, says of a task's samples: a list, or a mapping of a table inside of one."""
    try:
        return tomllib.loads(text).get("tasks", {}).get(task, {}).get("samples", [])
    except tomllib.TOMLDecodeError:
        return []  # a piece of a value with a line that begins like a table


def _names(samples: Any) -> list[str]:
    """A sample without a name is called as its file."""
    if not isinstance(samples, list):
        return []
    return [str(one.get("name") or PurePosixPath(str(one.get("input", ""))).stem) for one in samples]


def _about_what_follows(table: str) -> str:
    """A table's last comments, after a blank line: they are about the next one."""
    _, blank, last = table.rstrip().rpartition("\n\n")
    is_comment = blank and all(line.startswith("#") for line in last.splitlines())
    return f"{last}\n" if is_comment else ""
