"""Judge the files of a package by their bytes: while they pass, or where they lie."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Protocol

from seatrial.package.archive import Told, fill, members_of, refuse_wrong_root
from seatrial.package.checks.weights import (
    faiss,
    gguf,
    npy,
    npz,
    onnx,
    pickles,
    placeholders,
    safetensors,
    torch_zip,
)
from seatrial.package.finding import Finding
from seatrial.package.sketch import Sketch
from seatrial.package.stored import NotHeld, StoredFile


class FileCheck(Protocol):
    """A module of `checks/weights`: whether it wants a file (name, size and first bytes tell), and what it finds."""

    ID: str

    def wants(self, file: StoredFile) -> bool:
        """True for a file that it can judge; only its first bytes can be read."""
        ...

    def check(self, file: StoredFile) -> Iterator[Finding]:
        """What is wrong with it."""
        ...


FILE_CHECKS: tuple[FileCheck, ...] = (
    placeholders,
    safetensors,
    onnx,
    npy,
    npz,
    faiss,
    gguf,
    torch_zip,
    pickles,
)


def sketch_package(
    source: Path, root: Path, stop: Event | None = None, label: str | None = None, told: Told | None = None
) -> Sketch:
    """Fill the empty folder `root` with what checks need of the package at `source`; its weights are judged.

    Raises:
        Unproven: as `open_package` does.
    """
    sketch = Sketch(root, judge, is_judged, stop)
    fill(sketch, source, label or source.name, told)
    refuse_wrong_root(root)
    return sketch


def judge_folder(root: Path) -> list[Finding]:
    """What there is to say about the files of an unpacked package."""
    findings: list[Finding] = []
    for name, _ in members_of(root):
        path = root / name
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as body:
            file = StoredFile(name, path.stat().st_size, body)
            if any(one.wants(file) for one in FILE_CHECKS):
                findings += judge(file)
    return findings


def is_judged(name: str, size_bytes: int, head: bytes) -> bool:
    """Whether any check wants that file."""
    file = StoredFile(name, size_bytes, io.BytesIO(head))
    return any(one.wants(file) for one in FILE_CHECKS)


def judge(file: StoredFile) -> list[Finding]:
    """Every finding about one file; a placeholder is told as such and nothing else."""
    findings: list[Finding] = []
    for one in FILE_CHECKS:
        if one.wants(file):
            try:
                findings += one.check(file)
            except NotHeld:
                continue  # it needed the middle of a big file in a stream
            if findings and one.ID == placeholders.ID:
                break
    return findings
