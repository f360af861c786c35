"""Conditions that can be told without running the code: the version of Python, the platform, what is on sys.path."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seatrial.package.closure.places import Places
from seatrial.package.source import code_of

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
TEXTS = {"sys.platform": "linux", "os.name": "posix", "platform.system()": "Linux"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of the interpreter: its version, and which modules it can find."""

    python: tuple[int, ...]
    knows: Callable[[str], bool]

    def truth(self, test: ast.expr, places: Places, *, is_main: bool) -> bool | None:
        """Whether the test holds; None if that shows only when the code runs."""
        if isinstance(test, ast.Constant):
            return bool(test.value)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.truth(test.operand, places, is_main=is_main)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            parts = [self.truth(one, places, is_main=is_main) for one in test.values]
            decisive = isinstance(test.op, ast.Or)
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        text = code_of(test)
        if text in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return False
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            return self._compared(test, places, is_main)
        return self._findable(test) if "find_spec" in text else places.exists(test)

    def _compared(self, test: ast.Compare, places: Places, is_main: bool) -> bool | None:
        left, compare, right = test.left, test.ops[0], test.comparators[0]
        text = code_of(left)
        if text == "__name__" and isinstance(compare, ast.Eq):
            return is_main
        if code_of(right) == "sys.path":
            return isinstance(compare, ast.NotIn)  # `if src not in sys.path` guards an edit that is due
        if isinstance(compare, ast.Is | ast.IsNot) and "find_spec" in text:
            found = self._findable(left)
            return None if found is None else found == isinstance(compare, ast.IsNot)
        known = self._version(text) if text.startswith("sys.version_info") else TEXTS.get(text)
        function = COMPARISONS.get(type(compare))
        if known is None or function is None:
            return None
        try:
            return function(known, ast.literal_eval(right))
        except (ValueError, TypeError):
            return None

    def _version(self, text: str) -> tuple[int, ...] | int | None:
        python = (*self.python, 0, 0, 0)[:3]
        known: dict[str, tuple[int, ...] | int] = {"sys.version_info": python}
        known |= {"sys.version_info.major": python[0], "sys.version_info.minor": python[1]}
        known |= {f"sys.version_info[:{count}]": python[:count] for count in (1, 2, 3)}
        known |= {f"sys.version_info[{index}]": python[index] for index in (0, 1)}
        return known.get(text)

    def _findable(self, test: ast.expr) -> bool | None:
        """`importlib.util.find_spec("x")`, for a module from outside."""
        if isinstance(test, ast.Call) and test.args and isinstance(test.args[0], ast.Constant):
            name = test.args[0].value
            return self.knows(name.partition(".")[0]) if isinstance(name, str) else None
        return None
