"""Is the module there that the worker imports first, and is it Python?"""

from __future__ import annotations

from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.layout import Entry
from seatrial.package.manifest import Manifest
from seatrial.package.source import Source, Unparsable, read_source

ID = "entry_point"


def find_entry_point(manifest: Manifest, entry: Entry, root: Path) -> Source | Finding:
    """The parsed entry module, or why there is none."""
    if entry.file is None:
        return _missing(manifest, entry, root)
    name = entry.file.relative_to(root).as_posix()
    try:
        return read_source(root, entry.file)
    except Unparsable as error:
        where = f"{name}, line {error.line}" if error.line else name
        remedy = f"Correct the file; `python -m py_compile {name}` checks it."
        return Finding(ID, "error", f"{where} is no Python: {error}.", remedy, name, error.line)


def _missing(manifest: Manifest, entry: Entry, root: Path) -> Finding:
    file = entry.wanted
    if manifest.layout == "sagemaker":
        remedy = f"Put the handler at {file}, or name your own in seatrial.toml: [package] handler = 'module:Class'."
        beside = file.removeprefix("code/")
        if (root / beside).is_file():
            remedy = f"Move {beside} into code/: SageMaker's layout is {file}."
        return Finding(ID, "error", f"The package has no {file}.", remedy, file)
    who = "The start command" if manifest.layout == "http" else f"The handler {manifest.handler!r}"
    fault = f"{who} names {entry.module!r}, but the package has no {file}."
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob(Path(file).name))
    remedy = "Add the file, or correct `handler` in [package] of seatrial.toml."
    if manifest.layout == "python":
        remedy = 'Add the file, or correct handler = "module:Class" in [package] of seatrial.toml.'
    if manifest.layout == "http":
        remedy = "Add the file, or correct `command` in [package] of seatrial.toml."
    if found:
        remedy += f" There is {found[0]}."
    return Finding(ID, "error", fault, remedy, "seatrial.toml" if manifest.layout == "python" else file)
