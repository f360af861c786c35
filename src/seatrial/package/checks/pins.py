"""Will the same environment be built tomorrow? Only if every requirement is pinned."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.domain.limits import NAMES_SHOWN_MAX
from seatrial.package.finding import Finding
from seatrial.package.requirements import Line

ID = "pins"
REMEDY = "Pin them (name==version); `uv pip compile` writes all of them, and what they bring along."


def check_pins(lines: list[Line]) -> Iterator[Finding]:
    """One warning that names those without a version of their own."""
    pinned = {one.name for one in lines if _is_pinned(one)}
    loose = [one for one in lines if one.requirement and not one.is_constraint and one.name not in pinned]
    if not loose:
        return
    names = list(dict.fromkeys(one.text for one in loose))
    shown = ", ".join(names[:NAMES_SHOWN_MAX]) + (" …" if len(names) > NAMES_SHOWN_MAX else "")
    message = f"{loose[0].file}: not pinned to a version: {shown}."
    yield Finding(ID, "warning", message, REMEDY, loose[0].file, loose[0].number)


def _is_pinned(line: Line) -> bool:
    if line.requirement is None:
        return False
    exact = any(one.operator in ("==", "===", "~=") for one in line.requirement.specifier)
    return exact or line.requirement.url is not None
