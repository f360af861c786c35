"""Are the files there that the code reads from a place beside itself (`Path(__file__).parent / "classes.json"`)?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.carried import Carried
from seatrial.package.closure.places import Places
from seatrial.package.closure.walk import Closure
from seatrial.package.finding import Finding
from seatrial.package.manifest import Manifest
from seatrial.package.source import Source
from seatrial.package.target import Target

ID = "data_files"
READERS = frozenset({"load", "imread", "load_file", "read_csv", "read_json", "read_index", "InferenceSession"})
METHODS = frozenset({"read_text", "read_bytes"})
TESTS = frozenset({"exists", "is_file", "is_dir", "isfile", "isdir"})
WRITERS = frozenset({"write_text", "write_bytes", "touch", "mkdir", "save", "dump", "save_file"})
READING_MODES = frozenset({"r", "rb", "rt"})
REMEDY = (
    "Add it where the code looks for it: `seatrial check PACKAGE --source DIR --fix --write OUT` does, from the tree "
    "that it was packed from. Weights that are fetched at deployment are named under [[weights]]."
)


def check_data_files(
    closure: Closure, manifest: Manifest, root: Path, target: Target, carried: Carried
) -> Iterator[Finding]:
    """A warning for each that is read and missing. What is tried, tested or made by the code is its own affair."""
    fetched = tuple(root / one.path for one in manifest.weights)
    for file, source in closure.sources.items():
        if source.name in carried or b"__file__" not in source.text:
            continue
        places = Places(root, file, manifest.env)
        told: set[Path] = set()
        for path, line in _read_places(source, places):
            is_fetched = any(path == one or path.is_relative_to(one) for one in fetched)
            if path in told or is_fetched or path.exists() or not path.is_relative_to(root):
                continue
            told.add(path)
            name = path.relative_to(root).as_posix()
            there = next((one / name for one in target.search if (one / name).is_file()), None)
            hint = f" There is {there}." if there is not None else ""
            message = f"{source.name}, line {line}: reads {name}, which the package does not hold.{hint}"
            yield Finding(ID, "warning", message, REMEDY, source.name, line)


def _read_places(source: Source, places: Places) -> Iterator[tuple[Path, int]]:
    own: set[Path] = set()  # what the code tests for, or writes
    read: list[tuple[Path, int]] = []
    tried = {id(inner) for node in ast.walk(source.tree) if isinstance(node, ast.Try) for inner in _body_of(node)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = places.value(node.value)
            if value is not None:
                places.names[node.targets[0].id] = value
        if not isinstance(node, ast.Call):
            continue
        expression, reads = _looked_at(node)
        path = _place(expression, places) if expression is not None else None
        if path is not None and not reads:
            own.add(path)
        elif path is not None and id(node) not in tried:
            read.append((path, node.lineno))
    yield from (one for one in read if one[0] not in own)


def _body_of(node: ast.Try) -> Iterator[ast.AST]:
    for statement in node.body:
        yield from ast.walk(statement)


def _looked_at(call: ast.Call) -> tuple[ast.expr | None, bool]:
    """The expression of the file that a call is about, and whether it reads it; else it tests for it or writes it."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    first = call.args[0] if call.args else None
    if name == "open":
        is_method = owner is not None and (first is None or _mode(first) is not None)
        modes = call.args[:1] if is_method else call.args[1:2]
        modes += [one.value for one in call.keywords if one.arg == "mode"]
        return (owner if is_method else first), all(_mode(one) in READING_MODES for one in modes)
    if name in METHODS:
        return owner, True
    if name in READERS:
        return first, True
    return (first or owner if name in TESTS | WRITERS else None), False


def _mode(node: ast.expr) -> str | None:
    """A mode of `open` that is written there."""
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) and set(text) <= set("rwaxbt+") else None


def _place(expression: ast.expr, places: Places) -> Path | None:
    """An absolute path; what starts where the process does is not known."""
    value = places.value(expression)
    return places.folder(expression) if value is not None and Path(value).is_absolute() else None
