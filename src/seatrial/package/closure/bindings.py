"""Which names a module holds once it was imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seatrial.package.source import dotted

MAKES_NAMES = frozenset({"exec", "globals", "vars", "setattr", "__getattr__", "lazy_loader", "LazyImporter"})


def bound_names(tree: ast.Module) -> frozenset[str] | None:
    """The names that importing the module may bind; None if it can bind any (a star import, `globals()` …)."""
    names: set[str] = {"__name__", "__file__", "__doc__", "__path__", "__package__", "__spec__", "__loader__"}
    for node in _own_nodes(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and (isinstance(node.ctx, ast.Store) or node.id in MAKES_NAMES):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            names |= set(node.names)
    # a type alias (3.12) stores its name like an assignment
    return None if "*" in names or names & MAKES_NAMES or _touches_modules(tree) else frozenset(names)


def _own_nodes(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node outside of functions and classes, with the names of those."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def _touches_modules(tree: ast.Module) -> bool:
    """True for a module that puts something else in its own place."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "modules" and dotted(node) == "sys.modules"
        for node in ast.walk(tree)
    )
