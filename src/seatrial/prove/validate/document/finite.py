"""`json.finite`: no NaN and no Infinity, which are not JSON and which most parsers refuse."""

from __future__ import annotations

from math import isfinite
from typing import Any

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit
from seatrial.prove.validate.document.parses import NotFinite, read_documents


def _run(subject: Subject) -> Passed:
    for document in subject.once(read_documents):
        where = _not_finite_at(document)
        if where is not None:
            raise Unfit(f"JSON holds a number that is not finite, at {where}", path=where)
    return Passed("every number is finite")


def _not_finite_at(document: Any) -> str | None:
    pending: list[tuple[Any, str]] = [(document, "")]
    while pending:
        one, path = pending.pop()
        if isinstance(one, NotFinite) or (isinstance(one, float) and not isfinite(one)):
            return path or "the top"
        if isinstance(one, dict):
            pending.extend((inner, f"{path}/{name}") for name, inner in one.items())
        elif isinstance(one, list):
            pending.extend((inner, f"{path}/{at}") for at, inner in enumerate(one))
    return None


CHECK = Check(
    "json.finite",
    _run,
    "a model that overflows gives NaN: find out where; json.dumps(…, allow_nan=False) refuses it at once",
    needs=("file.exists", "file.size", "json.parses"),
)
