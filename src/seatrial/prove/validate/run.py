"""Looking at one output with the checks of its kind."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path

from seatrial.prove.finding import Finding, Outcome
from seatrial.prove.validate.check import Check, MissingLibrary, Subject
from seatrial.prove.validate.content import Content
from seatrial.prove.validate.file import CHECKS as FILE_CHECKS
from seatrial.prove.validate.kinds import Kind, kind_of
from seatrial.prove.validate.profile import DEFAULT, Profile
from seatrial.prove.validate.verdict import Verdict

# Loaded when they are needed: those of pictures, meshes and arrays bring numpy and more.
_ROOMS: Mapping[Kind, str] = {
    Kind.IMAGE: "seatrial.prove.validate.image",
    Kind.MESH: "seatrial.prove.validate.mesh",
    Kind.ARRAY: "seatrial.prove.validate.array",
    Kind.JSON: "seatrial.prove.validate.document",
    Kind.AUDIO: "seatrial.prove.validate.audio",
    Kind.VIDEO: "seatrial.prove.validate.video",
}


def validate_file(path: str | os.PathLike[str], profile: Profile = DEFAULT, kind: Kind | None = None) -> Verdict:
    """Look at one file. Blocking, and for large files long: run it in a thread.

    `kind` None: told by the extension, else by the first bytes. Whatever the file holds, the answer is findings.

    Raises:
        MissingLibrary: looking at this kind needs the extra `validate`.
    """
    return _validate(Content(str(path), Path(path)), profile, kind)


def validate_bytes(data: bytes, name: str, profile: Profile = DEFAULT, kind: Kind | None = None) -> Verdict:
    """The same for bytes in memory; `name`, such as `result.png`, is what messages call them.

    Raises:
        MissingLibrary: as validate_file.
    """
    return _validate(Content(name, data), profile, kind)


def checks_of(kind: Kind) -> tuple[Check, ...]:
    """The checks of a kind in their order, those of any file first.

    Raises:
        MissingLibrary: as validate_file.
    """
    if kind not in _ROOMS:
        return FILE_CHECKS
    try:
        own: tuple[Check, ...] = importlib.import_module(_ROOMS[kind]).CHECKS
    except ModuleNotFoundError as error:
        raise MissingLibrary(error.name) from None
    return FILE_CHECKS + own


def _validate(content: Content, profile: Profile, kind: Kind | None) -> Verdict:
    try:
        found = kind or kind_of(content)
    except OSError:
        found = Kind.OTHER  # `file.exists` says why
    subject = Subject(content, profile, found)
    findings: list[Finding] = []
    failed: set[str] = set()
    for check in checks_of(found):
        finding = check.look(subject, frozenset(failed))
        findings.append(finding)
        if finding.outcome is Outcome.FAILED:
            failed.add(finding.id)
    return Verdict(content.name, found, tuple(findings))
