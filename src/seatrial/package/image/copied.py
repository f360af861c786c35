"""What a Dockerfile copies into the image, and where to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seatrial.package.image.dockerfile import LAMBDA_TASK_ROOT, Instruction, Stage

OCTAL = re.compile(r"[0-7]{3,4}")
FOLDER_VARIABLES = ("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR")  # folders that the base image brings


def working_folder(stage: Stage) -> str:
    """Where its command starts, as far as the Dockerfile and a well-known base say."""
    folder = _first_folder(stage)
    for one in stage.instructions:
        if one.word == "WORKDIR":
            folder = posixpath.join(folder, stage.expanded(one.rest))
    return folder


def _first_folder(stage: Stage) -> str:
    return LAMBDA_TASK_ROOT if stage.is_lambda else "/"


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that is brought: its path in the image, the file on disk, and by which instruction."""

    target: str
    source: Path
    instruction: Instruction

    @property
    def mode(self) -> int:
        """That of --chmod where it is a number, everything where it is not; else that of the file."""
        given = self.instruction.flags.get("chmod")
        if given is None:
            return self.source.stat().st_mode & 0o777
        return int(given, 8) if OCTAL.fullmatch(given) else 0o777


def copied(stage: Stage, context: Path) -> Iterator[Copied]:
    """Every file that a COPY brings from the build context."""
    folder = _first_folder(stage)
    folders = {"/", folder, *(stage.variables[name] for name in FOLDER_VARIABLES if name in stage.variables)}
    for one in stage.instructions:
        if one.word == "WORKDIR":
            folder = posixpath.normpath(posixpath.join(folder, stage.expanded(one.rest)))
            folders.add(folder)
        if one.word not in ("COPY", "ADD") or "from" in one.flags:
            continue
        words = list(one.exec_form or stage.expanded(one.rest).split())
        if len(words) < 2:
            continue
        target = posixpath.join(folder, stage.expanded(words[-1]))
        into = target.endswith("/") or len(words) > 2 or posixpath.normpath(target) in folders
        for word in words[:-1]:
            for path, source in _files(context, stage.expanded(word), target, into):
                folders.add(posixpath.dirname(path))
                yield Copied(path, source, one)


def _files(context: Path, word: str, target: str, into: bool) -> Iterator[tuple[str, Path]]:
    pattern = word.lstrip("/").removeprefix("./").rstrip("/")
    found = [context] if pattern in ("", ".") else sorted(context.glob(pattern))
    for path in found:
        if path.is_dir():
            for inner in sorted(one for one in path.rglob("*") if one.is_file()):
                yield posixpath.normpath(posixpath.join(target, inner.relative_to(path).as_posix())), inner
        else:
            place = posixpath.join(target, path.name) if into else target
            yield posixpath.normpath(place), path
