"""Can all requirements be met at once for this interpreter? Asked of an index, nothing is installed."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.package.finding import Finding
from seatrial.package.target import Target

ID = "resolution"
REMEDY = "Loosen or correct the requirements that the resolver names; `python` in [package] chooses another Python."


def check_resolution(target: Target, file: str) -> Iterator[Finding]:
    """The resolver's explanation, if there is no way to meet them."""
    conflict = target.resolution.conflict
    if conflict:
        message = f"{file} cannot be met for Python {target.python_text}: {conflict}"
        yield Finding(ID, "error", message, REMEDY, file)
