"""Which Python an environment stands on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from seatrial.adapters.environments.answers import answer_of, short_answer
from seatrial.adapters.environments.installed import pythons_on_disk
from seatrial.domain.errors import Unproven

OLDEST = (3, 9)  # what the worker's side of the pipe needs
PROBE = """
import json, sys, sysconfig
paths = sysconfig.get_paths()
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "prefix": sys.prefix,
    "base_prefix": sys.base_prefix,
    "platform": sysconfig.get_platform(),
    "abi": sysconfig.get_config_var("SOABI"),
    "packages": sorted({paths["purelib"], paths["platlib"]}),
}))
"""
REMEDY = 'Name the absolute path of an interpreter of this server: python = "/path/to/bin/python3.12".'


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that runs. `packages` are its site-packages folders, `virtual` says that it is an environment itself."""

    path: Path
    version: tuple[int, ...]
    prefix: str
    virtual: bool
    platform: str
    packages: tuple[str, ...]

    @property
    def identity(self) -> dict[str, object]:
        """What an environment built on it depends on."""
        return {"path": str(self.path), "version": self.version, "prefix": self.prefix, "platform": self.platform}


async def find_interpreter(wanted: str | None, environ: Mapping[str, str]) -> Interpreter:
    """The interpreter of that version or path; None is the one that the server itself stands on.

    Raises:
        Unproven: there is none, it does not run, or it is too old.
    """
    if wanted is None:
        return await _probe(Path(getattr(sys, "_base_executable", None) or sys.executable), environ)
    if re.fullmatch(r"\d+(\.\d+)*", wanted):
        return await _installed(tuple(map(int, wanted.split("."))), environ)
    path = Path(wanted)
    if not path.is_absolute() or not await asyncio.to_thread(path.is_file):
        raise _unfit(f"There is no interpreter {wanted!r}")
    return await _probe(path, environ)


async def _installed(version: tuple[int, ...], environ: Mapping[str, str]) -> Interpreter:
    """The interpreter that uv finds, or else the newest of that version on disk: uv stops at a shim that fails."""
    if (found := await _found_by_uv(version, environ)) is not None:
        return found
    pythons: list[Interpreter] = []
    for path in await asyncio.to_thread(pythons_on_disk, environ):
        with contextlib.suppress(Unproven):  # it does not run, or is too old
            pythons.append(await _probe(path, environ))
    newest_first = sorted(pythons, key=lambda one: one.version, reverse=True)
    fitting = [one for one in newest_first if one.version[: len(version)] == version]
    if fitting:
        return fitting[0]
    missing = f"Python {'.'.join(map(str, version))} is not installed on this server"
    if not newest_first:
        raise _unfit(f"{missing}, nor any other")
    there = ", ".join(f"{'.'.join(map(str, one.version))} ({one.path})" for one in newest_first)
    remedy = f'Install it, or name an interpreter that is there: python = "{newest_first[0].path}".'
    raise _unfit(f"{missing}; there are {there}", remedy)


async def _found_by_uv(version: tuple[int, ...], environ: Mapping[str, str]) -> Interpreter | None:
    # --system: an environment that happens to be active is nobody's choice
    find = [find_uv_bin(), "python", "find", "--system", "--no-project", "--no-python-downloads"]
    code, answer = await short_answer([*find, ".".join(map(str, version))], environ)
    if code != 0:
        return None
    try:
        found = await _probe(Path(answer.strip().splitlines()[-1]), environ)
    except (Unproven, IndexError):
        return None
    return found if found.version[: len(version)] == version else None


async def _probe(path: Path, environ: Mapping[str, str]) -> Interpreter:
    code, answer = await answer_of(path, PROBE, environ)
    try:
        said = json.loads(answer) if code == 0 else {}
    except ValueError:
        said = {}
    if not said:
        raise _unfit(f"{path} is no Python that runs here (it ended with {code}: {answer[-300:].strip()})")
    version = tuple(said["version"])
    if version < OLDEST:
        raise _unfit(f"{path} is Python {'.'.join(map(str, version))}, older than 3.9")
    return Interpreter(
        path=path,
        version=version,
        prefix=said["prefix"],
        virtual=said["prefix"] != said["base_prefix"],
        platform=f"{said['platform']} {said['abi']}",
        packages=tuple(said["packages"]),
    )


def _unfit(what: str, remedy: str = REMEDY) -> Unproven:
    return Unproven("environment", f"{what}.", field="python", details={"remedy": remedy})
