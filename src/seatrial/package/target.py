"""Where a package will run, as far as that is known without building anything."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path

STANDARD_LIBRARY = frozenset(sys.stdlib_module_names) | frozenset(sys.builtin_module_names)
NEW_IN = {"graphlib": (3, 9), "zoneinfo": (3, 9), "tomllib": (3, 11), "annotationlib": (3, 14), "compression": (3, 14)}
GONE_IN = {
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), (3, 12)),
    **dict.fromkeys(("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap"), (3, 13)),
    **dict.fromkeys(
        ("msilib", "nis", "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib"), (3, 13)
    ),
    **dict.fromkeys(("uu", "xdrlib"), (3, 13)),
}


def standard_library(python: tuple[int, ...]) -> frozenset[str]:
    """The top-level modules of a version that is not at hand: this interpreter's, with what came and went."""
    version = python[:2]
    there = STANDARD_LIBRARY | {name for name, gone in GONE_IN.items() if version < gone}
    absent = {name for name, gone in GONE_IN.items() if version >= gone}
    return frozenset(there - absent - {name for name, new in NEW_IN.items() if version < new})


@dataclass(frozen=True, slots=True)
class Resolution:
    """What requirements lead to. `distributions` are canonical names (None: not known) with what each asks for.

    `conflict` is the resolver's own explanation when there is no way to meet them all; `unreachable` says why no index
    could be asked.
    """

    distributions: frozenset[str] | None = None
    conflict: str | None = None
    unreachable: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The interpreter below the package's environment, and the machine.

    `python` is (3, 11, 7), or (3, 12) where only that is known; `modules` are the top-level modules that the base
    interpreter brings beyond the standard library, None if it is not at hand; `provided` those that somebody vouches
    for. `isolation` says why fixed paths cannot be provided there, None if they can. `search` are folders in which
    missing modules are looked for.
    """

    python: tuple[int, ...] = sys.version_info[:3]
    stdlib: frozenset[str] = STANDARD_LIBRARY
    modules: frozenset[str] | None = frozenset()
    provided: frozenset[str] = frozenset()
    machine: str = field(default_factory=platform.machine)
    isolation: str | None = None
    has_gpu: bool | None = None
    resolution: Resolution = Resolution()
    search: tuple[Path, ...] = ()
    system_packages: frozenset[str] | None = None  # of Debian's that are installed; None: not known
    missing_python: str | None = None  # the interpreter that the package asks for and this machine lacks

    @property
    def python_text(self) -> str:
        """ "3.11"."""
        return ".".join(map(str, self.python[:2]))
