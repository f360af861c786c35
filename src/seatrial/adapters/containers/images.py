"""Finds the engine of this machine, and sees to it that it holds a package's image."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import tarfile
from collections.abc import Sequence
from pathlib import Path

from seatrial.domain.errors import Unproven
from seatrial.domain.limits import CONTAINER_ENGINE_LINES_KEPT
from seatrial.domain.work import ContainerImage
from seatrial.package.image.reference import digest_of, is_reference
from seatrial.ports.packages import Progress

ENGINES = ("podman", "docker")
STAGE = "environment"
ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
NO_ENGINE = "Install podman or docker on the server, or give the package a command instead of an image."


class EngineImages:
    """Implements `ports.packages.Images` with the engine's own command line."""

    def __init__(self, engine: str | None, options: str) -> None:
        """`engine` is a program with its own options; None: the first of ENGINES in PATH. `options` are for `run`."""
        self._engine = engine
        self._options = tuple(shlex.split(options))

    async def prepare(self, image: str, package: Path, progress: Progress) -> ContainerImage:
        """See `ports.packages.Images.prepare`."""
        engine = self._words()
        if not is_reference(image):
            found = await self._loaded(engine, package / image, progress)
        else:
            found = await self._id(engine, image)
            if found is None and "@" in image:
                await self._run([*engine, "pull", image], progress, f"{image} cannot be pulled")
                found = await self._id(engine, image)
        if found is None:
            remedy = (
                f"Build, load or pull it as the server's user: `{engine[0]} image ls --digests` shows what is there."
            )
            raise Unproven(STAGE, f"{engine[0]} has no image {image}", details={"remedy": remedy})
        return ContainerImage(engine, self._options, f"sha256:{found}")

    def _words(self) -> tuple[str, ...]:
        wanted = [shlex.split(self._engine)] if self._engine else [[name] for name in ENGINES]
        for words in wanted:
            program = shutil.which(words[0])
            if program is not None:
                return (program, *words[1:])
        missing = self._engine or " nor ".join(ENGINES)
        raise Unproven(STAGE, f"no container engine: {missing} is not in PATH", details={"remedy": NO_ENGINE})

    async def _id(self, engine: Sequence[str], image: str) -> str | None:
        """The id of an image that the engine holds."""
        try:
            lines = await self._run(
                [*engine, "image", "inspect", "--format", "{{.Id}}", digest_of(image)], lambda *said: None, ""
            )
        except Unproven:
            return None
        return _last_id(lines)

    async def _loaded(self, engine: Sequence[str], file: Path, progress: Progress) -> str | None:
        """The id of an OCI layout or of a saved image, which the engine takes in."""
        if Path(engine[0]).name.startswith("podman"):
            command = [*engine, "pull", _transport(file)]
        else:
            command = [*engine, "load", "--input", str(file)]
        return _last_id(await self._run(command, progress, f"the image {file.name} cannot be loaded"))

    async def _run(self, command: Sequence[str], progress: Progress, what: str) -> list[str]:
        """The lines that it printed.

        Raises:
            Unproven: it failed, with its last lines.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        lines: list[str] = []
        try:
            assert process.stdout is not None  # noqa: S101  # it is a pipe
            async for raw in process.stdout:
                lines = [*lines, raw.decode("utf-8", "replace").rstrip()][-CONTAINER_ENGINE_LINES_KEPT:]
                progress(lines[-1], len(lines), None)
            code = await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if code != 0:
            said = "\n".join(lines)
            remedy = f"Run it by hand as the server's user: {shlex.join(command)}"
            raise Unproven(
                STAGE, f"{what}: {lines[-1] if lines else code}", details={"traceback": said, "remedy": remedy}
            )
        return lines


def _transport(file: Path) -> str:
    """As podman names where an image lies."""
    return f"oci:{file}" if file.is_dir() else f"oci-archive:{file}" if _is_oci(file) else f"docker-archive:{file}"


def _is_oci(file: Path) -> bool:
    with tarfile.open(file, mode="r:") as archive:
        return any(one.name.removeprefix("./") == "oci-layout" for one in archive)


def _last_id(lines: Sequence[str]) -> str | None:
    found = [match.group(1) for line in lines for match in ID.finditer(line)]
    return found[-1] if found else None
