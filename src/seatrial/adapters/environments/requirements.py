"""A requirements file as what it asks for: comments gone, included files and local archives counted by content."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.package.digest import content_hash, file_hash

COMMENT = re.compile(r"(^|\s)#.*$")
INCLUDE = re.compile(r"^(-r|--requirement|-c|--constraint)[\s=]*(?P<file>.+)$")
OPTION_WITH_PATH = re.compile(r"^(-f|--find-links|-e|--editable)[\s=]*")
DIRECT = re.compile(r"^[^@]+ @ ")
FILES_MAX = 100


def wanted_lines(requirements: Path) -> list[str]:
    """Every logical line, those of included files in place, with the hash of local content behind it. Blocking.

    Relative paths are read from the folder of `requirements`, which is also where the installer runs.

    Raises:
        Unproven: a file cannot be read, or files include each other without end.
    """
    lines: list[str] = []
    _gather(requirements, requirements.parent, lines, [])
    return lines


def asks_for_something(lines: list[str]) -> bool:
    """False if there are at most options, such as an index, and constraints."""
    return any(not line.startswith("-") or line.startswith(("-e", "--editable")) for line in lines)


def _gather(file: Path, folder: Path, lines: list[str], seen: list[Path]) -> None:
    seen.append(file)
    if len(seen) > FILES_MAX:
        raise _unreadable(file, f"more than {FILES_MAX} files are included")
    try:
        text = file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _unreadable(file, str(error)) from error
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = " ".join(COMMENT.sub("", raw).split())
        include = INCLUDE.match(line)
        if include and "://" not in include["file"]:
            kind = "-c" if line.startswith(("-c", "--constraint")) else "-r"
            included: list[str] = []
            _gather(file.parent / _unquoted(include["file"]), folder, included, seen)
            lines.extend(f"-c {one}" if kind == "-c" else one for one in included)
        elif line:
            lines.append(line + _local_content(line, folder))


def _local_content(line: str, folder: Path) -> str:
    """ " sha256:…" for a line that names a file or folder on this disk."""
    named = DIRECT.sub("", OPTION_WITH_PATH.sub("", line)).removeprefix("file://")
    named = re.split(r"[;\[]| --hash", _unquoted(named))[0].strip()
    if "://" in named or not named or named.startswith("-"):
        return ""
    path = folder / named
    if path.is_dir() and ("/" in named or named.startswith(".") or OPTION_WITH_PATH.match(line)):
        return f" sha256:{content_hash(path)}"
    return f" sha256:{file_hash(path)}" if path.is_file() else ""


def _unquoted(text: str) -> str:
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text


def _unreadable(file: Path, why: str) -> Unproven:
    remedy = "Correct the requirements file; included files belong into the package."
    message = f"The requirements file {file.name!r} cannot be read: {why}."
    return Unproven("environment", message, field=file.name, details={"remedy": remedy})
