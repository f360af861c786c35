"""Does the code name folders that only a private view of the file system provides?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.source import Source, Unparsable, read_source

ID = "hard_coded_paths"
PATHS = ("/opt/ml/model", "/opt/ml/code", "/var/task", "/tmp")  # noqa: S108  # what handlers write, not ours


def check_hard_coded_paths(root: Path, isolation: str | None) -> Iterator[Finding]:
    """One warning for each place, when `isolation` says why this machine cannot provide them."""
    if isolation is None:
        return
    for path in sorted(root.rglob("*.py")):
        try:
            source = read_source(root, path)
        except Unparsable:
            continue  # the entry module's own check says so; others may be there for another Python
        for found, line in literal_paths(source):
            if found == "/tmp":  # noqa: S108
                message = f"{source.name}, line {line}: uses /tmp, which every worker of this machine shares"
            else:
                message = f"{source.name}, line {line}: uses {found}, which this machine cannot provide"
            remedy = "Use the model_dir that model_fn is given, and tempfile for temporary files."
            yield Finding(ID, "warning", f"{message}: {isolation}.", remedy, source.name, line)


def literal_paths(source: Source) -> Iterator[tuple[str, int]]:
    """Each of PATHS that a text in the code is, or begins with, and its line. Docstrings do not count."""
    prose = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            for path in PATHS:
                if node.value == path or node.value.startswith(f"{path}/"):
                    yield path, node.lineno
