"""Can the image's command be started: is it in exec form, in the layers, executable, and for this machine?

What stands behind Runtime.InvalidEntrypoint, "exec format error" and "no such file or directory".
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterator, Sequence

from seatrial.package.checks.extension_modules import ELF_MAGIC, machine_of
from seatrial.package.checks.images.handler_name import handler_as_entrypoint_remedy, is_handler_name
from seatrial.package.checks.images.startable import ARCHITECTURES, interpreters_of, start_fault
from seatrial.package.finding import Finding
from seatrial.package.image.layers import Files, ImageFile
from seatrial.package.image.store import Image

ID = "image_command"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SCRIPTS = (".py", ".sh")
SHELL = ["/bin/sh", "-c"]
EXEC_REMEDY = 'Write it as a JSON array, the exec form: ["python", "serve.py"]; signals then reach the program itself.'


def variables(image: Image) -> dict[str, str]:
    """The environment that the image sets."""
    pairs = (str(one).partition("=") for one in image.run.get("Env") or [])
    return {name: value for name, _, value in pairs}


def check_image_command(image: Image, files: Files) -> Iterator[Finding]:
    """What would keep the container from starting."""
    entrypoint, command = list(image.run.get("Entrypoint") or []), list(image.run.get("Cmd") or [])
    for name, words in (("ENTRYPOINT", entrypoint), ("CMD", command)):
        if words[:2] == SHELL and _is_list(str(words[-1])):
            message = (
                f"{name} was written as a list that is no JSON ({words[-1]}; double quotes are due): it runs below "
            )
            yield Finding(ID, "error", f"{message}/bin/sh, which finds no such command.", EXEC_REMEDY)
        elif words[:2] == SHELL:
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
    yield from _module([str(one) for one in words], files)


def _is_list(text: str) -> bool:
    return text.startswith("[") and text.rstrip().endswith("]")


def _program(program: str, image: Image, files: Files) -> Iterator[Finding]:
    found = _find(program, image, files)
    if found is None:
        where = "its layers" if "/" in program else f"its PATH ({_path(image)})"
        message = f"The image starts {program!r}, which is not in {where} (Runtime.InvalidEntrypoint)."
        remedy = "Install or COPY it, or correct ENTRYPOINT; a base image may bring it."
        if "LAMBDA_TASK_ROOT" in variables(image) and is_handler_name(program):
            remedy = handler_as_entrypoint_remedy(program)
        yield Finding(ID, "error", message, remedy)
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
    """Whether the kernel can start a file, and what that asks for in its turn."""
    architecture = str(image.config.get("architecture"))
    machine = ARCHITECTURES.get(architecture, architecture)
    fault = start_fault(path, file.content, machine)
    if fault is not None:
        yield Finding(ID, "error", *fault)
        return
    for wanted in interpreters_of(file.content):
        found = _find(wanted, image, files)
        base = posixpath.basename(wanted)
        remedy = f"Install {base}, or correct the first line."
        if file.content.startswith(ELF_MAGIC):
            remedy = "Build it for the C library of the image (glibc, or musl as in Alpine), or link it statically."
        if found is None or found[1].is_folder:
            message = f"{path} asks for {wanted}, which is not in the image (Runtime.InvalidEntrypoint)."
            yield Finding(ID, "error", message, remedy)
            return
        elif not found[1].is_executable:
            message = f"{path} asks for {wanted}, which is not executable (Runtime.InvalidEntrypoint)."
            yield Finding(ID, "error", message, f"RUN chmod +x {found[0]}")
        elif (built_for := machine_of(found[1].content)) not in (None, machine):
            message = f"{path} asks for {wanted}, a program for {built_for}, and the image is for {machine}."
            yield Finding(ID, "error", message, "Build the image for one platform throughout.")


def _scripts(words: Sequence[str], image: Image, files: Files) -> Iterator[Finding]:
    """Files of Python or shell among the arguments."""
    for word in words:
        if str(word).endswith(SCRIPTS) and files.find(_absolute(str(word), image)) is None:
            message = (
                f"The command names {word!r}, which is not in the image (looked for {_absolute(str(word), image)})."
            )
            yield Finding(ID, "error", message, "COPY it there, or correct WORKDIR.")


def _module(words: Sequence[str], files: Files) -> Iterator[Finding]:
    """What `python -m` starts, unless it is of the standard library."""
    if "python" not in posixpath.basename(words[0]) or "-m" not in words[:-1]:
        return
    name = words[words.index("-m") + 1]
    if name.partition(".")[0] in sys.stdlib_module_names:
        return
    ends = tuple(f"/{name.replace('.', '/')}{end}" for end in (".py", "/__init__.py", "/__main__.py", ".pyc"))
    if not any(path.endswith(ends) for path in files.names()):
        message = f"The command starts the module {name!r}, which is nowhere in the image."
        yield Finding(ID, "error", message, f"RUN pip install {name.partition('.')[0]}, or COPY it.")


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
