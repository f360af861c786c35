"""Libraries that a package carries along: in a folder such as `lib/`, or installed beside its code (`pip -t`)."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from seatrial.package.names import is_vendored

RECORD = ".dist-info/RECORD"  # of https://packaging.python.org/en/latest/specifications/recording-installed-packages/


class Carried:
    """The files of a package that are somebody else's."""

    def __init__(self, root: Path = Path(), names: Iterable[str] = ()) -> None:
        """`names` are all files of the package, by their paths in it; what installers recorded is read."""
        self._paths: set[PurePosixPath] = set()
        for name in (PurePosixPath(name) for name in names if name.endswith(RECORD)):
            files = Distribution.at(root / name.parent).files or ()
            self._paths |= {name.parent.parent / one.parts[0] for one in files if one.parts[0] not in ("..", "bin")}

    def __contains__(self, name: str) -> bool:
        """Whether a file or folder of the package belongs to a library."""
        path = PurePosixPath(name)
        return is_vendored(name) or path in self._paths or not self._paths.isdisjoint(path.parents)
