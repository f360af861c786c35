"""Does everything that importing the handler imports exist: in the package, its requirements or the interpreter?

The closure of all imports is followed from the entry module (see `package/closure`), through the same sys.path as the
worker's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seatrial.domain.limits import NAMES_SHOWN_MAX
from seatrial.package.carried import Carried
from seatrial.package.closure.walk import Closure, Missing
from seatrial.package.distributions import COME_ALONG, brings, distribution_of, is_explained
from seatrial.package.finding import Finding, Level
from seatrial.package.requirements import Line, wanted
from seatrial.package.search import find_elsewhere
from seatrial.package.target import GONE_IN, NEW_IN, Target

ID = "imports"


@dataclass(frozen=True, slots=True)
class Declared:
    """What the requirements say. `wide`: something of them may bring any module."""

    distributions: frozenset[str]
    wide: bool
    file: str

    def brings(self, module: str) -> bool:
        """Whether the top-level module comes from one of them."""
        return brings(self.distributions, module)


def declared(lines: list[Line], target: Target, file: str) -> Declared:
    """What the lines of the requirements file, and what they were resolved to, bring."""
    names = frozenset(one.name for one in wanted(lines, target.python))
    wide = any(one.is_place or one.fault for one in lines)
    return Declared(names | (target.resolution.distributions or frozenset()), wide, file)


def knows(module: str, declares: Declared, target: Target) -> bool:
    """Whether a top-level module comes from outside of the package."""
    if module in target.stdlib or module in target.provided or module in (target.modules or ()):
        return True
    return declares.brings(module)


def check_imports(
    closure: Closure, declares: Declared, target: Target, root: Path, carried: Carried
) -> Iterator[Finding]:
    """One finding for each module that nothing in sight brings, at the first place that imports it."""
    told: set[str] = set()
    for missing in sorted(closure.missing, key=lambda one: not one.certain):
        if not missing.certain and missing.place.file in carried:
            continue  # an optional part of a library
        top = missing.module.split(".")[0]
        is_ours = bool(missing.why) or any(_has(folder, top) for folder in closure.folders)
        name = missing.module if is_ours else top
        if name in told:
            continue
        told.add(name)
        if is_ours:
            yield _of_the_package(missing, root)
        else:
            others = sum(1 for one in closure.missing if one.module.split(".")[0] == top) - 1
            yield _from_outside(missing, top, others, closure, declares, target, root)
    yield from _unfollowed(closure)


def _unfollowed(closure: Closure) -> Iterator[Finding]:
    """One warning for all modules that were not looked into, with the first of them by name."""
    if not closure.unfollowed:
        return
    first, *others = closure.unfollowed
    more = f", and at {len(others)} more imports" if others else ""
    message = (
        f"{first.place}: what {first.module!r} imports was not followed: {first.bound} are looked into at most"
        f"{more}. {len(closure.sources):,} modules were."
    )
    remedy = "Require a library by its name rather than carry it along; the rest shows when the trial loads it."
    yield Finding(ID, "warning", message, remedy, first.place.file, first.place.line)


def _of_the_package(missing: Missing, root: Path) -> Finding:
    level: Level = "error" if missing.certain else "warning"
    fault = missing.why or "which the package does not hold"
    said = f"imports {missing.module!r}, which {fault}" if missing.why else f"imports {missing.module!r}, {fault}"
    remedy = "Add the module, or correct the import."
    if missing.why and "relative" in missing.why:
        plain = missing.module.lstrip(".")
        remedy = f"Import it by its plain name: `from {plain or 'module'} import …`; its folder is on sys.path."
    elif missing.why:
        remedy = "Correct the name, or define it there."
    return Finding(ID, level, f"{missing.place}: {said}{_chain(missing)}.", remedy, *_where(missing))


def _from_outside(
    missing: Missing, top: str, others: int, closure: Closure, declares: Declared, target: Target, root: Path
) -> Finding:
    inside = list(find_elsewhere(top, [root]))
    outside = [] if inside else list(find_elsewhere(top, target.search))
    message = f"{missing.place}: imports {missing.module!r}, which neither the package nor its requirements hold"
    if target.modules is not None:
        message += f", nor Python {target.python_text} itself"
    message += _chain(missing) + _others(others) + "."
    folders = ", ".join(_shown(one, root) for one in closure.folders if one.is_dir())
    if inside:
        place = inside[0].relative_to(root).as_posix()
        message += f" It lies at {place}, but its folder is not on sys.path, which has {folders}."
        parent = inside[0].parent.relative_to(root).as_posix()
        remedy = (
            f"Move {place} into {_shown(closure.folders[0], root)}, or put {parent!r} on sys.path before the import."
        )
    elif outside:
        message += f" A module of that name lies at {outside[0]}."
        source = outside[0].parent if outside[0].parent.name != "src" else outside[0].parent.parent
        remedy = f"Add it where sys.path finds it: `seatrial check PACKAGE --source {source} --fix --write OUT` does."
    else:
        remedy = f"Add {distribution_of(top)!r} to {declares.file}, or the module itself to the package."
    level: Level = "warning" if _may_come(missing, top, bool(inside or outside), closure, declares, target) else "error"
    if level == "warning":
        remedy += _doubt(missing, closure, declares, target)
    return Finding(ID, level, message, remedy, *_where(missing))


def _may_come(missing: Missing, top: str, found: bool, closure: Closure, declares: Declared, target: Target) -> bool:
    """True where the import may succeed nevertheless, or may never run."""
    if not missing.certain or closure.unclear or declares.wide:
        return True
    if top in NEW_IN or (target.modules is not None and top in GONE_IN):
        return False  # of another version's standard library
    if target.modules is None:
        return True
    if found or target.resolution.distributions is not None or not declares.distributions:
        return False
    known = [*closure.external, *(one.module.split(".")[0] for one in closure.missing if one.module != missing.module)]
    return top in COME_ALONG or not all(is_explained(one, known) for one in declares.distributions)


def _doubt(missing: Missing, closure: Closure, declares: Declared, target: Target) -> str:
    if closure.unclear:
        return f" (Or what {closure.unclear} does brings it: that cannot be worked out without running it.)"
    if target.modules is None:
        return " (Or the base interpreter has it: it is not on this machine.)"
    if not missing.certain:
        return " (It is imported only under a condition or in a function.)"
    return " (Or it comes along with one of the requirements.)"


def _chain(missing: Missing) -> str:
    if not missing.chain:
        return ""
    shown = [str(one) for one in missing.chain[-NAMES_SHOWN_MAX:]]
    return f"; reached by {' → '.join(shown)}"


def _others(count: int) -> str:
    return "" if count < 1 else " (so does one more place)" if count == 1 else f" (so do {count} more places)"


def _where(missing: Missing) -> tuple[str, int]:
    return missing.place.file, missing.place.line


def _shown(folder: Path, root: Path) -> str:
    return "the package's root" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _has(folder: Path, top: str) -> bool:
    return (folder / top).is_dir() or (folder / f"{top}.py").is_file()
