"""Cached virtual environments, one for each (requirements, interpreter, platform), built with uv.

- Without requirements, or with such as the base has (pins of a virtual environment), there is nothing to build: the
  base interpreter itself runs the package (a start in milliseconds, no disk). Workers run with the user's site-packages
  disabled either way.
- On a plain interpreter: `uv venv`, then `uv pip install`.
- On an interpreter that is a virtual environment itself (say, one with a hand-made torch): a new environment whose
  last place to look is the base's site-packages, filled by pip. pip sees what the base has and leaves it; uv would
  install it again.

Environments are built in place, because they cannot be moved, and count only with their marker file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from uv import find_uv_bin

from seatrial.adapters.environments.contents import contents_of
from seatrial.adapters.environments.installer import InstallerFailed, installer_environ, run_installer
from seatrial.adapters.environments.interpreter import Interpreter, find_interpreter
from seatrial.adapters.environments.requirements import asks_for_something, wanted_lines
from seatrial.adapters.environments.survey import modules_of, system_packages
from seatrial.domain.errors import Unproven
from seatrial.domain.limits import ENVIRONMENT_BUILD_SECONDS_MAX
from seatrial.package.distributions import canonical
from seatrial.package.target import Target
from seatrial.ports.packages import Progress

MARKER = ".complete"
PACKAGES_FILE = ".packages.txt"
LAYER = "zz_base_interpreter.pth"
Wanted = tuple[Path | None, Sequence[str]]  # a requirements file, and further requirements
REMEDY = (
    "Check the names and versions in the requirements file and the index settings of the server (UV_*, PIP_*), or "
    "choose a base interpreter that has the packages: python in [package]."
)


class UvEnvironments:
    """The Environments of one server (see ports/packages.py), which alone owns `folder`."""

    def __init__(
        self,
        folder: Path,
        default_python: str | None = None,
        *,
        build_seconds_max: float = ENVIRONMENT_BUILD_SECONDS_MAX,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`default_python` is the base where a package names none: a version, a path, or None for the server's own."""
        self._folder = folder
        self._default_python = default_python
        self._build_seconds_max = build_seconds_max
        self._environ = installer_environ(environ)
        self._locks: dict[str, asyncio.Lock] = {}

    async def base(self, wanted: str | None = None) -> Interpreter:
        """The interpreter that a package stands on which wants this one, or none.

        Raises:
            Unproven: there is none, it does not run, or it is too old.
        """
        return await find_interpreter(wanted or self._default_python, self._environ)

    async def prepare(
        self, requirements: Path | None, base_python: str | None, progress: Progress, packages: Sequence[str] = ()
    ) -> Path:
        """See the port. Two calls for the same environment wait for one build."""
        base = await self.base(base_python)
        lines = await asyncio.to_thread(_lines, requirements, packages)
        if not asks_for_something(lines) or (requirements is None and await self._holds(base, packages)):
            return base.path
        name = _name(lines, base)
        async with self._locks.setdefault(name, asyncio.Lock()):
            folder = self._folder / name
            python = folder / "bin" / "python"
            if not ((folder / MARKER).exists() and os.access(python, os.X_OK)):
                await self._build(folder, base, (requirements, packages), lines, progress)
            os.utime(folder / MARKER)
        return python

    async def _holds(self, base: Interpreter, packages: Sequence[str]) -> bool:
        """Whether the base, which would run the package itself, has releases of all of these that will do."""
        there = (await contents_of(base.path, self._environ))["environment"]["distributions"]
        return all(_is_there(Requirement(one), there) for one in packages)

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """See the port; what this server asked for has a lock here. Those that were never completed go too."""
        return await asyncio.to_thread(self._remove_unused, {*in_use, *self._locks}, until_ms)

    def _remove_unused(self, spared: Collection[str], until_ms: int) -> int:
        idle = []
        for folder in self._folder.iterdir():
            told = folder / MARKER
            used = (told if told.exists() else folder).stat().st_mtime_ns // 1_000_000
            if folder.name not in spared and used <= until_ms:
                idle.append(folder)
        for folder in idle:
            shutil.rmtree(folder)
        return len(idle)

    async def contents(self, python: Path) -> Mapping[str, Mapping[str, Any]]:
        """See the port."""
        return await contents_of(python, self._environ)

    async def survey(self, requirements: Path | None, base_python: str | None, packages: Sequence[str] = ()) -> Target:
        """See the port."""
        base = await self.base(base_python)
        modules, stdlib = await modules_of(base, self._environ)
        lines = await asyncio.to_thread(_lines, requirements, packages)
        # an environment on a plain interpreter does not look into that one's packages
        seen = modules if base.virtual or not asks_for_something(lines) else frozenset()
        installed = await asyncio.to_thread(system_packages)
        return Target(python=base.version, stdlib=stdlib, modules=seen, system_packages=installed)

    async def _build(
        self, folder: Path, base: Interpreter, wanted: Wanted, lines: list[str], progress: Progress
    ) -> None:
        said = 0

        def on_line(line: str) -> None:
            nonlocal said
            said += 1
            progress(line, said, None)

        await asyncio.to_thread(_clear, folder)
        try:
            async with asyncio.timeout(self._build_seconds_max):
                await self._fill(folder, base, wanted, on_line)
        except InstallerFailed as error:
            raise _failed(f"The environment cannot be built: the installer {error}", error.lines) from error
        except TimeoutError:
            raise _failed(f"The environment was not built within {self._build_seconds_max:g} seconds", []) from None
        await asyncio.to_thread(_mark, folder, lines)

    async def _fill(self, folder: Path, base: Interpreter, wanted: Wanted, on_line: Callable[[str], None]) -> None:
        requirements, packages = wanted

        async def run(*command: str) -> None:
            place = self._folder if requirements is None else requirements.parent
            await run_installer(command, self._environ, place, on_line)

        files = [] if requirements is None else ["--requirement", str(requirements)]

        uv, python = find_uv_bin(), str(folder / "bin" / "python")
        await run(uv, "venv", "--no-project", "--python", str(base.path), str(folder))
        if not base.virtual:
            # --no-index has no variable of uv's own
            options = ["--no-index"] if self._environ.get("PIP_NO_INDEX", "") not in ("", "0", "false") else []
            files += await asyncio.to_thread(_written, folder, packages)
            await run(uv, "pip", "install", "--python", python, *options, *files)
            return
        _layer(folder, base)
        try:
            await run(python, "-c", "import pip")
        except InstallerFailed:
            await run(python, "-m", "ensurepip")
        files += await asyncio.to_thread(_written, folder, packages)
        await run(python, "-m", "pip", "install", "--progress-bar", "off", *files)


def _lines(requirements: Path | None, packages: Sequence[str]) -> list[str]:
    """What is wanted, one line each. Blocking."""
    return [*(wanted_lines(requirements) if requirements is not None else []), *packages]


def _written(folder: Path, packages: Sequence[str]) -> list[str]:
    """The installer's options for requirements that are in no file: they get one, in the environment."""
    if not packages:
        return []
    file = folder / PACKAGES_FILE
    file.write_text("".join(f"{one}\n" for one in packages), encoding="utf-8")
    return ["--requirement", str(file)]


def _name(lines: list[str], base: Interpreter) -> str:
    """The hash that names an environment: what was asked for, and what it stands on."""
    return hashlib.sha256(json.dumps({"requirements": lines, "base": base.identity}).encode()).hexdigest()


def _layer(folder: Path, base: Interpreter) -> None:
    """Let the environment look into the base's site-packages last, `.pth` files there included.

    The folder stands on a line of its own, for `sys.path` and for whoever reads what the environment is made of;
    `addsitedir` finds it there already and adds what the folder's own `.pth` files name.
    """
    major, minor, *_ = base.version
    lines = [f"{packages}\nimport site; site.addsitedir({packages!r})\n" for packages in base.packages]
    layer = folder / "lib" / f"python{major}.{minor}" / "site-packages" / LAYER
    layer.write_text("".join(lines), encoding="utf-8")


def _clear(folder: Path) -> None:
    """Remove what a broken or given-up build left."""
    if folder.exists():
        (folder / MARKER).unlink(missing_ok=True)
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)


def _mark(folder: Path, lines: list[str]) -> None:
    """Make the environment count, once every file of it is on disk: syncing tens of thousands one by one is slower."""
    os.sync()
    with (folder / MARKER).open("w", encoding="utf-8") as marker:
        json.dump({"requirements": lines}, marker, indent=1)
        marker.flush()
        os.fsync(marker.fileno())


def _failed(what: str, lines: list[str]) -> Unproven:
    last = "\n".join(lines[-15:])
    message = f"{what}.\n{last}" if last else f"{what}."
    return Unproven("environment", message, field="requirements", details={"remedy": REMEDY, "installer": lines})


def _is_there(wanted: Requirement, there: Mapping[str, Any]) -> bool:
    version = str(there.get(canonical(wanted.name), "")).partition(" ")[0]
    return bool(version) and wanted.specifier.contains(version, prereleases=True)
