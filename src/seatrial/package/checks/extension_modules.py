"""Is each compiled module of the package made for this interpreter and this machine?

ELF header: System V ABI, `e_machine` at byte 18. File names: PEP 3149 and PEP 384.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial.package.finding import Finding
from seatrial.package.listing import ListedFile
from seatrial.package.target import Target

ID = "extension_modules"
ELF_MAGIC = b"\x7fELF"
MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
SAME = {"amd64": "x86_64", "arm64": "aarch64"}
TAG = re.compile(r"\.cpython-(\d)(\d+)")


def check_extension_modules(
    folders: list[Path], root: Path, files: Iterable[ListedFile], target: Target
) -> Iterator[Finding]:
    """One error for each module that has no file which fits; other builds beside a fitting one do no harm."""
    builds: dict[Path, list[Path]] = {}
    for file in files:
        path = file.path
        if file.name.endswith(".so") and _is_module(path) and any(path.is_relative_to(one) for one in folders):
            builds.setdefault(path.parent / path.name.partition(".")[0], []).append(path)
    for paths in builds.values():
        faults = {path: _fault(path, target) for path in paths}
        if all(faults.values()):
            path, fault = next(iter(faults.items()))
            name = path.relative_to(root).as_posix()
            remedy = f"Build it for Python {target.python_text} on {target.machine}, or require it as a wheel."
            yield Finding(ID, "error", f"{name} {fault}.", remedy, name)


def machine_of(head: bytes) -> str | None:
    """The machine of an ELF file by its first 20 bytes; None for anything else."""
    if head[:4] != ELF_MAGIC or len(head) < 20:
        return None
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    return MACHINES.get(number, f"machine {number}")


def normal_machine(machine: str) -> str:
    """One word for each machine."""
    return SAME.get(machine.lower(), machine.lower())


def _is_module(path: Path) -> bool:
    return bool(TAG.search(path.name)) or path.name.endswith(".abi3.so")


def _fault(path: Path, target: Target) -> str | None:
    tag = TAG.search(path.name)
    wanted = "".join(map(str, target.python[:2]))
    if tag and tag[1] + tag[2] != wanted:
        return f"is built for Python {tag[1]}.{tag[2]}, and {target.python_text} will not find it"
    with path.open("rb") as body:
        machine = machine_of(body.read(20))
    if machine is not None and machine != normal_machine(target.machine):
        return f"is built for {machine}, and this runs on {target.machine}"
    return None
