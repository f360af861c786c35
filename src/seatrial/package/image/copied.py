"""What a Dockerfile copies into the image, and where to."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.image.dockerfile import Stage


def working_folder(stage: Stage) -> str:
    """Where its command starts, as far as the Dockerfile says."""
    folder = "/"
    for one in stage.instructions:
        if one.word == "WORKDIR":
            folder = posixpath.join(folder, stage.expanded(one.rest))
    return folder


def copied(stage: Stage, context: Path) -> Iterator[tuple[str, Path]]:
    """Every file that a COPY brings from the build context: path in the image, file on disk."""
    folder = "/"
    for one in stage.instructions:
        if one.word == "WORKDIR":
            folder = posixpath.join(folder, stage.expanded(one.rest))
        if one.word not in ("COPY", "ADD") or "from" in one.flags:
            continue
        words = list(one.exec_form or stage.expanded(one.rest).split())
        if len(words) < 2:
            continue
        target = posixpath.join(folder, stage.expanded(words[-1]))
        for word in words[:-1]:
            yield from _files(context, stage.expanded(word), target, len(words) > 2)


def _files(context: Path, word: str, target: str, several: bool) -> Iterator[tuple[str, Path]]:
    pattern = word.lstrip("/").removeprefix("./").rstrip("/")
    found = [context] if pattern in ("", ".") else sorted(context.glob(pattern))
    for path in found:
        if path.is_dir():
            for inner in sorted(one for one in path.rglob("*") if one.is_file()):
                yield posixpath.normpath(posixpath.join(target, inner.relative_to(path).as_posix())), inner
        else:
            into = target.endswith("/") or several or target == "."
            place = posixpath.join(target, path.name) if into else target
            yield posixpath.normpath(place), path
