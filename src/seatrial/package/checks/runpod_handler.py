"""Does a RunPod file start its worker, with a handler that can be called with (job)?

Called so by runpod/runpod-python: `runpod.serverless.start({"handler": …})`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seatrial.package.checks.calls import fault_at, parameter_count, takes
from seatrial.package.finding import Finding
from seatrial.package.source import Source, dotted

ID = "runpod_handler"


def check_runpod_handler(source: Source) -> Iterator[Finding]:
    """Everything that would keep the worker from beginning, or its handler from being called."""
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call) and _starts(node)]
    if not calls:
        remedy = 'End the file with runpod.serverless.start({"handler": handler}).'
        yield fault_at(ID, source, f"{source.name} never calls runpod.serverless.start: no worker begins", remedy)
        return
    settings = calls[0].args[0] if calls[0].args else None
    if not isinstance(settings, ast.Dict):
        return
    keys = {one.value: value for one, value in _items(settings)}
    given = keys.get("handler")
    if given is None:
        fault = "runpod.serverless.start is given no 'handler'"
        yield fault_at(ID, source, fault, 'Give it {"handler": handler}.', calls[0].lineno)
    elif isinstance(given, ast.Name):
        yield from _handler(source, given.id, calls[0].lineno)


def _starts(call: ast.Call) -> bool:
    """By its whole name, or by what it was imported as: a thread's `start()` is given nothing."""
    name = dotted(call.func)
    return name.endswith("serverless.start") or (bool(call.args) and name.rpartition(".")[2] == "start")


def _handler(source: Source, name: str, line: int) -> Iterator[Finding]:
    if not source.binds(name) and not source.binds("*"):
        yield fault_at(
            ID, source, f"runpod.serverless.start names {name!r}, which is not defined", "Correct the name.", line
        )
    found = source.definition(name)
    if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) and not takes(found, 1):
        fault = f"{name} takes {parameter_count(found)} arguments; it is called with (job)"
        yield fault_at(ID, source, fault, f"Write `def {name}(job)`; the input is job['input'].", found.lineno)


def _items(settings: ast.Dict) -> Iterator[tuple[ast.Constant, ast.expr]]:
    for key, value in zip(settings.keys, settings.values, strict=True):
        if isinstance(key, ast.Constant):
            yield key, value
