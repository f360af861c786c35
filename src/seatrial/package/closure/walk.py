"""Follow imports from a handler through its package, statement by statement, as importing it would.

Order counts: an edit of sys.path helps the imports behind it. `try`/`except ImportError` takes the fallback only if the
import fails. What stands in functions is followed last, with every edit of sys.path that could be seen.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.domain.limits import CLOSURE_MODULES_MAX, CLOSURE_SECONDS_MAX, CONTRACT_BYTES_MAX
from seatrial.package.closure.bindings import bound_names
from seatrial.package.closure.conditions import Conditions
from seatrial.package.closure.modules import Finder, Module
from seatrial.package.closure.places import Places
from seatrial.package.source import Source, Unparsable, dotted, read_source

CATCHES_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
ENDS_PROCESS = frozenset({"sys.exit", "exit", "quit", "os._exit", "os.abort"})
CHAIN_MAX = 50  # imports within imports; Python's own limit is not far beyond
PATH_WORDS = re.compile(rb"sys\.path|addsitedir")  # a module without them need not be looked through
IMPORT_WORDS = re.compile(rb"import_module|__import__")
IMPORTERS = frozenset({"importlib.import_module", "import_module", "__import__"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file of the package."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True)
class Missing:
    """An import that nothing brings. `chain` are the imports that lead to `place`; `certain`: it will be run.

    `why` is set where the module itself is there: a relative import without a package, or a name that it does not hold.
    """

    module: str
    place: Place
    chain: tuple[Place, ...]
    certain: bool
    folders: tuple[Path, ...]
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """A module of the package that was not looked into, where it is imported, and which bound was reached."""

    module: str
    place: Place
    bound: str


@dataclass(slots=True)
class Closure:
    """What was found. `external` maps top-level modules from outside to where they are imported first."""

    missing: list[Missing] = field(default_factory=list)
    external: dict[str, Place] = field(default_factory=dict)
    sources: dict[Path, Source] = field(default_factory=dict)
    unparsable: list[tuple[str, Unparsable, tuple[Place, ...]]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    unclear: Place | None = None  # an edit of sys.path, or code, that cannot be worked out
    unfollowed: list[Unfollowed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Start:
    """Where importing begins: a file under its module name, and names that the worker will call in it.

    `is_main`: it is run as a script.
    """

    file: Path
    module: str
    called: frozenset[str] | None = None  # None: anything
    is_main: bool = False


@dataclass(slots=True)
class _Frame:
    """A module that is being imported. What the two flags exclude need not be looked for in it."""

    source: Source
    package: str
    chain: tuple[Place, ...]
    places: Places
    edits_path: bool
    imports_by_name: bool
    is_main: bool = False


def follow(
    root: Path,
    start: Start,
    folders: Sequence[Path],
    knows: Callable[[str], bool],
    conditions: Conditions,
    env: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
) -> Closure:
    """The closure of `start`. `knows` says whether a top-level module comes from outside of the package.

    After CLOSURE_SECONDS_MAX of `clock`, which counts seconds, no further module is looked into.
    """
    walker = _Walker(root, folders, knows, conditions, env, clock)
    walker.begin(start)
    return walker.found


class _Walker:
    def __init__(
        self,
        root: Path,
        folders: Sequence[Path],
        knows: Callable[[str], bool],
        conditions: Conditions,
        env: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self.found = Closure(folders=list(folders))
        self._root = root
        self._knows = knows
        self._conditions = conditions
        self._env = env
        self._clock = clock
        self._ends = clock() + CLOSURE_SECONDS_MAX
        self._finder = Finder()
        self._names: dict[str, frozenset[str] | None] = {}
        self._faults_of: dict[Path, list[Missing]] = {}  # what is missing when that module is imported
        self._waiting: list[tuple[_Frame, ast.stmt, bool]] = []  # functions, with whether they are surely called

    def begin(self, start: Start) -> None:
        frame = self._enter(start.file, start.module, False, (), start.is_main)
        if frame is None:
            return
        self._run_module(frame, certain=True)
        called = _reached(frame.source.tree, start.called)
        self._waiting = [
            (one, function, sure and (one is not frame or called is None or _name(function) in called))
            for one, function, sure in self._waiting
        ]
        for one, function, _ in self._waiting:
            self._edit_inside(one, function)
        while self._waiting:
            one, function, sure = self._waiting.pop(0)
            self._run_module(one, sure, getattr(function, "body", []))

    def _enter(
        self, file: Path, name: str, is_package: bool, chain: tuple[Place, ...], is_main: bool = False
    ) -> _Frame | None:
        try:
            source = read_source(self._root, file)
        except Unparsable as error:
            self.found.unparsable.append((file.relative_to(self._root).as_posix(), error, chain))
            return None
        self.found.sources[file] = source
        package = name if is_package else name.rpartition(".")[0]
        places = Places(self._root, file, self._env)
        edits_path = bool(PATH_WORDS.search(source.text))
        return _Frame(source, package, chain, places, edits_path, bool(IMPORT_WORDS.search(source.text)), is_main)

    # ------------------------------------------------------------------ statements

    def _run_module(self, frame: _Frame, certain: bool, body: list[ast.stmt] | None = None) -> None:
        """All of a module or of one of its functions; what is nested too deeply is left unclear."""
        try:
            self._run(frame, frame.source.tree.body if body is None else body, certain)
        except RecursionError:
            self.found.unclear = self.found.unclear or Place(frame.source.name, 1)

    def _run(self, frame: _Frame, body: Iterable[ast.stmt], certain: bool) -> None:
        for statement in body:
            match statement:
                case ast.Import() | ast.ImportFrom():
                    self._import_statement(frame, statement, certain)
                case ast.If():
                    self._branch(frame, statement, certain)
                case ast.Try() | ast.TryStar():
                    self._attempt(frame, statement, certain)
                case ast.For() | ast.AsyncFor():
                    self._loop(frame, statement, certain)
                case ast.With() | ast.AsyncWith():
                    self._with(frame, statement, certain)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    is_entry = not frame.chain
                    self._waiting.append((frame, statement, certain and is_entry))
                case ast.ClassDef():
                    self._run(frame, statement.body, certain)
                case ast.While():
                    self._run(frame, [*statement.body, *statement.orelse], False)
                case ast.Match():
                    for case in statement.cases:
                        self._run(frame, case.body, False)
                case _:
                    self._simple(frame, statement, certain)

    def _simple(self, frame: _Frame, statement: ast.stmt, certain: bool) -> None:
        if frame.edits_path:
            self._edit(frame, statement)
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            value = frame.places.value(statement.value)
            for target in targets:
                if isinstance(target, ast.Name):
                    if value is None:
                        frame.places.names.pop(target.id, None)
                    else:
                        frame.places.names[target.id] = value
        for node in ast.walk(statement) if frame.imports_by_name else ():
            if isinstance(node, ast.Call) and dotted(node.func) in IMPORTERS and len(node.args) == 1:
                name = frame.places.value(node.args[0])
                if isinstance(name, str) and name and not name.startswith("."):
                    self._import(frame, name, node.lineno, certain)

    def _branch(self, frame: _Frame, statement: ast.If, certain: bool) -> None:
        truth = self._conditions.truth(statement.test, frame.places, is_main=frame.is_main)
        if truth is not False:
            self._run(frame, statement.body, certain and truth is True)
        if truth is not True:
            self._run(frame, statement.orelse, certain and truth is False)

    def _attempt(self, frame: _Frame, statement: ast.Try | ast.TryStar, certain: bool) -> None:
        before = len(self.found.missing)
        self._run(frame, statement.body, certain)
        handler = next((one for one in statement.handlers if _catches(one)), None)
        failed = self.found.missing[before:]
        if handler is None or not failed:
            self._run(frame, statement.orelse, certain)
        elif not _gives_up(handler):
            del self.found.missing[before:]
            self._run(frame, handler.body, certain)
        self._run(frame, statement.finalbody, certain)

    def _with(self, frame: _Frame, statement: ast.With | ast.AsyncWith, certain: bool) -> None:
        before = len(self.found.missing)
        self._run(frame, statement.body, certain)
        for item in statement.items:
            called = item.context_expr
            suppresses = isinstance(called, ast.Call) and dotted(called.func).endswith("suppress")
            if suppresses and any(_is_import_error(one) for one in getattr(called, "args", [])):
                del self.found.missing[before:]

    def _loop(self, frame: _Frame, statement: ast.For | ast.AsyncFor, certain: bool) -> None:
        items = statement.iter.elts if isinstance(statement.iter, ast.Tuple | ast.List) else []
        for item in items if isinstance(statement.target, ast.Name) else []:
            value = frame.places.value(item)
            if value is not None:
                frame.places.names[dotted(statement.target)] = value
                self._run(frame, statement.body, certain)
        if not items:
            self._run(frame, [*statement.body, *statement.orelse], False)

    # ------------------------------------------------------------------ sys.path

    def _edit_inside(self, frame: _Frame, function: ast.stmt) -> None:
        """Edits in a function that may have run before an import in another one."""
        if not frame.edits_path:
            return
        for node in ast.walk(function):
            if isinstance(node, ast.stmt):
                self._edit(frame, node)

    def _edit(self, frame: _Frame, statement: ast.stmt) -> None:
        for node, at_front in _path_entries(statement):
            folder = frame.places.folder(node)
            if folder is None:
                self.found.unclear = self.found.unclear or Place(frame.source.name, statement.lineno)
            elif folder not in self.found.folders:
                self.found.folders.insert(0 if at_front else len(self.found.folders), folder)

    # ------------------------------------------------------------------ modules

    def _import_statement(self, frame: _Frame, statement: ast.Import | ast.ImportFrom, certain: bool) -> None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                self._import(frame, alias.name, statement.lineno, certain)
            return
        base = statement.module or ""
        if statement.level:
            above = frame.package.split(".") if frame.package else []
            if len(above) < statement.level:
                shown = "." * statement.level + base
                why = "is a relative import in a module that is imported on its own, outside of any package"
                self._note(frame, shown, statement.lineno, certain, why)
                return
            above = above[: len(above) - statement.level + 1]
            base = ".".join([*above, base]) if base else ".".join(above)
        module = self._import(frame, base, statement.lineno, certain)
        if module is not None:
            for alias in statement.names:
                self._member(frame, base, module, alias.name, statement.lineno, certain)

    def _member(self, frame: _Frame, base: str, module: Module, name: str, line: int, certain: bool) -> None:
        """`from base import name`: a submodule, or a name that the module binds."""
        if name == "*":
            return
        source = self.found.sources.get(module.file) if module.file is not None else None
        bound = self._bound(source) if source is not None else None
        if source is not None and bound is not None and name in bound:
            if self._finder.find(module.folders, name) is not None:
                self._import(frame, f"{base}.{name}", line, certain)
            return
        if self._finder.find(module.folders, name) is not None or module.file is None:
            self._import(frame, f"{base}.{name}", line, certain)
        elif bound is not None and source is not None:
            self._note(frame, f"{base}.{name}", line, certain, f"is no name that {source.name} defines")

    def _bound(self, source: Source) -> frozenset[str] | None:
        """`bound_names`, worked out once for each module."""
        if source.name not in self._names:
            self._names[source.name] = bound_names(source.tree)
        return self._names[source.name]

    def _import(self, frame: _Frame, name: str, line: int, certain: bool) -> Module | None:
        """Import a module by its full name; the module, if it is one of the package's."""
        top, *rest = name.split(".")
        module = self._finder.find(self.found.folders, top)
        if module is None or (not module.is_regular and self._knows(top)):
            if self._knows(top):
                self.found.external.setdefault(top, Place(frame.source.name, line))
            else:
                self._note(frame, name, line, certain)
            return None
        so_far = top
        self._visit(frame, module, so_far, line, certain)
        for part in rest:
            if module.file is not None and not module.is_source:
                return None  # a compiled module: what it holds cannot be seen
            inner = self._finder.find(module.folders, part)
            so_far = f"{so_far}.{part}"
            if inner is None:
                self._note(frame, so_far, line, certain)
                return None
            module = inner
            self._visit(frame, module, so_far, line, certain)
        return module

    def _visit(self, frame: _Frame, module: Module, name: str, line: int, certain: bool) -> None:
        """Run a module of the package, the first time that it is imported."""
        if module.file is None or not module.is_source:
            return
        if module.file in self.found.sources:
            known = [one for one in self._faults_of.get(module.file, []) if one not in self.found.missing]
            self.found.missing += known
            return
        chain = (*frame.chain, Place(frame.source.name, line))
        bound = self._bound_reached(module.file, len(chain))
        if bound is not None:
            self.found.unclear = self.found.unclear or chain[-1]
            self.found.unfollowed.append(Unfollowed(name, chain[-1], bound))
            return
        inner = self._enter(module.file, name, module.file.name == "__init__.py", chain)
        if inner is not None:
            before = len(self.found.missing)
            self._run_module(inner, certain)
            self._faults_of[module.file] = self.found.missing[before:]

    def _bound_reached(self, file: Path, depth: int) -> str | None:
        """The bound, in words, that keeps a module from being looked into."""
        if depth > CHAIN_MAX:
            return f"{CHAIN_MAX} imports within imports"
        if len(self.found.sources) >= CLOSURE_MODULES_MAX:
            return f"{CLOSURE_MODULES_MAX:,} modules"
        if file.stat().st_size > CONTRACT_BYTES_MAX:
            return f"{CONTRACT_BYTES_MAX:,} bytes of one module"
        return f"{CLOSURE_SECONDS_MAX} seconds" if self._clock() > self._ends else None

    def _note(self, frame: _Frame, name: str, line: int, certain: bool, why: str | None = None) -> None:
        place = Place(frame.source.name, line)
        found = Missing(name, place, frame.chain, certain, tuple(self.found.folders), why)
        if not any(one.module == found.module and one.place == place for one in self.found.missing):
            self.found.missing.append(found)


def _path_entries(statement: ast.stmt) -> list[tuple[ast.expr, bool]]:
    """What a statement adds to sys.path, and whether it goes to its front."""
    if isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call):
        function = dotted(call.func)
        if function == "sys.path.insert" and len(call.args) == 2:
            return [(call.args[1], not (isinstance(call.args[0], ast.Constant) and call.args[0].value != 0))]
        if function in ("sys.path.append", "site.addsitedir") and call.args:
            return [(call.args[0], False)]
        if function == "sys.path.extend" and call.args:
            return [(one, False) for one in _elements(call.args[0])]
    if isinstance(statement, ast.AugAssign) and dotted(statement.target) == "sys.path":
        return [(one, False) for one in _elements(statement.value)]
    if isinstance(statement, ast.Assign) and _is_sys_path(statement.targets[0]):
        value = statement.value
        sides = [value.left, value.right] if isinstance(value, ast.BinOp) else [value]
        kept = [one for one in sides if dotted(one) != "sys.path"]
        return [(one, True) for side in kept for one in _elements(side)]
    return []


def _is_sys_path(target: ast.expr) -> bool:
    return dotted(target.value if isinstance(target, ast.Subscript) else target) == "sys.path"


def _elements(node: ast.expr) -> list[ast.expr]:
    """The entries of a list; anything else is one that cannot be worked out."""
    elements = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return [one for one in elements if not isinstance(one, ast.Starred)]


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_is_import_error(one) for one in kinds)


def _is_import_error(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2] in CATCHES_IMPORT_ERRORS


def _gives_up(handler: ast.ExceptHandler) -> bool:
    """True if the fallback ends in an error as well."""
    for statement in handler.body:
        if isinstance(statement, ast.Raise):
            return True
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and dotted(call.func) in ENDS_PROCESS:
            return True
    return False


def _name(function: ast.stmt) -> str:
    return getattr(function, "name", "")


def _reached(tree: ast.Module, called: frozenset[str] | None) -> frozenset[str] | None:
    """The names of all functions that calling some of them may call, by name alone."""
    if called is None:
        return None
    functions: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.setdefault(node.name, []).append(node)
    reached: set[str] = set()
    pending = [name for name in called if name in functions]
    while pending:
        name = pending.pop()
        if name in reached:
            continue
        reached.add(name)
        for function in functions[name]:
            for node in ast.walk(function):
                word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
                if word in functions and word not in reached:
                    pending.append(word)
    return frozenset(reached | {"__init__", "__call__", "__enter__", "load"})
