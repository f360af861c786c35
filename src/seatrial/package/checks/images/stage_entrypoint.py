"""Does the ENTRYPOINT that a Dockerfile gives to a Lambda base image start anything?

One that does not is what AWS reports as Runtime.InvalidEntrypoint, ProcessSpawnFailed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.checks.images.handler_name import (
    LAMBDA_ENTRYPOINT,
    SCRIPT_SUFFIXES,
    handler_as_entrypoint_remedy,
    is_handler_name,
)
from seatrial.package.checks.images.image_command import ID
from seatrial.package.checks.images.stage_command import (
    absolute,
    is_in_path,
    is_made_otherwise,
    runs,
)
from seatrial.package.finding import Finding
from seatrial.package.image.copied import copied
from seatrial.package.image.dockerfile import Instruction, Stage

OF_THE_BASE = ("/bin/", "/sbin/", "/usr/", "/lib", "/var/lang/", "/var/runtime/")  # it, or an installer, fills these
BUILDING = re.compile(r"(^|[\s;&|])(\./\S|(make|cmake|ninja|cargo|go|gcc|npm|sh|bash)\s|python[\d.]*\s+[^-\s])")


def check_stage_entrypoint(stage: Stage, context: Path) -> Iterator[Finding]:
    """Of AWS's base images only; what they, another stage or a RUN may bring is believed to be there."""
    entrypoint = stage.last("ENTRYPOINT")
    if entrypoint is None or not stage.is_lambda:
        return
    is_no_json = entrypoint.exec_form is None and entrypoint.rest.startswith("[")
    words = entrypoint.exec_form or entrypoint.rest.split()
    if words and not is_no_json and words[0] != LAMBDA_ENTRYPOINT:
        yield from _started(words[0], entrypoint, stage, [one.target for one in copied(stage, context)])


def _started(word: str, entrypoint: Instruction, stage: Stage, brought: list[str]) -> Iterator[Finding]:
    path, name = absolute(word, stage), posixpath.basename(word)
    begins = f"Line {entrypoint.line}: ENTRYPOINT starts"
    ends = "the function never starts (Runtime.InvalidEntrypoint)."
    if (path in brought if "/" in word else is_in_path(name, brought)) or _is_named(name, stage):
        return
    if is_handler_name(word):
        message = f"{begins} {word!r}, which is a handler and no program: {ends}"
        yield Finding(ID, "error", message, handler_as_entrypoint_remedy(word), line=entrypoint.line)
        return
    is_script = word.endswith(SCRIPT_SUFFIXES)
    if not (is_script or "/" in word) or path.startswith(OF_THE_BASE) or is_made_otherwise(name, stage):
        return
    if "/" not in word and path in brought:
        message = f"{begins} {word!r}, which is looked for in PATH and not in WORKDIR: {ends}"
        yield Finding(ID, "error", message, f'Write ENTRYPOINT ["{path}"].', line=entrypoint.line)
        return
    elsewhere = next((one for one in brought if posixpath.basename(one) == name), None)
    hint = f" {name} goes to {elsewhere}." if elsewhere else ""
    message = f"{begins} {path}, which no COPY brings and the base image has not: {ends}{hint}"
    remedy = f"COPY it to {posixpath.join(posixpath.dirname(path), '')}, or take ENTRYPOINT out: {LAMBDA_ENTRYPOINT} "
    remedy += "of the base starts the runtime."
    yield Finding(ID, "warning" if runs(stage, BUILDING) else "error", message, remedy, line=entrypoint.line)


def _is_named(name: str, stage: Stage) -> bool:
    """Whether what another stage or a RUN does speaks of the file."""
    return any(name in one.rest for one in stage.instructions if one.word == "RUN" or "from" in one.flags)
