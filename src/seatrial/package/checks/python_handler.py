"""Does the module have the class or function that `handler` names, with a method for every task?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seatrial.domain.contract import Task
from seatrial.package.finding import Finding
from seatrial.package.manifest import Manifest
from seatrial.package.source import Function, Source

ID = "python_handler"
GIVEN_BY_WORKER = ("task", "context")


def check_python_handler(manifest: Manifest, source: Source) -> Iterator[Finding]:
    """Everything that would keep a task from being called. What another module defines is left to loading."""
    attribute = (manifest.handler or "").partition(":")[2]
    found = source.definition(attribute)
    if found is None:
        if not source.binds(attribute) and not source.binds("*"):
            fault = f"{source.name} defines no {attribute!r}"
            yield _error(source, fault, 'Correct handler = "module:Class" in [package] of seatrial.toml.')
        return
    for task in manifest.contract.tasks:
        if isinstance(found, ast.ClassDef):
            yield from _check_method(source, found, task)
        else:
            yield from _check_call(source, found, task, skip_self=False)


def _check_method(source: Source, kind: ast.ClassDef, task: Task) -> Iterator[Finding]:
    name = task.method or task.name
    methods = {one.name: one for one in kind.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    if name in methods:
        is_static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in methods[name].decorator_list)
        yield from _check_call(source, methods[name], task, skip_self=not is_static)
    elif not _may_have_more(kind, methods):
        remedy = f"Add the method, or name another: [tasks.{task.name}] method = …"
        if methods:
            remedy += f" It has: {', '.join(sorted(methods))}."
        yield _error(source, f"{kind.name} has no method {name!r} for the task {task.name!r}", remedy, kind.lineno)


def _may_have_more(kind: ast.ClassDef, methods: dict[str, Function]) -> bool:
    """True for a class whose methods are not all in sight: it inherits, assigns, or makes them."""
    assigns = any(isinstance(one, ast.Assign | ast.AnnAssign) for one in kind.body)
    return bool(kind.bases or kind.keywords or kind.decorator_list) or assigns or "__getattr__" in methods


def _check_call(source: Source, function: Function, task: Task, *, skip_self: bool) -> Iterator[Finding]:
    """Fields come as keyword arguments."""
    if isinstance(function, ast.AsyncFunctionDef):
        fault = f"{function.name} is async, and a worker calls plain functions"
        yield _error(source, fault, f"Write `def {function.name}`.", function.lineno)
    given = function.args
    if function.decorator_list or given.kwarg is not None:
        return
    accepted = [one.arg for one in (*given.args, *given.kwonlyargs)]
    accepted = accepted[1:] if skip_self and not given.posonlyargs else accepted
    refused = [one.name for one in task.fields if one.name not in accepted]
    if refused:
        remedy = f"Add the parameter, or correct [tasks.{task.name}.input]. It takes: {', '.join(accepted) or 'none'}."
        fault = f"{function.name} does not take {', '.join(refused)} of the task {task.name!r}"
        yield _error(source, fault, remedy, function.lineno)
    if task.extra_fields:
        remedy = f"Add **fields to {function.name}, or leave extra_fields out of [tasks.{task.name}]."
        fault = f"{function.name} takes no further fields, which the task {task.name!r} allows"
        yield _error(source, fault, remedy, function.lineno)
    yield from _check_needs(source, function, task, accepted)


def _check_needs(source: Source, function: Function, task: Task, accepted: list[str]) -> Iterator[Finding]:
    """Parameters without a default that a request may leave out."""
    arguments = function.args
    optional = {one.arg for one in arguments.args[len(arguments.args) - len(arguments.defaults) :]}
    keyword_only = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    optional |= {one.arg for one, default in keyword_only if default is not None}
    always = {one.name for one in task.fields if one.required or one.default is not None} | set(GIVEN_BY_WORKER)
    missing = [name for name in accepted if name not in optional and name not in always]
    if missing:
        remedy = "Give the parameter a default, or the field `required = true` or a default."
        fault = f"{function.name} needs {', '.join(missing)}, which a request of {task.name!r} may leave out"
        yield _error(source, fault, remedy, function.lineno)


def _error(source: Source, fault: str, remedy: str, line: int | None = None) -> Finding:
    where = f"{source.name}, line {line}:" if line else ""
    return Finding(ID, "error", f"{where} {fault}.".strip(), remedy, source.name, line)
