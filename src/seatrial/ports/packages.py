"""Where packages, their environments and their weights are kept, each by content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from seatrial.domain.endpoint import PackageRef
from seatrial.domain.work import ContainerImage
from seatrial.package.manifest import WeightsSpec
from seatrial.package.target import Target

Progress = Callable[[str, int, int | None], None]  # what, done, total (bytes or lines; None: unknown)


class PackageStore(Protocol):
    """Packages, unpacked and read-only, by the hash of their content."""

    async def add(self, source: Path, label: str) -> PackageRef:
        """Open a directory or a `.tar.gz` safely and keep it. The same content is kept once.

        Raises:
            Unproven: unreadable, unsafe (the member is named) or over a limit; `error_type` is "inspect".
        """
        ...

    def path(self, package: PackageRef) -> Path:
        """The unpacked root."""
        ...

    async def content(self, package: PackageRef) -> str | None:
        """The hash of what is stored for it now: its own, unless somebody changed that. None: it is gone."""
        ...

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """Remove packages whose hash is not in use and that were added last at or before that time; how many."""
        ...


class Environments(Protocol):
    """One cached virtual environment per hash of (requirements, interpreter, platform)."""

    async def prepare(
        self, requirements: Path | None, base_python: str | None, progress: Progress, packages: Sequence[str] = ()
    ) -> Path:
        """The interpreter to run with; builds the environment unless it is there. `packages` are further requirements.

        Raises:
            Unproven: it cannot be built; `error_type` is "environment", with the installer's last lines.
        """
        ...

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """Remove those that nobody asked this object for, and whoever came before not since that time; how many.

        Nothing but its own memory says what is in use: `in_use` names more that stay.
        """
        ...

    async def contents(self, python: Path) -> Mapping[str, Mapping[str, Any]]:
        """What an interpreter of an environment is (`interpreter`), and what it finds there (`environment`).

        Raises:
            Unproven: it does not answer.
        """
        ...

    async def survey(self, requirements: Path | None, base_python: str | None, packages: Sequence[str] = ()) -> Target:
        """What is known of the environment before it is built: the base interpreter and what it brings.

        Raises:
            Unproven: there is no such interpreter.
        """
        ...


class Images(Protocol):
    """Container images, as an engine of this machine holds them."""

    async def prepare(self, image: str, package: Path, progress: Progress) -> ContainerImage:
        """The image that a package names: pulled by its digest, or loaded from the package, unless it is there.

        Raises:
            Unproven: there is no engine, or no such image; `error_type` is "environment", with the engine's last lines.
        """
        ...


class WeightStore(Protocol):
    """Big files, by content, shared by every version and worker."""

    async def fetch(self, weights: WeightsSpec, package: Path, progress: Progress) -> Path:
        """The read-only file or folder; fetches, resuming, and hashes once, unless it is there.

        Raises:
            Unproven: unreachable or another hash; `error_type` is "weights".
        """
        ...

    async def remove_unused(self, in_use: Collection[str], until_ms: int) -> int:
        """As for environments, also for fetches that never came to their end."""
        ...
