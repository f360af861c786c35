"""What an inspection says about a package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark: an error refuses the package, a warning is shown. `file` is relative to the package."""

    id: str
    level: Literal["error", "warning"]
    message: str
    remedy: str
    file: str | None = None
    line: int | None = None
