"""Does the entry module import what neither the package nor its requirements hold?

Only a warning: the base interpreter may hold it, and modules have other names than the distributions they come from.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.manifest import Manifest
from seatrial.package.source import Source, import_folders, module_file

ID = "imports"
DISTRIBUTIONS = {  # modules whose distribution has quite another name
    "PIL": ("pillow",),
    "bs4": ("beautifulsoup4",),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "dateutil": ("python-dateutil",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "yaml": ("pyyaml",),
}
INCLUDES = re.compile(r"^(-r|--requirement|-e|--editable|git\+|https?:|file:|\.)")  # these may bring anything


def check_imports(manifest: Manifest, root: Path, source: Source) -> Iterator[Finding]:
    """One warning for each module that nothing in sight brings."""
    declared = _declared(manifest.requirements)
    if declared is None:
        return
    folders = import_folders(manifest, root)
    for module, line in _imported(source.tree).items():
        if module in sys.stdlib_module_names or module_file(folders, module) or _is_folder(folders, module):
            continue
        names = (module, *DISTRIBUTIONS.get(module, ()))
        if not any(_canonical(name) in declared for name in names):
            message = (
                f"{source.name}, line {line}: imports {module!r}, which neither the package nor its requirements hold."
            )
            remedy = "Add it to the requirements file, unless the base interpreter has it."
            yield Finding(ID, "warning", message, remedy, source.name, line)


def _imported(tree: ast.Module) -> dict[str, int]:
    """Top-level names of absolute imports with the first line of each."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            found.setdefault(name.partition(".")[0], node.lineno)
    return found


def _declared(requirements: Path | None) -> set[str] | None:
    """Canonical names of the required distributions; None if the file includes what is not in sight."""
    lines = requirements.read_text("utf-8", "replace").splitlines() if requirements else []
    lines = [line.strip() for line in lines]
    if any(INCLUDES.match(line) for line in lines):
        return None
    names = [re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in lines]
    return {_canonical(name[0]) for name in names if name}


def _canonical(name: str) -> str:
    """A distribution's name as the Simple index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_folder(folders: Sequence[Path], module: str) -> bool:
    """True for a namespace package: a folder without `__init__.py`."""
    return any((folder / module).is_dir() for folder in folders)
