"""Path expressions of a package's code, worked out as far as they can be without running it."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from seatrial.package.source import dotted

Value = str | Path
FIXED_FOLDERS = ("/opt/ml/model", "/opt/ml/code", "/var/task")


class Places:
    """Evaluates expressions of one module. `names` are the variables whose value is known so far."""

    def __init__(self, root: Path, file: Path, env: Mapping[str, str]) -> None:
        self._root = root
        self._env = env
        self.names: dict[str, Value] = {"__file__": str(file)}

    def value(self, node: ast.expr) -> Value | None:
        """The text or path that the expression stands for; None if it cannot be told."""
        handler = _HANDLERS.get(type(node))
        try:
            return handler(self, node) if handler is not None else None
        except (IndexError, TypeError, ValueError, AttributeError):
            return None

    def folder(self, node: ast.expr) -> Path | None:
        """The folder of the package that an entry of sys.path means; relative ones start at the package's root."""
        value = self.value(node)
        if value is None:
            return None
        text = os.path.normpath(str(value) or ".")
        for fixed in FIXED_FOLDERS:
            if text == fixed or text.startswith(f"{fixed}/"):
                base = self._code() if fixed == "/opt/ml/code" else self._root
                return base / text[len(fixed) :].lstrip("/")
        return Path(os.path.normpath(self._root / text))

    def exists(self, node: ast.expr) -> bool | None:
        """Whether a path is there, for `os.path.exists(x)`, `x.exists()` and the like; None if it cannot be told."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        if node.func.attr not in ("exists", "is_dir", "is_file", "isdir", "isfile"):
            return None
        place = self.folder(node.args[0] if node.args else node.func.value)
        return None if place is None else place.exists()

    def _code(self) -> Path:
        code = self._root / "code"
        return code if code.is_dir() else self._root

    def _constant(self, node: ast.Constant) -> Value | None:
        return node.value if isinstance(node.value, str) else None

    def _name(self, node: ast.Name) -> Value | None:
        return self.names.get(node.id)

    def _joined(self, node: ast.JoinedStr) -> Value | None:
        parts = [self.value(one.value if isinstance(one, ast.FormattedValue) else one) for one in node.values]
        return None if None in parts else "".join(str(part) for part in parts)

    def _binary(self, node: ast.BinOp) -> Value | None:
        left, right = self.value(node.left), self.value(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, ast.Div):
            return Path(left) / right
        return str(left) + str(right) if isinstance(node.op, ast.Add) else None

    def _attribute(self, node: ast.Attribute) -> Value | None:
        value = self.value(node.value)
        return Path(value).parent if node.attr == "parent" and value is not None else None

    def _subscript(self, node: ast.Subscript) -> Value | None:
        if dotted(node.value) == "os.environ":
            return self._variable(self.value(node.slice), None)
        if isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
            value, index = self.value(node.value.value), node.slice
            if value is not None and isinstance(index, ast.Constant) and isinstance(index.value, int):
                return Path(value).parents[index.value]
        return None

    def _call(self, node: ast.Call) -> Value | None:
        name = dotted(node.func)
        if name in ("os.environ.get", "os.getenv", "environ.get", "getenv"):
            default = self.value(node.args[1]) if len(node.args) > 1 else None
            return self._variable(self.value(node.args[0]), default)
        if name in ("os.getcwd", "Path.cwd", "pathlib.Path.cwd"):
            return self._root
        given = [self.value(one) for one in node.args]
        if None not in given and (found := _plain_call(name, [one for one in given if one is not None])) is not None:
            return found
        return self._method(node, given) if isinstance(node.func, ast.Attribute) else None

    def _method(self, node: ast.Call, given: list[Value | None]) -> Value | None:
        function = node.func
        value = self.value(function.value) if isinstance(function, ast.Attribute) else None
        if value is None or not isinstance(function, ast.Attribute):
            return None
        if function.attr in ("resolve", "absolute", "expanduser"):
            return Path(value)
        if function.attr == "joinpath" and None not in given:
            return Path(value, *[one for one in given if one is not None])
        return str(value) if function.attr == "as_posix" else None

    def _variable(self, name: Value | None, default: Value | None) -> Value | None:
        own = {
            "SM_MODEL_DIR": self._root,
            "SAGEMAKER_BASE_DIR": self._root.parent,
            "SAGEMAKER_SUBMIT_DIRECTORY": self._root / "code",
            "LAMBDA_TASK_ROOT": self._root,
        }
        known: dict[str, Value] = {**own, **self._env}
        return known.get(str(name), default)


def _plain_call(name: str, given: list[Value]) -> Value | None:
    """Functions of os.path, and those that make a path or a text."""
    function = name.removeprefix("os.").removeprefix("pathlib.")
    if function in ("path.join", "join"):
        return str(Path(*given))
    if function in ("path.dirname", "dirname"):
        return os.path.dirname(str(given[0]))  # noqa: PTH120  # as the code itself does
    if function in ("path.abspath", "path.realpath", "path.normpath", "abspath", "realpath"):
        return str(given[0])
    if function in ("Path", "PurePath", "PosixPath"):
        return Path(*given)
    return str(given[0]) if function in ("str", "fspath") else None


_HANDLERS: Mapping[type[ast.expr], Callable[[Places, Any], Value | None]] = {
    ast.Constant: Places._constant,
    ast.Name: Places._name,
    ast.JoinedStr: Places._joined,
    ast.BinOp: Places._binary,
    ast.Attribute: Places._attribute,
    ast.Subscript: Places._subscript,
    ast.Call: Places._call,
}
