"""What a package needs from the tree that it was made of: missing modules, and the data that their code reads.

A module goes where the handler's sys.path finds it. Data goes where the code looks for it: a path expression is worked
out twice, at the file's place in the source tree and at its place in the package.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.domain.limits import CHECKED_TEXT_BYTES_MAX
from seatrial.package.checks.imports import declared
from seatrial.package.checks.secret_files import is_secret
from seatrial.package.closure.places import Places
from seatrial.package.closure.walk import Closure, Missing
from seatrial.package.inspect import closure_of, requirement_lines, requirements_name
from seatrial.package.layout import entry_of
from seatrial.package.manifest import Manifest
from seatrial.package.search import files_below, find_elsewhere
from seatrial.package.target import Target

ROUNDS_MAX = 50
NOT_SOURCES = frozenset({"build", "dist", "docs", "examples", "test", "tests"})


@dataclass(frozen=True, slots=True)
class Addition:
    """A file or folder of the source tree that goes into the package, and why. `target` is a name in the package."""

    source: Path
    target: str
    why: str
    files: int


@dataclass(slots=True)
class Repair:
    """Everything that is added: as a person is told it, and file by file (name in the package -> file on disk)."""

    additions: list[Addition] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)  # secrets among what would have been added


class NothingToInclude(Exception):
    """The source tree holds nothing of that name."""


def plan_repair(root: Path, manifest: Manifest, target: Target, source: Path, include: Sequence[str]) -> Repair:
    """Find what is missing, and put it into the folder `root`, the sketch of the package. Blocking.

    Raises:
        NothingToInclude: a name of `include` is not in the source tree.
    """
    plan = _Plan(root, source.resolve())
    for name in include:
        wanted = (source / name).resolve()
        if not wanted.exists() or not wanted.is_relative_to(source.resolve()):
            raise NothingToInclude(name)
        plan.add(wanted, wanted.relative_to(source.resolve()).as_posix(), "asked for")
    for _ in range(ROUNDS_MAX):
        closure = _closure(root, manifest, target)
        if closure is None:
            break
        before = len(plan.repair.files)
        for missing in closure.missing:
            plan.add_module(missing, closure)
        plan.add_data(closure, manifest)
        if len(plan.repair.files) == before:
            break
    return plan.repair


def _closure(root: Path, manifest: Manifest, target: Target) -> Closure | None:
    """None without an entry module."""
    entry = entry_of(manifest.layout, manifest.handler, manifest.command, manifest.env, root)
    if entry.file is None:
        return None
    declares = declared(requirement_lines(manifest, root), target, requirements_name(manifest, root))
    return closure_of(manifest, root, entry, declares, target)


class _Plan:
    def __init__(self, root: Path, source: Path) -> None:
        self.repair = Repair()
        self._root = root
        self._source = source
        self._origins: dict[Path, Path] = {}  # file in the package -> file in the source tree

    def add(self, path: Path, target: str, why: str) -> None:
        """Copy a file or folder into the sketch; files that the package has already are kept."""
        count = 0
        for name, file in files_below(path):
            inside = f"{target}/{name}" if name else target
            place = self._root / inside
            if is_secret(file, Path(inside)):
                secret = file.relative_to(self._source).as_posix()
                self.repair.left_out += [] if secret in self.repair.left_out else [secret]
            elif not place.exists():
                _copy(file, place)
                self.repair.files[inside] = file
                self._origins[place] = file
                count += 1
        if count:
            self.repair.additions.append(Addition(path, target, why, count))

    def add_module(self, missing: Missing, closure: Closure) -> None:
        """The module that an import lacks, if the source tree has it."""
        if missing.why is not None:
            return
        top, *rest = missing.module.split(".")
        found = next((one for one in self._candidates(top) if _holds(one, rest)), None)
        if found is not None:
            self.add(found, self._target(found, closure), f"imported by {missing.place}")

    def _candidates(self, top: str) -> Iterator[Path]:
        for path in find_elsewhere(top, [self._source]):
            inside = path.relative_to(self._source).parts[:-1]
            if not path.is_relative_to(self._root) and not NOT_SOURCES & set(inside):
                yield path

    def _target(self, found: Path, closure: Closure) -> str:
        """Where it lies in the tree, if sys.path has that folder; else the first folder of sys.path."""
        folders = [one for one in closure.folders if one.is_relative_to(self._root)]
        same = self._root / found.relative_to(self._source).parent
        beside = [one for one in folders if (one / found.name).exists()]
        folder = same if same in folders else (beside or folders or [self._root])[0]
        return (folder / found.name).relative_to(self._root).as_posix()

    def add_data(self, closure: Closure, manifest: Manifest) -> None:
        """Files and folders that the code names by their place."""
        for file, module in closure.sources.items():
            origin = self._origins.get(file, self._source / file.relative_to(self._root))
            here = Places(self._root, file, manifest.env)
            there = Places(self._source, origin, manifest.env)
            for node in _expressions(module.tree):
                _assign(node, here, there)
                expression = node.value if isinstance(node, ast.Assign) else node
                if isinstance(expression, ast.expr):
                    self._add_place(expression, here, there, module.name)

    def _add_place(self, expression: ast.expr, here: Places, there: Places, name: str) -> None:
        wanted, found = here.folder(expression), there.folder(expression)
        if wanted is None or found is None or wanted.exists() or wanted == self._root:
            return
        inside = found.is_relative_to(self._source) and found != self._source
        if inside and found.exists() and wanted.is_relative_to(self._root):
            target = wanted.relative_to(self._root).as_posix()
            self.add(found, target, f"read by {name}, line {expression.lineno}")


def _expressions(tree: ast.Module) -> Iterator[ast.Assign | ast.expr]:
    """Assignments in their order, and every expression that may be a path with a folder in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.Call | ast.BinOp) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and "/" in node.value[1:]
        ):
            yield node


def _assign(node: ast.Assign | ast.expr, *places: Places) -> None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        for one in places:
            value = one.value(node.value)
            if value is not None:
                one.names[node.targets[0].id] = value


def _holds(module: Path, rest: Sequence[str]) -> bool:
    """Whether a found module has the submodule that is wanted."""
    base = module.joinpath(*rest)
    return not rest or base.is_dir() or base.with_name(f"{base.name}.py").is_file()


def _copy(file: Path, place: Path) -> None:
    """Into the sketch: a big file only as a hole of its size."""
    place.parent.mkdir(parents=True, exist_ok=True)
    size = file.stat().st_size
    if size <= CHECKED_TEXT_BYTES_MAX:
        shutil.copyfile(file, place)
    else:
        with place.open("wb") as hole:
            hole.truncate(size)
    place.chmod(0o755 if file.stat().st_mode & 0o111 else 0o644)
