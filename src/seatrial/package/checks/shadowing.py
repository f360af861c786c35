"""Does a module of the package stand in the way of one that others import by the same name?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seatrial.package.checks.imports import Declared
from seatrial.package.closure.modules import Finder
from seatrial.package.finding import Finding
from seatrial.package.target import Target

ID = "shadowing"
HARMLESS = frozenset({"test", "this", "antigravity", "idlelib", "turtledemo", "__future__", "__main__"})


def check_shadowing(folders: list[Path], root: Path, declares: Declared, target: Target) -> Iterator[Finding]:
    """One warning for each module that goes before one of the standard library or of the requirements."""
    told: set[str] = set()
    finder = Finder()
    for folder in folders:
        if not folder.is_dir() or not folder.is_relative_to(root):
            continue
        for path in sorted(folder.iterdir()):
            name = path.stem if path.suffix == ".py" else path.name
            module = finder.find([folder], name) if name.isidentifier() and name not in told else None
            if module is None or not module.is_regular:
                continue
            told.add(name)
            shown = path.relative_to(root).as_posix()
            if name in target.stdlib and name not in HARMLESS:
                owner = f"Python's own module {name!r}"
            elif declares.brings(name):
                owner = f"the module {name!r} that {declares.file} brings"
            else:
                continue
            message = f"{shown} goes before {owner}: whoever imports that gets this instead."
            yield Finding(ID, "warning", message, f"Rename {shown}, and the imports of it.", shown)
