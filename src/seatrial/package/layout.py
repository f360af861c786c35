"""How a package says where its handler is, and where that handler's imports are looked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.domain.limits import CONTRACT_BYTES_MAX
from seatrial.package.cog.file import COG_FILE, predict_ref

LAYOUTS = ("sagemaker", "python", "aws_lambda", "runpod", "cog", "http")
LAMBDA_FILE = "lambda_function.py"
LAMBDA_DEFAULT = "lambda_function.lambda_handler"  # what AWS gives to a new function
RUNPOD_FILES = ("rp_handler.py", "handler.py", "src/rp_handler.py", "src/handler.py", "runpod_handler.py")
RUNPOD_START = re.compile(rb"^[^#\n]*\bserverless\.start\s*\(", re.MULTILINE)  # also behind `if …:` on one line
RUNPOD_START_ALONE = re.compile(rb"^[^#\n]*\bfrom\s+runpod\.serverless\s+import\b[^#\n]*\bstart\b", re.MULTILINE)
APPLICATION = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d][\w.()]*"  # of a known server; an address with its port is none
HANDLER_FORMS = {
    "python": (r"\w+(\.\w+)*:\w+", "'module:Class' or 'module:function'"),
    "aws_lambda": (r"[\w./-]+\.\w+", "'module.function'"),
    "runpod": (r"[\w./-]+\.py", "the path of a file such as 'handler.py'"),
    "cog": (r"[\w./-]+\.py:\w+", "'predict.py:Predictor'"),
}


def detect_layout(root: Path, handler: str | None, command: tuple[str, ...], image: str | None = None) -> str:
    """The layout of a package that names none."""
    if command or image is not None:
        return "http"
    if handler is not None:
        return "python"
    if (root / "code").is_dir() or (root / "inference.py").is_file():
        return "sagemaker"
    if (root / COG_FILE).is_file():
        return "cog"
    if (root / LAMBDA_FILE).is_file():
        return "aws_lambda"
    return "runpod" if runpod_file(root) is not None else "sagemaker"


def runpod_file(root: Path) -> str | None:
    """The file that starts a RunPod worker, by its usual names."""
    for name in RUNPOD_FILES:
        path = root / name
        if path.is_file() and path.stat().st_size <= CONTRACT_BYTES_MAX and _starts_runpod(path.read_bytes()):
            return name
    return None


def _starts_runpod(source: bytes) -> bool:
    return bool(RUNPOD_START.search(source) or RUNPOD_START_ALONE.search(source))


def default_handler(layout: str, root: Path) -> str | None:
    """The handler of a layout that has a file for saying so, or a usual name."""
    if layout == "runpod":
        return runpod_file(root) or next((one for one in RUNPOD_FILES if (root / one).is_file()), RUNPOD_FILES[1])
    if layout == "aws_lambda" and (root / LAMBDA_FILE).is_file():
        return LAMBDA_DEFAULT
    if layout == "cog":
        return predict_ref(root)
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """The module that the worker imports first. `file` is None if it is not there; `wanted` is where it should be."""

    file: Path | None
    module: str
    attribute: str | None
    wanted: str
    folders: tuple[Path, ...]


def entry_of(layout: str, handler: str | None, command: tuple[str, ...], env: Mapping[str, str], root: Path) -> Entry:
    """Where a package's handler is, and the folders at the front of sys.path, in order."""
    extra = _python_path(env, root)
    if layout == "python":
        module, _, attribute = (handler or "").partition(":")
        return _by_module(root, module, attribute, (root, *extra), "")
    if layout == "aws_lambda":
        module, _, attribute = (handler or "").rpartition(".")
        return _by_module(root, module.replace("/", "."), attribute, (root, *extra), "")
    if layout == "runpod":
        return _by_file(root, handler or RUNPOD_FILES[1], None, extra)
    if layout == "cog":
        file, _, attribute = (handler or predict_ref(root)).partition(":")
        found = _by_file(root, file, attribute, extra)
        return Entry(found.file, found.module, attribute, found.wanted, (root, *extra))
    if layout == "http":
        return _by_command(root, command, extra)
    code = root / "code"
    module = env.get("SAGEMAKER_PROGRAM", "inference.py").removesuffix(".py").replace("/", ".")
    return _by_module(root, module, None, (code, code / "lib", root, *extra), "code/", (code, code / "lib"))


def _by_module(
    root: Path,
    module: str,
    attribute: str | None,
    folders: tuple[Path, ...],
    prefix: str,
    places: tuple[Path, ...] | None = None,
) -> Entry:
    wanted = f"{prefix}{module.replace('.', '/')}.py"
    return Entry(_module_file(places or folders, module), module, attribute, wanted, folders)


def _module_file(folders: tuple[Path, ...], module: str) -> Path | None:
    for folder in folders:
        base = folder.joinpath(*module.split("."))
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file():
                return path
    return None


def _by_file(root: Path, name: str, attribute: str | None, extra: tuple[Path, ...]) -> Entry:
    path = root / name
    return Entry(path if path.is_file() else None, path.stem, attribute, name, (path.parent, *extra))


def _by_command(root: Path, command: tuple[str, ...], extra: tuple[Path, ...]) -> Entry:
    """The Python that a start command runs: a script, `-m module`, or the application of a known server."""
    words = list(command)
    program = Path(words[0]).name if words else ""
    if program.startswith("python"):
        rest = [word for word in words[1:] if not re.fullmatch(r"-[bBdEhiIOqsSuvVx]+", word)]
        if rest[:1] == ["-m"] and len(rest) > 1:
            return _by_module(root, rest[1], None, (root, *extra), "")
        if rest and rest[0].endswith(".py"):
            return _by_file(root, rest[0], None, extra)
    if program in ("gunicorn", "uvicorn", "hypercorn", "granian", "flask"):
        named = [word for word in words[1:] if re.fullmatch(APPLICATION, word)]
        if named:
            module, _, attribute = named[0].partition(":")
            return _by_module(root, module, attribute, (root, *extra), "")
    if words and words[0].endswith(".py"):
        return _by_file(root, words[0].removeprefix("./"), None, extra)
    return Entry(None, "", None, "", (root, *extra))


def _python_path(env: Mapping[str, str], root: Path) -> tuple[Path, ...]:
    """Entries of PYTHONPATH that mean folders of the package."""
    found = []
    for entry in env.get("PYTHONPATH", "").split(":"):
        for fixed, base in (("/opt/ml/model", root), ("/opt/ml/code", root / "code"), ("/var/task", root)):
            if entry == fixed or entry.startswith(f"{fixed}/"):
                found.append(base / entry[len(fixed) :].lstrip("/"))
    return tuple(found)
