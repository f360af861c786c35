"""Does a Cog package have its predictor, with types from which Cog makes its schema?

Rules from replicate/cog `docs/python.md`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.checks.calls import fault_at
from seatrial.package.cog.file import COG_FILE, read_cog
from seatrial.package.finding import Finding
from seatrial.package.layout import Entry
from seatrial.package.manifest import Manifest
from seatrial.package.source import Function, Source, code_of

ID = "cog_predictor"


def check_cog_predictor(manifest: Manifest, entry: Entry, source: Source, root: Path) -> Iterator[Finding]:
    """Everything that would keep Cog from making its schema and calling predict."""
    if (root / COG_FILE).is_file() and not read_cog(root):
        yield Finding(ID, "error", f"{COG_FILE} is no YAML mapping.", "Correct it; `cog doctor` explains it.", COG_FILE)
    name = entry.attribute or ""
    found = source.definition(name)
    if not manifest.contract.declared and (source.binds(name) or source.binds("*")):
        yield _unread(source, name)
    if found is None:
        if not source.binds(name) and not source.binds("*"):
            yield fault_at(
                ID, source, f"{source.name} defines no {name!r}", f"Add it, or correct `predict` in {COG_FILE}."
            )
        return
    predict = found
    if isinstance(found, ast.ClassDef):
        methods = {one.name: one for one in found.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
        if "predict" not in methods and "run" not in methods:
            inherits = [code_of(one) for one in found.bases if code_of(one).rpartition(".")[2] != "BasePredictor"]
            if not inherits:
                yield fault_at(ID, source, f"{name} has no method predict", "Add predict(self, …).", found.lineno)
            return
        predict = methods.get("predict") or methods["run"]
    if isinstance(predict, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _annotations(source, predict)


def _unread(source: Source, name: str) -> Finding:
    """What it takes is the contract: without that no request can be held against anything."""
    fault = f"what {name!r} takes cannot be read in the files of the package"
    remedy = "Define predict(self, …) in the package itself, or declare [tasks.predict] in seatrial.toml."
    return fault_at(ID, source, fault, remedy)


def _annotations(source: Source, predict: Function) -> Iterator[Finding]:
    """Cog makes its schema of the annotations: without them nothing can be sent."""
    given = [one for one in (*predict.args.args, *predict.args.kwonlyargs) if one.arg not in ("self", "cls")]
    bare = [one.arg for one in given if one.annotation is None]
    if bare:
        fault = f"{predict.name} has no type for {', '.join(bare)}, and Cog makes its schema of the types"
        yield fault_at(ID, source, fault, f"Write `{bare[0]}: str = Input(…)` or another type.", predict.lineno)
    if predict.returns is None:
        fault = f"{predict.name} does not say what it returns, and Cog makes its schema of that"
        yield fault_at(ID, source, fault, "Write `-> Path` or another type.", predict.lineno)
