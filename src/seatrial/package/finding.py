"""What an inspection says about a package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "unprovable", "warning"]  # in the order in which they are told


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark: an error refuses the package, a warning is shown. `file` is relative to the package.

    "unprovable" is what this machine cannot tell, such as whether a GPU that it lacks would do.
    """

    id: str
    level: Level
    message: str
    remedy: str
    file: str | None = None
    line: int | None = None
