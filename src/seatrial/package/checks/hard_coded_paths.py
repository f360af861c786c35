"""Does the code name folders and files that will not be there where it runs?

SageMaker's and Lambda's fixed folders are provided where the machine allows a private view of the file system; what
lies in them is what the package holds. Folders of other places are there only if this machine has them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial.package.carried import Carried
from seatrial.package.finding import Finding
from seatrial.package.listing import ListedFile
from seatrial.package.manifest import Manifest
from seatrial.package.source import Source, Unparsable, read_source
from seatrial.package.target import Target

ID = "hard_coded_paths"
VIEWS = ("/opt/ml/model", "/opt/ml/code", "/var/task")
SHARED = "/tmp"  # noqa: S108  # what handlers write, not ours
ELSEWHERE = (
    *("/opt/ml/input", "/opt/ml/output", "/opt/ml/processing", "/runpod-volume", "/content", "/kaggle"),
    *("/home", "/Users", "/workspace", "/mnt"),
)
MARKS = re.compile(rb"[\"'](" + "|".join((*VIEWS, SHARED, *ELSEWHERE)).encode() + rb")")  # else nothing is parsed
REMEDY = "Use the model_dir that model_fn is given, and tempfile for temporary files."
TESTS = frozenset({"exists", "is_dir", "is_file", "isdir", "isfile", "lexists"})


def check_hard_coded_paths(
    manifest: Manifest, root: Path, files: Iterable[ListedFile], target: Target, carried: Carried
) -> Iterator[Finding]:
    """One warning for each place."""
    for file in files:
        if file.name in carried or not file.name.endswith(".py") or not MARKS.search(file.path.read_bytes()):
            continue
        try:
            source = read_source(root, file.path)
        except Unparsable:
            continue  # the entry module's own check says so; others may be there for another Python
        for text, line in literal_paths(source):
            fault = _fault(text, manifest, root, target)
            if fault:
                message = f"{source.name}, line {line}: uses {fault}."
                yield Finding(ID, "warning", message, REMEDY, source.name, line)


def literal_paths(source: Source) -> Iterator[tuple[str, int]]:
    """Each absolute path that a text in the code is, and its line. Docstrings and tests for existence do not count."""
    skipped = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    skipped |= {id(one) for node in ast.walk(source.tree) if isinstance(node, ast.JoinedStr) for one in node.values[1:]}
    tested = {text for node in ast.walk(source.tree) if isinstance(node, ast.Call) for text in _tested(node)}
    for node in ast.walk(source.tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in skipped else None
        if isinstance(node, ast.Constant) and isinstance(text, str) and text.startswith("/") and text not in tested:
            yield text, node.lineno


def _tested(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in TESTS:
        for node in ast.walk(call):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _fault(text: str, manifest: Manifest, root: Path, target: Target) -> str | None:
    view = next((one for one in VIEWS if _below(text, one)), None)
    if view is not None and target.isolation is not None:
        return f"{view}, which this machine cannot provide: {target.isolation}"
    if view is not None:
        return _absent(text, view, manifest, root)
    if _below(text, SHARED):
        why = f"which every worker of this machine shares: {target.isolation}"
        return f"{SHARED}, {why}" if target.isolation is not None else None
    place = next((one for one in ELSEWHERE if _below(text, one)), None)
    return f"{text!r}, which is not there where it will run" if place and not Path(text).exists() else None


def _absent(text: str, view: str, manifest: Manifest, root: Path) -> str | None:
    """A file of the package that the package does not hold; folders and names without a suffix may be made later."""
    inside = text[len(view) :].strip("/")
    base = root / "code" if view == "/opt/ml/code" and (root / "code").is_dir() else root
    if "." not in inside.rpartition("/")[2] or (base / inside).exists():
        return None
    fetched = any(inside == one.path or inside.startswith(f"{one.path}/") for one in manifest.weights)
    return None if fetched else f"{text!r}, and the package holds no {inside}"


def _below(text: str, folder: str) -> bool:
    return text == folder or text.startswith(f"{folder}/")
