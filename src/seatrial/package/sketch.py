"""A package as its checks need it: code and text whole, every other file as a hole of the right size.

Weights are judged while they pass and never written to disk.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from threading import Event
from typing import IO, cast

from seatrial.domain.limits import (
    CHECKED_HEAD_BYTES,
    CHECKED_KEPT_BYTES_MAX,
    CHECKED_TEXT_BYTES_MAX,
    CHECKED_WHOLE_BYTES_MAX,
)
from seatrial.package.finding import Finding
from seatrial.package.stored import Passing, StoredFile
from seatrial.package.tree import Tree

TEXT_SUFFIXES = (".py", ".pyi", ".toml", ".json", ".txt", ".cfg", ".ini", ".yaml", ".yml", ".md", ".sh", ".onnx")
Judge = Callable[[StoredFile], Iterable[Finding]]


class Sketch(Tree):
    """Takes a package's members like any tree, and gathers what `judge` finds in the files that `judged` names."""

    def __init__(
        self, root: Path, judge: Judge, judged: Callable[[str, int, bytes], bool], stop: Event | None = None
    ) -> None:
        """`root` is an existing empty folder. `judged` is asked with name, size in bytes and the first bytes."""
        super().__init__(root, stop)
        self._judge = judge
        self._judged = judged
        self._kept_bytes = 0
        self.findings: list[Finding] = []
        self.files = 0
        self.size_bytes = 0

    def _fill(self, target: IO[bytes], body: IO[bytes], name: str, size_bytes: int) -> None:
        self._count_bytes(size_bytes, name)
        self.files += 1
        self.size_bytes += size_bytes
        head = body.read(CHECKED_HEAD_BYTES)
        is_judged, is_kept = self._judged(name, size_bytes, head), self._is_kept(name, size_bytes)
        if is_judged or is_kept:
            body = body if body.seekable() else cast(IO[bytes], Passing(head, body, size_bytes))
        if is_judged:
            self.findings += self._judge(StoredFile(name, size_bytes, body))
        if is_kept:
            self._kept_bytes += size_bytes
            body.seek(0)
            shutil.copyfileobj(body, target)
        else:
            target.write(head)
            target.truncate(size_bytes)

    def _is_kept(self, name: str, size_bytes: int) -> bool:
        is_text = PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES
        limit = CHECKED_TEXT_BYTES_MAX if is_text else CHECKED_WHOLE_BYTES_MAX
        return size_bytes <= limit and self._kept_bytes + size_bytes <= CHECKED_KEPT_BYTES_MAX
