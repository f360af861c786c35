"""Can the image's command be started: is it in exec form, in the layers, executable, and for this machine?

What stands behind Runtime.InvalidEntrypoint, "exec format error" and "no such file or directory".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from seatrial.package.checks.extension_modules import machine_of
from seatrial.package.checks.start_command import shebang_fault
from seatrial.package.finding import Finding, Level
from seatrial.package.image.copied import copied, working_folder
from seatrial.package.image.dockerfile import Instruction, Stage
from seatrial.package.image.layers import Files, ImageFile
from seatrial.package.image.store import Image

ID = "image_command"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
SCRIPTS = (".py", ".sh")
BRINGING = ("git clone", "curl", "wget", "tar ", "unzip", "mv ", "cp ", "ln ", "<<")  # what a RUN makes files with
SHELL = ["/bin/sh", "-c"]
EXEC_REMEDY = 'Write it as a JSON array, the exec form: ["python", "serve.py"]; signals then reach the program itself.'
LAMBDA_BASES = ("public.ecr.aws/lambda/", "amazon/aws-lambda-")


def variables(image: Image) -> dict[str, str]:
    """The environment that the image sets."""
    pairs = (str(one).partition("=") for one in image.run.get("Env") or [])
    return {name: value for name, _, value in pairs}


def check_image_command(image: Image, files: Files) -> Iterator[Finding]:
    """What would keep the container from starting."""
    entrypoint, command = list(image.run.get("Entrypoint") or []), list(image.run.get("Cmd") or [])
    for name, words in (("ENTRYPOINT", entrypoint), ("CMD", command)):
        if words[:2] == SHELL:
            message = f"{name} is in shell form ({words[-1]!r}): it runs below /bin/sh, which passes no signals on."
            yield Finding(ID, "warning", message, EXEC_REMEDY)
    words = [*entrypoint, *command]
    if not words:
        yield Finding(ID, "error", "The image has neither ENTRYPOINT nor CMD: nothing can be started.", EXEC_REMEDY)
        return
    if words[:2] == SHELL and len(words) > 2:
        yield from _program(words[0], image, files)
        return
    yield from _program(str(words[0]), image, files)
    yield from _scripts(words[1:], image, files)


def check_stage_command(stage: Stage, context: Path) -> Iterator[Finding]:
    """What a Dockerfile and its build context show of it."""
    given = [one for one in (stage.last("ENTRYPOINT"), stage.last("CMD")) if one is not None]
    for one in given:
        if one.rest and one.exec_form is None:
            meant_json = one.rest.startswith("[")
            fault = "is no JSON array (double quotes are due)" if meant_json else "is in shell form"
            message = f"Line {one.line}: {one.word} {one.rest!r} {fault}: it runs below /bin/sh."
            yield Finding(ID, "error" if meant_json else "warning", message, EXEC_REMEDY, line=one.line)
    if not given and not any(base in stage.base.rest for base in LAMBDA_BASES):
        message = f"The Dockerfile says neither ENTRYPOINT nor CMD: what {stage.base.rest} starts is started."
        yield Finding(ID, "warning", message, EXEC_REMEDY, line=stage.base.line)
    for one in given:
        yield from _stage_scripts(one, stage, context)


def _stage_scripts(command: Instruction, stage: Stage, context: Path) -> Iterator[Finding]:
    """Files of Python or shell that the command names and no COPY brings."""
    brought = [target for target, _ in copied(stage, context)]
    for word in command.exec_form or ():
        path = posixpath.normpath(posixpath.join(working_folder(stage), stage.expanded(word)))
        name = posixpath.basename(path)
        if not word.endswith(SCRIPTS) or path in brought or _is_made_otherwise(name, stage):
            continue
        elsewhere = next((one for one in brought if posixpath.basename(one) == name), None)
        is_here = any(context.glob(name))
        hint = f" It goes to {elsewhere}." if elsewhere else f" {name} lies in the build context." if is_here else ""
        message = f"Line {command.line}: {command.word} names {word!r}, and no COPY brings {path}.{hint}"
        level: Level = "error" if hint else "warning"
        remedy = f"COPY it to {posixpath.dirname(path)}/, or correct {command.word} or WORKDIR."
        remedy += "" if hint else " A base image may bring it."
        yield Finding(ID, level, message, remedy, line=command.line)


def _is_made_otherwise(name: str, stage: Stage) -> bool:
    """Whether another stage, an address or a RUN may bring the file."""
    for one in stage.instructions:
        is_copy = one.word in ("COPY", "ADD")
        if is_copy and ("from" in one.flags or "://" in one.rest or "<<" in one.rest):
            return True
        if one.word == "RUN" and (name in one.rest or any(word in one.rest for word in BRINGING)):
            return True
    return False


def _program(program: str, image: Image, files: Files) -> Iterator[Finding]:
    found = _find(program, image, files)
    if found is None:
        where = "its layers" if "/" in program else f"its PATH ({_path(image)})"
        message = f"The image starts {program!r}, which is not in {where} (Runtime.InvalidEntrypoint)."
        yield Finding(ID, "error", message, "Install or COPY it, or correct ENTRYPOINT; a base image may bring it.")
        return
    path, file = found
    if file.is_folder:
        yield Finding(ID, "error", f"The image starts {path}, which is a folder.", "Correct ENTRYPOINT.")
    elif not file.is_executable:
        message = f"The image starts {path}, which is not executable (Runtime.InvalidEntrypoint)."
        yield Finding(ID, "error", message, f"RUN chmod +x {path}, or COPY --chmod=755.")
    else:
        yield from _runs(path, file, image, files)


def _runs(path: str, file: ImageFile, image: Image, files: Files) -> Iterator[Finding]:
    """Whether the kernel can start a file."""
    head = file.content
    machine = machine_of(head)
    wanted = ARCHITECTURES.get(str(image.config.get("architecture")), str(image.config.get("architecture")))
    if machine is not None:
        if machine != wanted:
            message = f"{path} is a program for {machine}, and the image is for {wanted}: exec format error."
            yield Finding(ID, "error", message, "Build or download it for the image's platform.")
    elif not head.startswith(b"#!"):
        message = f"{path} is neither a program nor a script with a first line such as #!/bin/sh: exec format error."
        yield Finding(ID, "error", message, "Give it that line, or name its interpreter in ENTRYPOINT.")
    elif fault := shebang_fault(head):
        yield Finding(ID, "error", f"{path} {fault} (Runtime.InvalidEntrypoint).", f"RUN sed -i 's/\\r$//' {path}")
    else:
        interpreter = head[2:].split(b"\n", 1)[0].split()[0].decode("utf-8", "replace")
        if files.find(interpreter) is None:
            message = f"{path} asks for {interpreter}, which is not in the image (Runtime.InvalidEntrypoint)."
            yield Finding(
                ID, "error", message, f"Install {posixpath.basename(interpreter)}, or correct the first line."
            )


def _scripts(words: Sequence[str], image: Image, files: Files) -> Iterator[Finding]:
    """Files of Python or shell among the arguments."""
    for word in words:
        if str(word).endswith(SCRIPTS) and files.find(_absolute(str(word), image)) is None:
            message = (
                f"The command names {word!r}, which is not in the image (looked for {_absolute(str(word), image)})."
            )
            yield Finding(ID, "error", message, "COPY it there, or correct WORKDIR.")


def _find(program: str, image: Image, files: Files) -> tuple[str, ImageFile] | None:
    if "/" in program:
        return files.find(_absolute(program, image))
    for folder in _path(image).split(":"):
        found = files.find(posixpath.join(folder, program))
        if found is not None and not found[1].is_folder:
            return found
    return None


def _absolute(path: str, image: Image) -> str:
    return posixpath.join(str(image.run.get("WorkingDir") or "/"), path)


def _path(image: Image) -> str:
    return variables(image).get("PATH", DEFAULT_PATH)
