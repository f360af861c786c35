"""Where Python would find a module below given folders (the import system's path finder, without running it)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

EXTENSION_SUFFIX = ".so"


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the package. `file` is None for a namespace package; `folders` is where its submodules lie."""

    file: Path | None
    folders: tuple[Path, ...] = ()

    @property
    def is_regular(self) -> bool:
        """False for a namespace package, which any module of that name elsewhere goes before."""
        return self.file is not None

    @property
    def is_source(self) -> bool:
        """True if there is Python to read."""
        return self.file is not None and self.file.suffix == ".py"


@dataclass(slots=True)
class Finder:
    """Looks into each folder once: the names in it, each with whether it is a folder."""

    _listings: dict[Path, dict[str, bool]] = field(default_factory=dict)

    def find(self, folders: Iterable[Path], name: str) -> Module | None:
        """The module of that simple name, from the first folder that has it."""
        portions = []
        for folder in folders:
            names = self._names(folder)
            package = folder / name
            is_folder = names.get(name, False)
            if is_folder:
                inner = self._names(package)
                init = "__init__.py" if inner.get("__init__.py") is False else _extension(inner, "__init__")
                if init is not None:
                    return Module(package / init, (package,))
            found = _extension(names, name) or (f"{name}.py" if names.get(f"{name}.py") is False else None)
            if found is not None:
                return Module(folder / found)
            if is_folder:
                portions.append(package)
        return Module(None, tuple(portions)) if portions else None

    def _names(self, folder: Path) -> dict[str, bool]:
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    self._listings[folder] = {entry.name: entry.is_dir() for entry in entries}
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder]


def _extension(names: dict[str, bool], name: str) -> str | None:
    """`name.so`, `name.abi3.so` or `name.cpython-….so`."""
    found = [one for one in names if one.startswith(f"{name}.") and one.endswith(EXTENSION_SUFFIX)]
    return min(found, default=None)
