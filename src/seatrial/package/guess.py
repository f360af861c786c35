"""What a handler's code lets one guess of its contract, by its syntax alone: for `seatrial init`, never for a trial."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from seatrial.package.source import Function, Source

CALL_DEPTH_MAX = 5
ONLY_TASK = "predict"  # of a handler that tells no tasks apart
PYTHON_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
    "bytes": "file",
    "Path": "file",
}
GIVEN_BY_WORKER = ("self", "task", "context")


@dataclass(slots=True)
class GuessedField:
    """A field that the code reads; `type` only where an annotation says it."""

    required: bool
    type: str | None = None
    form: str | None = None


@dataclass(slots=True)
class GuessedTask:
    """A task with the fields that are read for it."""

    fields: dict[str, GuessedField] = field(default_factory=dict)

    def read(self, name: str, *, required: bool) -> None:
        """Note that the code reads a field; required if any place cannot do without."""
        known = self.fields.setdefault(name, GuessedField(required))
        known.required = known.required or required


def guess_from_functions(source: Source, task_field: str) -> dict[str, GuessedTask]:
    """Tasks that a SageMaker handler tells apart by comparing a request field, and what it reads for each."""
    functions = {one.name: one for one in ast.walk(source.tree) if isinstance(one, ast.FunctionDef)}
    tasks: dict[str, GuessedTask] = {}
    shared = GuessedTask()
    for function in functions.values():
        data = _data_name(function, task_field)
        if data is None:
            continue
        branches = list(_branches(function, task_field))
        for names, body in branches:
            for name in names:
                _read_fields(body, data, functions, tasks.setdefault(name, GuessedTask()), CALL_DEPTH_MAX)
        inside = {id(node) for _, body in branches for statement in body for node in ast.walk(statement)}
        outside = [node for node in ast.walk(function) if id(node) not in inside]
        _note_reads(outside, data, shared)
    if not tasks and (first := _first_parameter(functions.get("predict_fn"))):
        _read_fields(functions["predict_fn"].body, first, functions, shared, CALL_DEPTH_MAX)
    for task in tasks.values():
        for name, found in shared.fields.items():
            task.read(name, required=found.required)
    found_tasks = tasks or {ONLY_TASK: shared}
    for task in found_tasks.values():
        task.fields.pop(task_field, None)
    return found_tasks


def guess_from_signatures(source: Source) -> tuple[str, dict[str, GuessedTask]] | None:
    """The first public class or function of a module: its name, and its methods as tasks."""
    statements = list(source.top_level())
    for kind in (one for one in statements if isinstance(one, ast.ClassDef) and not one.name.startswith("_")):
        methods = [one for one in kind.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
        if methods:
            return kind.name, {one.name: _from_signature(one) for one in methods}
    for function in statements:
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
            return function.name, {function.name: _from_signature(function)}
    return None


def _from_signature(function: ast.FunctionDef) -> GuessedTask:
    given = function.args
    first_optional = len(given.args) - len(given.defaults)
    parameters = [(one, number < first_optional) for number, one in enumerate(given.args)]
    parameters += [(one, default is None) for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    task = GuessedTask()
    for one, required in parameters:
        if one.arg not in GIVEN_BY_WORKER:
            annotation = ast.unparse(one.annotation).partition("[")[0] if one.annotation else ""
            kind = PYTHON_TYPES.get(annotation.rpartition(".")[2].partition(" ")[0])
            form = {"bytes": "bytes", "Path": "path"}.get(annotation.rpartition(".")[2]) if kind == "file" else None
            task.fields[one.arg] = GuessedField(required, kind, form)
    return task


def _data_name(function: Function, task_field: str) -> str | None:
    """The variable from which the function reads the task's name."""
    for node in ast.walk(function):
        read = _read(node)
        if read is not None and read[1] == task_field:
            return read[0]
    return None


def _first_parameter(function: Function | None) -> str | None:
    return function.args.args[0].arg if function is not None and function.args.args else None


def _read(node: ast.AST) -> tuple[str, str, bool] | None:
    """Variable, field and whether it must be there, for `data["x"]` and `data.get("x")`."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
        key = _text(node.slice)
        return None if key is None else (node.value.id, key, True)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and isinstance(node.func.value, ast.Name)
        and node.args
    ):
        key = _text(node.args[0])
        return None if key is None else (node.func.value.id, key, False)
    return None


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _branches(function: Function, task_field: str) -> Iterator[tuple[list[str], list[ast.stmt]]]:
    """Names of tasks with what is done for them: `if task == "a"`, `if task in ("a", "b")`, `match task`.

    `if task != "a": raise` names a task as well; what is done for it is what the other branch does, and the rest.
    """
    names = {"task", task_field}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and (read := _read(node.value)) and read[1] == task_field:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}

    def is_task(node: ast.expr) -> bool:
        read = _read(node)
        return (isinstance(node, ast.Name) and node.id in names) or (read is not None and read[1] == task_field)

    for node in ast.walk(function):
        if isinstance(node, ast.If):
            compared = [one for one in ast.walk(node.test) if isinstance(one, ast.Compare) and is_task(one.left)]
            for negated, body in ((False, node.body), (True, node.orelse)):
                found = [text for one in compared for text in _compared_texts(one, negated=negated)]
                if found:
                    yield found, body
        elif isinstance(node, ast.Match) and is_task(node.subject):
            for case in node.cases:
                values = [one.value for one in ast.walk(case.pattern) if isinstance(one, ast.MatchValue)]
                yield [text for value in values if (text := _text(value)) is not None], case.body


def _compared_texts(compare: ast.Compare, *, negated: bool) -> list[str]:
    operator, value = compare.ops[0], compare.comparators[0]
    if isinstance(operator, ast.NotEq if negated else ast.Eq):
        found = [_text(value)]
    elif isinstance(operator, ast.NotIn if negated else ast.In) and isinstance(value, ast.Tuple | ast.List | ast.Set):
        found = [_text(one) for one in value.elts]
    else:
        found = []
    return [text for text in found if text is not None]


def _read_fields(
    body: list[ast.stmt], data: str, functions: dict[str, ast.FunctionDef], task: GuessedTask, depth: int
) -> None:
    """Note what the statements read of `data`, and what the functions do that they pass it to."""
    nodes = [node for statement in body for node in ast.walk(statement)]
    _note_reads(nodes, data, task)
    for node in nodes:
        if depth and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            called = functions[node.func.id]
            for parameter, given in zip(called.args.args, node.args, strict=False):
                if isinstance(given, ast.Name) and given.id == data:
                    _read_fields(called.body, parameter.arg, functions, task, depth - 1)


def _note_reads(nodes: list[ast.AST], data: str, task: GuessedTask) -> None:
    for node in nodes:
        read = _read(node)
        if read is not None and read[0] == data:
            task.read(read[1], required=read[2])
