"""Starting a worker process: what it gets to see of this machine, and its environment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import seatrial.worker
from seatrial.adapters.processes.asks import Asks
from seatrial.adapters.processes.container import MODEL_FOLDER, container_name, is_podman, mounts, run_command
from seatrial.adapters.processes.descendants import SERVER_VARIABLE, WORKER_VARIABLE
from seatrial.adapters.processes.permits import Permits
from seatrial.adapters.processes.scratch import Scratch
from seatrial.domain.limits import ISOLATION_PROBE_SECONDS_MAX, OUTPUT_BYTES_MAX
from seatrial.domain.work import ContainerImage, Program, WorkerSpec
from seatrial.worker import protocol

WORKER_FOLDER = Path(seatrial.worker.__file__).resolve().parent
CODE_FOLDER = "/opt/ml/code"
COG_FOLDER = "/src"  # where a Cog package lies in its image, and writes to
TASK_FOLDER = "/var/task"
LAYERS_FOLDER = "/opt"
PRIVATE_TMP = "/tmp"  # noqa: S108  each worker has its own
COVERED_FOR_PROGRAMS = ["/etc"]  # the SageMaker toolkit has its server's settings there
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all workers of a server share. `visible` folders stay visible and writable wherever they lie."""

    data_dir: Path
    data_id: str
    isolated: bool
    own_network: bool = False  # whether a worker can have a network of its own
    visible: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """A new process, and our ends of its socket, permits, asks and output."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    permits: Permits
    asks: Asks
    stdout: int
    stderr: int


def surroundings_of(spec: WorkerSpec, surroundings: Surroundings) -> Surroundings:
    """What this one of the workers has of them: for the worker of a container the container itself is the isolation.

    Its engine needs the machine as it is, and a daemon does not put containers into a worker's network.
    """
    image = _image(spec)
    if image is None:
        return surroundings
    own_network = surroundings.own_network and is_podman(image) and os.geteuid() == 0
    return replace(surroundings, isolated=False, own_network=own_network)


def _image(spec: WorkerSpec) -> ContainerImage | None:
    return spec.program.image if spec.program is not None else None


def package_view(spec: WorkerSpec, scratch: Scratch, surroundings: Surroundings) -> Path:
    """The folder at which the worker finds its package, with the weights in it.

    Without a namespace of the worker's own it is made of symbolic links in the scratch folder.
    """
    _check_weights(spec.weights)
    if _image(spec) is not None and not spec.weights:
        return spec.package
    if surroundings.isolated:
        return Path(MODEL_FOLDER)
    view = scratch.folder / "ml" / "model"
    view.parent.mkdir(parents=True)
    if spec.weights:
        _link_tree(spec.package, view, {PurePosixPath(path): content for path, content in spec.weights.items()})
    else:
        view.symlink_to(spec.package)
    (view.parent / "code").symlink_to(_code_of(view))
    return view


def _check_weights(weights: Mapping[str, Path]) -> None:
    for path in weights:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts:
            raise ValueError(f"weights at {path!r}: the path must lie inside the package")


def _link_tree(package: Path, view: Path, contents: Mapping[PurePosixPath, Path]) -> None:
    """Links to everything in the folder, except that the contents take their places in it."""
    view.mkdir()
    below: dict[str, dict[PurePosixPath, Path]] = {}
    for path, content in contents.items():
        first, *others = path.parts
        if others:
            below.setdefault(first, {})[PurePosixPath(*others)] = content
        else:
            (view / first).symlink_to(content)
    for first, inner in below.items():
        _link_tree(package / first, view / first, inner)
    for one in package.iterdir() if package.is_dir() else ():
        if not (view / one.name).is_symlink() and one.name not in below:
            (view / one.name).symlink_to(one)


def _code_of(package: Path) -> Path:
    code = package / "code"
    return code if code.is_dir() else package


def environment(spec: WorkerSpec, scratch: Scratch, surroundings: Surroundings, worker_id: str) -> dict[str, str]:
    """The worker's whole environment: nothing of the server's own passes."""
    own = {
        "PATH": f"{spec.python.parent}:{SYSTEM_PATH}",
        "HOME": str(scratch.home),
        "LANG": "C.UTF-8",
        "TMPDIR": PRIVATE_TMP if surroundings.isolated else str(scratch.tmp),
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if spec.layers:
        roots = layer_roots(spec, surroundings)
        own["PATH"] = ":".join([own["PATH"], *(f"{root}/bin" for root in roots)])
        own["LD_LIBRARY_PATH"] = ":".join(f"{root}/lib" for root in roots)
    marks = {WORKER_VARIABLE: worker_id, SERVER_VARIABLE: surroundings.data_id}
    return own | dict(spec.env) | dict(spec.secrets) | marks


def start(
    spec: WorkerSpec, scratch: Scratch, surroundings: Surroundings, worker_environment: Mapping[str, str]
) -> Started:
    """Start the process. The thread that calls this must live as long as the worker: its end would kill it.

    Raises:
        OSError: no process could be made.
    """
    ours, theirs = socket.socketpair()
    permits, asks = Permits(), Asks()
    inherited = [theirs.fileno(), permits.workers_end, asks.workers_end]
    stdout_read, stdout_write = os.pipe()
    stderr_read, stderr_write = os.pipe()
    try:
        process = subprocess.Popen(
            jail_command(jail_plan(spec, scratch, surroundings, inherited)),
            stdin=subprocess.DEVNULL,
            stdout=stdout_write,
            stderr=stderr_write,
            cwd=scratch.folder,
            env=dict(worker_environment),
            pass_fds=inherited,
            start_new_session=True,
        )
    except OSError:
        ours.close()
        permits.close()
        asks.close()
        os.close(stdout_read)
        os.close(stderr_read)
        raise
    finally:
        theirs.close()
        asks.close_workers_end()
        os.close(stdout_write)
        os.close(stderr_write)
    return Started(process, ours, permits, asks, stdout_read, stderr_read)


def jail_command(plan: Mapping[str, object]) -> list[str]:
    """The command line that runs a plan of `worker/jail.py`."""
    return [sys.executable, "-I", "-S", str(WORKER_FOLDER / "jail.py"), json.dumps(plan)]


def jail_plan(
    spec: WorkerSpec, scratch: Scratch, surroundings: Surroundings, descriptors: Sequence[int]
) -> dict[str, object]:
    """The plan for `worker/jail.py`."""
    views = [*layer_views(spec.layers), (MODEL_FOLDER, spec.package)]
    views += [(f"{MODEL_FOLDER}/{path}", content) for path, content in sorted(spec.weights.items())]
    code = f"{MODEL_FOLDER}/code" if (spec.package / "code").is_dir() else MODEL_FOLDER
    data_dir = surroundings.data_dir
    return {
        "server_pid": os.getpid(),
        "isolated": surroundings.isolated,
        "own_network": has_own_network(spec, surroundings),
        "hidden": [str(data_dir)],
        "read_only": _covered(_read_only(spec, data_dir), data_dir),
        "writable": _covered({scratch.folder, spec.scratch, *surroundings.visible}, data_dir),
        "tmp": str(scratch.tmp),
        "root": str(scratch.root),
        "covered": COVERED_FOR_PROGRAMS if spec.program is not None else [],
        "written": [[MODEL_FOLDER, str(scratch.folder / "written"), COG_FOLDER]] if spec.layout == "cog" else [],
        "views": [*((path, str(source)) for path, source in views), (TASK_FOLDER, MODEL_FOLDER), (CODE_FOLDER, code)],
        "run": [str(spec.python), str(WORKER_FOLDER / "main.py"), *map(str, descriptors)],
    }


def layer_roots(spec: WorkerSpec, surroundings: Surroundings) -> list[str]:
    """Where the worker finds its layers, those that go before first: /opt, unless fixed paths cannot be had."""
    if surroundings.isolated:
        return [LAYERS_FOLDER] if spec.layers else []
    return [str(layer) for layer in reversed(spec.layers)]


def layer_views(layers: Sequence[Path], at: str = LAYERS_FOLDER) -> list[tuple[str, Path]]:
    """The layers at one path, each over those before it: mounted as whole as possible."""
    views: list[tuple[str, Path]] = []
    for name in sorted({one.name for layer in layers for one in layer.iterdir()}):
        having = [layer / name for layer in layers if (layer / name).exists()]
        upper = [one for one in having if one.is_dir()]
        if len(upper) > 1 and having[-1].is_dir():
            views += layer_views(upper, f"{at}/{name}")
        elif having:
            views.append((f"{at}/{name}", having[-1]))
    return views


def has_own_network(spec: WorkerSpec, surroundings: Surroundings) -> bool:
    """Whether the worker gets a network of its own: a loopback, and nothing else."""
    return spec.program is not None and spec.program.network != "host" and surroundings.own_network


def _read_only(spec: WorkerSpec, data_dir: Path) -> set[Path]:
    """What the worker needs and must not change.

    What files of the environment name beside it does not count inside the data folder: anybody may have written them.
    """
    own = {spec.package, *spec.weights.values(), WORKER_FOLDER, *_prefixes(spec.python)}
    named = {folder for folder in _interpreter_folders(spec.python) if data_dir not in _with_parents(folder.resolve())}
    return own | named


def _covered(paths: Iterable[Path], data_dir: Path) -> list[str]:
    """Those that would vanish with the shared /tmp or with the data folder."""
    covers = {Path(PRIVATE_TMP), data_dir}
    both = {form for path in paths for form in (path, path.resolve())}
    return sorted(str(path) for path in both if covers.intersection(path.parents) and path.exists())


def _with_parents(path: Path) -> set[Path]:
    return {path, *path.parents}


def _prefixes(python: Path) -> set[Path]:
    return {python.parent.parent, python.resolve().parent.parent}


def _interpreter_folders(python: Path) -> set[Path]:
    """The environments that an interpreter is made of: its own, the base's, and those that `.pth` files add."""
    folders: set[Path] = set()
    waiting = [*_prefixes(python)]
    while waiting:
        folder = waiting.pop()
        if folder in folders:
            continue
        folders.add(folder)
        waiting.extend(Path(home).parent for home in _lines_after("home = ", folder.glob("pyvenv.cfg")))
        waiting.extend(map(Path, _lines_after("/", folder.glob("lib/python*/site-packages/*.pth"))))
    return folders


def _lines_after(start: str, files: Iterable[Path]) -> list[str]:
    """The paths in lines that begin so."""
    lines = [line.strip() for file in files for line in file.read_text("utf-8", "replace").splitlines()]
    return [line.removeprefix("home = ") for line in lines if line.startswith(start)]


def load_order(
    spec: WorkerSpec, view: Path, scratch: Scratch, nonce: str, surroundings: Surroundings, worker_id: str
) -> protocol.Load:
    """What the process is told to load; `nonce` marks its lines of output."""
    return {
        "type": protocol.LOAD,
        "endpoint_name": spec.endpoint_name,
        "layout": spec.layout,
        "package": str(view),
        "scratch": str(scratch.folder),
        "nonce": nonce,
        "handler": spec.handler,
        "task_methods": dict(spec.task_methods),
        "layers": layer_roots(spec, surroundings),
        "memory_bytes_max": spec.memory_bytes_max,
        "memory_growth_bytes_max": spec.memory_growth_bytes_max,
        "device": spec.device,
        "load_timeout_seconds": spec.load_timeout_seconds,
        "program": _program(spec, view, surroundings, worker_id),
    }


def _program(spec: WorkerSpec, view: Path, surroundings: Surroundings, worker_id: str) -> protocol.Program | None:
    program = spec.program
    if program is None:
        return None
    command = list(program.command)
    if program.image is not None:
        name, variables = container_name(worker_id), (*spec.env, *spec.secrets)
        command = run_command(program.image, command, name, mounts(spec, view), variables, spec.device)
    return {
        "command": command,
        "model": MODEL_FOLDER if program.image is not None else str(view),
        "port": program.port,
        "network": program.network,
        "own_network": has_own_network(spec, surroundings),
        "slots": program.slots,
        "follow": WORKER_VARIABLE if program.image is not None else None,
        "answer_bytes_max": OUTPUT_BYTES_MAX,
    }


def explore(data_dir: Path, visible: tuple[Path, ...], *, isolate: bool) -> tuple[Surroundings, str | None]:
    """What workers share on this machine, and why they are not isolated, if they are not."""
    folder = data_dir.stat()
    data_id = f"{folder.st_dev:x}-{folder.st_ino:x}"
    wanted = Surroundings(data_dir.resolve(), data_id, isolated=True, own_network=True, visible=visible)
    why_not = _why_not_isolated(wanted) if isolate else "it was not asked for"
    if isolate and why_not is not None:  # perhaps it is only the network
        wanted = replace(wanted, own_network=False)
        why_not = _why_not_isolated(wanted)
    isolated = why_not is None
    return replace(wanted, isolated=isolated, own_network=isolated and wanted.own_network), why_not


def _why_not_isolated(surroundings: Surroundings) -> str | None:
    """Arrange the view of a worker once, for a process that does nothing; None if that works."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Scratch(Path(folder).resolve() / "scratch")
        scratch.make()
        package = Path(folder).resolve() / "package"
        package.mkdir()
        program = Program(("/bin/true",))
        spec = WorkerSpec("probe", "probe", "http", package, Path("/bin/true"), scratch.folder, {}, program=program)
        plan = jail_plan(spec, scratch, surroundings, ()) | {"run": ["/bin/true"]}
        try:
            probe = subprocess.run(
                jail_command(plan),
                capture_output=True,
                text=True,
                env={},
                check=False,
                timeout=ISOLATION_PROBE_SECONDS_MAX,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    if probe.returncode == 0:
        return None
    lines = probe.stderr.strip().splitlines()
    return (
        lines[-1].removeprefix("seatrial: cannot start the worker: ")
        if lines
        else f"the probe left with exit code {probe.returncode}"
    )
