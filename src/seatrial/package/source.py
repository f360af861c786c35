"""A Python file of a package, parsed but never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seatrial.domain.limits import CONTRACT_BYTES_MAX

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unparsable(Exception):
    """The file is no Python that this server can read; `line` where it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Source:
    """The file's name in the package, its syntax tree and its text."""

    name: str
    tree: ast.Module
    text: bytes = b""

    def top_level(self) -> Iterator[ast.stmt]:
        """Statements that run on import: those of the module, and inside its `if`, `try` and `with`."""
        pending: list[ast.stmt] = list(self.tree.body)
        while pending:
            statement = pending.pop(0)
            yield statement
            if isinstance(statement, ast.If | ast.Try | ast.With):
                inner = [one for one in ast.iter_child_nodes(statement) if isinstance(one, ast.stmt)]
                handlers = getattr(statement, "handlers", [])
                pending[:0] = inner + [one for handler in handlers for one in handler.body]

    def definition(self, name: str) -> Function | ast.ClassDef | None:
        """The function or class of that name which the module defines itself."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = [one for one in self.top_level() if isinstance(one, kinds) and one.name == name]
        return found[-1] if found else None

    def binds(self, name: str) -> bool:
        """True if importing the module may bind that name: defined, assigned or imported."""
        return self.definition(name) is not None or any(name in _bound(one) for one in self.top_level())


def read_source(root: Path, path: Path) -> Source:
    """Parse a file of the package.

    Raises:
        Unparsable: not Python, not text, or larger than any module.
    """
    name = path.relative_to(root).as_posix()
    if path.stat().st_size > CONTRACT_BYTES_MAX:
        raise Unparsable(f"has more than {CONTRACT_BYTES_MAX} bytes")
    try:
        text = path.read_bytes()
        return Source(name, ast.parse(text, filename=name), text)
    except SyntaxError as error:
        raise Unparsable(error.msg, error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL; nested beyond what the parser takes
        raise Unparsable(str(error) or type(error).__name__) from error


def dotted(node: ast.expr) -> str:
    """`os.path.join` for a chain of names; empty for any other expression."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(words)]) if isinstance(node, ast.Name) else ""


def code_of(node: ast.expr) -> str:
    """The expression as text; empty if it is nested too deeply to be told. Slow: for expressions that are few."""
    try:
        return dotted(node) or ast.unparse(node)
    except RecursionError:
        return ""


def _bound(statement: ast.stmt) -> set[str]:
    """Names that an assignment or an import binds; "*" binds any."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        return {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return set()
