"""Whether a function can be called as a runtime calls it, by its signature."""

from __future__ import annotations

from seatrial.package.finding import Finding
from seatrial.package.source import Function, Source


def parameter_count(function: Function) -> int:
    """Parameters that have a name of their own: `*rest` and `**more` take what comes, and need nothing."""
    given = function.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)


def takes(function: Function, count: int) -> bool:
    """Whether it can be called with so many positional arguments. A decorator may change that."""
    given = function.args
    positional = len(given.posonlyargs) + len(given.args)
    needed = positional - len(given.defaults)
    keyword_only = any(default is None for default in given.kw_defaults)
    most = positional if given.vararg is None else max(positional, count)
    return bool(function.decorator_list) or (needed <= count <= most and not keyword_only)


def fault_at(check_id: str, source: Source, fault: str, remedy: str, line: int | None = None) -> Finding:
    """The error about a place of a source file."""
    where = f"{source.name}, line {line}: " if line else ""
    return Finding(check_id, "error", f"{where}{fault}.", remedy, source.name, line)
