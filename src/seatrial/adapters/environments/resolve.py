"""Can requirements be met? uv works it out from an index; nothing is installed."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from seatrial.adapters.environments.installer import installer_environ
from seatrial.adapters.environments.interpreter import find_interpreter
from seatrial.package.distributions import canonical
from seatrial.package.target import Resolution

PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(\[.*?\])?\s*(==|@)")
FIND_LINKS = re.compile(r"^\s*(-f|--find-links)\b", re.MULTILINE)
NO_SOLUTION = "No solution found"
OFFLINE = ("network was disabled", "not found in the cache")
MARKS = re.compile(r"[^\x00-\x7f]+")  # its lines and arrows


async def resolve(
    requirements: Path | None,
    base_python: str | None,
    environ: Mapping[str, str],
    seconds_max: float,
    packages: Sequence[str] = (),
) -> Resolution:
    """What a file and further requirements lead to for that interpreter, maybe that no index can be asked.

    Raises:
        Unproven: there is no such interpreter.
    """
    given = installer_environ(environ)
    base = await find_interpreter(base_python, given)
    no_index = given.get("PIP_NO_INDEX", "") not in ("", "0", "false")
    text = "" if requirements is None else await asyncio.to_thread(requirements.read_text, "utf-8", "replace")
    if no_index and "UV_FIND_LINKS" not in given and not FIND_LINKS.search(text):
        return Resolution(unreachable="the settings allow no index")
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url"]
    command += ["--python", str(base.path), *(["--no-index"] if no_index else [])]
    command += [*([] if requirements is None else [str(requirements)]), *(["-"] if packages else [])]
    process = await asyncio.create_subprocess_exec(
        *command,
        env=given,
        cwd=os.sep if requirements is None else requirements.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds_max):
            output, errors = await process.communicate("\n".join(packages).encode())
    except TimeoutError:
        return Resolution(unreachable=f"no answer within {seconds_max:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return Resolution(_distributions(output.decode("utf-8", "replace")))
    return _refused(errors.decode("utf-8", "replace"))


def _distributions(output: str) -> frozenset[str]:
    names = [PINNED.match(line) for line in output.splitlines()]
    return frozenset(canonical(name[1]) for name in names if name)


def _refused(said: str) -> Resolution:
    """uv's explanation of a conflict in one line; whatever else went wrong says nothing about the requirements."""
    text = " ".join(MARKS.sub(" ", said).split())
    if NO_SOLUTION in text and not any(word in text for word in OFFLINE):
        return Resolution(conflict=text.partition(NO_SOLUTION)[2].partition(":")[2].strip() or text)
    return Resolution(unreachable=text[:300] or "the resolver gave no reason")
