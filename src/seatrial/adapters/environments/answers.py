"""What Pythons say of themselves, asked again only when something has changed where they look."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROBE_SECONDS_MAX = 60
KEPT_MAX = 500  # answers
WHERE = "\nimport json, sys\nprint(json.dumps([sys.executable, *sys.path]))\n"

Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: str
    folders: tuple[Path, ...]  # where that Python looks for modules
    stamp: Stamp


_kept: dict[tuple[Path, str], _Kept] = {}


async def answer_of(python: Path, program: str, environ: Mapping[str, str]) -> tuple[int | None, str]:
    """Exit code and output of a short program, which tells of the Python that runs it and of what that would import.

    One that went well is kept (a Python takes 30 to 100 ms to say something) for as long as the interpreter, its
    `pyvenv.cfg`, and the folders on its path with their `.pth` files are what they were: whatever installs, upgrades or
    removes a distribution changes a folder. Those of a shim, which starts one or the other, are not kept.
    """
    kept = _kept.get((python, program))
    if kept is not None and kept.stamp == await asyncio.to_thread(_stamp, python, kept.folders):
        return 0, kept.answer
    code, said = await short_answer([str(python), "-I", "-c", program + WHERE], environ)
    answer, _, last = said.rstrip("\n").rpartition("\n")
    where = _where(last)
    if where is None:
        return code, said  # it failed, or is no Python
    executable, *folders = where
    if executable == python:
        while len(_kept) >= KEPT_MAX:
            del _kept[next(iter(_kept))]
        _kept[python, program] = _Kept(answer, tuple(folders), await asyncio.to_thread(_stamp, python, folders))
    return code, answer


def _where(line: str) -> list[Path] | None:
    """The interpreter that answered, and the folders on its path."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return list(map(Path, said)) if isinstance(said, list) and said else None


def _stamp(python: Path, folders: Sequence[Path]) -> Stamp:
    """Of all on which an answer depends; what is not there has none. Blocking."""
    found = []
    links = [one for folder in folders if folder.is_dir() for one in folder.glob("*.pth")]
    for path in (python, python.parent.parent / "pyvenv.cfg", *folders, *links):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((str(path), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


async def short_answer(command: list[str], environ: Mapping[str, str]) -> tuple[int | None, str]:
    """Exit code and all output of a short command."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environ),
            cwd=os.sep,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return None, str(error)
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            output, _ = await process.communicate()
    except TimeoutError:
        return None, f"no answer within {PROBE_SECONDS_MAX} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode("utf-8", "replace")
