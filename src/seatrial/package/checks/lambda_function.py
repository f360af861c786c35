"""Does the module of a Lambda package have the function, and can it be called with (event, context)?

Called so by aws/aws-lambda-python-runtime-interface-client.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from seatrial.package.checks.calls import fault_at, parameter_count, takes
from seatrial.package.finding import Finding
from seatrial.package.layout import Entry
from seatrial.package.source import Source

ID = "lambda_function"
NOT_IMPORTED = "Runtime.ImportModuleError"  # what AWS's runtime would say of such a fault
_AWS_WORDS = {"entry_point": NOT_IMPORTED, "imports": NOT_IMPORTED, "syntax": "Runtime.UserCodeSyntaxError"}


def check_lambda_function(entry: Entry, source: Source) -> Iterator[Finding]:
    """Everything that would keep the function from being called."""
    name = entry.attribute or ""
    if not source.binds(name) and not source.binds("*"):
        functions = ", ".join(one.name for one in source.top_level() if isinstance(one, ast.FunctionDef))
        fault = f"{source.name} defines no {name!r} (Runtime.HandlerNotFound)"
        yield fault_at(ID, source, fault, f"Add it, or correct the handler. It has: {functions or 'no function'}.")
    found = source.definition(name)
    if isinstance(found, ast.AsyncFunctionDef):
        yield fault_at(
            ID, source, f"{name} is async, and Lambda calls plain functions", f"Write `def {name}`.", found.lineno
        )
    elif isinstance(found, ast.FunctionDef) and not takes(found, 2):
        fault = f"{name} takes {parameter_count(found)} arguments; it is called with (event, context)"
        yield fault_at(ID, source, fault, f"Write `def {name}(event, context)`.", found.lineno)


def in_aws_words(finding: Finding) -> Finding:
    """The same, with AWS's own word for a fault that would keep its runtime from starting."""
    if finding.level != "error" or finding.id not in _AWS_WORDS:
        return finding
    word = _AWS_WORDS["syntax" if " is no Python: " in finding.message else finding.id]
    return replace(finding, message=f"{finding.message.removesuffix('.')} ({word}).")
