"""`json.parses`: JSON in UTF-8, each line by itself in `.jsonl` and `.ndjson`, not nested too deep."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from seatrial.prove.validate.check import Check, Passed, Subject, Unfit

_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class NotFinite:
    """Stands in a document where NaN or Infinity was written."""

    word: str


def read_documents(subject: Subject) -> list[Any]:
    """The documents: one, or one for each line that is not empty.

    Raises:
        Unfit: no UTF-8, no JSON, nested too deep.
    """
    try:
        text = subject.content.whole().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unfit(f"JSON is no UTF-8 text: byte {error.start:,} begins no character", offset=error.start) from None
    depth_max = subject.profile.json.depth_max
    if subject.content.suffix not in _LINES:
        return [_parsed(text, "", depth_max)]
    numbered = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not numbered:
        raise Unfit("JSON Lines file holds no document")
    return [_parsed(line, f"line {number}: ", depth_max) for number, line in numbered]


def _parsed(text: str, where: str, depth_max: int) -> Any:
    try:
        document = json.loads(text, parse_constant=NotFinite)
    except json.JSONDecodeError as error:
        place = f"{where}{error.msg} at line {error.lineno}, column {error.colno}"
        raise Unfit(f"JSON does not parse: {place}", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise Unfit(f"JSON does not parse: {where}nested far too deep") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise Unfit(f"JSON does not parse: {where}{error}") from None
    if _deeper_than(document, depth_max):
        raise Unfit(f"JSON is nested deeper than {depth_max} levels", depth_max=depth_max)
    return document


def _deeper_than(document: Any, depth_max: int) -> bool:
    level = [document]
    for _ in range(depth_max + 1):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _run(subject: Subject) -> Passed:
    documents = subject.once(read_documents)
    return Passed(f"{len(documents)} JSON document{'s' if len(documents) > 1 else ''}", {"documents": len(documents)})


CHECK = Check(
    "json.parses",
    _run,
    "write it with a JSON library to a temporary file, and rename that when it is complete",
    needs=("file.exists", "file.size"),
)
