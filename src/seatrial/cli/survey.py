"""What this machine knows of the place where a package will run, for the commands that check packages."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.package.manifest import Manifest
    from seatrial.package.target import Resolution, Target

RESOLVE_SECONDS_MAX = 60.0
VERSION = re.compile(r"\d+(\.\d+)+")


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Asks the base interpreter and, unless `resolves` is False, an index. `provided` are modules vouched for."""

    python: str | None = None
    provided: frozenset[str] = frozenset()
    search: tuple[Path, ...] = ()
    resolves: bool = True
    says: Callable[[str], None] = lambda text: None

    def __call__(self, manifest: Manifest) -> Target:
        """The target of one package."""
        return asyncio.run(self._survey(manifest))

    async def _survey(self, manifest: Manifest) -> Target:
        from seatrial.adapters.environments.uv import UvEnvironments
        from seatrial.domain.errors import Unproven
        from seatrial.package.target import Target, standard_library

        wanted = self.python or manifest.python
        with tempfile.TemporaryDirectory(prefix="seatrial-survey-") as folder:
            environments = UvEnvironments(Path(folder))
            try:
                target = await environments.survey(manifest.requirements, wanted, manifest.packages)
            except Unproven as error:
                version = tuple(map(int, wanted.split("."))) if wanted and VERSION.fullmatch(wanted) else None
                python = version or sys.version_info[:3]
                target = Target(python, standard_library(python), None, missing_python=error.message)
        has_gpu = shutil.which("nvidia-smi") is not None
        resolution = target.resolution if target.missing_python else await self._resolution(manifest, wanted)
        return replace(target, provided=self.provided, search=self.search, has_gpu=has_gpu, resolution=resolution)

    async def _resolution(self, manifest: Manifest, wanted: str | None) -> Resolution:
        from seatrial.adapters.environments.resolve import resolve
        from seatrial.package.requirements import read_requirements
        from seatrial.package.target import Resolution

        file = manifest.requirements
        lines = [] if file is None else read_requirements(file, file.parent)
        asked = bool(manifest.packages) or any(one.name for one in lines)
        if not self.resolves or any(one.fault for one in lines) or not asked:
            return Resolution()
        self.says("resolving the requirements (--no-resolve leaves this out)")
        return await resolve(file, wanted, os.environ, RESOLVE_SECONDS_MAX, manifest.packages)
