"""Where Python would find a module below given folders (the import system's path finder, without running it)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


def find_module(folders: Sequence[Path], name: str) -> Module | None:
    """The module of that simple name, from the first folder that has it."""
    portions = []
    for folder in folders:
        package = folder / name
        if package.is_dir():
            init = package / "__init__.py"
            if init.is_file():
                return Module(init, (package,))
            if extension := _extension(package, "__init__"):
                return Module(extension, (package,))
        if extension := _extension(folder, name):
            return Module(extension)
        if (plain := folder / f"{name}.py").is_file():
            return Module(plain)
        if package.is_dir():
            portions.append(package)
    return Module(None, tuple(portions)) if portions else None


def _extension(folder: Path, name: str) -> Path | None:
    """`name.so`, `name.abi3.so` or `name.cpython-….so`."""
    if not folder.is_dir():
        return None
    found = sorted(folder.glob(f"{name}.*{EXTENSION_SUFFIX}")) + sorted(folder.glob(f"{name}{EXTENSION_SUFFIX}"))
    return found[0] if found else None
