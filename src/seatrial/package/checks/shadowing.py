"""Does a module of the package stand in the way of one that others import by the same name?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seatrial.package.carried import Carried
from seatrial.package.checks.imports import Declared
from seatrial.package.closure.modules import Finder
from seatrial.package.finding import Finding
from seatrial.package.target import Target

ID = "shadowing"
HARMLESS = frozenset({"test", "this", "antigravity", "idlelib", "turtledemo", "__future__", "__main__"})
OF_THE_LAYOUT = {  # what runs or deploys a handler elsewhere, which a folder is easily named after
    "sagemaker": frozenset({"sagemaker", "sagemaker_inference", "sagemaker_training"}),
    "runpod": frozenset({"runpod"}),
    "cog": frozenset({"cog"}),
}


def check_shadowing(
    folders: list[Path], root: Path, declares: Declared, target: Target, layout: str, carried: Carried
) -> Iterator[Finding]:
    """One warning for each module that goes before one of others: of the standard library, of the requirements, of
    the base, or of the SDK that the layout comes from. A library that the package carries along does so on purpose.
    """
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
            owner = _owner(name, declares, target, layout, shown in carried)
            if owner is None:
                continue
            message = f"{shown} goes before {owner}: whoever imports that gets this instead."
            yield Finding(ID, "warning", message, f"Rename {shown}, and the imports of it.", shown)


def _owner(name: str, declares: Declared, target: Target, layout: str, is_carried: bool) -> str | None:
    """Whose module it stands in the way of, in words."""
    if name in target.stdlib and name not in HARMLESS:
        return f"Python's own module {name!r}"
    if name in HARMLESS or is_carried:
        return None
    if declares.brings(name):
        return f"the module {name!r} that {declares.file} brings"
    if name in target.provided or name in (target.modules or ()):
        return f"the module {name!r} that the base interpreter brings"
    if name in OF_THE_LAYOUT.get(layout, ()):
        return f"the module {name!r} of the SDK"
    return None
