"""Can the start command of a package be run: is its program there, executable, and made for this machine?

What stands behind "exec format error" and Runtime.InvalidEntrypoint: a missing execute bit, a shebang that ends in a
carriage return, an interpreter that is not there, a program for another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial.domain.limits import CHECKED_HEAD_BYTES
from seatrial.package.checks.extension_modules import ELF_MAGIC, machine_of, normal_machine
from seatrial.package.checks.imports import Declared
from seatrial.package.finding import Finding
from seatrial.package.layout import Entry
from seatrial.package.listing import ListedFile
from seatrial.package.manifest import Manifest
from seatrial.package.source import Source
from seatrial.package.target import Target

ID = "start_command"
SYSTEM_FOLDERS = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
SCRIPTS_OF = {  # console scripts whose distribution has another name
    "accelerate": "accelerate",
    "flask": "flask",
    "gunicorn": "gunicorn",
    "hypercorn": "hypercorn",
    "granian": "granian",
    "multi-model-server": "multi-model-server",
    "torchrun": "torch",
    "torchserve": "torchserve",
    "uvicorn": "uvicorn",
    "vllm": "vllm",
}


def check_start_command(
    manifest: Manifest, root: Path, files: Iterable[ListedFile], declares: Declared, target: Target
) -> Iterator[Finding]:
    """What would keep the first word from being run, and scripts of the package that would not run on their own."""
    if manifest.command:
        program = manifest.command[0]
        path = root / program
        if "/" in program and not program.startswith("/"):
            yield from _own(path, program, target) if path.is_file() else [_absent(program)]
        elif "/" not in program and not program.startswith("python"):
            yield from _console_script(program, declares)
        for word in manifest.command[1:]:
            if word.endswith((".py", ".sh")) and not word.startswith("/") and not (root / word).is_file():
                yield _error(f"The start command names {word!r}, which the package does not hold.", "Add it.", word)
    else:
        yield from _scripts(files)


def check_application(entry: Entry, source: Source) -> Iterator[Finding]:
    """Whether the module has the application that a command such as `gunicorn app:app` names."""
    name = (entry.attribute or "").partition("(")[0]
    if name and not source.binds(name) and not source.binds("*"):
        fault = f"{source.name} defines no {name!r}, which the start command names."
        yield _error(fault, "Add it, or correct the command.", source.name)


def shebang_fault(head: bytes) -> str | None:
    """What is wrong with the first line of a script."""
    line = head.split(b"\n", 1)[0]
    if line.endswith(b"\r"):
        return "has Windows line ends: its first line asks for an interpreter whose name ends in a carriage return"
    words = line[2:].split()
    if not words:
        return "begins with #! and names no interpreter"
    interpreter = words[0].decode("utf-8", "replace")
    return None if interpreter.startswith("/") else f"asks for {interpreter!r}, which is no absolute path"


def _own(path: Path, program: str, target: Target) -> Iterator[Finding]:
    with path.open("rb") as body:
        head = body.read(CHECKED_HEAD_BYTES)
    if not path.stat().st_mode & 0o111:
        yield _error(f"{program} is not executable.", f"Run `chmod +x {program}` and pack again.", program)
    if head.startswith(ELF_MAGIC):
        machine = machine_of(head)
        if machine != normal_machine(target.machine):
            fault = f"{program} is a program for {machine}, and this runs on {target.machine}."
            yield _error(fault, f"Build it for {target.machine}.", program)
    elif not head.startswith(b"#!"):
        fault = f"{program} is neither a program nor a script with a first line such as #!/bin/sh."
        yield _error(fault, "Give it that line, or name its interpreter in the command.", program)
    elif fault_of_line := shebang_fault(head):
        yield _error(f"{program} {fault_of_line}.", f"Run `sed -i 's/\\r$//' {program}` and pack again.", program)


def _absent(program: str) -> Finding:
    return _error(f"The start command runs {program!r}, which the package does not hold.", "Add it.", program)


def _console_script(program: str, declares: Declared) -> Iterator[Finding]:
    distribution = SCRIPTS_OF.get(program, program)
    if distribution in declares.distributions or declares.wide:
        return
    if any(Path(folder, program).exists() for folder in SYSTEM_FOLDERS):
        return
    fault = f"The start command runs {program!r}, which no requirement brings and no system folder holds."
    yield _error(fault, f"Add {distribution!r} to {declares.file}.", "seatrial.toml")


def _scripts(files: Iterable[ListedFile]) -> Iterator[Finding]:
    """Executable scripts that would not start, in a package that is not started by a command."""
    for file in files:
        if not file.executable:
            continue
        with file.path.open("rb") as body:
            head = body.read(CHECKED_HEAD_BYTES)
        name = file.name
        if head.startswith(b"#!") and head.split(b"\n", 1)[0].endswith(b"\r"):
            remedy = f"Run `sed -i 's/\\r$//' {name}` and pack again."
            yield Finding(ID, "warning", f"{name} {shebang_fault(head)}.", remedy, name)


def _error(message: str, remedy: str, file: str) -> Finding:
    return Finding(ID, "error", message, remedy, file)
