"""Is every module that will be imported Python, and of the version that will run it?"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.closure.walk import Closure
from seatrial.package.finding import Finding
from seatrial.package.target import Target

ID = "syntax"


def check_syntax(closure: Closure, entry: Path, root: Path, target: Target) -> Iterator[Finding]:
    """One finding for each file. The entry module's own faults are said by `entry_point`."""
    told = {entry.relative_to(root).as_posix()}
    for name, error, chain in closure.unparsable:
        if name in told:
            continue
        told.add(name)
        where = f"{name}, line {error.line}" if error.line else name
        reached = f"; it is imported by {chain[-1]}" if chain else ""
        if target.python[:2] > sys.version_info[:2]:
            message = f"{where} cannot be read by Python {sys.version_info[0]}.{sys.version_info[1]}: {error}{reached}."
            remedy = f"Check it with Python {target.python_text}, which will run it."
            yield Finding(ID, "unprovable", message, remedy, name, error.line)
            continue
        remedy = f"Correct the file; `python -m py_compile {name}` checks it."
        yield Finding(ID, "error", f"{where} is no Python: {error}{reached}.", remedy, name, error.line)
    yield from _too_new(closure, root, target)


def _too_new(closure: Closure, root: Path, target: Target) -> Iterator[Finding]:
    """Syntax that the target's older Python does not have."""
    if target.python[:2] >= sys.version_info[:2]:
        return
    for file, source in closure.sources.items():
        try:
            ast.parse(file.read_bytes(), feature_version=(target.python[0], target.python[1]))
        except SyntaxError as error:
            message = f"{source.name}, line {error.lineno}: Python {target.python_text} cannot read this: {error.msg}."
            remedy = f'Write it for Python {target.python_text}, or ask for a newer one: python = "…" in [package].'
            yield Finding(ID, "error", message, remedy, source.name, error.lineno)
