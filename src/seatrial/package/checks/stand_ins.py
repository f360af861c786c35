"""Does the handler answer with something made up when the real model cannot be had?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from seatrial.package.carried import Carried
from seatrial.package.closure.walk import Closure
from seatrial.package.finding import Finding

ID = "stand_ins"
MADE_UP = re.compile(r"(^|_)(mock|dummy|fake|placeholder)(_|$|(?=[A-Z]))|^(Mock|Dummy|Fake|Placeholder)(?=[A-Z_]|$)")
WORDS = re.compile(rb"mock|dummy|fake|placeholder", re.IGNORECASE)
REMEDY = "Let the error end loading: a trial refuses a model that is not there, and a live job fails with the reason."


def check_stand_ins(closure: Closure, carried: Carried) -> Iterator[Finding]:
    """One warning for each `except` that goes on with something called mock, dummy, fake or placeholder."""
    for source in closure.sources.values():
        if source.name in carried or not WORDS.search(source.text):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ExceptHandler) and (word := _made_up(node)):
                message = f"{source.name}, line {node.lineno}: after an error the code goes on with {word!r}."
                yield Finding(ID, "warning", message, REMEDY, source.name, node.lineno)


def _made_up(handler: ast.ExceptHandler) -> str | None:
    for statement in handler.body:
        for node in ast.walk(statement):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                name = node.value
            if name and MADE_UP.search(name):
                return name
    return None
