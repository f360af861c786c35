"""Can the command of a Dockerfile be started: is it in exec form, brought by a COPY, executable, for this machine?"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from seatrial.package.checks.images.handler_name import LAMBDA_ENTRYPOINT
from seatrial.package.checks.images.image_command import DEFAULT_PATH, EXEC_REMEDY, ID, SCRIPTS
from seatrial.package.checks.images.startable import ARCHITECTURES, start_fault
from seatrial.package.finding import Finding, Level
from seatrial.package.image.copied import Copied, copied, working_folder
from seatrial.package.image.dockerfile import Instruction, Stage
from seatrial.package.image.layers import IMAGE_HEAD_BYTES

BRINGING = ("git clone", "curl", "wget", "tar ", "unzip", "mv ", "cp ", "ln ", "<<")  # what a RUN makes files with
ARCHIVES = re.compile(r"\.(tar|tgz|tbz2|txz|tar\.\w+)\b")  # ADD unpacks them
LINE_ENDS = re.compile(r"\b(sed|dos2unix|tr|perl)\b")  # what a RUN mends line ends with


def check_stage_command(stage: Stage, context: Path, platform: str) -> Iterator[Finding]:
    """What a Dockerfile and its build context show of it. `platform` is where it will run, such as linux/amd64."""
    entrypoint, command = stage.last("ENTRYPOINT"), stage.last("CMD")
    given = [one for one in (entrypoint, command) if one is not None]
    for one in given:
        if one.rest and one.exec_form is None:
            meant_json = one.rest.startswith("[")
            fault = "is no JSON array (double quotes are due)" if meant_json else "is in shell form"
            message = f"Line {one.line}: {one.word} {one.rest!r} {fault}: it runs below /bin/sh."
            yield _finding("error" if meant_json else "warning", message, EXEC_REMEDY, one)
    if not given and not stage.is_lambda:
        message = f"The Dockerfile says neither ENTRYPOINT nor CMD: what {stage.base.rest} starts is started."
        yield _finding("warning", message, EXEC_REMEDY, stage.base)
    brought = list(copied(stage, context))
    for one in given:
        yield from _scripts(one, stage, brought, context)
    first = entrypoint if entrypoint is not None and entrypoint.exec_form else command
    if first is not None and first.exec_form:
        yield from _program(first, stage, brought, platform)


def _scripts(command: Instruction, stage: Stage, brought: list[Copied], context: Path) -> Iterator[Finding]:
    """Files of Python or shell that the command names and no COPY brings."""
    targets = [one.target for one in brought]
    for place, word in enumerate(command.exec_form or ()):
        path = absolute(word, stage)
        name = posixpath.basename(path)
        if not word.endswith(SCRIPTS) or path in targets or is_made_otherwise(name, stage):
            continue
        if place == 0 and "/" not in word and is_in_path(name, targets):
            continue
        if stage.is_lambda and (word == LAMBDA_ENTRYPOINT or (place == 0 and command.word == "ENTRYPOINT")):
            continue  # the base brings it; and check_stage_entrypoint looks at the other
        elsewhere = next((one for one in targets if posixpath.basename(one) == name), None)
        is_here = any(context.glob(name))
        hint = f" It goes to {elsewhere}." if elsewhere else f" {name} lies in the build context." if is_here else ""
        message = f"Line {command.line}: {command.word} names {word!r}, and no COPY brings {path}.{hint}"
        remedy = f"COPY it to {posixpath.join(posixpath.dirname(path), '')}, or correct {command.word} or WORKDIR."
        remedy += "" if hint else " A base image may bring it."
        yield _finding("error" if hint else "warning", message, remedy, command)


def _program(command: Instruction, stage: Stage, brought: list[Copied], platform: str) -> Iterator[Finding]:
    """Whether what the command starts, if a COPY brings it from the build context, can be started as it lies there."""
    word = (command.exec_form or ("",))[0]
    path = absolute(word, stage)
    found = next((one for one in reversed(brought) if "/" in word and one.target == path), None)
    if found is None:
        return
    with found.source.open("rb") as body:
        head = body.read(IMAGE_HEAD_BYTES)
    if not found.mode & 0o111 and not _is_made_executable(path, stage):
        message = f"Line {command.line}: {command.word} starts {path}, which is not executable: the COPY of line "
        message += f"{found.instruction.line} keeps the mode of {found.source.name} (Runtime.InvalidEntrypoint)."
        yield _finding("error", message, f"RUN chmod +x {path}, or COPY --chmod=755.", command)
    architecture = platform.split("/")[1] if "/" in platform else platform
    fault = start_fault(path, head, ARCHITECTURES.get(architecture, architecture))
    if fault is not None and not (b"\r" in head and runs(stage, LINE_ENDS)):
        yield _finding("error", f"Line {command.line}: {fault.message}", fault.remedy, command)


def _is_made_executable(path: str, stage: Stage) -> bool:
    """Whether a RUN may set the bit: chmod of its name, a pattern, or a folder with all in it."""
    name = re.escape(posixpath.basename(path))
    return runs(stage, re.compile(rf"\b(chmod|install)\b.*({name}|\*|-R\b|\bxargs\b)", re.DOTALL))


def runs(stage: Stage, pattern: re.Pattern[str]) -> bool:
    """Whether a RUN has what the pattern finds; a heredoc may have anything."""
    return any(one.word == "RUN" and ("<<" in one.rest or pattern.search(one.rest)) for one in stage.instructions)


def is_in_path(name: str, targets: list[str]) -> bool:
    """Whether a COPY brings it where programs are looked for."""
    return any(f"{folder}/{name}" in targets for folder in DEFAULT_PATH.split(":"))


def is_made_otherwise(name: str, stage: Stage) -> bool:
    """Whether another stage, an address, an archive or a RUN may bring the file."""
    for one in stage.instructions:
        is_copy = one.word in ("COPY", "ADD")
        if is_copy and ("from" in one.flags or "://" in one.rest or "<<" in one.rest):
            return True
        if one.word == "ADD" and ARCHIVES.search(one.rest):
            return True
        if one.word == "RUN" and (name in one.rest or any(word in one.rest for word in BRINGING)):
            return True
    return False


def absolute(word: str, stage: Stage) -> str:
    """The path in the image that a word of a command means, if it is one."""
    return posixpath.normpath(posixpath.join(working_folder(stage), stage.expanded(word)))


def _finding(level: Level, message: str, remedy: str, at: Instruction) -> Finding:
    return Finding(ID, level, message, remedy, line=at.line)
