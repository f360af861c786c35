"""What names mean in a module of the package: constants, imports and classes, by its syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from seatrial.package.source import Function, Source, Unparsable, dotted, read_source

HOPS_MAX = 8  # from module to module, or from constant to constant
Definition = Function | ast.ClassDef


class Unreadable(Exception):
    """What an expression comes to cannot be told without running it."""


@dataclass
class Scope:
    """A module, and where those lie that it imports from the package."""

    source: Source
    root: Path
    folder: Path
    _others: dict[str, Scope | None] = field(default_factory=dict)

    @cached_property
    def constants(self) -> Mapping[str, ast.expr]:
        """Names that are assigned exactly once at the top level."""
        found: dict[str, list[ast.expr]] = {}
        for statement in self.source.top_level():
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(statement.value)
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
                found.setdefault(statement.target.id, []).append(statement.value)
        return {name: values[0] for name, values in found.items() if len(values) == 1}

    @cached_property
    def imports(self) -> Mapping[str, tuple[str, str]]:
        """Each imported name with its module and the name there; the name is empty for a module itself."""
        found: dict[str, tuple[str, str]] = {}
        for statement in self.source.top_level():
            if isinstance(statement, ast.Import):
                for one in statement.names:
                    top = one.name.partition(".")[0]
                    found[one.asname or top] = (one.name if one.asname else top, "")
            elif isinstance(statement, ast.ImportFrom):
                for one in statement.names:
                    found[one.asname or one.name] = ("." * statement.level + (statement.module or ""), one.name)
        return found

    def real_name(self, node: ast.expr) -> str:
        """`cog.Path` of whatever the module calls it; empty for what is no name."""
        first, _, rest = dotted(node).partition(".")
        module, name = self.imports.get(first, ("", first))
        return ".".join(one for one in (module, name, rest) if one)

    def definition(self, name: str, hops: int = HOPS_MAX) -> tuple[Scope, Definition] | None:
        """The class or function of that name, here or in the module of the package that it is imported from."""
        found = self.source.definition(name)
        if found is not None:
            return self, found
        other = self._imported(name, hops)
        return other[0].definition(other[1], hops - 1) if other else None

    def constant(self, name: str, hops: int = HOPS_MAX) -> tuple[Scope, ast.expr]:
        """The expression that a name is bound to. Raises Unreadable."""
        if name in self.constants:
            return self, self.constants[name]
        other = self._imported(name, hops)
        if other is None:
            raise Unreadable(f"{name} is not assigned once in {self.source.name}")
        return other[0].constant(other[1], hops - 1)

    def method(self, kind: ast.ClassDef, names: tuple[str, ...], hops: int = HOPS_MAX) -> tuple[Scope, Function] | None:
        """The first of these methods that the class has, or one of its bases in the package."""
        for one in kind.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name in names:
                return self, one
        for base in kind.bases if hops else ():
            above = self.definition(dotted(base)) if dotted(base) else None
            if above is not None and isinstance(above[1], ast.ClassDef):
                inherited = above[0].method(above[1], names, hops - 1)
                if inherited is not None:
                    return inherited
        return None

    def _imported(self, name: str, hops: int) -> tuple[Scope, str] | None:
        module, its_name = self.imports.get(name, ("", ""))
        if not module or not its_name or hops <= 0:
            return None
        other = self._module(module)
        return None if other is None else (other, its_name)

    def _module(self, module: str) -> Scope | None:
        if module not in self._others:
            self._others[module] = next(self._read(module), None)
        return self._others[module]

    def _read(self, module: str) -> Iterator[Scope]:
        level = len(module) - len(module.lstrip("."))
        folder = self.folder
        for _ in range(level - 1):
            folder = folder.parent
        steps = [one for one in module.split(".") if one]
        for start in [folder] if level else dict.fromkeys((self.root, folder)):
            base = start.joinpath(*steps)
            for path in (base.with_suffix(".py"), base / "__init__.py"):
                if path.is_file() and path.resolve().is_relative_to(self.root.resolve()):
                    try:
                        yield Scope(read_source(self.root, path), self.root, path.parent)
                    except (Unparsable, ValueError):
                        continue


def value_of(node: ast.expr, scope: Scope, hops: int = HOPS_MAX) -> object:
    """What an expression of literals, constants, and lists of them comes to.

    Raises:
        Unreadable: it has to be run to know.
    """
    if hops <= 0:
        raise Unreadable("constants that refer to each other")
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        where, bound = scope.constant(node.id)
        return value_of(bound, where, hops - 1)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [value_of(one, scope, hops) for one in node.elts]
    if isinstance(node, ast.Dict):
        keys = [one for one in node.keys if one is not None]
        if len(keys) < len(node.keys):
            raise Unreadable("a dict with another in it")
        return dict(zip([value_of(one, scope, hops) for one in keys], map(_later, node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _minus(value_of(node.operand, scope, hops))
    if isinstance(node, ast.BinOp):
        return _combined(node.op, value_of(node.left, scope, hops), value_of(node.right, scope, hops))
    if isinstance(node, ast.Call):
        return _called(node, scope, hops)
    raise Unreadable(ast.unparse(node))


def _later(node: ast.expr) -> object:
    """A dict's value as it is written: only its keys are asked for as a rule."""
    return node.value if isinstance(node, ast.Constant) else node


def _called(node: ast.Call, scope: Scope, hops: int) -> object:
    """`list(x)`, `tuple(x)`, `sorted(x)`, and the keys or values of a dict."""
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in ("keys", "values") and not node.args:
        held = value_of(function.value, scope, hops)
        if isinstance(held, dict):
            found = list(held) if function.attr == "keys" else list(held.values())
            if not any(isinstance(one, ast.expr) for one in found):
                return found
    if isinstance(function, ast.Name) and function.id in ("list", "tuple", "sorted", "set") and len(node.args) == 1:
        held = value_of(node.args[0], scope, hops)
        if isinstance(held, list | dict):
            try:
                return sorted(held) if function.id == "sorted" else list(held)
            except TypeError:
                pass
    raise Unreadable(ast.unparse(node))


def _minus(value: object) -> object:
    if isinstance(value, int | float):
        return -value
    raise Unreadable("the minus of what is no number")


def _combined(operator: ast.operator, left: object, right: object) -> object:
    if isinstance(operator, ast.Add) and isinstance(left, list) and isinstance(right, list):
        return left + right
    if isinstance(operator, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _arithmetic(operator, left, right)
    raise Unreadable("an operation on other than numbers, texts and lists")


def _arithmetic(operator: ast.operator, left: float, right: float) -> float:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Pow() if isinstance(left, int) and isinstance(right, int) and 0 <= right <= 64 and abs(left) <= 1024:
            return int(left**right)
    raise Unreadable("an operation that is not followed")
