"""Where else a module lies: in another folder of the package, or in a source tree beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial.domain.limits import SEARCHED_FOLDERS_MAX
from seatrial.package.names import is_left_out

NOT_SEARCHED = frozenset({"node_modules", "site-packages", "dist-packages"})


def find_elsewhere(module: str, places: Iterable[Path]) -> Iterator[Path]:
    """Folders and files of that top-level module below the places, the shallowest first; a bounded search."""
    looked = 0
    for place in places:
        pending = [place]
        while pending and looked < SEARCHED_FOLDERS_MAX:
            folder = pending.pop(0)
            looked += 1
            if (package := folder / module).is_dir() and any(package.rglob("*.py")):
                yield package
            elif (plain := folder / f"{module}.py").is_file():
                yield plain
            pending += _inner(folder)


def files_below(path: Path) -> Iterator[tuple[str, Path]]:
    """Every regular file at or below a path, named from it ("" for the path itself); left-out names are skipped."""
    if path.is_file():
        yield "", path
        return
    for inner in sorted(path.rglob("*")):
        parts = inner.relative_to(path).parts
        if inner.is_file() and not inner.is_symlink() and not is_left_out(parts):
            yield "/".join(parts), inner


def _inner(folder: Path) -> list[Path]:
    try:
        found = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:
        return []
    return [one for one in found if not is_left_out((one.name,)) and one.name not in NOT_SEARCHED]
