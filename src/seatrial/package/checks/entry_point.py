"""Is the module there that the worker imports first, and is it Python?"""

from __future__ import annotations

from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.manifest import Manifest
from seatrial.package.source import Source, Unparsable, entry_module, import_folders, module_file, read_source

ID = "entry_point"


def find_entry_point(manifest: Manifest, root: Path) -> Source | Finding:
    """The parsed entry module, or why there is none."""
    module = entry_module(manifest)
    folders = [folder for folder in import_folders(manifest, root) if manifest.layout == "python" or folder != root]
    path = module_file(folders, module)
    if path is None:
        return _missing(manifest, root, module)
    name = path.relative_to(root).as_posix()
    try:
        return read_source(root, path)
    except Unparsable as error:
        where = f"{name}, line {error.line}" if error.line else name
        return Finding(
            ID,
            "error",
            f"{where} is no Python: {error}.",
            f"Correct the file; `python -m py_compile {name}` checks it.",
            name,
            error.line,
        )


def _missing(manifest: Manifest, root: Path, module: str) -> Finding:
    file = f"{module.replace('.', '/')}.py"
    if manifest.layout == "python":
        return Finding(
            ID,
            "error",
            f"The handler {manifest.handler!r} names the module {module!r}, but the package has no {file}.",
            'Add the file, or correct handler = "module:Class" in [package] of seatrial.toml.',
            "seatrial.toml",
        )
    remedy = f"Put the handler at code/{file}, or name your own in seatrial.toml: [package] handler = 'module:Class'."
    if (root / file).is_file():
        remedy = f"Move {file} into code/: SageMaker's layout is code/{file}."
    return Finding(ID, "error", f"The package has no code/{file}.", remedy, f"code/{file}")
