"""Regular expressions that the log of a load must hold.

They are those of Rust's `regex` (https://docs.rs/regex/latest/regex/#syntax), which pydantic brings: no look-around and
no back-references, and in exchange a search takes time linear in the text, whatever the pattern.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError

VALID_PATTERN = "a regular expression without look-around and back-references"
LINE_BY_LINE = "(?m)"  # ^ and $ are the ends of lines


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern, if anything."""
    try:
        _adapter(pattern)
    except SchemaError as error:
        return str(error).strip().splitlines()[-1].strip().removeprefix("error: ").removeprefix("SchemaError: ")
    return None


def not_found(patterns: Iterable[str], text: str) -> list[str]:
    """The patterns that no line of the text matches. Blocking: some milliseconds for each MiB."""
    return [pattern for pattern in patterns if not _is_in(pattern, text)]


def _is_in(pattern: str, text: str) -> bool:
    try:
        _adapter(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


def _adapter(pattern: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(pattern=LINE_BY_LINE + pattern)])
