"""Weights that are there: hashed, read-only, and known by size and time of change from then on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.digest import file_hash

CONTENT = "content"
NOTE = "kept.json"


def is_kept(kept: Path) -> bool:
    """True if the content is there and right. It is only hashed again if something touched it. Blocking."""
    content = kept / CONTENT
    if not content.exists():
        remove(kept)
        return False
    present = _state(content)
    try:
        if json.loads((kept / NOTE).read_text("utf-8"))["state"] == present:
            return True
    except (OSError, ValueError, KeyError):
        pass  # without a readable note the bytes themselves tell
    if weights_hash(content) == kept.name:
        kept.chmod(0o755)
        _write_note(kept)
        return True
    remove(kept)
    return False


def keep(incoming: Path, kept: Path) -> None:
    """Make the checked content of `incoming` read-only and durable, and give it its name. Blocking."""
    content = incoming / CONTENT
    for path in _deepest_first(content):
        path.chmod(0o555 if path.is_dir() else 0o444)
        _flush(path)
    _write_note(incoming)
    _flush(incoming)
    incoming.rename(kept)
    _flush(kept.parent)


def weights_hash(content: Path) -> str:
    """SHA-256 hex of a file; of a folder, that of its sorted lines "<sha256>  <relative name>\\n". Blocking."""
    if content.is_file():
        return file_hash(content)
    lines = [f"{file_hash(path)}  {path.relative_to(content).as_posix()}\n" for path in _files(content)]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def remove(folder: Path) -> None:
    """Remove a folder, read-only ones inside too; nothing there is fine. Blocking."""
    if folder.exists():
        for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
            path.chmod(0o755)
        shutil.rmtree(folder)


def _state(content: Path) -> dict[str, int]:
    states = [path.stat() for path in _files(content)]
    return {
        "files": len(states),
        "size_bytes": sum(state.st_size for state in states),
        "modified_ns": max((state.st_mtime_ns for state in states), default=0),
    }


def _files(content: Path) -> Iterator[Path]:
    if content.is_file():
        yield content
    else:
        yield from (path for path in content.rglob("*") if path.is_file())


def _deepest_first(content: Path) -> list[Path]:
    return sorted([content, *content.rglob("*")], key=lambda path: -len(path.parts)) if content.is_dir() else [content]


def _write_note(folder: Path) -> None:
    with (folder / NOTE).open("w", encoding="utf-8") as note:
        json.dump({"state": _state(folder / CONTENT)}, note)
        note.flush()
        os.fsync(note.fileno())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
