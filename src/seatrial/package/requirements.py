"""The requirements file of a package, line by line, with those that it includes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, default_environment
from packaging.requirements import InvalidRequirement, Requirement

from seatrial.domain.limits import CONTRACT_BYTES_MAX
from seatrial.package.distributions import canonical

COMMENT = re.compile(r"(^|\s)#.*$")
INCLUDE = re.compile(r"^(-r|--requirement|-c|--constraint)[\s=]*(?P<file>.+)$")
PLACE = re.compile(r"^(-e|--editable)|^(git|hg|svn|bzr)\+|^(https?|file)://|^\.{0,2}/|\.(whl|tar\.gz|zip)$")
HASH = re.compile(r"\s--hash[=\s]\S+")
FILES_MAX = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One logical line. `requirement` is set for a named one, `fault` for one that no installer takes."""

    file: str
    number: int
    text: str
    requirement: Requirement | None = None
    fault: str | None = None
    is_constraint: bool = False

    @property
    def name(self) -> str:
        """The distribution's canonical name; empty for options and places."""
        return canonical(self.requirement.name) if self.requirement is not None else ""

    @property
    def is_place(self) -> bool:
        """Something to install that is named by where it is: it may bring anything."""
        return self.requirement is None and self.fault is None and bool(PLACE.search(self.text))


def read_requirements(file: Path, root: Path) -> list[Line]:
    """Every logical line of the file and of those that it includes; what cannot be read is a line with a fault."""
    return list(_lines(file, root, False, []))


def inline_requirements(texts: Iterable[str], file: Path, name: str) -> list[Line]:
    """Requirements that a file of another kind lists, one text each, with the line where each first stands."""
    held = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [
        _line(name, next((number for number, line in enumerate(held, 1) if text in line), 1), text, is_constraint=False)
        for text in texts
    ]


def wanted(lines: list[Line], python: tuple[int, ...]) -> list[Line]:
    """The named requirements that hold for this version of Python on Linux."""
    environment = _environment(python)
    return [one for one in lines if one.requirement and not one.is_constraint and _holds(one.requirement, environment)]


def _lines(file: Path, root: Path, is_constraint: bool, seen: list[Path]) -> Iterator[Line]:
    seen.append(file)
    name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
    try:
        if file.stat().st_size > CONTRACT_BYTES_MAX:
            raise ValueError(f"it has more than {CONTRACT_BYTES_MAX} bytes")
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        yield Line(name, 1, "", fault=f"cannot be read: {error}")
        return
    for number, raw in _logical(text):
        line = " ".join(COMMENT.sub("", raw).split())
        include = INCLUDE.match(line)
        if include and "://" not in include["file"] and len(seen) < FILES_MAX:
            inner = (file.parent / include["file"].strip("\"' ")).resolve()
            if not inner.is_file() or not inner.is_relative_to(root.resolve()):
                yield Line(name, number, line, fault=f"includes {include['file']!r}, which the package does not hold")
            elif inner not in seen:
                yield from _lines(inner, root, line.startswith(("-c", "--constraint")), seen)
        elif line:
            yield _line(name, number, line, is_constraint)


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Number of the first physical line, and the text with its continuations."""
    so_far, first = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        first = first or number
        if raw.endswith("\\"):
            so_far += raw[:-1] + " "
            continue
        yield first, so_far + raw
        so_far, first = "", 0
    if so_far:
        yield first, so_far


def _line(file: str, number: int, text: str, is_constraint: bool) -> Line:
    bare = HASH.sub("", text).strip()
    if bare.startswith("-") or PLACE.search(bare.split(";")[0].strip()):
        return Line(file, number, bare)
    try:
        return Line(file, number, bare, Requirement(bare), is_constraint=is_constraint)
    except InvalidRequirement as error:
        return Line(file, number, bare, fault=str(error).splitlines()[0])


def _environment(python: tuple[int, ...]) -> dict[str, str]:
    full = ".".join(map(str, (*python, 0, 0)[:3]))
    plain = {name: str(value) for name, value in default_environment().items()}
    return plain | {
        "python_version": ".".join(full.split(".")[:2]),
        "python_full_version": full,
        "implementation_version": full,
        "extra": "",
    }


def _holds(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate(dict(environment))
    except InvalidMarker:
        return True
