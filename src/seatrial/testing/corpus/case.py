"""One package of the corpus, and how it is made."""

from __future__ import annotations

import io
import tarfile
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Content = str | bytes
STAGES = ("check", "environment", "weights", "load", "prove", "refuse", "drill")


@dataclass(frozen=True, slots=True)
class Case:
    """A package as files, with what is wrong with it.

    `stage` is the earliest one that can catch the fault; empty for a healthy package. `finding` is the id of the check
    that must tell it, where the stage is "check". `archive` makes the bytes of an archive that no folder can be.
    `untried` is why a healthy package cannot be put through a trial here.
    """

    name: str
    layout: str
    files: Mapping[str, Content] = field(default_factory=dict)
    stage: str = "check"
    finding: str | None = None
    level: str = "error"
    handler: str | None = None
    executable: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    archive: Callable[[], bytes] | None = None
    python: str | None = None
    strict: bool = False
    untried: str = ""

    def make(self, folder: Path) -> Path:
        """The package in an existing empty folder: a directory, or an archive."""
        if self.archive is not None:
            made = folder / "package.tar.gz"
            made.write_bytes(self.archive())
            return made
        root = folder / "package"
        root.mkdir()
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(textwrap.dedent(content).encode() if isinstance(content, str) else content)
            path.chmod(0o755 if name in self.executable else 0o644)
        for name, target in self.links.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)
        return root


def tar_of(*members: tuple[str, bytes, Mapping[str, object]], form: str = "w:gz") -> bytes:
    """An archive of members that need not be possible in any folder."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=form) as tar:  # type: ignore[call-overload]  # the form is a parameter
        for name, content, more in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()
