"""Which Python an environment stands on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from seatrial.domain.errors import Unproven

OLDEST = (3, 9)  # what the worker's side of the pipe needs
PROBE_SECONDS_MAX = 60
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
REMEDY = 'Name a version that is installed (python = "3.12") or the absolute path of an interpreter.'


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
        path = Path(getattr(sys, "_base_executable", None) or sys.executable)
    elif re.fullmatch(r"\d+(\.\d+)*", wanted):
        path = await _installed(wanted, environ)
    else:
        path = Path(wanted)
        if not path.is_absolute() or not path.is_file():
            raise _unfit(f"There is no interpreter {wanted!r}")
    return await _probe(path, environ)


async def _installed(version: str, environ: Mapping[str, str]) -> Path:
    # --system: an environment that happens to be active is nobody's choice
    find = [find_uv_bin(), "python", "find", "--system", "--no-project", "--no-python-downloads", version]
    code, answer = await _answer(find, environ)
    if code != 0:
        raise _unfit(f"Python {version} is not installed on this server ({answer[-300:].strip()})")
    return Path(answer.strip())


async def _probe(path: Path, environ: Mapping[str, str]) -> Interpreter:
    code, answer = await _answer([str(path), "-I", "-c", PROBE], environ)
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


async def _answer(command: list[str], environ: Mapping[str, str]) -> tuple[int | None, str]:
    """Exit code and all output of a short command."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environ),
            cwd=os.sep,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return None, str(error)
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            output, _ = await process.communicate()
    except TimeoutError:
        return None, f"no answer within {PROBE_SECONDS_MAX} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode("utf-8", "replace")


def _unfit(what: str) -> Unproven:
    return Unproven("environment", f"{what}. {REMEDY}", field="python", details={"remedy": REMEDY})
