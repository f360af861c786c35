"""Does a Cog package ask for what only a build of an image with Cog's own tool would bring?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seatrial.package.cog.file import COG_FILE, cog_file
from seatrial.package.cog.signature import read_signature
from seatrial.package.finding import Finding
from seatrial.package.manifest import Manifest
from seatrial.package.target import Target

ID = "cog_build"


def check_cog_build(manifest: Manifest, root: Path, target: Target) -> Iterator[Finding]:
    """Packages of the system that are not there, commands that nobody runs, and limits that only the code knows."""
    said = cog_file(root)
    if target.system_packages is None and said.system_packages:
        words = ", ".join(said.system_packages)
        message = f"{COG_FILE} asks for the system packages {words}; whether they are here cannot be told."
        yield Finding(ID, "warning", message, "See that they are installed where the server runs.", COG_FILE)
    absent = [one for one in said.system_packages if not _is_there(one, target)]
    if absent and target.system_packages is not None:
        message = f"{COG_FILE} asks for system packages that this machine lacks: {', '.join(absent)}."
        remedy = f"Install them where the server runs: apt-get install {' '.join(absent)}"
        yield Finding(ID, "warning", message, remedy, COG_FILE)
    if said.commands:
        message = f"{COG_FILE} has {said.commands} commands under build.run, and nothing runs them here."
        remedy = "Run them on the machine yourself, or declare what they fetch as [[weights]] in seatrial.toml."
        yield Finding(ID, "warning", message, remedy, COG_FILE)
    if isinstance(said.concurrency, int) and said.concurrency > 1:
        message = f"{COG_FILE} wants {said.concurrency} predictions at once in one process; a worker has one."
        yield Finding(ID, "warning", message, "Give the endpoint more workers: [worker] count.", COG_FILE)
    yield from _doubts(manifest, root, said.train)


def _doubts(manifest: Manifest, root: Path, train: str | None) -> Iterator[Finding]:
    for task, ref in (("predict", manifest.handler), ("train", train)):
        signature = read_signature(root, ref, task) if ref else None
        for doubt in signature.doubts if signature is not None else ():
            message = f"{doubt.file}, line {doubt.line}: of the input {doubt.name!r}, {doubt.fault}."
            remedy = (
                f"Write it as a literal or a constant, or declare [tasks.{task}.input] {doubt.name} in seatrial.toml."
            )
            yield Finding(ID, "warning", message, remedy, doubt.file, doubt.line)


def _is_there(name: str, target: Target) -> bool:
    """Debian's names may have a version or an architecture behind."""
    bare = name.partition("=")[0].partition(":")[0]
    return target.system_packages is not None and bare in target.system_packages
