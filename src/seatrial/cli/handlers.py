"""Find someone's handler by reading its source; nothing of it is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAGEMAKER = Path("code") / "inference.py"
LIKELY = ("predict", "handler", "handle", "run", "infer", "inference", "main")
_TYPES = {
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "object", "list": "array",
    "Dict": "object", "List": "array", "Mapping": "object", "Sequence": "array", "bytes": "file", "Path": "file",
    "PathLike": "file",
}  # fmt: skip
_EXAMPLE = '''\
"""A handler to change: one method per task, fields as keyword arguments, a JSON-able answer."""

from collections import Counter


class Handler:
    """Made once per worker: load the model here."""

    def count_words(self, text: str, top: int = 3):
        """The most frequent words of a text."""
        words = Counter(text.lower().split())
        return {"total": sum(words.values()), "top": dict(words.most_common(top))}
'''
_EXAMPLE_SAMPLE = '{\n  "text": "the cat sat on the mat"\n}\n'


class HandlerUnclear(Exception):
    """The folder does not say which handler is meant."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a method. `type` is a field's type, "" where the source does not say; bytes are "file"."""

    name: str
    type: str
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class Method:
    """What can become a task."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    takes_any: bool


@dataclass(frozen=True, slots=True)
class FoundHandler:
    """`handler` is None for SageMaker's layout; then there are no methods to read."""

    handler: str | None
    methods: tuple[Method, ...]


def write_example(directory: Path) -> list[Path]:
    """A handler that works, with a sample, for a folder that has none."""
    handler, sample = directory / "handler.py", directory / "samples" / "count_words.json"
    sample.parent.mkdir()
    handler.write_text(_EXAMPLE, encoding="utf-8")
    sample.write_text(_EXAMPLE_SAMPLE, encoding="utf-8")
    return [handler, sample]


def find_handler(directory: Path, named: str | None) -> FoundHandler:
    """The handler of a folder: the one named, SageMaker's, or the only one that looks like one.

    Raises:
        HandlerUnclear: none or several.
    """
    if named is None and (directory / SAGEMAKER).is_file():
        return FoundHandler(None, ())
    found = [one for path in _sources(directory, named) for one in _handlers(directory, path)]
    if named is not None:
        found = [one for one in found if one.handler == named]
    likely = found if len(found) < 2 else [one for one in found if _is_likely(one)]
    if len(likely) == 1:
        return likely[0]
    names = ", ".join(str(one.handler) for one in found[:8])
    if not found:
        what = f"{directory} has no {named}" if named else f"{directory} has no Python class or function to serve"
        raise HandlerUnclear(what, "name it with --handler module:Class")
    raise HandlerUnclear(f"{directory} has several handlers: {names}", "choose one with --handler module:Class")


def _sources(directory: Path, named: str | None) -> list[Path]:
    if named is not None:
        module = directory / (named.partition(":")[0].replace(".", "/"))
        return [path for path in (module.with_suffix(".py"), module / "__init__.py") if path.is_file()]
    return sorted(path for path in directory.glob("*.py") if not path.name.startswith(("test_", "_", "setup.")))


def _handlers(directory: Path, path: Path) -> list[FoundHandler]:
    parts = path.relative_to(directory).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise HandlerUnclear(f"{path} is no Python: {error}", "correct it first") from None
    found = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = tuple(_method(one, skip=1) for one in node.body if _is_public(one))
            if methods:
                found.append(FoundHandler(f"{module}:{node.name}", methods))
        elif _is_public(node):
            found.append(FoundHandler(f"{module}:{node.name}", (_method(node, skip=0),)))  # type: ignore[attr-defined]
    return found


def _is_likely(found: FoundHandler) -> bool:
    attribute = str(found.handler).rpartition(":")[2]
    return attribute[:1].isupper() or attribute in LIKELY


def _is_public(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and not node.name.startswith("_")


def _method(node: ast.AST, skip: int) -> Method:
    if not isinstance(node, ast.FunctionDef):
        raise TypeError(type(node))
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args][skip:]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    given = [*zip(plain, defaults, strict=False), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parameters = tuple(_parameter(one, default) for one, default in given if one.arg not in ("context", "task"))
    description = (ast.get_docstring(node) or "").partition("\n")[0]
    return Method(node.name, description, parameters, arguments.kwarg is not None)


def _parameter(node: ast.arg, default: ast.expr | None) -> Parameter:
    value = default.value if isinstance(default, ast.Constant) else None
    kind = _type(node.annotation)
    if not kind and value is not None:
        kind = _TYPES.get(type(value).__name__, "")
    return Parameter(node.arg, kind, default is None, value)


def _type(annotation: ast.expr | None) -> str:
    """The field type of an annotation; the first that is known in `X | None`, `Optional[X]`, `list[X]`."""
    if annotation is None:
        return ""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return _type(ast.parse(annotation.value, mode="eval").body)
        except SyntaxError:
            return ""
    if isinstance(annotation, ast.BinOp):
        return _type(annotation.left) or _type(annotation.right)
    if isinstance(annotation, ast.Subscript):
        return _type(annotation.value) or _type(annotation.slice)
    name = annotation.attr if isinstance(annotation, ast.Attribute) else getattr(annotation, "id", "")
    return _TYPES.get(name, "")
