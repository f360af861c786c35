"""Does `inference.py` have the functions that the worker calls, and can they be called so?

Names and arguments from aws/sagemaker-inference-toolkit; the worker's handler holds the same table.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from seatrial.package.checks.calls import parameter_count
from seatrial.package.finding import Finding
from seatrial.package.source import Function, Source

ID = "sagemaker_functions"
ARGUMENTS = {  # a further one is the context
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "transform_fn": ("model", "input_data", "content_type", "accept"),
    "input_fn": ("input_data", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
}
RIVALS = ("input_fn", "predict_fn", "output_fn")


def check_sagemaker_functions(source: Source) -> Iterator[Finding]:
    """Everything that would keep the functions from being called."""
    if source.binds("*"):
        return  # another module may bring them
    if not source.binds("model_fn"):
        yield _error(source, "has no model_fn", "Add model_fn(model_dir) that loads the model and returns it.")
    rivals = [name for name in RIVALS if source.binds(name)]
    if not source.binds("transform_fn") and "predict_fn" not in rivals:
        remedy = "Add predict_fn(data, model), or transform_fn(model, input_data, content_type, accept)."
        yield _error(source, "has neither predict_fn nor transform_fn", remedy)
    if source.binds("transform_fn") and rivals:
        line = _line(source, "transform_fn")
        fault = f"has transform_fn beside {', '.join(rivals)}, which it stands for"
        yield _error(source, fault, "Keep transform_fn, or the others.", line)
    for name, arguments in ARGUMENTS.items():
        function = source.definition(name)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _check_signature(source, function, arguments)


def _check_signature(source: Source, function: Function, arguments: tuple[str, ...]) -> Iterator[Finding]:
    if isinstance(function, ast.AsyncFunctionDef):
        fault = f"{function.name} is async, and a worker calls plain functions"
        yield _error(source, fault, f"Write `def {function.name}`.", function.lineno)
    count = parameter_count(function)
    rest_is_taken = function.args.vararg is not None and count < len(arguments)
    if count not in (len(arguments), len(arguments) + 1) and not rest_is_taken:
        called = ", ".join(arguments)
        fault = f"{function.name} has {count} parameters"
        remedy = f"It is called as {function.name}({called}), with the context after them if it has one more."
        yield _error(source, fault, remedy, function.lineno)


def _line(source: Source, name: str) -> int | None:
    found = source.definition(name)
    return found.lineno if found is not None else None


def _error(source: Source, fault: str, remedy: str, line: int | None = None) -> Finding:
    where = f"{source.name}, line {line}:" if line else source.name
    return Finding(ID, "error", f"{where} {fault}.", remedy, source.name, line)
