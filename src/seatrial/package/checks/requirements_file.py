"""Can an installer read the requirements, and can each of them mean what was meant?"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.package.distributions import MISNAMED
from seatrial.package.finding import Finding
from seatrial.package.requirements import Line, wanted
from seatrial.package.target import Target

ID = "requirements"


def check_requirements(lines: list[Line], target: Target) -> Iterator[Finding]:
    """Lines that no installer takes, names that bring nothing, and two lines that exclude each other."""
    for line in lines:
        if line.fault:
            message = f"{line.file}, line {line.number}: {line.text!r} is no requirement: {line.fault}."
            remedy = "Write it as name==version (two equals signs), one on each line."
            if "cannot be read" in line.fault or "includes" in line.fault:
                message = f"{line.file}, line {line.number}: it {line.fault}."
                remedy = "Add the file to the package, in UTF-8."
            yield Finding(ID, "error", message, remedy, line.file, line.number)
        elif line.name in MISNAMED and not line.is_constraint:
            right = MISNAMED[line.name]
            message = f"{line.file}, line {line.number}: {line.name!r} is a module; its distribution is {right!r}."
            yield Finding(ID, "error", message, f"Require {right!r} instead.", line.file, line.number)
    yield from _conflicts(wanted(lines, target.python))


def _conflicts(lines: list[Line]) -> Iterator[Finding]:
    """Two lines of one name, of which one pins a version that the other refuses."""
    first: dict[str, Line] = {}
    for line in lines:
        before = first.setdefault(line.name, line)
        if before is line or before.requirement is None or line.requirement is None:
            continue
        for one, other in ((before, line), (line, before)):
            pin = _pin(one)
            if pin and other.requirement is not None and pin not in other.requirement.specifier:
                message = (
                    f"{line.file}, line {line.number}: {line.text!r} and {before.text!r} (line {before.number}) "
                    "exclude each other."
                )
                yield Finding(ID, "error", message, "Keep one of them.", line.file, line.number)
                break


def _pin(line: Line) -> str | None:
    for one in line.requirement.specifier if line.requirement is not None else ():
        if one.operator in ("==", "===") and not one.version.endswith(".*"):
            return one.version
    return None
