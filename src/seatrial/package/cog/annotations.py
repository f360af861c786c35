"""Type annotations of Cog's kind, read by their syntax: what an input takes, and what an answer is."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from seatrial.domain.contract import AnswerFiles
from seatrial.package.cog.scope import Scope, Unreadable, value_of
from seatrial.package.source import dotted

PLAIN: Mapping[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
}
SECRET = {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True}
FILES = frozenset({"cog.Path", "cog.File", "cog.types.Path", "cog.types.File", "pathlib.Path", "os.PathLike"})
SECRETS = frozenset({"cog.Secret", "cog.types.Secret"})
LISTS = frozenset({"list", "List", "typing.List", "set", "tuple", "typing.Sequence", "collections.abc.Sequence"})
DICTS = frozenset({"dict", "typing.Dict", "typing.Mapping", "collections.abc.Mapping", "typing.TypedDict"})
ANY = frozenset({"typing.Any", "object"})
_ITERATORS = ("Iterator", "Generator", "Iterable", "AsyncIterator", "AsyncGenerator", "AsyncIterable")
ITERATORS = frozenset(f"{module}.{name}" for module in ("typing", "collections.abc") for name in _ITERATORS)
CONCATENATED = frozenset(
    f"{module}.{name}"
    for module in ("cog", "cog.types")
    for name in ("ConcatenateIterator", "AsyncConcatenateIterator")
)
MODELS = frozenset({"cog.BaseModel", "cog.model.BaseModel", "pydantic.BaseModel"})
FILE_ANSWER: Mapping[str, Any] = {"type": "object", "x-seatrial-file": True}  # what stands where a file was


@dataclass(frozen=True, slots=True)
class Read:
    """What an annotation says. `schema` is a JSON Schema; None: anything. `file`: bytes, of which `several` a list."""

    schema: dict[str, Any] | None = None
    file: bool = False
    several: bool = False
    nullable: bool = False


def read_input(node: ast.expr | None, scope: Scope) -> Read:
    """The annotation of an input.

    Raises:
        Unreadable: no type that Cog takes as an input, as far as this can be told from the code.
    """
    if node is None:
        raise Unreadable("it has no type")
    node = _unquoted(node)
    options = _union(node, scope)
    if options is not None:
        return _any_of(options, scope)
    name, arguments = _named(node, scope)
    if name in LISTS:
        item = read_input(arguments[0], scope) if arguments else Read()
        if item.file:
            return Read(file=True, several=True)
        return Read({"type": "array"} | ({"items": item.schema} if item.schema else {}))
    if name == "typing.Annotated" and arguments:
        return read_input(arguments[0], scope)
    if name == "typing.Literal":
        return Read({"enum": [value_of(one, scope) for one in arguments]})
    return _one(name, node, scope)


def _any_of(options: list[ast.expr], scope: Scope) -> Read:
    kinds = [one for one in options if not _is_none(one)]
    nullable = len(kinds) < len(options)
    if len(kinds) == 1:
        return replace(read_input(kinds[0], scope), nullable=nullable)
    schemas = [read_input(one, scope).schema for one in kinds]
    known = [one for one in schemas if one is not None]
    return Read({"anyOf": known} if len(known) == len(schemas) else None, nullable=nullable)


def _one(name: str, node: ast.expr, scope: Scope) -> Read:
    if name in PLAIN:
        return Read(dict(PLAIN[name]))
    if name in FILES:
        return Read(file=True)
    if name in SECRETS:
        return Read(dict(SECRET))
    if name in DICTS:
        return Read({"type": "object"})
    if name in ANY:
        return Read()
    return _of_a_class(node, scope)


def _of_a_class(node: ast.expr, scope: Scope) -> Read:
    """An enumeration by its values, a typed dict and a model as an object."""
    found = _class_of(node, scope)
    if found is None:
        raise Unreadable(f"the type {ast.unparse(node)} is none that Cog takes as an input")
    where, kind = found
    bases = {where.real_name(one).rpartition(".")[2] for one in kind.bases}
    if bases & {"Enum", "StrEnum", "IntEnum"}:
        values = [one.value for one in kind.body if isinstance(one, ast.Assign)]
        plain = [one.value for one in values if isinstance(one, ast.Constant)]
        return Read({"enum": plain} if plain and len(plain) == len(values) else None)
    return Read({"type": "object"})


def _class_of(node: ast.expr, scope: Scope) -> tuple[Scope, ast.ClassDef] | None:
    found = scope.definition(dotted(node)) if dotted(node) else None
    return (found[0], found[1]) if found is not None and isinstance(found[1], ast.ClassDef) else None


def read_answer(node: ast.expr | None, scope: Scope) -> tuple[dict[str, Any] | None, AnswerFiles]:
    """The annotation of what is returned: its schema (None: anything, or bytes), and where in it files may be.

    In a schema, `x-cog-array-type` and `x-cog-array-display` are Cog's own words for what streams.
    """
    if node is None:
        return None, AnswerFiles.WITHIN
    node = _unquoted(node)
    try:
        schema = _answer(node, scope, 0)
    except Unreadable:
        return None, AnswerFiles.WITHIN
    if schema == FILE_ANSWER:
        return None, AnswerFiles.WHOLE
    if not schema:
        return None, AnswerFiles.WITHIN
    return schema, AnswerFiles.WITHIN if _holds_files(schema) else AnswerFiles.NONE


def _answer(node: ast.expr, scope: Scope, depth: int) -> dict[str, Any]:
    """Empty: anything, maybe files."""
    node = _unquoted(node)
    if depth > 8:
        raise Unreadable("types within types")
    options = _union(node, scope)
    if options is not None:
        return {"anyOf": [{"type": "null"} if _is_none(one) else _answer(one, scope, depth + 1) for one in options]}
    name, arguments = _named(node, scope)
    if name in PLAIN:
        return dict(PLAIN[name])
    if name in FILES:
        return dict(FILE_ANSWER)
    if name in SECRETS:
        return dict(PLAIN["str"])
    if name in LISTS or name in ITERATORS or name in CONCATENATED:
        return _array(name, arguments, scope, depth)
    if name in DICTS:
        value = _answer(arguments[1], scope, depth + 1) if len(arguments) == 2 else {}
        return {"type": "object"} | ({"additionalProperties": value} if value else {})
    return _model(node, scope, depth)


def _array(name: str, arguments: list[ast.expr], scope: Scope, depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    item = _answer(arguments[0], scope, depth + 1) if arguments and not _is_ellipsis(arguments) else {}
    if item:
        schema["items"] = item
    if name not in LISTS:
        schema["x-cog-array-type"] = "iterator"
    if name in CONCATENATED:
        schema["x-cog-array-display"] = "concatenate"
    return schema


def _model(node: ast.expr, scope: Scope, depth: int) -> dict[str, Any]:
    """The fields of a class that derives from Cog's or pydantic's BaseModel; anything for another one."""
    found = _class_of(node, scope)
    if found is None:
        return {}
    where, kind = found
    if not any(where.real_name(one) in MODELS for one in kind.bases):
        return {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for one in kind.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            annotation = _unquoted(one.annotation)
            properties[one.target.id] = _answer(annotation, where, depth + 1)
            if not any(_is_none(option) for option in _union(annotation, where) or ()):
                required.append(one.target.id)
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _holds_files(schema: object) -> bool:
    """True also where a part of it may be anything."""
    if schema in (FILE_ANSWER, {}):
        return True
    if not isinstance(schema, Mapping):
        return False
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("properties", {}).values()]
    is_open = schema.get("type") in ("array", "object") and not {"items", "additionalProperties", "properties"} & set(
        schema
    )
    return is_open or any(_holds_files(one) for one in (*inner, *schema.get("anyOf", ())))


def _named(node: ast.expr, scope: Scope) -> tuple[str, list[ast.expr]]:
    """The real name of a type, and what stands in its brackets."""
    if isinstance(node, ast.Subscript):
        inner = node.slice
        return scope.real_name(node.value), list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    return scope.real_name(node), []


def _union(node: ast.expr, scope: Scope) -> list[ast.expr] | None:
    """The options of `A | B`, `Union[A, B]` and `Optional[A]`; None for another type."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = (_unquoted(node.left), _unquoted(node.right))
        return [option for side in sides for option in (_union(side, scope) or [side])]
    name, arguments = _named(node, scope)
    if name == "typing.Optional":
        inner = [option for one in arguments for option in (_union(_unquoted(one), scope) or [one])]
        return [*inner, ast.Constant(None)]
    if name == "typing.Union":
        return [option for one in arguments for option in (_union(_unquoted(one), scope) or [one])]
    return None


def _unquoted(node: ast.expr) -> ast.expr:
    """A type that is written as text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return ast.parse(node.value, mode="eval").body
        except (SyntaxError, ValueError, RecursionError):
            return node
    return node


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_ellipsis(arguments: list[ast.expr]) -> bool:
    return isinstance(arguments[0], ast.Constant) and arguments[0].value is Ellipsis
