"""Can the kernel start a file: a program for the machine, or a script whose first line works?

Program headers of ELF: System V ABI, "Program Header"; scripts: execve(2).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from seatrial.package.checks.extension_modules import machine_of
from seatrial.package.checks.start_command import shebang_fault

ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
PT_INTERP = 3
ELF_64, LITTLE_ENDIAN = 2, 1


class Fault(NamedTuple):
    """What would keep a file from starting, and what to do."""

    message: str
    remedy: str


def start_fault(path: str, head: bytes, machine: str) -> Fault | None:
    """By the file's first bytes. `machine` is where it will run, as the kernel calls it."""
    built_for = machine_of(head)
    if built_for is not None:
        if built_for == machine:
            return None
        message = f"{path} is a program for {built_for}, and the image is for {machine}: exec format error."
        return Fault(message, "Build or download it for the image's platform.")
    if not head.startswith(b"#!"):
        message = f"{path} is neither a program nor a script with a first line such as #!/bin/sh: exec format error."
        return Fault(message, "Give it that line, or name its interpreter in ENTRYPOINT.")
    if fault := shebang_fault(head):
        return Fault(f"{path} {fault} (Runtime.InvalidEntrypoint).", f"RUN sed -i 's/\\r$//' {path}")
    return None


def interpreters_of(head: bytes) -> list[str]:
    """What the kernel starts in its place: a script's interpreter (and what `env` is asked for), a program's loader."""
    if not head.startswith(b"#!"):
        return _loader_of(head)
    words = head[2:].split(b"\n", 1)[0].decode("utf-8", "replace").split()
    asks_env = words[0].endswith("/env") and len(words) > 1 and words[1][:1] != "-" and "=" not in words[1]
    return words[: 2 if asks_env else 1]


def _loader_of(head: bytes) -> list[str]:
    """Of a dynamic program of 64 bits the loader that its PT_INTERP names, as far as the first bytes show it."""
    if machine_of(head) is None or (head[4], head[5]) != (ELF_64, LITTLE_ENDIAN) or len(head) < 64:
        return []
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for start in range(table, table + size * count, size or 1):
        if start + 40 > len(head):
            return []
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, start)
        if kind == PT_INTERP:
            name = head[offset : offset + length].rstrip(b"\0")
            return [name.decode("utf-8", "replace")] if name and offset + length <= len(head) else []
    return []
